//! How far a start and a stop are: told often enough, never falling, and to the end.

use std::sync::{Arc, Mutex, OnceLock};

use atlaskv::storage::{Engine, Event, KIB, MIB, Options, ReplayStep, WalSyncStrategy};

use crate::sim_disk::{Errno, Fault, SimDisk};
use crate::store;

/// No more work goes by in silence.
const MOST: u64 = 4 * MIB as u64;
const VALUES: u64 = 96;

type Told = Arc<Mutex<Vec<Event>>>;

fn options(told: &Told) -> Options {
    let told = Arc::clone(told);
    Options {
        max_value_size: 1024 * KIB,
        max_batch_size: 1025 * KIB,
        memtable_size: 8 * MIB,
        segment_size: 24 * MIB,
        max_sealed_memtables: 8,
        events: Some(Arc::new(move |event| {
            told.lock().unwrap().push(event.clone());
        })),
        ..store::options(WalSyncStrategy::OsDefault)
    }
}

/// That these are one telling from 0 or nearly to the end, in steps that are small enough.
fn check(told: &[(u64, u64)]) {
    let total = told[0].1;
    let mut last = 0;
    for (bytes, of) in told {
        assert_eq!(*of, total, "{told:?}");
        assert!(last <= *bytes && *bytes <= last + MOST, "{told:?}");
        last = *bytes;
    }
    assert_eq!(last, total, "{told:?}");
}

fn replaying(told: &Told, wanted: ReplayStep) -> Vec<(u64, u64)> {
    let told = told.lock().unwrap();
    let ours = told.iter().filter_map(|event| match event {
        Event::Replaying {
            step,
            segment,
            segments,
            bytes,
            total_bytes,
        } if *step == wanted => {
            assert!(segment <= segments, "{event}");
            Some((*bytes, *total_bytes))
        }
        _ => None,
    });
    ours.collect()
}

fn closing(told: &Told) -> Vec<(u64, u64)> {
    let told = told.lock().unwrap();
    let ours = told.iter().filter_map(|event| match event {
        Event::Closing { bytes, total_bytes } => Some((*bytes, *total_bytes)),
        _ => None,
    });
    ours.collect()
}

#[test]
fn a_start_and_a_stop_tell_how_far_they_are() {
    let disk = SimDisk::new(1);
    let told = Told::default();
    let first = store::open(&disk, &options(&told)).unwrap();
    assert!(told.lock().unwrap().is_empty(), "a new store has no log");
    for number in 0..VALUES {
        first.put(&number.to_be_bytes(), &[7; 128 * KIB]).unwrap();
    }
    drop(first);

    let mut wide = options(&told);
    // One segment, and one memtable, over all the rest.
    wide.memtable_size = 32 * MIB;
    let engine = store::open(&disk, &wide).unwrap();
    let reading = replaying(&told, ReplayStep::Reading);
    check(&reading);
    let data = VALUES * 128 * KIB as u64;
    assert!(reading[0].1 > data && reading.len() > 6, "{reading:?}");
    let writing = replaying(&told, ReplayStep::Writing);
    check(&writing);
    // Nothing of a segment but its entries, which have fewer than 100 bytes of their own.
    assert!(
        writing[0].1 > data && writing[0].1 < data + VALUES * 100,
        "{writing:?}"
    );

    for number in 0..VALUES {
        engine.put(&number.to_be_bytes(), &[8; 128 * KIB]).unwrap();
    }
    engine.close().unwrap();
    let closing = closing(&told);
    check(&closing);
    assert!(closing[0].1 >= data && closing.len() > 3, "{closing:?}");
    drop(engine);

    told.lock().unwrap().clear();
    let engine = store::open(&disk, &wide).unwrap();
    assert_eq!(
        engine.get(&0_u64.to_be_bytes()).unwrap().unwrap().value[0],
        8
    );
    check(&replaying(&told, ReplayStep::Reading));
    let percent: Vec<String> = told.lock().unwrap().iter().map(Event::to_string).collect();
    assert!(
        percent.iter().any(|line| line.ends_with("100 %")),
        "{percent:?}"
    );
}

#[test]
fn a_flush_says_when_it_was() {
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options(&Told::default())).unwrap();
    assert_eq!(engine.stats().last_flush_unix_s, 0);
    engine.put(b"key", b"value").unwrap();
    engine.flush().unwrap();
    assert!(engine.stats().last_flush_unix_s > 1_700_000_000);
}

#[test]
fn a_start_that_may_not_write_says_what_to_do() {
    let read_only = ("ReadWritePaths=", Errno::ReadOnly);
    let denied = ("must belong to the user", Errno::Denied);
    for (advice, errno) in [read_only, denied] {
        for change in 0..2 {
            let disk = SimDisk::new(1);
            disk.fail_from(change, Fault::Fail(errno));
            let error = store::open(&disk, &options(&Told::default())).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("/srv") && text.contains(advice), "{text}");
        }
    }
}

#[test]
fn a_stop_that_is_hurried_leaves_the_rest_to_the_next_start() {
    let disk = SimDisk::new(1);
    let mut hurrying = options(&Told::default());
    hurrying.memtable_size = 32 * MIB;
    let closing: Arc<OnceLock<Engine>> = Arc::default();
    let engine = Arc::clone(&closing);
    hurrying.events = Some(Arc::new(move |event| {
        if let (Event::Closing { bytes: 1.., .. }, Some(engine)) = (event, engine.get()) {
            engine.hurry();
        }
    }));
    closing.set(store::open(&disk, &hurrying).unwrap()).unwrap();
    let engine = closing.get().unwrap();
    for number in 0..VALUES {
        engine.put(&number.to_be_bytes(), &[7; 128 * KIB]).unwrap();
    }
    engine.close().unwrap();
    assert_eq!(engine.stats().flushes, 0);

    let next = store::open(&disk, &options(&Told::default())).unwrap();
    let report = next.recovery_report();
    assert!(report.clean_shutdown, "{report:?}");
    assert_eq!(report.replayed_operations, VALUES);
    for number in 0..VALUES {
        let found = next.get(&number.to_be_bytes()).unwrap().unwrap();
        assert_eq!(found.value.len(), 128 * KIB);
    }
}
