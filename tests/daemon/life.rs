//! Starting, stopping, exit codes and what is said about them.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Daemon, Home, run, stats};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn version_and_help_are_results() {
    let version = run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(
        text(&version.stdout),
        format!("atlaskvd {}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).ends_with(&atlaskv::exit::table()));
}

#[test]
fn wrong_flags_are_wrong_use() {
    for arguments in [
        ["--no-such-flag", ""],
        ["--sync", "always"],
        ["--listen", "example.org:1"],
        ["--config", "/no/such/file.toml"],
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
        assert!(output.stdout.is_empty());
    }
    let said = text(&run(&["--sync", "always"]).stderr);
    assert!(
        said.contains("every-write") && said.contains("os-default"),
        "{said}"
    );
}

#[test]
fn a_configuration_is_checked_without_a_start() {
    let home = Home::new("", "sync = \"every-write\"");
    let config = home.config();
    let config = config.to_str().unwrap();
    let checked = run(&["--config", config, "--check-config"]);
    assert_eq!(checked.status.code(), Some(0));
    assert!(text(&checked.stdout).contains(config));
    assert!(!home.data().exists());
}

#[test]
fn a_bad_configuration_is_refused_with_line_and_key() {
    let home = Home::new("max_conections = 7", "");
    let (code, said) = home.run();
    assert_eq!(code, Some(2));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("atlaskv.toml:4:1: server.max_conections: unknown field"),
        "{said}"
    );
    assert!(said.contains("`max_connections`"), "{said}");

    let strangers = run(&["--listen", "0.0.0.0:0"]);
    assert_eq!(strangers.status.code(), Some(2));
    assert!(text(&strangers.stderr).contains("allow_unauthenticated"));
}

#[test]
fn sigterm_and_sigint_stop_it_well_and_data_stays() {
    let home = Home::new("", "");
    let mut daemon = home.start();
    let mode = home.socket().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    daemon.client().put(b"apple", b"red").unwrap();
    daemon.stop();
    assert!(!home.socket().exists());

    for signal in [Signal::INT, Signal::TERM] {
        let mut daemon = home.start();
        let mut client = daemon.client();
        assert_eq!(client.get(b"apple").unwrap().unwrap().value, "red");
        assert_eq!(stats(&mut client)["recovery.clean_shutdown"], "true");
        daemon.signal(signal);
        assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.said());
    }
}

#[test]
fn it_runs_without_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("d");
    let arguments = [
        "--data-dir",
        data.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ];
    let socket = data.join("atlaskv.sock");
    let mut daemon = Daemon::spawn(&arguments, socket.clone());
    daemon.wait_until_ready();
    daemon.admin().put(b"apple", b"red").unwrap();
    daemon.kill();
    assert!(socket.exists());

    // What the kill left behind, the socket among it, is no hindrance.
    let mut daemon = Daemon::spawn(&arguments, socket);
    daemon.wait_until_ready();
    let mut admin = daemon.admin();
    assert_eq!(admin.get(b"apple").unwrap().unwrap().value, "red");
    assert_eq!(stats(&mut admin)["recovery.clean_shutdown"], "false");
    daemon.stop();
    let said = daemon.said();
    assert!(said.contains(&format!("data {}", data.display())), "{said}");
}

#[test]
fn the_second_daemon_on_a_directory_is_refused() {
    let home = Home::new("", "");
    let first = home.start();
    let (code, said) = home.run();
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains(&format!("process {}", first.process())),
        "{said}"
    );
    assert!(said.contains(home.data().to_str().unwrap()), "{said}");
    first.admin().ping().unwrap();
}

#[test]
fn a_port_in_use_is_an_error_of_its_own() {
    let (home, other) = (Home::new("", ""), Home::new("", ""));
    let first = home.start();
    let address = first.address().to_string();
    let config = other.config();
    let arguments = ["--config", config.to_str().unwrap(), "--listen", &address];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).contains(&address));
    assert!(!other.socket().exists());
    // It closed the store well.
    let mut daemon = other.start();
    assert_eq!(
        stats(&mut daemon.client())["recovery.clean_shutdown"],
        "true"
    );
    daemon.stop();
}

#[test]
fn an_admin_socket_that_listens_is_left_alone() {
    let home = Home::new("", "");
    let listener = UnixListener::bind(home.socket()).unwrap();
    let (code, said) = home.run();
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("another process listens there"), "{said}");
    assert!(home.socket().exists());
    drop(listener);
    home.start().stop();
}

#[test]
fn a_damaged_manifest_keeps_it_from_starting() {
    let home = Home::new("", "");
    home.start().stop();
    let manifest = home.data().join("MANIFEST");
    let mut bytes = std::fs::read(&manifest).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&manifest, bytes).unwrap();
    let (code, said) = home.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("MANIFEST"), "{said}");
    std::fs::remove_file(&manifest).unwrap();
    let (code, said) = home.run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("no MANIFEST"), "{said}");
}

#[test]
fn connections_fit_the_limit_on_open_files() {
    let home = Home::new("", "");
    let mut command = Command::new("sh");
    let script = "ulimit -n 300 && exec \"$0\" --config \"$1\"";
    let program = env!("CARGO_BIN_EXE_atlaskvd");
    command.args(["-c", script, program]).arg(home.config());
    let mut daemon = Daemon::run(command, home.socket());
    daemon.wait_until_ready();
    let most: usize = stats(&mut daemon.admin())["server.max_connections"]
        .parse()
        .unwrap();
    assert!((1..300).contains(&most), "{most}");
    // As many as it allows it can serve, and work on the store meanwhile.
    let mut clients: Vec<_> = (0..most).map(|_| daemon.client()).collect();
    for client in &mut clients {
        client.put(b"k", b"v").unwrap();
    }
    daemon.admin().flush().unwrap();
    drop(clients);
    daemon.stop();
    let said = daemon.said();
    assert!(
        said.contains(&format!("max_connections lowered from 1024 to {most}")),
        "{said}"
    );
}

#[test]
fn a_stop_during_the_start_is_a_stop() {
    let home = Home::new("", "");
    home.start().stop();
    for step in 0..20 {
        // Whatever moment is hit: before the signals are watched, in recovery, or when it serves.
        let mut daemon = home.spawn();
        thread::sleep(Duration::from_micros(step * 700));
        daemon.signal(Signal::TERM);
        let status = daemon.wait();
        let unwatched = status.signal() == Some(Signal::TERM.as_raw());
        assert!(
            status.code() == Some(0) || unwatched,
            "{status}: {}",
            daemon.said()
        );
    }
    home.start().stop();
}

#[test]
fn the_log_is_one_line_an_event() {
    let home = Home::new("", "");
    let mut daemon = home.start();
    daemon.stop();
    let said = daemon.said();
    for line in said.lines() {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(
            time.ends_with('Z') && time.len() == "2026-01-31T23:59:59.123Z".len(),
            "{line}"
        );
        assert!(
            rest.starts_with("info  ") || rest.starts_with("warn  "),
            "{line}"
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        said.matches(&format!("atlaskvd {version} ready on 127.0.0.1:"))
            .count(),
        1
    );
}
