//! What the engine counts.

use serde::Serialize;

/// A moment's figures. Sizes are in bytes; counters start at 0 with the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// `running`, `disk-full`, `read-only` or `closed`.
    pub state: String,
    /// Why writing is refused; empty while it is not.
    pub state_reason: String,
    /// The store's identity, 32 hexadecimal digits.
    pub database_id: String,
    /// The epoch of this start.
    pub epoch: u64,
    /// The LSN of the last write, as its 64 bits.
    pub last_lsn: u64,
    /// The LSN up to which everything is synced.
    pub durable_lsn: u64,
    /// The LSN up to which everything is in tables.
    pub flushed_lsn: u64,
    /// Gets and each key of multi-gets and exists.
    pub reads: u64,
    /// Puts and deletes, each operation of batches.
    pub writes: u64,
    /// Bytes of keys and values written by clients.
    pub written_bytes: u64,
    /// Syncs of the log.
    pub log_syncs: u64,
    /// Bytes appended to the log.
    pub log_bytes: u64,
    /// Live segments of the log.
    pub log_segments: u64,
    /// Bytes in the memtable that takes writes.
    pub memtable_bytes: u64,
    /// Entries in the memtable that takes writes.
    pub memtable_entries: u64,
    /// Memtables that wait to be flushed.
    pub sealed_memtables: u64,
    /// Bytes of memtables that wait to be flushed.
    pub sealed_bytes: u64,
    /// Live tables.
    pub tables: u64,
    /// Bytes of live tables.
    pub table_bytes: u64,
    /// Entries of live tables, shadowed ones and tombstones included.
    pub table_entries: u64,
    /// Tombstones in live tables.
    pub table_tombstones: u64,
    /// Bytes that the block cache may hold.
    pub cache_capacity_bytes: u64,
    /// Bytes that it holds.
    pub cache_bytes: u64,
    /// Pieces of tables that reads found in it.
    pub cache_hits: u64,
    /// Pieces of tables that reads did not find in it.
    pub cache_misses: u64,
    /// Flushes done.
    pub flushes: u64,
    /// Bytes written by flushes.
    pub flushed_bytes: u64,
    /// When the last flush ended, in seconds since 1970 (UTC); 0: there was none.
    pub last_flush_unix_s: u64,
    /// Compactions done.
    pub compactions: u64,
    /// Bytes written by compactions.
    pub compacted_bytes: u64,
    /// Flushes and compactions that failed.
    pub background_failures: u64,
    /// Writes that were slowed down.
    pub slowed_writes: u64,
    /// Writes that had to wait for flushing or compaction.
    pub stalled_writes: u64,
    /// Microseconds that writes were slowed down or waited, all together.
    pub stall_us: u64,
    /// Open scans.
    pub open_scans: u64,
    /// Memory kept by scans after it was flushed.
    pub pinned_bytes: u64,
    /// Files in `quarantine/`.
    pub quarantine_files: u64,
    /// Bytes in `quarantine/`.
    pub quarantine_bytes: u64,
}

/// What a compaction of everything did. Sizes are in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CompactionSummary {
    /// Tables before.
    pub tables_before: u64,
    /// Tables after.
    pub tables_after: u64,
    /// Bytes of tables before.
    pub bytes_before: u64,
    /// Bytes of tables after.
    pub bytes_after: u64,
    /// Entries of tables before, shadowed ones and tombstones included.
    pub entries_before: u64,
    /// Entries of tables after.
    pub entries_after: u64,
    /// Tombstones dropped.
    pub tombstones_dropped: u64,
    /// Versions dropped because a newer one, or a tombstone, of the same key stands above them.
    pub shadowed_dropped: u64,
}

/// A file in `quarantine/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuarantinedFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}
