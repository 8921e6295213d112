//! The server's verification of its own store: one at a time, in a thread of its own, at a limited rate.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::logging::message;
use crate::protocol::VerificationStatus;
use crate::storage::disk::count;
use crate::storage::verify::{Severity, Verdict, VerifyReport};
use crate::storage::{self, Engine};

/// Bytes read in a second, at most.
const MOST_RATE: u64 = 32 << 20;
/// Findings that are kept; all are in what `atlaskv-verify` prints.
const MOST_FINDINGS: usize = 20;
/// The verdict of a verification that could not be done.
const FAILED: &str = "failed";

/// The latest verification.
#[derive(Debug, Default)]
pub(super) struct Verification {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    status: VerificationStatus,
    /// When the one under way began, and how many bytes it may read in a second.
    under_way: Option<(Instant, u64)>,
    stopping: bool,
}

/// The figures of the latest verification that has ended; absent before the first.
#[derive(Debug, Clone, Serialize)]
pub(super) struct VerificationFigures {
    running: bool,
    started_unix_s: u64,
    duration_ms: u64,
    bytes: u64,
    verdict: String,
    findings: u64,
}

impl Verification {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, unless one is under way, whose asker joins it; `rate` may lower the rate.
    ///
    /// # Errors
    /// What the operating system says when there is no thread for it.
    pub(super) fn start(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        rate: u64,
    ) -> io::Result<VerificationStatus> {
        let mut state = self.lock();
        if state.under_way.is_some() || state.stopping {
            return Ok(state.told());
        }
        let (this, engine) = (Arc::clone(self), Arc::clone(engine));
        // It waits for the lock until the state says that it runs.
        thread::Builder::new()
            .name("verify".to_owned())
            .spawn(move || this.run(&engine))?;
        let rate = if rate == 0 {
            MOST_RATE
        } else {
            rate.min(MOST_RATE)
        };
        state.under_way = Some((Instant::now(), rate));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        state.status = VerificationStatus {
            runs: state.status.runs + 1,
            running: true,
            started_unix_s: now.unwrap_or_default().as_secs(),
            ..VerificationStatus::default()
        };
        Ok(state.told())
    }

    /// How far the latest one is.
    pub(super) fn status(&self) -> VerificationStatus {
        self.lock().told()
    }

    pub(super) fn figures(&self) -> Option<VerificationFigures> {
        let status = self.status();
        (status.runs > 0).then(|| VerificationFigures {
            running: status.running,
            started_unix_s: status.started_unix_s,
            duration_ms: status.duration_ms,
            bytes: status.bytes,
            verdict: status.verdict,
            findings: count(status.findings.len()),
        })
    }

    /// Ends the one under way at its next read, and begins none any more.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.stopped.notify_all();
    }

    fn run(self: &Arc<Self>, engine: &Engine) {
        let pace = {
            let this = Arc::clone(self);
            move |bytes| this.pace(bytes)
        };
        let outcome = engine.verify(Arc::new(pace));
        let mut state = self.lock();
        let stopped = state.stopping;
        let (verdict, findings) = match outcome {
            // What the end of the server has cut short says nothing.
            _ if stopped => (FAILED.to_owned(), vec!["the server stops".to_owned()]),
            Ok(report) => (verdict(&report).to_owned(), findings(&report)),
            Err(error) => (FAILED.to_owned(), vec![error.to_string()]),
        };
        state.status.duration_ms = state.elapsed_ms();
        state.status.running = false;
        state.status.verdict = verdict;
        state.status.findings = findings;
        state.under_way = None;
        let status = state.status.clone();
        drop(state);
        if !stopped {
            tell(&status);
        }
    }

    /// Counts bytes that were read, and waits until so many may have been.
    fn pace(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.status.bytes = state.status.bytes.saturating_add(bytes);
        let wait = state.under_way.map_or(Duration::ZERO, |(began, rate)| {
            due(state.status.bytes, rate).saturating_sub(began.elapsed())
        });
        let waited = self
            .stopped
            .wait_timeout_while(state, wait, |state| !state.stopping);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.stopping {
            return Err(io::Error::other("the server stops"));
        }
        Ok(())
    }
}

impl State {
    fn elapsed_ms(&self) -> u64 {
        let elapsed = self.under_way.map(|(began, _)| began.elapsed());
        let elapsed = elapsed.unwrap_or_default().as_millis();
        u64::try_from(elapsed).unwrap_or(u64::MAX)
    }

    fn told(&self) -> VerificationStatus {
        let mut status = self.status.clone();
        if status.running {
            status.duration_ms = self.elapsed_ms();
        }
        status
    }
}

/// From its begin on, when a verification of this rate has read so many bytes.
fn due(bytes: u64, rate: u64) -> Duration {
    let microseconds = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
    Duration::from_micros(u64::try_from(microseconds).unwrap_or(u64::MAX))
}

fn verdict(report: &VerifyReport) -> &'static str {
    match report.verdict {
        Verdict::Sound => "sound",
        Verdict::TornTail => "torn-tail",
        Verdict::Repairable => "repairable",
        Verdict::Unreadable => "unreadable",
        Verdict::Damaged => "damaged",
    }
}

fn findings(report: &VerifyReport) -> Vec<String> {
    let files = report.files.iter();
    let all = files.flat_map(|file| file.findings.iter().map(move |finding| (file, finding)));
    let bad = all.filter(|(_, finding)| finding.severity > Severity::Note);
    let sentences = bad.map(|(file, finding)| {
        let place = finding.offset.map(|offset| format!(", offset {offset}"));
        let place = place.unwrap_or_default();
        format!(
            "{}{place}: {}; {}",
            file.name, finding.detail, finding.meaning
        )
    });
    sentences.take(MOST_FINDINGS).collect()
}

fn tell(status: &VerificationStatus) {
    let (verdict, bytes) = (status.verdict.as_str(), status.bytes);
    let seconds = status.duration_ms / 1000;
    let findings = status.findings.join("; ");
    if matches!(verdict, "sound" | "torn-tail") {
        log::info!(
            message_id = message::VERIFIED, verdict, bytes;
            "verified the store's files: {verdict}, {bytes} bytes read in {seconds} s"
        );
    } else {
        log::error!(
            message_id = message::VERIFY_FOUND, verdict, findings = findings.as_str();
            "verifying the store's files found: {verdict}: {findings}"
        );
    }
}

/// The answer to a request about a verification.
pub(super) fn begun(
    started: io::Result<VerificationStatus>,
) -> storage::Result<VerificationStatus> {
    started.map_err(|error| storage::AtlasError::Io {
        operation: "start a thread for",
        path: "verifying".into(),
        source: error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_due_by_the_rate() {
        assert_eq!(due(0, 10), Duration::ZERO);
        assert_eq!(due(64 << 20, 32 << 20), Duration::from_secs(2));
        assert_eq!(due(u64::MAX, 0), Duration::from_micros(u64::MAX));
    }

    #[test]
    fn a_stop_ends_a_wait_at_once() {
        let verification = Arc::new(Verification::default());
        verification.lock().under_way = Some((Instant::now(), 1));
        thread::scope(|scope| {
            // A billion bytes at one in a second: only the stop ends that.
            let waiting = scope.spawn(|| verification.pace(1_000_000_000));
            verification.stop();
            assert!(waiting.join().unwrap().is_err());
        });
    }
}
