//! doctor: what on this machine is not as a store wants it, each with the command that mends it.

mod examine;
mod host;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::figures::Figures;
use super::{Plane, Result, Session};
use crate::cli::json::object;
use crate::cli::words::counted;
use crate::cli::{Failure, after_help};
use crate::client::ConfigItem;
use crate::exit::Exit;
use host::{Host, Unit};

/// A daemon that does not answer is looked at from outside.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where data is as a service, and as `make run` starts it.
const DEFAULT_DATA_DIRS: [&str; 2] = ["/var/lib/atlaskv", "./atlaskv-data"];

/// Look for what keeps the daemon from being safe or fast: limits, file system, free space, memory
/// settings, the unit, the store's own state.
///
/// Each finding comes with the command that mends it. Nothing is changed. What cannot be looked at,
/// for want of rights or of systemd, is said. Exits with 1 when there are problems or warnings; notes
/// are only said.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl doctor\n  sudo atlaskv-ctl doctor --unit atlaskv@orders.service --data-dir /var/lib/atlaskv-orders\n  \
     atlaskv-ctl --format json doctor | jq '.findings[].mend'"
))]
pub(super) struct Doctor {
    /// The data directory [default: the daemon's, else /var/lib/atlaskv, ./atlaskv-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The daemon's unit.
    #[arg(long, value_name = "UNIT", default_value = "atlaskv.service")]
    unit: String,
}

/// How bad a finding is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    /// Data is in danger, or writes are refused.
    Problem,
    /// Something will fail or is slower than it must be.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Problem => "problem",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    severity: Severity,
    subject: &'static str,
    what: String,
    /// The command that mends it, or shows more.
    mend: String,
}

/// What was found, and what could not be looked at.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
    /// Subject and why.
    unseen: Vec<(&'static str, String)>,
}

impl Report {
    fn add(&mut self, severity: Severity, subject: &'static str, what: String, mend: String) {
        self.findings.push(Finding {
            severity,
            subject,
            what,
            mend,
        });
    }

    fn unseen(&mut self, subject: &'static str, why: impl Into<String>) {
        self.unseen.push((subject, why.into()));
    }
}

/// Everything that is known of the daemon before it is judged.
#[derive(Debug)]
struct Patient {
    host: Host,
    unit_name: String,
    unit: Option<Unit>,
    process: Option<u32>,
    figures: Option<Figures>,
    config: Vec<ConfigItem>,
    data_dir: Option<PathBuf>,
}

impl Doctor {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut report = Report::default();
        let patient = self.patient(session, &mut report);
        examine::examine(&patient, &mut report);
        report.findings.sort_by_key(|finding| finding.severity);
        report.tell(session)
    }

    /// Gathers what can be had; what cannot goes into the report.
    fn patient(self, session: &Session, report: &mut Report) -> Patient {
        let figures = figures(session)
            .map_err(|failure| report.unseen("store", failure.message))
            .ok();
        let config = config(session)
            .map_err(|failure| report.unseen("configuration in force", failure.message))
            .unwrap_or_default();
        let host = Host::here();
        let unit = host
            .unit(&self.unit, &examine::PROPERTIES)
            .map_err(|why| report.unseen("unit", why))
            .ok();
        let data_dir = self.data_dir.or_else(|| data_dir(&config));
        let data_dir = data_dir.map(|dir| dir.canonicalize().unwrap_or(dir));
        let mut patient = Patient {
            host,
            unit_name: self.unit,
            unit,
            process: None,
            figures,
            config,
            data_dir,
        };
        patient.process = patient.find_process();
        patient
    }
}

fn figures(session: &Session) -> Result<Figures> {
    let mut client = session.target.connect_within(Plane::Data, PATIENCE)?;
    Figures::ask(&mut client)
}

fn config(session: &Session) -> Result<Vec<ConfigItem>> {
    let mut client = session
        .target
        .connect_within(Plane::Administration, PATIENCE)?;
    client.config().map_err(super::exit_code::failure)
}

/// The daemon's own, or the first of the usual places that is there.
fn data_dir(config: &[ConfigItem]) -> Option<PathBuf> {
    let told = config.iter().find(|item| item.key == "storage.data_dir");
    let usual = || DEFAULT_DATA_DIRS.iter().map(PathBuf::from);
    match told {
        Some(item) => Some(PathBuf::from(&item.value)).filter(|dir| dir.is_dir()),
        None => usual().find(|dir| dir.is_dir()),
    }
}

impl Patient {
    /// The daemon's process: the lock of the data directory names it, or systemd does.
    fn find_process(&self) -> Option<u32> {
        let lock = self.data_dir.as_ref()?.join("LOCK");
        let by_lock = crate::cli::files::read_text(&lock, 256).ok();
        let by_lock = by_lock.and_then(|text| text.split_whitespace().next()?.parse().ok());
        let by_unit = self.unit.as_ref();
        let by_unit = by_unit.and_then(|unit| unit.get("MainPID").parse().ok());
        let named = [by_lock, by_unit].into_iter().flatten();
        // A lock file keeps the name of a process that has ended.
        named
            .into_iter()
            .find(|process| self.host.runs(*process, "atlaskvd"))
    }

    /// A key of the configuration in force.
    fn config(&self, key: &str) -> Option<&str> {
        let found = self.config.iter().find(|item| item.key == key);
        found.map(|item| item.value.as_str())
    }
}

impl Report {
    fn tell(&self, session: &mut Session) -> Result<()> {
        let counts = [Severity::Problem, Severity::Warning].map(|severity| {
            let found = self.findings.iter().filter(|it| it.severity == severity);
            (severity, u64::try_from(found.count()).unwrap_or(u64::MAX))
        });
        let bad: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| counted(*count, severity.word()))
            .collect();
        let outcome = (!bad.is_empty()).then(|| {
            let message = format!("found {}", bad.join(" and "));
            Failure::new(Exit::No, "findings", message)
        });
        if session.output.is_json() {
            return self.tell_document(outcome, session);
        }
        for finding in &self.findings {
            let (word, subject) = (finding.severity.word(), finding.subject);
            session
                .output
                .line(&format!("{word:<8} {subject}: {}", finding.what))?;
            session
                .output
                .line(&format!("         $ {}", finding.mend))?;
        }
        for (subject, why) in &self.unseen {
            session.output.line(&format!("unseen   {subject}: {why}"))?;
        }
        match outcome {
            None => session.output.line("nothing to mend"),
            Some(failure) => Err(failure),
        }
    }

    fn tell_document(&self, outcome: Option<Failure>, session: &mut Session) -> Result<()> {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "severity": finding.severity.word(),
                    "subject": finding.subject,
                    "what": finding.what,
                    "mend": finding.mend,
                })
            })
            .collect();
        let unseen: Vec<Value> = self
            .unseen
            .iter()
            .map(|(subject, why)| json!({"subject": subject, "why": why}))
            .collect();
        match outcome {
            None => session.output.document(object([
                ("findings", findings.into()),
                ("unseen", unseen.into()),
            ])),
            Some(failure) => Err(failure.with("findings", findings).with("unseen", unseen)),
        }
    }
}
