//! Whoever must wait for another waits: each lock is held by the test while a step that needs it is tried.
#![allow(clippy::disallowed_methods, reason = "test code")]

use std::sync::mpsc::{self, RecvTimeoutError};

use super::*;
use crate::storage::disk::RealDisk;
use crate::storage::durability::CurrentReaders;
use crate::storage::reserve::Held;
use crate::storage::{KIB, Lsn};

/// A step that did not wait would be done long before. With the lock in place nothing depends on it.
const MOMENT: Duration = Duration::from_millis(200);

fn place() -> (tempfile::TempDir, Engine) {
    let home = tempfile::tempdir().unwrap();
    let options = Options {
        background: false,
        compaction_trigger: 2,
        segment_size: 64 * KIB,
        ..Options::default()
    };
    let engine = Engine::open(Arc::new(RealDisk), home.path(), options).unwrap();
    for _ in 0..2 {
        engine.put(b"key", b"value").unwrap();
        engine.flush().unwrap();
    }
    engine.put(b"key", b"value").unwrap();
    engine.core.seal(&mut lock(&engine.core.writer)).unwrap();
    (home, engine)
}

/// Tries a step while the test is in `held`.
fn waits(what: &str, held: impl FnOnce(&mut dyn FnMut()), step: impl FnOnce() + Send) {
    let (start, started) = mpsc::channel::<()>();
    let (done, told) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            started.recv().unwrap();
            step();
            done.send(()).unwrap();
        });
        let mut early = Ok(());
        held(&mut || {
            start.send(()).unwrap();
            early = told.recv_timeout(MOMENT);
        });
        assert_eq!(early, Err(RecvTimeoutError::Timeout), "{what} did not wait");
        told.recv().unwrap();
    });
}

fn waits_for<T>(what: &str, mutex: &Mutex<T>, step: impl FnOnce() + Send) {
    let held = |meanwhile: &mut dyn FnMut()| {
        let _held = lock(mutex);
        meanwhile();
    };
    waits(what, held, step);
}

#[test]
fn flushes_and_compactions_go_one_at_a_time() {
    let (_home, engine) = place();
    let core = &engine.core;
    waits_for("a flush", &core.flushing, || {
        assert!(core.flush_oldest().unwrap());
    });
    waits_for("a compaction", &core.compacting, || {
        assert!(core.compact_once().unwrap());
    });
    engine.delete(b"key").unwrap();
    engine.flush().unwrap();
    waits_for("a compaction of all", &core.compacting, || {
        core.compact_all(&|| true).unwrap();
    });
    assert_eq!(core.view().tables.len(), 0);
}

/// What is noted of the reserve must not undo what whoever makes or removes it is about to say.
#[test]
fn what_is_noted_of_the_reserve_waits_for_its_turn() {
    let (_home, engine) = place();
    let reserve = &engine.core.reserve;
    let held = |meanwhile: &mut dyn FnMut()| reserve.in_turn(meanwhile);
    waits("a note that it is used", held, || reserve.note_use());
    waits("a note that it is spent", held, || reserve.note_spent());
}

/// A merge that is under way ends for whoever needs its room, and begins anew once that is done.
#[test]
fn a_merge_gives_way_and_begins_anew() {
    let (_home, engine) = place();
    let core = &engine.core;
    let tables = core.view().tables.clone();
    let first = core.manifest().manifest.next_file_number;
    let in_the_way = std::sync::Once::new();
    std::thread::scope(|scope| {
        let wanted = || {
            in_the_way.call_once(|| {
                scope.spawn(|| drop(core.merging.stop()));
                while !core.merging.is_in_the_way() {
                    std::thread::yield_now();
                }
            });
            true
        };
        core.merge(&tables, 0..tables.len(), &wanted).unwrap();
    });
    assert!(in_the_way.is_completed());
    // A number for each of two tables that were begun.
    assert_eq!(core.manifest().manifest.next_file_number, first + 2);
    let stopped = core.merging.stop();
    let held = |meanwhile: &mut dyn FnMut()| {
        meanwhile();
        drop(stopped);
    };
    waits("a merge, for whoever needs its room,", held, || {
        drop(core.merging.begin());
    });
}

/// Whoever frees the reserve notes the full disk after it: a resume in between must not undo that.
#[test]
fn a_resume_asks_for_the_reserve_in_its_turn() {
    let (_home, engine) = place();
    let core = &engine.core;
    let full = std::io::ErrorKind::StorageFull.into();
    core.refuse_full(&AtlasError::io("write", "a file".as_ref(), full));
    let held = |meanwhile: &mut dyn FnMut()| {
        let _full = lock(&core.disk_full);
        meanwhile();
        core.reserve.set(Held::Nothing);
    };
    waits("a resume", held, || core.resume());
    assert!(core.disk_full().is_some());
}

/// What is freed for a flush or a delete is theirs until they have tried again.
#[test]
fn what_is_freed_for_one_is_not_held_back_by_another() {
    let (_home, engine) = place();
    let core = &engine.core;
    let full = || {
        AtlasError::io(
            "write",
            "a file".as_ref(),
            std::io::ErrorKind::StorageFull.into(),
        )
    };
    while core.flush_oldest().unwrap() {}
    let mut tries = 0;
    let work = || {
        tries += 1;
        core.try_resume().unwrap();
        if tries > 2 {
            assert!(core.reserve.is_in_use(), "it is held back again");
            return Ok(());
        }
        Err(full())
    };
    core.with_reserve(work).unwrap();
    core.try_resume().unwrap();
    assert_eq!(core.reserve.held(), Held::All);
    assert!(core.disk_full().is_none());
}

/// Where there is room for it and for the merge, puts need not wait for the end of a merge.
#[test]
fn writing_resumes_beside_a_merge_that_has_room() {
    let (_home, engine) = place();
    let core = &engine.core;
    while core.flush_oldest().unwrap() {}
    let full = std::io::ErrorKind::StorageFull.into();
    assert!(core.free_reserve(&AtlasError::io("write", "a file".as_ref(), full)));
    let _merge = lock(&core.compacting);
    core.try_resume().unwrap();
    assert_eq!(core.reserve.held(), Held::All);
    assert!(core.disk_full().is_none());
}

#[test]
fn the_end_waits_for_whoever_is_at_work() {
    let (_home, engine) = place();
    let core = &engine.core;
    waits_for("the end, for a flush,", &core.flushing, || core.end());
    waits_for("the end, for a compaction,", &core.compacting, || {
        core.end();
    });
    waits_for("the end, for a write,", &core.writer, || core.end());
}

/// A write is in the memtable and can be waited for before a scan can hold its LSN.
#[test]
fn a_snapshot_waits_for_a_write_to_be_published() {
    let (_home, engine) = place();
    let core = &engine.core;
    let readers = CurrentReaders {
        durability: &core.durability,
        snapshots: &core.snapshots,
        writing: Lsn::MAX,
    };
    let view = core.view();
    let held = |meanwhile: &mut dyn FnMut()| view.active.apply(&[], Lsn::MAX, &readers, meanwhile);
    waits("a scan", held, || drop(core.snapshot()));
}
