//! Walking over the entries of a table, one after another, checking every one.

use std::sync::Arc;

use bytes::Bytes;

use super::frame::TableFile;
use super::{
    ADMIT_ABOVE, HEADER_LENGTH, Head, MAX_HEAD_NUMBERS, PREFIX_DATA_LENGTH, PREFIX_LENGTH,
};
use crate::storage::Lsn;
use crate::storage::codec::{self, Checksum, u32_at};
use crate::storage::disk::count;
use crate::storage::error::Result;
use crate::storage::merge::Admit;
use crate::storage::operation::LONGEST_KEY;

/// Entries up to this size, prefix included, are read whole; larger ones are checked piece by piece
/// and their value is read when it is wanted.
pub(super) const WINDOW: usize = 64 * 1024;
/// The first read of a walk; each further one is twice as large, up to a limit.
const FIRST_READ: usize = 16 * 1024;

/// Where an entry stands and what its head says, without key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Offset of the entry in the file.
    pub(super) offset: u64,
    /// Bytes of prefix and data.
    pub(super) length: usize,
    pub(super) lsn: Lsn,
    /// `None`: a tombstone.
    pub(super) value_length: Option<u64>,
}

impl Entry {
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(count(self.length))
    }

    /// Where the value begins, counted from the entry's begin.
    fn value_at(&self) -> usize {
        let value = self.value_length.unwrap_or(0);
        self.length
            .saturating_sub(usize::try_from(value).unwrap_or(usize::MAX))
    }
}

/// A walk over entries. Each step checks the next entry completely before anything of it is shown.
/// Its memory is a window of some 64 KiB and two keys.
#[derive(Debug)]
pub(super) struct Walk {
    file: Arc<TableFile>,
    extent: Extent,
    /// Offset of the next entry.
    next: u64,
    /// Bytes of the file from offset `next` on, or from `current` while there is one.
    window: Vec<u8>,
    /// How many bytes of the window have been passed.
    passed: usize,
    /// Bytes to read the next time.
    chunk: usize,
    /// The most bytes to read at a time.
    max_chunk: usize,
    current: Option<Entry>,
    key: Vec<u8>,
    previous: Vec<u8>,
    /// The checksum of all bytes from the file's begin to the end of the current entry, if wanted.
    whole: Option<Checksum>,
    /// The checksum of all bytes from `begin_run` on to the end of the current entry, if wanted.
    run: Option<Checksum>,
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
enum Extent {
    /// To exactly this offset, where an entry ends.
    To(u64),
    /// Over all entries: so many are left.
    All { left: u64 },
}

impl Walk {
    /// A walk over all entries, reading up to `max_chunk` bytes at a time.
    pub(super) fn all(file: Arc<TableFile>, max_chunk: usize) -> Walk {
        let left = file.entries;
        let mut walk = Walk::new(file, count(HEADER_LENGTH), Extent::All { left });
        walk.max_chunk = max_chunk;
        walk
    }

    /// A walk over the entries from `start` to `end`, at both of which an entry begins or the entries
    /// end.
    pub(super) fn span(file: Arc<TableFile>, start: u64, end: u64) -> Walk {
        Walk::new(file, start, Extent::To(end))
    }

    fn new(file: Arc<TableFile>, next: u64, extent: Extent) -> Walk {
        Walk {
            file,
            extent,
            next,
            window: Vec::new(),
            passed: 0,
            chunk: FIRST_READ,
            max_chunk: WINDOW,
            current: None,
            key: Vec::new(),
            previous: Vec::new(),
            whole: None,
            run: None,
        }
    }

    /// Begins a checksum of the entries that come next, seeded with the place where they begin. Returns that of
    /// those since the last time.
    pub(super) fn begin_run(&mut self) -> Option<u32> {
        let run = Checksum::seeded(self.file.file_id, self.next);
        self.run.replace(run).map(Checksum::finish)
    }

    /// Also computes the checksum of the whole file. To be called before the first step.
    pub(super) fn with_whole_checksum(mut self) -> Walk {
        self.whole = Some(Checksum::new().add(&self.file.header));
        self
    }

    /// The key of the current entry.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The key before the current one; empty at the first step.
    pub(super) fn previous(&self) -> &[u8] {
        &self.previous
    }

    /// Where the next entry begins, or the entries end.
    pub(super) fn offset(&self) -> u64 {
        self.next
    }

    /// The entry at which the walk stands.
    pub(super) fn entry(&self) -> Option<Entry> {
        self.current
    }

    /// Goes to the next entry; returns it, or `None` at the end. After an error the walk must not be
    /// used any more.
    pub(super) fn step(&mut self) -> Result<Option<Entry>> {
        self.pass();
        if self.at_end()? {
            return Ok(None);
        }
        let entry = self.load()?;
        if let Extent::All { left } = &mut self.extent {
            *left -= 1;
        }
        self.next = entry.end();
        self.current = Some(entry);
        Ok(self.current)
    }

    /// The value of the current entry; empty for a tombstone.
    pub(super) fn value(&self, admit: Admit<'_>) -> Result<Bytes> {
        let Some(entry) = self.current else {
            return Ok(Bytes::new());
        };
        match self.held_value(&entry) {
            Some(value) => {
                admit_value(&entry, admit)?;
                Ok(Bytes::copy_from_slice(value))
            }
            None => read_value(&self.file, &entry, admit),
        }
    }

    /// The value of the current entry when it is small enough to need no admission.
    pub(super) fn small_value(&self) -> Option<Bytes> {
        let entry = self.current?;
        if entry
            .value_length
            .is_some_and(|length| length > ADMIT_ABOVE)
        {
            return None;
        }
        self.held_value(&entry).map(Bytes::copy_from_slice)
    }

    /// The value of the current entry when the window holds it.
    fn held_value(&self, entry: &Entry) -> Option<&[u8]> {
        self.bytes().get(entry.value_at()..entry.length)
    }

    /// Gives the window back; what is still wanted of it is read again.
    pub(super) fn park(&mut self) {
        self.window = Vec::new();
        self.passed = 0;
        self.chunk = FIRST_READ;
    }

    /// Leaves the current entry behind.
    fn pass(&mut self) {
        let Some(entry) = self.current.take() else {
            return;
        };
        self.passed += entry.length;
        if self.passed >= self.window.len() {
            self.window.clear();
            self.passed = 0;
        }
        std::mem::swap(&mut self.key, &mut self.previous);
    }

    /// Where entries must end at the latest.
    fn limit(&self) -> u64 {
        match self.extent {
            Extent::To(end) => end,
            Extent::All { .. } => self.file.entries_end(),
        }
    }

    fn at_end(&self) -> Result<bool> {
        match self.extent {
            Extent::To(end) => Ok(self.next >= end),
            Extent::All { left: 0 } => {
                let rest = self.file.entries_end().saturating_sub(self.next);
                if rest > 0 && !self.file.has_unknown_section {
                    let detail = format!("{rest} bytes between the last entry and what is behind");
                    return Err(self.file.corrupt(self.next, detail));
                }
                Ok(true)
            }
            Extent::All { .. } => Ok(false),
        }
    }

    /// Reads and checks the entry at `next`.
    fn load(&mut self) -> Result<Entry> {
        let room = self.limit().saturating_sub(self.next);
        if room < count(PREFIX_LENGTH) {
            let detail = format!("an entry should begin here, but only {room} bytes are left");
            return Err(self.file.corrupt(self.next, detail));
        }
        self.fill(PREFIX_LENGTH)?;
        let (Some(stored), Some(data)) = (
            u32_at(self.bytes(), 0),
            u32_at(self.bytes(), PREFIX_DATA_LENGTH),
        ) else {
            return Err(self.file.corrupt(self.next, "no entry"));
        };
        let length = u64::from(data) + count(PREFIX_LENGTH);
        let length = match usize::try_from(length) {
            Ok(length) if count(length) <= room => length,
            _ => {
                let detail = format!("an entry of {length} bytes, where only {room} are left");
                return Err(self.file.corrupt(self.next, detail));
            }
        };
        self.fill(length.min(WINDOW))?;
        self.fill_head(length)?;
        if self.checksum(length)? != stored {
            return Err(self.file.corrupt(self.next, "an entry's checksum differs"));
        }
        self.take_head(length)
    }

    /// Makes sure that the head of a large entry is in the window. What it says is not checked yet.
    fn fill_head(&mut self, length: usize) -> Result<()> {
        if length <= WINDOW {
            return Ok(());
        }
        let data = self.bytes().get(PREFIX_LENGTH..).unwrap_or_default();
        let head = match codec::decode::<u64>(data) {
            Ok((key, used)) if key <= count(LONGEST_KEY) => usize::try_from(key)
                .unwrap_or(usize::MAX)
                .saturating_add(used + MAX_HEAD_NUMBERS),
            _ => {
                return Err(self
                    .file
                    .corrupt(self.next, "an entry with an impossible key length"));
            }
        };
        self.fill(length.min(PREFIX_LENGTH.saturating_add(head)))
    }

    /// The checksum of the entry at `next`, whose first bytes are in the window.
    fn checksum(&mut self, length: usize) -> Result<u32> {
        let (mut whole, mut run) = (self.whole.take(), self.run.take());
        let held = self.bytes();
        let held = held.get(..length).unwrap_or(held);
        let mut sum = Checksum::seeded(self.file.file_id, self.next)
            .add(held.get(PREFIX_DATA_LENGTH..).unwrap_or_default());
        whole = whole.map(|whole| whole.add(held));
        run = run.map(|run| run.add(held));
        let mut done = held.len();
        let mut piece = vec![0; (length - done).min(WINDOW)];
        while done < length {
            piece.truncate(length - done);
            self.file
                .read_exact(&mut piece, self.next.saturating_add(count(done)))?;
            sum = sum.add(&piece);
            whole = whole.map(|whole| whole.add(&piece));
            run = run.map(|run| run.add(&piece));
            done += piece.len();
        }
        (self.whole, self.run) = (whole, run);
        Ok(sum.finish())
    }

    /// Reads the head of the checked entry at `next` and compares its key with the one before.
    fn take_head(&mut self, length: usize) -> Result<Entry> {
        let held = self.window.get(self.passed..).unwrap_or_default();
        let data = held.get(PREFIX_LENGTH..).unwrap_or_default();
        let (head, used) = codec::decode::<Head<'_>>(data).map_err(|error| {
            self.file.corrupt(
                self.next,
                format!("an entry's head cannot be read: {}", error.0),
            )
        })?;
        let value = head.value_length.unwrap_or(0);
        if Some(count(length)) != value.checked_add(count(PREFIX_LENGTH + used)) {
            let detail = format!("an entry of {length} bytes says that its value has {value}");
            return Err(self.file.corrupt(self.next, detail));
        }
        if head.key <= self.previous.as_slice() {
            return Err(self
                .file
                .corrupt(self.next, "an entry's key is not above the one before"));
        }
        self.key.clear();
        self.key.extend_from_slice(head.key);
        Ok(Entry {
            offset: self.next,
            length,
            lsn: head.lsn,
            value_length: head.value_length,
        })
    }

    fn bytes(&self) -> &[u8] {
        self.window.get(self.passed..).unwrap_or_default()
    }

    /// Makes sure that the window holds at least `needed` bytes from `next` on.
    fn fill(&mut self, needed: usize) -> Result<()> {
        let held = self.window.len() - self.passed;
        if held >= needed {
            return Ok(());
        }
        self.window.drain(..self.passed);
        self.passed = 0;
        let left = self.limit().saturating_sub(self.next);
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(self.chunk)
            .max(needed);
        self.chunk = (self.chunk * 2).min(self.max_chunk);
        self.window.resize(wanted, 0);
        let at = self.next.saturating_add(count(held));
        let fresh = self.window.get_mut(held..).unwrap_or_default();
        self.file.read_exact(fresh, at)
    }

    /// The checksum of the whole file, at the end of a walk over all entries.
    pub(super) fn whole_checksum(&mut self) -> Result<u32> {
        let mut whole = self.whole.take().unwrap_or_default();
        let mut at = self.next;
        let mut piece = vec![0; WINDOW];
        while at < self.file.size {
            let left = usize::try_from(self.file.size - at).unwrap_or(usize::MAX);
            piece.truncate(left);
            self.file.read_exact(&mut piece, at)?;
            whole = whole.add(&piece);
            at = at.saturating_add(count(piece.len()));
        }
        Ok(whole.finish())
    }
}

/// Reads the value of an entry that has been checked before; it is checked again.
pub(super) fn read_value(file: &TableFile, entry: &Entry, admit: Admit<'_>) -> Result<Bytes> {
    admit_value(entry, admit)?;
    let mut bytes = vec![0; entry.length];
    file.read_exact(&mut bytes, entry.offset)?;
    let sum = Checksum::seeded(file.file_id, entry.offset)
        .add(bytes.get(PREFIX_DATA_LENGTH..).unwrap_or_default())
        .finish();
    if u32_at(&bytes, 0) != Some(sum) {
        return Err(file.corrupt(entry.offset, "an entry's checksum differs"));
    }
    Ok(Bytes::from(bytes).slice(entry.value_at()..))
}

fn admit_value(entry: &Entry, admit: Admit<'_>) -> Result<()> {
    match entry.value_length {
        Some(length) if length > ADMIT_ABOVE => admit(length),
        _ => Ok(()),
    }
}
