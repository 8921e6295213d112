//! One list of operations under many options: the answers are the same.
//!
//! Options decide when things are written where, never what a request is answered. So the answers under
//! each set of options are compared, step by step, with those under the first, and so is what a last
//! start finds. Each run is also compared with the model, as in [`crate::model`].
//!
//! What may differ, and is not compared: the counters of LSNs, once durable marks may have taken some
//! (a write without a mark before it in its epoch must have the next one, which every run asserts;
//! beyond that an LSN is compared as the number of the write that was given it, and the epoch as it
//! is); how far the log was synced; how many tables there are and how much of the log a start replayed;
//! and after a kill among threads a start may set aside a table that they had not yet put in place.

use std::path::Path;
use std::time::Duration;

use atlaskv::storage::verify::{Verdict, VerifyOptions, verify};
use atlaskv::storage::{KIB, MIB, Options, WalSyncStrategy};

use crate::model::{self, Answer, End, MOST_HELD, Op, Run, Starts};
use crate::store::{self, POLICIES};

/// A set of options: what sets it apart from the small store of the other tests.
type Set = (&'static str, fn(&mut Options));

/// Every policy, every size and number at its least or out of reach, with threads and without.
const SETS: [Set; 24] = [
    ("as usual", |_| {}),
    ("the defaults of the product, sizes aside", |options| {
        // Larger ones only make each start hold back more, which this disk has in memory.
        *options = Options {
            max_key_size: 64 * KIB,
            max_value_size: MIB,
            max_batch_size: 2 * MIB,
            max_batch_operations: 10_000,
            memtable_size: 2 * MIB,
            segment_size: 2 * MIB,
            ..Options::default()
        };
    }),
    ("every write synced", |options| options.sync = POLICIES[0]),
    ("synced by interval, a long one", |options| {
        options.sync = WalSyncStrategy::Interval { ms: 60_000 };
    }),
    ("synced by the system", |options| options.sync = POLICIES[2]),
    ("tiny memtable", |options| options.memtable_size = KIB),
    ("tiny segments", |options| options.segment_size = 8 * KIB),
    ("tiny memtable and segments", tiny),
    ("nothing is sealed by itself", |options| {
        options.memtable_size = 2 * MIB;
        options.segment_size = MIB;
    }),
    ("one sealed memtable", |options| {
        options.memtable_size = KIB;
        options.max_sealed_memtables = 1;
    }),
    ("many sealed memtables", |options| {
        options.memtable_size = KIB;
        options.max_sealed_memtables = 64;
    }),
    ("fewest tables", fewest_tables),
    ("compaction by number off", no_compaction),
    ("compaction off, tiny memtable", |options| {
        no_compaction(options);
        options.memtable_size = KIB;
        options.max_sealed_memtables = 64;
    }),
    ("no room in quarantine", |options| {
        options.quarantine_size = 0;
    }),
    ("one byte of quarantine", |options| {
        tiny(options);
        options.quarantine_size = 1;
    }),
    ("as many scans as are needed", |options| {
        options.max_scans = MOST_HELD + 1;
    }),
    ("limits that just fit", least_limits),
    ("threads", threads),
    ("threads, every write synced", |options| {
        threads(options);
        options.sync = POLICIES[0];
    }),
    ("threads, synced by the system", |options| {
        threads(options);
        options.sync = POLICIES[2];
    }),
    ("threads, all tiny", |options| {
        threads(options);
        tiny(options);
        fewest_tables(options);
        options.max_sealed_memtables = 1;
    }),
    ("threads, compaction off", |options| {
        threads(options);
        tiny(options);
        no_compaction(options);
    }),
    ("threads, limits that just fit", |options| {
        threads(options);
        least_limits(options);
    }),
];

fn tiny(options: &mut Options) {
    options.memtable_size = KIB;
    options.segment_size = 8 * KIB;
}

fn fewest_tables(options: &mut Options) {
    options.compaction_trigger = 2;
    options.max_tables = 4;
}

/// Nothing is merged for the number of tables; where there are no threads, see [`left_out`].
fn no_compaction(options: &mut Options) {
    options.compaction_trigger = 64;
    options.max_tables = 1024;
}

fn threads(options: &mut Options) {
    options.background = true;
    options.stall_timeout = Duration::from_secs(60);
}

/// No key, value, batch or page of [`model::random_op`] is larger.
fn least_limits(options: &mut Options) {
    options.max_key_size = 8;
    options.max_value_size = 5000;
    options.max_batch_size = 12 * (8 + 5000);
    options.max_batch_operations = 12;
    options.max_scans = MOST_HELD + 1;
}

fn options((_, change): &Set) -> Options {
    let mut options = store::options(POLICIES[1]);
    change(&mut options);
    options.check().unwrap();
    options
}

/// A store without threads whose compaction is off does not do their work at [`Op::Maintain`] either:
/// that merges what wastes space, whatever the number of tables.
fn left_out(op: &Op, options: &Options) -> bool {
    matches!(op, Op::Maintain) && !options.background && options.compaction_trigger == 64
}

/// The answers of a run, the last one that of a start after it; what the directory then holds is sound.
fn answers(seed: u64, ops: &[Op], set: &Set) -> Result<Vec<Answer>, String> {
    model::caught(|| {
        let options = options(set);
        let mut run = Run::new(seed, Starts::Same(options.clone()));
        let mut answers = Vec::new();
        for (place, op) in ops.iter().enumerate() {
            answers.push(match left_out(op, &options) {
                true => Answer::Done,
                false => run
                    .step(op)
                    .map_err(|error| format!("op {place}: {error}"))?,
            });
        }
        let end = [End::Close, End::Drop, End::Kill][(seed % 3) as usize];
        let last = run.reopen(end);
        answers.push(last.map_err(|error| format!("the last reopening: {error}"))?);
        let disk = run.finish().map_err(|error| format!("the end: {error}"))?;
        let report = verify(&disk, Path::new(store::DIR), VerifyOptions::default());
        let report = report.map_err(|error| format!("verifying: {error}"))?;
        assert_eq!(report.verdict, Verdict::Sound, "{report:#?}");
        Ok(answers)
    })
}

/// Compares the runs of all sets; says which differs first, and where.
fn attempt(seed: u64, ops: &[Op]) -> Result<(), String> {
    let told = |set: &Set| {
        let (name, _) = set;
        answers(seed, ops, set).map_err(|failure| format!("{name}: {failure}"))
    };
    let first = told(&SETS[0])?;
    for set in &SETS[1..] {
        let others = told(set)?;
        assert_eq!(others.len(), first.len());
        let both = first.iter().zip(&others);
        if let Some((place, (left, right))) =
            both.enumerate().find(|(_, (left, right))| left != right)
        {
            let op = ops.get(place);
            let (usual, other) = (SETS[0].0, set.0);
            return Err(format!(
                "op {place}, {op:?}: {usual}: {left:?}, {other}: {right:?}"
            ));
        }
    }
    Ok(())
}

#[test]
fn options_change_no_answer() {
    for seed in store::seeds(60) {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x3e7a_a0f5);
        let length = random.usize(1..150);
        let ops: Vec<Op> = (0..length).map(|_| model::random_op(&mut random)).collect();
        let Err(failure) = attempt(seed, &ops) else {
            continue;
        };
        let _repeat = store::Repeat {
            test: "options_change_no_answer",
            seed,
        };
        let short = model::shrink(ops, |fewer| attempt(seed, fewer).is_err());
        let again = attempt(seed, &short).err();
        panic!(
            "{failure}\nshrunk to {} ops: {short:#?}\n{again:?}",
            short.len()
        );
    }
}
