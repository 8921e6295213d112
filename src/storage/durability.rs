//! How far the log is synced, who waits for it, and what happens when a sync fails.
//!
//! Writers that wait together share one sync: the first becomes the leader and syncs everything
//! appended so far without holding any lock; the others wait, and whoever is not covered leads next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{AtlasError, Result};
use super::event::Event;
use super::memtable::Readers;
use super::options::EventSink;
use super::scan::Snapshots;
use super::wal::writer::SegmentFile;
use super::{Lsn, WalSyncStrategy};

/// A quiet moment after a sync: then a mark makes the durable LSN provable.
pub(crate) const QUIET: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct State {
    /// Everything up to here is appended and in the memtable.
    appended: Lsn,
    /// Everything up to here is synced, or in synced tables.
    durable: Lsn,
    /// Segments with bytes that may not be synced, oldest first; the last takes writes.
    unsynced: Vec<Arc<SegmentFile>>,
    /// Whether a leader syncs just now.
    syncing: bool,
    /// A sync failed: nothing may be written any more.
    poisoned: Option<String>,
    /// Whether the last entry of the log is a mark, or needs none.
    marked: bool,
    last_append: Instant,
    stopping: bool,
    /// The store was closed: nothing may be written any more.
    ended: bool,
}

/// The progress of the log towards the disk.
pub(crate) struct Durability {
    state: Mutex<State>,
    /// Told when `durable` moved, or writing was poisoned.
    moved: Condvar,
    /// Told when an idle sync thread has something to do.
    work: Condvar,
    /// Told when the sync thread should stop. Apart from `work`, so that writes do not wake a thread
    /// that waits for its turn.
    stopped: Condvar,
    /// What readers see: a copy of `durable` or `appended`, by the policy.
    visible: AtomicU64,
    syncs: AtomicU64,
    strategy: WalSyncStrategy,
    events: Option<EventSink>,
}

impl std::fmt::Debug for Durability {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Durability")
            .field("strategy", &self.strategy)
            .finish_non_exhaustive()
    }
}

impl Durability {
    /// Progress that begins after `start`, everything before being durable, with an empty segment.
    pub(crate) fn new(
        start: Lsn,
        segment: Arc<SegmentFile>,
        strategy: WalSyncStrategy,
        events: Option<EventSink>,
    ) -> Durability {
        let state = State {
            appended: start,
            durable: start,
            unsynced: vec![segment],
            syncing: false,
            poisoned: None,
            marked: true,
            last_append: Instant::now(),
            stopping: false,
            ended: false,
        };
        Durability {
            state: Mutex::new(state),
            moved: Condvar::new(),
            work: Condvar::new(),
            stopped: Condvar::new(),
            visible: AtomicU64::new(start.as_u64()),
            syncs: AtomicU64::new(0),
            strategy,
            events,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What readers see.
    pub(crate) fn visible(&self) -> Lsn {
        Lsn::from_u64(self.visible.load(Ordering::Acquire))
    }

    /// The last LSN given.
    pub(crate) fn appended(&self) -> Lsn {
        self.lock().appended
    }

    /// Everything up to here is durable.
    pub(crate) fn durable(&self) -> Lsn {
        self.lock().durable
    }

    /// Syncs of the log done.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Why nothing may be written any more, if so.
    pub(crate) fn poison(&self) -> Option<String> {
        self.lock().poisoned.clone()
    }

    /// Whether writing is allowed.
    pub(crate) fn check(&self) -> Result<()> {
        let state = self.lock();
        match &state.poisoned {
            Some(reason) => Err(AtlasError::ReadOnly {
                reason: reason.clone(),
            }),
            None if state.ended => Err(AtlasError::Closed),
            None => Ok(()),
        }
    }

    /// Tells that the store is closed.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
    }

    /// Stops writing for good: what is durable is not known any more.
    pub(crate) fn stop_writing(&self, reason: &AtlasError) {
        Self::poison_locked(&mut self.lock(), reason, self.events.as_ref());
        self.moved.notify_all();
        self.work.notify_all();
    }

    fn poison_locked(state: &mut State, reason: &AtlasError, events: Option<&EventSink>) {
        if state.poisoned.is_some() {
            return;
        }
        let reason = reason.to_string();
        state.poisoned = Some(reason.clone());
        if let Some(events) = events {
            events(&Event::WritingStopped { reason });
        }
    }

    fn show(&self, lsn: Lsn) {
        self.visible.fetch_max(lsn.as_u64(), Ordering::Release);
    }

    /// Tells that a write is appended and in the memtable, and makes it visible unless it must be
    /// durable first. Called under the memtable's lock: whoever sees a write can wait for it.
    pub(crate) fn publish(&self, lsn: Lsn, is_mark: bool) {
        let mut state = self.lock();
        state.appended = lsn;
        state.marked = is_mark;
        state.last_append = Instant::now();
        if self.strategy != WalSyncStrategy::EveryWrite {
            self.show(lsn);
        }
        drop(state);
        self.work.notify_one();
    }

    /// Tells that a new segment takes the writes from now on.
    pub(crate) fn rotated(&self, segment: Arc<SegmentFile>) {
        self.lock().unsynced.push(segment);
    }

    /// Tells that everything up to `lsn` is in synced tables that a durable manifest names.
    pub(crate) fn flushed(&self, lsn: Lsn, segment: u64) {
        let mut state = self.lock();
        state.unsynced.retain(|file| file.number != segment);
        self.advance(&mut state, lsn);
    }

    fn advance(&self, state: &mut State, lsn: Lsn) {
        if lsn > state.durable {
            state.durable = lsn;
            self.show(lsn);
        }
        self.moved.notify_all();
    }

    /// Waits until everything up to `lsn` is durable, leading a sync where nobody does.
    pub(crate) fn wait(&self, lsn: Lsn) -> Result<()> {
        let mut state = self.lock();
        loop {
            if state.durable >= lsn {
                return Ok(());
            }
            if let Some(reason) = &state.poisoned {
                return Err(AtlasError::OutcomeUnknown {
                    lsn,
                    reason: reason.clone(),
                });
            }
            state = if state.syncing {
                self.moved
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner)
            } else {
                self.lead(state)
            };
        }
    }

    /// Syncs everything appended so far; returns up to where everything is durable.
    pub(crate) fn sync(&self) -> Result<Lsn> {
        self.wait(self.appended()).map_err(|error| match error {
            AtlasError::OutcomeUnknown { reason, .. } => AtlasError::ReadOnly { reason },
            other => other,
        })?;
        Ok(self.durable())
    }

    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.syncing = true;
        let target = state.appended;
        let files = state.unsynced.clone();
        drop(state);
        let outcome = files.iter().try_for_each(|file| file.sync());
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        state.syncing = false;
        match outcome {
            Ok(()) => {
                // All but the segment that took writes are synced whole.
                let last = files.last().map_or(0, |file| file.number);
                state.unsynced.retain(|file| file.number >= last);
                self.advance(&mut state, target);
                self.work.notify_one();
            }
            // A flush may have made those very writes durable meanwhile; later ones are lost all the
            // same, so writing stops either way.
            Err(error) => Self::poison_locked(&mut state, &error, self.events.as_ref()),
        }
        self.moved.notify_all();
        state
    }

    /// Whether a mark should be written now: everything is synced, the last entry is no mark, and
    /// nothing was appended for a moment.
    pub(crate) fn wants_mark(&self, quiet: Duration) -> bool {
        let state = self.lock();
        !state.marked
            && state.poisoned.is_none()
            && state.durable == state.appended
            && state.last_append.elapsed() >= quiet
    }

    /// Does without a mark for what is appended so far.
    pub(crate) fn skip_mark(&self) {
        self.lock().marked = true;
    }

    /// Whether something is appended and not synced.
    pub(crate) fn is_behind(&self) -> bool {
        let state = self.lock();
        state.poisoned.is_none() && state.durable < state.appended
    }

    /// For the sync thread: waits until its next turn. `false`: stop.
    pub(crate) fn wait_for_work(&self) -> bool {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return false;
            }
            let behind = state.durable < state.appended;
            let turn = match self.strategy {
                _ if state.poisoned.is_some() => None,
                WalSyncStrategy::Interval { ms } if behind => Some(Duration::from_millis(ms)),
                _ if !behind && !state.marked => Some(QUIET),
                _ => None,
            };
            let Some(turn) = turn else {
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            return self.pause(turn);
        }
    }

    /// Waits this long, or until told to stop. `false`: stop.
    fn pause(&self, turn: Duration) -> bool {
        let until = Instant::now() + turn;
        let mut state = self.lock();
        while !state.stopping {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let waited = self.stopped.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Tells the sync thread to stop.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.work.notify_all();
        self.stopped.notify_all();
    }
}

/// Who may read old versions: readers at the visible LSN, now or later, and open scans.
pub(crate) struct CurrentReaders<'a> {
    pub(crate) durability: &'a Durability,
    pub(crate) snapshots: &'a Snapshots,
    /// The LSN being written.
    pub(crate) writing: Lsn,
}

impl Readers for CurrentReaders<'_> {
    fn may_read(&self, from: Lsn, to: Lsn) -> bool {
        // What becomes visible together with its successor is never read alone.
        let visible = match self.durability.strategy {
            WalSyncStrategy::EveryWrite => self.durability.visible(),
            WalSyncStrategy::Interval { .. } | WalSyncStrategy::OsDefault => self.writing,
        };
        to > visible || self.snapshots.any_between(from, to)
    }
}
