//! What the tool says: tables for people, documents for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::cli::json::{Object, object};
use crate::cli::words::{self, counted};
use crate::storage::{CompactionSummary, OfflinePlan, RecoveryReport};

/// Files of a directory and their bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// What a run did.
pub(super) struct Done<'a> {
    pub(super) before: Size,
    pub(super) after: Size,
    pub(super) recovery: &'a RecoveryReport,
    pub(super) summary: &'a CompactionSummary,
}

impl Done<'_> {
    pub(super) fn document(&self) -> Object {
        let (summary, before, after) = (self.summary, self.before, self.after);
        object([
            ("compacted", true.into()),
            (
                "before",
                figures(
                    before,
                    summary.tables_before,
                    summary.bytes_before,
                    summary.entries_before,
                ),
            ),
            (
                "after",
                figures(
                    after,
                    summary.tables_after,
                    summary.bytes_after,
                    summary.entries_after,
                ),
            ),
            ("tombstones_dropped", summary.tombstones_dropped.into()),
            ("shadowed_dropped", summary.shadowed_dropped.into()),
            ("recovery", json!(recovered(self.recovery))),
        ])
    }

    pub(super) fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (summary, before, after) = (self.summary, self.before, self.after);
        for note in recovered(self.recovery) {
            writeln!(out, "note: {note}")?;
        }
        writeln!(out, "{:<12}{:>20}{:>20}", "", "before", "after")?;
        for (name, before, after) in [
            ("files", before.files, after.files),
            ("bytes", before.bytes, after.bytes),
            ("tables", summary.tables_before, summary.tables_after),
            ("table bytes", summary.bytes_before, summary.bytes_after),
            ("entries", summary.entries_before, summary.entries_after),
        ] {
            writeln!(out, "{name:<12}{before:>20}{after:>20}")?;
        }
        writeln!(
            out,
            "dropped: {}, {}",
            counted(summary.tombstones_dropped, "tombstone"),
            counted(summary.shadowed_dropped, "shadowed version")
        )
    }
}

fn figures(size: Size, tables: u64, table_bytes: u64, entries: u64) -> Value {
    json!({
        "files": size.files,
        "bytes": size.bytes,
        "tables": tables,
        "table_bytes": table_bytes,
        "entries": entries,
    })
}

/// What recovery had to do first, a sentence each.
pub(super) fn recovered(report: &RecoveryReport) -> Vec<String> {
    let mut sentences = Vec::new();
    if report.replayed_operations > 0 {
        let operations = report.replayed_operations;
        sentences.push(format!("operations replayed from the log: {operations}"));
    }
    if let Some(lsn) = report.cut_from {
        let bytes = counted(report.cut_bytes, "byte");
        sentences.push(format!(
            "cut a torn tail of {bytes} off the log: from LSN {lsn} on nothing is provable"
        ));
    }
    if !report.quarantined.is_empty() {
        sentences.push(format!(
            "moved to quarantine: {}",
            report.quarantined.join(", ")
        ));
    }
    sentences.extend(report.notes.iter().cloned());
    sentences
}

/// The document of a dry run.
pub(super) fn plan_document(plan: &OfflinePlan) -> Object {
    object([("compacted", false.into()), ("plan", json!(plan))])
}

/// What a dry run says.
pub(super) fn plan_human(plan: &OfflinePlan, out: &mut dyn Write) -> io::Result<()> {
    for work in &plan.recovery {
        writeln!(out, "recovery first: {work}")?;
    }
    for (name, number) in [
        ("tables", plan.tables.to_string()),
        ("table bytes", words::bytes(plan.table_bytes)),
        ("entries", plan.entries.to_string()),
        ("tombstones", plan.tombstones.to_string()),
    ] {
        writeln!(out, "{name:<16}{number}")?;
    }
    if plan.compact {
        return writeln!(out, "{COMPACT}");
    }
    let free = plan.bytes_free.map(words::bytes);
    for (name, number) in [
        ("bytes to read", words::bytes(plan.bytes_to_read)),
        ("bytes needed", words::bytes(plan.bytes_needed)),
        ("bytes free", free.unwrap_or_else(|| "unknown".to_owned())),
    ] {
        writeln!(out, "{name:<16}{number}")?;
    }
    writeln!(out, "a dry run: nothing was changed")
}

/// Said of a store with which there is nothing to do.
pub(super) const COMPACT: &str =
    "already compact: at most one table, no tombstones, nothing to recover; nothing was changed";

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_was_done_is_a_table() {
        let done = Done {
            before: Size {
                files: 4,
                bytes: 65_888,
            },
            after: Size {
                files: 3,
                bytes: 65_884,
            },
            recovery: &RecoveryReport {
                replayed_operations: 30,
                quarantined: vec!["stray".to_owned()],
                ..RecoveryReport::default()
            },
            summary: &CompactionSummary {
                tables_before: 3,
                tables_after: 1,
                bytes_before: 12_210,
                bytes_after: 6_178,
                entries_before: 150,
                entries_after: 50,
                tombstones_dropped: 50,
                shadowed_dropped: 1,
            },
        };
        let expected = "\
note: operations replayed from the log: 30
note: moved to quarantine: stray
                          before               after
files                          4                   3
bytes                      65888               65884
tables                         3                   1
table bytes                12210                6178
entries                      150                  50
dropped: 50 tombstones, 1 shadowed version
";
        assert_eq!(text(|out| done.human(out)), expected);
    }

    #[test]
    fn a_plan_says_what_it_takes() {
        let mut plan = OfflinePlan {
            tables: 3,
            table_bytes: 12_210,
            entries: 150,
            tombstones: 50,
            recovery: vec!["operations to replay from the log: 30".to_owned()],
            compact: false,
            bytes_to_read: 80_000,
            bytes_needed: 400_000,
            bytes_free: Some(1 << 30),
        };
        let expected = "\
recovery first: operations to replay from the log: 30
tables          3
table bytes     12210 (11.9 KiB)
entries         150
tombstones      50
bytes to read   80000 (78.1 KiB)
bytes needed    400000 (390.6 KiB)
bytes free      1073741824 (1.0 GiB)
a dry run: nothing was changed
";
        assert_eq!(text(|out| plan_human(&plan, out)), expected);
        plan.bytes_free = None;
        assert!(text(|out| plan_human(&plan, out)).contains("bytes free      unknown\n"));
        plan.compact = true;
        let compact = text(|out| plan_human(&plan, out));
        assert!(compact.ends_with(&format!("{COMPACT}\n")), "{compact}");
    }
}
