//! A crash at every change of a scripted workload, and in the recovery after it.

use atlaskv::storage::{Options, WalSyncStrategy};

use crate::script::{self, History, Seen};
use crate::sim_disk::{Loss, SimDisk};
use crate::store::{self, Contents, POLICIES};

/// A crash to look at.
struct Crash<'a> {
    options: &'a Options,
    history: &'a History,
    loss: Loss,
    /// What the crash left.
    image: SimDisk,
    /// Where it happened, for messages.
    place: String,
}

impl Crash<'_> {
    /// Writes that must be there.
    fn least(&self) -> usize {
        if self.loss == Loss::KeepAll {
            self.history.acknowledged
        } else {
            self.history.durable
        }
    }

    /// Recovers a disk and checks that what is there is a legal prefix; returns how long it is.
    fn recover(&self, disk: &SimDisk, least: usize, when: &str) -> (usize, Contents) {
        let place = &self.place;
        let engine = store::open(disk, self.options)
            .unwrap_or_else(|error| panic!("{place}, {when}: it does not start: {error}"));
        let found = store::contents(&engine)
            .unwrap_or_else(|error| panic!("{place}, {when}: cannot scan: {error}"));
        store::check_gets(&engine, &found, found.keys()).unwrap();
        let prefix = self
            .history
            .prefix(&found, least)
            .unwrap_or_else(|wrong| panic!("{place}, {when}: {wrong}"));
        (prefix, found)
    }

    /// Recovery once: a legal prefix. Returns its length and the changes it took.
    fn check_recovery(&self) -> (usize, u64) {
        let disk = self.image.copy();
        let (prefix, _) = self.recover(&disk, self.least(), "after recovery");
        (prefix, disk.changes())
    }

    /// Recovery again, after a clean drop and after a power cut: the same.
    fn check_twice(&self, prefix: usize) {
        let disk = self.image.copy();
        let (_, first) = self.recover(&disk, prefix, "once");
        let (_, again) = self.recover(&disk.copy(), prefix, "twice");
        assert_eq!(first, again, "{}: the second recovery differs", self.place);
        let cut = disk.crash_image(Loss::DropAll, 0);
        let (_, after) = self.recover(&cut, prefix, "after recovery and a power cut");
        assert_eq!(first, after, "{}: what was served was lost", self.place);
    }

    /// The store goes on: what is written after recovery is there after another crash.
    fn check_goes_on(&self, prefix: usize) {
        let disk = self.image.copy();
        let engine = store::open(&disk, self.options).unwrap();
        let mut expected = store::contents(&engine).unwrap();
        let highest = expected.values().map(|entry| entry.0).max();
        let changes = [(b"after".to_vec(), Some(b"the crash".to_vec()))];
        let lsn = store::write(&engine, &changes).unwrap();
        assert!(highest.is_none_or(|highest| lsn > highest), "{lsn} again");
        assert!(engine.sync().unwrap() >= lsn);
        store::apply(&mut expected, &changes, lsn);
        let disk = disk.crash_image(Loss::DropAll, 0);
        let engine = store::open(&disk, self.options).unwrap();
        let found = store::contents(&engine).unwrap();
        let difference = store::difference(&found, &expected);
        let place = &self.place;
        assert!(
            difference.is_empty(),
            "{place}, gone on from {prefix}: {difference}"
        );
    }

    /// A second crash, in recovery, before its change `at`; then recovery again.
    fn check_second(&self, prefix: usize, at: u64, loss: Loss, seed: u64) {
        let disk = self.image.copy();
        disk.crash_at(at);
        let opened = store::open(&disk, self.options);
        if !disk.is_dead() {
            return;
        }
        drop(opened);
        // What the first power cut left is durable, and so it stays; what only a process crash left
        // may still be lost.
        let exactly = self.loss != Loss::KeepAll || loss == Loss::KeepAll;
        let least = if exactly {
            prefix
        } else {
            self.history.durable
        };
        let when = format!("and then {loss:?} (seed {seed}) in recovery at {at}");
        let again = disk.crash_image(loss, seed);
        let (second, _) = self.recover(&again, least, &when);
        assert!(
            second == prefix || (!exactly && second < prefix),
            "{}, {when}: {second} writes instead of {prefix}",
            self.place
        );
    }
}

/// The workload until a crash before change `at`.
fn play_until(at: u64, options: &Options) -> (SimDisk, History) {
    let disk = SimDisk::new(7);
    disk.crash_at(at);
    let mut seen = |seen: Seen<'_>| {
        if let Seen::Failed(step, error) = seen {
            panic!("{step:?} failed on a sound disk: {error}");
        }
    };
    let played = script::play(&disk, options, &mut seen);
    (disk, played.history)
}

/// The changes that the whole workload makes.
fn changes_of_workload(options: &Options) -> u64 {
    let (disk, history) = play_until(u64::MAX, options);
    assert!(history.acknowledged > 40);
    disk.changes()
}

/// Every change of the workload as the place of a crash, in every loss mode.
fn crash_everywhere(sync: WalSyncStrategy, name: &'static str) {
    let options = store::options(sync);
    let total = changes_of_workload(&options);
    for seed in store::seeds(2) {
        let _repeat = store::Repeat { test: name, seed };
        let mut random = fastrand::Rng::with_seed(seed);
        for at in 0..=total {
            let (disk, history) = play_until(at, &options);
            for loss in Loss::ALL {
                let chosen = random.u64(..);
                let crash = Crash {
                    options: &options,
                    history: &history,
                    loss,
                    image: disk.crash_image(loss, chosen),
                    place: format!("{sync:?}, {loss:?}, crash before change {at} of {total}"),
                };
                check_crash(&crash, &mut random);
            }
        }
    }
}

fn check_crash(crash: &Crash<'_>, random: &mut fastrand::Rng) {
    let (prefix, changes) = crash.check_recovery();
    match random.u8(0..8) {
        0 => crash.check_twice(prefix),
        1 => crash.check_goes_on(prefix),
        _ => {}
    }
    let second = random.choice(Loss::ALL).unwrap();
    let at = random.u64(0..changes.max(1));
    crash.check_second(prefix, at, second, random.u64(..));
}

#[test]
fn a_crash_anywhere_under_every_write() {
    crash_everywhere(WalSyncStrategy::EveryWrite, "crash_anywhere_under_every");
}

#[test]
fn a_crash_anywhere_under_interval() {
    crash_everywhere(POLICIES[1], "crash_anywhere_under_interval");
}

#[test]
fn a_crash_anywhere_under_os_default() {
    crash_everywhere(WalSyncStrategy::OsDefault, "crash_anywhere_under_os");
}

/// Every change of recovery as the place of a second crash, for some first crashes; a large budget takes all
/// first crashes of the workload.
#[test]
fn a_crash_anywhere_in_recovery() {
    let mut firsts = Vec::new();
    for sync in POLICIES {
        let last = changes_of_workload(&store::options(sync));
        let places = (0..=last).flat_map(|at| Loss::ALL.map(|loss| (sync, at, loss)));
        firsts.extend(places);
    }
    for seed in store::seeds(1).into_iter().take(1) {
        let _repeat = store::Repeat {
            test: "crash_anywhere_in_recovery",
            seed,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        random.shuffle(&mut firsts);
        for (sync, at, loss) in firsts.iter().take(store::budget(150) as usize) {
            let options = store::options(*sync);
            let (disk, history) = play_until(*at, &options);
            let crash = Crash {
                options: &options,
                history: &history,
                loss: *loss,
                image: disk.crash_image(*loss, random.u64(..)),
                place: format!("{sync:?}, {loss:?}, crash before change {at}"),
            };
            let (prefix, changes) = crash.check_recovery();
            for second in 0..changes {
                let loss = random.choice(Loss::ALL).unwrap();
                crash.check_second(prefix, second, loss, random.u64(..));
            }
        }
    }
}
