//! The engines in process: every step in turn on each engine, the order turned round with every round.

use std::io;
use std::path::Path;

use crate::child::Child;
use crate::keys::PAIR;
use crate::plan::Plan;
use crate::samples::Samples;
use crate::store::{Kind, MEMTABLE, Settings};
use crate::workloads::{Job, Step};

/// For fills that are to stay in the log: entries take more room in memory than in it.
const LOG_MEMTABLE: usize = 1 << 30;
const LARGEST_MEMTABLE: usize = 4 << 30;
const OVERWRITES: u64 = 4;

const UNSYNCED: Settings = Settings {
    durable: false,
    memtable: MEMTABLE,
};
const DURABLE: Settings = Settings {
    durable: true,
    ..UNSYNCED
};

/// All rounds of the part `engine`.
pub(crate) fn measure(plan: &Plan, samples: &mut Samples) -> io::Result<()> {
    for round in 0..plan.rounds {
        let group = |name| Group::new(plan, name, round);
        fill_and_read(plan, group("fill-and-read")?, samples)?;
        durable(plan, group("durable")?, samples)?;
        overwrite(group("overwrite")?, samples)?;
        recover(plan, round, plan.log_mib, "engine.recovery", samples)?;
    }
    Ok(())
}

fn fill_and_read(plan: &Plan, mut group: Group<'_>, samples: &mut Samples) -> io::Result<()> {
    let seconds = plan.seconds;
    group.start(&plan.stores, UNSYNCED, plan.keys)?;
    group.step("engine.fill", Step::Fill, samples)?;
    group.step("engine.compact", Step::Settle, samples)?;
    group.step("engine.warm", Step::Warm, samples)?;
    for (name, hit) in [("hit", true), ("miss", false)] {
        for threads in [1, 4] {
            let step = Step::Read {
                hit,
                threads,
                seconds,
            };
            group.step(&format!("engine.read-{name}-{threads}"), step, samples)?;
        }
    }
    group.step("engine.scan", Step::Scan, samples)?;
    for (name, writer) in [
        ("engine.readers-alone", false),
        ("engine.readers-beside-writer", true),
    ] {
        group.step(name, Step::ReadBeside { writer, seconds }, samples)?;
    }
    Ok(())
}

fn durable(plan: &Plan, mut group: Group<'_>, samples: &mut Samples) -> io::Result<()> {
    let seconds = plan.seconds;
    let bare = [Kind::Bare];
    group.start(&[&plan.stores[..], &bare].concat(), DURABLE, plan.keys)?;
    let step = |threads| Step::Durable { threads, seconds };
    group.step("engine.durable-1", step(1), samples)?;
    group.children.retain(|(kind, _)| *kind != Kind::Bare);
    group.step("engine.durable-32", step(32), samples)
}

fn overwrite(mut group: Group<'_>, samples: &mut Samples) -> io::Result<()> {
    let plan = group.plan;
    group.start(&plan.stores, UNSYNCED, plan.keys)?;
    let unnoted = &mut Samples::default();
    group.step("", Step::Fill, unnoted)?;
    group.step("", Step::Settle, unnoted)?;
    let step = Step::Overwrite { times: OVERWRITES };
    group.step("engine.overwrite", step, samples)?;
    group.step("engine.overwrite-quiet", Step::Quiesce, samples)
}

/// Opens each engine after it was killed with so much in its log.
pub(crate) fn recover(
    plan: &Plan,
    round: u64,
    mib: u64,
    name: &str,
    samples: &mut Samples,
) -> io::Result<()> {
    let mut group = Group::new(plan, "recovery", round)?;
    let keys = (mib << 20) / PAIR;
    let filling = Settings {
        memtable: ((mib as usize) << 22).clamp(LOG_MEMTABLE, LARGEST_MEMTABLE),
        ..UNSYNCED
    };
    group.start(&plan.stores, filling, keys)?;
    group.step("", Step::Fill, &mut Samples::default())?;
    for (_, child) in group.children.drain(..) {
        child.die()?;
    }
    group.start(&plan.stores, UNSYNCED, keys)?;
    for (kind, child) in &group.children {
        let mut opened = child.opened.clone();
        let seconds = opened["s"];
        opened.insert("mib_per_s".to_owned(), mib as f64 / seconds);
        opened.insert("s_per_gib".to_owned(), seconds * 1024.0 / mib as f64);
        samples.add(name, kind.name(), round, opened);
    }
    // Every key is there, or the engine's process says which one is not.
    group.step(name, Step::Warm, samples)
}

/// Engines that do the same side by side, one at a time. Their data go with it.
pub(crate) struct Group<'a> {
    plan: &'a Plan,
    round: u64,
    home: tempfile::TempDir,
    children: Vec<(Kind, Child)>,
}

impl<'a> Group<'a> {
    pub(crate) fn new(plan: &'a Plan, name: &str, round: u64) -> io::Result<Group<'a>> {
        plan.tell(&format!(
            "round {} of {}: {name}",
            round + 1,
            plan.rounds.max(round + 1)
        ));
        let home = tempfile::Builder::new()
            .prefix(name)
            .tempdir_in(&plan.home)?;
        Ok(Group {
            plan,
            round,
            home,
            children: Vec::new(),
        })
    }

    /// Opens the stores, one after another, in this round's order.
    pub(crate) fn start(
        &mut self,
        kinds: &[Kind],
        settings: Settings,
        keys: u64,
    ) -> io::Result<()> {
        let mut kinds = kinds.to_vec();
        if self.round % 2 == 1 {
            kinds.reverse();
        }
        for kind in kinds {
            let child = Child::start(&self.job(kind, settings, keys))?;
            self.children.push((kind, child));
        }
        Ok(())
    }

    fn job(&self, kind: Kind, settings: Settings, keys: u64) -> Job {
        let dir: &Path = self.home.path();
        Job {
            kind,
            dir: dir.join(kind.name().replace(' ', "-")),
            settings,
            keys,
            seed: self.plan.seed + self.round,
        }
    }

    /// Does a step on each of them.
    pub(crate) fn step(&mut self, name: &str, step: Step, samples: &mut Samples) -> io::Result<()> {
        for (kind, child) in &mut self.children {
            let figures = child.run(step)?;
            samples.add(name, kind.name(), self.round, figures);
        }
        Ok(())
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        // Before their directories go.
        self.children.clear();
    }
}
