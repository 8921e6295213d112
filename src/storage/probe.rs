//! Whether the engine is at work, or stuck in a call that does not return.

use super::sync::TryLockError;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::core::Core;

/// Time between two looks at a writer that is held: a mutex cannot be waited for with a deadline.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What did not move while [`super::Engine::probe`] was patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Stuck {
    /// Somebody holds the writer, and nothing is written.
    #[error("the writer is stuck: an append to the log, or making a new segment, does not return")]
    Writer,
    /// The sync thread does not answer.
    #[error("the sync thread is stuck: it does not answer")]
    SyncThread,
    /// A sync of the log does not end.
    #[error("a sync of the log is stuck: the disk does not answer")]
    Sync,
}

impl Core {
    /// See [`super::Engine::probe`].
    pub(crate) fn probe(&self, patience: Duration) -> Result<(), Stuck> {
        let until = Instant::now() + patience;
        let question = self.durability.ask();
        self.wait_for_writer(until)?;
        if self.background {
            self.durability.wait_for_answer(&question, until)?;
        }
        Ok(())
    }

    /// Waits until the writer is free, or somebody else has written with it.
    fn wait_for_writer(&self, until: Instant) -> Result<(), Stuck> {
        let appended = self.durability.appended();
        loop {
            let held = matches!(self.writer.try_lock(), Err(TryLockError::WouldBlock));
            if !held || self.durability.appended() != appended {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Stuck::Writer);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}
