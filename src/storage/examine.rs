//! Examining the log: what can be replayed, where it ends, and whether what is missing was synced.
//!
//! This is the one judgement of the log, for recovery and for `verify` alike. It reads and changes
//! nothing. At the first entry that is not the valid next one it looks at every byte offset of this
//! and all later segments. Position proves nothing (a sealed segment need not be synced); only a
//! durable LSN does, carried by the manifest or by a valid entry:
//!
//! - a durable LSN at or above the missing one: synced data is damaged, an error;
//! - only zeros and nothing valid later: the end of the log;
//! - anything else: a torn or reordered tail, to be cut.

use std::collections::BTreeMap;
use std::path::Path;

use super::disk::{Disk, count};
use super::error::{AtlasError, Result};
use super::event::ReplayStep;
use super::file_name::{self, FileName};
use super::manifest::{Manifest, SegmentInfo};
use super::progress::{Progress, Replaying};
use super::wal::reader::{Remainder, SegmentReader};
use super::wal::{HEADER_SIZE, Kind};
use super::{DirEntry, Lsn};

/// What the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    /// Segments to replay, oldest first.
    pub(crate) segments: Vec<Extent>,
    /// The last LSN that can be replayed; the flushed LSN when there is nothing to replay.
    pub(crate) last_lsn: Lsn,
    /// Everything up to here is known to have been synced.
    pub(crate) proven: Lsn,
    /// The log ends with a clean-shutdown mark.
    pub(crate) clean_shutdown: bool,
    /// Where a torn tail is to be cut.
    pub(crate) cut: Option<Cut>,
    /// Operations to replay: some entries, a mark for example, hold none.
    pub(crate) operations: u64,
    /// Segments that nothing is replayed from: behind the cut, or empty.
    pub(crate) unused: Vec<u64>,
    /// What an operator should know, a sentence each.
    pub(crate) notes: Vec<String>,
}

/// The replayable part of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    /// File number.
    pub(crate) number: u64,
    /// Offset in bytes of the first entry that no table covers.
    pub(crate) start: u64,
    /// LSN of that entry.
    pub(crate) first_lsn: Lsn,
    /// Offset in bytes behind the last replayable entry.
    pub(crate) end: u64,
    /// Replayable entries.
    pub(crate) entries: u64,
}

/// Bytes that are to be cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The segment's file number.
    pub(crate) segment: u64,
    /// Offset in bytes of the first byte that is cut.
    pub(crate) offset: u64,
    /// Offset in bytes behind the last byte that is not zero.
    pub(crate) end: u64,
    /// The first LSN that is missing: from here on nothing is provable.
    pub(crate) first_missing: Lsn,
    /// Later segments in which something stands.
    pub(crate) later: Vec<u64>,
}

/// The highest durable LSN seen and what carries it.
struct Proof {
    lsn: Lsn,
    carrier: String,
}

impl Proof {
    fn offer(&mut self, lsn: Lsn, carrier: impl FnOnce() -> String) {
        if lsn > self.lsn {
            *self = Proof {
                lsn,
                carrier: carrier(),
            };
        }
    }
}

/// Where reading stopped.
struct Stop {
    /// The place of the segment among the named ones.
    place: usize,
    number: u64,
    offset: u64,
    missing: Lsn,
}

/// Examines the log that `manifest` describes, among the files of `dir`.
///
/// # Errors
/// Read errors; a named segment that is missing, or is another file; synced data that is damaged.
pub(crate) fn examine(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    files: &[DirEntry],
    progress: &mut Replaying<'_>,
) -> Result<Log> {
    let mut examination = Examination {
        progress,
        disk,
        dir,
        manifest,
        proof: Proof {
            lsn: manifest.durable_lsn,
            carrier: "the manifest".to_owned(),
        },
        log: Log {
            segments: Vec::new(),
            last_lsn: manifest.flushed_lsn,
            proven: manifest.durable_lsn,
            clean_shutdown: false,
            cut: None,
            operations: 0,
            unused: Vec::new(),
            notes: Vec::new(),
        },
    };
    if let Some(stop) = examination.read_in_order(files)? {
        examination.judge(&stop, files)?;
    }
    examination.progress.finish();
    examination.log.proven = examination.proof.lsn.min(examination.log.last_lsn);
    Ok(examination.log)
}

struct Examination<'a, 'b> {
    progress: &'a mut Replaying<'b>,
    disk: &'a dyn Disk,
    dir: &'a Path,
    manifest: &'a Manifest,
    proof: Proof,
    log: Log,
}

impl Examination<'_, '_> {
    /// Reads the named segments in order; stops where the next valid entry is not found.
    fn read_in_order(&mut self, files: &[DirEntry]) -> Result<Option<Stop>> {
        let first_needed = self.manifest.first_needed().ok_or_else(used_up)?;
        if let Some(first) = self.manifest.segments.first()
            && first.first_lsn > first_needed
        {
            // No path of ours writes such a manifest: between tables and log writes would be missing.
            let path = self.dir.join(file_name::segment(first.number));
            let detail = format!(
                "the log begins at LSN {}, tables end before {first_needed}",
                first.first_lsn
            );
            return Err(AtlasError::MissingFile { path, detail });
        }
        // Every named segment must be the one it is said to be before anything is judged.
        let mut readers = Vec::new();
        for info in &self.manifest.segments {
            readers.push(open_named(self.disk, self.dir, self.manifest, info)?);
        }
        self.begin_reading(&readers, files);
        let mut stop = None;
        for (place, (info, reader)) in self.manifest.segments.iter().zip(&mut readers).enumerate() {
            self.progress.next_segment();
            let missing = self.read_segment(info, reader)?;
            let follows = self.manifest.segments.get(place + 1);
            let complete = follows.is_some_and(|next| next.first_lsn == missing);
            if !complete {
                let (number, offset) = (info.number, reader.offset());
                stop = Some(Stop {
                    place,
                    number,
                    offset,
                    missing,
                });
                break;
            }
        }
        Ok(stop)
    }

    /// Every byte of every segment is read once: in order up to the stop, and looked at from there on.
    fn begin_reading(&mut self, readers: &[SegmentReader], files: &[DirEntry]) {
        let last = self.manifest.segments.last().map_or(0, |info| info.number);
        let unnamed = files.iter().filter(|file| {
            matches!(file_name::parse(&file.name), FileName::Segment(number) if number > last)
        });
        let lengths = unnamed.map(|file| file.length);
        let lengths: Vec<u64> = readers
            .iter()
            .map(SegmentReader::end)
            .chain(lengths)
            .collect();
        let header = count(HEADER_SIZE);
        let bytes = lengths.iter().map(|length| length.saturating_sub(header));
        self.progress
            .begin(ReplayStep::Reading, lengths.len(), bytes.sum());
    }

    /// Reads the valid entries of a segment in order; returns the first LSN that is not there.
    fn read_segment(&mut self, info: &SegmentInfo, reader: &mut SegmentReader) -> Result<Lsn> {
        let flushed = self.manifest.flushed_lsn;
        let mut extent: Option<Extent> = None;
        let mut next = info.first_lsn;
        loop {
            let offset = reader.offset();
            let Some(entry) = reader.next_if(next)? else {
                if next > flushed || !self.skip_covered(reader, &mut next)? {
                    break;
                }
                continue;
            };
            let (lsn, durable) = (entry.lsn, entry.durable_lsn);
            let operations = count(entry.operations.len());
            self.log.clean_shutdown = entry.kind == Kind::CleanMark;
            self.proof.offer(durable, || carrier(reader.path(), offset));
            next = lsn.next().ok_or_else(used_up)?;
            let size = reader.offset() - offset;
            self.progress.note(size, size);
            if lsn > flushed {
                self.log.last_lsn = lsn;
                self.log.operations += operations;
                let extent = extent.get_or_insert(Extent {
                    number: info.number,
                    start: offset,
                    first_lsn: lsn,
                    end: offset,
                    entries: 0,
                });
                extent.end = reader.offset();
                extent.entries += 1;
            }
        }
        // Tables cover what is missing before the first LSN that none does.
        next = next.max(self.manifest.first_needed().ok_or_else(used_up)?);
        match extent {
            Some(extent) => self.log.segments.push(extent),
            None => self.log.unused.push(info.number),
        }
        Ok(next)
    }

    /// Damage in what tables cover needs nothing: goes on at the next valid entry up to the first one
    /// that no table covers, if there is one. Says so.
    fn skip_covered(&mut self, reader: &mut SegmentReader, next: &mut Lsn) -> Result<bool> {
        let at = reader.offset();
        let found = reader.look_ahead(at, &mut |bytes| self.progress.note(0, bytes))?;
        let Some((offset, lsn)) = found.first_entry else {
            return Ok(false);
        };
        let first_needed = self.manifest.first_needed().ok_or_else(used_up)?;
        if lsn <= *next || lsn > first_needed {
            return Ok(false);
        }
        self.log.notes.push(format!(
            "{} is damaged from offset {at} to {offset}; tables cover what stood there",
            reader.path().display()
        ));
        reader.seek(offset);
        self.progress.note(offset - at, 0);
        *next = lsn;
        Ok(true)
    }

    /// Decides what the missing entry means.
    fn judge(&mut self, stop: &Stop, files: &[DirEntry]) -> Result<()> {
        let info = self.manifest.segments.get(stop.place);
        let here = match info {
            Some(info) => {
                let mut reader = open_named(self.disk, self.dir, self.manifest, info)?;
                let found = reader
                    .look_ahead(stop.offset, &mut |bytes| self.progress.note(bytes, bytes))?;
                self.offer_proof(reader.path(), &found);
                found
            }
            None => Remainder::default(),
        };
        let mut later = Vec::new();
        let mut any_entry = here.first_entry.is_some();
        for (number, mut reader) in self.later_segments(stop, files)? {
            self.progress.next_segment();
            let found = reader.look_ahead(count(HEADER_SIZE), &mut |bytes| {
                self.progress.note(bytes, bytes);
            })?;
            self.offer_proof(reader.path(), &found);
            any_entry |= found.first_entry.is_some();
            if found.used_to.is_some() {
                later.push(number);
            }
        }
        if self.proof.lsn >= stop.missing {
            return Err(AtlasError::SyncedDataDamaged {
                path: self.dir.join(file_name::segment(stop.number)),
                offset: stop.offset,
                missing: stop.missing,
                proven: self.proof.lsn,
                proof: self.proof.carrier.clone(),
            });
        }
        self.note_unsynced_loss(stop);
        let unread = self
            .manifest
            .segments
            .iter()
            .skip(stop.place + 1)
            .map(|info| info.number);
        self.log.unused.extend(unread);
        if here.used_to.is_some() || any_entry || !later.is_empty() {
            self.log.clean_shutdown = false;
            self.log.cut = Some(Cut {
                segment: stop.number,
                offset: stop.offset,
                end: here.used_to.unwrap_or(stop.offset),
                first_missing: stop.missing,
                later,
            });
        }
        Ok(())
    }

    /// The segments after the stop, named by the manifest or not, with the same database id. One that
    /// is not named and has no valid header holds nothing provable.
    fn later_segments(
        &self,
        stop: &Stop,
        files: &[DirEntry],
    ) -> Result<BTreeMap<u64, SegmentReader>> {
        let mut later = BTreeMap::new();
        for info in self.manifest.segments.iter().skip(stop.place + 1) {
            later.insert(
                info.number,
                open_named(self.disk, self.dir, self.manifest, info)?,
            );
        }
        for file in files {
            let FileName::Segment(number) = file_name::parse(&file.name) else {
                continue;
            };
            let named = self
                .manifest
                .segments
                .iter()
                .any(|info| info.number == number);
            if number <= stop.number || named {
                continue;
            }
            match SegmentReader::open(self.disk, self.dir, number) {
                Ok(reader) if reader.header().database_id == self.manifest.database_id => {
                    later.insert(number, reader);
                }
                Err(error @ AtlasError::Io { .. }) => return Err(error),
                _ => {}
            }
        }
        Ok(later)
    }

    fn offer_proof(&mut self, path: &Path, found: &Remainder) {
        if let Some((durable, offset)) = found.proof {
            self.proof.offer(durable, || carrier(path, offset));
        }
    }

    /// A power cut may take writes that were answered and not synced; that is the policy's bargain,
    /// but it is said.
    fn note_unsynced_loss(&mut self, stop: &Stop) {
        let named = self.manifest.segments.iter().skip(stop.place);
        let known = named.filter_map(|info| match info.closed {
            Some(end) => Some(end.last_lsn),
            None => (info.first_lsn > stop.missing).then(|| info.first_lsn.previous()),
        });
        if let Some(last) = known.max().filter(|last| *last >= stop.missing) {
            self.log.notes.push(format!(
                "LSN {} to {last} were written and not synced, and are lost",
                stop.missing
            ));
        }
    }
}

fn carrier(path: &Path, offset: u64) -> String {
    format!("the entry at offset {offset} of {}", path.display())
}

fn used_up() -> AtlasError {
    AtlasError::Exhausted {
        what: "the LSNs of this epoch",
        remedy: "restart to open the next epoch",
    }
}

/// Opens a segment that the manifest names and proves that it is the one.
pub(crate) fn open_named(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
    info: &SegmentInfo,
) -> Result<SegmentReader> {
    let mut reader = SegmentReader::open(disk, dir, info.number)?;
    let header = reader.header();
    let expected = (manifest.database_id, info.nonce, info.first_lsn);
    if (header.database_id, header.nonce, header.first_lsn) != expected {
        return Err(AtlasError::MissingFile {
            path: reader.path().to_path_buf(),
            detail: format!(
                "the manifest says nonce {:016x} and first LSN {}, the file {:016x} and {}",
                info.nonce, info.first_lsn, header.nonce, header.first_lsn
            ),
        });
    }
    // A power cut leaves old bytes or none, but never makes a file shorter than it was when it was synced.
    if reader.end() < info.size {
        let detail = format!(
            "it has {} bytes; it was made durable with {}",
            reader.end(),
            info.size
        );
        let path = reader.path().to_path_buf();
        return Err(AtlasError::MissingFile { path, detail });
    }
    if let Some(end) = info.closed {
        reader.limit(end.offset);
    }
    Ok(reader)
}

#[cfg(test)]
#[path = "examine_tests.rs"]
mod tests;
