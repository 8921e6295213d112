//! Making the sections of a table while its entries are written, in bounded memory.

use std::path::Path;

use super::HEADER_LENGTH;
use super::filter;
use super::index::separator;
use super::sections::{LISTED, Locator, MAX_DIRECTORY, MAX_PARTITION, PartitionHead, SpanHead};
use super::spill::Spill;
use crate::storage::codec::{Checksum, encode};
use crate::storage::disk::{Disk, count};
use crate::storage::error::Result;

/// A span has at most so many bytes, unless it is one larger entry.
const SPAN: u64 = 4 * 1024;
/// A separator up to this size may stand anywhere; a larger one only behind so many times its bytes of entries,
/// so that sections stay a small part of the file whatever the keys are.
const SHORT: u64 = 256;
const ENTRIES_TO_SPAN_KEY: u64 = 16;
const ENTRIES_TO_PARTITION_KEY: u64 = 256;

/// What sections may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A partition is closed when its spans have so many bytes,
    pub(super) partition: u64,
    /// and when their heads have so many, however long the separator behind them is.
    pub(super) heads: usize,
    /// Bytes of finished partitions held in memory; what is beyond waits in a temporary file.
    pub(super) held: usize,
    /// Each time the directory has grown by so many bytes, partitions become twice as large.
    pub(super) directory_step: usize,
    /// With a larger directory the table gets no sections.
    pub(super) directory: usize,
}

pub(super) const LIMITS: Limits = Limits {
    partition: 1 << 20,
    heads: MAX_PARTITION / 4,
    held: 8 << 20,
    directory_step: 4 << 20,
    directory: MAX_DIRECTORY,
};

/// Takes notice of entries and makes the sections behind them.
#[derive(Debug)]
pub(super) struct SectionsBuilder<'a> {
    file_id: u64,
    limits: Limits,
    span: OpenSpan,
    partition: OpenPartition,
    finished: Vec<Finished>,
    /// About the bytes of the directory.
    directory: usize,
    /// The bytes of the finished partitions.
    spill: Spill<'a>,
    /// Set when the directory would be too large.
    given_up: bool,
}

#[derive(Debug)]
struct OpenSpan {
    start: u64,
    separator: Vec<u8>,
    checksum: Checksum,
}

#[derive(Debug)]
struct OpenPartition {
    entries_at: u64,
    separator: Vec<u8>,
    /// The heads of the closed spans.
    spans: Vec<u8>,
    /// Of all keys in it.
    hashes: Vec<u64>,
}

#[derive(Debug)]
struct Finished {
    separator: Box<[u8]>,
    entries_at: u64,
    length: usize,
}

impl<'a> SectionsBuilder<'a> {
    /// For the table with this identity; `beside` is the path of its temporary file.
    pub(super) fn new(
        disk: &'a dyn Disk,
        beside: &Path,
        file_id: u64,
        limits: Limits,
    ) -> SectionsBuilder<'a> {
        let start = count(HEADER_LENGTH);
        SectionsBuilder {
            file_id,
            limits,
            span: OpenSpan {
                start,
                separator: Vec::new(),
                checksum: Checksum::seeded(file_id, start),
            },
            partition: OpenPartition {
                entries_at: start,
                separator: Vec::new(),
                spans: Vec::new(),
                hashes: Vec::new(),
            },
            finished: Vec::new(),
            directory: 0,
            spill: Spill::new(disk, beside, limits.held),
            given_up: false,
        }
    }

    /// Takes notice of an entry of `length` bytes that begins at `offset`; `previous` is the key before it.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn begin(
        &mut self,
        (previous, key): (&[u8], &[u8]),
        offset: u64,
        length: u64,
    ) -> Result<()> {
        if self.given_up {
            return Ok(());
        }
        let held = offset.saturating_sub(self.span.start);
        if held > 0 && held.saturating_add(length) > SPAN {
            let separator = separator(previous, key);
            if may_stand(separator, held, ENTRIES_TO_SPAN_KEY) {
                self.close_span(separator, offset)?;
            }
        }
        self.partition.hashes.push(filter::hash(self.file_id, key));
        Ok(())
    }

    /// Takes bytes of the present entry.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if !self.given_up {
            let checksum = std::mem::take(&mut self.span.checksum);
            self.span.checksum = checksum.add(bytes);
        }
    }

    /// Closes the last span and partition behind the entries, which end at `end`.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn end(&mut self, end: u64) -> Result<()> {
        if self.given_up {
            return Ok(());
        }
        self.close_span(&[], end)?;
        self.close_partition(&[], end)
    }

    /// The sections' bytes, given to `append` in pieces; the entries end at `end`. To be called after `end`.
    ///
    /// # Errors
    /// `Io`; what `append` says.
    pub(super) fn write(
        mut self,
        end: u64,
        append: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut directory = Vec::new();
        let mut offset = end;
        let mut partitions: u32 = 0;
        if self.given_up {
            self.finished.clear();
        }
        for finished in &self.finished {
            let bytes = self.spill.next(finished.length)?;
            let head = PartitionHead {
                separator: &finished.separator,
                entries_at: finished.entries_at,
                offset,
                length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                checksum: Checksum::seeded(self.file_id, offset).add(&bytes).finish(),
            };
            encode(&head, &mut directory);
            append(&bytes)?;
            offset = offset.saturating_add(count(bytes.len()));
            partitions = partitions.saturating_add(1);
        }
        append(&directory)?;
        let locator = Locator {
            entries_end: end,
            directory: offset,
            length: u32::try_from(directory.len()).unwrap_or(u32::MAX),
            partitions,
            checksum: Checksum::seeded(self.file_id, offset)
                .add(&directory)
                .finish(),
        };
        let at = offset.saturating_add(count(directory.len()));
        append(&locator.bytes(self.file_id, at))
    }

    /// Closes the present span; the next one begins at `offset` and has `separator`.
    fn close_span(&mut self, separator: &[u8], offset: u64) -> Result<()> {
        let checksum = Checksum::seeded(self.file_id, offset);
        let head = SpanHead {
            separator: &self.span.separator,
            length: offset.saturating_sub(self.span.start),
            checksum: std::mem::replace(&mut self.span.checksum, checksum).finish(),
        };
        encode(&head, &mut self.partition.spans);
        self.span.start = offset;
        self.span.separator.clear();
        self.span.separator.extend_from_slice(separator);
        let covered = offset.saturating_sub(self.partition.entries_at);
        let steps = self.directory / self.limits.directory_step.max(1);
        let wanted = self.limits.partition << steps.min(3);
        let is_long = covered >= wanted && may_stand(separator, covered, ENTRIES_TO_PARTITION_KEY);
        let is_full = self.partition.spans.len() >= self.limits.heads;
        if (is_long || is_full) && !separator.is_empty() {
            self.close_partition(separator, offset)?;
        }
        Ok(())
    }

    /// Closes the present partition; the next one begins with the span at `offset`.
    fn close_partition(&mut self, separator: &[u8], offset: u64) -> Result<()> {
        let filter = filter::filter(&self.partition.hashes);
        self.partition.hashes.clear();
        let length = u32::try_from(filter.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes();
        let spans = std::mem::take(&mut self.partition.spans);
        let next = separator.to_vec();
        let finished = Finished {
            separator: std::mem::replace(&mut self.partition.separator, next).into(),
            entries_at: std::mem::replace(&mut self.partition.entries_at, offset),
            length: length.len() + filter.len() + spans.len(),
        };
        self.directory += finished.separator.len() + LISTED;
        if self.directory > self.limits.directory {
            self.given_up = true;
            self.finished = Vec::new();
            return Ok(());
        }
        for piece in [&length[..], &filter, &spans] {
            self.spill.add(piece)?;
        }
        self.finished.push(finished);
        Ok(())
    }
}

/// Whether a separator may stand behind so many bytes of entries.
fn may_stand(separator: &[u8], entries: u64, ratio: u64) -> bool {
    let length = count(separator.len());
    length <= SHORT || entries >= length.saturating_mul(ratio)
}
