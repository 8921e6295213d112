//! `atlaskv-verify --repair`: shows what a repair keeps and loses, and does it when nothing is lost or
//! exactly that loss was accepted.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::{Result, lsns};
use crate::cli::escape::escape;
use crate::cli::failure::Failure;
use crate::cli::json::object;
use crate::cli::output::Output;
use crate::cli::progress::{self, Bar, ProgressArgument, WatchedDisk};
use crate::cli::words::{bytes, counted};
use crate::cli::{files, local};
use crate::exit::Exit;
use crate::storage::repair::{
    FileAction, KeySpan, Loss, LsnSpan, Repair, RepairOutcome, RepairPlan, Repaired,
};
use crate::storage::{AtlasError, OwnersDisk, RealDisk};

/// Bytes of a key that are shown to people.
const SHOWN_KEY: usize = 64;

#[derive(Debug, Args)]
pub(super) struct RepairArguments {
    /// Lock the directory, show what a repair would keep and lose, and repair it if nothing is lost.
    #[arg(long, conflicts_with = "quick")]
    pub(super) repair: bool,

    /// Repair although something is lost: exactly the loss that was shown with this PLAN.
    #[arg(long, value_name = "PLAN", requires = "repair")]
    accept_loss: Option<String>,

    /// Only show what a repair would do.
    #[arg(long, requires = "repair")]
    dry_run: bool,
}

impl RepairArguments {
    /// Plans, shows the plan, and repairs if it may.
    pub(super) fn run(
        &self,
        dir: &Path,
        progress: &ProgressArgument,
        output: &mut Output,
    ) -> Result<()> {
        local::check_directory(dir)?;
        let total = progress::bytes_to_read(&RealDisk, dir);
        let bar = Arc::new(progress.start("reading", Some(total), output));
        let disk = WatchedDisk {
            disk: OwnersDisk::of(dir).map_err(|error| failure(&error))?,
            bar: Arc::clone(&bar),
        };
        let prepared = Repair::prepare(&disk, dir);
        bar.end();
        let repair = prepared.map_err(|error| failure(&error))?;
        let plan = repair.plan().clone();
        if let Some(refusal) = self.refusal(&plan) {
            return show(dir, &plan, None, Some(refusal), output);
        }
        let repaired = if self.dry_run || plan.outcome == RepairOutcome::Nothing {
            None
        } else {
            check_space(dir, &plan)?;
            Some(carry_out(repair, &bar)?)
        };
        show(dir, &plan, repaired.as_ref(), None, output)
    }

    /// Why nothing is done, if that is no success.
    fn refusal(&self, plan: &RepairPlan) -> Option<Failure> {
        let accepted = self.accept_loss.as_deref();
        match (plan.outcome, accepted) {
            // The same command once more, after an interruption: what was accepted is done.
            (RepairOutcome::Nothing, _) => None,
            (RepairOutcome::Lossless, _) if self.dry_run => {
                let message = "nothing was changed: a repair would lose nothing";
                Some(Failure::new(Exit::No, "repairable", message))
            }
            (RepairOutcome::Lossless, _) => None,
            (RepairOutcome::Loss, Some(given)) if Some(given) == plan.fingerprint.as_deref() => {
                let shown = || Failure::new(Exit::Damaged, "damaged", "nothing was changed");
                self.dry_run.then(shown)
            }
            (RepairOutcome::Loss, Some(given)) => {
                let message = format!(
                    "nothing was changed: {given} is not the present plan; look at what would be \
                     lost now"
                );
                Some(Failure::new(Exit::Refused, "refused", message))
            }
            (RepairOutcome::Loss, None) => {
                let message = "nothing was changed: a repair would lose what is named here";
                Some(Failure::new(Exit::Damaged, "damaged", message))
            }
        }
    }
}

fn carry_out(repair: Repair<'_>, bar: &Bar) -> Result<Repaired> {
    let repaired = repair.carry_out();
    bar.end();
    repaired.map_err(|error| failure(&error))
}

/// A failure of the engine, with what to do about a disk that cannot be read.
fn failure(error: &AtlasError) -> Failure {
    let mut failure = local::failure(error);
    if error.is_disk_failure() {
        failure.message.push_str(
            "; copy the directory to a sound disk first, for example with ddrescue, and repair the copy",
        );
    }
    failure
}

fn check_space(dir: &Path, plan: &RepairPlan) -> Result<()> {
    let free = files::space(dir)?.free;
    if free >= plan.bytes_to_write {
        return Ok(());
    }
    let message = format!(
        "nothing was changed: the repair writes {} bytes, and {} are free: make room",
        bytes(plan.bytes_to_write),
        bytes(free)
    );
    Err(Failure::new(Exit::Refused, "disk-full", message))
}

fn show(
    dir: &Path,
    plan: &RepairPlan,
    repaired: Option<&Repaired>,
    refusal: Option<Failure>,
    output: &mut Output,
) -> Result<()> {
    if output.is_json() {
        let plan = serde_json::to_value(plan)
            .map_err(|error| Failure::new(Exit::Io, "io-error", error.to_string()))?;
        let done = repaired.map_or(
            Value::Null,
            |done| json!({"made": done.made, "quarantined": done.quarantined}),
        );
        return match refusal {
            None => output.document(object([("plan", plan), ("repaired", done)])),
            Some(refusal) => Err(refusal.with("plan", plan).with("repaired", done)),
        };
    }
    let written = output.write(|out| {
        human(plan, out)?;
        match (repaired, &plan.fingerprint) {
            (Some(done), _) => tell_done(done, out),
            (None, Some(plan)) => {
                let dir = shell_word(&dir.display().to_string());
                writeln!(out, "to accept this loss and repair:")?;
                writeln!(out, "  {} {dir} --repair --accept-loss {plan}", super::TOOL)
            }
            (None, None) => Ok(()),
        }
    });
    // A reader that has gone does not turn a refusal into success.
    refusal.map_or(written, Err)
}

fn human(plan: &RepairPlan, out: &mut dyn Write) -> io::Result<()> {
    if plan.outcome == RepairOutcome::Nothing {
        for note in &plan.notes {
            writeln!(out, "note: {note}")?;
        }
        return writeln!(out, "nothing to repair");
    }
    for file in &plan.files {
        let action = match file.action {
            FileAction::Keep => "keep",
            FileAction::Rewrite => "make anew",
            FileAction::SetAside => "set aside",
        };
        let kept = file
            .kept_entries
            .filter(|_| file.action != FileAction::Keep);
        let kept = kept.map_or_else(String::new, |kept| {
            format!(", {} kept", counted(kept, "entry"))
        });
        writeln!(out, "{action:<10}  {}: {}{kept}", file.name, file.detail)?;
    }
    for loss in &plan.losses {
        tell_loss(loss, out)?;
    }
    for note in &plan.notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(
        out,
        "about {} bytes to write; originals of {} bytes go to quarantine/, whatever its limit",
        bytes(plan.bytes_to_write),
        bytes(plan.bytes_to_quarantine)
    )?;
    match plan.outcome {
        RepairOutcome::Loss => writeln!(out, "something is lost"),
        _ => writeln!(out, "nothing is lost"),
    }
}

fn tell_loss(loss: &Loss, out: &mut dyn Write) -> io::Result<()> {
    let place = match loss.lsns {
        Some(LsnSpan {
            first,
            last: Some(last),
        }) => format!(", {}", lsns((first, last))),
        Some(LsnSpan { first, last: None }) => format!(", from LSN {first} on"),
        None => String::new(),
    };
    writeln!(out, "lost        {}{place}: {}", loss.file, loss.detail)?;
    for span in &loss.keys {
        writeln!(out, "            {}", span_words(span))?;
    }
    Ok(())
}

/// Where the lost keys of a table lay, in words.
fn span_words(span: &KeySpan) -> String {
    match (&span.after, &span.before) {
        (Some(after), Some(before)) => {
            format!("between the keys {} and {}", shown(after), shown(before))
        }
        (Some(after), None) => format!("behind the key {}", shown(after)),
        (None, Some(before)) => format!("before the key {}", shown(before)),
        (None, None) => "all keys of the table".to_owned(),
    }
}

fn shown(key: &[u8]) -> String {
    let part = key.get(..SHOWN_KEY).unwrap_or(key);
    let more = if part.len() < key.len() { "…" } else { "" };
    format!("\"{}{more}\"", escape(part))
}

fn tell_done(done: &Repaired, out: &mut dyn Write) -> io::Result<()> {
    let made = counted(crate::storage::disk::count(done.made.len()), "new table");
    writeln!(out, "repaired: {made}; the originals are in quarantine/:")?;
    for name in &done.quarantined {
        writeln!(out, "  {name}")?;
    }
    Ok(())
}

/// A word that a shell takes as it is meant.
fn shell_word(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+:@,".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
