//! The only caller of `bincode` and of `crc32fast`.
//!
//! bincode 2.0.1, pinned: little endian, variable-width integers. Its bytes, so that they can be read
//! without it (frozen by `tests/golden`):
//!
//! | type | bytes |
//! |---|---|
//! | `u8`, `bool` | one byte |
//! | `u16` `u32` `u64`, lengths, enum variants | below 251: one byte; else 251 and 2 bytes, 252 and 4, 253 and 8 |
//! | byte string, text, list | length, then the bytes or elements |
//! | `Option` | one byte 0, or one byte 1 and the value |
//! | struct, tuple, array | the fields in order, nothing between |
//!
//! Checksums are CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320), as in zlib.

use std::collections::BTreeSet;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::{Deserialize, Deserializer};

/// The largest encoded value, in bytes; bincode refuses to read or reserve more.
const MAX_ENCODED: usize = 1 << 30;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_ENCODED>> =
    bincode::config::standard().with_limit::<MAX_ENCODED>();

/// Why bytes could not be read back, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecodeError(pub(crate) String);

/// Appends `value` to `bytes`.
///
/// # Panics
/// Never for the types of this crate: writing to memory does not fail, and none of them is of a kind
/// that the format lacks.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the room that knows bincode"
)]
#[expect(clippy::expect_used, reason = "documented: cannot fail for our types")]
pub(crate) fn encode<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, bytes, CONFIG).expect("our types always encode");
}

/// Reads a value from the head of `bytes`; returns it with the number of bytes it took.
///
/// # Errors
/// When the bytes are not such a value. For a list no more than 1 MiB is reserved ahead of the elements that
/// were read. An owned text or byte string is read by [`text`], [`texts`] or [`byte_string`]: bincode itself
/// would reserve the length that it states before it has looked whether so much is there.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the room that knows bincode"
)]
pub(crate) fn decode<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
) -> std::result::Result<(T, usize), DecodeError> {
    bincode::serde::borrow_decode_from_slice(bytes, CONFIG)
        .map_err(|error| DecodeError(error.to_string()))
}

/// Reads an owned text, no longer than the input.
pub(crate) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    <&str>::deserialize(from).map(str::to_owned)
}

/// Reads a set of owned texts, each no longer than the input.
pub(crate) fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
    let texts = BTreeSet::<&str>::deserialize(from)?;
    Ok(texts.into_iter().map(str::to_owned).collect())
}

/// Reads an owned byte string, no longer than the input.
pub(crate) fn byte_string<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    <&serde_bytes::Bytes>::deserialize(from).map(|bytes| bytes.to_vec())
}

/// Reads a value that takes all of `bytes`.
///
/// # Errors
/// When the bytes are not such a value, or some are left over.
pub(crate) fn decode_all<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
) -> std::result::Result<T, DecodeError> {
    let (value, used) = decode(bytes)?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(DecodeError(format!(
            "{} bytes left over",
            bytes.len() - used
        )))
    }
}

/// A running CRC-32.
#[derive(Debug, Clone)]
pub(crate) struct Checksum(crc32fast::Hasher);

impl Checksum {
    /// A checksum of no bytes yet.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the room that knows crc32fast"
    )]
    pub(crate) fn new() -> Checksum {
        Checksum(crc32fast::Hasher::new())
    }

    /// A checksum that begins with the identity of a file and a place in it, so that a swapped file
    /// or a misplaced block does not check.
    #[must_use]
    pub(crate) fn seeded(identity: u64, offset: u64) -> Checksum {
        Checksum::new().add_u64(identity).add_u64(offset)
    }

    /// Adds bytes.
    #[must_use]
    pub(crate) fn add(mut self, bytes: &[u8]) -> Checksum {
        self.0.update(bytes);
        self
    }

    /// Adds a number, as its 8 little-endian bytes.
    #[must_use]
    pub(crate) fn add_u64(self, number: u64) -> Checksum {
        self.add(&number.to_le_bytes())
    }

    /// Adds a number, as its 4 little-endian bytes.
    #[must_use]
    pub(crate) fn add_u32(self, number: u32) -> Checksum {
        self.add(&number.to_le_bytes())
    }

    /// The checksum of all that was added.
    #[must_use]
    pub(crate) fn finish(self) -> u32 {
        self.0.finalize()
    }
}

impl Default for Checksum {
    fn default() -> Checksum {
        Checksum::new()
    }
}

/// Reads a little-endian `u32` at `offset`, or `None` when the bytes end before.
#[must_use]
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let field = bytes.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*field))
}

/// Reads a little-endian `u64` at `offset`, or `None` when the bytes end before.
#[must_use]
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let field = bytes.get(offset..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_documented() {
        let mut bytes = Vec::new();
        let value: (u8, u64, u64, Option<u32>, &str) = (7, 250, 251, Some(65_536), "ab");
        encode(&value, &mut bytes);
        assert_eq!(
            bytes,
            [7, 250, 251, 251, 0, 1, 252, 0, 0, 1, 0, 2, b'a', b'b']
        );
        assert_eq!(decode_all(&bytes), Ok(value));
    }

    #[test]
    fn a_length_beyond_the_input_is_refused_before_memory_is_taken() {
        let mut huge = vec![253];
        huge.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(decode::<String>(&huge).is_err());
        assert!(decode::<Vec<u64>>(&huge).is_err());
        let mut large = vec![252];
        large.extend_from_slice(&0x3000_0000_u32.to_le_bytes());
        assert!(decode::<serde_bytes::ByteBuf>(&large).is_err());
        assert!(decode::<Vec<(u64, String)>>(&large).is_err());
    }

    #[test]
    fn left_over_bytes_are_an_error() {
        assert!(decode_all::<u8>(&[1, 2]).is_err());
        assert_eq!(decode::<u8>(&[1, 2]), Ok((1, 1)));
    }

    #[test]
    fn the_checksum_is_the_zlib_one() {
        assert_eq!(Checksum::new().add(b"123456789").finish(), 0xCBF4_3926);
    }
}
