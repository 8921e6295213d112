//! Writing what can still be read of a damaged table to a new one.

use std::path::Path;
use std::sync::Arc;

use super::check::read_alone;
use super::frame::TableFile;
use super::inspect::inspect_with;
use super::{Inspection, TableBuilder, TableInfo, read_back};
use crate::storage::Lsn;
use crate::storage::disk::{Disk, count};
use crate::storage::error::{AtlasError, Result};

/// What can be salvaged of a table.
#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    pub(crate) inspection: Inspection,
    /// The first and the last key that is still there.
    pub(crate) keys: Option<(Vec<u8>, Vec<u8>)>,
}

/// Looks at every entry that is still valid, and changes nothing.
///
/// # Errors
/// `MissingFile` when there is no such file, `Io`.
pub(crate) fn survey(disk: &dyn Disk, path: &Path, info: &TableInfo) -> Result<Salvaged> {
    let mut keys: Option<(Vec<u8>, Vec<u8>)> = None;
    let inspection = inspect_with(disk, path, info, &mut |walk, _| {
        match &mut keys {
            Some((_, last)) => {
                last.clear();
                last.extend_from_slice(walk.key());
            }
            None => keys = Some((walk.key().to_vec(), walk.key().to_vec())),
        }
        Ok(())
    })?;
    Ok(Salvaged { inspection, keys })
}

/// Writes every entry of the file at `from` that is still valid to a new table, which is synced, read
/// back and counted, and still has its temporary name. `None`: there is no valid entry.
///
/// # Errors
/// `Io`; `Corrupt` when the entries are not `expected` many, as they were when they were surveyed.
pub(crate) fn salvage(
    disk: &dyn Disk,
    (dir, from): (&Path, &Path),
    info: &TableInfo,
    (number, expected): (u64, u64),
) -> Result<Option<TableInfo>> {
    let file_id = disk
        .random()
        .map_err(|error| AtlasError::io("make an identity for", dir, error))?;
    let mut builder = TableBuilder::create(disk, dir, number, file_id)?;
    let path = builder.path().to_path_buf();
    inspect_with(disk, from, info, &mut |walk, entry| {
        let value = match entry.value_length {
            Some(_) => Some(walk.value(&mut |_| Ok(()))?),
            None => None,
        };
        builder.add(walk.key(), entry.lsn, value.as_deref())
    })?;
    if builder.entries() != expected {
        let detail = format!(
            "{} entries can be read, a moment ago {expected} could",
            builder.entries()
        );
        return Err(AtlasError::corrupt(from, 0, detail));
    }
    let Some(info) = builder.finish()? else {
        super::remove_temporary(disk, dir, number)?;
        return Ok(None);
    };
    read_back(disk, &path, &info, &mut |_| Ok(()))?;
    Ok(Some(info))
}

/// The number of entries of a damaged table that nothing tells.
pub(crate) const UNKNOWN_ENTRIES: u64 = u64::MAX;

/// What a table file says of itself, without a manifest.
#[derive(Debug)]
pub(crate) struct Described {
    /// Of a damaged table: what can be read of it.
    pub(crate) info: TableInfo,
    /// Whether everything in it is whole.
    pub(crate) is_whole: bool,
    /// Whether every entry is: as many as the footer says, one after another.
    pub(crate) is_complete: bool,
}

/// Reads the table at `path` by what stands in it alone; the LSN of every entry is shown to `visit`. `None`:
/// it has no entry that can be read.
///
/// # Errors
/// `MissingFile` when there is no such file, `NewerFormat`, `Io`.
pub(crate) fn describe(
    disk: &dyn Disk,
    path: &Path,
    number: u64,
    visit: &mut dyn FnMut(Lsn),
) -> Result<Option<Described>> {
    let (file, damage) = TableFile::find(disk, path)?;
    let file = Arc::new(file);
    let has_footer = file.is_as_long_as_stated()?;
    if damage.is_none() {
        match read_alone(&file, number, visit) {
            Ok(info) => {
                return Ok(Some(Described {
                    info,
                    is_whole: true,
                    is_complete: true,
                }));
            }
            Err(AtlasError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let mut info = TableInfo {
        number,
        file_id: file.file_id,
        size: file.size,
        checksum: 0,
        entries: UNKNOWN_ENTRIES,
        tombstones: 0,
        min_key: Vec::new(),
        max_key: Vec::new(),
        min_lsn: Lsn::ZERO,
        max_lsn: Lsn::ZERO,
    };
    // A footer that checks tells where the entries end, whatever stands behind them.
    let entries = damage.as_ref().map_or(file.entries, |_| UNKNOWN_ENTRIES);
    let wanted = TableInfo {
        entries,
        ..info.clone()
    };
    inspect_with(disk, path, &wanted, &mut |walk, entry| {
        if info.min_key.is_empty() {
            info.min_key.extend_from_slice(walk.key());
        }
        info.max_key.clear();
        info.max_key.extend_from_slice(walk.key());
        visit(entry.lsn);
        Ok(())
    })
    .map(|found| {
        let (min_lsn, max_lsn) = found.lsns?;
        (info.min_lsn, info.max_lsn) = (min_lsn, max_lsn);
        info.tombstones = found.tombstones;
        let is_complete = found.places.is_empty() && found.entries == file.entries;
        let places = count(found.places.len()).saturating_add(found.more.places);
        // Only a footer that checks knows how many there were; one that does not at least shows where they end.
        info.entries = if damage.is_none() {
            file.entries.max(found.entries.saturating_add(places))
        } else if found.places.is_empty() && has_footer {
            found.entries
        } else {
            UNKNOWN_ENTRIES
        };
        Some(Described {
            info,
            is_whole: false,
            is_complete,
        })
    })
}
