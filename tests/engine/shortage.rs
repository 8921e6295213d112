//! Merges that find no room: writes go on as long as flushes do, and are refused, not kept waiting, after that.

use std::time::Duration;

use atlaskv::storage::{AtlasError, Engine, KIB, Options};

use crate::reserve::held as reserve;
use crate::sim_disk::SimDisk;
use crate::store::{self, Contents, POLICIES};

fn options(trigger: usize, max_tables: usize) -> Options {
    Options {
        compaction_trigger: trigger,
        max_tables,
        ..store::options(POLICIES[2])
    }
}

/// With threads: what waits, waits for long.
fn with_threads(options: Options) -> Options {
    Options {
        background: true,
        stall_timeout: Duration::from_secs(60),
        ..options
    }
}

/// Writes again while it is refused for want of room, for a merge may have it all for a moment; no other failure.
fn write_when_there_is_room(engine: &Engine, contents: &mut Contents, key: u32, value: &[u8]) {
    let changes = [(key.to_be_bytes().to_vec(), Some(value.to_vec()))];
    store::wait_until("room for a put", || {
        match engine.write(&store::operations(&changes)) {
            Ok(lsn) => store::apply(contents, &changes, lsn),
            Err(AtlasError::DiskFull { .. }) => return false,
            Err(error) => panic!("{error:?}, {:?}", engine.stats()),
        }
        true
    });
}

/// The merge of everything never fits: smaller ones are done, and nothing waits for it.
#[test]
fn a_merge_of_everything_that_never_fits_stops_no_write() {
    let disk = SimDisk::new(7);
    let usual = options(2, 4);
    let mut contents = Contents::new();
    let engine = store::open(&disk, &usual).unwrap();
    for key in 0..100 {
        write_when_there_is_room(&engine, &mut contents, key, &[7; 4 * KIB]);
    }
    engine.compact().unwrap();
    engine.close().unwrap();
    drop(engine);
    let engine = store::open(&disk, &with_threads(usual.clone())).unwrap();
    disk.set_capacity(Some(disk.used() + 200 * KIB as u64));
    for round in 0..20 {
        for key in 1000..1100 {
            write_when_there_is_room(&engine, &mut contents, key, &[round; 40]);
        }
    }
    let stats = engine.stats();
    assert!(stats.tables <= 2 * usual.max_tables as u64, "{stats:?}");
    assert!(stats.compactions > 5, "{stats:?}");
    let found = store::contents(&engine).unwrap();
    assert_eq!(store::difference(&found, &contents), "");
}

/// No merge fits, and there may be no more tables: writes are refused as on a full disk, until there is room.
#[test]
fn where_no_merge_fits_writes_are_refused_and_do_not_wait() {
    let large = vec![7; 19 * KIB];
    let disk = SimDisk::new(7);
    let mut contents = Contents::new();
    let engine = store::open(&disk, &options(30, 60)).unwrap();
    for key in 0..22 {
        write_when_there_is_room(&engine, &mut contents, key, &large);
        engine.flush().unwrap();
    }
    engine.close().unwrap();
    drop(engine);
    let few = with_threads(options(10, 12));
    // Room for memtables and their tables, and not for a merge of ten.
    disk.set_capacity(Some(disk.used() + 150 * KIB as u64));
    let engine = store::open(&disk, &few).unwrap();
    let is_refused = |written| match written {
        Ok(_) => false,
        Err(AtlasError::DiskFull { .. }) => true,
        Err(error) => panic!("{error:?}, {:?}", engine.stats()),
    };
    let mut key = 100_u32;
    store::wait_until("so many tables that flushes wait", || {
        let changes = [(key.to_be_bytes().to_vec(), Some(large.clone()))];
        match engine.write(&store::operations(&changes)) {
            Ok(lsn) => store::apply(&mut contents, &changes, lsn),
            refused => assert!(is_refused(refused)),
        }
        key += 1;
        let stats = engine.stats();
        (stats.tables, stats.sealed_memtables) == (24, 2) && stats.state == "disk-full"
    });
    assert!(
        is_refused(engine.put(b"put", &large)),
        "{:?}",
        engine.stats()
    );
    let reason = engine.stats().state_reason;
    assert!(reason.contains(".sst.tmp"), "{reason}");
    // A delete has its place in memory at most.
    store::wait_until("a refused delete", || is_refused(engine.delete(b"nothing")));
    let found = store::contents(&engine).unwrap();
    assert_eq!(store::difference(&found, &contents), "");
    disk.set_capacity(None);
    write_when_there_is_room(&engine, &mut contents, 0, b"resumed");
    store::wait_until("writing resumed", || engine.stats().state == "running");
}

/// One that somebody asks for leaves the room that is held back alone while puts find some, and their state.
#[test]
fn a_compaction_that_is_too_large_takes_nothing_from_puts() {
    let disk = SimDisk::new(7);
    let engine = store::open(&disk, &options(30, 60)).unwrap();
    let mut contents = Contents::new();
    for key in 0..20 {
        write_when_there_is_room(&engine, &mut contents, key, &[7; 19 * KIB]);
        engine.flush().unwrap();
    }
    disk.set_capacity(Some(disk.used() + 200 * KIB as u64));
    let held = reserve(&disk);
    let refused = engine.compact().unwrap_err();
    assert!(matches!(refused, AtlasError::DiskFull { .. }), "{refused}");
    assert_eq!(engine.stats().state, "running");
    assert_eq!(reserve(&disk), held);
    engine.put(b"key", &[7; 19 * KIB]).unwrap();
}
