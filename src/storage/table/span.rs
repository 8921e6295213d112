//! A span read at once: loading it, and looking for a key in it.

use bytes::Bytes;

use super::frame::TableFile;
use super::reader::Found;
use super::sections::Span;
use super::{Head, PREFIX_DATA_LENGTH, PREFIX_LENGTH};
use crate::storage::Versioned;
use crate::storage::codec::{self, Checksum, u32_at};
use crate::storage::disk::count;
use crate::storage::error::{AtlasError, Result};

/// Reads a span and compares its checksum. The caller has seen that it is small.
///
/// # Errors
/// `Io`, `Corrupt`.
pub(super) fn load(file: &TableFile, span: Span) -> Result<Bytes> {
    let length = span.end.saturating_sub(span.start);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact(&mut bytes, span.start)?;
    let sum = Checksum::seeded(file.file_id, span.start).add(&bytes);
    if sum.finish() != span.checksum {
        let end = span.end;
        let detail = format!("the checksum of the span from here to offset {end} differs");
        return Err(file.corrupt(span.start, detail));
    }
    Ok(Bytes::from(bytes))
}

/// What a span, which begins at `start` and has been checked, has for `key`.
///
/// # Errors
/// `Corrupt` when it does not hold entries, though its checksum is right.
pub(super) fn find(
    file: &TableFile,
    span: &Bytes,
    start: u64,
    key: &[u8],
) -> Result<Option<Found>> {
    let mut at = 0;
    while at < span.len() {
        let damaged = || no_entry(file, start.saturating_add(count(at)));
        let rest = span.get(at..).unwrap_or_default();
        let length = u32_at(rest, PREFIX_DATA_LENGTH).ok_or_else(damaged)?;
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let data = rest.get(PREFIX_LENGTH..).unwrap_or_default();
        let data = data.get(..length).ok_or_else(damaged)?;
        let (head, used) = codec::decode::<Head<'_>>(data).map_err(|_| damaged())?;
        if head.key == key {
            let value = data.get(used..).unwrap_or_default();
            if head.value_length.unwrap_or(0) != count(value.len()) {
                return Err(damaged());
            }
            return Ok(Some(match head.value_length {
                None => Found::Tombstone(head.lsn),
                // A copy: the answer must not keep the whole span from being freed.
                Some(_) => Found::Value(Versioned {
                    value: Bytes::copy_from_slice(value),
                    lsn: head.lsn,
                }),
            }));
        }
        if head.key > key {
            return Ok(None);
        }
        at += PREFIX_LENGTH + length;
    }
    Ok(None)
}

fn no_entry(file: &TableFile, offset: u64) -> AtlasError {
    file.corrupt(offset, "no entry in a span whose checksum is right")
}
