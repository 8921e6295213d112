//! What AtlasKV is held to, as ratios to its peers: "The bar" of the issue that asked for speed.

use serde::Serialize;

use crate::samples::{Samples, Spread};

/// The store that is held to the bars.
pub(crate) const ATLASKV: &str = "AtlasKV";
const ROCKSDB: &str = "RocksDB";
const FJALL: &str = "fjall";
const BARE: &str = "bare log";
const REDIS: &str = "Redis";
const IDLE: &str = "server.idle-1000.more_mib";

/// What a figure is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Against {
    /// The better of these stores in each round.
    Best(&'static [&'static str]),
    /// Another figure of AtlasKV itself.
    Own(&'static str),
    /// Nothing: the bar is in the figure's own unit.
    Nothing,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// A bar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    pub(crate) title: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) against: Against,
    pub(crate) better: Better,
    /// What must be reached, or not be passed where lower is better.
    pub(crate) least: f64,
    pub(crate) aim: f64,
}

const BETTER_ENGINE: Against = Against::Best(&[ROCKSDB, FJALL]);
const ROCKS: Against = Against::Best(&[ROCKSDB]);
const RED: Against = Against::Best(&[REDIS]);

const fn higher(
    title: &'static str,
    figure: &'static str,
    against: Against,
    least: f64,
    aim: f64,
) -> Bar {
    Bar {
        title,
        figure,
        against,
        better: Better::Higher,
        least,
        aim,
    }
}

const fn lower(
    title: &'static str,
    figure: &'static str,
    against: Against,
    least: f64,
    aim: f64,
) -> Bar {
    Bar {
        better: Better::Lower,
        ..higher(title, figure, against, least, aim)
    }
}

/// All of them, in the order of the reports.
#[rustfmt::skip]
pub(crate) const BARS: [Bar; 30] = [
    higher("fill-random, no sync per write", "engine.fill.per_s", BETTER_ENGINE, 1.0, 2.0),
    lower("its slowest put: p99.9", "engine.fill.p999_us", ROCKS, 1.0, 0.5),
    lower("its slowest put: the worst", "engine.fill.max_us", ROCKS, 1.0, 0.5),
    higher("durable writes, 32 threads", "engine.durable-32.per_s", ROCKS, 1.0, 1.5),
    higher("durable writes, 1 thread", "engine.durable-1.per_s", Against::Best(&[BARE]), 0.8, 0.95),
    higher("read-random hit, 1 thread", "engine.read-hit-1.per_s", BETTER_ENGINE, 1.0, 2.0),
    higher("read-random hit, 4 threads", "engine.read-hit-4.per_s", BETTER_ENGINE, 1.0, 2.0),
    higher("read-random miss, 1 thread", "engine.read-miss-1.per_s", ROCKS, 0.8, 1.2),
    higher("read-random miss, 4 threads", "engine.read-miss-4.per_s", ROCKS, 0.8, 1.2),
    higher("full scan", "engine.scan.per_s", ROCKS, 1.0, 3.0),
    higher("3 readers beside 1 writer", "engine.readers-beside-writer.per_s", Against::Own("engine.readers-alone.per_s"), 0.5, 0.8),
    lower("4 N overwrites: write amplification", "engine.overwrite-quiet.write_amp", ROCKS, 1.0, 1.0),
    lower("4 N overwrites: space, log not counted", "engine.overwrite-quiet.space_amp", ROCKS, 1.15, 1.0),
    higher("open after SIGKILL", "engine.recovery.mib_per_s", ROCKS, 3.0, 6.0),
    higher("SET, 50 connections", "server.interval.set-c50-p1.per_s", RED, 1.0, 1.6),
    lower("its p99", "server.interval.set-c50-p1.p99_us", RED, 1.0, 0.5),
    higher("GET, 50 connections", "server.interval.get-c50-p1.per_s", RED, 1.0, 1.2),
    lower("its p99", "server.interval.get-c50-p1.p99_us", RED, 1.0, 0.5),
    higher("SET, 50 connections, pipeline 16", "server.interval.set-c50-p16.per_s", RED, 1.5, 3.0),
    lower("its p99", "server.interval.set-c50-p16.p99_us", RED, 1.0, 0.5),
    higher("GET, 50 connections, pipeline 16", "server.interval.get-c50-p16.per_s", RED, 1.5, 2.5),
    lower("its p99", "server.interval.get-c50-p16.p99_us", RED, 1.0, 0.5),
    higher("durable SET, 50 connections", "server.every-write.set-c50-p1.per_s", RED, 1.0, 1.5),
    lower("its p99", "server.every-write.set-c50-p1.p99_us", RED, 1.0, 0.5),
    higher("durable SET, 500 connections", "server.every-write.set-c500-p1.per_s", RED, 1.0, 1.5),
    lower("its p99", "server.every-write.set-c500-p1.p99_us", RED, 1.0, 0.5),
    higher("GET, 1000 connections against 50", "server.interval.get-c1000-p1.per_s", Against::Own("server.interval.get-c50-p1.per_s"), 0.5, 0.7),
    lower("1000 idle connections: MiB more", IDLE, Against::Nothing, 64.0, 16.0),
    // Not of the issue, but of the same kind.
    higher("SET, 50 connections, os-default", "server.os-default.set-c50-p1.per_s", RED, 1.0, 1.6),
    higher("SET, 50 connections, pipeline 16, os-default", "server.os-default.set-c50-p16.per_s", RED, 1.5, 3.0),
];

/// Whether a bar is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Aim,
    Yes,
    No,
}

/// A bar that was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// The ratio of each round, or the value where there is nothing to compare with.
    pub(crate) ratio: Spread,
    pub(crate) verdict: Verdict,
}

impl Bar {
    /// What it is compared with, in words.
    pub(crate) fn peer(&self) -> String {
        match self.against {
            Against::Best([]) | Against::Nothing => "-".to_owned(),
            Against::Best([one]) => (*one).to_owned(),
            Against::Best(stores) => format!("better of {}", stores.join(", ")),
            Against::Own(_) => "itself".to_owned(),
        }
    }

    /// The other side, by round. Of several stores every one must have been measured: a bar against the better
    /// of two is not met by beating one.
    fn other(&self, samples: &Samples, round: u64) -> Option<f64> {
        let value = |figure, store| samples.by_round(figure, store).get(&round).copied();
        match self.against {
            Against::Nothing => Some(1.0),
            Against::Own(figure) => value(figure, ATLASKV),
            Against::Best(stores) => {
                let values = stores.iter().map(|store| value(self.figure, store));
                let values: Option<Vec<f64>> = values.collect();
                let best: fn(f64, f64) -> f64 = match self.better {
                    Better::Higher => f64::max,
                    Better::Lower => f64::min,
                };
                values?.into_iter().reduce(best)
            }
        }
    }

    /// The other side's figures.
    pub(crate) fn others(&self, samples: &Samples) -> Option<Spread> {
        if matches!(self.against, Against::Nothing) {
            return None;
        }
        let rounds = samples.by_round(self.figure, ATLASKV).into_keys();
        let values = rounds.map(|round| self.other(samples, round));
        Spread::of(values.collect::<Option<_>>()?)
    }

    /// How AtlasKV stands; `None` if one side was not measured.
    pub(crate) fn measured(&self, samples: &Samples) -> Option<Measured> {
        let own = samples.by_round(self.figure, ATLASKV);
        let ratios = own.into_iter().map(|(round, value)| {
            let other = self.other(samples, round)?;
            Some(value / other)
        });
        let ratio = Spread::of(ratios.collect::<Option<_>>()?)?;
        let verdict = self.verdict(ratio.median);
        Some(Measured { ratio, verdict })
    }

    fn verdict(&self, ratio: f64) -> Verdict {
        let reaches = |bar: f64| match self.better {
            Better::Higher => ratio >= bar,
            // An aim that is the bar means less than that.
            Better::Lower => ratio < bar || (ratio == bar && bar != self.aim),
        };
        if reaches(self.aim) {
            Verdict::Aim
        } else if reaches(self.least) || ratio == self.least {
            Verdict::Yes
        } else {
            Verdict::No
        }
    }
}

/// The bars that were not measured although all their stores were, for something at least.
pub(crate) fn missing(samples: &Samples) -> Vec<&'static str> {
    let stores = samples.stores();
    let has = |against| match against {
        Against::Best(needed) => needed
            .iter()
            .all(|store| stores.iter().any(|one| one == store)),
        Against::Own(_) | Against::Nothing => true,
    };
    BARS.iter()
        .filter(|bar| has(bar.against) && bar.measured(samples).is_none())
        .map(|bar| bar.figure)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::Figures;

    fn samples(values: &[(&str, f64)]) -> Samples {
        let mut samples = Samples::default();
        for (store, value) in values {
            let figures = Figures::from([("per_s".to_owned(), *value)]);
            samples.add("engine.fill", store, 0, figures);
        }
        samples
    }

    #[test]
    fn the_better_peer_is_the_one_to_beat() {
        let fill = BARS[0];
        let both = samples(&[(ATLASKV, 15.0), (ROCKSDB, 10.0), (FJALL, 20.0)]);
        let measured = fill.measured(&both).unwrap();
        assert_eq!(
            (measured.ratio.median, measured.verdict),
            (0.75, Verdict::No)
        );
        let one = samples(&[(ATLASKV, 15.0), (ROCKSDB, 10.0)]);
        assert!(fill.measured(&one).is_none());
    }

    #[test]
    fn lower_is_better_of_latencies() {
        let slowest = BARS[1];
        assert_eq!(slowest.verdict(0.4), Verdict::Aim);
        assert_eq!(slowest.verdict(1.0), Verdict::Yes);
        assert_eq!(slowest.verdict(1.1), Verdict::No);
    }

    #[test]
    fn an_aim_of_less_is_not_reached_by_the_same() {
        let amplification = BARS[11];
        assert_eq!(amplification.verdict(1.0), Verdict::Yes);
        assert_eq!(amplification.verdict(0.9), Verdict::Aim);
    }
}
