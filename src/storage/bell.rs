//! How the engine's threads wake each other.

use super::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::core::lock;

#[derive(Debug, Default)]
struct Rope {
    rung: bool,
    stopping: bool,
}

/// Wakes one thread. A ring while it is at work is not lost.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rope: Mutex<Rope>,
    heard: Condvar,
}

/// Why a wait for a bell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The bell was rung.
    Rung,
    /// The time was over.
    Late,
    /// The thread shall stop.
    Stop,
}

impl Bell {
    pub(crate) fn ring(&self) {
        lock(&self.rope).rung = true;
        self.heard.notify_one();
    }

    /// Tells the thread to stop, now and for ever.
    pub(crate) fn stop(&self) {
        lock(&self.rope).stopping = true;
        self.heard.notify_all();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        lock(&self.rope).stopping
    }

    /// Waits for a ring, at most `most` if given.
    pub(crate) fn wait(&self, most: Option<Duration>) -> Wake {
        let until = most.map(|most| Instant::now() + most);
        let mut rope = lock(&self.rope);
        loop {
            if rope.stopping {
                return Wake::Stop;
            }
            if std::mem::take(&mut rope.rung) {
                return Wake::Rung;
            }
            let Some(until) = until else {
                rope = self
                    .heard
                    .wait(rope)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wake::Late;
            }
            let waited = self.heard.wait_timeout(rope, left);
            rope = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits this long whatever rings, unless told to stop.
    pub(crate) fn pause(&self, length: Duration) -> Wake {
        let until = Instant::now() + length;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.wait(Some(left)) {
                Wake::Rung => {}
                wake => return wake,
            }
        }
    }
}

/// Tells any number of waiting threads that something went on.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    beats: Mutex<u64>,
    told: Condvar,
}

impl Pulse {
    pub(crate) fn beats(&self) -> u64 {
        *lock(&self.beats)
    }

    pub(crate) fn beat(&self) {
        *lock(&self.beats) += 1;
        self.told.notify_all();
    }

    /// Waits for a beat after the `seen`-th, at most `most`.
    pub(crate) fn wait(&self, seen: u64, most: Duration) {
        let beats = lock(&self.beats);
        let later = self
            .told
            .wait_timeout_while(beats, most, |beats| *beats == seen);
        drop(later.unwrap_or_else(PoisonError::into_inner));
    }
}
