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

/// A segment of the same store with an entry, whose number the manifest has not given yet, or of an epoch that it has
/// not opened: a start lists the number of its segment as not needed before it makes it. An entry is written only
/// after a manifest that names its segment is durable, so there was one.
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
            && number < manifest::MAX_NUMBER / 2
            && !manifest.is_live(&file.name)
            && is_later(disk, dir, manifest, number)?
        {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

fn is_later(disk: &dyn Disk, dir: &Path, manifest: &Manifest, number: u64) -> Result<bool> {
    let mut reader = match SegmentReader::open(disk, dir, number) {
        Ok(reader) => reader,
        Err(error @ (AtlasError::Io { .. } | AtlasError::NewerFormat { .. })) => {
            return Err(error);
        }
        Err(_) => return Ok(false),
    };
    let header = reader.header();
    let is_ours = header.database_id == manifest.database_id;
    let is_new = number >= manifest.next_file_number || header.first_lsn.epoch() > manifest.epoch;
    Ok(is_ours && is_new && reader.find_entry(count(HEADER_SIZE))?.is_some())
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
    let Some(present) = Manifest::load(disk, dir)? else {
        return Ok(None);
    };
    let name = file_name::segment(number);
    if !matches!(is_later(disk, dir, &present, number), Ok(true)) {
        return Ok(None);
    }
    let detail = format!(
        "the manifest is older than the data: {name} was made after it and has entries, so it knows nothing of \
         what was written since; a start on it would not replay that: bring the latest MANIFEST back, or have \
         atlaskv-verify --repair make one anew of the files"
    );
    let finding = Finding::whole(Severity::Loss, detail);
    let next = present.next_file_number;
    Ok(Some(match number < next {
        true => finding,
        false => finding.comparing(format!("below {next}"), number),
    }))
}
