//! verify: the daemon reads its own files.

use std::io::Write;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use serde_json::Value;

use super::exit_code::failure;
use super::{Plane, Result, Session};
use crate::cli::json::{Object, object};
use crate::cli::progress::{Bar, ProgressArgument};
use crate::cli::words::{bytes, counted};
use crate::cli::{Failure, after_help};
use crate::client::{Client, VerificationStatus};
use crate::exit::Exit;
use crate::logging::Rfc3339;
use crate::storage::disk::count;

/// Between two looks at a verification that is under way.
const LOOK: Duration = Duration::from_millis(200);

/// Have the daemon read all its files and say whether they are sound.
///
/// It reads at most 32 MiB in a second, so that reads and writes go on. While one is under way another
/// is not begun: then that one is waited for. The outcome stands in stats and in the log too.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl verify\n  atlaskv-ctl verify --rate 4194304 --no-wait"))]
pub(super) struct Verify {
    /// Read at most so many bytes in a second [default: 33554432, which is the most]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Begin it and do not wait for the outcome.
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    progress: ProgressArgument,
}

impl Verify {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::Administration)?;
        let status = client.verify_start(self.rate.unwrap_or(0));
        let mut status = status.map_err(failure)?;
        if !self.no_wait {
            let bar = self.progress.start("verifying", None, &session.output);
            status = wait(&mut client, status, &bar)?;
            bar.end();
        }
        let outcome = outcome(&status);
        if session.output.is_json() {
            let document = document(&status);
            return match outcome {
                None => session
                    .output
                    .document(object([("verification", document.into())])),
                Some(failure) => Err(failure.with("verification", Value::from(document))),
            };
        }
        let written = session.output.write(|out| {
            let mut lines = human(&status).into_iter();
            lines.try_for_each(|line| writeln!(out, "{line}"))
        });
        // A reader that has gone does not turn damage into success.
        outcome.map_or(written, Err)
    }
}

/// Waits for the end of the run that `status` is about.
fn wait(
    client: &mut Client,
    mut status: VerificationStatus,
    bar: &Bar,
) -> Result<VerificationStatus> {
    let mut shown = 0;
    while status.running {
        thread::sleep(LOOK);
        status = client.verify_status().map_err(failure)?;
        bar.advance(status.bytes.saturating_sub(shown));
        shown = status.bytes;
    }
    Ok(status)
}

/// The failure that a verdict is, if it is one.
fn outcome(status: &VerificationStatus) -> Option<Failure> {
    let exit = match status.verdict.as_str() {
        // Under way still, or well.
        "" | "sound" | "torn-tail" => return None,
        "repairable" => Exit::No,
        "damaged" => Exit::Damaged,
        _ => Exit::Io,
    };
    let verdict = status.verdict.as_str();
    let message = format!("the verdict on the daemon's files is: {verdict}");
    Some(Failure::new(exit, verdict, message))
}

fn human(status: &VerificationStatus) -> Vec<String> {
    if status.running {
        return vec!["verifying; the outcome will stand in stats and in the log".to_owned()];
    }
    let mut lines = status.findings.clone();
    let (read, seconds) = (bytes(status.bytes), status.duration_ms / 1000);
    let findings = counted(count(status.findings.len()), "finding");
    lines.push(format!(
        "{}: {findings}, {read} read in {seconds} s",
        status.verdict
    ));
    lines
}

fn document(status: &VerificationStatus) -> Object {
    let started = UNIX_EPOCH + Duration::from_secs(status.started_unix_s);
    object([
        ("running", status.running.into()),
        ("started", Rfc3339(started).to_string().into()),
        ("duration_ms", status.duration_ms.into()),
        ("bytes", status.bytes.into()),
        ("verdict", status.verdict.clone().into()),
        ("findings", status.findings.clone().into()),
    ])
}
