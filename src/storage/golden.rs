//! The bytes of segments and of the manifest are frozen: a change of format is a visible difference in
//! `tests/golden`. (Tables have their own, beside their module.)

use super::manifest::{Manifest, Move, SegmentEnd, SegmentInfo};
use super::table::TableInfo;
use super::wal::{Kind, NewEntry, SegmentHeader, decode_entry};
use super::{Lsn, Operation};

const DATABASE_ID: [u8; 16] = [
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF,
];
const NONCE: u64 = 0x0123_4567_89AB_CDEF;

/// A golden file's bytes: hexadecimal, spaces and `# comments` left out.
fn golden(text: &str) -> String {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lsn(epoch: u32, counter: u64) -> Lsn {
    Lsn::from_u64(Lsn::epoch_start(epoch).as_u64() + counter)
}

#[test]
fn the_bytes_of_a_segment_are_frozen() {
    let header = SegmentHeader {
        database_id: DATABASE_ID,
        number: 7,
        nonce: NONCE,
        first_lsn: lsn(2, 1),
    };
    let block = header.encode();
    assert_eq!(block.len(), 4096);
    assert!(block[56..].iter().all(|byte| *byte == 0));
    let operations = [
        Operation::Put {
            key: b"key",
            value: b"value",
        },
        Operation::Delete { key: b"gone" },
        Operation::Put {
            key: b"long",
            value: &[b'x'; 300],
        },
    ];
    let mut bytes = block[..56].to_vec();
    for (counter, kind, operations) in [
        (1, Kind::Operations, &operations[..2]),
        (2, Kind::DurableMark, &[]),
        (3, Kind::Operations, &operations[2..]),
        (4, Kind::CleanMark, &[]),
    ] {
        let mut entry = Vec::new();
        let new = NewEntry {
            lsn: lsn(2, counter),
            kind,
            durable_lsn: lsn(2, counter - 1),
            operations,
        };
        new.encode(NONCE, &mut entry).unwrap();
        assert_eq!(decode_entry(&entry, NONCE).unwrap().operations, operations);
        bytes.extend_from_slice(&entry);
    }
    assert_eq!(
        hex(&bytes),
        golden(include_str!("../../tests/golden/segment_v1.hex"))
    );
}

#[test]
fn the_bytes_of_the_manifest_are_frozen() {
    let manifest = Manifest {
        database_id: DATABASE_ID,
        generation: 300,
        next_file_number: 9,
        epoch: 2,
        past_epochs: vec![lsn(1, 1000)],
        flushed_lsn: lsn(2, 5),
        durable_lsn: lsn(2, 8),
        tables: vec![TableInfo {
            number: 4,
            file_id: NONCE,
            size: 4711,
            checksum: 0xCAFE_F00D,
            entries: 42,
            tombstones: 2,
            min_key: b"a".to_vec(),
            max_key: b"zz".to_vec(),
            min_lsn: lsn(1, 3),
            max_lsn: lsn(2, 5),
        }],
        segments: vec![
            SegmentInfo {
                number: 6,
                nonce: NONCE,
                first_lsn: lsn(2, 6),
                size: 8192,
                closed: Some(SegmentEnd {
                    offset: 5000,
                    last_lsn: lsn(2, 9),
                }),
            },
            SegmentInfo {
                number: 8,
                nonce: 1,
                first_lsn: lsn(2, 10),
                size: 4096,
                closed: None,
            },
        ],
        obsolete: ["wal-000000000003.log".to_owned()].into(),
        moves: vec![Move {
            from: "stray".to_owned(),
            to: "stray.1".to_owned(),
        }],
    };
    let text = include_str!("../../tests/golden/manifest_v1.hex");
    assert_eq!(hex(&manifest.encode()), golden(text));
}
