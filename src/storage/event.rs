//! What happens inside the engine, told to whoever runs it. The engine itself writes no log.

use std::fmt;
use std::time::Duration;

use super::Lsn;

/// What recovery does with the log, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayStep {
    /// It reads the log and judges it.
    Reading,
    /// It writes what the log holds to tables.
    Writing,
}

impl fmt::Display for ReplayStep {
    /// Goes before "segment 1 of 2".
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            ReplayStep::Reading => "reading",
            ReplayStep::Writing => "replaying",
        })
    }
}

/// Something an operator may want to know. `Display` is one line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Recovery gets on with the log. Told every few MiB of work, and never without any: whoever waits
    /// for a start may wait on. Within a step `bytes` never falls, and ends at `total_bytes`.
    Replaying {
        /// What is being done.
        step: ReplayStep,
        /// The segment's place, from 1; 0 when there is none.
        segment: u64,
        /// Segments in all.
        segments: u64,
        /// Bytes of the log done so far in this step.
        bytes: u64,
        /// Bytes of the log to do in this step.
        total_bytes: u64,
    },
    /// Closing the store writes what is in memory to tables. Told every few MiB of work, and never
    /// without any; `bytes` never falls, and ends at `total_bytes` when all was written.
    Closing {
        /// Bytes of memory written so far.
        bytes: u64,
        /// Bytes of memory to write.
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

/// How much of the whole is done, from 0 to 100; of nothing, all is.
#[must_use]
pub fn percent(done: u64, whole: u64) -> u64 {
    done.saturating_mul(100).checked_div(whole).unwrap_or(100)
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Replaying {
                step,
                segment,
                segments,
                bytes,
                total_bytes,
            } => {
                let percent = percent(*bytes, *total_bytes);
                write!(
                    out,
                    "{step} segment {segment} of {segments} of the log, {percent} %"
                )
            }
            Event::Closing { bytes, total_bytes } => {
                let percent = percent(*bytes, *total_bytes);
                write!(out, "writing what is in memory to tables, {percent} %")
            }
            Event::Flushed {
                entries,
                bytes,
                lsn,
                took,
            } => {
                write!(
                    out,
                    "flushed {entries} {}, {bytes} bytes, up to LSN {lsn} in {took:.1?}",
                    if *entries == 1 { "entry" } else { "entries" }
                )
            }
            Event::Compacted {
                inputs,
                input_bytes,
                output_bytes,
                took,
            } => write!(
                out,
                "compacted {inputs} {}, {input_bytes} bytes, into {output_bytes} bytes in {took:.1?}",
                if *inputs == 1 { "table" } else { "tables" }
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
