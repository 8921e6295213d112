//! Reading a table without a manifest, one part after another, whatever is damaged in it. It changes
//! nothing.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::frame::TableFile;
use super::inspect::next_entry;
use super::walk::{Entry, Walk};
use crate::storage::disk::Disk;
use crate::storage::error::{AtlasError, Result};
use crate::storage::{Lsn, counted};

/// What stands at some place of a table.
#[derive(Debug)]
pub(crate) enum TablePart {
    /// A valid entry; without a value it is a tombstone.
    Entry {
        offset: u64,
        lsn: Lsn,
        key: Vec<u8>,
        value: Option<Bytes>,
    },
    /// Bytes that should be something and are not; `end` is where reading goes on.
    Damage {
        offset: u64,
        end: Option<u64>,
        detail: String,
    },
}

/// A table open for reading in the file's order. Its memory is that of a walk, and one value.
#[derive(Debug)]
pub(crate) struct TableParts {
    file: Arc<TableFile>,
    walk: Walk,
    /// Entries that a sound footer says there are.
    stated: Option<u64>,
    /// Entries that were read.
    read: u64,
    /// Damage of header or footer, to be told first.
    frame_damage: Option<(u64, String)>,
    is_damaged: bool,
    is_at_end: bool,
}

impl TableParts {
    /// Opens the table at `path` by what stands in it.
    ///
    /// # Errors
    /// `MissingFile` when there is no such file, `NewerFormat`, `Io`.
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<TableParts> {
        let (file, frame_damage) = TableFile::find(disk, path)?;
        let file = Arc::new(file);
        Ok(TableParts {
            walk: Walk::span(Arc::clone(&file), file.entries_at(), file.entries_end()),
            stated: frame_damage.is_none().then_some(file.entries),
            read: 0,
            is_damaged: frame_damage.is_some(),
            frame_damage,
            is_at_end: false,
            file,
        })
    }

    /// The format version and the file id that the header states.
    pub(crate) fn header(&self) -> (u32, u64) {
        (self.file.version(), self.file.file_id)
    }

    /// Entries that the footer says there are, if it is sound.
    pub(crate) fn stated_entries(&self) -> Option<u64> {
        self.stated
    }

    /// The next part; `None` behind the last.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn next(&mut self) -> Result<Option<TablePart>> {
        if let Some((offset, detail)) = self.frame_damage.take() {
            let end = None;
            return Ok(Some(TablePart::Damage {
                offset,
                end,
                detail,
            }));
        }
        if self.is_at_end {
            return Ok(None);
        }
        if self.stated == Some(self.read) {
            return Ok(self.end());
        }
        match self.walk.step() {
            Ok(Some(entry)) => self.entry(entry).map(Some),
            Ok(None) => Ok(self.end()),
            Err(AtlasError::Corrupt { detail, .. }) => self.pass_damage(detail).map(Some),
            Err(error) => Err(error),
        }
    }

    fn entry(&mut self, entry: Entry) -> Result<TablePart> {
        self.read += 1;
        let value = match entry.value_length {
            Some(_) => Some(self.walk.value(&mut |_| Ok(()))?),
            None => None,
        };
        Ok(TablePart::Entry {
            offset: entry.offset,
            lsn: entry.lsn,
            key: self.walk.key().to_vec(),
            value,
        })
    }

    /// Goes on at the next valid entry.
    fn pass_damage(&mut self, detail: String) -> Result<TablePart> {
        self.is_damaged = true;
        let (offset, entries_end) = (self.walk.offset(), self.file.entries_end());
        let next = next_entry(&self.file, offset.saturating_add(1))?.unwrap_or(entries_end);
        self.walk = Walk::span(Arc::clone(&self.file), next, entries_end);
        let end = Some(next);
        Ok(TablePart::Damage {
            offset,
            end,
            detail,
        })
    }

    /// Compares what was read with what the footer says.
    fn end(&mut self) -> Option<TablePart> {
        self.is_at_end = true;
        let stated = self.stated.filter(|_| !self.is_damaged)?;
        let (offset, entries_end) = (self.walk.offset(), self.file.entries_end());
        let detail = if stated != self.read {
            let stated = counted(stated, "entry");
            format!("the footer says {stated}, here are {}", self.read)
        } else if offset < entries_end && !self.file.has_unknown_section {
            let rest = entries_end - offset;
            let rest = counted(rest, "byte");
            format!("{rest} between the last entry and what is behind")
        } else {
            return None;
        };
        Some(TablePart::Damage {
            offset,
            end: Some(entries_end),
            detail,
        })
    }
}
