//! What can be replayed of a log that no start would take, and which LSNs are lost.

#[cfg(test)]
mod tests;

use std::path::Path;

use super::plan::{FileAction, Findings, Loss, LsnSpan};
use crate::storage::compact_offline::TABLE_OVERHEAD;
use crate::storage::disk::{Disk, count};
use crate::storage::error::{AtlasError, Result};
use crate::storage::examine::{self, Extent};
use crate::storage::file_name::{self, FileName};
use crate::storage::manifest::{Manifest, SegmentInfo};
use crate::storage::progress::Replaying;
use crate::storage::wal::reader::{SegmentReader, read_header};
use crate::storage::wal::{MARK_SIZE, SegmentHeader};
use crate::storage::{DirEntry, Lsn};

/// A log that is written to tables.
#[derive(Debug)]
pub(super) struct LogPlan {
    /// What is replayed, in the order of the LSNs.
    pub(super) extents: Vec<Extent>,
    /// The last LSN that is kept.
    pub(super) last: Lsn,
    /// Before the first gap: up to here nothing of the log is lost.
    pub(super) whole_to: Lsn,
    /// Operations in what is replayed.
    operations: u64,
}

/// Valid entries one after another, without a gap between their LSNs.
#[derive(Debug)]
struct Run {
    extent: Extent,
    last: Lsn,
    operations: u64,
}

/// What stands in the named segments.
struct Survey {
    runs: Vec<Run>,
    /// Everything up to here was synced, or stood in a file that somebody took away.
    proven: Lsn,
    /// Where a segment at the log's end lacks bytes that it was made durable with: from this LSN on.
    unknown_from: Option<(String, Lsn)>,
    /// Whether something is damaged that tables cover.
    covered_damage: bool,
}

/// The runs of LSNs that can be read of the segments that the manifest names.
pub(super) fn readable(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    files: &[DirEntry],
) -> Result<Vec<(Lsn, Lsn)>> {
    let runs = Survey::make(disk, dir, manifest, files)?.runs;
    let span = |run: &Run| (run.extent.first_lsn, run.last);
    Ok(runs.iter().map(span).collect())
}

/// Judges the log as a start would; what it would not take is planned anew. `None`: it stays.
pub(super) fn plan(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    files: &[DirEntry],
    findings: &mut Findings,
) -> Result<Option<LogPlan>> {
    let judged = examine::examine(disk, dir, manifest, files, &mut Replaying::new(None));
    let reason = match judged {
        Ok(log) => {
            if let Some(cut) = &log.cut {
                findings.notes.push(format!(
                    "the log ends in a torn tail at LSN {}: the next start cuts it off by itself",
                    cut.first_missing
                ));
            }
            None
        }
        Err(
            error @ (AtlasError::SyncedDataDamaged { .. }
            | AtlasError::Corrupt { .. }
            | AtlasError::MissingFile { .. }),
        ) => Some(error),
        Err(error) => return Err(error),
    };
    let covers = |info: &SegmentInfo| info.first_lsn <= manifest.flushed_lsn;
    if reason.is_none() && !manifest.segments.iter().any(covers) {
        keep_all(manifest, findings);
        return Ok(None);
    }
    let survey = Survey::make(disk, dir, manifest, files)?;
    if reason.is_none() && !survey.covered_damage {
        keep_all(manifest, findings);
        return Ok(None);
    }
    findings.is_damaged = true;
    let plan = survey.choose(manifest, findings);
    note_rewritten(manifest, &plan, findings);
    Ok(Some(plan))
}

/// Plans a log whose manifest was made anew. It is written to tables whatever it is like, for where its segments
/// end and how far they were synced is not known any more; so what stands behind a gap is named as lost.
pub(super) fn plan_rebuilt(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    files: &[DirEntry],
    findings: &mut Findings,
) -> Result<LogPlan> {
    let survey = Survey::make(disk, dir, manifest, files)?;
    let end = survey.runs.last().map(|run| run.last);
    // What a table loses has LSNs beside that are in the log.
    let before = findings.losses.len();
    let plan = survey.choose(manifest, findings);
    if let Some(end) = end.filter(|end| *end > plan.last) {
        let is_told = |loss: &Loss| loss.lsns.is_some_and(|span| span.last >= Some(end));
        if !findings.losses.iter().skip(before).any(is_told) {
            findings.losses.push(lost(manifest, plan.last, Some(end)));
        }
    }
    note_rewritten(manifest, &plan, findings);
    Ok(plan)
}

fn note_rewritten(manifest: &Manifest, plan: &LogPlan, findings: &mut Findings) {
    for info in &manifest.segments {
        let ours = plan.extents.iter().filter(|it| it.number == info.number);
        let kept: u64 = ours.map(|extent| extent.entries).sum();
        let detail = "its entries are written to a new table";
        let name = file_name::segment(info.number);
        findings.file(name, FileAction::Rewrite, Some(kept), detail);
    }
    let bytes = plan.extents.iter().map(|extent| extent.end - extent.start);
    findings.bytes_to_write += bytes.sum::<u64>() + plan.operations * TABLE_OVERHEAD;
}

fn keep_all(manifest: &Manifest, findings: &mut Findings) {
    for info in &manifest.segments {
        let name = file_name::segment(info.number);
        findings.file(name, FileAction::Keep, None, "a start takes it as it is");
    }
}

/// Opens a named segment by what the manifest says of it, whatever has become of its header. `None`: it is
/// not there.
///
/// # Errors
/// `NewerFormat` when its header is sound and of a later version; `Io`.
pub(super) fn open(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    info: &SegmentInfo,
) -> Result<Option<SegmentReader>> {
    let path = dir.join(file_name::segment(info.number));
    let header = SegmentHeader {
        database_id: manifest.database_id,
        number: info.number,
        nonce: info.nonce,
        first_lsn: info.first_lsn,
    };
    if let Err(error @ (AtlasError::NewerFormat { .. } | AtlasError::Io { .. })) =
        read_header(disk, &path)
    {
        return Err(error);
    }
    match SegmentReader::assume(disk, &path, header) {
        Ok(mut reader) => {
            if let Some(end) = info.closed {
                reader.limit(end.offset);
            }
            Ok(Some(reader))
        }
        Err(AtlasError::MissingFile { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An entry that was found in a segment.
pub(super) struct Found {
    pub(super) lsn: Lsn,
    /// Where it begins and ends, in bytes.
    place: (u64, u64),
    /// Without any it is a mark.
    pub(super) operations: u64,
    is_behind_damage: bool,
}

/// Shows every valid entry of a segment with an LSN lower than `below`, in their order; returns the highest
/// durable LSN that any carries.
pub(super) fn each_entry(
    reader: &mut SegmentReader,
    below: Lsn,
    visit: &mut dyn FnMut(Found),
) -> Result<Lsn> {
    let first = reader.header().first_lsn;
    let mut seen = first.previous();
    let mut proven = Lsn::ZERO;
    let mut is_behind_damage = false;
    loop {
        let start = reader.offset();
        let Some(entry) = reader.next_any()? else {
            let Some(found) = reader.find_entry(start)? else {
                return Ok(proven);
            };
            reader.seek(found);
            is_behind_damage = true;
            continue;
        };
        let (lsn, operations) = (entry.lsn, count(entry.operations.len()));
        proven = proven.max(entry.durable_lsn);
        // A copy of an older entry, within a value whose own entry is damaged, is no entry.
        if lsn <= seen || lsn >= below || lsn.epoch() != first.epoch() {
            continue;
        }
        seen = lsn;
        visit(Found {
            lsn,
            place: (start, reader.offset()),
            operations,
            is_behind_damage: std::mem::take(&mut is_behind_damage),
        });
    }
}

impl Survey {
    fn make(
        disk: &dyn Disk,
        dir: &Path,
        manifest: &Manifest,
        files: &[DirEntry],
    ) -> Result<Survey> {
        let mut survey = Survey {
            runs: Vec::new(),
            proven: manifest.durable_lsn.max(manifest.flushed_lsn),
            unknown_from: None,
            covered_damage: false,
        };
        // The manifest names no segment before the one in which the first LSN that it needs stands.
        if let Some(first) = manifest.segments.first() {
            survey.prove(first.first_lsn.previous());
        }
        for (place, info) in manifest.segments.iter().enumerate() {
            let next = manifest.segments.get(place + 1);
            let mut reader = open(disk, dir, manifest, info)?;
            if let Some(reader) = &mut reader {
                survey.scan(reader, manifest.flushed_lsn, next)?;
            }
            survey.judge_size(info, next, reader)?;
        }
        survey.look_at_unnamed(disk, dir, manifest, files)?;
        Ok(survey)
    }

    fn prove(&mut self, lsn: Lsn) {
        self.proven = self.proven.max(lsn);
    }

    /// Finds the runs of a segment, beginning above what tables cover and below the next segment.
    fn scan(
        &mut self,
        reader: &mut SegmentReader,
        flushed: Lsn,
        next: Option<&SegmentInfo>,
    ) -> Result<()> {
        let number = reader.header().number;
        let below = next.map_or(Lsn::MAX, |next| next.first_lsn);
        let mut before = reader.header().first_lsn.previous();
        let proven = each_entry(reader, below, &mut |entry| {
            self.covered_damage |= entry.is_behind_damage && before < flushed;
            before = entry.lsn;
            if entry.lsn > flushed {
                self.add(number, entry.lsn, entry.place, entry.operations);
            }
        })?;
        self.prove(proven);
        Ok(())
    }

    fn add(&mut self, number: u64, lsn: Lsn, (start, end): (u64, u64), operations: u64) {
        if let Some(run) = self.runs.last_mut()
            && (run.extent.number, run.extent.end, run.last.next()) == (number, start, Some(lsn))
        {
            run.extent.end = end;
            run.extent.entries += 1;
            run.operations += operations;
            run.last = lsn;
            return;
        }
        let extent = Extent {
            number,
            start,
            first_lsn: lsn,
            end,
            entries: 1,
        };
        self.runs.push(Run {
            extent,
            last: lsn,
            operations,
        });
    }

    /// No power cut takes a segment away or makes it shorter: what is missing there was damaged, not torn.
    fn judge_size(
        &mut self,
        info: &SegmentInfo,
        next: Option<&SegmentInfo>,
        reader: Option<SegmentReader>,
    ) -> Result<()> {
        let known_end = info
            .closed
            .map(|end| end.last_lsn)
            .or_else(|| next.map(|next| next.first_lsn.previous()));
        let run = self.runs.last();
        let run = run.filter(|run| run.extent.number == info.number);
        let last = run.map(|run| (run.last, run.extent.end));
        if let Some(mut reader) = reader {
            let wanted = info
                .closed
                .map_or(info.size, |end| end.offset.min(info.size));
            if reader.end() >= wanted {
                return Ok(());
            }
            // Zeros behind the last entry are the end of the log, wherever the file ends.
            let end = last.map_or(reader.offset(), |(_, end)| end);
            let has_room = reader.end().saturating_sub(end) >= count(MARK_SIZE);
            let rest = reader.look_ahead(end, &mut |_| {})?;
            if known_end.is_none() && has_room && rest.used_to.is_none() {
                return Ok(());
            }
        }
        match known_end {
            Some(end) => self.prove(end),
            None => {
                let from = last.map_or(Some(info.first_lsn), |(last, _)| last.next());
                let name = file_name::segment(info.number);
                self.unknown_from = from.map(|from| (name, from));
            }
        }
        Ok(())
    }

    /// A segment that the manifest does not name holds no data, but what it says of what was synced counts.
    fn look_at_unnamed(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        manifest: &Manifest,
        files: &[DirEntry],
    ) -> Result<()> {
        for file in files {
            let FileName::Segment(number) = file_name::parse(&file.name) else {
                continue;
            };
            if manifest.segments.iter().any(|info| info.number == number) {
                continue;
            }
            let path = dir.join(&file.name);
            let header = match read_header(disk, &path) {
                Ok(header) if header.database_id == manifest.database_id => header,
                Err(error @ (AtlasError::Io { .. } | AtlasError::NewerFormat { .. })) => {
                    return Err(error);
                }
                _ => continue,
            };
            let mut reader = SegmentReader::assume(disk, &path, header)?;
            let start = reader.offset();
            let found = reader.look_ahead(start, &mut |_| {})?;
            if let Some((durable, _)) = found.proof {
                self.prove(durable);
            }
        }
        Ok(())
    }

    /// Chooses what is kept: everything that is proven to have been synced, and what follows that without
    /// a gap.
    fn choose(self, manifest: &Manifest, findings: &mut Findings) -> LogPlan {
        let mut extents = Vec::new();
        let (mut last, mut operations) = (manifest.flushed_lsn, 0);
        let (mut cut, mut whole_to) = (None, None);
        for run in self.runs {
            let (first, before) = (run.extent.first_lsn, run.extent.first_lsn.previous());
            if cut.is_none() && Some(first) != last.next() {
                let gap_end = before.min(self.proven);
                if last < gap_end {
                    whole_to.get_or_insert(last);
                    findings.losses.push(lost(manifest, last, Some(gap_end)));
                }
                if before > self.proven {
                    cut = Some(first);
                }
            }
            if cut.is_none() {
                last = run.last;
                operations += run.operations;
                extents.push(run.extent);
            }
        }
        // What is lost behind the last entry was never recovered: no client must be told that it is there.
        let mut told = last;
        if let Some(first) = cut {
            findings.notes.push(format!(
                "from LSN {first} on entries stand behind a gap that nothing proves to have been \
                 synced: a torn tail, which any start cuts"
            ));
        } else if last < self.proven {
            findings
                .losses
                .push(lost(manifest, last, Some(self.proven)));
            told = self.proven;
        }
        if let Some((file, from)) = self.unknown_from {
            // No LSN that is named as lost twice.
            let from = from.max(told.next().unwrap_or(told));
            let detail = "the end of the log is missing; whether anything was written from there on \
                          is not known";
            findings.losses.push(Loss {
                file,
                entries: None,
                lsns: Some(LsnSpan {
                    first: from,
                    last: None,
                }),
                keys: Vec::new(),
                detail: detail.to_owned(),
            });
        }
        LogPlan {
            extents,
            last,
            whole_to: whole_to.unwrap_or(last),
            operations,
        }
    }
}

/// The writes after `last` up to `end` are lost.
fn lost(manifest: &Manifest, last: Lsn, end: Option<Lsn>) -> Loss {
    let first = last.next().unwrap_or(last);
    // The segment that holds it is the last one that begins at or before it.
    let mut before = manifest.segments.iter().rev();
    let found = before.find(|info| info.first_lsn <= first);
    let found = found.or(manifest.segments.first());
    let file = found.map_or_else(String::new, |info| file_name::segment(info.number));
    let writes = end.map(|end| end.as_u64() - last.as_u64());
    let detail = "these writes are lost; what they set has its earlier value again, what they deleted \
                  comes back, unless a later write says otherwise";
    Loss {
        file,
        entries: writes,
        lsns: Some(LsnSpan { first, last: end }),
        keys: Vec::new(),
        detail: detail.to_owned(),
    }
}
