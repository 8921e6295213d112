//! Scans: cursors that see one state to their end and hold no lock between pages.
//!
//! A scan pins the memtables and tables of the moment it was opened. What it pins is kept in the
//! registry, not in the scan, so that the engine can take it back when a scan idles too long or keeps
//! too much memory from being freed; the scan then ends with a typed error.

use super::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use super::sync::{Mutex, MutexGuard, PoisonError};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Lsn;
use super::error::{AtlasError, Result};
use super::memtable::Memtable;
use super::merge::{Admit, Merge};
use super::view::View;

/// Which keys a scan covers, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanRange {
    /// The first key, inclusive; `None`: from the first of all.
    pub from: Option<Vec<u8>>,
    /// The end, exclusive; `None`: to the last of all.
    pub to: Option<Vec<u8>>,
    /// Only keys that begin with these bytes; empty: all.
    pub prefix: Vec<u8>,
    /// From the last key to the first.
    pub reverse: bool,
    /// At most this many entries in all; 0: no limit.
    pub limit: u64,
}

impl ScanRange {
    /// The keys covered, as one range.
    pub(crate) fn bounds(&self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let from = self.from.as_deref().unwrap_or_default().max(&self.prefix);
        let after_prefix = after_prefix(&self.prefix);
        let to = match (&self.to, after_prefix) {
            (Some(to), Some(after)) => Bound::Excluded(to.clone().min(after)),
            (Some(to), None) => Bound::Excluded(to.clone()),
            (None, Some(after)) => Bound::Excluded(after),
            (None, None) => Bound::Unbounded,
        };
        (Bound::Included(from.to_vec()), to)
    }
}

/// The first key after all keys with this prefix; `None` when there is none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut after = prefix.get(..=last)?.to_vec();
    *after.last_mut()? += 1;
    Some(after)
}

/// A part of a scan's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Key, value and LSN of each entry, in the scan's order.
    pub entries: Vec<(Bytes, Bytes, Lsn)>,
    /// Whether this was the last page.
    pub done: bool,
}

/// What an open scan reads from. Dropping it frees what it pinned.
struct Pinned {
    merge: Merge,
    /// Memtables that would be freed after their flush but for this scan.
    memtables: Vec<Arc<Memtable>>,
    /// Entries still to give; `None`: no limit.
    left: Option<u64>,
    _snapshot: Snapshot,
}

enum State {
    Open(Box<Pinned>),
    Ended(&'static str),
}

struct Shared {
    state: Mutex<State>,
    last_used: Mutex<Instant>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open scan: it sees one state from its first entry to its last, and holds no lock between pages.
/// Dropping it closes it.
pub struct Scan {
    id: u64,
    lsn: Lsn,
    shared: Arc<Shared>,
    scans: Arc<Scans>,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Scan")
            .field("id", &self.id)
            .field("lsn", &self.lsn)
            .finish()
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.scans.lock().remove(&self.id);
    }
}

impl Scan {
    /// The LSN of the state that the scan sees.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The next entries: at most `max_entries`, and about `max_bytes` of keys and values (one entry is
    /// always given, however large). `admit` is asked before memory for a value of more than
    /// 64 KiB is taken.
    ///
    /// # Errors
    /// `ScanEnded` when a limit closed the scan; whatever reading can meet. After an error of reading
    /// the scan is at its end: no later page leaves the unreadable entry out.
    pub fn next_page(
        &mut self,
        max_entries: usize,
        max_bytes: usize,
        admit: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Page> {
        let mut state = self.shared.lock();
        let pinned = match &mut *state {
            State::Open(pinned) => pinned,
            State::Ended("done") => {
                return Ok(Page {
                    entries: Vec::new(),
                    done: true,
                });
            }
            State::Ended(reason) => return Err(AtlasError::ScanEnded { reason }),
        };
        let page = fill_page(pinned, max_entries.max(1), max_bytes, admit);
        pinned.merge.park();
        *self
            .shared
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
        match &page {
            Ok(page) if page.done => *state = State::Ended("done"),
            Ok(_) | Err(AtlasError::OverBudget { .. }) => {}
            Err(_) => *state = State::Ended("a read failed"),
        }
        page
    }
}

fn fill_page(
    pinned: &mut Pinned,
    max_entries: usize,
    max_bytes: usize,
    admit: Admit<'_>,
) -> Result<Page> {
    let mut page = Page::default();
    let mut bytes: u64 = 0;
    let budget = super::disk::count(max_bytes);
    loop {
        let Some(key) = pinned.merge.key().filter(|_| pinned.left != Some(0)) else {
            page.done = true;
            return Ok(page);
        };
        if pinned.merge.is_tombstone() {
            pinned.merge.advance()?;
            continue;
        }
        let size = super::disk::count(key.len()) + pinned.merge.value_length();
        let full = page.entries.len() >= max_entries || bytes + size > budget;
        if full && !page.entries.is_empty() {
            return Ok(page);
        }
        let key = Bytes::copy_from_slice(key);
        let value = match pinned.merge.value(admit) {
            Ok(value) => value,
            // What was gathered is given now; the large value is asked for again with the next page.
            Err(AtlasError::OverBudget { .. }) if !page.entries.is_empty() => return Ok(page),
            Err(error) => return Err(error),
        };
        page.entries.push((key, value, pinned.merge.lsn()));
        bytes += size;
        pinned.left = pinned.left.map(|left| left - 1);
        pinned.merge.advance()?;
    }
}

/// The open scans of a store, with their limits.
#[derive(Debug, Default)]
pub(crate) struct Scans {
    open: Mutex<BTreeMap<u64, Arc<Shared>>>,
    next_id: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Scans {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Shared>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a scan of `merge`, made of `view`, as of the snapshot.
    pub(crate) fn open(
        self: &Arc<Scans>,
        merge: Merge,
        view: &View,
        limit: u64,
        snapshot: Snapshot,
    ) -> Result<Scan> {
        let lsn = snapshot.lsn;
        let left = (limit > 0).then_some(limit);
        let pinned = Pinned {
            merge,
            memtables: view.memtables(),
            left,
            _snapshot: snapshot,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::Open(Box::new(pinned))),
            last_used: Mutex::new(Instant::now()),
        });
        let mut open = self.lock();
        let most = view.options.max_scans;
        if open.len() >= most {
            return Err(AtlasError::TooManyScans {
                limit: super::disk::count(most),
            });
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        open.insert(id, Arc::clone(&shared));
        Ok(Scan {
            id,
            lsn,
            shared,
            scans: Arc::clone(self),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Ends the scans that nobody used for `idle`, then the oldest ones while all together keep more
    /// than `max_pinned` bytes of flushed memtables; returns why, for each. A scan that is just being
    /// read is passed over.
    pub(crate) fn expire(
        &self,
        idle: Duration,
        max_pinned: usize,
        is_live: &dyn Fn(&Arc<Memtable>) -> bool,
    ) -> Vec<&'static str> {
        let open: Vec<Arc<Shared>> = self.lock().values().cloned().collect();
        let mut ended = Vec::new();
        for shared in &open {
            let last_used = *shared
                .last_used
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if last_used.elapsed() >= idle && end(shared, "it was idle too long") {
                ended.push("idle too long");
            }
        }
        let mut oldest_first = open.iter();
        while self.pinned_bytes(is_live) > max_pinned {
            let Some(shared) = oldest_first.next() else {
                break;
            };
            if end(shared, "it kept too much memory") {
                ended.push("it kept too much memory from being freed");
            }
        }
        ended
    }

    /// Bytes of memtables that only scans keep.
    pub(crate) fn pinned_bytes(&self, is_live: &dyn Fn(&Arc<Memtable>) -> bool) -> usize {
        let open: Vec<Arc<Shared>> = self.lock().values().cloned().collect();
        let mut pinned = BTreeMap::new();
        for shared in open {
            let Ok(state) = shared.state.try_lock() else {
                continue;
            };
            let State::Open(scan) = &*state else { continue };
            for memtable in scan.memtables.iter().filter(|memtable| !is_live(memtable)) {
                pinned.insert(Arc::as_ptr(memtable), memtable.bytes());
            }
        }
        pinned.values().sum()
    }
}

/// Ends an open scan that nobody is reading just now; whether it did.
fn end(shared: &Shared, reason: &'static str) -> bool {
    let Ok(mut state) = shared.state.try_lock() else {
        return false;
    };
    let open = matches!(*state, State::Open(_));
    if open {
        *state = State::Ended(reason);
    }
    open
}

/// The LSNs that open scans read at.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    lsns: Mutex<BTreeMap<Lsn, usize>>,
    /// Spares the writer the lock while there are none.
    count: AtomicUsize,
}

/// Keeps the versions that a reader at `lsn` needs.
#[derive(Debug)]
pub(crate) struct Snapshot {
    lsn: Lsn,
    snapshots: Arc<Snapshots>,
}

impl Snapshots {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Lsn, usize>> {
        self.lsns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a reader at `lsn`; the caller holds the active memtable's lock.
    pub(crate) fn take(self: &Arc<Snapshots>, lsn: Lsn) -> Snapshot {
        *self.lock().entry(lsn).or_default() += 1;
        self.count.fetch_add(1, Ordering::SeqCst);
        Snapshot {
            lsn,
            snapshots: Arc::clone(self),
        }
    }

    /// Whether a registered reader reads at an LSN from `from`, inclusive, to `to`, exclusive.
    pub(crate) fn any_between(&self, from: Lsn, to: Lsn) -> bool {
        self.count.load(Ordering::SeqCst) > 0
            && from < to
            && self.lock().range(from..to).next().is_some()
    }
}

impl Snapshot {
    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let mut lsns = self.snapshots.lock();
        if let Some(readers) = lsns.get_mut(&self.lsn) {
            *readers -= 1;
            if *readers == 0 {
                lsns.remove(&self.lsn);
            }
        }
        self.snapshots.count.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(
        from: Option<&str>,
        to: Option<&str>,
        prefix: &[u8],
    ) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let range = ScanRange {
            from: from.map(bytes),
            to: to.map(bytes),
            prefix: prefix.to_vec(),
            ..ScanRange::default()
        };
        range.bounds()
    }

    #[test]
    fn a_prefix_is_a_range() {
        let included = |text: &str| Bound::Included(text.as_bytes().to_vec());
        let excluded = |text: &str| Bound::Excluded(text.as_bytes().to_vec());
        assert_eq!(bounds(None, None, b""), (included(""), Bound::Unbounded));
        assert_eq!(bounds(None, None, b"ab"), (included("ab"), excluded("ac")));
        assert_eq!(
            bounds(Some("abc"), None, b"ab"),
            (included("abc"), excluded("ac"))
        );
        assert_eq!(
            bounds(Some("a"), Some("abx"), b"ab"),
            (included("ab"), excluded("abx"))
        );
        assert_eq!(
            bounds(None, Some("zz"), b"ab"),
            (included("ab"), excluded("ac"))
        );
        let (from, to) = bounds(None, None, &[7, 255, 255]);
        assert_eq!(
            (from, to),
            (Bound::Included(vec![7, 255, 255]), Bound::Excluded(vec![8]))
        );
        assert_eq!(
            bounds(None, None, &[255]),
            (Bound::Included(vec![255]), Bound::Unbounded)
        );
    }

    #[test]
    fn snapshots_are_counted() {
        let snapshots = Arc::new(Snapshots::default());
        let at = Lsn::from_u64;
        let first = snapshots.take(at(5));
        let second = snapshots.take(at(5));
        assert!(snapshots.any_between(at(5), at(6)));
        assert!(!snapshots.any_between(at(4), at(5)));
        assert!(!snapshots.any_between(at(6), at(5)));
        drop(first);
        assert!(snapshots.any_between(at(1), at(9)));
        drop(second);
        assert!(!snapshots.any_between(at(1), at(9)));
    }
}
