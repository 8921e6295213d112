//! The figures that `stats` answers: the engine's, the server's and what the start recovered.
//!
//! Names are `engine.`, `server.`, `recovery.` or `verification.` and the field, or `latency.`, the operation and what
//! is told of it. Numbers stay numbers; a list is one text; what is not there (`recovery.cut_from` when
//! nothing was cut, the latency of an operation that did not happen) has no figure.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use super::Shared;
use super::latency::OperationLatency;
use super::stream::Plane;
use super::verification::VerificationFigures;
use crate::protocol::StatValue;
use crate::storage::disk::count;
use crate::storage::{RecoveryReport, Stats};

/// How long a healthy engine may take to show that it moves.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// A moment's figures of a server and its engine.
#[derive(Debug, Clone)]
pub struct Report {
    /// The server's.
    pub server: ServerFigures,
    /// The engine's.
    pub engine: Stats,
    /// What the start found and did.
    pub recovery: RecoveryReport,
    /// The latest verification of the store's files.
    pub verification: VerificationFigures,
    /// How long requests took, for each operation that happened.
    pub latency: Vec<OperationLatency>,
}

/// The server's figures. Counters start at 0 with it.
#[derive(Debug, Clone, Serialize)]
pub struct ServerFigures {
    /// The version of the program.
    pub version: &'static str,
    /// When it started, in seconds since 1970.
    pub started_unix_s: u64,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Open TCP connections.
    pub connections: u64,
    /// Open connections of the Unix socket.
    pub admin_connections: u64,
    /// The most TCP connections at a time.
    pub max_connections: u64,
    /// Connections accepted.
    pub accepted_connections: u64,
    /// Connections refused because the server was full.
    pub refused_connections: u64,
    /// Connections closed because they were idle, or took too long to send or to receive.
    pub timed_out_connections: u64,
    /// Wrong tokens that were presented.
    pub auth_failures: u64,
    /// Tokens that were not looked at, because their address had presented too many wrong ones.
    pub auth_throttled: u64,
    /// Requests answered.
    pub requests: u64,
    /// Requests answered with an error.
    pub errors: u64,
    /// Requests that belonged in the slow log.
    pub slow_requests: u64,
    /// Memory of large requests and answers, in bytes.
    pub inflight_bytes: u64,
    /// The most memory of large requests and answers, in bytes.
    pub max_inflight_bytes: u64,
}

/// Whether the server takes reads and writes; an error says why it does not.
pub(super) fn health(shared: &Shared) -> Result<(), String> {
    if shared.registry.is_stopping() {
        return Err("stopping".to_owned());
    }
    let stats = shared.engine.stats();
    match (stats.state.as_str(), stats.state_reason.as_str()) {
        ("running", _) => {
            let probed = shared.engine.probe(PROBE_PATIENCE);
            probed.map_err(|stuck| format!("stuck: {stuck}"))
        }
        (state, "") => Err(state.to_owned()),
        (state, reason) => Err(format!("{state}: {reason}")),
    }
}

/// A moment's figures.
pub(super) fn report(shared: &Shared) -> Report {
    Report {
        server: server(shared),
        engine: shared.engine.stats(),
        recovery: shared.engine.recovery_report().clone(),
        verification: shared.verification.figures(),
        latency: shared.latency.operations(),
    }
}

/// All figures, by name.
pub(super) fn figures(shared: &Shared) -> Vec<(String, StatValue)> {
    let report = report(shared);
    let mut figures = Vec::new();
    add("server", &report.server, &mut figures);
    add("engine", &report.engine, &mut figures);
    add("recovery", &report.recovery, &mut figures);
    if report.verification.runs > 0 {
        add("verification", &report.verification, &mut figures);
    }
    for latency in &report.latency {
        let figures_of_it = [
            ("count", latency.count()),
            ("p50_us", latency.quantile_us(0.5)),
            ("p90_us", latency.quantile_us(0.9)),
            ("p99_us", latency.quantile_us(0.99)),
            ("p999_us", latency.quantile_us(0.999)),
            ("max_us", latency.max_us()),
        ];
        for (what, value) in figures_of_it {
            let name = format!("latency.{}.{what}", latency.operation);
            figures.push((name, StatValue::Number(value)));
        }
    }
    figures
}

fn server(shared: &Shared) -> ServerFigures {
    let registry = &shared.registry;
    let started = shared.started_at.duration_since(UNIX_EPOCH);
    let counters = &registry.counters;
    let settings = shared.settings();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    ServerFigures {
        version: env!("CARGO_PKG_VERSION"),
        started_unix_s: started.map_or(0, |since| since.as_secs()),
        uptime_s: shared.started.elapsed().as_secs(),
        connections: count(registry.open(Plane::Data)),
        admin_connections: count(registry.open(Plane::Admin)),
        max_connections: count(settings.max_connections),
        accepted_connections: read(&counters.accepted),
        refused_connections: read(&counters.refused),
        timed_out_connections: read(&counters.timed_out),
        auth_failures: shared.gate.failures(),
        auth_throttled: shared.gate.throttled(),
        requests: read(&counters.requests),
        errors: read(&counters.errors),
        slow_requests: shared.slowlog.found(),
        inflight_bytes: shared.budget.used(),
        max_inflight_bytes: settings.max_inflight_bytes,
    }
}

/// Adds the fields of `part`. A part that is no record adds nothing: ours are.
fn add(name: &str, part: &impl Serialize, figures: &mut Vec<(String, StatValue)>) {
    if let Ok(Value::Object(fields)) = serde_json::to_value(part) {
        for (field, value) in fields {
            if let Some(value) = figure(&value) {
                figures.push((format!("{name}.{field}"), value));
            }
        }
    }
}

fn figure(value: &Value) -> Option<StatValue> {
    match value {
        Value::Null => None,
        Value::Number(number) => number.as_u64().map(StatValue::Number),
        other => Some(StatValue::Text(text(other))),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Part {
        number: u64,
        yes: bool,
        name: &'static str,
        list: Vec<&'static str>,
        absent: Option<u64>,
    }

    #[test]
    fn every_field_becomes_a_figure_of_its_kind() {
        let part = Part {
            number: u64::MAX,
            yes: true,
            name: "running",
            list: vec!["a", "b"],
            absent: None,
        };
        let mut figures = Vec::new();
        add("engine", &part, &mut figures);
        let expected = [
            ("engine.list", StatValue::Text("a; b".into())),
            ("engine.name", StatValue::Text("running".into())),
            ("engine.number", StatValue::Number(u64::MAX)),
            ("engine.yes", StatValue::Text("true".into())),
        ];
        let expected: Vec<_> = expected
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        assert_eq!(figures, expected);
    }
}
