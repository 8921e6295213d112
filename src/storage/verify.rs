//! Reading a data directory without changing it, and saying what is sound, torn or damaged.
//!
//! Everything is read through the engine's own readers, and the log is judged by the same judgement
//! that recovery makes. No lock is taken, so it works beside a running store: a file that has vanished
//! is looked up in a fresh manifest, and when that does not name it any more it is passed over; suspect
//! bytes are read again before they are judged; the end of the log is judged up to what was durable
//! when it was reached. `consistency` compares what no single file shows, `age` whether the
//! manifest is the last; `access` asks to whom the files belong.

mod access;
pub(super) mod age;
pub(super) mod consistency;
mod contents;
mod paced;
mod report;
mod segments;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use super::disk::{Disk, count};
use super::error::{AtlasError, Result};
use super::file_name::{self, FileName};
use super::manifest::Manifest;
use super::table::TableInfo;
use super::{DirEntry, Lsn, counted, quarantine, recovery};

pub use paced::Pace;
pub(crate) use paced::PacedDisk;
pub use report::{FileKind, FileReport, Finding, Severity, Verdict, VerifyReport, key_range};

/// How often tables may vanish before the store counts as changing faster than it can be read.
const MOST_CHANGES: u32 = 100;

const MADE_ANEW: &str =
    "atlaskv-verify --repair sets one flipped bit right, or makes it anew of the files";

/// What to verify.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Read only the manifest, and the headers and footers of the files that it names.
    pub quick: bool,
    /// Tables that are read at the same time; 0 is 1. Each takes memory of its own.
    pub threads: usize,
}

/// Verifies the store in `dir`, changing nothing. Damage is in the report, not an error.
///
/// # Errors
/// `InvalidOption` when the directory holds no store, `NewerFormat`, `Io` when the directory or the
/// manifest cannot be read.
pub fn verify(disk: &dyn Disk, dir: &Path, options: VerifyOptions) -> Result<VerifyReport> {
    let files = recovery::list(disk, dir)?;
    let mut report = VerifyReport::empty(options.quick);
    // A replacement of the manifest is atomic, so no reader ever sees half of one: what is bad twice
    // is bad.
    let manifest = match Manifest::load(disk, dir).or_else(|_| Manifest::load(disk, dir)) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => {
            without_manifest(&mut report, dir, &files)?;
            return Ok(report);
        }
        Err(AtlasError::Corrupt { offset, detail, .. }) => {
            let detail = format!("{detail}; {MADE_ANEW}");
            let finding = Finding::at(Severity::Loss, offset, detail);
            unknown_files(&mut report, &files, finding);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let verification = Verification {
        disk,
        dir,
        options,
        tables: BTreeMap::new(),
        report,
    };
    verification.run(manifest)
}

/// Bytes of the tables and segments in a directory: what there is to read, about. What cannot be listed
/// counts as nothing.
pub fn bytes_to_read(disk: &dyn Disk, dir: &Path) -> u64 {
    let files = disk.list(dir).unwrap_or_default();
    let read = files
        .iter()
        .filter(|file| is_read_whole(Path::new(&file.name)));
    read.map(|file| file.length).sum()
}

/// Whether a file of this name is a table or a segment, read from its first byte to its last.
pub(crate) fn is_read_whole(path: &Path) -> bool {
    let kind = path.extension();
    kind.is_some_and(|kind| kind == "sst" || kind == "log")
}

/// The refusal of a directory that holds neither a manifest nor data files.
pub(crate) fn no_store(dir: &Path) -> AtlasError {
    AtlasError::InvalidOption {
        option: "the directory",
        value: dir.display().to_string(),
        rule: "it holds no AtlasKV store (no MANIFEST, table or segment)".to_owned(),
    }
}

/// A directory without a manifest: no store at all, or one that has lost it.
fn without_manifest(report: &mut VerifyReport, dir: &Path, files: &[DirEntry]) -> Result<()> {
    let is_data = |file: &DirEntry| {
        matches!(
            file_name::parse(&file.name),
            FileName::Table(_) | FileName::Segment(_)
        )
    };
    if !files.iter().any(is_data) {
        return Err(no_store(dir));
    }
    let error = AtlasError::MissingManifest {
        path: dir.to_path_buf(),
    };
    unknown_files(
        report,
        files,
        Finding::whole(Severity::Loss, error.to_string()),
    );
    Ok(())
}

/// Reports all files of a directory whose manifest cannot be read: what they are worth is not known.
fn unknown_files(report: &mut VerifyReport, files: &[DirEntry], finding: Finding) {
    let length = |name: &str| {
        files
            .iter()
            .find(|file| file.name == name)
            .map_or(0, |file| file.length)
    };
    let bytes = length(file_name::MANIFEST);
    let mut manifest = FileReport::new(file_name::MANIFEST, FileKind::Manifest, bytes);
    manifest.findings.push(finding);
    report.files.push(manifest);
    for file in files {
        let kind = match file_name::parse(&file.name) {
            FileName::Manifest | FileName::Lock => continue,
            FileName::Table(_) => FileKind::Table,
            FileName::Segment(_) => FileKind::Segment,
            FileName::Temporary => temporary(file),
            FileName::Quarantine | FileName::Unknown => FileKind::Stray,
        };
        report
            .files
            .push(FileReport::new(&file.name, kind, file.length));
    }
    report.judge();
}

struct Verification<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    options: VerifyOptions,
    /// By file number, those read so far.
    tables: BTreeMap<u64, FileReport>,
    report: VerifyReport,
}

impl Verification<'_> {
    fn run(mut self, manifest: Manifest) -> Result<VerifyReport> {
        let generation = manifest.generation;
        let (manifest, segments) = self.log(manifest)?;
        let manifest = self.tables(manifest)?;
        let report = &mut self.report;
        report.database_id = manifest
            .database_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        report.epoch = manifest.epoch;
        report.flushed_lsn = manifest.flushed_lsn;
        report.durable_lsn = report.durable_lsn.max(manifest.durable_lsn);
        report.last_lsn = report.last_lsn.max(manifest.flushed_lsn);
        report.in_use |= manifest.generation != generation;
        self.files(&manifest, segments)?;
        self.quarantine()?;
        self.report.judge();
        Ok(self.report)
    }

    /// Judges the log; returns the manifest that names it, and its segments.
    fn log(&mut self, manifest: Manifest) -> Result<(Manifest, Vec<FileReport>)> {
        if self.options.quick {
            return segments::verify_headers(self.disk, self.dir, manifest);
        }
        let log = segments::verify_log(self.disk, self.dir, manifest)?;
        self.report.last_lsn = log.last_lsn;
        self.report.durable_lsn = log.durable_lsn;
        self.report.clean_shutdown = log.clean_shutdown;
        self.report.in_use = log.moved;
        self.report.notes.extend(log.notes);
        Ok((log.manifest, log.segments))
    }

    /// Reads every table that the manifest names; when one has vanished, those that a newer manifest
    /// names. Returns the manifest whose tables have all been read.
    fn tables(&mut self, mut manifest: Manifest) -> Result<Manifest> {
        for _ in 0..MOST_CHANGES {
            let Some(vanished) = self.read_tables(&manifest)? else {
                return Ok(manifest);
            };
            match Manifest::load(self.disk, self.dir)? {
                Some(newer) if newer.generation != manifest.generation => manifest = newer,
                _ => {
                    let name = file_name::table(vanished);
                    let mut report = FileReport::new(&name, FileKind::Table, 0);
                    let detail = "the manifest names it, but it is not there".to_owned();
                    let finding = Finding::whole(Severity::Loss, detail);
                    let info = manifest.tables.iter().find(|info| info.number == vanished);
                    report.findings.push(match info {
                        Some(info) => finding.with_lsns(info.min_lsn, info.max_lsn),
                        None => finding,
                    });
                    self.tables.insert(vanished, report);
                }
            }
        }
        let note = "tables are replaced faster than they can be read: not all were verified";
        self.report.notes.push(note.to_owned());
        Ok(manifest)
    }

    /// Reads the tables that have not been read yet; the number of the first that is not there.
    fn read_tables(&mut self, manifest: &Manifest) -> Result<Option<u64>> {
        let unread = manifest.tables.iter();
        let unread = unread.filter(|info| !self.tables.contains_key(&info.number));
        let unread: Vec<&TableInfo> = unread.collect();
        let outcomes = tables::verify_tables((self.disk, self.dir), &unread, self.options);
        let mut vanished = None;
        for (info, outcome) in unread.into_iter().zip(outcomes) {
            match outcome? {
                Some(report) => drop(self.tables.insert(info.number, report)),
                None => vanished = vanished.or(Some(info.number)),
            }
        }
        Ok(vanished)
    }

    /// Lists every file of the directory with what was found in it.
    fn files(&mut self, manifest: &Manifest, segments: Vec<FileReport>) -> Result<()> {
        let mut reports: BTreeMap<String, FileReport> = BTreeMap::new();
        for info in &manifest.tables {
            reports.extend(
                self.tables
                    .remove(&info.number)
                    .map(|report| (report.name.clone(), report)),
            );
        }
        reports.extend(
            segments
                .into_iter()
                .map(|report| (report.name.clone(), report)),
        );
        // First the listing, then the manifest: what a running store has made and named in between is
        // then named.
        let listing = recovery::list(self.disk, self.dir)?;
        let latest = Manifest::load(self.disk, self.dir)?;
        self.report.in_use |= latest
            .as_ref()
            .is_none_or(|latest| latest.generation != manifest.generation);
        let latest = latest.as_ref().unwrap_or(manifest);
        for file in &listing {
            if file_name::parse(&file.name) == FileName::Lock {
                continue;
            }
            let report = reports
                .entry(file.name.clone())
                .or_insert_with(|| unread(latest, file));
            report.bytes = file.length;
        }
        self.report.files = reports.into_values().collect();
        self.judge_manifest(latest, &listing)?;
        self.look_at_each();
        Ok(())
    }

    /// What the manifest says against itself, and against what the other files are for.
    fn judge_manifest(&mut self, manifest: &Manifest, listing: &[DirEntry]) -> Result<()> {
        let mut findings = consistency::check(manifest);
        if !self.options.quick {
            findings.extend(age::check(self.disk, self.dir, manifest, listing)?);
        }
        let mut files = self.report.files.iter_mut();
        if let Some(file) = files.find(|file| file.kind == FileKind::Manifest) {
            file.findings.extend(findings);
        }
        Ok(())
    }

    /// What is asked of every file, whatever it is.
    fn look_at_each(&mut self) {
        let (disk, dir) = (self.disk, self.dir);
        for file in &mut self.report.files {
            let path = dir.join(&file.name);
            // The reserve is not opened: its room must be free the moment it is needed.
            if file.kind == FileKind::Reserve {
                continue;
            }
            file.version = contents::version(disk, &path);
            if !self.options.quick && !file.is_live() {
                file.findings.extend(contents::read_error(disk, &path));
            }
        }
        let findings = access::check(disk, dir, &mut self.report.files);
        self.report.notes.extend(findings);
    }

    fn quarantine(&mut self) -> Result<()> {
        let kept = quarantine::list(self.disk, self.dir)?;
        if !kept.is_empty() {
            let bytes: u64 = kept.iter().map(|file| file.bytes).sum();
            self.report.notes.push(format!(
                "quarantine/ holds {} of {}, which an earlier start or a repair set aside",
                counted(count(kept.len()), "file"),
                counted(bytes, "byte")
            ));
        }
        if !self.options.quick {
            let home = file_name::quarantine(self.dir);
            for file in &kept {
                let error = contents::read_error(self.disk, &home.join(&file.name));
                self.report.notes.extend(
                    error.map(|finding| format!("quarantine/{}: {}", file.name, finding.detail)),
                );
            }
        }
        self.report.quarantine = kept;
        Ok(())
    }
}

fn temporary(file: &DirEntry) -> FileKind {
    if file.name == file_name::RESERVE {
        FileKind::Reserve
    } else {
        FileKind::Temporary
    }
}

/// What is said of a file that was not read.
fn unread(manifest: &Manifest, file: &DirEntry) -> FileReport {
    let named = match file_name::parse(&file.name) {
        FileName::Manifest => Some(FileKind::Manifest),
        FileName::Temporary => Some(temporary(file)),
        // A running store has made it meanwhile.
        FileName::Table(_) if manifest.is_live(&file.name) => Some(FileKind::Table),
        FileName::Segment(_) if manifest.is_live(&file.name) => Some(FileKind::Segment),
        _ => None,
    };
    if let Some(kind) = named {
        return FileReport::new(&file.name, kind, file.length);
    }
    if manifest.obsolete.contains(&file.name) {
        return FileReport::new(&file.name, FileKind::Obsolete, file.length);
    }
    let is_ours = !matches!(
        file_name::parse(&file.name),
        FileName::Unknown | FileName::Quarantine
    );
    let kind = if is_ours {
        FileKind::Orphan
    } else {
        FileKind::Stray
    };
    let mut report = FileReport::new(&file.name, kind, file.length);
    let detail = "the manifest does not name it; the next start moves it to quarantine";
    report.findings.push(Finding::whole(Severity::Note, detail));
    report
}

impl VerifyReport {
    fn empty(quick: bool) -> VerifyReport {
        VerifyReport {
            verdict: Verdict::Sound,
            quick,
            database_id: String::new(),
            epoch: 0,
            flushed_lsn: Lsn::ZERO,
            durable_lsn: Lsn::ZERO,
            last_lsn: Lsn::ZERO,
            clean_shutdown: false,
            in_use: false,
            files: Vec::new(),
            quarantine: Vec::new(),
            notes: Vec::new(),
        }
    }
}
