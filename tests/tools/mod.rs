//! What the tests of the offline tools share: how they are run, stores to run them on, and damage.
#![allow(dead_code, reason = "each binary of tests needs a part")]
#![allow(unreachable_pub, reason = "test code")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use atlaskv::storage::{Engine, KIB, Options, RealDisk, WalSyncStrategy};
use serde_json::Value;

pub const VERIFY: &str = env!("CARGO_BIN_EXE_atlaskv-verify");
pub const COMPACT: &str = env!("CARGO_BIN_EXE_atlaskv-compact-offline");
pub const DAEMON: &str = env!("CARGO_BIN_EXE_atlaskvd");
/// A user that is not root, whoever that is.
pub const USER: u32 = 65_534;

/// Runs a tool on a directory, or another path, to its end.
pub fn run(program: &str, arguments: &[&str], path: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).arg(path).output().unwrap()
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The one document of a run with `--format json`, which says the same as the exit code.
pub fn document(program: &str, arguments: &[&str], path: &Path) -> (i32, Value) {
    let output = run(program, &[&["--format", "json"], arguments].concat(), path);
    assert_eq!(stderr(&output), "", "a program's format has no messages");
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let exit = code(&output);
    assert_eq!(document["ok"], exit == 0);
    if exit != 0 {
        assert_eq!(document["error"]["exit"], exit);
    }
    (exit, document)
}

/// An engine on small segments that does nothing by itself, whose every write is synced.
pub fn open(dir: &Path) -> Engine {
    open_with(dir, WalSyncStrategy::EveryWrite, 64 * KIB)
}

pub fn open_with(dir: &Path, sync: WalSyncStrategy, segment_size: usize) -> Engine {
    let options = Options {
        sync,
        segment_size,
        background: false,
        ..Options::default()
    };
    Engine::open(RealDisk::shared(), dir, options).unwrap()
}

/// Everything below a directory, itself included.
pub fn all_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_path_buf()];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The bytes of every file below a directory; the lock file, which tools sign, is left out.
pub fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = all_below(dir).into_iter();
    let files = files.filter(|path| path.is_file() && !path.ends_with("LOCK"));
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    files.map(read).collect()
}

/// The first file below a directory whose name ends so.
pub fn file_with(dir: &Path, ending: &str) -> PathBuf {
    let mut files = content(dir).into_keys();
    files
        .find(|path| path.to_str().unwrap().ends_with(ending))
        .unwrap()
}

/// Flips a bit of the byte at `offset`; a second time mends it.
pub fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Gives a directory and everything below it to a user that is not root.
pub fn give_to_user(dir: &Path) {
    for path in all_below(dir) {
        chown(path, Some(USER), Some(USER)).unwrap();
    }
}

/// Whether root runs this; a test that needs it says that it was skipped.
pub fn is_root(home: &Path) -> bool {
    let root = fs::metadata(home).unwrap().uid() == 0;
    if !root {
        eprintln!("skipped: only root can work in another user's directory");
    }
    root
}

/// A command that runs a copy of a program, made in `home`, as a user that is not root.
pub fn as_user(program: &str, home: &Path) -> Command {
    let own = home.join(Path::new(program).file_name().unwrap());
    fs::copy(program, &own).unwrap();
    let user = USER.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
    command.arg(own);
    command
}
