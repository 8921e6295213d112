//! The frame: the 12 bytes of header in [`super`], then the payload.

use super::field::Sink;
use super::{COUNTED_HEADER, HEADER_SIZE, ProtocolError, VERSION};

/// Bytes of the length field.
const LENGTH_SIZE: usize = 4;

/// A whole frame of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The opcode of a request or the status of an answer.
    pub code: u8,
    /// The client's number for the request.
    pub request_id: u32,
    /// The fields.
    pub payload: &'a [u8],
}

/// How many bytes the frame at the head of `bytes` has in all, its length field included. `None` while
/// the length field is not there. `limit` is the largest length field accepted.
///
/// # Errors
/// [`ProtocolError::FrameTooLarge`] and [`ProtocolError::FrameTooShort`]: before a byte behind the
/// length field is needed.
pub fn peek_length(bytes: &[u8], limit: u32) -> Result<Option<usize>, ProtocolError> {
    let Some(field) = bytes.first_chunk::<LENGTH_SIZE>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*field);
    if length < COUNTED_HEADER {
        return Err(ProtocolError::FrameTooShort { length });
    }
    let too_large = || ProtocolError::FrameTooLarge {
        length: u64::from(length),
        limit,
    };
    if length > limit {
        return Err(too_large());
    }
    let whole = usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_add(LENGTH_SIZE));
    whole.map(Some).ok_or_else(too_large)
}

/// Reads the frame at the head of `bytes`; returns it with the number of bytes it takes, or `None`
/// while it is not all there. `limit` is the largest length field accepted.
///
/// # Errors
/// As [`peek_length`], and for another version or flags as soon as the header is there. After an error
/// the place of the next frame is not known: the connection must be closed.
pub fn decode(bytes: &[u8], limit: u32) -> Result<Option<(Frame<'_>, usize)>, ProtocolError> {
    let Some(used) = peek_length(bytes, limit)? else {
        return Ok(None);
    };
    let Some(header) = bytes.first_chunk::<HEADER_SIZE>() else {
        return Ok(None);
    };
    let [_, _, _, _, version, code, flags_low, flags_high, id @ ..] = *header;
    if version != VERSION {
        return Err(ProtocolError::UnsupportedVersion { version });
    }
    let flags = u16::from_le_bytes([flags_low, flags_high]);
    if flags != 0 {
        return Err(ProtocolError::UnsupportedFlags { flags });
    }
    let frame = bytes.get(HEADER_SIZE..used).map(|payload| Frame {
        code,
        request_id: u32::from_le_bytes(id),
        payload,
    });
    Ok(frame.map(|frame| (frame, used)))
}

/// Appends the header of a frame with a payload of `payload` bytes.
///
/// # Errors
/// [`ProtocolError::FrameTooLarge`] when its length would be over `limit`; nothing is appended then.
pub(crate) fn encode_header(
    code: u8,
    request_id: u32,
    payload: u64,
    limit: u32,
    out: &mut Vec<u8>,
) -> Result<(), ProtocolError> {
    let length = payload.saturating_add(u64::from(COUNTED_HEADER));
    let field = u32::try_from(length).ok().filter(|field| *field <= limit);
    let field = field.ok_or(ProtocolError::FrameTooLarge { length, limit })?;
    out.reserve(usize::try_from(length).unwrap_or(0) + LENGTH_SIZE);
    out.u32(field);
    out.u8(VERSION);
    out.u8(code);
    out.u16(0);
    out.u32(request_id);
    Ok(())
}
