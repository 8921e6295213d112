//! Deleted keys and compactions of every range of tables, whatever the policy would choose; their pauses.
#![allow(clippy::disallowed_methods, reason = "tests copy files by hand")]

use std::collections::BTreeMap;

use super::*;
use crate::storage::disk::RealDisk;
use crate::storage::shortage::{Room, Shortage};
use crate::storage::{KIB, compact_offline, file_name};

const TABLES: usize = 4;

/// The longest pause of a merge that found no room.
const LONG: Duration = Duration::from_secs(300);

/// What a table holds of a key.
const STATES: usize = 3;

/// By key its value, or none when it was deleted or never there.
type Expected = BTreeMap<String, Option<Vec<u8>>>;

fn open(dir: &Path) -> Engine {
    let options = Options {
        background: false,
        segment_size: 64 * KIB,
        ..Options::default()
    };
    Engine::open(Arc::new(RealDisk), dir, options).unwrap()
}

/// Makes a store with four tables and a key for each way in which they can hold it: not, as a value, or deleted.
fn fill(dir: &Path) -> Expected {
    let engine = open(dir);
    let mut expected = Expected::new();
    let ways = STATES.pow(u32::try_from(TABLES).unwrap());
    let mut digit = 1;
    for table in 0..TABLES {
        for way in 0..ways {
            let key = format!("key{way:02}");
            let entry = expected.entry(key.clone()).or_default();
            match way / digit % STATES {
                0 => continue,
                1 => *entry = Some(format!("of table {table}").into_bytes()),
                _ => *entry = None,
            }
            match entry {
                Some(value) => engine.put(key.as_bytes(), value).unwrap(),
                None => engine.delete(key.as_bytes()).unwrap(),
            };
        }
        engine.flush().unwrap();
        digit *= STATES;
    }
    assert_eq!(engine.core.view().tables.len(), TABLES);
    expected
}

/// A copy of a store without an open engine.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn check(engine: &Engine, expected: &Expected, what: &str) {
    for (key, value) in expected {
        let found = engine.get(key.as_bytes()).unwrap();
        let found = found.map(|found| found.value.to_vec());
        assert_eq!(&found, value, "{what}: {key}");
    }
}

/// Every range of so many tables.
fn ranges(tables: usize) -> Vec<std::ops::Range<usize>> {
    (0..tables)
        .flat_map(|start| (start + 1..=tables).map(move |end| start..end))
        .collect()
}

#[test]
fn deleted_keys_stay_deleted_whichever_tables_are_merged() {
    let root = tempfile::tempdir().unwrap();
    let filled = root.path().join("filled");
    let expected = fill(&filled);
    for first in ranges(TABLES) {
        for second in ranges(TABLES + 1 - first.len()) {
            let what = format!("tables {first:?} merged, then {second:?}");
            let dir = root.path().join(what.replace(' ', "-"));
            copy(&filled, &dir);
            let mut engine = open(&dir);
            for range in [&first, &second] {
                let tables = engine.core.view().tables.clone();
                if range.end <= tables.len() {
                    engine.core.merge(&tables, range.clone(), &|| true).unwrap();
                }
                check(&engine, &expected, &what);
                drop(engine);
                engine = open(&dir);
                check(&engine, &expected, &what);
            }
            drop(engine);
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
}

/// However long the pause has become.
#[test]
fn a_compaction_that_found_no_room_waits_no_longer_than_until_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        background: false,
        segment_size: 64 * KIB,
        compaction_trigger: 2,
        ..Options::default()
    };
    let engine = Engine::open(Arc::new(RealDisk), dir.path(), options).unwrap();
    let core = &engine.core;
    let no_room = |is_full, free| Shortage::new(String::new(), 1, Room { is_full, free }, LONG);
    for (shortage, waits) in [
        (no_room(true, None), false),
        (no_room(false, Some(0)), false),
        (no_room(false, None), true),
    ] {
        for _ in 0..2 {
            engine.put(b"key", b"value").unwrap();
            engine.flush().unwrap();
        }
        let what = format!("{shortage:?}");
        *lock(&core.shortage) = Some(shortage);
        assert_eq!(core.compact_once().unwrap(), !waits, "{what}");
        assert_eq!(core.shortage().is_some(), waits, "{what}");
    }
}

/// A merge that finds no room must not keep flushes, which make room, waiting.
#[test]
fn on_a_full_disk_flushes_wait_for_twice_as_many_tables() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        background: false,
        segment_size: 64 * KIB,
        compaction_trigger: 2,
        max_tables: TABLES,
        ..Options::default()
    };
    let engine = Engine::open(Arc::new(RealDisk), dir.path(), options).unwrap();
    let full = AtlasError::io("write", dir.path(), io::ErrorKind::StorageFull.into());
    let no_room = Room {
        is_full: false,
        free: None,
    };
    for (tables, behind, behind_when_full) in [
        (TABLES - 1, false, false),
        (TABLES, true, false),
        (2 * TABLES - 1, true, false),
        (2 * TABLES, true, true),
    ] {
        engine.core.resume();
        while engine.core.view().tables.len() < tables {
            engine.put(b"key", b"value").unwrap();
            engine.flush().unwrap();
        }
        let view = engine.core.view();
        assert_eq!(engine.core.is_behind(&view), behind, "{tables}");
        engine.core.refuse_full(&full);
        assert_eq!(engine.core.is_behind(&view), behind_when_full, "{tables}");
        // The same while the last merge found no room on a disk that does not count as full.
        engine.core.resume();
        let shortage = Shortage::new(String::new(), 1, no_room, LONG);
        *lock(&engine.core.shortage) = Some(shortage);
        assert_eq!(engine.core.is_behind(&view), behind_when_full, "{tables}");
        engine.core.end_shortage(u64::MAX);
    }
}

/// Two find no room at once: what one of them frees is there for the other as well.
#[test]
fn room_that_another_has_just_freed_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let core = &engine.core;
    let full = || AtlasError::io("write", dir.path(), io::ErrorKind::StorageFull.into());
    let mut tries = 0;
    let late = || {
        tries += 1;
        if tries == 2 {
            assert!(core.free_reserve(&full()), "another finds no room");
        }
        if tries > 2 { Ok(()) } else { Err(full()) }
    };
    core.with_reserve(late).unwrap();
    // Once more in the room of merges, and not again before something was written.
    for expected in [2, 1, 1] {
        let mut tries = 0;
        let never = || {
            tries += 1;
            Err::<(), _>(full())
        };
        core.with_reserve(never).unwrap_err();
        assert_eq!(tries, expected);
    }
    core.reserve.note_use();
    core.with_reserve(|| Ok(())).unwrap();
}

/// Sections of a lone table, damaged: a byte of its locator, its directory and its only partition.
#[test]
fn a_compaction_makes_damaged_sections_of_a_lone_table_anew() {
    const LOCATOR_AND_FOOTER: usize = 48;
    for (offline, part) in [0, 1, 2].map(|part| [(false, part), (true, part)]).concat() {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        engine.put(b"key", b"value").unwrap();
        engine.compact().unwrap();
        let number = engine.core.view().tables[0].info().number;
        engine.close().unwrap();
        let path = dir.path().join(file_name::table(number));
        let mut bytes = std::fs::read(&path).unwrap();
        let locator = bytes.len() - LOCATOR_AND_FOOTER;
        let entries_end = u64::from_le_bytes(bytes[locator..locator + 8].try_into().unwrap());
        let partition = usize::try_from(entries_end).unwrap();
        bytes[[locator + 9, locator - 1, partition + 5][part]] ^= 1;
        std::fs::write(&path, bytes).unwrap();

        let engine = open(dir.path());
        assert!(matches!(
            engine.get(b"key"),
            Err(AtlasError::Corrupt { .. })
        ));
        if offline {
            engine.close().unwrap();
            let disk: Arc<dyn Disk> = Arc::new(RealDisk);
            let options = Options::default();
            let plan = compact_offline::plan_offline(&*disk, dir.path(), &options).unwrap();
            assert!(!plan.compact, "{plan:?}");
            compact_offline::compact_offline(disk, dir.path(), options, &()).unwrap();
        } else {
            engine.compact().unwrap();
            engine.close().unwrap();
        }
        let engine = open(dir.path());
        assert_eq!(engine.get(b"key").unwrap().unwrap().value, "value");
        let sound = engine.core.view().tables[0].info().number;
        engine.compact().unwrap();
        let number = engine.core.view().tables[0].info().number;
        assert_eq!(number, sound, "sound sections are left as they are");
        engine.close().unwrap();
    }
}
