//! Limits: what is refused, with which error, and that nothing is done then.

use std::time::Duration;

use atlaskv::storage::{AtlasError, Engine, Expected, KIB, Operation, Options, Result, ScanRange};

use crate::damage::{check_contents, fill};
use crate::sim_disk::SimDisk;
use crate::store::{self, Contents, POLICIES};

fn limited() -> Options {
    Options {
        max_key_size: 10,
        max_value_size: 100,
        max_batch_size: 110,
        max_batch_operations: 4,
        ..store::options(POLICIES[1])
    }
}

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Operation<'a> {
    Operation::Put { key, value }
}

#[test]
fn what_is_too_large_is_refused_and_not_done() {
    let engine = store::open(&SimDisk::new(1), &limited()).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..3, 10);
    let long_key = [b'k'; 11];
    let batches: [&[Operation<'_>]; 5] = [
        &[put(b"fine", b""), put(b"", b"x")],
        &[put(b"fine", b""), put(&long_key, b"x")],
        &[put(b"fine", b""), put(b"k", &[0; 101])],
        &[put(b"fine", &[0; 60]), put(b"k", &[0; 60])],
        &[put(b"fine", b""); 5],
    ];
    let errors: Vec<AtlasError> = batches
        .iter()
        .map(|batch| engine.write(batch).unwrap_err())
        .collect();
    assert!(matches!(errors[0], AtlasError::EmptyKey));
    let AtlasError::KeyTooLarge { length, limit } = errors[1] else {
        panic!("{errors:?}");
    };
    assert_eq!((length, limit), (11, 10));
    let AtlasError::ValueTooLarge { length, limit } = errors[2] else {
        panic!("{errors:?}");
    };
    assert_eq!((length, limit), (101, 100));
    let AtlasError::BatchTooLarge { length, limit } = errors[3] else {
        panic!("{errors:?}");
    };
    assert_eq!((length, limit), (125, 110));
    let AtlasError::TooManyOperations { count, limit } = errors[4] else {
        panic!("{errors:?}");
    };
    assert_eq!((count, limit), (5, 4));
    check_contents(&engine, &model, "refused batches");

    // The largest of each is well.
    engine.write(&[put(&[b'k'; 10], &[0; 100])]).unwrap();
    engine.write(&[put(b"a", b""); 4]).unwrap();
}

#[test]
fn reads_and_conditions_have_the_same_limits() {
    let engine = store::open(&SimDisk::new(1), &limited()).unwrap();
    let long_key = [b'k'; 11];
    let refused = |outcome: Result<()>| outcome.unwrap_err();
    let is_long = |error: &AtlasError| matches!(error, AtlasError::KeyTooLarge { .. });
    let is_empty = |error: &AtlasError| matches!(error, AtlasError::EmptyKey);
    assert!(is_long(&refused(engine.get(&long_key).map(drop))));
    assert!(is_empty(&refused(engine.exists(b"").map(drop))));
    assert!(is_empty(&refused(
        engine.put_if_absent(b"", b"x").map(drop)
    )));
    let swap = engine.compare_and_swap(b"k", Expected::Absent, Some(&[0; 101]));
    assert!(matches!(
        swap.unwrap_err(),
        AtlasError::ValueTooLarge { .. }
    ));
    let keys: [&[u8]; 5] = [b"k"; 5];
    let many = engine.multi_get(&keys, &mut |_| Ok(()));
    assert!(matches!(
        many.unwrap_err(),
        AtlasError::TooManyOperations { .. }
    ));
    let bad = engine.multi_get(&[b"k", &long_key], &mut |_| Ok(()));
    assert!(is_long(&bad.unwrap_err()));
}

#[test]
fn options_outside_their_range_are_refused_by_name() {
    let too_small = Options {
        memtable_size: 1,
        ..store::options(POLICIES[1])
    };
    let error = store::open(&SimDisk::new(1), &too_small).unwrap_err();
    assert!(error.to_string().contains("memtable_size"), "{error}");
    assert!(matches!(error, AtlasError::InvalidOption { .. }));
}

/// A store with keys in a table and in memory.
fn filled(options: &Options) -> (SimDisk, Engine, Contents) {
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..20, 30);
    engine.flush().unwrap();
    fill(&engine, &mut model, 20..30, 30);
    (disk, engine, model)
}

#[test]
fn open_scans_are_counted_and_limited() {
    let options = Options {
        max_scans: 2,
        ..store::options(POLICIES[1])
    };
    let (_disk, engine, model) = filled(&options);
    let open = || engine.scan(&ScanRange::default());
    let first = open().unwrap();
    let mut second = open().unwrap();
    assert_eq!(engine.stats().open_scans, 2);
    let error = open().unwrap_err();
    assert!(
        matches!(error, AtlasError::TooManyScans { limit: 2 }),
        "{error:?}"
    );
    drop(first);
    assert_eq!(
        store::drain(&mut open().unwrap(), 5).unwrap().len(),
        model.len()
    );
    assert_eq!(store::drain(&mut second, 5).unwrap().len(), model.len());
}

#[test]
fn an_idle_scan_is_closed_and_says_so() {
    let options = Options {
        scan_idle_timeout: Duration::ZERO,
        ..store::options(POLICIES[1])
    };
    let (_disk, engine, _) = filled(&options);
    let mut scan = engine.scan(&ScanRange::default()).unwrap();
    scan.next_page(3, 1000, &mut |_| Ok(())).unwrap();
    engine.maintain().unwrap();
    let error = scan.next_page(3, 1000, &mut |_| Ok(())).unwrap_err();
    assert!(matches!(error, AtlasError::ScanEnded { .. }), "{error:?}");
}

#[test]
fn scans_that_keep_too_much_memory_are_closed_oldest_first() {
    let options = Options {
        memtable_size: 64 * KIB,
        segment_size: 64 * KIB,
        max_pinned_bytes: 3000,
        ..store::options(POLICIES[1])
    };
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..50, 30);
    let mut old = engine.scan(&ScanRange::default()).unwrap();
    engine.flush().unwrap();
    assert!(engine.stats().pinned_bytes > 3000);
    let mut new = engine.scan(&ScanRange::default()).unwrap();
    engine.maintain().unwrap();
    assert_eq!(engine.stats().pinned_bytes, 0);
    let error = old.next_page(100, 1 << 20, &mut |_| Ok(())).unwrap_err();
    assert!(matches!(error, AtlasError::ScanEnded { .. }), "{error:?}");
    assert_eq!(store::drain(&mut new, 7).unwrap().len(), 50);
}

#[test]
fn large_values_are_asked_for_before_they_are_read() {
    let options = Options {
        max_value_size: 1024 * KIB,
        max_batch_size: 1025 * KIB,
        memtable_size: 1024 * KIB,
        segment_size: 1024 * KIB,
        ..store::options(POLICIES[1])
    };
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &options).unwrap();
    engine.put(b"large", &[7; 100 * KIB]).unwrap();
    engine.put(b"small", &[7; 100]).unwrap();
    engine.flush().unwrap();
    let over = |bytes| AtlasError::OverBudget { bytes, limit: 1 };
    let mut refuse = |bytes| Err(over(bytes));
    let error = engine.get_admitted(b"large", &mut refuse).unwrap_err();
    let AtlasError::OverBudget { bytes, .. } = error else {
        panic!("{error:?}");
    };
    assert!(bytes >= 100 * KIB as u64);
    assert!(
        engine
            .get_admitted(b"small", &mut refuse)
            .unwrap()
            .is_some()
    );
    let keys: [&[u8]; 2] = [b"small", b"large"];
    assert!(engine.multi_get(&keys, &mut refuse).is_err());
    // A scan that was refused goes on where it was.
    let mut scan = engine.scan(&ScanRange::default()).unwrap();
    assert!(scan.next_page(5, 1 << 20, &mut refuse).is_err());
    let page = scan.next_page(5, 1 << 20, &mut |_| Ok(())).unwrap();
    assert_eq!(page.entries.len(), 2);
}

/// Nobody reads while the log is replayed: what was overwritten takes neither memory nor a table.
#[test]
fn a_start_keeps_the_newest_versions_alone() {
    let disk = SimDisk::new(1);
    let options = Options {
        segment_size: 64 * KIB,
        ..store::options(POLICIES[2])
    };
    let engine = store::open(&disk, &options).unwrap();
    for number in 0..40 {
        engine.put(b"key", &[number; KIB]).unwrap();
    }
    drop(engine);
    assert!(store::named(&disk, ".sst").is_empty());
    // Many times the memtable's size stands in the log.
    let engine = store::open(&disk, &options).unwrap();
    assert_eq!(store::named(&disk, ".sst").len(), 1);
    assert_eq!(engine.get(b"key").unwrap().unwrap().value[0], 39);
}
