//! What can be checked, and what is well unless one is told otherwise.

use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::Status;
use super::range::Range;
use crate::cli::ctl::figures::Figures;
use crate::cli::words::{counted, float, size};
use crate::cli::{Failure, files};
use crate::client::Client;

/// Writers that wait are counted for this long.
const STALL_SAMPLE: Duration = Duration::from_secs(1);
/// Operations that take as long as there is data: their durations are nobody's concern here.
const LONG_OPERATIONS: [&str; 3] = ["flush", "compact", "sync"];

/// What to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Subject {
    /// Whether writes are taken; without ranges.
    State,
    /// Per cent of max_connections in use [-w 80 -c 95].
    Connections,
    /// Files in quarantine [-w 0].
    Quarantine,
    /// Writes that had to wait within one second [-w 0].
    Stalls,
    /// Milliseconds of the slowest operation's 99th percentile since the start [-w 100 -c 1000].
    LatencyP99,
    /// Per cent of the file system of --data-dir that is free [-w 20: -c 10:].
    DiskFree,
}

/// A value that was found, and how it is judged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    name: String,
    /// What is told of it.
    pub(super) said: String,
    /// None: what is told is all there is.
    value: Option<f64>,
    unit: &'static str,
    most: Option<f64>,
    pub(super) warning: Option<Range>,
    pub(super) critical: Option<Range>,
    /// Critical whatever the ranges say.
    is_critical: bool,
}

impl Subject {
    pub(super) fn measure(
        self,
        figures: &Figures,
        client: &mut Client,
        data_dir: Option<&Path>,
    ) -> Result<Vec<Measured>, Failure> {
        match self {
            Subject::State => Ok(vec![state(figures)]),
            Subject::Connections => connections(figures),
            Subject::Quarantine => quarantine(figures),
            Subject::Stalls => stalls(figures, client),
            Subject::LatencyP99 => Ok(latency(figures)),
            Subject::DiskFree => disk_free(data_dir),
        }
    }
}

fn state(figures: &Figures) -> Measured {
    let refused = figures.refuses_writes();
    Measured {
        is_critical: refused.is_some(),
        said: match refused {
            Some(why) => format!("writes are refused: {why}"),
            None => "running".to_owned(),
        },
        ..Measured::new("state", None, "")
    }
}

fn connections(figures: &Figures) -> Result<Vec<Measured>, Failure> {
    let open = figures.need("server.connections")?;
    let most = figures.need("server.max_connections")?;
    Ok(vec![Measured {
        said: format!("{open} of {}", counted(most, "connection")),
        most: Some(100.0),
        warning: Some(Range::up_to(80.0)),
        critical: Some(Range::up_to(95.0)),
        ..Measured::new("connections", Some(per_cent(open, most)), "%")
    }])
}

fn quarantine(figures: &Figures) -> Result<Vec<Measured>, Failure> {
    let files = figures.need("engine.quarantine_files")?;
    let bytes = figures.need("engine.quarantine_bytes")?;
    let said = match files {
        0 => "quarantine empty".to_owned(),
        _ => format!("{} in quarantine, {}", counted(files, "file"), size(bytes)),
    };
    Ok(vec![Measured {
        said,
        warning: Some(Range::up_to(0.0)),
        ..Measured::new("quarantine_files", Some(float(files)), "")
    }])
}

fn stalls(before: &Figures, client: &mut Client) -> Result<Vec<Measured>, Failure> {
    let before = before.need("engine.stalled_writes")?;
    thread::sleep(STALL_SAMPLE);
    let after = Figures::ask(client)?.need("engine.stalled_writes")?;
    let grown = after.saturating_sub(before);
    Ok(vec![Measured {
        said: format!("{} had to wait within a second", counted(grown, "write")),
        warning: Some(Range::up_to(0.0)),
        ..Measured::new("stalled_writes", Some(float(grown)), "")
    }])
}

fn latency(figures: &Figures) -> Vec<Measured> {
    let operations = figures.operations().into_iter();
    let measured = operations.filter(|it| !LONG_OPERATIONS.contains(&it.name.as_str()));
    let found: Vec<Measured> = measured
        .filter_map(|operation| {
            let milliseconds = float(operation.figure("p99_us")?) / 1000.0;
            Some(Measured {
                said: format!("{} p99 {milliseconds} ms", operation.name),
                warning: Some(Range::up_to(100.0)),
                critical: Some(Range::up_to(1000.0)),
                ..Measured::new(&format!("{}_p99", operation.name), Some(milliseconds), "ms")
            })
        })
        .collect();
    if found.is_empty() {
        let said = "no request was measured yet".to_owned();
        return vec![Measured {
            said,
            ..Measured::new("latency", None, "")
        }];
    }
    found
}

fn disk_free(data_dir: Option<&Path>) -> Result<Vec<Measured>, Failure> {
    let missing = || Failure::usage("disk-free needs the data directory: --data-dir DIR");
    let dir = data_dir.ok_or_else(missing)?;
    let space = files::space(dir)?;
    let free = per_cent(space.free, space.total);
    Ok(vec![Measured {
        said: format!("{} of {} free", size(space.free), size(space.total)),
        most: Some(100.0),
        warning: Some(Range::from(20.0)),
        critical: Some(Range::from(10.0)),
        ..Measured::new("disk_free", Some(free), "%")
    }])
}

impl Measured {
    fn new(name: &str, value: Option<f64>, unit: &'static str) -> Measured {
        Measured {
            name: name.to_owned(),
            said: String::new(),
            value,
            unit,
            most: None,
            warning: None,
            critical: None,
            is_critical: false,
        }
    }

    pub(super) fn status(&self) -> Status {
        let alerts = |range: Option<Range>| {
            let judged = range.zip(self.value);
            judged.is_some_and(|(range, value)| range.alerts(value))
        };
        if self.is_critical || alerts(self.critical) {
            Status::Critical
        } else if alerts(self.warning) {
            Status::Warning
        } else {
            Status::Ok
        }
    }

    /// `name=value[unit];warning;critical;least;most`, nothing where there is no value.
    pub(super) fn performance(&self) -> Option<String> {
        let value = self.value?;
        let range = |range: Option<Range>| range.map(|range| range.to_string()).unwrap_or_default();
        let most = self.most.map(|most| format!(";{most}")).unwrap_or_default();
        let (warning, critical) = (range(self.warning), range(self.critical));
        Some(format!(
            "{}={value}{};{warning};{critical};0{most}",
            self.name, self.unit
        ))
    }

    pub(super) fn json(&self) -> Value {
        let range = |range: Option<Range>| range.map(|range| range.to_string());
        json!({
            "name": self.name,
            "status": self.status().word(),
            "message": self.said,
            "value": self.value,
            "unit": self.unit,
            "warning": range(self.warning),
            "critical": range(self.critical),
        })
    }
}

/// In tenths: programs are not given digits that mean nothing.
fn per_cent(part: u64, whole: u64) -> f64 {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    float(u64::try_from(tenths).unwrap_or(u64::MAX)) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_critical_range_wins_and_what_has_no_value_is_well() {
        let measured = |value| Measured {
            warning: Some(Range::up_to(10.0)),
            critical: Some(Range::up_to(20.0)),
            most: Some(100.0),
            ..Measured::new("it", Some(value), "%")
        };
        assert_eq!(measured(10.0).status(), Status::Ok);
        assert_eq!(measured(15.0).status(), Status::Warning);
        assert_eq!(measured(25.0).status(), Status::Critical);
        assert_eq!(
            measured(15.5).performance().unwrap(),
            "it=15.5%;10;20;0;100"
        );
        let told = Measured::new("it", None, "");
        assert_eq!((told.status(), told.performance()), (Status::Ok, None));
    }

    #[test]
    fn parts_are_in_tenths_of_a_per_cent() {
        assert_eq!(per_cent(1, 3), 33.3);
        assert_eq!(per_cent(0, 0), 0.0);
    }
}
