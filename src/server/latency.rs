//! How long requests take, an operation at a time, from the moment that a request is decoded to the
//! moment that its answer is ready to be sent. For a write that is when it is settled.
//!
//! What must hold:
//! - Measuring costs a request one look at the clock in a pipeline, two alone, and a few nanoseconds: a
//!   connection keeps its samples to itself and hands them over with the answers it sends, under one
//!   short lock that it shares with few others.
//! - Memory is bounded: a histogram from a microsecond to an hour with two significant digits takes
//!   27 KiB, there is one for each operation that happened in each of a few shards.
//! - Nothing is ever reset: who wants the figures of a time takes the difference of two readings.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::protocol::opcode::request as opcode;

/// What is measured: every request that asks something of the engine, by opcode and name.
const OPERATIONS: [(u8, &str); 13] = [
    (opcode::GET, "get"),
    (opcode::PUT, "put"),
    (opcode::DELETE, "delete"),
    (opcode::EXISTS, "exists"),
    (opcode::MULTI_GET, "multi_get"),
    (opcode::BATCH, "batch"),
    (opcode::PUT_IF_ABSENT, "put_if_absent"),
    (opcode::COMPARE_AND_SWAP, "compare_and_swap"),
    (opcode::SCAN_OPEN, "scan_open"),
    (opcode::SCAN_NEXT, "scan_next"),
    (opcode::SYNC, "sync"),
    (opcode::FLUSH, "flush"),
    (opcode::COMPACT, "compact"),
];

/// What takes longer counts as so long: an hour, in microseconds.
const LONGEST_US: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 2;
/// Connections share a shard with every eighth other.
const SHARDS: usize = 8;
/// Samples that a connection keeps before it hands them over.
const MAX_SAMPLES: usize = 256;
/// Samples that a connection has room for when it has handed them over.
const MIN_SAMPLES: usize = 4;

/// The durations of all requests since the start.
#[derive(Debug, Default)]
pub(super) struct Latency {
    shards: [Mutex<Shard>; SHARDS],
    recorders: AtomicUsize,
}

type Shard = [Option<Durations>; OPERATIONS.len()];

/// How long the requests of one operation took.
#[derive(Debug, Clone)]
struct Durations {
    microseconds: Histogram<u64>,
    /// The exact sum: most gets take less than a microsecond.
    sum: Duration,
}

impl Durations {
    #[expect(
        clippy::expect_used,
        reason = "the bounds are constants that the histogram takes"
    )]
    fn new() -> Durations {
        let microseconds = Histogram::new_with_bounds(1, LONGEST_US, SIGNIFICANT_DIGITS);
        Durations {
            microseconds: microseconds.expect("valid bounds"),
            sum: Duration::ZERO,
        }
    }

    fn record(&mut self, took: Duration) {
        // Whole microseconds that passed: then the cells of the histogram end where buckets do.
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        self.microseconds
            .saturating_record(microseconds.clamp(1, LONGEST_US));
        self.sum = self.sum.saturating_add(took);
    }

    fn add(&mut self, other: &Durations) {
        // Both have the same bounds, and so it cannot fail.
        let _ = self.microseconds.add(&other.microseconds);
        self.sum = self.sum.saturating_add(other.sum);
    }
}

impl Latency {
    /// A connection's recorder.
    pub(super) fn recorder(&self) -> Recorder {
        Recorder {
            shard: self.recorders.fetch_add(1, Ordering::Relaxed) % SHARDS,
            samples: Vec::new(),
        }
    }

    /// The operations that happened, with their durations.
    pub(super) fn operations(&self) -> Vec<OperationLatency> {
        let mut all: Shard = Shard::default();
        for shard in &self.shards {
            let shard = lock(shard);
            for (sum, durations) in all.iter_mut().zip(shard.iter()) {
                if let Some(durations) = durations {
                    sum.get_or_insert_with(Durations::new).add(durations);
                }
            }
        }
        let operations = OPERATIONS.iter().zip(all);
        operations
            .filter_map(|((_, operation), durations)| {
                Some(OperationLatency {
                    operation,
                    durations: durations?,
                })
            })
            .collect()
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one connection has measured and not handed over yet.
#[derive(Debug)]
pub(super) struct Recorder {
    shard: usize,
    samples: Vec<(usize, Duration)>,
}

impl Recorder {
    /// Takes in how long a request took. What is no operation is left out.
    pub(super) fn record(&mut self, latency: &Latency, opcode: u8, took: Duration) {
        let Some(operation) = OPERATIONS.iter().position(|(code, _)| *code == opcode) else {
            return;
        };
        self.samples.push((operation, took));
        if self.samples.len() >= MAX_SAMPLES {
            self.hand_over(latency);
        }
    }

    /// Makes what was recorded part of the figures.
    pub(super) fn hand_over(&mut self, latency: &Latency) {
        let shard = latency.shards.get(self.shard);
        let Some(shard) = shard.filter(|_| !self.samples.is_empty()) else {
            return;
        };
        let mut shard = lock(shard);
        for (operation, took) in self.samples.drain(..) {
            if let Some(durations) = shard.get_mut(operation) {
                durations.get_or_insert_with(Durations::new).record(took);
            }
        }
        drop(shard);
        // A connection that is idle keeps almost nothing.
        self.samples.shrink_to(MIN_SAMPLES);
    }
}

/// How long the requests of one operation took since the start.
#[derive(Debug, Clone)]
pub struct OperationLatency {
    /// Its name: `get`, `scan_open` and so on.
    pub operation: &'static str,
    durations: Durations,
}

impl OperationLatency {
    /// The number of requests.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.durations.microseconds.len()
    }

    /// How long all of them took together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.durations.sum
    }

    /// Microseconds within which this part of the requests was done, from 0 to 1.
    #[must_use]
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self.durations.microseconds.value_at_quantile(quantile)
    }

    /// Microseconds of the longest.
    #[must_use]
    pub fn max_us(&self) -> u64 {
        self.durations.microseconds.max()
    }

    /// Requests that took less than `2^from` microseconds, then those from there to less than
    /// `2^(from + 1)` and so on; the last are those of `2^to` microseconds and more. Exact, because
    /// cells of the histogram end at powers of two.
    #[must_use]
    pub fn buckets(&self, from: u32, to: u32) -> Vec<u64> {
        let mut buckets = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0) + 2];
        for cell in self.durations.microseconds.iter_recorded() {
            let bits = u64::BITS - cell.value_iterated_to().leading_zeros();
            let bucket = bits.clamp(from, to + 1) - from;
            let bucket = usize::try_from(bucket).ok();
            if let Some(count) = bucket.and_then(|bucket| buckets.get_mut(bucket)) {
                *count += cell.count_since_last_iteration();
            }
        }
        buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(durations: impl IntoIterator<Item = Duration>) -> OperationLatency {
        let latency = Latency::default();
        let mut recorder = latency.recorder();
        for took in durations {
            recorder.record(&latency, opcode::GET, took);
        }
        recorder.hand_over(&latency);
        let mut operations = latency.operations();
        assert_eq!(operations.len(), 1, "only what happened");
        operations.pop().unwrap()
    }

    #[test]
    fn percentiles_have_two_significant_digits() {
        let get = measured((1..=100_000).map(Duration::from_micros));
        assert_eq!((get.operation, get.count()), ("get", 100_000));
        for (quantile, exact) in [
            (0.5, 50_000),
            (0.9, 90_000),
            (0.99, 99_000),
            (0.999, 99_900),
        ] {
            let found = get.quantile_us(quantile);
            assert!(found >= exact && found <= exact + exact / 100, "{found}");
        }
        assert!((100_000..=101_000).contains(&get.max_us()));
        assert_eq!(get.sum(), Duration::from_micros(100_000 * 100_001 / 2));
    }

    #[test]
    fn durations_beyond_the_bounds_count_as_the_bounds() {
        let get = measured([Duration::ZERO, Duration::from_secs(1 << 40), Duration::MAX]);
        assert_eq!(get.count(), 3);
        assert_eq!(get.quantile_us(0.1), 1);
        assert!(get.max_us() >= LONGEST_US);
    }

    #[test]
    fn buckets_are_exact_at_powers_of_two() {
        let around = (4..=20).flat_map(|power| [(1 << power) - 1, 1 << power]);
        let get = measured(around.map(Duration::from_micros));
        // 15 | 16, 31 | 32, 63 | ... | 2^19, 2^20 - 1 | 2^20
        let mut expected = vec![2; 18];
        expected[0] = 1;
        expected[17] = 1;
        assert_eq!(get.buckets(4, 20), expected);
    }

    #[test]
    fn samples_of_all_connections_come_together() {
        let latency = Latency::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| {
                    let mut recorder = latency.recorder();
                    for _ in 0..1000 {
                        recorder.record(&latency, opcode::PUT, Duration::from_micros(10));
                        recorder.record(&latency, opcode::PING, Duration::from_micros(10));
                        assert!(recorder.samples.len() < MAX_SAMPLES);
                    }
                    recorder.hand_over(&latency);
                });
            }
        });
        let operations = latency.operations();
        let counts = operations.iter().map(|it| (it.operation, it.count()));
        let counts: Vec<_> = counts.collect();
        assert_eq!(counts, [("put", 16_000)]);
    }
}
