//! The document and the program agree; what holds for every command.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::harness::{CTL, Daemon, ctl, lsns_in, run};

const DOCUMENT: &str = include_str!("../../docs/ctl.md");

/// Every command, with arguments that are well.
const COMMANDS: [&[&str]; 25] = [
    &["ping"],
    &["get", "k"],
    &["put", "k", "v"],
    &["delete", "k"],
    &["exists", "k"],
    &["put-if-absent", "k", "v"],
    &["cas", "k", "v", "--if-absent"],
    &["scan"],
    &["batch"],
    &["import", "-"],
    &["export", "out"],
    &["stats"],
    &["stats", "--watch", "--count", "1"],
    &["latency"],
    &["slowlog"],
    &["health"],
    &["check"],
    &["config", "show"],
    &["reload"],
    &["sync"],
    &["flush"],
    &["compact"],
    &["quarantine", "list"],
    &["quarantine", "purge"],
    &["verify"],
];

/// What the LSNs of the document are in this run: each is learned where it is printed first.
#[derive(Default)]
struct Lsns(BTreeMap<String, String>);

impl Lsns {
    /// The text with the LSNs of this run.
    fn given(&self, text: &str) -> String {
        let mut given = String::new();
        let mut rest = text;
        for lsn in lsns_in(text) {
            let (before, behind) = rest.split_once(&lsn).unwrap();
            given += before;
            given += self.0.get(&lsn).unwrap_or(&lsn);
            rest = behind;
        }
        given + rest
    }

    /// What is expected, with the LSNs of this run, which `printed` shows.
    fn learned(&mut self, expected: &str, printed: &str) -> String {
        for (name, lsn) in lsns_in(expected).into_iter().zip(lsns_in(printed)) {
            self.0.entry(name).or_insert(lsn);
        }
        self.given(expected)
    }
}

/// The examples of the document, run by a shell; what they print, both streams, and how they end.
#[test]
fn the_document_shows_what_the_program_does() {
    let daemon = Daemon::start();
    let bin = Path::new(CTL).parent().unwrap().to_str().unwrap();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let mut shown = 0;
    let mut lsns = Lsns::default();
    for block in DOCUMENT.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for example in block.split("$ ").skip(1) {
            let (command, expected) = example.split_once('\n').unwrap();
            let command = lsns.given(command);
            let output = Command::new("sh")
                .args(["-c", &format!("{{ {command}; }} 2>&1")])
                .env("PATH", &path)
                .env("ATLASKV_ADDR", &daemon.address)
                .env("ATLASKV_SOCKET", daemon.socket())
                .current_dir(daemon.home.path())
                .output()
                .unwrap();
            let mut printed = String::from_utf8(output.stdout).unwrap();
            match output.status.code().unwrap() {
                // What takes longer than usual on a busy machine is slow there, and nobody knows it before.
                0 if command.starts_with("atlaskv-ctl slowlog") => printed.clear(),
                0 => {}
                code => printed += &format!("[{code}]\n"),
            }
            assert_eq!(printed, lsns.learned(expected, &printed), "$ {command}");
            shown += 1;
        }
    }
    assert!(shown > 30, "{shown} examples");
}

#[test]
fn the_document_names_every_command() {
    let daemon = Daemon::start();
    for command in COMMANDS {
        assert!(
            DOCUMENT.contains(&format!("`{}", command[0])),
            "{command:?}"
        );
        let help = daemon.well(&[command[0], "--help"]);
        assert!(help.contains("Examples:") && help.contains("Exit codes"));
    }
}

#[test]
fn every_command_has_one_json_document() {
    let daemon = Daemon::start();
    daemon.well(&["put", "k", "v"]);
    for command in COMMANDS {
        let arguments = [&["--format", "json"], command].concat();
        let input: &[u8] = if command[0] == "batch" {
            b"put\tk\tv\n"
        } else {
            b""
        };
        let run = daemon.run_with(&arguments, input);
        // `delete` has removed the key, and `put-if-absent` has set it again.
        let expected = i32::from(matches!(command[0], "exists" | "cas"));
        assert_eq!(run.code, expected, "{run:?}");
        run.document();
    }
}

#[test]
fn every_command_says_that_nobody_is_there() {
    let home = tempfile::tempdir().unwrap();
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let socket = home.path().join("none.sock");
    let target = ["--addr", &nowhere, "--socket", socket.to_str().unwrap()];
    for command in COMMANDS {
        let mut human = ctl(&[&target[..], command].concat());
        human.current_dir(home.path());
        let human = run(human, b"");
        if command == ["check"] {
            assert_eq!(human.code, 2, "a plugin's own codes: {human:?}");
            continue;
        }
        assert_eq!(human.code, 5, "{human:?}");
        assert_eq!(human.text(), "");
        let lines: Vec<&str> = human.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{human:?}");
        assert!(lines[0].starts_with("atlaskv-ctl: cannot reach atlaskvd at "));

        let mut json = ctl(&[&target[..], &["--format=json"], command].concat());
        json.current_dir(home.path());
        let json = run(json, b"");
        assert_eq!(json.code, 5, "{json:?}");
        assert_eq!(json.document()["error"]["code"], "unreachable");
    }
}
