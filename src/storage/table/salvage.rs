//! Writing what can still be read of a damaged table to a new one.

use std::path::Path;

use super::inspect::inspect_with;
use super::{Index, Inspection, TableBuilder, TableInfo, read_back};
use crate::storage::disk::Disk;
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
) -> Result<Option<(TableInfo, Index)>> {
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
    let index = read_back(disk, &path, &info, &mut |_| Ok(()))?;
    Ok(Some((info, index)))
}
