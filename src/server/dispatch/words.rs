//! What the engine and the protocol call the same thing by different names.

use super::opcode;
use crate::protocol::{BatchOperation, Entry, ErrorCode, Expected, Limits, Response};
use crate::storage::disk::count;
use crate::storage::{self, AtlasError, Conditional, Lsn, Operation, Versioned};

/// Whether it is a write, which is answered when it is settled.
pub(in crate::server) fn is_write(code: u8) -> bool {
    matches!(
        code,
        opcode::PUT
            | opcode::DELETE
            | opcode::BATCH
            | opcode::PUT_IF_ABSENT
            | opcode::COMPARE_AND_SWAP
    )
}

/// Bytes that the lists of a request take besides its frame, at most: a short frame can name many keys.
pub(in crate::server) fn list_bytes(code: u8, payload: usize, limits: &Limits) -> u64 {
    /// Bytes of the shortest element of a batch or multi-get.
    const SHORTEST: u64 = 5;
    /// Bytes of memory for an element: decoded, translated, and with what was found.
    const IN_MEMORY: u64 = 160;
    if code != opcode::BATCH && code != opcode::MULTI_GET {
        return 0;
    }
    let elements = (count(payload) / SHORTEST).min(limits.max_batch_operations);
    // Together with its frame it must fit the budget, which holds two of the largest frame.
    elements
        .saturating_mul(IN_MEMORY)
        .min(u64::from(limits.max_frame_size))
}

/// The error code of a failure of the engine.
pub(super) fn error_code(error: &AtlasError) -> ErrorCode {
    match error {
        AtlasError::EmptyKey => ErrorCode::EmptyKey,
        AtlasError::KeyTooLarge { .. } => ErrorCode::KeyTooLarge,
        AtlasError::ValueTooLarge { .. } => ErrorCode::ValueTooLarge,
        AtlasError::BatchTooLarge { .. } => ErrorCode::BatchTooLarge,
        AtlasError::TooManyOperations { .. } => ErrorCode::TooManyOperations,
        AtlasError::Io { .. } => ErrorCode::Io,
        AtlasError::Corrupt { .. }
        | AtlasError::SyncedDataDamaged { .. }
        | AtlasError::MissingFile { .. }
        | AtlasError::MissingManifest { .. } => ErrorCode::Damaged,
        AtlasError::ReadOnly { .. } => ErrorCode::ReadOnly,
        AtlasError::OutcomeUnknown { .. } => ErrorCode::OutcomeUnknown,
        AtlasError::DiskFull { .. } => ErrorCode::DiskFull,
        AtlasError::Stalled { .. } => ErrorCode::Stalled,
        AtlasError::Closed => ErrorCode::Closed,
        AtlasError::ScanEnded { .. } => ErrorCode::ScanEnded,
        AtlasError::TooManyScans { .. } => ErrorCode::TooManyScans,
        AtlasError::LsnLost { .. } => ErrorCode::LsnLost,
        AtlasError::LsnNotAssigned { .. } => ErrorCode::LsnNotAssigned,
        AtlasError::Exhausted { .. } => ErrorCode::Exhausted,
        AtlasError::OverBudget { .. } => ErrorCode::Busy,
        AtlasError::NewerFormat { .. }
        | AtlasError::Locked { .. }
        | AtlasError::OthersDirectory { .. }
        | AtlasError::NotAStore { .. }
        | AtlasError::InvalidOption { .. }
        | AtlasError::NoRoom { .. } => ErrorCode::Internal,
    }
}

pub(super) fn written(lsn: Lsn) -> Response {
    Response::Written { lsn: lsn.as_u64() }
}

pub(super) fn conditional(outcome: Conditional) -> Response {
    match outcome {
        Conditional::Done(lsn) => written(lsn),
        Conditional::Refused(current) => Response::Refused {
            current: current.map(pair),
        },
    }
}

pub(super) fn pair(versioned: Versioned) -> (u64, bytes::Bytes) {
    (versioned.lsn.as_u64(), versioned.value)
}

pub(super) fn entry((key, value, lsn): (bytes::Bytes, bytes::Bytes, Lsn)) -> Entry {
    Entry {
        key,
        value,
        lsn: lsn.as_u64(),
    }
}

pub(super) fn operation<'a>(operation: &BatchOperation<'a>) -> Operation<'a> {
    match *operation {
        BatchOperation::Put { key, value } => Operation::Put { key, value },
        BatchOperation::Delete { key } => Operation::Delete { key },
    }
}

pub(super) fn expectation<'a>(expected: &Expected<'a>) -> storage::Expected<'a> {
    match *expected {
        Expected::Absent => storage::Expected::Absent,
        Expected::Value(value) => storage::Expected::Value(value),
        Expected::Version(lsn) => storage::Expected::Version(Lsn::from_u64(lsn)),
    }
}

pub(super) fn quarantine(files: Vec<storage::QuarantinedFile>) -> Response {
    let files = files.into_iter().map(|file| (file.name, file.bytes));
    Response::Quarantine(files.collect())
}

/// What a client asks for within what the server gives; 0: the server's choice.
pub(super) fn capped(asked: u32, most: u32) -> usize {
    let granted = if asked == 0 { most } else { asked.min(most) };
    usize::try_from(granted).unwrap_or(usize::MAX)
}
