//! The wire protocol: bytes to types and back. No socket, no clock, no storage.
//!
//! `docs/protocol.md` is the same for whoever writes a client, with examples that a test decodes.
//!
//! A connection carries frames, requests one way and answers the other. All integers are little
//! endian. Every frame of every version begins with these 12 bytes:
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 4 | length | bytes that follow this field: 8 and the payload's; at most the frame limit |
//! | 4 | 1 | version | 1 |
//! | 5 | 1 | code | a request's opcode (`0x01` to `0x7F`) or an answer's status (`0x80` to `0xFF`) |
//! | 6 | 2 | flags | 0; anything else is refused |
//! | 8 | 4 | request id | the client's choice from 1; the answer repeats it; 0: about the connection |
//! | 12 | length - 8 | payload | the fields of the request or answer, one after another |
//!
//! The payload's fields:
//!
//! | type | bytes |
//! |---|---|
//! | `u8` `u16` `u32` `u64` | 1, 2, 4, 8 |
//! | `bool` | 1: `0` or `1`, nothing else |
//! | `bytes` | `u32` length, then so many bytes |
//! | `text` | as `bytes`, UTF-8 |
//! | `option T` | `0`, or `1` and then `T` |
//! | `list T` | `u32` count, then so many `T` |
//!
//! What must hold:
//!
//! - Requests of one connection are answered in order, one answer each.
//! - A payload ends where its last field ends: bytes left over, or missing, are an error.
//! - Nothing is reserved that the bytes at hand do not prove: the length is checked against the limit
//!   before the payload is there, a count against the bytes that are left.
//! - The version changes when the meaning of a byte does. New opcodes, statuses, error codes and
//!   statistics come without it.

mod error;
mod error_code;
mod field;
pub mod frame;
pub mod opcode;
mod operations;
mod request;
mod response;
mod token;

pub use error::ProtocolError;
pub use error_code::{ERROR_CODES, ErrorCode, ErrorCodeInfo, WriteOutcome};
pub use frame::Frame;
pub use operations::{
    ConfigItem, LEAST_VERIFY_RATE, ReloadReport, SLOW_KEY_BYTES, SlowRequest, VerificationStatus,
};
pub use request::{BatchOperation, Expected, Request};
pub use response::{CompactionReport, Entry, Limits, Response, ServerInfo, StatValue};
pub use token::{MAX_TOKEN_SIZE, Token};

/// The version of the protocol, the first and only one.
pub const VERSION: u8 = 1;
/// Bytes of a frame's header, the length field included.
pub const HEADER_SIZE: usize = 12;
/// Bytes of the header that the length field counts.
pub(crate) const COUNTED_HEADER: u32 = 8;
/// The largest frame by default, as its length field says it, in bytes.
pub const DEFAULT_MAX_FRAME_SIZE: u32 = 40 * 1024 * 1024;
/// The request id of an answer that is about the connection and not about one request.
pub const CONNECTION_ID: u32 = 0;

/// The smallest frame limit, in bytes, under which every request within the store's limits fits: a
/// batch of `max_batch_size` bytes in `max_batch_operations` operations, each with its kind and two
/// lengths.
#[must_use]
pub fn frame_size_for(max_batch_size: u64, max_batch_operations: u64) -> u64 {
    /// Kind and the lengths of key and value.
    const OPERATION_OVERHEAD: u64 = 1 + 4 + 4;
    /// Header, count, and the fixed fields of the largest single request.
    const FRAME_OVERHEAD: u64 = 64;
    max_batch_operations
        .saturating_mul(OPERATION_OVERHEAD)
        .saturating_add(max_batch_size)
        .saturating_add(FRAME_OVERHEAD)
}
