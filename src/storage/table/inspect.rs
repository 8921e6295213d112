//! Reading a damaged table as far as it can be read, to say what is lost. It changes nothing.

use std::path::Path;
use std::sync::Arc;

use super::frame::TableFile;
use super::walk::{Entry, Walk};
use super::{Head, MAX_HEAD_NUMBERS, PREFIX_LENGTH, TableInfo};
use crate::storage::Lsn;
use crate::storage::codec::{self, Checksum, u32_at};
use crate::storage::disk::{Disk, count};
use crate::storage::error::{AtlasError, Result};
use crate::storage::operation::LONGEST_KEY;

/// Damaged places that are told one by one; those behind them are told as one.
const MAX_PLACES: usize = 100;
/// Bytes that are searched for the next entry first: it mostly is near. Each further search is twice as large.
const FIRST_SEARCH: usize = 16 * 1024;
/// The most bytes that are searched at a time.
const MAX_SEARCH: usize = 256 * 1024;
/// The most bytes that a number takes in a head.
const NUMBER: usize = 9;

/// What can still be read of a table.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    /// Valid entries.
    pub(crate) entries: u64,
    /// Tombstones among them.
    pub(crate) tombstones: u64,
    /// The least and the highest LSN of the valid entries.
    pub(crate) lsns: Option<(Lsn, Lsn)>,
    /// Damaged places, in order; the first hundred.
    pub(crate) places: Vec<DamagedPlace>,
    /// The places behind those.
    pub(crate) more: MorePlaces,
}

/// Damaged places that are too many to be told one by one.
#[derive(Debug, Default)]
pub(crate) struct MorePlaces {
    /// How many they are.
    pub(crate) places: u64,
    /// The next key behind the last of them; empty when there is none.
    pub(crate) before: Vec<u8>,
    /// Of where each of them begins and ends.
    sum: Checksum,
}

impl MorePlaces {
    /// A checksum of all of them: other places have another.
    pub(crate) fn checksum(&self) -> u32 {
        self.sum.clone().finish()
    }

    fn add(&mut self, offset: u64, end: u64) {
        self.places += 1;
        self.before.clear();
        self.sum = std::mem::take(&mut self.sum).add_u64(offset).add_u64(end);
    }
}

/// Bytes among the entries that are not valid entries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DamagedPlace {
    /// Offset of the first byte.
    pub(crate) offset: u64,
    /// Offset of the next valid entry, or of the end of the entries.
    pub(crate) end: u64,
    /// The last key before; empty when there is none.
    pub(crate) after: Vec<u8>,
    /// The next key behind; empty when there is none.
    pub(crate) before: Vec<u8>,
    /// What is wrong.
    pub(crate) detail: String,
}

/// Reads every entry of the table that `info` describes that is still valid, whatever has become of
/// header, footer and size.
///
/// # Errors
/// `MissingFile` when there is no such file, `Io`.
pub(crate) fn inspect(disk: &dyn Disk, path: &Path, info: &TableInfo) -> Result<Inspection> {
    inspect_with(disk, path, info, &mut |_, _| Ok(()))
}

/// As [`inspect`]; every valid entry is shown to `visit` on the way.
///
/// # Errors
/// As [`inspect`]; what `visit` says.
pub(super) fn inspect_with(
    disk: &dyn Disk,
    path: &Path,
    info: &TableInfo,
    visit: &mut dyn FnMut(&Walk, &Entry) -> Result<()>,
) -> Result<Inspection> {
    let file = Arc::new(TableFile::assume(disk, path, info)?);
    let mut walk = Walk::span(Arc::clone(&file), file.entries_at(), file.entries_end());
    let mut inspection = Inspection::default();
    let mut last_key = Vec::new();
    let mut is_behind_place = false;
    loop {
        match walk.step() {
            Ok(Some(entry)) => {
                inspection.count(&entry);
                visit(&walk, &entry)?;
                if std::mem::take(&mut is_behind_place) {
                    inspection.end_place(walk.key());
                }
                last_key.clear();
                last_key.extend_from_slice(walk.key());
            }
            Ok(None) => return Ok(inspection),
            Err(AtlasError::Corrupt { detail, .. }) => {
                // Nothing is damaged when all entries were there: a section, or a longer file.
                if inspection.entries == info.entries {
                    return Ok(inspection);
                }
                let offset = walk.offset();
                let next = next_entry(&file, offset.saturating_add(1))?;
                let end = next.unwrap_or(file.entries_end());
                is_behind_place = true;
                inspection.add_place(DamagedPlace {
                    offset,
                    end,
                    after: last_key.clone(),
                    before: Vec::new(),
                    detail,
                });
                let Some(next) = next else {
                    return Ok(inspection);
                };
                walk = Walk::span(Arc::clone(&file), next, file.entries_end());
            }
            Err(error) => return Err(error),
        }
    }
}

impl Inspection {
    fn add_place(&mut self, place: DamagedPlace) {
        if self.places.len() < MAX_PLACES {
            self.places.push(place);
        } else {
            self.more.add(place.offset, place.end);
        }
    }

    /// The next key behind the last place.
    fn end_place(&mut self, key: &[u8]) {
        let before = match self.more.places {
            0 => self.places.last_mut().map(|place| &mut place.before),
            _ => Some(&mut self.more.before),
        };
        if let Some(before) = before {
            before.extend_from_slice(key);
        }
    }

    fn count(&mut self, entry: &Entry) {
        self.entries += 1;
        self.tombstones += u64::from(entry.value_length.is_none());
        let (least, most) = self.lsns.unwrap_or((entry.lsn, entry.lsn));
        self.lsns = Some((least.min(entry.lsn), most.max(entry.lsn)));
    }
}

/// The offset of the first valid entry at or after `from`.
pub(super) fn next_entry(file: &Arc<TableFile>, from: u64) -> Result<Option<u64>> {
    let end = file.entries_end();
    let mut window = Vec::new();
    let (mut start, mut size) = (from, FIRST_SEARCH);
    while start < end {
        let left = usize::try_from(end - start).unwrap_or(usize::MAX);
        window.resize(left.min(size), 0);
        let read = file.read_some(&mut window, start)?;
        let is_last = read < size;
        size = (size * 2).min(MAX_SEARCH);
        let mut passed = 0;
        while let Some(bytes) = window.get(passed..read).filter(|bytes| !bytes.is_empty()) {
            let offset = start.saturating_add(count(passed));
            let needed = head_length(bytes, end - offset);
            if needed > bytes.len() && !is_last {
                // A search goes on from here, with so much more that long keys do not make it slow.
                size = size.max(needed + FIRST_SEARCH.max(needed / 4));
                break;
            }
            if could_be_entry(bytes, end - offset) {
                match Walk::span(Arc::clone(file), offset, end).step() {
                    Ok(_) => return Ok(Some(offset)),
                    Err(AtlasError::Corrupt { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            passed += 1;
        }
        if is_last {
            break;
        }
        start = start.saturating_add(count(passed));
    }
    Ok(None)
}

/// Bytes from the prefix to the head's end that must be there to tell whether `bytes` begin as an entry does,
/// more than that at most by some numbers; 0 when the lengths alone tell that they do not.
fn head_length(bytes: &[u8], room: u64) -> usize {
    let least = PREFIX_LENGTH + NUMBER;
    let Some(data) = bytes.get(PREFIX_LENGTH..).filter(|_| bytes.len() >= least) else {
        return least;
    };
    let Some(length) = data_length(bytes, room) else {
        return 0;
    };
    let head = match codec::decode::<u64>(data) {
        Ok((key, used)) if key <= count(LONGEST_KEY) => usize::try_from(key)
            .unwrap_or(usize::MAX)
            .saturating_add(used + MAX_HEAD_NUMBERS),
        _ => return 0,
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    PREFIX_LENGTH.saturating_add(head.min(length))
}

/// The length of the data that the prefix states, if there is room for so much.
fn data_length(bytes: &[u8], room: u64) -> Option<u64> {
    let length = u32_at(bytes, super::PREFIX_DATA_LENGTH).map(u64::from)?;
    (length > 0 && length.saturating_add(count(PREFIX_LENGTH)) <= room).then_some(length)
}

/// Whether the lengths at the head of `bytes` fit together: cheap to ask, and rarely true by chance.
fn could_be_entry(bytes: &[u8], room: u64) -> bool {
    let Some(length) = data_length(bytes, room) else {
        return false;
    };
    let data = bytes.get(PREFIX_LENGTH..).unwrap_or_default();
    codec::decode::<Head<'_>>(data).is_ok_and(|(head, used)| {
        let value = head.value_length.unwrap_or(0);
        !head.key.is_empty() && count(used).checked_add(value) == Some(length)
    })
}
