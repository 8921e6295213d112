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
