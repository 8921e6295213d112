//! What is asked of a server: the workloads, the keys they choose and the values they set.

use clap::ValueEnum;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution as _, Zipf};

use super::dialect::Operation;
use crate::cli::words::float;

/// The exponent of the Zipfian distribution, as YCSB has it.
const ZIPF_EXPONENT: f64 = 0.99;
/// Bytes from which values are cut: more than any cache line pattern, less than a processor's cache.
const POOL_SIZE: usize = 1 << 18;
/// What each key begins with: a store that holds other data keeps it.
pub(super) const PREFIX: &[u8] = b"bench:";
/// The smallest keys that can be told apart: the prefix and eight digits.
pub(super) const LEAST_KEY_SIZE: usize = PREFIX.len() + 8;

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// Puts every key once, in order
    FillSequential,
    /// Puts every key once, in random order
    FillRandom,
    /// Puts keys chosen at random
    Overwrite,
    /// Gets keys chosen at random; after a fill all are found
    ReadRandom,
    /// Gets keys that no fill puts, between those it puts
    ReadMissing,
    /// Gets as read-random, while one connection puts as overwrite does
    ReadWhileWriting,
    /// Gets and puts by the ratio of --reads
    Mixed,
    /// Scans --scan-entries entries from keys chosen at random
    Scan,
    /// Deletes every key once, in random order
    Delete,
}

/// How keys are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Distribution {
    /// Every key as often as any other
    #[default]
    Uniform,
    /// A few keys very often (exponent 0.99), scattered over all keys
    Zipfian,
}

/// What an operation is, for its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Get,
    Put,
    Delete,
    Scan,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Get => "get",
            Kind::Put => "put",
            Kind::Delete => "delete",
            Kind::Scan => "scan",
        }
    }
}

/// What the keys and values of a run are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data {
    pub(super) keys: u64,
    pub(super) key_size: usize,
    pub(super) least_value: usize,
    pub(super) most_value: usize,
    pub(super) distribution: Distribution,
    /// Percent of the operations of `mixed`.
    pub(super) reads: u8,
    pub(super) scan_entries: u32,
    pub(super) seed: u64,
}

impl Workload {
    pub(super) fn name(self) -> &'static str {
        match self {
            Workload::FillSequential => "fill-sequential",
            Workload::FillRandom => "fill-random",
            Workload::Overwrite => "overwrite",
            Workload::ReadRandom => "read-random",
            Workload::ReadMissing => "read-missing",
            Workload::ReadWhileWriting => "read-while-writing",
            Workload::Mixed => "mixed",
            Workload::Scan => "scan",
            Workload::Delete => "delete",
        }
    }

    /// Whether it leaves the server's data as it is.
    pub(super) fn only_reads(self) -> bool {
        matches!(
            self,
            Workload::ReadRandom | Workload::ReadMissing | Workload::Scan
        )
    }

    /// Whether it ends when every key had its turn, unless it is told otherwise.
    pub(super) fn takes_every_key_once(self) -> bool {
        matches!(
            self,
            Workload::FillSequential | Workload::FillRandom | Workload::Delete
        )
    }

    /// What the next operation is: `number` counts those of the run, `writes` is set for the connection
    /// that writes beside readers.
    pub(super) fn kind(self, choice: &mut Chooser, writes: bool) -> Kind {
        match self {
            Workload::FillSequential | Workload::FillRandom | Workload::Overwrite => Kind::Put,
            Workload::ReadRandom | Workload::ReadMissing => Kind::Get,
            Workload::ReadWhileWriting if writes => Kind::Put,
            Workload::ReadWhileWriting => Kind::Get,
            Workload::Mixed if choice.is_read() => Kind::Get,
            Workload::Mixed => Kind::Put,
            Workload::Scan => Kind::Scan,
            Workload::Delete => Kind::Delete,
        }
    }
}

/// Chooses keys and values, one thread's.
#[derive(Debug)]
pub(super) struct Chooser {
    data: Data,
    random: SmallRng,
    zipf: Option<Zipf<f64>>,
    permutation: Permutation,
    pool: Vec<u8>,
    key: Vec<u8>,
}

impl Chooser {
    pub(super) fn new(data: Data, thread: u64) -> Chooser {
        let mut random = SmallRng::seed_from_u64(data.seed.wrapping_add(thread));
        let zipf = match data.distribution {
            Distribution::Uniform => None,
            // Only a number of keys below one or an exponent below zero is refused.
            Distribution::Zipfian => Zipf::new(float(data.keys), ZIPF_EXPONENT).ok(),
        };
        // Half of it random, half of it not: as compressible as the values that other stores are
        // measured with.
        let mut pool = vec![0; POOL_SIZE + data.most_value];
        for pair in pool.chunks_mut(64) {
            let half = pair.len() / 2;
            pair.iter_mut()
                .take(half)
                .for_each(|byte| *byte = random.random());
        }
        Chooser {
            data,
            random,
            zipf,
            permutation: Permutation::new(data.keys),
            pool,
            key: Vec::with_capacity(data.key_size),
        }
    }

    fn is_read(&mut self) -> bool {
        self.random.random_range(0..100) < self.data.reads
    }

    /// A key that a fill puts, by the distribution.
    fn any(&mut self) -> u64 {
        let Some(zipf) = &self.zipf else {
            return self.random.random_range(0..self.data.keys);
        };
        let rank = zipf.sample(&mut self.random);
        #[expect(
            clippy::as_conversions,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank is a whole number from 1 to the number of keys"
        )]
        let place = (rank as u64).saturating_sub(1).min(self.data.keys - 1);
        self.permutation.of(place)
    }

    /// The operation with this number in the run.
    pub(super) fn operation(
        &mut self,
        workload: Workload,
        kind: Kind,
        number: u64,
    ) -> Operation<'_> {
        let id = match workload {
            Workload::FillSequential => number % self.data.keys,
            Workload::FillRandom | Workload::Delete => self.permutation.of(number % self.data.keys),
            _ => self.any(),
        };
        // Keys that are put are even, so that those between them are missing.
        let digits = id * 2 + u64::from(workload == Workload::ReadMissing);
        write_key(digits, self.data.key_size, &mut self.key);
        let key = self.key.as_slice();
        match kind {
            Kind::Get => Operation::Get { key },
            Kind::Delete => Operation::Delete { key },
            Kind::Scan => Operation::Scan {
                from: key,
                entries: self.data.scan_entries,
            },
            Kind::Put => {
                let length = self
                    .random
                    .random_range(self.data.least_value..=self.data.most_value);
                let start = self.random.random_range(0..POOL_SIZE);
                let value = self.pool.get(start..start + length).unwrap_or_default();
                Operation::Put { key, value }
            }
        }
    }
}

/// The prefix, and the number in decimal digits, padded with zeros to the key's size.
fn write_key(number: u64, size: usize, key: &mut Vec<u8>) {
    key.clear();
    key.resize(size, b'0');
    let mut rest = number;
    for digit in key.iter_mut().rev() {
        // A digit is below ten.
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    key.iter_mut()
        .zip(PREFIX)
        .for_each(|(byte, prefix)| *byte = *prefix);
}

/// The largest number of keys whose digits fit a key of this size.
pub(super) fn most_keys(key_size: usize) -> u64 {
    let digits = u32::try_from(key_size.saturating_sub(PREFIX.len())).unwrap_or(u32::MAX);
    10_u64
        .checked_pow(digits)
        .map_or(u64::MAX / 2, |all| all / 2)
}

/// All numbers below a limit, each once, in an order that looks random: steps that each are a bijection on
/// so many bits, repeated until the number is below the limit ("cycle walking", Black and Rogaway 2002).
#[derive(Debug, Clone, Copy)]
struct Permutation {
    limit: u64,
    mask: u64,
    half: u32,
}

impl Permutation {
    fn new(limit: u64) -> Permutation {
        let bits = (u64::BITS - limit.saturating_sub(1).leading_zeros()).clamp(2, 63);
        Permutation {
            limit,
            mask: (1 << bits) - 1,
            half: bits.div_ceil(2),
        }
    }

    fn of(self, number: u64) -> u64 {
        let mut mixed = number;
        loop {
            // Odd factors, from splitmix64 (Steele, Lea and Flood 2014).
            for factor in [0xBF58_476D_1CE4_E5B9_u64, 0x94D0_49BB_1331_11EB] {
                mixed = mixed.wrapping_mul(factor).wrapping_add(factor >> 7) & self.mask;
                mixed ^= mixed >> self.half;
            }
            if mixed < self.limit {
                return mixed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn data(distribution: Distribution) -> Data {
        Data {
            keys: 1000,
            key_size: 16,
            least_value: 10,
            most_value: 20,
            distribution,
            reads: 90,
            scan_entries: 5,
            seed: 7,
        }
    }

    #[test]
    fn a_permutation_has_every_number_once() {
        for limit in [1, 2, 3, 1000, 1024, 1025] {
            let permutation = Permutation::new(limit);
            let all: BTreeSet<u64> = (0..limit).map(|number| permutation.of(number)).collect();
            assert_eq!(crate::storage::disk::count(all.len()), limit);
            assert!(all.iter().all(|number| *number < limit));
        }
    }

    #[test]
    fn keys_have_their_size_their_prefix_and_their_order() {
        let mut chooser = Chooser::new(data(Distribution::Uniform), 0);
        let mut last = Vec::new();
        for number in 0..1000 {
            let Operation::Put { key, value } =
                chooser.operation(Workload::FillSequential, Kind::Put, number)
            else {
                panic!("not a put");
            };
            assert_eq!(key.len(), 16);
            assert!(key.starts_with(PREFIX) && key > last.as_slice());
            assert!((10..=20).contains(&value.len()));
            last = key.to_vec();
        }
    }

    #[test]
    fn missing_keys_are_none_that_a_fill_puts() {
        let mut chooser = Chooser::new(data(Distribution::Uniform), 0);
        let mut filled = BTreeSet::new();
        for number in 0..1000 {
            if let Operation::Put { key, .. } =
                chooser.operation(Workload::FillRandom, Kind::Put, number)
            {
                filled.insert(key.to_vec());
            }
        }
        assert_eq!(filled.len(), 1000);
        for number in 0..1000 {
            let missing = chooser.operation(Workload::ReadMissing, Kind::Get, number);
            assert!(matches!(missing, Operation::Get { key } if !filled.contains(key)));
            let there = chooser.operation(Workload::ReadRandom, Kind::Get, number);
            assert!(matches!(there, Operation::Get { key } if filled.contains(key)));
        }
    }

    #[test]
    fn zipfian_keys_are_few_and_uniform_keys_are_not() {
        let most_frequent = |distribution| {
            let mut chooser = Chooser::new(data(distribution), 0);
            let mut counts = vec![0; 1000];
            (0..10_000).for_each(|_| counts[usize::try_from(chooser.any()).unwrap()] += 1);
            counts.into_iter().max().unwrap()
        };
        assert!(most_frequent(Distribution::Uniform) < 50);
        assert!(most_frequent(Distribution::Zipfian) > 500);
    }

    #[test]
    fn so_many_keys_fit() {
        assert_eq!(most_keys(LEAST_KEY_SIZE), 50_000_000);
        let mut key = Vec::new();
        write_key(99_999_999, LEAST_KEY_SIZE, &mut key);
        assert_eq!(key, b"bench:99999999");
    }
}
