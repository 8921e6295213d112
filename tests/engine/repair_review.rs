//! What reviews of the repair found, each with the store that shows it.

use std::path::Path;

use atlaskv::storage::repair::{Repair, RepairOutcome};
use atlaskv::storage::{AtlasError, KIB, Lsn, Operation, Options};

use crate::damage::{self, HEADER, entries, fill, flip};
use crate::repair::{changes, plan, repair, sample};
use crate::sim_disk::{Errno, Fault, SimDisk};
use crate::store::{self, Contents, DIR};

/// A store with one table of these keys, its process dead.
fn one_table(keys: u32) -> (SimDisk, Contents, Options) {
    let options = Options {
        max_key_size: 1024 * KIB,
        max_batch_size: 2048 * KIB,
        ..damage::interval()
    };
    let disk = SimDisk::new(31);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..keys, 40);
    engine.flush().unwrap();
    drop(engine);
    (disk.copy(), model, options)
}

/// Where the entries of a table begin.
fn entries_of(bytes: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 16;
    while at < damage::entries_end(bytes) {
        places.push(at);
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
        at += 8 + length as usize;
    }
    places
}

#[test]
fn what_is_accepted_covers_the_places_behind_the_hundredth() {
    let (disk, _, _) = one_table(400);
    let table = store::named(&disk, ".sst").pop().unwrap();
    let places = entries_of(&damage::bytes(&disk, &table));
    let damaged = |last: usize| {
        let disk = disk.copy();
        for place in (1..300).step_by(2).chain([last]) {
            flip(&disk, &table, places[place] + 20, 1);
        }
        plan(&disk).unwrap()
    };
    let (one, other) = (damaged(350), damaged(360));
    let loss = &one.losses[0];
    assert_eq!((loss.entries, loss.keys.len()), (Some(151), 100));
    assert_eq!(loss.keys[99].before.as_deref(), Some(&b"key00351"[..]));
    assert!(loss.detail.contains("in 151 places"), "{}", loss.detail);
    assert_eq!(one.fingerprint, damaged(350).fingerprint);
    assert_ne!(one.fingerprint, other.fingerprint);
    // The same hundred places, and the same last one: those between count as well.
    let between = {
        let disk = disk.copy();
        for place in (1..299).step_by(2).chain([300, 350]) {
            flip(&disk, &table, places[place] + 20, 1);
        }
        plan(&disk).unwrap()
    };
    assert_eq!(between.losses[0].entries, Some(151));
    assert_ne!(one.fingerprint, between.fingerprint);
}

#[test]
fn what_is_lost_at_the_end_of_the_log_does_not_count_as_durable() {
    let (disk, _, options) = damage::three_segments(true);
    let segments = store::segments(&disk);
    let lsns: Vec<Lsn> = segments
        .iter()
        .flat_map(|path| entries(&damage::bytes(&disk, path)))
        .map(|entry| entry.lsn)
        .collect();
    let kept = entries(&damage::bytes(&disk, &segments[0]))
        .pop()
        .unwrap()
        .lsn;
    for path in &segments[1..] {
        disk.take_file(path);
    }
    let seen = repair(&disk).unwrap();
    assert_eq!(seen.outcome, RepairOutcome::Loss);
    let engine = store::open(&disk, &options).unwrap();
    assert!(engine.sync_to(kept).is_ok());
    for lost in lsns.into_iter().filter(|lsn| *lsn > kept) {
        let answer = engine.sync_to(lost);
        let is_lost = matches!(answer, Err(AtlasError::LsnLost { .. }));
        assert!(is_lost, "{lost}: {answer:?}");
    }
}

#[test]
fn a_newer_segment_behind_a_damaged_one_is_refused() {
    let (disk, _, _) = damage::three_segments(true);
    let segments = store::segments(&disk);
    flip(&disk, &segments[0], 20, 3);
    disk.edit(&segments[1], |bytes| {
        damage::set_version(&mut bytes[..HEADER], 2);
    });
    let before = disk.files();
    let refused = plan(&disk);
    assert!(
        matches!(refused, Err(AtlasError::NewerFormat { .. })),
        "{refused:?}"
    );
    assert_eq!(disk.files(), before);
}

/// The names of a repair's copy and record in the data directory.
fn records(disk: &SimDisk) -> Vec<String> {
    let names = disk.files().into_keys().filter_map(|path| {
        let is_here = path.parent() == Some(Path::new(DIR));
        let name = path.file_name()?.to_str()?.to_owned();
        (is_here && name.starts_with("repair-")).then_some(name)
    });
    names.collect()
}

#[test]
fn a_repair_that_was_not_done_leaves_no_record() {
    let store = sample();
    let damaged = store.copy();
    flip(&damaged, &store::named(&damaged, ".sst")[0], 1, 2);
    let mut failed = 0;
    for at in changes(&damaged) {
        let disk = damaged.copy();
        disk.fail_at(at, Fault::Fail(Errno::Full));
        let outcome = repair(&disk);
        let call = disk.describe(at).to_lowercase();
        // After a sync or a rename nobody knows what is durable, so nothing is removed.
        let is_open = call.contains("sync") || call.contains("rename");
        let manifest = store::path("MANIFEST");
        let is_old = damage::bytes(&disk, &manifest) == damage::bytes(&damaged, &manifest);
        if outcome.is_err() && is_old && !is_open {
            assert!(records(&disk).is_empty(), "{call}: {:?}", records(&disk));
            failed += 1;
        }
    }
    assert!(failed > 5, "{failed}");
    // One that a crash has left goes with the next repair, and not to quarantine.
    for name in ["repair-77.json", "repair-77.MANIFEST"] {
        damaged.put_file(&store::path(name), b"{}");
    }
    repair(&damaged).unwrap();
    assert!(records(&damaged).is_empty());
    let kept = damaged.files().into_keys();
    let mut kept = kept.map(|path| path.to_string_lossy().into_owned());
    assert!(!kept.any(|path| path.contains("repair-77")));
}

#[test]
fn a_table_cut_between_two_entries_has_lost_what_stood_behind() {
    let (disk, _, _) = one_table(20);
    let table = store::named(&disk, ".sst").pop().unwrap();
    let end = entries_of(&damage::bytes(&disk, &table))[12];
    disk.edit(&table, |bytes| bytes.truncate(end));
    let seen = plan(&disk).unwrap();
    let loss = &seen.losses[0];
    assert_eq!(loss.entries, Some(8));
    assert_eq!(loss.keys.len(), 1, "{loss:?}");
    assert_eq!(loss.keys[0].after.as_deref(), Some(&b"key00011"[..]));
    assert_eq!(loss.keys[0].before, None);
}

#[test]
fn a_table_cut_between_two_entries_is_missed_without_a_manifest_too() {
    let (disk, _, _) = one_table(20);
    let table = store::named(&disk, ".sst").pop().unwrap();
    let name = table.file_name().unwrap().to_str().unwrap();
    let places = entries_of(&damage::bytes(&disk, &table));
    disk.take_file(&store::path("MANIFEST"));
    // Cut, or with a hole and without a footer that says how many there were.
    let cut = disk.copy();
    cut.edit(&table, |bytes| bytes.truncate(places[12]));
    let hole = disk.copy();
    hole.edit(&table, |bytes| {
        let footer = bytes.len() - 16;
        bytes[footer..].fill(0);
        bytes[places[12]..places[15]].fill(0);
    });
    for (disk, kept, after) in [(cut, 12, "key00011"), (hole, 17, "key00011")] {
        let seen = plan(&disk).unwrap();
        let loss = seen.losses.iter().find(|loss| loss.file == name);
        let loss = loss.unwrap_or_else(|| panic!("{seen:#?}"));
        assert_eq!(loss.entries, None, "{loss:?}");
        assert_eq!(loss.keys[0].after.as_deref(), Some(after.as_bytes()));
        let file = seen.files.iter().find(|file| file.name == name).unwrap();
        assert_eq!(file.kept_entries, Some(kept));
        assert!(!file.detail.contains("the manifest says"), "{file:?}");
        assert_eq!(repair(&disk).unwrap().fingerprint, seen.fingerprint);
    }
    // All entries up to a footer of which a number is damaged: nothing can be missing.
    disk.edit(&table, |bytes| {
        let at = bytes.len() - 16;
        bytes[at] ^= 1;
    });
    let seen = plan(&disk).unwrap();
    assert!(
        seen.losses.iter().all(|loss| loss.file != name),
        "{seen:#?}"
    );
}

#[test]
fn a_segment_of_another_store_does_not_become_the_store() {
    let (disk, model, options) = damage::three_segments(true);
    let other = SimDisk::new(77);
    for start in 0..9 {
        let engine = store::open(&other, &options).unwrap();
        fill(&engine, &mut Contents::new(), start..start + 1, 40);
    }
    let stray = store::segments(&other).pop().unwrap();
    let stray_name = stray.file_name().unwrap().to_str().unwrap();
    assert!(!disk.files().contains_key(&stray));
    disk.put_file(&stray, &damage::bytes(&other, &stray));
    // What is left of a manifest tells which store it is.
    let ruined = disk.copy();
    ruined.edit(&store::path("MANIFEST"), |bytes| bytes[9] ^= 0xFF);
    let seen = plan(&ruined).unwrap();
    let mut losses = seen.losses.iter();
    let loss = losses.find(|loss| loss.file == stray_name).unwrap();
    assert!(!loss.detail.contains("can be read"), "{loss:?}");
    disk.take_file(&store::path("MANIFEST"));
    let before = disk.files();
    let refused = plan(&disk).unwrap_err().to_string();
    assert!(refused.contains(stray_name), "{refused}");
    for ours in store::segments(&disk) {
        let name = ours.file_name().unwrap().to_str().unwrap();
        assert!(refused.contains(name), "{refused}");
    }
    assert!(refused.contains("move"), "{refused}");
    assert_eq!(disk.files(), before);
    disk.take_file(&stray);
    repair(&disk).unwrap();
    let engine = store::open(&disk, &options).unwrap();
    damage::check_contents(&engine, &model, "after the stray segment was moved away");
}

#[test]
fn a_manifest_older_by_a_compaction_is_not_believed() {
    let options = damage::interval();
    let disk = SimDisk::new(33);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..10, 40);
    engine.flush().unwrap();
    fill(&engine, &mut model, 10..20, 40);
    engine.flush().unwrap();
    let older = damage::bytes(&disk, &store::path("MANIFEST"));
    engine.compact().unwrap();
    drop(engine);
    let disk = disk.copy();
    disk.put_file(&store::path("MANIFEST"), &older);
    let seen = repair(&disk).unwrap();
    let loss = &seen.losses[0];
    assert!(loss.detail.contains("older than the data"), "{seen:#?}");
    let engine = store::open(&disk, &options).unwrap();
    damage::check_contents(&engine, &model, "an older manifest");
}

#[test]
fn a_newer_manifest_with_a_flipped_bit_is_refused() {
    let (disk, _, _) = one_table(3);
    let manifest = store::path("MANIFEST");
    disk.edit(&manifest, |bytes| {
        damage::set_version(bytes, 2);
        bytes[40] ^= 1;
    });
    let before = disk.files();
    let refused = plan(&disk);
    let is_newer = matches!(
        refused,
        Err(AtlasError::NewerFormat {
            found: 2,
            supported: 1,
            ..
        })
    );
    assert!(is_newer, "{refused:?}");
    assert_eq!(disk.files(), before);
}

/// The larger a manifest, the sooner another damage passes for one bit: then the files must bear it out.
#[test]
fn a_large_manifest_with_a_bit_set_right_is_borne_out_by_the_files() {
    let (disk, _, options) = one_table(1);
    let engine = store::open(&disk, &options).unwrap();
    store::write(&engine, &[(vec![b'm'; 20 * KIB], Some(b"value".to_vec()))]).unwrap();
    engine.flush().unwrap();
    drop(engine);
    let disk = disk.copy();
    let manifest = store::path("MANIFEST");
    assert!(damage::bytes(&disk, &manifest).len() > 11 * KIB);
    flip(&disk, &manifest, 60, 1);
    assert_eq!(plan(&disk).unwrap().outcome, RepairOutcome::Lossless);
    let segment = store::segments(&disk).pop().unwrap();
    let strange = disk.copy();
    // Of another store, under the same name and number.
    let other = SimDisk::new(99);
    for _ in 0..50 {
        if !other.files().contains_key(&segment) {
            drop(store::open(&other, &options).unwrap());
        }
    }
    let foreign = damage::bytes(&other, &segment);
    strange.edit(&segment, |bytes| {
        bytes[..HEADER].copy_from_slice(&foreign[..HEADER]);
    });
    let without = |path: &Path| {
        let other = disk.copy();
        other.take_file(path);
        (path.to_path_buf(), other)
    };
    let table = store::named(&disk, ".sst").pop().unwrap();
    for (path, other) in [
        without(&segment),
        without(&table),
        (segment.clone(), strange),
    ] {
        let seen = plan(&other).unwrap();
        let is_told = seen.losses.iter().any(|loss| loss.file == "MANIFEST");
        assert!(is_told, "{}: {seen:#?}", path.display());
    }
}

/// The last segment is gone with the manifest, an older one is there: what it had is lost, not given again.
#[test]
fn a_rebuild_gives_no_lsn_again() {
    let options = damage::interval();
    let disk = SimDisk::new(34);
    let mut first_segment = None;
    let mut last = Lsn::ZERO;
    for start in 0..3_u8 {
        let engine = store::open(&disk, &options).unwrap();
        let change = (vec![b'a' + start], Some(b"value".to_vec()));
        last = store::write(&engine, &[change]).unwrap();
        drop(engine);
        let segment = store::segments(&disk).pop().unwrap();
        first_segment.get_or_insert_with(|| (segment.clone(), damage::bytes(&disk, &segment)));
    }
    let disk = disk.copy();
    for path in store::segments(&disk) {
        disk.take_file(&path);
    }
    let (path, bytes) = first_segment.unwrap();
    disk.put_file(&path, &bytes);
    disk.take_file(&store::path("MANIFEST"));
    repair(&disk).unwrap();
    let engine = store::open(&disk, &options).unwrap();
    let next = store::write(&engine, &[(b"next".to_vec(), None)]).unwrap();
    assert!(next > last, "{next} was given, and {last} before");
}

/// What a crash left of a manifest may be the best that there is to know what was live.
#[test]
fn a_rebuild_keeps_the_manifests_that_others_left() {
    for left in ["MANIFEST.tmp", "repair-77.MANIFEST"] {
        let (disk, _, _) = one_table(3);
        let manifest = damage::bytes(&disk, &store::path("MANIFEST"));
        disk.take_file(&store::path("MANIFEST"));
        disk.put_file(&store::path(left), &manifest);
        disk.put_file(&store::path("quarantine/MANIFEST.left"), b"another");
        repair(&disk).unwrap();
        let kept = damage::bytes(&disk, &store::path("quarantine/MANIFEST.left.1"));
        assert_eq!(kept, manifest, "{left}");
        assert!(!disk.files().contains_key(&store::path(left)), "{left}");
    }
}

#[test]
fn what_a_repair_writes_is_not_more_than_it_said() {
    let options = Options {
        max_batch_operations: 3000,
        ..damage::interval()
    };
    let disk = SimDisk::new(32);
    let engine = store::open(&disk, &options).unwrap();
    let keys: Vec<[u8; 2]> = (0..3000_u16).map(u16::to_be_bytes).collect();
    let operations: Vec<_> = keys.iter().map(|key| Operation::Delete { key }).collect();
    engine.write(&operations).unwrap();
    engine.sync().unwrap();
    drop(engine);
    let disk = disk.copy();
    disk.take_file(&store::path("MANIFEST"));
    let planned = Repair::prepare(&disk, Path::new(DIR)).unwrap();
    let said = planned.plan().bytes_to_write;
    let made = planned.carry_out().unwrap().made;
    let sizes = made
        .iter()
        .map(|name| damage::bytes(&disk, &store::path(name)).len() as u64);
    let written = sizes.sum::<u64>();
    assert!(written > 3000 * 20, "{written}");
    assert!(said >= written, "{said} were said, {written} written");
}

#[test]
fn entries_with_the_longest_keys_are_found_behind_damage() {
    let (disk, mut model, options) = one_table(1);
    let engine = store::open(&disk, &options).unwrap();
    let changes = [b'm', b'n', b'o'].map(|letter| {
        let key = vec![letter; 300 * KIB];
        (key, Some(b"value".to_vec()))
    });
    for change in &changes {
        let lsn = store::write(&engine, std::slice::from_ref(change)).unwrap();
        store::apply(&mut model, std::slice::from_ref(change), lsn);
    }
    engine.compact().unwrap();
    drop(engine);
    let disk = disk.copy();
    let table = store::named(&disk, ".sst").pop().unwrap();
    let places = entries_of(&damage::bytes(&disk, &table));
    assert_eq!(places.len(), 4);
    flip(&disk, &table, places[1] + 50, 1);
    let seen = repair(&disk).unwrap();
    assert_eq!(
        seen.losses[0].entries,
        Some(1),
        "{:?}",
        seen.losses[0].detail
    );
    model.remove(&changes[0].0);
    let engine = store::open(&disk, &options).unwrap();
    damage::check_contents(&engine, &model, "all but the damaged one");
}
