//! The memtable: what was written since the last flush, in key order.
//!
//! A key holds its newest version, and older ones only while somebody may still read them: a reader
//! at the visible LSN while the newest is not visible yet, or an open scan. Who may read is known
//! under the write lock, so versions are dropped when their key is written again.

use super::sync::atomic::{AtomicUsize, Ordering};
use super::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::error::Result;
use super::merge::{Admit, Source};
use super::table::{ADMIT_ABOVE, Found};
use super::{Lsn, Operation, Versioned};

/// Memory that a version takes besides its key and value: the map's node and two headers.
const VERSION_OVERHEAD: usize = 120;

type Map = BTreeMap<Vec<u8>, Entry>;

/// A key's versions.
#[derive(Debug)]
struct Entry {
    newest: Version,
    /// Newest first.
    older: Vec<Version>,
}

/// What a write left of a key: a value, or `None` for a tombstone.
#[derive(Debug, Clone)]
struct Version {
    lsn: Lsn,
    value: Option<Bytes>,
}

impl Version {
    fn found(&self) -> Found {
        match &self.value {
            Some(value) => Found::Value(Versioned {
                value: value.clone(),
                lsn: self.lsn,
            }),
            None => Found::Tombstone(self.lsn),
        }
    }

    fn size(&self) -> usize {
        VERSION_OVERHEAD + self.value.as_ref().map_or(0, Bytes::len)
    }
}

impl Entry {
    fn at(&self, lsn: Lsn) -> Option<&Version> {
        std::iter::once(&self.newest)
            .chain(&self.older)
            .find(|version| version.lsn <= lsn)
    }
}

/// Which older versions somebody may still read.
pub(crate) trait Readers {
    /// Whether somebody may read at an LSN from `from`, inclusive, to `to`, exclusive, now or later.
    fn may_read(&self, from: Lsn, to: Lsn) -> bool;
}

/// A sorted map of versions in memory.
#[derive(Debug, Default)]
pub(crate) struct Memtable {
    map: RwLock<Map>,
    bytes: AtomicUsize,
}

/// A memtable locked for reading.
pub(crate) struct ReadMemtable<'a>(RwLockReadGuard<'a, Map>);

impl ReadMemtable<'_> {
    /// The key's newest version that is not after `at`.
    pub(crate) fn get(&self, key: &[u8], at: Lsn) -> Option<Found> {
        self.0.get(key)?.at(at).map(Version::found)
    }
}

impl Memtable {
    /// Memory taken, in bytes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Keys held, tombstones included.
    pub(crate) fn entries(&self) -> usize {
        self.read().0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.read().0.is_empty()
    }

    /// Locks it for reading.
    pub(crate) fn read(&self) -> ReadMemtable<'_> {
        // A panic while the lock was held for writing aborts the daemon; in tests the map is whole
        // between two operations.
        ReadMemtable(self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in one atomic write: readers see all of it or nothing. `publish` is called before they
    /// are let in.
    pub(crate) fn apply(
        &self,
        operations: &[Operation<'_>],
        lsn: Lsn,
        readers: &dyn Readers,
        publish: impl FnOnce(),
    ) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        for operation in operations {
            let value = operation.value().map(Bytes::copy_from_slice);
            self.insert(&mut map, operation.key(), Version { lsn, value }, readers);
        }
        publish();
    }

    fn insert(&self, map: &mut Map, key: &[u8], version: Version, readers: &dyn Readers) {
        let added = version.size();
        let Some(entry) = map.get_mut(key) else {
            map.insert(
                key.to_vec(),
                Entry {
                    newest: version,
                    older: Vec::new(),
                },
            );
            self.bytes.fetch_add(added + key.len(), Ordering::Relaxed);
            return;
        };
        let replaced = std::mem::replace(&mut entry.newest, version);
        let mut successor = entry.newest.lsn;
        let mut dropped = 0;
        entry.older.insert(0, replaced);
        entry.older.retain(|older| {
            let keep = readers.may_read(older.lsn, successor);
            successor = older.lsn;
            dropped += if keep { 0 } else { older.size() };
            keep
        });
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.bytes.fetch_sub(dropped, Ordering::Relaxed);
    }
}

/// Entries copied out of the memtable under one lock; their values are shared, not copied.
const BATCH: usize = 128;

/// The entries of a memtable in key order, as of one LSN. It holds the lock only while it copies a
/// batch.
#[derive(Debug)]
pub(crate) struct MemtableCursor {
    memtable: Arc<Memtable>,
    at: Lsn,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    reverse: bool,
    batch: VecDeque<(Vec<u8>, Version)>,
    /// Nothing is left behind the batch.
    exhausted: bool,
}

impl MemtableCursor {
    /// The entries from `from` to `to` as of `at`, from the last to the first when `reverse`.
    pub(crate) fn new(
        memtable: Arc<Memtable>,
        at: Lsn,
        (from, to): (Bound<Vec<u8>>, Bound<Vec<u8>>),
        reverse: bool,
    ) -> MemtableCursor {
        let batch = VecDeque::with_capacity(BATCH);
        let mut cursor = MemtableCursor {
            memtable,
            at,
            from,
            to,
            reverse,
            batch,
            exhausted: false,
        };
        cursor.exhausted = is_empty_range(&cursor.from, &cursor.to);
        cursor.fill();
        cursor
    }

    /// The value at the cursor without copying it; `None` for a tombstone and at the end.
    pub(crate) fn shared_value(&self) -> Option<Bytes> {
        self.batch
            .front()
            .and_then(|(_, version)| version.value.clone())
    }

    fn fill(&mut self) {
        // A batch may come out empty while keys go on: those written after `at` only.
        while self.batch.is_empty() && !self.exhausted {
            let memtable = Arc::clone(&self.memtable);
            let map = memtable.read().0;
            let range = map.range::<[u8], _>((as_slice(&self.from), as_slice(&self.to)));
            let last = if self.reverse {
                copy_batch(range.rev(), self.at, &mut self.batch)
            } else {
                copy_batch(range, self.at, &mut self.batch)
            };
            match last {
                Some(key) if self.reverse => self.to = Bound::Excluded(key),
                Some(key) => self.from = Bound::Excluded(key),
                None => self.exhausted = true,
            }
            self.exhausted |= is_empty_range(&self.from, &self.to);
        }
    }
}

/// Copies up to a batch; returns the last key looked at when there may be more.
fn copy_batch<'a>(
    entries: impl Iterator<Item = (&'a Vec<u8>, &'a Entry)>,
    at: Lsn,
    batch: &mut VecDeque<(Vec<u8>, Version)>,
) -> Option<Vec<u8>> {
    let mut seen = 0;
    for (key, entry) in entries {
        if let Some(version) = entry.at(at) {
            batch.push_back((key.clone(), version.clone()));
        }
        seen += 1;
        if seen == BATCH {
            return Some(key.clone());
        }
    }
    None
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// Whether no key can lie between the bounds; `BTreeMap::range` must not be asked then.
pub(crate) fn is_empty_range(from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        _ => false,
    }
}

impl Source for MemtableCursor {
    fn key(&self) -> Option<&[u8]> {
        self.batch.front().map(|(key, _)| key.as_slice())
    }

    fn lsn(&self) -> Lsn {
        self.batch
            .front()
            .map_or(Lsn::ZERO, |(_, version)| version.lsn)
    }

    fn is_tombstone(&self) -> bool {
        self.batch
            .front()
            .is_some_and(|(_, version)| version.value.is_none())
    }

    fn value_length(&self) -> u64 {
        self.shared_value()
            .map_or(0, |value| super::disk::count(value.len()))
    }

    /// The value is shared, not copied; but whoever holds it keeps it in memory after its flush, so a
    /// large one is asked for like any other.
    fn value(&mut self, admit: Admit<'_>) -> Result<Bytes> {
        if self.value_length() > ADMIT_ABOVE {
            admit(self.value_length())?;
        }
        Ok(self.shared_value().unwrap_or_default())
    }

    fn advance(&mut self) -> Result<()> {
        self.batch.pop_front();
        self.fill();
        Ok(())
    }
}
