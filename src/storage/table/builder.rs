//! Writing a table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{footer, header};
use super::sections_builder::{LIMITS, Limits, SectionsBuilder};
use super::{Head, PREFIX_LENGTH, TableInfo, temporary_path};
use crate::storage::Lsn;
use crate::storage::codec::{Checksum, encode};
use crate::storage::disk::{Disk, DiskFile, count, write_full};
use crate::storage::error::{AtlasError, Result};

/// Bytes that are gathered before they are written.
const BUFFER: usize = 256 * 1024;

/// Writes a new table, under its temporary name, entry by entry in key order.
///
/// The file stays where it is whatever happens: after a failure, and when there was nothing to write,
/// the caller removes it ([`remove_temporary`]).
#[derive(Debug)]
pub(crate) struct TableBuilder<'a> {
    out: Output,
    header: Vec<u8>,
    /// The head of the present entry.
    head: Vec<u8>,
    sections: SectionsBuilder<'a>,
    info: TableInfo,
}

impl<'a> TableBuilder<'a> {
    /// Begins the table with this file number and identity.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn create(
        disk: &'a dyn Disk,
        dir: &Path,
        number: u64,
        file_id: u64,
    ) -> Result<TableBuilder<'a>> {
        TableBuilder::limited(disk, dir, (number, file_id), LIMITS)
    }

    /// As `create`, with other limits for the sections.
    pub(super) fn limited(
        disk: &'a dyn Disk,
        dir: &Path,
        (number, file_id): (u64, u64),
        limits: Limits,
    ) -> Result<TableBuilder<'a>> {
        let path = temporary_path(dir, number);
        let file = disk
            .create(&path)
            .map_err(|error| AtlasError::io("create", &path, error))?;
        let header = header(file_id).to_vec();
        Ok(TableBuilder {
            sections: SectionsBuilder::new(disk, &path, file_id, limits),
            out: Output {
                file,
                path,
                buffer: header.clone(),
                written: 0,
                whole: Checksum::new(),
            },
            header,
            head: Vec::new(),
            info: TableInfo {
                number,
                file_id,
                size: 0,
                checksum: 0,
                entries: 0,
                tombstones: 0,
                min_key: Vec::new(),
                max_key: Vec::new(),
                min_lsn: Lsn::MAX,
                max_lsn: Lsn::ZERO,
            },
        })
    }

    /// The temporary file.
    pub(crate) fn path(&self) -> &Path {
        &self.out.path
    }

    /// Entries so far.
    pub(crate) fn entries(&self) -> u64 {
        self.info.entries
    }

    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.out.size()
    }

    /// Appends an entry; `None` for a tombstone. Keys come in ascending order, each once.
    ///
    /// # Errors
    /// `Io`; `Corrupt` when the key is not above the one before: whatever gave it is damaged.
    /// `ValueTooLarge` for an entry that the format cannot hold.
    pub(crate) fn add(&mut self, key: &[u8], lsn: Lsn, value: Option<&[u8]>) -> Result<()> {
        let offset = self.size();
        if key <= self.info.max_key.as_slice() {
            let detail = "keys to be written do not ascend: what they were read from is damaged";
            return Err(AtlasError::corrupt(&self.out.path, offset, detail));
        }
        let value_length = value.map(|value| count(value.len()));
        self.head.clear();
        encode(
            &Head {
                key,
                lsn,
                value_length,
            },
            &mut self.head,
        );
        let length = count(self.head.len()).saturating_add(value_length.unwrap_or(0));
        let Ok(length) = u32::try_from(length) else {
            return Err(AtlasError::ValueTooLarge {
                length,
                limit: u64::from(u32::MAX),
            });
        };
        let value_bytes = value.unwrap_or_default();
        let checksum = Checksum::seeded(self.info.file_id, offset)
            .add_u32(length)
            .add(&self.head)
            .add(value_bytes)
            .finish();
        let whole = count(PREFIX_LENGTH).saturating_add(u64::from(length));
        self.sections
            .begin((&self.info.max_key, key), offset, whole)?;
        let buffer = &mut self.out.buffer;
        buffer.reserve(PREFIX_LENGTH + self.head.len());
        let start = buffer.len();
        buffer.extend_from_slice(&checksum.to_le_bytes());
        buffer.extend_from_slice(&length.to_le_bytes());
        buffer.extend_from_slice(&self.head);
        self.sections.add(buffer.get(start..).unwrap_or_default());
        self.sections.add(value_bytes);
        self.out.append(value_bytes)?;
        self.note(key, lsn, value.is_none());
        Ok(())
    }

    /// Writes the sections and the footer, and makes the file durable; its name is not. `None` when there was no entry.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn finish(self) -> Result<Option<TableInfo>> {
        if self.info.entries == 0 {
            return Ok(None);
        }
        let TableBuilder {
            mut out,
            header,
            mut sections,
            mut info,
            ..
        } = self;
        let end = out.size();
        sections.end(end)?;
        sections.write(end, &mut |bytes| out.append(bytes))?;
        let footer = footer(&header, info.file_id, info.entries, out.size());
        out.append(&footer)?;
        out.write_buffer()?;
        out.file
            .sync()
            .map_err(|error| AtlasError::io("sync", &out.path, error))?;
        info.size = out.written;
        info.checksum = out.whole.finish();
        Ok(Some(info))
    }

    fn note(&mut self, key: &[u8], lsn: Lsn, is_tombstone: bool) {
        let info = &mut self.info;
        if info.entries == 0 {
            info.min_key = key.to_vec();
        }
        info.max_key.clear();
        info.max_key.extend_from_slice(key);
        info.entries += 1;
        info.tombstones += u64::from(is_tombstone);
        info.min_lsn = info.min_lsn.min(lsn);
        info.max_lsn = info.max_lsn.max(lsn);
    }
}

/// The file as far as it is written.
#[derive(Debug)]
struct Output {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// Bytes that are not written yet.
    buffer: Vec<u8>,
    /// Bytes written so far.
    written: u64,
    /// Of all bytes written so far.
    whole: Checksum,
}

impl Output {
    /// Bytes so far.
    fn size(&self) -> u64 {
        self.written.saturating_add(count(self.buffer.len()))
    }

    /// Appends bytes; what does not fit in the buffer is written without being copied.
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() <= BUFFER {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.write_buffer()?;
        if bytes.len() <= BUFFER {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.write(bytes)
    }

    fn write_buffer(&mut self) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = self.write(&buffer);
        buffer.clear();
        self.buffer = buffer;
        outcome
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        write_full(&*self.file, bytes, self.written)
            .map_err(|error| AtlasError::io("write", &self.path, error))?;
        let whole = std::mem::take(&mut self.whole);
        self.whole = whole.add(bytes);
        self.written = self.written.saturating_add(count(bytes.len()));
        Ok(())
    }
}

/// Removes the temporary file of a table that is not wanted, if it is there.
///
/// # Errors
/// `Io`.
pub(crate) fn remove_temporary(disk: &dyn Disk, dir: &Path, number: u64) -> Result<()> {
    let path = temporary_path(dir, number);
    match disk.remove(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(AtlasError::io("remove", &path, error))
        }
        _ => Ok(()),
    }
}
