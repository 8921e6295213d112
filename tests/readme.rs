//! The README's five minutes, run as they stand there, against the real daemon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test code"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

/// A daemon that ends with the test.
struct Daemon {
    process: Child,
    log: BufReader<ChildStderr>,
}

impl Daemon {
    /// As `make run` starts it, on a free port.
    fn start(dir: &Path) -> Daemon {
        let mut process = Command::new(env!("CARGO_BIN_EXE_atlaskvd"))
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(dir)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        Daemon { process, log }
    }

    /// Waits until it is ready; its address.
    fn address(&mut self) -> String {
        let mut said = String::new();
        while self.log.read_line(&mut said).unwrap() > 0 {
            if let Some((_, rest)) = said.split_once(" ready on ") {
                return rest.split(',').next().unwrap().to_owned();
            }
        }
        panic!("the daemon did not become ready: {said}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The commands of the README that begin with `ctl`, with the exit code that a comment states.
fn commands() -> Vec<(String, i32)> {
    let readme = include_str!("../README.md");
    let block = readme
        .split("alias ctl=")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let lines = block
        .lines()
        .filter(|line| line.starts_with("ctl ") || line.contains("| ctl "));
    let commands = lines.map(|line| {
        let (command, comment) = line.split_once("  #").unwrap_or((line, ""));
        let code = comment
            .split_once("exit code ")
            .and_then(|(_, rest)| rest.get(..1));
        (
            command.trim().to_owned(),
            code.map_or(0, |code| code.parse().unwrap()),
        )
    });
    commands.collect()
}

#[test]
fn every_command_of_the_first_five_minutes_does_what_it_says() {
    let home = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(home.path());
    let address = daemon.address();
    let commands = commands();
    assert!(commands.len() >= 13, "{commands:?}");
    for (command, expected) in commands {
        let script = format!(
            "ctl() {{ {} \"$@\"; }}; {command}",
            env!("CARGO_BIN_EXE_atlaskv-ctl")
        );
        let output = Command::new("bash")
            .args(["-euc", &script])
            .env("ATLASKV_ADDR", &address)
            .env("ATLASKV_SOCKET", "atlaskv-data/atlaskv.sock")
            .current_dir(home.path())
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{command}: {printed} {said}"
        );
        if command == "ctl get greeting" {
            assert_eq!(printed, "hello\n");
        }
    }
    drop(daemon);
    let verify = Command::new(env!("CARGO_BIN_EXE_atlaskv-verify"))
        .arg(home.path().join("atlaskv-data"))
        .output()
        .unwrap();
    assert!(
        verify.status.success(),
        "{}",
        String::from_utf8_lossy(&verify.stdout)
    );
}
