//! Carrying out a plan. The order is the one of recovery; see the module.

use std::io;
use std::path::Path;

use serde_json::json;

use super::log::{self, LogPlan};
use super::{PREFIX, Repair, RepairOutcome, Repaired, evidence};
use crate::storage::disk::{self, Disk, count};
use crate::storage::error::{AtlasError, Result};
use crate::storage::manifest::{Manifest, Move};
use crate::storage::progress::Replaying;
use crate::storage::quarantine::Quarantine;
use crate::storage::replay::Replay;
use crate::storage::table::{self, TableInfo};
use crate::storage::verify::consistency;
use crate::storage::{Lsn, Options, file_name, quarantine, recovery};

/// The name that a manifest that a crash has left gets in quarantine.
const LEFT_MANIFEST: &str = "MANIFEST.left";

pub(super) fn carry_out(mut repair: Repair<'_>) -> Result<Repaired> {
    let (disk, dir) = (repair.disk, repair.dir.clone());
    // Reading it back proved nothing about the disk.
    if repair.has_manifest {
        Manifest::sync_loaded(disk, &dir)?;
    }
    if repair.is_rebuilt {
        keep_left_manifests(&repair)?;
    }
    recovery::remove_temporaries(disk, &dir, &repair.files)?;
    let mut next = repair.manifest.clone();
    recovery::pass_taken_numbers(&mut next, &repair.files);
    let first_new = next.next_file_number;
    let made = make_next(&mut repair, &mut next).inspect_err(|error| {
        recovery::discard_new(disk, &dir, first_new..next.next_file_number, error);
        if !error.leaves_outcome_open() && repair.unfinished.is_empty() {
            discard_record(disk, &dir, repair.number);
        }
    })?;
    quarantine::move_files(disk, &dir, &next.moves)?;
    remove_old_records(&repair, &next.moves)?;
    sync_dir(disk, &dir)?;
    let quarantined = next.moves.into_iter().map(|it| it.to).collect();
    Ok(Repaired { made, quarantined })
}

/// Moves whole manifests that a crash has left under other names to quarantine: where the manifest was made anew,
/// they may tell more than it. They get a name there that is no repair's.
fn keep_left_manifests(repair: &Repair<'_>) -> Result<()> {
    let (disk, dir) = (repair.disk, repair.dir.as_path());
    let temporary = file_name::temporary(file_name::MANIFEST);
    let mut is_moved = false;
    for file in &repair.files {
        let path = dir.join(&file.name);
        let is_left = file.name == temporary || evidence::is_copy(&file.name);
        if !is_left || !is_whole_manifest(disk, &path)? {
            continue;
        }
        quarantine::make(disk, dir)?;
        let mut home = Quarantine::open(disk, dir, u64::MAX)?;
        if let Some(name) = home.reserve(LEFT_MANIFEST, file.length) {
            disk.rename(&path, &file_name::quarantine(dir).join(name))
                .map_err(|error| AtlasError::io("move", &path, error))?;
            is_moved = true;
        }
    }
    if is_moved {
        sync_dir(disk, &file_name::quarantine(dir))?;
        sync_dir(disk, dir)?;
    }
    Ok(())
}

fn is_whole_manifest(disk: &dyn Disk, path: &Path) -> Result<bool> {
    match Manifest::read_at(disk, path) {
        Ok(bytes) => Ok(bytes.is_some_and(|bytes| Manifest::decode(path, &bytes).is_ok())),
        Err(AtlasError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the copy and the record of a repair that was not done.
fn discard_record(disk: &dyn Disk, dir: &Path, number: u64) {
    for name in [copy_name(number), record_name(number)] {
        // The first failure is the one to tell; the next repair removes what is left.
        let _ = disk.remove(&dir.join(file_name::temporary(&name)));
        let _ = disk.remove(&dir.join(name));
    }
}

/// Removes what repairs with other numbers left that were never done: it must not look like theirs.
fn remove_old_records(repair: &Repair<'_>, moves: &[Move]) -> Result<()> {
    for file in &repair.files {
        let is_old = evidence::is_record(&file.name) || evidence::is_copy(&file.name);
        if !is_old || moves.iter().any(|it| it.from == file.name) {
            continue;
        }
        let path = repair.dir.join(&file.name);
        match repair.disk.remove(&path) {
            // It was kept.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(AtlasError::io("remove", &path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn copy_name(number: u64) -> String {
    format!("{PREFIX}{number}.{}", file_name::MANIFEST)
}

fn record_name(number: u64) -> String {
    format!("{PREFIX}{number}.json")
}

/// Makes the new files and the manifest that names them; returns their names.
fn make_next(repair: &mut Repair<'_>, next: &mut Manifest) -> Result<Vec<String>> {
    let (disk, dir) = (repair.disk, repair.dir.clone());
    let mut tables = salvage_tables(repair, next)?;
    tables.extend(replay_log(repair, next)?);
    let made: Vec<String> = tables
        .iter()
        .map(|info| file_name::table(info.number))
        .collect();
    next.generation = repair.number;
    next.moves = std::mem::take(&mut repair.moves);
    if repair.plan.outcome == RepairOutcome::Loss {
        // What of it is there is moved instead.
        next.obsolete.clear();
    }
    check(&dir, next)?;
    let record = record(repair, &made, &next.moves);
    keep(repair, next, &record)?;
    for info in &tables {
        let path = table::path(&dir, info.number);
        disk.rename(&table::temporary_path(&dir, info.number), &path)
            .map_err(|error| AtlasError::io("rename", &path, error))?;
    }
    sync_dir(disk, &dir)?;
    next.store(disk, &dir)?;
    Ok(made)
}

/// No repair ends with a manifest in which verify finds a contradiction.
fn check(dir: &Path, next: &Manifest) -> Result<()> {
    let found = consistency::check(next).into_iter().next();
    found.map_or(Ok(()), |finding| {
        let path = dir.join(file_name::MANIFEST);
        let detail = format!(
            "this repair cannot mend it, and changed nothing: {}",
            finding.detail
        );
        Err(AtlasError::corrupt(&path, 0, detail))
    })
}

/// Writes damaged tables anew, each in its place among the others.
fn salvage_tables(repair: &Repair<'_>, next: &mut Manifest) -> Result<Vec<TableInfo>> {
    let mut made = Vec::new();
    for plan in &repair.tables {
        let old = plan.info.number;
        let number = next.take_file_number();
        let path = table::path(&repair.dir, old);
        let new = if plan.kept > 0 {
            let place = (repair.dir.as_path(), path.as_path());
            table::salvage(repair.disk, place, &plan.info, (number, plan.kept))?
        } else {
            None
        };
        let place = next.tables.iter().position(|info| info.number == old);
        if let Some(place) = place {
            next.tables.splice(place..=place, new.iter().cloned());
        }
        made.extend(new);
    }
    Ok(made)
}

/// Writes what is kept of the log to tables; the next start opens an epoch and a segment of its own.
fn replay_log(repair: &Repair<'_>, next: &mut Manifest) -> Result<Vec<TableInfo>> {
    let Some(plan) = &repair.log else {
        return Ok(Vec::new());
    };
    let mut progress = Replaying::new(None);
    let memtable_size = Options::default().memtable_size;
    let mut replay = Replay::new(repair.disk, &repair.dir, memtable_size);
    let mut tables = Vec::new();
    for extent in &plan.extents {
        let mut named = repair.manifest.segments.iter();
        let Some(info) = named.find(|info| info.number == extent.number) else {
            continue;
        };
        let opened = log::open(repair.disk, &repair.dir, &repair.manifest, info)?;
        let reader = opened.ok_or_else(|| AtlasError::MissingFile {
            path: repair.dir.join(file_name::segment(info.number)),
            detail: "it was there a moment ago".to_owned(),
        })?;
        replay.extent(reader, extent, next, &mut progress)?;
        // Nobody reads these tables, so their indexes need not be kept.
        tables.extend(replay.take_tables());
    }
    tables.extend(replay.finish(next, &mut progress)?.infos());
    for info in &tables {
        next.tables.insert(0, info.clone());
    }
    next.segments.clear();
    end_log(next, plan)?;
    Ok(tables)
}

/// Says how far the log was recovered. Who asks for an LSN asks for everything up to it, so behind the first that is
/// lost none counts as durable: the epoch ended there, and another one begins.
fn end_log(next: &mut Manifest, plan: &LogPlan) -> Result<()> {
    let last = plan.last.max(next.flushed_lsn);
    let end = plan.whole_to.max(next.flushed_lsn);
    if last.epoch() < next.epoch {
        // Made anew: later epochs may have been opened, and an LSN of theirs may have been given.
        next.past_epochs
            .extend(Some(end).filter(|end| end.counter() > 0));
        next.flushed_lsn = Lsn::epoch_start(next.epoch);
    } else if end < last {
        next.open_epoch(end)?;
    } else {
        next.flushed_lsn = last;
    }
    next.durable_lsn = next.flushed_lsn;
    Ok(())
}

/// What was done, for whoever wants to undo it.
fn record(repair: &Repair<'_>, made: &[String], moves: &[Move]) -> Vec<u8> {
    let originals = moves
        .iter()
        .map(|it| json!({"name": it.from, "kept_as": it.to}));
    let document = json!({
        "repair": repair.number,
        "plan": repair.plan,
        "made": made,
        "unfinished": repair.unfinished,
        "originals": originals.collect::<Vec<_>>(),
        "manifest": repair.has_manifest.then(|| copy_name(repair.number)),
    });
    format!("{document:#}\n").into_bytes()
}

/// Makes a copy of the manifest and the record durable, beside the data, and lists them as moves: they
/// come to quarantine if, and only if, the repair is done.
fn keep(repair: &Repair<'_>, next: &mut Manifest, record: &[u8]) -> Result<()> {
    let (disk, dir) = (repair.disk, repair.dir.as_path());
    let mut kept = Vec::new();
    if repair.has_manifest {
        let copy = copy_name(repair.number);
        let source = dir.join(file_name::MANIFEST);
        let length = disk.open(&source).and_then(|file| file.length());
        let length = length.map_err(|error| AtlasError::io("read", &source, error))?;
        let temporary = dir.join(file_name::temporary(&copy));
        let mut progress = Replaying::new(None);
        quarantine::copy_bytes(disk, (&source, &temporary), (0, length), &mut progress)?;
        name(disk, dir, &copy)?;
        kept.push(copy);
    }
    let record_name = record_name(repair.number);
    write(disk, &dir.join(file_name::temporary(&record_name)), record)?;
    name(disk, dir, &record_name)?;
    kept.push(record_name);
    sync_dir(disk, dir)?;
    for name in kept {
        // One of these that a failed attempt left is replaced above, and listed once.
        next.moves.retain(|it| it.from != name);
        next.moves.push(Move {
            from: name.clone(),
            to: name,
        });
    }
    Ok(())
}

fn name(disk: &dyn Disk, dir: &Path, name: &str) -> Result<()> {
    let path = dir.join(name);
    disk.rename(&dir.join(file_name::temporary(name)), &path)
        .map_err(|error| AtlasError::io("rename", &path, error))
}

fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    debug_assert!(count(bytes.len()) > 0);
    let file = disk
        .create(path)
        .map_err(|error| AtlasError::io("create", path, error))?;
    disk::write_full(&*file, bytes, 0).map_err(|error| AtlasError::io("write", path, error))?;
    file.sync()
        .map_err(|error| AtlasError::io("sync", path, error))
}

fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<()> {
    disk.sync_dir(dir)
        .map_err(|error| AtlasError::io("sync", dir, error))
}
