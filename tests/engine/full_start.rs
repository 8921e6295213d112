//! Starts on a full disk: what is held back is enough for them, however much was not flushed yet.

use atlaskv::storage::{Engine, KIB, MIB, Options, WalSyncStrategy};

use crate::sim_disk::{Call, CallKind, Errno, Fault, Loss, SimDisk};
use crate::store::{self, Contents, POLICIES};

/// So many memtables may wait that their tables are more than what is held back.
fn options(sync: WalSyncStrategy) -> Options {
    Options {
        memtable_size: 32 * KIB,
        segment_size: 32 * KIB,
        max_sealed_memtables: 8,
        compaction_trigger: 20,
        max_tables: 40,
        ..store::options(sync)
    }
}

/// Puts until as much waits to be flushed as ever may, and the disk is full to the last byte.
fn unflushed(options: &Options) -> (SimDisk, u64, Engine, Contents) {
    let disk = SimDisk::new(7);
    let engine = store::open(&disk, options).unwrap();
    let mut contents = Contents::new();
    let is_most = || {
        let stats = engine.stats();
        let waiting = stats.sealed_memtables == options.max_sealed_memtables as u64;
        waiting && stats.memtable_bytes > (options.memtable_size - KIB) as u64
    };
    for number in 0_u32.. {
        if is_most() {
            break;
        }
        // Some keys more than once, and some deleted.
        let key = (number * 7 % 1000).to_be_bytes().to_vec();
        let value = (number % 10 != 0).then(|| vec![number as u8; 400]);
        let changes = [(key, value)];
        let lsn = store::write(&engine, &changes).unwrap();
        store::apply(&mut contents, &changes, lsn);
    }
    engine.sync().unwrap();
    assert!(engine.stats().tables <= 1, "it was flushed");
    let capacity = disk.used();
    disk.set_capacity(Some(capacity));
    (disk, capacity, engine, contents)
}

/// The state after a crash, on a disk of this size: nobody else has taken what was free.
fn crashed(disk: &SimDisk, capacity: u64, loss: Loss, seed: u64) -> SimDisk {
    let image = disk.crash_image(loss, seed);
    // What was removed and not synced comes back.
    image.set_capacity(Some(capacity.max(image.used())));
    image
}

/// Some of so many changes, all of them with a large budget.
fn sample(total: u64, usual: u64) -> Vec<u64> {
    let seed = store::seeds(1)[0];
    eprintln!("changes chosen by ATLASKV_TEST_SEED={seed}");
    let mut numbers: Vec<u64> = (0..total).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut numbers);
    numbers.truncate(store::budget(usual) as usize);
    numbers
}

fn check(engine: &Engine, expected: &Contents, place: &str) {
    let found = store::contents(engine).unwrap();
    assert_eq!(store::difference(&found, expected), "", "{place}");
}

#[test]
fn it_has_room_for_all_that_was_not_flushed() {
    for sync in POLICIES {
        let options = options(sync);
        let (disk, capacity, engine, mut contents) = unflushed(&options);
        let tables = engine.stats().tables;
        for loss in Loss::ALL {
            let place = format!("{sync:?}, {loss:?}");
            let disk = crashed(&disk, capacity, loss, 1);
            let engine =
                store::open(&disk, &options).unwrap_or_else(|error| panic!("{place}: {error}"));
            check(&engine, &contents, &place);
            let report = engine.recovery_report();
            assert_eq!(report.segments, 9, "{place}");
            assert!(report.replayed_operations > 500, "{place}: {report:?}");
            let note = report.notes.join("; ");
            assert!(note.contains("one by one"), "{place}: {note}");
            assert!(engine.stats().tables > tables + 5, "{place}");
        }
        // Where there is room, all of it becomes true with one manifest.
        let image = disk.crash_image(Loss::DropAll, 1);
        image.set_capacity(None);
        let engine = store::open(&image, &options).unwrap();
        assert!(engine.recovery_report().notes.is_empty());
        let changes = [(b"after".to_vec(), Some(vec![1]))];
        let lsn = store::write(&engine, &changes).unwrap();
        store::apply(&mut contents, &changes, lsn);
        check(&engine, &contents, "with room");
    }
}

/// Interrupted by a power cut at any change, it goes on at the next start, in the same room.
#[test]
fn it_can_be_interrupted_anywhere() {
    let options = options(WalSyncStrategy::EveryWrite);
    let (full, capacity, _engine, contents) = unflushed(&options);
    let whole = crashed(&full, capacity, Loss::DropAll, 1);
    drop(store::open(&whole, &options).unwrap());
    let total = whole.changes();
    assert!(total > 100, "{total} changes");
    for number in sample(total, 60) {
        let disk = crashed(&full, capacity, Loss::DropAll, 1);
        disk.crash_at(number);
        drop(store::open(&disk, &options));
        let loss = Loss::ALL[number as usize % Loss::ALL.len()];
        let place = format!("cut at {}, {loss:?}", whole.describe(number));
        let image = crashed(&disk, capacity, loss, number);
        let engine =
            store::open(&image, &options).unwrap_or_else(|error| panic!("{place}: {error}"));
        check(&engine, &contents, &place);
    }
}

/// A change of it fails: it refuses, and the next start finds everything; or it can do without.
#[test]
fn its_calls_may_fail() {
    let options = options(WalSyncStrategy::EveryWrite);
    let (full, capacity, _engine, contents) = unflushed(&options);
    let whole = crashed(&full, capacity, Loss::DropAll, 1);
    drop(store::open(&whole, &options).unwrap());
    for number in sample(whole.changes(), 25) {
        for fault in [
            Fault::Fail(Errno::Io),
            Fault::FailDone(Errno::Io),
            Fault::Fail(Errno::Quota),
        ] {
            let disk = crashed(&full, capacity, Loss::DropAll, 1);
            disk.fail_at(number, fault);
            let place = format!("{fault:?} at {}", whole.describe(number));
            if let Ok(engine) = store::open(&disk, &options) {
                check(&engine, &contents, &place);
            }
            disk.clear_faults();
            let image = crashed(&disk, capacity, Loss::DropAll, number);
            let engine =
                store::open(&image, &options).unwrap_or_else(|error| panic!("{place}: {error}"));
            check(&engine, &contents, &place);
        }
    }
}

/// The flushes that use what is held back end at any moment: a start goes on in what is left of it.
#[test]
fn it_goes_on_where_flushes_were_interrupted() {
    let options = options(WalSyncStrategy::EveryWrite);
    let (full, capacity, engine, contents) = unflushed(&options);
    let before = full.changes();
    engine.flush().unwrap();
    let total = full.changes() - before;
    assert!(total > 60, "{total} changes");
    for number in sample(total, 40) {
        let (disk, _, engine, contents) = unflushed(&options);
        disk.crash_at(disk.changes() + number);
        drop(engine.flush());
        drop(engine);
        let place = full.describe(before + number);
        let image = crashed(&disk, capacity, Loss::KeepAll, number);
        let engine =
            store::open(&image, &options).unwrap_or_else(|error| panic!("{place}: {error}"));
        check(&engine, &contents, &place);
    }
    check(&engine, &contents, "flushed");
}

/// As large as a table may be for what is held back: one that is kept as a stray leaves no room for another.
fn one_large_value_each(engine: &Engine, contents: &mut Contents, values: u8) {
    for number in 0..values {
        let changes = [(vec![number % 3], Some(vec![number; 190 * KIB]))];
        let lsn = store::write(engine, &changes).unwrap();
        store::apply(contents, &changes, lsn);
    }
}

/// Wherever the power goes, a table that was named and is not in the manifest yet takes no room from the next start.
#[test]
fn a_table_that_was_just_named_takes_no_room_from_it() {
    let options = Options {
        memtable_size: 2 * KIB,
        segment_size: 8 * KIB,
        max_value_size: 190 * KIB,
        max_batch_size: 200 * KIB,
        ..options(WalSyncStrategy::EveryWrite)
    };
    let flush: fn(&Engine) = |engine| drop(engine.flush());
    let merge: fn(&Engine) = |engine| drop(engine.compact());
    for (what, work) in [("flush", flush), ("merge", merge)] {
        let begin = || {
            let disk = SimDisk::new(7);
            let engine = store::open(&disk, &options).unwrap();
            let mut contents = Contents::new();
            if what == "merge" {
                let delete = [(vec![1], None), (vec![2], None)];
                one_large_value_each(&engine, &mut contents, 3);
                engine.flush().unwrap();
                let lsn = store::write(&engine, &delete).unwrap();
                store::apply(&mut contents, &delete, lsn);
                engine.flush().unwrap();
            }
            one_large_value_each(&engine, &mut contents, 4);
            let capacity = disk.used();
            disk.set_capacity(Some(capacity));
            (disk, capacity, engine, contents)
        };
        let (whole, _, engine, _) = begin();
        let before = whole.changes();
        work(&engine);
        let total = whole.changes() - before;
        assert!(total > 30, "{total} changes");
        for number in 0..total {
            let (disk, capacity, engine, contents) = begin();
            disk.crash_at(before + number);
            work(&engine);
            drop(engine);
            for loss in Loss::ALL {
                let place = format!(
                    "{what}, {loss:?}, cut at {}",
                    whole.describe(before + number)
                );
                let image = crashed(&disk, capacity, loss, number);
                let engine = store::open(&image, &options)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
                check(&engine, &contents, &place);
                let mut kept = engine.quarantine_list().unwrap();
                kept.retain(|file| file.name.ends_with(".sst"));
                assert!(kept.is_empty(), "{place}: {kept:?}");
            }
        }
    }
}

/// A disk with one write in the log, after a crash, and what a start on it does.
fn one_write(options: &Options) -> (SimDisk, Vec<Call>) {
    let sound = SimDisk::new(7);
    let engine = store::open(&sound, options).unwrap();
    engine.put(b"k", b"v").unwrap();
    let sound = sound.crash_image(Loss::DropAll, 1);
    let whole = sound.copy();
    drop(store::open(&whole, options).unwrap());
    let trace = whole.trace();
    (sound, trace)
}

/// A file system may refuse a rename for want of room: what the start has made is removed again, or each
/// further start would find less.
#[test]
fn one_that_may_not_name_a_table_leaves_nothing() {
    let options = options(WalSyncStrategy::EveryWrite);
    let (sound, trace) = one_write(&options);
    let named = trace.iter().find(|call| {
        call.kind == CallKind::Rename && call.path.to_string_lossy().ends_with(".sst.tmp")
    });
    let number = named.unwrap().number;
    let disk = sound.copy();
    disk.fail_at(number, Fault::Fail(Errno::Quota));
    let names = || disk.files().into_keys().collect::<Vec<_>>();
    let before = names();
    store::open(&disk, &options).unwrap_err();
    assert_eq!(names(), before);
    let engine = store::open(&disk, &options).unwrap();
    assert_eq!(&engine.get(b"k").unwrap().unwrap().value[..], b"v");
}

/// What may have been done counts as neither done nor not: nothing is removed, or tried another way, before it
/// is known.
#[test]
fn a_manifest_that_may_have_its_name_ends_it() {
    let options = options(WalSyncStrategy::EveryWrite);
    let (sound, trace) = one_write(&options);
    let named = |call: &Call| call.kind == CallKind::Rename && call.path.ends_with("MANIFEST.tmp");
    let number = trace.into_iter().rfind(named).unwrap().number;
    let disk = sound.copy();
    disk.fail_at(number, Fault::FailDone(Errno::Quota));
    store::open(&disk, &options).unwrap_err();
    let after = |call: &Call| call.number > number && call.kind.is_change();
    let after: Vec<Call> = disk.trace().into_iter().filter(after).collect();
    assert!(after.is_empty(), "{after:?}");
    let engine = store::open(&disk, &options).unwrap();
    assert_eq!(&engine.get(b"k").unwrap().unwrap().value[..], b"v");
}

/// Between a segment and the next one: the tables have their names before a manifest says so, and the room of the
/// segment is free before it is counted on.
#[test]
fn each_segment_is_done_before_the_next() {
    let options = options(WalSyncStrategy::EveryWrite);
    let (full, capacity, _engine, _) = unflushed(&options);
    let disk = crashed(&full, capacity, Loss::DropAll, 1);
    disk.clear_trace();
    drop(store::open(&disk, &options).unwrap());
    let mut changes = disk.trace();
    changes.retain(|call| call.kind.is_change());
    let of = |kind: CallKind, ending: &str| {
        let ending = ending.to_owned();
        move |call: &Call| {
            call.kind == kind && call.path.to_string_lossy().ends_with(ending.as_str())
        }
    };
    // Behind a manifest that was stored: what the attempt before has made is removed without one.
    let removed = of(CallKind::Remove, ".log");
    let after_manifest = |pair: &[Call]| pair[0].kind == CallKind::SyncDir && removed(&pair[1]);
    let gone = changes.windows(2).position(after_manifest).unwrap() + 1;
    let named = changes[..gone]
        .iter()
        .rposition(of(CallKind::Rename, ".sst.tmp"));
    for place in [named.unwrap(), gone] {
        let next = &changes[place + 1];
        assert_eq!(next.kind, CallKind::SyncDir, "after {:?}", changes[place]);
    }
}

/// Room for tables and manifest is not yet room for a segment of the usual size.
#[test]
fn where_the_usual_segment_has_no_room_a_small_one_is_made() {
    let options = Options {
        segment_size: 2 * MIB,
        ..options(WalSyncStrategy::EveryWrite)
    };
    let disk = SimDisk::new(7);
    drop(store::open(&disk, &options).unwrap());
    let next = disk.copy();
    let before = next.changes();
    next.clear_trace();
    drop(store::open(&next, &options).unwrap());
    let is_it = |call: &Call| {
        let name = call.path.to_string_lossy();
        call.kind == CallKind::Preallocate && name.ends_with(".log.tmp")
    };
    let at = next.trace().into_iter().find(is_it).unwrap().number - before;
    let disk = disk.copy();
    disk.fail_at(disk.changes() + at, Fault::Fail(Errno::Full));
    let engine = store::open(&disk, &options).unwrap();
    assert_eq!(disk.fired(), 1);
    let sizes: Vec<usize> = store::segments(&disk)
        .iter()
        .map(|path| disk.files()[path].len())
        .collect();
    assert_eq!(sizes, [MIB]);
    engine.put(b"key", b"value").unwrap();
}
