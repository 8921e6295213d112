//! Whether a manifest is older than a table beside it, for what it names is gone.
//!
//! A file is removed only after a manifest that does not name it is durable. So where one is gone and a table stands
//! there that was made of it, that table was live, and the manifest is not the last; or the table has all that is
//! gone, which comes to the same.

use std::path::Path;

use super::evidence;
use crate::storage::disk::Disk;
use crate::storage::error::Result;
use crate::storage::file_name::{self, FileName};
use crate::storage::manifest::{self, Manifest};
use crate::storage::table::{self, TableInfo};
use crate::storage::{DirEntry, Lsn};

/// A table or segment that a manifest names and that is not there.
struct Gone {
    name: String,
    number: u64,
    is_table: bool,
    /// The first and the last that it had.
    lsns: (Lsn, Lsn),
}

impl Gone {
    /// Whether this table was made of it: later, and with LSNs of its.
    fn is_in(&self, info: &TableInfo) -> bool {
        let (first, last) = self.lsns;
        info.number > self.number && info.min_lsn <= last && first <= info.max_lsn
    }
}

/// The names of a file that the manifest names and that is gone, and of a table that was made after it: with a number
/// that the manifest has not given yet, or listed as obsolete because it was about to get its name.
pub(super) fn later_table(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    files: &[DirEntry],
) -> Result<Option<(String, String)>> {
    let gone = gone(manifest, files);
    if gone.is_empty() {
        return Ok(None);
    }
    let unfinished = evidence::unfinished(disk, dir, files)?;
    for file in files {
        let FileName::Table(number) = file_name::parse(&file.name) else {
            continue;
        };
        let is_new = number >= manifest.next_file_number;
        let may_be_later = is_new || manifest.obsolete.contains(&file.name);
        let is_ours = number < manifest::MAX_NUMBER / 2 && !unfinished.contains(&file.name);
        if !may_be_later || !is_ours {
            continue;
        }
        let path = table::path(dir, number);
        let found = table::describe(disk, &path, number, &mut |_| {})?;
        let Some(later) = found.filter(|found| found.is_whole) else {
            continue;
        };
        // A merged table need not have an LSN of each that it was made of.
        let mut gone = gone.iter();
        let made_of = gone.find(|gone| (gone.is_table && is_new) || gone.is_in(&later.info));
        if let Some(gone) = made_of {
            return Ok(Some((gone.name.clone(), file.name.clone())));
        }
    }
    Ok(None)
}

fn gone(manifest: &Manifest, files: &[DirEntry]) -> Vec<Gone> {
    let tables = manifest.tables.iter().map(|info| Gone {
        name: file_name::table(info.number),
        number: info.number,
        is_table: true,
        lsns: (info.min_lsn, info.max_lsn),
    });
    let segments = manifest.segments.iter().map(|info| {
        let last = info.closed.map_or(Lsn::MAX, |end| end.last_lsn);
        Gone {
            name: file_name::segment(info.number),
            number: info.number,
            is_table: false,
            lsns: (info.first_lsn, last),
        }
    });
    let is_there = |gone: &Gone| files.iter().any(|file| file.name == gone.name);
    let named = tables.chain(segments);
    named.filter(|gone| !is_there(gone)).collect()
}
