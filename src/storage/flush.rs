//! Writing a memtable to a table: synced, and read back before anything may depend on it.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use super::Lsn;
use super::disk::{Disk, count};
use super::error::{AtlasError, Result};
use super::memtable::{Memtable, MemtableCursor};
use super::merge::Source;
use super::progress::Progress;
use super::table::{self, Index, TableBuilder, TableInfo};

/// Bytes of keys and values that are written before `progress` is told.
const NOTED: u64 = 64 * 1024;

/// Writes the newest version of each key of a memtable that takes no more writes to the temporary
/// file of the table with this number. `None`: the memtable is empty and no file was left. `progress`
/// comes nearer by the bytes of keys and values, never more than the memtable takes.
pub(crate) fn write_memtable(
    disk: &dyn Disk,
    dir: &Path,
    memtable: &Arc<Memtable>,
    number: u64,
    progress: &mut dyn Progress,
) -> Result<Option<(TableInfo, Index)>> {
    let written = write(disk, dir, memtable, number, progress);
    if !matches!(written, Ok(Some(_))) {
        // The first failure is the one to tell; what is left is removed by the next recovery.
        let _ = table::remove_temporary(disk, dir, number);
    }
    written
}

fn write(
    disk: &dyn Disk,
    dir: &Path,
    memtable: &Arc<Memtable>,
    number: u64,
    progress: &mut dyn Progress,
) -> Result<Option<(TableInfo, Index)>> {
    let file_id = disk
        .random()
        .map_err(|error| AtlasError::io("make an identity for", dir, error))?;
    let mut builder = TableBuilder::create(disk, dir, number, file_id)?;
    let path = builder.path().to_path_buf();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let mut cursor = MemtableCursor::new(Arc::clone(memtable), Lsn::MAX, all, false);
    let mut unnoted = 0;
    while let Some(key) = cursor.key() {
        unnoted += count(key.len()) + cursor.value_length();
        builder.add(key, cursor.lsn(), cursor.shared_value().as_deref())?;
        cursor.advance()?;
        if unnoted >= NOTED {
            progress.note(unnoted, unnoted);
            unnoted = 0;
            check_wanted(progress)?;
        }
    }
    let Some(info) = builder.finish()? else {
        return Ok(None);
    };
    let index = table::read_back(disk, &path, &info, &mut |bytes| {
        progress.note(0, bytes);
        check_wanted(progress)
    })?;
    if info.entries != count(memtable.entries()) {
        let detail = format!(
            "{} entries of {} were written",
            info.entries,
            memtable.entries()
        );
        return Err(AtlasError::corrupt(&path, 0, detail));
    }
    Ok(Some((info, index)))
}

fn check_wanted(progress: &dyn Progress) -> Result<()> {
    if progress.is_wanted() {
        Ok(())
    } else {
        Err(AtlasError::Closed)
    }
}
