//! The messages' ids, catalog and document agree, and a daemon's log arrives where it should.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::string_slice,
    clippy::print_stderr,
    missing_docs,
    reason = "test code"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use atlaskv::logging::message::{self, Message};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything takes; only a failure waits for it.
const LONG: Duration = Duration::from_secs(120);
const CATALOG: &str = "systemd/atlaskv.catalog";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The catalog's entries: id, header lines, text.
fn catalog() -> Vec<(String, Vec<String>, String)> {
    let text = read(CATALOG);
    let entries = text.split("\n-- ").skip(1);
    entries
        .map(|entry| {
            let (head, text) = entry.split_once("\n\n").unwrap();
            let mut lines = head.lines().map(str::to_owned);
            let id = lines.next().unwrap();
            (id, lines.collect(), text.to_owned())
        })
        .collect()
}

#[test]
fn ids_are_128_bits_and_nobody_shares_one() {
    let ids: BTreeSet<&str> = message::ALL.iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), message::ALL.len());
    for id in ids {
        let is_hex = |letter: char| letter.is_ascii_digit() || ('a'..='f').contains(&letter);
        assert!(id.len() == 32 && id.chars().all(is_hex), "{id}");
    }
}

#[test]
fn the_catalog_explains_every_message_and_no_other() {
    let entries = catalog();
    assert_eq!(entries.len(), message::ALL.len());
    for message in message::ALL {
        let found: Vec<_> = entries.iter().filter(|(id, ..)| id == message.id).collect();
        let [(_, head, text)] = found.as_slice() else {
            panic!("{}: {} entries", message.name, found.len());
        };
        let wanted = [
            format!("Subject: {}", message.subject),
            "Defined-By: AtlasKV".to_owned(),
            "Support: man:atlaskv(7)".to_owned(),
            "Documentation: man:atlaskvd(8)".to_owned(),
        ];
        assert_eq!(head, &wanted, "{}", message.name);
        // A name between two @ is replaced by that field.
        for field in text.split('@').skip(1).step_by(2) {
            let has = |key: &&str| key.to_uppercase() == field;
            assert!(message.fields.iter().any(has), "{}: {field}", message.name);
        }
    }
}

#[test]
fn journalctl_takes_the_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("usr/lib/systemd/catalog");
    fs::create_dir_all(&home).unwrap();
    fs::create_dir_all(dir.path().join("var/lib/systemd/catalog")).unwrap();
    fs::copy(root().join(CATALOG), home.join("atlaskv.catalog")).unwrap();
    let journalctl = |what: &str| {
        let mut command = Command::new("journalctl");
        command.arg(what).arg("--root").arg(dir.path());
        command.output()
    };
    let Ok(update) = journalctl("--update-catalog") else {
        eprintln!("skipped: journalctl is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&update.stderr);
    assert!(update.status.success() && said.is_empty(), "{said}");
    let list = journalctl("--list-catalog").unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let listed: BTreeSet<&str> = list.lines().collect();
    let wanted = message::ALL.iter();
    let wanted: BTreeSet<String> = wanted
        .map(|Message { id, subject, .. }| format!("{id} AtlasKV: {subject}"))
        .collect();
    assert_eq!(listed, wanted.iter().map(String::as_str).collect());
}

#[test]
fn the_document_lists_every_message() {
    let text = read("docs/messages.md");
    let rows: Vec<&str> = text.lines().filter(|line| line.contains(" | `")).collect();
    assert_eq!(rows.len(), message::ALL.len());
    for (row, message) in rows.iter().zip(message::ALL) {
        let keys = message.fields.iter();
        let fields: Vec<String> = keys
            .map(|key| format!("`{}`", key.to_uppercase()))
            .collect();
        let (name, id, subject) = (message.name, message.id, message.subject);
        let start = format!("| {name} | `{id}` | {subject} | {} | ", fields.join(", "));
        assert!(row.starts_with(&start), "{row}\nshould start {start}");
    }
}

/// Every file of Rust below a directory.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn every_line_with_an_id_carries_the_fields_of_its_message() {
    let mut used = BTreeSet::new();
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        for line in text.split("message_id = message::").skip(1) {
            let (keys, _) = line.split_once(';').unwrap();
            let mut keys = keys.split(',').map(str::trim);
            let name = keys.next().unwrap();
            let message = message::ALL.iter().find(|message| message.name == name);
            let keys: Vec<&str> = keys
                .map(|key| key.split([':', ' ']).next().unwrap())
                .collect();
            assert_eq!(
                message.unwrap().fields,
                keys,
                "{name} in {}",
                path.display()
            );
            used.insert(name.to_owned());
        }
    }
    assert!(used.len() > 10, "{used:?}");
}

/// A daemon's home, with sockets that stand for journald's and the syslog daemon's.
struct Home {
    dir: TempDir,
    journal: UnixDatagram,
    syslog: UnixDatagram,
}

/// Makes the sockets of a home the only journal and syslog that a command sees, and runs it.
const SCRIPT: &str = "mount -t tmpfs none /run && mount -t tmpfs none /dev && \
    mkdir -p /run/systemd/journal && \
    ln -s \"$0/journal\" /run/systemd/journal/socket && ln -s \"$0/syslog\" /dev/log && exec \"$@\"";

impl Home {
    /// None where this user may have no namespaces of its own.
    fn new(target: &str) -> Option<Home> {
        let dir = tempfile::tempdir().unwrap();
        let bind = |name: &str| {
            let socket = UnixDatagram::bind(dir.path().join(name)).unwrap();
            socket.set_read_timeout(Some(LONG)).unwrap();
            socket
        };
        let (journal, syslog) = (bind("journal"), bind("syslog"));
        let home = Home {
            dir,
            journal,
            syslog,
        };
        home.configure(&format!("target = {target:?}"));
        let tried = home.command("true").output();
        if tried.is_ok_and(|tried| tried.status.success()) {
            return Some(home);
        }
        eprintln!("skipped: unshare --user --mount is not allowed here");
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn configure(&self, log: &str) {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_socket = {:?}\n\
             [storage]\ndata_dir = {:?}\n[log]\n{log}\n",
            self.path("a.sock"),
            self.path("data"),
        );
        fs::write(self.path("atlaskv.toml"), text).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT]);
        command.arg(self.dir.path()).arg(program);
        command
    }

    /// Starts the daemon. Its standard error is a file that is the journal's, or is not.
    fn start(&self, is_journals: bool) -> Daemon {
        let stderr = File::create(self.path("stderr")).unwrap();
        let meta = stderr.metadata().unwrap();
        let mut command = self.command(env!("CARGO_BIN_EXE_atlaskvd"));
        command.arg("--config").arg(self.path("atlaskv.toml"));
        if is_journals {
            command.env("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()));
        } else {
            command.env_remove("JOURNAL_STREAM");
        }
        let command = command.stdin(Stdio::null()).stderr(stderr);
        Daemon(command.spawn().unwrap())
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap()
    }

    /// The next record with this id; others before it are passed over.
    fn record(&self, id: &str) -> BTreeMap<String, String> {
        loop {
            let mut bytes = vec![0; 65536];
            let length = match self.journal.recv(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                received => received.unwrap(),
            };
            let record = fields(&bytes[..length]);
            if record.get("MESSAGE_ID").is_some_and(|found| found == id) {
                return record;
            }
        }
    }
}

/// A record of the journal's native protocol.
fn fields(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
            fields.insert(text(&line[..equals]), text(&line[equals + 1..]));
            bytes = rest;
        } else {
            let (length, rest) = rest.split_at(8);
            let length = u64::from_le_bytes(length.try_into().unwrap());
            let (value, rest) = rest.split_at(usize::try_from(length).unwrap());
            fields.insert(text(line), text(value));
            bytes = &rest[1..];
        }
    }
    fields
}

/// A daemon, killed when dropped.
struct Daemon(Child);

impl Daemon {
    fn stop(mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_journal_gets_ids_fields_and_priorities_and_every_line_once() {
    let Some(home) = Home::new("auto") else {
        return;
    };
    let daemon = home.start(true);
    let ready = home.record(message::READY);
    assert_eq!(ready["PRIORITY"], "6");
    assert_eq!(ready["SYSLOG_IDENTIFIER"], "atlaskvd");
    assert!(ready["MESSAGE"].contains(" ready on 127.0.0.1:"));

    // Another one finds the directory locked.
    let stderr = fs::read(home.path("stderr")).unwrap();
    let mut second = home.start(true);
    assert_eq!(second.0.wait().unwrap().code(), Some(4));
    let failed = home.record(message::START_FAILED);
    assert_eq!((&*failed["EXIT_CODE"], &*failed["PRIORITY"]), ("4", "3"));

    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(home.record(message::STOPPING)["SIGNAL"], "SIGTERM");
    assert_eq!(home.record(message::STOPPED)["PRIORITY"], "6");

    fs::write(home.path("data/stray\nfile"), "?").unwrap();
    let daemon = home.start(true);
    let aside = home.record(message::QUARANTINED);
    assert!(aside["FILES"].contains("stray\nfile"), "{aside:?}");
    assert!(aside["MESSAGE"].contains("stray file") && aside["PRIORITY"] == "4");
    let recovered = home.record(message::RECOVERED);
    assert_eq!(recovered["OPERATIONS"], "0");
    assert!(recovered.contains_key("LSN"));
    home.record(message::READY);
    assert_eq!(daemon.stop(), Some(0));

    home.configure("level = \"loud\"");
    let mut wrong = home.start(true);
    assert_eq!(wrong.0.wait().unwrap().code(), Some(2));
    assert_eq!(home.record(message::START_FAILED)["EXIT_CODE"], "2");
    let said = String::from_utf8(stderr).unwrap() + &home.stderr();
    assert_eq!(said, "", "the journal has it already");
}

#[test]
fn who_waits_on_standard_error_is_told_when_the_log_goes_elsewhere() {
    let Some(home) = Home::new("journal") else {
        return;
    };
    home.configure("target = \"journal\"\nlevel = \"error\"");
    let daemon = home.start(false);
    home.record(message::READY);
    assert_eq!(daemon.stop(), Some(0));
    let said = home.stderr();
    assert!(
        said.lines().count() == 1 && said.contains("Z info  atlaskvd "),
        "{said}"
    );
    assert!(said.contains(" ready on "), "{said}");

    home.configure("target = \"syslog\"");
    let daemon = home.start(false);
    let mut lines = Vec::new();
    while !lines
        .iter()
        .any(|line: &String| line.contains(" ready on "))
    {
        let mut bytes = vec![0; 8192];
        let length = home.syslog.recv(&mut bytes).unwrap();
        lines.push(String::from_utf8(bytes[..length].to_vec()).unwrap());
    }
    assert_eq!(daemon.stop(), Some(0));
    let pid = lines[0].split(['[', ']']).nth(1).unwrap();
    assert!(lines[0].starts_with("<30>") && lines[0].contains(&format!(" atlaskvd[{pid}]: ")));
    // Everything that was logged has left the process before its end.
    home.syslog.set_nonblocking(true).unwrap();
    let mut last = vec![0; 8192];
    let mut length = 0;
    while let Ok(next) = home.syslog.recv(&mut last) {
        length = next;
    }
    let last = String::from_utf8_lossy(&last[..length]);
    assert!(
        last.ends_with(": stopped: everything is flushed and synced"),
        "{last}"
    );
    assert_eq!(home.stderr().lines().count(), 1, "{}", home.stderr());
}

#[test]
fn without_a_journal_its_lines_go_to_standard_error_with_their_priority() {
    let Some(mut home) = Home::new("journal") else {
        return;
    };
    // Nobody listens there any more.
    home.journal = UnixDatagram::unbound().unwrap();
    home.configure("target = \"journal\"\nlevel = \"warn\"");
    fs::write(home.path("data"), "not a directory").unwrap();
    let mut daemon = home.start(true);
    assert_eq!(daemon.0.wait().unwrap().code(), Some(6));
    let said = home.stderr();
    let lines: Vec<&str> = said.lines().collect();
    let [unreachable, failed] = lines.as_slice() else {
        panic!("{said}");
    };
    assert!(unreachable.starts_with("<4>the journal cannot be reached: "));
    assert!(failed.starts_with("<3>"));
}
