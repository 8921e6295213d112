//! What happens inside the engine, told to whoever runs it. The engine itself writes no log.

use std::fmt;
use std::time::Duration;

use super::Lsn;

/// Something an operator may want to know. `Display` is one line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Recovery reads a segment of the log.
    Replaying {
        /// The segment's place, from 1.
        segment: u64,
        /// Segments in all.
        segments: u64,
        /// Bytes read so far, of all segments.
        bytes: u64,
        /// Bytes of all segments.
        total_bytes: u64,
    },
    /// A memtable became a table.
    Flushed {
        /// Entries of the new table.
        entries: u64,
        /// Bytes of the new table.
        bytes: u64,
        /// Everything up to here is in tables now.
        lsn: Lsn,
        /// How long it took.
        took: Duration,
    },
    /// Tables were merged.
    Compacted {
        /// Tables that were merged.
        inputs: u64,
        /// Bytes of the tables that were merged.
        input_bytes: u64,
        /// Bytes of the new table; 0 when nothing was left.
        output_bytes: u64,
        /// How long it took.
        took: Duration,
    },
    /// A flush or compaction failed; it will be tried again.
    BackgroundFailed {
        /// What failed.
        task: &'static str,
        /// The error, with its place.
        error: String,
    },
    /// A sync failed: writing has stopped for good, reads go on.
    WritingStopped {
        /// The failure.
        reason: String,
    },
    /// The disk is full: writes are refused until there is room.
    DiskFull {
        /// What could not grow.
        reason: String,
    },
    /// There is room again and writing goes on.
    WritingResumed,
    /// Writers wait because flushing or compaction does not keep up.
    Stalled {
        /// What they wait for.
        cause: &'static str,
    },
    /// A scan was closed because it was idle or kept too much memory.
    ScanClosed {
        /// Why.
        reason: &'static str,
    },
}

impl Event {
    /// Whether it is bad news that somebody should look at.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(
            self,
            Event::BackgroundFailed { .. } | Event::WritingStopped { .. } | Event::DiskFull { .. }
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Replaying {
                segment,
                segments,
                bytes,
                total_bytes,
            } => {
                let percent = (bytes * 100).checked_div(*total_bytes).unwrap_or(100);
                write!(
                    out,
                    "replaying segment {segment} of {segments}, {percent} %"
                )
            }
            Event::Flushed {
                entries,
                bytes,
                lsn,
                took,
            } => {
                write!(
                    out,
                    "flushed {entries} entries, {bytes} bytes, up to LSN {lsn} in {took:.1?}"
                )
            }
            Event::Compacted {
                inputs,
                input_bytes,
                output_bytes,
                took,
            } => write!(
                out,
                "compacted {inputs} tables, {input_bytes} bytes, into {output_bytes} bytes in {took:.1?}"
            ),
            Event::BackgroundFailed { task, error } => {
                write!(out, "{task} failed and will be tried again: {error}")
            }
            Event::WritingStopped { reason } => {
                write!(
                    out,
                    "writing has stopped, reads go on: {reason}; restart to recover"
                )
            }
            Event::DiskFull { reason } => {
                write!(
                    out,
                    "the disk is full, writes are refused until there is room: {reason}"
                )
            }
            Event::WritingResumed => write!(out, "there is room again: writing goes on"),
            Event::Stalled { cause } => write!(out, "writers wait for {cause}"),
            Event::ScanClosed { reason } => write!(out, "closed a scan: {reason}"),
        }
    }
}
