//! The status line of a daemon that serves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::storage::{Engine, Stats};

/// What the line is made of.
pub(super) struct Serving {
    engine: Arc<Engine>,
    sync: String,
    operations: u64,
    measured: Instant,
    per_second: u64,
    flushed: Option<Instant>,
}

impl Serving {
    pub(super) fn new(engine: Arc<Engine>, sync: String) -> Serving {
        Serving {
            operations: operations(&engine.stats()),
            engine,
            sync,
            measured: Instant::now(),
            per_second: 0,
            flushed: None,
        }
    }

    /// A memtable was flushed just now.
    pub(super) fn flushed(&mut self) {
        self.flushed = Some(Instant::now());
    }

    /// Another sync policy is in force.
    pub(super) fn set_sync(&mut self, sync: String) {
        self.sync = sync;
    }

    /// Measures the operations per second since the last time.
    pub(super) fn measure(&mut self) {
        let now = operations(&self.engine.stats());
        let took = self.measured.elapsed().as_millis().max(1);
        let done = u128::from(now.saturating_sub(self.operations));
        self.per_second = u64::try_from(done * 1000 / took).unwrap_or(u64::MAX);
        (self.operations, self.measured) = (now, Instant::now());
    }

    /// What the daemon is doing, in one line.
    pub(super) fn line(&self) -> String {
        let stats = self.engine.stats();
        let age = self.flushed.map(|flushed| flushed.elapsed());
        line(&stats, self.per_second, age, &self.sync)
    }
}

fn operations(stats: &Stats) -> u64 {
    stats.reads.saturating_add(stats.writes)
}

fn line(stats: &Stats, per_second: u64, flushed: Option<Duration>, sync: &str) -> String {
    let state = match stats.state.as_str() {
        "running" => "serving".to_owned(),
        state => format!("{state}, reads go on ({})", stats.state_reason),
    };
    let bytes = [stats.memtable_bytes, stats.sealed_bytes, stats.table_bytes];
    let bytes = bytes
        .iter()
        .fold(0, |sum: u64, part| sum.saturating_add(*part));
    let entries = stats.memtable_entries.saturating_add(stats.table_entries);
    format!(
        "{state}: {} entries, {}; {} operations/s; last flush {}; sync {sync}",
        short(entries, 1000, &["", "k", "M", "G", "T"]),
        short(bytes, 1024, &[" B", " KiB", " MiB", " GiB", " TiB"]),
        short(per_second, 1000, &["", "k", "M", "G", "T"]),
        flushed.map_or_else(|| "not yet".to_owned(), age),
    )
}

/// A number in the largest unit that leaves it at least 1, with one place behind the point.
fn short(number: u64, step: u64, units: &[&str]) -> String {
    let mut unit = 0;
    let mut size = 1;
    while number / size >= step && unit + 1 < units.len() {
        size *= step;
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    if unit == 0 {
        return format!("{number}{name}");
    }
    let tenths = u128::from(number) * 10 / u128::from(size);
    format!("{}.{}{name}", tenths / 10, tenths % 10)
}

/// Coarse, so that the line of an idle daemon rarely changes.
fn age(age: Duration) -> String {
    match age.as_secs() {
        ..60 => "under a minute ago".to_owned(),
        seconds @ 60..7200 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_it_does_and_why_it_does_not_write() {
        let mut stats = Stats {
            state: "running".to_owned(),
            memtable_entries: 7,
            table_entries: 1_234_000,
            memtable_bytes: 1024,
            table_bytes: 3 << 30,
            ..Stats::default()
        };
        assert_eq!(
            line(&stats, 5230, Some(Duration::from_secs(240)), "interval"),
            "serving: 1.2M entries, 3.0 GiB; 5.2k operations/s; last flush 4 min ago; sync interval"
        );
        stats.state = "disk-full".to_owned();
        stats.state_reason = "no room for the log".to_owned();
        let line = line(&stats, 0, None, "every-write");
        assert!(
            line.starts_with("disk-full, reads go on (no room for the log): "),
            "{line}"
        );
        assert!(
            line.contains("0 operations/s; last flush not yet; "),
            "{line}"
        );
    }

    #[test]
    fn numbers_are_short() {
        let bytes = |number| short(number, 1024, &[" B", " KiB", " MiB"]);
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 30), "5120.0 MiB");
        assert_eq!(bytes(u64::MAX), "17592186044415.9 MiB");
    }

    #[test]
    fn ages_are_coarse() {
        for (seconds, text) in [
            (0, "under a minute ago"),
            (60, "1 min ago"),
            (7199, "119 min ago"),
            (7200, "2 h ago"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }
}
