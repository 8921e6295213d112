//! The figures that `stats` answers: the engine's, the server's and what the start recovered.
//!
//! Names are `engine.`, `server.` or `recovery.` and the field. Numbers stay numbers; a list is one text;
//! what is not there (`recovery.cut_from` when nothing was cut) has no figure.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde_json::Value;

use super::Shared;
use super::stream::Plane;
use crate::protocol::StatValue;
use crate::storage::disk::count;

/// The server's part.
#[derive(Debug, Serialize)]
struct ServerFigures {
    version: &'static str,
    uptime_s: u64,
    connections: u64,
    admin_connections: u64,
    max_connections: u64,
    accepted_connections: u64,
    refused_connections: u64,
    timed_out_connections: u64,
    auth_failures: u64,
    auth_throttled: u64,
    requests: u64,
    errors: u64,
    inflight_bytes: u64,
    max_inflight_bytes: u64,
}

/// All figures, by name.
pub(super) fn figures(shared: &Shared) -> Vec<(String, StatValue)> {
    let mut figures = Vec::new();
    add("server", &server(shared), &mut figures);
    add("engine", &shared.engine.stats(), &mut figures);
    add("recovery", shared.engine.recovery_report(), &mut figures);
    figures
}

fn server(shared: &Shared) -> ServerFigures {
    let registry = &shared.registry;
    let counters = &registry.counters;
    let settings = shared.settings();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    ServerFigures {
        version: env!("CARGO_PKG_VERSION"),
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
