//! scan: entries in key order, written as they come.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::exit_code::failure;
use super::range::Range;
use super::{Plane, Result, Session};
use crate::cli::failure::Telling;
use crate::cli::json::{self, lsn};
use crate::cli::output::Output;
use crate::cli::{after_help, escape, hex};
use crate::client::{self, Entry};

/// Print keys and values in key order, one state of the store: key, tab, value, escaped.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl scan --prefix user:\n  atlaskv-ctl scan --from a --to b --limit 10 --reverse\n  \
     atlaskv-ctl --format json scan --hex --prefix 00"
))]
pub(super) struct Scan {
    #[command(flatten)]
    range: Range,
    /// At most this many entries.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// From the last key to the first.
    #[arg(long)]
    reverse: bool,
    /// Keys, given and printed, and values are in hexadecimal digits.
    #[arg(long)]
    hex: bool,
}

impl Scan {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut options = self.range.options(self.hex)?;
        options.reverse = self.reverse;
        options.limit = self.limit.unwrap_or(0);
        let mut client = session.connect(Plane::Data)?;
        let scan = client.scan(&options).map_err(failure)?;
        if session.output.is_json() {
            return self.json(scan, &mut session.output);
        }
        for entry in scan {
            let entry = entry.map_err(failure)?;
            session.output.write(|out| self.line(out, &entry))?;
        }
        Ok(())
    }

    fn line(&self, out: &mut impl Write, entry: &Entry) -> std::io::Result<()> {
        if self.hex {
            let (key, value) = (hex::encode(&entry.key), hex::encode(&entry.value));
            return writeln!(out, "{key}\t{value}");
        }
        escape::write(out, &entry.key)?;
        out.write_all(b"\t")?;
        escape::write(out, &entry.value)?;
        out.write_all(b"\n")
    }

    /// One document, written as the entries come: a failure stands behind those that did come.
    fn json(&self, scan: client::Scan<'_>, output: &mut Output) -> Result<()> {
        let state = lsn(scan.lsn());
        output.write(|out| write!(out, "{{\"lsn\":\"{state}\",\"entries\":["))?;
        let (mut count, mut failed) = (0_u64, None);
        for entry in scan {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    failed = Some(failure(error));
                    break;
                }
            };
            let object = json::entry(&entry.key, &entry.value, Some(entry.lsn), self.hex);
            let comma = if count == 0 { "" } else { "," };
            output.write(|out| write!(out, "{comma}{}", Value::from(object)))?;
            count += 1;
        }
        match failed {
            None => output.line(&format!("],\"count\":{count},\"ok\":true}}")),
            Some(mut failure) => {
                let error = failure.error();
                output.line(&format!(
                    "],\"count\":{count},\"error\":{error},\"ok\":false}}"
                ))?;
                failure.telling = Telling::Told;
                Err(failure)
            }
        }
    }
}
