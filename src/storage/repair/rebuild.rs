//! A manifest made anew from the files, where none can be believed.
//!
//! Live tables share no LSN, and what a table has of any LSN, it has of every key. So of two files that share
//! LSNs only one was live, and the other was merged into it or written again: the later one, by its number,
//! has everything that counts of both. What cannot be told is named as a loss:
//!
//! - a file that was live and is gone leaves no trace;
//! - a table that a merge has left, none of whose LSNs the merged table kept, looks like a live one.
//!
//! The log is what stands in the segments of the last epoch in which something was written; of earlier ones
//! tables hold everything that counts, for a start writes it there before it lets anything be written. A table
//! that holds nothing but what the log still has is given up: it may be one of several that an interrupted
//! start made, and the log has them all. What the log has is decided by what can be read of it, and what is kept of
//! it by what is proven: so a table that is given up proves the log up to its last LSN. It was made of a log that
//! had all of that, and so every entry for which it was given up is kept, whatever is damaged before it. What is
//! damaged between is named.
//!
//! The log is written to tables, and a next epoch is opened.

use std::collections::BTreeMap;
use std::path::Path;

use super::evidence::{self, Remains};
use super::log;
use super::plan::{FileAction, Findings, KeySpan, Loss, LsnSpan};
use super::tables::known_entries;
use super::unused;
use crate::storage::disk::{Disk, count};
use crate::storage::error::{AtlasError, Result};
use crate::storage::file_name::{self, FileName};
use crate::storage::lsn::MAX_EPOCH;
use crate::storage::manifest::{Manifest, SegmentInfo};
use crate::storage::table::{self, Described, TableInfo};
use crate::storage::wal::HEADER_SIZE;
use crate::storage::wal::reader::SegmentReader;
use crate::storage::{DirEntry, Lsn, QuarantinedFile};

/// Starts that are passed over: the segments of the last ones may be gone.
const UNKNOWN_STARTS: u32 = 1000;
const UNREADABLE: &str = "nothing in it can be read; whether it held writes that stand nowhere else \
                          is not known";

/// Where the files of a store are found, and what is left of its manifest.
pub(super) struct Ruins<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) dir: &'a Path,
    pub(super) files: &'a [DirEntry],
    pub(super) kept: &'a [QuarantinedFile],
    pub(super) remains: Remains,
}

/// A segment, by what stands in it.
struct Segment {
    info: SegmentInfo,
    /// `None`: its header is damaged.
    database_id: Option<[u8; 16]>,
    has_entries: bool,
}

/// A table, by what stands in it.
struct Candidate {
    found: Described,
    /// What is left of the manifest names it.
    is_named: bool,
    /// The log has everything that is in it.
    is_in_log: bool,
}

impl Candidate {
    fn shares_lsns(&self, other: &Candidate) -> bool {
        let (one, other) = (&self.found.info, &other.found.info);
        one.min_lsn <= other.max_lsn && other.min_lsn <= one.max_lsn
    }
}

impl Ruins<'_> {
    /// A manifest of what must have been live, `why` it is made; losses and doubts go to `findings`.
    pub(super) fn rebuild(self, why: &str, findings: &mut Findings) -> Result<Manifest> {
        findings.is_damaged = true;
        let mut segments = self.segments(findings)?;
        let mut manifest = Manifest::new(self.database_id(&segments)?);
        self.drop_strangers(&manifest, &mut segments, findings);
        let known_epoch = segments.iter().filter(|it| it.database_id.is_some());
        let known_epoch = known_epoch.map(|it| it.info.first_lsn.epoch()).max();
        let written = segments.iter().filter(|it| it.has_entries);
        let written = written.map(|it| it.info.first_lsn.epoch()).max();
        self.name_segments(&mut manifest, &segments, written.unwrap_or(0));
        let runs = log::readable(self.disk, self.dir, &manifest, self.files)?;
        let candidates = self.tables(&runs, findings)?;
        let Chosen { live, given_up_to } = choose(candidates, findings);
        let doubts = doubts(&live);
        manifest.tables = live.into_iter().map(|it| it.found.info).collect();
        let highest = manifest.tables.first().map(|info| info.max_lsn);
        manifest.flushed_lsn = highest.unwrap_or_default();
        let epoch = written.unwrap_or(0).max(manifest.flushed_lsn.epoch());
        if manifest.flushed_lsn.epoch() < epoch {
            manifest.flushed_lsn = Lsn::epoch_start(epoch);
        }
        self.name_segments(&mut manifest, &segments, epoch);
        manifest.epoch = next_epoch(known_epoch.unwrap_or(0).max(epoch));
        let taken = evidence::highest_number(self.files, self.kept);
        manifest.next_file_number = taken.saturating_add(1);
        let gap = close_gap(&mut manifest);
        manifest.durable_lsn = manifest.flushed_lsn.max(given_up_to);
        findings.losses.push(doubt(why, gap, &doubts));
        let ours = segments.iter().map(|it| &it.info);
        unused::name((self.disk, self.dir), &manifest, ours, findings)?;
        Ok(manifest)
    }

    /// What stands in the segments, in the order of their LSNs.
    fn segments(&self, findings: &mut Findings) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for file in self.files {
            let FileName::Segment(number) = file_name::parse(&file.name) else {
                continue;
            };
            match self.segment(file, number) {
                Ok(Ok(segment)) => segments.push(segment),
                Ok(Err(detail)) | Err(AtlasError::Corrupt { detail, .. }) => {
                    unreadable(&file.name, &detail, findings);
                }
                Err(error) => return Err(error),
            }
        }
        segments.sort_by_key(|segment| (segment.info.first_lsn, segment.info.number));
        Ok(segments)
    }

    fn segment(
        &self,
        file: &DirEntry,
        number: u64,
    ) -> Result<std::result::Result<Segment, String>> {
        let path = self.dir.join(&file.name);
        let (mut reader, damage) = SegmentReader::find(self.disk, &path)?;
        let header = *reader.header();
        let first = match reader.find_entry(count(HEADER_SIZE))? {
            Some(offset) => {
                reader.seek(offset);
                reader.next_any()?.map(|entry| entry.lsn)
            }
            None => None,
        };
        let first_lsn = match (damage, first) {
            (None, _) if header.number != number => {
                return Ok(Err(format!("its header has file number {}", header.number)));
            }
            (None, _) => Ok(header.first_lsn),
            (Some(_), Some(first)) => Err(first),
            (Some(damage), None) => return Ok(Err(damage)),
        };
        Ok(Ok(Segment {
            info: SegmentInfo {
                number,
                nonce: header.nonce,
                first_lsn: first_lsn.unwrap_or_else(|first| first),
                size: file.length,
                closed: None,
            },
            database_id: first_lsn.is_ok().then_some(header.database_id),
            has_entries: first.is_some(),
        }))
    }

    /// The identity that is in the remains of the manifest, or else in all segments; else a new one.
    fn database_id(&self, segments: &[Segment]) -> Result<[u8; 16]> {
        let mut ids: Vec<[u8; 16]> = segments.iter().filter_map(|it| it.database_id).collect();
        ids.reverse();
        let named = ids.iter().find(|id| self.remains.has(*id));
        if named.is_none() && ids.iter().any(|id| Some(id) != ids.first()) {
            return Err(self.several_stores(segments));
        }
        if let Some(id) = named.or(ids.first()) {
            return Ok(*id);
        }
        let random = || {
            let random = self.disk.random();
            random.map_err(|error| AtlasError::io("make an identity for", self.dir, error))
        };
        let mut id = [0; 16];
        let halves = [random()?.to_le_bytes(), random()?.to_le_bytes()].concat();
        id.copy_from_slice(&halves);
        Ok(id)
    }

    /// Nothing tells which of them is the one to repair.
    fn several_stores(&self, segments: &[Segment]) -> AtlasError {
        let mut stores: BTreeMap<[u8; 16], Vec<String>> = BTreeMap::new();
        for segment in segments {
            if let Some(id) = segment.database_id {
                let name = file_name::segment(segment.info.number);
                stores.entry(id).or_default().push(name);
            }
        }
        let stores: Vec<String> = stores.values().map(|names| names.join(", ")).collect();
        AtlasError::InvalidOption {
            option: "the directory",
            value: self.dir.display().to_string(),
            rule: format!(
                "it has segments of {} stores, and no manifest that tells which one is to be repaired: {}; \
                 move the other store's files away",
                stores.len(),
                stores.join("; and of another ")
            ),
        }
    }

    fn drop_strangers(
        &self,
        manifest: &Manifest,
        segments: &mut Vec<Segment>,
        findings: &mut Findings,
    ) {
        segments.retain(|segment| {
            let is_ours = segment
                .database_id
                .is_none_or(|id| id == manifest.database_id);
            if !is_ours {
                let name = file_name::segment(segment.info.number);
                let detail = "it belongs to another store";
                let consequence =
                    "nothing in it is used; what that store loses with it is not known";
                set_aside(&name, (detail, consequence), findings);
            }
            is_ours
        });
    }

    /// The log: the segments of an epoch.
    fn name_segments(&self, manifest: &mut Manifest, segments: &[Segment], epoch: u32) {
        let ours = segments.iter();
        let ours = ours.filter(|segment| segment.info.first_lsn.epoch() == epoch);
        manifest.segments = ours.map(|segment| segment.info.clone()).collect();
    }

    /// What stands in the tables. Those of a repair that was interrupted are no data.
    fn tables(&self, log: &[(Lsn, Lsn)], findings: &mut Findings) -> Result<Vec<Candidate>> {
        let unfinished = evidence::unfinished(self.disk, self.dir, self.files)?;
        let mut candidates = Vec::new();
        for file in self.files {
            let FileName::Table(number) = file_name::parse(&file.name) else {
                continue;
            };
            if unfinished.contains(&file.name) {
                let detail = "a repair that was interrupted has made it";
                findings.file(file.name.clone(), FileAction::SetAside, None, detail);
                continue;
            }
            let path = table::path(self.dir, number);
            let mut is_in_log = true;
            let mut visit = |lsn| is_in_log &= holds(log, lsn);
            let found = table::describe(self.disk, &path, number, &mut visit)?;
            let Some(found) = found else {
                unreadable(&file.name, "no entry of it is whole", findings);
                continue;
            };
            let is_named = found.is_whole && self.remains.names(&found.info);
            if !is_named && self.remains.lets_go(&file.name) {
                let detail = "what is left of the manifest lists it as not needed any more";
                findings.file(file.name.clone(), FileAction::SetAside, None, detail);
                // A key may read like a file's name.
                let detail = format!("{detail}; should that be wrong, its entries are lost");
                let entries = known_entries(&found.info);
                let name = file.name.clone();
                findings
                    .losses
                    .push(of_table(&found.info, name, entries, &detail));
                continue;
            }
            candidates.push(Candidate {
                found,
                is_named,
                is_in_log,
            });
        }
        Ok(candidates)
    }
}

/// The epoch that was the last for certain, where this one is known; a next start must be able to open another.
fn next_epoch(known: u32) -> u32 {
    let passed = known.saturating_add(UNKNOWN_STARTS);
    passed.min(MAX_EPOCH - 1).max(known)
}

/// Whether one of these runs of LSNs has this one.
fn holds(runs: &[(Lsn, Lsn)], lsn: Lsn) -> bool {
    let after = runs.partition_point(|(first, _)| *first <= lsn);
    let run = after.checked_sub(1).and_then(|place| runs.get(place));
    run.is_some_and(|(_, last)| lsn <= *last)
}

/// Which tables are taken for live.
struct Chosen {
    /// Newest first.
    live: Vec<Candidate>,
    /// The last LSN of those that are given up for the log.
    given_up_to: Lsn,
}

/// Chooses the tables that must have been live.
fn choose(mut candidates: Vec<Candidate>, findings: &mut Findings) -> Chosen {
    let mut given_up_to = Lsn::ZERO;
    let only_there = candidates.iter().filter(|it| !it.is_in_log);
    let flushed = only_there.map(|it| it.found.info.max_lsn).max();
    candidates.retain(|it| {
        let info = &it.found.info;
        let is_needed = !it.is_in_log || flushed.is_some_and(|flushed| info.min_lsn <= flushed);
        if !is_needed {
            given_up_to = given_up_to.max(info.max_lsn);
            let detail = "the log still has everything that is in it";
            let name = file_name::table(info.number);
            findings.file(name.clone(), FileAction::SetAside, None, detail);
            if !it.found.is_complete {
                let detail = "it is damaged; what can be read of it is in the log";
                findings.losses.push(of_table(info, name, None, detail));
            }
        }
        is_needed
    });
    candidates.sort_by_key(|it| std::cmp::Reverse((it.is_named, it.found.info.number)));
    let mut live: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        match live.iter().find(|other| other.shares_lsns(&candidate)) {
            Some(other) => superseded(&candidate, other, findings),
            None => live.push(candidate),
        }
    }
    live.sort_by_key(|it| std::cmp::Reverse(it.found.info.max_lsn));
    for it in &live {
        let why = match it.is_named {
            true => "what is left of the manifest names it",
            false => "no table that was made later has its LSNs",
        };
        let name = file_name::table(it.found.info.number);
        findings.reasons.insert(name, format!("live: {why}"));
    }
    Chosen { live, given_up_to }
}

/// A table that another has taken the place of.
fn superseded(old: &Candidate, new: &Candidate, findings: &mut Findings) {
    let (info, other) = (&old.found.info, &new.found.info);
    let (name, other_name) = (
        file_name::table(info.number),
        file_name::table(other.number),
    );
    let detail = format!(
        "its LSNs {} to {} are among those of {other_name}, {} to {}: merged into that",
        info.min_lsn, info.max_lsn, other.min_lsn, other.max_lsn
    );
    findings.file(name.clone(), FileAction::SetAside, None, detail);
    if new.is_named && !old.is_named {
        return;
    }
    let detail = format!(
        "it is taken for merged into {other_name}, which has LSNs of its; should it not be, its entries are lost"
    );
    let entries = known_entries(info);
    findings.losses.push(of_table(info, name, entries, &detail));
}

fn of_table(info: &TableInfo, file: String, entries: Option<u64>, detail: &str) -> Loss {
    Loss {
        file,
        entries,
        lsns: Some(LsnSpan {
            first: info.min_lsn,
            last: Some(info.max_lsn),
        }),
        keys: vec![KeySpan {
            after: None,
            before: None,
        }],
        detail: detail.to_owned(),
    }
}

/// The tables that a merge may have left, for all that can be told: those that nothing names. The merged table
/// need not share an LSN with what it was made of, nor be there at all, when everything was deleted.
fn doubts(live: &[Candidate]) -> Vec<String> {
    let unnamed = live.iter().filter(|it| !it.is_named);
    unnamed
        .map(|it| file_name::table(it.found.info.number))
        .collect()
}

/// Lets the log begin where its first segment does, which may be later than the tables end: marks and what was
/// deleted again leave no LSN in a table. The LSNs between.
fn close_gap(manifest: &mut Manifest) -> Option<LsnSpan> {
    let first = manifest.segments.first()?.first_lsn.previous();
    let flushed = manifest.flushed_lsn;
    if first <= flushed {
        return None;
    }
    manifest.flushed_lsn = first;
    Some(LsnSpan {
        first: flushed.next()?,
        last: Some(first),
    })
}

/// What a manifest that is made anew does not know.
fn doubt(why: &str, gap: Option<LsnSpan>, doubts: &[String]) -> Loss {
    let mut detail = format!(
        "{why}: what is live is told from the files. A table or segment that is gone is not missed"
    );
    if gap.is_some() {
        detail += "; these LSNs are in no file: marks, writes that were overwritten or deleted since, or a \
                   file that is gone";
    }
    if !doubts.is_empty() {
        detail += &format!(
            "; should a compaction have left one of these, keys that were deleted come back: {}",
            doubts.join(", ")
        );
    }
    Loss {
        file: file_name::MANIFEST.to_owned(),
        entries: None,
        lsns: gap,
        keys: Vec::new(),
        detail,
    }
}

fn unreadable(name: &str, detail: &str, findings: &mut Findings) {
    set_aside(name, (detail, UNREADABLE), findings);
}

fn set_aside(name: &str, (detail, consequence): (&str, &str), findings: &mut Findings) {
    findings.file(name.to_owned(), FileAction::SetAside, Some(0), detail);
    findings.losses.push(Loss {
        file: name.to_owned(),
        entries: None,
        lsns: None,
        keys: Vec::new(),
        detail: format!("{detail}: {consequence}"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_that_are_passed_over_leave_one_to_go_on() {
        assert_eq!(next_epoch(3), 3 + UNKNOWN_STARTS);
        for known in [MAX_EPOCH - UNKNOWN_STARTS, MAX_EPOCH - 2, MAX_EPOCH - 1] {
            assert_eq!(next_epoch(known), MAX_EPOCH - 1);
        }
        assert_eq!(next_epoch(MAX_EPOCH), MAX_EPOCH);
    }
}
