//! The real `atlaskv-bench` against real servers, and against some that are not what they should be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use atlaskv::client::{Client, ClientOptions, Token};
use atlaskv::example;
use atlaskv::server::Server;
use serde_json::Value;
use tempfile::TempDir;

struct Home {
    server: Server,
    dir: TempDir,
}

fn serve(token: Option<&[u8]>) -> Home {
    let dir = tempfile::tempdir().unwrap();
    let token = token.map(|token| Token::new(token).unwrap());
    let server = example::serve_with_token(dir.path(), token).unwrap();
    Home { server, dir }
}

impl Home {
    fn address(&self) -> String {
        self.server.address().to_string()
    }
}

/// Runs the tool; gives its exit code and its document.
fn bench(address: &str, arguments: &[&str]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_atlaskv-bench"))
        .args(["--format", "json", "--addr", address])
        .args(arguments)
        .env_remove("ATLASKV_TOKEN_FILE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let document = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), document)
}

/// The figures of one kind of operation in one of the workloads.
fn figure(document: &Value, workload: usize, kind: &str, name: &str) -> u64 {
    document["workloads"][workload]["operations"][kind][name]
        .as_u64()
        .unwrap()
}

#[test]
fn what_is_filled_is_read_and_what_is_not_is_missing() {
    let home = serve(None);
    let workloads = [
        "fill-sequential",
        "fill-random",
        "read-random",
        "read-missing",
    ];
    let flags = workloads.map(|workload| ["--workload", workload]).concat();
    let arguments = ["--keys", "3000", "--ops", "3000", "--connections", "7"];
    let (exit, document) = bench(&home.address(), &[&arguments[..], &flags].concat());
    assert_eq!(
        (exit, &document["ok"]),
        (0, &Value::Bool(true)),
        "{document}"
    );
    for (place, workload) in workloads.iter().enumerate() {
        assert_eq!(document["workloads"][place]["workload"], *workload);
    }
    assert_eq!(figure(&document, 1, "put", "ops"), 3000);
    assert_eq!(figure(&document, 2, "get", "ops"), 3000);
    assert_eq!(figure(&document, 2, "get", "missing"), 0);
    assert_eq!(figure(&document, 2, "get", "value_bytes"), 300_000);
    assert_eq!(figure(&document, 3, "get", "missing"), 3000);
}

#[test]
fn every_key_is_filled_once_and_deleted_and_others_stay() {
    let home = serve(None);
    let mut client = Client::connect(&home.address(), ClientOptions::default()).unwrap();
    client.put(b"beside", b"other data").unwrap();
    let count = |client: &mut Client| {
        let scan = client
            .scan(&atlaskv::client::ScanOptions::default())
            .unwrap();
        scan.map(Result::unwrap).count()
    };
    let (exit, _) = bench(
        &home.address(),
        &[
            "--keys",
            "500",
            "--connections",
            "4",
            "--pipeline",
            "9",
            "--workload",
            "fill-random",
        ],
    );
    assert_eq!((exit, count(&mut client)), (0, 501));
    let (exit, document) = bench(
        &home.address(),
        &[
            "--keys",
            "500",
            "--connections",
            "4",
            "--ops",
            "50",
            "--scan-entries",
            "20",
            "--workload",
            "scan",
        ],
    );
    assert_eq!(exit, 0, "{document}");
    let entries = figure(&document, 0, "scan", "entries");
    assert!((50..=1000).contains(&entries), "{entries}");
    let (exit, _) = bench(
        &home.address(),
        &[
            "--keys",
            "500",
            "--connections",
            "4",
            "--workload",
            "delete",
        ],
    );
    assert_eq!((exit, count(&mut client)), (0, 1));
}

#[test]
fn one_connection_writes_while_the_others_read() {
    let home = serve(None);
    let arguments = ["--keys", "200", "--ops", "2000", "--connections", "4"];
    let (exit, document) = bench(
        &home.address(),
        &[
            &arguments[..],
            &[
                "--workload",
                "fill-random",
                "--workload",
                "read-while-writing",
                "--workload",
                "mixed",
            ],
        ]
        .concat(),
    );
    assert_eq!(exit, 0, "{document}");
    for workload in [1, 2] {
        let gets = figure(&document, workload, "get", "ops");
        let puts = figure(&document, workload, "put", "ops");
        assert_eq!(gets + puts, 2000);
        assert!(gets > 0 && puts > 0, "{document}");
    }
}

#[test]
fn a_token_is_presented_and_a_wrong_one_told() {
    let home = serve(Some(b"secret"));
    let right = home.dir.path().join("right");
    let wrong = home.dir.path().join("wrong");
    fs::write(&right, "secret\n").unwrap();
    fs::write(&wrong, "guess\n").unwrap();
    let run = |file: &std::path::Path| {
        let file = file.to_str().unwrap();
        let arguments = ["--keys", "100", "--connections", "2", "--token-file", file];
        bench(
            &home.address(),
            &[&arguments[..], &["--workload", "fill-random"]].concat(),
        )
    };
    assert_eq!(run(&right).0, 0);
    let (exit, document) = run(&wrong);
    assert_eq!(exit, 5, "{document}");
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("wrong-token"), "{message}");
}

#[test]
fn a_server_that_is_not_there_or_goes_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let closes = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
    });
    let (exit, document) = bench(
        &address,
        &["--connections", "1", "--workload", "read-random"],
    );
    closes.join().unwrap();
    assert_eq!(
        (exit, &document["error"]["code"]),
        (5, &"unreachable".into())
    );
    let (exit, document) = bench(&address, &["--workload", "read-random"]);
    assert_eq!(
        (exit, &document["error"]["code"]),
        (5, &"unreachable".into())
    );
}

#[test]
fn wrong_use_is_told_before_anything_is_asked() {
    for wrong in [
        &["--keys", "0"][..],
        &["--keys", "60000000", "--key-size", "14"],
        &["--key-size", "13"],
        &["--value-size", "20-10"],
        &["--connections", "1", "--workload", "read-while-writing"],
        &["--dialect", "redis", "--workload", "scan"],
        &["--workload", "fill-everything"],
    ] {
        let (exit, document) = bench("127.0.0.1:1", wrong);
        assert_eq!(exit, 2, "{wrong:?}: {document}");
    }
    assert_eq!(bench("localhost", &[]).0, 2);
}

/// Answers every SET as a Redis does, the first one only after `pause`.
fn slow_redis(mut stream: TcpStream, pause: Duration) {
    let mut paused = false;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        received.extend_from_slice(&buffer[..read]);
        // An array of three words: seven lines, and no line end within the words.
        while let Some((end, _)) = received
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .nth(6)
        {
            received.drain(..=end);
            if !paused {
                thread::sleep(pause);
                paused = true;
            }
            stream.write_all(b"+OK\r\n").unwrap();
        }
    }
}

#[test]
fn with_a_rate_a_stall_counts_for_all_that_had_to_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let pause = Duration::from_millis(300);
    let server = thread::spawn(move || slow_redis(listener.accept().unwrap().0, pause));
    // Values of no bytes: random ones would hold line ends.
    let arguments = [
        "--dialect",
        "redis",
        "--connections",
        "1",
        "--value-size",
        "0",
    ];
    let rate = ["--rate", "1000", "--ops", "400", "--workload", "overwrite"];
    let (exit, document) = bench(&address, &[&arguments[..], &rate].concat());
    server.join().unwrap();
    assert_eq!(exit, 0, "{document}");
    // The first stood still for 300 ms; the about 150 that were to be sent in its first half waited for
    // more than 150 ms, more than a third of all.
    let microseconds = document["workloads"][0]["operations"]["put"]["latency_us"]["mean"]
        .as_f64()
        .unwrap();
    assert!(microseconds > 75_000.0, "{microseconds}");
}
