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
use crate::storage::codec::Checksum;
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

fn lsn(number: u64) -> Lsn {
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
    let index = read_back(&RealDisk, &temporary, &info).unwrap();
    std::fs::rename(temporary, path(dir, number)).unwrap();
    (info, index)
}

pub(crate) fn open(dir: &Path, info: &TableInfo) -> Arc<Table> {
    Table::open(&RealDisk, dir, info).unwrap()
}

fn get(table: &Table, key: &[u8]) -> Result<Option<Found>> {
    table.get(key, &mut |_| Ok(()))
}

fn expected(model: &Model, key: &[u8]) -> Option<Found> {
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

fn random_bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
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

fn check_cursors(rng: &mut Rng, table: &Arc<Table>, model: &Model) {
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

/// The small table whose bytes are frozen.
fn golden_model() -> Model {
    [
        (
            b"a".to_vec(),
            (Lsn::epoch_start(1).next().unwrap(), Some(b"value".to_vec())),
        ),
        (b"bb".to_vec(), (lsn(250), None)),
        (vec![0xFF; 3], (lsn(70_000), Some(Vec::new()))),
    ]
    .into()
}

const GOLDEN_ID: u64 = 0x0123_4567_89AB_CDEF;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_a_table_are_frozen() {
    let dir = tempfile::tempdir().unwrap();
    let (info, _) = build(dir.path(), 1, GOLDEN_ID, &golden_model());
    let bytes = std::fs::read(path(dir.path(), 1)).unwrap();
    let golden = include_str!("../../../tests/golden/table_v1.hex");
    let golden: String = golden
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(hex(&bytes), golden);
    let wanted = TableInfo {
        number: 1,
        file_id: GOLDEN_ID,
        size: bytes.len() as u64,
        checksum: Checksum::new().add(&bytes).finish(),
        entries: 3,
        tombstones: 1,
        min_key: b"a".to_vec(),
        max_key: vec![0xFF; 3],
        min_lsn: lsn(250),
        max_lsn: Lsn::epoch_start(1).next().unwrap(),
    };
    assert_eq!(info, wanted);
}

/// Reads everything of a table in every way. `Ok` only if all was right; wrong data panics.
fn read_everything(
    dir: &Path,
    info: &TableInfo,
    index: Option<&Index>,
    model: &Model,
) -> Result<()> {
    let mut failure = None;
    let open = || match index {
        Some(index) => Table::open_indexed(&RealDisk, dir, info, index.clone()),
        None => Table::open(&RealDisk, dir, info),
    };
    let table = open()?;
    for key in model.keys() {
        match get(&table, key) {
            Ok(found) => assert_eq!(found, expected(model, key)),
            Err(error) => failure = Some(error),
        }
    }
    let mut wanted: Vec<_> = model.clone().into_iter().collect();
    for reverse in [false, true] {
        // A cursor shows the right entries in the right order, up to an error if there is one.
        let drained = table
            .cursor(Bound::Unbounded, Bound::Unbounded, reverse)
            .and_then(|mut cursor| drain(&mut cursor));
        match drained {
            Ok(entries) => assert_eq!(entries, wanted),
            Err(error) => failure = Some(error),
        }
        wanted.reverse();
    }
    failure.map_or(Ok(()), Err)
}

fn is_damage(error: &AtlasError) -> bool {
    matches!(
        error,
        AtlasError::Corrupt { .. } | AtlasError::MissingFile { .. }
    )
}

#[test]
fn every_flipped_bit_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let model = golden_model();
    let (info, index) = build(dir.path(), 1, GOLDEN_ID, &model);
    let file = path(dir.path(), 1);
    let sound = std::fs::read(&file).unwrap();
    for bit in 0..sound.len() * 8 {
        let mut damaged = sound.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&file, &damaged).unwrap();
        for index in [None, Some(&index)] {
            let error = read_everything(dir.path(), &info, index, &model).unwrap_err();
            assert!(is_damage(&error), "bit {bit}: {error}");
        }
        assert!(
            is_damage(&read_back(&RealDisk, &file, &info).unwrap_err()),
            "bit {bit}"
        );
    }
    std::fs::write(&file, &sound).unwrap();
    read_everything(dir.path(), &info, None, &model).unwrap();
}

#[test]
fn damage_in_large_entries_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(seed());
    let mut model = golden_model();
    model.insert(
        b"c".to_vec(),
        (lsn(5), Some(random_bytes(&mut rng, 200_000))),
    );
    model.insert(
        vec![b'd'; 70_000],
        (lsn(6), Some(random_bytes(&mut rng, 10))),
    );
    model.insert(
        b"e".to_vec(),
        (lsn(7), Some(random_bytes(&mut rng, 65_500))),
    );
    let (info, index) = build(dir.path(), 1, GOLDEN_ID, &model);
    let file = path(dir.path(), 1);
    let sound = std::fs::read(&file).unwrap();
    for _ in 0..runs(150) {
        let mut damaged = sound.clone();
        let bit = rng.usize(0..sound.len() * 8);
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&file, &damaged).unwrap();
        for index in [None, Some(&index)] {
            let error = read_everything(dir.path(), &info, index, &model).unwrap_err();
            assert!(is_damage(&error), "bit {bit}: {error}");
        }
    }
}

#[test]
fn every_truncation_and_any_addition_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (info, _) = build(dir.path(), 1, GOLDEN_ID, &golden_model());
    let file = path(dir.path(), 1);
    let sound = std::fs::read(&file).unwrap();
    for length in 0..sound.len() {
        std::fs::write(&file, &sound[..length]).unwrap();
        let error = Table::open(&RealDisk, dir.path(), &info).unwrap_err();
        assert!(
            matches!(error, AtlasError::Corrupt { .. }),
            "{length}: {error}"
        );
    }
    for tail in [&b"\0"[..], &sound] {
        std::fs::write(&file, [&sound, tail].concat()).unwrap();
        assert!(is_damage(
            &Table::open(&RealDisk, dir.path(), &info).unwrap_err()
        ));
    }
    std::fs::remove_file(&file).unwrap();
    let error = Table::open(&RealDisk, dir.path(), &info).unwrap_err();
    assert!(matches!(error, AtlasError::MissingFile { .. }), "{error}");
}

#[test]
fn swapped_tables_and_misplaced_entries_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let one: Model = [(b"k".to_vec(), (lsn(1), Some(b"1".to_vec())))].into();
    let two: Model = [(b"k".to_vec(), (lsn(1), Some(b"2".to_vec())))].into();
    let (first, first_index) = build(dir.path(), 1, 1, &one);
    let (second, _) = build(dir.path(), 2, 2, &two);
    let bytes = [1, 2].map(|number| std::fs::read(path(dir.path(), number)).unwrap());
    std::fs::write(path(dir.path(), 1), &bytes[1]).unwrap();
    std::fs::write(path(dir.path(), 2), &bytes[0]).unwrap();
    for info in [&first, &second] {
        let error = Table::open(&RealDisk, dir.path(), info).unwrap_err();
        assert!(matches!(error, AtlasError::MissingFile { .. }), "{error}");
    }
    // The same entry, valid in the other table: header and footer of the first around it.
    let end = bytes[0].len() - FOOTER_LENGTH;
    let mixed = [
        &bytes[0][..HEADER_LENGTH],
        &bytes[1][HEADER_LENGTH..end],
        &bytes[0][end..],
    ]
    .concat();
    std::fs::write(path(dir.path(), 1), mixed).unwrap();
    assert!(is_damage(
        &read_everything(dir.path(), &first, Some(&first_index), &one).unwrap_err()
    ));
}

/// A valid table of another version or with other flags, with a section before its footer.
fn foreign(version: u16, flags: u16, section: &[u8]) -> (tempfile::TempDir, TableInfo, Model) {
    let dir = tempfile::tempdir().unwrap();
    let model = golden_model();
    let (mut info, _) = build(dir.path(), 1, GOLDEN_ID, &model);
    let mut bytes = std::fs::read(path(dir.path(), 1)).unwrap();
    bytes[HEADER_VERSION..HEADER_FLAGS].copy_from_slice(&version.to_le_bytes());
    bytes[HEADER_FLAGS..HEADER_FILE_ID].copy_from_slice(&flags.to_le_bytes());
    bytes.truncate(bytes.len() - FOOTER_LENGTH);
    bytes.extend_from_slice(section);
    let header = bytes[..HEADER_LENGTH].to_vec();
    let footer = super::frame::footer(&header, GOLDEN_ID, info.entries, bytes.len() as u64);
    bytes.extend_from_slice(&footer);
    info.size = bytes.len() as u64;
    info.checksum = Checksum::new().add(&bytes).finish();
    std::fs::write(path(dir.path(), 1), &bytes).unwrap();
    (dir, info, model)
}

#[test]
fn a_newer_table_is_told_from_a_damaged_one() {
    for (version, flags) in [(2, 0), (1, 0x0100), (700, 0xFFFF)] {
        let (dir, info, _) = foreign(version, flags, b"");
        let error = Table::open(&RealDisk, dir.path(), &info).unwrap_err();
        assert!(
            matches!(
                error,
                AtlasError::NewerFormat {
                    found: 2..,
                    supported: 1,
                    ..
                }
            ),
            "{error}"
        );
    }
    let (dir, info, _) = foreign(0, 0, b"");
    assert!(is_damage(
        &Table::open(&RealDisk, dir.path(), &info).unwrap_err()
    ));
}

#[test]
fn sections_that_may_be_ignored_are_ignored() {
    let (dir, info, model) = foreign(1, 0x0001, b"a section of a later version");
    read_everything(dir.path(), &info, None, &model).unwrap();
    // Without the flag the same bytes are damage.
    let (dir, info, model) = foreign(1, 0, b"a section of a later version");
    assert!(is_damage(
        &read_everything(dir.path(), &info, None, &model).unwrap_err()
    ));
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
fn inspecting_damage_finds_every_entry_that_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(seed());
    let mut model = random_model(&mut rng, 300);
    model.insert(b"m".to_vec(), (lsn(4), Some(vec![0; 300_000])));
    let (info, _) = build(dir.path(), 1, 77, &model);
    let file = path(dir.path(), 1);
    let sound = std::fs::read(&file).unwrap();
    let whole = inspect(&RealDisk, &file, &info).unwrap();
    assert_eq!(
        (whole.entries, whole.tombstones),
        (info.entries, info.tombstones)
    );
    assert_eq!(whole.lsns, Some((info.min_lsn, info.max_lsn)));
    assert_eq!(whole.places, []);

    let table = open(dir.path(), &info);
    let mut walk = super::walk::Walk::all(Arc::clone(table.file()), 1 << 16);
    let mut entries = Vec::new();
    while let Some(entry) = walk.step().unwrap() {
        entries.push((entry, walk.key().to_vec()));
    }
    for _ in 0..runs(40) {
        // A stretch of bytes becomes zeros or noise: the entries that it touches are lost, no other.
        let start = rng.usize(HEADER_LENGTH..sound.len() - FOOTER_LENGTH);
        let end = (start + rng.usize(1..5000)).min(sound.len() - FOOTER_LENGTH);
        let noise = rng.bool();
        let mut damaged = sound.clone();
        for byte in &mut damaged[start..end] {
            *byte = if noise {
                byte.wrapping_add(rng.u8(1..))
            } else {
                0
            };
        }
        std::fs::write(&file, &damaged).unwrap();
        let lost: Vec<_> = entries
            .iter()
            .filter(|(entry, _)| {
                let range = entry.offset as usize..entry.end() as usize;
                damaged[range.clone()] != sound[range]
            })
            .collect();
        let found = inspect(&RealDisk, &file, &info).unwrap();
        assert_eq!(found.entries, info.entries - lost.len() as u64);
        let Some((first, key)) = lost.first() else {
            continue;
        };
        assert_eq!(found.places.len(), 1);
        assert_eq!(found.places[0].offset, first.offset);
        assert_eq!(found.places[0].end, lost.last().unwrap().0.end());
        assert!(&found.places[0].after < key);
    }
    // Header and footer may be anything, and the file may be cut off.
    let mut headless = sound.clone();
    headless[..HEADER_LENGTH].fill(0);
    std::fs::write(&file, &headless).unwrap();
    assert_eq!(
        inspect(&RealDisk, &file, &info).unwrap().entries,
        info.entries
    );
    std::fs::write(&file, &sound[..sound.len() - FOOTER_LENGTH]).unwrap();
    assert_eq!(
        inspect(&RealDisk, &file, &info).unwrap().entries,
        info.entries
    );
    std::fs::write(&file, &sound[..sound.len() / 2]).unwrap();
    let half = inspect(&RealDisk, &file, &info).unwrap();
    assert!(half.entries > 0 && half.entries < info.entries && half.places.len() == 1);
    std::fs::write(&file, b"").unwrap();
    assert_eq!(inspect(&RealDisk, &file, &info).unwrap().entries, 0);
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
    assert_eq!(opened, (HEADER_LENGTH + FOOTER_LENGTH) as u64);
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
        read <= info.size + crowd as u64 * look_up,
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
    let table = Table::open_indexed(&disk, dir.path(), &info, index).unwrap();
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
