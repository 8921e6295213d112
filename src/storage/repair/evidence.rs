//! What there is to go by when the manifest is gone: what is left of it, and what names tell.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::PREFIX;
use crate::storage::disk::{self, Disk};
use crate::storage::error::{AtlasError, Result};
use crate::storage::file_name::{self, FileName};
use crate::storage::manifest::MAX_NUMBER;
use crate::storage::table::TableInfo;
use crate::storage::{DirEntry, QuarantinedFile, codec};

/// The largest record of a repair that is read.
const MAX_RECORD: u64 = 64 * 1024 * 1024;

/// What is left of a damaged manifest. Its checksum does not hold, so nothing in it is believed but what a
/// file bears out: the description of a table is some dozens of bytes with a random identity and a checksum
/// among them, and never stands there by chance.
#[derive(Debug, Default)]
pub(super) struct Remains(pub(super) Vec<u8>);

impl Remains {
    /// Whether the manifest named this table as live.
    pub(super) fn names(&self, info: &TableInfo) -> bool {
        let mut bytes = Vec::new();
        codec::encode(info, &mut bytes);
        self.has(&bytes)
    }

    /// Whether the manifest had this file's name: live ones stand there by their numbers, what is to be
    /// removed or moved away by its name.
    pub(super) fn lets_go(&self, name: &str) -> bool {
        self.has(name.as_bytes())
    }

    /// Whether the manifest had these bytes.
    pub(super) fn has(&self, bytes: &[u8]) -> bool {
        memchr::memmem::find(&self.0, bytes).is_some()
    }
}

/// The tables that a repair made before it was interrupted: while all its originals are there, they are not
/// data. Its record is durable before their names are.
pub(super) fn unfinished(
    disk: &dyn Disk,
    dir: &Path,
    files: &[DirEntry],
) -> Result<BTreeSet<String>> {
    let mut made = BTreeSet::new();
    for file in files.iter().filter(|file| is_record(&file.name)) {
        if file.length > MAX_RECORD {
            continue;
        }
        let path = dir.join(&file.name);
        let read = || {
            let mut bytes = vec![0; usize::try_from(file.length).unwrap_or(0)];
            let read = disk::read_full(&*disk.open(&path)?, &mut bytes, 0)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        let bytes = read().map_err(|error| AtlasError::io("read", &path, error))?;
        let Ok(record) = serde_json::from_slice::<Value>(&bytes) else {
            continue;
        };
        let is_there = |name: &str| files.iter().any(|file| file.name == name);
        let originals = texts(&record, "originals", Some("name"));
        if originals.iter().all(|name| is_there(name)) {
            made.extend(texts(&record, "made", None));
            // Those of the attempts before it.
            made.extend(texts(&record, "unfinished", None));
        }
    }
    Ok(made)
}

/// Whether this is the name of a repair's record.
pub(super) fn is_record(name: &str) -> bool {
    is_numbered(name, "json")
}

/// Whether this is the name of a repair's copy of the manifest.
pub(super) fn is_copy(name: &str) -> bool {
    is_numbered(name, file_name::MANIFEST)
}

fn is_numbered(name: &str, ending: &str) -> bool {
    let parts = name.strip_prefix(PREFIX).and_then(|it| it.split_once('.'));
    parts.is_some_and(|(number, rest)| {
        let has_digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        has_digits && rest == ending
    })
}

fn texts(record: &Value, list: &str, field: Option<&str>) -> Vec<String> {
    let list = record.get(list).and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(|it| {
        let text = field.map_or(Some(it), |field| it.get(field));
        text.and_then(Value::as_str).map(str::to_owned)
    });
    texts.collect()
}

/// The highest number that a file of the store has, or had before it went to quarantine.
pub(super) fn highest_number(files: &[DirEntry], kept: &[QuarantinedFile]) -> u64 {
    let here = files.iter().filter_map(|file| numbered(&file.name));
    let there = kept.iter().flat_map(|file| {
        // `NAME`, `NAME.from-OFFSET`, `repair-N.NAME`
        let words = file.name.split('.').collect::<Vec<_>>();
        let names = words
            .windows(2)
            .map(|pair| pair.join("."))
            .collect::<Vec<_>>();
        names.into_iter().filter_map(|name| numbered(&name))
    });
    let ours = here.chain(there).filter(|number| *number < MAX_NUMBER / 2);
    ours.max().unwrap_or(0)
}

fn numbered(name: &str) -> Option<u64> {
    match file_name::parse(name) {
        FileName::Table(number) | FileName::Segment(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_the_names_that_quarantine_gives() {
        let names = [
            "wal-000000000004.log",
            "wal-000000000007.log.from-4096",
            "repair-3.000000000009.sst",
            "notes.txt",
        ];
        for (names, highest) in [(&names[..1], 4), (&names[..2], 7), (&names[..], 9)] {
            let kept: Vec<QuarantinedFile> = names
                .iter()
                .map(|name| QuarantinedFile {
                    name: (*name).to_owned(),
                    bytes: 0,
                })
                .collect();
            assert_eq!(highest_number(&[], &kept), highest);
        }
    }

    #[test]
    fn a_record_is_known_by_its_name() {
        assert!(is_record("repair-12.json"));
        for name in [
            "repair-.txt",
            "repair-1.MANIFEST",
            "repair-x.json",
            "a.json",
        ] {
            assert!(!is_record(name), "{name}");
        }
    }
}
