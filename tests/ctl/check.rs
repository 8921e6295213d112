//! `check` as a monitoring system runs it: one line, performance data, a plugin's exit codes.

use crate::harness::{Daemon, Run, ctl, run};

fn check(daemon: &Daemon, arguments: &[&str]) -> Run {
    let run = daemon.run(&[&["check"], arguments].concat());
    assert_eq!(run.stderr, "", "{run:?}");
    assert_eq!(run.text().lines().count(), 1, "{run:?}");
    run
}

#[test]
fn the_status_the_word_and_the_code_agree() {
    let daemon = Daemon::start();
    daemon.well(&["put", "k", "v"]);
    for (arguments, code, begins) in [
        (&[][..], 0, "ATLASKV OK - running; "),
        (&["--of", "state"], 0, "ATLASKV OK - running\n"),
        (
            &["--of", "quarantine", "-c", "1:"],
            2,
            "ATLASKV CRITICAL - quarantine empty | ",
        ),
        (
            &["--of", "connections", "-w", "@0:100"],
            1,
            "ATLASKV WARNING - 1 of ",
        ),
        (
            &["--of", "latency-p99", "-w", "~:-1"],
            1,
            "ATLASKV WARNING - put p99 ",
        ),
        (&["--of", "stalls"], 0, "ATLASKV OK - 0 writes had to wait"),
        (
            &[
                "--of",
                "disk-free",
                "--data-dir",
                ".",
                "-w",
                "0:",
                "-c",
                "0:",
            ],
            0,
            "ATLASKV OK - ",
        ),
        (
            &["--of", "disk-free"],
            3,
            "ATLASKV UNKNOWN - disk-free needs",
        ),
        (
            &["--of", "disk-free", "--data-dir", "no/such"],
            3,
            "ATLASKV UNKNOWN - cannot look",
        ),
        (
            &["--of", "nothing"],
            3,
            "ATLASKV UNKNOWN - invalid value 'nothing'",
        ),
        (
            &["-w", "1"],
            3,
            "ATLASKV UNKNOWN - -w and -c are for one subject",
        ),
        (
            &["--of", "state", "-w", "1"],
            3,
            "ATLASKV UNKNOWN - state has no ranges",
        ),
    ] {
        let run = check(&daemon, arguments);
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert!(run.text().starts_with(begins), "{arguments:?}: {run:?}");
    }
}

#[test]
fn performance_data_is_what_plugins_write() {
    let daemon = Daemon::start();
    let run = check(&daemon, &["--of", "connections,quarantine"]);
    let (_, data) = run
        .text()
        .trim_end()
        .split_once(" | ")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let data: Vec<&str> = data.split(' ').collect();
    assert_eq!(data.len(), 2);
    assert!(
        data[0].starts_with("connections=") && data[0].ends_with("%;80;95;0;100"),
        "{data:?}"
    );
    assert_eq!(data[1], "quarantine_files=0;0;;0");
}

#[test]
fn the_document_says_the_same() {
    let daemon = Daemon::start();
    let arguments = [
        "--format",
        "json",
        "check",
        "--of",
        "quarantine",
        "-w",
        "1:",
    ];
    let run = daemon.run(&arguments);
    let document = run.document();
    assert_eq!((run.code, &document["status"]), (1, &"WARNING".into()));
    assert_eq!(document["error"]["code"], "warning");
    assert_eq!(document["values"][0]["name"], "quarantine_files");
    assert_eq!(document["values"][0]["warning"], "1:");
    let refused = daemon.run(&["--format", "json", "check", "--of", "x"]);
    assert_eq!(
        (refused.code, &refused.document()["status"]),
        (3, &"UNKNOWN".into())
    );
}

#[test]
fn a_daemon_that_is_away_is_critical() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("none");
    let gone = run(ctl(&["--socket", socket.to_str().unwrap(), "check"]), b"");
    assert_eq!(gone.code, 2, "{gone:?}");
    assert!(
        gone.text().starts_with("ATLASKV CRITICAL - cannot reach"),
        "{gone:?}"
    );
}
