//! Requests in flight together, both planes, scans and stats: what the server adds to the engine.

use atlaskv::client::ClientError;
use atlaskv::protocol::{BatchOperation, ErrorCode, Expected, Request, Response};

use crate::harness::{Home, figure, stats, wait_until};

fn value(answer: &Response) -> &[u8] {
    match answer {
        Response::Value { value, .. } => value,
        other => panic!("a value expected, found {other:?}"),
    }
}

#[test]
fn a_pipeline_is_answered_in_order_and_reads_its_own_writes() {
    for sync in ["every-write", "interval", "os-default"] {
        let home = Home::new("", &format!("sync = \"{sync}\""));
        let daemon = home.start();
        let mut raw = daemon.raw();
        let key: &[u8] = b"k";
        let requests = [
            Request::Put { key, value: b"1" },
            Request::Put {
                key: b"",
                value: b"x",
            },
            Request::Put { key, value: b"2" },
            Request::Get { key },
            Request::Batch {
                operations: vec![
                    BatchOperation::Delete { key },
                    BatchOperation::Put {
                        key: b"j",
                        value: b"3",
                    },
                ],
            },
            Request::Exists { key },
            Request::MultiGet {
                keys: vec![key, b"j"],
            },
            Request::CompareAndSwap {
                key: b"j",
                expected: Expected::Value(b"3"),
                new: Some(b"4"),
            },
            Request::PutIfAbsent {
                key: b"j",
                value: b"5",
            },
            Request::Delete { key: b"j" },
            Request::Get { key: b"j" },
        ];
        for (id, request) in (1..).zip(&requests) {
            raw.request(request, id);
        }
        let answers: Vec<_> = (1..=requests.len()).map(|_| raw.answer()).collect();
        let ids: Vec<u32> = answers.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, (1..=11).collect::<Vec<_>>(), "{sync}");
        let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
        let lsns: Vec<u64> = answers
            .iter()
            .filter_map(|answer| match answer {
                Response::Written { lsn } => Some(*lsn),
                _ => None,
            })
            .collect();
        assert_eq!(lsns.len(), 5, "{answers:?}");
        assert!(lsns.is_sorted_by(|left, right| left < right));
        assert!(matches!(
            &answers[1],
            Response::Error {
                code: ErrorCode::EmptyKey,
                ..
            }
        ));
        assert_eq!(value(&answers[3]), b"2");
        assert_eq!(answers[5], Response::Exists { exists: false });
        let Response::Values(values) = &answers[6] else {
            panic!("{:?}", answers[6]);
        };
        assert_eq!(values[0], None);
        assert_eq!(values[1].as_ref().unwrap().1, "3");
        let Response::Refused {
            current: Some((lsn, current)),
        } = &answers[8]
        else {
            panic!("{:?}", answers[8]);
        };
        assert_eq!((&current[..], *lsn), (&b"4"[..], lsns[3]));
        assert_eq!(answers[10], Response::NotFound);
    }
}

#[test]
fn administration_is_for_the_unix_socket() {
    let home = Home::new("", "");
    let daemon = home.start();
    let administrative = [
        Request::Flush,
        Request::Compact,
        Request::QuarantineList,
        Request::QuarantinePurge,
    ];
    let (mut raw, mut admin) = (daemon.raw(), daemon.raw_admin());
    for (id, request) in (1..).zip(&administrative) {
        raw.request(request, id);
        let message = raw.expect_error(id, ErrorCode::NotPermitted);
        assert!(message.contains("admin_socket"), "{message}");
        admin.request(request, id);
        let (_, answer) = admin.answer();
        assert!(!matches!(answer, Response::Error { .. }), "{answer:?}");
    }
    raw.expect_ping();
    // Data operations work there too.
    daemon.admin().put(b"k", b"v").unwrap();
    assert_eq!(daemon.client().get(b"k").unwrap().unwrap().value, "v");
}

#[test]
fn what_is_over_a_limit_is_refused_and_the_connection_goes_on() {
    let home = Home::new(
        "max_inflight_bytes = \"1 MiB\"",
        "max_key_size = 10\nmax_value_size = 1000\nmax_batch_size = 2000\nmax_batch_operations = 3",
    );
    let daemon = home.start();
    let mut client = daemon.client();
    let limits = client.server().limits;
    assert_eq!((limits.max_key_size, limits.max_value_size), (10, 1000));
    assert_eq!(
        (limits.max_batch_size, limits.max_batch_operations),
        (2000, 3)
    );
    let put = |key, value| BatchOperation::Put { key, value };
    let (key, long) = (&b"k"[..], &[7; 1001][..]);
    let refusals = [
        (client.put(&[7; 11], b"v"), ErrorCode::KeyTooLarge),
        (client.put(key, long), ErrorCode::ValueTooLarge),
        (client.put(b"", b"v"), ErrorCode::EmptyKey),
        (
            client.batch(vec![put(key, b"v"); 4]),
            ErrorCode::TooManyOperations,
        ),
        (
            client.batch(vec![put(key, &long[1..]); 2]),
            ErrorCode::BatchTooLarge,
        ),
        (
            client.multi_get(&[key; 4]).map(|_| 0),
            ErrorCode::TooManyOperations,
        ),
        (client.sync(Some(u64::MAX)), ErrorCode::LsnNotAssigned),
    ];
    for (result, code) in refusals {
        assert_eq!(result.unwrap_err().code(), Some(code));
    }
    client.put(&[7; 10], &[7; 1000]).unwrap();
    // A swap of two of the largest values fits a frame.
    let swapped = client.compare_and_swap(&[7; 10], Expected::Value(&[7; 1000]), Some(&[8; 1000]));
    assert!(matches!(
        swapped.unwrap(),
        atlaskv::client::Conditional::Written(_)
    ));
}

#[test]
fn answers_keep_to_the_frame_limit() {
    let home = Home::new("", "");
    let daemon = home.start();
    let mut client = daemon.client();
    let value = vec![7; 8 << 20];
    client.put(b"k", &value).unwrap();
    assert_eq!(client.multi_get(&[&b"k"[..]; 4]).unwrap().len(), 4);
    let error = client.multi_get(&[&b"k"[..]; 5]).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::AnswerTooLarge), "{error}");
    // So they do when many small values make a large answer.
    client.put(b"s", &value[..50_000]).unwrap();
    let error = client.multi_get(&[&b"s"[..]; 1000]).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::AnswerTooLarge), "{error}");
    assert_eq!(client.get(b"k").unwrap().unwrap().value, value);
    wait_until("everything is given back", || {
        figure(&mut client, "server.inflight_bytes") == 0
    });
}

#[test]
fn scans_come_in_pages_and_go_with_their_connection() {
    let home = Home::new("", "");
    let daemon = home.start();
    let mut client = daemon.client();
    for number in 0..100_u8 {
        client.put(&[b's', number], &[number; 100]).unwrap();
    }
    let open = Request::ScanOpen {
        from: None,
        to: None,
        prefix: b"s",
        reverse: false,
        limit: 0,
        max_entries: 30,
        max_bytes: 0,
    };
    let mut raw = daemon.raw();
    raw.request(&open, 1);
    let mut seen = Vec::new();
    loop {
        let (
            _,
            Response::ScanPage {
                scan,
                entries,
                done,
                ..
            },
        ) = raw.answer()
        else {
            panic!("a page expected");
        };
        assert!(entries.len() <= 30);
        seen.extend(entries.into_iter().map(|entry| entry.key[1]));
        if done {
            assert_eq!(scan, 0);
            break;
        }
        raw.request(
            &Request::ScanNext {
                scan,
                max_entries: 30,
                max_bytes: 0,
            },
            2,
        );
    }
    assert_eq!(seen, (0..100).collect::<Vec<u8>>());

    for id in 1..=16 {
        raw.request(&open, id);
        assert!(matches!(
            raw.answer().1,
            Response::ScanPage { done: false, .. }
        ));
    }
    raw.request(&open, 17);
    raw.expect_error(17, ErrorCode::TooManyScans);
    raw.request(
        &Request::ScanNext {
            scan: 999,
            max_entries: 0,
            max_bytes: 0,
        },
        18,
    );
    raw.expect_error(18, ErrorCode::ScanEnded);
    assert_eq!(figure(&mut client, "engine.open_scans"), 16);
    drop(raw);
    wait_until("the scans are closed", || {
        figure(&mut client, "engine.open_scans") == 0
    });
}

#[test]
fn stats_tell_of_server_engine_and_recovery() {
    let home = Home::new("", "");
    let daemon = home.start();
    let mut client = daemon.client();
    client.put(b"k", b"v").unwrap();
    client.put(b"", b"v").unwrap_err();
    let figures = stats(&mut client);
    for (name, value) in [
        ("server.version", env!("CARGO_PKG_VERSION")),
        ("server.connections", "1"),
        ("server.max_connections", "1024"),
        ("server.errors", "1"),
        ("server.inflight_bytes", "0"),
        ("engine.state", "running"),
        ("engine.writes", "1"),
        ("engine.tables", "0"),
        ("recovery.created", "true"),
    ] {
        assert_eq!(
            figures.get(name).map(String::as_str),
            Some(value),
            "{name} in {figures:?}"
        );
    }
    // Hello, two puts; the stats themselves are counted when they are answered.
    assert_eq!(figures["server.requests"], "3");
    assert!(!figures.contains_key("recovery.cut_from"));
    assert_eq!(client.server().sync, "interval");
    assert_eq!(client.server().database_id, figures["engine.database_id"]);
}

#[test]
fn a_client_of_an_older_version_is_told() {
    let home = Home::new("", "");
    let daemon = home.start();
    let mut raw = daemon.raw();
    raw.request(
        &Request::Hello {
            client: "old",
            max_version: 0,
            token: None,
        },
        1,
    );
    raw.expect_error(1, ErrorCode::UnsupportedVersion);
    let mut client = daemon.client();
    assert!(matches!(client.get(b"none"), Ok(None)));
    let lost: Result<(), ClientError> = client.ping();
    lost.unwrap();
}
