//! Look-ups in a table.

use crate::storage::sync::{Mutex, PoisonError};
use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::cursor::TableCursor;
use super::frame::TableFile;
use super::index::Index;
use super::sections::{Directory, Partition, Span};
use super::walk::Walk;
use super::{TableInfo, VERSION, check, filter, path, span};
use crate::storage::cache::{Block, BlockCache, Place};
use crate::storage::disk::Disk;
use crate::storage::error::{AtlasError, Result};
use crate::storage::merge::Admit;
use crate::storage::{Lsn, Versioned};

/// A span of more bytes is searched on the disk, entry by entry, and not kept.
const MOST_KEPT: u64 = 64 * 1024;
/// Bytes of spans that are read at once going backward, where they are so small.
const STRETCH: u64 = 16 * 1024;

/// What a table has for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// A value.
    Value(Versioned),
    /// The key was deleted by the write with this LSN: nothing older counts.
    Tombstone(Lsn),
}

/// An open table. It holds one open file and, from the first look-up on, an index.
pub(crate) struct Table {
    info: TableInfo,
    file: Arc<TableFile>,
    /// Keeps the pieces that look-ups read; without one each look-up reads the disk.
    cache: Option<Arc<BlockCache>>,
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
    /// Opens a finished table, reading header, locator and footer only. Its look-ups read the disk.
    ///
    /// # Errors
    /// `MissingFile` when it is not there or not the one described, `Corrupt`, `NewerFormat`, `Io`.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, info: &TableInfo) -> Result<Arc<Table>> {
        let file = TableFile::open(disk, &path(dir, info.number), info)?;
        Ok(Arc::new(Table::new(file, info)))
    }

    /// As `open`; look-ups keep in `cache` what they read. With the index that reading a new table back has given
    /// the first look-up does not make it again.
    pub(crate) fn open_cached(
        disk: &dyn Disk,
        dir: &Path,
        info: &TableInfo,
        (cache, index): (&Arc<BlockCache>, Option<Index>),
    ) -> Result<Arc<Table>> {
        let file = TableFile::open(disk, &path(dir, info.number), info)?;
        let mut table = Table::new(file, info);
        table.cache = Some(Arc::clone(cache));
        if let Some(index) = index {
            table.index.get_or_init(|| index);
        }
        Ok(Arc::new(table))
    }

    fn new(file: TableFile, info: &TableInfo) -> Table {
        Table {
            info: info.clone(),
            file: Arc::new(file),
            cache: None,
            index: OnceLock::new(),
            indexing: Mutex::new(()),
        }
    }

    /// What the manifest says of this table.
    pub(crate) fn info(&self) -> &TableInfo {
        &self.info
    }

    /// Whether a merge is worth its while for this table alone: it is of an earlier version of the format, or its
    /// sections are damaged. Reads all its sections, which are some hundredths of it.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn is_to_be_made_anew(&self) -> Result<bool> {
        if self.file.version() < u32::from(VERSION) {
            return Ok(true);
        }
        match self.check_sections() {
            Err(AtlasError::Corrupt { .. }) => Ok(true),
            checked => checked.map(|()| false),
        }
    }

    /// Reads locator, directory and partitions from the disk, whatever is in memory of them.
    fn check_sections(&self) -> Result<()> {
        let Some(locator) = self.file.locator()? else {
            return Ok(());
        };
        let directory = Directory::load(&self.file, &locator)?;
        for place in 0..directory.partitions.len() {
            directory.load_partition(&self.file, place)?;
        }
        Ok(())
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
        match self.index()? {
            Index::Sparse(index) => self.search(index.span_of(key), key, admit),
            Index::Sections(directory) => {
                let partition = self.partition(directory, directory.find(key))?;
                if !partition.may_have(filter::hash(self.info.file_id, key)) {
                    return Ok(None);
                }
                match partition.find(key) {
                    None => Ok(None),
                    Some(span) if span.end - span.start > MOST_KEPT => {
                        self.search((span.start, span.end), key, admit)
                    }
                    Some(span) => span::find(&self.file, &self.span(span)?, span.start, key),
                }
            }
        }
    }

    /// Looks for a key among the entries between two offsets, reading the disk.
    fn search(
        &self,
        (start, end): (u64, u64),
        key: &[u8],
        admit: Admit<'_>,
    ) -> Result<Option<Found>> {
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

    /// Begin and end of the one span in which `key` stands if it is in the table.
    pub(super) fn span_of(&self, key: &[u8]) -> Result<(u64, u64)> {
        match self.index()? {
            Index::Sparse(index) => Ok(index.span_of(key)),
            Index::Sections(directory) => {
                let partition = self.partition(directory, directory.find(key))?;
                let span = partition.find(key).or_else(|| partition.span(0));
                let begin = self.file.entries_at();
                Ok(span.map_or((begin, begin), |span| (span.start, span.end)))
            }
        }
    }

    /// Where some spans begin that end at `end`; at least one.
    pub(super) fn stretch_before(&self, end: u64) -> Result<u64> {
        match self.index()? {
            Index::Sparse(index) => Ok(index.start_before(end)),
            Index::Sections(directory) => {
                let partition = self.partition(directory, directory.find_before(end))?;
                Ok(partition.stretch_before(end, STRETCH))
            }
        }
    }

    /// A partition, checked when it was read.
    fn partition(&self, directory: &Directory, place: usize) -> Result<Arc<Partition>> {
        let load = || directory.load_partition(&self.file, place).map(Arc::new);
        let (Some(cache), Some(listed)) = (&self.cache, directory.partitions.get(place)) else {
            return load();
        };
        let at = self.place(listed.offset);
        if let Some(Block::Partition(partition)) = cache.get(at) {
            return Ok(partition);
        }
        let partition = load()?;
        cache.keep(at, Block::Partition(Arc::clone(&partition)));
        Ok(partition)
    }

    /// The bytes of a span, checked when they were read.
    fn span(&self, span: Span) -> Result<Bytes> {
        let at = self.place(span.start);
        if let Some(Block::Span(bytes)) = self.cache.as_ref().and_then(|cache| cache.get(at)) {
            return Ok(bytes);
        }
        let bytes = span::load(&self.file, span)?;
        if let Some(cache) = &self.cache {
            cache.keep(at, Block::Span(bytes.clone()));
        }
        Ok(bytes)
    }

    fn place(&self, offset: u64) -> Place {
        Place {
            file: self.info.number,
            offset,
        }
    }

    /// The index: the directory of the sections, read and checked at the first look-up. Without sections it is
    /// made by a pass over the whole file, which checks everything.
    pub(super) fn index(&self) -> Result<&Index> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let _one_at_a_time = self.indexing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = match self.file.locator()? {
            Some(locator) => Index::Sections(Directory::load(&self.file, &locator)?),
            None => check::pass(&self.file, &self.info, &mut |_| Ok(()))?,
        };
        Ok(self.index.get_or_init(|| index))
    }
}
