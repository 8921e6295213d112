//! What is judged of a log whose manifest was changed by hand.
#![allow(clippy::disallowed_methods, reason = "tests change files by hand")]

use std::ops::Range;

use super::*;
use crate::storage::disk::RealDisk;
use crate::storage::manifest::SegmentEnd;
use crate::storage::{Engine, KIB, Options, WalSyncStrategy, recovery};

/// Writes in the log of a closed directory, counted from 1.
const WRITES: usize = 10;

struct Place {
    home: tempfile::TempDir,
    manifest: Manifest,
    lsns: Vec<Lsn>,
}

fn place(sync: WalSyncStrategy) -> Place {
    let home = tempfile::tempdir().unwrap();
    let options = Options {
        sync,
        background: false,
        segment_size: 64 * KIB,
        ..Options::default()
    };
    let engine = Engine::open(RealDisk::shared(), home.path(), options).unwrap();
    let writes = (0..WRITES).map(|_| engine.put(b"key", &[7; 50]).unwrap());
    let lsns = writes.collect();
    drop(engine);
    let manifest = Manifest::load(&RealDisk, home.path()).unwrap().unwrap();
    Place {
        home,
        manifest,
        lsns,
    }
}

impl Place {
    fn examine(&self) -> Result<Log> {
        let files = recovery::list(&RealDisk, self.home.path()).unwrap();
        let mut progress = Replaying::new(None);
        let dir = self.home.path();
        examine(&RealDisk, dir, &self.manifest, &files, &mut progress)
    }

    /// Where these writes stand in the segment.
    fn bytes_of(&self, writes: Range<usize>) -> Range<usize> {
        let info = &self.manifest.segments[0];
        let mut reader = open_named(&RealDisk, self.home.path(), &self.manifest, info).unwrap();
        let mut places = vec![reader.offset()];
        for lsn in &self.lsns {
            reader.next_if(*lsn).unwrap().unwrap();
            places.push(reader.offset());
        }
        let place = |write: usize| usize::try_from(places[write - 1]).unwrap();
        place(writes.start)..place(writes.end)
    }

    fn damage(&self, place: Range<usize>) {
        let name = file_name::segment(self.manifest.segments[0].number);
        let path = self.home.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[place].fill(0xAA);
        std::fs::write(&path, bytes).unwrap();
    }

    /// Has the manifest say that tables hold everything up to a write.
    fn cover(&mut self, write: usize) {
        self.manifest.flushed_lsn = self.lsns[write - 1];
        self.manifest.durable_lsn = self.lsns[write - 1];
    }
}

#[test]
fn a_log_that_begins_after_what_tables_hold_is_refused() {
    let mut place = place(WalSyncStrategy::EveryWrite);
    place.examine().unwrap();
    place.manifest.flushed_lsn = Lsn::epoch_start(0);
    let refused = place.examine().unwrap_err();
    assert!(
        matches!(refused, AtlasError::MissingFile { .. }),
        "{refused}"
    );
}

#[test]
fn damage_is_passed_over_only_as_far_as_tables_hold_what_stood_there() {
    let mut place = place(WalSyncStrategy::EveryWrite);
    place.cover(5);
    let (covered, needed) = (place.bytes_of(3..5), place.bytes_of(5..7));
    place.damage(covered);
    let log = place.examine().unwrap();
    assert_eq!(log.last_lsn, place.lsns[WRITES - 1]);
    assert!(log.notes[0].contains("tables cover"), "{:?}", log.notes);
    place.damage(needed);
    let refused = place.examine().unwrap_err();
    let missing = place.lsns[5];
    let is_named =
        matches!(&refused, AtlasError::SyncedDataDamaged { missing: it, .. } if *it == missing);
    assert!(is_named, "{refused}");
}

#[test]
fn writes_that_were_never_synced_and_are_lost_are_told() {
    let mut place = place(WalSyncStrategy::OsDefault);
    let kept = place.bytes_of(1..8).end;
    place.damage(place.bytes_of(8..WRITES));
    place.manifest.segments[0].closed = Some(SegmentEnd {
        offset: count(kept),
        last_lsn: place.lsns[WRITES - 1],
    });
    let log = place.examine().unwrap();
    assert_eq!(log.last_lsn, place.lsns[6]);
    let told = format!("LSN {} to {} were", place.lsns[7], place.lsns[WRITES - 1]);
    assert!(log.notes.concat().contains(&told), "{:?}", log.notes);
}

/// A segment stands under its own name: nonce and LSNs alone would let it pass for another of the same store.
#[test]
fn a_segment_under_another_number_is_refused() {
    let place = place(WalSyncStrategy::OsDefault);
    let dir = place.home.path();
    let number = place.manifest.segments[0].number;
    let path = |number| dir.join(crate::storage::file_name::segment(number));
    SegmentReader::open(&RealDisk, dir, number).unwrap();
    std::fs::copy(path(number), path(number + 1)).unwrap();
    let refused = SegmentReader::open(&RealDisk, dir, number + 1).unwrap_err();
    assert!(
        matches!(&refused, AtlasError::Corrupt { detail, .. } if detail.contains("file number")),
        "{refused}"
    );
}
