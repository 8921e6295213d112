//! Repairing a damaged data directory: first a plan that names every loss, then, when nothing is lost or
//! the loss was accepted, a new state made of everything that is sound.
//!
//! It goes as recovery goes. What is made anew gets temporary names, is synced and read back; one durable
//! manifest is the point of no return; it lists the originals as moves to `quarantine/`, which the next
//! repair or start repeats should they be interrupted. Nothing is removed. A crash before the manifest
//! leaves the old state and orphans, a crash after it the new one.
//!
//! - A damaged table is written anew from its valid entries, in its place among the others.
//! - A log that no start would take is written to tables: everything up to the highest LSN that is proven
//!   to have been synced, and what follows that without a gap. Nothing beyond such a gap is provable, and
//!   any start would cut it.
//!
//! - A manifest that is missing, damaged, or does not fit the data is made anew from the files (`rebuild`);
//!   one with a single flipped bit is set right.

mod carry_out;
mod evidence;
mod later;
mod log;
mod plan;
mod rebuild;
mod tables;
#[cfg(test)]
mod tests;
mod unused;

use std::collections::BTreeSet;

use std::path::{Path, PathBuf};

use super::disk::{Disk, count};
use super::error::{AtlasError, Result};
use super::file_name::{self, FileName};
use super::manifest::{self, Manifest, Move};
use super::verify::{self, age, consistency};
use super::wal::reader::SegmentReader;
use super::{DirEntry, DirLock, KIB, QuarantinedFile, quarantine, recovery, table};

pub use plan::{FileAction, KeySpan, Loss, LsnSpan, PlannedFile, RepairOutcome, RepairPlan};

use evidence::Remains;
use log::LogPlan;
use plan::Findings;
use rebuild::Ruins;
use tables::TablePlan;

/// What the names of a repair's originals begin with.
const PREFIX: &str = "repair-";

/// In a manifest of so many bytes another damage passes for a flipped bit less than once in 47,000 times; in a
/// larger one the files must bear out what it says then.
const SURELY_ONE_BIT: usize = 11 * KIB;

/// A repair that was planned; it holds the directory's lock.
pub struct Repair<'a> {
    disk: &'a dyn Disk,
    dir: PathBuf,
    _lock: DirLock,
    /// The one to go by: the one that is there, or one made anew.
    manifest: Manifest,
    /// Whether one is there, sound or not.
    has_manifest: bool,
    /// Whether it was made anew.
    is_rebuilt: bool,
    files: Vec<DirEntry>,
    /// Tables of a repair that was interrupted before.
    unfinished: BTreeSet<String>,
    tables: Vec<TablePlan>,
    log: Option<LogPlan>,
    /// What is moved to quarantine, once the new manifest is durable.
    moves: Vec<Move>,
    /// The new manifest's generation, which names the originals.
    number: u64,
    plan: RepairPlan,
}

/// What a repair has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Tables that were made.
    pub made: Vec<String>,
    /// Files that were moved to quarantine, by their names there.
    pub quarantined: Vec<String>,
}

impl std::fmt::Debug for Repair<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Repair")
            .field("dir", &self.dir)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl<'a> Repair<'a> {
    /// Locks the directory, reads all of it and plans; nothing is changed.
    ///
    /// # Errors
    /// `Locked`; `InvalidOption` when the directory holds no store; `NewerFormat`; `Io` when anything cannot
    /// be read: nobody knows what stands there.
    pub fn prepare(disk: &'a dyn Disk, dir: &Path) -> Result<Repair<'a>> {
        check_is_store(dir, &recovery::list(disk, dir)?)?;
        let lock = disk.lock(dir)?;
        let files = recovery::list(disk, dir)?;
        let kept = quarantine::list(disk, dir)?;
        let mut findings = Findings::default();
        let sought = Sought {
            disk,
            dir,
            files: &files,
            kept: &kept,
        };
        let (manifest, is_rebuilt) = sought.manifest(&mut findings)?;
        let tables = tables::plan(disk, dir, &manifest, &files, &mut findings)?;
        let log = match is_rebuilt {
            true => Some(log::plan_rebuilt(
                disk,
                dir,
                &manifest,
                &files,
                &mut findings,
            )?),
            false => log::plan(disk, dir, &manifest, &files, &mut findings)?,
        };
        let number = number(&kept, &manifest);
        let replaced = (tables.as_slice(), log.is_some());
        let is_lost = !findings.losses.is_empty();
        let moves = moves(&manifest, is_lost, (&files, &kept), replaced, number);
        findings.set_aside(&manifest, &files, &moves);
        let plan = findings.into_plan(&files, &moves);
        Ok(Repair {
            disk,
            dir: dir.to_path_buf(),
            _lock: lock,
            manifest,
            is_rebuilt,
            has_manifest: files.iter().any(|file| file.name == file_name::MANIFEST),
            unfinished: evidence::unfinished(disk, dir, &files)?,
            files,
            tables,
            log,
            moves,
            number,
            plan,
        })
    }

    /// What would be kept, made anew and lost.
    #[must_use]
    pub fn plan(&self) -> &RepairPlan {
        &self.plan
    }

    /// Carries the plan out, whatever it loses: whoever calls this has accepted that.
    ///
    /// # Errors
    /// `Io`; `Corrupt` when what was read a moment ago cannot be read again. The directory then holds the
    /// old state or the new one.
    pub fn carry_out(self) -> Result<Repaired> {
        if self.plan.outcome == RepairOutcome::Nothing {
            return Ok(Repaired {
                made: Vec::new(),
                quarantined: Vec::new(),
            });
        }
        carry_out::carry_out(self)
    }
}

/// Where a manifest to go by is sought.
struct Sought<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    files: &'a [DirEntry],
    kept: &'a [QuarantinedFile],
}

/// Why a manifest is not believed though its checksum holds.
enum Distrust {
    Contradiction(String),
    /// It was restored from an older copy of the directory, say.
    Older(String),
}

impl Sought<'_> {
    /// The manifest there is, one with a bit of it set right, or one made anew from the files, and whether it
    /// is the last.
    fn manifest(&self, findings: &mut Findings) -> Result<(Manifest, bool)> {
        let path = self.dir.join(file_name::MANIFEST);
        let bytes = match Manifest::read(self.disk, self.dir) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                return self.rebuild("there is no manifest", Remains::default(), findings);
            }
            // Nothing of it is read.
            Err(AtlasError::Corrupt { detail, .. }) => {
                let why = format!("the manifest is damaged: {detail}");
                return self.rebuild(&why, Remains::default(), findings);
            }
            Err(error) => return Err(error),
        };
        let why = match Manifest::decode(&path, &bytes) {
            Ok(manifest) => match self.distrust(&manifest)? {
                None => return Ok((manifest, false)),
                // Of the files that came later it knows nothing.
                Some(Distrust::Older(why)) => {
                    return self.rebuild(&why, Remains::default(), findings);
                }
                Some(Distrust::Contradiction(why)) => why,
            },
            Err(AtlasError::Corrupt { detail, .. }) => {
                if let Some((manifest, bit)) = Manifest::mend(&path, &bytes)?
                    && (bytes.len() <= SURELY_ONE_BIT || self.bears_out(&manifest)?)
                    && self.distrust(&manifest)?.is_none()
                {
                    findings.mended(bit);
                    return Ok((manifest, false));
                }
                format!("the manifest is damaged: {detail}")
            }
            Err(error) => return Err(error),
        };
        self.rebuild(&why, Remains(bytes), findings)
    }

    fn rebuild(
        &self,
        why: &str,
        remains: Remains,
        findings: &mut Findings,
    ) -> Result<(Manifest, bool)> {
        let ruins = Ruins {
            disk: self.disk,
            dir: self.dir,
            files: self.files,
            kept: self.kept,
            remains,
        };
        let name = file_name::MANIFEST.to_owned();
        findings.file(name, FileAction::Rewrite, None, why);
        let manifest = ruins.rebuild(why, findings)?;
        findings.bytes_to_write += count(manifest.encode().len());
        Ok((manifest, true))
    }

    /// Why a manifest whose checksum holds is not the one of these data.
    fn distrust(&self, manifest: &Manifest) -> Result<Option<Distrust>> {
        if let Some(finding) = consistency::check(manifest).into_iter().next() {
            let detail = finding.detail;
            return Ok(Some(Distrust::Contradiction(format!(
                "the manifest contradicts itself: {detail}"
            ))));
        }
        if let Some(number) = age::later_segment(self.disk, self.dir, manifest, self.files)? {
            let name = file_name::segment(number);
            return Ok(Some(Distrust::Older(format!(
                "the manifest is older than the data: {name} was made after it"
            ))));
        }
        let later = later::later_table(self.disk, self.dir, manifest, self.files)?;
        Ok(later.map(|(gone, later)| {
            Distrust::Older(format!(
                "the manifest is older than the data: {gone} is not there, and {later} was made after it"
            ))
        }))
    }

    /// Whether the tables and segments that it names are there, and are those that it describes.
    fn bears_out(&self, manifest: &Manifest) -> Result<bool> {
        let has = |info: &table::TableInfo| {
            let name = file_name::table(info.number);
            let mut files = self.files.iter();
            files.any(|file| file.name == name && file.length == info.size)
        };
        if !manifest.tables.iter().all(has) {
            return Ok(false);
        }
        for info in &manifest.segments {
            let header = match SegmentReader::open(self.disk, self.dir, info.number) {
                Ok(reader) => *reader.header(),
                Err(AtlasError::Corrupt { .. } | AtlasError::MissingFile { .. }) => {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            let stated = (header.database_id, header.nonce, header.first_lsn);
            if stated != (manifest.database_id, info.nonce, info.first_lsn) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Nothing is locked, which would make a file, where there is no store.
fn check_is_store(dir: &Path, files: &[DirEntry]) -> Result<()> {
    let is_ours = |file: &DirEntry| {
        matches!(
            file_name::parse(&file.name),
            FileName::Manifest | FileName::Table(_) | FileName::Segment(_)
        )
    };
    if files.iter().any(is_ours) {
        return Ok(());
    }
    Err(verify::no_store(dir))
}

/// The number of this repair: the same again after an interruption, and no earlier repair's.
fn number(kept: &[QuarantinedFile], manifest: &Manifest) -> u64 {
    let taken = |name: &str| {
        let (number, _) = name.strip_prefix(PREFIX)?.split_once('.')?;
        // A stranger's name must not lead beyond what a manifest may hold.
        number
            .parse()
            .ok()
            .filter(|number: &u64| *number < manifest::MAX_NUMBER / 2)
    };
    let highest = kept.iter().filter_map(|file| taken(&file.name)).max();
    let next = highest.map_or(0, |highest| highest.saturating_add(1));
    next.max(manifest.generation.saturating_add(1))
}

/// What goes to quarantine: originals, orphans, and what an interrupted run had not moved yet. Where something is
/// lost, what is listed as obsolete goes with them: in the next manifest it may have been live, and have what is lost.
fn moves(
    manifest: &Manifest,
    is_lost: bool,
    (files, kept): (&[DirEntry], &[QuarantinedFile]),
    (tables, log_is_replaced): (&[TablePlan], bool),
    number: u64,
) -> Vec<Move> {
    // No path of ours lists a live file to be moved; a manifest that does must not take it away.
    let is_live = |file: &DirEntry| manifest.is_live(&file.name);
    let goes = |file: &DirEntry| match file_name::parse(&file.name) {
        FileName::Table(number) => {
            !is_live(file) || tables.iter().any(|table| table.info.number == number)
        }
        FileName::Segment(_) => !is_live(file) || log_is_replaced,
        _ => false,
    };
    let mut moves = Vec::new();
    for file in files {
        // Where the name is taken the move was done, and the file is another one.
        let is_pending = |it: &&Move| {
            it.from == file.name && !is_live(file) && !kept.iter().any(|kept| kept.name == it.to)
        };
        if let Some(pending) = manifest.moves.iter().find(is_pending) {
            moves.push(pending.clone());
        } else if goes(file) && (is_lost || !manifest.obsolete.contains(&file.name)) {
            moves.push(Move {
                from: file.name.clone(),
                to: format!("{PREFIX}{number}.{}", file.name),
            });
        }
    }
    moves
}
