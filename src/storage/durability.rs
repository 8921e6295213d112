//! How far the log is synced, who waits for it, and what happens when a sync fails.
//!
//! Writers that wait together share one sync: the first becomes the leader and syncs everything
//! appended so far without holding any lock; the others wait, and whoever is not covered leads next.

use super::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{AtlasError, Result};
use super::event::Event;
use super::memtable::Readers;
use super::options::EventSink;
use super::probe::Stuck;
use super::scan::Snapshots;
use super::wal::writer::SegmentFile;
use super::{Lsn, WalSyncStrategy};

/// A quiet moment after a sync: then a mark makes the durable LSN provable.
pub(crate) const QUIET: Duration = Duration::from_millis(50);
/// Syncs that the sync thread may wait for before it can answer: one under way, its own, and the same
/// for a mark.
const SYNCS_OF_A_TURN: u64 = 4;

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
    strategy: WalSyncStrategy,
    /// Signs of life that the sync thread was asked for, and the last one that it gave.
    asked: u64,
    answered: u64,
}

impl State {
    /// What a write of this LSN came to; `None`: that is open.
    fn outcome(&self, lsn: Lsn) -> Option<Result<()>> {
        if self.durable >= lsn {
            return Some(Ok(()));
        }
        let reason = self.poisoned.clone()?;
        Some(Err(AtlasError::OutcomeUnknown { lsn, reason }))
    }

    /// How long the sync thread pauses before it acts; `None`: there is nothing to do.
    fn turn(&self) -> Option<Duration> {
        let behind = self.durable < self.appended;
        match self.strategy {
            _ if self.poisoned.is_some() => None,
            WalSyncStrategy::Interval { ms } if behind => Some(Duration::from_millis(ms)),
            _ if !behind && !self.marked => Some(QUIET),
            _ => None,
        }
    }
}

/// The progress of the log towards the disk.
pub(crate) struct Durability {
    state: Mutex<State>,
    /// Told when `durable` moved, writing was poisoned, or the sync thread gave a sign of life.
    moved: Condvar,
    /// Told when an idle sync thread has something to do.
    work: Condvar,
    /// Told when the sync thread should stop, give a sign of life or follow another strategy. Apart
    /// from `work`, so that writes do not wake a thread that waits for its turn.
    roused: Condvar,
    /// What readers see: a copy of `durable` or `appended`, by the policy.
    visible: AtomicU64,
    syncs: AtomicU64,
    /// Whether the strategy is every-write. Changes only while the writer is held.
    every_write: AtomicBool,
    events: Option<EventSink>,
}

impl std::fmt::Debug for Durability {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Durability")
            .field("every_write", &self.every_write)
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
            strategy,
            asked: 0,
            answered: 0,
        };
        Durability {
            state: Mutex::new(state),
            moved: Condvar::new(),
            work: Condvar::new(),
            roused: Condvar::new(),
            visible: AtomicU64::new(start.as_u64()),
            syncs: AtomicU64::new(0),
            every_write: AtomicBool::new(strategy == WalSyncStrategy::EveryWrite),
            events,
        }
    }

    /// How long the sync thread pauses before it acts.
    #[cfg(test)]
    pub(super) fn turn(&self) -> Option<Duration> {
        self.lock().turn()
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
        if state.strategy != WalSyncStrategy::EveryWrite {
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

    /// What [`Durability::wait`] would return at once; `None`: it would wait.
    pub(crate) fn outcome(&self, lsn: Lsn) -> Option<Result<()>> {
        self.lock().outcome(lsn)
    }

    /// Waits until everything up to `lsn` is durable, leading a sync where nobody does.
    pub(crate) fn wait(&self, lsn: Lsn) -> Result<()> {
        let mut state = self.lock();
        loop {
            if let Some(outcome) = state.outcome(lsn) {
                return outcome;
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

    /// Whether something is appended that the strategy has synced on time.
    pub(crate) fn wants_sync(&self) -> bool {
        let state = self.lock();
        matches!(state.strategy, WalSyncStrategy::Interval { .. })
            && state.poisoned.is_none()
            && state.durable < state.appended
    }

    /// Whether a write is answered, and seen, only when it is durable.
    pub(crate) fn is_every_write(&self) -> bool {
        self.every_write.load(Ordering::Acquire)
    }

    /// Follows another strategy from the next write on; the caller holds the writer, so that no write is
    /// half done. `false`: writing has stopped, and the old strategy stays.
    ///
    /// Towards every-write, readers keep what they see already: the caller syncs it. Away from it, they
    /// see everything from now on, before a writer that waited no longer waits.
    pub(crate) fn follow(&self, strategy: WalSyncStrategy) -> bool {
        let mut state = self.lock();
        if state.poisoned.is_some() {
            return false;
        }
        state.strategy = strategy;
        let every_write = strategy == WalSyncStrategy::EveryWrite;
        if !every_write {
            self.show(state.appended);
        }
        self.every_write.store(every_write, Ordering::Release);
        drop(state);
        self.rouse();
        true
    }

    /// For the sync thread: waits until its next turn, and gives signs of life meanwhile. `false`: stop.
    pub(crate) fn wait_for_work(&self) -> bool {
        let mut state = self.lock();
        let mut since = None;
        loop {
            if state.stopping {
                return false;
            }
            if state.answered != state.asked {
                state.answered = state.asked;
                self.moved.notify_all();
            }
            let Some(turn) = state.turn() else {
                since = None;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // Whoever rouses it does not make the pause longer.
            let left = turn.saturating_sub(since.get_or_insert_with(Instant::now).elapsed());
            if left.is_zero() {
                return true;
            }
            let waited = self.roused.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has the sync thread look again.
    fn rouse(&self) {
        self.work.notify_all();
        self.roused.notify_all();
    }

    /// Tells the sync thread to stop.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.rouse();
        self.moved.notify_all();
    }

    /// Asks the sync thread for a sign of life.
    pub(crate) fn ask(&self) -> Question {
        let mut state = self.lock();
        state.asked += 1;
        let question = Question {
            number: state.asked,
            syncs: self.syncs(),
            syncing: state.syncing,
        };
        drop(state);
        self.rouse();
        question
    }

    /// Waits until `until` for the sync thread's answer, and for the end of a sync that was under way
    /// when it was asked.
    pub(crate) fn wait_for_answer(
        &self,
        question: &Question,
        until: Instant,
    ) -> std::result::Result<(), Stuck> {
        let mut state = self.lock();
        loop {
            let done = self.syncs() - question.syncs;
            let synced = !question.syncing || done > 0;
            if state.stopping || (synced && state.answered >= question.number) {
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                let waited = self.moved.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            return match done {
                0 if state.syncing => Err(Stuck::Sync),
                // On a slow disk it is at work still.
                1..=SYNCS_OF_A_TURN => Ok(()),
                _ => Err(Stuck::SyncThread),
            };
        }
    }
}

/// What the sync thread was asked, and how things stood then.
#[derive(Debug)]
pub(crate) struct Question {
    number: u64,
    /// Syncs done.
    syncs: u64,
    /// Whether one was under way.
    syncing: bool,
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
        let visible = if self.durability.is_every_write() {
            self.durability.visible()
        } else {
            self.writing
        };
        to > visible || self.snapshots.any_between(from, to)
    }
}
