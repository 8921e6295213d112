//! Reading and spoiling the files of a store, for the tests of damage: the formats once more, written
//! down independently of the code that is tested.

use std::ops::Range;
use std::path::Path;

use atlaskv::storage::{AtlasError, Engine, KIB, Lsn, Options, WalSyncStrategy};

use crate::sim_disk::SimDisk;
use crate::store::{self, Contents, POLICIES};

/// Bytes of a segment's header.
pub(crate) const HEADER: usize = 4096;
/// Bytes of an entry before its data.
const HEAD: usize = 16;

/// An entry of the log as it stands in a file.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    pub(crate) place: Range<usize>,
    pub(crate) lsn: Lsn,
    /// 1: a write.
    pub(crate) kind: u8,
    pub(crate) durable: Lsn,
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The entries of a segment, until the first that is not there.
pub(crate) fn entries(bytes: &[u8]) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    let mut at = HEADER;
    while at + HEAD + 17 <= bytes.len() && number(bytes, at) != 0 {
        let length = u32::from_le_bytes(bytes[at + 12..at + 16].try_into().unwrap());
        let end = at + HEAD + length as usize;
        entries.push(LogEntry {
            place: at..end,
            lsn: Lsn::from_u64(number(bytes, at)),
            kind: bytes[at + HEAD],
            durable: Lsn::from_u64(number(bytes, at + HEAD + 1)),
        });
        at = end;
    }
    entries
}

/// The bytes of a file.
pub(crate) fn bytes(disk: &SimDisk, path: &Path) -> Vec<u8> {
    disk.files()[path].clone()
}

/// Flips a bit of a file.
pub(crate) fn flip(disk: &SimDisk, path: &Path, at: usize, bit: u8) {
    disk.edit(path, |bytes| bytes[at] ^= 1 << bit);
}

/// Gives a file with magic(8), version(4), CRC(4), rest another version, its checksum right.
pub(crate) fn set_version(bytes: &mut [u8], version: u32) {
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[..12]);
    crc.update(&bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.finalize().to_le_bytes());
}

/// Where the entries of a table end: what its locator says, 32 bytes before the footer.
pub(crate) fn entries_end(table: &[u8]) -> usize {
    let locator = table.len() - 16 - 32;
    u64::from_le_bytes(table[locator..locator + 8].try_into().unwrap()) as usize
}

/// Gives a table another version, the footer's checksum right: it covers the file id, the footer's offset, the
/// header and the number of entries.
pub(crate) fn set_table_version(bytes: &mut [u8], version: u16) {
    bytes[4..6].copy_from_slice(&version.to_le_bytes());
    let footer = bytes.len() - 16;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[8..16]);
    crc.update(&(footer as u64).to_le_bytes());
    crc.update(&bytes[..16]);
    crc.update(&bytes[footer..footer + 8]);
    bytes[footer + 8..footer + 12].copy_from_slice(&crc.finalize().to_le_bytes());
}

/// That the store does not start, and that nothing on the disk was changed by trying.
pub(crate) fn refusal(disk: &SimDisk, options: &Options, why: &str) -> AtlasError {
    let before = disk.files();
    let Err(error) = store::open(disk, options) else {
        panic!("it started: {why}");
    };
    let after = disk.files();
    for (path, bytes) in &before {
        assert!(
            after.get(path) == Some(bytes),
            "{why}: {} changed",
            path.display()
        );
    }
    assert_eq!(before.len(), after.len(), "{why}: files came");
    error
}

/// Options under which nothing is rotated, flushed or compacted by itself.
pub(crate) fn roomy(options: Options) -> Options {
    Options {
        memtable_size: 1024 * KIB,
        segment_size: 128 * KIB,
        ..options
    }
}

/// Writes keys `from..to`, values of `length` bytes, and notes them.
pub(crate) fn fill(engine: &Engine, model: &mut Contents, keys: Range<u32>, length: usize) {
    for key in keys {
        let changes = [(
            format!("key{key:05}").into_bytes(),
            Some(vec![(key % 251) as u8 + 1; length]),
        )];
        let lsn = store::write(engine, &changes).unwrap();
        store::apply(model, &changes, lsn);
    }
}

/// That the store holds exactly this.
pub(crate) fn check_contents(engine: &Engine, expected: &Contents, why: &str) {
    let found = store::contents(engine).unwrap();
    let difference = store::difference(&found, expected);
    assert!(difference.is_empty(), "{why}: {difference}");
}

/// The first `count` keys that [`fill`] wrote.
pub(crate) fn first(model: &Contents, count: usize) -> Contents {
    let entries = model.iter().take(count);
    entries
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

pub(crate) fn interval() -> Options {
    roomy(store::options(POLICIES[1]))
}

/// A store with `synced` keys that are synced and `unsynced` keys after them, its process dead.
pub(crate) fn log_of(
    options: &Options,
    synced: u32,
    unsynced: u32,
    length: usize,
) -> (SimDisk, Contents) {
    let disk = SimDisk::new(3);
    let engine = store::open(&disk, options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..synced, length);
    engine.sync().unwrap();
    fill(&engine, &mut model, synced..synced + unsynced, length);
    (disk.copy(), model)
}

/// A store with three segments and no table, its process dead; everything synced on demand.
pub(crate) fn three_segments(sync: bool) -> (SimDisk, Contents, Options) {
    let options = Options {
        memtable_size: 1024 * KIB,
        segment_size: 8 * KIB,
        max_sealed_memtables: 4,
        ..store::options(WalSyncStrategy::OsDefault)
    };
    let disk = SimDisk::new(4);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..25, 300);
    if sync {
        engine.sync().unwrap();
    }
    // Carries the proof, where there is one.
    fill(&engine, &mut model, 25..26, 300);
    assert_eq!(store::segments(&disk).len(), 3);
    assert!(store::named(&disk, ".sst").is_empty());
    (disk.copy(), model, options)
}

/// A store with tables and a log.
pub(crate) fn with_tables() -> (SimDisk, Contents, Options) {
    let options = interval();
    let disk = SimDisk::new(5);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    for round in 0..3 {
        fill(&engine, &mut model, round * 10..round * 10 + 15, 50);
        if round < 2 {
            engine.flush().unwrap();
        }
    }
    engine.sync().unwrap();
    assert!(store::named(&disk, ".sst").len() >= 2);
    (disk.copy(), model, options)
}
