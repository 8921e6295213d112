//! Writing tables and reading them back, look-ups and cursors.
#![allow(clippy::disallowed_methods, reason = "tests damage files by hand")]
#![allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use fastrand::Rng;

use super::*;
use crate::storage::cache::BlockCache;
use crate::storage::disk::{DirEntry, DirLock, Disk, DiskFile, RealDisk};
use crate::storage::merge::Source;
use crate::storage::{AtlasError, Result, Versioned};
use std::sync::Arc;

/// What a table should hold.
pub(crate) type Model = BTreeMap<Vec<u8>, (Lsn, Option<Vec<u8>>)>;

/// A key, and its LSN and value.
pub(crate) type Shown = (Vec<u8>, (Lsn, Option<Vec<u8>>));

/// A seed that is printed, or the one given.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("ATLASKV_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("ATLASKV_TEST_SEED={seed}");
    seed
}

/// How many random runs a test makes.
pub(crate) fn runs(default: u64) -> u64 {
    let given = std::env::var("ATLASKV_TEST_RUNS")
        .ok()
        .and_then(|text| text.parse().ok());
    given.unwrap_or(default)
}

pub(super) fn lsn(number: u64) -> Lsn {
    Lsn::from_u64(number)
}

/// Writes a table under its final name.
pub(crate) fn build(dir: &Path, number: u64, file_id: u64, model: &Model) -> (TableInfo, Index) {
    let mut builder = TableBuilder::create(&RealDisk, dir, number, file_id).unwrap();
    for (key, (lsn, value)) in model {
        builder.add(key, *lsn, value.as_deref()).unwrap();
    }
    let info = builder.finish().unwrap().unwrap();
    let temporary = temporary_path(dir, number);
    let index = read_back(&RealDisk, &temporary, &info, &mut |_| Ok(())).unwrap();
    std::fs::rename(temporary, path(dir, number)).unwrap();
    (info, index)
}

/// Makes a table one of version 1: the same entries, and nothing behind them.
pub(crate) fn as_version_1(dir: &Path, info: &TableInfo) -> TableInfo {
    let file = path(dir, info.number);
    let mut bytes = std::fs::read(&file).unwrap();
    let locator = bytes.len() - FOOTER_LENGTH - LOCATOR_LENGTH;
    let entries_end = codec::u64_at(&bytes, locator).unwrap();
    bytes.truncate(entries_end as usize);
    bytes[HEADER_VERSION..HEADER_FLAGS].copy_from_slice(&1_u16.to_le_bytes());
    let header = bytes[..HEADER_LENGTH].to_vec();
    let footer = frame::footer(&header, info.file_id, info.entries, entries_end);
    bytes.extend_from_slice(&footer);
    std::fs::write(file, &bytes).unwrap();
    TableInfo {
        size: bytes.len() as u64,
        checksum: codec::Checksum::new().add(&bytes).finish(),
        ..info.clone()
    }
}

pub(crate) fn open(dir: &Path, info: &TableInfo) -> Arc<Table> {
    Table::open(&RealDisk, dir, info).unwrap()
}

pub(super) fn get(table: &Table, key: &[u8]) -> Result<Option<Found>> {
    table.get(key, &mut |_| Ok(()))
}

pub(super) fn expected(model: &Model, key: &[u8]) -> Option<Found> {
    model.get(key).map(|(lsn, value)| match value {
        Some(value) => Found::Value(Versioned {
            value: Bytes::copy_from_slice(value),
            lsn: *lsn,
        }),
        None => Found::Tombstone(*lsn),
    })
}

/// Everything a source shows, or the first error.
pub(crate) fn drain(source: &mut dyn Source) -> Result<Vec<Shown>> {
    let mut entries = Vec::new();
    while let Some(key) = source.key().map(<[u8]>::to_vec) {
        let value = source.value(&mut |_| Ok(()))?;
        assert_eq!(source.value_length(), value.len() as u64);
        let value = (!source.is_tombstone()).then(|| value.to_vec());
        entries.push((key, (source.lsn(), value)));
        source.advance()?;
    }
    Ok(entries)
}

pub(super) fn random_bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

/// Mostly small entries with a few large ones, over keys that often share long beginnings.
pub(crate) fn random_model(rng: &mut Rng, entries: u64) -> Model {
    let mut model = Model::new();
    for _ in 0..entries {
        let mut key = b"the common beginning of many keys/".to_vec();
        key.truncate(rng.usize(0..=key.len()));
        key.extend(format!("{:04}", rng.u32(0..5000)).bytes());
        let value = match rng.u32(0..200) {
            0 => Some(rng.usize(60_000..70_000)),
            1 => Some(rng.usize(100_000..400_000)),
            2..20 => None,
            20..30 => Some(0),
            _ => Some(rng.usize(1..300)),
        };
        let value = value.map(|length| random_bytes(rng, length));
        model.insert(key, (lsn(rng.u64(1..1 << 60)), value));
    }
    model
}

fn random_bound(rng: &mut Rng, model: &Model) -> Bound<Vec<u8>> {
    let key = match rng.u32(0..3) {
        0 => model.keys().nth(rng.usize(0..model.len())).unwrap().clone(),
        1 => random_bytes(rng, 3),
        _ => format!("the common beginning of many keys/{}", rng.u32(0..5000)).into_bytes(),
    };
    match rng.u32(0..3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

fn slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

#[test]
fn a_table_gives_back_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(seed());
    for number in 1..=runs(12) {
        let entries = if number % 3 == 0 { 20 } else { 3000 };
        let model = random_model(&mut rng, entries);
        let (info, index) = build(dir.path(), number, rng.u64(..), &model);
        assert_eq!(info.entries, model.len() as u64);
        assert_eq!(
            info.tombstones,
            model.values().filter(|(_, value)| value.is_none()).count() as u64
        );
        let table = open(dir.path(), &info);
        for key in model.keys() {
            assert_eq!(get(&table, key).unwrap(), expected(&model, key));
            let mut near = key.clone();
            near.push(0);
            assert_eq!(get(&table, &near).unwrap(), expected(&model, &near));
        }
        assert_eq!(
            table.index().unwrap(),
            &index,
            "the index read back is the one made later"
        );
        check_cursors(&mut rng, &table, &model);
    }
}

pub(super) fn check_cursors(rng: &mut Rng, table: &Arc<Table>, model: &Model) {
    let all: Vec<_> = model.clone().into_iter().collect();
    assert_eq!(drain(&mut TableCursor::all(table).unwrap()).unwrap(), all);
    for _ in 0..20 {
        let (from, to) = (random_bound(rng, model), random_bound(rng, model));
        let within = |key: &Vec<u8>| {
            let above = match &from {
                Bound::Unbounded => true,
                Bound::Included(from) => key >= from,
                Bound::Excluded(from) => key > from,
            };
            above
                && match &to {
                    Bound::Unbounded => true,
                    Bound::Included(to) => key <= to,
                    Bound::Excluded(to) => key < to,
                }
        };
        let mut wanted: Vec<_> = all.iter().filter(|(key, _)| within(key)).cloned().collect();
        for reverse in [false, true] {
            let mut cursor = table.cursor(slice(&from), slice(&to), reverse).unwrap();
            assert_eq!(
                drain(&mut cursor).unwrap(),
                wanted,
                "{from:?} {to:?} {reverse}"
            );
            cursor.advance().unwrap();
            assert_eq!(cursor.key(), None);
            wanted.reverse();
        }
    }
}

#[test]
fn the_largest_keys_and_values_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(7);
    let mut model = Model::new();
    for (number, (key, value)) in [
        (1, 0),
        (65_536, 0),
        (65_536, 16 << 20),
        (1 << 20, 70_000),
        (1 << 20, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let key = random_bytes(&mut rng, key);
        model.insert(
            key,
            (lsn(number as u64 + 1), Some(random_bytes(&mut rng, value))),
        );
    }
    model.insert(random_bytes(&mut rng, 1 << 20), (lsn(9), None));
    let (info, _) = build(dir.path(), 1, 1, &model);
    let table = open(dir.path(), &info);
    for key in model.keys() {
        assert!(get(&table, key).unwrap() == expected(&model, key));
    }
    let mut wanted: Vec<_> = model.into_iter().collect();
    for reverse in [false, true] {
        let mut cursor = table
            .cursor(Bound::Unbounded, Bound::Unbounded, reverse)
            .unwrap();
        assert!(drain(&mut cursor).unwrap() == wanted);
        wanted.reverse();
    }
}

#[test]
fn a_builder_refuses_keys_out_of_order_and_leaves_no_empty_table() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = TableBuilder::create(&RealDisk, dir.path(), 1, 1).unwrap();
    assert!(
        builder.add(b"", lsn(1), Some(b"v")).is_err(),
        "no key is empty"
    );
    builder.add(b"b", lsn(1), Some(b"v")).unwrap();
    assert!(builder.add(b"b", lsn(2), Some(b"v")).is_err());
    assert!(builder.add(b"a", lsn(2), None).is_err());
    assert_eq!(builder.finish().unwrap().unwrap().entries, 1);
    let empty = TableBuilder::create(&RealDisk, dir.path(), 2, 1).unwrap();
    assert_eq!(empty.finish().unwrap(), None);
    remove_temporary(&RealDisk, dir.path(), 1).unwrap();
    remove_temporary(&RealDisk, dir.path(), 2).unwrap();
    remove_temporary(&RealDisk, dir.path(), 2).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_large_value_is_admitted_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let large = ADMIT_ABOVE as usize + 1;
    let model: Model = [
        (b"large".to_vec(), (lsn(1), Some(vec![1; large]))),
        (b"small".to_vec(), (lsn(2), Some(vec![2; large - 1]))),
    ]
    .into();
    let (info, _) = build(dir.path(), 1, 1, &model);
    let table = open(dir.path(), &info);
    let refuse = &mut |bytes| Err(AtlasError::OverBudget { bytes, limit: 1 });
    let error = table.get(b"large", refuse).unwrap_err();
    assert!(
        matches!(error, AtlasError::OverBudget { bytes, .. } if bytes == large as u64),
        "{error}"
    );
    assert!(table.get(b"small", refuse).unwrap().is_some());
    for reverse in [false, true] {
        let mut cursor = table
            .cursor(
                Bound::Included(b"large"),
                Bound::Included(b"large"),
                reverse,
            )
            .unwrap();
        assert!(cursor.value(refuse).is_err());
        assert_eq!(
            cursor.value(&mut |_| Ok(())).unwrap().len(),
            large,
            "it can be asked again"
        );
        let mut cursor = table
            .cursor(Bound::Included(b"small"), Bound::Unbounded, reverse)
            .unwrap();
        assert_eq!(cursor.value(refuse).unwrap().len(), large - 1);
    }
}

#[test]
fn a_parked_cursor_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(seed());
    let model = random_model(&mut rng, 2000);
    let (info, _) = build(dir.path(), 1, 1, &model);
    let table = open(dir.path(), &info);
    for reverse in [false, true] {
        let mut cursor = table
            .cursor(Bound::Unbounded, Bound::Unbounded, reverse)
            .unwrap();
        let mut shown = 0;
        while let Some(key) = cursor.key().map(<[u8]>::to_vec) {
            if rng.u32(0..10) == 0 {
                cursor.park();
            }
            assert_eq!(cursor.key(), Some(key.as_slice()));
            let value = cursor.value(&mut |_| Ok(())).unwrap();
            assert_eq!(value, model[&key].1.clone().unwrap_or_default());
            if rng.u32(0..10) == 0 {
                cursor.park();
            }
            cursor.advance().unwrap();
            shown += 1;
        }
        assert_eq!(shown, model.len());
    }
}

/// The real disk, which counts the bytes read and fails reads when told.
#[derive(Debug, Default, Clone)]
pub(crate) struct Watched(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    bytes: AtomicU64,
    failing: AtomicBool,
}

#[derive(Debug)]
struct WatchedFile(Arc<dyn DiskFile>, Arc<Counters>);

impl Disk for Watched {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(WatchedFile(
            RealDisk.open(path)?,
            Arc::clone(&self.0),
        )))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        RealDisk.list(path)
    }
    fn lock(&self, dir: &Path) -> Result<DirLock> {
        RealDisk.lock(dir)
    }
    fn random(&self) -> io::Result<u64> {
        RealDisk.random()
    }
}

impl DiskFile for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.1.failing.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        // At most some bytes at a time, as a disk may: callers must ask on.
        let length = buffer.len().min(3000);
        let read = self.0.read_at(&mut buffer[..length], offset)?;
        self.1.bytes.fetch_add(read as u64, Ordering::SeqCst);
        Ok(read)
    }
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(data, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn preallocate(&self, length: u64) -> io::Result<()> {
        self.0.preallocate(length)
    }
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
}

fn numbered(entries: u64) -> Model {
    let value = |number: u64| vec![number as u8; 100];
    (0..entries)
        .map(|number| {
            (
                format!("{number:08}").into_bytes(),
                (lsn(number + 1), Some(value(number))),
            )
        })
        .collect()
}

#[test]
fn a_crowd_of_first_look_ups_reads_the_file_once_and_later_ones_a_span() {
    let dir = tempfile::tempdir().unwrap();
    let model = numbered(20_000);
    let (info, _) = build(dir.path(), 1, 1, &model);
    let disk = Watched::default();
    let table = Table::open(&disk, dir.path(), &info).unwrap();
    let opened = disk.0.bytes.swap(0, Ordering::SeqCst);
    assert_eq!(
        opened,
        (HEADER_LENGTH + LOCATOR_LENGTH + FOOTER_LENGTH) as u64
    );
    let crowd = 8;
    let barrier = Barrier::new(crowd);
    std::thread::scope(|scope| {
        for _ in 0..crowd {
            scope.spawn(|| {
                barrier.wait();
                assert!(get(&table, b"00010000").unwrap().is_some());
            });
        }
    });
    let look_up = 40_000;
    let read = disk.0.bytes.swap(0, Ordering::SeqCst);
    assert!(
        read <= crowd as u64 * look_up,
        "{read} bytes of {}",
        info.size
    );
    assert!(get(&table, b"00010000x").unwrap().is_none());
    assert!(disk.0.bytes.load(Ordering::SeqCst) <= look_up);
    for absent in [&b"0"[..], b"9"] {
        disk.0.bytes.store(0, Ordering::SeqCst);
        assert!(get(&table, absent).unwrap().is_none());
        assert_eq!(
            disk.0.bytes.load(Ordering::SeqCst),
            0,
            "outside of the key range"
        );
    }
}

#[test]
fn a_read_error_fails_the_request_and_the_cursor_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let model = numbered(5000);
    let (info, index) = build(dir.path(), 1, 1, &model);
    let disk = Watched::default();
    let table = Table::open_cached(
        &disk,
        dir.path(),
        &info,
        (&BlockCache::new(1 << 20), Some(index)),
    )
    .unwrap();
    for reverse in [false, true] {
        let mut cursor = table
            .cursor(Bound::Included(b"0"), Bound::Unbounded, reverse)
            .unwrap();
        disk.0.failing.store(true, Ordering::SeqCst);
        assert!(matches!(
            get(&table, b"00000007"),
            Err(AtlasError::Io { .. })
        ));
        let failed = loop {
            assert!(cursor.key().is_some(), "the end must not be shown");
            if let Err(error) = cursor.advance() {
                break error;
            }
        };
        assert!(matches!(failed, AtlasError::Io { .. }));
        disk.0.failing.store(false, Ordering::SeqCst);
        assert_eq!(cursor.key(), None);
        assert!(
            matches!(cursor.advance(), Err(AtlasError::Io { .. })),
            "it stays failed"
        );
        assert!(matches!(
            cursor.value(&mut |_| Ok(())),
            Err(AtlasError::Io { .. })
        ));
    }
    assert!(
        get(&table, b"00000007").unwrap().is_some(),
        "a look-up may succeed again"
    );
}
