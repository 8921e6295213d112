//! `atlaskv-verify --dump` as a program, on the frozen bytes of `tests/golden`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::string_slice,
    missing_docs,
    reason = "test code"
)]

mod tools;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use tools::{VERIFY, code, stderr, stdout};

const SEGMENT: &str = "wal-000000000007.log";
const TABLE: &str = "000000000009.sst";
/// Bytes of a segment's header.
const HEADER: usize = 4096;
/// Where the second entry of the golden segment begins.
const SECOND: usize = HEADER + 51;

/// The bytes of a golden file: hexadecimal digits, comments left out.
fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let text = fs::read_to_string(path).unwrap();
    let words = text
        .lines()
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace());
    let digits: String = words.collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// The golden segment with the zeros that its file leaves out, and 1000 behind the last entry.
fn segment() -> Vec<u8> {
    let short = golden("segment_v1.hex");
    let mut bytes = short[..56].to_vec();
    bytes.resize(HEADER, 0);
    bytes.extend_from_slice(&short[56..]);
    bytes.extend_from_slice(&[0; 1000]);
    bytes
}

fn table() -> Vec<u8> {
    golden("table_v1.hex")
}

/// Makes the checksum of a table's footer fit what stands there now.
fn seal(table: &mut [u8]) {
    let footer = table.len() - 16;
    let offset = u64::try_from(footer).unwrap().to_le_bytes();
    let seen = [
        &table[8..16],
        &offset,
        &table[..16],
        &table[footer..footer + 8],
    ]
    .concat();
    table[footer + 8..footer + 12].copy_from_slice(&crc32fast::hash(&seen).to_le_bytes());
}

/// A directory with this file alone: no manifest, no lock.
fn place(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(name);
    fs::write(&path, bytes).unwrap();
    (home, path)
}

fn run(path: &Path, more: &[&str]) -> (i32, String, String) {
    let output = tools::run(VERIFY, &[more, &["--dump"]].concat(), path);
    (code(&output), stdout(&output), stderr(&output))
}

/// What is shown to people of a file with these bytes.
fn human(name: &str, bytes: &[u8]) -> (i32, String) {
    let (_home, path) = place(name, bytes);
    let (code, out, _) = run(&path, &[]);
    assert_eq!(fs::read(&path).unwrap(), bytes, "nothing is changed");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    (code, out)
}

fn lines(name: &str, bytes: &[u8]) -> (i32, Vec<Value>) {
    let (_home, path) = place(name, bytes);
    let (code, out, messages) = run(&path, &["--format", "json"]);
    assert_eq!(messages, "", "a program's format has no messages");
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.last().unwrap()["ok"], code == 0);
    (code, lines)
}

fn of_type(lines: &[Value], wanted: &str) -> Vec<Value> {
    let found = lines.iter().filter(|line| line["type"] == wanted);
    found.cloned().collect()
}

#[test]
fn a_segment_is_shown_as_it_stands() {
    let (code, out) = human(SEGMENT, &segment());
    let long = "x".repeat(64);
    let expected = format!(
        "segment {SEGMENT}: 5556 bytes, version 1, database 00112233445566778899aabbccddeeff, \
         number 7, nonce 0123456789abcdef, first LSN 2/1
offset 4096, LSN 2/1, operations, durable LSN 2/0
  put \"key\" = \"value\"
  delete \"gone\"
offset 4147, LSN 2/2, durable-mark, durable LSN 2/1
offset 4180, LSN 2/3, operations, durable LSN 2/2
  put \"long\" = \"{long}…\" (300 bytes)
offset 4523, LSN 2/4, clean-mark, durable LSN 2/3
offset 4556 to 5556: zeros to the end
4 entries, 0 damaged places
"
    );
    assert_eq!((code, out), (0, expected));
}

#[test]
fn a_table_is_shown_as_it_stands() {
    let expected =
        "table 000000000009.sst: 90 bytes, version 1, file id 0123456789abcdef, 3 entries
offset 16, LSN 1/1, \"a\" = \"value\"
offset 42, LSN 0/250, \"bb\", tombstone
offset 55, LSN 0/70000, \"\\xff\\xff\\xff\" = \"\"
3 entries, 0 damaged places
";
    assert_eq!(human(TABLE, &table()), (0, expected.to_owned()));
}

#[test]
fn a_table_with_sections_is_shown_as_one_without() {
    let expected =
        "table 000000000009.sst: 150 bytes, version 2, file id 0123456789abcdef, 3 entries
offset 16, LSN 1/1, \"a\" = \"value\"
offset 42, LSN 0/250, \"bb\", tombstone
offset 55, LSN 0/70000, \"\\xff\\xff\\xff\" = \"\"
3 entries, 0 damaged places
";
    let table = golden("table_v2.hex");
    assert_eq!(human(TABLE, &table), (0, expected.to_owned()));
}

#[test]
fn json_is_one_document_a_line_with_whole_values() {
    let (code, told) = lines(SEGMENT, &segment());
    assert_eq!((code, told.len()), (0, 7));
    assert_eq!(
        told[0],
        json!({"type": "segment", "name": SEGMENT, "bytes": 5556, "version": 1,
               "database_id": "00112233445566778899aabbccddeeff", "number": 7,
               "nonce": "0123456789abcdef", "first_lsn": "2/1"})
    );
    assert_eq!(
        told[1],
        json!({"type": "entry", "offset": 4096, "lsn": "2/1", "kind": "operations",
               "durable_lsn": "2/0", "operations": [
                   {"operation": "put", "key": "key", "value": "value"},
                   {"operation": "delete", "key": "gone"}]})
    );
    assert_eq!(told[3]["operations"][0]["value"], "x".repeat(300));
    assert_eq!(
        told[5],
        json!({"type": "rest", "offset": 4556, "to": 5556, "torn": false})
    );
    let end = json!({"ok": true, "entries": 4, "damaged_places": 0});
    assert_eq!(told[6], end);

    let (code, told) = lines(TABLE, &table());
    assert_eq!((code, told.len()), (0, 5));
    assert_eq!(
        told[0],
        json!({"type": "table", "name": TABLE, "bytes": 90, "version": 1,
               "file_id": "0123456789abcdef", "entries": 3})
    );
    assert_eq!(
        told[2],
        json!({"type": "entry", "offset": 42, "lsn": "0/250", "key": "bb", "tombstone": true})
    );
    assert_eq!(
        told[3],
        json!({"type": "entry", "offset": 55, "lsn": "0/70000", "key_hex": "ffffff", "value": "",
               "tombstone": false})
    );
}

#[test]
fn behind_a_flipped_bit_reading_goes_on_at_the_next_entry() {
    let mut bytes = segment();
    bytes[SECOND + 3] ^= 4;
    let (code, told) = lines(SEGMENT, &bytes);
    let damage = of_type(&told, "damage");
    assert_eq!((code, damage.len()), (3, 1));
    assert_eq!(
        (&damage[0]["offset"], &damage[0]["to"]),
        (&json!(4147), &json!(4180))
    );
    assert_eq!(of_type(&told, "entry").len(), 3);
    let last = told.last().unwrap();
    assert_eq!(last["error"]["code"], "damaged");
    assert_eq!(
        (&last["entries"], &last["damaged_places"]),
        (&json!(3), &json!(1))
    );

    let mut bytes = table();
    bytes[45] ^= 4;
    let (code, told) = lines(TABLE, &bytes);
    let damage = of_type(&told, "damage");
    assert_eq!((code, damage.len()), (3, 1));
    assert_eq!(
        (&damage[0]["offset"], &damage[0]["to"]),
        (&json!(42), &json!(55))
    );
    assert_eq!(of_type(&told, "entry").len(), 2);
    let (code, out) = human(TABLE, &bytes);
    assert_eq!(code, 3);
    assert!(out.contains("DAMAGE at offset 42 to 55: "), "{out}");
}

#[test]
fn entries_that_are_missing_without_a_trace_are_told() {
    let mut bytes = segment();
    bytes.drain(SECOND..SECOND + 33);
    let (code, told) = lines(SEGMENT, &bytes);
    let damage = of_type(&told, "damage");
    assert_eq!((code, of_type(&told, "entry").len()), (3, 3));
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0]["detail"], "LSN 2/3, where 2/2 should stand");

    for (stated, shown) in [(4, 3), (2, 2)] {
        let mut bytes = table();
        let footer = bytes.len() - 16;
        bytes[footer] = stated;
        seal(&mut bytes);
        let (code, told) = lines(TABLE, &bytes);
        assert_eq!((code, of_type(&told, "entry").len()), (3, shown));
        assert_eq!(of_type(&told, "damage").len(), 1, "{told:?}");
    }
}

#[test]
fn a_read_error_is_the_last_line() {
    // Nothing is mapped at address 0, so that reading there fails.
    let (code, out, _) = run(Path::new("/proc/self/mem"), &["--format", "json"]);
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (code, last["error"]["code"].as_str()),
        (6, Some("io-error"))
    );
}

#[test]
fn entries_are_shown_whatever_became_of_the_header() {
    for at in [0, 9, 13, 20, 33, 41, 49, 100] {
        let mut bytes = segment();
        bytes[at] ^= 1;
        let (code, told) = lines(SEGMENT, &bytes);
        assert_eq!(code, 3, "byte {at}");
        assert_eq!(of_type(&told, "entry").len(), 4, "byte {at}: {told:?}");
        assert_eq!(of_type(&told, "damage").len(), 1, "byte {at}: {told:?}");
    }
    // Of a table the file id is in every checksum: without it nothing checks.
    let length = table().len();
    for at in [0, 4, 6, length - 16, length - 8, length - 1] {
        let mut bytes = table();
        bytes[at] ^= 1;
        let (code, told) = lines(TABLE, &bytes);
        assert_eq!(code, 3, "byte {at}");
        assert_eq!(of_type(&told, "entry").len(), 3, "byte {at}: {told:?}");
        assert!(!of_type(&told, "damage").is_empty(), "byte {at}");
    }
}

#[test]
fn a_segment_that_ends_within_an_entry_has_a_torn_end() {
    let bytes = segment();
    let (code, told) = lines(SEGMENT, &bytes[..4530]);
    assert_eq!((code, of_type(&told, "entry").len()), (0, 3));
    assert_eq!(
        of_type(&told, "rest"),
        [json!({"type": "rest", "offset": 4523, "to": 4530, "torn": true})]
    );
    let (code, told) = lines(SEGMENT, &bytes[..100]);
    assert_eq!((code, told.len()), (3, 1));
}

#[test]
fn a_table_that_was_cut_off_is_damaged_wherever_it_was() {
    let bytes = table();
    for end in 4..bytes.len() {
        let (code, told) = lines(TABLE, &bytes[..end]);
        assert_eq!(code, 3, "cut at {end}");
        let whole = [42, 55, 74].iter().filter(|entry| **entry <= end).count();
        assert_eq!(of_type(&told, "entry").len(), whole, "cut at {end}");
    }
}

#[test]
fn what_is_no_file_of_a_store_is_wrong_use() {
    for bytes in [&b"some text"[..], b"", &[0; 5000]] {
        let (code, told) = lines("notes.txt", bytes);
        assert_eq!(
            (code, told[0]["error"]["code"].as_str()),
            (2, Some("usage"))
        );
    }
    let (home, path) = place(TABLE, &table());
    assert_eq!(run(home.path(), &[]).0, 2, "a directory");
    assert_eq!(run(&home.path().join("absent"), &[]).0, 2);
    for conflict in ["--quick", "--repair", "--threads=2"] {
        assert_eq!(run(&path, &[conflict]).0, 2, "{conflict}");
    }
}

#[test]
fn a_newer_format_is_not_read() {
    let mut bytes = segment();
    bytes[8] = 2;
    let sum = crc32fast::hash(&[&bytes[..12], &bytes[16..HEADER]].concat());
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    let (code, told) = lines(SEGMENT, &bytes);
    assert_eq!((code, told.len()), (7, 1));
    assert_eq!(told[0]["error"]["code"], "newer-format");

    let mut bytes = table();
    bytes[4] = 3;
    seal(&mut bytes);
    assert_eq!(lines(TABLE, &bytes).0, 7);
}

#[test]
fn a_bare_name_is_looked_for_in_the_directory_and_a_copy_may_have_any_name() {
    let (home, _) = place(TABLE, &table());
    let output = Command::new(VERIFY)
        .arg(home.path())
        .args(["--dump", TABLE])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(human("copy", &table()).0, 0);
    assert_eq!(human("copy", &segment()).0, 0);
    let (code, out) = human("wal-000000000008.log", &segment());
    assert_eq!(code, 3, "under another's name");
    assert!(out.contains("its header has file number 7"), "{out}");
}

#[test]
fn a_reader_that_goes_ends_it_quietly() {
    // Far more than a pipe holds, so that writing goes on after the reader has gone.
    let mut bytes = segment();
    bytes.truncate(HEADER);
    let entry = |counter: u64| {
        let lsn = ((2 << 44) + counter).to_le_bytes();
        let data = [&[2][..], &[0; 8], &0x0123_4567_89AB_CDEF_u64.to_le_bytes()].concat();
        let length = u32::try_from(data.len()).unwrap().to_le_bytes();
        let sum = crc32fast::hash(&[&lsn[..], &length, &data].concat());
        [&lsn[..], &sum.to_le_bytes(), &length, &data].concat()
    };
    bytes.extend((1..=20_000).flat_map(entry));
    let (_home, path) = place(SEGMENT, &bytes);
    assert_eq!(lines(SEGMENT, &bytes).1.len(), 20_002);
    let mut child = Command::new(VERIFY)
        .arg("--dump")
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(first.starts_with("segment "), "{first}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
