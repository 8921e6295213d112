//! Writes that can be read in the log, that a manifest made anew does not replay, and that no table has for
//! all that the files tell.
//!
//! Tables are taken to have whatever counts of the LSNs before their end, for nothing is flushed before what was
//! written before it. If a table is gone they do not, and then such a segment is the only place that tells of it.

#[cfg(test)]
mod tests;

use std::path::Path;

use super::log;
use super::plan::{FileAction, Findings, Loss, LsnSpan};
use crate::storage::Lsn;
use crate::storage::disk::Disk;
use crate::storage::error::Result;
use crate::storage::file_name;
use crate::storage::manifest::{Manifest, SegmentInfo};

const CONSEQUENCE: &str = "these writes are older than what is live, and no live table spans their LSNs: they \
                           are not used. They are lost if a table is gone, and count for nothing if they were \
                           overwritten or deleted before they would have come to one";

/// Names what is not used of these segments.
pub(super) fn name<'a>(
    (disk, dir): (&dyn Disk, &Path),
    manifest: &Manifest,
    segments: impl Iterator<Item = &'a SegmentInfo>,
    findings: &mut Findings,
) -> Result<()> {
    for info in segments {
        let file = file_name::segment(info.number);
        let is_live = manifest.is_live(&file);
        let spans = spans((disk, dir), manifest, info, is_live)?;
        if !is_live {
            let detail = "nothing in it is replayed: it is of an earlier epoch than the log";
            findings.file(file.clone(), FileAction::SetAside, Some(0), detail);
        }
        let losses = spans.into_iter().map(|(first, last)| Loss {
            file: file.clone(),
            entries: Some(last.as_u64() - first.as_u64() + 1),
            lsns: Some(LsnSpan {
                first,
                last: Some(last),
            }),
            keys: Vec::new(),
            detail: CONSEQUENCE.to_owned(),
        });
        findings.losses.extend(losses);
    }
    Ok(())
}

/// The LSNs of those writes; marks among them count with them.
fn spans(
    (disk, dir): (&dyn Disk, &Path),
    manifest: &Manifest,
    info: &SegmentInfo,
    is_live: bool,
) -> Result<Vec<(Lsn, Lsn)>> {
    let mut spans: Vec<(Lsn, Lsn)> = Vec::new();
    let Some(mut reader) = log::open(disk, dir, manifest, info)? else {
        return Ok(spans);
    };
    // The last LSN so far that no table has, and whether the last span reaches it.
    let (mut reaches, mut is_open) = (None, false);
    log::each_entry(&mut reader, Lsn::MAX, &mut |entry| {
        let lsn = entry.lsn;
        let is_replayed = is_live && lsn > manifest.flushed_lsn;
        let mut tables = manifest.tables.iter();
        if is_replayed || tables.any(|table| table.min_lsn <= lsn && lsn <= table.max_lsn) {
            return;
        }
        is_open &= reaches.replace(lsn).and_then(Lsn::next) == Some(lsn);
        if entry.operations == 0 {
            return;
        }
        match spans.last_mut().filter(|_| is_open) {
            Some((_, last)) => *last = lsn,
            None => spans.push((lsn, lsn)),
        }
        is_open = true;
    })?;
    Ok(spans)
}
