//! Verifying one table.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::VerifyOptions;
use super::report::{FileKind, FileReport, Finding, Severity, shown_key};
use crate::storage::counted;
use crate::storage::disk::Disk;
use crate::storage::error::{AtlasError, Result};
use crate::storage::file_name;
use crate::storage::table::{self, DamagedPlace, Inspection, Table, TableInfo};

/// Verifies several tables, some at the same time; the outcomes have the tables' order. Each thread takes
/// the next table when it is through with one, and holds buffers for one.
pub(super) fn verify_tables(
    (disk, dir): (&dyn Disk, &Path),
    tables: &[&TableInfo],
    options: VerifyOptions,
) -> Vec<Result<Option<FileReport>>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcomes = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(info) = tables.get(place) else {
                return outcomes;
            };
            outcomes.push((place, verify_table(disk, dir, info, options.quick)));
        }
    };
    let mut outcomes = thread::scope(|scope| {
        // The thread that asks is one of them; where no more can be made, it does all.
        let others = options.threads.min(tables.len()).saturating_sub(1);
        let others: Vec<_> = (0..others)
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut outcomes = work();
        for other in others {
            match other.join() {
                Ok(more) => outcomes.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outcomes
    });
    outcomes.sort_by_key(|(place, _)| *place);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Reads a table and says what is wrong with it. `None`: there is no such file.
///
/// # Errors
/// `NewerFormat`.
fn verify_table(
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
    report.keys = Some((info.min_key.clone(), info.max_key.clone()));
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
        Ok(inspection) => {
            report.bytes = length(disk, &path).unwrap_or(info.size);
            judge(&mut report, info, &error, inspection);
        }
        Err(AtlasError::MissingFile { .. }) => return Ok(None),
        Err(AtlasError::NewerFormat { .. }) => return Err(error),
        Err(unreadable) => {
            report.findings.push(Finding::unreadable(&unreadable));
        }
    }
    Ok(Some(report))
}

fn length(disk: &dyn Disk, path: &Path) -> Option<u64> {
    disk.open(path).and_then(|file| file.length()).ok()
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
        report.findings.push(Finding::unreadable(error));
        return;
    }
    let Inspection {
        entries,
        tombstones,
        lsns,
        places,
        more,
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
    let size = report.bytes;
    let compared = |finding: Finding| match (entries == info.entries, size == info.size) {
        (false, _) => finding.comparing(counted(info.entries, "entry"), counted(entries, "entry")),
        (true, false) => finding.comparing(counted(info.size, "byte"), counted(size, "byte")),
        (true, true) => finding,
    };
    if is_complete {
        let detail = format!("{detail}; every entry is whole: nothing is lost");
        let finding = compared(whole(Severity::Repairable, detail));
        report.findings.push(finding);
        return;
    }
    let lost = info.entries.saturating_sub(entries);
    let (entries, are) = (
        counted(info.entries, "entry"),
        if lost == 1 { "is" } else { "are" },
    );
    let detail = format!("{detail}; {lost} of {entries} {are} lost");
    let finding = compared(whole(Severity::Loss, detail))
        .with_lsns(info.min_lsn, info.max_lsn)
        .with_keys(&info.min_key, &info.max_key);
    report.findings.push(finding);
    report
        .findings
        .extend(places.iter().map(|place| damaged_place(place, info)));
    if more.places > 0 {
        let detail = format!("{} more damaged places behind these", more.places);
        let finding = Finding::whole(Severity::Loss, detail);
        report
            .findings
            .push(finding.with_lsns(info.min_lsn, info.max_lsn));
    }
}

fn damaged_place(place: &DamagedPlace, info: &TableInfo) -> Finding {
    let DamagedPlace {
        offset,
        end,
        after,
        before,
        detail,
        ..
    } = place;
    let detail = format!(
        "{detail}; no entry from here to offset {end}, {}",
        behind(after)
    );
    let or = |key: &'_ Vec<u8>, edge: &Vec<u8>| match key.is_empty() {
        true => edge.clone(),
        false => key.clone(),
    };
    Finding::at(Severity::Loss, *offset, detail)
        .with_lsns(info.min_lsn, info.max_lsn)
        .with_keys(&or(after, &info.min_key), &or(before, &info.max_key))
}

/// Which keys stood behind a place, in words.
fn behind(after: &[u8]) -> String {
    if after.is_empty() {
        return "at the table's begin".to_owned();
    }
    format!("behind the key {}", shown_key(after))
}
