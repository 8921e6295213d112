//! The tables: read on a terminal, and pasted into `docs/performance.md` as they are.

use std::fmt::Write;

use crate::bars::{ATLASKV, Against, BARS, Bar, Better, Verdict};
use crate::document::Document;
use crate::samples::{Samples, Spread};

/// Rows of cells, the first of which is the head.
struct Table(Vec<Vec<String>>);

/// All tables of a document.
pub(crate) fn tables(document: &Document) -> String {
    let samples = &document.samples;
    let mut text = String::new();
    for run in &document.runs {
        let _ = writeln!(text, "* {run}");
    }
    let _ = writeln!(text, "\n{}", bars(samples).aligned());
    for (part, title) in [
        ("engine.", "Engines in process"),
        ("server.", "Servers"),
        ("growth.", "As work grows"),
    ] {
        let table = figures(samples, part);
        if table.0.len() > 1 {
            let _ = writeln!(text, "**{title}**\n\n{}", table.aligned());
        }
    }
    text
}

fn bars(samples: &Samples) -> Table {
    let head = [
        "workload", "beside", "AtlasKV", "peer", "ratio", "at least", "aim", "met",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(BARS.iter().map(|bar| row(bar, samples)));
    Table(rows)
}

fn row(bar: &Bar, samples: &Samples) -> Vec<String> {
    let spread = |spread: Option<Spread>| spread.map_or("-".to_owned(), cell);
    let measured = bar.measured(samples);
    let ratio = measured.filter(|_| !matches!(bar.against, Against::Nothing));
    let aim = if bar.better == Better::Lower && bar.aim == 1.0 {
        "less".to_owned()
    } else {
        bound(bar, bar.aim)
    };
    let met = measured.map_or("not measured", |measured| match measured.verdict {
        Verdict::Aim => "yes, the aim",
        Verdict::Yes => "yes",
        Verdict::No => "**no**",
    });
    vec![
        bar.title.to_owned(),
        bar.peer(),
        spread(samples.spread(bar.figure, ATLASKV)),
        spread(bar.others(samples)),
        spread(ratio.map(|measured| measured.ratio)),
        bound(bar, bar.least),
        aim,
        met.to_owned(),
    ]
}

fn bound(bar: &Bar, bound: f64) -> String {
    match bar.better {
        Better::Higher => bound.to_string(),
        Better::Lower => format!("≤ {bound}"),
    }
}

/// Every figure of a part, a column for each store that has one.
fn figures(samples: &Samples, part: &str) -> Table {
    let figures = samples.figures().into_iter();
    let figures: Vec<_> = figures.filter(|figure| figure.starts_with(part)).collect();
    let has = |store: &String| {
        figures
            .iter()
            .any(|figure| samples.spread(figure, store).is_some())
    };
    let stores: Vec<_> = samples.stores().into_iter().filter(has).collect();
    let mut rows = vec![[vec!["figure".to_owned()], stores.clone()].concat()];
    for figure in &figures {
        let mut row = vec![figure.trim_start_matches(part).to_owned()];
        let cells = stores.iter().map(|store| samples.spread(figure, store));
        row.extend(cells.map(|spread| spread.map_or("-".to_owned(), cell)));
        rows.push(row);
    }
    Table(rows)
}

fn cell(spread: Spread) -> String {
    let Spread {
        median,
        least,
        most,
    } = spread;
    if least == most {
        return number(median);
    }
    format!("{} ({}-{})", number(median), number(least), number(most))
}

/// Three digits, with k and M.
pub(crate) fn number(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 999_500.0 => (value / 1e6, "M"),
        size if size >= 9_995.0 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let places = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.places$}{unit}")
}

impl Table {
    fn aligned(&self) -> String {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.0.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0).max(3)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (place, row) in self.0.iter().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(text, "| {cell:width$} ");
            }
            text.push_str("|\n");
            if place == 0 {
                for width in &widths {
                    let _ = write!(text, "|{}", "-".repeat(width + 2));
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.5, 12.34, 123.4, 9990.0, 12_345.0, 999_999.0, 2_500_000.0].map(number);
        assert_eq!(
            shown,
            ["0.50", "12.3", "123", "9990", "12.3k", "1.00M", "2.50M"]
        );
    }

    #[test]
    fn a_table_is_aligned_markdown() {
        let table = Table(vec![
            vec!["workload".to_owned(), "≤".to_owned()],
            vec!["a".to_owned(), "12345".to_owned()],
        ]);
        let lines = "| workload | ≤     |\n|----------|-------|\n| a        | 12345 |\n";
        assert_eq!(table.aligned(), lines);
    }
}
