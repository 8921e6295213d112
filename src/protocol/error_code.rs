//! The codes of error answers, each with what a client may conclude from it.

use std::fmt;

/// Why a request failed. A number that this side does not know stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The frame breaks the format; its end is not known.
    MalformedFrame,
    /// The frame has another version.
    UnsupportedVersion,
    /// The frame is over `max_frame_size`.
    FrameTooLarge,
    /// The opcode is not known.
    UnknownOpcode,
    /// The payload breaks the format of its opcode.
    MalformedRequest,
    /// The request is administrative and came over TCP.
    NotPermitted,
    /// The server has all the connections it allows.
    ServerFull,
    /// The server is stopping.
    ShuttingDown,
    /// The client took too long to send or to read.
    Timeout,
    /// The memory that all requests share is in use.
    Busy,
    /// The server wants a token, and the connection has not presented it in hello.
    NotAuthenticated,
    /// The token in hello is not the server's.
    WrongToken,
    /// Too many wrong tokens came from the client's address.
    TooManyAttempts,
    /// The configuration was read again and refused; the old one stays in force.
    ReloadRefused,
    /// A number in the request is out of its range.
    OutOfRange,
    /// A key of zero bytes.
    EmptyKey,
    /// A key over `max_key_size`.
    KeyTooLarge,
    /// A value over `max_value_size`.
    ValueTooLarge,
    /// A batch over `max_batch_size`.
    BatchTooLarge,
    /// A batch or multi-get over `max_batch_operations`.
    TooManyOperations,
    /// The answer would be over `max_frame_size`.
    AnswerTooLarge,
    /// Writing has stopped because a sync failed.
    ReadOnly,
    /// The write was accepted, but whether it is durable cannot be known.
    OutcomeUnknown,
    /// No room on the disk.
    DiskFull,
    /// Flushing did not keep up for too long.
    Stalled,
    /// The scan is not known: it ended, was closed, idled too long or kept too much memory.
    ScanEnded,
    /// All scans that are allowed are open.
    TooManyScans,
    /// The LSN was given by an earlier run and was lost.
    LsnLost,
    /// No write has this LSN.
    LsnNotAssigned,
    /// A file is damaged where the answer lies.
    Damaged,
    /// The disk failed.
    Io,
    /// The store is closed.
    Closed,
    /// LSNs or starts are used up.
    Exhausted,
    /// A fault of the server.
    Internal,
    /// A code that this side does not know.
    Unknown(u16),
}

/// What an error says about the write that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Nothing was written.
    NotDone,
    /// It may have been written, or be found after a restart.
    Unknown,
}

/// What is known of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCodeInfo {
    /// The code.
    pub code: ErrorCode,
    /// Its number on the wire.
    pub number: u16,
    /// Its name in documents and logs.
    pub name: &'static str,
    /// Whether the same request can succeed later without anybody's doing.
    pub retry: bool,
    /// What became of a write.
    pub outcome: WriteOutcome,
    /// Whether the server closes the connection after it.
    pub closes: bool,
}

const fn info(
    code: ErrorCode,
    number: u16,
    name: &'static str,
    retry: bool,
    outcome: WriteOutcome,
) -> ErrorCodeInfo {
    let closes = matches!(
        code,
        ErrorCode::MalformedFrame
            | ErrorCode::UnsupportedVersion
            | ErrorCode::FrameTooLarge
            | ErrorCode::ServerFull
            | ErrorCode::ShuttingDown
            | ErrorCode::Timeout
            | ErrorCode::WrongToken
            | ErrorCode::TooManyAttempts
    );
    ErrorCodeInfo {
        code,
        number,
        name,
        retry,
        outcome,
        closes,
    }
}

use ErrorCode as Code;
use WriteOutcome::{NotDone, Unknown};

/// Every code that this side knows. The numbers are for ever.
pub const ERROR_CODES: [ErrorCodeInfo; 34] = [
    info(Code::MalformedFrame, 1, "malformed-frame", false, NotDone),
    info(
        Code::UnsupportedVersion,
        2,
        "unsupported-version",
        false,
        NotDone,
    ),
    info(Code::FrameTooLarge, 3, "frame-too-large", false, NotDone),
    info(Code::UnknownOpcode, 4, "unknown-opcode", false, NotDone),
    info(
        Code::MalformedRequest,
        5,
        "malformed-request",
        false,
        NotDone,
    ),
    info(Code::NotPermitted, 6, "not-permitted", false, NotDone),
    info(Code::ServerFull, 7, "server-full", true, NotDone),
    info(Code::ShuttingDown, 8, "shutting-down", true, NotDone),
    info(Code::Timeout, 9, "timeout", true, NotDone),
    info(Code::Busy, 10, "busy", true, NotDone),
    info(
        Code::NotAuthenticated,
        11,
        "not-authenticated",
        false,
        NotDone,
    ),
    info(Code::WrongToken, 12, "wrong-token", false, NotDone),
    info(
        Code::TooManyAttempts,
        13,
        "too-many-attempts",
        true,
        NotDone,
    ),
    info(Code::ReloadRefused, 14, "reload-refused", false, NotDone),
    info(Code::OutOfRange, 15, "out-of-range", false, NotDone),
    info(Code::EmptyKey, 20, "empty-key", false, NotDone),
    info(Code::KeyTooLarge, 21, "key-too-large", false, NotDone),
    info(Code::ValueTooLarge, 22, "value-too-large", false, NotDone),
    info(Code::BatchTooLarge, 23, "batch-too-large", false, NotDone),
    info(
        Code::TooManyOperations,
        24,
        "too-many-operations",
        false,
        NotDone,
    ),
    info(Code::AnswerTooLarge, 25, "answer-too-large", false, NotDone),
    info(Code::ReadOnly, 30, "read-only", false, NotDone),
    info(Code::OutcomeUnknown, 31, "outcome-unknown", false, Unknown),
    info(Code::DiskFull, 32, "disk-full", true, NotDone),
    info(Code::Stalled, 33, "stalled", true, NotDone),
    info(Code::ScanEnded, 40, "scan-ended", false, NotDone),
    info(Code::TooManyScans, 41, "too-many-scans", true, NotDone),
    info(Code::LsnLost, 50, "lsn-lost", false, NotDone),
    info(Code::LsnNotAssigned, 51, "lsn-not-assigned", false, NotDone),
    info(Code::Damaged, 60, "damaged", false, Unknown),
    info(Code::Io, 61, "io-error", false, Unknown),
    info(Code::Closed, 62, "closed", true, Unknown),
    info(Code::Exhausted, 63, "exhausted", false, NotDone),
    info(Code::Internal, 70, "internal", false, Unknown),
];

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            ErrorCode::Unknown(number) => number,
            known => known.info().map_or(0, |info| info.number),
        }
    }

    /// The code of a number.
    #[must_use]
    pub fn from_number(number: u16) -> ErrorCode {
        ERROR_CODES
            .iter()
            .find(|info| info.number == number)
            .map_or(ErrorCode::Unknown(number), |info| info.code)
    }

    /// What is known of the code; `None` for a code that this side does not know.
    #[must_use]
    pub fn info(self) -> Option<&'static ErrorCodeInfo> {
        ERROR_CODES.iter().find(|info| info.code == self)
    }

    /// Whether the same request can succeed later without anybody's doing.
    #[must_use]
    pub fn retry_can_help(self) -> bool {
        self.info().is_some_and(|info| info.retry)
    }

    /// What became of a write that got this code; of an unknown code nothing is known.
    #[must_use]
    pub fn write_outcome(self) -> WriteOutcome {
        self.info()
            .map_or(WriteOutcome::Unknown, |info| info.outcome)
    }

    /// Whether the server closes the connection after it.
    #[must_use]
    pub fn closes_connection(self) -> bool {
        self.info().is_some_and(|info| info.closes)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info() {
            Some(info) => out.write_str(info.name),
            None => write!(out, "code-{}", self.number()),
        }
    }
}
