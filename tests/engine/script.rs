//! A scripted workload, and what must be left of it.

use atlaskv::storage::{AtlasError, Engine, Lsn, Options, Result, WalSyncStrategy};

use crate::sim_disk::SimDisk;
use crate::store::{self, Change, Contents};

/// A step of the workload.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write(Vec<Change>),
    Sync,
    Flush,
    Compact,
    Maintain,
    /// Closes and opens again.
    Reopen,
    /// Drops and opens again: the log is replayed.
    Abandon,
}

fn put(key: &str, length: usize, letter: u8) -> Change {
    (key.as_bytes().to_vec(), Some(vec![letter; length]))
}

fn delete(key: &str) -> Change {
    (key.as_bytes().to_vec(), None)
}

/// Every kind of work: writes, batches, deletes, syncs, rotations, flushes, compactions, a restart.
pub(crate) fn workload() -> Vec<Step> {
    let mut steps = Vec::new();
    let mut letter = b'a';
    let mut next = || {
        letter = if letter == b'z' { b'a' } else { letter + 1 };
        letter
    };
    for round in 0..4 {
        for key in 0..4 {
            steps.push(Step::Write(vec![put(&format!("k{key}"), 60, next())]));
        }
        steps.push(Step::Write(vec![
            put(&format!("batch{round}"), 10, next()),
            delete("k1"),
            put("k2", 0, next()),
        ]));
        steps.push(Step::Maintain);
        steps.push(Step::Write(vec![put(
            &format!("large{round}"),
            1500,
            next(),
        )]));
        steps.push(Step::Write(vec![delete(&format!("batch{}", round / 2))]));
        steps.push(Step::Sync);
        // Over the size of a memtable, with the others: a rotation.
        steps.push(Step::Write(vec![put("large", 1700, next())]));
        steps.push(Step::Write(vec![put("k3", 20, next())]));
        steps.push(Step::Maintain);
        match round {
            0 => steps.push(Step::Flush),
            1 => steps.push(Step::Reopen),
            2 => steps.push(Step::Compact),
            _ => steps.push(Step::Abandon),
        }
        // Over a page each, so that a torn tail has pages to tear.
        steps.push(Step::Write(vec![put("page", 5000, next())]));
        steps.push(Step::Write(vec![delete("large0"), put("k0", 9, next())]));
    }
    steps.push(Step::Write(vec![put("last", 100, next())]));
    steps.push(Step::Write(vec![put("k0", 100, next())]));
    steps
}

/// One write of the workload.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) changes: Vec<Change>,
    /// What was answered; `None`: an error that leaves the outcome open, or no answer at all.
    pub(crate) lsn: Option<Lsn>,
}

/// What was done and what was promised.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// All writes that may be there, in order; those refused are left out.
    pub(crate) writes: Vec<Write>,
    /// Writes that were answered.
    pub(crate) acknowledged: usize,
    /// Writes that a power cut must not lose.
    pub(crate) durable: usize,
    /// Whether every answer is a promise.
    every_write: bool,
}

impl History {
    /// The state after each number of writes. The LSN of a write without an answer is taken from
    /// `found`, where it is the only one that is not known.
    pub(crate) fn states(&self, found: &Contents) -> Vec<Contents> {
        let known: Vec<_> = self.writes.iter().filter_map(|write| write.lsn).collect();
        let highest = found.values().map(|entry| entry.0).max();
        let unknown = highest.filter(|lsn| known.last().is_none_or(|last| lsn > last));
        let mut states = vec![Contents::new()];
        for write in &self.writes {
            let mut state = states.last().unwrap().clone();
            let lsn = write.lsn.or(unknown).unwrap_or_default();
            store::apply(&mut state, &write.changes, lsn);
            states.push(state);
        }
        states
    }

    /// Finds after how many writes, at least `least`, the store was as found.
    pub(crate) fn prefix(
        &self,
        found: &Contents,
        least: usize,
    ) -> std::result::Result<usize, String> {
        let states = self.states(found);
        let matching = (least..states.len()).rev().find(|k| states[*k] == *found);
        matching.ok_or_else(|| {
            let lost = states[..least].iter().rposition(|state| state == found);
            let all = states.len() - 1;
            let told = lost.map_or_else(
                || store::difference(found, &states[all]),
                |k| format!("it is the state after only {k}"),
            );
            format!("not the state after {least}..={all} writes: {told}")
        })
    }

    /// After a restart, settles whether the last write, of unknown outcome, was done.
    pub(crate) fn resolve(&mut self, engine: &Engine) {
        if self.writes.len() == self.acknowledged {
            return;
        }
        // A read may fail here, once; were it left unknown, the next write's answer would seem to be this one's.
        let found = store::contents(engine).or_else(|_| store::contents(engine));
        let Ok(found) = found else {
            return;
        };
        match self.prefix(&found, self.acknowledged) {
            Ok(prefix) if prefix == self.writes.len() => {
                let lsn = found.values().map(|entry| entry.0).max();
                self.writes.last_mut().unwrap().lsn = lsn;
                self.acknowledged = prefix;
            }
            Ok(_) => {
                self.writes.pop();
            }
            Err(wrong) => panic!("after a restart: {wrong}"),
        }
    }

    /// Notes what the engine says is durable by now.
    fn note_durable(&mut self, engine: &Engine) {
        let durable = engine.stats().durable_lsn;
        let covered = |write: &Write| write.lsn.is_some_and(|lsn| lsn.as_u64() <= durable);
        let covered = self
            .writes
            .iter()
            .rposition(covered)
            .map_or(0, |last| last + 1);
        self.durable = self.durable.max(covered);
    }

    fn write(&mut self, engine: &Engine, changes: &[Change]) -> Result<()> {
        // A write without an answer may be there or not.
        self.writes.push(Write {
            changes: changes.to_vec(),
            lsn: None,
        });
        let lsn = store::write(engine, changes)?;
        self.writes.last_mut().unwrap().lsn = Some(lsn);
        self.acknowledged = self.writes.len();
        if self.every_write {
            self.durable = self.acknowledged;
        }
        Ok(())
    }

    fn step(&mut self, engine: &Engine, step: &Step) -> Result<()> {
        match step {
            Step::Write(changes) => self.write(engine, changes)?,
            Step::Sync => {
                engine.sync()?;
                self.durable = self.acknowledged;
            }
            Step::Flush => {
                engine.flush()?;
                self.durable = self.acknowledged;
            }
            Step::Compact => {
                engine.compact()?;
            }
            Step::Maintain => engine.maintain()?,
            Step::Abandon => {}
            Step::Reopen => {
                engine.close()?;
                self.durable = self.acknowledged;
            }
        }
        if !matches!(step, Step::Reopen) {
            self.note_durable(engine);
        }
        Ok(())
    }
}

/// What is told while the workload is played.
pub(crate) enum Seen<'a> {
    /// A step failed, or a start, while the simulated process lives.
    Failed(&'a Step, &'a AtlasError),
    /// The step is over, failed or not.
    After(&'a Step, &'a History, &'a Engine),
}

/// What came of the workload.
pub(crate) struct Played {
    pub(crate) history: History,
    /// The engine as it stands; `None` when it could not be opened.
    pub(crate) engine: Option<Engine>,
}

/// Plays the workload until its end, until a start fails or until the simulated process is dead.
pub(crate) fn play(disk: &SimDisk, options: &Options, seen: &mut dyn FnMut(Seen<'_>)) -> Played {
    let mut history = History {
        every_write: options.sync == WalSyncStrategy::EveryWrite,
        ..History::default()
    };
    let mut engine = open(disk, options, &mut history, seen);
    for step in workload() {
        let Some(open) = engine.take() else {
            break;
        };
        if let Err(error) = history.step(&open, &step) {
            if disk.is_dead() {
                break;
            }
            let unknown = matches!(error, AtlasError::OutcomeUnknown { .. });
            if matches!(step, Step::Write(_)) && !unknown {
                history.writes.pop();
            }
            seen(Seen::Failed(&step, &error));
        }
        seen(Seen::After(&step, &history, &open));
        engine = Some(open);
        if matches!(step, Step::Reopen | Step::Abandon) {
            drop(engine.take());
            engine = self::open(disk, options, &mut history, seen);
        }
    }
    Played { history, engine }
}

fn open(
    disk: &SimDisk,
    options: &Options,
    history: &mut History,
    seen: &mut dyn FnMut(Seen<'_>),
) -> Option<Engine> {
    match store::open(disk, options) {
        Ok(engine) => {
            history.resolve(&engine);
            // Recovery has written all of it to synced tables.
            history.durable = history.acknowledged;
            Some(engine)
        }
        Err(error) => {
            if !disk.is_dead() {
                seen(Seen::Failed(&Step::Reopen, &error));
            }
            None
        }
    }
}
