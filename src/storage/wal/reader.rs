//! Reading a segment. A reader never changes anything and decides nothing: it says which entries are
//! valid, where they end, and what stands after.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    ENTRY_HEAD, ENTRY_NONCE_AT, Entry, HEADER_SIZE, HeaderError, MARK_SIZE, SegmentHeader,
    data_length, decode_entry,
};
use crate::storage::disk::{self, Disk, DiskFile, count};
use crate::storage::error::{AtlasError, Result};
use crate::storage::{Lsn, codec, file_name};

/// Bytes read at once; an entry that is larger is read whole.
const WINDOW: usize = 256 * 1024;
/// Bytes of a nonce.
const NONCE_LENGTH: usize = 8;

/// A segment open for reading.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    header: SegmentHeader,
    /// Entries end here at the latest: the file's length, or where the manifest closed the segment.
    end: u64,
    /// Where the next entry is looked for.
    offset: u64,
    window: Vec<u8>,
    window_start: u64,
}

/// Bytes of a segment that are looked at together.
struct Window<'a> {
    start: u64,
    bytes: &'a [u8],
    /// Bytes that the next one does not show again.
    passed: u64,
}

/// What stands in a segment after its last valid entry in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remainder {
    /// The offset after the last byte that is not zero; `None` when all are.
    pub(crate) used_to: Option<u64>,
    /// The first valid entry found at any offset: its offset and LSN.
    pub(crate) first_entry: Option<(u64, Lsn)>,
    /// The highest durable LSN that a valid entry carries, and that entry's offset.
    pub(crate) proof: Option<(Lsn, u64)>,
}

impl SegmentReader {
    /// Opens the segment with this file number in `dir` and reads its header.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, number: u64) -> Result<SegmentReader> {
        let path = dir.join(file_name::segment(number));
        let header = read_header(disk, &path)?;
        if header.number != number {
            let detail = format!("its header has file number {}", header.number);
            return Err(AtlasError::corrupt(&path, 0, detail));
        }
        SegmentReader::assume(disk, &path, header)
    }

    /// Opens the segment at `path` by what stands in it alone; when its header is damaged, says how, and
    /// takes the nonce from the header or, where no entry has that one, from the first entry.
    pub(crate) fn find(disk: &dyn Disk, path: &Path) -> Result<(SegmentReader, Option<String>)> {
        let detail = match read_header(disk, path) {
            Ok(header) => return Ok((SegmentReader::assume(disk, path, header)?, None)),
            Err(AtlasError::Corrupt { detail, .. }) => detail,
            Err(error) => return Err(error),
        };
        let file = open_file(disk, path)?;
        let mut block = vec![0; HEADER_SIZE + MARK_SIZE];
        let read = disk::read_full(&*file, &mut block, 0)
            .map_err(|error| AtlasError::io("read", path, error))?;
        block.truncate(read);
        let Some(header) = block.get(..HEADER_SIZE).and_then(SegmentHeader::stated) else {
            return Err(AtlasError::corrupt(
                path,
                count(read),
                "the file ends within the header",
            ));
        };
        let mut reader = SegmentReader::assume(disk, path, header)?;
        let first = codec::u64_at(&block, HEADER_SIZE + ENTRY_NONCE_AT);
        if let (None, Some(nonce)) = (reader.find_entry(count(HEADER_SIZE))?, first) {
            reader.header.nonce = nonce;
        }
        Ok((reader, Some(detail)))
    }

    /// Opens a segment as if its header were this one, to read what can be read of a damaged file.
    pub(crate) fn assume(
        disk: &dyn Disk,
        path: &Path,
        header: SegmentHeader,
    ) -> Result<SegmentReader> {
        let (file, path) = (open_file(disk, path)?, path.to_path_buf());
        let end = file
            .length()
            .map_err(|error| AtlasError::io("read", &path, error))?;
        let offset = count(HEADER_SIZE);
        Ok(SegmentReader {
            file,
            path,
            header,
            end,
            offset,
            window: Vec::new(),
            window_start: 0,
        })
    }

    /// Where entries end at the latest: the file's length, unless limited.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Ignores what stands at and after `end`.
    pub(crate) fn limit(&mut self, end: u64) {
        self.end = self.end.min(end);
    }

    pub(crate) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next entry is looked for.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on reading at `offset`.
    pub(crate) fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// The entry at the present offset if it is valid and has this LSN; the reader then stands behind
    /// it. Otherwise the reader stays.
    pub(crate) fn next_if(&mut self, expected: Lsn) -> Result<Option<Entry<'_>>> {
        self.next_where(&|lsn| lsn == expected)
    }

    /// As [`SegmentReader::next_if`], whichever LSN the entry has.
    pub(crate) fn next_any(&mut self) -> Result<Option<Entry<'_>>> {
        self.next_where(&|_| true)
    }

    fn next_where(&mut self, wanted: &dyn Fn(Lsn) -> bool) -> Result<Option<Entry<'_>>> {
        let nonce = self.header.nonce;
        let offset = self.offset;
        let Some(size) = self.entry_size(offset)? else {
            return Ok(None);
        };
        let bytes = self.bytes_at(offset, size)?;
        // Looked at twice so that the borrow of the answer does not outlive a refusal.
        if decode_entry(bytes, nonce).is_none_or(|entry| !wanted(entry.lsn)) {
            return Ok(None);
        }
        self.offset = offset + count(size);
        Ok(decode_entry(self.bytes_at(offset, size)?, nonce))
    }

    /// Bytes of the entry at `offset` by the length it states; `None` when it would pass the end.
    fn entry_size(&mut self, offset: u64) -> Result<Option<usize>> {
        if offset + count(ENTRY_HEAD) > self.end {
            return Ok(None);
        }
        let Some(length) = data_length(self.bytes_at(offset, ENTRY_HEAD)?) else {
            return Ok(None);
        };
        let size = ENTRY_HEAD + length;
        Ok((offset + count(size) <= self.end).then_some(size))
    }

    /// Exactly `size` bytes at `offset`, which must lie before the end; fewer when the file is cut
    /// while it is read.
    fn bytes_at(&mut self, offset: u64, size: usize) -> Result<&[u8]> {
        let within = offset >= self.window_start
            && offset + count(size) <= self.window_start + count(self.window.len());
        if !within {
            let rest = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
            self.window.resize(size.max(WINDOW).min(rest), 0);
            let read = disk::read_full(&*self.file, &mut self.window, offset)
                .map_err(|error| AtlasError::io("read", &self.path, error))?;
            self.window.truncate(read);
            self.window_start = offset;
        }
        let start = usize::try_from(offset - self.window_start).unwrap_or(usize::MAX);
        let bytes = self.window.get(start..).unwrap_or_default();
        Ok(bytes.get(..size).unwrap_or(bytes))
    }

    /// The offset of the first valid entry at or after `from`, whichever LSN it has.
    pub(crate) fn find_entry(&mut self, from: u64) -> Result<Option<u64>> {
        let mut found = Remainder::default();
        self.each_window(from, &mut |reader, window| {
            reader.consider_all(window, from, &mut found)?;
            Ok(found.first_entry.is_none())
        })?;
        Ok(found.first_entry.map(|(offset, _)| offset))
    }

    /// Looks for valid entries at every offset from `from` to the end; `looked` is told the bytes that
    /// it has passed.
    pub(crate) fn look_ahead(
        &mut self,
        from: u64,
        looked: &mut dyn FnMut(u64),
    ) -> Result<Remainder> {
        let mut remainder = Remainder::default();
        self.each_window(from, &mut |reader, window| {
            if !is_zero(window.bytes) {
                let last = window.bytes.iter().rposition(|byte| *byte != 0);
                remainder.used_to = last.map(|last| window.start + count(last) + 1);
                reader.consider_all(window, from, &mut remainder)?;
            }
            looked(window.passed);
            Ok(true)
        })?;
        Ok(remainder)
    }

    /// Shows everything from `from` to the end, a window at a time, until `visit` has seen enough: `false`.
    fn each_window(
        &mut self,
        from: u64,
        visit: &mut dyn FnMut(&mut SegmentReader, &Window<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut start = from;
        while start < self.end {
            let rest = usize::try_from(self.end - start).unwrap_or(usize::MAX);
            let bytes = self.bytes_at(start, rest.min(WINDOW))?.to_vec();
            // All that there is, or fewer bytes than asked for: the file was cut meanwhile.
            let is_last = bytes.len() == rest || bytes.len() < WINDOW;
            // A nonce may lie across two windows: the next begins a little before this one's end.
            let again = if is_last { 0 } else { NONCE_LENGTH - 1 };
            let window = Window {
                start,
                passed: count(bytes.len() - again),
                bytes: &bytes,
            };
            if !visit(self, &window)? || is_last {
                break;
            }
            start += window.passed;
        }
        Ok(())
    }

    /// Notes every entry whose nonce stands in a window.
    fn consider_all(
        &mut self,
        window: &Window<'_>,
        from: u64,
        remainder: &mut Remainder,
    ) -> Result<()> {
        let nonce = self.header.nonce.to_le_bytes();
        for at in memchr::memmem::find_iter(window.bytes, &nonce) {
            self.consider(window.start + count(at), from, remainder)?;
        }
        Ok(())
    }

    /// Notes the entry whose nonce stands at `nonce_at`, if one does.
    fn consider(&mut self, nonce_at: u64, from: u64, remainder: &mut Remainder) -> Result<()> {
        let Some(offset) = nonce_at.checked_sub(count(ENTRY_NONCE_AT)) else {
            return Ok(());
        };
        if offset < from {
            return Ok(());
        }
        let nonce = self.header.nonce;
        let Some(size) = self.entry_size(offset)? else {
            return Ok(());
        };
        let Some(entry) = decode_entry(self.bytes_at(offset, size)?, nonce) else {
            return Ok(());
        };
        let (lsn, durable) = (entry.lsn, entry.durable_lsn);
        remainder.first_entry.get_or_insert((offset, lsn));
        if remainder.proof.is_none_or(|(proven, _)| durable > proven) {
            remainder.proof = Some((durable, offset));
        }
        Ok(())
    }
}

/// What the header of the segment at `path` says, whatever the file is called.
pub(crate) fn read_header(disk: &dyn Disk, path: &Path) -> Result<SegmentHeader> {
    let file = open_file(disk, path)?;
    let mut block = vec![0; HEADER_SIZE];
    let read = disk::read_full(&*file, &mut block, 0)
        .map_err(|error| AtlasError::io("read", path, error))?;
    SegmentHeader::decode(block.get(..read).unwrap_or_default())
        .map_err(|error| header_error(path, error))
}

fn open_file(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn DiskFile>> {
    disk.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => AtlasError::MissingFile {
            path: path.to_path_buf(),
            detail: "there is no such file".to_owned(),
        },
        _ => AtlasError::io("open", path, error),
    })
}

/// Whether all bytes are zero. Most of a preallocated segment is, so this is quick: no early end, which
/// lets the compiler compare many bytes at once.
fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(4096)
        .all(|chunk| chunk.iter().fold(0, |bits, byte| bits | byte) == 0)
}

fn header_error(path: &Path, error: HeaderError) -> AtlasError {
    match error {
        HeaderError::Damaged(detail) => AtlasError::corrupt(path, 0, detail),
        HeaderError::Newer(found) => AtlasError::NewerFormat {
            path: path.to_path_buf(),
            found,
            supported: super::VERSION,
        },
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
