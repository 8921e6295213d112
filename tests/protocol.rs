//! The protocol against its document and against hostile bytes.
//!
//! `docs/protocol.md` is the golden file: its examples are decoded, compared with the values below, and
//! encoded again. `ATLASKV_TEST_SEED` and `ATLASKV_TEST_RUNS` set the seed and the number of random
//! inputs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "test code"
)]

use std::collections::{BTreeMap, BTreeSet};

use atlaskv::protocol::{
    BatchOperation, CompactionReport, ConfigItem, DEFAULT_MAX_FRAME_SIZE, ERROR_CODES, Entry,
    ErrorCode, Expected, HEADER_SIZE, Limits, ProtocolError, ReloadReport, Request, Response,
    ServerInfo, SlowRequest, StatValue, Token, VerificationStatus, WriteOutcome, frame, opcode,
};
use bytes::Bytes;

const LIMIT: u32 = DEFAULT_MAX_FRAME_SIZE;
const MAX_OPERATIONS: u64 = 100_000;
const DOCUMENT: &str = include_str!("../docs/protocol.md");

/// LSNs of the examples: counters 1042 to 1044 of epoch 3.
const LSN_1: u64 = (3 << 44) + 1042;
const LSN_2: u64 = (3 << 44) + 1043;
const LSN_3: u64 = (3 << 44) + 1044;

fn requests() -> Vec<(&'static str, u32, Request<'static>)> {
    let apple: &[u8] = b"apple";
    let cas = |key, expected, new| Request::CompareAndSwap { key, expected, new };
    vec![
        ("ping", 1, Request::Ping),
        (
            "hello",
            2,
            Request::Hello {
                client: "example/1.0",
                max_version: 1,
                token: None,
            },
        ),
        ("get", 3, Request::Get { key: apple }),
        (
            "put",
            4,
            Request::Put {
                key: apple,
                value: b"red",
            },
        ),
        ("delete", 5, Request::Delete { key: apple }),
        ("exists", 6, Request::Exists { key: apple }),
        (
            "multi-get",
            7,
            Request::MultiGet {
                keys: vec![apple, b"pear"],
            },
        ),
        (
            "batch",
            8,
            Request::Batch {
                operations: vec![
                    BatchOperation::Put {
                        key: b"pear",
                        value: b"green",
                    },
                    BatchOperation::Delete { key: apple },
                ],
            },
        ),
        (
            "put-if-absent",
            9,
            Request::PutIfAbsent {
                key: b"plum",
                value: b"blue",
            },
        ),
        (
            "compare-and-swap, value",
            10,
            cas(b"plum", Expected::Value(b"blue"), Some(&b"ripe"[..])),
        ),
        (
            "compare-and-swap, version",
            11,
            cas(b"plum", Expected::Version(LSN_3), None),
        ),
        (
            "compare-and-swap, absent",
            12,
            cas(b"fig", Expected::Absent, Some(&b""[..])),
        ),
        (
            "scan-open",
            13,
            Request::ScanOpen {
                from: Some(b"a"),
                to: None,
                prefix: b"",
                reverse: false,
                limit: 0,
                max_entries: 2,
                max_bytes: 65536,
            },
        ),
        (
            "scan-next",
            14,
            Request::ScanNext {
                scan: 5,
                max_entries: 2,
                max_bytes: 65536,
            },
        ),
        ("scan-close", 15, Request::ScanClose { scan: 5 }),
        ("sync", 16, Request::Sync { lsn: Some(LSN_3) }),
        ("sync, everything", 17, Request::Sync { lsn: None }),
        ("stats", 18, Request::Stats),
        ("flush", 19, Request::Flush),
        ("compact", 20, Request::Compact),
        ("quarantine-list", 21, Request::QuarantineList),
        ("quarantine-purge", 22, Request::QuarantinePurge),
        ("config", 25, Request::Config),
        ("reload", 26, Request::Reload),
        ("slowlog", 27, Request::Slowlog { limit: 10 }),
        ("verify-start", 30, Request::VerifyStart { rate: 1 << 20 }),
        ("verify-status", 31, Request::VerifyStatus),
        (
            "hello, with a token",
            28,
            Request::Hello {
                client: "example/1.0",
                max_version: 1,
                token: Some(Token::new(b"open sesame").unwrap()),
            },
        ),
    ]
}

fn answers() -> Vec<(&'static str, u32, Response)> {
    let empty_key = Response::error(ErrorCode::EmptyKey, "the key is empty");
    let server_full = Response::error(ErrorCode::ServerFull, "server is full");
    let unknown = Response::error(ErrorCode::Unknown(999), "?");
    let bytes = Bytes::from_static;
    let entry = |key, value, lsn| Entry {
        key: bytes(key),
        value: bytes(value),
        lsn,
    };
    let info = ServerInfo {
        version: 1,
        server: "atlaskvd/0.1.0".into(),
        limits: Limits {
            max_key_size: 65536,
            max_value_size: 16_777_216,
            max_batch_size: 33_554_432,
            max_batch_operations: 100_000,
            max_frame_size: 41_943_040,
        },
        sync: "interval".into(),
        database_id: "000102030405060708090a0b0c0d0e0f".into(),
    };
    vec![
        ("pong", 1, Response::Pong),
        ("hello", 2, Response::Hello(info)),
        (
            "value",
            3,
            Response::Value {
                lsn: LSN_1,
                value: bytes(b"red"),
            },
        ),
        ("not-found", 3, Response::NotFound),
        ("written", 4, Response::Written { lsn: LSN_1 }),
        ("written to delete", 5, Response::Written { lsn: LSN_2 }),
        ("exists", 6, Response::Exists { exists: true }),
        (
            "values",
            7,
            Response::Values(vec![Some((LSN_1, bytes(b"red"))), None]),
        ),
        (
            "refused",
            9,
            Response::Refused {
                current: Some((LSN_1, bytes(b"dark"))),
            },
        ),
        ("refused, no value", 10, Response::Refused { current: None }),
        (
            "scan-page",
            13,
            Response::ScanPage {
                scan: 5,
                lsn: LSN_3,
                entries: vec![
                    entry(b"apple", b"red", LSN_1),
                    entry(b"pear", b"green", LSN_2),
                ],
                done: false,
            },
        ),
        (
            "scan-page, last",
            14,
            Response::ScanPage {
                scan: 0,
                lsn: LSN_3,
                entries: vec![entry(b"\xff\x00", b"", LSN_3)],
                done: true,
            },
        ),
        ("done", 15, Response::Done),
        ("synced", 16, Response::Synced { lsn: LSN_3 }),
        (
            "stats",
            18,
            Response::Stats(vec![
                ("state".into(), StatValue::Text("running".into())),
                ("tables".into(), StatValue::Number(4)),
            ]),
        ),
        ("done to flush", 19, Response::Done),
        (
            "compacted",
            20,
            Response::Compacted(CompactionReport {
                tables_before: 4,
                tables_after: 1,
                bytes_before: 81920,
                bytes_after: 40960,
                entries_before: 2000,
                entries_after: 900,
            }),
        ),
        (
            "quarantine",
            21,
            Response::Quarantine(vec![("00000007.log.cut".into(), 512)]),
        ),
        ("quarantine, purged", 22, Response::Quarantine(Vec::new())),
        (
            "config",
            25,
            Response::Config(vec![ConfigItem {
                key: "server.listen".into(),
                value: "127.0.0.1:7390".into(),
                origin: "default".into(),
            }]),
        ),
        (
            "reloaded",
            26,
            Response::Reloaded(ReloadReport {
                changed: vec!["log.level".into()],
                needs_restart: vec!["server.listen".into()],
            }),
        ),
        (
            "slowlog",
            27,
            Response::Slowlog(vec![SlowRequest {
                unix_us: 1_795_392_000_000_000,
                duration_us: 250_000,
                opcode: opcode::request::PUT,
                key_length: 5,
                key: bytes(b"apple"),
                value_bytes: 3,
                peer: "127.0.0.1:50422".into(),
            }]),
        ),
        (
            "verification",
            31,
            Response::Verification(VerificationStatus {
                runs: 2,
                started_unix_s: 1_795_392_000,
                duration_ms: 1500,
                bytes: 4096,
                total_bytes: 8192,
                rate: 32 << 20,
                verdict: "damaged".into(),
                findings: vec!["1.sst: bad".into()],
                ..VerificationStatus::default()
            }),
        ),
        ("error", 23, empty_key),
        ("error, about the connection", 0, server_full),
        ("error, a code of a newer server", 24, unknown),
    ]
}

/// The examples of the document: what stands behind "```frame " to the bytes left of the bars.
fn examples() -> BTreeMap<String, Vec<u8>> {
    let mut examples = BTreeMap::new();
    let mut lines = DOCUMENT.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```frame ") else {
            continue;
        };
        let block = lines.by_ref().take_while(|line| *line != "```");
        let bytes = block.flat_map(|line| {
            let bytes = line.split('|').next().unwrap().split_whitespace();
            bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap())
        });
        let old = examples.insert(name.to_owned(), bytes.collect());
        assert_eq!(old, None, "two examples named '{name}'");
    }
    examples
}

fn encoded_request(id: u32, request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(id, LIMIT, &mut bytes).unwrap();
    bytes
}

fn encoded_answer(id: u32, answer: &Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    answer.encode(id, LIMIT, &mut bytes).unwrap();
    bytes
}

/// Every example, as bytes.
fn all_frames() -> Vec<Vec<u8>> {
    examples().into_values().collect()
}

/// Decodes a frame as what its code says it is, to see that nothing panics.
fn decode_any(frame: &frame::Frame<'_>) -> Result<(), ProtocolError> {
    if frame.code < 0x80 {
        Request::decode(frame, MAX_OPERATIONS).map(drop)
    } else {
        Response::decode(frame).map(drop)
    }
}

#[test]
fn every_example_of_the_document_decodes_to_its_value_and_encodes_to_its_bytes() {
    let mut examples = examples();
    let mut opcodes = BTreeSet::new();
    for (name, id, request) in requests() {
        let bytes = examples
            .remove(&format!("request {name}"))
            .unwrap_or_else(|| panic!("no example of the request '{name}'"));
        let (frame, used) = frame::decode(&bytes, LIMIT).unwrap().unwrap();
        assert_eq!((used, frame.request_id), (bytes.len(), id), "{name}");
        let decoded = Request::decode(&frame, MAX_OPERATIONS).unwrap();
        assert_eq!(decoded, request, "{name}");
        assert_eq!(encoded_request(id, &request), bytes, "{name}");
        assert_eq!(request.frame_length() as usize + 4, bytes.len(), "{name}");
        opcodes.insert(frame.code);
    }
    let mut statuses = BTreeSet::new();
    for (name, id, answer) in answers() {
        let bytes = examples
            .remove(&format!("answer {name}"))
            .unwrap_or_else(|| panic!("no example of the answer '{name}'"));
        let (frame, used) = frame::decode(&bytes, LIMIT).unwrap().unwrap();
        assert_eq!((used, frame.request_id), (bytes.len(), id), "{name}");
        assert_eq!(Response::decode(&frame).unwrap(), answer, "{name}");
        assert_eq!(encoded_answer(id, &answer), bytes, "{name}");
        assert_eq!(answer.frame_length() as usize + 4, bytes.len(), "{name}");
        statuses.insert(frame.code);
    }
    assert!(examples.is_empty(), "not tested: {:?}", examples.keys());
    assert_eq!(opcodes, BTreeSet::from(opcode::request::ALL));
    assert_eq!(statuses, BTreeSet::from(opcode::status::ALL));
}

#[test]
fn the_document_lists_every_opcode_status_and_error_code() {
    for code in opcode::request::ALL.iter().chain(&opcode::status::ALL) {
        let row = format!("| `0x{code:02X}` | ");
        assert_eq!(DOCUMENT.matches(&row).count(), 1, "{row}");
    }
    let section = DOCUMENT.split("\n## 9. Errors").nth(1).unwrap();
    let rows: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
        .collect();
    assert_eq!(rows.len(), ERROR_CODES.len());
    for (row, info) in rows.iter().zip(ERROR_CODES) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let yes = |yes| if yes { "yes" } else { "no" };
        let outcome = match info.outcome {
            WriteOutcome::NotDone => "not done",
            WriteOutcome::Unknown => "unknown",
        };
        assert_eq!(cells[0], info.number.to_string());
        assert_eq!(cells[1], format!("`{}`", info.name));
        assert_eq!(
            cells[3..],
            [yes(info.retry), outcome, yes(info.closes)],
            "{row}"
        );
    }
}

#[test]
fn error_codes_keep_their_numbers_and_unknown_ones_survive() {
    for number in 0..=u16::MAX {
        assert_eq!(ErrorCode::from_number(number).number(), number);
    }
    let unknown = ErrorCode::from_number(999);
    assert_eq!(unknown, ErrorCode::Unknown(999));
    assert_eq!(unknown.to_string(), "code-999");
    assert!(!unknown.retry_can_help() && !unknown.closes_connection());
    assert_eq!(unknown.write_outcome(), WriteOutcome::Unknown);
}

#[test]
fn a_frame_cut_anywhere_is_incomplete_and_never_wrong() {
    for bytes in all_frames() {
        for end in 0..bytes.len() {
            assert_eq!(frame::decode(&bytes[..end], LIMIT), Ok(None), "{bytes:x?}");
        }
        let mut two = bytes.clone();
        two.extend_from_slice(&bytes);
        for end in bytes.len()..two.len() {
            let (_, used) = frame::decode(&two[..end], LIMIT).unwrap().unwrap();
            assert_eq!(used, bytes.len());
            assert_eq!(frame::decode(&two[used..end], LIMIT), Ok(None));
        }
    }
}

/// A payload cut anywhere, with a length field that agrees, is an error: each field is needed, but for
/// the token of a hello.
#[test]
fn a_payload_cut_anywhere_is_refused() {
    let whole_hello = examples()["request hello"].len();
    for bytes in all_frames() {
        let is_hello = bytes[5] == opcode::request::HELLO;
        for end in HEADER_SIZE..bytes.len() {
            if is_hello && end == whole_hello {
                continue;
            }
            let mut cut = bytes[..end].to_vec();
            cut[..4].copy_from_slice(&(end as u32 - 4).to_le_bytes());
            let (frame, _) = frame::decode(&cut, LIMIT).unwrap().unwrap();
            let error = decode_any(&frame).unwrap_err();
            assert_eq!(error.code(), ErrorCode::MalformedRequest, "{cut:x?}");
        }
    }
}

#[test]
fn a_byte_behind_the_last_field_is_refused() {
    for (name, mut bytes) in examples() {
        bytes.push(0);
        let length = bytes.len() as u32 - 4;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        let (frame, _) = frame::decode(&bytes, LIMIT).unwrap().unwrap();
        let error = decode_any(&frame).unwrap_err();
        let expected = match name.as_str() {
            // There a token can follow.
            "request hello" => ProtocolError::Truncated { field: "token" },
            _ => ProtocolError::TrailingBytes { count: 1 },
        };
        assert_eq!(error, expected, "{name}");
    }
}

#[test]
fn a_length_over_the_limit_is_refused_before_its_bytes_are_there() {
    let header = |length: u32| length.to_le_bytes();
    let too_large = |length: u32, limit| ProtocolError::FrameTooLarge {
        length: u64::from(length),
        limit,
    };
    assert_eq!(frame::peek_length(&header(100), 100), Ok(Some(104)));
    assert_eq!(
        frame::peek_length(&header(101), 100),
        Err(too_large(101, 100))
    );
    assert_eq!(
        frame::decode(&header(u32::MAX), LIMIT),
        Err(too_large(u32::MAX, LIMIT))
    );
    for length in 0..8 {
        assert_eq!(
            frame::decode(&header(length), LIMIT),
            Err(ProtocolError::FrameTooShort { length })
        );
    }
}

#[test]
fn another_version_and_flags_are_refused_with_the_header() {
    let ping = encoded_request(1, &Request::Ping);
    let mut newer = ping.clone();
    newer[4] = 2;
    assert_eq!(
        frame::decode(&newer, LIMIT),
        Err(ProtocolError::UnsupportedVersion { version: 2 })
    );
    let mut flags = ping.clone();
    flags[7] = 1;
    assert_eq!(
        frame::decode(&flags, LIMIT),
        Err(ProtocolError::UnsupportedFlags { flags: 0x100 })
    );
}

#[test]
fn codes_that_are_not_defined_are_refused_by_name() {
    for code in 0..=u8::MAX {
        let frame = frame::Frame {
            code,
            request_id: 1,
            payload: &[],
        };
        if !opcode::request::ALL.contains(&code) {
            assert_eq!(
                Request::decode(&frame, MAX_OPERATIONS),
                Err(ProtocolError::UnknownOpcode { opcode: code })
            );
        }
        if !opcode::status::ALL.contains(&code) {
            assert_eq!(
                Response::decode(&frame),
                Err(ProtocolError::UnknownStatus { status: code })
            );
        }
    }
}

#[test]
fn counts_are_refused_before_memory_is_taken() {
    let keys = |count: u32, rest: usize| {
        let mut payload = count.to_le_bytes().to_vec();
        payload.resize(4 + rest, 0);
        payload
    };
    let decode = |code, payload: &[u8], max| {
        let frame = frame::Frame {
            code,
            request_id: 1,
            payload,
        };
        Request::decode(&frame, max).map(drop)
    };
    let many = keys(u32::MAX, 64);
    for code in [opcode::request::MULTI_GET, opcode::request::BATCH] {
        let error = decode(code, &many, u64::MAX).unwrap_err();
        assert_eq!(error, ProtocolError::Truncated { field: "count" });
    }
    let error = decode(opcode::request::MULTI_GET, &keys(11, 44), 10).unwrap_err();
    assert_eq!(
        error,
        ProtocolError::TooManyOperations {
            count: 11,
            limit: 10
        }
    );
    assert_eq!(error.code(), ErrorCode::TooManyOperations);
    assert_eq!(
        decode(opcode::request::MULTI_GET, &keys(11, 44), 11),
        Ok(())
    );
    assert_eq!(
        decode(opcode::request::BATCH, &keys(0, 0), 10),
        Err(ProtocolError::EmptyBatch)
    );
}

#[test]
fn nothing_is_appended_when_a_frame_would_be_over_the_limit() {
    let value = vec![7; 100];
    let request = Request::Put {
        key: b"k",
        value: &value,
    };
    let length = request.frame_length() as u32;
    let mut bytes = vec![1, 2, 3];
    let error = request.encode(1, length - 1, &mut bytes).unwrap_err();
    assert_eq!(error.code(), ErrorCode::FrameTooLarge);
    assert_eq!(bytes, [1, 2, 3]);
    request.encode(1, length, &mut bytes).unwrap();
    assert_eq!(bytes.len(), 3 + 4 + length as usize);

    let answer = Response::Value {
        lsn: 1,
        value: value.into(),
    };
    let before = bytes.clone();
    assert!(answer.encode(1, 50, &mut bytes).is_err());
    assert_eq!(bytes, before);
}

fn seed() -> u64 {
    let seed = std::env::var("ATLASKV_TEST_SEED").map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|_| fastrand::u64(..));
    println!("ATLASKV_TEST_SEED={seed}");
    seed
}

fn runs(default: u64) -> u64 {
    std::env::var("ATLASKV_TEST_RUNS").map_or(default, |runs| runs.parse().unwrap())
}

/// Random bytes, and examples with some bytes changed, never panic; what decodes encodes to the same
/// bytes, so there is one encoding of each value.
#[test]
fn garbage_is_an_error_or_a_value_and_never_a_panic() {
    let mut random = fastrand::Rng::with_seed(seed());
    let frames = all_frames();
    for _ in 0..runs(100_000) {
        let mut bytes = random.choice(&frames).unwrap().clone();
        if random.bool() {
            for _ in 0..random.usize(1..4) {
                let place = random.usize(0..bytes.len());
                let byte = random.u8(..);
                bytes[place] = *random.choice(&[0, 1, 2, 255, byte]).unwrap();
            }
        } else {
            bytes.truncate(HEADER_SIZE);
            bytes.resize(HEADER_SIZE + random.usize(0..64), 0);
            random.fill(&mut bytes[HEADER_SIZE..]);
            let length = bytes.len() as u32 - 4;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
        }
        let Ok(Some((frame, used))) = frame::decode(&bytes, LIMIT) else {
            continue;
        };
        let mut again = Vec::new();
        if let Ok(request) = Request::decode(&frame, MAX_OPERATIONS) {
            request.encode(frame.request_id, LIMIT, &mut again).unwrap();
        } else if let Ok(answer) = Response::decode(&frame) {
            answer.encode(frame.request_id, LIMIT, &mut again).unwrap();
        } else {
            continue;
        }
        assert_eq!(again, bytes[..used]);
    }
}

/// A hello of any bytes has a token exactly when bytes follow its version, and never shows it.
#[test]
fn a_hello_of_any_bytes_is_an_error_or_a_value() {
    let mut random = fastrand::Rng::with_seed(seed());
    for _ in 0..runs(10_000) {
        let token: Vec<u8> = (0..random.usize(0..5000)).map(|_| random.u8(..)).collect();
        let mut payload = vec![0, 0, 0, 0, 1];
        let bare = payload.len();
        payload.extend_from_slice(&(token.len() as u32).to_le_bytes());
        payload.extend_from_slice(&token);
        let whole = payload.len();
        let cut = random.usize(0..whole);
        let end = *random.choice(&[bare, cut, whole]).unwrap();
        payload.truncate(end);
        let frame = frame::Frame {
            code: opcode::request::HELLO,
            request_id: 1,
            payload: &payload,
        };
        match Request::decode(&frame, MAX_OPERATIONS) {
            Ok(Request::Hello { token: None, .. }) => assert_eq!(end, bare),
            Ok(hello) => {
                assert_eq!(end, whole);
                assert!(format!("{hello:?}").contains("Token(..)"), "{hello:?}");
                assert_eq!(encoded_request(1, &hello)[HEADER_SIZE..], payload);
            }
            Err(ProtocolError::TokenSize { length }) => {
                assert_eq!((end, length), (whole, token.len() as u64));
                assert!(token.is_empty() || token.len() > 4096);
            }
            Err(error) => assert!(end != bare && end != whole, "{error}"),
        }
    }
}

#[test]
fn the_limit_for_frames_holds_every_request_within_the_limits() {
    let keys: Vec<Vec<u8>> = (0_u32..1000).map(|n| n.to_le_bytes().to_vec()).collect();
    let value = [0; 60];
    let operations = keys
        .iter()
        .map(|key| BatchOperation::Put { key, value: &value });
    let batch = Request::Batch {
        operations: operations.collect(),
    };
    assert!(batch.frame_length() <= atlaskv::protocol::frame_size_for(64_000, 1000));
    assert!(atlaskv::protocol::frame_size_for(32 << 20, 100_000) <= u64::from(LIMIT));
}
