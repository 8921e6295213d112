//! What is asked of any file's bytes, whatever the file is: its version, and whether it can be read.

use std::io;
use std::path::Path;

use super::report::{Finding, Severity};
use crate::storage::disk::{self, Disk, count};
use crate::storage::{manifest, table, wal};

/// Bytes that every header's version stands within.
const HEAD: usize = 16;
/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// The format version that a file's header states; `None` when it is no header of ours.
pub(super) fn version(disk: &dyn Disk, path: &Path) -> Option<u32> {
    let file = disk.open(path).ok()?;
    let mut head = [0; HEAD];
    let read = disk::read_full(&*file, &mut head, 0).ok()?;
    let head = head.get(..read)?;
    table::stated_version(head)
        .or_else(|| wal::stated_version(head))
        .or_else(|| manifest::stated_version(head))
}

/// Reads a file that holds no live data, to the end or to the first byte that the disk does not give.
pub(super) fn read_error(disk: &dyn Disk, path: &Path) -> Option<Finding> {
    let file = match disk.open(path) {
        Ok(file) => file,
        // A running store removes what nothing needs.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(unreadable(0, &error)),
    };
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        match disk::read_full(&*file, &mut chunk, offset) {
            Ok(0) => return None,
            Ok(read) => offset = offset.saturating_add(count(read)),
            Err(error) => return Some(unreadable(offset, &error)),
        }
    }
}

fn unreadable(offset: u64, error: &io::Error) -> Finding {
    let detail = format!("it cannot be read: {error}; no live data stands in it");
    Finding::at(Severity::Note, offset, detail)
}
