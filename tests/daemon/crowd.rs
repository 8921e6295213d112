//! Many connections, few threads: what one of them does, or does not do, holds up no other.

use std::net::TcpStream;
use std::thread;

use atlaskv::protocol::{ErrorCode, Request, Response, opcode};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::harness::{Daemon, Home, Raw, encoded, figure, wait_until};

const MIB: usize = 1 << 20;
/// More than there are workers on any machine, so that some share one with whoever is slow.
const OTHERS: usize = 64;

/// What 1000 idle connections may take.
const IDLE_KIB: u64 = 16 * 1024;

fn put(id: u32) -> Vec<u8> {
    let key = id.to_le_bytes();
    let put = Request::Put {
        key: &key,
        value: b"v",
    };
    encoded(&put, id)
}

fn others(daemon: &Daemon) -> Vec<Raw<TcpStream>> {
    (0..OTHERS).map(|_| daemon.raw()).collect()
}

/// Each of them writes, reads and scans, and is answered.
fn go_on(others: &mut [Raw<TcpStream>]) {
    for (id, raw) in (1_u32..).zip(others) {
        raw.send(&put(id));
        assert!(matches!(raw.answer(), (_, Response::Written { .. })));
        let key = id.to_le_bytes();
        raw.request(&Request::Get { key: &key }, id);
        assert!(matches!(raw.answer(), (_, Response::Value { .. })));
        let scan = Request::ScanOpen {
            from: None,
            to: None,
            prefix: &key,
            reverse: false,
            limit: 0,
            max_entries: 0,
            // So few need no memory of those that all share.
            max_bytes: 1000,
        };
        raw.request(&scan, id);
        assert!(matches!(raw.answer(), (_, Response::ScanPage { .. })));
    }
}

#[test]
fn a_thousand_idle_connections_cost_no_threads_and_little_memory() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    let maximum = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    let home = Home::new("max_connections = 1100", "sync = \"os-default\"");
    let daemon = home.start();
    // Whatever is made once, has been made.
    go_on(&mut others(&daemon));
    wait_until("the others have gone", || {
        figure(&mut daemon.admin(), "server.connections") == 0
    });
    let before = (daemon.memory_kib("Threads:"), daemon.memory_kib("VmRSS:"));
    let mut idle: Vec<_> = (0..1000)
        .map(|_| {
            let mut raw = daemon.raw();
            raw.expect_ping();
            raw
        })
        .collect();
    let (threads, memory) = (daemon.memory_kib("Threads:"), daemon.memory_kib("VmRSS:"));
    println!("{before:?}, then {threads} threads, {memory} KiB");
    assert_eq!(threads, before.0);
    assert!(memory < before.1 + IDLE_KIB, "{memory} KiB");
    idle.iter_mut().for_each(Raw::expect_ping);
}

#[test]
fn who_does_not_take_its_answers_holds_up_nobody() {
    let home = Home::new("write_timeout_s = 86400", "");
    let daemon = home.start();
    let value = vec![7; MIB];
    daemon.client().put(b"large", &value).unwrap();
    let mut greedy: Vec<_> = (0..OTHERS).map(|_| daemon.raw()).collect();
    let count = 20_u32;
    for raw in &mut greedy {
        let get = Request::Get { key: b"large" };
        let all: Vec<u8> = (1..=count).flat_map(|id| encoded(&get, id)).collect();
        raw.send(&all);
    }
    go_on(&mut others(&daemon));
    // And nothing of theirs is lost.
    for raw in &mut greedy[..4] {
        for id in 1..=count {
            let (answered, answer) = raw.answer();
            assert!(matches!(answer, Response::Value { .. }), "{answer:?}");
            assert_eq!(answered, id);
        }
    }
}

#[test]
fn who_waits_aside_holds_up_nobody() {
    let server = "max_inflight_bytes = \"80 MiB\"\nread_timeout_s = 86400";
    let home = Home::new(server, "");
    let daemon = home.start();
    let length = 16 * MIB;
    // Four promises take the memory, the others wait for it: more of them than there are threads for that.
    let mut promises: Vec<_> = (1..=40_u32)
        .map(|id| {
            let mut raw = daemon.raw();
            let mut bytes = u32::try_from(length).unwrap().to_le_bytes().to_vec();
            bytes.extend([1, opcode::request::PUT, 0, 0]);
            bytes.extend(id.to_le_bytes());
            raw.send(&bytes);
            raw
        })
        .collect();
    let mut admin = daemon.admin();
    wait_until("the memory is taken", || {
        figure(&mut admin, "server.inflight_bytes") >= 4 * length as u64
    });
    go_on(&mut others(&daemon));
    // Whoever goes makes room for the next in line, to the last.
    while let Some(first) = promises.pop() {
        drop(first);
    }
    wait_until("everything is given back", || {
        figure(&mut admin, "server.inflight_bytes") == 0
    });
}

#[test]
fn a_stop_answers_what_many_connections_have_sent() {
    for sync in ["every-write", "interval"] {
        let home = Home::new("", &format!("sync = \"{sync}\""));
        let mut daemon = home.start();
        let mut crowd = others(&daemon);
        // Who was not accepted before the stop is not served.
        go_on(&mut crowd);
        let each = 50_u32;
        for (number, raw) in (0_u32..).zip(&mut crowd) {
            let ids = (1..=each).map(|id| number * each + id);
            raw.send(&ids.flat_map(put).collect::<Vec<_>>());
        }
        // All of it has reached the daemon: loopback hands over such small pipelines whole.
        daemon.signal(Signal::TERM);
        let crowd: Vec<_> = crowd
            .into_iter()
            .map(|raw| thread::spawn(move || answers(raw)))
            .collect();
        let answered: Vec<_> = crowd.into_iter().map(|it| it.join().unwrap()).collect();
        assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.said());
        let expected = |number| (1..=each).map(move |id| number * each + id);
        for (number, ids) in (0_u32..).zip(&answered) {
            assert_eq!(*ids, expected(number).collect::<Vec<_>>(), "{sync}");
        }
        let daemon = home.start();
        let keys: Vec<_> = answered
            .concat()
            .iter()
            .map(|id| id.to_le_bytes())
            .collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
        let found = daemon.client().multi_get(&keys).unwrap();
        assert!(found.iter().all(Option::is_some), "{sync}");
    }
}

/// The requests that a server which stops has answered, the last answer being that it stops.
fn answers(mut raw: Raw<TcpStream>) -> Vec<u32> {
    let mut ids = Vec::new();
    loop {
        match raw.try_answer().unwrap() {
            Some((0, Response::Error { code, .. })) => {
                assert_eq!(code, ErrorCode::ShuttingDown);
                raw.expect_closed();
                return ids;
            }
            Some((id, Response::Written { .. })) => ids.push(id),
            other => panic!("{other:?}"),
        }
    }
}
