//! A merge gives way to what makes room: it may have all that is free, and what is held back, for as long as it takes.

use super::core::lock;
use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The merge under way, and those that need its room.
#[derive(Debug, Default)]
pub(crate) struct Merging {
    turn: Mutex<Turn>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Turn {
    is_under_way: bool,
    /// How many have it give way, and need what it gives back.
    others: usize,
}

impl Merging {
    /// Begins a merge, once nobody needs its room. Whoever begins is the only one.
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        let mut turn = self.wait_while(|turn| turn.others > 0);
        turn.is_under_way = true;
        UnderWay(self)
    }

    /// Waits for the end of the merge under way, if there is one: it gives way. None begins while the answer is held.
    /// The caller holds no lock that a merge takes.
    pub(crate) fn stop(&self) -> Stopped<'_> {
        lock(&self.turn).others += 1;
        drop(self.wait_while(|turn| turn.is_under_way));
        Stopped(self)
    }

    /// Whether somebody needs the room of the merge under way.
    pub(crate) fn is_in_the_way(&self) -> bool {
        lock(&self.turn).others > 0
    }

    fn wait_while(&self, holds: impl Fn(&Turn) -> bool) -> MutexGuard<'_, Turn> {
        let mut turn = lock(&self.turn);
        while holds(&turn) {
            let waited = self.changed.wait(turn);
            turn = waited.unwrap_or_else(PoisonError::into_inner);
        }
        turn
    }
}

/// A merge, until it is dropped.
#[must_use]
pub(crate) struct UnderWay<'a>(&'a Merging);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.0.turn).is_under_way = false;
        self.0.changed.notify_all();
    }
}

/// Keeps merges from beginning, until it is dropped.
#[must_use]
pub(crate) struct Stopped<'a>(&'a Merging);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        lock(&self.0.turn).others -= 1;
        self.0.changed.notify_all();
    }
}
