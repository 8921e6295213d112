//! `atlaskv-compact-offline`: merges all tables of a store while no daemon runs on it.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use serde_json::{Value, json};

use super::arguments;
use super::failure::Failure;
use super::json::object;
use super::local;
use super::output::{Format, Output};
use super::progress::{self, Bar, ProgressArgument, WatchedDisk};
use super::words::counted;
use crate::exit::Exit;
use crate::storage::verify::{VerifyOptions, VerifyReport, verify};
use crate::storage::{
    CompactionSummary, Engine, KIB, Options, OwnersDisk, RealDisk, RecoveryReport,
};

/// The tool's name, in messages.
const TOOL: &str = "atlaskv-compact-offline";
/// The log takes nothing but the mark of a clean shutdown here: no room is kept for more.
const SEGMENT_SIZE: usize = 64 * KIB;

type Result<T> = std::result::Result<T, Failure>;

const EXAMPLES: &str = "  systemctl stop atlaskv
  atlaskv-compact-offline /var/lib/atlaskv
  systemctl start atlaskv";

/// Merges all tables of a store into one, so that the space of overwritten and deleted data comes back.
/// No daemon may run on the directory. What a crash left is recovered first. What root makes belongs to
/// the directory's owner.
#[derive(Debug, Parser)]
#[command(name = TOOL, version, after_help = super::after_help(EXAMPLES), max_term_width = 100)]
struct Arguments {
    /// The data directory.
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Text for people, or one JSON document, errors included.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    #[command(flatten)]
    progress: ProgressArgument,
}

/// The tool's command line.
pub(super) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the tool with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    run(&arguments).into()
}

fn run(arguments: &[OsString]) -> Exit {
    let parsed: Arguments = match arguments::parse(TOOL, arguments) {
        Ok(parsed) => parsed,
        Err(exit) => return exit,
    };
    let mut output = Output::new(TOOL, parsed.format);
    let result = tell(&parsed, &mut output);
    output.finish(result)
}

fn tell(arguments: &Arguments, output: &mut Output) -> Result<()> {
    local::check_directory(&arguments.dir)?;
    // Also proves that there is a store: opening an engine would make one.
    let before = measure(&arguments.dir)?;
    let bytes = progress::bytes_to_read(&RealDisk, &arguments.dir);
    let bar = arguments.progress.start("compacting", Some(bytes), output);
    let bar = Arc::new(bar);
    let compacted = compact(&arguments.dir, &bar);
    bar.end();
    let (recovery, summary) = compacted.map_err(|error| local::failure(&error))?;
    let after = measure(&arguments.dir)?;
    if output.is_json() {
        let document = object([
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
            ("recovery", json!(recovered(&recovery))),
        ]);
        return output.document(document);
    }
    output.write(|out| {
        for note in recovered(&recovery) {
            writeln!(out, "note: {note}")?;
        }
        human((before, after), &summary, out)
    })
}

fn compact(
    dir: &Path,
    bar: &Arc<Bar>,
) -> crate::storage::Result<(RecoveryReport, CompactionSummary)> {
    let options = Options {
        background: false,
        segment_size: SEGMENT_SIZE,
        ..Options::default()
    };
    let disk = WatchedDisk {
        disk: OwnersDisk::of(dir)?,
        bar: Arc::clone(bar),
    };
    let engine = Engine::open(Arc::new(disk), dir, options)?;
    let summary = engine.compact()?;
    engine.close()?;
    Ok((engine.recovery_report().clone(), summary))
}

/// Files of a directory and their bytes.
#[derive(Debug, Clone, Copy)]
struct Size {
    files: u64,
    bytes: u64,
}

fn measure(dir: &Path) -> Result<Size> {
    let options = VerifyOptions {
        quick: true,
        ..VerifyOptions::default()
    };
    let VerifyReport { files, .. } =
        verify(&RealDisk, dir, options).map_err(|error| local::failure(&error))?;
    Ok(files
        .iter()
        .fold(Size { files: 0, bytes: 0 }, |size, file| Size {
            files: size.files + 1,
            bytes: size.bytes.saturating_add(file.bytes),
        }))
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
fn recovered(report: &RecoveryReport) -> Vec<String> {
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

fn human(
    (before, after): (Size, Size),
    summary: &CompactionSummary,
    out: &mut dyn Write,
) -> io::Result<()> {
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
    Ok(())
}
