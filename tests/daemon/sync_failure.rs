//! A failed sync or write of the shipped binary, by a preloaded library: writing stops before anybody is
//! told otherwise, reads go on, and a restart recovers everything acknowledged.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use atlaskv::client::{Client, ClientError};
use atlaskv::protocol::{ErrorCode, Request};

use crate::harness::{Daemon, Home, figure, stats, wait_until};

/// The library; `None`, and a line that says so, where there is no C compiler.
fn library() -> Option<&'static PathBuf> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = LIBRARY.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/daemon/faulty_disk.c");
        let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faulty_disk.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .args([source, "-ldl"])
            .status();
        match built {
            Ok(status) => {
                assert!(status.success(), "cc: {status}");
                Some(library)
            }
            Err(error) => {
                println!("skipped: the preloaded library needs a C compiler (cc: {error})");
                None
            }
        }
    });
    built.as_ref()
}

/// A daemon on a disk that fails when it is told to.
struct Faulty {
    home: Home,
    daemon: Daemon,
}

impl Faulty {
    fn start(storage: &str) -> Option<Faulty> {
        let library = library()?;
        let home = Home::new("", storage);
        let mut command = Command::new(env!("CARGO_BIN_EXE_atlaskvd"));
        command
            .arg("--config")
            .arg(home.config())
            .env("LD_PRELOAD", library)
            .env("ATLASKV_FAULTS", home.config().with_file_name("faults"))
            .env("ATLASKV_CALLS", home.config().with_file_name("calls"));
        let mut daemon = Daemon::run(command, home.socket());
        daemon.wait_until_ready();
        Some(Faulty { home, daemon })
    }

    /// From now on calls fail so; see `faulty_disk.c`.
    fn fail(&self, fault: &str) {
        let path = self.home.config().with_file_name("faults");
        let whole = path.with_extension("new");
        std::fs::write(&whole, fault).unwrap();
        std::fs::rename(whole, path).unwrap();
    }

    /// Every sync, and every call that failed.
    fn calls(&self) -> Vec<String> {
        let path = self.home.config().with_file_name("calls");
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The file whose call failed gets no second one.
    fn check_no_second_call(&self) {
        let calls = self.calls();
        let failed = calls.iter().position(|call| call.ends_with(" failed"));
        let failed = failed.expect("nothing failed");
        let file = calls[failed].split(' ').nth(1).unwrap();
        let again = calls[failed + 1..]
            .iter()
            .find(|call| call.split(' ').nth(1) == Some(file));
        assert_eq!(again, None, "after {}", calls[failed]);
    }

    /// The daemon without the faults, after this one was killed or has ended.
    fn restart(&mut self) -> Daemon {
        self.daemon.kill();
        self.home.start()
    }
}

fn code(outcome: Result<u64, ClientError>) -> ErrorCode {
    outcome.unwrap_err().code().unwrap()
}

/// Writes once, and waits for the mark that follows: no mark follows a mark, so that a fault is met by nothing but
/// what the test does.
fn keep(client: &mut Client) {
    let lsn = client.put(b"kept", b"v").unwrap();
    wait_until("the mark is durable", || {
        let last = figure(client, "engine.last_lsn");
        last > lsn && figure(client, "engine.durable_lsn") == last
    });
}

fn value(client: &mut Client, key: &[u8]) -> Option<Vec<u8>> {
    client.get(key).unwrap().map(|found| found.value.to_vec())
}

/// Writing has stopped: reads are answered, writes refused with their code, the figures say so.
fn check_stopped(faulty: &Faulty) {
    let mut client = faulty.daemon.client();
    assert_eq!(code(client.put(b"later", b"v")), ErrorCode::ReadOnly);
    assert_eq!(code(client.delete(b"kept")), ErrorCode::ReadOnly);
    assert_eq!(value(&mut client, b"kept").unwrap(), b"v");
    assert_eq!(stats(&mut client)["engine.state"], "read-only");
}

/// After a restart all that was acknowledged is there, nothing that was refused, and writes go on.
fn check_recovered(faulty: &mut Faulty, key_of_unknown_outcome: Option<&[u8]>) {
    let daemon = faulty.restart();
    let mut client = daemon.client();
    assert_eq!(value(&mut client, b"kept").unwrap(), b"v");
    assert_eq!(value(&mut client, b"later"), None);
    if let Some(key) = key_of_unknown_outcome {
        let found = value(&mut client, key);
        assert!(found.is_none_or(|found| found == b"w"));
    }
    client.put(b"after", b"v").unwrap();
    assert_eq!(stats(&mut client)["engine.state"], "running");
}

#[test]
fn a_failed_sync_of_the_log_stops_writing() {
    // Failing once is the trap: whoever syncs again is told that all is well.
    for how in ["once", "always"] {
        let Some(mut faulty) = Faulty::start("sync = \"every-write\"") else {
            return;
        };
        let mut client = faulty.daemon.client();
        keep(&mut client);
        faulty.fail(&format!("sync .log {how}"));
        let mut pipeline = client.pipeline();
        for _ in 0..8 {
            let (key, value) = (b"unknown", b"w");
            pipeline.send(&Request::Put { key, value }).unwrap();
        }
        pipeline.flush();
        let mut unknown = 0;
        for number in 0..8 {
            // An answer that the write is done is a lie.
            let error = pipeline.receive().unwrap_err();
            let code = error.code().unwrap();
            let typed = [ErrorCode::OutcomeUnknown, ErrorCode::ReadOnly];
            assert!(typed.contains(&code), "{how}, {number}: {error}");
            unknown += u32::from(code == ErrorCode::OutcomeUnknown);
        }
        assert!(unknown > 0);
        drop(pipeline);
        // What is not durable is not seen.
        assert_eq!(value(&mut client, b"unknown"), None);
        check_stopped(&faulty);
        faulty.check_no_second_call();
        check_recovered(&mut faulty, Some(b"unknown"));
    }
}

#[test]
fn a_failed_sync_in_the_background_stops_writing() {
    let Some(mut faulty) = Faulty::start("sync_interval_ms = 5") else {
        return;
    };
    let mut client = faulty.daemon.client();
    let lsn = client.put(b"kept", b"v").unwrap();
    client.sync(Some(lsn)).unwrap();
    faulty.fail("sync .log once");
    // It may be refused already, or answered: the policy promises no more.
    let _ = client.put(b"unknown", b"w");
    wait_until("the background sync fails", || {
        stats(&mut faulty.daemon.client())["engine.state"] == "read-only"
    });
    check_stopped(&faulty);
    faulty.check_no_second_call();
    check_recovered(&mut faulty, Some(b"unknown"));
}

#[test]
fn a_failed_sync_of_manifest_or_directory_stops_writing() {
    for file in ["MANIFEST.tmp", "/data"] {
        let Some(mut faulty) = Faulty::start("") else {
            return;
        };
        keep(&mut faulty.daemon.client());
        faulty.fail(&format!("sync {file} once"));
        faulty.daemon.admin().flush().unwrap_err();
        check_stopped(&faulty);
        faulty.check_no_second_call();
        check_recovered(&mut faulty, None);
    }
}

/// Nothing depends on a table that is not finished: it is written again, to another file.
#[test]
fn a_failed_sync_of_a_new_table_is_made_up_for() {
    let Some(mut faulty) = Faulty::start("") else {
        return;
    };
    let mut client = faulty.daemon.client();
    keep(&mut client);
    faulty.fail("sync .sst.tmp once");
    // The engine's thread and this request both try; whichever met the fault, one more is well.
    let _ = faulty.daemon.admin().flush();
    faulty.daemon.admin().flush().unwrap();
    faulty.check_no_second_call();
    let figures = stats(&mut client);
    assert_eq!(figures["engine.state"], "running");
    assert_eq!(figures["engine.tables"], "1");
    check_recovered(&mut faulty, None);
}

#[test]
fn a_failed_write_to_the_log_stops_writing() {
    let Some(mut faulty) = Faulty::start("sync = \"every-write\"") else {
        return;
    };
    let mut client = faulty.daemon.client();
    keep(&mut client);
    faulty.fail("write .log once");
    assert_eq!(
        code(client.put(b"unknown", b"w")),
        ErrorCode::OutcomeUnknown
    );
    check_stopped(&faulty);
    check_recovered(&mut faulty, Some(b"unknown"));
}

#[test]
fn a_short_write_is_carried_on() {
    let Some(mut faulty) = Faulty::start("") else {
        return;
    };
    let mut client = faulty.daemon.client();
    keep(&mut client);
    faulty.fail("write .log short");
    client.put(b"halved", &[7; 10_000]).unwrap();
    assert!(faulty.calls().iter().any(|call| call.ends_with(" short")));
    let daemon = faulty.restart();
    let mut client = daemon.client();
    assert_eq!(value(&mut client, b"kept").unwrap(), b"v");
    assert_eq!(value(&mut client, b"halved").unwrap(), [7; 10_000]);
}

#[test]
fn with_exit_a_failed_sync_ends_the_daemon() {
    let storage = "sync = \"every-write\"\non_sync_failure = \"exit\"";
    let Some(mut faulty) = Faulty::start(storage) else {
        return;
    };
    let mut client = faulty.daemon.client();
    keep(&mut client);
    faulty.fail("sync .log once");
    // The answer and the end of the daemon race; an answer that the write is done is a lie.
    client.put(b"unknown", b"w").unwrap_err();
    let status = faulty.daemon.wait();
    assert_eq!(status.code(), Some(6), "{}", faulty.daemon.said());
    faulty.check_no_second_call();
    check_recovered(&mut faulty, Some(b"unknown"));
}
