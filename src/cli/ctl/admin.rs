//! sync, flush, compact, reload and quarantine. All but sync go over the Unix socket.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit_code::failure;
use super::{Plane, Result, Session};
use crate::cli::after_help;
use crate::cli::json::{Object, lsn, object};
use crate::cli::words::bytes;
use crate::client::CompactionReport;
use crate::storage::Lsn;

/// Wait until writes are durable, and print the LSN up to which everything is.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl sync\n  atlaskv-ctl sync 3/1042"))]
pub(super) struct Sync {
    /// The write to wait for, with all before it [default: everything written so far]
    lsn: Option<Lsn>,
}

/// Write what is in memory to tables, and wait for it.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl flush\n  atlaskv-ctl --socket ./atlaskv.sock flush"))]
pub(super) struct Flush {}

/// Merge all tables into one, and wait for it.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl compact"))]
pub(super) struct Compact {}

/// Read the configuration again, and print what changed and what needs a restart.
///
/// A configuration that is refused leaves the old one in force; the exit code is then 2.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl reload\n  atlaskv-ctl config diff; atlaskv-ctl reload"))]
pub(super) struct Reload {
    /// Wait until it is done. It always does: the flag says so in scripts.
    #[arg(long)]
    wait: bool,
}

/// The files that recovery has put aside.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl quarantine list\n  atlaskv-ctl quarantine purge"))]
pub(super) struct Quarantine {
    #[command(subcommand)]
    verb: QuarantineVerb,
}

#[derive(Debug, Subcommand)]
enum QuarantineVerb {
    /// Print name and bytes of each file.
    #[command(after_help = after_help("  atlaskv-ctl quarantine list"))]
    List,
    /// Remove the files for good, and print what was removed.
    #[command(after_help = after_help("  atlaskv-ctl quarantine purge"))]
    Purge,
}

impl Sync {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::PatientData)?;
        let durable = client.sync(self.lsn.map(Lsn::as_u64)).map_err(failure)?;
        let document = object([("durable_lsn", lsn(durable).into())]);
        session.output.result(&lsn(durable), document)
    }
}

impl Flush {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::Administration)?;
        client.flush().map_err(failure)?;
        session.output.result("flushed", Object::new())
    }
}

impl Compact {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::Administration)?;
        let report = client.compact().map_err(failure)?;
        session.output.result(&human(&report), document(&report))
    }
}

impl Reload {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        // The daemon answers when the new configuration is in force, with and without the flag.
        let Reload { wait: _ } = self;
        let mut client = session.connect(Plane::Administration)?;
        let report = client.reload().map_err(failure)?;
        let mut lines = Vec::new();
        if report.changed.is_empty() {
            lines.push("nothing has changed".to_owned());
        } else {
            lines.push(format!("changed: {}", report.changed.join(", ")));
        }
        if !report.needs_restart.is_empty() {
            let keys = report.needs_restart.join(", ");
            lines.push(format!("needs a restart: {keys}"));
        }
        let document = object([
            ("changed", report.changed.into()),
            ("needs_restart", report.needs_restart.into()),
        ]);
        session.output.result(&lines.join("\n"), document)
    }
}

fn human(report: &CompactionReport) -> String {
    format!(
        "tables:  {} -> {}\nbytes:   {} -> {}\nentries: {} -> {}",
        report.tables_before,
        report.tables_after,
        bytes(report.bytes_before),
        bytes(report.bytes_after),
        report.entries_before,
        report.entries_after
    )
}

fn document(report: &CompactionReport) -> Object {
    object([
        ("tables_before", report.tables_before.into()),
        ("tables_after", report.tables_after.into()),
        ("bytes_before", report.bytes_before.into()),
        ("bytes_after", report.bytes_after.into()),
        ("entries_before", report.entries_before.into()),
        ("entries_after", report.entries_after.into()),
    ])
}

impl Quarantine {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::Administration)?;
        let (listed, word) = match self.verb {
            QuarantineVerb::List => (client.quarantine_list(), "files"),
            QuarantineVerb::Purge => (client.quarantine_purge(), "removed"),
        };
        let files = listed.map_err(failure)?;
        if session.output.is_json() {
            let files: Vec<Value> = files
                .iter()
                .map(|(name, bytes)| json!({"name": name, "bytes": bytes}))
                .collect();
            return session.output.document(object([(word, files.into())]));
        }
        files.iter().try_for_each(|(name, size)| {
            let line = format!("{name}\t{}", bytes(*size));
            session.output.line(&line)
        })
    }
}
