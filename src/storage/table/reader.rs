//! Look-ups in a table.

use crate::storage::sync::{Mutex, PoisonError};
use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::cursor::TableCursor;
use super::frame::TableFile;
use super::index::Index;
use super::walk::Walk;
use super::{TableInfo, check, path};
use crate::storage::disk::Disk;
use crate::storage::error::Result;
use crate::storage::merge::Admit;
use crate::storage::{Lsn, Versioned};

/// What a table has for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// A value.
    Value(Versioned),
    /// The key was deleted by the write with this LSN: nothing older counts.
    Tombstone(Lsn),
}

/// An open table. It holds one open file and, from the first look-up on, a sparse index.
pub(crate) struct Table {
    info: TableInfo,
    file: Arc<TableFile>,
    index: OnceLock<Index>,
    /// Held by the one that makes the index, so that a crowd of first look-ups reads the file once.
    indexing: Mutex<()>,
}

impl fmt::Debug for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Table")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Table {
    /// Opens a finished table, reading header and footer only.
    ///
    /// # Errors
    /// `MissingFile` when it is not there or not the one described, `Corrupt`, `NewerFormat`, `Io`.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, info: &TableInfo) -> Result<Arc<Table>> {
        let file = TableFile::open(disk, &path(dir, info.number), info)?;
        Ok(Arc::new(Table {
            info: info.clone(),
            file: Arc::new(file),
            index: OnceLock::new(),
            indexing: Mutex::new(()),
        }))
    }

    /// As `open`, with the index that reading the new table back has given, so that the first look-up
    /// does not read the file again.
    pub(crate) fn open_indexed(
        disk: &dyn Disk,
        dir: &Path,
        info: &TableInfo,
        index: Index,
    ) -> Result<Arc<Table>> {
        let table = Table::open(disk, dir, info)?;
        table.index.get_or_init(|| index);
        Ok(table)
    }

    /// What the manifest says of this table.
    pub(crate) fn info(&self) -> &TableInfo {
        &self.info
    }

    /// What this table has for `key`; `None`: nothing, look in an older one. `admit` is asked, with the
    /// value's length, before memory for a value of more than 64 KiB is taken.
    ///
    /// # Errors
    /// `Io` or `Corrupt`: then nobody knows, and an older table must not be asked. What `admit` says.
    pub(crate) fn get(&self, key: &[u8], admit: Admit<'_>) -> Result<Option<Found>> {
        if key < self.info.min_key.as_slice() || key > self.info.max_key.as_slice() {
            return Ok(None);
        }
        let index = self.index()?;
        let (start, end) = index.span(index.find(key));
        let mut walk = Walk::span(Arc::clone(&self.file), start, end);
        while let Some(entry) = walk.step()? {
            if walk.key() < key {
                continue;
            }
            if walk.key() > key {
                break;
            }
            let lsn = entry.lsn;
            return Ok(Some(match entry.value_length {
                None => Found::Tombstone(lsn),
                Some(_) => Found::Value(Versioned {
                    value: walk.value(admit)?,
                    lsn,
                }),
            }));
        }
        Ok(None)
    }

    /// A cursor over the entries between two bounds, in key order or, with `reverse`, against it. It
    /// stands at the first entry.
    ///
    /// # Errors
    /// `Io` or `Corrupt`.
    pub(crate) fn cursor(
        self: &Arc<Table>,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
    ) -> Result<TableCursor> {
        if reverse {
            TableCursor::backward(self, from, to)
        } else {
            TableCursor::forward(self, from, to)
        }
    }

    pub(super) fn file(&self) -> &Arc<TableFile> {
        &self.file
    }

    /// The index; made by a pass over the whole file, which checks everything, when there is none yet.
    pub(super) fn index(&self) -> Result<&Index> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let _one_at_a_time = self.indexing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = check::pass(&self.file, &self.info, &mut |_| Ok(()))?;
        Ok(self.index.get_or_init(|| index))
    }
}
