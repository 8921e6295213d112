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
use crate::config::Size;
use crate::exit::Exit;
use crate::logging::Rfc3339;
use crate::protocol::LEAST_VERIFY_RATE;
use crate::storage::disk::count;

/// Between two looks at a verification that is under way.
const LOOK: Duration = Duration::from_millis(200);

/// Have the daemon read all its files and say whether they are sound.
///
/// It reads at most verify_rate (32 MiB) in a second, so that reads and writes go on. While one is under
/// way another is not begun: then that one is waited for, and said how far it is. The outcome stands in
/// stats and in the log too.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl verify\n  atlaskv-ctl verify --rate 4MiB --no-wait"))]
pub(super) struct Verify {
    /// Read at most so much in a second, bytes or text such as 4MiB, from 1MiB [default: verify_rate of
    /// the daemon's configuration, which is the most]
    #[arg(long, value_name = "SIZE", value_parser = rate)]
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
        let joined = status.joined;
        if joined {
            session.output.message(&already(&status));
        }
        if !self.no_wait {
            let total = Some(status.total_bytes);
            let bar = self.progress.start("verifying", total, &session.output);
            status = wait(&mut client, status, &bar)?;
            bar.end();
        }
        status.joined = joined;
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

/// Reads a rate; the daemon refuses too low a one too.
fn rate(text: &str) -> std::result::Result<u64, String> {
    let Size(rate) = text.parse()?;
    if rate < LEAST_VERIFY_RATE {
        let least = Size(LEAST_VERIFY_RATE);
        return Err(format!(
            "at least {least} in a second: with less it would not end"
        ));
    }
    Ok(rate)
}

/// What is said to whoever asks while one is under way.
fn already(status: &VerificationStatus) -> String {
    let (rate, percent) = (bytes(status.rate), status.percent());
    format!("already running, at {rate} bytes in a second at most, {percent} percent done")
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
        let total = bytes(status.total_bytes);
        let rate = bytes(status.rate);
        return vec![format!(
            "verifying {total} bytes, at most {rate} in a second; the outcome will stand in stats and in the log"
        )];
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
        ("total_bytes", status.total_bytes.into()),
        ("percent", status.percent().into()),
        ("rate", status.rate.into()),
        ("joined", status.joined.into()),
        ("verdict", status.verdict.clone().into()),
        ("findings", status.findings.clone().into()),
    ])
}
