//! What the process around a server asks of it while it runs: other settings, and whether it lives.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::{Report, Settings, Shared, status};

/// A server that runs, as far as others may ask. It does not keep the server alive; when it is gone,
/// nothing is done.
#[derive(Clone)]
pub struct Handle {
    shared: Weak<Shared>,
    wake: Arc<UnixStream>,
}

impl Handle {
    pub(super) fn new(shared: &Arc<Shared>, wake: &Arc<UnixStream>) -> Handle {
        Handle {
            shared: Arc::downgrade(shared),
            wake: Arc::clone(wake),
        }
    }

    /// Puts other settings in force, for connections that begin from now on.
    pub fn reconfigure(&self, settings: Settings) {
        if let Some(shared) = self.shared.upgrade() {
            shared.reconfigure(settings);
        }
    }

    /// A moment's figures; `None`: the server is gone.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        self.shared.upgrade().map(|shared| status::report(&shared))
    }

    /// Whether the server takes reads and writes.
    ///
    /// # Errors
    /// Why it does not.
    pub fn health(&self) -> Result<(), String> {
        match self.shared.upgrade() {
            Some(shared) => status::health(&shared),
            None => Err("stopped".to_owned()),
        }
    }

    /// Whether the accept loop makes a round within `patience`. A server that stops accepts nothing any
    /// more, and that is well.
    #[must_use]
    pub fn accepts(&self, patience: Duration) -> bool {
        let Some(shared) = self.shared.upgrade() else {
            return true;
        };
        // Fails only when bytes that wake it wait already, or when it has ended.
        shared.pulse.next_round(patience, || {
            let _ = (&*self.wake).write(&[0]);
        })
    }
}

/// The rounds of the accept loop.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    rounds: Mutex<Rounds>,
    told: Condvar,
}

#[derive(Debug, Default)]
struct Rounds {
    made: u64,
    stopping: bool,
}

impl Pulse {
    fn lock(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A round was made; whether there is to be another.
    pub(super) fn beat(&self) -> bool {
        let mut rounds = self.lock();
        rounds.made += 1;
        self.told.notify_all();
        !rounds.stopping
    }

    /// The round that is made next is the last.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.told.notify_all();
    }

    /// Whether a round ends within `patience` after `wake` was called.
    fn next_round(&self, patience: Duration, wake: impl FnOnce()) -> bool {
        let rounds = self.lock();
        let before = rounds.made;
        wake();
        let waiting = |rounds: &mut Rounds| rounds.made == before && !rounds.stopping;
        let woken = self.told.wait_timeout_while(rounds, patience, waiting);
        !woken.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_loop_that_goes_round_lives() {
        let pulse = Arc::new(Pulse::default());
        let lives = pulse.next_round(LONG, || {
            let pulse = Arc::clone(&pulse);
            thread::spawn(move || pulse.beat());
        });
        assert!(lives);
        assert!(!pulse.next_round(Duration::from_millis(10), || {}));
    }

    #[test]
    fn a_server_that_stops_is_well() {
        let pulse = Pulse::default();
        assert!(pulse.beat());
        pulse.stop();
        assert!(pulse.next_round(LONG, || {}));
        assert!(!pulse.beat());
    }
}
