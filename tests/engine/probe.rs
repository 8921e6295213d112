//! Whether the engine knows that it is stuck, and only then. The disk holds calls at a gate.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use atlaskv::storage::{AtlasError, Event, KIB, Options, Stuck, WalSyncStrategy};

use crate::sim_disk::{CallKind, Errno, Fault, SimDisk};
use crate::store::{self, POLICIES, wait_until};

const HANG: Duration = Duration::from_secs(60);
/// Enough to be stuck for: the gate stays closed as long as it takes.
const SHORT: Duration = Duration::from_millis(30);

fn options(sync: WalSyncStrategy) -> Options {
    Options {
        memtable_size: 1024 * KIB,
        segment_size: 1024 * KIB,
        background: true,
        ..store::options(sync)
    }
}

#[test]
fn an_idle_engine_is_well_and_a_hundred_probes_write_nothing() {
    for sync in POLICIES {
        let disk = SimDisk::new(1);
        let engine = store::open(&disk, &options(sync)).unwrap();
        store::put_and_rest(&engine, b"key", b"value");
        let before = (disk.changes(), engine.stats().log_bytes, disk.files());
        for _ in 0..100 {
            engine.probe(HANG).unwrap();
        }
        let after = (disk.changes(), engine.stats().log_bytes, disk.files());
        assert!(before == after, "{sync:?}: a probe wrote");
    }
}

#[test]
fn probes_do_not_put_off_the_sync_that_is_due() {
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options(WalSyncStrategy::Interval { ms: 300 })).unwrap();
    let lsn = engine.put(b"key", b"value").unwrap();
    wait_until("a sync in spite of probes", || {
        engine.probe(HANG).unwrap();
        engine.stats().durable_lsn >= lsn.as_u64()
    });
}

/// What the probe says while a put hangs in this call, and that all is well afterwards.
fn while_it_hangs(sync: WalSyncStrategy, kind: CallKind) -> Result<(), Stuck> {
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options(sync)).unwrap();
    store::put_and_rest(&engine, b"key", b"value");
    disk.hang(kind, "wal-");
    let found = std::thread::scope(|scope| {
        let _open = disk.opens_gate();
        let writer = scope.spawn(|| engine.put(b"key", b"other").unwrap());
        disk.wait_for_call_at_gate();
        let found = engine.probe(SHORT);
        disk.open_gate();
        writer.join().unwrap();
        found
    });
    engine.probe(HANG).unwrap();
    found
}

#[test]
fn a_hung_append_is_the_writer_stuck() {
    for sync in POLICIES {
        let found = while_it_hangs(sync, CallKind::Write);
        assert_eq!(found, Err(Stuck::Writer), "{sync:?}");
    }
}

#[test]
fn a_hung_sync_is_stuck_whoever_leads_it() {
    for sync in [
        WalSyncStrategy::EveryWrite,
        WalSyncStrategy::Interval { ms: 1 },
    ] {
        let found = while_it_hangs(sync, CallKind::Sync);
        assert_eq!(found, Err(Stuck::Sync), "{sync:?}");
    }
}

/// A sync thread that hangs while it tells of a failure. The mark after a write needs a new segment, which the
/// disk refuses; `false`: the mark was there before that.
fn a_sync_thread_hangs_elsewhere() -> bool {
    let disk = SimDisk::new(1);
    let (gate, hung) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(false)));
    let mut options = options(WalSyncStrategy::EveryWrite);
    options.memtable_size = 4 * KIB;
    options.events = Some({
        let (gate, hung) = (Arc::clone(&gate), Arc::clone(&hung));
        Arc::new(move |event| {
            if matches!(event, Event::BackgroundFailed { task: "a sync", .. }) {
                *hung.lock().unwrap() = true;
                drop(gate.lock().unwrap());
            }
        })
    });
    let engine = store::open(&disk, &options).unwrap();
    let closed = gate.lock().unwrap();
    let lsn = engine.put(b"key", &[7; 5 * KIB]).unwrap();
    disk.fail_from(disk.changes(), Fault::Fail(Errno::Io));
    wait_until("the sync thread to fail, or the mark", || {
        *hung.lock().unwrap() || engine.stats().last_lsn > lsn.as_u64()
    });
    if !*hung.lock().unwrap() {
        return false;
    }
    assert_eq!(engine.probe(SHORT), Err(Stuck::SyncThread));
    drop(closed);
    engine.probe(HANG).unwrap();
    true
}

#[test]
fn a_sync_thread_that_hangs_elsewhere_is_stuck() {
    assert!((0..50).any(|_| a_sync_thread_hangs_elsewhere()));
}

#[test]
fn writers_that_wait_for_flushing_are_well() {
    let disk = SimDisk::new(1);
    let mut options = options(WalSyncStrategy::OsDefault);
    options.memtable_size = 4 * KIB;
    options.stall_timeout = HANG;
    let engine = store::open(&disk, &options).unwrap();
    disk.close_gate("0");
    std::thread::scope(|scope| {
        let _open = disk.opens_gate();
        let writer = scope.spawn(|| {
            for number in 0..200_u64 {
                engine.put(&number.to_be_bytes(), &[7; 100]).unwrap();
            }
        });
        wait_until("a writer that waits", || engine.stats().stalled_writes > 0);
        engine.probe(HANG).unwrap();
        disk.open_gate();
        writer.join().unwrap();
    });
}

#[test]
fn read_only_and_disk_full_and_closed_are_well() {
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options(WalSyncStrategy::EveryWrite)).unwrap();
    store::put_and_rest(&engine, b"key", b"value");
    disk.set_capacity(Some(0));
    let full = loop {
        match engine.put(b"key", &[7; 20 * KIB]) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AtlasError::DiskFull { .. }), "{full}");
    engine.probe(HANG).unwrap();
    disk.set_capacity(None);
    disk.fail_from(disk.changes(), Fault::Fail(Errno::Io));
    wait_until("read-only", || {
        let _ = engine.put(b"key", b"value");
        engine.stats().state == "read-only"
    });
    engine.probe(HANG).unwrap();
    // What keeps it from closing well is told there.
    let _ = engine.close();
    engine.probe(HANG).unwrap();
}

#[test]
fn without_threads_only_the_writer_is_asked() {
    let disk = SimDisk::new(1);
    let options = Options {
        background: false,
        ..options(WalSyncStrategy::OsDefault)
    };
    let engine = store::open(&disk, &options).unwrap();
    engine.probe(SHORT).unwrap();
    disk.hang(CallKind::Write, "wal-");
    std::thread::scope(|scope| {
        let _open = disk.opens_gate();
        let writer = scope.spawn(|| engine.put(b"key", b"value").unwrap());
        disk.wait_for_call_at_gate();
        assert_eq!(engine.probe(SHORT), Err(Stuck::Writer));
        disk.open_gate();
        writer.join().unwrap();
    });
}
