//! What an operator asks of a running daemon, and tells it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use atlaskv::client::{Client, ClientError, ClientOptions};
use atlaskv::protocol::ErrorCode;
use serde_json::Value;

use crate::harness::{CTL, Daemon, run};

#[test]
fn a_watch_is_a_line_a_time_and_ends_by_itself() {
    let daemon = Daemon::start();
    let printed = daemon.well(&["stats", "--watch", "1", "--count", "2"]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        assert!(fields[0].ends_with('Z'), "{line}");
        assert_eq!(fields[1], "state=running");
        // Our own question is one request a second; how exactly a second is the scheduler's affair.
        let requests = fields.iter().find_map(|it| it.strip_prefix("requests/s="));
        assert!(requests.unwrap().parse::<f64>().unwrap() > 0.0, "{line}");
    }
    let json = daemon.run(&["--format", "json", "stats", "--watch", "--count", "1"]);
    let document = json.document();
    assert!(document["rates"]["requests"].as_f64().unwrap() > 0.0);
    assert!(document["seconds"].as_f64().unwrap() >= 1.0);
    assert_eq!(document["stats"]["engine.state"], "running");
    assert_eq!(daemon.run(&["stats", "--count", "1"]).code, 2);
    assert_eq!(daemon.run(&["stats", "--watch", "0"]).code, 2);
}

#[test]
fn a_watch_whose_reader_goes_away_ends_quietly() {
    let daemon = Daemon::start();
    let mut child = daemon
        .command(&["stats", "--watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(line.contains(" state=running "), "{line}");
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn the_last_start_is_told() {
    let mut daemon = Daemon::start();
    daemon.well(&["put", "k", "v"]);
    let told = |daemon: &Daemon| daemon.well(&["stats"]).lines().next().unwrap().to_owned();
    assert_eq!(told(&daemon), "last start: made a new store");
    daemon.kill_and_start();
    let after = told(&daemon);
    assert!(
        after.starts_with("last start: recovered up to LSN 1/"),
        "{after}"
    );
    assert!(
        after.contains("after an end without shutdown; 1 operation replayed"),
        "{after}"
    );
}

#[test]
fn health_is_an_exit_code_and_a_line() {
    let mut daemon = Daemon::start();
    let well = daemon.well(&["health"]);
    assert!(well.starts_with("healthy: running, up "), "{well}");
    let document = daemon.run(&["--format", "json", "health"]).document();
    assert_eq!(document["state"], "running");
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    let gone = daemon.run(&["health"]);
    assert_eq!((gone.code, gone.stderr.lines().count()), (5, 1), "{gone:?}");
}

/// A daemon that accepts and says nothing is told from one that serves, and soon.
#[test]
fn health_does_not_wait_for_a_daemon_that_hangs() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = crate::harness::ctl(&["--addr", &address, "health"]);
    command.env_remove("ATLASKV_SOCKET");
    let run = run(command, b"");
    assert_eq!(run.code, 5, "{run:?}");
}

#[test]
fn durations_are_measured_by_operation() {
    let daemon = Daemon::start();
    for number in 0..3 {
        daemon.well(&["put", &format!("k{number}"), "v"]);
    }
    daemon.well(&["get", "k0"]);
    let table = daemon.well(&["latency"]);
    assert!(table.starts_with("operation"), "{table}");
    let put = table.lines().find(|line| line.starts_with("put ")).unwrap();
    assert_eq!(put.split_whitespace().nth(1), Some("3"), "{table}");
    let document = daemon.run(&["--format", "json", "latency"]).document();
    assert_eq!(document["latency"]["get"]["count"], 1);
    assert!(document["latency"]["put"]["p999_us"].is_u64(), "{document}");
}

#[test]
fn slow_requests_are_listed_the_latest_first() {
    let daemon = Daemon::with_config("[server]\nslow_request_ms = 1\n");
    // 8 MiB take over a millisecond, or the next ones do.
    let value = vec![b'v'; 8 << 20];
    let listed = (0..50).find_map(|_| {
        let put = daemon.run_with(&["put", "slow\tkey", "-"], &value);
        assert_eq!(put.code, 0, "{put:?}");
        let listed = daemon.well(&["slowlog"]);
        // On a busy machine the questions are slow, too.
        let mut lines = listed.lines();
        lines
            .find(|line| line.contains("\tput\t"))
            .map(str::to_owned)
    });
    let line = listed.expect("a slow request");
    let fields: Vec<&str> = line.trim_end().split('\t').collect();
    assert_eq!(fields[2..5], ["put", "slow\\tkey", "8.0 MiB"], "{line}");
    assert!(fields[5].starts_with("127.0.0.1:"), "{line}");
    let document = daemon.run(&["--format", "json", "slowlog"]).document();
    let requests = document["requests"].as_array().unwrap();
    let put = requests.iter().find(|one| one["operation"] == "put");
    let request = put.expect("it is listed still");
    assert_eq!(request["key"], "slow\tkey");
    assert!(request["duration_us"].as_u64().unwrap() >= 1000);
    let since = |one: &serde_json::Value| one["time"].as_str().map(str::to_owned);
    assert!(requests.is_sorted_by(|left, right| since(left) >= since(right)));
}

#[test]
fn the_configuration_is_compared_and_reloaded() {
    let daemon = Daemon::with_config("[log]\nlevel = \"warn\"\n");
    let file = daemon.path("atlaskv.toml");
    let file = file.to_str().unwrap();
    assert_eq!(daemon.well(&["config", "diff", file]), "no difference\n");
    assert_eq!(daemon.well(&["reload"]), "nothing has changed\n");
    let text = "[server]\nread_timeout_s = 7\n[log]\nlevel = \"warn\"\ntarget = \"syslog\"\n";
    daemon.rewrite_config(text);
    let diff = daemon.run(&["config", "diff", file]);
    assert_eq!(diff.code, 1, "{diff:?}");
    assert_eq!(
        diff.text(),
        "server.read_timeout_s: 30 -> 7 (reload)\nlog.target: auto -> syslog (restart)\n"
    );
    let document = daemon
        .run(&["--format", "json", "config", "diff", file])
        .document();
    assert_eq!(document["differences"][1]["needs_restart"], true);
    assert_eq!(
        daemon.well(&["reload", "--wait"]),
        "changed: server.read_timeout_s\nneeds a restart: log.target\n"
    );
    let shown = daemon
        .run(&["--format", "json", "config", "show"])
        .document();
    let in_force = |key: &str| shown["config"][key]["value"].clone();
    assert_eq!(in_force("server.read_timeout_s"), "7");
    assert_eq!(in_force("log.target"), "auto");
    let origin = shown["config"]["server.read_timeout_s"]["origin"]
        .as_str()
        .unwrap();
    assert!(
        origin.starts_with("file ") && origin.contains("atlaskv.toml:"),
        "{origin}"
    );
}

#[test]
fn a_bad_configuration_is_refused_by_all_alike() {
    let daemon = Daemon::with_config("");
    daemon.rewrite_config("[storage]\nsync = \"never\"\n");
    let file = daemon.path("atlaskv.toml");
    let checked = daemon.run(&["config", "check", file.to_str().unwrap()]);
    let reloaded = daemon.run(&["reload"]);
    let started = run(
        {
            let mut command = std::process::Command::new(crate::harness::DAEMON);
            command.arg("--config").arg(&file).arg("--check-config");
            command
        },
        b"",
    );
    for refused in [&checked, &reloaded, &started] {
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("storage.sync"), "{refused:?}");
    }
    let json = daemon.run(&["--format", "json", "reload"]).document();
    assert_eq!(json["error"]["code"], "reload-refused");
    daemon.well(&["put", "k", "v"]);
}

#[test]
fn the_doctor_says_what_is_in_force_and_what_is_not() {
    let daemon = Daemon::with_config("[log]\nlevel = \"warn\"\n");
    let doctor = || -> Value {
        let run = daemon.run(&[
            "--format",
            "json",
            "doctor",
            "--unit",
            "atlaskv-no-such.service",
        ]);
        assert!(run.code <= 1, "{run:?}");
        run.document()
    };
    let about = |document: &Value, subject: &str| {
        let findings = document["findings"].as_array().unwrap().clone();
        findings
            .into_iter()
            .find(|finding| finding["subject"] == subject)
    };
    let before = doctor();
    assert_eq!(about(&before, "configuration"), None, "{before}");
    assert_eq!(before["unseen"][0]["subject"], "unit", "{before}");
    daemon.rewrite_config("[log]\nlevel = \"debug\"\n");
    let stale = about(&doctor(), "configuration").unwrap();
    assert_eq!(stale["severity"], "warning");
    assert!(
        stale["what"]
            .as_str()
            .unwrap()
            .ends_with("is not in force: log.level"),
        "{stale}"
    );
    assert!(
        stale["mend"].as_str().unwrap().contains("config diff"),
        "{stale}"
    );
    daemon.rewrite_config("[log]\nlevel = \"loud\"\n");
    let run = daemon.run(&["doctor"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.text()
            .starts_with("problem  configuration: the daemon would not start again: "),
        "{run:?}"
    );
    assert!(
        run.stderr.starts_with("atlaskv-ctl: found 1 problem"),
        "{run:?}"
    );
}

#[test]
fn the_doctor_needs_no_daemon() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("data")).unwrap();
    let mut command = std::process::Command::new(CTL);
    command
        .args([
            "--addr",
            "127.0.0.1:1",
            "--socket",
            "none",
            "doctor",
            "--data-dir",
            "data",
        ])
        .current_dir(home.path());
    let run = run(command, b"");
    assert!(run.code <= 1, "{run:?}");
    assert!(
        run.text().contains("unseen   store: cannot reach atlaskvd"),
        "{run:?}"
    );
}

#[test]
fn a_daemon_verifies_its_own_files() {
    let daemon = Daemon::start();
    daemon.well(&["put", "k", "v"]);
    daemon.well(&["flush"]);
    let told = daemon.well(&["verify"]);
    assert!(told.starts_with("sound: 0 findings, "), "{told}");
    let begun = daemon.run(&["--format", "json", "verify", "--no-wait"]);
    assert_eq!(begun.document()["ok"], true);
    // It joins what may be under way still, which is sound.
    let joined = daemon.run(&["verify"]);
    assert_eq!(joined.code, 0, "{joined:?}");

    let data = daemon.path("atlaskv-data");
    let files = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let table = files
        .into_iter()
        .find(|path| path.extension().is_some_and(|it| it == "sst"));
    let table = table.unwrap();
    let mut bytes = fs::read(&table).unwrap();
    bytes[20] ^= 1;
    fs::write(&table, bytes).unwrap();
    let found = daemon.run(&["--format", "json", "verify"]);
    assert_eq!(found.code, 3);
    let document = found.document();
    assert_eq!(document["error"]["code"], "damaged");
    assert_eq!(document["verification"]["verdict"], "damaged");
    let name = table.file_name().unwrap().to_str().unwrap();
    let finding = document["verification"]["findings"][0].as_str().unwrap();
    assert!(finding.starts_with(name), "{finding}");
    let stats = daemon.run(&["--format", "json", "stats"]).document();
    assert_eq!(stats["stats"]["verification.verdict"], "damaged");
    assert_eq!(stats["stats"]["verification.running"], "false");
    let human = daemon.run(&["verify"]);
    assert_eq!(human.code, 3);
    // Reads and writes go on.
    daemon.well(&["put", "other", "v"]);
}

#[test]
fn a_slow_verification_is_joined_and_holds_nothing_up() {
    let daemon = Daemon::start();
    // The segment alone has 64 MiB: longer than a minute, and nobody waits for it.
    let told = daemon.well(&["verify", "--rate", "1MiB", "--no-wait"]);
    assert!(
        told.contains("at most 1048576 (1.0 MiB) in a second"),
        "{told}"
    );
    let again = ["verify", "--rate", "2 MiB", "--no-wait"];
    let told = daemon.run(&again).stderr;
    assert!(
        told.contains("already running, at 1048576 (1.0 MiB) bytes in a second at most"),
        "{told}"
    );
    let again = daemon.run(&[&["--format", "json"], &again[..]].concat());
    assert_eq!((again.code, again.stderr.as_str()), (0, ""));
    let again = &again.document()["verification"];
    assert_eq!(again["running"], true);
    assert_eq!(
        (&again["joined"], &again["rate"]),
        (&true.into(), &(1 << 20).into())
    );
    assert!(again["percent"].as_u64().unwrap() < 100, "{again}");
    daemon.well(&["put", "k", "v"]);
    assert_eq!(daemon.well(&["get", "k"]), "v\n");
    let stats = daemon.run(&["--format", "json", "stats"]).document();
    assert_eq!(stats["stats"]["verification.running"], "true");
}

#[test]
fn a_rate_that_is_too_low_is_refused_and_the_configured_one_is_the_most() {
    let config = |rate: &str| format!("[storage]\nverify_rate = {rate}\n");
    let daemon = Daemon::with_config(&config("\"3 MiB\""));
    for rate in ["1048575", "0", "4 KiB", "-1", "many"] {
        let refused = daemon.run(&["verify", &format!("--rate={rate}")]);
        assert_eq!(refused.code, 2, "{rate}: {}", refused.stderr);
    }
    let stats = daemon.run(&["--format", "json", "stats"]).document();
    assert_eq!(
        stats["stats"].get("verification.runs"),
        None,
        "none was begun"
    );
    let mut client = Client::connect_unix(&daemon.socket(), ClientOptions::default()).unwrap();
    let refused = client.verify_start((1 << 20) - 1).unwrap_err();
    let is_code = |error: &ClientError| matches!(error, ClientError::Server { code, .. } if *code == ErrorCode::OutOfRange);
    assert!(is_code(&refused), "{refused}");
    let begun = client.verify_start(1 << 30).unwrap();
    assert_eq!((begun.rate, begun.joined), (3 << 20, false));
    // A reload changes the one that is under way, and a wrong value changes nothing.
    daemon.rewrite_config(&config("\"2 MiB\""));
    daemon.well(&["reload"]);
    assert_eq!(client.verify_status().unwrap().rate, 2 << 20);
    for wrong in ["\"1 KiB\"", "\"1 TiB\"", "0"] {
        daemon.rewrite_config(&config(wrong));
        let refused = daemon.run(&["reload"]);
        assert_eq!(refused.code, 2, "{wrong}");
        assert!(refused.stderr.contains("verify_rate"), "{}", refused.stderr);
    }
    assert_eq!(client.verify_status().unwrap().rate, 2 << 20);
}
