//! stats: the store's figures.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::exit_code::failure;
use super::{Plane, Result, Session};
use crate::cli::after_help;
use crate::cli::json::{Object, lsn, object};
use crate::client::StatValue;

/// Print the store's figures.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl stats\n  atlaskv-ctl --format json stats | jq '.stats.\"engine.tables\"'"
))]
pub(super) struct Stats {}

impl Stats {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::Data)?;
        let figures = client.stats().map_err(failure)?;
        if session.output.is_json() {
            let stats: Object = figures
                .into_iter()
                .map(|(name, value)| json(name, value))
                .collect();
            let document = object([("stats", stats.into())]);
            return session.output.document(document);
        }
        let width = figures.iter().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or(0);
        session.output.write(|out| {
            figures.iter().try_for_each(|(name, value)| {
                let value = human(name, value);
                writeln!(out, "{name:<width$}  {value}")
            })
        })
    }
}

fn is_lsn(name: &str) -> bool {
    name == "lsn" || name.ends_with("_lsn")
}

fn json(name: String, value: StatValue) -> (String, Value) {
    let value = match value {
        StatValue::Number(bits) if is_lsn(&name) => lsn(bits).into(),
        StatValue::Number(number) => number.into(),
        StatValue::Text(text) => text.into(),
    };
    (name, value)
}

fn human(name: &str, value: &StatValue) -> String {
    match value {
        StatValue::Number(bits) if is_lsn(name) => lsn(*bits),
        StatValue::Number(number) if name.ends_with("bytes") => bytes(*number),
        StatValue::Number(number) => number.to_string(),
        StatValue::Text(text) if text.is_empty() => "-".to_owned(),
        StatValue::Text(text) => text.clone(),
    }
}

/// A number of bytes, and behind it the same in larger units: "1536 (1.5 KiB)".
pub(super) fn bytes(number: u64) -> String {
    let (mut tenths, mut unit) = (u128::from(number) * 10, "");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if tenths < 10 * 1024 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    if unit.is_empty() {
        return number.to_string();
    }
    format!("{number} ({}.{} {unit})", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_for_people_and_kept_for_programs() {
        let lsn_bits = StatValue::Number((3 << 44) + 7);
        assert_eq!(human("last_lsn", &lsn_bits), "3/7");
        assert_eq!(json("last_lsn".into(), lsn_bits).1, "3/7");
        assert_eq!(
            human("log_bytes", &StatValue::Number(1536)),
            "1536 (1.5 KiB)"
        );
        assert_eq!(json("log_bytes".into(), StatValue::Number(1536)).1, 1536);
        assert_eq!(
            human("state", &StatValue::Text("running".into())),
            "running"
        );
    }

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        assert_eq!(bytes(0), "0");
        assert_eq!(bytes(1023), "1023");
        assert_eq!(bytes(1024), "1024 (1.0 KiB)");
        assert_eq!(bytes(64 << 20), "67108864 (64.0 MiB)");
        assert_eq!(bytes(u64::MAX), "18446744073709551615 (16777215.9 TiB)");
    }
}
