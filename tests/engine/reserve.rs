//! The room held back for a full disk: deletes, flush and compaction go on in it, puts do not.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atlaskv::storage::{AtlasError, Disk, Engine, Event, KIB, Operation, Options, verify};

use crate::sim_disk::{CallKind, Errno, Fault, Loss, SimDisk};
use crate::store::{self, Contents, POLICIES};

/// Kept small, so that everything deleted is in few pages.
const VALUE: [u8; 100] = [7; 100];

fn key(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// Puts until a put is refused; what was answered.
fn fill(engine: &Engine) -> Contents {
    let mut contents = Contents::new();
    for number in 0..10_000 {
        let changes = [(key(number), Some(VALUE.to_vec()))];
        match store::write(engine, &changes) {
            Ok(lsn) => store::apply(&mut contents, &changes, lsn),
            Err(AtlasError::DiskFull { .. }) => return contents,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the disk does not get full");
}

/// Bytes held back.
pub(crate) fn held(disk: &SimDisk) -> u64 {
    let files = disk.list(Path::new(store::DIR)).unwrap();
    let reserve = files.into_iter().find(|file| file.name == "RESERVE.tmp");
    reserve.map_or(0, |file| file.length)
}

/// Options that keep their events, as lines, and these.
fn listening(options: &Options) -> (Options, Arc<Mutex<Vec<String>>>) {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let events = Arc::clone(&told);
    let sink = move |event: &Event| events.lock().unwrap().push(event.to_string());
    let options = Options {
        events: Some(Arc::new(sink)),
        ..options.clone()
    };
    (options, told)
}

fn was_told(told: &Mutex<Vec<String>>, what: &str) -> bool {
    told.lock().unwrap().iter().any(|line| line.contains(what))
}

/// A store on a disk with room for 96 KiB more, filled.
fn full(options: &Options) -> (SimDisk, Engine, Contents) {
    let disk = SimDisk::new(7);
    let engine = store::open(&disk, options).unwrap();
    disk.set_capacity(Some(disk.used() + 96 * KIB as u64));
    let contents = fill(&engine);
    assert!(contents.len() > 100, "{} keys", contents.len());
    (disk, engine, contents)
}

fn delete(engine: &Engine, contents: &mut Contents, number: u32) {
    let changes = [(key(number), None)];
    let lsn = store::write(engine, &changes).unwrap();
    store::apply(contents, &changes, lsn);
}

fn check(engine: &Engine, expected: &Contents) {
    let found = store::contents(engine).unwrap();
    assert_eq!(store::difference(&found, expected), "");
}

/// Nobody else makes room: what is deleted is enough.
#[test]
fn deletes_make_room_on_a_full_disk() {
    for sync in POLICIES {
        let (_disk, engine, mut contents) = full(&store::options(sync));
        engine.flush().unwrap();
        assert_eq!(engine.stats().state, "disk-full");
        let refused = engine.put(b"refused", b"").unwrap_err();
        assert!(matches!(refused, AtlasError::DiskFull { .. }), "{refused}");
        let all = u32::try_from(contents.len()).unwrap();
        for number in 0..all - 10 {
            delete(&engine, &mut contents, number);
        }
        check(&engine, &contents);
        engine.compact().unwrap();
        check(&engine, &contents);
        engine.maintain().unwrap();
        assert_eq!(engine.stats().state, "running", "{sync:?}");
        let changes = [(b"resumed".to_vec(), Some(vec![1]))];
        let lsn = store::write(&engine, &changes).unwrap();
        store::apply(&mut contents, &changes, lsn);
        check(&engine, &contents);
    }
}

/// A full disk stays full over a restart and a power cut: it starts, serves reads, takes deletes.
#[test]
fn a_start_on_a_full_disk_serves() {
    for sync in POLICIES {
        let options = store::options(sync);
        let (disk, engine, mut contents) = full(&options);
        delete(&engine, &mut contents, 0);
        engine.flush().unwrap();
        delete(&engine, &mut contents, 1);
        engine.sync().unwrap();
        for loss in Loss::ALL {
            let mut contents = contents.clone();
            // As often as one likes: no start leaves less room to the next.
            let mut disk = disk.crash_image(loss, 1);
            let capacity = disk.used();
            for number in 2..8 {
                disk.set_capacity(Some(capacity.max(disk.used())));
                let engine = store::open(&disk, &options)
                    .unwrap_or_else(|error| panic!("{sync:?}, {loss:?}, {number}: {error}"));
                check(&engine, &contents);
                delete(&engine, &mut contents, number);
                engine.sync().unwrap();
                drop(engine);
                disk = disk.crash_image(loss, u64::from(number));
            }
            disk.set_capacity(None);
            let engine = store::open(&disk, &options).unwrap();
            assert_eq!(engine.stats().state, "running");
            check(&engine, &contents);
            engine.put(b"resumed", b"").unwrap();
        }
    }
}

/// A start that finds no room to hold back takes no puts, until there is.
#[test]
fn without_room_to_hold_back_a_start_refuses_puts() {
    let options = store::options(POLICIES[1]);
    let disk = SimDisk::new(7);
    let engine = store::open(&disk, &options).unwrap();
    engine.put(b"k", b"v").unwrap();
    engine.close().unwrap();
    drop(engine);
    disk.take_file(&store::path("RESERVE.tmp"));
    disk.set_capacity(Some(disk.used() + 17 * KIB as u64));
    let (options, told) = listening(&options);
    let engine = store::open(&disk, &options).unwrap();
    assert_eq!(engine.stats().state, "disk-full");
    assert!(was_told(&told, "the disk is full"), "{told:?}");
    let refused = engine.put(b"k", b"w").unwrap_err();
    assert!(matches!(refused, AtlasError::DiskFull { .. }), "{refused}");
    assert_eq!(&engine.get(b"k").unwrap().unwrap().value[..], b"v");
    engine.delete(b"other").unwrap();
    disk.set_capacity(None);
    engine.maintain().unwrap();
    assert!(was_told(&told, "writing goes on"), "{told:?}");
    engine.put(b"k", b"w").unwrap();
}

/// With the disk full a close still ends cleanly.
#[test]
fn a_close_on_a_full_disk_is_clean() {
    for sync in POLICIES {
        let options = store::options(sync);
        let (disk, engine, contents) = full(&options);
        engine.close().unwrap();
        drop(engine);
        let engine = store::open(&disk, &options).unwrap();
        assert!(engine.recovery_report().clean_shutdown);
        check(&engine, &contents);
    }
}

/// What is held back is enough for the largest table that a flush may make, in whatever shape it comes.
#[test]
fn the_largest_memtable_is_flushed_on_a_full_disk() {
    let base = store::options(POLICIES[1]);
    let large = |memtable, segment, batch, operations| Options {
        max_value_size: batch - 2 * KIB,
        max_batch_size: batch,
        max_batch_operations: operations,
        memtable_size: memtable,
        segment_size: segment,
        ..base.clone()
    };
    for options in [
        large(2 * KIB, 16 * KIB, 200 * KIB, 200),
        large(64 * KIB, 8 * KIB, 200 * KIB, 200),
        large(64 * KIB, 256 * KIB, 64 * KIB, 200),
        large(2 * KIB, 16 * KIB, 24 * KIB, 8000),
        large(64 * KIB, 128 * KIB, 64 * KIB, 8000),
    ] {
        for value in [options.max_value_size - 9, 0] {
            let disk = SimDisk::new(7);
            let engine = store::open(&disk, &options).unwrap();
            // As full as a memtable gets without being sealed, then the largest batch.
            for number in 0.. {
                let stats = engine.stats();
                let is_full = stats.memtable_bytes + 400 > options.memtable_size as u64
                    || stats.log_bytes + 5000 > options.segment_size as u64;
                if is_full {
                    break;
                }
                engine.put(&key(number), &VALUE).unwrap();
            }
            let keys: Vec<Vec<u8>> = (0..options.max_batch_operations as u32).map(key).collect();
            let count = (options.max_batch_size / (4 + value)).min(keys.len());
            let value = vec![7; value];
            let puts = keys[keys.len() - count..]
                .iter()
                .map(|key| Operation::Put { key, value: &value });
            engine.write(&puts.collect::<Vec<_>>()).unwrap();
            disk.set_capacity(Some(disk.used()));
            let place = format!("{options:?}, {count} entries of {} bytes", value.len());
            engine
                .flush()
                .unwrap_or_else(|error| panic!("{place}: {error}"));
        }
    }
}

/// It follows a reload: at once when more is needed; when less is, only after what was written before is flushed.
#[test]
fn it_follows_options_that_change() {
    let (small, told) = listening(&store::options(POLICIES[1]));
    let large = Options {
        memtable_size: 256 * KIB,
        segment_size: 256 * KIB,
        ..small.clone()
    };
    let (disk, fresh) = (SimDisk::new(7), SimDisk::new(8));
    let engine = store::open(&disk, &small).unwrap();
    let least = held(&disk);
    drop(store::open(&fresh, &large).unwrap());
    let most = held(&fresh);
    assert!(most > least + 250 * KIB as u64, "{most} after {least}");

    engine.reconfigure(&large).unwrap();
    assert_eq!(held(&disk), most);
    for number in 0..700 {
        engine.put(&key(number), &VALUE).unwrap();
    }
    engine.reconfigure(&small).unwrap();
    engine.maintain().unwrap();
    assert_eq!(held(&disk), most, "what was written before is not flushed");
    disk.set_capacity(Some(disk.used()));
    engine.flush().unwrap();
    disk.set_capacity(None);
    engine.maintain().unwrap();
    engine.put(b"k", b"v").unwrap();
    engine.flush().unwrap();
    engine.maintain().unwrap();
    assert_eq!(
        (held(&disk), engine.stats().state.as_str()),
        (least, "running")
    );

    // Without room for it the disk counts as full, until there is, or no need for it.
    for mends in [true, false] {
        disk.set_capacity(Some(disk.used() + 64 * KIB as u64));
        told.lock().unwrap().clear();
        engine.reconfigure(&large).unwrap();
        assert!(was_told(&told, "the disk is full"), "{told:?}");
        let refused = engine.put(b"k", b"w").unwrap_err();
        assert!(matches!(refused, AtlasError::DiskFull { .. }), "{refused}");
        engine.delete(b"other").unwrap();
        if mends {
            disk.set_capacity(None);
        } else {
            engine.reconfigure(&small).unwrap();
            engine.flush().unwrap();
        }
        engine.maintain().unwrap();
        assert_eq!(engine.stats().state, "running", "{mends}");
        engine.put(b"k", b"w").unwrap();
        disk.set_capacity(None);
        engine.reconfigure(&small).unwrap();
        engine.maintain().unwrap();
        engine.put(b"k", b"w").unwrap();
        engine.flush().unwrap();
        engine.maintain().unwrap();
        assert_eq!(held(&disk), least);
    }
}

/// Changes of the disk, in a start, that concern what is held back.
fn changes_for_reserve(disk: &SimDisk) -> Vec<u64> {
    let trace = disk.trace();
    let ours = trace.iter().filter(|call| call.kind.is_change());
    ours.filter(|call| call.path.ends_with("RESERVE.tmp"))
        .map(|call| call.number)
        .collect()
}

/// Nothing depends on it: where it cannot be made, a store starts and serves, and says so.
#[test]
fn no_failure_of_it_keeps_a_store_from_serving() {
    let options = store::options(POLICIES[1]);
    let sound = SimDisk::new(7);
    drop(store::open(&sound, &options).unwrap());
    let numbers = changes_for_reserve(&sound);
    assert!(numbers.len() >= 3, "{numbers:?}");
    for number in numbers {
        let disk = SimDisk::new(7);
        disk.fail_at(number, Fault::Fail(Errno::Io));
        let place = sound.describe(number);
        let engine =
            store::open(&disk, &options).unwrap_or_else(|error| panic!("{place}: {error}"));
        let note = engine.recovery_report().notes.join("; ");
        let is_missing = !place.contains("Remove");
        assert_eq!(
            note.contains("no room is held back"),
            is_missing,
            "{place}: {note}"
        );
        assert_eq!(engine.stats().state, "running", "{place}");
        engine.put(b"k", b"v").unwrap();
    }
    // The same when it is to be held again, later.
    let (options, told) = listening(&options);
    let (disk, engine, _) = full(&options);
    engine.flush().unwrap();
    disk.set_capacity(None);
    disk.clear_trace();
    let failing = disk.changes();
    for number in failing..failing + 8 {
        disk.fail_at(number, Fault::Fail(Errno::Io));
    }
    let _ = engine.maintain();
    disk.clear_faults();
    if engine.stats().state != "read-only" {
        engine.maintain().unwrap();
        engine.put(b"k", b"v").unwrap();
        assert!(was_told(&told, "holding room back"), "{told:?}");
    }
}

/// A file system that cannot preallocate holds nothing back: full is full, and it resumes all the same.
#[test]
fn a_disk_that_cannot_preallocate_serves_without() {
    let disk = SimDisk::new(7);
    disk.fail_from(0, Fault::NotPreallocated);
    let engine = store::open(&disk, &store::options(POLICIES[1])).unwrap();
    let note = engine.recovery_report().notes.join("; ");
    assert!(note.contains("cannot preallocate"), "{note}");
    assert_eq!(held(&disk), 0);
    disk.set_capacity(Some(disk.used() + 96 * KIB as u64));
    let contents = fill(&engine);
    assert_eq!(engine.stats().state, "disk-full");
    check(&engine, &contents);
    disk.set_capacity(None);
    engine.maintain().unwrap();
    engine.put(b"k", b"v").unwrap();
    assert_eq!(engine.stats().state, "running");
}

/// A merge that is too large for what is held back says nothing of the room for deletes and their flushes.
#[test]
fn a_merge_that_is_too_large_takes_nothing_from_deletes() {
    let options = Options {
        compaction_trigger: 30,
        max_tables: 60,
        ..store::options(POLICIES[1])
    };
    let disk = SimDisk::new(7);
    let engine = store::open(&disk, &options).unwrap();
    for number in 0..3000 {
        store::write(&engine, &[(key(number), Some(VALUE.to_vec()))]).unwrap();
    }
    engine.compact().unwrap();
    disk.set_capacity(Some(disk.used() + 32 * KIB as u64));
    for number in 3000..10_000 {
        if store::write(&engine, &[(key(number), Some(VALUE.to_vec()))]).is_err() {
            break;
        }
    }
    for _ in 0..3 {
        let refused = engine.compact().unwrap_err();
        assert!(matches!(refused, AtlasError::DiskFull { .. }), "{refused}");
    }
    for number in 0..200 {
        engine
            .delete(&key(number))
            .unwrap_or_else(|error| panic!("delete {number}: {error}"));
    }
}

/// The number of the table that was begun last.
fn last_table(disk: &SimDisk) -> Option<u64> {
    let trace = disk.trace();
    let created = trace.iter().filter(|call| call.kind == CallKind::Create);
    let mut names = created.filter_map(|call| call.path.file_name()?.to_str());
    let name = names.rfind(|name| name.ends_with(".sst.tmp"))?;
    name.split('.').next()?.parse().ok()
}

/// Waits until a table with this number or a later one is begun.
fn wait_for_table(disk: &SimDisk, number: u64) {
    let started = Instant::now();
    while last_table(disk).is_none_or(|last| last < number) {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "table {number}"
        );
        std::thread::yield_now();
    }
}

/// A store on a full disk, in the room of its reserve, whose tables are to be merged; bytes held back before.
fn full_with_tables() -> (SimDisk, Engine, u64) {
    let options = Options {
        memtable_size: 64 * KIB,
        ..store::options(POLICIES[1])
    };
    let disk = SimDisk::new(7);
    let engine = store::open(&disk, &options).unwrap();
    let whole = held(&disk);
    for number in 0..400 {
        engine.put(&key(number), &VALUE).unwrap();
        if number % 200 == 199 {
            engine.flush().unwrap();
        }
    }
    disk.set_capacity(Some(disk.used() + KIB as u64));
    fill(&engine);
    engine.flush().unwrap();
    assert_eq!(engine.stats().state, "disk-full");
    (disk, engine, whole)
}

/// Waits until this was asked of a file whose name begins so, since the trace was cleared.
fn wait_for_call(disk: &SimDisk, kind: CallKind, prefix: &str) {
    store::wait_until(prefix, || {
        let trace = disk.trace();
        let mut calls = trace.iter().filter(|call| call.kind == kind);
        calls.any(|call| {
            let name = call.path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with(prefix)
        })
    });
}

/// While a merge works in the room that was freed for it, nobody takes it back.
#[test]
fn a_merge_under_way_keeps_the_room_that_was_freed_for_it() {
    let (disk, engine, whole) = full_with_tables();
    // Room to hold all back again, and not for the merge beside that.
    let room = whole - held(&disk) + 10 * KIB as u64;
    disk.set_capacity(Some(disk.used() + room));
    disk.clear_trace();
    disk.hang(CallKind::Write, "0000");
    std::thread::scope(|scope| {
        let _open = disk.opens_gate();
        let merge = scope.spawn(|| engine.compact());
        wait_for_call(&disk, CallKind::Write, "0000");
        let unsynced = engine.delete(b"other").unwrap();
        let housekeeping = scope.spawn(|| drop(engine.maintain()));
        // It syncs after it has looked for room.
        store::wait_until("a sync", || engine.stats().durable_lsn >= unsynced.as_u64());
        disk.open_gate();
        merge.join().unwrap().unwrap();
        housekeeping.join().unwrap();
    });
    disk.set_capacity(None);
    engine.maintain().unwrap();
    assert_eq!(engine.stats().state, "running");
}

/// A merge has all the room that there is when a delete, or a flush, needs some: it gives way, and begins anew.
#[test]
fn a_merge_under_way_gives_way_to_what_makes_room() {
    let deletes = |engine: &Engine| {
        for number in 0..600 {
            engine.delete(&key(number)).unwrap();
        }
    };
    let flush = |engine: &Engine| engine.flush().unwrap();
    type Work = fn(&Engine);
    let work: [(&str, Work); 2] = [("deletes", deletes), ("a flush", flush)];
    for (what, work) in work {
        let (disk, engine, _) = full_with_tables();
        disk.clear_trace();
        disk.hang(CallKind::Write, "0000");
        std::thread::scope(|scope| {
            let _open = disk.opens_gate();
            let merge = scope.spawn(|| engine.compact());
            wait_for_call(&disk, CallKind::Write, "0000");
            engine.delete(b"other").unwrap();
            // It goes on to the end of its table, and keeps what it has until then.
            let table = format!("{:012}", last_table(&disk).unwrap());
            disk.hang(CallKind::Sync, &table);
            wait_for_call(&disk, CallKind::Sync, &table);
            disk.set_capacity(Some(disk.used()));
            disk.clear_trace();
            let work = scope.spawn(|| work(&engine));
            wait_for_call(&disk, CallKind::Create, "wal-");
            disk.open_gate();
            work.join()
                .unwrap_or_else(|_| panic!("{what} found no room"));
            drop(merge.join().unwrap());
        });
        disk.set_capacity(None);
        engine.maintain().unwrap();
        engine.compact().unwrap();
        assert_eq!(engine.stats().state, "running", "{what}");
    }
}

/// An attempt to hold it again that cannot succeed is not made: it would take all there is for a moment.
#[test]
fn nothing_is_tried_where_there_is_no_room_for_it() {
    let (disk, engine, _) = full(&store::options(POLICIES[1]));
    engine.flush().unwrap();
    assert_eq!(engine.stats().state, "disk-full");
    disk.set_capacity(Some(disk.used()));
    disk.clear_trace();
    for _ in 0..3 {
        let _ = engine.maintain();
        assert_eq!(engine.stats().state, "disk-full");
    }
    let touched = changes_for_reserve(&disk);
    assert!(touched.is_empty(), "{touched:?}");
}

/// A delete soon after a put that found no room: there is some that is only for it, so it need not wait.
#[test]
fn a_delete_right_after_a_refused_put_is_done() {
    let options = Options {
        background: true,
        max_sealed_memtables: 64,
        stall_timeout: Duration::from_secs(60),
        ..store::options(POLICIES[1])
    };
    let disk = SimDisk::new(7);
    let engine = store::open(&disk, &options).unwrap();
    let _open = disk.opens_gate();
    disk.hang(CallKind::Write, "0000");
    disk.set_capacity(Some(disk.used() + 96 * KIB as u64));
    fill(&engine);
    wait_for_table(&disk, 1);
    disk.set_capacity(Some(disk.used()));
    // A flush finds no room, frees what is held back and is done; a later one waits. How many were done by then
    // depends on which numbers the segments have taken, and does not matter: deletes are done.
    let next = last_table(&disk).unwrap() + 2;
    disk.hang(CallKind::Write, &format!("{next:012}"));
    wait_for_table(&disk, next);
    engine.delete(b"other").unwrap();
}

/// Verifying does not hold it open: its room must be free the moment it is needed.
#[test]
fn verifying_does_not_open_it() {
    let disk = SimDisk::new(7);
    let engine = store::open(&disk, &store::options(POLICIES[1])).unwrap();
    engine.put(b"k", b"v").unwrap();
    engine.flush().unwrap();
    disk.put_file(&store::path("notes.txt"), b"read");
    disk.clear_trace();
    let all = verify::VerifyOptions::default();
    verify::verify(&disk, Path::new(store::DIR), all).unwrap();
    engine.verify(Arc::new(|_| Ok(()))).unwrap();
    let opened = |name: &str| {
        let trace = disk.trace();
        let calls = trace.iter().filter(|call| call.kind == CallKind::Open);
        calls.filter(|call| call.path.ends_with(name)).count()
    };
    assert!(opened("notes.txt") >= 2);
    assert_eq!(opened("RESERVE.tmp"), 0);
}
