//! What a review of the engine asked for: closing, waiting for what is seen, a full disk's state.

use std::time::{Duration, Instant};

use atlaskv::storage::{AtlasError, Engine, KIB, Options, WalSyncStrategy};

use crate::sim_disk::{Errno, Fault, Loss, SimDisk};
use crate::store::{self, POLICIES};

/// Waits until `holds`, for a minute at most.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::yield_now();
    }
}

/// What is seen has an LSN that can be waited for, and a scan holds what its LSN says.
#[test]
fn what_is_seen_can_be_waited_for() {
    let options = Options {
        background: true,
        stall_timeout: Duration::from_secs(60),
        ..store::options(WalSyncStrategy::OsDefault)
    };
    let engine = store::open(&SimDisk::new(1), &options).unwrap();
    let writes = store::budget(3000);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..writes {
                engine.put(b"k", &number.to_be_bytes()).unwrap();
            }
        });
        while !writer.is_finished() {
            let scan = engine.scan(&atlaskv::storage::ScanRange::default());
            let mut scan = scan.unwrap();
            let lsn = scan.lsn();
            let entries = store::drain(&mut scan, 1).unwrap();
            // There are no marks while writes go on, so the last LSN is the key's.
            let shown = entries.first().map_or(lsn, |entry| entry.2);
            assert!(shown <= lsn, "{shown} of a scan at {lsn}");
            if let Some(found) = engine.get(b"k").unwrap() {
                engine.sync_to(found.lsn).unwrap();
            }
        }
    });
}

/// On a full disk a close cannot make tables, but the log it has is made durable.
#[test]
fn a_close_without_room_still_syncs_the_log() {
    for sync in POLICIES {
        let options = store::options(sync);
        let disk = SimDisk::new(1);
        let engine = store::open(&disk, &options).unwrap();
        engine.put(b"k", b"v").unwrap();
        disk.take_file(&store::path("RESERVE.tmp"));
        disk.set_capacity(Some(disk.used()));
        let error = engine.close().unwrap_err();
        assert!(matches!(error, AtlasError::DiskFull { .. }), "{error}");
        drop(engine);
        disk.set_capacity(None);
        let disk = disk.crash_image(Loss::DropAll, 1);
        let engine = store::open(&disk, &options).unwrap();
        let found = engine.get(b"k").unwrap().unwrap();
        assert_eq!(&found.value[..], b"v", "{sync:?}");
    }
}

/// After a failed append nothing more goes to that segment, the clean mark least of all.
#[test]
fn the_clean_mark_does_not_follow_a_failed_append() {
    let options = store::options(POLICIES[1]);
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options).unwrap();
    disk.fail_at(disk.changes(), Fault::FailHalf(Errno::Full));
    let error = engine.put(b"k", &[7; 1000]).unwrap_err();
    assert!(matches!(error, AtlasError::DiskFull { .. }), "{error}");
    disk.clear_faults();
    engine.close().unwrap();
    drop(engine);
    let engine = store::open(&disk, &options).unwrap();
    let report = engine.recovery_report();
    assert!(
        report.clean_shutdown && report.cut_from.is_none(),
        "{report:?}"
    );
    assert_eq!(engine.get(b"k").unwrap(), None);
}

/// A clean end is one after a power cut, too: the mark that says so is synced.
#[test]
fn a_clean_end_outlives_a_power_cut() {
    for sync in POLICIES {
        let options = store::options(sync);
        let disk = SimDisk::new(1);
        let engine = store::open(&disk, &options).unwrap();
        engine.put(b"k", b"v").unwrap();
        engine.close().unwrap();
        drop(engine);
        let disk = disk.crash_image(Loss::DropAll, 1);
        let engine = store::open(&disk, &options).unwrap();
        let report = engine.recovery_report();
        assert!(report.clean_shutdown, "{sync:?}: {report:?}");
    }
}

/// An engine that is dropped without being closed syncs what it was given, whatever the policy.
#[test]
fn a_dropped_engine_leaves_its_writes_on_the_disk() {
    for sync in POLICIES {
        let options = store::options(sync);
        let disk = SimDisk::new(1);
        let engine = store::open(&disk, &options).unwrap();
        engine.put(b"k", b"v").unwrap();
        drop(engine);
        let disk = disk.crash_image(Loss::DropAll, 1);
        let engine = store::open(&disk, &options).unwrap();
        assert_eq!(engine.get(b"k").unwrap().unwrap().value, "v", "{sync:?}");
    }
}

/// Nothing changes a directory whose lock was given back.
#[test]
fn nothing_is_written_after_close() {
    let options = store::options(WalSyncStrategy::EveryWrite);
    for _ in 0..store::budget(50) {
        let disk = SimDisk::new(1);
        let engine = store::open(&disk, &options).unwrap();
        let work: [fn(&Engine); 4] = [
            |engine| drop(engine.put(b"a", b"1")),
            |engine| drop(engine.put(b"b", &[1; 3000])),
            |engine| drop(engine.flush()),
            |engine| drop(engine.compact()),
        ];
        let engine = &engine;
        let after = std::thread::scope(|scope| {
            for step in work {
                scope.spawn(move || {
                    while engine.stats().state != "closed" {
                        step(engine);
                    }
                });
            }
            while engine.stats().log_bytes < 1000 {
                std::thread::yield_now();
            }
            engine.close().unwrap();
            disk.changes()
        });
        assert_eq!(
            disk.changes(),
            after,
            "the directory was changed after close"
        );
        let error = engine.put(b"late", b"").unwrap_err();
        assert!(matches!(error, AtlasError::Closed), "{error}");
        let after = store::open(&disk, &options).unwrap();
        assert!(after.recovery_report().clean_shutdown);
    }
}

/// A full disk is told once and stays told until there is room; then writing resumes without a write.
#[test]
fn a_full_disk_is_one_state() {
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = std::sync::Arc::clone(&told);
    let mut options = store::options(POLICIES[1]);
    options.events = Some(std::sync::Arc::new(move |event| {
        sink.lock().unwrap().push(event.to_string());
    }));
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options).unwrap();
    engine.put(b"a", &[1; 3 * KIB]).unwrap();
    engine.put(b"b", b"seals the first").unwrap();
    told.lock().unwrap().clear();
    disk.take_file(&store::path("RESERVE.tmp"));
    disk.set_capacity(Some(disk.used()));
    for _ in 0..5 {
        let error = engine.maintain().unwrap_err();
        assert!(matches!(error, AtlasError::DiskFull { .. }), "{error:?}");
        assert_eq!(engine.stats().state, "disk-full");
    }
    let error = engine.flush().unwrap_err().to_string();
    assert_eq!(error.matches("the disk is full").count(), 1, "{error}");
    assert_eq!(told.lock().unwrap().len(), 1, "{told:?}");
    disk.set_capacity(None);
    engine.maintain().unwrap();
    assert_eq!(engine.stats().state, "running");
}

/// What is left of a segment takes small writes: no room for the large one that was refused.
#[test]
fn a_disk_too_full_for_a_large_write_is_told_once() {
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = std::sync::Arc::clone(&told);
    let mut options = store::options(POLICIES[1]);
    options.max_value_size = 256 * KIB;
    options.max_batch_size = 257 * KIB;
    options.events = Some(std::sync::Arc::new(move |event| {
        sink.lock().unwrap().push(event.to_string());
    }));
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options).unwrap();
    engine.put(b"a", b"1").unwrap();
    told.lock().unwrap().clear();
    disk.set_capacity(Some(disk.used()));
    for _ in 0..5 {
        let error = engine.put(b"large", &[1; 200 * KIB]).unwrap_err();
        assert!(matches!(error, AtlasError::DiskFull { .. }), "{error:?}");
        let error = engine.maintain().unwrap_err();
        assert!(matches!(error, AtlasError::DiskFull { .. }), "{error:?}");
        assert_eq!(engine.stats().state, "disk-full");
    }
    engine.put(b"small", b"1").unwrap();
    assert_eq!(told.lock().unwrap().len(), 1, "{told:?}");
    disk.set_capacity(None);
    engine.maintain().unwrap();
    engine.maintain().unwrap();
    assert_eq!(engine.stats().state, "running");
    engine.put(b"large", &[1; 200 * KIB]).unwrap();
}

#[test]
fn writing_resumes_although_nobody_writes() {
    let options = Options {
        max_value_size: 256 * KIB,
        max_batch_size: 257 * KIB,
        background: true,
        ..store::options(WalSyncStrategy::OsDefault)
    };
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options).unwrap();
    engine.put(b"a", b"1").unwrap();
    engine.flush().unwrap();
    // More than once: the flush thread may happen to be awake.
    let mut refused = 0;
    for _ in 0..300 {
        disk.set_capacity(Some(disk.used()));
        match engine.put(b"large", &[1; 200 * KIB]) {
            Err(AtlasError::DiskFull { .. }) => refused += 1,
            // A flush had just been given what is held back.
            Ok(_) => {}
            Err(error) => panic!("{error:?}"),
        }
        disk.set_capacity(None);
        wait_until("writing resumes", || engine.stats().state == "running");
        if refused == 3 {
            return;
        }
    }
    panic!("the disk was full {refused} times");
}

/// A start that finds no room leaves no less of it to the next one.
#[test]
fn starts_on_a_full_disk_leave_nothing_behind() {
    let options = store::options(WalSyncStrategy::EveryWrite);
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options).unwrap();
    engine.put(b"k", &[1; 1900]).unwrap();
    drop(engine);
    disk.take_file(&store::path("RESERVE.tmp"));
    let (used, files) = (disk.used(), disk.files());
    // Room for less than the new segment, and for some of what comes before it.
    for room in (0..16).map(|kib| kib * KIB as u64) {
        disk.set_capacity(Some(used + room));
        let error = store::open(&disk, &options).unwrap_err();
        assert!(error.to_string().contains("No space"), "{error}");
        let names = |files: &std::collections::BTreeMap<_, _>| -> Vec<std::path::PathBuf> {
            files.keys().cloned().collect()
        };
        assert_eq!(names(&disk.files()), names(&files), "room of {room} bytes");
    }
    disk.set_capacity(None);
    let engine = store::open(&disk, &options).unwrap();
    assert_eq!(engine.recovery_report().quarantined, [""; 0]);
    assert_eq!(engine.get(b"k").unwrap().unwrap().value.len(), 1900);
}

/// A mark that has no place in a full segment is made up for: damage to the last writes is still found.
#[test]
fn the_last_writes_are_provable_where_no_mark_fits() {
    let options = store::options(WalSyncStrategy::EveryWrite);
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options).unwrap();
    // The memtable is full, and nobody writes again.
    engine.put(b"k", &[0xA7; 3 * KIB]).unwrap();
    let log = store::segments(&disk).pop().unwrap();
    engine.maintain().unwrap();
    drop(engine);
    if disk.files().contains_key(&log) {
        disk.edit(&log, |bytes| {
            let at = bytes.iter().rposition(|byte| *byte == 0xA7).unwrap();
            bytes[at] ^= 1;
        });
    }
    match store::open(&disk, &options) {
        Ok(engine) => assert_eq!(engine.get(b"k").unwrap().unwrap().value.len(), 3 * KIB),
        Err(error) => assert!(
            matches!(error, AtlasError::SyncedDataDamaged { .. }),
            "{error}"
        ),
    }
}

/// A stranger's file with the highest number of all does not use up the numbers.
#[test]
fn a_stray_number_does_not_use_up_the_numbers() {
    let options = store::options(WalSyncStrategy::EveryWrite);
    let disk = SimDisk::new(1);
    drop(store::open(&disk, &options).unwrap());
    disk.put_file(&store::path(&format!("{}.sst", u64::MAX)), b"not ours");
    for _ in 0..2 {
        let engine = store::open(&disk, &options).unwrap();
        engine.put(b"k", b"v").unwrap();
        engine.flush().unwrap();
    }
}
