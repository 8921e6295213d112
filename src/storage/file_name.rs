//! The one home of every file name in a data directory, both directions.

use std::path::{Path, PathBuf};

/// The snapshot of what is live.
pub(crate) const MANIFEST: &str = "MANIFEST";
/// Locked by whoever may write to the directory; holds its process number and program name.
pub(crate) const LOCK: &str = "LOCK";
/// Holds room back for a full disk; see `reserve`. Its ending makes it a temporary file.
pub(crate) const RESERVE: &str = "RESERVE.tmp";
/// Where recovery puts what it does not know or had to cut.
pub(crate) const QUARANTINE: &str = "quarantine";
/// The ending of a file that is not yet finished; recovery removes these.
const TEMPORARY: &str = ".tmp";

/// A name in a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileName {
    /// `MANIFEST`
    Manifest,
    /// `LOCK`
    Lock,
    /// `quarantine`
    Quarantine,
    /// `wal-NNNNNNNNNNNN.log`: a segment of the log, by its file number.
    Segment(u64),
    /// `NNNNNNNNNNNN.sst`: a table, by its file number.
    Table(u64),
    /// Ends in `.tmp`: not finished, removed by recovery.
    Temporary,
    /// Anything else: not ours, or not any more.
    Unknown,
}

/// The name of the segment with this file number.
#[must_use]
pub(crate) fn segment(number: u64) -> String {
    format!("wal-{number:012}.log")
}

/// The name of the table with this file number.
#[must_use]
pub(crate) fn table(number: u64) -> String {
    format!("{number:012}.sst")
}

/// The name under which `name` is written until it is finished.
#[must_use]
pub(crate) fn temporary(name: &str) -> String {
    format!("{name}{TEMPORARY}")
}

/// The quarantine of a data directory.
#[must_use]
pub(crate) fn quarantine(dir: &Path) -> PathBuf {
    dir.join(QUARANTINE)
}

/// What a name in a data directory is. Only names exactly as we write them are ours.
#[must_use]
pub(crate) fn parse(name: &str) -> FileName {
    if name.ends_with(TEMPORARY) {
        return FileName::Temporary;
    }
    match name {
        MANIFEST => return FileName::Manifest,
        LOCK => return FileName::Lock,
        QUARANTINE => return FileName::Quarantine,
        _ => {}
    }
    if let Some(number) = name.strip_suffix(".sst").and_then(file_number) {
        return exactly(name, &table(number), FileName::Table(number));
    }
    let middle = name
        .strip_prefix("wal-")
        .and_then(|rest| rest.strip_suffix(".log"));
    match middle.and_then(file_number) {
        Some(number) => exactly(name, &segment(number), FileName::Segment(number)),
        None => FileName::Unknown,
    }
}

/// Whether this names a file in a directory and leads nowhere else.
#[must_use]
pub(crate) fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

/// Whether a file of this name may be removed or moved because a manifest says so.
#[must_use]
pub(crate) fn may_go(name: &str) -> bool {
    is_plain(name) && !matches!(name, MANIFEST | LOCK | QUARANTINE)
}

fn file_number(digits: &str) -> Option<u64> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

fn exactly(name: &str, written: &str, parsed: FileName) -> FileName {
    if name == written {
        parsed
    } else {
        FileName::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for number in [0, 1, 999_999_999_999, 1_000_000_000_000, u64::MAX] {
            assert_eq!(parse(&segment(number)), FileName::Segment(number));
            assert_eq!(parse(&table(number)), FileName::Table(number));
            assert_eq!(parse(&temporary(&table(number))), FileName::Temporary);
        }
        assert_eq!(parse(MANIFEST), FileName::Manifest);
        assert_eq!(parse(LOCK), FileName::Lock);
        assert_eq!(parse(QUARANTINE), FileName::Quarantine);
        assert_eq!(parse(RESERVE), FileName::Temporary);
    }

    #[test]
    fn nothing_is_read_leniently() {
        let strays = [
            "",
            ".sst",
            "1.sst",
            "+00000000001.sst",
            "0000000000001.sst",
            "wal-1.log",
            "wal-.log",
            "wal-000000000001.LOG",
            "000000000001.sst ",
            ".DS_Store",
            "MANIFEST.old",
            "lost+found",
            "99999999999999999999999.sst",
        ];
        for name in strays {
            assert_eq!(parse(name), FileName::Unknown, "{name}");
        }
    }
}
