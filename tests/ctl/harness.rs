//! A daemon, and runs of the tool.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const CTL: &str = env!("CARGO_BIN_EXE_atlaskv-ctl");
pub(crate) const DAEMON: &str = env!("CARGO_BIN_EXE_atlaskvd");

/// A daemon that ends with the test, and the directory it was started in.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) home: TempDir,
}

impl Daemon {
    /// As `make run` starts it, but on a free port.
    pub(crate) fn start() -> Daemon {
        let home = tempfile::tempdir().unwrap();
        let (child, address) = spawn(home.path(), &[]);
        Daemon {
            child,
            address,
            home,
        }
    }

    /// With a configuration file, `atlaskv.toml`.
    pub(crate) fn with_config(text: &str) -> Daemon {
        let home = tempfile::tempdir().unwrap();
        write_config(home.path(), text);
        let (child, address) = spawn(home.path(), &["--config", "atlaskv.toml"]);
        Daemon {
            child,
            address,
            home,
        }
    }

    /// The daemon's file says something else from now on.
    pub(crate) fn rewrite_config(&self, text: &str) {
        write_config(self.home.path(), text);
    }

    /// A crash, and a start after it.
    pub(crate) fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.address) = spawn(self.home.path(), &[]);
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.path().join("atlaskv-data/atlaskv.sock")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A command that talks to this daemon, data over TCP.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = ctl(arguments);
        command
            .env("ATLASKV_ADDR", &self.address)
            .env("ATLASKV_SOCKET", self.socket())
            .current_dir(self.home.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run(self.command(arguments), b"")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Run {
        run(self.command(arguments), input)
    }

    /// Runs what must go well; gives what it printed.
    pub(crate) fn well(&self, arguments: &[&str]) -> String {
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

/// The text, and where this daemon keeps what it has.
fn write_config(home: &Path, text: &str) {
    let data = home.join("atlaskv-data");
    let (server, storage) = (
        format!("[server]\nadmin_socket = {:?}\n", data.join("atlaskv.sock")),
        format!("[storage]\ndata_dir = {data:?}\n"),
    );
    let mut whole = text.to_owned();
    for (section, places) in [("[server]\n", server), ("[storage]\n", storage)] {
        if whole.contains(section) {
            whole = whole.replace(section, &places);
        } else {
            whole += &places;
        }
    }
    std::fs::write(home.join("atlaskv.toml"), whole).unwrap();
}

/// Starts a daemon in `home`; waits until it is ready and gives its address.
fn spawn(home: &Path, arguments: &[&str]) -> (Child, String) {
    let mut child = Command::new(DAEMON)
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .current_dir(home)
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
    (child, ready.expect("the daemon says that it is ready"))
}

pub(crate) fn ctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(CTL);
    command
        .args(arguments)
        .env_remove("ATLASKV_ADDR")
        .env_remove("ATLASKV_SOCKET");
    command
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    pub(crate) fn well(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self.text()
    }

    /// The one document that was printed; `ok` and the exit code agree.
    pub(crate) fn document(&self) -> Value {
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

pub(crate) fn run(mut command: Command, input: &[u8]) -> Run {
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

/// The LSNs of the first epoch in a text, in its order.
pub(crate) fn lsns_in(text: &str) -> Vec<String> {
    let behind = text.split("1/").skip(1);
    let digits = behind.map(|text| text.split(|c: char| !c.is_ascii_digit()).next().unwrap());
    let lsns = digits.filter(|digits| !digits.is_empty());
    lsns.map(|digits| format!("1/{digits}")).collect()
}
