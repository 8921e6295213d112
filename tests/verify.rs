//! `verify` on real directories: every kind of damage is found and named, and nothing is changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "test code"
)]

mod tools;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use atlaskv::storage::verify::{
    FileKind, FileReport, Severity, Verdict, VerifyOptions, VerifyReport, verify,
};
use atlaskv::storage::{
    AtlasError, DirEntry, DirLock, Disk, DiskFile, Engine, KIB, Lsn, Options, RealDisk, Result,
    WalSyncStrategy,
};
use fastrand::Rng;

use tools::flip;

const FULL: VerifyOptions = VerifyOptions {
    quick: false,
    threads: 2,
};
const QUICK: VerifyOptions = VerifyOptions {
    quick: true,
    threads: 2,
};

fn seed() -> u64 {
    let given = std::env::var("ATLASKV_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("ATLASKV_TEST_SEED={seed}");
    seed
}

fn runs(default: u64) -> u64 {
    let given = std::env::var("ATLASKV_TEST_RUNS")
        .ok()
        .and_then(|text| text.parse().ok());
    given.unwrap_or(default)
}

fn options(sync: WalSyncStrategy) -> Options {
    Options {
        sync,
        memtable_size: 64 * KIB,
        segment_size: 64 * KIB,
        background: false,
        ..Options::default()
    }
}

fn check(dir: &Path) -> VerifyReport {
    verify(&RealDisk, dir, FULL).unwrap()
}

/// A store with two tables and, unless it is closed, entries in the log; everything is synced.
fn store() -> (tempfile::TempDir, PathBuf, Lsn) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let engine = Engine::open(
        RealDisk::shared(),
        &dir,
        options(WalSyncStrategy::EveryWrite),
    )
    .unwrap();
    for number in 0..200 {
        engine
            .put(format!("key{number:04}").as_bytes(), &[7; 50])
            .unwrap();
    }
    engine.flush().unwrap();
    engine.delete(b"key0003").unwrap();
    engine.put(b"other", b"value").unwrap();
    engine.flush().unwrap();
    let mut last = Lsn::ZERO;
    for number in 0..20 {
        last = engine
            .put(format!("log{number:04}").as_bytes(), b"logged")
            .unwrap();
    }
    drop(engine);
    (home, dir, last)
}

fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read(path).unwrap(),
            )
        })
        .collect()
}

fn write_all(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).unwrap();
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

fn named(report: &VerifyReport, kind: FileKind) -> Vec<&FileReport> {
    report
        .files
        .iter()
        .filter(|file| file.kind == kind)
        .collect()
}

fn name_of(dir: &Path, kind: FileKind) -> String {
    named(&check(dir), kind)[0].name.clone()
}

/// The one file with findings worse than a note.
fn culprit(report: &VerifyReport) -> &FileReport {
    let bad: Vec<_> = report
        .files
        .iter()
        .filter(|file| file.worst().is_some_and(|worst| worst > Severity::Note))
        .collect();
    assert_eq!(bad.len(), 1, "{report:#?}");
    bad[0]
}

#[test]
fn a_sound_store_is_sound_and_stays_as_it_is() {
    let (_home, dir, last) = store();
    let before = content(&dir);
    for options in [FULL, QUICK] {
        let report = verify(&RealDisk, &dir, options).unwrap();
        assert_eq!(report.verdict, Verdict::Sound, "{report:#?}");
        assert!(report.files.iter().all(|file| file.findings.is_empty()));
        assert_eq!(named(&report, FileKind::Table).len(), 2);
        assert_eq!(named(&report, FileKind::Segment).len(), 1);
        assert_eq!(named(&report, FileKind::Manifest).len(), 1);
        assert_eq!((report.clean_shutdown, report.in_use), (false, false));
        assert_eq!(report.database_id.len(), 32);
    }
    let report = check(&dir);
    assert_eq!(report.last_lsn, last);
    let segment = named(&report, FileKind::Segment)[0];
    assert_eq!(
        (segment.entries, segment.lsns.map(|(_, last)| last)),
        (Some(20), Some(last))
    );
    let entries: u64 = named(&report, FileKind::Table)
        .iter()
        .map(|file| file.entries.unwrap())
        .sum();
    assert_eq!(entries, 202);
    assert_eq!(content(&dir), before);

    let engine = Engine::open(
        RealDisk::shared(),
        &dir,
        options(WalSyncStrategy::EveryWrite),
    )
    .unwrap();
    engine.close().unwrap();
    drop(engine);
    let report = check(&dir);
    assert_eq!(
        (report.verdict, report.clean_shutdown),
        (Verdict::Sound, true),
        "{report:#?}"
    );
}

#[test]
fn what_is_no_store_is_wrong_use() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("letter.txt"), "dear").unwrap();
    let error = verify(&RealDisk, home.path(), FULL).unwrap_err();
    assert!(matches!(error, AtlasError::InvalidOption { .. }), "{error}");
    assert!(matches!(
        verify(&RealDisk, &home.path().join("none"), FULL),
        Err(AtlasError::Io { .. })
    ));
}

#[test]
fn a_damaged_entry_of_a_table_is_a_loss_and_is_named() {
    let (_home, dir, _) = store();
    let table = named(&check(&dir), FileKind::Table)[0].clone();
    flip(&dir.join(&table.name), 1000);
    let report = check(&dir);
    assert_eq!(report.verdict, Verdict::Damaged);
    let found = culprit(&report);
    assert_eq!(
        (&found.name, found.kind, found.worst()),
        (&table.name, FileKind::Table, Some(Severity::Loss))
    );
    assert_eq!(found.entries, table.entries.map(|entries| entries - 1));
    let offset = found.findings[0].offset.unwrap();
    assert!((900..=1000).contains(&offset), "{report:#?}");
    assert_eq!(found.findings[0].lsns, table.lsns);
    let place = &found.findings[1];
    assert_eq!((place.offset, place.lsns), (Some(offset), table.lsns));
    assert!(place.detail.contains("key00"), "{report:#?}");
    assert_eq!(
        verify(&RealDisk, &dir, QUICK).unwrap().verdict,
        Verdict::Sound,
        "not looked at"
    );
}

#[test]
fn a_table_whose_entries_are_whole_can_be_repaired() {
    let (_home, dir, _) = store();
    let table = named(&check(&dir), FileKind::Table)[0].name.clone();
    let path = dir.join(&table);
    let sound = fs::read(&path).unwrap();
    let footer = sound.len() - 1;
    for offset in [0, 5, 9, footer, footer - 8, footer - 15] {
        flip(&path, offset);
        for options in [FULL, QUICK] {
            let report = verify(&RealDisk, &dir, options).unwrap();
            assert_eq!(report.verdict, Verdict::Repairable, "{offset}: {report:#?}");
            assert_eq!(culprit(&report).name, table);
        }
        fs::write(&path, &sound).unwrap();
    }
    fs::write(&path, [&sound[..], b"more"].concat()).unwrap();
    assert_eq!(check(&dir).verdict, Verdict::Repairable);
    fs::write(&path, &sound[..sound.len() / 2]).unwrap();
    for options in [FULL, QUICK] {
        let report = verify(&RealDisk, &dir, options).unwrap();
        assert_eq!(report.verdict, Verdict::Damaged);
        assert_eq!(culprit(&report).name, table);
    }
}

#[test]
fn a_missing_or_swapped_file_is_a_loss() {
    let (_home, dir, _) = store();
    let sound = content(&dir);
    for kind in [FileKind::Table, FileKind::Segment] {
        let name = name_of(&dir, kind);
        fs::remove_file(dir.join(&name)).unwrap();
        for options in [FULL, QUICK] {
            let report = verify(&RealDisk, &dir, options).unwrap();
            assert_eq!(report.verdict, Verdict::Damaged, "{report:#?}");
            assert_eq!(
                (&culprit(&report).name, culprit(&report).kind),
                (&name, kind)
            );
        }
        write_all(&dir, &sound);
    }
    let tables = named(&check(&dir), FileKind::Table)
        .iter()
        .map(|file| file.name.clone())
        .collect::<Vec<_>>();
    fs::write(dir.join(&tables[0]), &sound[&tables[1]]).unwrap();
    fs::write(dir.join(&tables[1]), &sound[&tables[0]]).unwrap();
    for options in [FULL, QUICK] {
        let report = verify(&RealDisk, &dir, options).unwrap();
        assert_eq!(report.verdict, Verdict::Damaged);
        let bad = named(&report, FileKind::Table);
        assert!(
            bad.iter().all(|file| file.worst() == Some(Severity::Loss)),
            "{report:#?}"
        );
    }
}

#[test]
fn a_damaged_or_missing_manifest_is_a_loss() {
    let (_home, dir, _) = store();
    let sound = content(&dir);
    flip(&dir.join("MANIFEST"), sound["MANIFEST"].len() / 2);
    let report = check(&dir);
    assert_eq!(
        (report.verdict, culprit(&report).kind),
        (Verdict::Damaged, FileKind::Manifest)
    );
    fs::remove_file(dir.join("MANIFEST")).unwrap();
    let report = check(&dir);
    assert_eq!(
        (report.verdict, culprit(&report).kind),
        (Verdict::Damaged, FileKind::Manifest)
    );
    assert_eq!(named(&report, FileKind::Table).len(), 2);
}

#[test]
fn damage_of_synced_log_entries_is_a_loss_from_an_lsn() {
    let (_home, dir, last) = store();
    let name = name_of(&dir, FileKind::Segment);
    let first = named(&check(&dir), FileKind::Segment)[0].lsns.unwrap().0;
    // The second entry: its own LSN, or whatever stands around it.
    let bytes = fs::read(dir.join(&name)).unwrap();
    let second = first.next().unwrap().as_u64().to_le_bytes();
    let at = bytes
        .windows(8)
        .position(|window| window == second)
        .unwrap();
    let refused = |dir: &Path| {
        Engine::open(
            RealDisk::shared(),
            dir,
            options(WalSyncStrategy::EveryWrite),
        )
        .unwrap_err()
    };
    flip(&dir.join(&name), at + 10);
    let report = check(&dir);
    assert_eq!(report.verdict, Verdict::Damaged, "{report:#?}");
    let found = &culprit(&report).findings[0];
    assert_eq!(
        (culprit(&report).name.as_str(), found.offset),
        (name.as_str(), Some(at as u64))
    );
    let (missing, proven) = found.lsns.unwrap();
    assert_eq!(missing, first.next().unwrap());
    assert!(proven >= missing && proven <= last);
    assert!(
        matches!(refused(&dir), AtlasError::SyncedDataDamaged { missing: m, .. } if m == missing)
    );

    fs::write(dir.join(&name), &bytes).unwrap();
    flip(&dir.join(&name), 20);
    for options in [FULL, QUICK] {
        let report = verify(&RealDisk, &dir, options).unwrap();
        assert_eq!(
            (report.verdict, &culprit(&report).name),
            (Verdict::Damaged, &name)
        );
    }
}

#[test]
fn a_torn_tail_is_well_and_said() {
    let (_home, dir, last) = store();
    let name = name_of(&dir, FileKind::Segment);
    let mut bytes = fs::read(dir.join(&name)).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes[end..end + 30].fill(0xEE);
    fs::write(dir.join(&name), bytes).unwrap();
    let report = check(&dir);
    assert_eq!(report.verdict, Verdict::TornTail, "{report:#?}");
    let torn = culprit(&report).findings[0].clone();
    assert_eq!(torn.severity, Severity::Torn);
    assert!(
        (end as u64 - 20..=end as u64).contains(&torn.offset.unwrap()),
        "{report:#?}"
    );
    assert_eq!(report.last_lsn, last);
    let engine = Engine::open(
        RealDisk::shared(),
        &dir,
        options(WalSyncStrategy::EveryWrite),
    )
    .unwrap();
    let cut = engine.recovery_report().cut_from.unwrap();
    assert_eq!(torn.lsns, Some((cut, cut)));
    drop(engine);
    let report = check(&dir);
    assert_eq!(report.verdict, Verdict::Sound);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("quarantine/ holds 1 file of")),
        "{report:#?}"
    );
}

#[test]
fn files_that_are_not_needed_are_told_and_are_no_damage() {
    let (_home, dir, _) = store();
    let table = name_of(&dir, FileKind::Table);
    fs::copy(dir.join(&table), dir.join("000000009999.sst")).unwrap();
    fs::write(dir.join("000000009998.sst.tmp"), "half").unwrap();
    fs::write(dir.join("letter.txt"), "dear").unwrap();
    let report = check(&dir);
    assert_eq!(report.verdict, Verdict::Sound);
    for (kind, name) in [
        (FileKind::Orphan, "000000009999.sst"),
        (FileKind::Temporary, "000000009998.sst.tmp"),
        (FileKind::Stray, "letter.txt"),
    ] {
        assert_eq!(
            named(&report, kind)
                .iter()
                .map(|file| file.name.as_str())
                .filter(|name| *name != "RESERVE.tmp")
                .collect::<Vec<_>>(),
            [name]
        );
    }
}

#[test]
fn a_newer_format_is_refused() {
    let (_home, dir, _) = store();
    let path = dir.join("MANIFEST");
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    // The checksum of the manifest: everything but its own four bytes.
    let sum = crc32fast::hash(&[&bytes[..12], &bytes[16..]].concat());
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = verify(&RealDisk, &dir, FULL).unwrap_err();
    assert!(
        matches!(error, AtlasError::NewerFormat { found: 2, .. }),
        "{error}"
    );
}

/// The real disk, except that one file cannot be read beyond its first block.
#[derive(Debug)]
struct Failing(String);

#[derive(Debug)]
struct FailingFile(Arc<dyn DiskFile>);

impl Disk for Failing {
    fn create(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        panic!("verifying changes nothing")
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = RealDisk.open(path)?;
        Ok(if path.ends_with(&self.0) {
            Arc::new(FailingFile(file))
        } else {
            file
        })
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        panic!("verifying changes nothing")
    }
    fn remove(&self, _: &Path) -> io::Result<()> {
        panic!("verifying changes nothing")
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        panic!("verifying changes nothing")
    }
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        panic!("verifying changes nothing")
    }
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        RealDisk.list(path)
    }
    fn lock(&self, _: &Path) -> Result<DirLock> {
        panic!("verifying takes no lock")
    }
    fn random(&self) -> io::Result<u64> {
        panic!("verifying needs no identity")
    }
}

impl DiskFile for FailingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset + buffer.len() as u64 > 4096 {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        panic!("verifying changes nothing")
    }
    fn sync(&self) -> io::Result<()> {
        panic!("verifying changes nothing")
    }
    fn preallocate(&self, _: u64) -> io::Result<()> {
        panic!("verifying changes nothing")
    }
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
}

#[test]
fn a_read_error_is_told_as_one_and_the_rest_is_verified() {
    let (_home, dir, _) = store();
    for kind in [FileKind::Table, FileKind::Segment] {
        let name = name_of(&dir, kind);
        let report = verify(&Failing(name.clone()), &dir, FULL).unwrap();
        assert_eq!(report.verdict, Verdict::Unreadable, "{report:#?}");
        assert_eq!(culprit(&report).name, name);
        assert_eq!(culprit(&report).worst(), Some(Severity::Unreadable));
        assert_eq!(named(&report, FileKind::Table).len(), 2);
    }
    let report = verify(&Failing("no such file".to_owned()), &dir, FULL).unwrap();
    assert_eq!(report.verdict, Verdict::Sound);
}

/// What is read of a store that opens; `None` when it refuses or a read fails.
fn read_all(dir: &Path) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let engine = Engine::open(
        RealDisk::shared(),
        dir,
        options(WalSyncStrategy::EveryWrite),
    )
    .ok()?;
    let mut scan = engine.scan(&Default::default()).ok()?;
    let page = scan.next_page(100_000, 1 << 30, &mut |_| Ok(())).ok()?;
    assert!(page.done);
    Some(
        page.entries
            .into_iter()
            .map(|(key, value, _)| (key.to_vec(), value.to_vec()))
            .collect(),
    )
}

#[test]
fn the_verdict_foretells_what_the_engine_finds() {
    let (home, dir, _) = store();
    let sound = content(&dir);
    let whole = read_all(&dir).unwrap();
    let mut rng = Rng::with_seed(seed());
    // Nothing depends on what is in the others.
    let is_data = |name: &&String| !["LOCK", "RESERVE.tmp"].contains(&name.as_str());
    let names: Vec<&String> = sound.keys().filter(is_data).collect();
    let copy = home.path().join("copy");
    let mut verdicts = BTreeMap::new();
    for _ in 0..runs(250) {
        let mut damaged = sound.clone();
        let name = names[rng.usize(0..names.len())];
        let bytes = damaged.get_mut(name).unwrap();
        // Mostly where something stands, sometimes in the room that a segment keeps for later.
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let end = if rng.u32(0..4) == 0 {
            bytes.len()
        } else {
            used
        };
        bytes[rng.usize(0..end)] ^= 1 << rng.u32(0..8);
        write_all(&copy, &damaged);
        let report = check(&copy);
        assert_eq!(content(&copy), damaged, "nothing is changed");
        *verdicts.entry(report.verdict).or_insert(0) += 1;
        let found = read_all(&copy);
        match report.verdict {
            Verdict::Sound => assert_eq!(found.as_ref(), Some(&whole), "{name}: {report:#?}"),
            Verdict::TornTail => {
                // Of the very last sync group, and of nothing else, some may be gone.
                let found = found.expect("a torn tail does not keep a store from starting");
                assert!(found.len() + 1 >= whole.len(), "{name}: {report:#?}");
            }
            Verdict::Repairable | Verdict::Damaged => {
                assert_eq!(found, None, "{name}: {report:#?}");
                assert_eq!(&culprit(&report).name, name);
            }
            Verdict::Unreadable => panic!("{report:#?}"),
        }
    }
    println!("{verdicts:?}");
}

#[test]
fn a_store_under_load_is_sound_whenever_it_is_looked_at() {
    for sync in [
        WalSyncStrategy::EveryWrite,
        WalSyncStrategy::Interval { ms: 2 },
        WalSyncStrategy::OsDefault,
    ] {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data");
        let load = Options {
            memtable_size: 32 * KIB,
            segment_size: 32 * KIB,
            background: true,
            ..options(sync)
        };
        let engine = Engine::open(RealDisk::shared(), &dir, load).unwrap();
        let stop = AtomicBool::new(false);
        let written = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for writer in 0..3_u64 {
                let (engine, stop, written) = (&engine, &stop, &written);
                scope.spawn(move || {
                    let mut rng = Rng::with_seed(writer);
                    while !stop.load(Ordering::Relaxed) {
                        let key = format!("{:04}", rng.u32(0..5000));
                        let value = vec![1; rng.usize(0..600)];
                        if let Err(error) = engine.put(key.as_bytes(), &value) {
                            stop.store(true, Ordering::Relaxed);
                            panic!("{error}");
                        }
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let verdicts: Vec<(Lsn, Result<VerifyReport>)> = (0..runs(15))
                .map(|_| {
                    // Verify what the writers have moved on by then.
                    let before = written.load(Ordering::Relaxed);
                    while written.load(Ordering::Relaxed) < before + 20
                        && !stop.load(Ordering::Relaxed)
                    {
                        std::thread::yield_now();
                    }
                    let durable = Lsn::from_u64(engine.stats().durable_lsn);
                    (durable, verify(&RealDisk, &dir, FULL))
                })
                .collect();
            stop.store(true, Ordering::Relaxed);
            for (durable, report) in verdicts {
                let report = report.unwrap();
                assert_eq!(report.verdict, Verdict::Sound, "{sync:?}: {report:#?}");
                assert!(
                    report.last_lsn >= durable,
                    "{sync:?}, {durable}: {report:#?}"
                );
            }
        });
        println!("{sync:?}: {} writes", written.load(Ordering::Relaxed));
        engine.close().unwrap();
    }
}
