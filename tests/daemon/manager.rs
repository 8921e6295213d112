//! What the service manager is told, on a socket that stands in its place.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Daemon, Home, LONG, figure};

/// In systemd's place.
pub struct Manager {
    _dir: tempfile::TempDir,
    socket: UnixDatagram,
    path: std::path::PathBuf,
    /// Every message, in order.
    heard: Vec<String>,
}

impl Manager {
    pub fn new() -> Manager {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        Manager {
            _dir: dir,
            socket,
            path,
            heard: Vec::new(),
        }
    }

    /// The daemon of `home`, told of this manager.
    pub fn command(&self, home: &Home) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atlaskvd"));
        command.arg("--config").arg(home.config());
        command.env("NOTIFY_SOCKET", &self.path);
        command
    }

    pub fn start(&self, home: &Home) -> Daemon {
        let mut daemon = Daemon::run(self.command(home), home.socket());
        daemon.wait_until_ready();
        daemon
    }

    /// The next message; it must come.
    pub fn next(&mut self) -> String {
        let mut bytes = [0; 4096];
        let length = loop {
            match self.socket.recv(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received.unwrap(),
            }
        };
        let message = String::from_utf8(bytes[..length].to_vec()).unwrap();
        self.heard.push(message.clone());
        message
    }

    /// The first message from now on that has `text`; it must come.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let message = self.next();
            if message.contains(text) {
                return message;
            }
            assert!(Instant::now() < deadline, "{text}: {:?}", self.heard);
        }
    }
}

#[test]
fn it_is_ready_when_it_serves_and_says_how_it_starts_and_stops() {
    let home = Home::new("", "");
    let mut manager = Manager::new();
    let mut daemon = manager.start(&home);
    let ready = manager.wait_for("READY=1");
    assert!(ready.contains("STATUS=serving: 0 entries"), "{ready}");
    assert!(
        ready.contains("sync interval; last start: new store"),
        "{ready}"
    );
    assert_eq!(manager.heard[0], "STATUS=starting\n");
    daemon.client().put(b"apple", b"red").unwrap();
    daemon.kill();

    let daemon = Daemon::run(manager.command(&home), home.socket());
    let ready = manager.wait_for("READY=1");
    assert!(
        ready.contains("after a crash, 1 operations replayed"),
        "{ready}"
    );
    // The listeners were open before it said so.
    daemon.admin().ping().unwrap();
    let mut daemon = daemon;
    daemon.signal(Signal::TERM);
    let stopping = manager.wait_for("STOPPING=1");
    assert!(stopping.contains("STATUS=stopping"), "{stopping}");
    manager.wait_for("STATUS=stopped: everything is flushed and synced");
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.said());
}

#[test]
fn what_was_cut_stays_in_the_status() {
    let home = Home::new("", "sync = \"os-default\"");
    let mut daemon = home.start();
    daemon.client().put(b"apple", b"red").unwrap();
    daemon.kill();
    // The entry's last bytes never reached the disk.
    let mut segments: Vec<_> = std::fs::read_dir(home.data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    segments.sort();
    let path = segments.pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut manager = Manager::new();
    let daemon = manager.start(&home);
    let ready = manager.wait_for("READY=1");
    assert!(ready.contains("cut from LSN"), "{ready}");
    // A later status has it too.
    std::fs::write(home.config(), "no configuration").unwrap();
    daemon.signal(Signal::HUP);
    let changed = manager.wait_for("STATUS=");
    assert!(
        changed.contains("reload refused: ") && changed.contains("cut from LSN"),
        "{changed}"
    );
}

#[test]
fn a_long_start_and_a_long_stop_are_given_time_while_they_get_on() {
    let home = Home::new("", "");
    let mut daemon = home.start();
    let mut client = daemon.client();
    let value = vec![7; 1 << 20];
    for key in 0..48_u32 {
        client.put(&key.to_le_bytes(), &value).unwrap();
    }
    daemon.kill();
    let mut manager = Manager::new();
    let mut daemon = Daemon::run(manager.command(&home), home.socket());
    let sign = manager.wait_for("recovering:");
    assert!(sign.contains("EXTEND_TIMEOUT_USEC=30000000\n"), "{sign}");
    assert!(sign.contains("segment ") && sign.contains(" %"), "{sign}");
    daemon.wait_until_ready();
    manager.wait_for("READY=1");

    let mut client = daemon.client();
    for key in 0..48_u32 {
        client.put(&key.to_le_bytes(), &value).unwrap();
    }
    drop(client);
    daemon.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    let sign = manager.wait_for("final flush");
    assert!(sign.contains("EXTEND_TIMEOUT_USEC=30000000\n"), "{sign}");
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.said());
}

#[test]
fn a_start_that_fails_says_why() {
    let home = Home::new("", "");
    let _first = home.start();
    let mut manager = Manager::new();
    let mut second = Daemon::run(manager.command(&home), home.socket());
    assert_eq!(second.wait().code(), Some(4));
    let failed = manager.wait_for("STATUS=failed: ");
    assert!(failed.contains(home.data().to_str().unwrap()), "{failed}");
    std::fs::write(home.config(), "[server]\nlisten = 1\n").unwrap();
    let mut second = Daemon::run(manager.command(&home), home.socket());
    assert_eq!(second.wait().code(), Some(2));
    let failed = manager.wait_for("STATUS=failed: ");
    assert!(failed.contains("atlaskv.toml:2:"), "{failed}");
}

#[test]
fn the_watchdog_of_an_idle_daemon_is_fed_and_nothing_is_written() {
    let home = Home::new("", "");
    let mut manager = Manager::new();
    let mut command = manager.command(&home);
    command.env("WATCHDOG_USEC", "200000");
    let mut daemon = Daemon::run(command, home.socket());
    daemon.wait_until_ready();
    let mut admin = daemon.admin();
    let before = figure(&mut admin, "engine.log_bytes");
    for _ in 0..10 {
        manager.wait_for("WATCHDOG=1");
    }
    assert_eq!(figure(&mut admin, "engine.log_bytes"), before);
    drop(admin);
    // A stop is judged by its own timeout.
    daemon.signal(Signal::TERM);
    let stopping = manager.wait_for("STOPPING=1");
    assert!(
        stopping.contains("WATCHDOG_USEC=4294967295\n"),
        "{stopping}"
    );
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.said());
}

#[test]
fn a_watchdog_for_another_process_is_not_fed() {
    let home = Home::new("", "");
    let mut manager = Manager::new();
    let mut command = manager.command(&home);
    command
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", "1");
    let mut daemon = Daemon::run(command, home.socket());
    daemon.wait_until_ready();
    manager.wait_for("READY=1");
    // A whole stop later there was time for many.
    thread::sleep(Duration::from_millis(50));
    daemon.signal(Signal::TERM);
    manager.wait_for("STATUS=stopped");
    assert!(
        !manager
            .heard
            .iter()
            .any(|message| message.contains("WATCHDOG"))
    );
    daemon.wait();
}
