//! Whether the engine is at work, or stuck in a call that does not return.

use std::time::Duration;

use thiserror::Error;

use super::core::Core;

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
    pub(crate) fn probe(&self, _patience: Duration) -> Result<(), Stuck> {
        Ok(())
    }
}
