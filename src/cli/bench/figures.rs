//! What a load was answered with, and how long that took.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::dialect::Answer;
use super::workload::Kind;
use crate::storage::disk::count;

/// A latency beyond this counts as this: an hour.
const MOST_LATENCY_NS: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// The operations of one kind.
#[derive(Debug, Clone)]
pub(super) struct KindFigures {
    /// Nanoseconds from the moment that it was to be sent to its answer.
    pub(super) latencies: Histogram<u64>,
    /// Keys without a value.
    pub(super) missing: u64,
    /// Entries of scans.
    pub(super) entries: u64,
    /// Bytes of values read by gets.
    pub(super) bytes: u64,
}

/// The figures of a load, or of one thread's part in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) kinds: BTreeMap<Kind, KindFigures>,
    /// Operations that were answered with an error, by its name.
    pub(super) refused: BTreeMap<String, u64>,
    /// From the first request to the last answer.
    pub(super) took: Duration,
}

impl Default for KindFigures {
    fn default() -> KindFigures {
        let latencies = Histogram::new_with_bounds(1, MOST_LATENCY_NS, SIGNIFICANT_DIGITS);
        #[expect(clippy::expect_used, reason = "refused only for bounds that are wrong")]
        let latencies = latencies.expect("the bounds are sound");
        KindFigures {
            latencies,
            missing: 0,
            entries: 0,
            bytes: 0,
        }
    }
}

impl KindFigures {
    /// Takes in others.
    pub(super) fn add(&mut self, other: &KindFigures) {
        // Both have the same bounds, which is all that it asks for.
        let _ = self.latencies.add(&other.latencies);
        self.missing += other.missing;
        self.entries += other.entries;
        self.bytes += other.bytes;
    }

    /// Operations that were done.
    pub(super) fn operations(&self) -> u64 {
        self.latencies.len()
    }

    /// The latency that so many percent of the operations did not exceed.
    pub(super) fn percentile_ns(&self, percent: f64) -> u64 {
        self.latencies.value_at_percentile(percent)
    }
}

impl Figures {
    pub(super) fn note(&mut self, kind: Kind, latency: Duration, answer: Answer) {
        if let Answer::Refused(name) = answer {
            *self.refused.entry(name).or_default() += 1;
            return;
        }
        let figures = self.kinds.entry(kind).or_default();
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        figures.latencies.saturating_record(nanoseconds.max(1));
        match answer {
            Answer::Missing => figures.missing += 1,
            Answer::Found(bytes) => figures.bytes += count(bytes),
            Answer::Entries(entries, _) => figures.entries += count(entries),
            Answer::Done | Answer::Refused(_) => {}
        }
    }

    /// Takes in another thread's part.
    pub(super) fn add(&mut self, other: &Figures) {
        for (kind, part) in &other.kinds {
            self.kinds.entry(*kind).or_default().add(part);
        }
        for (name, number) in &other.refused {
            *self.refused.entry(name.clone()).or_default() += number;
        }
        self.took = self.took.max(other.took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let mut whole = Figures::default();
        for part in 1..=2_u64 {
            let mut figures = Figures::default();
            let latency = Duration::from_micros(part * 100);
            figures.note(Kind::Get, latency, Answer::Found(10));
            figures.note(Kind::Get, latency, Answer::Missing);
            figures.note(Kind::Scan, latency, Answer::Entries(7, Some(1)));
            figures.note(Kind::Put, latency, Answer::Refused("busy".to_owned()));
            figures.took = Duration::from_secs(part);
            whole.add(&figures);
        }
        let gets = &whole.kinds[&Kind::Get];
        assert_eq!((gets.operations(), gets.missing, gets.bytes), (4, 2, 20));
        assert_eq!(whole.kinds[&Kind::Scan].entries, 14);
        assert!(!whole.kinds.contains_key(&Kind::Put));
        assert_eq!(whole.refused["busy"], 2);
        assert_eq!(whole.took, Duration::from_secs(2));
        let slowest = gets.percentile_ns(100.0);
        assert!((200_000..201_000).contains(&slowest), "{slowest}");
    }

    #[test]
    fn a_latency_beyond_all_bounds_counts_as_the_longest() {
        let mut figures = Figures::default();
        figures.note(Kind::Get, Duration::from_secs(100_000), Answer::Missing);
        let gets = &figures.kinds[&Kind::Get];
        assert!(gets.percentile_ns(100.0) >= MOST_LATENCY_NS);
        assert_eq!(gets.operations(), 1);
    }
}
