//! The engine's real code under a scheduler that tries interleavings of its threads: at every lock, every
//! condition variable, every atomic and every call of the disk another thread may go on. `make interleavings`.
//!
//! Half of the schedules are random, half give way at few places, which finds orders that random ones
//! rarely meet. A deadlock fails too. Waits never time out here, so nothing is proven of timeouts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use atlaskv::storage::{AtlasError, Engine, KIB, Lsn, Options, WalSyncStrategy};
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, Runner};

use crate::sim_disk::{Errno, Fault, Loss, SimDisk};
use crate::store::{self, POLICIES};

/// Schedules of each story in a usual run.
const USUAL: u64 = 400;
/// Places at which the second half of the schedules gives way, at most.
const DEPTH: usize = 4;

/// The last acknowledged write of each key.
type Acknowledged = Arc<Mutex<BTreeMap<String, Lsn>>>;

/// Runs a story under many schedules.
fn explore(name: &str, story: fn()) {
    for seed in store::seeds(1) {
        let schedules = usize::try_from(store::budget(USUAL)).unwrap();
        eprintln!("{name}: {schedules} schedules; to repeat: make interleavings SEED={seed}");
        let half = schedules.div_ceil(2);
        run(RandomScheduler::new_from_seed(seed, half), story);
        run(PctScheduler::new_from_seed(seed, DEPTH, half), story);
    }
}

fn run(scheduler: impl Scheduler + 'static, story: fn()) {
    let mut config = Config::new();
    config.stack_size = 1024 * KIB;
    Runner::new(scheduler, config).run(story);
}

/// A random number below `end`, chosen by the schedule, so that it is repeated with it.
fn below(end: u64) -> u64 {
    shuttle::rand::thread_rng().gen_range(0..end)
}

fn open(disk: &SimDisk, options: &Options) -> Arc<Engine> {
    Arc::new(store::open(disk, options).unwrap())
}

/// Does each in a thread of its own, and waits for all.
fn at_once<const N: usize>(engine: &Arc<Engine>, work: [fn(&Engine); N]) {
    let threads = work.map(|work| {
        let engine = Arc::clone(engine);
        thread::spawn(move || work(&engine))
    });
    join(threads.into());
}

fn every_write() -> Options {
    store::options(WalSyncStrategy::EveryWrite)
}

/// A value that stands nowhere else, padded to this length.
fn value(writer: u64, number: u64, length: usize) -> Vec<u8> {
    let mut value = format!("<writer {writer}, write {number}>").into_bytes();
    value.resize(value.len().max(length), b'.');
    value
}

/// Whether these bytes stand in a file that a power cut would leave.
fn is_on_the_disk(disk: &SimDisk, bytes: &[u8]) -> bool {
    let image = disk.crash_image(Loss::DropAll, 0);
    let mut files = image.files().into_values();
    files.any(|file| memchr::memmem::find(&file, bytes).is_some())
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A thread that writes `count` values to a key of its own and notes what was acknowledged.
fn writer(
    engine: &Arc<Engine>,
    acknowledged: &Acknowledged,
    (name, count): (u64, u64),
) -> JoinHandle<()> {
    let (engine, acknowledged) = (Arc::clone(engine), Arc::clone(acknowledged));
    thread::spawn(move || {
        let key = format!("key {name}");
        for number in 0..count {
            let change = (key.clone().into_bytes(), Some(value(name, number, 500)));
            let lsn = store::write(&engine, &[change]).unwrap();
            acknowledged.lock().unwrap().insert(key.clone(), lsn);
        }
    })
}

/// A thread that reads by get and by scan: everything acknowledged before is seen, and nothing goes back.
fn reader(engine: &Arc<Engine>, acknowledged: &Acknowledged, rounds: u64) -> JoinHandle<()> {
    let (engine, acknowledged) = (Arc::clone(engine), Arc::clone(acknowledged));
    thread::spawn(move || {
        let mut seen: BTreeMap<String, Lsn> = BTreeMap::new();
        for _ in 0..rounds {
            merge(&mut seen, acknowledged.lock().unwrap().clone());
            for (key, least) in &mut seen {
                let found = engine.get(key.as_bytes()).unwrap();
                let found = found.unwrap_or_else(|| panic!("{key} of {least} is not there"));
                assert!(found.lsn >= *least, "{key}: {} after {least}", found.lsn);
                *least = found.lsn;
            }
            merge(&mut seen, acknowledged.lock().unwrap().clone());
            let contents = store::contents(&engine).unwrap();
            for (key, least) in &mut seen {
                let found = contents.get(key.as_bytes());
                let found = found.unwrap_or_else(|| panic!("a scan without {key} of {least}"));
                assert!(
                    found.0 >= *least,
                    "a scan has {key}: {} after {least}",
                    found.0
                );
                *least = found.0;
            }
        }
    })
}

fn merge(seen: &mut BTreeMap<String, Lsn>, acknowledged: BTreeMap<String, Lsn>) {
    for (key, lsn) in acknowledged {
        let least = seen.entry(key).or_insert(lsn);
        *least = lsn.max(*least);
    }
}

/// After a power cut now, everything acknowledged is there.
fn check_after_power_cut(disk: &SimDisk, acknowledged: &Acknowledged) {
    let image = disk.crash_image(Loss::DropAll, 0);
    let engine = open(&image, &every_write());
    for (key, least) in &*acknowledged.lock().unwrap() {
        let found = engine.get(key.as_bytes()).unwrap();
        let found = found.unwrap_or_else(|| panic!("{key} of {least} was lost"));
        assert!(
            found.lsn >= *least,
            "{key}: {} instead of {least}",
            found.lsn
        );
    }
}

/// Writers that share syncs: nobody is answered, and nobody sees a write, before it is on the disk.
#[test]
fn group_commit() {
    explore("group_commit", || {
        let disk = SimDisk::new(1);
        let engine = open(&disk, &every_write());
        let mut threads = Vec::new();
        for name in 0..3 {
            let (engine, disk) = (Arc::clone(&engine), disk.clone());
            threads.push(thread::spawn(move || {
                for number in 0..2 {
                    let value = value(name, number, 0);
                    engine.put(&[b'0' + name as u8], &value).unwrap();
                    assert!(is_on_the_disk(&disk, &value), "answered too early");
                }
            }));
        }
        threads.push(thread::spawn({
            let (engine, disk) = (Arc::clone(&engine), disk.clone());
            move || {
                for _ in 0..3 {
                    for key in [b"0", b"1", b"2"] {
                        if let Some(found) = engine.get(key).unwrap() {
                            assert!(is_on_the_disk(&disk, &found.value), "seen too early");
                        }
                    }
                }
            }
        }));
        join(threads);
    });
}

/// A call of the log fails while writers share syncs: who is answered is safe, the rest is told, and no
/// later write is taken.
#[test]
fn a_failed_sync_of_a_group() {
    explore("a_failed_sync_of_a_group", || {
        let disk = SimDisk::new(1);
        let engine = open(&disk, &every_write());
        disk.fail_at(disk.changes() + below(6), Fault::Fail(Errno::Io));
        let mut threads = Vec::new();
        for name in 0..3 {
            let (engine, disk) = (Arc::clone(&engine), disk.clone());
            threads.push(thread::spawn(move || {
                for number in 0..2 {
                    let value = value(name, number, 0);
                    match engine.put(&[b'0' + name as u8], &value) {
                        Ok(_) => assert!(is_on_the_disk(&disk, &value), "answered too early"),
                        Err(AtlasError::OutcomeUnknown { .. } | AtlasError::ReadOnly { .. }) => {
                            assert_eq!(engine.stats().state, "read-only");
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }));
        }
        join(threads);
        assert_eq!(disk.fired(), 1);
        let refused = engine.put(b"after", b"it").unwrap_err();
        assert!(
            matches!(refused, AtlasError::ReadOnly { .. }),
            "{refused:?}"
        );
        // An append that was on its way when the sync failed may still come; it is answered as unknown. But
        // no second sync, and nothing removed.
        let mut violations = disk.violations();
        violations.retain(|violation| !violation.starts_with("wrote"));
        assert_eq!(violations, Vec::<String>::new());
    });
}

/// Memtables are sealed and flushed while others write, read and scan.
#[test]
fn memtable_switch() {
    explore("memtable_switch", || {
        let disk = SimDisk::new(1);
        let sync = POLICIES[below(3) as usize];
        let engine = open(&disk, &store::options(sync));
        let acknowledged = Acknowledged::default();
        let mut threads = vec![
            writer(&engine, &acknowledged, (0, 5)),
            writer(&engine, &acknowledged, (1, 5)),
            reader(&engine, &acknowledged, 3),
        ];
        threads.push(thread::spawn({
            let engine = Arc::clone(&engine);
            move || engine.flush().unwrap()
        }));
        join(threads);
        assert_eq!(store::contents(&engine).unwrap().len(), 2);
    });
}

/// Flushes, compactions and the removal of segments and tables beside writers and readers: nothing
/// vanishes, nothing deleted comes back, and a power cut at the end loses nothing.
#[test]
fn flush_against_compaction_against_removal() {
    explore("flush_against_compaction", || {
        let disk = SimDisk::new(1);
        let engine = open(&disk, &every_write());
        let acknowledged = Acknowledged::default();
        engine.put(b"gone", b"once").unwrap();
        let old = engine.put(b"old", b"kept").unwrap();
        acknowledged.lock().unwrap().insert("old".to_owned(), old);
        engine.flush().unwrap();
        engine.delete(b"gone").unwrap();
        engine.flush().unwrap();
        let mut threads = vec![
            writer(&engine, &acknowledged, (0, 5)),
            reader(&engine, &acknowledged, 3),
        ];
        for compacts in [false, true, true] {
            let engine = Arc::clone(&engine);
            threads.push(thread::spawn(move || {
                if compacts {
                    engine.compact().unwrap();
                } else {
                    engine.flush().unwrap();
                }
                assert_eq!(engine.get(b"gone").unwrap(), None);
            }));
        }
        join(threads);
        check_after_power_cut(&disk, &acknowledged);
        assert_eq!(engine.get(b"gone").unwrap(), None);
    });
}

/// A flush finds room and says so while a merge finds none and frees what is held back: nobody is left refused
/// when there is room again.
#[test]
fn resuming_against_a_full_disk() {
    explore("resuming_against_a_full_disk", || {
        let disk = SimDisk::new(1);
        let engine = open(&disk, &every_write());
        for key in [b"a", b"b"] {
            engine.put(key, &[7; 18 * KIB]).unwrap();
            engine.flush().unwrap();
        }
        // It counts as full, but what is held back is not in use yet: a merge may take that now.
        disk.set_capacity(Some(disk.used()));
        let refused = engine.put(b"c", &[7; 18 * KIB]).unwrap_err();
        assert!(matches!(refused, AtlasError::DiskFull { .. }), "{refused}");
        disk.set_capacity(Some(disk.used() + 24 * KIB as u64));
        let work: [fn(&Engine); 2] = [
            |engine| drop(engine.put(b"c", b"1").and_then(|_| engine.flush())),
            |engine| drop(engine.compact()),
        ];
        at_once(&engine, work);
        disk.set_capacity(None);
        engine.maintain().unwrap();
        engine.put(b"d", b"1").unwrap();
        assert_eq!(engine.stats().state, "running");
    });
}

/// On a full disk a merge takes nearly all that is held back, while deletes and flushes need some: they are done,
/// nobody waits for ever, and nothing is lost.
#[test]
fn a_merge_gives_way() {
    explore("a_merge_gives_way", || {
        let disk = SimDisk::new(1);
        let engine = open(&disk, &every_write());
        for key in [b"a", b"b", b"c"] {
            engine.put(key, &[7; 18 * KIB]).unwrap();
            engine.flush().unwrap();
        }
        disk.set_capacity(Some(disk.used()));
        let refused = engine.put(b"d", &[7; 18 * KIB]).unwrap_err();
        assert!(matches!(refused, AtlasError::DiskFull { .. }), "{refused}");
        let work: [fn(&Engine); 4] = [
            |engine| drop(engine.compact()),
            |engine| drop(engine.maintain()),
            |engine| {
                engine.delete(b"a").unwrap();
                engine.flush().unwrap();
            },
            |engine| {
                engine.delete(b"b").unwrap();
            },
        ];
        at_once(&engine, work);
        disk.set_capacity(None);
        engine.maintain().unwrap();
        engine.put(b"d", b"1").unwrap();
        let found: Vec<_> = store::contents(&engine).unwrap().into_keys().collect();
        assert_eq!(found, [b"c", b"d"]);
    });
}

/// Closing while others write: what was answered is there, the rest is refused.
#[test]
fn close_under_load() {
    explore("close_under_load", || {
        let disk = SimDisk::new(1);
        let engine = open(&disk, &every_write());
        let acknowledged = Acknowledged::default();
        let mut threads = Vec::new();
        for name in 0..2 {
            let (engine, acknowledged) = (Arc::clone(&engine), Arc::clone(&acknowledged));
            threads.push(thread::spawn(move || {
                for number in 0..3 {
                    let key = format!("key {name}");
                    match engine.put(key.as_bytes(), &value(name, number, 0)) {
                        Ok(lsn) => acknowledged.lock().unwrap().insert(key, lsn),
                        Err(AtlasError::Closed) => return,
                        Err(error) => panic!("{error:?}"),
                    };
                }
            }));
        }
        threads.push(thread::spawn({
            let engine = Arc::clone(&engine);
            move || engine.close().unwrap()
        }));
        join(threads);
        check_after_power_cut(&disk, &acknowledged);
    });
}
