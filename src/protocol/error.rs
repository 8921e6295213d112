//! What can be wrong with bytes from a peer.

use thiserror::Error;

use super::{ErrorCode, MAX_TOKEN_SIZE, VERSION};

/// Bytes that are not the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A length field over the limit. Nothing was read beyond it.
    #[error("a frame of {length} bytes, over the limit of {limit} (max_frame_size)")]
    FrameTooLarge {
        /// What the length field says, or would have to say, in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u32,
    },
    /// A length field that does not cover the header.
    #[error("a frame of {length} bytes: the header alone has 8")]
    FrameTooShort {
        /// What the length field says, in bytes.
        length: u32,
    },
    /// Another version of the protocol.
    #[error("protocol version {version}: this side speaks version {VERSION}")]
    UnsupportedVersion {
        /// The version of the frame.
        version: u8,
    },
    /// Flags are reserved.
    #[error("flags {flags:#06x}: flags must be 0 in version {VERSION}")]
    UnsupportedFlags {
        /// The flags of the frame.
        flags: u16,
    },
    /// A request that this side does not know.
    #[error("unknown opcode {opcode:#04x}")]
    UnknownOpcode {
        /// The opcode.
        opcode: u8,
    },
    /// An answer that this side does not know.
    #[error("unknown status {status:#04x}")]
    UnknownStatus {
        /// The status.
        status: u8,
    },
    /// The payload ends inside a field, or a length or count is beyond its end.
    #[error("the payload ends inside {field}")]
    Truncated {
        /// The field.
        field: &'static str,
    },
    /// The payload goes on behind its last field.
    #[error("{count} bytes behind the last field")]
    TrailingBytes {
        /// Bytes left over.
        count: usize,
    },
    /// A boolean or a kind with a value that is not defined.
    #[error("{field} is {value}, which is not defined")]
    BadValue {
        /// The field.
        field: &'static str,
        /// The byte found.
        value: u8,
    },
    /// A text that is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// The field.
        field: &'static str,
    },
    /// A token that is empty or too long.
    #[error("a token of {length} bytes: it has from 1 to {MAX_TOKEN_SIZE}")]
    TokenSize {
        /// Bytes of the token.
        length: u64,
    },
    /// A batch that would write nothing has no LSN to answer with.
    #[error("the batch has no operations")]
    EmptyBatch,
    /// A batch or multi-get over the limit. No memory was taken for it.
    #[error("{count} operations in one request, over the limit of {limit} (max_batch_operations)")]
    TooManyOperations {
        /// Operations asked for.
        count: u64,
        /// The limit.
        limit: u64,
    },
}

impl ProtocolError {
    /// The code with which a server answers.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            ProtocolError::FrameTooLarge { .. } => ErrorCode::FrameTooLarge,
            ProtocolError::UnsupportedVersion { .. } => ErrorCode::UnsupportedVersion,
            ProtocolError::FrameTooShort { .. } | ProtocolError::UnsupportedFlags { .. } => {
                ErrorCode::MalformedFrame
            }
            ProtocolError::UnknownOpcode { .. } => ErrorCode::UnknownOpcode,
            ProtocolError::TooManyOperations { .. } => ErrorCode::TooManyOperations,
            _ => ErrorCode::MalformedRequest,
        }
    }
}
