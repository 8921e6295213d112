//! A store whose writing has stopped, or that is closed: every step refuses, and the directory stays as it is.
//!
//! Each step is asked by itself. From outside one check stands behind another, so that none of them is missed
//! alone.
#![allow(clippy::disallowed_methods, reason = "tests see files as they are")]

use std::collections::BTreeMap;

use super::*;
use crate::storage::disk::RealDisk;
use crate::storage::wal::Kind;
use crate::storage::{Event, KIB, WalSyncStrategy, flush};

const TABLES: usize = 3;

/// A store with tables to merge, a sealed memtable and writes after it, none of them synced.
struct Place {
    home: tempfile::TempDir,
    engine: Engine,
    told: Arc<Mutex<Vec<Event>>>,
}

fn place(sync: WalSyncStrategy) -> Place {
    let home = tempfile::tempdir().unwrap();
    let told: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sink = Arc::clone(&told);
    let options = Options {
        sync,
        background: false,
        compaction_trigger: TABLES,
        memtable_size: 64 * KIB,
        segment_size: 256 * KIB,
        events: Some(Arc::new(move |event: &Event| {
            lock(&sink).push(event.clone());
        })),
        ..Options::default()
    };
    let engine = Engine::open(Arc::new(RealDisk), home.path(), options).unwrap();
    for table in 0..TABLES {
        engine.put(b"key", &[7; 100]).unwrap();
        engine.put(format!("key {table}").as_bytes(), b"").unwrap();
        engine.flush().unwrap();
    }
    engine.put(b"sealed", b"").unwrap();
    engine.core.seal(&mut lock(&engine.core.writer)).unwrap();
    engine.put(b"active", b"").unwrap();
    let view = engine.core.view();
    assert_eq!((view.tables.len(), view.sealed.len()), (TABLES, 1));
    Place { home, engine, told }
}

impl Place {
    /// Every file with its bytes.
    fn files(&self) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
        let entries = std::fs::read_dir(self.home.path()).unwrap();
        entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_owned();
                (name, std::fs::read(&path).unwrap())
            })
            .collect()
    }

    /// Does a step, which must leave every file as it is.
    fn check<T>(&self, step: &str, work: impl FnOnce(&Core) -> T) -> T {
        let before = self.files();
        let outcome = work(&self.engine.core);
        let after = self.files();
        assert!(
            before == after,
            "{step}: {:?} became {:?}",
            before.keys(),
            after.keys()
        );
        outcome
    }

    fn refuses<T>(&self, step: &str, work: impl FnOnce(&Core) -> Result<T>) {
        match self.check(step, work) {
            Err(AtlasError::ReadOnly { .. }) => {}
            Err(error) => panic!("{step}: {error:?}"),
            Ok(_) => panic!("{step}: it was done"),
        }
    }
}

fn failure(text: &str) -> AtlasError {
    AtlasError::io("sync", Path::new(text), io::ErrorKind::Other.into())
}

fn full() -> AtlasError {
    AtlasError::io(
        "write",
        Path::new("a file"),
        io::ErrorKind::StorageFull.into(),
    )
}

/// A store whose log could not be synced.
fn stopped(sync: WalSyncStrategy) -> Place {
    let place = place(sync);
    place.engine.core.durability.stop_writing(&failure("log"));
    place
}

#[test]
fn after_a_failed_sync_every_step_refuses() {
    let place = stopped(WalSyncStrategy::OsDefault);
    place.refuses("a write", |core| {
        core.submit(&[Operation::Delete { key: b"key" }])
    });
    place.refuses("an append", |core| {
        core.append(&mut lock(&core.writer), Kind::Operations, &[])
    });
    place.refuses("a seal", |core| core.seal(&mut lock(&core.writer)));
    place.refuses("a flush", Core::flush_oldest);
    place.refuses("the flush of all", Core::flush_all);
    place.refuses("a compaction", Core::compact_once);
    place.refuses("the compaction of all", |core| core.compact_all(&|| true));
    place.refuses("a manifest", |core| {
        let mut installed = core.manifest();
        let next = installed.manifest.clone();
        core.install(&mut installed, next)
    });
    // A table that was under way, and finished.
    let core = &place.engine.core;
    let (sealed, number) = (Arc::clone(&core.view().sealed[0]), core.take_file_number());
    let mut progress = core.closing_progress();
    let (disk, dir) = (&*core.disk, &*core.dir);
    let written = flush::write_memtable(disk, dir, &sealed.memtable, number, &mut progress);
    let (info, index) = written.unwrap().unwrap();
    place.refuses("a table's name", |core| core.adopt_table(&info, index));
    place.check("a failed table", |core| core.discard_table(number));
    let old = core.view().tables[0].info().number;
    let names = [file_name::table(old)];
    place.check("an obsolete file", |core| core.remove_obsolete(&names));
    place.check("a sync", |core| core.sync_tick(Duration::ZERO).unwrap());
    assert_eq!(place.engine.get(b"sealed").unwrap().unwrap().value, "");
}

#[test]
fn after_a_failed_sync_a_full_disk_frees_nothing_and_does_not_resume() {
    let place = stopped(WalSyncStrategy::OsDefault);
    place.check("the reserve", |core| {
        assert!(!core.free_reserve(&full()));
    });
    let place = self::place(WalSyncStrategy::OsDefault);
    // So that nothing waits to be flushed, and there is room.
    place.engine.flush().unwrap();
    place.engine.core.refuse_full(&full());
    place.engine.core.durability.stop_writing(&failure("log"));
    place.check("resuming", |core| core.try_resume().unwrap());
    assert!(place.engine.core.disk_full().is_some());
}

#[test]
fn after_a_failed_sync_the_reserve_stays_as_it_is() {
    let place = place(WalSyncStrategy::OsDefault);
    let larger = Options {
        memtable_size: 512 * KIB,
        ..(*place.engine.core.options()).clone()
    };
    place.engine.core.durability.stop_writing(&failure("log"));
    place.check("other sizes", |core| core.reconfigure(&larger).unwrap());
}

/// No flush makes room any more for a write that waits for one.
#[test]
fn after_a_failed_sync_no_write_waits_for_room() {
    let home = tempfile::tempdir().unwrap();
    let options = Options {
        memtable_size: 64 * KIB,
        ..Options::default()
    };
    let engine = Engine::open(Arc::new(RealDisk), home.path(), options).unwrap();
    let core = &engine.core;
    let no_flush = lock(&core.flushing);
    while core.view().sealed.len() < core.options().max_sealed_memtables {
        engine.put(b"key", b"").unwrap();
        core.seal(&mut lock(&core.writer)).unwrap();
    }
    // A memtable is full once it holds more than it may.
    for key in [b"one", b"two"] {
        engine.put(key, &[7; 40 * KIB]).unwrap();
    }
    let refused = std::thread::scope(|scope| {
        let write = scope.spawn(|| engine.put(b"key", &[7; 40 * KIB]).unwrap_err());
        while core.counters.stalled_writes.load(Ordering::Relaxed) == 0 {
            assert!(!write.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        core.durability.stop_writing(&failure("log"));
        write.join().unwrap()
    });
    drop(no_flush);
    assert!(matches!(refused, AtlasError::ReadOnly { .. }), "{refused}");
}

#[test]
fn after_a_failed_sync_nobody_asks_for_another() {
    let place = stopped(WalSyncStrategy::Interval { ms: 60_000 });
    let durability = &place.engine.core.durability;
    assert!(durability.durable() < durability.appended());
    assert!(!durability.wants_sync(), "a sync is wanted");
    let place = self::place(WalSyncStrategy::OsDefault);
    let durability = &place.engine.core.durability;
    place.engine.sync().unwrap();
    assert!(durability.wants_mark(Duration::ZERO));
    durability.stop_writing(&failure("log"));
    assert!(!durability.wants_mark(Duration::ZERO), "a mark is wanted");
}

#[test]
fn after_a_failed_sync_the_policy_stays_and_the_first_reason_is_told_once() {
    let place = stopped(WalSyncStrategy::OsDefault);
    let durability = &place.engine.core.durability;
    assert!(!durability.follow(WalSyncStrategy::EveryWrite));
    assert!(!durability.is_every_write());
    let first = durability.poison().unwrap();
    durability.stop_writing(&failure("manifest"));
    assert_eq!(durability.poison().unwrap(), first);
    let told = lock(&place.told);
    let stops = told
        .iter()
        .filter(|event| matches!(event, Event::WritingStopped { .. }));
    assert_eq!(stops.count(), 1);
}

/// With no sync thread: when it would act.
#[test]
fn the_sync_thread_acts_when_the_policy_says_so() {
    let turn = |place: &Place| place.engine.core.durability.turn();
    let interval = place(WalSyncStrategy::Interval { ms: 7 });
    assert_eq!(turn(&interval), Some(Duration::from_millis(7)));
    let on_request = place(WalSyncStrategy::OsDefault);
    assert_eq!(turn(&on_request), None);
    for place in [interval, on_request] {
        place.engine.sync().unwrap();
        assert_eq!(turn(&place), Some(crate::storage::durability::QUIET));
        let durability = &place.engine.core.durability;
        durability.stop_writing(&failure("log"));
        assert_eq!(durability.turn(), None);
    }
}

/// Without its having been tried, the sync thread would come back every 50 ms for as long as nothing is flushed.
#[test]
fn a_mark_that_has_no_place_is_tried_once() {
    let place = place(WalSyncStrategy::OsDefault);
    let core = &place.engine.core;
    let fill = || place.engine.put(b"large", &[7; 64 * KIB]).unwrap();
    let view = || core.view();
    while view().sealed.len() < view().options.max_sealed_memtables {
        fill();
        core.seal(&mut lock(&core.writer)).unwrap();
    }
    fill();
    place.engine.sync().unwrap();
    let durability = &core.durability;
    assert!(durability.wants_mark(Duration::ZERO));
    place
        .check("a mark", |core| core.mark(Duration::ZERO))
        .unwrap();
    assert!(!durability.wants_mark(Duration::ZERO));
    assert_eq!(durability.turn(), None);
}

#[test]
fn a_closed_store_answers_closed() {
    let place = place(WalSyncStrategy::OsDefault);
    let engine = &place.engine;
    let lsn = engine.put(b"last", b"").unwrap();
    let calls: [(&str, &dyn Fn() -> Option<AtlasError>); 12] = [
        ("get", &|| engine.get(b"key").err()),
        ("multi_get", &|| {
            engine.multi_get(&[b"key"], &mut |_| Ok(())).err()
        }),
        ("scan", &|| engine.scan(&ScanRange::default()).err()),
        ("put", &|| engine.put(b"key", b"").err()),
        ("put_if_absent", &|| engine.put_if_absent(b"new", b"").err()),
        ("sync", &|| engine.sync().err()),
        ("sync_to", &|| engine.sync_to(lsn).err()),
        ("flush", &|| engine.flush().err()),
        ("compact", &|| engine.compact().err()),
        ("reconfigure", &|| {
            engine.reconfigure(&Options::default()).err()
        }),
        ("maintain", &|| engine.maintain().err()),
        ("quarantine_purge", &|| engine.quarantine_purge().err()),
    ];
    let check_all = || {
        for (name, call) in calls {
            let error = place.check(name, |_| call());
            let is_closed = matches!(error, Some(AtlasError::Closed));
            assert!(is_closed, "{name}: {error:?}");
        }
    };
    // From the first moment of closing on, while others are at work still.
    engine.core.closed.store(true, Ordering::Release);
    check_all();
    let merged = place.check("a compaction", Core::compact_once);
    assert!(matches!(merged, Err(AtlasError::Closed)), "{merged:?}");
    engine.core.closed.store(false, Ordering::Release);
    engine.close().unwrap();
    check_all();
    let ended = engine.core.durability.check();
    assert!(matches!(ended, Err(AtlasError::Closed)), "{ended:?}");
}
