//! A stop under load.

use std::net::Shutdown;

use atlaskv::protocol::{ErrorCode, Request, Response};
use rustix::process::Signal;

use crate::harness::{Home, figure, wait_until};

#[test]
fn what_was_received_is_answered_before_the_end() {
    let home = Home::new("", "sync = \"every-write\"");
    let mut daemon = home.start();
    let mut raw = daemon.raw();
    let count = 500_u32;
    let mut bytes = Vec::new();
    for id in 1..=count {
        let key = id.to_le_bytes();
        let put = Request::Put {
            key: &key,
            value: b"v",
        };
        put.encode(id, u32::MAX, &mut bytes).unwrap();
    }
    raw.send(&bytes);
    // All of it has reached the daemon once the first answer is here and nothing is on its way.
    let mut answered = vec![raw.answer()];
    daemon.signal(Signal::TERM);
    let stopping = loop {
        match raw.try_answer().unwrap() {
            Some((0, last)) => break last,
            Some(answer) => answered.push(answer),
            None => panic!("closed without a word"),
        }
    };
    assert!(matches!(
        stopping,
        Response::Error {
            code: ErrorCode::ShuttingDown,
            ..
        }
    ));
    raw.expect_closed();
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.said());

    // Loopback hands over such a small pipeline whole: every request of it was received.
    let ids: Vec<u32> = answered.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, (1..=count).collect::<Vec<_>>());
    let daemon = home.start();
    let mut client = daemon.client();
    for (id, answer) in answered {
        assert!(matches!(answer, Response::Written { .. }), "{answer:?}");
        assert!(client.exists(&id.to_le_bytes()).unwrap());
    }
}

#[test]
fn idle_connections_do_not_hold_up_a_stop() {
    let home = Home::new("shutdown_timeout_s = 86400", "");
    let mut daemon = home.start();
    let idle: Vec<_> = (0..20).map(|_| daemon.client()).collect();
    let admin = daemon.admin();
    daemon.stop();
    drop((idle, admin));
}

/// A client that does not take its answers, so that its connection is busy sending.
fn stuck(daemon: &crate::harness::Daemon) -> crate::harness::Raw<std::net::TcpStream> {
    let value = vec![7; 8 << 20];
    daemon.client().put(b"large", &value).unwrap();
    let mut raw = daemon.raw();
    for id in 1..=8 {
        raw.request(&Request::Get { key: b"large" }, id);
    }
    wait_until("an answer is being sent", || {
        figure(&mut daemon.admin(), "server.inflight_bytes") > 0
    });
    raw
}

#[test]
fn a_second_signal_does_not_wait_for_connections() {
    let home = Home::new("shutdown_timeout_s = 86400\nwrite_timeout_s = 86400", "");
    let mut daemon = home.start();
    let raw = stuck(&daemon);
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.said());
    drop(raw);
}

#[test]
fn a_stop_waits_no_longer_than_it_was_told() {
    let home = Home::new("shutdown_timeout_s = 1\nwrite_timeout_s = 86400", "");
    let mut daemon = home.start();
    let raw = stuck(&daemon);
    daemon.stop();
    assert!(daemon.said().contains("shutdown_timeout_s"));
    drop(raw);
}

#[test]
fn a_half_closed_connection_gets_its_answers() {
    let home = Home::new("", "");
    let daemon = home.start();
    let mut raw = daemon.raw();
    let count = 300_u32;
    for id in 1..=count {
        raw.request(
            &Request::Put {
                key: &id.to_le_bytes(),
                value: b"v",
            },
            id,
        );
    }
    raw.stream.shutdown(Shutdown::Write).unwrap();
    for id in 1..=count {
        let (answered, answer) = raw.answer();
        assert_eq!(answered, id);
        assert!(matches!(answer, Response::Written { .. }));
    }
    raw.expect_closed();
}
