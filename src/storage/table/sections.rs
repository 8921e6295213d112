//! The sections of a table: what finds a key without reading the file. Reading them, each checked before it is
//! believed. Their bytes are listed in [`super`].

use serde::{Deserialize, Serialize};

use super::filter;
use super::frame::TableFile;
use super::{HEADER_LENGTH, LOCATOR_LENGTH};
use crate::storage::codec::{self, Checksum, u32_at, u64_at};
use crate::storage::disk::count;
use crate::storage::error::Result;

/// The most bytes of a directory, in the file and in memory, where all of it is held.
pub(super) const MAX_DIRECTORY: usize = 16 << 20;
/// The most bytes of a partition, in the file and in memory: all of it is read at once. Those that are written are less than half as large.
pub(super) const MAX_PARTITION: usize = 16 << 20;
/// Bytes that a partition takes in the directory besides its separator, at most: in the file two lengths, two
/// offsets and a checksum, in memory [`Listed`].
pub(super) const LISTED: usize = 40;
const _: () = assert!(size_of::<Listed>() <= LISTED && 5 + 9 + 9 + 5 + 5 <= LISTED);

const LOCATOR_DIRECTORY: usize = 8;
const LOCATOR_LENGTH_AT: usize = 16;
const LOCATOR_PARTITIONS: usize = 20;
const LOCATOR_DIRECTORY_SUM: usize = 24;
const LOCATOR_SUM: usize = 28;

/// How a span stands in a partition.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SpanHead<'a> {
    #[serde(borrow, with = "serde_bytes")]
    pub(super) separator: &'a [u8],
    pub(super) length: u64,
    pub(super) checksum: u32,
}

/// How a partition stands in the directory.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PartitionHead<'a> {
    #[serde(borrow, with = "serde_bytes")]
    pub(super) separator: &'a [u8],
    /// Offset of the first entry of its first span.
    pub(super) entries_at: u64,
    /// Offset of the partition.
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) checksum: u32,
}

/// Where the directory is, and where the entries end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Locator {
    pub(super) entries_end: u64,
    pub(super) directory: u64,
    pub(super) length: u32,
    /// 0: the table has no partitions.
    pub(super) partitions: u32,
    pub(super) checksum: u32,
}

impl Locator {
    /// Its bytes, to stand at `offset`.
    pub(super) fn bytes(&self, file_id: u64, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LOCATOR_LENGTH);
        bytes.extend_from_slice(&self.entries_end.to_le_bytes());
        bytes.extend_from_slice(&self.directory.to_le_bytes());
        bytes.extend_from_slice(&self.length.to_le_bytes());
        bytes.extend_from_slice(&self.partitions.to_le_bytes());
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        let sum = Checksum::seeded(file_id, offset).add(&bytes).finish();
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the locator that stands at `offset`; `None`: its checksum differs, or it leads nowhere.
    pub(super) fn read(bytes: &[u8], file_id: u64, offset: u64) -> Option<Locator> {
        let sum = Checksum::seeded(file_id, offset).add(bytes.get(..LOCATOR_SUM)?);
        if u32_at(bytes, LOCATOR_SUM)? != sum.finish() {
            return None;
        }
        let locator = Locator {
            entries_end: u64_at(bytes, 0)?,
            directory: u64_at(bytes, LOCATOR_DIRECTORY)?,
            length: u32_at(bytes, LOCATOR_LENGTH_AT)?,
            partitions: u32_at(bytes, LOCATOR_PARTITIONS)?,
            checksum: u32_at(bytes, LOCATOR_DIRECTORY_SUM)?,
        };
        let is_ordered = count(HEADER_LENGTH) < locator.entries_end
            && locator.entries_end <= locator.directory
            && locator.directory.checked_add(u64::from(locator.length)) == Some(offset)
            && usize::try_from(locator.length).is_ok_and(|length| length <= MAX_DIRECTORY);
        is_ordered.then_some(locator)
    }
}

/// The partitions of a table, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(super) partitions: Vec<Listed>,
    /// Where the last entry ends.
    pub(super) entries_end: u64,
}

/// A partition in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Above every key before the partition's first span, and not above its first key; empty for the first.
    pub(super) separator: Box<[u8]>,
    pub(super) entries_at: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
    checksum: u32,
}

impl Directory {
    /// Reads and checks the directory of a table that has one.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub(super) fn load(file: &TableFile, locator: &Locator) -> Result<Directory> {
        let mut bytes = vec![0; usize::try_from(locator.length).unwrap_or(MAX_DIRECTORY)];
        file.read_exact(&mut bytes, locator.directory)?;
        let sum = Checksum::seeded(file.file_id, locator.directory).add(&bytes);
        let damaged = |detail: &str| {
            file.corrupt(
                locator.directory,
                format!("the directory of the table's sections: {detail}"),
            )
        };
        if sum.finish() != locator.checksum {
            return Err(damaged("its checksum differs"));
        }
        let mut rest = bytes.as_slice();
        let mut partitions: Vec<Listed> = Vec::new();
        let mut held: usize = 0;
        while !rest.is_empty() {
            let (head, used) = codec::decode::<PartitionHead<'_>>(rest)
                .map_err(|error| damaged(&format!("it cannot be read: {}", error.0)))?;
            rest = rest.get(used..).unwrap_or_default();
            held = held.saturating_add(head.separator.len() + LISTED);
            if held > MAX_DIRECTORY {
                return Err(damaged("it is larger than any that is written"));
            }
            partitions.push(Listed {
                separator: head.separator.into(),
                entries_at: head.entries_at,
                offset: head.offset,
                length: head.length,
                checksum: head.checksum,
            });
        }
        partitions.shrink_to_fit();
        let entries_end = locator.entries_end;
        let directory = Directory {
            partitions,
            entries_end,
        };
        match directory.fault(locator, file.has_unknown_section) {
            None => Ok(directory),
            Some(fault) => Err(damaged(fault)),
        }
    }

    /// What does not hold: partitions cover all entries and stand behind them without a gap, in key order. Between
    /// the last one and the directory may stand sections that nobody knows, where the header says so.
    fn fault(&self, locator: &Locator, has_unknown: bool) -> Option<&'static str> {
        if count(self.partitions.len()) != u64::from(locator.partitions) {
            return Some("it does not have as many partitions as the locator says");
        }
        let (mut at, mut entries_at) = (self.entries_end, count(HEADER_LENGTH));
        let mut previous: Option<&Listed> = None;
        for listed in &self.partitions {
            let is_next = listed.offset == at
                && match previous {
                    None => listed.entries_at == entries_at && listed.separator.is_empty(),
                    Some(previous) => {
                        listed.entries_at > entries_at && listed.separator > previous.separator
                    }
                };
            if !is_next || listed.entries_at >= self.entries_end {
                return Some("its partitions do not follow one another");
            }
            if usize::try_from(listed.length).is_ok_and(|length| length > MAX_PARTITION) {
                return Some("it has a partition that is larger than any that is written");
            }
            at = at.saturating_add(u64::from(listed.length));
            entries_at = listed.entries_at;
            previous = Some(listed);
        }
        let is_joined = at == locator.directory || (has_unknown && at < locator.directory);
        (!is_joined).then_some("its partitions do not end where it begins")
    }

    /// The place of the one partition in which `key` stands if it is in the table.
    pub(super) fn find(&self, key: &[u8]) -> usize {
        let after = self
            .partitions
            .partition_point(|listed| &*listed.separator <= key);
        // The first separator is empty, so nothing is before it.
        after.saturating_sub(1)
    }

    /// The place of the partition that has the last entry before `offset`.
    pub(super) fn find_before(&self, offset: u64) -> usize {
        let after = self
            .partitions
            .partition_point(|listed| listed.entries_at < offset);
        after.saturating_sub(1)
    }

    /// Where the entries of a partition end.
    fn entries_end(&self, place: usize) -> u64 {
        let next = self.partitions.get(place.saturating_add(1));
        next.map_or(self.entries_end, |next| next.entries_at)
    }

    /// Reads and checks a partition.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub(super) fn load_partition(&self, file: &TableFile, place: usize) -> Result<Partition> {
        let Some(listed) = self.partitions.get(place) else {
            return Err(file.corrupt(self.entries_end, "the table has no such partition"));
        };
        let mut bytes = vec![0; usize::try_from(listed.length).unwrap_or(MAX_PARTITION)];
        file.read_exact(&mut bytes, listed.offset)?;
        let damaged = |detail: &str| {
            let which = place.saturating_add(1);
            let of = self.partitions.len();
            file.corrupt(
                listed.offset,
                format!("partition {which} of {of} in the table's sections: {detail}"),
            )
        };
        let sum = Checksum::seeded(file.file_id, listed.offset).add(&bytes);
        if sum.finish() != listed.checksum {
            return Err(damaged("its checksum differs"));
        }
        let partition =
            Partition::read(&bytes, listed.entries_at).map_err(|fault| damaged(&fault))?;
        let is_whole = partition.end() == self.entries_end(place)
            && partition.separator(0) == Some(&*listed.separator);
        if is_whole {
            Ok(partition)
        } else {
            Err(damaged("it does not cover what the directory says"))
        }
    }
}

/// A run of spans: where each begins and ends, its checksum, and a filter of all their keys.
#[derive(Debug)]
pub(crate) struct Partition {
    entries_at: u64,
    spans: Vec<SpanPlace>,
    /// The separators of all spans, one behind another.
    separators: Box<[u8]>,
    filter: Box<[u8]>,
}

#[derive(Debug)]
struct SpanPlace {
    /// Where its last entry ends.
    end: u64,
    /// Where its separator ends among the separators.
    separator_end: usize,
    checksum: u32,
}

/// A run of whole entries that is read and checked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Of its bytes, seeded with the file id and `start`.
    pub(super) checksum: u32,
}

impl Partition {
    /// Reads a partition whose checksum is right.
    fn read(bytes: &[u8], entries_at: u64) -> std::result::Result<Partition, String> {
        let too_short = || "it is too short".to_owned();
        let filter = u32_at(bytes, 0).ok_or_else(too_short)?;
        let filter = usize::try_from(filter).map_err(|_| too_short())?;
        let rest = bytes.get(size_of::<u32>()..).unwrap_or_default();
        let (filter, mut rest) = rest.split_at_checked(filter).ok_or_else(too_short)?;
        let mut partition = Partition {
            entries_at,
            spans: Vec::new(),
            separators: Box::default(),
            filter: filter.into(),
        };
        let (mut end, mut separators) = (entries_at, Vec::new());
        let mut previous: Option<&[u8]> = None;
        while !rest.is_empty() {
            let (head, used) = codec::decode::<SpanHead<'_>>(rest)
                .map_err(|error| format!("it cannot be read: {}", error.0))?;
            rest = rest.get(used..).unwrap_or_default();
            end = end.saturating_add(head.length);
            if head.length == 0 || previous.is_some_and(|previous| previous >= head.separator) {
                return Err("its spans do not follow one another".to_owned());
            }
            previous = Some(head.separator);
            let spans = (partition.spans.len() + 1).saturating_mul(size_of::<SpanPlace>());
            if spans.saturating_add(separators.len() + head.separator.len()) > MAX_PARTITION {
                return Err("it is larger than any that is written".to_owned());
            }
            separators.extend_from_slice(head.separator);
            partition.spans.push(SpanPlace {
                end,
                separator_end: separators.len(),
                checksum: head.checksum,
            });
        }
        partition.separators = separators.into();
        partition.spans.shrink_to_fit();
        if partition.spans.is_empty() {
            return Err("it has no spans".to_owned());
        }
        Ok(partition)
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> u64 {
        let spans = self.spans.len().saturating_mul(size_of::<SpanPlace>());
        count(spans) + count(self.separators.len()) + count(self.filter.len())
    }

    /// Whether a key with this hash may be in one of the spans; `false` is certain.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        filter::may_have(&self.filter, hash)
    }

    /// The one span in which `key` stands if it is in the table; `None` when it is before the partition.
    pub(super) fn find(&self, key: &[u8]) -> Option<Span> {
        let (mut low, mut high) = (0, self.spans.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.separator(middle)? <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.span(low.checked_sub(1)?)
    }

    /// A span by its place.
    pub(super) fn span(&self, place: usize) -> Option<Span> {
        let SpanPlace { end, checksum, .. } = *self.spans.get(place)?;
        let start = match place.checked_sub(1) {
            Some(before) => self.spans.get(before)?.end,
            None => self.entries_at,
        };
        Some(Span {
            start,
            end,
            checksum,
        })
    }

    /// Above every key before the span, and not above its first.
    pub(super) fn separator(&self, place: usize) -> Option<&[u8]> {
        let end = self.spans.get(place)?.separator_end;
        let start = match place.checked_sub(1) {
            Some(before) => self.spans.get(before)?.separator_end,
            None => 0,
        };
        self.separators.get(start..end)
    }

    /// Where the spans begin that end at `end`, one of them there, and have no more than `most` bytes together;
    /// at least that one.
    pub(super) fn stretch_before(&self, end: u64, most: u64) -> u64 {
        let least = end.saturating_sub(most);
        if self.entries_at >= least {
            return self.entries_at;
        }
        let nearest = self.spans.partition_point(|span| span.end < end);
        let farthest = self.spans.partition_point(|span| span.end < least) + 1;
        let first = self.span(farthest.min(nearest));
        first.map_or(self.entries_at, |span| span.start)
    }

    /// Where the last span ends.
    pub(super) fn end(&self) -> u64 {
        self.spans.last().map_or(self.entries_at, |span| span.end)
    }
}
