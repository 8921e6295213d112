//! The fuzz targets on the inputs that are kept, and on mutations of them: what `make fuzz` looks for, on a
//! budget that every run of the tests can pay.
//!
//! `fuzz/corpus/TARGET` holds real files, examples and everything that was ever found. `ATLASKV_TEST_SEED`
//! repeats a run, `ATLASKV_TEST_RUNS` sets the number of mutations in percent of the usual.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code"
)]

mod harness;
mod mutation;
mod seeding;

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The bytes that the kept inputs may have in all.
const MOST_BYTES: usize = 1024 * 1024;
/// Memory is counted for the whole process, so one test runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn directory(target: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("fuzz/corpus").join(target)
}

/// The kept inputs of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let listed =
        fs::read_dir(directory(target)).expect("fuzz/corpus has a directory for each target");
    let mut inputs: Vec<_> = listed
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(&path).unwrap())
        })
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "no inputs for {target}");
    inputs
}

/// Names the input, should the target panic.
struct Input<'a>(&'a str, &'a [u8]);

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Input(name, bytes) = self;
            println!(
                "the input: {name}, {} bytes: {}",
                bytes.len(),
                bytes.escape_ascii()
            );
        }
    }
}

#[test]
fn every_kept_input_holds() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes = 0;
    for (target, run) in harness::TARGETS {
        for (name, input) in corpus(target) {
            let _named = Input(&name, &input);
            run(&input);
            bytes += input.len();
        }
    }
    assert!(
        bytes <= MOST_BYTES,
        "fuzz/corpus has {bytes} bytes: minimize it"
    );
}

#[test]
fn mutations_of_kept_inputs_hold() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = mutation::seed();
    println!("to repeat: ATLASKV_TEST_SEED={seed} cargo test --test corpus mutations");
    for (target, run) in harness::TARGETS {
        let inputs: Vec<_> = corpus(target).into_iter().map(|(_, bytes)| bytes).collect();
        let mut random = fastrand::Rng::with_seed(seed);
        for number in 0..mutation::budget(target) {
            let input = mutation::mutate(&mut random, &inputs);
            let name = format!("mutation {number} of {target}");
            let _named = Input(&name, &input);
            run(&input);
        }
    }
}
