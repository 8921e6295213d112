//! When flushing does not keep up: writers are slowed, then wait, then are refused; memory stays bounded.
//! The disk holds every sync of a table at a gate.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atlaskv::storage::{AtlasError, Engine, Event, KIB, Options, WalSyncStrategy};

use crate::sim_disk::SimDisk;
use crate::store;

const HANG: Duration = Duration::from_secs(60);
const MEMTABLE: usize = 4 * KIB;

fn options(stall_timeout: Duration) -> Options {
    Options {
        memtable_size: MEMTABLE,
        segment_size: 64 * KIB,
        stall_timeout,
        background: true,
        ..store::options(WalSyncStrategy::OsDefault)
    }
}

/// What memtables may hold together: the active one, the sealed ones, and one write over.
fn bound(options: &Options) -> u64 {
    ((options.max_sealed_memtables + 1) * MEMTABLE + KIB) as u64
}

fn held(engine: &Engine) -> u64 {
    let stats = engine.stats();
    stats.memtable_bytes + stats.sealed_bytes
}

#[test]
fn a_write_that_waits_too_long_is_refused_and_not_done() {
    let disk = SimDisk::new(1);
    let options = options(Duration::ZERO);
    let engine = store::open(&disk, &options).unwrap();
    disk.close_gate("0");
    let mut written = 0_u64;
    let refused = loop {
        match engine.put(&written.to_be_bytes(), &[7; 100]) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(
            held(&engine) <= bound(&options),
            "{} bytes are held",
            held(&engine)
        );
    };
    assert!(matches!(refused, AtlasError::Stalled { .. }), "{refused}");
    assert!(!engine.exists(&written.to_be_bytes()).unwrap());
    assert!(engine.stats().slowed_writes > 0, "{:?}", engine.stats());
    disk.open_gate();
    engine.flush().unwrap();
    engine.put(&written.to_be_bytes(), b"done").unwrap();
    assert_eq!(store::contents(&engine).unwrap().len() as u64, written + 1);
}

#[test]
fn writers_wait_for_flushing_and_the_figures_show_it() {
    let disk = SimDisk::new(2);
    let told = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::clone(&told);
    let mut options = options(HANG);
    options.events = Some(Arc::new(move |event| {
        events.lock().unwrap().push(event.clone());
    }));
    let engine = store::open(&disk, &options).unwrap();
    disk.close_gate("0");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..400_u64 {
                engine.put(&number.to_be_bytes(), &[7; 100]).unwrap();
            }
        });
        let until = Instant::now() + HANG;
        while engine.stats().stalled_writes == 0 {
            assert!(
                Instant::now() < until,
                "no writer ever waited: {:?}",
                engine.stats()
            );
            assert!(
                held(&engine) <= bound(&options),
                "{} bytes are held",
                held(&engine)
            );
            std::thread::yield_now();
        }
        assert!(!writer.is_finished());
        disk.open_gate();
        writer.join().unwrap();
    });
    let stats = engine.stats();
    assert!(stats.stall_us > 0 && stats.slowed_writes > 0, "{stats:?}");
    assert!(
        told.lock()
            .unwrap()
            .iter()
            .any(|event| matches!(event, Event::Stalled { .. }))
    );
    assert_eq!(store::contents(&engine).unwrap().len(), 400);
}
