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
#[expect(clippy::disallowed_methods, reason = "tests write segments by hand")]
mod tests {
    use super::*;
    use crate::storage::disk::RealDisk;
    use crate::storage::wal::{Kind, NewEntry};

    const HEADER: SegmentHeader = SegmentHeader {
        database_id: [7; 16],
        number: 3,
        nonce: 0xA5A5_5A5A_0102_0304,
        first_lsn: Lsn::from_u64(9),
    };
    const FROM: usize = HEADER_SIZE;

    fn mark(lsn: u64, durable: u64) -> Vec<u8> {
        let new = NewEntry {
            lsn: Lsn::from_u64(lsn),
            kind: Kind::DurableMark,
            durable_lsn: Lsn::from_u64(durable),
            operations: &[],
        };
        let mut bytes = Vec::new();
        new.encode(HEADER.nonce, &mut bytes).unwrap();
        bytes
    }

    /// A segment of so many bytes behind its header, zeros but for these entries at these offsets.
    fn segment(length: usize, entries: &[(usize, &[u8])]) -> SegmentReader {
        let mut bytes = vec![0; FROM + length];
        bytes[..FROM].copy_from_slice(&HEADER.encode());
        for (at, entry) in entries {
            bytes[*at..at + entry.len()].copy_from_slice(entry);
        }
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(file_name::segment(3)), bytes).unwrap();
        SegmentReader::open(&RealDisk, home.path(), 3).unwrap()
    }

    /// What looking ahead finds, and the bytes that it passed each time.
    fn look(reader: &mut SegmentReader, from: usize) -> (Remainder, Vec<u64>) {
        let mut passed = Vec::new();
        let found = reader.look_ahead(count(from), &mut |bytes| passed.push(bytes));
        (found.unwrap(), passed)
    }

    #[test]
    fn an_entry_across_two_windows_is_found() {
        let entry = mark(40, 39);
        let end = FROM + WINDOW;
        // The nonce ends in the first window, lies across both, or begins in the second.
        for at in (end - ENTRY_NONCE_AT - 10)..=(end - ENTRY_NONCE_AT + 2) {
            let mut reader = segment(WINDOW + 100, &[(at, &entry)]);
            let found = Remainder {
                used_to: Some(count(at + entry.len())),
                first_entry: Some((count(at), Lsn::from_u64(40))),
                proof: Some((Lsn::from_u64(39), count(at))),
            };
            let passed = vec![count(WINDOW) - 7, 107];
            assert_eq!(look(&mut reader, FROM), (found, passed), "at {at}");
            let first = reader.find_entry(count(FROM)).unwrap();
            assert_eq!(first, Some(count(at)), "at {at}");
        }
    }

    #[test]
    fn every_window_is_looked_at_once() {
        let last = |length: usize| {
            let mut reader = segment(length, &[]);
            let (found, passed) = look(&mut reader, FROM);
            assert_eq!(found, Remainder::default());
            assert_eq!(reader.find_entry(count(FROM)).unwrap(), None);
            assert_eq!(passed.iter().sum::<u64>(), count(length));
            passed.len()
        };
        assert_eq!([last(0), last(1), last(WINDOW)], [0, 1, 1]);
        assert_eq!([last(WINDOW + 1), last(3 * WINDOW)], [2, 4]);
    }

    #[test]
    fn the_first_entry_and_the_highest_proof_are_told() {
        let (first, high, equal) = (mark(40, 10), mark(41, 30), mark(42, 30));
        let low = mark(43, 20);
        let places = [
            FROM,
            FROM + WINDOW + 9,
            FROM + 2 * WINDOW,
            FROM + 5 * WINDOW / 2,
        ];
        let entries = [first, high, equal, low];
        let placed: Vec<(usize, &[u8])> = places
            .into_iter()
            .zip(entries.iter().map(Vec::as_slice))
            .collect();
        let mut reader = segment(3 * WINDOW, &placed);
        let (found, _) = look(&mut reader, FROM);
        assert_eq!(found.first_entry, Some((count(FROM), Lsn::from_u64(40))));
        assert_eq!(found.proof, Some((Lsn::from_u64(30), count(places[1]))));
        // What begins before the place is not looked at, though its nonce stands behind it.
        let (found, _) = look(&mut reader, FROM + 1);
        let second = (count(places[1]), Lsn::from_u64(41));
        assert_eq!(found.first_entry, Some(second));
        let find = |reader: &mut SegmentReader, from| reader.find_entry(count(from)).unwrap();
        assert_eq!(find(&mut reader, FROM), Some(count(FROM)));
        assert_eq!(find(&mut reader, FROM + 1), Some(second.0));
        assert_eq!(find(&mut reader, places[3] + 1), None);
    }

    #[test]
    fn entries_are_read_in_their_order_up_to_the_end() {
        let (one, two) = (mark(40, 10), mark(41, 11));
        let places = [(FROM, one.as_slice()), (FROM + one.len(), &two)];
        let length = one.len() + two.len();
        let mut reader = segment(length, &places);
        assert!(reader.next_if(Lsn::from_u64(41)).unwrap().is_none());
        let lsn = |entry: Option<Entry<'_>>| entry.map(|entry| entry.lsn.as_u64());
        assert_eq!(lsn(reader.next_if(Lsn::from_u64(40)).unwrap()), Some(40));
        assert_eq!(lsn(reader.next_any().unwrap()), Some(41));
        assert_eq!(reader.offset(), count(FROM + length));
        assert!(reader.next_any().unwrap().is_none());
        reader.seek(count(FROM + one.len()));
        reader.limit(count(FROM + length - 1));
        assert!(reader.next_any().unwrap().is_none(), "it passes the end");
    }

    /// The header's own checksum does not hold, and perhaps its nonce is wrong.
    #[test]
    fn a_segment_with_a_damaged_header_is_read_by_its_entries() {
        for nonce in [HEADER.nonce, 0] {
            let entry = mark(40, 10);
            let mut bytes = SegmentHeader { nonce, ..HEADER }.encode();
            bytes[FROM - 1] ^= 1;
            bytes.extend_from_slice(&entry);
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join(file_name::segment(3));
            std::fs::write(&path, &bytes).unwrap();
            let (mut reader, damage) = SegmentReader::find(&RealDisk, &path).unwrap();
            assert!(damage.is_some());
            assert_eq!(reader.header().nonce, HEADER.nonce);
            assert_eq!(
                reader.next_any().unwrap().map(|entry| entry.lsn),
                Some(Lsn::from_u64(40))
            );
            std::fs::write(&path, &bytes[..FROM - 1]).unwrap();
            assert!(SegmentReader::find(&RealDisk, &path).is_err());
        }
    }
}
