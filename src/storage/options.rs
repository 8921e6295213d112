//! What a store can be told, with its defaults and ranges.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::{AtlasError, Result};
use super::event::Event;

/// The largest key by default, in bytes.
pub const DEFAULT_MAX_KEY_SIZE: usize = 64 * KIB;
/// The largest value by default, in bytes.
pub const DEFAULT_MAX_VALUE_SIZE: usize = 16 * MIB;

/// 1024 bytes.
pub const KIB: usize = 1024;
/// 1024 KiB.
pub const MIB: usize = 1024 * KIB;

/// The most that may be given to the cache.
const MOST_CACHE: usize = 1024 * 1024 * MIB;

/// When a write becomes durable, named by what it guarantees. A crash of the process alone loses
/// nothing under any of them: bytes are handed to the operating system before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalSyncStrategy {
    /// A write is answered, and seen by readers, only after it is synced. A power cut loses nothing
    /// that was answered.
    EveryWrite,
    /// The log is synced in the background. A power cut loses at most the answered writes of the last
    /// `ms` milliseconds and of the sync under way.
    Interval {
        /// Milliseconds from one sync to the next.
        ms: u64,
    },
    /// The operating system decides, usually within half a minute, unless a sync is asked for. A power
    /// cut loses any answered writes since.
    OsDefault,
}

impl Default for WalSyncStrategy {
    fn default() -> WalSyncStrategy {
        WalSyncStrategy::Interval { ms: 100 }
    }
}

/// Takes what happens inside the engine, for the log of whoever runs it. Called from the engine's own
/// threads, some locks held: it must not call the engine and must not wait.
pub type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;

/// What a store can be told. All sizes are in bytes.
#[derive(Clone)]
pub struct Options {
    /// When a write becomes durable.
    pub sync: WalSyncStrategy,
    /// The largest key.
    pub max_key_size: usize,
    /// The largest value.
    pub max_value_size: usize,
    /// The most bytes of keys and values in one atomic batch.
    pub max_batch_size: usize,
    /// The most operations in one atomic batch, and keys in one multi-get.
    pub max_batch_operations: usize,
    /// A memtable of this size is sealed and flushed.
    pub memtable_size: usize,
    /// A log segment of this size is sealed, together with its memtable.
    pub segment_size: usize,
    /// Sealed memtables that wait to be flushed before writers wait for them.
    pub max_sealed_memtables: usize,
    /// How long a write waits for flushing to catch up before it is refused.
    pub stall_timeout: Duration,
    /// Tables of like size that are merged into one.
    pub compaction_trigger: usize,
    /// With this many tables writers wait for compaction.
    pub max_tables: usize,
    /// The most bytes of the cache of what reads have read in tables; 0: none.
    pub cache_size: usize,
    /// The most bytes kept in `quarantine/`; over it files stay where they are.
    pub quarantine_size: u64,
    /// The most open scans.
    pub max_scans: usize,
    /// A scan that nobody asks for its next page this long is closed.
    pub scan_idle_timeout: Duration,
    /// Memory that scans may keep from being freed after it was flushed; over it the oldest scan is
    /// closed.
    pub max_pinned_bytes: usize,
    /// Whether the engine runs its own threads for syncing, flushing and compacting. Without them,
    /// [`super::Engine::maintain`] does what they would have done.
    pub background: bool,
    /// Where events go.
    pub events: Option<EventSink>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            sync: WalSyncStrategy::default(),
            max_key_size: DEFAULT_MAX_KEY_SIZE,
            max_value_size: DEFAULT_MAX_VALUE_SIZE,
            max_batch_size: 32 * MIB,
            max_batch_operations: 100_000,
            memtable_size: 64 * MIB,
            segment_size: 64 * MIB,
            max_sealed_memtables: 2,
            stall_timeout: Duration::from_secs(60),
            compaction_trigger: 4,
            max_tables: 32,
            cache_size: 256 * MIB,
            quarantine_size: 1024 * 1024 * 1024,
            max_scans: 1024,
            scan_idle_timeout: Duration::from_secs(60),
            max_pinned_bytes: 256 * MIB,
            background: true,
            events: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Options")
            .field("sync", &self.sync)
            .field("memtable_size", &self.memtable_size)
            .field("segment_size", &self.segment_size)
            .field("background", &self.background)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Checks that every option is in its range.
    ///
    /// # Errors
    /// [`AtlasError::InvalidOption`] for the first that is not.
    pub fn check(&self) -> Result<()> {
        range("max_key_size", self.max_key_size, 1, MIB)?;
        range("max_value_size", self.max_value_size, 1, 128 * MIB)?;
        let pair = self.max_key_size + self.max_value_size;
        range("max_batch_size", self.max_batch_size, pair, 256 * MIB)?;
        range(
            "max_batch_operations",
            self.max_batch_operations,
            1,
            1_000_000,
        )?;
        range("memtable_size", self.memtable_size, KIB, 4096 * MIB)?;
        range("segment_size", self.segment_size, 8 * KIB, 4096 * MIB)?;
        range("max_sealed_memtables", self.max_sealed_memtables, 1, 64)?;
        range("compaction_trigger", self.compaction_trigger, 2, 64)?;
        range(
            "max_tables",
            self.max_tables,
            self.compaction_trigger + 2,
            1024,
        )?;
        range("cache_size", self.cache_size, 0, MOST_CACHE)?;
        range("max_scans", self.max_scans, 1, 1_000_000)?;
        if let WalSyncStrategy::Interval { ms } = self.sync {
            range(
                "sync_interval_ms",
                usize::try_from(ms).unwrap_or(usize::MAX),
                1,
                60_000,
            )?;
        }
        Ok(())
    }
}

fn range(option: &'static str, value: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let rule = format!("it must be from {least} to {most}");
    Err(AtlasError::InvalidOption {
        option,
        value: value.to_string(),
        rule,
    })
}
