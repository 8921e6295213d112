//! What is counted of a segment whose entries are damaged.
#![allow(clippy::disallowed_methods, reason = "tests change files by hand")]

use std::path::PathBuf;

use super::*;
use crate::storage::disk::RealDisk;
use crate::storage::{Engine, KIB, Options, WalSyncStrategy};

/// A store whose log has one segment.
struct Place {
    home: tempfile::TempDir,
    manifest: Manifest,
    lsns: Vec<Lsn>,
}

fn place(write: impl FnOnce(&Engine, &Path) -> Vec<Lsn>) -> Place {
    let home = tempfile::tempdir().unwrap();
    let options = Options {
        sync: WalSyncStrategy::EveryWrite,
        background: false,
        segment_size: 64 * KIB,
        ..Options::default()
    };
    let engine = Engine::open(RealDisk::shared(), home.path(), options).unwrap();
    let lsns = write(&engine, home.path());
    drop(engine);
    let manifest = Manifest::load(&RealDisk, home.path()).unwrap().unwrap();
    assert_eq!(manifest.segments.len(), 1);
    Place {
        home,
        manifest,
        lsns,
    }
}

impl Place {
    fn segment(&self) -> PathBuf {
        let name = file_name::segment(self.manifest.segments[0].number);
        self.home.path().join(name)
    }

    /// Damages a write, counted from 0, and nothing beside it.
    fn damage(&self, write: usize) {
        let info = &self.manifest.segments[0];
        let mut reader = open_named(&RealDisk, self.home.path(), &self.manifest, info).unwrap();
        let mut at = reader.offset();
        for lsn in &self.lsns[..=write] {
            at = reader.offset();
            reader.next_if(*lsn).unwrap().unwrap();
        }
        let at = usize::try_from(at).unwrap();
        let mut bytes = std::fs::read(self.segment()).unwrap();
        bytes[at] ^= 0xFF;
        std::fs::write(self.segment(), bytes).unwrap();
    }

    fn walk(&self) -> FileReport {
        let (dir, manifest) = (self.home.path(), &self.manifest);
        walk(&RealDisk, dir, manifest, &manifest.segments[0])
    }
}

#[test]
fn only_what_tables_hold_is_passed_over() {
    let writes = |engine: &Engine, _: &Path| -> Vec<Lsn> {
        let writes = (0..10).map(|_| engine.put(b"key", &[7; 50]).unwrap());
        writes.collect()
    };
    let mut place = place(writes);
    place.damage(4);
    let report = place.walk();
    assert_eq!((report.entries, report.findings.len()), (Some(4), 0));
    // With tables that hold it, it is told and passed over.
    place.manifest.flushed_lsn = place.lsns[6];
    let report = place.walk();
    let lsns = report.findings[0].lsns;
    assert_eq!(lsns, Some((place.lsns[4], place.lsns[4])));
    assert!(report.entries >= Some(9), "{report:?}");
}

/// A value may hold an entry of its own segment, for whoever reads the file can write its bytes.
#[test]
fn an_older_entry_within_a_value_is_not_gone_back_to() {
    let writes = |engine: &Engine, dir: &Path| -> Vec<Lsn> {
        let first = engine.put(b"key", &[7; 50]).unwrap();
        let manifest = Manifest::load(&RealDisk, dir).unwrap().unwrap();
        let path = dir.join(file_name::segment(manifest.segments[0].number));
        let copy = std::fs::read(path).unwrap()[4096..4096 + 200].to_vec();
        let others = (0..4).map(|_| engine.put(b"key", &copy).unwrap());
        [first].into_iter().chain(others).collect()
    };
    let mut place = place(writes);
    place.manifest.flushed_lsn = place.lsns[4];
    place.damage(2);
    let report = place.walk();
    assert_eq!((report.entries, report.findings.len()), (Some(2), 0));
}
