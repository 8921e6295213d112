//! Compacting a store that nobody has open: the room that it takes is checked before anything is changed,
//! then the store is recovered, merged and closed.
//!
//! Everything that changes the directory is the engine's own: recovery, one compaction of everything, the
//! clean end. Each becomes true with one durable manifest, so a crash leaves the old state or the new one.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::disk::{DirLock, Disk, count};
use super::error::{AtlasError, Result};
use super::examine::{self, Log};
use super::file_name::{self, FileName};
use super::manifest::Manifest;
use super::progress::Replaying;
use super::table::{Table, most_sections};
use super::{CompactionSummary, DirEntry, Engine, Options, RecoveryReport, recovery, verify};

/// The entry of an operation takes at most so many bytes more than the operation in the log.
pub(super) const TABLE_OVERHEAD: u64 = 32;
/// Room for what is not counted: blocks that are not full, names, a manifest that grows by a table.
const SPARE: u64 = 256 * 1024;

/// What compacting a store would do, and what it would take. Sizes are in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OfflinePlan {
    /// Tables there are.
    pub tables: u64,
    /// Bytes of these tables.
    pub table_bytes: u64,
    /// Entries of these tables, shadowed ones and tombstones included.
    pub entries: u64,
    /// Tombstones among them.
    pub tombstones: u64,
    /// What recovery would do first, a sentence each.
    pub recovery: Vec<String>,
    /// Whether there is nothing to do: at most one table, without tombstones, of the present format and
    /// with sound sections, and nothing to recover.
    pub compact: bool,
    /// What would be read of log and tables.
    pub bytes_to_read: u64,
    /// The most that must be free.
    pub bytes_needed: u64,
    /// What is free; `None`: the file system does not say.
    pub bytes_free: Option<u64>,
}

impl OfflinePlan {
    /// The refusal of a run that would not have enough room.
    #[must_use]
    pub fn refusal(&self, dir: &Path) -> Option<AtlasError> {
        let free = self.bytes_free?;
        let short = !self.compact && free < self.bytes_needed;
        short.then(|| AtlasError::NoRoom {
            path: dir.to_path_buf(),
            needed: self.bytes_needed,
            free,
        })
    }
}

/// Whoever waits for a compaction offline. `()` waits without a word.
pub trait OfflineWatch {
    /// Told before anything is changed.
    fn planned(&self, _plan: &OfflinePlan) {}

    /// Asked between pieces of work: `false` ends it, and all tables stay as they are.
    fn keep_going(&self) -> bool {
        true
    }
}

impl OfflineWatch for () {}

/// How a compaction offline ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfflineEnding {
    /// There was nothing to do, and nothing was touched.
    Untouched,
    /// Everything is in one table, or there is nothing.
    Compacted(RecoveryReport, CompactionSummary),
    /// It was to go on no longer. What a crash had left may have been recovered before.
    Interrupted(Option<RecoveryReport>),
}

/// What [`compact_offline`] would do. The directory is locked meanwhile, and nothing in it is changed
/// but the lock file. The log is read, and of tables header and footer; of a table alone the sections too.
///
/// # Errors
/// As [`compact_offline`], when it would refuse; a lack of room is told by [`OfflinePlan::refusal`].
pub fn plan_offline(disk: &dyn Disk, dir: &Path, options: &Options) -> Result<OfflinePlan> {
    let (plan, _lock) = judge(disk, dir, options)?;
    Ok(plan)
}

/// Recovers the store in `dir`, merges all its tables into one and closes it. It runs no threads of the
/// engine, whatever the options say.
///
/// # Errors
/// `InvalidOption` when the directory holds no store, `NoRoom` with nothing changed; as
/// [`Engine::open`], [`Engine::compact`] and [`Engine::close`].
pub fn compact_offline(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: Options,
    watch: &dyn OfflineWatch,
) -> Result<OfflineEnding> {
    let (plan, lock) = judge(&*disk, dir, &options)?;
    watch.planned(&plan);
    if plan.compact {
        return Ok(OfflineEnding::Untouched);
    }
    if let Some(refusal) = plan.refusal(dir) {
        return Err(refusal);
    }
    if !watch.keep_going() {
        return Ok(OfflineEnding::Interrupted(None));
    }
    let options = Options {
        background: false,
        ..options
    };
    let engine = Engine::open_locked(disk, dir, options, lock)?;
    let report = engine.recovery_report().clone();
    let compacted = engine.compact_while(&|| watch.keep_going());
    // What was recovered is worth a clean end, also when the merge was not to be.
    let closed = engine.close();
    match compacted {
        Ok(summary) => closed.map(|()| OfflineEnding::Compacted(report, summary)),
        Err(AtlasError::Closed) => closed.map(|()| OfflineEnding::Interrupted(Some(report))),
        Err(error) => Err(error),
    }
}

/// Locks the directory and judges what is in it, changing nothing.
fn judge(disk: &dyn Disk, dir: &Path, options: &Options) -> Result<(OfflinePlan, DirLock)> {
    options.check()?;
    // Before the lock, which makes a file: not in a directory that is no store.
    load(disk, dir)?;
    let lock = disk.lock(dir)?;
    let manifest = load(disk, dir)?;
    let mut is_worth_it = false;
    for info in &manifest.tables {
        let table = Table::open(disk, dir, info)?;
        let is_alone = manifest.tables.len() == 1 && info.tombstones == 0;
        is_worth_it |= !is_alone || table.is_to_be_made_anew()?;
    }
    let files = recovery::list(disk, dir)?;
    let mut progress = Replaying::new(options.events.as_ref());
    let log = examine::examine(disk, dir, &manifest, &files, &mut progress)?;
    let mut plan = plan(
        &manifest,
        &log,
        &files,
        (count(options.segment_size), is_worth_it),
    );
    plan.bytes_free = disk
        .free_space(dir)
        .map_err(|error| AtlasError::io("tell the free space of", dir, error))?;
    Ok((plan, lock))
}

fn load(disk: &dyn Disk, dir: &Path) -> Result<Manifest> {
    if let Some(manifest) = Manifest::load(disk, dir)? {
        return Ok(manifest);
    }
    let is_data = |file: &DirEntry| {
        let name = file_name::parse(&file.name);
        matches!(name, FileName::Table(_) | FileName::Segment(_))
    };
    if recovery::list(disk, dir)?.iter().any(is_data) {
        let path = dir.to_path_buf();
        return Err(AtlasError::MissingManifest { path });
    }
    Err(verify::no_store(dir))
}

fn plan(
    manifest: &Manifest,
    log: &Log,
    files: &[DirEntry],
    (segment_size, is_worth_it): (u64, bool),
) -> OfflinePlan {
    let tables = &manifest.tables;
    let table_bytes = tables.iter().map(|info| info.size).sum();
    let tombstones = tables.iter().map(|info| info.tombstones).sum();
    let recovery = recovery_work(manifest, log, files);
    let merges = log.operations > 0 || is_worth_it;
    let replayed: u64 = log
        .segments
        .iter()
        .map(|extent| extent.end - extent.start)
        .sum();
    let is_log = |file: &&DirEntry| matches!(file_name::parse(&file.name), FileName::Segment(_));
    let log_bytes: u64 = files.iter().filter(is_log).map(|file| file.length).sum();
    let input = if merges { table_bytes } else { 0 };
    OfflinePlan {
        tables: count(tables.len()),
        table_bytes,
        entries: tables.iter().map(|info| info.entries).sum(),
        tombstones,
        compact: !merges && recovery.is_empty(),
        recovery,
        bytes_to_read: log_bytes
            .saturating_add(replayed.saturating_mul(2))
            .saturating_add(input),
        bytes_needed: needed(manifest, log, (input, replayed), segment_size),
        bytes_free: None,
    }
}

/// The most bytes that are in use at a time beyond those in use now: the new segment and manifest, what
/// is kept of a torn tail, the log as tables, and those tables once more together with the old ones. The
/// old log may still be there until the end. The sections of the new table are made anew, those of tables of
/// version 1 for the first time, and beside the file they wait in another.
fn needed(manifest: &Manifest, log: &Log, (input, replayed): (u64, u64), segment_size: u64) -> u64 {
    let as_tables = replayed.saturating_add(log.operations.saturating_mul(TABLE_OVERHEAD));
    let cut = log.cut.as_ref().map_or(0, |cut| cut.end - cut.offset);
    let sections = most_sections(input.saturating_add(as_tables));
    let parts = [
        segment_size,
        count(manifest.encode().len()),
        cut,
        as_tables,
        most_sections(as_tables),
        as_tables,
        sections,
        sections,
        SPARE,
    ];
    parts
        .iter()
        .fold(input, |sum, part| sum.saturating_add(*part))
}

/// What recovery would find to do, a sentence each.
fn recovery_work(manifest: &Manifest, log: &Log, files: &[DirEntry]) -> Vec<String> {
    let mut sentences = Vec::new();
    if log.operations > 0 {
        let operations = log.operations;
        sentences.push(format!("operations to replay from the log: {operations}"));
    }
    if let Some(cut) = &log.cut {
        sentences.push(format!(
            "a torn tail of {} bytes to cut off the log: from LSN {} on nothing is provable",
            cut.end - cut.offset,
            cut.first_missing
        ));
    }
    let is_live = |file: &&DirEntry| match file_name::parse(&file.name) {
        FileName::Manifest | FileName::Lock | FileName::Quarantine => true,
        FileName::Table(number) => manifest.tables.iter().any(|info| info.number == number),
        // Of several segments all but one go.
        FileName::Segment(number) => {
            manifest.segments.len() == 1
                && manifest.segments.iter().any(|info| info.number == number)
        }
        // Held back by every store that was open, and made anew by each start.
        FileName::Temporary => file.name == file_name::RESERVE,
        FileName::Unknown => false,
    };
    let others: Vec<&str> = files
        .iter()
        .filter(|file| !is_live(file))
        .map(|file| file.name.as_str())
        .collect();
    if !others.is_empty() {
        sentences.push(format!(
            "files to remove or to set aside: {}",
            others.join(", ")
        ));
    }
    sentences.extend(log.notes.iter().cloned());
    sentences
}
