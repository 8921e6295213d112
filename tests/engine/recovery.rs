//! Every row of the recovery table, on the simulated disk.

use std::path::Path;

use atlaskv::storage::{AtlasError, Disk, Engine, KIB, Lsn, Options, WalSyncStrategy};

use crate::damage::{self, HEADER, check_contents, fill, first, flip, refusal, roomy};
use crate::sim_disk::{Errno, Fault, Loss, SimDisk};
use crate::store::{self, Contents, DIR, POLICIES, path};

fn interval() -> Options {
    roomy(store::options(POLICIES[1]))
}

/// A store with `synced` keys that are synced and `unsynced` keys after them, its process dead.
fn log_of(options: &Options, synced: u32, unsynced: u32, length: usize) -> (SimDisk, Contents) {
    let disk = SimDisk::new(3);
    let engine = store::open(&disk, options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..synced, length);
    engine.sync().unwrap();
    fill(&engine, &mut model, synced..synced + unsynced, length);
    (disk.copy(), model)
}

/// A store with three segments and no table, its process dead; everything synced on demand.
fn three_segments(sync: bool) -> (SimDisk, Contents, Options) {
    let options = Options {
        memtable_size: 1024 * KIB,
        segment_size: 8 * KIB,
        max_sealed_memtables: 4,
        ..store::options(WalSyncStrategy::OsDefault)
    };
    let disk = SimDisk::new(4);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..25, 300);
    if sync {
        engine.sync().unwrap();
    }
    // Carries the proof, where there is one.
    fill(&engine, &mut model, 25..26, 300);
    assert_eq!(store::segments(&disk).len(), 3);
    assert!(store::named(&disk, ".sst").is_empty());
    (disk.copy(), model, options)
}

/// A store with tables and a log.
fn with_tables() -> (SimDisk, Contents, Options) {
    let options = interval();
    let disk = SimDisk::new(5);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    for round in 0..3 {
        fill(&engine, &mut model, round * 10..round * 10 + 15, 50);
        if round < 2 {
            engine.flush().unwrap();
        }
    }
    engine.sync().unwrap();
    assert!(store::named(&disk, ".sst").len() >= 2);
    (disk.copy(), model, options)
}

#[test]
fn a_read_error_refuses_and_a_later_start_finds_everything() {
    for (disk, model, options) in [with_tables(), three_segments(true)] {
        let sound = disk.copy();
        let reads_of_open = {
            let engine = store::open(&sound, &options).unwrap();
            let reads = sound.reads();
            check_contents(&engine, &model, "sound");
            reads
        };
        for number in 0..reads_of_open {
            let disk = disk.copy();
            disk.fail_read_at(number, Fault::Fail(Errno::Io));
            match store::open(&disk, &options) {
                Err(AtlasError::Io { .. }) => {}
                Err(error) => panic!("read {number}: {error:?}"),
                Ok(_) => panic!("started over a failed read {number}"),
            }
            let engine = store::open(&disk, &options).unwrap();
            check_contents(&engine, &model, "after a read error");
        }
    }
}

#[test]
fn a_missing_manifest_refuses() {
    for (disk, _, options) in [with_tables(), three_segments(true)] {
        disk.take_file(&path("MANIFEST"));
        let error = refusal(&disk, &options, "no manifest");
        assert!(
            matches!(error, AtlasError::MissingManifest { .. }),
            "{error:?}"
        );
        disk.put_file(&path("MANIFEST.tmp"), b"half");
        refusal(&disk, &options, "no manifest but a temporary one");
    }
}

#[test]
fn a_damaged_manifest_refuses() {
    let (disk, _, options) = with_tables();
    let manifest = path("MANIFEST");
    let length = damage::bytes(&disk, &manifest).len();
    for at in 0..length {
        let flipped = disk.copy();
        flip(&flipped, &manifest, at, (at % 8) as u8);
        refusal(&flipped, &options, &format!("manifest byte {at} flipped"));
        let cut = disk.copy();
        cut.edit(&manifest, |bytes| bytes.truncate(at));
        refusal(&cut, &options, &format!("manifest cut to {at} bytes"));
    }
    let longer = disk.copy();
    longer.edit(&manifest, |bytes| bytes.push(0));
    refusal(&longer, &options, "a byte after the manifest");
}

#[test]
fn an_older_manifest_in_its_place_does_not_lose_data() {
    let disk = SimDisk::new(6);
    let options = store::options(POLICIES[0]);
    let engine = store::open(&disk, &options).unwrap();
    let older = damage::bytes(&disk, &path("MANIFEST"));
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..60, 100);
    engine.flush().unwrap();
    fill(&engine, &mut model, 60..70, 100);
    let disk = disk.copy();
    disk.put_file(&path("MANIFEST"), &older);
    // Its segment is gone: a table covered it.
    refusal(&disk, &options, "an older manifest");
}

#[test]
fn a_missing_or_foreign_segment_refuses() {
    let (disk, _, options) = three_segments(true);
    let segments = store::segments(&disk);
    for (number, segment) in segments.iter().enumerate() {
        let missing = disk.copy();
        missing.take_file(segment);
        let error = refusal(&missing, &options, "a segment is missing");
        assert!(matches!(error, AtlasError::MissingFile { .. }), "{error:?}");
        assert!(error.to_string().contains(&segment.display().to_string()));

        let swapped = disk.copy();
        let other = damage::bytes(&disk, &segments[(number + 1) % 3]);
        swapped.put_file(segment, &other);
        refusal(&swapped, &options, "a segment is another one");
    }
}

#[test]
fn a_damaged_segment_header_refuses() {
    let (disk, _, options) = three_segments(false);
    for segment in store::segments(&disk) {
        for at in (0..64).chain([64, 511, 512, HEADER - 1]) {
            let damaged = disk.copy();
            flip(&damaged, &segment, at, (at % 8) as u8);
            refusal(&damaged, &options, &format!("header byte {at} flipped"));
        }
        for length in [0, 1, 56, HEADER - 1] {
            let cut = disk.copy();
            cut.edit(&segment, |bytes| bytes.truncate(length));
            refusal(&cut, &options, &format!("header cut to {length} bytes"));
        }
    }
}

#[test]
fn a_missing_or_damaged_table_is_never_wrong_data() {
    let (disk, model, options) = with_tables();
    let tables = store::named(&disk, ".sst");
    for table in &tables {
        let missing = disk.copy();
        missing.take_file(table);
        let error = refusal(&missing, &options, "a table is missing");
        assert!(matches!(error, AtlasError::MissingFile { .. }), "{error:?}");
    }
    let swapped = disk.copy();
    swapped.put_file(&tables[0], &damage::bytes(&disk, &tables[1]));
    swapped.put_file(&tables[1], &damage::bytes(&disk, &tables[0]));
    if let Ok(engine) = store::open(&swapped, &options) {
        assert!(
            store::contents(&engine).is_err(),
            "swapped tables were read"
        );
        for (key, (lsn, value)) in &model {
            if let Ok(found) = engine.get(key) {
                let found = found.expect("a key vanished");
                assert_eq!((found.lsn, found.value.as_ref()), (*lsn, value.as_slice()));
            }
        }
    }
}

#[test]
fn damage_to_synced_data_refuses_and_names_the_place() {
    let (disk, _) = log_of(&interval(), 6, 2, 40);
    let segment = store::segments(&disk)[0].clone();
    let entries = damage::entries(&damage::bytes(&disk, &segment));
    let writes: Vec<_> = entries.iter().filter(|entry| entry.kind == 1).collect();
    assert_eq!(writes.len(), 8);
    let last_synced = writes[5].lsn;
    assert!(writes[7].durable >= last_synced);
    for entry in &writes[..6] {
        for at in entry.place.clone() {
            let damaged = disk.copy();
            flip(&damaged, &segment, at, (at % 8) as u8);
            let error = refusal(&damaged, &interval(), &format!("byte {at} flipped"));
            let text = error.to_string();
            let AtlasError::SyncedDataDamaged {
                path,
                offset,
                missing,
                proven,
                ..
            } = error
            else {
                panic!("byte {at}: {text}");
            };
            assert_eq!((&path, offset), (&segment, entry.place.start as u64));
            assert_eq!((missing, proven), (entry.lsn, last_synced));
            assert!(text.contains(&segment.display().to_string()), "{text}");
        }
    }
}

#[test]
fn a_segment_cut_short_refuses_when_a_later_one_proves_more() {
    let (disk, _, options) = three_segments(true);
    for segment in &store::segments(&disk)[..2] {
        for entry in damage::entries(&damage::bytes(&disk, segment)) {
            for end in [entry.place.start, entry.place.end - 1] {
                let cut = disk.copy();
                cut.edit(segment, |bytes| bytes.truncate(end));
                let error = refusal(&cut, &options, &format!("cut to {end} bytes"));
                let found = matches!(error, AtlasError::SyncedDataDamaged { .. });
                assert!(found, "{error:?}");
                let zeroed = disk.copy();
                zeroed.edit(segment, |bytes| bytes[end..].fill(0));
                let error = refusal(&zeroed, &options, &format!("zeros from {end}"));
                let found = matches!(error, AtlasError::SyncedDataDamaged { .. });
                assert!(found, "{error:?}");
            }
        }
    }
}

#[test]
fn damage_that_the_manifest_proves_refuses() {
    // Flushing stores a manifest after the sync; the log alone proves nothing.
    let options = Options {
        segment_size: 8 * KIB,
        memtable_size: 1024 * KIB,
        max_sealed_memtables: 4,
        ..store::options(WalSyncStrategy::OsDefault)
    };
    let disk = SimDisk::new(4);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..8, 300);
    engine.sync().unwrap();
    while store::segments(&disk).len() == 1 {
        let next = model.len() as u32;
        fill(&engine, &mut model, next..next + 1, 300);
    }
    let disk = disk.copy();
    let segments = store::segments(&disk);
    let entries = damage::entries(&damage::bytes(&disk, &segments[0]));
    // Nothing but the first entries is left of the log: only the manifest knows of the eighth.
    disk.edit(&segments[0], |bytes| {
        bytes[entries[3].place.start..].fill(0);
    });
    disk.edit(&segments[1], |bytes| bytes[HEADER..].fill(0));
    let error = refusal(&disk, &options, "only the manifest proves");
    let text = error.to_string();
    assert!(text.contains("manifest"), "{text}");
    assert!(
        matches!(error, AtlasError::SyncedDataDamaged { .. }),
        "{text}"
    );
}

#[test]
fn zeros_are_the_end() {
    let (disk, model) = log_of(&interval(), 5, 5, 100);
    let engine = store::open(&disk, &interval()).unwrap();
    let report = engine.recovery_report();
    assert_eq!((report.cut_from, report.cut_bytes), (None, 0), "{report:?}");
    assert!(
        report.quarantined.is_empty() && report.notes.is_empty(),
        "{report:?}"
    );
    assert_eq!(report.replayed_operations, 10);
    check_contents(&engine, &model, "zeros at the end");
}

#[test]
fn an_unproven_tail_is_cut_and_kept() {
    let (disk, model) = log_of(&interval(), 5, 5, 100);
    let segment = store::segments(&disk)[0].clone();
    let log = damage::bytes(&disk, &segment);
    let entries = damage::entries(&log);
    for (number, entry) in entries.iter().enumerate().skip(5) {
        for at in entry.place.clone() {
            let damaged = disk.copy();
            flip(&damaged, &segment, at, (at % 8) as u8);
            let mut tail = damage::bytes(&damaged, &segment);
            let engine = store::open(&damaged, &interval()).unwrap();
            let report = engine.recovery_report();
            assert_eq!(report.cut_from, Some(entry.lsn), "byte {at}");
            assert_eq!(report.last_lsn, entries[number - 1].lsn, "byte {at}");
            check_contents(&engine, &first(&model, number), "a torn tail");

            let end = entries.last().unwrap().place.end;
            assert_eq!(report.cut_bytes, (end - entry.place.start) as u64);
            let kept = engine.quarantine_list().unwrap();
            assert_eq!(kept.len(), 1, "{kept:?}");
            assert_eq!(report.quarantined, [kept[0].name.clone()]);
            let kept = damage::bytes(&damaged, &path("quarantine").join(&kept[0].name));
            tail.truncate(end);
            assert_eq!(
                kept,
                tail[entry.place.start..],
                "byte {at}: other bytes were kept"
            );

            drop(engine);
            let again = store::open(&damaged, &interval()).unwrap();
            assert_eq!(again.recovery_report().cut_from, None, "it was cut twice");
            check_contents(&again, &first(&model, number), "started twice");
        }
    }
}

#[test]
fn position_proves_nothing() {
    // Nothing was synced: damage in the first of three segments cuts there, and the others are kept.
    let (disk, model, options) = three_segments(false);
    let segments = store::segments(&disk);
    let entries = damage::entries(&damage::bytes(&disk, &segments[0]));
    for (number, entry) in entries.iter().enumerate() {
        let damaged = disk.copy();
        flip(&damaged, &segments[0], entry.place.end - 1, 0);
        let later = [1, 2].map(|place| damage::bytes(&damaged, &segments[place]));
        let engine = store::open(&damaged, &options).unwrap();
        let report = engine.recovery_report();
        assert_eq!(report.cut_from, Some(entry.lsn), "{report:?}");
        check_contents(&engine, &first(&model, number), "cut in the first segment");
        let files = damaged.files();
        let kept: Vec<_> = files
            .iter()
            .filter(|(path, _)| path.starts_with(store::path("quarantine")))
            .map(|(_, bytes)| bytes)
            .collect();
        assert_eq!(kept.len(), 3, "the cut bytes and two segments");
        for segment in &later {
            assert!(
                kept.contains(&segment),
                "a later segment is not in quarantine"
            );
        }
        let lost = entries[number].lsn;
        let error = engine.sync_to(lost).unwrap_err();
        assert!(matches!(error, AtlasError::LsnLost { .. }), "{error:?}");
    }
}

#[test]
fn every_subset_of_the_last_unsynced_pages_starts() {
    const PAGE: usize = 4096;
    for unsynced in [8, 3] {
        let options = interval();
        let (disk, model) = log_of(&options, 20, 34 * unsynced / 3, 350);
        let segment = store::segments(&disk)[0].clone();
        let log = damage::bytes(&disk, &segment);
        let entries = damage::entries(&log);
        let synced_to = entries[19].place.end;
        let end = entries.last().unwrap().place.end;
        let pages: Vec<usize> = (synced_to / PAGE..end.div_ceil(PAGE)).collect();
        let pages = &pages[pages.len().saturating_sub(8)..];
        for subset in 1_u32..1 << pages.len() {
            let torn = disk.copy();
            torn.edit(&segment, |bytes| {
                for (bit, page) in pages.iter().enumerate() {
                    if subset & (1 << bit) != 0 {
                        bytes[(page * PAGE).max(synced_to)..(page + 1) * PAGE].fill(0);
                    }
                }
            });
            let engine = store::open(&torn, &options)
                .unwrap_or_else(|error| panic!("subset {subset:b}: {error}"));
            let found = store::contents(&engine).unwrap();
            assert!(found.len() >= 20, "subset {subset:b}: synced keys are lost");
            let expected = first(&model, found.len());
            assert_eq!(
                store::difference(&found, &expected),
                "",
                "subset {subset:b}"
            );
        }
    }
}

#[test]
fn strays_are_kept_and_temporaries_removed() {
    let (disk, model, options) = with_tables();
    let strays = [
        "notes.txt",
        "wal-1.log",
        "MANIFEST.old",
        "000000009999.sst",
        "wal-000000009999.log",
        ".hidden",
    ];
    for round in 1..=2 {
        for stray in strays {
            let text = format!("{stray} in round {round}");
            disk.put_file(&path(stray), text.as_bytes());
        }
        for temporary in ["MANIFEST.tmp", "000000000001.sst.tmp", "x.tmp"] {
            disk.put_file(&path(temporary), b"half");
        }
        disk.create_dir(&path("lost+found")).unwrap();
        let engine = store::open(&disk, &options).unwrap();
        check_contents(&engine, &model, "with strays");
        assert_eq!(engine.recovery_report().quarantined.len(), strays.len());
        let stats = engine.stats();
        assert_eq!(stats.quarantine_files, (strays.len() * round) as u64);
        let kept: Vec<Vec<u8>> = engine
            .quarantine_list()
            .unwrap()
            .iter()
            .map(|file| damage::bytes(&disk, &path("quarantine").join(&file.name)))
            .collect();
        for round in 1..=round {
            for stray in strays {
                let text = format!("{stray} in round {round}").into_bytes();
                assert!(kept.contains(&text), "{stray} of round {round} is gone");
            }
        }
        for file in disk
            .files()
            .keys()
            .filter(|file| file.parent() == Some(Path::new(DIR)))
        {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(
                !strays.contains(&name) && !name.ends_with(".tmp"),
                "{name} stayed"
            );
        }
        disk.list(&path("lost+found")).unwrap();
    }
    let engine = store::open(&disk, &options).unwrap();
    let purged = engine.quarantine_purge().unwrap();
    assert_eq!(purged.len(), strays.len() * 2);
    assert!(engine.quarantine_list().unwrap().is_empty());
    assert_eq!(engine.stats().quarantine_files, 0);
    let after = disk.crash_image(Loss::DropAll, 0);
    assert!(
        !after
            .files()
            .keys()
            .any(|file| file.starts_with(path("quarantine")))
    );
}

#[test]
fn quarantine_has_a_budget() {
    let (disk, model, options) = with_tables();
    let options = Options {
        quarantine_size: 20_000,
        ..options
    };
    disk.put_file(&path("large"), &[1; 30_000]);
    disk.put_file(&path("small"), &[2; 100]);
    for _ in 0..2 {
        let engine = store::open(&disk, &options).unwrap();
        check_contents(&engine, &model, "over the budget");
        let report = engine.recovery_report();
        assert!(
            report.notes.iter().any(|note| note.contains("large")),
            "{report:?}"
        );
        assert_eq!(damage::bytes(&disk, &path("large")), [1; 30_000]);
        assert_eq!(damage::bytes(&disk, &path("quarantine/small")), [2; 100]);
        drop(engine);
    }
}

#[test]
fn a_cut_beyond_the_budget_loses_nothing() {
    let options = Options {
        quarantine_size: 0,
        ..interval()
    };
    let (disk, model) = log_of(&options, 5, 5, 3000);
    let segment = store::segments(&disk)[0].clone();
    let entries = damage::entries(&damage::bytes(&disk, &segment));
    flip(&disk, &segment, entries[6].place.end - 1, 0);
    let before = damage::bytes(&disk, &segment);
    for _ in 0..3 {
        let engine = store::open(&disk, &options).unwrap();
        check_contents(&engine, &first(&model, 6), "no room for what was cut");
        assert_eq!(damage::bytes(&disk, &segment), before, "the segment stays");
    }
}

#[test]
fn a_directory_of_other_things_is_not_taken() {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new(DIR)).unwrap();
    disk.put_file(&path("letter.txt"), b"dear");
    let error = refusal(&disk, &interval(), "a directory of other things");
    assert!(matches!(error, AtlasError::NotAStore { .. }), "{error:?}");
}

#[test]
fn a_newer_format_refuses_with_both_numbers() {
    let (disk, _, options) = three_segments(true);
    let mut files = store::segments(&disk);
    files.push(path("MANIFEST"));
    for file in files {
        let newer = disk.copy();
        newer.edit(&file, |bytes| {
            let end = if file.ends_with("MANIFEST") {
                bytes.len()
            } else {
                HEADER
            };
            damage::set_version(&mut bytes[..end], 77);
        });
        let error = refusal(&newer, &options, "a newer format");
        let text = error.to_string();
        let AtlasError::NewerFormat {
            found, supported, ..
        } = error
        else {
            panic!("{text}");
        };
        assert_eq!((found, supported), (77, 1));
        assert!(text.contains("77") && text.contains(" 1"), "{text}");
    }
}

#[test]
fn a_second_process_is_refused() {
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &interval()).unwrap();
    let error = store::open(&disk, &interval()).unwrap_err();
    assert!(matches!(error, AtlasError::Locked { .. }), "{error:?}");
    engine.put(b"a", b"1").unwrap();
    drop(engine);
    let engine = store::open(&disk, &interval()).unwrap();
    assert!(engine.exists(b"a").unwrap());
}

/// Waits, by looking, until a quiet store has appended its mark.
fn wait_for_mark(engine: &Engine) {
    let before = engine.stats().log_bytes;
    while engine.stats().log_bytes == before {
        engine.maintain().unwrap();
        std::thread::yield_now();
    }
}

#[test]
fn a_mark_after_a_quiet_moment_proves_the_last_writes() {
    let disk = SimDisk::new(3);
    let engine = store::open(&disk, &interval()).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..5, 40);
    engine.sync().unwrap();
    wait_for_mark(&engine);
    // No mark follows a mark.
    let after = engine.stats().log_bytes;
    let until = std::time::Instant::now() + std::time::Duration::from_millis(120);
    while std::time::Instant::now() < until {
        engine.maintain().unwrap();
    }
    assert_eq!(engine.stats().log_bytes, after);

    // A power cut loses nothing; damage to any write is found.
    let disk = disk.crash_image(Loss::DropAll, 0);
    let segment = store::segments(&disk)[0].clone();
    let entries = damage::entries(&damage::bytes(&disk, &segment));
    assert_eq!(entries.iter().filter(|entry| entry.kind == 1).count(), 5);
    for entry in entries.iter().filter(|entry| entry.kind == 1) {
        for at in entry.place.clone() {
            let damaged = disk.copy();
            flip(&damaged, &segment, at, (at % 8) as u8);
            let error = refusal(&damaged, &interval(), &format!("byte {at} flipped"));
            let found = matches!(error, AtlasError::SyncedDataDamaged { .. });
            assert!(found, "byte {at}: {error:?}");
        }
    }
}

#[test]
fn lsns_are_never_given_twice_and_lost_ones_are_told() {
    let (disk, model) = log_of(&interval(), 3, 3, 40);
    let answered: Vec<Lsn> = model.values().map(|value| value.0).collect();
    let disk = disk.crash_image(Loss::DropAll, 0);
    let engine = store::open(&disk, &interval()).unwrap();
    check_contents(&engine, &first(&model, 3), "three were synced");
    for lsn in &answered[..3] {
        assert!(engine.sync_to(*lsn).unwrap() >= *lsn);
    }
    for lsn in &answered[3..] {
        let error = engine.sync_to(*lsn).unwrap_err();
        let AtlasError::LsnLost { last, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(last, answered[2]);
    }
    let next = engine.put(b"next", b"").unwrap();
    assert!(next > answered[5]);
    let beyond = engine
        .sync_to(Lsn::from_u64(next.as_u64() + 5))
        .unwrap_err();
    assert!(
        matches!(beyond, AtlasError::LsnNotAssigned { .. }),
        "{beyond:?}"
    );
}

#[test]
fn a_clients_value_cannot_pose_as_an_entry() {
    // A value that holds a whole valid entry of an earlier segment, with a durable LSN of its own.
    let options = interval();
    let (disk, model) = log_of(&options, 5, 0, 40);
    let segment = store::segments(&disk)[0].clone();
    let log = damage::bytes(&disk, &segment);
    let mut posing = Vec::new();
    for entry in damage::entries(&log) {
        posing.extend_from_slice(&log[entry.place]);
    }
    let engine = store::open(&disk, &options).unwrap();
    engine.put(b"first", b"1").unwrap();
    engine.put(b"posing", &posing).unwrap();
    let disk = disk.copy();
    let segment = store::segments(&disk)[0].clone();
    let entries = damage::entries(&damage::bytes(&disk, &segment));
    flip(&disk, &segment, entries[0].place.start, 0);
    let engine = store::open(&disk, &options).unwrap();
    assert_eq!(engine.recovery_report().cut_from, Some(entries[0].lsn));
    check_contents(&engine, &model, "nothing posed");
}

#[test]
fn deleted_keys_never_return() {
    let options = store::options(POLICIES[0]);
    let disk = SimDisk::new(8);
    let mut engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..40, 30);
    engine.flush().unwrap();
    fill(&engine, &mut model, 20..60, 30);
    engine.flush().unwrap();
    for key in model.keys().cloned().collect::<Vec<_>>() {
        engine.delete(&key).unwrap();
    }
    for round in 0..6 {
        match round {
            0 | 2 => engine.flush().unwrap(),
            1 => engine.maintain().unwrap(),
            4 => drop(engine.compact().unwrap()),
            _ => {}
        }
        check_contents(&engine, &Contents::new(), "everything was deleted");
        drop(engine);
        engine = store::open(&disk.copy(), &options).unwrap();
        check_contents(
            &engine,
            &Contents::new(),
            "everything was deleted, reopened",
        );
        drop(engine);
        engine = store::open(&disk, &options).unwrap();
    }
    engine.compact().unwrap();
    assert_eq!(
        engine.stats().table_tombstones,
        0,
        "tombstones outlive their use"
    );
}

/// What is read of a segment at once, as far as the tests care: proofs are put around its multiples.
const WINDOW: usize = 256 * KIB;

#[test]
fn a_proof_is_found_wherever_it_stands() {
    let options = Options {
        memtable_size: 4096 * KIB,
        segment_size: 4096 * KIB,
        ..interval()
    };
    for shift in 0..24 {
        let disk = SimDisk::new(3);
        let engine = store::open(&disk, &options).unwrap();
        engine.put(b"damaged", b"synced").unwrap();
        engine.sync().unwrap();
        // The next entry is not damaged, but not the next either. The nonce of the one after it lies
        // around the end of the first window that is looked through.
        let segment = store::segments(&disk)[0].clone();
        let from = damage::entries(&damage::bytes(&disk, &segment))[0]
            .place
            .clone();
        let head = 16 + 9;
        let nonce_at = from.start + WINDOW - 16 + shift;
        let rough = nonce_at - head - from.end - 100;
        engine.put(b"filler", &vec![1; rough]).unwrap();
        let ends = damage::entries(&damage::bytes(&disk, &segment))[1]
            .place
            .end;
        engine
            .put(b"f", &vec![2; nonce_at - head - ends - 36])
            .unwrap();
        engine.put(b"carrier", b"of the proof").unwrap();
        let disk = disk.copy();
        let log = damage::bytes(&disk, &segment);
        let entries = damage::entries(&log);
        let carrier = entries.last().unwrap().place.start;
        assert!(
            (carrier + head).abs_diff(nonce_at) < 12,
            "{carrier} {nonce_at}"
        );
        // Only the last entry carries the proof.
        disk.edit(&segment, |bytes| bytes[from.start..carrier].fill(0xEE));
        let error = refusal(&disk, &options, &format!("shift {shift}"));
        let found = matches!(error, AtlasError::SyncedDataDamaged { .. });
        assert!(found, "shift {shift}: {error:?}");
    }
}

#[test]
fn entries_larger_than_any_window_are_replayed() {
    let options = Options {
        memtable_size: 512 * KIB,
        segment_size: 8192 * KIB,
        ..interval()
    };
    let disk = SimDisk::new(3);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    for (number, length) in [10, 300_000, 5, 900_000, 262_144, 262_101, 4096, 700_000, 1]
        .into_iter()
        .enumerate()
    {
        let changes = [(vec![number as u8 + 1], Some(vec![number as u8; length]))];
        let lsn = store::write(&engine, &changes).unwrap();
        store::apply(&mut model, &changes, lsn);
    }
    let disk = disk.copy();
    let engine = store::open(&disk, &options).unwrap();
    check_contents(&engine, &model, "large entries");
    drop(engine);
    let engine = store::open(&disk.crash_image(Loss::DropAll, 0), &options).unwrap();
    check_contents(&engine, &model, "large entries after a power cut");
}
