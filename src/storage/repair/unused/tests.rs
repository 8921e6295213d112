//! Which LSNs of a segment are named.
#![allow(clippy::disallowed_methods, reason = "tests change files by hand")]

use super::*;
use crate::storage::disk::RealDisk;
use crate::storage::table::TableInfo;
use crate::storage::{Engine, KIB, Options, WalSyncStrategy};

/// A log of five entries, the fourth of which is a mark, and where they begin.
struct Place {
    home: tempfile::TempDir,
    manifest: Manifest,
    lsns: Vec<Lsn>,
    places: Vec<u64>,
}

fn place() -> Place {
    let home = tempfile::tempdir().unwrap();
    let options = Options {
        sync: WalSyncStrategy::Interval { ms: 1 },
        background: false,
        segment_size: 64 * KIB,
        ..Options::default()
    };
    let engine = Engine::open(RealDisk::shared(), home.path(), options).unwrap();
    for _ in 0..3 {
        engine.put(b"key", b"value").unwrap();
    }
    engine.maintain().unwrap();
    engine.put(b"key", b"value").unwrap();
    drop(engine);
    let manifest = Manifest::load(&RealDisk, home.path()).unwrap().unwrap();
    let info = &manifest.segments[0];
    let reader = log::open(&RealDisk, home.path(), &manifest, info);
    let mut reader = reader.unwrap().unwrap();
    let (mut lsns, mut places, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let start = reader.offset();
        let Some(entry) = reader.next_any().unwrap() else {
            break;
        };
        marks.push(entry.operations.is_empty());
        lsns.push(entry.lsn);
        places.push(start);
    }
    assert_eq!(marks, [false, false, false, true, false]);
    Place {
        home,
        manifest,
        lsns,
        places,
    }
}

impl Place {
    fn cover(&mut self, first: Lsn, last: Lsn) {
        self.manifest.tables.push(TableInfo {
            number: 99,
            file_id: 1,
            size: 1,
            checksum: 1,
            entries: 1,
            tombstones: 0,
            min_key: b"key".to_vec(),
            max_key: b"key".to_vec(),
            min_lsn: first,
            max_lsn: last,
        });
    }

    fn damage(&self, entry: usize) {
        let name = file_name::segment(self.manifest.segments[0].number);
        let path = self.home.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[usize::try_from(self.places[entry]).unwrap()] ^= 0xFF;
        std::fs::write(path, bytes).unwrap();
    }

    fn spans(&self) -> Vec<(Lsn, Lsn)> {
        let info = &self.manifest.segments[0];
        spans((&RealDisk, self.home.path()), &self.manifest, info, false).unwrap()
    }
}

#[test]
fn a_mark_among_writes_counts_with_them() {
    let place = place();
    assert_eq!(place.spans(), [(place.lsns[0], place.lsns[4])]);
}

/// What tables have, or what cannot be read, is not named, whatever stands behind it.
#[test]
fn a_mark_behind_a_hole_does_not_bridge_it() {
    let mut covered = place();
    covered.cover(covered.lsns[1], covered.lsns[2]);
    let damaged = place();
    damaged.damage(1);
    damaged.damage(2);
    for place in [covered, damaged] {
        let (first, last) = (place.lsns[0], place.lsns[4]);
        assert_eq!(place.spans(), [(first, first), (last, last)]);
    }
}
