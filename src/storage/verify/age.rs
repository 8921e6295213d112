//! Whether a manifest is older than the data beside it: restored from another moment's copy, or the newer one was
//! lost.

use std::path::Path;

use super::report::{Finding, Severity};
use crate::storage::DirEntry;
use crate::storage::disk::{Disk, count};
use crate::storage::error::{AtlasError, Result};
use crate::storage::file_name::{self, FileName};
use crate::storage::manifest::{self, Manifest};
use crate::storage::wal::HEADER_SIZE;
use crate::storage::wal::reader::SegmentReader;

/// A segment of the same store with an entry, whose number the manifest has not given yet. An entry is written
/// only after a manifest that names its segment is durable, so there was one.
///
/// # Errors
/// `NewerFormat`, `Io`.
pub(in crate::storage) fn later_segment(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    files: &[DirEntry],
) -> Result<Option<u64>> {
    for file in files {
        if let FileName::Segment(number) = file_name::parse(&file.name)
            && (manifest.next_file_number..manifest::MAX_NUMBER / 2).contains(&number)
            && has_entries(disk, dir, number, manifest.database_id)?
        {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

fn has_entries(disk: &dyn Disk, dir: &Path, number: u64, database_id: [u8; 16]) -> Result<bool> {
    let mut reader = match SegmentReader::open(disk, dir, number) {
        Ok(reader) => reader,
        Err(error @ (AtlasError::Io { .. } | AtlasError::NewerFormat { .. })) => {
            return Err(error);
        }
        Err(_) => return Ok(false),
    };
    let is_ours = reader.header().database_id == database_id;
    Ok(is_ours && reader.find_entry(count(HEADER_SIZE))?.is_some())
}

/// What is wrong with the age of `manifest`, which was read before the files were looked at: a running store
/// writes another in between, so it is read once more.
///
/// # Errors
/// Those of reading a manifest.
pub(super) fn check(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    files: &[DirEntry],
) -> Result<Option<Finding>> {
    // What cannot be read is told of the file itself.
    let Ok(Some(number)) = later_segment(disk, dir, manifest, files) else {
        return Ok(None);
    };
    let present = Manifest::load(disk, dir)?;
    let next = present.map_or(u64::MAX, |present| present.next_file_number);
    Ok((number >= next).then(|| {
        let detail = format!(
            "the manifest is older than the data: {} was made after it and has entries, so it knows nothing of \
             what was written since; a start on it would not replay that: bring the latest MANIFEST back, or have \
             atlaskv-verify --repair make one anew of the files",
            file_name::segment(number)
        );
        let finding = Finding::whole(Severity::Loss, detail);
        finding.comparing(format!("below {next}"), number)
    }))
}
