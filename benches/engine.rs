//! The engine in process, alone: `cargo bench --bench engine`. Prints one line for each workload; `make bench`
//! measures it beside others.
//!
//! 16-byte keys in random order, 100-byte values. `ATLASKV_BENCH_KEYS` sets the number of keys,
//! 200,000 by default; `ATLASKV_BENCH_DIR` the directory, a temporary one by default. Figures of one run
//! say little on a busy machine: compare two sides in one run.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atlaskv::storage::{Engine, Options, RealDisk, ScanRange, WalSyncStrategy};

const VALUE: [u8; 100] = [b'v'; 100];
const DURABLE_FOR: Duration = Duration::from_secs(2);

/// Every number below 2^32 once, in an order that looks random.
fn key(number: u64) -> Vec<u8> {
    let scattered = number.wrapping_mul(0x9E37_79B1) & 0xFFFF_FFFF;
    format!("{scattered:016}").into_bytes()
}

fn report(workload: &str, operations: u64, took: Duration) {
    let seconds = took.as_secs_f64();
    let rate = f64::from(u32::try_from(operations).unwrap()) / seconds;
    println!("{workload:<44} {rate:>12.0} per second  ({operations} in {seconds:.2} s)");
}

fn open(dir: &Path, sync: WalSyncStrategy) -> Engine {
    Engine::open(
        RealDisk::shared(),
        dir,
        Options {
            sync,
            ..Options::default()
        },
    )
    .unwrap()
}

fn reads_and_scans(dir: &Path, keys: u64) {
    let engine = open(dir, WalSyncStrategy::OsDefault);
    let started = Instant::now();
    for number in 0..keys {
        engine.put(&key(number), &VALUE).unwrap();
    }
    report("put, random order, os-default", keys, started.elapsed());
    let started = Instant::now();
    engine.compact().unwrap();
    println!(
        "{:<44} {:>12.2} s",
        "flush and full compaction",
        started.elapsed().as_secs_f64()
    );
    let started = Instant::now();
    for number in 0..keys {
        assert!(engine.get(&key(number * 7 % keys)).unwrap().is_some());
    }
    report(
        "get, random, found, from one table",
        keys,
        started.elapsed(),
    );
    let started = Instant::now();
    for number in 0..keys {
        assert!(engine.get(&key(keys + number)).unwrap().is_none());
    }
    report(
        "get, random, not found, from one table",
        keys,
        started.elapsed(),
    );
    let started = Instant::now();
    let mut scan = engine.scan(&ScanRange::default()).unwrap();
    let mut entries = 0;
    loop {
        let page = scan.next_page(4096, 1 << 20, &mut |_| Ok(())).unwrap();
        entries += u64::try_from(page.entries.len()).unwrap();
        if page.done {
            break;
        }
    }
    assert_eq!(entries, keys);
    report("scan of everything", entries, started.elapsed());
    drop(scan);
    engine.close().unwrap();
}

fn durable(dir: &Path, threads: u64) {
    let engine = open(dir, WalSyncStrategy::EveryWrite);
    let done = AtomicU64::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (engine, done) = (&engine, &done);
            scope.spawn(move || {
                let mut number = thread << 32;
                while started.elapsed() < DURABLE_FOR {
                    engine.put(&key(number), &VALUE).unwrap();
                    number += 1;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    report(
        &format!("put, every-write, {threads} threads"),
        done.load(Ordering::Relaxed),
        started.elapsed(),
    );
    engine.close().unwrap();
}

/// Opening a store whose log holds everything, as after a crash.
fn recovery(dir: &Path, keys: u64) {
    let large = 256 << 20;
    let options = Options {
        sync: WalSyncStrategy::OsDefault,
        memtable_size: large,
        segment_size: large,
        ..Options::default()
    };
    let engine = Engine::open(RealDisk::shared(), dir, options.clone()).unwrap();
    for number in 0..keys {
        engine.put(&key(number), &VALUE).unwrap();
    }
    drop(engine);
    let started = Instant::now();
    let engine = Engine::open(RealDisk::shared(), dir, options).unwrap();
    let took = started.elapsed();
    assert_eq!(engine.recovery_report().replayed_operations, keys);
    report("recovery: entries replayed and made safe", keys, took);
    engine.close().unwrap();
}

/// What the disk itself gives: the other side of the durable figures.
fn bare_syncs(dir: &Path) {
    let file = std::fs::File::create(dir.join("bare")).unwrap();
    file.set_len(64 << 20).unwrap();
    let (mut done, mut offset) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < DURABLE_FOR {
        file.write_all_at(&VALUE, offset).unwrap();
        file.sync_data().unwrap();
        offset += 136;
        done += 1;
    }
    report("bare append and fdatasync", done, started.elapsed());
}

fn main() {
    let keys = std::env::var("ATLASKV_BENCH_KEYS")
        .ok()
        .and_then(|keys| keys.parse().ok());
    let home = match std::env::var_os("ATLASKV_BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    reads_and_scans(&home.path().join("reads"), keys.unwrap_or(200_000));
    recovery(&home.path().join("recovery"), keys.unwrap_or(200_000));
    bare_syncs(home.path());
    for threads in [1, 8, 32] {
        durable(&home.path().join(format!("durable-{threads}")), threads);
    }
}
