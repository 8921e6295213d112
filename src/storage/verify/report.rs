//! What verifying found, as data.

use serde::{Serialize, Serializer};

use crate::storage::{AtlasError, Lsn, QuarantinedFile};

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
    /// Room held back for a full disk: its bytes mean nothing, and it may be missing.
    Reserve,
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
    /// The keys concerned lie between these two, as far as they are known.
    #[serde(serialize_with = "key_texts")]
    pub keys: Option<(Vec<u8>, Vec<u8>)>,
    /// What should be there, where that is a number or a name.
    pub expected: Option<String>,
    /// What is there instead.
    pub found: Option<String>,
    /// What is wrong and what it means.
    pub detail: String,
    /// What it means for the data, in a few words.
    pub meaning: String,
    /// Of what is unreadable: the disk may be well, but whoever verifies may not read it.
    #[serde(skip)]
    pub refused: bool,
}

/// A file and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its name in the directory.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// The format version that its header states; `None` where it states none.
    pub version: Option<u32>,
    /// Its bytes.
    pub bytes: u64,
    /// Valid entries; `None` where they were not counted.
    pub entries: Option<u64>,
    /// Tombstones among the entries of a table.
    pub tombstones: Option<u64>,
    /// The lowest and the highest LSN of its entries.
    #[serde(serialize_with = "range_text")]
    pub lsns: Option<(Lsn, Lsn)>,
    /// The first and the last key of a table.
    #[serde(serialize_with = "key_texts")]
    pub keys: Option<(Vec<u8>, Vec<u8>)>,
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
    /// What stands in `quarantine/`.
    pub quarantine: Vec<QuarantinedFile>,
    /// What an operator should know besides, a sentence each.
    pub notes: Vec<String>,
}

impl Finding {
    /// A finding about a place in a file.
    pub(super) fn at(severity: Severity, offset: u64, detail: impl Into<String>) -> Finding {
        Finding {
            offset: Some(offset),
            ..Finding::whole(severity, detail)
        }
    }

    /// A finding about a file as a whole.
    pub(super) fn whole(severity: Severity, detail: impl Into<String>) -> Finding {
        Finding {
            severity,
            offset: None,
            lsns: None,
            keys: None,
            expected: None,
            found: None,
            detail: detail.into(),
            meaning: String::new(),
            refused: false,
        }
    }

    /// A file that the disk does not give, or the operating system not to us.
    pub(super) fn unreadable(error: &AtlasError) -> Finding {
        Finding {
            refused: error.is_refusal(),
            ..Finding::whole(Severity::Unreadable, error.to_string())
        }
    }

    pub(super) fn with_lsns(mut self, first: Lsn, last: Lsn) -> Finding {
        self.lsns = Some((first, last));
        self
    }

    pub(super) fn with_keys(mut self, first: &[u8], last: &[u8]) -> Finding {
        self.keys = Some((first.to_vec(), last.to_vec()));
        self
    }

    /// With what should be there and what is.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers, and texts that were made for it"
    )]
    pub(super) fn comparing(mut self, expected: impl ToString, found: impl ToString) -> Finding {
        self.expected = Some(expected.to_string());
        self.found = Some(found.to_string());
        self
    }

    /// What it means for the data.
    fn tell_meaning(&mut self) {
        let which = match (self.lsns, &self.keys) {
            (None, None) => "it is not known which".to_owned(),
            (None, Some(keys)) => format!("keys {}", key_range(keys)),
            (Some((first, last)), None) => format!("LSN {first} to {last}"),
            (Some((first, last)), Some(keys)) => {
                format!("keys {}, LSN {first} to {last}", key_range(keys))
            }
        };
        self.meaning = match self.severity {
            Severity::Note | Severity::Repairable => "nothing is lost".to_owned(),
            Severity::Torn => "nothing is lost that was proven to be synced".to_owned(),
            Severity::Unreadable if self.refused => {
                format!("not known, for it may not be read: {which}")
            }
            Severity::Unreadable => format!("not known, for the disk does not give it: {which}"),
            Severity::Loss => format!("lost within: {which}"),
        };
    }
}

impl FileReport {
    pub(super) fn new(name: &str, kind: FileKind, bytes: u64) -> FileReport {
        FileReport {
            name: name.to_owned(),
            kind,
            version: None,
            bytes,
            entries: None,
            tombstones: None,
            lsns: None,
            keys: None,
            findings: Vec::new(),
        }
    }

    /// Whether the manifest, or a name that it names.
    pub(super) fn is_live(&self) -> bool {
        matches!(
            self.kind,
            FileKind::Manifest | FileKind::Table | FileKind::Segment
        )
    }

    /// The worst finding in this file.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

impl VerifyReport {
    /// Whether all that was not read was refused to whoever verifies: the disk may be well.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let findings = self.files.iter().flat_map(|file| &file.findings);
        let mut unread = findings.filter(|finding| finding.severity == Severity::Unreadable);
        unread.all(|finding| finding.refused)
    }

    /// The verdict that follows from the files' findings.
    pub(super) fn judge(&mut self) {
        let findings = self.files.iter_mut().flat_map(|file| &mut file.findings);
        findings.for_each(Finding::tell_meaning);
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

/// Bytes of a key that are shown in a sentence.
const SHOWN_KEY: usize = 64;

/// A key in a sentence: its bytes escaped, and not all of a long one.
pub(super) fn shown_key(key: &[u8]) -> String {
    let shown = key.get(..SHOWN_KEY).unwrap_or(key);
    let more = if shown.len() < key.len() { "…" } else { "" };
    format!("\"{}{more}\"", shown.escape_ascii())
}

/// Two keys in a sentence.
#[must_use]
pub fn key_range((first, last): &(Vec<u8>, Vec<u8>)) -> String {
    format!("{} to {}", shown_key(first), shown_key(last))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn key_texts<S: Serializer>(
    keys: &Option<(Vec<u8>, Vec<u8>)>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let texts = keys
        .as_ref()
        .map(|(first, last)| [first, last].map(|key| key.escape_ascii().to_string()));
    texts.serialize(serializer)
}
