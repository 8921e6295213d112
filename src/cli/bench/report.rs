//! The results: a table for people, a document for programs.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::figures::{Figures, KindFigures};
use super::workload::Workload;
use crate::cli::json::{Object, object};
use crate::cli::words::{counted, float};

/// What ran, and what came of it.
pub(super) struct Ran {
    pub(super) workload: Workload,
    pub(super) figures: Figures,
}

const PERCENTILES: [(&str, f64); 4] = [
    ("p50", 50.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("max", 100.0),
];

pub(super) fn head(out: &mut dyn Write) -> io::Result<()> {
    write!(
        out,
        "{:<19}{:<8}{:>12}{:>11}",
        "workload", "", "operations", "per s"
    )?;
    for (name, _) in PERCENTILES {
        write!(out, "{:>10}", format!("{name} us"))?;
    }
    writeln!(out)
}

impl Ran {
    pub(super) fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut name = self.workload.name();
        for (kind, figures) in &self.figures.kinds {
            let operations = figures.operations();
            let rate = self.per_second(operations);
            write!(
                out,
                "{name:<19}{:<8}{operations:>12}{rate:>11.0}",
                kind.name()
            )?;
            for (_, percent) in PERCENTILES {
                let microseconds = microseconds(figures.percentile_ns(percent));
                write!(out, "{microseconds:>10.1}")?;
            }
            writeln!(out)?;
            self.notes(figures, out)?;
            name = "";
        }
        for (name, number) in &self.figures.refused {
            writeln!(
                out,
                "{:<19}{} refused: {name}",
                "",
                counted(*number, "operation")
            )?;
        }
        Ok(())
    }

    fn notes(&self, figures: &KindFigures, out: &mut dyn Write) -> io::Result<()> {
        if figures.entries > 0 {
            let rate = self.per_second(figures.entries);
            writeln!(
                out,
                "{:<19}{:<8}{:>12}{rate:>11.0}",
                "", "entries", figures.entries
            )?;
        }
        // Where all were to be missing, that they are is no news.
        if figures.missing > 0 && self.workload != Workload::ReadMissing {
            let missing = counted(figures.missing, "key");
            writeln!(
                out,
                "{:<19}{missing} had no value: was it filled with as many --keys?",
                ""
            )?;
        }
        Ok(())
    }

    pub(super) fn document(&self) -> Value {
        let mut operations = Map::new();
        let mut all = KindFigures::default();
        for (kind, figures) in &self.figures.kinds {
            all.add(figures);
            let mut document = self.done(figures);
            document.insert("missing".to_owned(), figures.missing.into());
            document.insert("entries".to_owned(), figures.entries.into());
            document.insert("value_bytes".to_owned(), figures.bytes.into());
            operations.insert(kind.name().to_owned(), document.into());
        }
        let mut document = self.done(&all);
        document.extend(object([
            ("workload", self.workload.name().into()),
            ("seconds", self.figures.took.as_secs_f64().into()),
            ("errors", self.figures.refused.values().sum::<u64>().into()),
            ("errors_by_name", json!(self.figures.refused)),
            ("operations", operations.into()),
        ]));
        document.into()
    }

    /// What was done, errors not counted.
    fn done(&self, figures: &KindFigures) -> Object {
        let mut latency = object([("mean", rounded(figures.latencies.mean() / 1000.0).into())]);
        for (name, percent) in PERCENTILES {
            let microseconds = microseconds(figures.percentile_ns(percent));
            latency.insert(name.replace('.', ""), rounded(microseconds).into());
        }
        let rate = self.per_second(figures.operations());
        object([
            ("ops", figures.operations().into()),
            ("ops_per_second", rounded(rate).into()),
            ("latency_us", latency.into()),
        ])
    }

    fn per_second(&self, number: u64) -> f64 {
        let seconds = self.figures.took.as_secs_f64();
        if seconds > 0.0 {
            float(number) / seconds
        } else {
            0.0
        }
    }
}

fn microseconds(nanoseconds: u64) -> f64 {
    float(nanoseconds) / 1000.0
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::bench::dialect::Answer;
    use crate::cli::bench::workload::Kind;

    fn ran() -> Ran {
        let mut figures = Figures::default();
        for _ in 0..100 {
            figures.note(Kind::Get, Duration::from_micros(50), Answer::Found(100));
        }
        figures.note(Kind::Get, Duration::from_micros(900), Answer::Missing);
        figures.note(
            Kind::Put,
            Duration::from_micros(70),
            Answer::Refused("busy".to_owned()),
        );
        figures.took = Duration::from_secs(2);
        Ran {
            workload: Workload::Mixed,
            figures,
        }
    }

    #[test]
    fn people_see_rates_latencies_and_what_was_refused() {
        let mut out = Vec::new();
        head(&mut out).unwrap();
        ran().human(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "workload                     operations      per s    p50 us    p99 us  p99.9 us    max us",
                "mixed              get              101         50      50.0      50.0     900.1     900.1",
                "                   1 key had no value: was it filled with as many --keys?",
                "                   1 operation refused: busy",
            ]
        );
    }

    #[test]
    fn programs_see_the_same() {
        let document = ran().document();
        let gets = &document["operations"]["get"];
        assert_eq!(gets["ops"], 101);
        assert_eq!(gets["ops_per_second"], 50.5);
        assert_eq!(gets["latency_us"]["p50"], 50.0);
        assert_eq!(gets["missing"], 1);
        assert_eq!(document["errors"], 1);
        assert_eq!(document["errors_by_name"]["busy"], 1);
        // What was refused is not done.
        assert_eq!(document["ops_per_second"], 50.5);
        assert_eq!(document["latency_us"]["p999"], 900.1);
    }
}
