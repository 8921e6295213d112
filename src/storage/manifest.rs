//! The manifest: one checksummed snapshot of what is live, replaced as a whole.
//!
//! ```text
//! MANIFEST  offset  bytes  field
//!                0      8  magic "ATLASMAN"
//!                8      4  format version, 1
//!               12      4  CRC32 over bytes 0..12 and 16..end
//!               16      8  length of the body in bytes
//!               24      …  body: `Manifest`, encoded by `codec`, fields in their order
//! ```
//!
//! It is replaced by: write `MANIFEST.tmp`, sync, rename, sync the directory. A file that it does not
//! name is not data. The first manifest precedes all data files, so data files without one are damage.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Lsn;
use super::codec::{self, Checksum};
use super::disk::{self, Disk, count};
use super::error::{AtlasError, Result};
use super::file_name::{self, FileName};
use super::table::TableInfo;

/// The newest format version of a data directory that this program reads, and the one it writes.
pub(crate) const VERSION: u32 = 1;
/// A manifest is neither written nor read above this: a thousand tables with keys of the default limit
/// take a quarter, hundreds with the largest keys of all fit.
const MAX_SIZE: u64 = 512 * 1024 * 1024;
/// No store takes so many numbers for files or manifests; counting on from here never overflows.
pub(crate) const MAX_NUMBER: u64 = 1 << 60;
/// Ends of past epochs that are remembered; a million starts need not make the manifest large.
const MAX_PAST_EPOCHS: usize = 4096;

/// In a larger manifest no single bit is looked for: it would take many seconds.
const MAX_MENDED: usize = 16 * 1024 * 1024;

const MAGIC: [u8; 8] = *b"ATLASMAN";
const VERSION_AT: usize = MAGIC.len();
const CRC_AT: usize = VERSION_AT + 4;
const LENGTH_AT: usize = CRC_AT + 4;
const BODY_AT: usize = LENGTH_AT + 8;

/// The format version that a file's first bytes state, if they are a manifest's.
pub(crate) fn stated_version(bytes: &[u8]) -> Option<u32> {
    codec::u32_at(bytes.strip_prefix(&MAGIC)?, 0)
}

/// A live segment of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentInfo {
    /// File number.
    pub(crate) number: u64,
    /// Tells its entries from every other segment's.
    pub(crate) nonce: u64,
    /// LSN of its first entry.
    pub(crate) first_lsn: Lsn,
    /// Bytes that the file had when it was made durable: it never becomes shorter by itself.
    pub(crate) size: u64,
    /// Where it ends, once it takes no more entries; bytes beyond are ignored.
    pub(crate) closed: Option<SegmentEnd>,
}

/// Where a closed segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentEnd {
    /// Offset in bytes behind the last entry.
    pub(crate) offset: u64,
    /// LSN of the last entry.
    pub(crate) last_lsn: Lsn,
}

/// A file on its way to quarantine: the move may be repeated until a later manifest drops it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Move {
    /// Name in the data directory.
    #[serde(deserialize_with = "codec::text")]
    pub(crate) from: String,
    /// Name in `quarantine/`.
    #[serde(deserialize_with = "codec::text")]
    pub(crate) to: String,
}

/// What is live. Encoded field by field in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Random; the store's identity.
    pub(crate) database_id: [u8; 16],
    /// Grows by one with each manifest.
    pub(crate) generation: u64,
    /// No file has, or ever had, this number or a higher one.
    pub(crate) next_file_number: u64,
    /// The epoch of the last start.
    pub(crate) epoch: u32,
    /// The last recovered LSN of earlier epochs in which something was written, oldest first.
    pub(crate) past_epochs: Vec<Lsn>,
    /// Everything up to here is in tables.
    pub(crate) flushed_lsn: Lsn,
    /// Everything up to here is synced, as known when this was written.
    pub(crate) durable_lsn: Lsn,
    /// Live tables, newest first.
    pub(crate) tables: Vec<TableInfo>,
    /// Live segments, oldest first.
    pub(crate) segments: Vec<SegmentInfo>,
    /// Files that nothing needs any more, or not yet, and that may be deleted.
    #[serde(deserialize_with = "codec::texts")]
    pub(crate) obsolete: BTreeSet<String>,
    /// Files on their way to quarantine.
    pub(crate) moves: Vec<Move>,
}

impl Manifest {
    /// The manifest of a store without data.
    pub(crate) fn new(database_id: [u8; 16]) -> Manifest {
        Manifest {
            database_id,
            generation: 0,
            next_file_number: 1,
            epoch: 0,
            past_epochs: Vec::new(),
            flushed_lsn: Lsn::ZERO,
            durable_lsn: Lsn::ZERO,
            tables: Vec::new(),
            segments: Vec::new(),
            obsolete: BTreeSet::new(),
            moves: Vec::new(),
        }
    }

    /// Whether this is the name of a live table or segment.
    pub(crate) fn is_live(&self, name: &str) -> bool {
        match file_name::parse(name) {
            FileName::Table(number) => self.tables.iter().any(|info| info.number == number),
            FileName::Segment(number) => self.segments.iter().any(|info| info.number == number),
            _ => false,
        }
    }

    /// The first LSN that no table covers.
    pub(crate) fn first_needed(&self) -> Option<Lsn> {
        self.flushed_lsn.next()
    }

    /// Takes a number for a new file.
    pub(crate) fn take_file_number(&mut self) -> u64 {
        let number = self.next_file_number;
        self.next_file_number += 1;
        number
    }

    /// Opens the next epoch; `last` is the last LSN recovered of the present one.
    pub(crate) fn open_epoch(&mut self, last: Lsn) -> Result<()> {
        if last.counter() > 0 {
            self.past_epochs.push(last);
            let surplus = self.past_epochs.len().saturating_sub(MAX_PAST_EPOCHS);
            self.past_epochs.drain(..surplus);
        }
        if self.epoch >= super::lsn::MAX_EPOCH {
            let remedy = "export the data and import it into a new directory";
            return Err(AtlasError::Exhausted {
                what: "the starts of this store",
                remedy,
            });
        }
        self.epoch += 1;
        self.flushed_lsn = Lsn::epoch_start(self.epoch);
        self.durable_lsn = self.flushed_lsn;
        Ok(())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        codec::encode(self, &mut body);
        let mut bytes = Vec::with_capacity(BODY_AT + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        let length = count(body.len()).to_le_bytes();
        let crc = Checksum::new().add(&bytes).add(&length).add(&body).finish();
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&length);
        bytes.append(&mut body);
        bytes
    }

    /// As [`Manifest::encode`], unless it takes more bytes than are read again.
    fn encode_within(&self, limit: u64) -> Result<Vec<u8>> {
        let bytes = self.encode();
        if count(bytes.len()) > limit {
            return Err(AtlasError::Exhausted {
                what: "the bytes that a manifest may have",
                remedy: "compact, so that there are fewer tables",
            });
        }
        Ok(bytes)
    }

    pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Manifest> {
        let damaged = |offset: usize, detail: &str| {
            AtlasError::corrupt(path, count(offset), detail.to_owned())
        };
        if !bytes.starts_with(&MAGIC) || bytes.len() < BODY_AT {
            return Err(damaged(0, "it does not begin as a manifest does"));
        }
        let (head, rest) = bytes.split_at(CRC_AT);
        let after_crc = rest.get(LENGTH_AT - CRC_AT..).unwrap_or_default();
        let crc = Checksum::new().add(head).add(after_crc).finish();
        if codec::u32_at(bytes, CRC_AT) != Some(crc) {
            return Err(damaged(CRC_AT, "its checksum does not hold"));
        }
        let found = codec::u32_at(bytes, VERSION_AT).unwrap_or_default();
        if found > VERSION {
            let path = path.to_path_buf();
            return Err(AtlasError::NewerFormat {
                path,
                found,
                supported: VERSION,
            });
        }
        let body = bytes.get(BODY_AT..).unwrap_or_default();
        if codec::u64_at(bytes, LENGTH_AT) != Some(count(body.len())) {
            return Err(damaged(LENGTH_AT, "its length is not the one it states"));
        }
        let manifest: Manifest =
            codec::decode_all(body).map_err(|error| damaged(BODY_AT, &error.0))?;
        if let Some(name) = manifest.foreign_name() {
            let detail = format!("it lists {name:?}, which is not the name of a data file");
            return Err(damaged(BODY_AT, &detail));
        }
        let highest = manifest.generation.max(manifest.next_file_number);
        if highest > MAX_NUMBER {
            let detail = format!("it counts to {highest}, further than any store");
            return Err(damaged(BODY_AT, &detail));
        }
        Ok(manifest)
    }

    /// A listed name that leads out of the directory, or to what no list may remove or move.
    fn foreign_name(&self) -> Option<&str> {
        let moved = self.moves.iter();
        let to = moved.clone().map(|Move { to, .. }| to.as_str());
        let from = moved.map(|Move { from, .. }| from.as_str());
        let mut gone = self.obsolete.iter().map(String::as_str).chain(from);
        let foreign = gone.find(|name| !file_name::may_go(name));
        foreign.or_else(|| to.into_iter().find(|name| !file_name::is_plain(name)))
    }

    /// Reads the manifest of `dir`; `None` when there is none.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Manifest>> {
        let bytes = Manifest::read(disk, dir)?;
        let path = dir.join(file_name::MANIFEST);
        bytes
            .map(|bytes| Manifest::decode(&path, &bytes))
            .transpose()
    }

    /// The bytes of the manifest of `dir`, whatever they are worth; `None` when there is none.
    ///
    /// # Errors
    /// `Io`; `Corrupt` when they are more than any manifest has.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Vec<u8>>> {
        Manifest::read_at(disk, &dir.join(file_name::MANIFEST))
    }

    /// As [`Manifest::read`], of the file at `path`.
    pub(crate) fn read_at(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>> {
        let file = match disk.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AtlasError::io("open", path, error)),
        };
        let read_error = |error| AtlasError::io("read", path, error);
        let length = file.length().map_err(read_error)?;
        check_length(path, length)?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = disk::read_full(&*file, &mut bytes, 0).map_err(read_error)?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }

    /// The manifest that these bytes are when one bit of them is set right, and that bit's number. There is at
    /// most one whose change lets the checksum hold; of bytes damaged otherwise there is one by chance in
    /// 2^32 / (8 * length) times, and it must still say something possible.
    ///
    /// # Errors
    /// `NewerFormat` when they are then of a later version.
    pub(crate) fn mend(path: &Path, bytes: &[u8]) -> Result<Option<(Manifest, usize)>> {
        let Some(bit) = flipped_bit(bytes) else {
            return Ok(None);
        };
        let mut mended = bytes.to_vec();
        if let Some(byte) = mended.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        match Manifest::decode(path, &mended) {
            Ok(manifest) => Ok(Some((manifest, bit))),
            Err(AtlasError::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes what a crash may have left half durable of the last replacement durable: reading it back
    /// from memory proves nothing about the disk.
    pub(crate) fn sync_loaded(disk: &dyn Disk, dir: &Path) -> Result<()> {
        let path = dir.join(file_name::MANIFEST);
        let file = disk
            .open(&path)
            .map_err(|error| AtlasError::io("open", &path, error))?;
        file.sync()
            .map_err(|error| AtlasError::io("sync", &path, error))?;
        disk.sync_dir(dir)
            .map_err(|error| AtlasError::io("sync", dir, error))
    }

    /// Replaces the manifest of `dir` by this one. After an error at `sync` or `rename` either may be
    /// the durable one; after any other the old one is.
    pub(crate) fn store(&self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        let path = dir.join(file_name::MANIFEST);
        let temporary = dir.join(file_name::temporary(file_name::MANIFEST));
        let bytes = self.encode_within(MAX_SIZE)?;
        match disk.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(AtlasError::io("remove", &temporary, error));
            }
            _ => {}
        }
        let file = disk
            .create(&temporary)
            .map_err(|error| AtlasError::io("create", &temporary, error))?;
        disk::write_full(&*file, &bytes, 0)
            .map_err(|error| AtlasError::io("write", &temporary, error))?;
        file.sync()
            .map_err(|error| AtlasError::io("sync", &temporary, error))?;
        disk::give_name(disk, &temporary, &path)?;
        disk.sync_dir(dir)
            .map_err(|error| AtlasError::io("sync", dir, error))
    }
}

/// Refuses to take memory for a file that is longer than any manifest.
fn check_length(path: &Path, length: u64) -> Result<()> {
    if length > MAX_SIZE {
        let detail = "it is larger than any manifest";
        return Err(AtlasError::corrupt(path, MAX_SIZE, detail));
    }
    Ok(())
}

/// The bit without whose change the checksum does not hold, if it is one. A CRC is linear: what a flipped bit
/// changes in it depends only on how many bytes follow.
fn flipped_bit(bytes: &[u8]) -> Option<usize> {
    let stated = codec::u32_at(bytes, CRC_AT).filter(|_| bytes.len() <= MAX_MENDED)?;
    let (head, rest) = (bytes.get(..CRC_AT)?, bytes.get(LENGTH_AT..)?);
    let difference = stated ^ Checksum::new().add(head).add(rest).finish();
    if difference == 0 {
        return None;
    }
    if difference.is_power_of_two() {
        return usize::try_from(difference.trailing_zeros())
            .ok()
            .map(|bit| CRC_AT * 8 + bit);
    }
    let mut none = Checksum::new().add(&[0]);
    let mut flipped = [0, 1, 2, 3, 4, 5, 6, 7].map(|bit| Checksum::new().add(&[1 << bit]));
    for at in (LENGTH_AT..bytes.len()).rev().chain((0..CRC_AT).rev()) {
        let without = none.clone().finish();
        let is_it = |sum: &Checksum| sum.clone().finish() ^ without == difference;
        if let Some(bit) = flipped.iter().position(is_it) {
            return Some(at * 8 + bit);
        }
        none = none.add(&[0]);
        flipped = flipped.map(|sum| sum.add(&[0]));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let mut manifest = Manifest::new([9; 16]);
        manifest.open_epoch(Lsn::ZERO).unwrap();
        let number = manifest.take_file_number();
        let first_lsn = manifest.first_needed().unwrap();
        manifest.segments.push(SegmentInfo {
            number,
            nonce: 77,
            first_lsn,
            size: 4096,
            closed: None,
        });
        manifest.obsolete.insert("000000000009.sst".to_owned());
        manifest
    }

    #[test]
    fn it_is_read_as_it_was_written_and_no_flipped_bit_passes() {
        let path = Path::new("MANIFEST");
        let mut bytes = sample().encode();
        assert_eq!(Manifest::decode(path, &bytes).unwrap(), sample());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(path, &bytes).is_err(), "bit {bit}");
            assert_eq!(
                Manifest::mend(path, &bytes).unwrap(),
                Some((sample(), bit)),
                "bit {bit}"
            );
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(
            Manifest::mend(path, &bytes).unwrap(),
            None,
            "nothing is wrong"
        );
        for end in 0..bytes.len() {
            assert_eq!(
                Manifest::mend(path, &bytes[..end]).unwrap(),
                None,
                "cut at {end}"
            );
            assert!(
                Manifest::decode(path, &bytes[..end]).is_err(),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn names_that_lead_out_of_the_directory_are_refused() {
        let path = Path::new("MANIFEST");
        let outside = ["", ".", "..", "../a", "/a", "a/b", "quarantine/a", "a\0"];
        let ours = ["MANIFEST", "LOCK", "quarantine"];
        for name in outside.into_iter().chain(ours) {
            let mut obsolete = sample();
            obsolete.obsolete.insert(name.to_owned());
            let mut moved = sample();
            moved.moves.push(Move {
                from: name.to_owned(),
                to: "a".to_owned(),
            });
            for manifest in [obsolete, moved] {
                let refused = Manifest::decode(path, &manifest.encode()).unwrap_err();
                assert!(refused.to_string().contains(&format!("{name:?}")));
            }
        }
        for name in outside {
            let mut manifest = sample();
            manifest.moves.push(Move {
                from: "a".to_owned(),
                to: name.to_owned(),
            });
            assert!(Manifest::decode(path, &manifest.encode()).is_err());
        }
    }

    /// These bytes with the checksum that they should have.
    fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
        let sum = Checksum::new().add(&bytes[..CRC_AT]);
        let crc = sum.add(&bytes[LENGTH_AT..]).finish();
        bytes[CRC_AT..LENGTH_AT].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// What the checksum would find is found without it, too: whoever wrote it may be another program.
    #[test]
    fn a_manifest_with_a_valid_checksum_is_checked_all_the_same() {
        let path = Path::new("MANIFEST");
        let changed = |change: fn(&mut Vec<u8>)| {
            let mut bytes = sample().encode();
            change(&mut bytes);
            Manifest::decode(path, &signed(bytes)).unwrap_err()
        };
        let offset = |error: AtlasError| match error {
            AtlasError::Corrupt { offset, .. } => offset,
            other => panic!("{other:?}"),
        };
        assert_eq!(offset(changed(|bytes| bytes[0] ^= 1)), 0);
        assert_eq!(
            offset(changed(|bytes| bytes[LENGTH_AT] ^= 1)),
            count(LENGTH_AT)
        );
        let nothing_behind_the_head = changed(|bytes| {
            bytes.truncate(BODY_AT);
            bytes[LENGTH_AT..].fill(0);
        });
        assert_eq!(offset(nothing_behind_the_head), count(BODY_AT));
        let newer = changed(|bytes| bytes[VERSION_AT] += 1);
        assert!(
            matches!(newer, AtlasError::NewerFormat { found: 2, .. }),
            "{newer}"
        );
        let mut generation = sample();
        generation.generation = MAX_NUMBER + 1;
        let mut number = sample();
        number.next_file_number = MAX_NUMBER + 1;
        for manifest in [generation, number] {
            let refused = Manifest::decode(path, &manifest.encode()).unwrap_err();
            assert_eq!(offset(refused), count(BODY_AT));
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a file that no store makes")]
    fn a_file_that_is_too_large_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(home.path().join(file_name::MANIFEST)).unwrap();
        file.set_len(MAX_SIZE + 1).unwrap();
        let refused = Manifest::load(&disk::RealDisk, home.path()).unwrap_err();
        assert!(
            matches!(
                refused,
                AtlasError::Corrupt {
                    offset: MAX_SIZE,
                    ..
                }
            ),
            "{refused}"
        );
        assert!(check_length(home.path(), MAX_SIZE).is_ok());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what no store makes")]
    fn what_stands_in_the_way_of_a_new_one_is_told() {
        let home = tempfile::tempdir().unwrap();
        let temporary = file_name::temporary(file_name::MANIFEST);
        std::fs::create_dir(home.path().join(&temporary)).unwrap();
        let refused = sample().store(&disk::RealDisk, home.path()).unwrap_err();
        assert!(refused.to_string().contains("remove"), "{refused}");
    }

    #[test]
    fn what_would_not_be_read_again_is_not_written() {
        let size = count(sample().encode().len());
        assert!(sample().encode_within(size).is_ok());
        let refused = sample().encode_within(size - 1).unwrap_err();
        assert!(matches!(refused, AtlasError::Exhausted { .. }), "{refused}");
    }

    #[test]
    fn the_last_epoch_is_the_last() {
        let mut manifest = sample();
        manifest.epoch = crate::storage::lsn::MAX_EPOCH;
        let before = (manifest.epoch, manifest.flushed_lsn);
        let refused = manifest.open_epoch(Lsn::ZERO).unwrap_err();
        assert!(matches!(refused, AtlasError::Exhausted { .. }), "{refused}");
        assert_eq!((manifest.epoch, manifest.flushed_lsn), before);
    }

    #[test]
    fn epochs_without_writes_are_not_remembered() {
        let mut manifest = Manifest::new([9; 16]);
        manifest.open_epoch(Lsn::ZERO).unwrap();
        let written = manifest.flushed_lsn.next().unwrap();
        manifest.open_epoch(written).unwrap();
        manifest.open_epoch(manifest.flushed_lsn).unwrap();
        assert_eq!(
            (manifest.epoch, manifest.past_epochs.as_slice()),
            (3, &[written][..])
        );
    }
}
