//! The room held back for a full disk: deletes, flush and compaction go on in it, puts do not.

use atlaskv::storage::{AtlasError, Engine, KIB, Options};

use crate::sim_disk::{Loss, SimDisk};
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
    let engine = store::open(&disk, &options).unwrap();
    assert_eq!(engine.stats().state, "disk-full");
    let refused = engine.put(b"k", b"w").unwrap_err();
    assert!(matches!(refused, AtlasError::DiskFull { .. }), "{refused}");
    assert_eq!(&engine.get(b"k").unwrap().unwrap().value[..], b"v");
    engine.delete(b"other").unwrap();
    disk.set_capacity(None);
    engine.maintain().unwrap();
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
