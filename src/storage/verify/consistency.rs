//! What no single file shows: whether the manifest agrees with itself about what is live. Its checksum
//! holds when this is asked, so what is found here was written so.

use std::collections::BTreeSet;

use super::report::{Finding, Severity, shown_key};
use crate::storage::Lsn;
use crate::storage::file_name;
use crate::storage::manifest::{Manifest, SegmentInfo};
use crate::storage::table::TableInfo;

/// What is wrong with what a manifest says.
pub(in crate::storage) fn check(manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    epochs(manifest, &mut findings);
    numbers(manifest, &mut findings);
    names(manifest, &mut findings);
    for table in &manifest.tables {
        table_alone(manifest, table, &mut findings);
    }
    for pair in manifest.tables.windows(2) {
        if let [newer, older] = pair {
            findings.extend(table_order(newer, older));
        }
    }
    if let Some(first) = manifest.segments.first() {
        findings.extend(log_begin(manifest, first));
    }
    for pair in manifest.segments.windows(2) {
        if let [earlier, later] = pair {
            findings.extend(segment_order(earlier, later));
        }
    }
    findings
}

/// Nothing is lost, but the next start or the next write may do harm.
fn wrong(detail: impl Into<String>) -> Finding {
    Finding::whole(Severity::Repairable, detail)
}

/// What is read of the store may be wrong.
fn loss(detail: impl Into<String>) -> Finding {
    Finding::whole(Severity::Loss, detail)
}

fn epochs(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let (epoch, flushed, durable) = (manifest.epoch, manifest.flushed_lsn, manifest.durable_lsn);
    if flushed.epoch() != epoch {
        let detail = format!("flushed LSN {flushed} is not of the present epoch {epoch}");
        findings.push(wrong(detail).comparing(epoch, flushed.epoch()));
    }
    if durable < flushed {
        let detail = format!("what tables hold (to LSN {flushed}) is said not to be synced");
        findings.push(wrong(detail).comparing(format!("{flushed} or higher"), durable));
    }
    if durable.epoch() > epoch {
        let detail = format!("durable LSN {durable} is of an epoch that no start has opened");
        findings.push(wrong(detail).comparing(epoch, durable.epoch()));
    }
    for pair in manifest.past_epochs.windows(2) {
        if let [earlier, later] = pair
            && earlier.epoch() >= later.epoch()
        {
            let detail = "the ends of past epochs do not ascend";
            findings.push(wrong(detail).comparing(format!("after {earlier}"), later));
        }
    }
    if let Some(last) = manifest.past_epochs.last()
        && last.epoch() >= epoch
    {
        let detail = "an epoch is said to have ended that is not before the present one";
        findings.push(wrong(detail).comparing(format!("before {epoch}"), last.epoch()));
    }
}

/// Every live file has a number of its own, below the next one.
fn numbers(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let tables = manifest.tables.iter();
    let tables = tables.map(|table| (table.number, file_name::table(table.number)));
    let segments = manifest.segments.iter();
    let segments = segments.map(|segment| (segment.number, file_name::segment(segment.number)));
    let next = manifest.next_file_number;
    let mut seen = BTreeSet::new();
    for (number, name) in tables.chain(segments) {
        if number >= next {
            let detail = format!("{name} has a number that may be given to another file");
            findings.push(wrong(detail).comparing(format!("below {next}"), number));
        }
        if !seen.insert(number) {
            let detail = format!("{name} has the number of another live file");
            findings.push(loss(detail).comparing("one file", number));
        }
    }
}

/// What is listed for removal or for quarantine is not live, and stands in this directory.
fn names(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let moved = manifest.moves.iter().map(|moved| &moved.from);
    for name in manifest.obsolete.iter().chain(moved) {
        if manifest.is_live(name) {
            let detail = format!(
                "{name} is live and listed to be taken away: do not start the daemon, it would do so"
            );
            findings.push(wrong(detail));
        }
    }
}

fn table_alone(manifest: &Manifest, table: &TableInfo, findings: &mut Vec<Finding>) {
    let name = file_name::table(table.number);
    let of_table = |finding: Finding| {
        finding
            .with_lsns(table.min_lsn, table.max_lsn)
            .with_keys(&table.min_key, &table.max_key)
    };
    if table.max_lsn > manifest.flushed_lsn {
        let detail = format!("{name} holds LSNs that the log is said to hold too");
        let expected = format!("{} or lower", manifest.flushed_lsn);
        findings.push(of_table(loss(detail).comparing(expected, table.max_lsn)));
    }
    if table.min_lsn > table.max_lsn {
        let detail = format!("the LSNs of {name} end before they begin");
        let expected = format!("{} or higher", table.min_lsn);
        findings.push(of_table(loss(detail).comparing(expected, table.max_lsn)));
    }
    if table.min_key > table.max_key || table.min_key.is_empty() {
        let detail = format!("the keys of {name} end before they begin: reads pass over it");
        let (least, most) = (shown_key(&table.min_key), shown_key(&table.max_key));
        let expected = format!("{least} or higher");
        findings.push(of_table(loss(detail).comparing(expected, most)));
    }
    if table.entries == 0 || table.tombstones > table.entries {
        let detail = format!("{name} is said to hold fewer entries than it must");
        let expected = format!("{} or more", table.tombstones.max(1));
        findings.push(of_table(wrong(detail).comparing(expected, table.entries)));
    }
}

/// Tables stand newest first and share no LSN: an older value must not be found before a newer one.
fn table_order(newer: &TableInfo, older: &TableInfo) -> Option<Finding> {
    if newer.min_lsn > older.max_lsn {
        return None;
    }
    let (name, other) = (
        file_name::table(newer.number),
        file_name::table(older.number),
    );
    let detail = format!(
        "{name} stands as newer than {other} and is not: where both have a key, reads may give an older \
         value"
    );
    let finding = loss(detail).comparing(format!("above {}", older.max_lsn), newer.min_lsn);
    let first = (&newer.min_key).max(&older.min_key);
    let last = (&newer.max_key).min(&older.max_key);
    let finding = finding.with_lsns(
        newer.min_lsn.min(older.min_lsn),
        newer.max_lsn.max(older.max_lsn),
    );
    // Tables without a key in common are read rightly all the same, until they are merged.
    Some(match first <= last {
        true => finding.with_keys(first, last),
        false => finding,
    })
}

/// The log begins at the latest where the tables end.
fn log_begin(manifest: &Manifest, first: &SegmentInfo) -> Option<Finding> {
    let needed = manifest.first_needed()?;
    let name = file_name::segment(first.number);
    (first.first_lsn > needed).then(|| {
        let detail =
            format!("between the tables and {name}, the first of the log, LSNs are missing");
        loss(detail)
            .comparing(format!("{needed} or lower"), first.first_lsn)
            .with_lsns(needed, first.first_lsn.previous())
    })
}

/// One segment goes on where the one before was closed.
fn segment_order(earlier: &SegmentInfo, later: &SegmentInfo) -> Option<Finding> {
    let (name, other) = (
        file_name::segment(earlier.number),
        file_name::segment(later.number),
    );
    if earlier.number >= later.number {
        let detail = format!("{other} stands behind {name} and was made before it");
        return Some(loss(detail).comparing(format!("above {}", earlier.number), later.number));
    }
    let Some(end) = earlier.closed else {
        let detail = format!("{name} is said to take entries still, though {other} follows");
        return Some(wrong(detail).comparing("closed", "open"));
    };
    let expected = Lsn::from_u64(end.last_lsn.as_u64().saturating_add(1));
    if later.first_lsn == expected {
        return None;
    }
    let detail = format!("the log does not go on from {name} to {other}");
    let finding = loss(detail).comparing(expected, later.first_lsn);
    Some(match later.first_lsn > expected {
        true => finding.with_lsns(expected, later.first_lsn.previous()),
        false => finding.with_lsns(later.first_lsn, end.last_lsn),
    })
}
