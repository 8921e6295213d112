//! Damage that no checksum shows: manifests that are whole and wrong, and files that are another's.

#![allow(clippy::disallowed_methods, reason = "tests damage files by hand")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::storage::codec::Checksum;
use crate::storage::disk::write_full;
use crate::storage::manifest::Move;
use crate::storage::{Engine, KIB, Options, RealDisk, WalSyncStrategy};

const QUICK: VerifyOptions = VerifyOptions {
    quick: true,
    threads: 1,
};

/// A store with three tables and, in three segments, a log: two closed, one open.
fn store() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let options = Options {
        sync: WalSyncStrategy::EveryWrite,
        memtable_size: 64 * KIB,
        segment_size: 64 * KIB,
        background: false,
        ..Options::default()
    };
    let engine = Engine::open(RealDisk::shared(), &dir, options).unwrap();
    for table in 0..3 {
        for number in 0..20 {
            let key = format!("key{number:03}");
            engine.put(key.as_bytes(), &[table; 20]).unwrap();
        }
        engine.flush().unwrap();
    }
    for number in 0..9 {
        let key = format!("log{number:03}");
        engine.put(key.as_bytes(), &vec![7; 16 * KIB]).unwrap();
    }
    (home, dir)
}

fn manifest(dir: &Path) -> Manifest {
    Manifest::load(&RealDisk, dir).unwrap().unwrap()
}

/// What verifying says of a manifest that was changed and written with a valid checksum.
fn found_in_manifest(dir: &Path, change: impl FnOnce(&mut Manifest)) -> (Verdict, Vec<Finding>) {
    let sound = manifest(dir);
    let mut changed = sound.clone();
    change(&mut changed);
    assert_ne!(sound, changed, "the test changes something");
    changed.store(&RealDisk, dir).unwrap();
    let report = verify(&RealDisk, dir, QUICK).unwrap();
    sound.store(&RealDisk, dir).unwrap();
    let mut files = report.files.into_iter();
    let file = files.find(|file| file.kind == FileKind::Manifest).unwrap();
    (report.verdict, file.findings)
}

/// A change, how bad it is, and the words that tell it.
type Case = (&'static str, Severity, fn(&mut Manifest));

const CASES: [Case; 19] = [
    ("not of the present epoch", Severity::Repairable, |m| {
        m.epoch += 1;
    }),
    ("said not to be synced", Severity::Repairable, |m| {
        m.durable_lsn = m.flushed_lsn.previous();
    }),
    ("that no start has opened", Severity::Repairable, |m| {
        m.durable_lsn = Lsn::epoch_start(m.epoch + 1);
    }),
    ("past epochs do not ascend", Severity::Repairable, |m| {
        m.past_epochs = vec![Lsn::from_u64(9), Lsn::from_u64(8)];
    }),
    ("said to have ended", Severity::Repairable, |m| {
        m.past_epochs = vec![Lsn::epoch_start(m.epoch)];
    }),
    ("may be given to another file", Severity::Repairable, |m| {
        m.next_file_number = 2;
    }),
    ("number of another live file", Severity::Loss, |m| {
        m.tables.insert(0, m.tables[0].clone());
    }),
    (
        "live and listed to be taken away",
        Severity::Repairable,
        |m| {
            m.obsolete.insert(file_name::table(m.tables[0].number));
        },
    ),
    (
        "live and listed to be taken away",
        Severity::Repairable,
        |m| {
            let from = file_name::table(m.tables[0].number);
            m.moves.push(Move {
                from,
                to: "x".to_owned(),
            });
        },
    ),
    ("is not the name of a data file", Severity::Loss, |m| {
        m.obsolete.insert("../other".to_owned());
    }),
    ("the log is said to hold too", Severity::Loss, |m| {
        m.flushed_lsn = m.tables[0].max_lsn.previous();
    }),
    ("end before they begin", Severity::Loss, |m| {
        let table = &mut m.tables[0];
        (table.min_lsn, table.max_lsn) = (table.max_lsn, table.min_lsn);
    }),
    ("reads pass over it", Severity::Loss, |m| {
        m.tables[0].max_key = b"a".to_vec();
    }),
    ("reads pass over it", Severity::Loss, |m| {
        m.tables[0].min_key = Vec::new();
    }),
    ("fewer entries than it must", Severity::Repairable, |m| {
        m.tables[0].tombstones = 21;
    }),
    ("fewer entries than it must", Severity::Repairable, |m| {
        m.tables[0].entries = 0;
    }),
    ("as newer than", Severity::Loss, |m| m.tables.swap(0, 1)),
    ("LSNs are missing", Severity::Loss, |m| {
        m.segments.remove(0);
    }),
    ("said to take entries still", Severity::Repairable, |m| {
        m.segments[0].closed = None;
    }),
];

#[test]
fn a_manifest_that_is_whole_and_wrong_is_found() {
    let (_home, dir) = store();
    let sound = verify(&RealDisk, &dir, VerifyOptions::default()).unwrap();
    assert_eq!(sound.verdict, Verdict::Sound, "{sound:#?}");
    assert!(manifest(&dir).segments.len() >= 3 && manifest(&dir).tables.len() == 3);
    for (words, severity, change) in CASES {
        let (verdict, findings) = found_in_manifest(&dir, change);
        let found = findings.iter().find(|found| found.detail.contains(words));
        let found = found.unwrap_or_else(|| panic!("{words}: {findings:#?}"));
        assert_eq!(found.severity, severity, "{words}");
        assert!(verdict >= Verdict::Repairable, "{words}");
        assert!(!found.meaning.is_empty(), "{words}");
    }
}

#[test]
fn a_gap_or_an_overlap_in_the_log_is_told_with_its_lsns() {
    let (_home, dir) = store();
    let second = manifest(&dir).segments[1].clone();
    let moved = |to: fn(Lsn) -> Lsn| {
        let (verdict, findings) = found_in_manifest(&dir, |m| {
            let first = to(m.segments[1].first_lsn);
            m.segments[1].first_lsn = first;
        });
        assert_eq!(verdict, Verdict::Damaged);
        findings
            .into_iter()
            .find(|found| found.detail.contains("does not go on"))
            .unwrap()
    };
    let first = second.first_lsn;
    let gap = moved(|lsn| lsn.next().unwrap());
    assert_eq!(gap.lsns, Some((first, first)));
    let numbers = (gap.expected.unwrap(), gap.found.unwrap());
    assert_eq!(
        numbers,
        (first.to_string(), first.next().unwrap().to_string())
    );
    let overlap = moved(Lsn::previous);
    assert_eq!(overlap.lsns, Some((first.previous(), first.previous())));

    let (_, findings) = found_in_manifest(&dir, |m| m.segments.swap(0, 1));
    assert!(
        findings
            .iter()
            .any(|found| found.detail.contains("was made before it"))
    );
}

#[test]
fn tables_that_overlap_are_told_with_the_keys_they_share() {
    let (_home, dir) = store();
    let (verdict, findings) =
        found_in_manifest(&dir, |m| m.tables[0].min_lsn = m.tables[1].max_lsn);
    assert_eq!(verdict, Verdict::Damaged);
    let found = findings
        .iter()
        .find(|found| found.detail.contains("as newer than"))
        .unwrap();
    let keys = (b"key000".to_vec(), b"key019".to_vec());
    assert_eq!(found.keys.as_ref(), Some(&keys));
    assert!(
        found.meaning.contains("\"key000\" to \"key019\""),
        "{found:#?}"
    );
}

#[test]
fn every_file_tells_its_version_and_tables_their_keys() {
    let (_home, dir) = store();
    let report = verify(&RealDisk, &dir, VerifyOptions::default()).unwrap();
    let formatted = report
        .files
        .iter()
        .filter(|file| file.kind != FileKind::Reserve);
    for file in formatted {
        let present = if file.kind == FileKind::Table { 2 } else { 1 };
        assert_eq!(file.version, Some(present), "{report:#?}");
    }
    let tables = report
        .files
        .iter()
        .filter(|file| file.kind == FileKind::Table);
    let keys: Vec<_> = tables
        .map(|file| key_range(file.keys.as_ref().unwrap()))
        .collect();
    assert_eq!(keys, ["\"key000\" to \"key019\""; 3]);
}

#[test]
fn a_wide_mode_and_a_strange_owner_are_notes_with_the_command_that_mends() {
    let (_home, dir) = store();
    let name = file_name::table(manifest(&dir).tables[0].number);
    let path = dir.join(&name);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&path, 0o644);
    mode(&dir, 0o755);
    let report = verify(&RealDisk, &dir, VerifyOptions::default()).unwrap();
    assert_eq!(report.verdict, Verdict::Sound, "{report:#?}");
    let file = report.files.iter().find(|file| file.name == name).unwrap();
    let mend = format!("chmod 600 {}", path.display());
    assert!(file.findings[0].detail.ends_with(&mend), "{file:#?}");
    let compared = (
        file.findings[0].expected.as_deref(),
        file.findings[0].found.as_deref(),
    );
    assert_eq!(compared, (Some("600"), Some("644")));
    assert!(
        report.notes[0].ends_with(&format!("chmod 700 {}", dir.display())),
        "{report:#?}"
    );
    mode(&path, 0o600);
    mode(&dir, 0o750);
    let report = verify(&RealDisk, &dir, VerifyOptions::default()).unwrap();
    assert!(
        report.files.iter().all(|file| file.findings.is_empty()),
        "{report:#?}"
    );
    assert_eq!(report.notes, Vec::<String>::new());

    if !rustix::process::geteuid().is_root() {
        return;
    }
    std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
    let report = verify(&RealDisk, &dir, VerifyOptions::default()).unwrap();
    let file = report.files.iter().find(|file| file.name == name).unwrap();
    assert!(file.findings[0].detail.contains("chown 0 "), "{file:#?}");
    assert_eq!(file.findings[0].found.as_deref(), Some("4711"));
}

#[test]
fn what_stands_in_quarantine_is_listed() {
    let (_home, dir) = store();
    quarantine::make(&RealDisk, &dir).unwrap();
    let path = file_name::quarantine(&dir).join("odd");
    let file = RealDisk.create(&path).unwrap();
    write_full(&*file, b"bytes", 0).unwrap();
    let report = verify(&RealDisk, &dir, VerifyOptions::default()).unwrap();
    assert_eq!(
        (report.quarantine.len(), report.verdict),
        (1, Verdict::Sound)
    );
    assert_eq!(
        (
            report.quarantine[0].name.as_str(),
            report.quarantine[0].bytes
        ),
        ("odd", 5)
    );
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    let told = "quarantine/ holds 1 file of 5 bytes";
    assert!(report.notes[0].starts_with(told), "{:?}", report.notes);
}

#[test]
fn the_outcome_does_not_depend_on_the_number_of_threads() {
    let (_home, dir) = store();
    let name = file_name::table(manifest(&dir).tables[1].number);
    let mut bytes = std::fs::read(dir.join(&name)).unwrap();
    bytes[100] ^= 1;
    std::fs::write(dir.join(&name), bytes).unwrap();
    let missing = file_name::table(manifest(&dir).tables[2].number);
    std::fs::remove_file(dir.join(&missing)).unwrap();
    let with = |threads| {
        let options = VerifyOptions {
            quick: false,
            threads,
        };
        verify(&RealDisk, &dir, options).unwrap()
    };
    let one = with(1);
    let lost = one.files.iter();
    let lost = lost.filter(|file| file.worst() == Some(Severity::Loss));
    let mut lost: Vec<&str> = lost.map(|file| file.name.as_str()).collect();
    lost.reverse();
    assert_eq!(lost, [name.as_str(), missing.as_str()]);
    for threads in [0, 2, 3, 64] {
        assert_eq!(with(threads), one, "{threads} threads");
    }
}

/// Beside a running store the manifest that was read is soon an older one.
#[test]
fn a_manifest_that_was_replaced_meanwhile_is_not_told_as_older() {
    let (_home, dir) = store();
    let latest = manifest(&dir);
    let mut older = latest.clone();
    let last = older.segments.pop().unwrap();
    older.next_file_number = last.number;
    let files = recovery::list(&RealDisk, &dir).unwrap();
    let later = age::later_segment(&RealDisk, &dir, &older, &files).unwrap();
    assert_eq!(later, Some(last.number));
    let told = || age::check(&RealDisk, &dir, &older, &files).unwrap();
    assert_eq!(told(), None);
    older.store(&RealDisk, &dir).unwrap();
    let found = told().unwrap();
    let compared = (found.expected.unwrap(), found.found.unwrap());
    assert_eq!(
        compared,
        (format!("below {}", last.number), last.number.to_string())
    );
    // It may be another store's segment, or one without an entry.
    older.database_id = [7; 16];
    assert_eq!(
        age::later_segment(&RealDisk, &dir, &older, &files).unwrap(),
        None
    );
}

#[test]
fn a_directory_without_a_manifest_is_told_what_to_do() {
    let (_home, dir) = store();
    std::fs::remove_file(dir.join(file_name::MANIFEST)).unwrap();
    let report = verify(&RealDisk, &dir, VerifyOptions::default()).unwrap();
    let manifest = &report.files[0];
    assert_eq!(
        (report.verdict, manifest.kind),
        (Verdict::Damaged, FileKind::Manifest)
    );
    let detail = &manifest.findings[0].detail;
    assert!(
        detail.contains("no MANIFEST") && detail.contains("--repair"),
        "{detail}"
    );
    let damaged = dir.join(file_name::MANIFEST);
    std::fs::write(&damaged, b"ATLASMAN and nothing that follows from it").unwrap();
    let report = verify(&RealDisk, &dir, VerifyOptions::default()).unwrap();
    let detail = &report.files[0].findings[0].detail;
    assert!(detail.contains("--repair"), "{detail}");
    let empty = tempfile::tempdir().unwrap();
    let refused = verify(&RealDisk, empty.path(), VerifyOptions::default()).unwrap_err();
    assert!(
        matches!(refused, AtlasError::InvalidOption { .. }),
        "{refused}"
    );
    let refused = refused.to_string();
    assert!(
        refused.contains("no MANIFEST, table or segment"),
        "{refused}"
    );
}

/// What verify says of the newest table when its bytes were changed.
fn of_table(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) -> FileReport {
    let name = file_name::table(manifest(dir).tables[0].number);
    let path = dir.join(&name);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    let report = verify(&RealDisk, dir, VerifyOptions::default()).unwrap();
    let mut files = report.files.into_iter();
    files.find(|file| file.name == name).unwrap()
}

#[test]
fn a_table_whose_entries_are_all_whole_has_lost_nothing() {
    let (_home, dir) = store();
    let file = of_table(&dir, |bytes| bytes[1] ^= 1);
    assert_eq!(file.findings.len(), 1, "{file:#?}");
    let found = &file.findings[0];
    assert_eq!(found.severity, Severity::Repairable, "{found:?}");
    assert!(found.detail.ends_with("nothing is lost"), "{found:?}");
    assert_eq!(file.entries, Some(20));
}

#[test]
fn a_table_of_a_later_version_is_refused_with_its_number() {
    let (_home, dir) = store();
    let info = manifest(&dir).tables[0].clone();
    let path = dir.join(file_name::table(info.number));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4..6].copy_from_slice(&3_u16.to_le_bytes());
    let footer = bytes.len() - 16;
    let sum = Checksum::seeded(info.file_id, count(footer))
        .add(&bytes[..16])
        .add(&bytes[footer..footer + 8])
        .finish();
    bytes[footer + 8..footer + 12].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let refused = verify(&RealDisk, &dir, VerifyOptions::default()).unwrap_err();
    let is_newer = matches!(refused, AtlasError::NewerFormat { found: 3, .. });
    assert!(is_newer, "{refused}");
}

#[test]
fn damaged_places_behind_the_hundredth_are_counted() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let options = Options {
        background: false,
        ..Options::default()
    };
    let engine = Engine::open(RealDisk::shared(), &dir, options).unwrap();
    for number in 0..250 {
        let key = format!("key{number:03}");
        engine.put(key.as_bytes(), &[7; 20]).unwrap();
    }
    engine.flush().unwrap();
    drop(engine);
    let file = of_table(&dir, |bytes| {
        // All entries are of one length; the locator says where they end.
        let locator = bytes.len() - 16 - 32;
        let end = u64::from_le_bytes(bytes[locator..locator + 8].try_into().unwrap());
        let length = (usize::try_from(end).unwrap() - 16) / 250;
        for number in (1..250).step_by(2) {
            bytes[16 + number * length + 10] ^= 1;
        }
    });
    assert_eq!(file.entries, Some(125), "{:?}", file.findings[0]);
    let last = file.findings.last().unwrap();
    assert_eq!(file.findings.len(), 1 + 100 + 1);
    assert_eq!(last.severity, Severity::Loss);
    assert!(
        last.detail.starts_with("25 more damaged places"),
        "{last:?}"
    );
}
