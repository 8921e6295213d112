//! Compaction: choosing tables to merge, and merging them. Installing the outcome is the engine's.
//!
//! The policy is size-tiered, and a *range* is always contiguous in age, so that of two versions of a
//! key the newer one stays in the newer table. Two rules, in this order:
//!
//! 1. **Space.** Everything is merged when what the tables newer than the oldest hold could be mostly
//!    waste: as many bytes as the oldest, or half as many entries (deletions are entries of few
//!    bytes), or when half the entries of a lone table are tombstones. Only then can the oldest table
//!    shed what was overwritten and deleted. Live data thus stay above about half of what is stored,
//!    and each such merge is paid for by the writes that led to it.
//! 2. **Number.** A run of at least `trigger` tables is merged when each is at most twice as large as
//!    the largest newer one in the run. Where no such run is left, sizes double at least every
//!    `trigger - 1` tables towards the oldest, so their number grows with the logarithm of the bytes.
//!
//! Should there be `max_tables` all the same, the cheapest `trigger` neighbours are merged. What is too large for
//! the room that there is is passed over.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::disk::Disk;
use super::error::{AtlasError, Result};
use super::merge::{Merge, Source};
use super::table::{
    Index, Table, TableBuilder, TableCursor, TableInfo, read_back, remove_temporary, temporary_path,
};

/// Which tables to merge now: a range of `tables`, which are given newest first and without gaps in
/// age, and of no more than `most_bytes`. `None`: nothing is worth it.
pub(crate) fn choose(
    tables: &[TableInfo],
    (trigger, max_tables): (usize, usize),
    most_bytes: u64,
) -> Option<Range<usize>> {
    let fits = |range: &Range<usize>| bytes(tables, range) <= most_bytes;
    let all = 0..tables.len();
    if wastes_space(tables) && fits(&all) {
        return Some(all);
    }
    let trigger = trigger.max(2);
    all.map(|start| run(tables, start))
        .find(|run| run.len() >= trigger && fits(run))
        .or_else(|| {
            (tables.len() >= max_tables)
                .then(|| cheapest(tables, trigger))
                .flatten()
                .filter(fits)
        })
}

/// What a range of tables takes.
pub(crate) fn bytes(tables: &[TableInfo], range: &Range<usize>) -> u64 {
    let tables = tables.get(range.clone()).unwrap_or_default();
    tables.iter().map(|table| table.size).sum()
}

/// The space rule.
fn wastes_space(tables: &[TableInfo]) -> bool {
    let Some((oldest, newer)) = tables.split_last() else {
        return false;
    };
    if newer.is_empty() {
        return oldest.tombstones.saturating_mul(2) >= oldest.entries;
    }
    let bytes: u64 = newer.iter().map(|table| table.size).sum();
    let entries: u64 = newer.iter().map(|table| table.entries).sum();
    bytes >= oldest.size || entries.saturating_mul(2) >= oldest.entries
}

/// The longest run that begins at `start` and in which no table is more than twice as large as the
/// largest newer one.
fn run(tables: &[TableInfo], start: usize) -> Range<usize> {
    let mut end = start;
    let mut largest = None;
    for table in tables.iter().skip(start) {
        if largest.is_some_and(|largest: u64| table.size > largest.saturating_mul(2)) {
            break;
        }
        largest = largest.max(Some(table.size));
        end += 1;
    }
    start..end
}

/// The `length` neighbours of the fewest bytes.
fn cheapest(tables: &[TableInfo], length: usize) -> Option<Range<usize>> {
    let starts = 0..(tables.len() + 1).saturating_sub(length);
    let windows = starts.map(|start| start..start + length);
    windows.min_by_key(|window| bytes(tables, window))
}

/// What a merge is to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MergePlan<'a> {
    /// The tables to merge.
    pub(crate) inputs: &'a [Arc<Table>],
    /// The new table's file number.
    pub(crate) number: u64,
    /// The new table's identity.
    pub(crate) file_id: u64,
    /// Whether tombstones are dropped: only when the inputs include the oldest table, so that nothing
    /// older can surface.
    pub(crate) drop_tombstones: bool,
}

/// What a merge gave.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The new table, still under its temporary name; `None`: nothing was left.
    pub(crate) table: Option<(TableInfo, Index)>,
    /// Tombstones that were dropped.
    pub(crate) tombstones: u64,
    /// Older versions that were dropped.
    pub(crate) shadowed: u64,
}

/// Merges tables into one new table, which is synced, read back and counted, and still has its
/// temporary name. When nothing was left, nothing stays behind, nor after a failure.
/// `keep_going` is asked before every entry, and now and then while the table is read back.
///
/// # Errors
/// `Io` and `Corrupt`; `Closed` when `keep_going` said no.
pub(crate) fn merge_tables(
    disk: &dyn Disk,
    dir: &Path,
    plan: &MergePlan<'_>,
    keep_going: &dyn Fn() -> bool,
) -> Result<Merged> {
    let outcome = write_merged(disk, dir, plan, keep_going);
    if !matches!(outcome, Ok(Merged { table: Some(_), .. })) {
        // The first failure is the one to be told; recovery removes what could not be removed here.
        let removed = remove_temporary(disk, dir, plan.number);
        if outcome.is_ok() {
            removed?;
        }
    }
    outcome
}

fn write_merged(
    disk: &dyn Disk,
    dir: &Path,
    plan: &MergePlan<'_>,
    keep_going: &dyn Fn() -> bool,
) -> Result<Merged> {
    let mut builder = TableBuilder::create(disk, dir, plan.number, plan.file_id)?;
    let mut merge = Merge::new(sources(plan.inputs)?, false);
    let mut key = Vec::new();
    let mut dropped = 0;
    while let Some(present) = merge.key() {
        if !keep_going() {
            return Err(AtlasError::Closed);
        }
        key.clear();
        key.extend_from_slice(present);
        let lsn = merge.lsn();
        if !merge.is_tombstone() {
            let value = merge.value(&mut |_| Ok(()))?;
            builder.add(&key, lsn, Some(&value))?;
        } else if plan.drop_tombstones {
            dropped += 1;
        } else {
            builder.add(&key, lsn, None)?;
        }
        merge.advance()?;
    }
    let inputs: u64 = plan.inputs.iter().map(|table| table.info().entries).sum();
    let outputs = builder.entries();
    if inputs != outputs + dropped + merge.shadowed() {
        let detail = format!(
            "merging gave {outputs} entries and dropped {dropped} tombstones and {} older versions, \
             but the inputs have {inputs} entries",
            merge.shadowed()
        );
        return Err(AtlasError::corrupt(builder.path(), 0, detail));
    }
    let mut merged = Merged {
        table: None,
        tombstones: dropped,
        shadowed: merge.shadowed(),
    };
    let Some(info) = builder.finish()? else {
        return Ok(merged);
    };
    let path = temporary_path(dir, plan.number);
    let index = read_back(disk, &path, &info, &mut |_| {
        if keep_going() {
            Ok(())
        } else {
            Err(AtlasError::Closed)
        }
    })?;
    merged.table = Some((info, index));
    Ok(merged)
}

fn sources(inputs: &[Arc<Table>]) -> Result<Vec<Box<dyn Source>>> {
    let source = |table| -> Result<Box<dyn Source>> { Ok(Box::new(TableCursor::all(table)?)) };
    inputs.iter().map(source).collect()
}

#[cfg(test)]
#[path = "compaction_tests.rs"]
mod tests;
