//! `atlaskv-verify`: says what is sound, torn or damaged in a data directory, and changes nothing.

mod dump;
mod repair;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::Parser;

use super::arguments;
use super::failure::Failure;
use super::json::object;
use super::local;
use super::output::{Format, Output};
use super::progress::{self, Bar, ProgressArgument, WatchedDisk};
use super::words::counted;
use crate::exit::Exit;
use crate::storage::disk::count;
use crate::storage::verify::{
    FileKind, FileReport, Finding, Severity, Verdict, VerifyOptions, VerifyReport, key_range,
    verify,
};
use crate::storage::{Lsn, OwnersDisk, RealDisk};

/// The tool's name, in messages.
const TOOL: &str = "atlaskv-verify";

/// Threads that are taken without being asked for.
const MOST_THREADS: usize = 4;

type Result<T> = std::result::Result<T, Failure>;

const EXAMPLES: &str = "  atlaskv-verify /var/lib/atlaskv
  atlaskv-verify --quick /var/lib/atlaskv
  atlaskv-verify --repair /var/lib/atlaskv
  atlaskv-verify /var/lib/atlaskv --dump wal-000000000007.log
  atlaskv-verify --format json /var/lib/atlaskv | jq .report.verdict";

/// Reads every file of a data directory and says what is sound, torn or damaged. Without --repair nothing
/// is changed and nothing is locked: atlaskvd may run on the directory.
#[derive(Debug, Parser)]
#[command(name = TOOL, version, after_help = super::after_help(EXAMPLES), max_term_width = 100)]
struct Arguments {
    /// The data directory.
    #[arg(value_name = "DIR", required_unless_present = "dump")]
    dir: Option<PathBuf>,

    /// Show one segment or one table, entry by entry: FILE, or the file of that name in DIR. Needs no
    /// manifest. With --format json: one document a line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "repair", "threads"])]
    dump: Option<PathBuf>,

    /// Read only the manifest and the headers and footers of the files that it names.
    #[arg(long)]
    quick: bool,

    /// Tables that are read at the same time [default: the machine's processors, at most 4].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,

    /// Text for people, or one JSON document, errors included.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    #[command(flatten)]
    repair: repair::RepairArguments,

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
    let dir = parsed.dir.as_deref();
    let result = match (&parsed.dump, dir.unwrap_or(Path::new("."))) {
        (Some(file), _) => dump::run(dir, file, &mut output),
        (None, dir) if parsed.repair.repair => {
            parsed.repair.run(dir, &parsed.progress, &mut output)
        }
        (None, dir) => tell(&parsed, dir, &mut output),
    };
    output.finish(result)
}

fn tell(arguments: &Arguments, dir: &Path, output: &mut Output) -> Result<()> {
    local::check_directory(dir)?;
    let options = VerifyOptions {
        quick: arguments.quick,
        threads: arguments.threads.map_or_else(own_threads, usize::from),
    };
    let bytes = progress::bytes_to_read(&RealDisk, dir);
    // A quick look is over before anybody could look at a bar.
    let bar = match arguments.quick {
        true => Bar::none(),
        false => arguments.progress.start("reading", Some(bytes), output),
    };
    let bar = Arc::new(bar);
    let disk = WatchedDisk {
        disk: OwnersDisk::of(dir).map_err(|error| local::failure(&error))?,
        bar: Arc::clone(&bar),
    };
    let verified = verify(&disk, dir, options);
    bar.end();
    let report = verified.map_err(|error| local::failure(&error))?;
    let outcome = outcome(&report);
    if output.is_json() {
        let document = serde_json::to_value(&report)
            .map_err(|error| Failure::new(Exit::Io, "io-error", error.to_string()))?;
        return match outcome {
            None => output.document(object([("report", document)])),
            Some(failure) => Err(failure.with("report", document)),
        };
    }
    let written = output.write(|out| human(&report, out));
    // A reader that has gone does not turn damage into success.
    outcome.map_or(written, Err)
}

/// As many as the machine has processors for, and not more than a disk has use for.
fn own_threads() -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    processors.min(MOST_THREADS)
}

/// The failure that a verdict is, if it is one.
fn outcome(report: &VerifyReport) -> Option<Failure> {
    let files = |severity| {
        let bad = report
            .files
            .iter()
            .filter(|file| file.worst() == Some(severity));
        counted(count(bad.count()), "file")
    };
    let (exit, code, message) = match report.verdict {
        Verdict::Sound | Verdict::TornTail => return None,
        Verdict::Repairable => {
            let files = files(Severity::Repairable);
            (
                Exit::No,
                "repairable",
                format!("damage in {files}, and no data is lost"),
            )
        }
        Verdict::Unreadable if report.is_refused() => {
            let files = files(Severity::Unreadable);
            let message =
                format!("{files} may not be read: run this as the directory's owner or as root");
            (Exit::Refused, "refused", message)
        }
        Verdict::Unreadable => {
            let files = files(Severity::Unreadable);
            (
                Exit::Io,
                "io-error",
                format!("the disk failed to read {files}"),
            )
        }
        Verdict::Damaged => {
            let files = files(Severity::Loss);
            (
                Exit::Damaged,
                "damaged",
                format!("damage in {files}, with loss of data"),
            )
        }
    };
    Some(Failure::new(exit, code, message))
}

fn human(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    for file in &report.files {
        writeln!(out, "{:<10}  {}: {}", state(file), file.name, facts(file))?;
        for finding in &file.findings {
            writeln!(out, "            {}", place(finding))?;
        }
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    if !report.database_id.is_empty() {
        let end = if report.clean_shutdown {
            ", a clean shutdown"
        } else {
            ""
        };
        let log = if report.quick {
            "the log was not read".to_owned()
        } else {
            format!("last LSN {}{end}", report.last_lsn)
        };
        writeln!(
            out,
            "epoch {}, in tables up to LSN {}, synced at least to LSN {}, {log}",
            report.epoch, report.flushed_lsn, report.durable_lsn
        )?;
    }
    if report.in_use {
        writeln!(
            out,
            "the store was written to meanwhile: its log was judged as far as it was"
        )?;
    }
    writeln!(out, "{}", verdict(report))
}

fn verdict(report: &VerifyReport) -> &'static str {
    match (report.verdict, report.quick) {
        (Verdict::Sound, false) => "sound",
        (Verdict::Sound, true) => "sound as far as a quick look shows",
        (Verdict::TornTail, _) => "sound, with a torn tail of the log that the next start cuts off",
        (Verdict::Repairable, _) => "damaged; no data is lost",
        (Verdict::Unreadable, _) => "not all could be read",
        (Verdict::Damaged, _) => "damaged, with loss of data",
    }
}

fn state(file: &FileReport) -> &'static str {
    match file.worst() {
        None | Some(Severity::Note) => match file.kind {
            FileKind::Manifest | FileKind::Table | FileKind::Segment => "sound",
            FileKind::Obsolete => "obsolete",
            FileKind::Temporary => "unfinished",
            FileKind::Reserve => "reserve",
            FileKind::Orphan => "orphan",
            FileKind::Stray => "stray",
        },
        Some(Severity::Torn) => "torn",
        Some(Severity::Unreadable) => "unreadable",
        Some(Severity::Repairable | Severity::Loss) => "damaged",
    }
}

fn facts(file: &FileReport) -> String {
    let mut facts = vec![counted(file.bytes, "byte")];
    facts.extend(file.version.map(|version| format!("version {version}")));
    if let Some(entries) = file.entries {
        facts.push(counted(entries, "entry"));
    }
    if let Some(tombstones) = file.tombstones.filter(|tombstones| *tombstones > 0) {
        facts.push(counted(tombstones, "tombstone"));
    }
    facts.extend(file.lsns.map(lsns));
    facts.extend(
        file.keys
            .as_ref()
            .map(|keys| format!("keys {}", key_range(keys))),
    );
    facts.join(", ")
}

fn lsns((first, last): (Lsn, Lsn)) -> String {
    if first == last {
        format!("LSN {first}")
    } else {
        format!("LSN {first} to {last}")
    }
}

fn place(finding: &Finding) -> String {
    let offset = finding.offset.map(|offset| format!("offset {offset}"));
    let mut text: Vec<String> = offset.into_iter().chain(finding.lsns.map(lsns)).collect();
    text = match text.is_empty() {
        true => vec![finding.detail.clone()],
        false => vec![format!("{}: {}", text.join(", "), finding.detail)],
    };
    if let (Some(expected), Some(found)) = (&finding.expected, &finding.found) {
        text.push(format!("expected {expected}, found {found}"));
    }
    if finding.severity != Severity::Note {
        text.push(finding.meaning.clone());
    }
    text.join("; ")
}
