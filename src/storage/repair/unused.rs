//! Writes that can be read in the log, that a manifest made anew does not replay, and that no table has for
//! all that the files tell.
//!
//! Tables are taken to have whatever counts of the LSNs before their end, for nothing is flushed before what was
//! written before it. If a table is gone they do not, and then such a segment is the only place that tells of it.

use std::path::Path;

use super::log;
use super::plan::{FileAction, Findings, Loss, LsnSpan};
use crate::storage::Lsn;
use crate::storage::disk::Disk;
use crate::storage::error::Result;
use crate::storage::file_name;
use crate::storage::manifest::{Manifest, SegmentInfo};

const CONSEQUENCE: &str = "these writes are older than what is live, and no live table spans their LSNs: they \
                           are not used. They are lost if a table is gone, and count for nothing if they were \
                           overwritten or deleted before they would have come to one";

/// Names what is not used of these segments.
pub(super) fn name<'a>(
    (disk, dir): (&dyn Disk, &Path),
    manifest: &Manifest,
    segments: impl Iterator<Item = &'a SegmentInfo>,
    findings: &mut Findings,
) -> Result<()> {
    for info in segments {
        let file = file_name::segment(info.number);
        let is_live = manifest.is_live(&file);
        let spans = spans((disk, dir), manifest, info, is_live)?;
        if !is_live {
            let detail = "nothing in it is replayed: it is of an earlier epoch than the log";
            findings.file(file.clone(), FileAction::SetAside, Some(0), detail);
        }
        let losses = spans.into_iter().map(|(first, last)| Loss {
            file: file.clone(),
            entries: Some(last.as_u64() - first.as_u64() + 1),
            lsns: Some(LsnSpan {
                first,
                last: Some(last),
            }),
            keys: Vec::new(),
            detail: CONSEQUENCE.to_owned(),
        });
        findings.losses.extend(losses);
    }
    Ok(())
}

/// The LSNs of those writes; marks among them count with them.
fn spans(
    (disk, dir): (&dyn Disk, &Path),
    manifest: &Manifest,
    info: &SegmentInfo,
    is_live: bool,
) -> Result<Vec<(Lsn, Lsn)>> {
    let mut spans: Vec<(Lsn, Lsn)> = Vec::new();
    let Some(mut reader) = log::open(disk, dir, manifest, info)? else {
        return Ok(spans);
    };
    // The last LSN so far that no table has, and whether the last span reaches it.
    let (mut reaches, mut is_open) = (None, false);
    log::each_entry(&mut reader, Lsn::MAX, &mut |entry| {
        let lsn = entry.lsn;
        let is_replayed = is_live && lsn > manifest.flushed_lsn;
        let mut tables = manifest.tables.iter();
        if is_replayed || tables.any(|table| table.min_lsn <= lsn && lsn <= table.max_lsn) {
            return;
        }
        is_open &= reaches.replace(lsn).and_then(Lsn::next) == Some(lsn);
        if entry.operations == 0 {
            return;
        }
        match spans.last_mut().filter(|_| is_open) {
            Some((_, last)) => *last = lsn,
            None => spans.push((lsn, lsn)),
        }
        is_open = true;
    })?;
    Ok(spans)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests change files by hand")]
mod tests {
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
}
