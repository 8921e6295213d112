//! Random operations, reopens, flushes and compactions against a `BTreeMap`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use atlaskv::storage::{
    AtlasError, Conditional, Engine, Expected, KIB, Lsn, Options, Result, Scan, ScanRange,
    Versioned,
};

use crate::sim_disk::SimDisk;
use crate::store::{self, Change, Contents, POLICIES, Scanned};

/// What can be done. A list of these is a run; any part of a run is a run, so that it can be shrunk.
#[derive(Debug, Clone)]
pub(crate) enum Op {
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
pub(crate) enum End {
    /// `close`.
    Close,
    /// Dropped without a word.
    Drop,
    /// The process is killed.
    Kill,
}

/// What a compare-and-swap expects, in terms of what the key has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Guess {
    Absent,
    RightValue,
    WrongValue,
    RightVersion,
    WrongVersion,
}

/// The most scans that a run holds.
pub(crate) const MOST_HELD: usize = 4;

struct Held {
    scan: Scan,
    lsn: Lsn,
    /// What it has still to give, in its order.
    rest: Vec<Scanned>,
}

/// Which options the starts of a run have.
pub(crate) enum Starts {
    /// Each has others.
    Random(fastrand::Rng),
    /// All have these.
    Same(Options),
}

impl Starts {
    fn next(&mut self) -> Options {
        match self {
            Starts::Random(random) => random_options(random),
            Starts::Same(options) => options.clone(),
        }
    }
}

/// An entry of a scan: the number of the write that set it, key and value.
pub(crate) type Numbered = (u64, Vec<u8>, Vec<u8>);

/// What an operation gave. An LSN is given as the number in the run of the write that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// The write's number.
    Wrote(u64),
    /// A condition did not hold; what the key had.
    Refused(Option<(u64, Vec<u8>)>),
    Values(Vec<Option<(u64, Vec<u8>)>>),
    Entries(Vec<Numbered>),
    /// The epoch of a start, the number of the last write that it recovered, the whole contents.
    Opened(u32, u64, Vec<Numbered>),
}

pub(crate) struct Run {
    disk: SimDisk,
    starts: Starts,
    engine: Engine,
    model: Contents,
    last: Lsn,
    has_threads: bool,
    /// The LSN of the next write, as long as no durable mark can have taken it.
    due: Option<Lsn>,
    /// The number of each write, by its LSN.
    numbers: BTreeMap<Lsn, u64>,
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

pub(crate) fn random_op(random: &mut fastrand::Rng) -> Op {
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
    let sync = random.choice(POLICIES).unwrap();
    Options {
        memtable_size: random.choice([KIB, 2 * KIB, 8 * KIB, 64 * KIB]).unwrap(),
        segment_size: random.choice([8 * KIB, 16 * KIB, 64 * KIB]).unwrap(),
        max_sealed_memtables: random.usize(1..4),
        compaction_trigger,
        max_tables: compaction_trigger + random.usize(2..8),
        // With the product's limits each start would hold back 35 MiB, which this disk has in memory.
        ..store::options(sync)
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
    pub(crate) fn new(seed: u64, mut starts: Starts) -> Run {
        let disk = SimDisk::new(seed);
        let options = starts.next();
        let engine = store::open(&disk, &options).unwrap();
        assert!(engine.recovery_report().created);
        let mut run = Run {
            disk,
            starts,
            engine,
            model: BTreeMap::new(),
            last: Lsn::ZERO,
            has_threads: false,
            due: None,
            numbers: BTreeMap::from([(Lsn::ZERO, 0)]),
            held: Vec::new(),
        };
        run.begin_epoch(&options);
        run
    }

    /// The first write of an epoch has the counter 1, and only marks come between writes. Whoever has
    /// no threads writes marks in `maintain` alone.
    fn begin_epoch(&mut self, options: &Options) {
        let epoch = self.engine.recovery_report().epoch;
        self.has_threads = options.background;
        self.due = match options.background {
            false => Lsn::epoch_start(epoch).next(),
            true => None,
        };
    }

    /// What the threads would do.
    fn maintain(&mut self) -> Result<()> {
        self.due = None;
        self.engine.maintain()
    }

    fn wrote(&mut self, changes: &[Change], lsn: Lsn) -> Answer {
        assert!(lsn > self.last, "LSN {lsn} after {}", self.last);
        if let Some(due) = self.due {
            assert_eq!(lsn, due, "an LSN was left out");
            self.due = lsn.next();
        }
        self.last = lsn;
        let number = self.numbers.len() as u64;
        self.numbers.insert(lsn, number);
        store::apply(&mut self.model, changes, lsn);
        Answer::Wrote(number)
    }

    /// The number of the write that was given this LSN.
    fn number(&self, lsn: Lsn) -> u64 {
        let number = self.numbers.get(&lsn);
        *number.unwrap_or_else(|| panic!("no write was given LSN {lsn}"))
    }

    fn numbered(&self, found: Option<(Lsn, Vec<u8>)>) -> Option<(u64, Vec<u8>)> {
        found.map(|(lsn, value)| (self.number(lsn), value))
    }

    fn entries(&self, entries: Vec<Scanned>) -> Vec<Numbered> {
        let numbered = |(key, value, lsn)| (self.number(lsn), key, value);
        entries.into_iter().map(numbered).collect()
    }

    fn write(&mut self, changes: &[Change]) -> Result<Answer> {
        let operations = store::operations(changes);
        let lsn = loop {
            match self.engine.write(&operations) {
                Err(AtlasError::Stalled { .. }) => self.maintain()?,
                outcome => break outcome?,
            }
        };
        Ok(self.wrote(changes, lsn))
    }

    fn conditional(
        &mut self,
        key: &[u8],
        expected: Expected<'_>,
        new: Option<&[u8]>,
    ) -> Result<Answer> {
        let present = self.model.get(key).cloned();
        let holds = match (expected, &present) {
            (Expected::Absent, None) => true,
            (Expected::Value(value), Some((_, had))) => value == had,
            (Expected::Version(lsn), Some((had, _))) => lsn == *had,
            _ => false,
        };
        let outcome = loop {
            match self.engine.compare_and_swap(key, expected, new) {
                Err(AtlasError::Stalled { .. }) => self.maintain()?,
                outcome => break outcome?,
            }
        };
        Ok(match outcome {
            Conditional::Done(lsn) => {
                assert!(holds, "the condition does not hold");
                self.wrote(&[(key.to_vec(), new.map(<[u8]>::to_vec))], lsn)
            }
            Conditional::Refused(found) => {
                assert!(!holds, "the condition holds");
                let found = plain(found);
                assert_eq!(found, present);
                Answer::Refused(self.numbered(found))
            }
        })
    }

    fn swap(&mut self, key: &[u8], guess: Guess, new: Option<&[u8]>) -> Result<Answer> {
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

    fn get(&self, key: &[u8]) -> Result<Answer> {
        let found = plain(self.engine.get(key)?);
        assert_eq!(found.as_ref(), self.model.get(key));
        Ok(Answer::Values(vec![self.numbered(found)]))
    }

    fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Answer> {
        let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let found = self.engine.multi_get(&asked, &mut |_| Ok(()))?;
        assert_eq!(found.len(), keys.len());
        let mut values = Vec::new();
        for (key, found) in keys.iter().zip(found) {
            let found = plain(found);
            assert_eq!(found.as_ref(), self.model.get(key));
            assert_eq!(self.engine.exists(key)?, self.model.contains_key(key));
            values.push(self.numbered(found));
        }
        Ok(Answer::Values(values))
    }

    fn scan(&self, range: &ScanRange, page: usize, bytes: usize) -> Result<Answer> {
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
        Ok(Answer::Entries(self.entries(found)))
    }

    fn hold(&mut self, range: &ScanRange) -> Result<Answer> {
        if self.held.len() >= MOST_HELD {
            self.held.remove(0);
        }
        let scan = self.engine.scan(range)?;
        self.held.push(Held {
            lsn: scan.lsn(),
            scan,
            rest: expected_scan(&self.model, range),
        });
        Ok(Answer::Done)
    }

    fn pull(&mut self, which: usize, count: usize) -> Result<Answer> {
        if self.held.is_empty() {
            return Ok(Answer::Done);
        }
        let which = which % self.held.len();
        let held = &mut self.held[which];
        assert_eq!(held.scan.lsn(), held.lsn, "the state of a scan moved");
        let page = held.scan.next_page(count, 1 << 20, &mut |_| Ok(()))?;
        assert!(page.entries.len() <= count.min(held.rest.len()), "too many");
        let due: Vec<Scanned> = held.rest.drain(..page.entries.len()).collect();
        let owned = page.entries.into_iter();
        let found: Vec<Scanned> = owned
            .map(|(key, value, lsn)| (key.to_vec(), value.to_vec(), lsn))
            .collect();
        assert_eq!(found, due, "a held scan moved");
        if page.done {
            assert!(held.rest.is_empty(), "a held scan ended early");
            self.held.remove(which);
        }
        Ok(Answer::Entries(self.entries(found)))
    }

    /// Opens again; a process's end alone loses nothing under any policy.
    pub(crate) fn reopen(&mut self, end: End) -> Result<Answer> {
        if end == End::Kill {
            self.disk = self.disk.copy();
        }
        let killed_at_work = end == End::Kill && self.has_threads;
        self.held.clear();
        if end == End::Close {
            self.engine.close()?;
            assert!(matches!(self.engine.get(b"a"), Err(AtlasError::Closed)));
            assert!(matches!(
                self.engine.put(b"a", b""),
                Err(AtlasError::Closed)
            ));
        }
        let options = self.starts.next();
        let nowhere = Options {
            background: false,
            ..options.clone()
        };
        let nowhere = store::open(&SimDisk::new(0), &nowhere)?;
        drop(std::mem::replace(&mut self.engine, nowhere));
        self.engine = store::open(&self.disk, &options)?;
        let report = self.engine.recovery_report();
        assert!(report.clean_shutdown || end != End::Close, "{report:?}");
        assert!(!report.clean_shutdown || end != End::Kill, "{report:?}");
        assert!(!report.created && report.cut_from.is_none(), "{report:?}");
        // A flush or a compaction that is killed leaves a table that no manifest names.
        let tables_only = |name: &String| killed_at_work && name.ends_with(".sst");
        assert!(report.quarantined.iter().all(tables_only), "{report:?}");
        assert!(report.last_lsn >= self.last, "{report:?}");
        let epoch = report.epoch;
        self.begin_epoch(&options);
        let found = self.check_all()?;
        Ok(Answer::Opened(epoch, self.number(self.last), found))
    }

    fn check_all(&self) -> Result<Vec<Numbered>> {
        let found = store::contents(&self.engine)?;
        let difference = store::difference(&found, &self.model);
        assert!(difference.is_empty(), "{difference}");
        store::check_gets(&self.engine, &self.model, self.model.keys())?;
        let entries = found.into_iter();
        Ok(self.entries(
            entries
                .map(|(key, (lsn, value))| (key, value, lsn))
                .collect(),
        ))
    }

    /// The disk of a run that is over, closed.
    pub(crate) fn finish(self) -> Result<SimDisk> {
        let Run {
            disk, engine, held, ..
        } = self;
        drop(held);
        engine.close()?;
        Ok(disk)
    }

    fn compact(&self) -> Result<Answer> {
        let summary = self.engine.compact()?;
        assert!(summary.tables_after <= 1, "{summary:?}");
        assert_eq!(
            summary.entries_after,
            self.model.len() as u64,
            "{summary:?}"
        );
        Ok(Answer::Done)
    }

    pub(crate) fn step(&mut self, op: &Op) -> Result<Answer> {
        match op {
            Op::Write(changes) => return self.write(changes),
            Op::PutIfAbsent(key, value) => {
                return self.conditional(key, Expected::Absent, Some(value));
            }
            Op::Swap(key, guess, new) => return self.swap(key, *guess, new.as_deref()),
            Op::Get(key) => return self.get(key),
            Op::MultiGet(keys) => return self.multi_get(keys),
            Op::Scan(range, page, bytes) => return self.scan(range, *page, *bytes),
            Op::Hold(range) => return self.hold(range),
            Op::Pull(which, count) => return self.pull(*which, *count),
            Op::Sync => assert!(self.engine.sync()? >= self.last),
            Op::SyncTo(which) => {
                let written: Vec<Lsn> = self.model.values().map(|value| value.0).collect();
                if let Some(lsn) = written.get(which % written.len().max(1)) {
                    assert!(self.engine.sync_to(*lsn)? >= *lsn);
                }
            }
            Op::Flush => self.engine.flush()?,
            Op::Compact => return self.compact(),
            Op::Maintain => self.maintain()?,
            Op::Reopen(end) => return self.reopen(*end),
        }
        Ok(Answer::Done)
    }
}

/// What a part of a test gave; its panic is a failure with the panic's words.
pub(crate) fn caught<T>(
    part: impl FnOnce() -> std::result::Result<T, String>,
) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(part)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&it| it.to_owned()));
        Err(text.unwrap_or_else(|| "a panic".to_owned()))
    })
}

/// Does a run; says how it failed.
fn attempt(seed: u64, ops: &[Op]) -> std::result::Result<(), String> {
    caught(|| {
        let mut run = Run::new(seed, Starts::Random(fastrand::Rng::with_seed(seed)));
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
    })
}

/// Leaves out what the failure does not need.
pub(crate) fn shrink(mut ops: Vec<Op>, fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let mut chunk = ops.len() / 2;
    while chunk > 0 {
        let mut start = 0;
        while start < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(start..(start + chunk).min(ops.len()));
            if fails(&fewer) {
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
        let short = shrink(ops, |fewer| attempt(seed, fewer).is_err());
        let again = attempt(seed, &short).err();
        panic!(
            "{failure}\nshrunk to {} ops: {short:#?}\n{again:?}",
            short.len()
        );
    }
}
