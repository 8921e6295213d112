//! Recovery: from what a crash left to a store that can serve.
//!
//! 1. The manifest is read, and synced with its directory: reading it back proves nothing about the
//!    disk. Every table and segment that it names must be there.
//! 2. The log is examined ([`examine`]). Until here nothing was changed, and a refusal leaves the
//!    directory as it was.
//! 3. What the log holds is written to new, synced tables; a new segment is made. Memory may show
//!    bytes of the old segments that never reached the disk, so nothing depends on those any more.
//! 4. A new manifest opens the next epoch: it names the new tables and the new segment, lists the old
//!    segments as obsolete, and lists the moves to quarantine. It is the one point of no return. Until then
//!    the old manifest lists the new files as obsolete.
//! 5. Deletions and moves follow; they can be repeated.
//!
//! On a disk that has no room for this, room is made first ([`relief`]), by steps of the same kind.
//!
//! A crash at any step leaves either the old manifest or the new one, so recovery can be interrupted
//! again and again with the same result.

mod relief;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::cache::BlockCache;
use super::disk::{self, Disk, count};
use super::error::{AtlasError, Result};
use super::event::ReplayStep;
use super::examine::{self, Cut, Log};
use super::file_name::{self, FileName};
use super::manifest::{self, Manifest, Move, SegmentInfo};
use super::progress::Replaying;
use super::quarantine::{self, Quarantine};
use super::replay::Replay;
use super::reserve::{self, Held};
use super::table::{self, Index, Table, TableInfo};
use super::wal::SegmentHeader;
use super::wal::reader::SegmentReader;
use super::wal::writer::SegmentWriter;
use super::{DirEntry, Lsn, Options};
use relief::Relief;

/// What a start found and did: the honest report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecoveryReport {
    /// Whether the directory was made by this start.
    pub created: bool,
    /// Whether the last run ended with a clean shutdown.
    pub clean_shutdown: bool,
    /// The epoch this start opened.
    pub epoch: u32,
    /// Segments read.
    pub segments: u64,
    /// Operations replayed from the log.
    pub replayed_operations: u64,
    /// The last LSN that was recovered.
    pub last_lsn: Lsn,
    /// Where a torn tail was cut: from this LSN on nothing is provable. `None`: nothing was cut.
    pub cut_from: Option<Lsn>,
    /// Bytes that were cut and are kept in quarantine.
    pub cut_bytes: u64,
    /// Files that were moved to quarantine.
    pub quarantined: Vec<String>,
    /// What an operator should know besides, a sentence each.
    pub notes: Vec<String>,
}

/// A recovered store, ready to serve.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) manifest: Manifest,
    /// Live tables, newest first.
    pub(crate) tables: Vec<Arc<Table>>,
    /// Theirs.
    pub(crate) cache: Arc<BlockCache>,
    /// The segment that takes writes.
    pub(crate) segment: SegmentWriter,
    pub(crate) report: RecoveryReport,
    /// What is held back for a full disk.
    pub(crate) held: Held,
    /// What found the disk full, if there was no room to hold back.
    pub(crate) full: Option<AtlasError>,
}

/// Recovers the store in `dir`, whose lock the caller holds. Where the disk has no room for all that the log
/// holds, [`relief`] makes some, and recovery begins anew.
pub(crate) fn recover(disk: &dyn Disk, dir: &Path, options: &Options) -> Result<Recovered> {
    let mut relief = Relief::default();
    loop {
        if let Some(mut recovered) = attempt(disk, dir, options, &mut relief)? {
            relief.report(&mut recovered.report);
            return Ok(recovered);
        }
    }
}

/// `None`: the disk was full, and there is more room now.
fn attempt(
    disk: &dyn Disk,
    dir: &Path,
    options: &Options,
    relief: &mut Relief,
) -> Result<Option<Recovered>> {
    let files = list(disk, dir)?;
    let (manifest, created) = load_or_create(disk, dir, &files)?;
    Manifest::sync_loaded(disk, dir)?;
    let cache = BlockCache::new(options.cache_size);
    let mut tables = Vec::with_capacity(manifest.tables.len());
    for info in &manifest.tables {
        tables.push(Table::open_cached(disk, dir, info, (&cache, None))?);
    }
    let mut progress = Replaying::new(options.events.as_ref());
    let log = examine::examine(disk, dir, &manifest, &files, &mut progress)?;

    remove_temporaries(disk, dir, &files)?;
    let place = (disk, dir, &cache);
    let mut recovery = Recovery::new(place, options, manifest, &files, progress);
    recovery.report.created = created;
    let (segment, new_tables) = match recovery.make_next(&log, &files) {
        Ok(made) => made,
        Err(error) => {
            recovery.discard(&error);
            let start = (recovery.durable, &log, files.as_slice());
            return relief.make_room((disk, dir), options, start, error);
        }
    };
    recovery.clean_up()?;
    tables.splice(0..0, new_tables);
    let (held, full) = hold_back(disk, dir, options, &mut recovery.report.notes);
    Ok(Some(Recovered {
        manifest: recovery.manifest,
        tables,
        cache,
        segment,
        report: recovery.report,
        held,
        full,
    }))
}

/// Holds room back for a full disk. Nothing depends on it, so no failure keeps the store from serving.
fn hold_back(
    disk: &dyn Disk,
    dir: &Path,
    options: &Options,
    notes: &mut Vec<String>,
) -> (Held, Option<AtlasError>) {
    match reserve::hold(disk, dir, options, reserve::size(options)) {
        Ok(Held::Never) => {
            let what = "no room is held back for a full disk: the file system cannot preallocate";
            notes.push(what.to_owned());
            (Held::Never, None)
        }
        Ok(held) => (held, None),
        Err(error) if error.is_out_of_space() => (Held::Nothing, Some(error)),
        Err(error) => {
            notes.push(format!("no room is held back for a full disk: {error}"));
            (Held::Never, None)
        }
    }
}

/// The regular files of a data directory.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<DirEntry>> {
    let mut files = disk
        .list(dir)
        .map_err(|error| AtlasError::io("list", dir, error))?;
    files.retain(|file| file.is_file);
    Ok(files)
}

/// Reads the manifest, or makes the first one of a directory that holds nothing.
fn load_or_create(disk: &dyn Disk, dir: &Path, files: &[DirEntry]) -> Result<(Manifest, bool)> {
    if let Some(manifest) = Manifest::load(disk, dir)? {
        return Ok((manifest, false));
    }
    for file in files {
        match file_name::parse(&file.name) {
            FileName::Table(_) | FileName::Segment(_) => {
                return Err(AtlasError::MissingManifest {
                    path: dir.to_path_buf(),
                });
            }
            FileName::Unknown => {
                let name = file.name.clone();
                return Err(AtlasError::NotAStore {
                    path: dir.to_path_buf(),
                    name,
                });
            }
            _ => {}
        }
    }
    let random = || {
        disk.random()
            .map_err(|error| AtlasError::io("make an identity for", dir, error))
    };
    let mut database_id = [0; 16];
    let halves = random()?
        .to_le_bytes()
        .into_iter()
        .chain(random()?.to_le_bytes());
    database_id
        .iter_mut()
        .zip(halves)
        .for_each(|(byte, random)| *byte = random);
    let manifest = Manifest::new(database_id);
    manifest.store(disk, dir)?;
    Ok((manifest, true))
}

/// Removes what was never finished. It holds nothing that anything depends on.
pub(crate) fn remove_temporaries(disk: &dyn Disk, dir: &Path, files: &[DirEntry]) -> Result<()> {
    for file in files {
        if file_name::parse(&file.name) == FileName::Temporary {
            let path = dir.join(&file.name);
            match disk.remove(&path) {
                // Making the first manifest has taken its own temporary file away already.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(AtlasError::io("remove", &path, error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// A number that an interrupted run took but never made durable may still stand on a file.
pub(crate) fn pass_taken_numbers(next: &mut Manifest, files: &[DirEntry]) {
    for file in files {
        let (FileName::Table(number) | FileName::Segment(number)) = file_name::parse(&file.name)
        else {
            continue;
        };
        // A file with a higher one is a stranger's, and must not use them up.
        if number >= manifest::MAX_NUMBER / 2 {
            continue;
        }
        next.next_file_number = next.next_file_number.max(number.saturating_add(1));
    }
}

/// Removes the files with these numbers, which an attempt made that ended with `error`; not when the
/// manifest that names them may be the durable one.
pub(crate) fn discard_new(disk: &dyn Disk, dir: &Path, numbers: Range<u64>, error: &AtlasError) {
    if error.leaves_outcome_open() {
        return;
    }
    for number in numbers {
        for name in [file_name::table(number), file_name::segment(number)] {
            // Most are not there; the first failure is the one to tell.
            let _ = disk.remove(&dir.join(file_name::temporary(&name)));
            let _ = disk.remove(&dir.join(name));
        }
    }
}

/// Before files with these numbers get their names: makes it durable that such files are obsolete, until a manifest
/// names them. Interrupted in between, they are no strays, which would be kept and take their room.
fn announce(
    disk: &dyn Disk,
    dir: &Path,
    durable: &mut Manifest,
    numbers: Range<u64>,
) -> Result<()> {
    let mut next = durable.clone();
    next.generation += 1;
    next.next_file_number = next.next_file_number.max(numbers.end);
    let names = numbers.flat_map(|number| [file_name::table(number), file_name::segment(number)]);
    next.obsolete.extend(names);
    next.store(disk, dir).inspect_err(|_| {
        // What is left of it takes room, and is nothing's last copy; the first failure is the one to tell.
        let left = file_name::temporary(file_name::MANIFEST);
        let _ = disk.remove(&dir.join(left));
    })?;
    *durable = next;
    Ok(())
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    options: &'a Options,
    /// The manifest in force.
    durable: Manifest,
    /// The manifest that is being made.
    manifest: Manifest,
    /// Files made by this start have this number or a higher one.
    first_new_number: u64,
    /// Tables made of the log, oldest first, still under their temporary names.
    new_tables: Vec<(TableInfo, Index)>,
    /// Of the tables.
    cache: Arc<BlockCache>,
    report: RecoveryReport,
    progress: Replaying<'a>,
}

impl<'a> Recovery<'a> {
    fn new(
        (disk, dir, cache): (&'a dyn Disk, &'a Path, &Arc<BlockCache>),
        options: &'a Options,
        mut manifest: Manifest,
        files: &[DirEntry],
        progress: Replaying<'a>,
    ) -> Recovery<'a> {
        let durable = manifest.clone();
        pass_taken_numbers(&mut manifest, files);
        let report = RecoveryReport::default();
        Recovery {
            disk,
            dir,
            options,
            durable,
            first_new_number: manifest.next_file_number,
            manifest,
            new_tables: Vec::new(),
            cache: Arc::clone(cache),
            report,
            progress,
        }
    }

    /// Makes the new state and the manifest that names it.
    fn make_next(
        &mut self,
        log: &Log,
        files: &[DirEntry],
    ) -> Result<(SegmentWriter, Vec<Arc<Table>>)> {
        self.replay(log)?;
        self.set_aside(log, files)?;
        self.commit(log)
    }

    /// Removes the files that a failed attempt made: on a full disk each further start would find less
    /// room. Not when the manifest that names them may be the durable one.
    fn discard(&self, error: &AtlasError) {
        let numbers = self.first_new_number..self.manifest.next_file_number;
        discard_new(self.disk, self.dir, numbers, error);
    }

    /// Writes what the log holds to new tables.
    fn replay(&mut self, log: &Log) -> Result<()> {
        self.report.segments = count(log.segments.len() + log.unused.len());
        self.report.last_lsn = log.last_lsn;
        self.report.clean_shutdown = log.clean_shutdown;
        self.report.notes.clone_from(&log.notes);
        let bytes = log.segments.iter().map(|extent| extent.end - extent.start);
        self.progress
            .begin(ReplayStep::Writing, log.segments.len(), bytes.sum());
        let mut replay = Replay::new(self.disk, self.dir, self.options.memtable_size);
        for extent in &log.segments {
            self.progress.next_segment();
            let reader = SegmentReader::open(self.disk, self.dir, extent.number)?;
            replay.extent(reader, extent, &mut self.manifest, &mut self.progress)?;
        }
        let replayed = replay.finish(&mut self.manifest, &mut self.progress)?;
        self.report.replayed_operations = replayed.operations;
        self.new_tables = replayed.tables;
        self.progress.finish();
        Ok(())
    }

    /// Decides for each file that is not live whether it is deleted or kept in quarantine.
    fn set_aside(&mut self, log: &Log, files: &[DirEntry]) -> Result<()> {
        let mut quarantine = Quarantine::open(self.disk, self.dir, self.options.quarantine_size)?;
        let replayed = log.segments.iter().map(|extent| extent.number);
        let done: BTreeSet<u64> = replayed.chain(log.unused.iter().copied()).collect();
        let mut kept: BTreeSet<u64> = BTreeSet::new();
        if let Some(cut) = &log.cut {
            kept.extend(&cut.later);
            if !self.keep_cut_bytes(cut, &mut quarantine)? {
                kept.insert(cut.segment);
            }
        }
        let live: BTreeSet<u64> = self
            .manifest
            .tables
            .iter()
            .map(|info| info.number)
            .collect();
        let obsolete = std::mem::take(&mut self.manifest.obsolete);
        let mut pending = std::mem::take(&mut self.manifest.moves);
        // Where the name is taken the move was done, and the file is another one.
        pending.retain(|pending| quarantine.take_name(&pending.to));
        for file in files {
            // An interrupted start or repair has decided, whatever room there is.
            if let Some(pending) = pending.iter().find(|pending| pending.from == file.name) {
                self.report.quarantined.push(pending.to.clone());
                self.manifest.moves.push(pending.clone());
                continue;
            }
            let deletable = match file_name::parse(&file.name) {
                FileName::Manifest
                | FileName::Lock
                | FileName::Quarantine
                | FileName::Temporary => continue,
                FileName::Table(number) if live.contains(&number) => continue,
                FileName::Segment(number) => done.contains(&number) && !kept.contains(&number),
                FileName::Table(_) | FileName::Unknown => false,
            };
            if deletable || obsolete.contains(&file.name) {
                self.manifest.obsolete.insert(file.name.clone());
            } else {
                self.move_to(&mut quarantine, file);
            }
        }
        Ok(())
    }

    fn move_to(&mut self, quarantine: &mut Quarantine<'_>, file: &DirEntry) {
        let path = self.dir.join(&file.name);
        match quarantine.reserve(&file.name, file.length) {
            Some(to) => {
                self.report.quarantined.push(to.clone());
                self.manifest.moves.push(Move {
                    from: file.name.clone(),
                    to,
                });
            }
            None => self.report.notes.push(format!(
                "{} ({} bytes) stays where it is: quarantine is full; look at it and purge the \
                 quarantine",
                path.display(),
                file.length
            )),
        }
    }

    /// Copies what a cut takes off to quarantine; `false` when there is no room for it.
    fn keep_cut_bytes(&mut self, cut: &Cut, quarantine: &mut Quarantine<'_>) -> Result<bool> {
        self.report.cut_from = Some(cut.first_missing);
        self.report.cut_bytes = cut.end - cut.offset;
        if cut.end == cut.offset {
            return Ok(true);
        }
        let source = file_name::segment(cut.segment);
        let kept = quarantine.keep_bytes(&source, (cut.offset, cut.end), &mut self.progress)?;
        self.report.quarantined.extend(kept.clone());
        Ok(kept.is_some())
    }

    /// Makes the next manifest durable: from here on the new state is the one.
    fn commit(&mut self, log: &Log) -> Result<(SegmentWriter, Vec<Arc<Table>>)> {
        if !self.new_tables.is_empty() {
            // Two more numbers: for a segment, and for a small one in its place.
            let numbers = self.first_new_number..self.manifest.next_file_number + 2;
            announce(self.disk, self.dir, &mut self.durable, numbers)?;
            self.manifest.generation = self.durable.generation;
        }
        for (info, _) in &self.new_tables {
            let temporary = table::temporary_path(self.dir, info.number);
            disk::give_name(self.disk, &temporary, &table::path(self.dir, info.number))?;
        }
        self.manifest.segments.clear();
        self.manifest.open_epoch(log.last_lsn)?;
        self.report.epoch = self.manifest.epoch;
        // Syncs the directory, for the tables' names too.
        let made = new_segment(self.disk, self.dir, self.options, &mut self.manifest);
        let segment = match made {
            Err(error) if error.is_out_of_space() && !error.leaves_outcome_open() => {
                self.small_segment()?
            }
            made => made?,
        };
        let mut tables = Vec::with_capacity(self.new_tables.len());
        for (info, index) in self.new_tables.drain(..) {
            let cached = (&self.cache, Some(index));
            tables.insert(0, Table::open_cached(self.disk, self.dir, &info, cached)?);
            self.manifest.tables.insert(0, info);
        }
        self.manifest.generation += 1;
        self.manifest.store(self.disk, self.dir)?;
        Ok((segment, tables))
    }

    /// Makes a small segment where there was no room for the usual one.
    fn small_segment(&mut self) -> Result<SegmentWriter> {
        let failed = self.manifest.next_file_number.saturating_sub(1);
        let left = file_name::temporary(&file_name::segment(failed));
        // It may not be there at all; the attempt that follows finds out whether there is room.
        let _ = self.disk.remove(&self.dir.join(left));
        let small = reserve::small(self.options);
        new_segment(self.disk, self.dir, &small, &mut self.manifest)
    }

    /// Does the deletions and moves that the durable manifest lists.
    fn clean_up(&mut self) -> Result<()> {
        // Deletions first: a move may need room, for the quarantine's directory.
        for name in &self.manifest.obsolete {
            let path = self.dir.join(name);
            self.disk
                .remove(&path)
                .map_err(|error| AtlasError::io("remove", &path, error))?;
        }
        quarantine::move_files(self.disk, self.dir, &self.manifest.moves)?;
        if !self.manifest.moves.is_empty() || !self.manifest.obsolete.is_empty() {
            self.disk
                .sync_dir(self.dir)
                .map_err(|error| AtlasError::io("sync", self.dir, error))?;
        }
        self.manifest.moves.clear();
        self.manifest.obsolete.clear();
        Ok(())
    }
}

/// Makes a segment whose first entry follows the flushed or last LSN, and names it in the manifest
/// that is being made; it may take entries once that manifest is durable.
pub(crate) fn new_segment(
    disk: &dyn Disk,
    dir: &Path,
    options: &Options,
    manifest: &mut Manifest,
) -> Result<SegmentWriter> {
    let first_lsn = manifest.first_needed().unwrap_or(Lsn::MAX);
    create_segment(disk, dir, options, (manifest, first_lsn))
}

/// As [`new_segment`], with the LSN of the first entry.
pub(crate) fn create_segment(
    disk: &dyn Disk,
    dir: &Path,
    options: &Options,
    (manifest, first_lsn): (&mut Manifest, Lsn),
) -> Result<SegmentWriter> {
    let number = manifest.take_file_number();
    let nonce = disk
        .random()
        .map_err(|error| AtlasError::io("make an identity for", dir, error))?;
    let database_id = manifest.database_id;
    let header = SegmentHeader {
        database_id,
        number,
        nonce,
        first_lsn,
    };
    let segment = SegmentWriter::create(disk, dir, header, count(options.segment_size))?;
    manifest.segments.push(SegmentInfo {
        number,
        nonce,
        first_lsn,
        size: segment.size(),
        closed: None,
    });
    Ok(segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::RealDisk;

    fn file(name: &str) -> DirEntry {
        DirEntry {
            name: name.to_owned(),
            length: 0,
            is_file: true,
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what no store makes")]
    fn a_temporary_file_that_cannot_be_removed_is_told() {
        let home = tempfile::tempdir().unwrap();
        let name = file_name::temporary(&file_name::table(7));
        std::fs::create_dir(home.path().join(&name)).unwrap();
        let refused = remove_temporaries(&RealDisk, home.path(), &[file(&name)]).unwrap_err();
        assert!(refused.to_string().contains(&name), "{refused}");
        // One that is gone already needs nothing.
        let gone = file_name::temporary(&file_name::table(8));
        remove_temporaries(&RealDisk, home.path(), &[file(&gone)]).unwrap();
    }

    #[test]
    fn what_is_announced_is_a_later_manifest() {
        let home = tempfile::tempdir().unwrap();
        let mut durable = Manifest::new([9; 16]);
        durable.generation = 5;
        announce(&RealDisk, home.path(), &mut durable, 7..8).unwrap();
        assert_eq!((durable.generation, durable.next_file_number), (6, 8));
        assert_eq!(durable.obsolete.len(), 2);
        let stored = Manifest::load(&RealDisk, home.path()).unwrap();
        assert_eq!(stored, Some(durable));
    }

    #[test]
    fn each_start_makes_a_later_manifest() {
        let home = tempfile::tempdir().unwrap();
        let mut last = None;
        for _ in 0..3 {
            let disk = RealDisk::shared();
            let options = Options {
                background: false,
                segment_size: 64 * crate::storage::KIB,
                ..Options::default()
            };
            drop(crate::storage::Engine::open(disk, home.path(), options).unwrap());
            let manifest = Manifest::load(&RealDisk, home.path()).unwrap().unwrap();
            let generation = Some(manifest.generation);
            assert!(last < generation, "{generation:?} after {last:?}");
            last = generation;
        }
    }
}
