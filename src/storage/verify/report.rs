//! What verifying found, as data.

use serde::{Serialize, Serializer};

use crate::storage::Lsn;

/// How bad a finding is, from harmless to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// To know, and nothing to do.
    Note,
    /// A torn tail of the log: recovery cuts it by itself.
    Torn,
    /// Damage that can be repaired without loss.
    Repairable,
    /// The disk does not give the bytes: nobody knows.
    Unreadable,
    /// Damage that cannot be repaired without loss.
    Loss,
}

/// The worst of all findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing is wrong.
    Sound,
    /// The log ends in a torn tail, which recovery cuts by itself.
    TornTail,
    /// Damage, but all data can still be read.
    Repairable,
    /// The disk failed to read something.
    Unreadable,
    /// Damage, and data is lost.
    Damaged,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// The manifest.
    Manifest,
    /// A table that the manifest names.
    Table,
    /// A segment of the log that the manifest names.
    Segment,
    /// Nothing needs it any more; it is about to be removed.
    Obsolete,
    /// Never finished; the next start removes it.
    Temporary,
    /// Named like a file of the store, but the manifest does not know it.
    Orphan,
    /// No file of the store.
    Stray,
}

/// One thing that was found in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where in the file, in bytes; `None`: the file as a whole.
    pub offset: Option<u64>,
    /// The LSNs concerned, first and last, as far as they are known.
    #[serde(serialize_with = "range_text")]
    pub lsns: Option<(Lsn, Lsn)>,
    /// What is wrong and what it means.
    pub detail: String,
}

/// A file and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its name in the directory.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Its bytes.
    pub bytes: u64,
    /// Valid entries; `None` where they were not counted.
    pub entries: Option<u64>,
    /// Tombstones among the entries of a table.
    pub tombstones: Option<u64>,
    /// The lowest and the highest LSN of its entries.
    #[serde(serialize_with = "range_text")]
    pub lsns: Option<(Lsn, Lsn)>,
    /// What is wrong with it; empty: nothing.
    pub findings: Vec<Finding>,
}

/// What verifying a directory found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The worst of all findings.
    pub verdict: Verdict,
    /// Whether only manifest, headers and footers were read.
    pub quick: bool,
    /// The store's identity, 32 hexadecimal digits; empty without a manifest.
    pub database_id: String,
    /// The epoch of the last start.
    pub epoch: u32,
    /// Everything up to here is in tables.
    #[serde(serialize_with = "text")]
    pub flushed_lsn: Lsn,
    /// Everything up to here is proven to have been synced.
    #[serde(serialize_with = "text")]
    pub durable_lsn: Lsn,
    /// The last LSN that recovery would find; after `quick`, the flushed one.
    #[serde(serialize_with = "text")]
    pub last_lsn: Lsn,
    /// Whether the log ends with a clean shutdown.
    pub clean_shutdown: bool,
    /// Whether the store was written to meanwhile.
    pub in_use: bool,
    /// Every file of the directory, by name.
    pub files: Vec<FileReport>,
    /// What an operator should know besides, a sentence each.
    pub notes: Vec<String>,
}

impl Finding {
    /// A finding about a place in a file.
    pub(super) fn at(severity: Severity, offset: u64, detail: impl Into<String>) -> Finding {
        Finding {
            severity,
            offset: Some(offset),
            lsns: None,
            detail: detail.into(),
        }
    }

    /// A finding about a file as a whole.
    pub(super) fn whole(severity: Severity, detail: impl Into<String>) -> Finding {
        Finding {
            severity,
            offset: None,
            lsns: None,
            detail: detail.into(),
        }
    }

    pub(super) fn with_lsns(mut self, first: Lsn, last: Lsn) -> Finding {
        self.lsns = Some((first, last));
        self
    }
}

impl FileReport {
    pub(super) fn new(name: &str, kind: FileKind, bytes: u64) -> FileReport {
        FileReport {
            name: name.to_owned(),
            kind,
            bytes,
            entries: None,
            tombstones: None,
            lsns: None,
            findings: Vec::new(),
        }
    }

    /// The worst finding in this file.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

impl VerifyReport {
    /// The verdict that follows from the files' findings.
    pub(super) fn judge(&mut self) {
        let worst = self.files.iter().filter_map(FileReport::worst).max();
        self.verdict = match worst {
            None | Some(Severity::Note) => Verdict::Sound,
            Some(Severity::Torn) => Verdict::TornTail,
            Some(Severity::Repairable) => Verdict::Repairable,
            Some(Severity::Unreadable) => Verdict::Unreadable,
            Some(Severity::Loss) => Verdict::Damaged,
        };
    }
}

/// An LSN as `epoch/counter`: as a number it would not survive a reader that keeps floating point.
fn text<S: Serializer>(lsn: &Lsn, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(lsn)
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn range_text<S: Serializer>(lsns: &Option<(Lsn, Lsn)>, serializer: S) -> Result<S::Ok, S::Error> {
    let texts = lsns.map(|(first, last)| [first.to_string(), last.to_string()]);
    texts.serialize(serializer)
}
