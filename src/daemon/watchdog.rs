//! The watchdog: systemd restarts a daemon that does not feed it.
//!
//! It is fed only after every part that must move has just moved: the engine's writer and its syncs, and
//! the accept loop. Nothing is fed by time alone. An engine that refuses writes is at work: a restart
//! would not help it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::logging::message;
use crate::server::Handle;
use crate::storage::Engine;

/// Looks in each interval that the manager allows between two feeds: so that one that fails can be made
/// good by the next.
const LOOKS: u32 = 4;

/// A thread that feeds the watchdog.
pub(super) struct Watchdog {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    /// Starts it, if the manager has a watchdog.
    pub(super) fn start(engine: &Arc<Engine>, server: &Handle) -> io::Result<Option<Watchdog>> {
        let limit = sd_notify::watchdog_enabled();
        let Some(limit) = limit.filter(|limit| !limit.is_zero()) else {
            return Ok(None);
        };
        let (engine, server) = (Arc::clone(engine), server.clone());
        let look = move |patience| {
            engine.probe(patience).map_err(|stuck| stuck.to_string())?;
            if server.accepts(patience) {
                Ok(())
            } else {
                Err("the accept loop is stuck: it makes no round".to_owned())
            }
        };
        let (stop, stopped) = mpsc::channel();
        let pause = limit / LOOKS;
        let thread = thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || {
                let mut judge = Judge::default();
                loop {
                    let look = look(pause);
                    // One that failed has taken its time already. The next follows at once: slow syncs
                    // that come to their ends between two looks would count as none.
                    let rest = look.as_ref().map_or(Duration::ZERO, |()| pause);
                    act(judge.judge(look), limit);
                    if stopped.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
        Ok(Some(Watchdog { stop, thread }))
    }

    /// Ends it.
    pub(super) fn stop(self) {
        drop(self.stop);
        // It cannot panic, and if it has, the daemon ends anyway.
        let _ = self.thread.join();
    }
}

/// What to do after a look.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// All moves.
    Feed,
    /// All moves again.
    FeedAgain,
    /// Something is stuck, and this is the first time it is seen.
    Say(String),
    /// It is still stuck, or something else is.
    Starve,
}

/// Remembers what was said, so that it is said once.
#[derive(Debug, Default)]
struct Judge {
    stuck: bool,
}

impl Judge {
    fn judge(&mut self, look: Result<(), String>) -> Verdict {
        let was_stuck = std::mem::replace(&mut self.stuck, look.is_err());
        match (look, was_stuck) {
            (Ok(()), false) => Verdict::Feed,
            (Ok(()), true) => Verdict::FeedAgain,
            (Err(what), false) => Verdict::Say(what),
            (Err(_), true) => Verdict::Starve,
        }
    }
}

fn act(verdict: Verdict, limit: Duration) {
    match verdict {
        Verdict::Feed => {}
        Verdict::FeedAgain => log::warn!("it moves again, and the watchdog is fed"),
        Verdict::Say(what) => {
            log::error!(
                message_id = message::ENGINE_STUCK, reason = what.as_str();
                "{what}; the watchdog is not fed: if this lasts, systemd ends the daemon {} s after the \
                 last feed and starts it again",
                limit.as_secs()
            );
            return;
        }
        Verdict::Starve => return,
    }
    // The reporter says it when the manager cannot be reached.
    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stuck_is_said_once_and_starves_the_watchdog() {
        let mut judge = Judge::default();
        let stuck = || Err("the writer is stuck".to_owned());
        assert_eq!(judge.judge(Ok(())), Verdict::Feed);
        assert_eq!(
            judge.judge(stuck()),
            Verdict::Say("the writer is stuck".to_owned())
        );
        assert_eq!(judge.judge(stuck()), Verdict::Starve);
        assert_eq!(judge.judge(Ok(())), Verdict::FeedAgain);
        assert_eq!(judge.judge(Ok(())), Verdict::Feed);
    }
}
