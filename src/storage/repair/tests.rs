//! Manifests that are whole and wrong.

use std::path::Path;

use super::*;
use crate::storage::verify::{Verdict, VerifyOptions, verify};
use crate::storage::{Engine, KIB, Lsn, Options, RealDisk, WalSyncStrategy};

fn open(dir: &Path) -> Engine {
    let options = Options {
        sync: WalSyncStrategy::EveryWrite,
        memtable_size: 64 * KIB,
        segment_size: 64 * KIB,
        background: false,
        ..Options::default()
    };
    Engine::open(RealDisk::shared(), dir, options).unwrap()
}

/// What is wrong with a manifest, and how it comes to be.
type Wrong = (&'static str, fn(&mut Manifest));

/// What verify finds in it, the next repair mends, and nothing is lost.
#[test]
fn a_manifest_that_contradicts_itself_is_made_anew() {
    let changes: [Wrong; 9] = [
        ("an epoch too high", |m| m.epoch += 1),
        ("durable below flushed", |m| {
            m.durable_lsn = m.flushed_lsn.previous();
        }),
        ("durable in no epoch", |m| {
            m.durable_lsn = Lsn::epoch_start(m.epoch + 1);
        }),
        ("numbers to be given again", |m| m.next_file_number = 2),
        ("tables in the wrong order", |m| m.tables.swap(0, 1)),
        ("one table twice", |m| {
            let table = m.tables[0].clone();
            m.tables.push(table);
        }),
        ("a live table to be removed", |m| {
            m.obsolete.insert(file_name::table(m.tables[0].number));
        }),
        ("a live table to be moved", |m| {
            let from = file_name::table(m.tables[0].number);
            m.moves.push(Move {
                to: from.clone(),
                from,
            });
        }),
        ("no first segment", |m| {
            m.segments.remove(0);
        }),
    ];
    for (what, change) in changes {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data");
        let engine = open(&dir);
        for table in 0..3 {
            for number in 0..20 {
                let key = format!("key{number:03}");
                engine.put(key.as_bytes(), &[table; 20]).unwrap();
            }
            engine.flush().unwrap();
        }
        for number in 0..9 {
            let key = format!("log{number:03}");
            engine.put(key.as_bytes(), &vec![7; 16 * KIB]).unwrap();
        }
        drop(engine);
        let mut manifest = Manifest::load(&RealDisk, &dir).unwrap().unwrap();
        change(&mut manifest);
        manifest.store(&RealDisk, &dir).unwrap();
        let repair = Repair::prepare(&RealDisk, &dir).unwrap();
        assert_eq!(repair.plan().outcome, RepairOutcome::Loss, "{what}");
        repair.carry_out().unwrap();
        let report = verify(&RealDisk, &dir, VerifyOptions::default()).unwrap();
        assert_eq!(report.verdict, Verdict::Sound, "{what}: {report:#?}");
        let engine = open(&dir);
        for number in 0..20 {
            let key = format!("key{number:03}");
            let found = engine.get(key.as_bytes()).unwrap();
            assert_eq!(found.unwrap().value, &[2; 20][..], "{what}");
        }
        for number in 0..9 {
            let key = format!("log{number:03}");
            assert!(engine.get(key.as_bytes()).unwrap().is_some(), "{what}");
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a file that no store makes")]
fn a_manifest_that_is_too_large_is_told_as_that() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    drop(open(&dir));
    let manifest = std::fs::File::create(dir.join(file_name::MANIFEST)).unwrap();
    manifest.set_len(512 * 1024 * 1024 + 1).unwrap();
    let repair = Repair::prepare(&RealDisk, &dir).unwrap();
    let told = &repair.plan().files[0];
    assert_eq!(told.name, file_name::MANIFEST);
    assert!(told.detail.contains("larger than any manifest"), "{told:?}");
}

#[test]
fn a_directory_without_a_store_is_told_what_it_lacks() {
    let home = tempfile::tempdir().unwrap();
    let refused = Repair::prepare(&RealDisk, home.path()).unwrap_err();
    let refused = refused.to_string();
    assert!(
        refused.contains("no MANIFEST, table or segment"),
        "{refused}"
    );
}

/// Neither a daemon nor another repair may come in between.
#[test]
fn a_directory_that_is_in_use_is_refused_and_locked_by_the_plan() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let engine = open(&dir);
    engine.put(b"key", b"value").unwrap();
    let locked = |refused: AtlasError| {
        assert!(matches!(refused, AtlasError::Locked { .. }), "{refused}");
    };
    locked(Repair::prepare(&RealDisk, &dir).unwrap_err());
    drop(engine);
    let repair = Repair::prepare(&RealDisk, &dir).unwrap();
    locked(Repair::prepare(&RealDisk, &dir).unwrap_err());
    locked(Engine::open(RealDisk::shared(), &dir, Options::default()).unwrap_err());
    drop(repair);
    drop(open(&dir));
}

#[test]
fn a_manifest_that_is_older_than_a_segment_is_made_anew() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    drop(open(&dir));
    let older = Manifest::load(&RealDisk, &dir).unwrap().unwrap();
    open(&dir).put(b"key", b"value").unwrap();
    older.store(&RealDisk, &dir).unwrap();
    let repair = Repair::prepare(&RealDisk, &dir).unwrap();
    let told = &repair.plan().losses[0];
    assert_eq!(told.file, file_name::MANIFEST);
    assert!(told.detail.contains("older than the data"), "{told:?}");
}

fn kept(name: &str) -> QuarantinedFile {
    QuarantinedFile {
        name: name.to_owned(),
        bytes: 1,
    }
}

/// A name in quarantine may be anybody's: it must not lead to a number that no manifest may hold.
#[test]
fn a_repair_gets_a_number_that_a_manifest_may_hold() {
    let mut manifest = Manifest::new([7; 16]);
    manifest.generation = 4;
    let number = |names: &[&str]| {
        let kept: Vec<_> = names.iter().map(|name| kept(name)).collect();
        super::number(&kept, &manifest)
    };
    assert_eq!(number(&[]), 5);
    assert_eq!(number(&["repair-9.json", "repair-2.json"]), 10);
    let most = manifest::MAX_NUMBER / 2;
    let names = [most - 1, most, u64::MAX].map(|number| format!("repair-{number}.json"));
    assert_eq!(number(&[&names[0]]), most);
    assert_eq!(
        number(&[&names[1], &names[2], "repair-x.json", "repair-6"]),
        5
    );
    let numbers = [most - 1, most].map(file_name::segment);
    assert_eq!(
        evidence::highest_number(&[], &[kept(&numbers[0])]),
        most - 1
    );
    assert_eq!(evidence::highest_number(&[], &[kept(&numbers[1])]), 0);
}

/// No program of ours lists a live file to be moved; a manifest that does so must not take it away.
#[test]
fn no_live_file_is_moved() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let engine = open(&dir);
    engine.put(b"key", b"value").unwrap();
    engine.flush().unwrap();
    drop(engine);
    let mut manifest = Manifest::load(&RealDisk, &dir).unwrap().unwrap();
    let live = file_name::table(manifest.tables[0].number);
    let files = recovery::list(&RealDisk, &dir).unwrap();
    let to_move = |from: &str| Move {
        from: from.to_owned(),
        to: format!("moved-{from}"),
    };
    manifest.moves = vec![to_move(&live)];
    let nothing = (&[][..], false);
    assert_eq!(moves(&manifest, false, (&files, &[]), nothing, 1), []);
    // One that is not live goes where it was to go, unless another has the name there.
    manifest.tables.clear();
    let planned = moves(&manifest, false, (&files, &[]), nothing, 1);
    assert_eq!(planned, [to_move(&live)]);
    let there = [kept(&format!("moved-{live}"))];
    let planned = moves(&manifest, false, (&files, &there), nothing, 1);
    assert_eq!(planned[0].to, format!("repair-1.{live}"));
}
