//! What a connection's session holds on to: scans that nobody can name, writes that wait.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Reservation;
use super::dispatch::Session;
use super::outbox::Outbox;
use super::stream::Plane;
use super::{Control, NoControl, Shared};
use crate::config::Config;
use crate::protocol::{ConfigItem, ErrorCode, ReloadReport, Request, Response, frame};
use crate::storage::{Engine, Options, RealDisk};

pub(super) fn shared(dir: &tempfile::TempDir) -> Shared {
    let engine = Engine::open(RealDisk::shared(), dir.path(), Options::default()).unwrap();
    let mut settings = crate::daemon::settings(&Config::default(), 1, None);
    settings.read_timeout = Duration::from_millis(1);
    Shared::new(Arc::new(engine), settings, Arc::new(NoControl))
}

/// Handles one request and returns its answer.
pub(super) fn ask(session: &mut Session<'_>, out: &mut Outbox, request: &Request<'_>) -> Response {
    handle(session, out, request);
    session.settle(out);
    let (frame, _) = frame::decode(out.bytes(), u32::MAX).unwrap().unwrap();
    let answer = Response::decode(&frame).unwrap();
    out.sent();
    answer
}

pub(super) fn handle(session: &mut Session<'_>, out: &mut Outbox, request: &Request<'_>) {
    let mut bytes = Vec::new();
    request.encode(1, u32::MAX, &mut bytes).unwrap();
    let (frame, _) = frame::decode(&bytes, u32::MAX).unwrap().unwrap();
    session.handle(&frame, out);
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
    shared.control = Arc::new(Process);
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

#[test]
fn writes_of_a_pipeline_are_settled_before_they_are_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(&dir);
    let mut session = Session::new(&shared, &shared.settings(), Plane::Data, None);
    let mut out = Outbox::new(&shared.budget, u32::MAX);
    let refused = Request::Delete { key: b"" };
    for _ in 0..2000 {
        handle(&mut session, &mut out, &refused);
    }
    assert!(!out.bytes().is_empty(), "2000 answers wait");
}
