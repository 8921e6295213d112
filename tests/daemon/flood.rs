//! Memory stays bounded however many clients send however much, and others go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use atlaskv::protocol::{BatchOperation, ErrorCode, Request, Response, opcode};

use crate::harness::{Daemon, Home, figure, wait_until};

const MIB: usize = 1 << 20;
const CLIENTS: usize = 100;
const VALUE: usize = 16 * MIB;

/// What the daemon may take while 1600 MiB are thrown at it: the budget of 80 MiB; three memtables of
/// 16 MiB and a value over it each; what flush and compaction hold of a few values; connections and
/// what the allocator keeps.
const BOUND_KIB: u64 = 600 * 1024;

fn home(server: &str) -> Home {
    Home::new(
        &format!("max_inflight_bytes = \"80 MiB\"\n{server}"),
        // Compaction would only cost time here: it reads and writes piece by piece.
        "sync = \"os-default\"\nmemtable_size = \"16 MiB\"\nsegment_size = \"32 MiB\"\n\
         compaction_trigger = 64\nmax_tables = 256",
    )
}

/// Puts and gets small values until told to stop; returns how many it did.
fn go_on(daemon: &Daemon, stop: &AtomicBool) -> u64 {
    let mut client = daemon.client();
    let mut count = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let bytes = count.to_le_bytes();
        client.put(b"small", &bytes).unwrap();
        assert_eq!(client.get(b"small").unwrap().unwrap().value, bytes.to_vec());
        count += 1;
    }
    count
}

#[test]
fn a_hundred_clients_with_the_largest_values() {
    let home = home("read_timeout_s = 120");
    let daemon = home.start();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| go_on(&daemon, &stop));
        let floods: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let daemon = &daemon;
                scope.spawn(move || {
                    let value = vec![number as u8; VALUE];
                    let key = number.to_le_bytes();
                    let mut client = daemon.client();
                    client.put(&key, &value).unwrap();
                    drop(value);
                    let found = client.get(&key).unwrap().unwrap().value;
                    assert_eq!(found.len(), VALUE);
                    assert!(found.iter().all(|byte| *byte == number as u8));
                })
            })
            .collect();
        let floods: Vec<_> = floods
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        stop.store(true, Ordering::Relaxed);
        assert!(other.join().unwrap() > 0);
        floods.into_iter().for_each(|flood| flood.unwrap());
    });
    let peak = daemon.memory_kib("VmHWM");
    println!("peak {} MiB", peak / 1024);
    assert!(peak < BOUND_KIB, "{peak} KiB");
    let mut client = daemon.client();
    wait_until("everything is given back", || {
        figure(&mut client, "server.inflight_bytes") == 0
    });
}

#[test]
fn a_thousand_promises_of_the_largest_value() {
    let home = home("read_timeout_s = 2");
    let daemon = home.start();
    let mut client = daemon.client();
    let is_used = |client: &mut _| figure(client, "server.inflight_bytes") > 60 * MIB as u64;
    // Looked for meanwhile: on a slow machine the first are told that it is too late before the last are made.
    let mut was_used = false;
    let mut promises: Vec<_> = (0..1000)
        .map(|number| {
            let mut raw = daemon.raw();
            let mut bytes = (8 + VALUE as u32).to_le_bytes().to_vec();
            bytes.extend([1, opcode::request::PUT, 0, 0]);
            bytes.extend((number as u32 + 1).to_le_bytes());
            raw.send(&bytes);
            was_used |= number % 10 == 9 && is_used(&mut client);
            raw
        })
        .collect();
    wait_until("the budget is used", || was_used || is_used(&mut client));
    for number in 0..100_u32 {
        client.put(b"small", &number.to_le_bytes()).unwrap();
    }
    // Nobody keeps the promise: each is told so, the ones that found no room as well.
    for raw in &mut promises {
        let (id, answer) = raw.answer();
        let Response::Error { code, .. } = answer else {
            panic!("{answer:?}");
        };
        assert!(
            (id, code) == (0, ErrorCode::Timeout) || code == ErrorCode::Busy,
            "{id} {code}"
        );
    }
    drop(promises);
    wait_until("everything is given back", || {
        figure(&mut client, "server.inflight_bytes") == 0
    });
    let peak = daemon.memory_kib("VmHWM");
    println!("peak {} MiB", peak / 1024);
    assert!(peak < BOUND_KIB, "{peak} KiB");
}

#[test]
fn a_request_that_finds_no_room_is_passed_over() {
    let home = home("read_timeout_s = 8\nwrite_timeout_s = 86400");
    let daemon = home.start();
    let mut client = daemon.client();
    let value = vec![7; VALUE];
    client.put(b"large", &value).unwrap();
    daemon.admin().flush().unwrap();
    // Two that do not receive their answers hold 32 MiB each: what was read from the table, and the answer.
    let holders = [0, 1].map(|_| {
        let mut raw = daemon.raw();
        raw.request(&Request::Get { key: b"large" }, 1);
        raw
    });
    let held = 64 * MIB as u64;
    wait_until("the budget is used", || {
        figure(&mut client, "server.inflight_bytes") >= held
    });

    let mut raw = daemon.raw();
    let key: &[u8] = b"k";
    let operations = vec![put(key, &value), put(b"j", &value[..4 * MIB])];
    raw.request(
        &Request::Put {
            key,
            value: b"before",
        },
        1,
    );
    raw.request(&Request::Batch { operations }, 2);
    raw.request(&Request::Get { key }, 3);
    assert!(matches!(raw.answer(), (1, Response::Written { .. })));
    let message = raw.expect_error(2, ErrorCode::Busy);
    assert!(message.contains("max_inflight_bytes"), "{message}");
    match raw.answer() {
        (3, Response::Value { value, .. }) => assert_eq!(value, "before"),
        other => panic!("{other:?}"),
    }
    raw.expect_ping();
    assert!(figure(&mut client, "server.inflight_bytes") >= held);
    drop(holders);
    wait_until("everything is given back", || {
        figure(&mut client, "server.inflight_bytes") == 0
    });
    assert_eq!(client.get(b"large").unwrap().unwrap().value, value);
}

#[test]
fn many_small_values_are_no_large_answer() {
    let home = home("");
    let daemon = home.start();
    let mut client = daemon.client();
    client.put(b"k", &vec![7; 60 * 1024]).unwrap();
    // Out of a table, where each look-up is a copy: 5 GiB, if nobody counted.
    daemon.admin().flush().unwrap();
    let error = client.multi_get(&[&b"k"[..]; 90_000]).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::AnswerTooLarge), "{error}");
    let peak = daemon.memory_kib("VmHWM");
    assert!(peak < BOUND_KIB, "{peak} KiB");
    assert_eq!(client.multi_get(&[&b"k"[..]; 500]).unwrap().len(), 500);
    wait_until("everything is given back", || {
        figure(&mut client, "server.inflight_bytes") == 0
    });
}

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> BatchOperation<'a> {
    BatchOperation::Put { key, value }
}
