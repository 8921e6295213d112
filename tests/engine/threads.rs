//! Many threads at once, with the engine's own threads, on the simulated disk and on a real one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use atlaskv::storage::{
    AtlasError, Conditional, Disk, Engine, Expected, KIB, Lsn, Operation, Options, RealDisk,
    ScanRange, WalSyncStrategy,
};

use crate::sim_disk::{CallKind, Fault, Loss, SimDisk};
use crate::store::{self, DIR, POLICIES};

/// Far longer than anything here takes: whoever waits so long waits for ever.
const HANG: Duration = Duration::from_secs(60);

fn options(sync: WalSyncStrategy) -> Options {
    Options {
        sync,
        memtable_size: 16 * KIB,
        segment_size: 32 * KIB,
        compaction_trigger: 3,
        max_tables: 8,
        background: true,
        ..Options::default()
    }
}

fn open_sim(sync: WalSyncStrategy) -> (SimDisk, Arc<Engine>) {
    let disk = SimDisk::new(11);
    let engine = store::open(&disk, &options(sync)).unwrap();
    (disk, Arc::new(engine))
}

/// A place for a store, and how to open it again.
struct Place {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Place {
    fn both() -> [Place; 2] {
        let temporary = tempfile::tempdir().unwrap();
        [
            Place {
                disk: SimDisk::new(12).shared(),
                dir: PathBuf::from(DIR),
                _temporary: None,
            },
            Place {
                disk: RealDisk::shared(),
                dir: temporary.path().join("data"),
                _temporary: Some(temporary),
            },
        ]
    }

    fn open(&self, sync: WalSyncStrategy) -> Engine {
        Engine::open(Arc::clone(&self.disk), &self.dir, options(sync)).unwrap()
    }
}

/// A writer of keys that nobody else writes: it always reads what it wrote.
fn write_own(engine: &Engine, writer: u32, rounds: u32) {
    let mut random = fastrand::Rng::with_seed(u64::from(writer));
    let mut own = store::Contents::new();
    for round in 0..rounds {
        let key = format!("own{writer}/{:02}", random.u8(0..30)).into_bytes();
        if random.u8(0..5) == 0 {
            engine.delete(&key).unwrap();
            own.remove(&key);
        } else {
            let value = vec![random.u8(..); random.usize(0..200)];
            let lsn = engine.put(&key, &value).unwrap();
            own.insert(key.clone(), (lsn, value));
        }
        let found = engine.get(&key).unwrap();
        let found = found.map(|found| (found.lsn, found.value.to_vec()));
        assert_eq!(found, own.get(&key).cloned(), "writer {writer}");
        if round % 50 == 49 {
            check_own(engine, writer, &own, round % 100 == 99);
        }
    }
    check_own(engine, writer, &own, false);
}

fn check_own(engine: &Engine, writer: u32, own: &store::Contents, reverse: bool) {
    let range = ScanRange {
        prefix: format!("own{writer}/").into_bytes(),
        reverse,
        ..ScanRange::default()
    };
    let mut scan = engine.scan(&range).unwrap();
    let mut found = store::drain(&mut scan, 9).unwrap();
    if reverse {
        found.reverse();
    }
    let own: Vec<_> = own
        .iter()
        .map(|(key, (lsn, value))| (key.clone(), value.clone(), *lsn))
        .collect();
    assert_eq!(found, own, "writer {writer}");
}

const PAIRS: u32 = 8;

fn pair_keys() -> Vec<Vec<u8>> {
    let key = |number| format!("pair/{number}").into_bytes();
    (0..PAIRS).map(key).collect()
}

/// Writes all pair keys at once, the same value each, or takes all away.
fn write_pairs(engine: &Engine, rounds: u32) {
    let keys = pair_keys();
    for round in 0..rounds {
        let value = round.to_string().repeat(20).into_bytes();
        let operations: Vec<Operation<'_>> = keys
            .iter()
            .map(|key| match round % 5 {
                0 => Operation::Delete { key },
                _ => Operation::Put { key, value: &value },
            })
            .collect();
        engine.write(&operations).unwrap();
    }
}

/// All pair keys have the same value, and the same LSN, at any time, however one looks.
fn read_pairs(engine: &Engine, stop: &AtomicBool) {
    let keys = pair_keys();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    loop {
        let found = engine.multi_get(&keys, &mut |_| Ok(())).unwrap();
        let same = found.iter().all(|entry| *entry == found[0]);
        assert!(same, "a batch was seen in part by multi-get: {found:?}");
        let range = ScanRange {
            prefix: b"pair/".to_vec(),
            ..ScanRange::default()
        };
        let mut scan = engine.scan(&range).unwrap();
        let found = store::drain(&mut scan, 3).unwrap();
        assert!(
            found.is_empty() || found.len() == PAIRS as usize,
            "{}",
            found.len()
        );
        let same = found
            .iter()
            .all(|entry| entry.1 == found[0].1 && entry.2 == found[0].2);
        assert!(same, "a batch was seen in part by a scan");
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
}

/// Every write adds one, by compare-and-swap: none is lost, none is done twice.
fn count_up(engine: &Engine, times: u32) {
    for _ in 0..times {
        loop {
            let found = engine.get(b"counter").unwrap();
            let (expected, next) = match &found {
                None => (Expected::Absent, 1),
                Some(found) => {
                    let count = String::from_utf8(found.value.to_vec()).unwrap();
                    (
                        Expected::Version(found.lsn),
                        count.parse::<u64>().unwrap() + 1,
                    )
                }
            };
            let next = next.to_string().into_bytes();
            let outcome = engine
                .compare_and_swap(b"counter", expected, Some(&next))
                .unwrap();
            if matches!(outcome, Conditional::Done(_)) {
                break;
            }
        }
    }
}

fn load(engine: &Engine, rounds: u32) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| read_pairs(engine, &stop)))
            .collect();
        let upkeep = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                engine.flush().unwrap();
                engine.compact().unwrap();
                engine.sync().unwrap();
            }
        });
        let mut writers: Vec<_> = (0..3)
            .map(|writer| scope.spawn(move || write_own(engine, writer, rounds)))
            .collect();
        writers.push(scope.spawn(|| write_pairs(engine, rounds)));
        writers.push(scope.spawn(|| count_up(engine, rounds / 4)));
        writers.push(scope.spawn(|| count_up(engine, rounds / 4)));
        let outcomes: Vec<_> = writers
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        stop.store(true, Ordering::Relaxed);
        upkeep.join().unwrap();
        for reader in readers {
            reader.join().unwrap();
        }
        for outcome in outcomes {
            outcome.unwrap();
        }
    });
}

fn check_load(sync: WalSyncStrategy, rounds: u32) {
    for place in Place::both() {
        let engine = place.open(sync);
        load(&engine, rounds);
        let count = engine.get(b"counter").unwrap().unwrap();
        assert_eq!(count.value, (rounds / 4 * 2).to_string().as_bytes());
        let before = store::contents(&engine).unwrap();
        assert_eq!(engine.stats().background_failures, 0);
        assert!(engine.stats().tables <= 9, "{:?}", engine.stats());
        engine.close().unwrap();
        drop(engine);
        let engine = place.open(sync);
        let after = store::contents(&engine).unwrap();
        assert_eq!(store::difference(&after, &before), "");
    }
}

#[test]
fn threads_agree_under_every_write() {
    check_load(WalSyncStrategy::EveryWrite, 150);
}

#[test]
fn threads_agree_under_interval() {
    check_load(WalSyncStrategy::Interval { ms: 3 }, 600);
}

#[test]
fn threads_agree_under_os_default() {
    check_load(WalSyncStrategy::OsDefault, 600);
}

/// A kill at some moment under load: what was answered is there.
#[test]
fn a_kill_under_load_loses_nothing_that_was_answered() {
    for sync in POLICIES {
        for round in 0..5_u64 {
            let (disk, engine) = open_sim(sync);
            disk.crash_at(disk.changes() + 150 + 83 * round);
            let mut answered = store::Contents::new();
            std::thread::scope(|scope| {
                let writers: Vec<_> = (0..4)
                    .map(|writer| {
                        scope.spawn({
                            let engine = Arc::clone(&engine);
                            move || write_until_it_fails(&engine, writer)
                        })
                    })
                    .collect();
                for writer in writers {
                    answered.extend(writer.join().unwrap());
                }
            });
            assert!(disk.is_dead());
            for loss in [Loss::KeepAll, Loss::DropAll, Loss::RandomPages] {
                if loss != Loss::KeepAll && sync != WalSyncStrategy::EveryWrite {
                    continue;
                }
                let after = disk.crash_image(loss, round);
                let engine = store::open(&after, &options(sync)).unwrap();
                for (key, (lsn, value)) in &answered {
                    let found = engine.get(key).unwrap().expect("an answered write is lost");
                    // The last write of each writer had no answer, and may be there.
                    assert!(found.lsn >= *lsn);
                    assert!(found.lsn > *lsn || found.value == value);
                }
            }
        }
    }
}

fn write_until_it_fails(engine: &Engine, writer: u32) -> store::Contents {
    let mut answered = store::Contents::new();
    for round in 0.. {
        let key = format!("w{writer}/{}", round % 20).into_bytes();
        let value = vec![round as u8; 100];
        match engine.put(&key, &value) {
            Ok(lsn) => answered.insert(key, (lsn, value)),
            Err(_) => break,
        };
    }
    answered
}

/// Syncs of segments so far.
fn segment_syncs(disk: &SimDisk) -> usize {
    let trace = disk.trace();
    let syncs = trace.iter().filter(|call| call.kind == CallKind::Sync);
    syncs
        .filter(|call| call.path.extension().is_some_and(|end| end == "log"))
        .count()
}

/// Waits until so many writes are appended.
fn wait_for_appended(engine: &Engine, lsn: u64) {
    let until = std::time::Instant::now() + HANG;
    while engine.stats().last_lsn < lsn {
        assert!(
            std::time::Instant::now() < until,
            "writers wait for each other's sync"
        );
        std::thread::yield_now();
    }
}

#[test]
fn writers_that_wait_together_share_a_sync() {
    const WRITERS: u64 = 16;
    let (disk, engine) = open_sim(WalSyncStrategy::EveryWrite);
    let start = engine.stats().last_lsn;
    let before = segment_syncs(&disk);
    disk.close_gate("wal-");
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let engine = &engine;
                scope.spawn(move || engine.put(&writer.to_be_bytes(), b"x").unwrap())
            })
            .collect();
        disk.wait_for_call_at_gate();
        wait_for_appended(&engine, start + WRITERS);
        disk.open_gate();
        for writer in writers {
            let lsn = writer.join().unwrap();
            assert!(engine.stats().durable_lsn >= lsn.as_u64());
        }
    });
    let syncs = segment_syncs(&disk) - before;
    // The first took what there was; the second took the rest; a mark may have followed.
    assert!(syncs <= 3, "{syncs} syncs for {WRITERS} writes");
    let after = disk.crash_image(Loss::DropAll, 0);
    let engine = store::open(&after, &options(WalSyncStrategy::EveryWrite)).unwrap();
    assert_eq!(store::contents(&engine).unwrap().len() as u64, WRITERS);
}

#[test]
fn nobody_sees_a_write_before_it_is_durable() {
    let (disk, engine) = open_sim(WalSyncStrategy::EveryWrite);
    store::put_and_rest(&engine, b"key", b"old");
    disk.close_gate("wal-");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| engine.put(b"key", b"new").unwrap());
        disk.wait_for_call_at_gate();
        let (told, outcome) = mpsc::channel();
        let refused = scope.spawn({
            let engine = &engine;
            move || {
                let outcome = engine.put_if_absent(b"key", b"x").unwrap();
                told.send(outcome).unwrap();
            }
        });
        assert_eq!(engine.get(b"key").unwrap().unwrap().value, "old");
        let contents = store::contents(&engine).unwrap();
        assert_eq!(contents[&b"key".to_vec()].1, b"old");
        // A refusal tells of the new state, so it waits for it too.
        let early = outcome.recv_timeout(Duration::from_millis(50));
        assert!(
            early.is_err(),
            "a refusal told of a write that is not durable"
        );
        disk.open_gate();
        let lsn = writer.join().unwrap();
        let Conditional::Refused(Some(found)) = outcome.recv_timeout(HANG).unwrap() else {
            panic!("it was done");
        };
        assert_eq!((found.value.as_ref(), found.lsn), (b"new".as_slice(), lsn));
        refused.join().unwrap();
        assert_eq!(engine.get(b"key").unwrap().unwrap().value, "new");
    });
}

#[test]
fn a_sync_on_its_way_does_not_hold_up_writers() {
    let (disk, engine) = open_sim(WalSyncStrategy::Interval { ms: 1 });
    disk.close_gate("wal-");
    engine.put(b"first", b"1").unwrap();
    disk.wait_for_call_at_gate();
    let (done, wrote) = mpsc::channel();
    std::thread::scope(|scope| {
        let engine = &engine;
        scope.spawn(move || {
            for number in 0..50_u64 {
                engine.put(&number.to_be_bytes(), b"x").unwrap();
                assert!(engine.exists(&number.to_be_bytes()).unwrap());
            }
            assert_eq!(store::contents(engine).unwrap().len(), 51);
            done.send(()).unwrap();
        });
        let outcome = wrote.recv_timeout(HANG);
        disk.open_gate();
        assert!(outcome.is_ok(), "writers wait for the sync");
    });
    engine.sync().unwrap();
    let after = disk.crash_image(Loss::DropAll, 0);
    let engine = store::open(&after, &options(POLICIES[1])).unwrap();
    assert_eq!(store::contents(&engine).unwrap().len(), 51);
}

#[test]
fn a_failed_sync_is_told_to_all_who_wait() {
    const WRITERS: u64 = 8;
    let (disk, engine) = open_sim(WalSyncStrategy::EveryWrite);
    store::put_and_rest(&engine, b"before", b"1");
    let start = engine.stats().last_lsn;
    disk.close_gate("wal-");
    disk.fail_from(disk.changes(), Fault::SyncDropped);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let engine = &engine;
                scope.spawn(move || engine.put(&writer.to_be_bytes(), b"x"))
            })
            .collect();
        disk.wait_for_call_at_gate();
        wait_for_appended(&engine, start + WRITERS);
        disk.open_gate();
        for writer in writers {
            let error = writer.join().unwrap().unwrap_err();
            assert!(
                matches!(error, AtlasError::OutcomeUnknown { .. }),
                "{error:?}"
            );
        }
    });
    disk.clear_faults();
    assert_eq!(store::contents(&engine).unwrap().len(), 1, "reads go on");
    for refused in [
        engine.put(b"after", b""),
        engine.sync(),
        engine.sync_to(Lsn::from_u64(start)),
    ] {
        if let Err(error) = refused {
            assert!(matches!(error, AtlasError::ReadOnly { .. }), "{error:?}");
        }
    }
    assert!(engine.put(b"after", b"").is_err());
    assert_eq!(engine.stats().state, "read-only");
    assert!(engine.flush().is_err() && engine.close().is_err());
    drop(engine);
    assert!(disk.violations().is_empty(), "{:?}", disk.violations());
    let after = disk.crash_image(Loss::DropAll, 0);
    let engine = store::open(&after, &options(WalSyncStrategy::EveryWrite)).unwrap();
    assert!(engine.exists(b"before").unwrap());
}

#[test]
fn the_interval_syncs_by_itself_and_marks_when_quiet() {
    let (disk, engine) = open_sim(WalSyncStrategy::Interval { ms: 1 });
    let lsn = engine.put(b"key", b"value").unwrap();
    let until = std::time::Instant::now() + HANG;
    while engine.stats().durable_lsn <= lsn.as_u64() {
        // Beyond the write: a mark was appended and synced as well.
        assert!(std::time::Instant::now() < until, "no sync, or no mark");
        std::thread::yield_now();
    }
    let after = disk.crash_image(Loss::DropAll, 0);
    let engine = store::open(&after, &options(POLICIES[1])).unwrap();
    assert!(engine.exists(b"key").unwrap());
}

#[test]
fn closing_under_load_keeps_what_was_answered() {
    for place in Place::both() {
        for sync in POLICIES {
            let engine = Arc::new(place.open(sync));
            let ready = Arc::new(Barrier::new(4));
            let answered = AtomicU64::new(0);
            let mut expected = store::Contents::new();
            std::thread::scope(|scope| {
                let writers: Vec<_> = (0..3_u32)
                    .map(|writer| {
                        let (engine, ready) = (Arc::clone(&engine), Arc::clone(&ready));
                        let answered = &answered;
                        scope.spawn(move || {
                            ready.wait();
                            let mut own = store::Contents::new();
                            for round in 0_u32.. {
                                let key = format!("c{writer}/{}", round % 50).into_bytes();
                                let value = round.to_le_bytes().repeat(20);
                                match engine.put(&key, &value) {
                                    Ok(lsn) => own.insert(key, (lsn, value)),
                                    Err(AtlasError::Closed) => break,
                                    Err(error) => panic!("{error:?}"),
                                };
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                            own
                        })
                    })
                    .collect();
                ready.wait();
                while answered.load(Ordering::Relaxed) < 100 {
                    std::thread::yield_now();
                }
                engine.close().unwrap();
                for writer in writers {
                    expected.extend(writer.join().unwrap());
                }
            });
            assert!(matches!(engine.get(b"a"), Err(AtlasError::Closed)));
            drop(engine);
            let engine = place.open(sync);
            assert!(engine.recovery_report().clean_shutdown);
            for (key, value) in &expected {
                let found = engine.get(key).unwrap().unwrap();
                assert_eq!((found.lsn, found.value.to_vec()), *value);
            }
        }
    }
}

#[test]
fn a_scan_under_load_sees_one_state() {
    let (_disk, engine) = open_sim(POLICIES[1]);
    for number in 0..300_u32 {
        engine.put(&number.to_be_bytes(), &[0; 100]).unwrap();
    }
    let expected = store::contents(&engine).unwrap();
    let mut scans = Vec::new();
    for _ in 0..3 {
        scans.push(engine.scan(&ScanRange::default()).unwrap());
    }
    for round in 1..=4_u8 {
        for number in 0..300_u32 {
            match number % 3 {
                0 => engine.delete(&number.to_be_bytes()).unwrap(),
                _ => engine.put(&number.to_be_bytes(), &[round; 100]).unwrap(),
            };
        }
        if round == 2 {
            engine.compact().unwrap();
        }
    }
    for mut scan in scans {
        let found = store::drain(&mut scan, 17).unwrap();
        let found: store::Contents = found
            .into_iter()
            .map(|(key, value, lsn)| (key, (lsn, value)))
            .collect();
        assert_eq!(store::difference(&found, &expected), "");
    }
    assert_eq!(engine.stats().open_scans, 0);
}
