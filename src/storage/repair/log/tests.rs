//! What is found and chosen of a log, one condition at a time.
#![allow(clippy::disallowed_methods, reason = "tests change files by hand")]

use std::path::PathBuf;

use super::*;
use crate::storage::disk::RealDisk;
use crate::storage::manifest::SegmentEnd;
use crate::storage::repair::{Repair, RepairOutcome};
use crate::storage::{Engine, KIB, Options, WalSyncStrategy, recovery};

/// Writes in the log of a closed directory, counted from 1.
const WRITES: usize = 10;

/// A log in one segment of which nothing proves that it was synced.
struct Place {
    home: tempfile::TempDir,
    manifest: Manifest,
    lsns: Vec<Lsn>,
    /// Where each write begins, and where the last one ends.
    places: Vec<u64>,
}

fn place() -> Place {
    let home = tempfile::tempdir().unwrap();
    let options = Options {
        sync: WalSyncStrategy::OsDefault,
        background: false,
        segment_size: 64 * KIB,
        ..Options::default()
    };
    let engine = Engine::open(RealDisk::shared(), home.path(), options).unwrap();
    let writes = (0..WRITES).map(|_| engine.put(b"key", &[7; 50]).unwrap());
    let lsns: Vec<Lsn> = writes.collect();
    drop(engine);
    let manifest = Manifest::load(&RealDisk, home.path()).unwrap().unwrap();
    let info = &manifest.segments[0];
    let mut reader = open(&RealDisk, home.path(), &manifest, info)
        .unwrap()
        .unwrap();
    let mut places = vec![reader.offset()];
    for lsn in &lsns {
        reader.next_if(*lsn).unwrap().unwrap();
        places.push(reader.offset());
    }
    Place {
        home,
        manifest,
        lsns,
        places,
    }
}

impl Place {
    fn lsn(&self, write: usize) -> Lsn {
        self.lsns[write - 1]
    }

    fn segment(&self) -> PathBuf {
        let name = file_name::segment(self.manifest.segments[0].number);
        self.home.path().join(name)
    }

    fn edit(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.segment()).unwrap();
        change(&mut bytes);
        std::fs::write(self.segment(), bytes).unwrap();
    }

    fn damage(&self, writes: std::ops::RangeInclusive<usize>) {
        for write in writes {
            let at = usize::try_from(self.places[write - 1]).unwrap();
            self.edit(|bytes| bytes[at] ^= 0xFF);
        }
    }

    /// Cuts the segment so many bytes behind the last write.
    fn cut(&self, behind: usize) {
        let end = usize::try_from(self.places[WRITES]).unwrap();
        self.edit(|bytes| bytes.truncate(end + behind));
    }

    fn survey(&self) -> Survey {
        let files = recovery::list(&RealDisk, self.home.path()).unwrap();
        Survey::make(&RealDisk, self.home.path(), &self.manifest, &files).unwrap()
    }

    fn choose(&self) -> (LogPlan, Findings) {
        let mut findings = Findings::default();
        let plan = self.survey().choose(&self.manifest, &mut findings);
        (plan, findings)
    }

    /// What a repair comes to with the manifest as it is now.
    fn outcome(&self) -> RepairOutcome {
        self.manifest.store(&RealDisk, self.home.path()).unwrap();
        let repair = Repair::prepare(&RealDisk, self.home.path()).unwrap();
        repair.plan().outcome
    }
}

#[test]
fn a_segment_that_tables_hold_in_part_is_written_anew_only_when_it_is_damaged() {
    let mut place = place();
    place.manifest.flushed_lsn = place.lsn(5);
    place.manifest.durable_lsn = place.lsn(5);
    assert_eq!(place.outcome(), RepairOutcome::Nothing);
    assert!(!place.survey().covered_damage);
    place.damage(3..=3);
    assert!(place.survey().covered_damage);
    assert_eq!(place.outcome(), RepairOutcome::Lossless);
}

#[test]
fn only_a_segment_that_is_too_short_proves_where_it_ended() {
    let mut place = place();
    place.damage(8..=WRITES);
    let before = place.manifest.durable_lsn;
    place.manifest.segments[0].closed = Some(SegmentEnd {
        offset: place.places[WRITES],
        last_lsn: place.lsn(WRITES),
    });
    assert_eq!(place.survey().proven, before);
    let end = usize::try_from(place.places[WRITES]).unwrap();
    place.edit(|bytes| bytes.truncate(end - 1));
    assert_eq!(place.survey().proven, place.lsn(WRITES));
}

#[test]
fn zeros_behind_the_last_entry_are_the_end_of_the_log() {
    let place = place();
    assert_eq!(place.survey().unknown_from, None);
    place.cut(MARK_SIZE);
    assert_eq!(place.survey().unknown_from, None);
    place.cut(MARK_SIZE - 1);
    let name = file_name::segment(place.manifest.segments[0].number);
    let next = place.lsn(WRITES).next().unwrap();
    assert_eq!(place.survey().unknown_from, Some((name, next)));
}

#[test]
fn bytes_behind_the_last_entry_of_a_short_segment_may_have_been_one() {
    let place = place();
    place.cut(MARK_SIZE);
    place.edit(|bytes| *bytes.last_mut().unwrap() = 1);
    assert!(place.survey().unknown_from.is_some());
}

#[test]
fn what_stands_behind_a_gap_that_nothing_proves_is_a_torn_tail() {
    let mut place = place();
    place.manifest.durable_lsn = place.lsn(5);
    place.damage(4..=7);
    let (plan, findings) = place.choose();
    assert_eq!((plan.last, plan.whole_to), (place.lsn(3), place.lsn(3)));
    // What is lost is told once: up to where it is proven.
    let spans = findings.losses.iter().map(|loss| loss.lsns.unwrap());
    let lost = LsnSpan {
        first: place.lsn(4),
        last: Some(place.lsn(5)),
    };
    assert_eq!(spans.collect::<Vec<_>>(), [lost]);
    let told = format!("from LSN {} on", place.lsn(8));
    assert!(findings.notes[0].starts_with(&told), "{:?}", findings.notes);
}

#[test]
fn what_is_kept_behind_a_gap_is_not_whole() {
    let mut place = place();
    place.manifest.durable_lsn = place.lsn(7);
    place.damage(4..=7);
    let (plan, findings) = place.choose();
    assert_eq!(
        (plan.last, plan.whole_to),
        (place.lsn(WRITES), place.lsn(3))
    );
    assert_eq!(findings.losses.len(), 1, "{:?}", findings.losses);
    let plan = place_without_damage();
    assert_eq!(plan.last, plan.whole_to);
}

fn place_without_damage() -> LogPlan {
    place().choose().0
}

#[test]
fn a_newer_or_unreadable_header_is_no_damaged_one() {
    let place = place();
    let info = &place.manifest.segments[0];
    let open = || open(&RealDisk, place.home.path(), &place.manifest, info);
    place.edit(|bytes| bytes[20] ^= 1);
    assert!(open().unwrap().is_some());
    place.edit(|bytes| bytes[20] ^= 1);
    place.edit(|bytes| {
        bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
        let sum = crate::storage::codec::Checksum::new()
            .add(&bytes[..12])
            .add(&bytes[16..4096])
            .finish();
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    });
    let refused = open().unwrap_err();
    assert!(
        matches!(refused, AtlasError::NewerFormat { found: 2, .. }),
        "{refused}"
    );
    std::fs::remove_file(place.segment()).unwrap();
    assert!(open().unwrap().is_none());
}
