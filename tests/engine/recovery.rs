//! Starts that must refuse, and what they must not lose, on the simulated disk. With `tail` and `strays`
//! every row of the recovery table but the last.

use std::path::Path;

use atlaskv::storage::{AtlasError, KIB, Options, WalSyncStrategy};

use crate::damage::{
    self, HEADER, check_contents, fill, flip, interval, log_of, refusal, three_segments,
    with_tables,
};
use crate::sim_disk::{Errno, Fault, SimDisk};
use crate::store::{self, Contents, POLICIES, path};

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
                Ok(engine) => {
                    // Nothing depends on what is held back for a full disk.
                    let notes = engine.recovery_report().notes.join("; ");
                    assert!(
                        notes.contains("no room is held back"),
                        "started over a failed read {number}: {notes}"
                    );
                }
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
fn a_segment_cut_short_or_zeroed_refuses() {
    let (disk, _, options) = three_segments(true);
    for (number, segment) in store::segments(&disk).iter().enumerate() {
        for entry in damage::entries(&damage::bytes(&disk, segment)) {
            for end in [entry.place.start, entry.place.end - 1] {
                // Its size was synced when it was made: no power cut takes that back, the last segment's
                // neither.
                let cut = disk.copy();
                cut.edit(segment, |bytes| bytes.truncate(end));
                let error = refusal(&cut, &options, &format!("cut to {end} bytes"));
                let found = matches!(error, AtlasError::MissingFile { .. });
                assert!(found, "{error:?}");
                // Zeros are what a power cut leaves too: only a proof tells the difference.
                if number == 2 {
                    continue;
                }
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

fn check_newer(disk: &SimDisk, options: &Options, file: &Path) {
    let error = refusal(disk, options, "a newer format");
    let text = error.to_string();
    let AtlasError::NewerFormat {
        path,
        found,
        supported,
    } = error
    else {
        panic!("{text}");
    };
    let known = if file.extension().is_some_and(|it| it == "sst") {
        2
    } else {
        1
    };
    assert_eq!((path.as_path(), found, supported), (file, 77, known));
    assert!(
        text.contains("77") && text.contains(&format!(" {known}")),
        "{text}"
    );
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
        check_newer(&newer, &options, &file);
    }
    let (disk, _, options) = with_tables();
    for file in store::named(&disk, ".sst") {
        let newer = disk.copy();
        newer.edit(&file, |bytes| damage::set_table_version(bytes, 77));
        check_newer(&newer, &options, &file);
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

/// Files of another store under the right names: their own checksums hold.
#[test]
fn files_of_another_store_are_refused() {
    let options = interval();
    let make = |seed| {
        let disk = SimDisk::new(seed);
        let engine = store::open(&disk, &options).unwrap();
        let mut model = Contents::new();
        fill(&engine, &mut model, 0..5, 50);
        engine.flush().unwrap();
        fill(&engine, &mut model, 5..9, 50);
        engine.sync().unwrap();
        disk.copy()
    };
    let (disk, other) = (make(1), make(2));
    let mut files = store::segments(&disk);
    files.extend(store::named(&disk, ".sst"));
    assert_eq!(files.len(), 2);
    for file in files {
        let foreign = disk.copy();
        foreign.put_file(&file, &damage::bytes(&other, &file));
        refusal(
            &foreign,
            &options,
            &format!("{} of another store", file.display()),
        );
    }
}
