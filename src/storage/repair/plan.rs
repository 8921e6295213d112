//! The plan of a repair, as data.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::storage::codec::Checksum;
use crate::storage::disk::count;
use crate::storage::manifest::{Manifest, Move};
use crate::storage::{DirEntry, Lsn, file_name};

const OBSOLETE: &str = "the manifest lists it as not needed; it is kept, for should the manifest not be the last, it \
                        may have what is lost";

/// What a repair comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepairOutcome {
    /// There is nothing to repair.
    Nothing,
    /// Everything that was ever durable is there afterwards.
    Lossless,
    /// Something is lost, and somebody must accept that.
    Loss,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileAction {
    /// It stays as it is.
    Keep,
    /// A new file gets what is sound in it, and it goes to quarantine.
    Rewrite,
    /// It goes to quarantine, or is not there: nothing in it is kept.
    SetAside,
}

/// A file that the manifest names, or that goes to quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedFile {
    /// Its name in the directory.
    pub name: String,
    /// What becomes of it.
    pub action: FileAction,
    /// Entries that are kept; `None` where they were not counted.
    pub kept_entries: Option<u64>,
    /// Why, a sentence.
    pub detail: String,
}

/// LSNs from `first` to `last`, both included; without `last` nobody knows where they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LsnSpan {
    /// The first.
    pub first: Lsn,
    /// The last.
    pub last: Option<Lsn>,
}

/// Keys between two others. `None`: nothing that is kept of the file lies on that side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpan {
    /// They lie above this key, which is kept.
    pub after: Option<Vec<u8>>,
    /// They lie below this key, which is kept.
    pub before: Option<Vec<u8>>,
}

/// Something that is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The file in which it stood.
    pub file: String,
    /// How many entries, where that is known.
    pub entries: Option<u64>,
    /// The writes: of the log exactly those, of a table some of them.
    pub lsns: Option<LsnSpan>,
    /// Where the lost entries of a table lay.
    pub keys: Vec<KeySpan>,
    /// What it means, a sentence.
    pub detail: String,
}

/// What a repair keeps, makes anew and loses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairPlan {
    /// What it comes to.
    pub outcome: RepairOutcome,
    /// Of the losses, in hexadecimal digits; the same losses have the same. `None` without losses.
    pub fingerprint: Option<String>,
    /// Every file concerned.
    pub files: Vec<PlannedFile>,
    /// Everything that is lost.
    pub losses: Vec<Loss>,
    /// What an operator should know besides, a sentence each.
    pub notes: Vec<String>,
    /// About how many bytes are written.
    pub bytes_to_write: u64,
    /// How many bytes go to quarantine.
    pub bytes_to_quarantine: u64,
}

/// What planning has found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) files: Vec<PlannedFile>,
    pub(super) losses: Vec<Loss>,
    pub(super) notes: Vec<String>,
    pub(super) bytes_to_write: u64,
    /// Why a file is taken for what it is, by its name.
    pub(super) reasons: BTreeMap<String, String>,
    /// Whether anything must be done.
    pub(super) is_damaged: bool,
}

impl Findings {
    /// Notes a file.
    pub(super) fn file(
        &mut self,
        name: String,
        action: FileAction,
        kept_entries: Option<u64>,
        detail: impl Into<String>,
    ) {
        let mut detail = detail.into();
        if let Some(reason) = self.reasons.get(&name) {
            detail = format!("{detail}; {reason}");
        }
        self.files.push(PlannedFile {
            name,
            action,
            kept_entries,
            detail,
        });
    }

    /// Notes a manifest of which one bit is set right.
    pub(super) fn mended(&mut self, bit: usize) {
        self.is_damaged = true;
        let detail = format!(
            "bit {} of byte {} is flipped: with it set right the checksum holds",
            bit % 8,
            bit / 8
        );
        let name = file_name::MANIFEST.to_owned();
        self.file(name, FileAction::Rewrite, None, detail);
    }

    /// Notes the files that go to quarantine and were not told yet.
    pub(super) fn set_aside(&mut self, manifest: &Manifest, files: &[DirEntry], moves: &[Move]) {
        self.is_damaged |= !moves.is_empty();
        for file in files {
            let goes = moves.iter().any(|it| it.from == file.name);
            if goes && !self.files.iter().any(|told| told.name == file.name) {
                let detail = match manifest.obsolete.contains(&file.name) {
                    true => OBSOLETE,
                    false => "the manifest does not name it: it holds no data",
                };
                self.file(file.name.clone(), FileAction::SetAside, None, detail);
            }
        }
    }

    pub(super) fn into_plan(self, files: &[DirEntry], moves: &[Move]) -> RepairPlan {
        let outcome = match (self.is_damaged, self.losses.is_empty()) {
            (false, _) => RepairOutcome::Nothing,
            (true, true) => RepairOutcome::Lossless,
            (true, false) => RepairOutcome::Loss,
        };
        let length = |name: &str| {
            let file = files.iter().find(|file| file.name == name);
            file.map_or(0, |file| file.length)
        };
        let manifest = length(file_name::MANIFEST);
        RepairPlan {
            outcome,
            fingerprint: (!self.losses.is_empty()).then(|| fingerprint(&self.losses)),
            files: self.files,
            losses: self.losses,
            notes: self.notes,
            // The manifest is copied and written anew.
            bytes_to_write: self.bytes_to_write + manifest * 2,
            bytes_to_quarantine: moves.iter().map(|it| length(&it.from)).sum::<u64>() + manifest,
        }
    }
}

/// Eight digits of everything that is named as lost, each field with its length before it.
fn fingerprint(losses: &[Loss]) -> String {
    let mut sum = Checksum::new();
    let mut add = |bytes: &[u8]| {
        let before = std::mem::take(&mut sum);
        sum = before.add_u64(count(bytes.len())).add(bytes);
    };
    let number = |number: Option<u64>| number.map_or_else(Vec::new, |it| it.to_le_bytes().to_vec());
    for loss in losses {
        add(loss.file.as_bytes());
        add(&number(loss.entries));
        add(&number(loss.lsns.map(|span| span.first.as_u64())));
        let last = loss.lsns.and_then(|span| span.last);
        add(&number(last.map(Lsn::as_u64)));
        add(&count(loss.keys.len()).to_le_bytes());
        for span in &loss.keys {
            add(span.after.as_deref().unwrap_or_default());
            add(span.before.as_deref().unwrap_or_default());
        }
        add(loss.detail.as_bytes());
    }
    format!("{:08x}", sum.finish())
}

impl Serialize for LsnSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let last = self.last.map(|last| last.to_string());
        [Some(self.first.to_string()), last].serialize(serializer)
    }
}

impl Serialize for KeySpan {
    /// A key that is UTF-8 stands under its name, any other as hexadecimal digits under `NAME_hex`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, hex_name, key) in [
            ("after", "after_hex", &self.after),
            ("before", "before_hex", &self.before),
        ] {
            let Some(key) = key else { continue };
            match std::str::from_utf8(key) {
                Ok(text) => map.serialize_entry(name, text)?,
                Err(_) => {
                    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
                    map.serialize_entry(hex_name, &digits)?;
                }
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss() -> Loss {
        Loss {
            file: "a".to_owned(),
            entries: Some(1),
            lsns: None,
            keys: vec![KeySpan {
                after: Some(b"k".to_vec()),
                before: None,
            }],
            detail: "gone".to_owned(),
        }
    }

    #[test]
    fn every_field_of_a_loss_is_in_the_fingerprint() {
        let span = LsnSpan {
            first: Lsn::from_u64(7),
            last: Some(Lsn::from_u64(9)),
        };
        let changes: [fn(&mut Loss); 5] = [
            |loss| loss.file.push('b'),
            |loss| loss.entries = None,
            |loss| loss.keys[0].before = Some(b"z".to_vec()),
            |loss| loss.keys.clear(),
            |loss| loss.detail.clear(),
        ];
        let before = fingerprint(&[loss()]);
        assert_eq!((before.len(), &before), (8, &fingerprint(&[loss()])));
        for change in changes {
            let mut other = loss();
            change(&mut other);
            assert_ne!(fingerprint(&[other]), before);
        }
        let with_lsns = Loss {
            lsns: Some(span),
            ..loss()
        };
        assert_ne!(fingerprint(&[with_lsns]), before);
        assert_ne!(fingerprint(&[loss(), loss()]), before);
    }
    #[test]
    fn why_a_file_is_taken_for_what_it_is_stands_behind_what_becomes_of_it() {
        let mut findings = Findings::default();
        let name = file_name::table(3);
        findings.reasons.insert(name.clone(), "live: so".to_owned());
        findings.file(name, FileAction::Keep, None, "whole");
        findings.file(file_name::table(4), FileAction::Keep, None, "whole");
        let told = findings.files.iter().map(|file| file.detail.as_str());
        assert_eq!(told.collect::<Vec<_>>(), ["whole; live: so", "whole"]);
    }
}
