//! Tables: immutable files of entries in key order. This is the format, byte by byte.
//!
//! ```text
//! table  = header entry* partition* directory locator footer      all integers little-endian
//!
//! header   offset  bytes
//!               0      4  magic "AKVT"
//!               4      2  format version: 2
//!               6      2  flags: 0; a set bit says that a further section stands before the directory;
//!                         bits 8 to 15: whoever does not know it must not read the file,
//!                         bits 0 to 7: whoever does not know it may ignore the section
//!               8      8  file id: random, stands in the manifest too
//!
//! entry         0      4  checksum over: file id, offset of this entry in the file (8 bytes each),
//!                         length, data
//!               4      4  length of data
//!               8      n  data: head, then the value's bytes
//!
//! head     a bincode struct (see codec.rs):
//!                         key      byte string, at least 1 byte
//!                         LSN      u64
//!                         length   Option<u64>: bytes of the value; none: a tombstone
//!
//! partition     0      4  bytes of the filter
//!               4      n  filter: of all keys of the partition's spans (see filter.rs)
//!                         for each of its spans a bincode struct:
//!                         separator  byte string: above every key before the span, and not above
//!                                    its first key; empty for the first span of the table
//!                         length     u64: bytes of its entries
//!                         checksum   u32: over file id, offset of the span in the file (8 bytes
//!                                    each), all bytes of its entries
//!
//! directory               for each partition a bincode struct:
//!                         separator  byte string: that of its first span
//!                         entries    u64: offset of the first entry of its first span
//!                         offset     u64: where the partition stands in the file
//!                         length     u32: its bytes
//!                         checksum   u32: over file id, offset of the partition (8 bytes each),
//!                                    its bytes
//!
//! locator       0      8  offset at which the last entry ends
//!               8      8  offset of the directory
//!              16      4  bytes of the directory
//!              20      4  number of partitions; 0: there are none, and no directory
//!              24      4  checksum over: file id, offset of the directory (8 bytes each), directory
//!              28      4  checksum over: file id, offset of the locator (8 bytes each), the 28 bytes
//!                         before
//!
//! footer        0      8  number of entries
//!               8      4  checksum over: file id, offset of the footer in the file (8 bytes each),
//!                         header, number of entries
//!              12      4  magic "AKVE"
//! ```
//!
//! What holds of a valid table: it has at least one entry; keys ascend strictly, as bytes; there are as
//! many entries as the footer says; the last one ends where the locator says. The checksums begin with the
//! file's identity and the place, so that swapped files and misplaced blocks do not check.
//!
//! What holds of its sections: a *span* is a run of whole entries, up to 4 KiB of them, or one larger entry, or
//! more where keys are so alike that the separators would be a large part of the file; a *partition* covers a run
//! of spans of about 1 MiB together. Spans and partitions cover all entries without a gap, in order; partitions
//! follow the last entry in the same order without a gap, then come the directory, of at most 16 MiB, the locator
//! and the footer. A table whose directory would be larger has none, and is read as one of version 1.
//!
//! Versions: header, footer and the footer's checksum stay as they are in every version, so that a newer
//! file can be told from a damaged one. In version 1 the footer follows the last entry, or, where the flags say
//! so, a section that nobody knows; in version 2 such a section stands between the last partition and the directory. The tables of every version stay readable for ever, and their entries can be
//! read one after another without any section.

mod builder;
mod check;
mod check_sections;
mod cursor;
mod filter;
mod frame;
mod index;
mod inspect;
mod parts;
mod reader;
mod salvage;
mod sections;
mod sections_builder;
mod span;
mod spill;
mod walk;

#[cfg(test)]
mod checks_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod sections_tests;
#[cfg(test)]
pub(super) mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Lsn, codec, file_name};

pub(crate) use builder::{TableBuilder, remove_temporary};
pub(crate) use check::read_back;
pub(crate) use cursor::TableCursor;
pub(crate) use index::Index;
pub(crate) use inspect::{DamagedPlace, Inspection, inspect};
pub(crate) use parts::{TablePart, TableParts};
pub(crate) use reader::{Found, Table};
pub(crate) use salvage::{Described, Salvaged, UNKNOWN_ENTRIES, describe, salvage, survey};
pub(crate) use sections::Partition;

const MAGIC: [u8; 4] = *b"AKVT";
const END_MAGIC: [u8; 4] = *b"AKVE";
/// The version this program writes, and the newest it reads.
const VERSION: u16 = 2;
/// The first version whose tables have sections.
const FIRST_WITH_SECTIONS: u16 = 2;
/// Flags that must be understood by whoever reads the file.
const MUST_UNDERSTAND: u16 = 0xFF00;

const HEADER_LENGTH: usize = 16;
const HEADER_VERSION: usize = MAGIC.len();
const HEADER_FLAGS: usize = HEADER_VERSION + 2;
const HEADER_FILE_ID: usize = HEADER_FLAGS + 2;

const FOOTER_LENGTH: usize = 16;
const FOOTER_CHECKSUM: usize = 8;
const FOOTER_MAGIC: usize = FOOTER_CHECKSUM + 4;

const LOCATOR_LENGTH: usize = 32;

/// Checksum and length, before an entry's data.
const PREFIX_LENGTH: usize = 8;
const PREFIX_DATA_LENGTH: usize = 4;
/// The most bytes of a head besides the key and its length: an LSN and an optional length.
const MAX_HEAD_NUMBERS: usize = 9 + 1 + 9;

/// A value of more bytes is admitted by the caller before memory is taken for it.
pub(crate) const ADMIT_ABOVE: u64 = 64 * 1024;

/// The most bytes of sections for so many bytes of entries, whatever the keys are.
///
/// Where every span begins with a separator of 256 bytes, which wants two keys as long beside it, and has the
/// shortest entries besides, separators, the heads of spans and filters are together 15 of 100. Longer separators
/// stand behind 16 times their bytes of entries. What does not grow with the entries is less than 128 bytes. While a
/// table is written its finished partitions may stand in a temporary file too: as much once more.
pub(crate) fn most_sections(entries: u64) -> u64 {
    entries / 6 + 128
}

/// What an entry's data begins with.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head<'a> {
    #[serde(borrow, with = "serde_bytes")]
    key: &'a [u8],
    lsn: Lsn,
    /// `None`: a tombstone.
    value_length: Option<u64>,
}

/// What is known of a table without opening it. It stands in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableInfo {
    /// The file's number, which its name is made of.
    pub(crate) number: u64,
    /// The file's identity, as in its header.
    pub(crate) file_id: u64,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// CRC-32 of the whole file.
    pub(crate) checksum: u32,
    /// Entries, tombstones included; at least 1.
    pub(crate) entries: u64,
    /// Tombstones.
    pub(crate) tombstones: u64,
    /// The first key.
    #[serde(serialize_with = "serde_bytes::serialize")]
    #[serde(deserialize_with = "codec::byte_string")]
    pub(crate) min_key: Vec<u8>,
    /// The last key.
    #[serde(serialize_with = "serde_bytes::serialize")]
    #[serde(deserialize_with = "codec::byte_string")]
    pub(crate) max_key: Vec<u8>,
    /// The lowest LSN of an entry.
    pub(crate) min_lsn: Lsn,
    /// The highest LSN of an entry.
    pub(crate) max_lsn: Lsn,
}

/// The format version that a file's first bytes state, if they are a table's.
pub(crate) fn stated_version(bytes: &[u8]) -> Option<u32> {
    let field = bytes.strip_prefix(&MAGIC)?.first_chunk::<2>()?;
    Some(u32::from(u16::from_le_bytes(*field)))
}

/// Where a table stands when it is finished.
pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(file_name::table(number))
}

/// Where a table stands while it is written.
pub(crate) fn temporary_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(file_name::temporary(&file_name::table(number)))
}
