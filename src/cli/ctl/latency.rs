//! latency: how long requests take, measured in the daemon.

use clap::Args;
use serde_json::Value;

use super::figures::{Figures, Operation};
use super::{Plane, Result, Session};
use crate::cli::after_help;
use crate::cli::json::{Object, object};
use crate::cli::words::duration_us;

/// The columns behind the operation and its count: title and figure.
const COLUMNS: [(&str, &str); 5] = [
    ("p50", "p50_us"),
    ("p90", "p90_us"),
    ("p99", "p99_us"),
    ("p99.9", "p999_us"),
    ("max", "max_us"),
];

/// Print how long requests took, an operation in a line, since the daemon's start.
///
/// Measured in the daemon, from a request's last byte to its answer, and so without the network.
/// p99 is the time within which 99 of 100 requests were answered.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl latency\n  atlaskv-ctl --format json latency | jq .latency.put.p99_us"
))]
pub(super) struct Latency {}

impl Latency {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::Observation)?;
        let operations = Figures::ask(&mut client)?.operations();
        if session.output.is_json() {
            let latency: Object = operations.into_iter().map(json).collect();
            let document = object([("latency", latency.into())]);
            return session.output.document(document);
        }
        table(&operations)
            .iter()
            .try_for_each(|line| session.output.line(line))
    }
}

fn json(operation: Operation) -> (String, Value) {
    let figures = operation.figures.into_iter();
    let figures: Object = figures
        .map(|(name, number)| (name, number.into()))
        .collect();
    (operation.name, figures.into())
}

fn table(operations: &[Operation]) -> Vec<String> {
    let titles = COLUMNS.map(|(title, _)| format!("{title:>10}")).concat();
    let mut lines = vec![format!("{:<18}{:>12}{titles}", "operation", "count")];
    for operation in operations {
        let cells = COLUMNS.map(|(_, figure)| {
            let shown = operation.figure(figure).map(duration_us);
            format!("{:>10}", shown.unwrap_or_else(|| "-".to_owned()))
        });
        let count = operation.figure("count").unwrap_or(0);
        let (name, cells) = (&operation.name, cells.concat());
        lines.push(format!("{name:<18}{count:>12}{cells}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_titles() {
        let figures = [
            ("count", 12),
            ("p50_us", 9),
            ("p99_us", 1500),
            ("max_us", 2_000_000),
        ];
        let get = Operation {
            name: "get".to_owned(),
            figures: figures
                .map(|(name, number)| (name.to_owned(), number))
                .into(),
        };
        assert_eq!(
            table(&[get]),
            [
                "operation                count       p50       p90       p99     p99.9       max",
                "get                         12      9 us         -    1.5 ms         -     2.0 s",
            ]
        );
    }
}
