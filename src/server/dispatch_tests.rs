//! What a connection's session holds on to: scans that nobody can name, writes that wait.

use std::sync::Arc;
use std::time::Duration;

use super::aside::Lane;
use super::budget::Reservation;
use super::dispatch::{Handled, Patience, Session, list_bytes};
use super::outbox::Outbox;
use super::stream::Plane;
use super::{Control, NoControl, Shared};
use crate::config::Config;
use crate::protocol::{
    BatchOperation, ConfigItem, ErrorCode, ReloadReport, Request, Response, frame,
};
use crate::storage::{Engine, Options, RealDisk, WalSyncStrategy};

pub(super) fn shared(dir: &tempfile::TempDir) -> Arc<Shared> {
    shared_with(dir, Options::default())
}

pub(super) fn shared_with(dir: &tempfile::TempDir, options: Options) -> Arc<Shared> {
    let engine = Engine::open(RealDisk::shared(), dir.path(), options).unwrap();
    let mut settings = crate::daemon::settings(&Config::default(), 1, None);
    settings.read_timeout = Duration::from_millis(1);
    let shared = Shared::new(Arc::new(engine), settings, Arc::new(NoControl));
    Arc::new(shared)
}

/// Handles one request and returns its answer.
pub(super) fn ask(session: &mut Session, out: &mut Outbox, request: &Request<'_>) -> Response {
    handle(session, out, request);
    assert!(session.try_settle(out), "nothing waits under interval");
    let (frame, _) = frame::decode(out.bytes(), u32::MAX).unwrap().unwrap();
    let answer = Response::decode(&frame).unwrap();
    out.sent(out.bytes().len());
    answer
}

fn encoded(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(1, u32::MAX, &mut bytes).unwrap();
    bytes
}

pub(super) fn handle(session: &mut Session, out: &mut Outbox, request: &Request<'_>) {
    let bytes = encoded(request);
    let (frame, _) = frame::decode(&bytes, u32::MAX).unwrap().unwrap();
    let handled = session.handle(&frame, out, Patience::Some);
    assert_eq!(handled, Handled::Done);
}

#[test]
fn a_scan_whose_first_page_finds_no_memory_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(&dir);
    let mut session = Session::new(&shared, &shared.settings(), Plane::Data, None);
    let mut out = Outbox::new(&shared.budget, u32::MAX);
    let open = Request::ScanOpen {
        from: None,
        to: None,
        prefix: b"",
        reverse: false,
        limit: 0,
        max_entries: 0,
        max_bytes: 0,
    };
    let mut all = Reservation::none(&shared.budget);
    all.try_raise(shared.settings().max_inflight_bytes).unwrap();
    for _ in 0..40 {
        let answer = ask(&mut session, &mut out, &open);
        let busy = matches!(&answer, Response::Error { code, .. } if *code == ErrorCode::Busy);
        assert!(busy, "{answer:?}");
    }
    assert_eq!(shared.engine.stats().open_scans, 0);
    all.release();
    let answer = ask(&mut session, &mut out, &open);
    assert!(matches!(answer, Response::ScanPage { .. }), "{answer:?}");
}

/// A process whose configuration has one key, and whose file cannot be read again.
struct Process;

impl Control for Process {
    fn config(&self) -> Vec<ConfigItem> {
        vec![ConfigItem {
            key: "server.listen".to_owned(),
            value: "127.0.0.1:7390".to_owned(),
            origin: "default".to_owned(),
        }]
    }

    fn reload(&self) -> Result<ReloadReport, String> {
        Err("line 3: no such key".to_owned())
    }
}

#[test]
fn the_process_is_asked_over_the_unix_socket_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut shared = shared(&dir);
    Arc::get_mut(&mut shared).unwrap().control = Arc::new(Process);
    let mut out = Outbox::new(&shared.budget, u32::MAX);
    let settings = shared.settings();
    let mut admin = Session::new(&shared, &settings, Plane::Admin, None);
    let requests = [
        (Request::Config, Response::Config(Process.config())),
        (
            Request::Reload,
            Response::error(ErrorCode::ReloadRefused, "line 3: no such key"),
        ),
        (Request::Slowlog { limit: 0 }, Response::Slowlog(Vec::new())),
    ];
    for (request, expected) in &requests {
        assert_eq!(&ask(&mut admin, &mut out, request), expected);
    }
    let mut data = Session::new(&shared, &settings, Plane::Data, None);
    for (request, _) in &requests {
        let answer = ask(&mut data, &mut out, request);
        let refused =
            matches!(&answer, Response::Error { code, .. } if *code == ErrorCode::NotPermitted);
        assert!(refused, "{answer:?}");
    }
}

fn every_write() -> Options {
    Options {
        sync: WalSyncStrategy::EveryWrite,
        ..Options::default()
    }
}

#[test]
fn writes_of_a_pipeline_are_settled_before_they_are_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared_with(&dir, every_write());
    let mut session = Session::new(&shared, &shared.settings(), Plane::Data, None);
    let mut out = Outbox::new(&shared.budget, u32::MAX);
    let put = encoded(&Request::Put {
        key: b"key",
        value: b"",
    });
    let (put, _) = frame::decode(&put, u32::MAX).unwrap().unwrap();
    let mut submit = || session.handle(&put, &mut out, Patience::None);
    let submitted = (0..2000).take_while(|_| submit() == Handled::Done).count();
    assert_eq!(submitted, 1024, "as many as may wait");
}

#[test]
fn what_follows_a_write_waits_until_it_is_settled() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared_with(&dir, every_write());
    let mut session = Session::new(&shared, &shared.settings(), Plane::Data, None);
    let mut out = Outbox::new(&shared.budget, u32::MAX);
    let (key, value) = (&b"key"[..], &b"value"[..]);
    let requests = [
        Request::Put { key, value },
        Request::PutIfAbsent { key, value },
        Request::Get { key },
        Request::Ping,
    ];
    handle(&mut session, &mut out, &requests[0]);
    // A refused condition tells of the write before it, and so waits with it; nothing passes it.
    handle(&mut session, &mut out, &requests[1]);
    for request in &requests {
        let bytes = encoded(request);
        let (frame, _) = frame::decode(&bytes, u32::MAX).unwrap().unwrap();
        let handled = session.handle(&frame, &mut out, Patience::None);
        assert_eq!(handled, Handled::Settle);
    }
    assert!(session.is_settling() && out.is_empty());
    shared.engine.sync().unwrap();
    assert!(session.try_settle(&mut out) && !out.is_empty());
    handle(&mut session, &mut out, &requests[2]);
}

#[test]
fn what_may_wait_or_takes_long_is_not_begun_in_a_worker() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(&dir);
    let mut out = Outbox::new(&shared.budget, u32::MAX);
    let large = vec![0; 100_000];
    let (key, value) = (&b"key"[..], &large[..]);
    let cases = [
        (Plane::Data, Request::Sync { lsn: None }, Some(Lane::Sync)),
        (Plane::Data, Request::Stats, Some(Lane::Work)),
        (Plane::Data, Request::Put { key, value }, Some(Lane::Room)),
        (Plane::Admin, Request::Compact, Some(Lane::Admin)),
        (Plane::Admin, Request::Sync { lsn: None }, Some(Lane::Admin)),
        // It is refused there.
        (Plane::Data, Request::Compact, None),
        (Plane::Admin, Request::Get { key }, None),
    ];
    for (plane, request, lane) in cases {
        let mut session = Session::new(&shared, &shared.settings(), plane, None);
        let bytes = encoded(&request);
        let (frame, _) = frame::decode(&bytes, u32::MAX).unwrap().unwrap();
        let handled = session.handle(&frame, &mut out, Patience::None);
        let expected = lane.map_or(Handled::Done, Handled::Aside);
        assert_eq!(handled, expected, "{request:?}");
    }
}

#[test]
fn who_waits_for_room_holds_no_memory_for_its_lists() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        memtable_size: 1 << 20,
        ..Options::default()
    };
    let shared = shared_with(&dir, options);
    // The next write seals the memtable first, which no worker does.
    shared.engine.put(b"large", &vec![0; 2 << 20]).unwrap();
    let mut session = Session::new(&shared, &shared.settings(), Plane::Data, None);
    let mut out = Outbox::new(&shared.budget, u32::MAX);
    let operations = vec![BatchOperation::Delete { key: b"k" }; 6000];
    let bytes = encoded(&Request::Batch { operations });
    let (frame, _) = frame::decode(&bytes, u32::MAX).unwrap().unwrap();
    let limits = &shared.settings().limits;
    assert!(list_bytes(frame.code, frame.payload.len(), limits) > 64 * 1024);
    let handled = session.handle(&frame, &mut out, Patience::None);
    assert_eq!(handled, Handled::Aside(Lane::Room));
    assert_eq!(shared.budget.used(), 0);
}
