//! The memory that all connections share for large requests and answers.
//!
//! A connection's own buffers, up to [`FREE_BYTES`] each, are not counted. What is larger reserves its
//! bytes here before memory is taken, first come first served, and gives them back when the
//! [`Reservation`] is dropped. Who waits holds nothing, as far as it can be: an answer gives back what it
//! has before it waits for more. Every wait has a deadline all the same: whoever wait for each other end
//! as busy, not as a deadlock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use thiserror::Error;

/// Bytes of a request or of gathered answers that need no reservation.
pub(super) const FREE_BYTES: usize = 64 * 1024;

/// There was no room in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "{bytes} bytes are over what is free of {limit} (max_inflight_bytes), other requests use it: \
     try again"
)]
pub(super) struct Busy {
    /// Bytes asked for.
    pub(super) bytes: u64,
    /// The budget in bytes.
    pub(super) limit: u64,
}

/// A number of bytes, given out and taken back.
#[derive(Debug)]
pub(super) struct Budget {
    limit: AtomicU64,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    /// Those who wait, in the order they came: only the first may take, so the large do not starve.
    waiting: VecDeque<u64>,
    next_ticket: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Arc<Budget> {
        Arc::new(Budget {
            limit: AtomicU64::new(limit),
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    fn limit(&self) -> u64 {
        self.limit.load(Ordering::Acquire)
    }

    /// Changes the limit. What is given out over a lower one stays out.
    pub(super) fn set_limit(&self, limit: u64) {
        // Under the lock: whoever has just looked is waiting when it is told.
        let _state = self.lock();
        self.limit.store(limit, Ordering::Release);
        self.freed.notify_all();
    }

    /// Bytes given out.
    pub(super) fn used(&self) -> u64 {
        self.lock().used
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self, bytes: u64) -> Busy {
        Busy {
            bytes,
            limit: self.limit(),
        }
    }

    fn fits(&self, state: &State, bytes: u64) -> bool {
        state.used.saturating_add(bytes) <= self.limit()
    }

    /// Takes `bytes` at once or not at all.
    fn try_take(&self, bytes: u64) -> Result<(), Busy> {
        let mut state = self.lock();
        if !state.waiting.is_empty() || !self.fits(&state, bytes) {
            return Err(self.busy(bytes));
        }
        state.used += bytes;
        Ok(())
    }

    /// Takes `bytes`, waiting until `deadline` for others to give back.
    fn take(&self, bytes: u64, deadline: Instant) -> Result<(), Busy> {
        if bytes > self.limit() {
            return Err(self.busy(bytes));
        }
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        let taken = loop {
            if state.waiting.front() == Some(&ticket) && self.fits(&state, bytes) {
                state.used += bytes;
                break Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // The limit may have been lowered meanwhile.
            if left.is_zero() || bytes > self.limit() {
                break Err(self.busy(bytes));
            }
            let woken = self.freed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        };
        state.waiting.retain(|waiting| *waiting != ticket);
        drop(state);
        // The next in line may fit beside this one.
        self.freed.notify_all();
        taken
    }

    fn give_back(&self, bytes: u64) {
        self.lock().used -= bytes;
        self.freed.notify_all();
    }
}

/// Bytes of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    /// Nothing yet.
    pub(super) fn none(budget: &Arc<Budget>) -> Reservation {
        Reservation {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds at least `bytes` from now on, without waiting.
    pub(super) fn try_raise(&mut self, bytes: u64) -> Result<(), Busy> {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            self.budget.try_take(more)?;
            self.bytes += more;
        }
        Ok(())
    }

    /// Holds at least `bytes` from now on, waiting until `deadline`.
    pub(super) fn raise(&mut self, bytes: u64, deadline: Instant) -> Result<(), Busy> {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            self.budget.take(more, deadline)?;
            self.bytes += more;
        }
        Ok(())
    }

    /// Holds at most `bytes` from now on.
    pub(super) fn lower(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        if less > 0 {
            self.budget.give_back(less);
            self.bytes -= less;
        }
    }

    /// Gives everything back.
    pub(super) fn release(&mut self) {
        self.lower(0);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    fn late() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = Budget::new(100);
        let mut first = Reservation::none(&budget);
        first.try_raise(60).unwrap();
        first.try_raise(40).unwrap();
        assert_eq!((budget.used(), first.bytes()), (60, 60));
        let mut second = Reservation::none(&budget);
        assert_eq!(second.try_raise(41), Err(budget.busy(41)));
        assert_eq!(second.raise(41, soon()), Err(budget.busy(41)));
        drop(first);
        second.try_raise(41).unwrap();
        second.release();
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_can_never_fit_is_refused_at_once() {
        let budget = Budget::new(100);
        assert_eq!(
            Reservation::none(&budget).raise(101, late()),
            Err(budget.busy(101))
        );
    }

    #[test]
    fn a_limit_can_change_while_somebody_waits() {
        for (limit, fits) in [(200, true), (50, false)] {
            let budget = Budget::new(100);
            let mut held = Reservation::none(&budget);
            held.try_raise(100).unwrap();
            let waiting = thread::spawn({
                let budget = Arc::clone(&budget);
                move || Reservation::none(&budget).raise(100, late()).is_ok()
            });
            while budget.lock().waiting.is_empty() {
                thread::yield_now();
            }
            budget.set_limit(limit);
            assert_eq!(waiting.join().unwrap(), fits);
        }
    }

    #[test]
    fn the_large_do_not_starve_behind_the_small() {
        let budget = Budget::new(100);
        let mut held = Reservation::none(&budget);
        held.try_raise(50).unwrap();
        let (sent, received) = mpsc::channel();
        let large = thread::spawn({
            let budget = Arc::clone(&budget);
            move || {
                let mut large = Reservation::none(&budget);
                large.raise(100, late()).unwrap();
                sent.send(()).unwrap();
            }
        });
        while budget.lock().waiting.is_empty() {
            thread::yield_now();
        }
        // It would fit, but somebody waits.
        assert!(Reservation::none(&budget).try_raise(1).is_err());
        drop(held);
        received.recv().unwrap();
        large.join().unwrap();
        assert_eq!(budget.used(), 0);
    }
}
