//! The reader of a segment: where it looks, what it finds, where it ends.
#![expect(clippy::disallowed_methods, reason = "tests write segments by hand")]

use super::*;
use crate::storage::disk::RealDisk;
use crate::storage::wal::{Kind, NewEntry};

const HEADER: SegmentHeader = SegmentHeader {
    database_id: [7; 16],
    number: 3,
    nonce: 0xA5A5_5A5A_0102_0304,
    first_lsn: Lsn::from_u64(9),
};
const FROM: usize = HEADER_SIZE;

fn mark(lsn: u64, durable: u64) -> Vec<u8> {
    let new = NewEntry {
        lsn: Lsn::from_u64(lsn),
        kind: Kind::DurableMark,
        durable_lsn: Lsn::from_u64(durable),
        operations: &[],
    };
    let mut bytes = Vec::new();
    new.encode(HEADER.nonce, &mut bytes).unwrap();
    bytes
}

/// A segment of so many bytes behind its header, zeros but for these entries at these offsets.
fn segment(length: usize, entries: &[(usize, &[u8])]) -> SegmentReader {
    let mut bytes = vec![0; FROM + length];
    bytes[..FROM].copy_from_slice(&HEADER.encode());
    for (at, entry) in entries {
        bytes[*at..at + entry.len()].copy_from_slice(entry);
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(file_name::segment(3)), bytes).unwrap();
    SegmentReader::open(&RealDisk, home.path(), 3).unwrap()
}

/// What looking ahead finds, and the bytes that it passed each time.
fn look(reader: &mut SegmentReader, from: usize) -> (Remainder, Vec<u64>) {
    let mut passed = Vec::new();
    let found = reader.look_ahead(count(from), &mut |bytes| passed.push(bytes));
    (found.unwrap(), passed)
}

#[test]
fn an_entry_across_two_windows_is_found() {
    let entry = mark(40, 39);
    let end = FROM + WINDOW;
    // The nonce ends in the first window, lies across both, or begins in the second.
    for at in (end - ENTRY_NONCE_AT - 10)..=(end - ENTRY_NONCE_AT + 2) {
        let mut reader = segment(WINDOW + 100, &[(at, &entry)]);
        let found = Remainder {
            used_to: Some(count(at + entry.len())),
            first_entry: Some((count(at), Lsn::from_u64(40))),
            proof: Some((Lsn::from_u64(39), count(at))),
        };
        let passed = vec![count(WINDOW) - 7, 107];
        assert_eq!(look(&mut reader, FROM), (found, passed), "at {at}");
        let first = reader.find_entry(count(FROM)).unwrap();
        assert_eq!(first, Some(count(at)), "at {at}");
    }
}

#[test]
fn every_window_is_looked_at_once() {
    let last = |length: usize| {
        let mut reader = segment(length, &[]);
        let (found, passed) = look(&mut reader, FROM);
        assert_eq!(found, Remainder::default());
        assert_eq!(reader.find_entry(count(FROM)).unwrap(), None);
        assert_eq!(passed.iter().sum::<u64>(), count(length));
        passed.len()
    };
    assert_eq!([last(0), last(1), last(WINDOW)], [0, 1, 1]);
    assert_eq!([last(WINDOW + 1), last(3 * WINDOW)], [2, 4]);
}

#[test]
fn the_first_entry_and_the_highest_proof_are_told() {
    let (first, high, equal) = (mark(40, 10), mark(41, 30), mark(42, 30));
    let low = mark(43, 20);
    let places = [
        FROM,
        FROM + WINDOW + 9,
        FROM + 2 * WINDOW,
        FROM + 5 * WINDOW / 2,
    ];
    let entries = [first, high, equal, low];
    let placed: Vec<(usize, &[u8])> = places
        .into_iter()
        .zip(entries.iter().map(Vec::as_slice))
        .collect();
    let mut reader = segment(3 * WINDOW, &placed);
    let (found, _) = look(&mut reader, FROM);
    assert_eq!(found.first_entry, Some((count(FROM), Lsn::from_u64(40))));
    assert_eq!(found.proof, Some((Lsn::from_u64(30), count(places[1]))));
    // What begins before the place is not looked at, though its nonce stands behind it.
    let (found, _) = look(&mut reader, FROM + 1);
    let second = (count(places[1]), Lsn::from_u64(41));
    assert_eq!(found.first_entry, Some(second));
    let find = |reader: &mut SegmentReader, from| reader.find_entry(count(from)).unwrap();
    assert_eq!(find(&mut reader, FROM), Some(count(FROM)));
    assert_eq!(find(&mut reader, FROM + 1), Some(second.0));
    assert_eq!(find(&mut reader, places[3] + 1), None);
}

#[test]
fn entries_are_read_in_their_order_up_to_the_end() {
    let (one, two) = (mark(40, 10), mark(41, 11));
    let places = [(FROM, one.as_slice()), (FROM + one.len(), &two)];
    let length = one.len() + two.len();
    let mut reader = segment(length, &places);
    assert!(reader.next_if(Lsn::from_u64(41)).unwrap().is_none());
    let lsn = |entry: Option<Entry<'_>>| entry.map(|entry| entry.lsn.as_u64());
    assert_eq!(lsn(reader.next_if(Lsn::from_u64(40)).unwrap()), Some(40));
    assert_eq!(lsn(reader.next_any().unwrap()), Some(41));
    assert_eq!(reader.offset(), count(FROM + length));
    assert!(reader.next_any().unwrap().is_none());
    reader.seek(count(FROM + one.len()));
    reader.limit(count(FROM + length - 1));
    assert!(reader.next_any().unwrap().is_none(), "it passes the end");
}

/// The header's own checksum does not hold, and perhaps its nonce is wrong.
#[test]
fn a_segment_with_a_damaged_header_is_read_by_its_entries() {
    for nonce in [HEADER.nonce, 0] {
        let entry = mark(40, 10);
        let mut bytes = SegmentHeader { nonce, ..HEADER }.encode();
        bytes[FROM - 1] ^= 1;
        bytes.extend_from_slice(&entry);
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(file_name::segment(3));
        std::fs::write(&path, &bytes).unwrap();
        let (mut reader, damage) = SegmentReader::find(&RealDisk, &path).unwrap();
        assert!(damage.is_some());
        assert_eq!(reader.header().nonce, HEADER.nonce);
        assert_eq!(
            reader.next_any().unwrap().map(|entry| entry.lsn),
            Some(Lsn::from_u64(40))
        );
        std::fs::write(&path, &bytes[..FROM - 1]).unwrap();
        assert!(SegmentReader::find(&RealDisk, &path).is_err());
    }
}
