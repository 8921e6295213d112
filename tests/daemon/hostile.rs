//! Clients that break the protocol, or the peace.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use atlaskv::protocol::{
    BatchOperation, ErrorCode, Expected, HEADER_SIZE, Request, Response, opcode,
};

use crate::harness::{Home, LONG, Raw, encoded, figure, seed, wait_until};

/// One of every request, harmless in any order; administrative ones last.
fn every_request() -> Vec<Request<'static>> {
    let (key, value): (&[u8], &[u8]) = (b"key", b"value");
    vec![
        Request::Ping,
        Request::Hello {
            client: "split",
            max_version: 1,
            token: None,
        },
        Request::Sync { lsn: None },
        Request::Stats,
        Request::Get { key },
        Request::Put { key, value },
        Request::Delete { key },
        Request::Exists { key },
        Request::MultiGet {
            keys: vec![key, b"other"],
        },
        Request::Batch {
            operations: vec![
                BatchOperation::Put { key, value },
                BatchOperation::Delete { key: b"other" },
            ],
        },
        Request::PutIfAbsent { key, value },
        Request::CompareAndSwap {
            key,
            expected: Expected::Value(value),
            new: Some(value),
        },
        Request::ScanOpen {
            from: Some(b"a"),
            to: None,
            prefix: b"",
            reverse: true,
            limit: 1,
            max_entries: 1,
            max_bytes: 1,
        },
        Request::ScanClose { scan: 1 },
        Request::Flush,
        Request::Compact,
        Request::QuarantineList,
        Request::QuarantinePurge,
    ]
}

#[test]
fn every_split_of_every_request_is_the_same_request() {
    let home = Home::new("", "");
    let daemon = home.start();
    let (mut raw, mut other) = (daemon.raw_admin(), daemon.client());
    let mut id = 0;
    for request in every_request() {
        let length = encoded(&request, 1).len();
        for split in 1..length {
            id += 1;
            let bytes = encoded(&request, id);
            raw.send(&bytes[..split]);
            // The first part is received alone, at the latest when the daemon has answered another.
            other.ping().unwrap();
            raw.send(&bytes[split..]);
            let (answered, answer) = raw.answer();
            assert_eq!(answered, id);
            assert!(
                !matches!(answer, Response::Error { .. }),
                "{request:?}: {answer:?}"
            );
        }
        id += 1;
        for byte in encoded(&request, id) {
            raw.send(&[byte]);
        }
        assert_eq!(raw.answer().0, id);
    }
}

/// A frame with any fields at all.
fn frame(length: u32, version: u8, code: u8, flags: u16, id: u32) -> Vec<u8> {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend([version, code]);
    bytes.extend(flags.to_le_bytes());
    bytes.extend(id.to_le_bytes());
    bytes
}

#[test]
fn a_frame_that_breaks_the_format_is_the_last() {
    let home = Home::new("", "");
    let daemon = home.start();
    let limit = daemon.client().server().limits.max_frame_size;
    let ping = opcode::request::PING;
    for (bytes, code) in [
        (frame(u32::MAX, 1, ping, 0, 7), ErrorCode::FrameTooLarge),
        (frame(limit + 1, 1, ping, 0, 7), ErrorCode::FrameTooLarge),
        (u32::MAX.to_le_bytes().to_vec(), ErrorCode::FrameTooLarge),
        (frame(0, 1, ping, 0, 7), ErrorCode::MalformedFrame),
        (frame(7, 1, ping, 0, 7), ErrorCode::MalformedFrame),
        (frame(8, 0, ping, 0, 7), ErrorCode::UnsupportedVersion),
        (frame(8, 2, ping, 0, 7), ErrorCode::UnsupportedVersion),
        (frame(8, 1, ping, 1, 7), ErrorCode::MalformedFrame),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            ErrorCode::FrameTooLarge,
        ),
    ] {
        let mut raw = daemon.raw();
        // What came before is answered, what comes behind is not, and does not lose the answer.
        raw.request(
            &Request::Put {
                key: b"k",
                value: b"v",
            },
            1,
        );
        raw.send(&bytes);
        let _ = raw.stream.write_all(&[0xAB; 100_000]);
        assert!(matches!(raw.answer(), (1, Response::Written { .. })));
        raw.expect_error(0, code);
        raw.expect_closed();
    }
    daemon.client().ping().unwrap();
}

#[test]
fn a_request_that_breaks_the_format_costs_only_itself() {
    let home = Home::new("", "");
    let daemon = home.start();
    let mut raw = daemon.raw();
    for code in 0..=u8::MAX {
        if !opcode::request::ALL.contains(&code) {
            raw.send(&frame(8, 1, code, 0, 7));
            raw.expect_error(7, ErrorCode::UnknownOpcode);
        }
    }
    for request in every_request() {
        let whole = encoded(&request, 9);
        let payload = &whole[HEADER_SIZE..];
        for cut in 0..payload.len() {
            let mut bytes = frame(8 + cut as u32, 1, request.opcode(), 0, 9);
            bytes.extend(&payload[..cut]);
            raw.send(&bytes);
            raw.expect_error(9, ErrorCode::MalformedRequest);
        }
        let mut longer = frame(9 + payload.len() as u32, 1, request.opcode(), 0, 9);
        longer.extend(payload);
        longer.push(0);
        raw.send(&longer);
        raw.expect_error(9, ErrorCode::MalformedRequest);
    }
    // Counts and lengths far beyond the bytes at hand.
    for request in [
        opcode::request::MULTI_GET,
        opcode::request::BATCH,
        opcode::request::GET,
    ] {
        let mut bytes = frame(12, 1, request, 0, 9);
        bytes.extend(u32::MAX.to_le_bytes());
        raw.send(&bytes);
        raw.expect_error(9, ErrorCode::MalformedRequest);
    }
    raw.expect_ping();
}

#[test]
fn garbage_is_answered_or_closed_and_others_go_on() {
    let home = Home::new("", "");
    let daemon = home.start();
    let mut random = fastrand::Rng::with_seed(seed());
    let mut other = daemon.client();
    for round in 0..300 {
        let mut raw = daemon.raw();
        let mut bytes: Vec<u8> = (0..random.usize(1..4000)).map(|_| random.u8(..)).collect();
        if random.bool() {
            // A length that holds, so that the rest is looked at.
            let length = bytes.len().saturating_sub(4) as u32;
            let kept = bytes.len().min(HEADER_SIZE);
            bytes[..kept].copy_from_slice(&frame(length, 1, random.u8(..32), 0, 1)[..kept]);
        }
        // It may be closed in the middle of it.
        let _ = raw.stream.write_all(&bytes);
        let _ = raw.stream.shutdown(Shutdown::Write);
        while let Ok(Some(_)) = raw.try_answer() {}
        other.put(b"round", &[round as u8]).unwrap();
    }
    other.ping().unwrap();
}

#[test]
fn drop_by_drop_does_not_extend_the_deadline() {
    let home = Home::new("read_timeout_s = 1", "");
    let daemon = home.start();
    let mut raw = daemon.raw();
    let put = encoded(
        &Request::Put {
            key: b"k",
            value: &[7; 5000],
        },
        1,
    );
    raw.stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut answer = None;
    for byte in &put[..put.len() - 1] {
        let sent = raw.stream.write_all(&[*byte]);
        if let Ok(Some(found)) = raw.try_answer() {
            answer = Some(found);
            break;
        }
        assert!(sent.is_ok(), "closed without an answer");
    }
    let Some((
        0,
        Response::Error {
            code: ErrorCode::Timeout,
            message,
        },
    )) = answer
    else {
        panic!("all but the last byte was accepted: {answer:?}");
    };
    assert!(message.contains("read_timeout_s"), "{message}");
    assert_eq!(
        figure(&mut daemon.client(), "server.timed_out_connections"),
        1
    );
}

#[test]
fn who_says_nothing_is_let_go() {
    let home = Home::new("idle_timeout_s = 1", "");
    let daemon = home.start();
    let mut raw = daemon.raw();
    raw.expect_ping();
    raw.expect_error(0, ErrorCode::Timeout);
    raw.expect_closed();
}

#[test]
fn who_does_not_receive_is_let_go() {
    let home = Home::new("write_timeout_s = 1", "");
    let daemon = home.start();
    let mut client = daemon.client();
    client.put(b"large", &vec![7; 16 << 20]).unwrap();
    let mut raw = daemon.raw();
    for id in 1..=4 {
        raw.request(&Request::Get { key: b"large" }, id);
    }
    wait_until("the connection is given up", || {
        figure(&mut client, "server.timed_out_connections") == 1
    });
    wait_until("its memory is given back", || {
        figure(&mut client, "server.inflight_bytes") == 0
    });
    let mut rest = Vec::new();
    let _ = raw.stream.read_to_end(&mut rest);
    assert!(rest.len() < 4 * (16 << 20));
}

#[test]
fn one_connection_too_many_is_told_so() {
    let home = Home::new("max_connections = 8", "");
    let daemon = home.start();
    let mut live: Vec<_> = (0..8).map(|_| daemon.client()).collect();
    for _ in 0..20 {
        // They wait in crowds, and are told all the same.
        let crowd: Vec<_> = (0..150)
            .map(|_| TcpStream::connect(daemon.address()).unwrap())
            .collect();
        for stream in crowd {
            stream.set_read_timeout(Some(LONG)).unwrap();
            let mut raw = Raw::new(stream);
            let message = raw.expect_error(0, ErrorCode::ServerFull);
            assert!(message.contains('8'), "{message}");
            raw.expect_closed();
        }
    }
    // A client that asks at once is told too, and not reset.
    for _ in 0..100 {
        let address = daemon.address().to_string();
        let refused = atlaskv::client::Client::connect(&address, crate::harness::options());
        assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::ServerFull));
    }
    // Administrators get in, and those who were in stay in.
    let mut admin = daemon.admin();
    assert!(figure(&mut admin, "server.refused_connections") >= 3100);
    live.iter_mut().for_each(|client| client.ping().unwrap());
    live.pop();
    wait_until("a place is free", || {
        let address = daemon.address().to_string();
        atlaskv::client::Client::connect(&address, crate::harness::options()).is_ok()
    });
}

#[test]
fn thousands_of_connections_that_vanish_leave_nothing_behind() {
    let home = Home::new("", "");
    let daemon = home.start();
    let mut client = daemon.client();
    let started = Instant::now();
    for number in 0..3000_u32 {
        let mut stream = TcpStream::connect(daemon.address()).unwrap();
        if number.is_multiple_of(2) {
            stream.write_all(&number.to_le_bytes()[..3]).unwrap();
        }
        drop(stream);
    }
    wait_until("they are gone", || {
        figure(&mut client, "server.connections") == 1
    });
    println!("3000 connections in {:?}", started.elapsed());
    client.ping().unwrap();
}
