//! check: a plugin for monitoring systems, with their exit codes and not those of our table.

mod range;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::figures::Figures;
use super::{Plane, Session};
use crate::cli::json::object;
use crate::cli::{Failure, Output};
use crate::exit::Exit;
use range::Range;
use subject::{Measured, Subject};

/// Plugins are given ten seconds.
const PATIENCE: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "  atlaskv-ctl check
  atlaskv-ctl check --of latency-p99 -w 20 -c 100
  atlaskv-ctl check --of disk-free --data-dir /var/lib/atlaskv -w 20: -c 10:
  atlaskv-ctl check --of connections,quarantine";

/// Instead of our table.
pub(super) const EXIT_CODES: &str = "Exit codes, those of monitoring plugins:
  0  OK
  1  WARNING
  2  CRITICAL, an unreachable daemon among it
  3  UNKNOWN: wrong use, or it could not be looked at
";

/// Check the daemon for a monitoring system: one line with performance data, and the exit codes of
/// monitoring plugins.
///
/// Ranges say which values are well: N (from 0 to N), N: (from N on), ~:N (up to N), N:M (from N to
/// M), @N:M (outside of N to M).
///
/// It exits with 0 for OK, 1 for WARNING, 2 for CRITICAL (a daemon that cannot be reached too) and 3
/// for UNKNOWN: wrong arguments, or what could not be looked at.
#[derive(Debug, Args)]
#[command(after_help = format!("Examples:\n{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(super) struct Check {
    /// What to check, several with commas between [default: state,connections,quarantine, and
    /// disk-free with --data-dir]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    of: Vec<Subject>,
    /// The values that need no warning; for one subject.
    #[arg(short, long, value_name = "RANGE", allow_hyphen_values = true)]
    warning: Option<Range>,
    /// The values that are not critical; for one subject.
    #[arg(short, long, value_name = "RANGE", allow_hyphen_values = true)]
    critical: Option<Range>,
    /// The data directory, on this machine, for disk-free.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// How a plugin ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl Status {
    fn code(self) -> u8 {
        match self {
            Status::Ok => 0,
            Status::Warning => 1,
            Status::Critical => 2,
            Status::Unknown => 3,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::Warning => "WARNING",
            Status::Critical => "CRITICAL",
            Status::Unknown => "UNKNOWN",
        }
    }
}

/// What is told in the end.
#[derive(Debug)]
struct Verdict {
    status: Status,
    /// For people, the worst first.
    message: String,
    measured: Vec<Measured>,
}

impl Check {
    pub(super) fn run(self, session: &mut Session) -> ExitCode {
        let verdict = self.judge(session);
        let verdict = verdict.unwrap_or_else(|failure| Verdict::unmeasured(&failure));
        verdict.tell(&mut session.output)
    }

    fn judge(&self, session: &Session) -> Result<Verdict, Failure> {
        let subjects = self.subjects()?;
        let mut client = session
            .target
            .connect_within(Plane::Observation, PATIENCE)?;
        let before = Figures::ask(&mut client)?;
        let mut measured = Vec::new();
        for subject in subjects {
            let mut found = subject.measure(&before, &mut client, self.data_dir.as_deref())?;
            for value in &mut found {
                value.warning = self.warning.or(value.warning);
                value.critical = self.critical.or(value.critical);
            }
            measured.extend(found);
        }
        Ok(Verdict::of(measured))
    }

    fn subjects(&self) -> Result<Vec<Subject>, Failure> {
        let has_range = self.warning.is_some() || self.critical.is_some();
        if has_range && self.of.len() != 1 {
            return Err(Failure::usage(
                "-w and -c are for one subject: name it with --of",
            ));
        }
        if has_range && self.of.contains(&Subject::State) {
            return Err(Failure::usage("state has no ranges: leave -w and -c out"));
        }
        if !self.of.is_empty() {
            return Ok(self.of.clone());
        }
        let mut subjects = vec![Subject::State, Subject::Connections, Subject::Quarantine];
        subjects.extend(self.data_dir.is_some().then_some(Subject::DiskFree));
        Ok(subjects)
    }
}

/// What a run that measured nothing ends with: a daemon that serves nobody is critical, anything that
/// only kept us from looking is not known.
fn status_of(failure: &Failure) -> Status {
    match (failure.exit(), failure.code.as_str()) {
        (Exit::Unreachable, "protocol-error") => Status::Unknown,
        (Exit::Unreachable, _) | (_, "server-full") => Status::Critical,
        _ => Status::Unknown,
    }
}

/// Tells a command line that could not be read, as a plugin does.
pub(super) fn refuse(failure: &Failure, output: &mut Output) -> ExitCode {
    Verdict::unmeasured(failure).tell(output)
}

impl Verdict {
    fn of(measured: Vec<Measured>) -> Verdict {
        let mut by_weight: Vec<&Measured> = measured.iter().collect();
        by_weight.sort_by_key(|value| std::cmp::Reverse(value.status()));
        let status = by_weight
            .first()
            .map_or(Status::Unknown, |worst| worst.status());
        let message: Vec<&str> = by_weight.iter().map(|value| value.said.as_str()).collect();
        Verdict {
            status,
            message: message.join("; "),
            measured,
        }
    }

    /// Nothing was measured.
    fn unmeasured(failure: &Failure) -> Verdict {
        Verdict {
            status: status_of(failure),
            message: failure.message.clone(),
            measured: Vec::new(),
        }
    }

    fn tell(&self, output: &mut Output) -> ExitCode {
        let line = if output.is_json() {
            self.document().to_string()
        } else {
            self.line()
        };
        let written = output.line(&line).and_then(|()| output.flush());
        match written {
            Ok(()) => self.status.code().into(),
            Err(_) => Status::Unknown.code().into(),
        }
    }

    fn line(&self) -> String {
        // A bar begins the performance data, and a line end the next message.
        let message = self
            .message
            .replace('|', "/")
            .replace(char::is_control, " ");
        let mut line = format!("ATLASKV {} - {message}", self.status.word());
        let data: Vec<String> = self
            .measured
            .iter()
            .filter_map(Measured::performance)
            .collect();
        if !data.is_empty() {
            line += &format!(" | {}", data.join(" "));
        }
        line
    }

    fn document(&self) -> Value {
        let values: Vec<Value> = self.measured.iter().map(Measured::json).collect();
        let mut document = object([
            ("status", self.status.word().into()),
            ("message", self.message.clone().into()),
            ("values", values.into()),
            ("ok", (self.status == Status::Ok).into()),
        ]);
        if self.status != Status::Ok {
            let code = self.status.word().to_lowercase();
            let error = json!({"exit": self.status.code(), "code": code, "message": self.message});
            document.insert("error".to_owned(), error);
        }
        document.into()
    }
}
