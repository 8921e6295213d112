//! Appending to a segment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{HEADER_SIZE, NewEntry, SegmentHeader};
use crate::storage::disk::{self, Disk, DiskFile, count};
use crate::storage::error::{AtlasError, Result};
use crate::storage::file_name;

/// Bytes of the entry buffer that are kept from one entry to the next.
const KEPT_BUFFER: usize = 1024 * 1024;

/// The file of a segment, shared with whoever syncs it.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) number: u64,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
}

impl SegmentFile {
    /// Makes everything appended before this call durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file
            .sync()
            .map_err(|error| AtlasError::io("sync", &self.path, error))
    }
}

/// The segment that takes writes.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    file: Arc<SegmentFile>,
    header: SegmentHeader,
    /// Bytes that the file had when it was made durable.
    size: u64,
    /// Bytes after which it is sealed: the size that was asked for.
    limit: u64,
    /// Where the next entry goes.
    offset: u64,
    /// The bytes of the entry being written, kept for the next.
    buffer: Vec<u8>,
}

impl SegmentWriter {
    /// Makes a segment: preallocated to `limit` bytes, its header and its name durable. It must not take
    /// an entry before a durable manifest names it.
    pub(crate) fn create(
        disk: &dyn Disk,
        dir: &Path,
        header: SegmentHeader,
        limit: u64,
    ) -> Result<SegmentWriter> {
        let name = file_name::segment(header.number);
        let temporary = dir.join(file_name::temporary(&name));
        let path = dir.join(name);
        let file = disk
            .create(&temporary)
            .map_err(|error| AtlasError::io("create", &temporary, error))?;
        file.preallocate(limit)
            .map_err(|error| AtlasError::io("preallocate", &temporary, error))?;
        disk::write_full(&*file, &header.encode(), 0)
            .map_err(|error| AtlasError::io("write", &temporary, error))?;
        let size = file
            .length()
            .map_err(|error| AtlasError::io("read", &temporary, error))?;
        file.sync()
            .map_err(|error| AtlasError::io("sync", &temporary, error))?;
        disk::give_name(disk, &temporary, &path)?;
        disk.sync_dir(dir)
            .map_err(|error| AtlasError::io("sync", dir, error))?;
        let file = Arc::new(SegmentFile {
            number: header.number,
            file,
            path,
        });
        Ok(SegmentWriter {
            file,
            header,
            size,
            limit,
            offset: count(HEADER_SIZE),
            buffer: Vec::new(),
        })
    }

    pub(crate) fn file(&self) -> &Arc<SegmentFile> {
        &self.file
    }

    pub(crate) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// Bytes that the file had when it was made durable: what could be preallocated, or the header.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes after which the segment is sealed.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Where the next entry goes: the segment's used bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Hands an entry to the operating system; returns its bytes. After an error nothing more may be
    /// appended: the bytes behind the last whole entry are not known.
    pub(crate) fn append(&mut self, entry: &NewEntry<'_>) -> Result<u64> {
        let path = &self.file.path;
        if entry.encode(self.header.nonce, &mut self.buffer).is_none() {
            // Options keep a batch far below this; a caller without limits gets an error all the same.
            let length = count(self.buffer.len());
            return Err(AtlasError::BatchTooLarge {
                length,
                limit: u64::from(u32::MAX),
            });
        }
        disk::write_full(&*self.file.file, &self.buffer, self.offset)
            .map_err(|error| AtlasError::io("append to", path, error))?;
        let size = count(self.buffer.len());
        self.offset += size;
        // One huge batch must not keep its memory for ever.
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
        Ok(size)
    }
}
