//! Directories written by every format version that ever landed open, read and go on, and become
//! directories of the present version by compaction. A newer one is refused by every program.
//!
//! What stands in `tests/fixtures` is frozen: written once by the program of that version with
//! `cargo test --locked --test compatibility -- --ignored`, never written again (docs/format.md).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test code"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use atlaskv::storage::verify::{Verdict, VerifyOptions, verify};
use atlaskv::storage::{Engine, KIB, Operation, Options, RealDisk, ScanRange};
use serde_json::Value;
use tempfile::TempDir;

const DAEMON: &str = env!("CARGO_BIN_EXE_atlaskvd");
const VERIFY: &str = env!("CARGO_BIN_EXE_atlaskv-verify");
const COMPACT: &str = env!("CARGO_BIN_EXE_atlaskv-compact-offline");

/// Of manifest and segment: magic (8), version (4), checksum (4) over all but itself.
const VERSION_AT: usize = 8;
const CRC_AT: usize = 12;
const SEGMENT_HEADER: usize = 4096;
/// Of a table: magic (4), version (2), flags (2), file id (8).
const TABLE_VERSION_AT: usize = 4;
const TABLE_FLAGS_AT: usize = 6;
const TABLE_HEADER: usize = 16;
/// Number of entries (8), checksum (4), magic (4).
const TABLE_FOOTER: usize = 16;
/// No program of today knows it.
const NEWER: u8 = 77;

fn options() -> Options {
    Options {
        memtable_size: 8 * KIB,
        segment_size: 8 * KIB,
        background: false,
        ..Options::default()
    }
}

/// What each frozen directory holds.
fn contents() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut contents = BTreeMap::new();
    for number in 0..120_u32 {
        contents.insert(format!("key{number:03}").into_bytes(), vec![b'a'; 40]);
    }
    for number in (0..120_u32).step_by(3) {
        contents.insert(
            format!("key{number:03}").into_bytes(),
            number.to_le_bytes().to_vec(),
        );
    }
    for number in (0..120_u32).step_by(7) {
        contents.remove(format!("key{number:03}").as_bytes());
    }
    contents.insert(vec![0, 255, 10], Vec::new());
    contents.insert(b"batch-1".to_vec(), b"one".to_vec());
    contents.insert(b"batch-2".to_vec(), b"two".to_vec());
    contents
}

fn write_contents(engine: &Engine) {
    for number in 0..120_u32 {
        engine
            .put(format!("key{number:03}").as_bytes(), &[b'a'; 40])
            .unwrap();
    }
    engine.flush().unwrap();
    for number in (0..120_u32).step_by(3) {
        engine
            .put(format!("key{number:03}").as_bytes(), &number.to_le_bytes())
            .unwrap();
    }
    engine.flush().unwrap();
    for number in (0..120_u32).step_by(7) {
        engine.delete(format!("key{number:03}").as_bytes()).unwrap();
    }
    engine.sync().unwrap();
    engine.maintain().unwrap();
    engine.put(&[0, 255, 10], b"").unwrap();
    engine.flush().unwrap();
    let batch = [
        Operation::Put {
            key: b"batch-1",
            value: b"one",
        },
        Operation::Put {
            key: b"batch-2",
            value: b"two",
        },
    ];
    engine.write(&batch).unwrap();
}

fn read_contents(engine: &Engine) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut scan = engine.scan(&ScanRange::default()).unwrap();
    let page = scan.next_page(10_000, 1 << 20, &mut |_| Ok(())).unwrap();
    assert!(page.done);
    page.entries
        .into_iter()
        .map(|(key, value, _)| (key.to_vec(), value.to_vec()))
        .collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The frozen directories, sorted.
fn frozen() -> Vec<PathBuf> {
    let listing = fs::read_dir(fixtures()).unwrap();
    let mut all: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    assert!(!all.is_empty(), "no frozen directory was found");
    all
}

/// A copy of a frozen directory, as the daemon would have left it.
fn thaw(version: &Path) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    for (name, bytes) in files(version) {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    (home, dir)
}

/// What stands in a directory, by name; the lock file apart, which names a process.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name != "LOCK" && entry.path().is_file() {
            files.insert(name, fs::read(entry.path()).unwrap());
        } else if name != "LOCK" {
            files.insert(name, Vec::new());
        }
    }
    files
}

fn is_table(name: &str) -> bool {
    name.ends_with(".sst")
}

/// The version that a file states.
fn version_of(name: &str, bytes: &[u8]) -> u32 {
    if is_table(name) {
        let field = bytes[TABLE_VERSION_AT..TABLE_FLAGS_AT].try_into().unwrap();
        return u32::from(u16::from_le_bytes(field));
    }
    u32::from_le_bytes(bytes[VERSION_AT..CRC_AT].try_into().unwrap())
}

/// The versions of manifest, segments and tables.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Versions([BTreeSet<u32>; 3]);

fn versions(dir: &Path) -> Versions {
    let mut versions = Versions([const { BTreeSet::new() }; 3]);
    for (name, bytes) in files(dir) {
        let kind = match name.as_str() {
            "MANIFEST" => 0,
            name if name.ends_with(".log") => 1,
            name if is_table(name) => 2,
            _ => continue,
        };
        versions.0[kind].insert(version_of(&name, &bytes));
    }
    versions
}

/// A store that this program has written, its log not closed: it holds what is not in tables.
fn written() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let engine = Engine::open(RealDisk::shared(), &dir, options()).unwrap();
    write_contents(&engine);
    drop(engine);
    (home, dir)
}

/// The name of a frozen directory: the version of the manifest, and those of segments and tables where
/// they are others.
fn frozen_name(versions: &Versions) -> String {
    let [manifest, segment, table] = versions.0.each_ref().map(|kind| {
        assert_eq!(kind.len(), 1, "{versions:?}");
        *kind.first().unwrap()
    });
    let mut name = format!("v{manifest}");
    for (kind, version) in [("segment", segment), ("table", table)] {
        if version != manifest {
            name += &format!("-{kind}{version}");
        }
    }
    name
}

#[test]
#[ignore = "writes the frozen directory of the present version; run once for each version"]
fn freeze_this_version() {
    let (_home, dir) = written();
    let frozen = fixtures().join(frozen_name(&versions(&dir)));
    assert!(!frozen.exists(), "{} is frozen", frozen.display());
    fs::create_dir(&frozen).unwrap();
    // Room held back for a full disk is no part of a format.
    let formatted = files(&dir).into_iter();
    for (name, bytes) in formatted.filter(|(name, _)| !name.ends_with(".tmp")) {
        fs::write(frozen.join(name), bytes).unwrap();
    }
}

#[test]
fn the_present_version_is_frozen() {
    let (_home, dir) = written();
    let name = frozen_name(&versions(&dir));
    assert!(
        fixtures().join(&name).join("MANIFEST").exists(),
        "freeze {name} as docs/format.md says"
    );
}

fn check_sound(dir: &Path) {
    let report = verify(&RealDisk, dir, VerifyOptions::default()).unwrap();
    assert_eq!(report.verdict, Verdict::Sound, "{report:#?}");
}

fn check_contents(engine: &Engine) {
    assert_eq!(read_contents(engine), contents());
    for (key, value) in contents() {
        assert_eq!(engine.get(&key).unwrap().unwrap().value, value);
    }
}

/// That a directory is of the present version, and none of its tables one of the frozen directory.
fn check_upgraded(dir: &Path, version: &Path) {
    let (_home, present) = written();
    assert_eq!(versions(dir), versions(&present), "{}", version.display());
    let old = files(version);
    let kept = files(dir)
        .into_keys()
        .find(|name| is_table(name) && old.contains_key(name));
    assert_eq!(kept, None, "not written again");
}

#[test]
fn every_frozen_directory_opens_reads_and_goes_on() {
    for version in frozen() {
        let (_home, dir) = thaw(&version);
        check_sound(&dir);
        for round in 0..2 {
            let engine = Engine::open(RealDisk::shared(), &dir, options()).unwrap();
            let report = engine.recovery_report();
            assert_eq!(
                (report.cut_from, &report.quarantined),
                (None, &Vec::new()),
                "{report:?}"
            );
            assert_eq!(report.replayed_operations > 0, round == 0, "{report:?}");
            check_contents(&engine);
            let summary = engine.compact().unwrap();
            let count = u64::try_from(contents().len()).unwrap();
            assert_eq!(summary.entries_after, count);
            check_contents(&engine);
            check_upgraded(&dir, &version);
            engine.close().unwrap();
            drop(engine);
            check_sound(&dir);
        }
    }
}

fn run(program: &str, arguments: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).arg(dir).output().unwrap()
}

#[test]
fn every_frozen_directory_is_upgraded_offline() {
    for version in frozen() {
        let (_home, dir) = thaw(&version);
        let before = files(&dir);
        let sound = run(VERIFY, &[], &dir);
        assert_eq!(sound.status.code(), Some(0), "{sound:?}");
        assert_eq!(files(&dir), before, "verifying changes nothing");
        let compacted = run(COMPACT, &[], &dir);
        assert_eq!(compacted.status.code(), Some(0), "{compacted:?}");
        check_upgraded(&dir, &version);
        let sound = run(VERIFY, &[], &dir);
        assert_eq!(sound.status.code(), Some(0), "{sound:?}");
        let engine = Engine::open(RealDisk::shared(), &dir, options()).unwrap();
        assert!(engine.recovery_report().clean_shutdown);
        check_contents(&engine);
    }
}

/// A store compacted by a program of table version 1: one table without tombstones, and nothing in the log.
fn lone() -> (TempDir, PathBuf, PathBuf) {
    let version = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures-lone/v1");
    let (home, dir) = thaw(&version);
    check_sound(&dir);
    (home, dir, version)
}

/// Such a table is as compact as it can be, and yet made anew.
#[test]
fn a_lone_table_of_an_earlier_version_is_made_anew() {
    let (_home, dir, version) = lone();
    let engine = Engine::open(RealDisk::shared(), &dir, options()).unwrap();
    check_contents(&engine);
    engine.compact().unwrap();
    check_contents(&engine);
    check_upgraded(&dir, &version);
    engine.close().unwrap();
    drop(engine);
    check_sound(&dir);

    let (_home, dir, version) = lone();
    let compacted = run(COMPACT, &[], &dir);
    assert_eq!(compacted.status.code(), Some(0), "{compacted:?}");
    check_upgraded(&dir, &version);
    let before = files(&dir);
    let again = run(COMPACT, &[], &dir);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert_eq!(files(&dir), before, "it is compact now");
    let engine = Engine::open(RealDisk::shared(), &dir, options()).unwrap();
    check_contents(&engine);
}

/// The checksum of manifest or segment header, made right.
fn seal(bytes: &mut [u8]) {
    let covered = [&bytes[..CRC_AT], &bytes[CRC_AT + 4..]].concat();
    bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc32fast::hash(&covered).to_le_bytes());
}

/// The checksum in a table's footer, made right: it covers file id, offset of the footer, header and
/// number of entries.
fn seal_table(bytes: &mut [u8]) {
    let footer = bytes.len() - TABLE_FOOTER;
    let offset = u64::try_from(footer).unwrap().to_le_bytes();
    let covered = [
        &bytes[8..TABLE_HEADER],
        &offset,
        &bytes[..TABLE_HEADER],
        &bytes[footer..footer + 8],
    ];
    let sum = crc32fast::hash(&covered.concat());
    bytes[footer + 8..footer + 12].copy_from_slice(&sum.to_le_bytes());
}

/// Makes a file one of a newer version; `sealed`: its checksum is right.
fn make_newer(dir: &Path, name: &str, sealed: bool) {
    let path = dir.join(name);
    let mut bytes = fs::read(&path).unwrap();
    let (at, end) = match name {
        name if is_table(name) => (TABLE_VERSION_AT, bytes.len()),
        "MANIFEST" => (VERSION_AT, bytes.len()),
        _ => (VERSION_AT, SEGMENT_HEADER),
    };
    bytes[at] = NEWER;
    match sealed {
        true if is_table(name) => seal_table(&mut bytes),
        true => seal(&mut bytes[..end]),
        false => {}
    }
    fs::write(path, bytes).unwrap();
}

/// Runs the daemon on a directory, which it must refuse: its exit code and what it said.
fn daemon(dir: &Path) -> (Option<i32>, String) {
    let home = dir.parent().unwrap();
    let mut child = Command::new(DAEMON)
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir)
        .arg("--admin-socket")
        .arg(home.join("a.sock"))
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        said += &line.unwrap();
        said.push('\n');
        if said.contains(" ready on ") {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it serves: {said}");
        }
    }
    (child.wait().unwrap().code(), said)
}

/// That every program refuses a directory for this file of a newer version, which it does not change.
fn check_refused(dir: &Path, name: &str, supported: u32) {
    let before = files(dir);
    let path = dir.join(name);
    let told = format!(
        "{} has format version {NEWER}; this program reads versions up to {supported}",
        path.display()
    );
    let tools: [(&str, &[&str]); 3] = [(VERIFY, &[]), (VERIFY, &["--quick"]), (COMPACT, &[])];
    for (program, arguments) in tools {
        let human = run(program, arguments, dir);
        let said = String::from_utf8(human.stderr).unwrap();
        assert_eq!(human.status.code(), Some(7), "{program} {name}: {said}");
        assert!(said.contains(&told), "{program}: {said}");
        assert!(human.stdout.is_empty(), "{program} {name}");

        let json = run(program, &[arguments, &["--format", "json"]].concat(), dir);
        assert_eq!(json.status.code(), Some(7), "{program} {name}: {json:?}");
        assert!(json.stderr.is_empty(), "{program}: {json:?}");
        let document: Value = serde_json::from_slice(&json.stdout).unwrap();
        let error = &document["error"];
        assert_eq!(document["ok"], false);
        assert_eq!(
            (&error["exit"], &error["code"]),
            (&7.into(), &"newer-format".into())
        );
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&told), "{program}: {message}");
        assert_eq!(files(dir), before, "{program} {name}");
        assert!(!dir.join("LOCK").exists(), "{program} {name}");
    }
    let (code, said) = daemon(dir);
    assert_eq!(code, Some(7), "{name}: {said}");
    assert!(said.contains(&told), "{said}");
    assert_eq!(files(dir), before, "the daemon, {name}");
}

#[test]
fn a_newer_version_is_refused_by_every_program() {
    for version in frozen() {
        for (name, bytes) in files(&version) {
            let (_home, dir) = thaw(&version);
            make_newer(&dir, &name, true);
            let (_home, present) = written();
            let kind = |dir: &Path| {
                let same = |other: &String| other.rsplit('.').next() == name.rsplit('.').next();
                files(dir).into_iter().find(|(other, _)| same(other))
            };
            let (other, present) = kind(&present).unwrap();
            assert!(version_of(&name, &bytes) < u32::from(NEWER));
            check_refused(&dir, &name, version_of(&other, &present));
        }
    }
}

#[test]
fn a_damaged_version_is_damage_not_a_newer_version() {
    for version in frozen() {
        for name in files(&version).into_keys() {
            let (_home, dir) = thaw(&version);
            make_newer(&dir, &name, false);
            let verified = run(VERIFY, &[], &dir);
            let code = verified.status.code().unwrap();
            // A table whose entries are all there can be made anew.
            assert_eq!(code, if is_table(&name) { 1 } else { 3 }, "{verified:?}");
            let (code, said) = daemon(&dir);
            assert_eq!(code, Some(3), "{name}: {said}");
        }
    }
}

#[test]
fn a_section_that_must_be_understood_is_a_newer_version() {
    let version = frozen().pop().unwrap();
    let (_home, dir) = thaw(&version);
    let name = files(&dir).into_keys().find(|name| is_table(name)).unwrap();
    let mut bytes = fs::read(dir.join(&name)).unwrap();
    bytes[TABLE_FLAGS_AT + 1] = 1;
    seal_table(&mut bytes);
    let supported = version_of(&name, &bytes);
    fs::write(dir.join(&name), bytes).unwrap();
    let before = files(&dir);
    let told = format!("has format version {}", supported + 1);
    for program in [VERIFY, COMPACT] {
        let output = run(program, &[], &dir);
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&told), "{said}");
    }
    let (code, said) = daemon(&dir);
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains(&told), "{said}");
    assert_eq!(files(&dir), before);
}
