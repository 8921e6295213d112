//! The store's figures: asked for once, then looked up by name, shown to people, kept for programs.

use std::time::{Duration, UNIX_EPOCH};

use super::Result;
use super::exit_code::failure;
use crate::cli::json::{Object, lsn};
use crate::cli::words::{self, bytes, counted};
use crate::client::{Client, StatValue};
use crate::exit::Exit;
use crate::logging::Rfc3339;

use crate::cli::Failure;

/// Where the figures of how long requests took begin: `latency.get.p50_us` and so on.
const LATENCY: &str = "latency.";

/// One answer to `stats`.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures(Vec<(String, StatValue)>);

impl Figures {
    pub(super) fn ask(client: &mut Client) -> Result<Figures> {
        client.stats().map(Figures).map_err(failure)
    }

    /// A number; none when this daemon has no such figure.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.find(name)? {
            StatValue::Number(number) => Some(*number),
            StatValue::Text(_) => None,
        }
    }

    /// A number that every daemon has.
    ///
    /// # Errors
    /// The daemon is of another version, or is none.
    pub(super) fn need(&self, name: &str) -> Result<u64> {
        self.number(name).ok_or_else(|| {
            let message = format!("the daemon has no figure {name}: it is of another version");
            Failure::new(Exit::Unreachable, "protocol-error", message)
        })
    }

    /// A text; empty when there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        match self.find(name) {
            Some(StatValue::Text(text)) => text,
            _ => "",
        }
    }

    fn find(&self, name: &str) -> Option<&StatValue> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value)
    }

    /// Why the store takes no writes; none while it takes them.
    pub(super) fn refuses_writes(&self) -> Option<String> {
        let (state, reason) = (self.text("engine.state"), self.text("engine.state_reason"));
        match (state, reason) {
            ("running", _) => None,
            (state, "") => Some(state.to_owned()),
            (state, reason) => Some(format!("{state}: {reason}")),
        }
    }

    /// The operations of which durations were measured, in the daemon's order.
    pub(super) fn operations(&self) -> Vec<Operation> {
        let mut operations: Vec<Operation> = Vec::new();
        for (name, value) in &self.0 {
            let measured = name
                .strip_prefix(LATENCY)
                .and_then(|rest| rest.rsplit_once('.'));
            let (Some((operation, field)), StatValue::Number(number)) = (measured, value) else {
                continue;
            };
            if operations.last().is_none_or(|last| last.name != operation) {
                operations.push(Operation::new(operation));
            }
            if let Some(last) = operations.last_mut() {
                last.figures.push((field.to_owned(), *number));
            }
        }
        operations
    }

    pub(super) fn json(&self) -> Object {
        let figures = self.0.iter();
        figures
            .map(|(name, value)| (name.clone(), json(name, value)))
            .collect()
    }

    /// Every figure but the durations, one in a line, with an empty line between their groups.
    pub(super) fn lines(&self) -> Vec<String> {
        let shown = || self.0.iter().filter(|(name, _)| !name.starts_with(LATENCY));
        let width = shown().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut lines = Vec::new();
        let mut group = None;
        for (name, value) in shown() {
            let begins = name.split('.').next();
            if group.is_some() && group != begins {
                lines.push(String::new());
            }
            group = begins;
            lines.push(format!("{name:<width$}  {}", human(name, value)));
        }
        lines
    }

    /// What the last start did, in a sentence; none when the daemon does not say.
    pub(super) fn last_start(&self) -> Option<String> {
        if self.text("recovery.created") == "true" {
            return Some("made a new store".to_owned());
        }
        let last = self.number("recovery.last_lsn")?;
        let operations = self.number("recovery.replayed_operations").unwrap_or(0);
        let mut parts = vec![format!(
            "recovered up to LSN {} after {}",
            lsn(last),
            match self.text("recovery.clean_shutdown") {
                "true" => "a clean shutdown",
                _ => "an end without shutdown",
            }
        )];
        if operations > 0 {
            parts.push(format!("{} replayed", counted(operations, "operation")));
        }
        match self.number("recovery.cut_from") {
            Some(from) => {
                let cut = self.number("recovery.cut_bytes").unwrap_or(0);
                parts.push(format!(
                    "cut a torn tail of {}: from LSN {} on nothing is provable",
                    counted(cut, "byte"),
                    lsn(from)
                ));
            }
            None => parts.push("nothing cut".to_owned()),
        }
        let moved = self.text("recovery.quarantined");
        if !moved.is_empty() {
            parts.push(format!("moved to quarantine: {moved}"));
        }
        let notes = self.text("recovery.notes");
        parts.extend((!notes.is_empty()).then(|| notes.to_owned()));
        Some(parts.join("; "))
    }
}

/// How long the requests of one operation took since the daemon's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) name: String,
    /// `count`, `p50_us` and so on.
    pub(super) figures: Vec<(String, u64)>,
}

impl Operation {
    fn new(name: &str) -> Operation {
        Operation {
            name: name.to_owned(),
            figures: Vec::new(),
        }
    }

    pub(super) fn figure(&self, field: &str) -> Option<u64> {
        let found = self.figures.iter().find(|(found, _)| found == field);
        found.map(|(_, number)| *number)
    }
}

fn is_lsn(name: &str) -> bool {
    name.ends_with("_lsn") || name == "recovery.cut_from"
}

fn json(name: &str, value: &StatValue) -> serde_json::Value {
    match value {
        StatValue::Number(bits) if is_lsn(name) => lsn(*bits).into(),
        StatValue::Number(number) => (*number).into(),
        StatValue::Text(text) => text.clone().into(),
    }
}

fn human(name: &str, value: &StatValue) -> String {
    match value {
        StatValue::Number(bits) if is_lsn(name) => lsn(*bits),
        StatValue::Number(number) if name.ends_with("bytes") => bytes(*number),
        StatValue::Number(number) if name.ends_with("_us") && *number >= 1000 => {
            format!("{number} ({})", words::duration_us(*number))
        }
        StatValue::Number(0) if name.ends_with("_unix_s") => "-".to_owned(),
        StatValue::Number(number) if name.ends_with("_unix_s") => {
            let time = UNIX_EPOCH.checked_add(Duration::from_secs(*number));
            let time = time.map_or_else(String::new, |time| Rfc3339(time).to_string());
            format!("{number} ({time})")
        }
        StatValue::Number(number) if name.ends_with("_s") && *number >= 60 => {
            format!("{number} ({})", words::duration_s(*number))
        }
        StatValue::Number(number) => number.to_string(),
        StatValue::Text(text) if text.is_empty() => "-".to_owned(),
        StatValue::Text(text) => text.clone(),
    }
}

#[cfg(test)]
impl Figures {
    pub(super) fn of(list: &[(&str, StatValue)]) -> Figures {
        let list = list.iter();
        let list = list.map(|(name, value)| ((*name).to_owned(), value.clone()));
        Figures(list.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u64) -> StatValue {
        StatValue::Number(number)
    }

    fn text(text: &str) -> StatValue {
        StatValue::Text(text.to_owned())
    }

    #[test]
    fn figures_are_shown_for_people_and_kept_for_programs() {
        let bits = number((3 << 44) + 7);
        for name in ["engine.last_lsn", "recovery.cut_from"] {
            assert_eq!(human(name, &bits), "3/7");
            assert_eq!(json(name, &bits), "3/7");
        }
        assert_eq!(human("log_bytes", &number(1536)), "1536 (1.5 KiB)");
        assert_eq!(json("log_bytes", &number(1536)), 1536);
        assert_eq!(human("state", &text("running")), "running");
        assert_eq!(human("state_reason", &text("")), "-");
        assert_eq!(human("uptime_s", &number(7325)), "7325 (2 h 2 min)");
        let started = human("started_unix_s", &number(1_795_474_521));
        assert_eq!(started, "1795474521 (2026-11-23T22:55:21.000Z)");
        assert_eq!(human("last_flush_unix_s", &number(0)), "-");
        assert_eq!(human("stall_us", &number(7325)), "7325 (7.3 ms)");
    }

    #[test]
    fn groups_are_apart_and_durations_are_left_to_latency() {
        let figures = Figures::of(&[
            ("server.requests", number(1)),
            ("engine.tables", number(2)),
            ("latency.get.count", number(3)),
            ("latency.get.p99_us", number(4)),
            ("latency.put.count", number(5)),
        ]);
        assert_eq!(
            figures.lines(),
            ["server.requests  1", "", "engine.tables    2"]
        );
        let operations = figures.operations();
        let names: Vec<&str> = operations.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["get", "put"]);
        assert_eq!(operations[0].figure("p99_us"), Some(4));
        assert_eq!(operations[1].figure("p99_us"), None);
    }

    #[test]
    fn the_last_start_is_one_sentence() {
        let created = Figures::of(&[("recovery.created", text("true"))]);
        assert_eq!(created.last_start().unwrap(), "made a new store");
        let crash = Figures::of(&[
            ("recovery.created", text("false")),
            ("recovery.clean_shutdown", text("false")),
            ("recovery.last_lsn", number((3 << 44) + 7)),
            ("recovery.replayed_operations", number(1)),
            ("recovery.cut_from", number((3 << 44) + 8)),
            ("recovery.cut_bytes", number(9)),
            ("recovery.quarantined", text("a; b")),
        ]);
        assert_eq!(
            crash.last_start().unwrap(),
            "recovered up to LSN 3/7 after an end without shutdown; 1 operation replayed; cut a torn \
             tail of 9 bytes: from LSN 3/8 on nothing is provable; moved to quarantine: a; b"
        );
        assert_eq!(Figures::default().last_start(), None);
    }

    #[test]
    fn a_store_that_takes_no_writes_says_why() {
        let running = Figures::of(&[("engine.state", text("running"))]);
        assert_eq!(running.refuses_writes(), None);
        let full = Figures::of(&[
            ("engine.state", text("disk-full")),
            ("engine.state_reason", text("no space left")),
        ]);
        assert_eq!(full.refuses_writes().unwrap(), "disk-full: no space left");
    }
}
