//! Options that change while the store is open: what was promised under each strategy holds.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atlaskv::storage::{AtlasError, Engine, KIB, Options, WalSyncStrategy};

use crate::sim_disk::{Errno, Fault, Loss, SimDisk};
use crate::store::{self, POLICIES};

/// Well below the interval that would end a wait by itself.
const HANG: Duration = Duration::from_secs(40);
const WRITERS: usize = 3;

fn options(sync: WalSyncStrategy) -> Options {
    Options {
        memtable_size: 64 * KIB,
        segment_size: 64 * KIB,
        background: true,
        stall_timeout: HANG,
        ..store::options(sync)
    }
}

fn follow(engine: &Engine, sync: WalSyncStrategy) {
    let needs_restart = engine.reconfigure(&options(sync)).unwrap();
    assert!(needs_restart.is_empty(), "{needs_restart:?}");
}

/// What a power cut now would leave.
fn after_power_cut(disk: &SimDisk) -> Engine {
    let after = disk.crash_image(Loss::DropAll, 0);
    store::open(&after, &store::options(WalSyncStrategy::OsDefault)).unwrap()
}

#[test]
fn towards_every_write_all_is_synced_before_it_returns() {
    for sync in [
        WalSyncStrategy::OsDefault,
        WalSyncStrategy::Interval { ms: 60_000 },
    ] {
        let disk = SimDisk::new(1);
        let engine = store::open(&disk, &options(sync)).unwrap();
        engine.put(b"key", b"value").unwrap();
        assert!(after_power_cut(&disk).get(b"key").unwrap().is_none());
        follow(&engine, WalSyncStrategy::EveryWrite);
        assert!(after_power_cut(&disk).get(b"key").unwrap().is_some());
        engine.put(b"other", b"value").unwrap();
        assert!(after_power_cut(&disk).get(b"other").unwrap().is_some());
    }
}

#[test]
fn while_the_old_writes_are_synced_nobody_sees_a_new_one() {
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options(WalSyncStrategy::OsDefault)).unwrap();
    let old = engine.put(b"key", b"old").unwrap();
    disk.close_gate("wal-");
    std::thread::scope(|scope| {
        let _open = disk.opens_gate();
        let change = scope.spawn(|| follow(&engine, WalSyncStrategy::EveryWrite));
        disk.wait_for_call_at_gate();
        let writer = scope.spawn(|| engine.put(b"key", b"new").unwrap());
        let until = Instant::now() + HANG;
        while engine.stats().last_lsn == old.as_u64() {
            assert!(Instant::now() < until, "the write waits for the change");
            std::thread::yield_now();
        }
        assert_eq!(engine.get(b"key").unwrap().unwrap().value, "old");
        assert!(!change.is_finished() && !writer.is_finished());
        disk.open_gate();
        change.join().unwrap();
        writer.join().unwrap();
    });
    assert_eq!(engine.get(b"key").unwrap().unwrap().value, "new");
}

#[test]
fn away_from_every_write_a_writer_sees_what_it_wrote() {
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options(WalSyncStrategy::EveryWrite)).unwrap();
    store::put_and_rest(&engine, b"key", b"old");
    disk.close_gate("wal-");
    std::thread::scope(|scope| {
        let _open = disk.opens_gate();
        let writer = scope.spawn(|| engine.put(b"key", b"new").unwrap());
        disk.wait_for_call_at_gate();
        follow(&engine, WalSyncStrategy::OsDefault);
        assert_eq!(engine.get(b"key").unwrap().unwrap().value, "new");
        engine.put(b"other", b"new").unwrap();
        assert!(engine.exists(b"other").unwrap());
        disk.open_gate();
        writer.join().unwrap();
    });
}

#[test]
fn a_shorter_interval_counts_at_once() {
    let disk = SimDisk::new(1);
    for old in [
        WalSyncStrategy::Interval { ms: 60_000 },
        WalSyncStrategy::OsDefault,
    ] {
        let engine = store::open(&disk, &options(old)).unwrap();
        let lsn = engine.put(b"key", b"value").unwrap();
        // The sync thread has seen the write, and sleeps.
        engine.probe(HANG).unwrap();
        follow(&engine, WalSyncStrategy::Interval { ms: 1 });
        let until = Instant::now() + HANG;
        while engine.stats().durable_lsn < lsn.as_u64() {
            assert!(Instant::now() < until, "{old:?} still holds");
            std::thread::yield_now();
        }
        engine.close().unwrap();
    }
}

fn key(writer: usize) -> [u8; 1] {
    [u8::try_from(writer).unwrap()]
}

/// The number that a key holds; 0 when it has none.
fn number(engine: &Engine, writer: usize) -> u64 {
    let found = engine.get(&key(writer)).unwrap();
    found.map_or(0, |found| {
        u64::from_be_bytes(found.value.as_ref().try_into().unwrap())
    })
}

/// Counts up under its own key, and always reads what it wrote.
fn count_up(engine: &Engine, writer: usize, answered: &AtomicU64, stop: &AtomicBool) {
    for count in 1.. {
        engine.put(&key(writer), &u64::to_be_bytes(count)).unwrap();
        answered.store(count, Ordering::SeqCst);
        assert_eq!(number(engine, writer), count, "writer {writer}");
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// While the strategy is every-write, a power cut takes nothing that was answered or seen before it,
/// whichever strategy it was written under.
#[test]
fn strategies_change_under_writers_and_every_write_keeps_its_word() {
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options(WalSyncStrategy::OsDefault)).unwrap();
    let answered: [AtomicU64; WRITERS] = Default::default();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (writer, answered) in answered.iter().enumerate() {
            let (engine, stop) = (&engine, &stop);
            scope.spawn(move || count_up(engine, writer, answered, stop));
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..store::budget(60) {
                let sync = POLICIES[round as usize % POLICIES.len()];
                follow(&engine, sync);
                if sync != WalSyncStrategy::EveryWrite {
                    let start = engine.stats().last_lsn;
                    while engine.stats().last_lsn < start + 20 {
                        std::thread::yield_now();
                    }
                    continue;
                }
                let least: Vec<u64> = (0..WRITERS)
                    .map(|writer| {
                        let seen = number(&engine, writer);
                        seen.max(answered[writer].load(Ordering::SeqCst))
                    })
                    .collect();
                let after = after_power_cut(&disk);
                for (writer, least) in least.into_iter().enumerate() {
                    let kept = number(&after, writer);
                    assert!(kept >= least, "writer {writer}: {kept} of {least} are kept");
                }
            }
        }));
        stop.store(true, Ordering::SeqCst);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    engine.close().unwrap();
}

#[test]
fn limits_and_sizes_change_and_bad_options_change_nothing() {
    let disk = SimDisk::new(1);
    let old = store::options(WalSyncStrategy::OsDefault);
    let engine = store::open(&disk, &old).unwrap();
    let mut next = Options {
        max_value_size: 10,
        max_key_size: 5,
        max_batch_operations: 1,
        max_scans: 1,
        background: true,
        ..old.clone()
    };
    assert_eq!(engine.reconfigure(&next).unwrap(), ["background"]);
    let refused = engine.put(b"key", &[7; 11]).unwrap_err();
    assert!(
        matches!(refused, AtlasError::ValueTooLarge { limit: 10, .. }),
        "{refused}"
    );
    let refused = engine.get(b"longer").unwrap_err();
    assert!(
        matches!(refused, AtlasError::KeyTooLarge { limit: 5, .. }),
        "{refused}"
    );
    let refused = engine
        .multi_get(&[b"a", b"b"], &mut |_| Ok(()))
        .unwrap_err();
    assert!(
        matches!(refused, AtlasError::TooManyOperations { limit: 1, .. }),
        "{refused}"
    );
    let scan = engine.scan(&Default::default()).unwrap();
    let refused = engine.scan(&Default::default()).unwrap_err();
    assert!(
        matches!(refused, AtlasError::TooManyScans { limit: 1 }),
        "{refused}"
    );
    drop(scan);

    next.max_value_size = 0;
    let refused = engine.reconfigure(&next).unwrap_err();
    assert!(
        matches!(refused, AtlasError::InvalidOption { .. }),
        "{refused}"
    );
    engine.put(b"key", &[7; 10]).unwrap();

    // A larger segment is the next one.
    let sizes = Options {
        segment_size: 64 * KIB,
        memtable_size: 64 * KIB,
        ..old
    };
    assert!(engine.reconfigure(&sizes).unwrap().is_empty());
    let lengths = |disk: &SimDisk| {
        let files = disk.files();
        let segments = store::segments(disk);
        segments
            .iter()
            .map(|path| files[path].len())
            .collect::<Vec<_>>()
    };
    assert_eq!(lengths(&disk), [16 * KIB]);
    for number in 0..30_u8 {
        engine.put(&[number], &[7; KIB]).unwrap();
    }
    assert_eq!(lengths(&disk), [16 * KIB, 64 * KIB]);
    engine.close().unwrap();
    let closed = engine.reconfigure(&sizes).unwrap_err();
    assert!(matches!(closed, AtlasError::Closed), "{closed}");
}

#[test]
fn after_a_failed_sync_another_strategy_needs_a_restart() {
    for early in [true, false] {
        let disk = SimDisk::new(1);
        let mut options = store::options(WalSyncStrategy::OsDefault);
        let engine = store::open(&disk, &options).unwrap();
        engine.put(b"key", b"value").unwrap();
        disk.fail_from(disk.changes(), Fault::Fail(Errno::Io));
        if early {
            engine.sync().unwrap_err();
        }
        options.sync = WalSyncStrategy::EveryWrite;
        options.max_key_size = 2;
        assert_eq!(engine.reconfigure(&options).unwrap(), ["sync"]);
        assert_eq!(engine.stats().state, "read-only");
        let refused = engine.get(b"key").unwrap_err();
        assert!(
            matches!(refused, AtlasError::KeyTooLarge { .. }),
            "{refused}"
        );
    }
}
