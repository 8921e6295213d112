//! What is measured, and how much of it.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::store::Kind;

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Size {
    /// As the bars want it: 1 million keys, five rounds; hours with growth
    Full,
    /// 100,000 keys, three rounds: some minutes
    #[default]
    Small,
    /// A few thousand keys once: whether all of it works; its figures say nothing
    Check,
}

/// A part of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The engines in process
    Engines,
    /// The daemon beside Redis
    Servers,
    /// The engines with more and more data
    Growth,
}

/// The options of a run.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How much is done; the options below change single numbers of it
    #[arg(long, value_enum, default_value_t)]
    size: Size,
    /// What is measured [default: all; growth only in full]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,…")]
    parts: Vec<Part>,
    /// The engines, AtlasKV among them [default: all of this build]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STORE,…")]
    stores: Vec<Kind>,
    /// Keys
    #[arg(long, value_name = "N")]
    keys: Option<u64>,
    /// Rounds, in each of which everything is measured once on each side
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// Seconds of each workload that has no end of its own; whole ones for servers
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// MiB in the log that a killed engine opens with
    #[arg(long, value_name = "MIB")]
    log_mib: Option<u64>,
    /// Keys of each size of the part growth
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    growth: Vec<u64>,
    /// MiB in the log of each recovery of the part growth
    #[arg(long, value_delimiter = ',', value_name = "MIB,…")]
    growth_log_mib: Vec<u64>,
    /// Connections that get, beside 50
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    connections: Vec<u64>,
    /// The seed of keys and values
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Where the data go, on the disk to be measured; all of it is removed at the end
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// The directory of atlaskvd and atlaskv-bench, as built for a release
    #[arg(long, default_value = "target/release", value_name = "DIR")]
    binaries: PathBuf,
}

/// What a run does.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) size: Size,
    pub(crate) parts: Vec<Part>,
    pub(crate) stores: Vec<Kind>,
    pub(crate) keys: u64,
    pub(crate) rounds: u64,
    pub(crate) seconds: f64,
    pub(crate) log_mib: u64,
    pub(crate) growth: Vec<u64>,
    pub(crate) growth_log_mib: Vec<u64>,
    pub(crate) connections: Vec<u64>,
    pub(crate) seed: u64,
    /// Removed at the end.
    pub(crate) home: PathBuf,
    pub(crate) binaries: PathBuf,
}

/// The numbers of a size.
struct Numbers {
    keys: u64,
    rounds: u64,
    seconds: f64,
    log_mib: u64,
    growth: &'static [u64],
    growth_log_mib: &'static [u64],
    connections: &'static [u64],
}

impl Size {
    fn numbers(self) -> Numbers {
        match self {
            Size::Full => Numbers {
                keys: 1_000_000,
                rounds: 5,
                seconds: 3.0,
                log_mib: 256,
                growth: &[1_000_000, 4_000_000, 16_000_000],
                growth_log_mib: &[256, 1024],
                connections: &[1, 10, 100, 500, 1000],
            },
            Size::Small => Numbers {
                keys: 100_000,
                rounds: 3,
                seconds: 1.0,
                log_mib: 32,
                growth: &[25_000, 100_000, 400_000],
                growth_log_mib: &[16, 64],
                connections: &[1, 1000],
            },
            Size::Check => Numbers {
                keys: 3_000,
                rounds: 1,
                seconds: 0.2,
                log_mib: 1,
                growth: &[1_000, 4_000],
                growth_log_mib: &[1],
                connections: &[1, 1000],
            },
        }
    }
}

impl Arguments {
    /// The arguments of a check of everything, in `dir`.
    pub(crate) fn check(dir: PathBuf, binaries: PathBuf) -> Arguments {
        Arguments {
            size: Size::Check,
            parts: Vec::new(),
            stores: Vec::new(),
            keys: None,
            rounds: None,
            seconds: None,
            log_mib: None,
            growth: Vec::new(),
            growth_log_mib: Vec::new(),
            connections: Vec::new(),
            seed: 1,
            dir,
            binaries,
        }
    }

    /// The plan, with a directory for its data.
    pub(crate) fn plan(self) -> io::Result<(Plan, tempfile::TempDir)> {
        std::fs::create_dir_all(&self.dir)?;
        let home = tempfile::Builder::new()
            .prefix("atlaskv-peers-")
            .tempdir_in(self.dir.canonicalize()?)?;
        let numbers = self.size.numbers();
        let parts = match self.size {
            Size::Small => vec![Part::Engines, Part::Servers],
            Size::Full | Size::Check => vec![Part::Engines, Part::Servers, Part::Growth],
        };
        let plan = Plan {
            size: self.size,
            parts: or(self.parts, parts),
            stores: or(self.stores, Kind::built()),
            keys: self.keys.unwrap_or(numbers.keys).max(100),
            rounds: self.rounds.unwrap_or(numbers.rounds).max(1),
            seconds: self.seconds.unwrap_or(numbers.seconds),
            log_mib: self.log_mib.unwrap_or(numbers.log_mib).max(1),
            growth: or(self.growth, numbers.growth.to_vec()),
            growth_log_mib: or(self.growth_log_mib, numbers.growth_log_mib.to_vec()),
            connections: or(self.connections, numbers.connections.to_vec()),
            seed: self.seed,
            home: home.path().to_owned(),
            binaries: self.binaries,
        };
        Ok((plan, home))
    }
}

fn or<T>(given: Vec<T>, otherwise: Vec<T>) -> Vec<T> {
    if given.is_empty() { otherwise } else { given }
}

impl Plan {
    /// Tells on standard error how far it is.
    pub(crate) fn tell(&self, what: &str) {
        eprintln!("{what}");
    }

    /// The plan in a line, for the report.
    pub(crate) fn line(&self) -> String {
        format!(
            "{:?}, {} keys of 16 bytes with values of 100, {} rounds, {} s a workload, {} MiB of log, seed {}",
            self.size, self.keys, self.rounds, self.seconds, self.log_mib, self.seed
        )
    }
}
