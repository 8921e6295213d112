//! `atlaskv-compact-offline` as a program: the dry run, the room that it needs, signals and kills.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    missing_docs,
    reason = "test code"
)]

mod tools;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use atlaskv::storage::{Engine, KIB, ScanRange, WalSyncStrategy};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use tools::{COMPACT, DAEMON, as_user, give_to_user, stderr, stdout};

/// One test at a time: a process that another test begins holds for a moment every lock file that is open
/// here, until it has become its program.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(arguments: &[&str], dir: &Path) -> Output {
    tools::run(COMPACT, arguments, dir)
}

fn document(arguments: &[&str], dir: &Path) -> (i32, Value) {
    tools::document(COMPACT, arguments, dir)
}

fn open(dir: &Path) -> Engine {
    tools::open_with(dir, WalSyncStrategy::OsDefault, 8192 * KIB)
}

/// A closed store of some tables with values of this size, half of them overwritten.
fn store(values: usize, size: usize) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let engine = open(&dir);
    for (round, range) in [(1, 0..values), (2, values / 2..values)] {
        for number in range {
            let key = format!("key{number:06}");
            engine.put(key.as_bytes(), &vec![round; size]).unwrap();
        }
        engine.delete(b"key000000").unwrap();
        engine.flush().unwrap();
    }
    engine.close().unwrap();
    (home, dir)
}

/// Every key with the first byte and the length of its value.
fn contents(dir: &Path) -> BTreeMap<Vec<u8>, (u8, usize)> {
    let engine = open(dir);
    let mut scan = engine.scan(&ScanRange::default()).unwrap();
    let mut found = BTreeMap::new();
    loop {
        let page = scan.next_page(1000, 1 << 24, &mut |_| Ok(())).unwrap();
        for (key, value, _) in page.entries {
            found.insert(key.to_vec(), (value[0], value.len()));
        }
        if page.done {
            return found;
        }
    }
}

/// Bytes and time of every file, the lock file left out.
fn state(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("LOCK") {
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            found.insert(path.clone(), (fs::read(&path).unwrap(), time));
        }
    }
    let time = fs::metadata(dir).unwrap().modified().unwrap();
    found.insert(dir.to_path_buf(), (Vec::new(), time));
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        // Its bytes mean nothing, and it would be copied with room of its own.
        if !path.ends_with("RESERVE.tmp") {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

fn names(dir: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(ending)).collect()
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_would_be_done() {
    let _turn = turn();
    let (_home, dir) = store(100, 100);
    drop(contents(&dir));
    let engine = open(&dir);
    engine.put(b"in the log", b"value").unwrap();
    drop(engine);
    let before = state(&dir);
    let (exit, dry) = document(&["--dry-run"], &dir);
    assert_eq!((exit, &dry["compacted"]), (0, &false.into()), "{dry}");
    let plan = &dry["plan"];
    assert_eq!(
        (&plan["tables"], &plan["tombstones"]),
        (&2.into(), &2.into())
    );
    assert_eq!(plan["recovery"][0], "operations to replay from the log: 1");
    assert!(
        plan["bytes_free"].as_u64() > plan["bytes_needed"].as_u64(),
        "{plan}"
    );
    let output = run(&["--dry-run"], &dir);
    assert_eq!(output.status.code(), Some(0));
    let told = stdout(&output);
    assert!(
        told.ends_with("\na dry run: nothing was changed\n"),
        "{told}"
    );
    assert!(state(&dir) == before, "a file has changed");

    let (exit, done) = document(&[], &dir);
    assert_eq!((exit, &done["compacted"]), (0, &true.into()), "{done}");
    // The tombstones of both tables, the value that they hid, and fifty overwritten ones.
    let dropped = (&done["tombstones_dropped"], &done["shadowed_dropped"]);
    assert_eq!(dropped, (&1.into(), &51.into()), "{done}");
    // Now it is compact: neither run touches it.
    let before = state(&dir);
    let (exit, dry) = document(&["--dry-run"], &dir);
    assert_eq!((exit, &dry["plan"]["compact"]), (0, &true.into()), "{dry}");
    let (exit, done) = document(&[], &dir);
    assert_eq!((exit, &done["compacted"]), (0, &false.into()), "{done}");
    let told = stdout(&run(&[], &dir));
    assert!(told.starts_with("already compact: "), "{told}");
    assert!(state(&dir) == before, "a file has changed");
    assert_eq!(contents(&dir).len(), 100);
}

/// A small file system that goes away with this.
struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn too_little_room_is_refused_with_both_numbers() {
    let _turn = turn();
    let (home, dir) = store(100, 10_000);
    let place = home.path().join("small");
    fs::create_dir(&place).unwrap();
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=10m", "tmpfs"])
        .arg(&place);
    if !mount.output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let _small = SmallDisk(place.clone());
    let small = place.join("data");
    copy(&dir, &small);
    let before = state(&small);
    for arguments in [&[][..], &["--dry-run"]] {
        let output = run(arguments, &small);
        assert_eq!(output.status.code(), Some(8));
        let (exit, refused) = document(arguments, &small);
        assert_eq!((exit, &refused["error"]["code"]), (8, &"refused".into()));
        let numbers = if arguments.is_empty() {
            &refused
        } else {
            &refused["plan"]
        };
        for name in ["bytes_needed", "bytes_free"] {
            let number = numbers[name].as_u64().unwrap().to_string();
            let told = stderr(&output);
            assert!(told.contains(&number), "{name} {number} is not in {told}");
        }
    }
    assert!(state(&small) == before, "a file has changed");
}

/// A run that has begun to merge, stopped in the middle by SIGSTOP; `None`: it was faster.
fn in_the_middle(dir: &Path) -> Option<Child> {
    let mut command = Command::new(COMPACT);
    command
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if !names(dir, ".sst.tmp").is_empty() {
            signal(&child, Signal::STOP);
            return Some(child);
        }
        std::thread::yield_now();
    }
    None
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Runs it on a copy, sends these signals in the middle, and checks that all data is there.
fn strike(dir: &Path, home: &Path, signals: &[Signal]) -> Option<(Output, PathBuf)> {
    let target = home.join("copy");
    let _ = fs::remove_dir_all(&target);
    copy(dir, &target);
    let child = in_the_middle(&target)?;
    for number in signals {
        signal(&child, *number);
    }
    signal(&child, Signal::CONT);
    let output = child.wait_with_output().unwrap();
    Some((output, target))
}

#[test]
fn a_signal_stops_it_and_nothing_is_lost() {
    let _turn = turn();
    let (home, dir) = store(4000, 4000);
    let expected = contents(&dir);
    let tables = names(&dir, ".sst").len();
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut interrupted = 0;
        for round in 0..3 {
            let Some((output, target)) = strike(&dir, home.path(), &[sent]) else {
                continue;
            };
            let told = stderr(&output);
            if output.status.code() == Some(code) {
                interrupted += 1;
                assert!(told.contains("nothing was lost"), "{told}");
                let left = names(&target, ".sst.tmp");
                assert!(left.is_empty(), "{left:?}");
                assert_eq!(names(&target, ".sst").len(), tables);
            } else {
                assert_eq!(output.status.code(), Some(0), "round {round}: {told}");
            }
            assert!(contents(&target) == expected, "round {round}");
        }
        assert!(interrupted > 0, "{sent:?} never came in time");
    }
}

#[test]
fn a_second_signal_and_a_kill_end_it_at_once_and_nothing_is_lost() {
    let _turn = turn();
    let (home, dir) = store(4000, 4000);
    let expected = contents(&dir);
    let mut struck = 0;
    for round in 0..6 {
        let signals: &[Signal] = match round % 2 {
            0 => &[Signal::INT, Signal::TERM],
            _ => &[Signal::KILL],
        };
        let Some((output, target)) = strike(&dir, home.path(), signals) else {
            continue;
        };
        struck += 1;
        match output.status.code() {
            Some(code) => assert!(code == 130 || code == 143, "{code}"),
            None => assert_eq!(signals, [Signal::KILL]),
        }
        assert_eq!(stderr(&output), "");
        assert!(contents(&target) == expected, "round {round}");
        // And a new run goes through.
        let again = run(&[], &target);
        assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
        assert_eq!(names(&target, ".sst").len(), 1);
        assert!(contents(&target) == expected, "round {round}, again");
    }
    assert!(struck > 0, "it was always faster");
}

#[test]
fn a_running_daemons_directory_is_refused_at_once() {
    let _turn = turn();
    let (home, dir) = store(10, 10);
    let mut command = Command::new(DAEMON);
    command.arg("--data-dir").arg(&dir);
    command.args(["--listen", "127.0.0.1:0", "--admin-socket"]);
    command.arg(home.path().join("socket"));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("ready") && lines.read_line(&mut told).unwrap() > 0 {}
    let holder = format!("atlaskvd, process {}", child.id());
    let refused = [&[][..], &["--dry-run"]].map(|arguments| run(arguments, &dir));
    child.kill().unwrap();
    child.wait().unwrap();
    for output in refused {
        assert_eq!(output.status.code(), Some(4), "{told}");
        assert!(stderr(&output).contains(&holder), "{}", stderr(&output));
    }
}

#[test]
fn a_directory_that_cannot_be_compacted_is_named_and_left_alone() {
    let _turn = turn();
    let (home, dir) = store(10, 10);
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let manifest = dir.join("MANIFEST");
    for (path, words) in [
        (&home.path().join("none"), "does not exist"),
        (&manifest, "is not a directory"),
        (&empty, "holds no AtlasKV store"),
    ] {
        for arguments in [&[][..], &["--dry-run"]] {
            let output = run(arguments, path);
            assert_eq!(output.status.code(), Some(2), "{words}");
            assert!(stderr(&output).contains(words), "{}", stderr(&output));
        }
    }
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    read_only(home.path(), &dir);
}

/// As the directory's owner, who may not write there.
fn read_only(home: &Path, dir: &Path) {
    let expected = contents(dir);
    let root = fs::metadata(home).unwrap().uid() == 0;
    let mut command = Command::new(COMPACT);
    if root {
        fs::set_permissions(home, fs::Permissions::from_mode(0o755)).unwrap();
        give_to_user(dir);
        command = as_user(COMPACT, home);
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o500)).unwrap();
    let before = state(dir);
    let output = command.arg(dir).output().unwrap();
    assert_eq!(output.status.code(), Some(8), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(told.contains(dir.to_str().unwrap()), "{told}");
    assert!(told.contains("must belong to the user"), "{told}");
    assert!(state(dir) == before, "a file has changed");
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    if root {
        chown(dir, Some(0), Some(0)).unwrap();
    }
    assert!(contents(dir) == expected);
}
