//! What is shown on a terminal and nowhere else. `script` (util-linux) makes the terminal.

use std::fs;
use std::process::Command;

use crate::harness::{CTL, Daemon};

const VERIFY: &str = env!("CARGO_BIN_EXE_atlaskv-verify");
const COMPACT: &str = env!("CARGO_BIN_EXE_atlaskv-compact-offline");

/// What a command writes to a terminal, standard error with it, and its exit code.
fn on_terminal(daemon: &Daemon, command: &str) -> (String, i32) {
    let output = Command::new("script")
        .args(["-qec", command, "/dev/null"])
        .env("ATLASKV_ADDR", &daemon.address)
        .env("ATLASKV_SOCKET", daemon.socket())
        .env("TERM", "xterm")
        .current_dir(daemon.home.path())
        .output()
        .expect("script is there: it is in util-linux");
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    (written, output.status.code().unwrap())
}

/// Enough lines that an import of them is seen.
fn lines() -> String {
    (0..20_000)
        .map(|n| format!("key{n}\t{}\n", "v".repeat(100)))
        .collect()
}

#[test]
fn long_work_shows_how_far_it_is_on_a_terminal_only() {
    let mut daemon = Daemon::start();
    fs::write(daemon.path("in.tsv"), lines()).unwrap();
    for (command, word) in [
        (format!("{CTL} import in.tsv"), "importing"),
        (format!("{CTL} export out.tsv"), "exporting"),
        (format!("{VERIFY} atlaskv-data"), "reading"),
        (format!("{COMPACT} atlaskv-data"), "compacting"),
    ] {
        if word == "compacting" {
            assert_eq!(daemon.run(&["import", "in.tsv"]).stderr, "", "a pipe");
            daemon.child.kill().unwrap();
            daemon.child.wait().unwrap();
        }
        let (shown, code) = on_terminal(&daemon, &command);
        assert_eq!(code, 0, "{command}: {shown}");
        assert!(shown.contains(word), "{command}: {shown}");
        let (quiet, code) = on_terminal(&daemon, &format!("{command} --no-progress"));
        assert_eq!(code, 0, "{command}: {quiet}");
        assert!(!quiet.contains(word), "{command}: {quiet}");
        let (json, _) = on_terminal(&daemon, &format!("{command} --format json"));
        assert!(!json.contains(word), "{command}: {json}");
    }
}

#[test]
fn a_watch_redraws_its_page() {
    let daemon = Daemon::start();
    let (shown, code) = on_terminal(&daemon, &format!("{CTL} stats --watch --count 1"));
    assert_eq!(code, 0, "{shown}");
    assert_eq!(shown.matches("\x1b[H\x1b[J").count(), 2, "{shown:?}");
    assert!(shown.contains("state             running"), "{shown}");
    assert!(
        shown.lines().count() <= 48,
        "two pages of 24 lines: {shown}"
    );
}
