//! Compacting offline: a crash before every change, every call failing, too little room, nothing to do.

use std::cell::RefCell;
use std::path::Path;

use atlaskv::storage::{
    AtlasError, OfflineEnding, OfflinePlan, OfflineWatch, Options, Result, WalSyncStrategy,
    compact_offline, plan_offline,
};

use crate::faults::FAULTS;
use crate::script;
use crate::sim_disk::{CallKind, Errno, Fault, Loss, SimDisk};
use crate::store::{self, Contents, DIR};

/// What nobody but the tool changes: whole operation, no threads.
fn options() -> Options {
    store::options(WalSyncStrategy::EveryWrite)
}

/// A store that was left as a crash of the process leaves it: tables, deletions, a log with writes, a
/// stray file and one that was never finished.
fn left_behind() -> (SimDisk, Contents) {
    let disk = SimDisk::new(7);
    let played = script::play(&disk, &options(), &mut |_| {});
    let engine = played.engine.unwrap();
    engine.flush().unwrap();
    engine.put(b"in the log", b"value").unwrap();
    engine.delete(b"k2").unwrap();
    assert!(engine.stats().tables > 1);
    let expected = store::contents(&engine).unwrap();
    assert!(expected.len() > 5, "{}", expected.len());
    drop(engine);
    disk.put_file(&store::path("stray"), b"stray");
    disk.put_file(&store::path("000000000999.sst.tmp"), b"unfinished");
    (disk.copy(), expected)
}

/// One that was closed, so that there is nothing to recover.
fn closed() -> (SimDisk, Contents) {
    let (disk, expected) = left_behind();
    store::open(&disk, &options()).unwrap().close().unwrap();
    (disk.copy(), expected)
}

fn compact(disk: &SimDisk, watch: &dyn OfflineWatch) -> Result<OfflineEnding> {
    compact_offline(disk.shared(), Path::new(DIR), options(), watch)
}

/// That the store opens, with exactly these keys, values and LSNs.
fn check(disk: &SimDisk, expected: &Contents, place: &str) {
    let engine = store::open(disk, &options())
        .unwrap_or_else(|error| panic!("{place}: it does not start: {error}"));
    let found = store::contents(&engine).unwrap();
    let difference = store::difference(&found, expected);
    assert!(difference.is_empty(), "{place}: {difference}");
    store::check_gets(&engine, &found, expected.keys()).unwrap();
}

/// Remembers the plan, and stops after so many questions.
struct Patience {
    plan: RefCell<OfflinePlan>,
    left: RefCell<u64>,
}

impl Patience {
    fn of(questions: u64) -> Patience {
        Patience {
            plan: RefCell::default(),
            left: RefCell::new(questions),
        }
    }
}

impl OfflineWatch for Patience {
    fn planned(&self, plan: &OfflinePlan) {
        *self.plan.borrow_mut() = plan.clone();
    }

    fn keep_going(&self) -> bool {
        let mut left = self.left.borrow_mut();
        *left = left.saturating_sub(1);
        *left > 0
    }
}

#[test]
fn everything_is_in_one_table_and_what_was_dropped_is_counted() {
    for (disk, expected) in [left_behind(), closed()] {
        let ending = compact(&disk, &()).unwrap();
        let OfflineEnding::Compacted(report, summary) = ending else {
            panic!("{ending:?}");
        };
        assert_eq!(summary.tables_after, 1);
        assert_eq!(summary.entries_after, expected.len() as u64);
        assert!(summary.tombstones_dropped > 0 && summary.shadowed_dropped > 0);
        assert_eq!(
            summary.entries_before,
            summary.entries_after + summary.tombstones_dropped + summary.shadowed_dropped
        );
        assert!(report.replayed_operations == 2 || report.clean_shutdown);
        // What is there afterwards hangs on no byte that was not synced.
        check(&disk.crash_image(Loss::DropAll, 0), &expected, "compacted");
    }
}

#[test]
fn a_crash_before_every_change_leaves_all_data() {
    for (disk, expected) in [left_behind(), closed()] {
        let whole = disk.copy();
        compact(&whole, &()).unwrap();
        let total = whole.changes();
        assert!(total > 20, "{total} changes");
        for at in 0..=total {
            let disk = disk.copy();
            disk.crash_at(at);
            let ended = compact(&disk, &());
            assert_eq!(ended.is_ok(), at == total, "{at} of {total}: {ended:?}");
            for loss in Loss::ALL {
                let image = disk.crash_image(loss, at);
                let place = format!("{loss:?}, crash before {}", whole.describe(at));
                check(&image.copy(), &expected, &place);
                // And done again it comes to its end.
                if loss == Loss::DropAll {
                    compact(&image, &()).unwrap();
                    check(&image, &expected, &format!("{place}, compacted again"));
                }
            }
        }
    }
}

/// The kind of each change of the whole run.
fn kinds(disk: &SimDisk) -> Vec<CallKind> {
    let whole = disk.copy();
    compact(&whole, &()).unwrap();
    let calls = whole.trace().into_iter();
    calls
        .filter(|call| call.kind.is_change())
        .map(|call| call.kind)
        .collect()
}

#[test]
fn every_change_fails_and_all_data_stays() {
    let mut failures = 0;
    for (disk, expected) in [left_behind(), closed()] {
        for (number, kind) in kinds(&disk).into_iter().enumerate() {
            for fault in FAULTS.into_iter().filter(|fault| fault.applies_to(kind)) {
                let disk = disk.copy();
                disk.fail_at(number as u64, fault);
                let ended = compact(&disk, &());
                let place = format!("{fault:?} at change {number} ({kind:?})");
                assert!(disk.fired() > 0, "{place} did not strike");
                check_failed(&disk, &expected, ended, &place);
                failures += 1;
            }
        }
    }
    assert!(failures > 100, "{failures}");
}

fn check_failed(disk: &SimDisk, expected: &Contents, ended: Result<OfflineEnding>, place: &str) {
    if let Err(error) = ended {
        let typed = matches!(
            error,
            AtlasError::Io { .. }
                | AtlasError::DiskFull { .. }
                | AtlasError::ReadOnly { .. }
                | AtlasError::OutcomeUnknown { .. }
        );
        assert!(typed, "{place}: {error:?}");
    }
    let violations = disk.violations();
    assert!(violations.is_empty(), "{place}: {violations:?}");
    for loss in [Loss::KeepAll, Loss::DropAll, Loss::RandomPages] {
        let image = disk.crash_image(loss, 1);
        check(&image, expected, &format!("{place}, then {loss:?}"));
    }
}

#[test]
fn every_read_fails_and_all_data_stays() {
    for (disk, expected) in [left_behind(), closed()] {
        let whole = disk.copy();
        compact(&whole, &()).unwrap();
        for number in 0..whole.reads() {
            for fault in [Fault::Fail(Errno::Io), Fault::Short] {
                let disk = disk.copy();
                disk.fail_read_at(number, fault);
                let ended = compact(&disk, &());
                let place = format!("{fault:?} at read {number}");
                assert!(fault != Fault::Short || ended.is_ok(), "{place}: {ended:?}");
                check_failed(&disk, &expected, ended, &place);
            }
        }
    }
}

/// The disk is full from any change on: an error, and all data there.
#[test]
fn the_disk_is_full_from_any_change_on_and_all_data_stays() {
    let (disk, expected) = left_behind();
    for number in 0..kinds(&disk).len() {
        let disk = disk.copy();
        disk.fail_from(number as u64, Fault::Fail(Errno::Full));
        let ended = compact(&disk, &());
        disk.clear_faults();
        check_failed(&disk, &expected, ended, &format!("full from {number}"));
    }
}

#[test]
fn too_little_room_is_told_before_anything_is_changed() {
    for (disk, expected) in [left_behind(), closed()] {
        let watch = Patience::of(u64::MAX);
        disk.set_capacity(Some(disk.used()));
        let before = disk.files();
        let refused = compact(&disk, &watch).unwrap_err();
        let needed = watch.plan.borrow().bytes_needed;
        assert!(
            matches!(refused, AtlasError::NoRoom { needed: told, free: 0, .. } if told == needed),
            "{refused}"
        );
        assert_eq!(disk.files(), before);
        // One byte too little is too little, and what is asked for is enough.
        disk.set_capacity(Some(disk.used() + needed - 1));
        let refused = compact(&disk, &()).unwrap_err();
        assert!(matches!(refused, AtlasError::NoRoom { .. }), "{refused}");
        assert_eq!(disk.files(), before);
        disk.set_capacity(Some(disk.used() + needed));
        compact(&disk, &()).unwrap();
        check(&disk, &expected, "with just the room that was asked for");
    }
}

#[test]
fn a_plan_changes_nothing_and_says_what_a_run_does() {
    for ((disk, _), recovers) in [(left_behind(), true), (closed(), false)] {
        let before = disk.files();
        let plan = plan_offline(&disk, Path::new(DIR), &options()).unwrap();
        assert_eq!(disk.files(), before);
        let changes = disk
            .trace()
            .into_iter()
            .filter(|call| call.kind.is_change());
        let others: Vec<_> = changes.filter(|call| call.kind != CallKind::Lock).collect();
        assert!(others.is_empty(), "{others:?}");
        assert_eq!(!plan.recovery.is_empty(), recovers, "{:?}", plan.recovery);
        assert!(!plan.compact && plan.tables > 0 && plan.tombstones > 0);
        assert_eq!(
            plan.refusal(Path::new(DIR)).map(|error| error.to_string()),
            None
        );
        // The lock is free again.
        compact(&disk, &()).unwrap();
    }
}

#[test]
fn what_is_compact_is_not_touched() {
    let (disk, expected) = left_behind();
    compact(&disk, &()).unwrap();
    let disk = disk.copy();
    disk.set_capacity(Some(0));
    let before = disk.files();
    assert_eq!(compact(&disk, &()).unwrap(), OfflineEnding::Untouched);
    assert_eq!(disk.files(), before);
    let changes = disk
        .trace()
        .into_iter()
        .filter(|call| call.kind.is_change());
    assert!(changes.into_iter().all(|call| call.kind == CallKind::Lock));
    disk.set_capacity(None);
    // A store that was opened and closed since still is, one with a write is not.
    store::open(&disk, &options()).unwrap().close().unwrap();
    assert_eq!(compact(&disk, &()).unwrap(), OfflineEnding::Untouched);
    drop(store::open(&disk, &options()).unwrap());
    assert_eq!(compact(&disk, &()).unwrap(), OfflineEnding::Untouched);
    store::open(&disk, &options())
        .unwrap()
        .put(b"k0", b"")
        .unwrap();
    let ending = compact(&disk, &()).unwrap();
    assert!(matches!(ending, OfflineEnding::Compacted(..)), "{ending:?}");
    assert_eq!(expected.len() as u64, {
        let plan = plan_offline(&disk, Path::new(DIR), &options()).unwrap();
        assert!(plan.compact, "{plan:?}");
        plan.entries
    });
}

#[test]
fn an_interruption_between_any_two_pieces_of_work_leaves_all_data() {
    for (disk, expected) in [left_behind(), closed()] {
        let mut interrupted = 0;
        for questions in 1.. {
            let disk = disk.copy();
            let ending = compact(&disk, &Patience::of(questions)).unwrap();
            let place = format!("after {questions} questions");
            let unfinished = store::named(&disk, ".tmp");
            if questions > 1 {
                assert!(unfinished.is_empty(), "{place}: {unfinished:?}");
            }
            check(&disk.crash_image(Loss::DropAll, 0), &expected, &place);
            match ending {
                OfflineEnding::Interrupted(_) => interrupted += 1,
                OfflineEnding::Compacted(..) => break,
                OfflineEnding::Untouched => panic!("{place}"),
            }
        }
        assert!(interrupted > 5, "{interrupted}");
    }
}

#[test]
fn what_cannot_be_compacted_is_refused_for_what_it_is() {
    let (disk, _) = closed();
    let dir = Path::new(DIR);
    let bad = Options {
        memtable_size: 0,
        ..options()
    };
    let refused = plan_offline(&disk, dir, &bad).unwrap_err();
    assert!(
        matches!(refused, AtlasError::InvalidOption { .. }),
        "{refused}"
    );
    let engine = store::open(&disk, &options()).unwrap();
    let refused = plan_offline(&disk, dir, &options()).unwrap_err();
    assert!(matches!(refused, AtlasError::Locked { .. }), "{refused}");
    engine.close().unwrap();
    drop(engine);
    disk.take_file(&store::path("MANIFEST"));
    let refused = plan_offline(&disk, dir, &options()).unwrap_err();
    assert!(
        matches!(refused, AtlasError::MissingManifest { .. }),
        "{refused}"
    );
}

/// Each thing that recovery would do is told, and nothing else.
#[test]
fn the_plan_tells_what_recovery_would_do() {
    let told = |disk: &SimDisk| {
        let plan = plan_offline(disk, Path::new(DIR), &options()).unwrap();
        plan.recovery.join("; ")
    };
    let (disk, _) = left_behind();
    let all = told(&disk);
    for part in ["operations to replay", "files to remove", "stray"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert!(!all.contains("a torn tail"), "{all}");
    let (disk, _) = closed();
    assert_eq!(told(&disk), "");
    let last = store::segments(&disk).pop().unwrap();
    disk.edit(&last, |bytes| *bytes.last_mut().unwrap() = 1);
    let torn = told(&disk);
    assert!(torn.starts_with("a torn tail of "), "{torn}");
    assert!(!torn.contains("files to") && !torn.contains("operations"));
}
