//! Directories written by every format version that ever landed open, read and go on.
//!
//! `tests/fixtures/vN` is frozen: written once by the program of that version with
//! `cargo test --test compatibility -- --ignored`, never written again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use atlaskv::storage::{Engine, KIB, Operation, Options, RealDisk, ScanRange};

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

#[test]
#[ignore = "writes the frozen directory of the present version; run once for each version"]
fn freeze_this_version() {
    let dir = fixtures().join("v1");
    assert!(!dir.exists(), "{} is frozen", dir.display());
    let engine = Engine::open(RealDisk::shared(), &dir, options()).unwrap();
    write_contents(&engine);
    drop(engine);
    std::fs::remove_file(dir.join("LOCK")).unwrap();
    // Not closed: the log holds what is not in tables.
}

#[test]
fn every_frozen_directory_opens_reads_and_goes_on() {
    let mut opened = 0;
    for version in std::fs::read_dir(fixtures()).unwrap() {
        let version = version.unwrap().path();
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data");
        std::fs::create_dir(&dir).unwrap();
        for file in std::fs::read_dir(&version).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), dir.join(file.file_name())).unwrap();
        }
        for round in 0..2 {
            let engine = Engine::open(RealDisk::shared(), &dir, options()).unwrap();
            let report = engine.recovery_report();
            assert_eq!(
                (report.cut_from, &report.quarantined),
                (None, &Vec::new()),
                "{report:?}"
            );
            assert_eq!(report.replayed_operations > 0, round == 0, "{report:?}");
            assert_eq!(read_contents(&engine), contents(), "{}", version.display());
            for (key, value) in contents() {
                assert_eq!(engine.get(&key).unwrap().unwrap().value, value);
            }
            let summary = engine.compact().unwrap();
            assert_eq!(
                summary.entries_after,
                u64::try_from(contents().len()).unwrap()
            );
            engine.close().unwrap();
        }
        opened += 1;
    }
    assert!(opened >= 1, "no frozen directory was found");
}
