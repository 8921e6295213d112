//! The real `atlaskv-ctl` against the real `atlaskvd`.
//!
//! Each test has a daemon of its own, on a free port, in a temporary directory, killed by its process
//! number when the test ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "test code"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

const CTL: &str = env!("CARGO_BIN_EXE_atlaskv-ctl");
const DAEMON: &str = env!("CARGO_BIN_EXE_atlaskvd");
const DOCUMENT: &str = include_str!("../docs/ctl.md");

/// A daemon that ends with the test, and the directory it was started in.
struct Daemon {
    child: Child,
    address: String,
    home: TempDir,
}

impl Daemon {
    /// As `make run` starts it, but on a free port.
    fn start() -> Daemon {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(DAEMON)
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(home.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, behind) = line.split_once(" ready on ")?;
            Some(behind.split(',').next().unwrap().to_owned())
        });
        // Nobody reads the log any further, yet it must not fill the pipe.
        thread::spawn(move || lines.for_each(drop));
        Daemon {
            child,
            address: ready.expect("the daemon says that it is ready"),
            home,
        }
    }

    fn socket(&self) -> PathBuf {
        self.home.path().join("atlaskv-data/atlaskv.sock")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A command that talks to this daemon, data over TCP.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = ctl(arguments);
        command
            .env("ATLASKV_ADDR", &self.address)
            .env("ATLASKV_SOCKET", self.socket())
            .current_dir(self.home.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(self.command(arguments), b"")
    }

    fn run_with(&self, arguments: &[&str], input: &[u8]) -> Run {
        run(self.command(arguments), input)
    }

    /// Runs what must go well; gives what it printed.
    fn well(&self, arguments: &[&str]) -> String {
        self.run(arguments).well()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(CTL);
    command
        .args(arguments)
        .env_remove("ATLASKV_ADDR")
        .env_remove("ATLASKV_SOCKET");
    command
}

/// How a run ended.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

impl Run {
    fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    fn well(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self.text()
    }

    /// The one document that was printed; `ok` and the exit code agree.
    fn document(&self) -> Value {
        assert_eq!(self.stderr, "", "{self:?}");
        let text = self.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["ok"], self.code == 0, "{text}");
        if self.code != 0 {
            assert_eq!(document["error"]["exit"], self.code, "{text}");
            assert!(document["error"]["code"].is_string(), "{text}");
            assert!(document["error"]["message"].is_string(), "{text}");
        }
        document
    }
}

fn run(mut command: Command, input: &[u8]) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // What is not read is not wanted.
    let feeder = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Every command, with arguments that are well.
const COMMANDS: [&[&str]; 17] = [
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
    &["sync"],
    &["flush"],
    &["compact"],
    &["quarantine", "list"],
    &["quarantine", "purge"],
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

/// The LSNs of the first epoch in a text, in its order.
fn lsns_in(text: &str) -> Vec<String> {
    let behind = text.split("1/").skip(1);
    let digits = behind.map(|text| text.split(|c: char| !c.is_ascii_digit()).next().unwrap());
    let lsns = digits.filter(|digits| !digits.is_empty());
    lsns.map(|digits| format!("1/{digits}")).collect()
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
                .output()
                .unwrap();
            let mut printed = String::from_utf8(output.stdout).unwrap();
            match output.status.code().unwrap() {
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
        assert!(help.contains("Examples:") && help.contains("Exit codes:"));
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

#[test]
fn wrong_use_is_2() {
    let daemon = Daemon::start();
    for arguments in [
        &[][..],
        &["gte"],
        &["get"],
        &["get", ""],
        &["get", "--hex", "0"],
        &["put", "k"],
        &["cas", "k", "v"],
        &["cas", "k", "--if-absent"],
        &["scan", "--limit", "0"],
        &["sync", "1/999"],
        &["sync", "later"],
        &["--timeout", "0", "ping"],
        &["--format", "xml", "ping"],
        &["--format", "json", "get", "--raw", "k"],
        &["batch"],
    ] {
        let run = daemon.run(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {run:?}");
    }
}

#[test]
fn values_are_bytes() {
    let daemon = Daemon::start();
    let value: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    let put = daemon.run_with(&["put", "bytes", "-"], &value);
    assert_eq!(put.code, 0, "{put:?}");
    assert_eq!(daemon.run(&["get", "--raw", "bytes"]).stdout, value);
    let with_line_end = [&value[..], b"\n"].concat();
    assert_eq!(daemon.run(&["get", "bytes"]).stdout, with_line_end);
    daemon.well(&["put", "empty", ""]);
    assert_eq!(daemon.well(&["get", "empty"]), "\n");
    assert_eq!(daemon.well(&["get", "--raw", "empty"]), "");
    daemon.well(&["put", "number", "-5"]);
    daemon.well(&["put", "--", "--key", "--value"]);
    assert_eq!(daemon.well(&["get", "--", "--key"]), "--value\n");
    assert_eq!(daemon.well(&["get", "number"]), "-5\n");
}

#[test]
fn a_value_over_the_limit_is_refused() {
    let daemon = Daemon::start();
    let run = daemon.run_with(&["put", "k", "-"], &vec![0; (16 << 20) + 1]);
    assert_eq!(run.code, 8, "{run:?}");
    assert!(run.stderr.contains("max_value_size"), "{run:?}");
    assert_eq!(daemon.run(&["exists", "k"]).code, 1);
    daemon.well(&["ping"]);
}

#[test]
fn scans_cover_what_is_asked() {
    let daemon = Daemon::start();
    for key in ["a", "b:1", "b:2", "c"] {
        daemon.well(&["put", key, "v"]);
    }
    let keys = |arguments: &[&str]| {
        let printed = daemon.well(&[&["scan"], arguments].concat());
        printed.replace("\tv\n", " ").trim_end().to_owned()
    };
    assert_eq!(keys(&[]), "a b:1 b:2 c");
    assert_eq!(keys(&["--prefix", "b:"]), "b:1 b:2");
    assert_eq!(keys(&["--from", "b:1", "--to", "c"]), "b:1 b:2");
    assert_eq!(keys(&["--limit", "2", "--reverse"]), "c b:2");
    assert_eq!(keys(&["--prefix", "x"]), "");
    assert_eq!(daemon.well(&["scan", "--hex", "--from", "63"]), "63\t76\n");
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    let daemon = Daemon::start();
    let well = daemon.run_with(&["batch"], b"put\ta\t1\nput\tb\\t\t2\ndelete\ta\n");
    assert_eq!(lsns_in(&well.well()).len(), 1);
    assert_eq!(daemon.well(&["scan"]), "b\\t\t2\n");
    let bad = daemon.run_with(&["batch"], b"put\tc\t3\nput\td\n");
    assert_eq!(bad.code, 2);
    assert!(bad.stderr.contains("line 2 of standard input"), "{bad:?}");
    assert_eq!(daemon.run(&["exists", "c"]).code, 1);
}

/// Entries with every byte, keys in order, as both formats write them.
fn entries() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = (0..5000_u32)
        .map(|number| {
            let byte = number.to_le_bytes()[0];
            let key = [&[byte][..], number.to_string().as_bytes()].concat();
            let value = vec![byte; number as usize % 300];
            (key, value)
        })
        .collect();
    entries.sort();
    entries
}

#[test]
fn what_is_exported_can_be_imported_byte_for_byte() {
    let daemon = Daemon::start();
    let mut tsv = Vec::new();
    for (key, value) in entries() {
        atlaskv::cli::escape::write(&mut tsv, &key).unwrap();
        tsv.push(b'\t');
        atlaskv::cli::escape::write(&mut tsv, &value).unwrap();
        tsv.push(b'\n');
    }
    fs::write(daemon.path("in.tsv"), &tsv).unwrap();
    let imported = daemon.well(&["import", "in.tsv"]);
    assert!(imported.starts_with("imported 5000 entries, durable up to LSN 1/"));
    let exported = daemon.well(&["export", "out.tsv"]);
    assert!(exported.starts_with("exported 5000 entries as of LSN 1/"));
    assert!(fs::read(daemon.path("out.tsv")).unwrap() == tsv);
    assert!(daemon.run(&["export", "-"]).stdout == tsv);
    assert!(daemon.run(&["scan"]).stdout == tsv);
    daemon.well(&["export", "out.jsonl"]);

    let other = Daemon::start();
    let jsonl = fs::read(daemon.path("out.jsonl")).unwrap();
    assert_eq!(jsonl.iter().filter(|byte| **byte == b'\n').count(), 5000);
    let run = other.run_with(&["import", "--input-format", "jsonl", "-"], &jsonl);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(other.run(&["export", "-"]).stdout == tsv);
}

#[test]
fn an_import_that_fails_says_how_far_it_came() {
    let daemon = Daemon::start();
    let mut lines: Vec<u8> = (1..=2000)
        .flat_map(|n| format!("k{n}\tv\n").into_bytes())
        .collect();
    lines.extend_from_slice(b"k2001 v\nk2002\tv\n");
    fs::write(daemon.path("in.tsv"), &lines).unwrap();
    let run = daemon.run(&["import", "in.tsv"]);
    assert_eq!(run.code, 2, "{run:?}");
    for said in ["line 2001 of in.tsv: no tab", "durable (2000)"] {
        assert!(run.stderr.contains(said), "{run:?}");
    }
    assert_eq!(
        daemon
            .run(&["export", "-"])
            .stdout
            .split(|b| *b == b'\n')
            .count(),
        2001
    );

    let large = [b"a\t1\nb\t".as_slice(), &vec![b'x'; 70_000], b"\n"].concat();
    let swapped = [b"a\t1\n".as_slice(), &vec![b'x'; 70_000], b"\t1\nc\t1\n"].concat();
    assert_eq!(daemon.run_with(&["import", "-"], &large).code, 0);
    let run = daemon.run_with(&["--format", "json", "import", "-"], &swapped);
    let document = run.document();
    assert_eq!(run.code, 8, "{document}");
    assert_eq!(document["error"]["code"], "key-too-large");
    assert_eq!(
        (
            &document["line"],
            &document["acknowledged"],
            &document["durable"]
        ),
        (&2.into(), &1.into(), &true.into())
    );
}

#[test]
fn an_export_that_fails_leaves_what_was_there() {
    let daemon = Daemon::start();
    daemon.well(&["put", "k", "v"]);
    fs::write(daemon.path("out"), "old").unwrap();
    let mut nobody = ctl(&["export", "out"]);
    nobody
        .env("ATLASKV_SOCKET", daemon.path("none.sock"))
        .current_dir(daemon.home.path());
    assert_eq!(run(nobody, b"").code, 5);
    assert_eq!(fs::read(daemon.path("out")).unwrap(), b"old");
    let run = daemon.run(&["export", "no/such/dir"]);
    assert_eq!(run.code, 6, "{run:?}");
    daemon.well(&["export", "out"]);
    assert_eq!(fs::read(daemon.path("out")).unwrap(), b"k\tv\n");
    assert_eq!(fs::read_dir(daemon.home.path()).unwrap().count(), 2);
}

#[test]
fn a_reader_that_goes_away_ends_a_scan_quietly() {
    let daemon = Daemon::start();
    for _ in 0..4 {
        let lines = (0..100).map(|n| format!("k{n}\t{}\n", "v".repeat(10_000)));
        let lines: String = lines.collect();
        daemon.run_with(&["import", "-"], lines.as_bytes()).well();
    }
    for arguments in [
        &["scan"][..],
        &["--format", "json", "scan"],
        &["export", "-"],
    ] {
        let mut child = daemon
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut some = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(output.stderr, b"", "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_6() {
    let daemon = Daemon::start();
    daemon.well(&["put", "k", "v"]);
    for arguments in [&["get", "k"][..], &["scan"], &["--format", "json", "stats"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = daemon.command(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(6), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("cannot write to standard output"), "{said}");
    }
}

#[test]
fn the_daemon_is_found_by_flag_environment_and_default() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    let socket = socket.to_str().unwrap();
    let here = |arguments: &[&str]| {
        let mut command = ctl(arguments);
        command.current_dir(daemon.home.path());
        command
    };
    let address = daemon.address.as_str();
    assert_eq!(run(here(&["--addr", address, "ping"]), b"").code, 0);
    assert_eq!(
        run(here(&["--socket", socket, "put", "k", "v"]), b"").code,
        0
    );
    assert_eq!(run(here(&["--socket", socket, "flush"]), b"").code, 0);
    let wrong = run(here(&["--addr", address, "flush"]), b"");
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("--socket"), "{wrong:?}");
    let mut by_environment = here(&["ping"]);
    by_environment.env("ATLASKV_SOCKET", socket);
    assert_eq!(run(by_environment, b"").code, 0);
    // A daemon that runs as a service would be found first.
    if !Path::new("/run/atlaskv/atlaskv.sock").exists() {
        assert_eq!(run(here(&["flush"]), b"").well(), "flushed\n");
    }
}

#[test]
fn administration_shows_in_the_figures() {
    let daemon = Daemon::start();
    for round in 0..3 {
        daemon.well(&["put", "k", &format!("v{round}")]);
        daemon.well(&["flush"]);
    }
    let stats = |name: &str| {
        let document = daemon.run(&["--format", "json", "stats"]).document();
        document["stats"][name].clone()
    };
    assert_eq!(stats("engine.state"), "running");
    assert_eq!(lsns_in(stats("engine.last_lsn").as_str().unwrap()).len(), 1);
    let report = daemon.run(&["--format", "json", "compact"]).document();
    assert_eq!(
        (&report["tables_after"], &report["entries_after"]),
        (&1.into(), &1.into())
    );
    assert_eq!(stats("engine.tables"), 1);
    let human = daemon.well(&["stats"]);
    let tables = human
        .lines()
        .find(|line| line.starts_with("engine.tables "));
    assert_eq!(
        tables.and_then(|line| line.split_whitespace().nth(1)),
        Some("1")
    );
    assert_eq!(lsns_in(&daemon.well(&["sync", "1/2"])).len(), 1);
    assert_eq!(daemon.well(&["quarantine", "purge"]), "");
}
