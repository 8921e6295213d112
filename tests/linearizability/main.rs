//! Concurrent clients of the real daemon see one store that does one thing at a time, kills in between.
//!
//! The clients write down what they asked, when, and what they were told; then it is shown that one order
//! of all operations explains every answer and keeps to real time (`model` says how, `history` what a
//! missing answer means). Whether the check would notice is tested with servers that lie (`proxy`).
//!
//! `ATLASKV_TEST_SEED` sets the seed, which is printed, `ATLASKV_HISTORIES` the number of histories for
//! each policy. The history of a failure is kept below `target/tmp`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::string_slice,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod clients;
#[allow(dead_code, reason = "tests/daemon uses the rest")]
#[path = "../daemon/harness.rs"]
mod harness;
mod history;
mod model;
mod proxy;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use atlaskv::client::Client;
use fastrand::Rng;

use clients::{Shared, Worker};
use harness::{Daemon, Home, seed};
use history::Recorded;
use proxy::Lie;

const CLIENTS: usize = 6;
/// Starts of the daemon in a history.
const STARTS: usize = 5;
/// Answers after which a daemon is killed, at most.
const MOST_ANSWERS: u64 = 250;

fn home(sync: &str) -> Home {
    Home::new(
        "",
        &format!(
            "sync = \"{sync}\"\nsync_interval_ms = 10\nmemtable_size = \"32 KiB\"\n\
             segment_size = \"48 KiB\"\nmax_sealed_memtables = 1\nmax_tables = 8"
        ),
    )
}

fn connect(address: SocketAddr) -> Vec<Client> {
    let connect = |_| Client::connect(&address.to_string(), harness::options()).unwrap();
    (0..CLIENTS).map(connect).collect()
}

fn workers(random: &mut Rng) -> Vec<Worker> {
    (0..CLIENTS)
        .map(|number| Worker::new(number, random.fork()))
        .collect()
}

/// Lets all clients work until so many answers came, and then kills the daemon, or asks it to stop.
fn run_once(daemon: &mut Daemon, workers: &mut [Worker], shared: &Shared, random: &mut Rng) {
    let clients = connect(daemon.address());
    let enough = shared.answered.load(Ordering::SeqCst) + random.u64(20..MOST_ANSWERS);
    let pause = Duration::from_micros(random.u64(..3000));
    thread::scope(|scope| {
        let clients = workers.iter_mut().zip(clients);
        let working: Vec<_> = clients
            .map(|(worker, mut client)| {
                scope.spawn(move || worker.work(shared, &mut client, u64::MAX))
            })
            .collect();
        // One that has ended before has something to say.
        let ended = || working.iter().any(ScopedJoinHandle::is_finished);
        while shared.answered.load(Ordering::SeqCst) < enough && !ended() {
            thread::sleep(Duration::from_micros(100));
        }
        thread::sleep(pause);
        if random.u8(..4) == 0 {
            daemon.stop();
        } else {
            daemon.kill();
        }
    });
}

/// What six clients see of several daemons in a row, on one directory.
fn history(sync: &str, random: &mut Rng) -> (Recorded, usize) {
    let home = home(sync);
    let shared = Shared::default();
    let mut workers = workers(random);
    let mut flushes = 0;
    for _ in 0..STARTS {
        let mut daemon = home.start();
        let before = shared.records.lock().unwrap().len();
        run_once(&mut daemon, &mut workers, &shared, random);
        let death = shared.clock.now();
        let mut records = shared.records.lock().unwrap();
        for record in &mut records[before..] {
            if !record.answered {
                record.returned = death;
            }
        }
        drop(records);
        flushes += daemon.said().matches("flushed ").count();
    }
    let records = shared.records.into_inner().unwrap();
    (Recorded { records }, flushes)
}

/// Keeps the history for whoever looks into it, and fails.
fn fail(recorded: &Recorded, name: &str, offence: &str) -> ! {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("history-{name}.txt"));
    std::fs::write(&path, format!("{offence}\n{}", recorded.text())).unwrap();
    panic!("{offence}the whole history is in {}", path.display());
}

fn histories() -> u64 {
    std::env::var("ATLASKV_HISTORIES").map_or(25, |number| number.parse().unwrap())
}

fn histories_are_linearizable(sync: &str) {
    let seed = seed();
    let mut random = Rng::with_seed(seed);
    let (mut operations, mut unanswered, mut flushes) = (0, 0, 0);
    for number in 0..histories() {
        let (recorded, flushed) = history(sync, &mut random);
        if let Some(offence) = recorded.offence() {
            fail(&recorded, &format!("{sync}-{seed}-{number}"), &offence);
        }
        let records = recorded.records.iter();
        operations += recorded.records.len();
        unanswered += records.filter(|record| !record.answered).count();
        flushes += flushed;
    }
    println!(
        "{sync}: {} histories, {operations} operations, {unanswered} without an answer, {flushes} flushes",
        histories()
    );
    // Otherwise nothing was at stake.
    assert!(unanswered > 0 && flushes > 0);
}

#[test]
fn every_write() {
    histories_are_linearizable("every-write");
}

#[test]
fn interval() {
    histories_are_linearizable("interval");
}

#[test]
fn os_default() {
    histories_are_linearizable("os-default");
}

/// What the clients see through a proxy that lies.
fn history_with(lie: Lie, random: &mut Rng) -> Recorded {
    let home = home("os-default");
    let daemon = home.start();
    let clients = connect(proxy::start(daemon.address(), lie));
    let shared = Shared::default();
    thread::scope(|scope| {
        for (mut worker, mut client) in workers(random).into_iter().zip(clients) {
            let shared = &shared;
            scope.spawn(move || worker.work(shared, &mut client, 60));
        }
    });
    Recorded {
        records: shared.records.into_inner().unwrap(),
    }
}

/// The search for an order finds the lie out, and not the LSNs, which a broken engine may well have right.
fn is_caught(lie: Lie) {
    let mut random = Rng::with_seed(seed());
    // Most histories show it; some lies need two clients that meet.
    for _ in 0..20 {
        let recorded = history_with(lie, &mut random);
        if let Some(offence) = recorded.linearizability_offence() {
            println!("{lie:?}: {offence}");
            return;
        }
    }
    panic!("{lie:?} was not caught");
}

#[test]
fn the_proxy_alone_changes_nothing() {
    let mut random = Rng::with_seed(seed());
    let recorded = history_with(Lie::None, &mut random);
    assert_eq!(recorded.offence(), None);
}

#[test]
fn a_stale_read_is_caught() {
    is_caught(Lie::StaleRead);
}

#[test]
fn a_lost_update_is_caught() {
    is_caught(Lie::LostUpdate);
}

#[test]
fn a_swap_that_is_not_atomic_is_caught() {
    is_caught(Lie::SwapInSteps);
}

#[test]
fn a_batch_that_is_not_atomic_is_caught() {
    is_caught(Lie::TornBatch);
}

#[test]
fn a_stale_scan_is_caught() {
    is_caught(Lie::StaleScan);
}
