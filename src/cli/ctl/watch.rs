//! What `stats --watch` shows: figures again and again, and what was done in a second.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::Result;
use super::figures::Figures;
use crate::cli::Output;
use crate::cli::json::{Object, object};
use crate::cli::words::{counted, duration_s, size};
use crate::client::Client;
use crate::logging::Rfc3339;

/// The counters whose growth in a second is shown: the figure, the name of its rate, and whether it
/// counts bytes.
const COUNTERS: [(&str, &str, bool); 8] = [
    ("server.requests", "requests", false),
    ("server.errors", "errors", false),
    ("engine.reads", "reads", false),
    ("engine.writes", "writes", false),
    ("engine.written_bytes", "written_bytes", true),
    ("engine.log_bytes", "log_bytes", true),
    ("engine.log_syncs", "log_syncs", false),
    ("engine.compacted_bytes", "compacted_bytes", true),
];

/// To the top left corner, and nothing behind it.
const CLEAR: &str = "\x1b[H\x1b[J";

/// A watch over a daemon.
#[derive(Debug)]
pub(super) struct Watch {
    interval: Duration,
    /// How often to show; none: until somebody ends it.
    count: Option<u64>,
}

/// One reading.
#[derive(Debug)]
struct Reading {
    figures: Figures,
    at: Instant,
}

/// What grew by how much in a second, in the order of [`COUNTERS`].
type Rates = Vec<(&'static str, f64)>;

impl Watch {
    pub(super) fn new(seconds: u32, count: Option<u64>) -> Watch {
        Watch {
            interval: Duration::from_secs(seconds.into()),
            count,
        }
    }

    pub(super) fn run(&self, client: &mut Client, output: &mut Output) -> Result<()> {
        let on_terminal = !output.is_json() && std::io::stdout().is_terminal();
        let mut last = Reading::take(client)?;
        if on_terminal {
            show_page(&last, &Rates::new(), self.interval, output)?;
        }
        let mut shown = 0;
        while self.count.is_none_or(|count| shown < count) {
            thread::sleep(self.interval.saturating_sub(last.at.elapsed()));
            let reading = Reading::take(client)?;
            let rates = reading.rates(&last);
            if output.is_json() {
                output.document(reading.document(&last, &rates))?;
            } else if on_terminal {
                show_page(&reading, &rates, self.interval, output)?;
            } else {
                output.line(&reading.line(&rates))?;
            }
            // Whoever reads a pipe wants each line when it is due.
            output.flush()?;
            shown += 1;
            last = reading;
        }
        Ok(())
    }
}

impl Reading {
    fn take(client: &mut Client) -> Result<Reading> {
        let figures = Figures::ask(client)?;
        let at = Instant::now();
        Ok(Reading { figures, at })
    }

    fn rates(&self, before: &Reading) -> Rates {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let counters = COUNTERS.iter();
        counters
            .filter_map(|(figure, name, _)| {
                let now = self.figures.number(figure)?;
                let then = before.figures.number(figure)?;
                Some((*name, per_second(now.saturating_sub(then), seconds)))
            })
            .collect()
    }

    fn line(&self, rates: &Rates) -> String {
        let mut line = format!(
            "{} state={} connections={}",
            Rfc3339(SystemTime::now()),
            self.figures.text("engine.state"),
            self.figures.number("server.connections").unwrap_or(0)
        );
        for (name, rate) in rates {
            // Writing to memory does not fail.
            let _ = write!(line, " {name}/s={rate:.1}");
        }
        line
    }

    fn document(&self, before: &Reading, rates: &Rates) -> Object {
        let rates: Object = rates
            .iter()
            .map(|(name, rate)| ((*name).to_owned(), tenths(*rate).into()))
            .collect();
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        object([
            ("time", Rfc3339(SystemTime::now()).to_string().into()),
            ("seconds", tenths(seconds).into()),
            ("rates", Value::from(rates)),
            ("stats", Value::from(self.figures.json())),
        ])
    }
}

/// As many in a second as `growth` in `seconds`.
fn per_second(growth: u64, seconds: f64) -> f64 {
    #[expect(
        clippy::as_conversions,
        reason = "a rate needs no more digits than a floating-point number has"
    )]
    let growth = growth as f64;
    growth / seconds.max(0.001)
}

/// Rounded, so that programs are not given digits that mean nothing.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn show_page(
    reading: &Reading,
    rates: &Rates,
    interval: Duration,
    output: &mut Output,
) -> Result<()> {
    let page = page(reading, rates, interval);
    output.write(|out| write!(out, "{CLEAR}{page}"))?;
    output.flush()
}

/// What fits the smallest terminal: 80 columns, 24 lines.
fn page(reading: &Reading, rates: &Rates, interval: Duration) -> String {
    let figures = &reading.figures;
    let number = |name: &str| figures.number(name).unwrap_or(0);
    let mut lines = vec![format!(
        "atlaskvd {}, up {}   every {}, Ctrl-C ends",
        figures.text("server.version"),
        duration_s(number("server.uptime_s")),
        duration_s(interval.as_secs()),
    )];
    let state = figures.refuses_writes();
    let state = state.unwrap_or_else(|| "running".to_owned());
    lines.push(format!("state             {state}"));
    lines.push(format!(
        "connections       {} of {}",
        number("server.connections"),
        number("server.max_connections")
    ));
    lines.push(String::new());
    for (_, name, is_bytes) in COUNTERS {
        let rate = rates.iter().find(|(found, _)| *found == name);
        let shown = match rate {
            None => "-".to_owned(),
            Some((_, rate)) if is_bytes => format!("{}/s", size(whole(*rate))),
            Some((_, rate)) => format!("{rate:.1}/s"),
        };
        let label = name.replace('_', " ");
        lines.push(format!("{label:<18}{shown}"));
    }
    lines.push(String::new());
    let memory = number("engine.memtable_bytes").saturating_add(number("engine.sealed_bytes"));
    lines.push(format!("in memory         {}", size(memory)));
    lines.push(format!(
        "in tables         {} in {}, entries: {}",
        size(number("engine.table_bytes")),
        counted(number("engine.tables"), "table"),
        number("engine.table_entries")
    ));
    lines.push(format!(
        "stalled writes    {}",
        number("engine.stalled_writes")
    ));
    lines.push(format!(
        "quarantine        {}",
        counted(number("engine.quarantine_files"), "file")
    ));
    lines.join("\n") + "\n"
}

fn whole(rate: f64) -> u64 {
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "shown in units of which it has at most thousands; `as` saturates"
    )]
    let whole = rate as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_growth_by_time() {
        assert_eq!(tenths(per_second(150, 2.0)), 75.0);
        assert_eq!(tenths(per_second(1, 3.0)), 0.3);
        // Two readings at once are no division by zero.
        assert!(per_second(1, 0.0).is_finite());
    }
}
