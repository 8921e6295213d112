//! stats: the store's figures, once or again and again.

use std::io::Write;
use std::num::NonZeroU64;

use clap::Args;

use super::figures::Figures;
use super::watch::Watch;
use super::{Plane, Result, Session};
use crate::cli::after_help;
use crate::cli::json::object;

/// Print the store's figures.
///
/// With --watch again and again: on a terminal a page that is drawn anew, else a line a time, with
/// what is done in a second.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl stats\n  atlaskv-ctl stats --watch\n  atlaskv-ctl stats --watch 10 --count 6 >> figures.log\n  \
     atlaskv-ctl --format json stats | jq '.stats.\"engine.tables\"'"
))]
pub(super) struct Stats {
    /// Print them every so many seconds, until Ctrl-C [default: 1]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1",
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    watch: Option<u32>,
    /// With --watch: end after so many.
    #[arg(long, value_name = "N", requires = "watch")]
    count: Option<NonZeroU64>,
}

impl Stats {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::Observation)?;
        if let Some(seconds) = self.watch {
            let count = self.count.map(NonZeroU64::get);
            return Watch::new(seconds, count).run(&mut client, &mut session.output);
        }
        let figures = Figures::ask(&mut client)?;
        if session.output.is_json() {
            let document = object([("stats", figures.json().into())]);
            return session.output.document(document);
        }
        session.output.write(|out| {
            if let Some(sentence) = figures.last_start() {
                writeln!(out, "last start: {sentence}\n")?;
            }
            let mut lines = figures.lines().into_iter();
            lines.try_for_each(|line| writeln!(out, "{line}"))
        })
    }
}
