//! What a connection's session holds on to: scans that nobody can name, writes that wait.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant, SystemTime};

use super::auth::Gate;
use super::budget::{Budget, Reservation};
use super::dispatch::Session;
use super::latency::Latency;
use super::outbox::Outbox;
use super::slowlog::SlowLog;
use super::stream::Plane;
use super::{NoControl, Shared};
use crate::config::Config;
use crate::logging::Throttle;
use crate::protocol::{ErrorCode, Request, Response, frame};
use crate::storage::{Engine, Options, RealDisk};

fn shared(dir: &tempfile::TempDir) -> Shared {
    let engine = Engine::open(RealDisk::shared(), dir.path(), Options::default()).unwrap();
    let mut settings = crate::daemon::settings(&Config::default(), 1);
    settings.read_timeout = Duration::from_millis(1);
    Shared {
        engine: Arc::new(engine),
        control: Arc::new(NoControl),
        database_id: String::new(),
        budget: Budget::new(settings.max_inflight_bytes),
        latency: Latency::default(),
        slowlog: SlowLog::new(&settings),
        settings: RwLock::new(Arc::new(settings)),
        registry: Arc::default(),
        gate: Gate::default(),
        failures: Throttle::default(),
        started: Instant::now(),
        started_at: SystemTime::now(),
    }
}

/// Handles one request and returns its answer.
fn ask(session: &mut Session<'_>, out: &mut Outbox, request: &Request<'_>) -> Response {
    handle(session, out, request);
    session.settle(out);
    let (frame, _) = frame::decode(out.bytes(), u32::MAX).unwrap().unwrap();
    let answer = Response::decode(&frame).unwrap();
    out.sent();
    answer
}

fn handle(session: &mut Session<'_>, out: &mut Outbox, request: &Request<'_>) {
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
