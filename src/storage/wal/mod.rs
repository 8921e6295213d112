//! The write-ahead log: its format. [`writer`] appends, [`reader`] reads; neither decides anything.
//!
//! The log is a row of segments, `wal-NNNNNNNNNNNN.log`. A segment is a header of one block, never
//! rewritten, then entries one after another, then zeros (segments are preallocated). All integers
//! are little endian.
//!
//! ```text
//! header   offset  bytes  field
//!               0      8  magic "ATLASWAL"
//!               8      4  format version, 1
//!              12      4  CRC32 over bytes 0..12 and 16..4096
//!              16     16  database id
//!              32      8  file number
//!              40      8  nonce: random, of this segment alone
//!              48      8  LSN of the first entry
//!              56   4040  zeros
//!
//! entry    offset  bytes  field
//!               0      8  LSN
//!               8      4  CRC32 over LSN, length and data
//!              12      4  length of data in bytes
//!              16      1  data: kind: 1 operations, 2 durable mark, 3 clean-shutdown mark
//!              17      8  data: durable LSN: every write up to it was synced when this was written
//!              25      8  data: nonce of the segment
//!              33      …  data: operations (kind 1 only), a list encoded by `codec`
//! ```
//!
//! An entry is valid when its length fits the file, its CRC holds, its nonce is the segment's, its
//! kind is known and its operations decode. Zeros are never a valid entry: the CRC32 of 12 zero bytes
//! is not zero. Within a segment LSNs are contiguous. The nonce keeps bytes of a client's value from
//! posing as an entry when recovery looks for later entries at every offset.

pub(crate) mod reader;
pub(crate) mod writer;

use super::codec::{self, Checksum};
use super::operation::LONGEST_KEY;
use super::{Lsn, Operation};

/// The newest format version of segments that this program reads, and the one it writes.
pub(crate) const VERSION: u32 = 1;
/// Bytes of a segment's header.
pub(crate) const HEADER_SIZE: usize = 4096;

const MAGIC: [u8; 8] = *b"ATLASWAL";
const VERSION_AT: usize = MAGIC.len();
const CRC_AT: usize = VERSION_AT + 4;
const DATABASE_AT: usize = CRC_AT + 4;
const NUMBER_AT: usize = DATABASE_AT + 16;
const NONCE_AT: usize = NUMBER_AT + 8;
const FIRST_LSN_AT: usize = NONCE_AT + 8;

/// Bytes of an entry before its data: LSN, CRC, length.
pub(crate) const ENTRY_HEAD: usize = 8 + 4 + 4;
const ENTRY_CRC_AT: usize = 8;
const ENTRY_LENGTH_AT: usize = ENTRY_CRC_AT + 4;
/// Offsets within an entry's data.
const DATA_DURABLE_AT: usize = 1;
const DATA_NONCE_AT: usize = DATA_DURABLE_AT + 8;
const DATA_OPERATIONS_AT: usize = DATA_NONCE_AT + 8;
/// Offset of the nonce within an entry.
pub(crate) const ENTRY_NONCE_AT: usize = ENTRY_HEAD + DATA_NONCE_AT;
/// Bytes of an entry without operations.
pub(crate) const MARK_SIZE: usize = ENTRY_HEAD + DATA_OPERATIONS_AT;

/// The format version that a file's first bytes state, if they are a segment's.
pub(crate) fn stated_version(bytes: &[u8]) -> Option<u32> {
    codec::u32_at(bytes.strip_prefix(&MAGIC)?, 0)
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One atomic write.
    Operations,
    /// Carries a new durable LSN after a quiet moment.
    DurableMark,
    /// The last entry of a run that ended as it should.
    CleanMark,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Kind::Operations => 1,
            Kind::DurableMark => 2,
            Kind::CleanMark => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Kind> {
        match byte {
            1 => Some(Kind::Operations),
            2 => Some(Kind::DurableMark),
            3 => Some(Kind::CleanMark),
            _ => None,
        }
    }
}

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) database_id: [u8; 16],
    pub(crate) number: u64,
    pub(crate) nonce: u64,
    pub(crate) first_lsn: Lsn,
}

impl SegmentHeader {
    /// The header's block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(HEADER_SIZE);
        block.extend_from_slice(&MAGIC);
        block.extend_from_slice(&VERSION.to_le_bytes());
        let mut rest = Vec::with_capacity(HEADER_SIZE);
        rest.extend_from_slice(&self.database_id);
        rest.extend_from_slice(&self.number.to_le_bytes());
        rest.extend_from_slice(&self.nonce.to_le_bytes());
        rest.extend_from_slice(&self.first_lsn.as_u64().to_le_bytes());
        rest.resize(HEADER_SIZE - DATABASE_AT, 0);
        let crc = Checksum::new().add(&block).add(&rest).finish();
        block.extend_from_slice(&crc.to_le_bytes());
        block.append(&mut rest);
        debug_assert_eq!(block.len(), HEADER_SIZE);
        block
    }

    /// Reads a header's block.
    pub(crate) fn decode(block: &[u8]) -> Result<SegmentHeader, HeaderError> {
        let damaged = |detail: &str| HeaderError::Damaged(detail.to_owned());
        if block.len() < HEADER_SIZE || !block.starts_with(&MAGIC) {
            return Err(damaged("it does not begin as a segment does"));
        }
        let (head, rest) = block.split_at(CRC_AT);
        let rest = rest.get(4..HEADER_SIZE - CRC_AT).unwrap_or_default();
        let crc = Checksum::new().add(head).add(rest).finish();
        if codec::u32_at(block, CRC_AT) != Some(crc) {
            return Err(damaged("the checksum of the header does not hold"));
        }
        let version = codec::u32_at(block, VERSION_AT).unwrap_or_default();
        if version > VERSION {
            return Err(HeaderError::Newer(version));
        }
        SegmentHeader::stated(block).ok_or_else(|| damaged("it is too short"))
    }

    /// What stands in a header's block, whether or not it checks; `None` when it is too short.
    pub(crate) fn stated(block: &[u8]) -> Option<SegmentHeader> {
        Some(SegmentHeader {
            database_id: *block.get(DATABASE_AT..)?.first_chunk::<16>()?,
            number: codec::u64_at(block, NUMBER_AT)?,
            nonce: codec::u64_at(block, NONCE_AT)?,
            first_lsn: Lsn::from_u64(codec::u64_at(block, FIRST_LSN_AT)?),
        })
    }
}

/// Why a block is no header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Its bytes are not a header's.
    Damaged(String),
    /// It was written by a newer program.
    Newer(u32),
}

/// A valid entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) lsn: Lsn,
    pub(crate) kind: Kind,
    pub(crate) durable_lsn: Lsn,
    pub(crate) operations: Vec<Operation<'a>>,
}

/// What an entry is written from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewEntry<'a> {
    pub(crate) lsn: Lsn,
    pub(crate) kind: Kind,
    pub(crate) durable_lsn: Lsn,
    pub(crate) operations: &'a [Operation<'a>],
}

impl NewEntry<'_> {
    /// The entry's bytes in a segment with this nonce, in place of what `bytes` held. `None` when the
    /// operations take more than an entry's length can say.
    pub(crate) fn encode(&self, nonce: u64, bytes: &mut Vec<u8>) -> Option<()> {
        bytes.clear();
        bytes.extend_from_slice(&self.lsn.as_u64().to_le_bytes());
        bytes.extend_from_slice(&[0; ENTRY_HEAD - ENTRY_CRC_AT]);
        bytes.push(self.kind.byte());
        bytes.extend_from_slice(&self.durable_lsn.as_u64().to_le_bytes());
        bytes.extend_from_slice(&nonce.to_le_bytes());
        if self.kind == Kind::Operations {
            codec::encode(&self.operations, bytes);
        }
        let length = u32::try_from(bytes.len() - ENTRY_HEAD).ok()?;
        let crc = entry_crc(self.lsn, length, bytes.get(ENTRY_HEAD..)?);
        bytes
            .get_mut(ENTRY_CRC_AT..ENTRY_LENGTH_AT)?
            .copy_from_slice(&crc.to_le_bytes());
        bytes
            .get_mut(ENTRY_LENGTH_AT..ENTRY_HEAD)?
            .copy_from_slice(&length.to_le_bytes());
        Some(())
    }
}

fn entry_crc(lsn: Lsn, length: u32, data: &[u8]) -> u32 {
    Checksum::new()
        .add_u64(lsn.as_u64())
        .add_u32(length)
        .add(data)
        .finish()
}

/// The length of data that an entry's first bytes state, or `None` when there are too few of them or
/// it is less than every entry has.
pub(crate) fn data_length(head: &[u8]) -> Option<usize> {
    let length = usize::try_from(codec::u32_at(head, ENTRY_LENGTH_AT)?).ok()?;
    (length >= DATA_OPERATIONS_AT).then_some(length)
}

/// Reads the entry at the head of `bytes`, of a segment with this nonce; `None` when it is not valid.
pub(crate) fn decode_entry(bytes: &[u8], nonce: u64) -> Option<Entry<'_>> {
    let length = data_length(bytes)?;
    let lsn = Lsn::from_u64(codec::u64_at(bytes, 0)?);
    let data = bytes.get(ENTRY_HEAD..)?.get(..length)?;
    let stated = codec::u32_at(bytes, ENTRY_CRC_AT)?;
    if codec::u64_at(data, DATA_NONCE_AT)? != nonce
        || entry_crc(lsn, u32::try_from(length).ok()?, data) != stated
    {
        return None;
    }
    let kind = Kind::from_byte(*data.first()?)?;
    let durable_lsn = Lsn::from_u64(codec::u64_at(data, DATA_DURABLE_AT)?);
    let operations = data.get(DATA_OPERATIONS_AT..)?;
    let operations = match kind {
        Kind::Operations => {
            let operations: Vec<Operation<'_>> = codec::decode_all(operations).ok()?;
            // No write has another, and no table could take it.
            let fits = |one: &Operation<'_>| (1..=LONGEST_KEY).contains(&one.key().len());
            operations.iter().all(fits).then_some(operations)?
        }
        Kind::DurableMark | Kind::CleanMark => operations.is_empty().then(Vec::new)?,
    };
    Some(Entry {
        lsn,
        kind,
        durable_lsn,
        operations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader {
        database_id: [7; 16],
        number: 3,
        nonce: 0xA5,
        first_lsn: Lsn::from_u64(9),
    };

    #[test]
    fn a_header_is_read_as_it_was_written_and_no_flipped_bit_passes() {
        let mut block = HEADER.encode();
        assert_eq!(SegmentHeader::decode(&block), Ok(HEADER));
        for bit in 0..block.len() * 8 {
            block[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&block).is_err(), "bit {bit}");
            block[bit / 8] ^= 1 << (bit % 8);
        }
        for length in 0..HEADER_SIZE {
            assert!(SegmentHeader::decode(&block[..length]).is_err(), "{length}");
        }
        // The checksum holds, but it is another format.
        block[0] ^= 1;
        let sum = Checksum::new()
            .add(&block[..CRC_AT])
            .add(&block[CRC_AT + 4..HEADER_SIZE])
            .finish();
        block[CRC_AT..CRC_AT + 4].copy_from_slice(&sum.to_le_bytes());
        let refused = SegmentHeader::decode(&block).unwrap_err();
        assert!(matches!(refused, HeaderError::Damaged(_)), "{refused:?}");
    }

    #[test]
    fn an_entry_is_read_as_it_was_written_and_no_flipped_bit_passes() {
        let operations = [
            Operation::Put {
                key: b"k",
                value: b"value",
            },
            Operation::Delete { key: b"gone" },
        ];
        let new = NewEntry {
            lsn: Lsn::from_u64(5),
            kind: Kind::Operations,
            durable_lsn: Lsn::from_u64(4),
            operations: &operations,
        };
        let mut bytes = Vec::new();
        new.encode(0xA5, &mut bytes).unwrap();
        let entry = decode_entry(&bytes, 0xA5).unwrap();
        assert_eq!((entry.lsn, entry.durable_lsn), (new.lsn, new.durable_lsn));
        assert_eq!(entry.operations, operations);
        assert_eq!(decode_entry(&bytes, 0xA6), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_entry(&flipped, 0xA5), None, "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert_eq!(decode_entry(&bytes[..end], 0xA5), None, "cut at {end}");
        }
    }

    /// No store writes a longer key, and a table with one could not be read back.
    #[test]
    fn a_key_longer_than_any_is_no_entry() {
        for (length, is_entry) in [(LONGEST_KEY, true), (LONGEST_KEY + 1, false)] {
            let key = vec![b'k'; length];
            let new = NewEntry {
                lsn: Lsn::from_u64(5),
                kind: Kind::Operations,
                durable_lsn: Lsn::from_u64(4),
                operations: &[Operation::Delete { key: &key }],
            };
            let mut bytes = Vec::new();
            new.encode(0xA5, &mut bytes).unwrap();
            assert_eq!(decode_entry(&bytes, 0xA5).is_some(), is_entry);
        }
    }

    #[test]
    fn zeros_are_no_entry() {
        assert_eq!(decode_entry(&[0; 256], 0), None);
    }
}
