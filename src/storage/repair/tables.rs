//! Which tables must be made anew, and what is lost of them.

use std::path::Path;

use super::plan::{FileAction, Findings, KeySpan, Loss, LsnSpan};
use crate::storage::disk::{Disk, count};
use crate::storage::error::{AtlasError, Result};
use crate::storage::manifest::Manifest;
use crate::storage::table::{self, Salvaged, TableInfo};
use crate::storage::{DirEntry, file_name};

/// What a reader of older data must expect.
const CONSEQUENCE: &str =
    "for these keys an older value may show again, or a deleted key come back";

/// A table that is made anew, or given up.
#[derive(Debug)]
pub(super) struct TablePlan {
    pub(super) info: TableInfo,
    /// Entries that can still be read.
    pub(super) kept: u64,
}

/// Reads every table that the manifest names.
pub(super) fn plan(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    files: &[DirEntry],
    findings: &mut Findings,
) -> Result<Vec<TablePlan>> {
    let mut plans = Vec::new();
    for info in &manifest.tables {
        let (name, path) = (file_name::table(info.number), table::path(dir, info.number));
        let error = match table::read_back(disk, &path, info, &mut |_| Ok(())) {
            Ok(_) => {
                let (action, entries) = (FileAction::Keep, Some(info.entries));
                findings.file(name, action, entries, "every entry is whole");
                continue;
            }
            Err(error @ (AtlasError::Corrupt { .. } | AtlasError::MissingFile { .. })) => error,
            Err(error) => return Err(error),
        };
        findings.is_damaged = true;
        let is_there = files.iter().any(|file| file.name == name);
        let salvaged = if is_there {
            table::survey(disk, &path, info)?
        } else {
            Salvaged::default()
        };
        let kept = salvaged.inspection.entries;
        findings.losses.extend(loss(&name, info, &salvaged));
        findings.bytes_to_write += if kept > 0 { info.size } else { 0 };
        let action = if kept > 0 {
            FileAction::Rewrite
        } else {
            FileAction::SetAside
        };
        findings.file(name, action, Some(kept), why(&error, info));
        let info = info.clone();
        plans.push(TablePlan { info, kept });
    }
    Ok(plans)
}

/// How many entries a table had, where that is known.
pub(super) fn known_entries(info: &TableInfo) -> Option<u64> {
    Some(info.entries).filter(|entries| *entries != table::UNKNOWN_ENTRIES)
}

fn why(error: &AtlasError, info: &TableInfo) -> String {
    if known_entries(info).is_none() {
        return "it is damaged, and nothing tells how many entries it had".to_owned();
    }
    match error {
        AtlasError::Corrupt { offset, detail, .. } => format!("at offset {offset}: {detail}"),
        AtlasError::MissingFile { detail, .. } => detail.clone(),
        other => other.to_string(),
    }
}

/// What is lost of a damaged table; `None` when every entry is whole.
fn loss(name: &str, info: &TableInfo, salvaged: &Salvaged) -> Option<Loss> {
    let found = &salvaged.inspection;
    let keys = salvaged.keys.as_ref();
    let as_named = (found.entries, found.tombstones, found.lsns)
        == (
            info.entries,
            info.tombstones,
            Some((info.min_lsn, info.max_lsn)),
        );
    let (first, last) = (&info.min_key, &info.max_key);
    if as_named && keys.is_some_and(|keys| (&keys.0, &keys.1) == (first, last)) {
        return None;
    }
    let known = known_entries(info);
    let lost = known.map(|entries| entries.saturating_sub(found.entries));
    let key = |key: &[u8]| (!key.is_empty()).then(|| key.to_vec());
    let places = found.places.iter().map(|place| KeySpan {
        after: key(&place.after),
        before: key(&place.before),
    });
    let mut spans: Vec<KeySpan> = places.collect();
    if found.more.places > 0
        && let Some(span) = spans.last_mut()
    {
        span.before = key(&found.more.before);
    }
    let may_be_cut = known.is_none() && spans.last().is_some_and(|span| span.before.is_some());
    if spans.is_empty() || may_be_cut {
        // It ends before its time, where an entry would have begun.
        spans.push(KeySpan {
            after: keys.map(|(_, last)| last.clone()),
            before: None,
        });
    }
    let range = format!(
        "keys from \"{}\" to \"{}\"",
        first.escape_ascii(),
        last.escape_ascii()
    );
    let detail = if found.entries == 0 {
        format!("all {} entries, {range}: {CONSEQUENCE}", info.entries)
    } else {
        let places = count(spans.len()) + found.more.places;
        // What is not told one by one is in what is accepted all the same.
        let more = match found.more.places {
            0 => String::new(),
            _ => format!(
                ", the last of which stands for {} ({:08x})",
                found.more.places + 1,
                found.more.checksum()
            ),
        };
        match lost {
            Some(lost) => format!(
                "{lost} of {} entries, in {places} places{more} of a table with {range}: {CONSEQUENCE}",
                info.entries
            ),
            None => format!(
                "nothing tells how many entries, in at least {places} places{more} of a table with {range} \
                 and perhaps others: {CONSEQUENCE}"
            ),
        }
    };
    Some(Loss {
        file: name.to_owned(),
        entries: lost,
        lsns: Some(LsnSpan {
            first: info.min_lsn,
            last: Some(info.max_lsn),
        }),
        keys: spans,
        detail,
    })
}
