//! The figures as OpenMetrics text. `docs/monitoring.md` lists them, and a test compares.
//!
//! LSNs are not there: with the epoch in their high bits they are neither counters nor exact as the
//! floating point numbers that metrics are. What they are good for is: how much is not synced yet.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::server::{OperationLatency, Report};
use crate::storage::Lsn;
use crate::storage::disk::count;

/// What every name begins with.
const PREFIX: &str = "atlaskv";
/// Durations are counted up to each power of two microseconds: from 16 µs to about 17 s.
const FIRST_BUCKET: u32 = 4;
const LAST_BUCKET: u32 = 24;

/// A figure of one number.
struct Figure {
    name: &'static str,
    help: &'static str,
    unit: Option<&'static Unit>,
    value: Value,
}

#[derive(Clone, Copy)]
enum Value {
    Gauge(fn(&Report) -> u64),
    Counter(fn(&Report) -> u64),
    /// In microseconds.
    Time(fn(&Report) -> u64),
}

const BYTES: Option<&Unit> = Some(&Unit::Bytes);
const SECONDS: Option<&Unit> = Some(&Unit::Seconds);

const fn gauge(name: &'static str, help: &'static str, value: fn(&Report) -> u64) -> Figure {
    figure(name, help, None, Value::Gauge(value))
}

const fn counter(name: &'static str, help: &'static str, value: fn(&Report) -> u64) -> Figure {
    figure(name, help, None, Value::Counter(value))
}

const fn gauge_of_bytes(
    name: &'static str,
    help: &'static str,
    value: fn(&Report) -> u64,
) -> Figure {
    figure(name, help, BYTES, Value::Gauge(value))
}

const fn counter_of_bytes(
    name: &'static str,
    help: &'static str,
    value: fn(&Report) -> u64,
) -> Figure {
    figure(name, help, BYTES, Value::Counter(value))
}

const fn figure(
    name: &'static str,
    help: &'static str,
    unit: Option<&'static Unit>,
    value: Value,
) -> Figure {
    Figure {
        name,
        help,
        unit,
        value,
    }
}

/// Every figure of one number; names without prefix, unit and `_total`.
const FIGURES: [Figure; 60] = [
    figure(
        "start_time",
        "When the server started, in seconds since 1970.",
        SECONDS,
        Value::Gauge(|r| r.server.started_unix_s),
    ),
    gauge("connections", "Open TCP connections.", |r| {
        r.server.connections
    }),
    gauge(
        "connections_limit",
        "The most TCP connections at a time (max_connections).",
        |r| r.server.max_connections,
    ),
    gauge(
        "admin_connections",
        "Open connections of the admin socket.",
        |r| r.server.admin_connections,
    ),
    counter("accepted_connections", "Connections accepted.", |r| {
        r.server.accepted_connections
    }),
    counter(
        "refused_connections",
        "Connections refused because the server was full.",
        |r| r.server.refused_connections,
    ),
    counter(
        "timed_out_connections",
        "Connections closed because they were idle or too slow.",
        |r| r.server.timed_out_connections,
    ),
    counter("auth_failures", "Wrong tokens that were presented.", |r| {
        r.server.auth_failures
    }),
    counter(
        "auth_throttled",
        "Tokens that were not looked at, because their address had presented too many wrong ones.",
        |r| r.server.auth_throttled,
    ),
    counter("requests", "Requests answered.", |r| r.server.requests),
    counter("request_errors", "Requests answered with an error.", |r| {
        r.server.errors
    }),
    counter(
        "slow_requests",
        "Requests that took slow_request_ms and longer.",
        |r| r.server.slow_requests,
    ),
    gauge_of_bytes("inflight", "Memory of large requests and answers.", |r| {
        r.server.inflight_bytes
    }),
    gauge_of_bytes(
        "inflight_limit",
        "The most memory of large requests and answers (max_inflight_bytes).",
        |r| r.server.max_inflight_bytes,
    ),
    gauge(
        "epoch",
        "The epoch of this start: it grows with every one.",
        |r| r.engine.epoch,
    ),
    gauge(
        "unsynced_entries",
        "Entries of the log that a power cut could take: written, and not synced yet.",
        unsynced,
    ),
    counter(
        "reads",
        "Gets, and each key of multi-gets and exists.",
        |r| r.engine.reads,
    ),
    counter(
        "writes",
        "Puts and deletes, and each operation of batches.",
        |r| r.engine.writes,
    ),
    counter_of_bytes("written", "Keys and values written by clients.", |r| {
        r.engine.written_bytes
    }),
    counter("log_syncs", "Syncs of the log.", |r| r.engine.log_syncs),
    counter_of_bytes("log_appended", "Appended to the log.", |r| {
        r.engine.log_bytes
    }),
    gauge("log_segments", "Live segments of the log.", |r| {
        r.engine.log_segments
    }),
    gauge_of_bytes("memtable", "The memtable that takes writes.", |r| {
        r.engine.memtable_bytes
    }),
    gauge(
        "memtable_entries",
        "Entries in the memtable that takes writes.",
        |r| r.engine.memtable_entries,
    ),
    gauge(
        "sealed_memtables",
        "Memtables that wait to be flushed.",
        |r| r.engine.sealed_memtables,
    ),
    gauge_of_bytes(
        "sealed_memtables",
        "Memtables that wait to be flushed.",
        |r| r.engine.sealed_bytes,
    ),
    gauge("tables", "Live tables.", |r| r.engine.tables),
    gauge_of_bytes("tables", "Live tables.", |r| r.engine.table_bytes),
    gauge(
        "table_entries",
        "Entries of live tables, shadowed ones and tombstones included.",
        |r| r.engine.table_entries,
    ),
    gauge("table_tombstones", "Tombstones in live tables.", |r| {
        r.engine.table_tombstones
    }),
    gauge_of_bytes(
        "cache_capacity",
        "What the block cache may hold (cache_size).",
        |r| r.engine.cache_capacity_bytes,
    ),
    gauge_of_bytes("cache", "What the block cache holds.", |r| {
        r.engine.cache_bytes
    }),
    counter(
        "cache_hits",
        "Pieces of tables that reads found in the block cache.",
        |r| r.engine.cache_hits,
    ),
    counter(
        "cache_misses",
        "Pieces of tables that reads did not find in the block cache.",
        |r| r.engine.cache_misses,
    ),
    counter("flushes", "Flushes done.", |r| r.engine.flushes),
    counter_of_bytes("flushed", "Written by flushes.", |r| r.engine.flushed_bytes),
    counter("compactions", "Compactions done.", |r| r.engine.compactions),
    counter_of_bytes("compacted", "Written by compactions.", |r| {
        r.engine.compacted_bytes
    }),
    counter(
        "background_failures",
        "Flushes and compactions that failed.",
        |r| r.engine.background_failures,
    ),
    counter(
        "slowed_writes",
        "Writes that were slowed down because flushing was behind.",
        |r| r.engine.slowed_writes,
    ),
    counter(
        "stalled_writes",
        "Writes that had to wait for flushing or compaction.",
        |r| r.engine.stalled_writes,
    ),
    figure(
        "stall",
        "Time that writes were slowed down or waited, all together.",
        SECONDS,
        Value::Time(|r| r.engine.stall_us),
    ),
    gauge("open_scans", "Open scans.", |r| r.engine.open_scans),
    gauge_of_bytes(
        "pinned",
        "Memory kept by scans after it was flushed.",
        |r| r.engine.pinned_bytes,
    ),
    gauge("quarantine_files", "Files in quarantine.", |r| {
        r.engine.quarantine_files
    }),
    gauge_of_bytes("quarantine", "Files in quarantine.", |r| {
        r.engine.quarantine_bytes
    }),
    gauge(
        "recovery_clean_shutdown",
        "Whether the run before this start ended cleanly: 1 or 0.",
        |r| r.recovery.clean_shutdown.into(),
    ),
    gauge(
        "recovery_segments",
        "Segments of the log that the start read.",
        |r| r.recovery.segments,
    ),
    gauge(
        "recovery_replayed_operations",
        "Operations that the start replayed.",
        |r| r.recovery.replayed_operations,
    ),
    gauge(
        "recovery_tail_cut",
        "Whether the start cut a torn tail of the log: 1 or 0.",
        |r| r.recovery.cut_from.is_some().into(),
    ),
    gauge_of_bytes(
        "recovery_cut",
        "What the start cut and kept in quarantine.",
        |r| r.recovery.cut_bytes,
    ),
    gauge(
        "recovery_quarantined_files",
        "Files that the start moved to quarantine.",
        |r| count(r.recovery.quarantined.len()),
    ),
    counter(
        "verifications",
        "Verifications of the store's files that were begun.",
        |r| r.verification.runs,
    ),
    gauge(
        "verification_running",
        "Whether a verification is under way: 1 or 0.",
        |r| r.verification.running.into(),
    ),
    figure(
        "verification_start_time",
        "When the latest verification began, in seconds since 1970; 0: none has.",
        SECONDS,
        Value::Gauge(|r| r.verification.started_unix_s),
    ),
    figure(
        "verification_end_time",
        "When the latest verification that has ended did, in seconds since 1970; 0: none has.",
        SECONDS,
        Value::Gauge(|r| r.verification.ended_unix_s),
    ),
    gauge(
        "verification_findings",
        "What the latest verification that has ended found wrong.",
        |r| r.verification.findings,
    ),
    gauge_of_bytes(
        "verification_done",
        "What the latest verification has read.",
        |r| r.verification.bytes,
    ),
    gauge_of_bytes(
        "verification_expected",
        "What there was to read when the latest verification began, about.",
        |r| r.verification.total_bytes,
    ),
    counter_of_bytes("verification_read", "Read by all verifications.", |r| {
        r.verification.read_bytes
    }),
];

/// A metric with a gauge for each of a few names, of which one is in force or none.
struct OneOf {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    names: &'static [&'static str],
}

/// The states that an engine can be in.
const STATE: OneOf = OneOf {
    name: "state",
    help: "The state of the engine: 1 for the one that it is in, 0 for the others.",
    label: "state",
    names: &["running", "disk-full", "read-only", "closed"],
};

/// What a verification can come to.
const RESULT: OneOf = OneOf {
    name: "verification_result",
    help: "What the latest verification that has ended came to: 1 for that, 0 for the others.",
    label: "result",
    names: &[
        "sound",
        "torn-tail",
        "repairable",
        "unreadable",
        "damaged",
        "failed",
    ],
};

/// Entries of the log after the durable one.
fn unsynced(report: &Report) -> u64 {
    let last = Lsn::from_u64(report.engine.last_lsn);
    let durable = Lsn::from_u64(report.engine.durable_lsn);
    // Each epoch counts from the start.
    let synced = if durable.epoch() == last.epoch() {
        durable.counter()
    } else {
        0
    };
    last.counter().saturating_sub(synced)
}

/// A report as the text of one scrape.
///
/// # Errors
/// None that a text in memory has.
pub(super) fn encode(report: Report) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Scrape(report)));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Scrape(Report);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let report = &self.0;
        encode_server(&mut encoder, report)?;
        encode_one_of(&mut encoder, &STATE, &report.engine.state)?;
        encode_one_of(&mut encoder, &RESULT, &report.verification.verdict)?;
        for figure in &FIGURES {
            encode_figure(&mut encoder, figure, report)?;
        }
        encode_latency(&mut encoder, &report.latency)
    }
}

fn encode_server(encoder: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    let help = "Version of the server, and identity of the store.";
    let labels = [
        ("version", report.server.version.to_owned()),
        ("database_id", report.engine.database_id.clone()),
    ];
    encoder
        .encode_descriptor("server", help, None, MetricType::Info)?
        .encode_info(&labels)
}

fn encode_one_of(
    encoder: &mut DescriptorEncoder<'_>,
    choice: &OneOf,
    in_force: &str,
) -> fmt::Result {
    let kind = MetricType::Gauge;
    let mut gauges = encoder.encode_descriptor(choice.name, choice.help, None, kind)?;
    for name in choice.names {
        let labels = [(choice.label, *name)];
        gauges
            .encode_family(&labels)?
            .encode_gauge(&u32::from(*name == in_force))?;
    }
    Ok(())
}

fn encode_figure(
    encoder: &mut DescriptorEncoder<'_>,
    figure: &Figure,
    report: &Report,
) -> fmt::Result {
    let kind = match figure.value {
        Value::Gauge(_) => MetricType::Gauge,
        Value::Counter(_) | Value::Time(_) => MetricType::Counter,
    };
    let metric = encoder.encode_descriptor(figure.name, figure.help, figure.unit, kind)?;
    match figure.value {
        Value::Gauge(value) => ConstGauge::new(value(report)).encode(metric),
        Value::Counter(value) => ConstCounter::new(value(report)).encode(metric),
        Value::Time(value) => {
            let time = Duration::from_micros(value(report));
            ConstCounter::new(time.as_secs_f64()).encode(metric)
        }
    }
}

fn encode_latency(
    encoder: &mut DescriptorEncoder<'_>,
    operations: &[OperationLatency],
) -> fmt::Result {
    let help = "From a request's arrival to its answer, by operation.";
    let kind = MetricType::Histogram;
    let mut metric = encoder.encode_descriptor("request_duration", help, SECONDS, kind)?;
    for latency in operations {
        let powers = FIRST_BUCKET..=LAST_BUCKET;
        let bounds = powers.map(|power| Duration::from_micros(1 << power).as_secs_f64());
        let counts = latency.buckets(FIRST_BUCKET, LAST_BUCKET);
        let buckets: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let labels = [("operation", latency.operation)];
        metric
            .encode_family(&labels)?
            .encode_histogram::<NoLabelSet>(
                latency.sum().as_secs_f64(),
                latency.count(),
                &buckets,
                None,
            )?;
    }
    Ok(())
}
