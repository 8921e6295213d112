//! Which requests come into the slow log, what of them is kept, and that it stays bounded.

use std::net::SocketAddr;
use std::time::Duration;

use super::dispatch::Session;
use super::dispatch_tests::{ask, handle, shared, shared_with};
use super::outbox::Outbox;
use super::stream::Plane;
use super::{Settings, Shared};
use crate::protocol::opcode::request as opcode;
use crate::protocol::{BatchOperation, Request, Response, SLOW_KEY_BYTES, SlowRequest};
use crate::storage::{Options, WalSyncStrategy};

/// Puts other limits in force: every request is slow that takes `slow` and longer.
fn configure(shared: &Shared, slow: Option<Duration>, entries: usize) {
    shared.reconfigure(Settings {
        slow_request: slow,
        slowlog_entries: entries,
        ..(*shared.settings()).clone()
    });
}

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Request<'a> {
    Request::Put { key, value }
}

#[test]
fn what_is_kept_of_each_request() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(&dir);
    let peer: SocketAddr = "127.0.0.1:1234".parse().unwrap();
    let mut session = Session::new(&shared, &shared.settings(), Plane::Data, Some(peer));
    let mut out = Outbox::new(&shared.budget, u32::MAX);
    configure(&shared, Some(Duration::ZERO), 100);
    let long = [b'k'; 1000];
    ask(&mut session, &mut out, &put(b"a", b"value"));
    ask(&mut session, &mut out, &put(&long, b"12345678"));
    ask(&mut session, &mut out, &Request::Get { key: &long });
    let operations = vec![
        BatchOperation::Put {
            key: b"b",
            value: b"12",
        },
        BatchOperation::Delete { key: b"c" },
        BatchOperation::Put {
            key: b"d",
            value: b"345",
        },
    ];
    ask(&mut session, &mut out, &Request::Batch { operations });
    let keys = vec![&b"b"[..], b"d"];
    ask(&mut session, &mut out, &Request::MultiGet { keys });
    ask(&mut session, &mut out, &Request::Ping);

    let log = shared.slowlog.latest(0);
    let kept = |it: &SlowRequest| (it.opcode, it.key_length, it.key.to_vec(), it.value_bytes);
    let kept: Vec<_> = log.iter().rev().map(kept).collect();
    let head = long[..SLOW_KEY_BYTES].to_vec();
    let expected = [
        (opcode::PUT, 1, b"a".to_vec(), 5),
        (opcode::PUT, 1000, head.clone(), 8),
        (opcode::GET, 1000, head, 8),
        (opcode::BATCH, 1, b"b".to_vec(), 5),
        (opcode::MULTI_GET, 1, b"b".to_vec(), 5),
        (opcode::PING, 0, Vec::new(), 0),
    ];
    assert_eq!(kept, expected);
    assert!(
        log.iter()
            .all(|it| it.peer == "127.0.0.1:1234" && it.unix_us > 0)
    );

    let mut admin = Session::new(&shared, &shared.settings(), Plane::Admin, None);
    ask(&mut admin, &mut out, &Request::Flush);
    let answer = ask(&mut admin, &mut out, &Request::Slowlog { limit: 1 });
    let Response::Slowlog(latest) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(latest.len(), 1);
    assert_eq!(
        (latest[0].opcode, &*latest[0].peer),
        (opcode::FLUSH, "admin socket")
    );
    assert_eq!(shared.slowlog.found(), 8);
}

#[test]
fn writes_of_a_pipeline_are_measured_until_they_are_settled() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        sync: WalSyncStrategy::EveryWrite,
        ..Options::default()
    };
    let shared = shared_with(&dir, options);
    let mut session = Session::new(&shared, &shared.settings(), Plane::Data, None);
    let mut out = Outbox::new(&shared.budget, u32::MAX);
    configure(&shared, Some(Duration::ZERO), 100);
    handle(&mut session, &mut out, &put(b"a", b"1"));
    handle(&mut session, &mut out, &put(b"b", b"1"));
    assert_eq!(shared.slowlog.found(), 0, "they are not answered yet");
    shared.engine.sync().unwrap();
    assert!(session.try_settle(&mut out));
    let log = shared.slowlog.latest(0);
    let keys: Vec<_> = log.iter().map(|it| &*it.key).collect();
    assert_eq!(keys, [b"b", b"a"]);
    assert!(
        log[1].duration_us >= log[0].duration_us,
        "the first waited for the second"
    );

    assert!(shared.latency.operations().is_empty(), "nothing was sent");
    assert_eq!(session.take_handled(), 2);
    assert_eq!(shared.latency.operations()[0].count(), 2);
}

#[test]
fn the_limits_are_those_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(&dir);
    let mut session = Session::new(&shared, &shared.settings(), Plane::Data, None);
    let mut out = Outbox::new(&shared.budget, u32::MAX);
    let mut do_ten = || {
        for number in 0..10 {
            ask(&mut session, &mut out, &put(&[number], b""));
        }
    };
    let kept = || -> Vec<u8> {
        let log = shared.slowlog.latest(0);
        log.iter().map(|it| it.key[0]).collect()
    };
    configure(&shared, None, 4);
    do_ten();
    assert!(kept().is_empty(), "it is off");
    configure(&shared, Some(Duration::MAX), 4);
    do_ten();
    assert!(kept().is_empty(), "nothing takes so long");
    configure(&shared, Some(Duration::ZERO), 4);
    do_ten();
    assert_eq!(kept(), [9, 8, 7, 6]);
    configure(&shared, Some(Duration::ZERO), 2);
    assert_eq!(kept(), [9, 8]);
    configure(&shared, Some(Duration::ZERO), 0);
    do_ten();
    assert!(kept().is_empty());
    assert_eq!(shared.slowlog.found(), 20);
}
