//! A file's bytes: what a process reads, what is durable, and what lies between.

use std::collections::BTreeMap;
use std::ops::Range;

/// What the kernel writes back at once.
pub(super) const PAGE: usize = 4096;
/// What a disk writes at once.
pub(super) const SECTOR: usize = 512;

/// A file without a name.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    /// What reading gives.
    pub(super) live: Vec<u8>,
    /// What a power cut leaves for certain.
    durable: Vec<u8>,
    /// What was done since the last sync, in order.
    unsynced: Vec<Change>,
    /// A sync of it failed in this process.
    pub(super) sync_failed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Change {
    sequence: u64,
    /// Where the bytes go; for a growth, the new length.
    offset: usize,
    /// The bytes; `None` for a growth.
    data: Option<Vec<u8>>,
}

impl Change {
    fn end(&self) -> usize {
        self.offset + self.data.as_ref().map_or(0, Vec::len)
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        self.apply_part(bytes, 0..self.end());
    }

    /// Does the part of it that falls into these offsets.
    fn apply_part(&self, bytes: &mut Vec<u8>, part: Range<usize>) {
        let start = self.offset.max(part.start);
        let end = self.end().min(part.end);
        if start > end {
            return;
        }
        if bytes.is_empty() && end > 0 {
            // Zeros from the system cost nothing until they are touched, and what is held back never is.
            *bytes = vec![0; end];
        } else if bytes.len() < end {
            bytes.resize(end, 0);
        }
        if let Some(data) = &self.data {
            bytes[start..end].copy_from_slice(&data[start - self.offset..end - self.offset]);
        }
    }
}

impl Inode {
    /// A file of these bytes, all of them durable.
    pub(super) fn durable(bytes: Vec<u8>) -> Inode {
        Inode {
            live: bytes.clone(),
            durable: bytes,
            unsynced: Vec::new(),
            sync_failed: false,
        }
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let start = usize::try_from(offset).unwrap().min(self.live.len());
        let length = buffer.len().min(self.live.len() - start);
        buffer[..length].copy_from_slice(&self.live[start..start + length]);
        length
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8], sequence: u64) {
        self.change(Change {
            sequence,
            offset: usize::try_from(offset).unwrap(),
            data: Some(data.to_vec()),
        });
    }

    pub(super) fn grow(&mut self, length: u64, sequence: u64) {
        self.change(Change {
            sequence,
            offset: usize::try_from(length).unwrap(),
            data: None,
        });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.unsynced.push(change);
    }

    /// Makes durable what was done up to this sequence number.
    pub(super) fn sync(&mut self, upto: u64) {
        let kept = self
            .unsynced
            .partition_point(|change| change.sequence <= upto);
        for change in self.unsynced.drain(..kept) {
            change.apply(&mut self.durable);
        }
    }

    /// A failed sync that calls clean what it did not save.
    pub(super) fn drop_unsynced(&mut self, random: &mut fastrand::Rng) {
        self.durable = self.with_units(PAGE, random);
        self.unsynced.clear();
    }

    pub(super) fn is_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    pub(super) fn unsynced_sequences(&self) -> impl Iterator<Item = u64> {
        self.unsynced.iter().map(|change| change.sequence)
    }

    /// Only what was synced.
    pub(super) fn with_nothing(&self) -> Vec<u8> {
        self.durable.clone()
    }

    /// What was synced and everything since.
    pub(super) fn with_everything(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.unsynced {
            change.apply(&mut bytes);
        }
        bytes
    }

    /// What was synced and everything before this sequence number, of which one more is torn.
    pub(super) fn with_prefix(&self, cut: u64, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.unsynced {
            if change.sequence < cut {
                change.apply(&mut bytes);
            } else if change.sequence == cut && change.data.is_some() {
                let end = random.usize(change.offset..=change.end());
                change.apply_part(&mut bytes, 0..end);
            }
        }
        bytes
    }

    /// What was synced, and each unit of this many bytes as it was at some time since.
    pub(super) fn with_units(&self, unit: usize, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut touched: BTreeMap<usize, usize> = BTreeMap::new();
        for change in &self.unsynced {
            for number in units(change, unit) {
                *touched.entry(number).or_default() += 1;
            }
        }
        // Of each unit, so many of the changes that touched it were written back.
        let mut kept: BTreeMap<usize, usize> = BTreeMap::new();
        for (number, changes) in touched {
            if random.bool() {
                kept.insert(number, random.usize(1..=changes));
            }
        }
        let mut bytes = self.durable.clone();
        for change in &self.unsynced {
            for number in units(change, unit) {
                if let Some(left) = kept.get_mut(&number).filter(|left| **left > 0) {
                    *left -= 1;
                    change.apply_part(&mut bytes, number * unit..(number + 1) * unit);
                }
            }
        }
        self.maybe_grow(&mut bytes, random);
        bytes
    }

    /// The length is written apart from the bytes: it may be ahead of them.
    fn maybe_grow(&self, bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
        let full = self.unsynced.iter().map(Change::end).max().unwrap_or(0);
        if full > bytes.len() && random.bool() {
            bytes.resize(full, 0);
        }
    }
}

/// The units that a write touches; none for a growth.
fn units(change: &Change, unit: usize) -> Range<usize> {
    if change.data.is_none() {
        return 0..0;
    }
    change.offset / unit..change.end().div_ceil(unit)
}
