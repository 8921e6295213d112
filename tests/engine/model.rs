//! Random operations, reopens, flushes and compactions against a `BTreeMap`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use atlaskv::storage::{
    AtlasError, Conditional, Engine, Expected, KIB, Lsn, Options, Result, Scan, ScanRange,
    Versioned,
};

use crate::sim_disk::SimDisk;
use crate::store::{self, Change, Contents, POLICIES, Scanned};

/// What can be done. A list of these is a run; any part of a run is a run, so that it can be shrunk.
#[derive(Debug, Clone)]
enum Op {
    Write(Vec<Change>),
    PutIfAbsent(Vec<u8>, Vec<u8>),
    Swap(Vec<u8>, Guess, Option<Vec<u8>>),
    Get(Vec<u8>),
    MultiGet(Vec<Vec<u8>>),
    /// A scan from its first entry to its last, in pages of so many entries and bytes.
    Scan(ScanRange, usize, usize),
    /// A scan that stays open while other things happen.
    Hold(ScanRange),
    /// So many more entries of one of the held scans.
    Pull(usize, usize),
    Sync,
    SyncTo(usize),
    Flush,
    Compact,
    Maintain,
    Reopen(End),
}

/// How the engine ends before it is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// `close`.
    Close,
    /// Dropped without a word.
    Drop,
    /// The process is killed.
    Kill,
}

/// What a compare-and-swap expects, in terms of what the key has.
#[derive(Debug, Clone, Copy)]
enum Guess {
    Absent,
    RightValue,
    WrongValue,
    RightVersion,
    WrongVersion,
}

struct Held {
    scan: Scan,
    lsn: Lsn,
    /// What it has still to give, in its order.
    rest: Vec<Scanned>,
}

struct Run {
    disk: SimDisk,
    options: Options,
    random: fastrand::Rng,
    engine: Engine,
    model: Contents,
    last: Lsn,
    held: Vec<Held>,
}

fn random_key(random: &mut fastrand::Rng) -> Vec<u8> {
    // Few and short, so that keys meet again and prefixes mean something.
    let stem = random.choice(["a", "ab", "b", "k", "zz"]).unwrap();
    let mut key = stem.as_bytes().to_vec();
    match random.u8(0..10) {
        0 => key.push(0),
        1 => key.extend([0xFF, 0xFF]),
        _ => key.extend(random.u8(0..40).to_string().into_bytes()),
    }
    key
}

fn random_value(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = match random.u8(0..20) {
        0 => 0,
        1 => random.usize(500..5000),
        _ => random.usize(0..80),
    };
    let letter = random.u8(..);
    (0..length)
        .map(|place| letter.wrapping_add(place as u8))
        .collect()
}

fn random_change(random: &mut fastrand::Rng) -> Change {
    let value = (random.u8(0..4) > 0).then(|| random_value(random));
    (random_key(random), value)
}

fn random_range(random: &mut fastrand::Rng) -> ScanRange {
    let bound = |random: &mut fastrand::Rng| (random.u8(0..3) == 0).then(|| random_key(random));
    let prefix = random
        .choice(["", "", "", "a", "ab", "b", "k1", "none"])
        .unwrap();
    let limit = if random.u8(0..3) == 0 {
        random.u64(1..20)
    } else {
        0
    };
    ScanRange {
        from: bound(random),
        to: bound(random),
        prefix: prefix.as_bytes().to_vec(),
        reverse: random.bool(),
        limit,
    }
}

fn random_op(random: &mut fastrand::Rng) -> Op {
    let guesses = [
        Guess::Absent,
        Guess::RightValue,
        Guess::WrongValue,
        Guess::RightVersion,
        Guess::WrongVersion,
    ];
    match random.u8(0..100) {
        0..34 => Op::Write(vec![random_change(random)]),
        34..42 => {
            let count = random.usize(1..12);
            Op::Write((0..count).map(|_| random_change(random)).collect())
        }
        42..46 => Op::PutIfAbsent(random_key(random), random_value(random)),
        46..52 => {
            let (key, value) = random_change(random);
            Op::Swap(key, random.choice(guesses).unwrap(), value)
        }
        52..60 => Op::Get(random_key(random)),
        60..63 => {
            let count = random.usize(0..8);
            Op::MultiGet((0..count).map(|_| random_key(random)).collect())
        }
        63..70 => {
            let bytes = random.choice([1, 100, 1 << 20]).unwrap();
            Op::Scan(random_range(random), random.usize(1..30), bytes)
        }
        70..74 => Op::Hold(random_range(random)),
        74..81 => Op::Pull(random.usize(..), random.usize(1..12)),
        81..84 => Op::Sync,
        84..85 => Op::SyncTo(random.usize(..)),
        85..88 => Op::Flush,
        88..90 => Op::Compact,
        90..96 => Op::Maintain,
        _ => Op::Reopen(random.choice([End::Close, End::Drop, End::Kill]).unwrap()),
    }
}

fn random_options(random: &mut fastrand::Rng) -> Options {
    let compaction_trigger = random.usize(2..6);
    Options {
        sync: random.choice(POLICIES).unwrap(),
        memtable_size: random.choice([KIB, 2 * KIB, 8 * KIB, 64 * KIB]).unwrap(),
        segment_size: random.choice([8 * KIB, 16 * KIB, 64 * KIB]).unwrap(),
        max_sealed_memtables: random.usize(1..4),
        compaction_trigger,
        max_tables: compaction_trigger + random.usize(2..8),
        stall_timeout: Duration::ZERO,
        background: false,
        ..Options::default()
    }
}

/// What a scan of this state gives.
fn expected_scan(model: &Contents, range: &ScanRange) -> Vec<Scanned> {
    let inside = |key: &Vec<u8>| {
        range.from.as_ref().is_none_or(|from| key >= from)
            && range.to.as_ref().is_none_or(|to| key < to)
            && key.starts_with(&range.prefix)
    };
    let mut entries: Vec<_> = model
        .iter()
        .filter(|(key, _)| inside(key))
        .map(|(key, (lsn, value))| (key.clone(), value.clone(), *lsn))
        .collect();
    if range.reverse {
        entries.reverse();
    }
    if range.limit > 0 {
        entries.truncate(usize::try_from(range.limit).unwrap());
    }
    entries
}

fn plain(found: Option<Versioned>) -> Option<(Lsn, Vec<u8>)> {
    found.map(|found| (found.lsn, found.value.to_vec()))
}

impl Run {
    fn new(seed: u64) -> Run {
        let disk = SimDisk::new(seed);
        let mut random = fastrand::Rng::with_seed(seed);
        let options = random_options(&mut random);
        let engine = store::open(&disk, &options).unwrap();
        assert!(engine.recovery_report().created);
        Run {
            disk,
            options,
            random,
            engine,
            model: BTreeMap::new(),
            last: Lsn::ZERO,
            held: Vec::new(),
        }
    }

    fn wrote(&mut self, changes: &[Change], lsn: Lsn) {
        assert!(lsn > self.last, "LSN {lsn} after {}", self.last);
        self.last = lsn;
        store::apply(&mut self.model, changes, lsn);
    }

    fn conditional(
        &mut self,
        key: &[u8],
        expected: Expected<'_>,
        new: Option<&[u8]>,
    ) -> Result<()> {
        let present = self.model.get(key).cloned();
        let holds = match (expected, &present) {
            (Expected::Absent, None) => true,
            (Expected::Value(value), Some((_, had))) => value == had,
            (Expected::Version(lsn), Some((had, _))) => lsn == *had,
            _ => false,
        };
        let outcome = loop {
            match self.engine.compare_and_swap(key, expected, new) {
                Err(AtlasError::Stalled { .. }) => self.engine.maintain()?,
                outcome => break outcome?,
            }
        };
        match outcome {
            Conditional::Done(lsn) => {
                assert!(holds, "the condition does not hold");
                self.wrote(&[(key.to_vec(), new.map(<[u8]>::to_vec))], lsn);
            }
            Conditional::Refused(found) => {
                assert!(!holds, "the condition holds");
                assert_eq!(plain(found), present);
            }
        }
        Ok(())
    }

    fn swap(&mut self, key: &[u8], guess: Guess, new: Option<&[u8]>) -> Result<()> {
        let (lsn, value) = self.model.get(key).cloned().unwrap_or_default();
        let wrong = [value.as_slice(), b"!"].concat();
        let expected = match guess {
            Guess::Absent => Expected::Absent,
            Guess::RightValue => Expected::Value(&value),
            Guess::WrongValue => Expected::Value(&wrong),
            Guess::RightVersion => Expected::Version(lsn),
            Guess::WrongVersion => Expected::Version(Lsn::from_u64(lsn.as_u64() + 1)),
        };
        self.conditional(key, expected, new)
    }

    fn multi_get(&self, keys: &[Vec<u8>]) -> Result<()> {
        let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let found = self.engine.multi_get(&asked, &mut |_| Ok(()))?;
        assert_eq!(found.len(), keys.len());
        for (key, found) in keys.iter().zip(found) {
            assert_eq!(plain(found).as_ref(), self.model.get(key));
            assert_eq!(self.engine.exists(key)?, self.model.contains_key(key));
        }
        Ok(())
    }

    fn scan(&self, range: &ScanRange, page: usize, bytes: usize) -> Result<()> {
        let mut scan = self.engine.scan(range)?;
        let mut found = Vec::new();
        loop {
            let next = scan.next_page(page, bytes, &mut |_| Ok(()))?;
            assert!(next.entries.len() <= page);
            let sizes = next
                .entries
                .iter()
                .rev()
                .map(|entry| entry.0.len() + entry.1.len());
            let before_last: usize = sizes.skip(1).sum();
            assert!(before_last <= bytes, "a page of too many bytes");
            assert!(next.done || !next.entries.is_empty(), "an empty page");
            let owned = next.entries.into_iter();
            found.extend(owned.map(|(key, value, lsn)| (key.to_vec(), value.to_vec(), lsn)));
            if next.done {
                break;
            }
        }
        assert_eq!(found, expected_scan(&self.model, range), "{range:?}");
        Ok(())
    }

    fn hold(&mut self, range: &ScanRange) -> Result<()> {
        if self.held.len() >= 4 {
            self.held.remove(0);
        }
        let scan = self.engine.scan(range)?;
        self.held.push(Held {
            lsn: scan.lsn(),
            scan,
            rest: expected_scan(&self.model, range),
        });
        Ok(())
    }

    fn pull(&mut self, which: usize, count: usize) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let which = which % self.held.len();
        let held = &mut self.held[which];
        assert_eq!(held.scan.lsn(), held.lsn, "the state of a scan moved");
        let page = held.scan.next_page(count, 1 << 20, &mut |_| Ok(()))?;
        assert!(page.entries.len() <= count.min(held.rest.len()), "too many");
        let due = held.rest.drain(..page.entries.len());
        for ((key, value, lsn), due) in page.entries.into_iter().zip(due) {
            assert_eq!(
                (key.to_vec(), value.to_vec(), lsn),
                due,
                "a held scan moved"
            );
        }
        if page.done {
            assert!(held.rest.is_empty(), "a held scan ended early");
            self.held.remove(which);
        }
        Ok(())
    }

    /// Opens again; a process's end alone loses nothing under any policy.
    fn reopen(&mut self, end: End) -> Result<()> {
        if end == End::Kill {
            self.disk = self.disk.copy();
        }
        self.held.clear();
        if end == End::Close {
            self.engine.close()?;
            assert!(matches!(self.engine.get(b"a"), Err(AtlasError::Closed)));
            assert!(matches!(
                self.engine.put(b"a", b""),
                Err(AtlasError::Closed)
            ));
        }
        // Every start may have other options.
        self.options = random_options(&mut self.random);
        let nowhere = store::open(&SimDisk::new(0), &self.options)?;
        drop(std::mem::replace(&mut self.engine, nowhere));
        self.engine = store::open(&self.disk, &self.options)?;
        let report = self.engine.recovery_report();
        assert!(report.clean_shutdown || end != End::Close, "{report:?}");
        assert!(!report.clean_shutdown || end != End::Kill, "{report:?}");
        assert!(!report.created && report.cut_from.is_none(), "{report:?}");
        assert!(report.quarantined.is_empty(), "{report:?}");
        assert!(report.last_lsn >= self.last, "{report:?}");
        self.check_all()
    }

    fn check_all(&self) -> Result<()> {
        let found = store::contents(&self.engine)?;
        let difference = store::difference(&found, &self.model);
        assert!(difference.is_empty(), "{difference}");
        store::check_gets(&self.engine, &self.model, self.model.keys())
    }

    fn step(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Write(changes) => {
                let lsn = store::write(&self.engine, changes)?;
                self.wrote(changes, lsn);
            }
            Op::PutIfAbsent(key, value) => {
                self.conditional(key, Expected::Absent, Some(value))?;
            }
            Op::Swap(key, guess, new) => self.swap(key, *guess, new.as_deref())?,
            Op::Get(key) => {
                let found = self.engine.get(key)?;
                assert_eq!(plain(found).as_ref(), self.model.get(key));
            }
            Op::MultiGet(keys) => self.multi_get(keys)?,
            Op::Scan(range, page, bytes) => self.scan(range, *page, *bytes)?,
            Op::Hold(range) => self.hold(range)?,
            Op::Pull(which, count) => self.pull(*which, *count)?,
            Op::Sync => assert!(self.engine.sync()? >= self.last),
            Op::SyncTo(which) => {
                let written: Vec<Lsn> = self.model.values().map(|value| value.0).collect();
                if let Some(lsn) = written.get(which % written.len().max(1)) {
                    assert!(self.engine.sync_to(*lsn)? >= *lsn);
                }
            }
            Op::Flush => self.engine.flush()?,
            Op::Compact => {
                let summary = self.engine.compact()?;
                assert!(summary.tables_after <= 1, "{summary:?}");
            }
            Op::Maintain => self.engine.maintain()?,
            Op::Reopen(end) => self.reopen(*end)?,
        }
        Ok(())
    }
}

/// Does a run; says how it failed.
fn attempt(seed: u64, ops: &[Op]) -> std::result::Result<(), String> {
    let run = || {
        let mut run = Run::new(seed);
        for (place, op) in ops.iter().enumerate() {
            run.step(op)
                .map_err(|error| format!("op {place}: {error}"))?;
        }
        run.reopen(if seed.is_multiple_of(2) {
            End::Close
        } else {
            End::Kill
        })
        .map_err(|error| format!("the last reopening: {error}"))?;
        Ok(())
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&it| it.to_owned()));
            Err(text.unwrap_or_else(|| "a panic".to_owned()))
        }
    }
}

/// Leaves out what the failure does not need.
fn shrink(seed: u64, mut ops: Vec<Op>) -> Vec<Op> {
    let mut chunk = ops.len() / 2;
    while chunk > 0 {
        let mut start = 0;
        while start < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(start..(start + chunk).min(ops.len()));
            if attempt(seed, &fewer).is_err() {
                ops = fewer;
            } else {
                start += chunk;
            }
        }
        chunk /= 2;
    }
    ops
}

#[test]
fn random_operations_agree_with_the_model() {
    for seed in store::seeds(3000) {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x0b5e_55ed);
        let length = random.usize(1..150);
        let ops: Vec<Op> = (0..length).map(|_| random_op(&mut random)).collect();
        let Err(failure) = attempt(seed, &ops) else {
            continue;
        };
        let _repeat = store::Repeat {
            test: "random_operations",
            seed,
        };
        let short = shrink(seed, ops);
        let again = attempt(seed, &short).err();
        panic!(
            "{failure}\nshrunk to {} ops: {short:#?}\n{again:?}",
            short.len()
        );
    }
}
