//! `atlaskv-compact-offline`: merges all tables of a store while no daemon runs on it.

mod report;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use serde_json::json;

use super::arguments;
use super::failure::Failure;
use super::interrupt::Interrupt;
use super::json::object;
use super::local;
use super::output::{Format, Output};
use super::progress::{self, Bar, ProgressArgument, WatchedDisk};
use crate::exit::Exit;
use crate::storage::verify::{VerifyOptions, VerifyReport, verify};
use crate::storage::{
    KIB, OfflineEnding, OfflinePlan, OfflineWatch, Options, OwnersDisk, RealDisk, RecoveryReport,
    compact_offline, plan_offline,
};
use report::{Done, Size, recovered};

/// The tool's name, in messages.
const TOOL: &str = "atlaskv-compact-offline";
/// The log takes nothing but the mark of a clean shutdown here: no room is kept for more.
const SEGMENT_SIZE: usize = 64 * KIB;

type Result<T> = std::result::Result<T, Failure>;

const EXAMPLES: &str = "  systemctl stop atlaskv
  atlaskv-compact-offline --dry-run /var/lib/atlaskv
  atlaskv-compact-offline /var/lib/atlaskv
  systemctl start atlaskv";

/// Merges all tables of a store into one, so that the space of overwritten and deleted data comes back.
/// No daemon may run on the directory. What a crash left is recovered first. The room that it takes is
/// checked before anything is changed (exit code 8). What root makes belongs to the directory's owner.
/// SIGINT (Ctrl-C) and SIGTERM stop it at the next piece of work, with exit code 130 and 143, and a
/// second one at once: either way, as after a crash, nothing is lost.
#[derive(Debug, Parser)]
#[command(name = TOOL, version, after_help = super::after_help(EXAMPLES), max_term_width = 100)]
struct Arguments {
    /// The data directory.
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Say what would be done and what it would take, and change nothing; ends with the code of a
    /// refusal if the run would be refused.
    #[arg(long)]
    dry_run: bool,

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
    let result = if parsed.dry_run {
        tell_plan(&parsed, &mut output)
    } else {
        tell(&parsed, &mut output)
    };
    output.finish(result)
}

fn options() -> Options {
    Options {
        background: false,
        segment_size: SEGMENT_SIZE,
        ..Options::default()
    }
}

fn tell_plan(arguments: &Arguments, output: &mut Output) -> Result<()> {
    let dir = &arguments.dir;
    local::check_directory(dir)?;
    let plan = OwnersDisk::of(dir).and_then(|disk| plan_offline(&disk, dir, &options()));
    let plan = plan.map_err(|error| local::failure(&error))?;
    if let Some(refusal) = plan.refusal(dir) {
        if !output.is_json() {
            output.write(|out| report::plan_human(&plan, out))?;
        }
        return Err(local::failure(&refusal).with("plan", json!(plan)));
    }
    if output.is_json() {
        return output.document(report::plan_document(&plan));
    }
    output.write(|out| report::plan_human(&plan, out))
}

/// Somebody who looks at a bar and may lose patience.
struct Watcher {
    bar: Arc<Bar>,
    interrupt: Interrupt,
}

impl OfflineWatch for Watcher {
    fn planned(&self, plan: &OfflinePlan) {
        self.bar.begin(plan.bytes_to_read);
    }

    fn keep_going(&self) -> bool {
        !self.interrupt.is_asked()
    }
}

fn tell(arguments: &Arguments, output: &mut Output) -> Result<()> {
    let dir = &arguments.dir;
    local::check_directory(dir)?;
    let interrupt =
        Interrupt::watch().map_err(|error| Failure::io("watch signals for", dir, &error))?;
    let before = measure(dir)?;
    let bytes = progress::bytes_to_read(&RealDisk, dir);
    let bar = Arc::new(arguments.progress.start("compacting", Some(bytes), output));
    let watcher = Watcher { bar, interrupt };
    let ended = compact(dir, &watcher);
    watcher.bar.end();
    match ended.map_err(|error| local::failure(&error))? {
        OfflineEnding::Untouched => output.result(
            report::COMPACT,
            object([("compacted", false.into()), ("recovery", json!([]))]),
        ),
        OfflineEnding::Interrupted(recovery) => {
            Err(interrupted(&watcher.interrupt, recovery.as_ref()))
        }
        OfflineEnding::Compacted(recovery, summary) => {
            let done = Done {
                before,
                after: measure(dir)?,
                recovery: &recovery,
                summary: &summary,
            };
            if output.is_json() {
                return output.document(done.document());
            }
            output.write(|out| done.human(out))
        }
    }
}

fn compact(dir: &Path, watcher: &Watcher) -> crate::storage::Result<OfflineEnding> {
    let disk = WatchedDisk {
        disk: OwnersDisk::of(dir)?,
        bar: Arc::clone(&watcher.bar),
    };
    compact_offline(Arc::new(disk), dir, options(), watcher)
}

/// The end that a signal asked for.
fn interrupted(interrupt: &Interrupt, recovery: Option<&RecoveryReport>) -> Failure {
    let (signal, exit) = interrupt.signal();
    let recovery = recovery.map(recovered).unwrap_or_default();
    let tables = if recovery.is_empty() {
        "the tables are as they were"
    } else {
        "what a crash had left is recovered, and nothing was merged"
    };
    let message = format!(
        "stopped by {signal}: nothing was lost, {tables}; atlaskvd can start, and a new run begins anew"
    );
    Failure::new(exit, "interrupted", message).with("recovery", json!(recovery))
}

fn measure(dir: &Path) -> Result<Size> {
    let options = VerifyOptions {
        quick: true,
        ..VerifyOptions::default()
    };
    let disk = OwnersDisk::of(dir).map_err(|error| local::failure(&error))?;
    let VerifyReport { files, .. } =
        verify(&disk, dir, options).map_err(|error| local::failure(&error))?;
    Ok(files
        .iter()
        .fold(Size { files: 0, bytes: 0 }, |size, file| Size {
            files: size.files + 1,
            bytes: size.bytes.saturating_add(file.bytes),
        }))
}
