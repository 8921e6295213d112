//! Verifying one table.

use std::path::Path;

use super::report::{FileKind, FileReport, Finding, Severity};
use crate::storage::disk::Disk;
use crate::storage::error::{AtlasError, Result};
use crate::storage::file_name;
use crate::storage::table::{self, DamagedPlace, Inspection, Table, TableInfo};

/// Bytes of a key that are shown.
const SHOWN_KEY: usize = 64;

/// Reads a table and says what is wrong with it. `None`: there is no such file.
///
/// # Errors
/// `NewerFormat`.
pub(super) fn verify_table(
    disk: &dyn Disk,
    dir: &Path,
    info: &TableInfo,
    quick: bool,
) -> Result<Option<FileReport>> {
    let path = table::path(dir, info.number);
    let mut report = FileReport::new(&file_name::table(info.number), FileKind::Table, info.size);
    report.entries = Some(info.entries);
    report.tombstones = Some(info.tombstones);
    report.lsns = Some((info.min_lsn, info.max_lsn));
    let read = || {
        if quick {
            Table::open(disk, dir, info).map(drop)
        } else {
            table::read_back(disk, &path, info, &mut |_| Ok(())).map(drop)
        }
    };
    // Suspect bytes are read again before they are judged.
    let Err(error) = read().or_else(|_| read()) else {
        return Ok(Some(report));
    };
    if matches!(error, AtlasError::NewerFormat { .. }) {
        return Err(error);
    }
    match table::inspect(disk, &path, info) {
        Ok(inspection) => judge(&mut report, info, &error, inspection),
        Err(AtlasError::MissingFile { .. }) => return Ok(None),
        Err(AtlasError::NewerFormat { .. }) => return Err(error),
        Err(unreadable) => {
            let severity = Severity::Unreadable;
            report
                .findings
                .push(Finding::whole(severity, unreadable.to_string()));
        }
    }
    Ok(Some(report))
}

/// Says what the damage means: entries are lost, or they are all there and the file can be made anew.
fn judge(report: &mut FileReport, info: &TableInfo, error: &AtlasError, inspection: Inspection) {
    let (offset, detail) = match error {
        AtlasError::Corrupt { offset, detail, .. } => (Some(*offset), detail.clone()),
        AtlasError::MissingFile { detail, .. } => (None, detail.clone()),
        other => (None, other.to_string()),
    };
    let whole = |severity, detail| Finding {
        offset,
        ..Finding::whole(severity, detail)
    };
    if matches!(error, AtlasError::Io { .. }) {
        report.findings.push(whole(Severity::Unreadable, detail));
        return;
    }
    let Inspection {
        entries,
        tombstones,
        lsns,
        places,
    } = inspection;
    let expected = (
        info.entries,
        info.tombstones,
        Some((info.min_lsn, info.max_lsn)),
    );
    let is_complete = places.is_empty() && (entries, tombstones, lsns) == expected;
    report.entries = Some(entries);
    report.tombstones = Some(tombstones);
    report.lsns = lsns;
    if is_complete {
        let detail = format!("{detail}; every entry is whole: nothing is lost");
        report.findings.push(whole(Severity::Repairable, detail));
        return;
    }
    let lost = info.entries.saturating_sub(entries);
    let detail = format!("{detail}; {lost} of {} entries are lost", info.entries);
    let finding = whole(Severity::Loss, detail);
    report
        .findings
        .push(finding.with_lsns(info.min_lsn, info.max_lsn));
    report
        .findings
        .extend(places.iter().map(|place| damaged_place(place, info)));
}

fn damaged_place(place: &DamagedPlace, info: &TableInfo) -> Finding {
    let DamagedPlace {
        offset,
        end,
        after,
        detail,
        ..
    } = place;
    let detail = format!(
        "{detail}; no entry from here to offset {end}, {}",
        behind(after)
    );
    Finding::at(Severity::Loss, *offset, detail).with_lsns(info.min_lsn, info.max_lsn)
}

/// Which keys stood behind a place, in words.
fn behind(after: &[u8]) -> String {
    if after.is_empty() {
        return "at the table's begin".to_owned();
    }
    let shown = after.get(..SHOWN_KEY).unwrap_or(after);
    let more = if shown.len() < after.len() { "…" } else { "" };
    format!("behind the key \"{}{more}\"", shown.escape_ascii())
}
