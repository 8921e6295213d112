//! What is measured of an engine: one trait, an implementation per engine.

mod atlaskv;
mod bare;
#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "rocksdb")]
mod rocksdb;

use std::path::Path;

use serde::{Deserialize, Serialize};

/// An open store.
pub(crate) trait Store: Send + Sync {
    /// Sets a key's value; durable when this returns if the store was opened so, else handed to the operating
    /// system.
    fn put(&self, key: &[u8], value: &[u8]);
    /// Shows the key's value to `seen`; whether there was one.
    fn get(&self, key: &[u8], seen: &mut dyn FnMut(&[u8])) -> bool;
    /// Shows every entry to `seen`, in the order of the keys.
    fn scan(&self, seen: &mut dyn FnMut(&[u8], &[u8]));
    /// Writes what is in memory to tables.
    fn flush(&self);
    /// Writes what is in memory to tables and compacts everything, to the end.
    fn compact(&self);
}

/// How a store is opened. What is not here is the same for all: see `docs/performance.md`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Whether a put returns only when it is synced.
    pub(crate) durable: bool,
    /// Bytes of a memtable.
    pub(crate) memtable: usize,
}

/// A memtable's bytes, unless the log is to grow larger.
pub(crate) const MEMTABLE: usize = 64 << 20;
/// Of the engines that have a cache of blocks.
#[cfg(any(feature = "fjall", feature = "rocksdb"))]
const CACHE: usize = 256 << 20;
#[cfg(any(feature = "fjall", feature = "rocksdb"))]
const BLOCK: usize = 4096;
#[cfg(any(feature = "fjall", feature = "rocksdb"))]
const BLOOM_BITS: f32 = 10.0;

/// Who is measured.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// This project's engine, by its crate.
    Atlaskv,
    /// RocksDB, built from source by the crate rocksdb.
    Rocksdb,
    /// fjall 3.
    Fjall,
    /// An append and an fdatasync on a preallocated file: what the disk gives.
    #[value(skip)]
    Bare,
}

impl Kind {
    /// The engines of this build, AtlasKV first.
    pub(crate) fn built() -> Vec<Kind> {
        let mut kinds = vec![Kind::Atlaskv];
        if cfg!(feature = "rocksdb") {
            kinds.push(Kind::Rocksdb);
        }
        if cfg!(feature = "fjall") {
            kinds.push(Kind::Fjall);
        }
        kinds
    }

    /// As the reports name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Atlaskv => "AtlasKV",
            Kind::Rocksdb => "RocksDB",
            Kind::Fjall => "fjall",
            Kind::Bare => "bare log",
        }
    }

    /// Opens the store in `dir`, or makes one there.
    ///
    /// # Panics
    /// When it cannot be opened, or is not part of this build.
    pub(crate) fn open(self, dir: &Path, settings: Settings) -> Box<dyn Store> {
        match self {
            Kind::Atlaskv => atlaskv::open(dir, settings),
            #[cfg(feature = "rocksdb")]
            Kind::Rocksdb => rocksdb::open(dir, settings),
            #[cfg(feature = "fjall")]
            Kind::Fjall => fjall::open(dir, settings),
            Kind::Bare => bare::open(dir),
            #[cfg(not(all(feature = "rocksdb", feature = "fjall")))]
            _ => panic!("{} is not part of this build", self.name()),
        }
    }

    /// What a file of the store is, by its name.
    pub(crate) fn holds(self, name: &str) -> Holds {
        let log = match self {
            Kind::Atlaskv | Kind::Rocksdb => name.ends_with(".log"),
            Kind::Fjall => name.ends_with(".jnl"),
            Kind::Bare => true,
        };
        if log {
            Holds::Log
        } else if self == Kind::Atlaskv && name == "RESERVE.tmp" {
            Holds::Reserve
        } else {
            Holds::Data
        }
    }
}

/// What a file of a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Tables, and what little says which ones.
    Data,
    /// The log.
    Log,
    /// Room held back for a full disk, the same however much the store holds.
    Reserve,
}
