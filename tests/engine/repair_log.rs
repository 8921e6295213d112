//! A manifest made anew from tables and a log that tell of the same writes: no write that can be read is given
//! up in silence, whichever of the two it stands in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use atlaskv::storage::repair::RepairPlan;
use atlaskv::storage::verify::{FileKind, VerifyOptions, verify};
use atlaskv::storage::{AtlasError, KIB, Lsn, Options};

use crate::damage::{self, HEADER, entries, fill};
use crate::repair::{check_kept, check_repaired, plan, repair};
use crate::sim_disk::SimDisk;
use crate::store::{self, Contents, DIR};

/// A table file and the LSNs in it.
#[derive(Clone)]
struct Table {
    path: PathBuf,
    bytes: Vec<u8>,
    first: Lsn,
    last: Lsn,
}

fn manifest() -> PathBuf {
    store::path("MANIFEST")
}

/// The tables of a store, oldest first.
fn tables(disk: &SimDisk) -> Vec<Table> {
    let report = verify(disk, Path::new(DIR), VerifyOptions::default()).unwrap();
    let files = report.files.iter();
    let mut tables: Vec<Table> = files
        .filter(|file| file.kind == FileKind::Table)
        .map(|file| {
            let (path, (first, last)) = (store::path(&file.name), file.lsns.unwrap());
            let bytes = damage::bytes(disk, &path);
            Table {
                path,
                bytes,
                first,
                last,
            }
        })
        .collect();
    tables.sort_by_key(|table| table.first);
    tables
}

/// Whether a loss that the plan names has this LSN.
fn names(plan: &RepairPlan, lsn: Lsn) -> bool {
    let spans = plan.losses.iter().filter_map(|loss| loss.lsns);
    let mut spans = spans.map(|span| (span.first, span.last.unwrap_or(Lsn::MAX)));
    spans.any(|(first, last)| first <= lsn && lsn <= last)
}

/// A start makes tables of a log, and some of them are there when the manifest is lost. The log is damaged since.
#[test]
fn a_table_is_given_up_only_for_a_log_that_is_kept() {
    // Nothing in the log proves that it was synced.
    let (log, model, options) = damage::three_segments(false);
    let started = log.copy();
    let small = Options {
        memtable_size: 2 * KIB,
        ..options.clone()
    };
    drop(store::open(&started, &small).unwrap());
    let tables = tables(&started);
    assert!((3..=8).contains(&tables.len()), "{}", tables.len());
    let all: Vec<(PathBuf, _)> = store::segments(&log)
        .into_iter()
        .flat_map(|path| {
            let entries = entries(&damage::bytes(&log, &path)).into_iter();
            entries.map(move |entry| (path.clone(), entry))
        })
        .filter(|(_, entry)| entry.kind == 1)
        .collect();
    assert_eq!(all.len(), model.len());
    let mut saved = 0;
    for damaged in (0..all.len()).step_by(3) {
        for there in 0..1_u32 << tables.len() {
            let there: Vec<&Table> = (0..tables.len())
                .filter(|place| there >> place & 1 == 1)
                .map(|place| &tables[place])
                .collect();
            let (path, entry) = &all[damaged];
            let disk = log.copy();
            damage::flip(&disk, path, entry.place.start + 20, 1);
            for table in &there {
                disk.put_file(&table.path, &table.bytes);
            }
            disk.take_file(&manifest());
            let before = disk.files();
            let why = format!("{} is damaged, {} tables", entry.lsn, there.len());
            let seen = repair(&disk).unwrap();
            check_kept(&before, &disk, &why);
            let engine = store::open(&disk.copy(), &options).unwrap();
            let found = store::contents(&engine).unwrap();
            let mut expected = model.clone();
            // What is missing was named, and every table that was there has brought its own.
            for (key, (lsn, _)) in &model {
                let is_in_table = there
                    .iter()
                    .any(|table| table.first <= *lsn && *lsn <= table.last);
                if !found.contains_key(key) {
                    assert!(names(&seen, *lsn), "{why}: {lsn} in silence: {seen:#?}");
                    assert!(!is_in_table, "{why}: {lsn} is in a table: {seen:#?}");
                    expected.remove(key);
                }
            }
            // No table has the damaged entry: nothing else is missing up to the end of the last table.
            let last = there.iter().map(|table| table.last).max();
            let has_it = |table: &&&Table| table.first <= entry.lsn && entry.lsn <= table.last;
            if there.iter().find(has_it).is_none() {
                for (key, (lsn, _)) in &model {
                    if *lsn != entry.lsn && (*lsn < entry.lsn || last >= Some(*lsn)) {
                        assert!(found.contains_key(key), "{why}: without {lsn}: {seen:#?}");
                        saved += 1;
                    }
                }
            }
            check_repaired(&disk, &options, &expected, &why);
        }
    }
    assert!(saved > 100, "{saved}");
}

/// The entries of a segment with operations.
fn writes(bytes: &[u8]) -> BTreeSet<Lsn> {
    let entries = entries(bytes).into_iter();
    entries
        .filter(|entry| entry.kind == 1)
        .map(|entry| entry.lsn)
        .collect()
}

/// A segment whose writes were in a table that is gone now, and two tables made before and after it.
fn flushed_thrice(restart: bool) -> (SimDisk, Vec<Table>, (PathBuf, Vec<u8>), Options) {
    let options = damage::interval();
    let disk = SimDisk::new(41);
    let mut model = Contents::new();
    let mut engine = store::open(&disk, &options).unwrap();
    let mut segment = None;
    for round in 0..3 {
        fill(&engine, &mut model, round * 10..round * 10 + 10, 40);
        if round == 1 {
            let path = store::segments(&disk).pop().unwrap();
            segment = Some((path.clone(), damage::bytes(&disk, &path)));
        }
        engine.flush().unwrap();
        if restart {
            drop(engine);
            engine = store::open(&disk, &options).unwrap();
        }
    }
    drop(engine);
    let disk = disk.copy();
    let tables = tables(&disk);
    assert_eq!(tables.len(), 3);
    (disk, tables, segment.unwrap(), options)
}

#[test]
fn readable_writes_that_are_neither_replayed_nor_in_a_table_are_named() {
    for restart in [false, true] {
        let (disk, tables, (path, bytes), _) = flushed_thrice(restart);
        disk.put_file(&path, &bytes);
        disk.take_file(&manifest());
        let name = path.file_name().unwrap().to_str().unwrap();
        let of_segment = |plan: &RepairPlan| -> BTreeSet<Lsn> {
            let ours = plan.losses.iter().filter(|loss| loss.file == name);
            let spans = ours.filter_map(|loss| loss.lsns);
            spans
                .flat_map(|span| span.first.as_u64()..=span.last.unwrap().as_u64())
                .map(Lsn::from_u64)
                .collect()
        };
        // Its table is there: nothing is lost with it.
        let seen = plan(&disk).unwrap();
        assert!(of_segment(&seen).is_empty(), "{restart}: {seen:#?}");
        disk.take_file(&tables[1].path);
        let seen = plan(&disk).unwrap();
        assert_eq!(of_segment(&seen), writes(&bytes), "{restart}: {seen:#?}");
        let file = seen.files.iter().find(|file| file.name == name).unwrap();
        assert!(!file.detail.contains("holds no data"), "{file:?}");
        assert!(bytes.len() > HEADER);
        repair(&disk).unwrap();
    }
}

/// Who asks for an LSN asks for everything up to it: nothing behind a write that is lost counts as durable.
#[test]
fn what_is_lost_in_the_middle_of_the_log_does_not_count_as_durable() {
    let (disk, model, options) = damage::three_segments(true);
    let lsns: BTreeSet<Lsn> = model.values().map(|(lsn, _)| *lsn).collect();
    let segments = store::segments(&disk);
    let (first, middle) = (&segments[0], &segments[1]);
    let place = |path: &Path| entries(&damage::bytes(&disk, path))[2].clone();
    let header = |disk: &SimDisk| disk.take_file(middle);
    let bit = |disk: &SimDisk| damage::flip(disk, first, place(first).place.start + 20, 1);
    let first_of_middle = *writes(&damage::bytes(&disk, middle)).first().unwrap();
    type Damage<'a> = &'a dyn Fn(&SimDisk);
    let cases: [(Damage<'_>, Lsn, bool); 3] = [
        (&header, first_of_middle, false),
        (&bit, place(first).lsn, false),
        (&bit, place(first).lsn, true),
    ];
    for (damage, lost, without_manifest) in cases {
        let disk = disk.copy();
        damage(&disk);
        if without_manifest {
            disk.take_file(&manifest());
        }
        let seen = repair(&disk).unwrap();
        assert!(names(&seen, lost), "{lost}: {seen:#?}");
        // Once more, for an epoch that is past for longer.
        for _ in 0..2 {
            let engine = store::open(&disk, &options).unwrap();
            for lsn in &lsns {
                let answer = engine.sync_to(*lsn);
                if *lsn < lost {
                    assert!(answer.is_ok(), "{lsn} before {lost}: {answer:?}");
                    continue;
                }
                let last = lost.previous();
                let is_lost =
                    matches!(answer, Err(AtlasError::LsnLost { last: it, .. }) if it == last);
                assert!(is_lost, "{lsn} with {lost} lost: {answer:?}");
            }
            // What was written since counts.
            let lsn = store::write(&engine, &[(b"new".to_vec(), None)]).unwrap();
            engine.sync_to(lsn).unwrap();
        }
    }
}

/// What a table has lost may span the LSNs that the log has lost: both are named.
#[test]
fn what_a_table_loses_does_not_hide_what_the_log_loses() {
    let (disk, model, options) = damage::three_segments(false);
    let made = |memtable_size: usize| {
        let started = disk.copy();
        let options = Options {
            memtable_size,
            ..options.clone()
        };
        drop(store::open(&started, &options).unwrap());
        tables(&started)
    };
    let (whole, parts) = (made(1024 * KIB), made(2 * KIB));
    assert_eq!(whole.len(), 1);
    // A part with a higher number takes the place of the whole, and the log is cut behind it.
    let part = &parts[1];
    assert!(whole[0].path < part.path);
    for table in [&whole[0], part] {
        disk.put_file(&table.path, &table.bytes);
    }
    let lost = part.last.next().unwrap().next().unwrap();
    for path in store::segments(&disk) {
        for entry in entries(&damage::bytes(&disk, &path)) {
            if entry.lsn == lost {
                damage::flip(&disk, &path, entry.place.start + 20, 1);
            }
        }
    }
    disk.take_file(&manifest());
    let seen = repair(&disk).unwrap();
    let end = model.values().map(|(lsn, _)| *lsn).max().unwrap();
    let spans = |ending: &str| -> Vec<_> {
        let ours = seen
            .losses
            .iter()
            .filter(|loss| loss.file.ends_with(ending));
        ours.map(|loss| loss.lsns.map(|span| (span.first, span.last)))
            .collect()
    };
    let of_tables = spans(".sst");
    assert!(
        of_tables.contains(&Some((whole[0].first, Some(end)))),
        "{seen:#?}"
    );
    assert!(
        spans(".log").contains(&Some((lost, Some(end)))),
        "{seen:#?}"
    );
}
