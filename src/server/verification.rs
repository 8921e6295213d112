//! The server's verification of its own store: one at a time, in a thread of its own, at a limited rate.

mod outcome;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use thiserror::Error;

use crate::protocol::{ErrorCode, LEAST_VERIFY_RATE, Response, VerificationStatus};
use crate::storage::{self, Engine};

/// How far behind its rate one may fall and catch up: waits that last too long must not lower the rate, and
/// a disk that was slow for a while must not earn a burst.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The latest verification.
#[derive(Debug)]
pub(super) struct Verification {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Bytes that any may read in a second.
    limit: u64,
    status: VerificationStatus,
    under_way: Option<Run>,
    ended: Ended,
    /// Bytes that all have read.
    read_bytes: u64,
    stopping: bool,
}

/// One that is under way.
#[derive(Debug)]
struct Run {
    began: Instant,
    /// The rate that it was asked for with, which only lowers the limit.
    asked: u64,
    /// Since when, and since how many bytes, it keeps the rate in force.
    paced: (Instant, u64),
}

/// The latest that came to an end.
#[derive(Debug, Clone, Default)]
struct Ended {
    unix_s: u64,
    verdict: String,
    findings: u64,
}

/// The figures of verifications since the server started.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerificationFigures {
    /// How many were begun; 0: of the latest there is nothing to tell.
    pub runs: u64,
    /// Whether one is under way.
    pub running: bool,
    /// When the latest began, in seconds since 1970.
    pub started_unix_s: u64,
    /// How long it took, or takes already, in milliseconds.
    pub duration_ms: u64,
    /// Bytes that it has read.
    pub bytes: u64,
    /// Bytes that there were to read when it began, about.
    pub total_bytes: u64,
    /// Bytes that it reads in a second, at most.
    pub rate: u64,
    /// When the latest that came to an end did, in seconds since 1970; 0: none has.
    pub ended_unix_s: u64,
    /// What that one came to, as [`VerificationStatus::verdict`] names it; empty: none has ended.
    pub verdict: String,
    /// How much of what that one found is worse than a note.
    pub findings: u64,
    /// Bytes that all have read.
    #[serde(skip)]
    pub read_bytes: u64,
}

/// Why a verification was not begun.
#[derive(Debug, Error)]
pub(super) enum NotBegun {
    /// The rate asked for is too low.
    #[error(
        "a verification reads at least {LEAST_VERIFY_RATE} bytes in a second, not {0}: ask for more, or for \
         no rate"
    )]
    TooSlow(u64),
    /// There is no thread for it.
    #[error("cannot start a thread: {0}")]
    NoThread(io::Error),
}

impl Verification {
    /// None yet; those to come read at most `limit` bytes in a second.
    pub(super) fn new(limit: u64) -> Verification {
        let state = State {
            limit,
            status: VerificationStatus::default(),
            under_way: None,
            ended: Ended::default(),
            read_bytes: 0,
            stopping: false,
        };
        Verification {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, unless one is under way, whose asker joins it; `rate` lowers the rate, 0 does not.
    ///
    /// # Errors
    /// [`NotBegun`]; nothing has changed then.
    pub(super) fn start(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        rate: u64,
    ) -> Result<VerificationStatus, NotBegun> {
        if rate != 0 && rate < LEAST_VERIFY_RATE {
            return Err(NotBegun::TooSlow(rate));
        }
        let total_bytes = engine.bytes_to_verify();
        let mut state = self.lock();
        if state.under_way.is_some() || state.stopping {
            let mut told = state.told();
            told.joined = state.under_way.is_some();
            return Ok(told);
        }
        let (this, engine) = (Arc::clone(self), Arc::clone(engine));
        // It waits for the lock until the state says that it runs.
        let thread = thread::Builder::new().name("verify".to_owned());
        let thread = thread.spawn(move || this.run(&engine));
        thread.map_err(NotBegun::NoThread)?;
        let began = Instant::now();
        state.under_way = Some(Run {
            began,
            asked: if rate == 0 { u64::MAX } else { rate },
            paced: (began, 0),
        });
        state.status = VerificationStatus {
            runs: state.status.runs + 1,
            running: true,
            started_unix_s: unix_now(),
            total_bytes,
            ..VerificationStatus::default()
        };
        Ok(state.told())
    }

    /// How far the latest one is.
    pub(super) fn status(&self) -> VerificationStatus {
        self.lock().told()
    }

    pub(super) fn figures(&self) -> VerificationFigures {
        let state = self.lock();
        let status = state.told();
        VerificationFigures {
            runs: status.runs,
            running: status.running,
            started_unix_s: status.started_unix_s,
            duration_ms: status.duration_ms,
            bytes: status.bytes,
            total_bytes: status.total_bytes,
            rate: status.rate,
            ended_unix_s: state.ended.unix_s,
            verdict: state.ended.verdict.clone(),
            findings: state.ended.findings,
            read_bytes: state.read_bytes,
        }
    }

    /// Another limit, for the one under way too.
    pub(super) fn set_limit(&self, limit: u64) {
        let mut state = self.lock();
        state.limit = limit;
        let bytes = state.status.bytes;
        if let Some(run) = &mut state.under_way {
            run.paced = (Instant::now(), bytes);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Ends the one under way at its next read, and begins none any more.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    fn run(self: &Arc<Self>, engine: &Engine) {
        let pace = {
            let this = Arc::clone(self);
            move |bytes| this.pace(bytes)
        };
        let verified = engine.verify(Arc::new(pace));
        let mut state = self.lock();
        let stopped = state.stopping;
        // What the end of the server has cut short says nothing.
        let verified = (!stopped).then_some(verified);
        let (verdict, findings, count) = outcome::of(verified);
        state.status = VerificationStatus {
            running: false,
            verdict: verdict.to_owned(),
            findings,
            ..state.told()
        };
        state.ended = Ended {
            unix_s: unix_now(),
            verdict: verdict.to_owned(),
            findings: count,
        };
        state.under_way = None;
        let status = state.status.clone();
        drop(state);
        if !stopped {
            outcome::tell(&status);
        }
    }

    /// Counts bytes that were read, and waits until so many may have been.
    fn pace(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.status.bytes = state.status.bytes.saturating_add(bytes);
        state.read_bytes = state.read_bytes.saturating_add(bytes);
        loop {
            if state.stopping {
                return Err(io::Error::other("the server stops"));
            }
            let wait = state.owed(Instant::now());
            if wait.is_zero() {
                return Ok(());
            }
            let waited = self.changed.wait_timeout(state, wait);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    /// Bytes that the one under way may read in a second.
    fn rate(&self) -> Option<u64> {
        let run = self.under_way.as_ref();
        run.map(|run| run.asked.min(self.limit))
    }

    /// How long the one under way has to wait for what it has read.
    fn owed(&mut self, now: Instant) -> Duration {
        let rate = self.rate().unwrap_or(u64::MAX);
        let bytes = self.status.bytes;
        let Some(run) = &mut self.under_way else {
            return Duration::ZERO;
        };
        let (since, before) = run.paced;
        let (due, took) = (due(bytes.saturating_sub(before), rate), now - since);
        if took.saturating_sub(due) > CATCH_UP {
            run.paced = (now.checked_sub(CATCH_UP).unwrap_or(now), bytes);
        }
        due.saturating_sub(took)
    }

    fn told(&self) -> VerificationStatus {
        let mut status = self.status.clone();
        if let Some(run) = &self.under_way {
            let elapsed = run.began.elapsed().as_millis();
            status.duration_ms = u64::try_from(elapsed).unwrap_or(u64::MAX);
        }
        status.rate = self.rate().unwrap_or(status.rate);
        status
    }
}

fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// How long a verification of this rate takes for so many bytes.
fn due(bytes: u64, rate: u64) -> Duration {
    let microseconds = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
    Duration::from_micros(u64::try_from(microseconds).unwrap_or(u64::MAX))
}

/// The answer to a request that began one, or did not.
pub(super) fn answer(started: Result<VerificationStatus, NotBegun>) -> storage::Result<Response> {
    match started {
        Ok(status) => Ok(Response::Verification(status)),
        Err(refusal @ NotBegun::TooSlow(_)) => {
            Ok(Response::error(ErrorCode::OutOfRange, refusal.to_string()))
        }
        Err(NotBegun::NoThread(source)) => Err(storage::AtlasError::Io {
            operation: "start a thread for",
            path: "verifying".into(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One that is under way, though nobody reads.
    fn begun(limit: u64, asked: u64) -> (Verification, Instant) {
        let verification = Verification::new(limit);
        let began = Instant::now();
        verification.lock().under_way = Some(Run {
            began,
            asked,
            paced: (began, 0),
        });
        (verification, began)
    }

    #[test]
    fn bytes_are_due_by_the_rate() {
        assert_eq!(due(0, 10), Duration::ZERO);
        assert_eq!(due(64 << 20, 32 << 20), 2 * SECOND);
        assert_eq!(due(u64::MAX, 0), Duration::from_micros(u64::MAX));
    }

    #[test]
    fn a_rate_only_lowers_the_limit_and_a_new_limit_holds_at_once() {
        for (limit, asked, rate) in [(100, u64::MAX, 100), (100, 50, 50), (100, 500, 100)] {
            let (verification, _) = begun(limit, asked);
            assert_eq!(verification.status().rate, rate);
            verification.set_limit(10);
            assert_eq!(verification.status().rate, 10);
        }
        let (verification, began) = begun(100, u64::MAX);
        let mut state = verification.lock();
        state.status.bytes = 1000;
        assert_eq!(state.owed(began), 10 * SECOND);
        drop(state);
        // What was read before is past: nothing is owed for it, at a lower rate either.
        verification.set_limit(1);
        assert_eq!(verification.lock().owed(Instant::now()), Duration::ZERO);
    }

    #[test]
    fn a_slow_disk_earns_no_burst_and_a_late_waking_costs_nothing() {
        let (verification, began) = begun(100, u64::MAX);
        let mut state = verification.lock();
        state.status.bytes = 100;
        let late = began + SECOND + SECOND / 2;
        assert_eq!(state.owed(late), Duration::ZERO);
        state.status.bytes = 200;
        assert_eq!(state.owed(late), SECOND / 2);
        assert_eq!(state.owed(began + 60 * SECOND), Duration::ZERO);
        state.status.bytes = 500;
        assert_eq!(state.owed(began + 60 * SECOND), 3 * SECOND - CATCH_UP);
    }

    #[test]
    fn a_new_limit_and_a_stop_end_a_wait_at_once() {
        for stops in [false, true] {
            let (verification, _) = begun(1, u64::MAX);
            thread::scope(|scope| {
                // A billion bytes at one in a second: only the other thread ends that.
                let waiting = scope.spawn(|| verification.pace(1_000_000_000));
                if stops {
                    verification.stop();
                } else {
                    verification.set_limit(u64::MAX);
                }
                assert_eq!(waiting.join().unwrap().is_err(), stops);
            });
        }
    }
}
