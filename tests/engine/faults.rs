//! Every call of the scripted workload failing, in every way.

use atlaskv::storage::{AtlasError, Engine, KIB, Options, WalSyncStrategy};

use crate::script::{self, History, Seen, Step};
use crate::sim_disk::{CallKind, Errno, Fault, Loss, SimDisk};
use crate::store::{self, POLICIES};

/// Every way in which one change can fail.
pub(crate) const FAULTS: [Fault; 13] = [
    Fault::Fail(Errno::Io),
    Fault::Fail(Errno::Full),
    Fault::Fail(Errno::Quota),
    Fault::Fail(Errno::Interrupted),
    Fault::FailDone(Errno::Io),
    Fault::FailDone(Errno::Full),
    Fault::FailDone(Errno::Quota),
    Fault::FailHalf(Errno::Io),
    Fault::FailHalf(Errno::Full),
    Fault::FailHalf(Errno::Quota),
    Fault::SyncDropped,
    Fault::Short,
    Fault::ShortThenFull,
];

/// What is expected of errors and answers while faults strike.
struct Watch<'a> {
    disk: &'a SimDisk,
    place: &'a str,
    /// Writes answered when writing stopped for good; reset by a restart.
    stopped_at: Option<usize>,
    /// States are looked at for some steps after a fault struck.
    looks: u32,
    /// Changes of the disk after the last step.
    changes: u64,
    fired: u64,
    failures: u32,
}

impl<'a> Watch<'a> {
    fn new(disk: &'a SimDisk, place: &'a str) -> Watch<'a> {
        Watch {
            disk,
            place,
            stopped_at: None,
            looks: 0,
            changes: 0,
            fired: 0,
            failures: 0,
        }
    }

    fn see(&mut self, seen: &Seen<'_>) {
        match seen {
            Seen::Failed(step, error) => self.failed(step, error),
            Seen::After(step, history, engine) => self.after(step, history, engine),
        }
    }

    fn failed(&mut self, step: &Step, error: &AtlasError) {
        let place = self.place;
        assert!(
            self.disk.fired() > 0,
            "{place}: {step:?} failed without a fault: {error}"
        );
        let typed = matches!(
            error,
            AtlasError::Io { .. }
                | AtlasError::DiskFull { .. }
                | AtlasError::ReadOnly { .. }
                | AtlasError::OutcomeUnknown { .. }
                | AtlasError::Stalled { .. }
        );
        assert!(typed, "{place}: {step:?}: {error:?}");
        self.failures += 1;
    }

    /// Once writing has stopped for good, nothing is changed on the disk any more.
    fn check_stopped(&mut self, step: &Step) {
        let changes = self.disk.changes();
        if self.stopped_at.is_some() {
            let place = self.place;
            assert_eq!(changes, self.changes, "{place}: {step:?} changed the disk");
        }
        self.changes = changes;
    }

    fn after(&mut self, step: &Step, history: &History, engine: &Engine) {
        let place = self.place;
        if matches!(step, Step::Reopen | Step::Abandon) {
            // Closed now, and opened next.
            self.stopped_at = None;
            return;
        }
        let state = engine.stats().state;
        self.check_stopped(step);
        let unknown = history.writes.len() > history.acknowledged;
        assert!(
            !unknown || state == "read-only",
            "{place}: {step:?}, yet {state}"
        );
        if let Some(stopped_at) = self.stopped_at {
            assert_eq!(state, "read-only", "{place}: writing came back by itself");
            assert_eq!(
                history.acknowledged, stopped_at,
                "{place}: {step:?} was answered"
            );
        } else if state == "read-only" {
            self.stopped_at = Some(history.acknowledged);
        }
        if self.disk.fired() > self.fired {
            self.fired = self.disk.fired();
            self.looks = 3;
        }
        if self.looks > 0 {
            self.looks -= 1;
            let fired = self.disk.fired();
            let found = store::contents(engine).or_else(|error| {
                // A read may be the next to fail, and fails once.
                let is_fault = self.disk.fired() > fired;
                if is_fault {
                    store::contents(engine)
                } else {
                    Err(error)
                }
            });
            let found = found.unwrap_or_else(|error| panic!("{place}: reads stopped: {error}"));
            let expected = &history.states(&found)[history.acknowledged];
            let difference = store::difference(&found, expected);
            assert!(
                difference.is_empty(),
                "{place}, after {step:?}: {difference}"
            );
        }
    }
}

/// Opens what a crash left and checks it against the history.
fn check_image(disk: &SimDisk, options: &Options, history: &History, loss: Loss, place: &str) {
    let least = if loss == Loss::KeepAll {
        history.acknowledged
    } else {
        history.durable
    };
    let image = disk.crash_image(loss, disk.changes());
    let engine = store::open(&image, options)
        .unwrap_or_else(|error| panic!("{place}, then {loss:?}: it does not start: {error}"));
    let found = store::contents(&engine).unwrap();
    if let Err(wrong) = history.prefix(&found, least) {
        panic!("{place}, then {loss:?}: {wrong}");
    }
    // What recovery served must not hang on bytes that only the page cache had.
    let cut = image.crash_image(Loss::DropAll, 0);
    drop(engine);
    let engine = store::open(&cut, options).unwrap();
    let after = store::contents(&engine).unwrap();
    let difference = store::difference(&after, &found);
    assert!(
        difference.is_empty(),
        "{place}, then {loss:?}, then a power cut: {difference}"
    );
}

/// The faults are over: a store that is not read-only writes again by itself, and nothing is lost.
fn check_resumes(options: &Options, disk: &SimDisk, played: script::Played, place: &str) {
    let script::Played {
        mut history,
        engine,
    } = played;
    disk.clear_faults();
    let engine = engine.unwrap_or_else(|| {
        let engine = store::open(disk, options)
            .unwrap_or_else(|error| panic!("{place}: it does not start again: {error}"));
        history.resolve(&engine);
        engine
    });
    if engine.stats().state == "read-only" {
        let refused = engine.put(b"refused", b"").unwrap_err();
        assert!(
            matches!(refused, AtlasError::ReadOnly { .. }),
            "{place}: {refused}"
        );
    } else {
        engine
            .maintain()
            .unwrap_or_else(|error| panic!("{place}: maintain, the faults over: {error}"));
        let lsn = store::write(&engine, &[(b"resumed".to_vec(), Some(vec![1]))])
            .unwrap_or_else(|error| panic!("{place}: no write, the faults over: {error}"));
        engine.sync().unwrap();
        let found = store::contents(&engine).unwrap();
        let mut expected = history.states(&found)[history.acknowledged].clone();
        store::apply(&mut expected, &[(b"resumed".to_vec(), Some(vec![1]))], lsn);
        let difference = store::difference(&found, &expected);
        assert!(difference.is_empty(), "{place}, resumed: {difference}");
        assert_eq!(engine.stats().state, "running", "{place}");
        let cut = disk.crash_image(Loss::DropAll, 0);
        let engine = store::open(&cut, options).unwrap();
        let difference = store::difference(&store::contents(&engine).unwrap(), &expected);
        assert!(
            difference.is_empty(),
            "{place}, resumed, then a power cut: {difference}"
        );
    }
}

/// Plays the workload with these faults, and checks all that must hold.
fn check_faults(disk: &SimDisk, options: &Options, place: &str) -> u32 {
    let mut watch = Watch::new(disk, place);
    let played = script::play(disk, options, &mut |seen| watch.see(&seen));
    let failures = watch.failures;
    let violations = disk.violations();
    assert!(violations.is_empty(), "{place}: {violations:?}");
    for loss in [Loss::KeepAll, Loss::DropAll, Loss::RandomPages] {
        check_image(disk, options, &played.history, loss, place);
    }
    check_resumes(options, disk, played, place);
    failures
}

/// The kind of each change of the workload, without faults.
fn kinds(options: &Options) -> Vec<CallKind> {
    let disk = SimDisk::new(7);
    let played = script::play(&disk, options, &mut |_| {});
    let calls = disk.trace().into_iter();
    let changes = calls.filter(|call| call.kind.is_change());
    // Only now: dropping the engine syncs once more.
    drop(played);
    changes.map(|call| call.kind).collect()
}

fn fail_everywhere(sync: WalSyncStrategy) {
    let options = store::options(sync);
    let kinds = kinds(&options);
    let total = kinds.len();
    assert!(total > 100, "{total} changes");
    let mut failures = 0;
    for (number, kind) in kinds.into_iter().enumerate() {
        for fault in FAULTS.into_iter().filter(|fault| fault.applies_to(kind)) {
            let disk = SimDisk::new(7);
            disk.fail_at(number as u64, fault);
            let place = format!("{sync:?}, {fault:?} at change {number} ({kind:?}) of {total}");
            failures += check_faults(&disk, &options, &place);
            assert!(disk.fired() > 0, "{place} did not strike");
        }
    }
    assert!(failures > 0);
}

#[test]
fn every_change_fails_under_every_write() {
    fail_everywhere(WalSyncStrategy::EveryWrite);
}

#[test]
fn every_change_fails_under_interval() {
    fail_everywhere(POLICIES[1]);
}

#[test]
fn every_change_fails_under_os_default() {
    fail_everywhere(WalSyncStrategy::OsDefault);
}

/// From some change on the disk or the quota is full, until it is not.
#[test]
fn the_disk_is_full_from_any_moment_on() {
    for sync in POLICIES {
        let options = store::options(sync);
        for number in 0..kinds(&options).len() {
            for errno in [Errno::Full, Errno::Quota] {
                let disk = SimDisk::new(7);
                disk.fail_from(number as u64, Fault::Fail(errno));
                let place = format!("{sync:?}, {errno:?} from change {number}");
                check_faults(&disk, &options, &place);
            }
        }
    }
}

/// From some change on nothing can be changed any more; reads still work.
#[test]
fn the_disk_refuses_changes_from_any_moment_on() {
    for sync in POLICIES {
        let options = store::options(sync);
        for number in 0..kinds(&options).len() {
            let disk = SimDisk::new(7);
            disk.fail_from(number as u64, Fault::Fail(Errno::Io));
            let place = format!("{sync:?}, refusing from change {number}");
            check_faults(&disk, &options, &place);
        }
    }
}

/// Two changes fail, chosen at random.
#[test]
fn pairs_of_changes_fail() {
    for seed in store::seeds(600) {
        let _repeat = store::Repeat {
            test: "pairs_of_changes_fail",
            seed,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        let options = store::options(random.choice(POLICIES).unwrap());
        let disk = SimDisk::new(7);
        let mut place = format!("{:?}", options.sync);
        for _ in 0..2 {
            let number = random.u64(0..250);
            let fault = random.choice(FAULTS).unwrap();
            disk.fail_at(number, fault);
            place += &format!(", {fault:?} at change {number}");
        }
        check_faults(&disk, &options, &place);
    }
}

/// The ways in which a read can fail.
const READ_FAULTS: [Fault; 3] = [
    Fault::Fail(Errno::Io),
    Fault::Fail(Errno::Interrupted),
    Fault::Short,
];

/// The reads of the workload, without faults.
fn reads(options: &Options) -> u64 {
    let disk = SimDisk::new(7);
    let played = script::play(&disk, options, &mut |_| {});
    let reads = disk.reads();
    drop(played);
    reads
}

/// A read that fails fails the request: nothing older or less is given instead, then or later. A sample
/// under all policies; a large budget takes all.
#[test]
fn every_read_fails() {
    for seed in store::seeds(1).into_iter().take(1) {
        let _repeat = store::Repeat {
            test: "every_read_fails",
            seed,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        let mut places = Vec::new();
        for sync in POLICIES {
            let reads = reads(&store::options(sync));
            assert!(reads > 100, "{reads} reads");
            let numbers = (0..reads).map(|number| (sync, number));
            places.extend(numbers.flat_map(|place| READ_FAULTS.map(|fault| (place, fault))));
        }
        random.shuffle(&mut places);
        let budget = places.len().min(store::budget(900) as usize);
        for ((sync, number), fault) in places.drain(..budget) {
            let disk = SimDisk::new(7);
            disk.fail_read_at(number, fault);
            let place = format!("{sync:?}, {fault:?} at read {number}");
            let failures = check_faults(&disk, &store::options(sync), &place);
            let harmless = fault != Fault::Fail(Errno::Io);
            assert!(!harmless || failures == 0, "{place}: {failures} failures");
        }
    }
}

/// A change fails and a read fails, chosen at random.
#[test]
fn a_change_and_a_read_fail() {
    for seed in store::seeds(400) {
        let _repeat = store::Repeat {
            test: "a_change_and_a_read_fail",
            seed,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        let options = store::options(random.choice(POLICIES).unwrap());
        let disk = SimDisk::new(7);
        let (change, read) = (random.u64(0..250), random.u64(0..400));
        let fault = random.choice(FAULTS).unwrap();
        let read_fault = random.choice(READ_FAULTS).unwrap();
        disk.fail_at(change, fault);
        disk.fail_read_at(read, read_fault);
        let sync = options.sync;
        let place =
            format!("{sync:?}, {fault:?} at change {change}, {read_fault:?} at read {read}");
        check_faults(&disk, &options, &place);
    }
}

/// Reads of a store with tables, each failing in turn: an error or the truth.
#[test]
fn a_failed_read_never_falls_through_to_older_data() {
    let options = store::options(POLICIES[1]);
    let disk = SimDisk::new(7);
    let played = script::play(&disk, &options, &mut |_| {});
    let engine = played.engine.unwrap();
    engine.flush().unwrap();
    let truth = store::contents(&engine).unwrap();
    let mut failed = 0;
    let before = disk.reads();
    store::contents(&engine).unwrap();
    store::check_gets(&engine, &truth, truth.keys()).unwrap();
    let reads = disk.reads() - before;
    assert!(reads > 0, "nothing is read from the disk");
    for number in 0..reads {
        disk.fail_read_at(disk.reads() + number, Fault::Fail(Errno::Io));
        let gets = store::check_gets(&engine, &truth, truth.keys());
        failed += u32::from(gets.is_err());
        match store::contents(&engine) {
            Ok(found) => assert_eq!(store::difference(&found, &truth), ""),
            Err(AtlasError::Io { .. }) => failed += 1,
            Err(error) => panic!("{error:?}"),
        }
        disk.clear_faults();
    }
    assert!(failed > 0);
}

/// Fill, make room, write: without a restart, and nothing lost.
#[test]
fn a_full_disk_refuses_and_resumes() {
    for sync in POLICIES {
        let options = store::options(sync);
        let disk = SimDisk::new(7);
        let engine = store::open(&disk, &options).unwrap();
        let mut expected = store::Contents::new();
        disk.set_capacity(Some(disk.used() + 96 * KIB as u64));
        let mut refused = 0;
        for number in 0..2000_u32 {
            let changes = [(number.to_be_bytes().to_vec(), Some(vec![7; 100]))];
            match store::write(&engine, &changes) {
                Ok(lsn) => store::apply(&mut expected, &changes, lsn),
                Err(AtlasError::DiskFull { .. }) => refused += 1,
                Err(error) => panic!("{sync:?}: {error:?}"),
            }
            if refused > 20 {
                break;
            }
        }
        assert!(refused > 0 && expected.len() > 100, "{refused} refused");
        assert_eq!(engine.stats().state, "disk-full");
        let found = store::contents(&engine).unwrap();
        assert_eq!(store::difference(&found, &expected), "");

        disk.set_capacity(None);
        engine.maintain().unwrap();
        let changes = [(b"resumed".to_vec(), Some(vec![1]))];
        let lsn = store::write(&engine, &changes).unwrap();
        store::apply(&mut expected, &changes, lsn);
        engine.sync().unwrap();
        let after = disk.crash_image(Loss::DropAll, 0);
        let engine = store::open(&after, &options).unwrap();
        let found = store::contents(&engine).unwrap();
        assert_eq!(store::difference(&found, &expected), "");
    }
}
