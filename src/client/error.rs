//! What can go wrong for a client.

use std::fmt;
use std::io;

use thiserror::Error;

use crate::protocol::{ErrorCode, ProtocolError};

/// A failure of a request or of the connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no connection to be had.
    #[error("cannot reach atlaskvd at {address}: {source}")]
    Unreachable {
        /// `HOST:PORT` or the socket's path.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The server did not do its part in time. The connection is of no further use; whether a write
    /// was done is not known.
    #[error("timeout while {0}")]
    Timeout(Waiting),
    /// The connection ended with answers due. Whether a write was done is not known.
    #[error("the connection was lost: {reason}")]
    Lost {
        /// What the operating system said, or that the server closed.
        reason: String,
    },
    /// The server answered with an error.
    #[error("{message} [{code}]")]
    Server {
        /// What kind of failure.
        code: ErrorCode,
        /// What, where and what to do, in the server's words.
        message: String,
    },
    /// The request is over the server's frame limit and was not sent.
    #[error("the request has {length} bytes, over the server's limit of {limit} (max_frame_size)")]
    TooLarge {
        /// Bytes of the request.
        length: u64,
        /// The limit in bytes.
        limit: u32,
    },
    /// The pipeline is full and the request was not sent: take an answer first.
    #[error("the pipeline is full: take an answer before the next request")]
    PipelineFull,
    /// The server sent bytes that are not the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The server sent an answer that does not belong to the request.
    #[error("the server broke the protocol: {0}")]
    UnexpectedAnswer(String),
    /// An earlier failure left the connection out of step: connect again.
    #[error("the connection is of no further use since: {reason}; connect again")]
    Broken {
        /// The earlier failure.
        reason: String,
    },
}

/// What a client was waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// A connection.
    Connecting,
    /// The server to take a request.
    Sending,
    /// The server to answer.
    Answer,
}

impl fmt::Display for Waiting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Waiting::Connecting => "connecting",
            Waiting::Sending => "sending a request",
            Waiting::Answer => "waiting for an answer",
        })
    }
}

impl ClientError {
    /// The server's error code, when the server answered with one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Server { code, .. } => Some(*code),
            _ => None,
        }
    }

    pub(super) fn lost(error: &io::Error) -> ClientError {
        ClientError::Lost {
            reason: error.to_string(),
        }
    }
}
