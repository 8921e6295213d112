//! Each check of a table by itself: what it refuses has every checksum right, or is refused by nothing else.
#![allow(clippy::disallowed_methods, reason = "tests make files by hand")]

use std::sync::Arc;

use super::check::pass;
use super::frame::{TableFile, footer};
use super::parts::{TablePart, TableParts};
use super::salvage::{describe, salvage};
use super::tests::{Model, as_version_1, build, lsn};
use super::walk::{Walk, read_value};
use super::*;
use crate::storage::codec::Checksum;
use crate::storage::disk::{RealDisk, count};
use crate::storage::{AtlasError, Result};

const ID: u64 = 77;

/// A table of two entries, without sections, whose bytes can be changed.
struct Place {
    home: tempfile::TempDir,
    info: TableInfo,
    bytes: Vec<u8>,
}

fn place(values: [Option<&[u8]>; 2]) -> Place {
    let home = tempfile::tempdir().unwrap();
    let [first, second] = values.map(|value| value.map(<[u8]>::to_vec));
    let entries = [
        (b"a".to_vec(), (lsn(10), first)),
        (b"b".to_vec(), (lsn(20), second)),
    ];
    let model: Model = entries.into();
    let (info, _) = build(home.path(), 1, ID, &model);
    let info = as_version_1(home.path(), &info);
    let bytes = std::fs::read(path(home.path(), 1)).unwrap();
    Place { home, info, bytes }
}

fn small() -> Place {
    place([Some(b"value"), None])
}

impl Place {
    fn path(&self) -> PathBuf {
        path(self.home.path(), 1)
    }

    /// Gives the footer the checksum that belongs to header, entries and size, and has the manifest know all.
    fn sign(&mut self, entries: u64) {
        let at = self.bytes.len() - FOOTER_LENGTH;
        let signed = footer(&self.bytes[..HEADER_LENGTH], ID, entries, count(at));
        self.bytes[at..].copy_from_slice(&signed);
        self.info.entries = entries;
        self.info.size = count(self.bytes.len());
        self.info.checksum = Checksum::new().add(&self.bytes).finish();
        self.write();
    }

    fn write(&self) {
        std::fs::write(self.path(), &self.bytes).unwrap();
    }

    /// Gives the first entry, `length` bytes of it after the prefix, the checksum that it should have.
    fn sign_entry(&mut self, length: usize) {
        let (at, data) = (HEADER_LENGTH, HEADER_LENGTH + PREFIX_LENGTH);
        let stated = u32::try_from(length).unwrap();
        let sum = Checksum::seeded(ID, count(at))
            .add_u32(stated)
            .add(&self.bytes[data..data + length])
            .finish();
        self.bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
        self.bytes[at + 4..data].copy_from_slice(&stated.to_le_bytes());
    }

    /// Bytes of the first entry after its prefix.
    fn first_length(&self) -> usize {
        let stated = &self.bytes[HEADER_LENGTH + 4..HEADER_LENGTH + PREFIX_LENGTH];
        u32::from_le_bytes(stated.try_into().unwrap())
            .try_into()
            .unwrap()
    }

    fn read(&self) -> Result<Index> {
        read_back(&RealDisk, &self.path(), &self.info, &mut |_| Ok(()))
    }

    fn file(&self) -> Arc<TableFile> {
        Arc::new(TableFile::open(&RealDisk, &self.path(), &self.info).unwrap())
    }
}

fn corrupt_at<T>(outcome: Result<T>) -> (u64, String) {
    match outcome {
        Err(AtlasError::Corrupt { offset, detail, .. }) => (offset, detail),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it passed"),
    }
}

#[test]
fn whatever_the_manifest_says_is_compared() {
    let place = small();
    let changes: [fn(&mut TableInfo); 7] = [
        |info| info.entries += 1,
        |info| info.tombstones += 1,
        |info| info.min_key.push(0),
        |info| info.max_key.push(0),
        |info| info.min_lsn = lsn(9),
        |info| info.max_lsn = lsn(21),
        |info| info.checksum ^= 1,
    ];
    pass(&place.file(), &place.info, &mut |_| Ok(())).unwrap();
    for change in changes {
        let mut other = place.info.clone();
        change(&mut other);
        corrupt_at(pass(&place.file(), &other, &mut |_| Ok(())));
    }
    let sizes: [fn(&mut TableInfo); 2] = [|info| info.entries += 1, |info| info.size += 1];
    for change in sizes {
        let mut other = place.info.clone();
        change(&mut other);
        let refused = Table::open(&RealDisk, place.home.path(), &other).unwrap_err();
        assert!(
            matches!(refused, AtlasError::MissingFile { .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_strange_magic_and_a_table_of_nothing_are_refused_under_a_valid_checksum() {
    let mut place = small();
    place.bytes[0] ^= 1;
    place.sign(2);
    assert_eq!(corrupt_at(place.read()).0, 0);
    place.bytes[0] ^= 1;
    place.sign(0);
    let refused = corrupt_at(TableFile::open(&RealDisk, &place.path(), &place.info));
    assert!(refused.1.contains("0 entries"), "{refused:?}");
}

#[test]
fn an_entry_with_a_valid_checksum_must_have_the_value_that_it_says() {
    let mut place = small();
    let length = place.first_length();
    place
        .bytes
        .insert(HEADER_LENGTH + PREFIX_LENGTH + length, b'!');
    place.sign_entry(length + 1);
    place.sign(2);
    // The second entry stands elsewhere now: the walk must not come so far.
    let refused = corrupt_at(place.read());
    assert_eq!(refused.0, count(HEADER_LENGTH), "{refused:?}");
}

#[test]
fn an_entry_with_a_valid_checksum_must_be_above_the_one_before() {
    let mut place = small();
    let length = place.first_length();
    let key = HEADER_LENGTH + PREFIX_LENGTH + 1;
    assert_eq!(place.bytes[key], b'a');
    place.bytes[key] = b'c';
    place.sign_entry(length);
    place.info.min_key = b"c".to_vec();
    place.sign(2);
    let refused = corrupt_at(place.read());
    assert!(refused.1.contains("not above"), "{refused:?}");
}

#[test]
fn a_value_that_is_read_later_is_checked_again() {
    let large = vec![7; 300_000];
    let mut place = place([Some(&large), None]);
    let file = place.file();
    let mut walk = Walk::span(Arc::clone(&file), file.entries_at(), file.entries_end());
    let entry = walk.step().unwrap().unwrap();
    let read = read_value(&file, &entry, &mut |_| Ok(())).unwrap();
    assert_eq!(read.len(), large.len());
    place.bytes[HEADER_LENGTH + 200_000] ^= 1;
    place.write();
    corrupt_at(read_value(&file, &entry, &mut |_| Ok(())));
    // What is too large to be taken without being asked for is not held.
    assert!(walk.small_value().is_none());
    assert!(walk.value(&mut |_| Err(AtlasError::Closed)).is_err());
}

#[test]
fn a_salvage_must_find_what_was_found_before() {
    let place = small();
    let salvaged = |expected| {
        let from = place.path();
        salvage(
            &RealDisk,
            (place.home.path(), &from),
            &place.info,
            (2, expected),
        )
    };
    assert_eq!(corrupt_at(salvaged(3)).0, 0);
    remove_temporary(&RealDisk, place.home.path(), 2).unwrap();
    assert_eq!(salvaged(2).unwrap().unwrap().entries, 2);
}

#[test]
fn a_whole_table_is_described_as_whole() {
    let place = small();
    let mut seen = Vec::new();
    let found = describe(&RealDisk, &place.path(), 1, &mut |lsn| seen.push(lsn));
    let found = found.unwrap().unwrap();
    assert!(found.is_whole && found.is_complete, "{found:?}");
    assert_eq!(found.info, place.info);
    assert_eq!(seen, [lsn(10), lsn(20)]);
}

#[test]
fn what_a_footer_says_and_what_is_there_are_compared_once() {
    // Both have every checksum right.
    let mut fewer = small();
    fewer.sign(3);
    let mut longer = small();
    let footer = longer.bytes.len() - FOOTER_LENGTH;
    longer.bytes.splice(footer..footer, [0; 5]);
    longer.sign(2);
    for (place, told) in [
        (fewer, "the footer says 3 entries, here are 2"),
        (longer, "5 bytes between the last entry and what is behind"),
    ] {
        let mut parts = TableParts::open(&RealDisk, &place.path()).unwrap();
        assert!(parts.stated_entries().is_some());
        for _ in 0..2 {
            let part = parts.next().unwrap();
            assert!(matches!(part, Some(TablePart::Entry { .. })), "{part:?}");
        }
        let part = parts.next().unwrap();
        let is_told = matches!(&part, Some(TablePart::Damage { detail, .. }) if detail == told);
        assert!(is_told, "{part:?}");
        for _ in 0..2 {
            assert!(parts.next().unwrap().is_none(), "{told}");
        }
    }
}
