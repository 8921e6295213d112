//! Frozen bytes, damage of every kind, and tables of other versions.
#![allow(clippy::disallowed_methods, reason = "tests damage files by hand")]
#![allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

use std::ops::Bound;
use std::sync::Arc;

use fastrand::Rng;

use super::tests::{
    Model, as_version_1, build, drain, expected, get, lsn, open, random_bytes, random_model, runs,
    seed,
};
use super::*;
use crate::storage::cache::BlockCache;
use crate::storage::codec::Checksum;
use crate::storage::disk::RealDisk;
use crate::storage::{AtlasError, Result};

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
    let check = |info: &TableInfo, golden: &str| {
        let bytes = std::fs::read(path(dir.path(), 1)).unwrap();
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
        assert_eq!(info, &wanted);
        read_everything(dir.path(), info, None, &golden_model()).unwrap();
    };
    check(&info, include_str!("../../../tests/golden/table_v2.hex"));
    let info = as_version_1(dir.path(), &info);
    check(&info, include_str!("../../../tests/golden/table_v1.hex"));
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
        Some(index) => Table::open_cached(
            &RealDisk,
            dir,
            info,
            (&BlockCache::new(1 << 20), Some(index.clone())),
        ),
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

/// A table with a flipped bit: reads fail, but with an index in memory directory and locator are not read.
fn check_damaged(dir: &Path, (info, index): (&TableInfo, &Index), model: &Model, bit: usize) {
    let error = read_everything(dir, info, None, model).unwrap_err();
    assert!(is_damage(&error), "bit {bit}: {error}");
    let unread = directory_at(index)..info.size as usize - FOOTER_LENGTH;
    match read_everything(dir, info, Some(index), model) {
        Err(error) => assert!(is_damage(&error), "bit {bit}: {error}"),
        Ok(()) => assert!(unread.contains(&(bit / 8)), "bit {bit} is not found"),
    }
}

/// Where the directory stands.
fn directory_at(index: &Index) -> usize {
    let Index::Sections(directory) = index else {
        panic!("no sections");
    };
    let last = directory.partitions.last().unwrap();
    last.offset as usize + last.length as usize
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
        check_damaged(dir.path(), (&info, &index), &model, bit);
        assert!(
            is_damage(&read_back(&RealDisk, &file, &info, &mut |_| Ok(())).unwrap_err()),
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
        check_damaged(dir.path(), (&info, &index), &model, bit);
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
    let (info, _) = build(dir.path(), 1, GOLDEN_ID, &model);
    let mut info = as_version_1(dir.path(), &info);
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
    for (version, flags) in [(3, 0), (1, 0x0100), (2, 0x0100), (700, 0xFFFF)] {
        let (dir, info, _) = foreign(version, flags, b"");
        let error = Table::open(&RealDisk, dir.path(), &info).unwrap_err();
        assert!(
            matches!(
                error,
                AtlasError::NewerFormat {
                    found: 3..,
                    supported: 2,
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
        let last = entries.last().unwrap().0.end() as usize;
        let start = rng.usize(HEADER_LENGTH..last);
        let end = (start + rng.usize(1..5000)).min(last);
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
