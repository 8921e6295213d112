//! A start on a disk that has no room for tables of all that the log holds: as a running store would have done,
//! it first removes what the durable manifest lists as obsolete, then writes the oldest segment to tables, alone,
//! and gives its room back. Every step ends in a state that a flush leaves, from which any start goes on.

use std::path::Path;

use super::{RecoveryReport, announce, discard_new, pass_taken_numbers};
use crate::storage::disk::{self, Disk};
use crate::storage::error::{AtlasError, Result};
use crate::storage::event::ReplayStep;
use crate::storage::examine::{Extent, Log};
use crate::storage::manifest::Manifest;
use crate::storage::progress::Replaying;
use crate::storage::replay::{Replay, Replayed};
use crate::storage::table;
use crate::storage::wal::reader::SegmentReader;
use crate::storage::{DirEntry, Lsn, Options, file_name};

/// What was done to make room, for the report.
#[derive(Debug, Default)]
pub(super) struct Relief {
    /// Segments that were written to tables one by one.
    segments: u64,
    operations: u64,
}

impl Relief {
    /// Makes room after `error` ended an attempt, whose files are removed already: `Ok(None)` when there is more
    /// of it now, `error` when that was no remedy or none can be made. `durable` is the manifest in force.
    pub(super) fn make_room<T>(
        &mut self,
        (disk, dir): (&dyn Disk, &Path),
        options: &Options,
        (durable, log, files): (Manifest, &Log, &[DirEntry]),
        error: AtlasError,
    ) -> Result<Option<T>> {
        if !error.is_out_of_space() || error.leaves_outcome_open() {
            return Err(error);
        }
        if remove_obsolete(disk, dir, &durable, files)? {
            return Ok(None);
        }
        // Only a segment that others follow is known to end where its last entry does.
        let [oldest, _, ..] = log.segments.as_slice() else {
            return Err(error);
        };
        let mut next = durable;
        pass_taken_numbers(&mut next, files);
        let first = next.next_file_number;
        let flushed = flush_segment((disk, dir), options, &mut next, oldest);
        let operations = flushed
            .inspect_err(|error| discard_new(disk, dir, first..next.next_file_number, error))?;
        self.segments += 1;
        self.operations += operations;
        remove(disk, dir, [file_name::segment(oldest.number)].iter())?;
        Ok(None)
    }

    /// Adds what was done to the report of the attempt that succeeded.
    pub(super) fn report(&self, report: &mut RecoveryReport) {
        report.segments += self.segments;
        report.replayed_operations += self.operations;
        if self.segments > 0 {
            report.notes.push(format!(
                "the disk is full: segments of the log that were written to tables one by one: {}",
                self.segments
            ));
        }
    }
}

/// Removes what the manifest lists as obsolete; `false`: nothing of that is there.
fn remove_obsolete(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    files: &[DirEntry],
) -> Result<bool> {
    let is_moved = |name: &str| manifest.moves.iter().any(|moved| moved.from == name);
    let names: Vec<&String> = files
        .iter()
        .map(|file| &file.name)
        .filter(|name| manifest.obsolete.contains(*name))
        .filter(|name| !manifest.is_live(name) && !is_moved(name))
        .collect();
    remove(disk, dir, names.iter().copied())?;
    Ok(!names.is_empty())
}

fn remove<'a>(disk: &dyn Disk, dir: &Path, names: impl Iterator<Item = &'a String>) -> Result<()> {
    for name in names {
        let path = dir.join(name);
        disk.remove(&path)
            .map_err(|error| AtlasError::io("remove", &path, error))?;
    }
    disk.sync_dir(dir)
        .map_err(|error| AtlasError::io("sync", dir, error))
}

/// Writes a segment to tables, and makes the manifest durable that names them in its place; the operations
/// that it held.
fn flush_segment(
    (disk, dir): (&dyn Disk, &Path),
    options: &Options,
    next: &mut Manifest,
    oldest: &Extent,
) -> Result<u64> {
    let mut durable = next.clone();
    let mut progress = Replaying::new(options.events.as_ref());
    progress.begin(ReplayStep::Writing, 1, oldest.end - oldest.start);
    progress.next_segment();
    let mut replay = Replay::new(disk, dir, options.memtable_size);
    let reader = SegmentReader::open(disk, dir, oldest.number)?;
    replay.extent(reader, oldest, next, &mut progress)?;
    let Replayed { tables, operations } = replay.finish(next, &mut progress)?;
    progress.finish();
    let numbers = durable.next_file_number..next.next_file_number;
    announce(disk, dir, &mut durable, numbers)?;
    next.generation = durable.generation;
    for (info, _) in tables {
        let temporary = table::temporary_path(dir, info.number);
        disk::give_name(disk, &temporary, &table::path(dir, info.number))?;
        next.tables.insert(0, info);
    }
    disk.sync_dir(dir)
        .map_err(|error| AtlasError::io("sync", dir, error))?;
    let last = oldest.first_lsn.as_u64() + oldest.entries.saturating_sub(1);
    next.flushed_lsn = Lsn::from_u64(last);
    next.durable_lsn = next.durable_lsn.max(next.flushed_lsn);
    next.segments.retain(|info| info.number != oldest.number);
    next.obsolete.insert(file_name::segment(oldest.number));
    next.generation += 1;
    next.store(disk, dir)?;
    Ok(operations)
}
