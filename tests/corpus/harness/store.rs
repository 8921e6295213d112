//! A small store of which one file is replaced, and what must hold of it then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atlaskv::storage::fuzzing::describe_table;
use atlaskv::storage::verify::{Verdict, VerifyOptions, verify};
use atlaskv::storage::{
    AtlasError, Engine, KIB, Operation, Options, Result, ScanRange, WalSyncStrategy,
};

use super::disk::{Files, MemoryDisk};
use super::memory::bounded;

const DIR: &str = "/srv/data";
/// Files that are not the store's: no name in a manifest may lead there.
const OUTSIDE: [&str; 2] = ["/srv/outside", "/outside"];

/// Where the fields stand of which the seals are made: `src/storage/{wal,table}/mod.rs`, `manifest.rs`.
const SEGMENT_HEADER: usize = 4096;
const SEGMENT_NONCE: std::ops::Range<usize> = 40..48;
const ENTRY_HEAD: usize = 16;
const ENTRY_NONCE: std::ops::Range<usize> = 25..33;
const TABLE_HEADER: usize = 16;
const TABLE_FOOTER: usize = 16;
const MANIFEST_HEADER: usize = 24;

/// What reading a store may take: windows and buffers of the readers, of a few segments and tables.
const STORE_MEMORY: (usize, usize) = (256, 8 * 1024 * 1024);

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> Options {
    Options {
        sync: WalSyncStrategy::OsDefault,
        // What is held back for a full disk grows with the last two.
        max_key_size: KIB,
        max_value_size: 20 * KIB,
        max_batch_size: 24 * KIB,
        max_batch_operations: 200,
        memtable_size: 2 * KIB,
        segment_size: 8 * KIB,
        compaction_trigger: 3,
        max_tables: 8,
        stall_timeout: Duration::ZERO,
        quarantine_size: 1024 * 1024,
        background: false,
        ..Options::default()
    }
}

/// A store with a table and entries in the log, as a crash leaves it.
struct Base {
    files: Files,
    manifest: PathBuf,
    segment: PathBuf,
    table: PathBuf,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let outside = OUTSIDE.map(|path| (PathBuf::from(path), b"not the store's".to_vec()));
        let disk = MemoryDisk::with(&outside.into(), 1);
        let engine = Engine::open(disk.clone(), Path::new(DIR), options()).expect("a new store");
        let put = |key: &'static [u8], value| engine.write(&[Operation::Put { key, value }]);
        put(b"apple", b"red").expect("a write");
        put(b"long", &[b'x'; 300]).expect("a write");
        engine
            .write(&[Operation::Delete { key: b"pear" }])
            .expect("a write");
        engine.flush().expect("a flush");
        put(b"banana", b"yellow").expect("a write");
        let batch = [
            Operation::Put {
                key: b"plum",
                value: b"",
            },
            Operation::Delete { key: b"apple" },
        ];
        engine.write(&batch).expect("a write");
        let files = disk.files();
        let named = |ending: &str| {
            let mut found = files
                .keys()
                .filter(|path| path.to_string_lossy().ends_with(ending));
            found.next_back().expect("a file of the store").clone()
        };
        let (manifest, segment, table) = (named("MANIFEST"), named(".log"), named(".sst"));
        Base {
            files,
            manifest,
            segment,
            table,
        }
    })
}

/// An input for each target that reads a store: the files of a real one.
#[allow(dead_code, reason = "only the test writes seeds")]
pub(crate) fn seeds() -> [(&'static str, Vec<u8>); 6] {
    let base = base();
    let seed = |mode: u8, bytes: &[u8]| [&[mode][..], bytes].concat();
    let segment = &base.files[&base.segment];
    let used = segment.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    let (table, manifest) = (&base.files[&base.table], &base.files[&base.manifest]);
    [
        ("segment", seed(0, &segment[..=used])),
        ("segment", seed(1, &segment[SEGMENT_HEADER..=used])),
        ("table", seed(0, table)),
        ("table", seed(1, table)),
        ("manifest", seed(0, manifest)),
        ("manifest", seed(1, manifest)),
    ]
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    let field = bytes[at..].first_chunk().copied().unwrap_or_default();
    usize::try_from(u32::from_le_bytes(field)).unwrap_or(usize::MAX)
}

fn crc(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_le_bytes()
}

pub(super) fn raw_segment(bytes: &[u8]) {
    let mut file = bytes.to_vec();
    // A file shorter than it was made with is refused at once.
    file.resize(file.len().max(base().files[&base().segment].len()), 0);
    check("a segment", bytes, &[(&base().segment, file)]);
}

/// The header of the store's segment, then entries with its nonce whose checksums hold.
pub(super) fn sealed_segment(bytes: &[u8]) {
    let original = &base().files[&base().segment];
    let nonce = &original[SEGMENT_NONCE];
    let mut entries = bytes.to_vec();
    let mut at = 0;
    while at + ENTRY_NONCE.end <= entries.len() {
        let length = u32_at(&entries, at + 12);
        let Some(entry) = entries.get_mut(at..at + ENTRY_HEAD + length) else {
            break;
        };
        let size = entry.len();
        if size >= ENTRY_NONCE.end {
            entry[ENTRY_NONCE].copy_from_slice(nonce);
            let seal = crc(&[&entry[..8], &entry[12..]]);
            entry[8..12].copy_from_slice(&seal);
        }
        at += size;
    }
    let mut file = [&original[..SEGMENT_HEADER], &entries].concat();
    file.resize(file.len().max(original.len()), 0);
    check("a sealed segment", bytes, &[(&base().segment, file)]);
}

pub(super) fn raw_table(bytes: &[u8]) {
    check("a table", bytes, &[(&base().table, bytes.to_vec())]);
}

/// A table whose checksums hold and that the manifest describes as it is.
pub(super) fn sealed_table(bytes: &[u8]) {
    let Some(end) = bytes
        .len()
        .checked_sub(TABLE_FOOTER)
        .filter(|end| *end >= TABLE_HEADER)
    else {
        return;
    };
    let original = &base().files[&base().table];
    let id = &original[8..TABLE_HEADER];
    let mut file = bytes.to_vec();
    file[8..TABLE_HEADER].copy_from_slice(id);
    let mut at = TABLE_HEADER;
    while at + 8 <= end {
        let length = u32_at(&file, at + 4);
        let offset = u64::try_from(at).unwrap_or(u64::MAX).to_le_bytes();
        let Some(entry) = file[..end].get_mut(at..at + 8 + length) else {
            break;
        };
        let seal = crc(&[id, &offset, &entry[4..]]);
        entry[..4].copy_from_slice(&seal);
        at += 8 + length;
    }
    let offset = u64::try_from(end).unwrap_or(u64::MAX).to_le_bytes();
    let seal = crc(&[id, &offset, &file[..TABLE_HEADER], &file[end..end + 8]]);
    file[end + 8..end + 12].copy_from_slice(&seal);
    let manifest = describe_table(&base().files[&base().manifest], &file, TABLE_FOOTER);
    let manifest = manifest.expect("the manifest of a store");
    let replaced = [(&base().table, file), (&base().manifest, manifest)];
    check("a sealed table", bytes, &replaced);
}

/// The bytes as a manifest whose length and checksum hold.
pub(super) fn seal_manifest(bytes: &[u8]) -> Vec<u8> {
    let mut file = base().files[&base().manifest][..MANIFEST_HEADER].to_vec();
    file.extend_from_slice(bytes.get(MANIFEST_HEADER..).unwrap_or_default());
    let length = u64::try_from(file.len() - MANIFEST_HEADER).unwrap_or(u64::MAX);
    file[16..MANIFEST_HEADER].copy_from_slice(&length.to_le_bytes());
    let seal = crc(&[&file[..12], &file[16..]]);
    file[12..16].copy_from_slice(&seal);
    file
}

pub(super) fn with_manifest(bytes: &[u8]) {
    check(
        "a store with a manifest",
        bytes,
        &[(&base().manifest, bytes.to_vec())],
    );
}

/// Verifies and opens the store with these files in place of its own, and compares what both say.
fn check(what: &str, input: &[u8], replaced: &[(&PathBuf, Vec<u8>)]) {
    let mut files = base().files.clone();
    for (path, bytes) in replaced {
        files.insert(PathBuf::clone(path), bytes.clone());
    }
    let disk = MemoryDisk::with(&files, 1 << 32);
    let said_well = is_verified(input) && said_well(what, input, &disk, &files);
    let opened = bounded(what, input, STORE_MEMORY, || open(&disk));
    for path in OUTSIDE.map(Path::new) {
        assert_eq!(
            disk.files().get(path),
            files.get(path),
            "{} changed",
            path.display()
        );
    }
    match opened {
        Ok(engine) => check_opened(&disk, engine, said_well),
        Err(refusal) => {
            let after = disk.files();
            for (path, bytes) in &files {
                let name = path.display();
                assert_eq!(
                    after.get(path),
                    Some(bytes),
                    "{name} changed on a refusal: {refusal}"
                );
            }
            let is_limit = matches!(refusal, AtlasError::Exhausted { .. });
            assert!(
                !said_well || is_limit,
                "verify finds nothing, opening is refused: {refusal}"
            );
        }
    }
}

/// Verify looks at a suspicion five times, with pauses: for one input in 32, always the same ones.
fn is_verified(input: &[u8]) -> bool {
    crc(&[input])[0].is_multiple_of(32)
}

/// Whether verify, which changes nothing, finds nothing that keeps the store from being opened.
fn said_well(what: &str, input: &[u8], disk: &MemoryDisk, files: &Files) -> bool {
    let report = bounded(what, input, STORE_MEMORY, || {
        verify(disk, Path::new(DIR), VerifyOptions::default())
    });
    assert_eq!(&disk.files(), files, "verify changed something");
    let is_well = |verdict| matches!(verdict, Verdict::Sound | Verdict::TornTail);
    report.is_ok_and(|report| is_well(report.verdict))
}

fn open(disk: &Arc<MemoryDisk>) -> Result<Engine> {
    Engine::open(disk.clone(), Path::new(DIR), options())
}

/// What opened is read, written, and opened again with the same contents.
fn check_opened(disk: &Arc<MemoryDisk>, engine: Engine, said_well: bool) {
    let contents = match contents(&engine) {
        Ok(contents) => contents,
        Err(error) => {
            assert!(!said_well, "verify finds nothing, reading fails: {error}");
            return;
        }
    };
    for (key, value) in &contents {
        let found = engine.get(key).expect("a key that a scan has read");
        let found = found.map(|found| found.value.to_vec());
        assert_eq!(found.as_ref(), Some(value), "scan and get differ");
    }
    let (key, value) = (b"fuzz".as_slice(), b"written".as_slice());
    match engine.write(&[Operation::Put { key, value }]) {
        Ok(_) => {}
        Err(AtlasError::Exhausted { .. } | AtlasError::Stalled { .. }) => return,
        Err(error) => panic!("what opened takes no write: {error}"),
    }
    drop(engine);
    let again = match open(disk) {
        Err(AtlasError::Exhausted { .. }) => return,
        again => again.expect("what opened once opens again"),
    };
    let mut expected = contents;
    expected.insert(key.to_vec(), value.to_vec());
    let found = self::contents(&again).expect("what was read once is read again");
    assert_eq!(found, expected, "the contents changed by a start");
}

fn contents(engine: &Engine) -> Result<Contents> {
    let mut scan = engine.scan(&ScanRange::default())?;
    let mut contents = Contents::new();
    loop {
        let page = scan.next_page(64, 1 << 20, &mut |_| Ok(()))?;
        for (key, value, _) in page.entries {
            let twice = contents.insert(key.to_vec(), value.to_vec());
            assert_eq!(twice, None, "a scan gave a key twice");
        }
        if page.done {
            return Ok(contents);
        }
    }
}
