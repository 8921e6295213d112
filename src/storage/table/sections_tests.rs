//! The sections: what they cover, what they cost, what they may not say.
#![allow(clippy::disallowed_methods, reason = "tests damage files by hand")]
#![allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

use std::sync::Arc;

use fastrand::Rng;

use super::sections_builder::{LIMITS, Limits};
use super::tests::{
    Model, as_version_1, check_cursors, expected, get, lsn, open, random_bytes, random_model, runs,
    seed,
};
use super::*;
use crate::storage::AtlasError;
use crate::storage::cache::BlockCache;
use crate::storage::disk::RealDisk;

/// Small enough that a table of some hundred KiB has everything.
const SMALL: Limits = Limits {
    partition: 20_000,
    held: 700,
    directory_step: 600,
    ..LIMITS
};

fn build(dir: &Path, limits: Limits, model: &Model) -> (TableInfo, Index) {
    let mut builder = TableBuilder::limited(&RealDisk, dir, (1, 77), limits).unwrap();
    for (key, (lsn, value)) in model {
        builder.add(key, *lsn, value.as_deref()).unwrap();
    }
    let info = builder.finish().unwrap().unwrap();
    let temporary = temporary_path(dir, 1);
    let index = read_back(&RealDisk, &temporary, &info, &mut |_| Ok(())).unwrap();
    std::fs::rename(temporary, path(dir, 1)).unwrap();
    (info, index)
}

fn directory(index: &Index) -> &sections::Directory {
    match index {
        Index::Sections(directory) => directory,
        Index::Sparse(_) => panic!("no sections"),
    }
}

fn check_all(table: &Arc<Table>, model: &Model, rng: &mut Rng) {
    for key in model.keys() {
        assert_eq!(get(table, key).unwrap(), expected(model, key));
        let near = [key.as_slice(), b"0"].concat();
        assert_eq!(get(table, &near).unwrap(), expected(model, &near));
    }
    check_cursors(rng, table, model);
}

#[test]
fn many_partitions_and_a_small_cache_give_the_same_answers() {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..runs(6) {
        let dir = tempfile::tempdir().unwrap();
        let model = random_model(&mut rng, 3000);
        let (info, index) = build(dir.path(), SMALL, &model);
        assert!(directory(&index).partitions.len() > 5);
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "the spill is gone: {left:?}");
        check_all(&open(dir.path(), &info), &model, &mut rng);
        for cache in [0, 20_000, 1 << 24].map(BlockCache::new) {
            let cached = (&cache, Some(index.clone()));
            let table = Table::open_cached(&RealDisk, dir.path(), &info, cached).unwrap();
            check_all(&table, &model, &mut rng);
            check_all(&table, &model, &mut rng);
            let figures = cache.figures();
            assert!(figures.used <= figures.capacity, "{figures:?}");
            assert!(figures.capacity < 1 << 20 || figures.hits > figures.misses);
        }
        let info = as_version_1(dir.path(), &info);
        let table = open(dir.path(), &info);
        assert!(table.is_to_be_made_anew().unwrap());
        check_all(&table, &model, &mut rng);
    }
}

#[test]
fn a_table_whose_directory_would_be_too_large_has_none() {
    let mut rng = Rng::with_seed(seed());
    let dir = tempfile::tempdir().unwrap();
    let model = random_model(&mut rng, 3000);
    let limits = Limits {
        directory: 200,
        ..SMALL
    };
    let (info, index) = build(dir.path(), limits, &model);
    assert!(matches!(index, Index::Sparse(_)));
    let table = open(dir.path(), &info);
    assert!(!table.is_to_be_made_anew().unwrap());
    check_all(&table, &model, &mut rng);
}

#[test]
fn sections_are_a_small_part_of_the_file_whatever_the_keys_are() {
    let dir = tempfile::tempdir().unwrap();
    let long = vec![b'k'; 60_000];
    let key = |number: u32| [long.as_slice(), format!("{number:04}").as_bytes()].concat();
    let model: Model = (0..200)
        .map(|number| (key(number), (lsn(1), Some(vec![1; 9]))))
        .collect();
    let (info, index) = build(dir.path(), LIMITS, &model);
    let directory = directory(&index);
    let sections = info.size - directory.entries_end;
    assert!(sections * 10 < info.size, "{sections} of {}", info.size);
    let mut rng = Rng::with_seed(seed());
    check_all(&open(dir.path(), &info), &model, &mut rng);
}

/// Three bytes, in the order of the numbers.
fn ascending(number: u32) -> [u8; 3] {
    [16, 8, 0].map(|shift| (number >> shift) as u8)
}

/// The most sections that a table can have: each span stands between two long keys, among the shortest.
fn worst(bytes: usize) -> Model {
    let mut model = Model::new();
    let mut number = 0_u32;
    let mut taken = 0;
    let mut next = |extra: &[u8]| {
        let key = [&ascending(number)[..], extra].concat();
        number += u32::from(extra.is_empty());
        key
    };
    let mut add = |key: Vec<u8>| {
        let length = 11 + key.len() + 2 * usize::from(key.len() > 250);
        model.insert(key, (lsn(1), None));
        length
    };
    while taken < bytes {
        let mut span = add(next(&[vec![b'x'; 252], b"b".to_vec()].concat()));
        next(b"");
        while span + 2 * 269 < 4096 {
            span += add(next(b""));
        }
        span += add(next(&[vec![b'x'; 252], b"a".to_vec()].concat()));
        taken += span;
    }
    model
}

#[test]
fn the_room_for_sections_is_bounded_whatever_the_keys_are() {
    let dir = tempfile::tempdir().unwrap();
    let (info, index) = build(dir.path(), LIMITS, &worst(4 << 20));
    let entries = directory(&index).entries_end;
    let sections = info.size - entries;
    assert!(
        sections <= most_sections(entries),
        "{sections} of {entries}"
    );
    assert!(
        sections > entries / 8,
        "{sections} of {entries}: not the worst"
    );
    // A flush of one batch, which is as large as the memtable, or larger.
    for memtable_size in [1 << 10, 4 << 20] {
        let options = crate::storage::Options {
            memtable_size,
            max_batch_size: 4 << 20,
            max_batch_operations: 1,
            segment_size: 8 << 10,
            ..crate::storage::Options::default()
        };
        let room = crate::storage::reserve::size(&options);
        let spilled = sections;
        assert!(
            info.size + spilled <= room,
            "{} of {room}",
            info.size + spilled
        );
    }
}

/// Separators of so many bytes that no partition would be closed before its spans' heads are too many.
#[test]
fn a_partition_is_never_too_large_whatever_the_keys_are() {
    let dir = tempfile::tempdir().unwrap();
    let long = vec![b'k'; 2_000];
    let key = |number: u32| [long.as_slice(), format!("{number:04}").as_bytes()].concat();
    let model: Model = (0..1500)
        .map(|number| (key(number), (lsn(1), None)))
        .collect();
    let limits = Limits {
        heads: 20_000,
        ..SMALL
    };
    let (info, index) = build(dir.path(), limits, &model);
    let directory = directory(&index);
    let lengths = directory.partitions.iter().map(|listed| listed.length);
    let most = lengths.max().unwrap();
    assert!(most < 30_000, "{most}");
    let sections = info.size - directory.entries_end;
    assert!(sections * 6 < info.size, "{sections} of {}", info.size);
    check_all(
        &open(dir.path(), &info),
        &model,
        &mut Rng::with_seed(seed()),
    );
}

#[test]
fn keys_that_are_not_there_cost_no_span() {
    let dir = tempfile::tempdir().unwrap();
    let key = |number: u32| format!("{number:08}").into_bytes();
    let model: Model = (0..20_000)
        .map(|number| (key(number * 2), (lsn(1), Some(vec![1; 50]))))
        .collect();
    let (info, index) = build(dir.path(), LIMITS, &model);
    let cache = BlockCache::new(1 << 24);
    let cached = (&cache, Some(index));
    let table = Table::open_cached(&RealDisk, dir.path(), &info, cached).unwrap();
    for number in 0..19_999 {
        assert_eq!(get(&table, &key(number * 2 + 1)).unwrap(), None);
    }
    let spans = info.size / 4096;
    let misses = cache.figures().misses;
    assert!(misses < spans, "{misses} pieces were read of {spans} spans");
    let passed = cache.figures().hits + misses - 19_999;
    assert!(passed < 600, "{passed} of 19999 keys passed the filter");
}

#[test]
fn damage_of_a_section_fails_reads_and_names_the_place_and_loses_no_entry() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(seed());
    let model = random_model(&mut rng, 2000);
    let (info, index) = build(dir.path(), SMALL, &model);
    let file = path(dir.path(), 1);
    let sound = std::fs::read(&file).unwrap();
    let directory = directory(&index);
    let first = &directory.partitions[1];
    let locator = sound.len() - FOOTER_LENGTH - LOCATOR_LENGTH;
    for (at, named) in [
        (first.offset as usize + 9, "partition 2 of"),
        (locator - 1, "the directory"),
        (locator + 3, "the locator"),
    ] {
        let mut damaged = sound.clone();
        damaged[at] ^= 4;
        std::fs::write(&file, &damaged).unwrap();
        let read = read_back(&RealDisk, &file, &info, &mut |_| Ok(())).unwrap_err();
        let table = open(dir.path(), &info);
        let errors: Vec<_> = model
            .keys()
            .filter_map(|key| get(&table, key).err())
            .collect();
        assert!(!errors.is_empty());
        for error in errors.iter().chain([&read]) {
            assert!(matches!(error, AtlasError::Corrupt { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(named) && text.contains(".sst"), "{text}");
        }
        let found = inspect(&RealDisk, &file, &info).unwrap();
        assert_eq!((found.entries, found.places.len()), (info.entries, 0));
        let told = describe(&RealDisk, &file, 1, &mut |_| {}).unwrap().unwrap();
        assert!(told.is_complete && !told.is_whole, "{told:?}");
        // A merge reads entries alone, and makes the sections anew.
        assert!(table.is_to_be_made_anew().unwrap());
        let mut all = TableCursor::all(&table).unwrap();
        assert_eq!(super::tests::drain(&mut all).unwrap().len(), model.len());
    }
}

/// A table whose partitions and directory were changed, every checksum made right.
fn forge(
    dir: &Path,
    (info, index): (&TableInfo, &Index),
    change: &mut dyn FnMut(Option<usize>, &mut Vec<u8>),
) -> TableInfo {
    let file = path(dir, 1);
    let mut bytes = std::fs::read(&file).unwrap();
    let directory = directory(index);
    let sound = bytes.clone();
    bytes.truncate(directory.entries_end as usize);
    let sum = |offset: usize, bytes: &[u8]| {
        let seeded = codec::Checksum::seeded(info.file_id, offset as u64);
        seeded.add(bytes).finish()
    };
    let mut list = Vec::new();
    for (place, listed) in directory.partitions.iter().enumerate() {
        let (from, length) = (listed.offset as usize, listed.length as usize);
        let mut partition = sound[from..from + length].to_vec();
        change(Some(place), &mut partition);
        let head = sections::PartitionHead {
            separator: &listed.separator,
            entries_at: listed.entries_at,
            offset: bytes.len() as u64,
            length: partition.len() as u32,
            checksum: sum(bytes.len(), &partition),
        };
        codec::encode(&head, &mut list);
        bytes.extend_from_slice(&partition);
    }
    change(None, &mut list);
    let locator = sections::Locator {
        entries_end: directory.entries_end,
        directory: bytes.len() as u64,
        length: list.len() as u32,
        partitions: directory.partitions.len() as u32,
        checksum: sum(bytes.len(), &list),
    };
    bytes.extend_from_slice(&list);
    bytes.extend(locator.bytes(info.file_id, bytes.len() as u64));
    let header = bytes[..HEADER_LENGTH].to_vec();
    let footer = frame::footer(&header, info.file_id, info.entries, bytes.len() as u64);
    bytes.extend(footer);
    std::fs::write(&file, &bytes).unwrap();
    TableInfo {
        size: bytes.len() as u64,
        checksum: codec::Checksum::new().add(&bytes).finish(),
        ..info.clone()
    }
}

/// A section of a later program, which this one may ignore or not, and one that no flag tells of.
#[test]
fn a_further_section_before_the_directory_is_passed_over_when_a_flag_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let model = random_model(&mut Rng::with_seed(seed()), 300);
    let (info, index) = build(dir.path(), SMALL, &model);
    let file = path(dir.path(), 1);
    let sound = std::fs::read(&file).unwrap();
    let locator = sound.len() - FOOTER_LENGTH - LOCATOR_LENGTH;
    let at = sections::Locator::read(&sound[locator..], info.file_id, locator as u64).unwrap();
    let directory_at = at.directory as usize;
    for flag in [1, 0] {
        let mut bytes = sound[..directory_at].to_vec();
        bytes[HEADER_FLAGS] = flag;
        bytes.extend(b"what a later program put here");
        let moved = sections::Locator {
            directory: bytes.len() as u64,
            checksum: codec::Checksum::seeded(info.file_id, bytes.len() as u64)
                .add(&sound[directory_at..locator])
                .finish(),
            ..at
        };
        bytes.extend_from_slice(&sound[directory_at..locator]);
        bytes.extend(moved.bytes(info.file_id, bytes.len() as u64));
        let header = bytes[..HEADER_LENGTH].to_vec();
        bytes.extend(frame::footer(
            &header,
            info.file_id,
            info.entries,
            bytes.len() as u64,
        ));
        std::fs::write(&file, &bytes).unwrap();
        let later = TableInfo {
            size: bytes.len() as u64,
            checksum: codec::Checksum::new().add(&bytes).finish(),
            ..info.clone()
        };
        let read = read_back(&RealDisk, &file, &later, &mut |_| Ok(()));
        assert_eq!(read.is_ok(), flag == 1, "{read:?}");
        if flag == 1 {
            assert_eq!(
                directory(&read.unwrap()).partitions,
                directory(&index).partitions
            );
            check_all(
                &open(dir.path(), &later),
                &model,
                &mut Rng::with_seed(seed()),
            );
        }
    }
}

#[test]
fn a_key_that_a_filter_does_not_have_is_found_by_reading_back() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::from([(b"key".to_vec(), (lsn(1), Some(vec![1; 9])))]);
    let (info, index) = build(dir.path(), LIMITS, &model);
    let file = path(dir.path(), 1);
    let same = forge(dir.path(), (&info, &index), &mut |_, _| {});
    assert_eq!(same, info);
    let forged = forge(dir.path(), (&info, &index), &mut |place, bytes| {
        if place.is_some() {
            bytes[4..12].fill(0);
        }
    });
    let error = read_back(&RealDisk, &file, &forged, &mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("filter"), "{error}");
}

/// Heads of a few bytes take ten times as many in memory.
#[test]
fn forged_sections_take_no_more_memory_than_sound_ones() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::from([(b"key".to_vec(), (lsn(1), Some(vec![1; 9])))]);
    let (info, index) = build(dir.path(), LIMITS, &model);
    let file = path(dir.path(), 1);
    let sound = std::fs::read(&file).unwrap();
    for target in [None, Some(0)] {
        std::fs::write(&file, &sound).unwrap();
        let forged = forge(dir.path(), (&info, &index), &mut |place, bytes| {
            if place != target {
                return;
            }
            let most = if place.is_some() {
                700_000
            } else {
                420_000_u32
            };
            for number in 1..=most {
                let separator = &ascending(number)[..];
                let (entries_at, checksum) = (u64::from(number), 0);
                if place.is_some() {
                    let length = 1;
                    let head = sections::SpanHead {
                        separator,
                        length,
                        checksum,
                    };
                    codec::encode(&head, bytes);
                } else {
                    let (offset, length) = (0, 0);
                    let head = sections::PartitionHead {
                        separator,
                        entries_at,
                        offset,
                        length,
                        checksum,
                    };
                    codec::encode(&head, bytes);
                }
            }
        });
        let error = read_back(&RealDisk, &file, &forged, &mut |_| Ok(())).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("larger than any that is written"), "{text}");
    }
}

/// Sections that check and say what they like: reads end with an answer or a typed error, whatever it is, and
/// reading back finds every lie about a span.
#[test]
fn forged_sections_end_no_program() {
    let mut rng = Rng::with_seed(seed());
    let dir = tempfile::tempdir().unwrap();
    let model = random_model(&mut rng, 400);
    let (info, index) = build(dir.path(), SMALL, &model);
    let file = path(dir.path(), 1);
    let sound = std::fs::read(&file).unwrap();
    for _ in 0..runs(300) {
        std::fs::write(&file, &sound).unwrap();
        let target = rng.usize(0..=directory(&index).partitions.len());
        let forged = forge(dir.path(), (&info, &index), &mut |place, bytes| {
            if place.unwrap_or(directory(&index).partitions.len()) != target {
                return;
            }
            match rng.u32(0..4) {
                0 => bytes.truncate(rng.usize(0..bytes.len())),
                1 => bytes.extend(random_bytes(&mut rng, 9)),
                _ => {
                    let at = rng.usize(0..bytes.len());
                    bytes[at] = rng.u8(..);
                }
            }
        });
        let table = open(dir.path(), &forged);
        for key in model.keys().take(50) {
            let _ = get(&table, key);
        }
        for reverse in [false, true] {
            let bound = std::ops::Bound::Included(&b"the common"[..]);
            if let Ok(mut cursor) = table.cursor(bound, std::ops::Bound::Unbounded, reverse) {
                let _ = super::tests::drain(&mut cursor);
            }
        }
        let _ = read_back(&RealDisk, &file, &forged, &mut |_| Ok(()));
        assert_eq!(
            inspect(&RealDisk, &file, &forged).unwrap().entries,
            info.entries
        );
    }
}
