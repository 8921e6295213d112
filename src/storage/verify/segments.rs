//! Verifying the log, also while a running store writes to it.
//!
//! The judgement is [`examine`]'s, the one that recovery would make. But a running store moves on
//! between two reads: what looked missing was not written yet. So a suspicion is examined again, with
//! a fresh manifest, and counts only when it stays the same. When instead, twice in a row, everything
//! that one examination knew to be durable is readable in the next, the log is sound up to there.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::report::{FileKind, FileReport, Finding, Severity};
use crate::storage::disk::Disk;
use crate::storage::error::{AtlasError, Result};
use crate::storage::examine::{self, Cut, Log, open_named};
use crate::storage::manifest::{Manifest, SegmentInfo};
use crate::storage::progress::Replaying;
use crate::storage::{Lsn, file_name, recovery};

/// How often the same suspicion is seen before it counts.
const SIGHTINGS: u32 = 5;
/// How often a suspicion must give way to a later one before the log counts as sound and moving.
const CLEARED: u32 = 2;
/// After so many examinations the log changes faster than it can be read.
const MOST: u32 = 500;
/// Between two sightings: a write that is under way is through by then.
const PAUSE: Duration = Duration::from_millis(10);

/// What became of the log.
pub(super) struct LogReport {
    /// The manifest that the judgement is about.
    pub(super) manifest: Manifest,
    /// The segments that it names.
    pub(super) segments: Vec<FileReport>,
    pub(super) last_lsn: Lsn,
    pub(super) durable_lsn: Lsn,
    pub(super) clean_shutdown: bool,
    /// Whether the log was written to meanwhile.
    pub(super) moved: bool,
    pub(super) notes: Vec<String>,
}

/// What an examination came to.
enum Seen {
    Sound(Log),
    Torn(Log, Cut),
    /// Synced data is damaged, or a file is missing, damaged or unreadable.
    Bad(AtlasError),
}

/// What makes two suspicions the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Suspicion {
    what: String,
    /// The first LSN that is missing, where one is.
    missing: Option<Lsn>,
    /// What must become readable for the suspicion to be gone.
    proven: Lsn,
}

/// Examines the log until the outcome can be relied on.
///
/// # Errors
/// `NewerFormat`; read errors of the directory or the manifest.
pub(super) fn verify_log(disk: &dyn Disk, dir: &Path, manifest: Manifest) -> Result<LogReport> {
    let mut manifest = manifest;
    let mut history = History::default();
    loop {
        let files = recovery::list(disk, dir)?;
        let seen = match examine::examine(disk, dir, &manifest, &files, &mut Replaying::new(None)) {
            Err(error @ AtlasError::NewerFormat { .. }) => return Err(error),
            Err(error) => Seen::Bad(error),
            Ok(log) => match log.cut.clone() {
                None => Seen::Sound(log),
                Some(cut) => Seen::Torn(log, cut),
            },
        };
        let seen = match history.note(&seen) {
            Next::Again => {
                thread::sleep(PAUSE);
                if let Some(newer) = Manifest::load(disk, dir)? {
                    manifest = newer;
                }
                continue;
            }
            Next::Believe => seen,
            Next::Dismiss => accept(seen),
        };
        return Ok(report(disk, dir, manifest, (seen, history.moved)));
    }
}

/// What to do after an examination.
enum Next {
    /// Look again.
    Again,
    /// It is as it was seen.
    Believe,
    /// The log is sound, and its end moves.
    Dismiss,
}

/// The suspicions so far.
#[derive(Debug, Default)]
struct History {
    last: Option<Suspicion>,
    /// How often the last one was seen in a row.
    sightings: u32,
    /// How often in a row a suspicion has given way to a later one.
    cleared: u32,
    examinations: u32,
    moved: bool,
}

impl History {
    fn note(&mut self, seen: &Seen) -> Next {
        self.examinations += 1;
        let last = self.last.take();
        let Some(now) = suspicion(seen) else {
            self.moved |= last.is_some();
            return Next::Believe;
        };
        if last.as_ref().is_some_and(|last| last.what == now.what) {
            self.sightings += 1;
        } else {
            self.moved |= last.is_some();
            self.sightings = 1;
            let cleared = last.is_some_and(|last| is_cleared(&last, &now));
            self.cleared = if cleared { self.cleared + 1 } else { 0 };
        }
        self.last = Some(now);
        if self.sightings >= SIGHTINGS {
            Next::Believe
        } else if self.cleared >= CLEARED || self.examinations >= MOST {
            Next::Dismiss
        } else {
            Next::Again
        }
    }
}

fn suspicion(seen: &Seen) -> Option<Suspicion> {
    match seen {
        Seen::Sound(_) => None,
        Seen::Torn(_, cut) => Some(Suspicion {
            what: format!("torn {} {} {}", cut.segment, cut.offset, cut.first_missing),
            missing: Some(cut.first_missing),
            // Nothing proves it; the write that was under way would be it.
            proven: cut.first_missing,
        }),
        Seen::Bad(AtlasError::SyncedDataDamaged {
            path,
            offset,
            missing,
            proven,
            ..
        }) => Some(Suspicion {
            what: format!("damaged {} {offset} {missing}", path.display()),
            missing: Some(*missing),
            proven: *proven,
        }),
        Seen::Bad(error) => Some(Suspicion {
            what: error.to_string(),
            missing: None,
            proven: Lsn::MAX,
        }),
    }
}

/// Whether everything that the earlier suspicion was about has been read since.
fn is_cleared(before: &Suspicion, now: &Suspicion) -> bool {
    before.missing.is_some() && now.missing.is_some_and(|missing| missing > before.proven)
}

/// The log as far as it was read, without the suspicion about its moving end.
fn accept(seen: Seen) -> Seen {
    let readable = match &seen {
        Seen::Bad(AtlasError::SyncedDataDamaged { missing, .. }) => missing.previous(),
        _ => Lsn::ZERO,
    };
    match seen {
        Seen::Torn(log, _) | Seen::Sound(log) => Seen::Sound(Log { cut: None, ..log }),
        Seen::Bad(_) => Seen::Sound(Log {
            segments: Vec::new(),
            last_lsn: readable,
            proven: readable,
            clean_shutdown: false,
            cut: None,
            operations: 0,
            unused: Vec::new(),
            notes: Vec::new(),
        }),
    }
}

fn report(
    disk: &dyn Disk,
    dir: &Path,
    manifest: Manifest,
    (seen, moved): (Seen, bool),
) -> LogReport {
    let segments = manifest
        .segments
        .iter()
        .map(|info| walk(disk, dir, &manifest, info));
    let mut report = LogReport {
        segments: segments.collect(),
        last_lsn: manifest.flushed_lsn,
        durable_lsn: manifest.durable_lsn,
        clean_shutdown: false,
        moved,
        notes: Vec::new(),
        manifest,
    };
    match seen {
        Seen::Sound(log) => {
            report.take(log);
            // The segments were counted a moment later.
            report.take_later_entries();
        }
        Seen::Torn(log, cut) => {
            report.take(log);
            let detail = format!(
                "a torn tail of {} bytes; nothing proves that LSN {} was ever synced: the next \
                 start cuts here and keeps the bytes in quarantine",
                cut.end - cut.offset,
                cut.first_missing
            );
            let finding = Finding::at(Severity::Torn, cut.offset, detail);
            let name = file_name::segment(cut.segment);
            report.find(
                &name,
                finding.with_lsns(cut.first_missing, cut.first_missing),
            );
        }
        Seen::Bad(error) => report.find_bad(dir, &error),
    }
    report
}

impl LogReport {
    fn take(&mut self, log: Log) {
        self.last_lsn = self.last_lsn.max(log.last_lsn);
        self.durable_lsn = self.durable_lsn.max(log.proven);
        self.clean_shutdown = log.clean_shutdown;
        self.notes = log.notes;
    }

    fn take_later_entries(&mut self) {
        let ends = self.segments.iter().filter_map(|segment| segment.lsns);
        if let Some((_, last)) = ends.max_by_key(|(_, last)| *last) {
            self.moved |= last > self.last_lsn;
            self.last_lsn = self.last_lsn.max(last);
        }
    }

    fn find(&mut self, name: &str, finding: Finding) {
        match self
            .segments
            .iter_mut()
            .find(|segment| segment.name == name)
        {
            Some(segment) => segment.findings.push(finding),
            None => {
                let mut segment = FileReport::new(name, FileKind::Segment, 0);
                segment.findings.push(finding);
                self.segments.push(segment);
            }
        }
    }

    fn find_bad(&mut self, dir: &Path, error: &AtlasError) {
        let (path, finding) = match error {
            AtlasError::SyncedDataDamaged {
                path,
                offset,
                missing,
                proven,
                proof,
            } => {
                let detail = format!(
                    "no valid entry with LSN {missing}, yet {proof} proves that everything up to \
                     LSN {proven} was synced"
                );
                self.last_lsn = missing.previous();
                let finding = Finding::at(Severity::Loss, *offset, detail);
                (path.clone(), finding.with_lsns(*missing, *proven))
            }
            AtlasError::Corrupt {
                path,
                offset,
                detail,
            } => (
                path.clone(),
                Finding::at(Severity::Loss, *offset, detail.clone()),
            ),
            AtlasError::MissingFile { path, detail } => {
                (path.clone(), Finding::whole(Severity::Loss, detail.clone()))
            }
            AtlasError::Io { path, .. } => (path.clone(), Finding::unreadable(error)),
            other => (
                dir.to_path_buf(),
                Finding::whole(Severity::Loss, other.to_string()),
            ),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.find(&name, finding);
    }
}

/// Counts the entries of a segment and tells damage in what tables cover. It does not judge the end.
fn walk(disk: &dyn Disk, dir: &Path, manifest: &Manifest, info: &SegmentInfo) -> FileReport {
    let name = file_name::segment(info.number);
    let mut report = FileReport::new(&name, FileKind::Segment, 0);
    let mut entries = 0;
    let mut next = info.first_lsn;
    let counted = (|| -> Result<()> {
        let mut reader = open_named(disk, dir, manifest, info)?;
        loop {
            if let Some(entry) = reader.next_if(next)? {
                entries += 1;
                let first = report.lsns.map_or(entry.lsn, |(first, _)| first);
                report.lsns = Some((first, entry.lsn));
                next = Lsn::from_u64(entry.lsn.as_u64().saturating_add(1));
                continue;
            }
            let at = reader.offset();
            if next > manifest.flushed_lsn {
                return Ok(());
            }
            let Some((offset, lsn)) = reader.look_ahead(at, &mut |_| {})?.first_entry else {
                return Ok(());
            };
            if lsn <= next {
                return Ok(());
            }
            let detail = format!("no valid entry from here to offset {offset}; tables cover it");
            let finding = Finding::at(Severity::Repairable, at, detail);
            report
                .findings
                .push(finding.with_lsns(next, lsn.previous()));
            reader.seek(offset);
            next = lsn;
        }
    })();
    // A segment that cannot be read has been told by the judgement of the log.
    if counted.is_ok() {
        report.entries = Some(entries);
    }
    report
}

/// Reads the headers of the segments only; returns the manifest that names them.
///
/// # Errors
/// `NewerFormat`; read errors of the manifest.
pub(super) fn verify_headers(
    disk: &dyn Disk,
    dir: &Path,
    mut manifest: Manifest,
) -> Result<(Manifest, Vec<FileReport>)> {
    loop {
        let mut reports = Vec::new();
        let mut is_missing = false;
        for info in &manifest.segments {
            let open = || open_named(disk, dir, &manifest, info).map(drop);
            let failure = open().or_else(|_| open()).err();
            is_missing |= matches!(failure, Some(AtlasError::MissingFile { .. }));
            reports.push(header_report(info, failure)?);
        }
        match Manifest::load(disk, dir)? {
            // A running store has gone on: what is missing may not be needed any more.
            Some(newer) if is_missing && newer.generation != manifest.generation => {
                manifest = newer;
            }
            _ => return Ok((manifest, reports)),
        }
    }
}

fn header_report(info: &SegmentInfo, failure: Option<AtlasError>) -> Result<FileReport> {
    let name = file_name::segment(info.number);
    let mut report = FileReport::new(&name, FileKind::Segment, 0);
    report.findings.extend(match failure {
        None => None,
        Some(error @ AtlasError::NewerFormat { .. }) => return Err(error),
        Some(AtlasError::Corrupt { offset, detail, .. }) => {
            Some(Finding::at(Severity::Loss, offset, detail))
        }
        Some(AtlasError::MissingFile { detail, .. }) => {
            Some(Finding::whole(Severity::Loss, detail))
        }
        Some(error) => Some(Finding::unreadable(&error)),
    });
    Ok(report)
}
