//! What the clients saw: every operation with when it was asked and answered.
//!
//! Times are numbers of one counter, so that no two are the same. An operation without an answer, since
//! the daemon was killed, may or may not have happened, but not after the death of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{self, Action, Outcome, Placed, Value};

/// Tells the time.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// An operation of a client.
#[derive(Debug, Clone)]
pub struct Record {
    pub client: usize,
    pub group: usize,
    pub action: Action,
    pub invoked: u64,
    /// When the answer came; if none did, when the process was dead.
    pub returned: u64,
    pub answered: bool,
    /// The LSN that a write was answered with.
    pub written: Option<u64>,
    /// The LSN of the state that a scan saw.
    pub snapshot: Option<u64>,
    /// The LSN that came with each value.
    pub versions: Vec<(Value, u64)>,
}

impl Record {
    /// Values that the answer showed.
    fn observed(&self) -> Vec<Value> {
        match &self.action {
            _ if !self.answered => Vec::new(),
            Action::Read(cells) => cells.iter().filter_map(|cell| cell.1).collect(),
            Action::Write(_) => Vec::new(),
            Action::Swap { outcome, .. } => match outcome {
                Outcome::Refused(current) => current.iter().copied().collect(),
                _ => Vec::new(),
            },
        }
    }

    /// What the search is told of it; `None` when it can be left out.
    ///
    /// Of those without an answer a read is nothing. A write of which a value was seen has happened
    /// before the process died. One of which none was seen, and which deletes nothing, explains nothing: if
    /// there is an order with it, there is one without. The others may happen at any time.
    fn placed(&self, seen: &BTreeSet<Value>) -> Option<Placed> {
        let mut placed = Placed {
            invoked: self.invoked,
            returned: self.returned,
            action: self.action.clone(),
        };
        if self.answered {
            return Some(placed);
        }
        let new = match &mut placed.action {
            Action::Read(_) => return None,
            Action::Write(cells) => cells.iter().map(|cell| cell.1).collect(),
            Action::Swap { new, .. } => vec![*new],
        };
        let happened = new.iter().flatten().any(|value| seen.contains(value));
        if !happened && new.iter().all(Option::is_some) {
            return None;
        }
        if !happened {
            placed.returned = u64::MAX;
        } else if let Action::Swap { outcome, .. } = &mut placed.action {
            *outcome = Outcome::Done;
        }
        Some(placed)
    }
}

/// Every operation of every client.
#[derive(Debug, Default)]
pub struct Recorded {
    pub records: Vec<Record>,
}

impl Recorded {
    /// What is wrong with the history, in words.
    pub fn offence(&self) -> Option<String> {
        let order = self.order_offence();
        order.or_else(|| self.linearizability_offence())
    }

    /// Whether an order explains all answers, group by group.
    pub fn linearizability_offence(&self) -> Option<String> {
        let seen: BTreeSet<Value> = self.records.iter().flat_map(Record::observed).collect();
        let groups: BTreeSet<usize> = self.records.iter().map(|record| record.group).collect();
        for group in groups {
            let of_group = self.records.iter().filter(|record| record.group == group);
            let placed: Vec<_> = of_group.filter_map(|record| record.placed(&seen)).collect();
            if let Some((shortest, keys)) = model::offence(&placed) {
                let mut text = format!(
                    "no order explains the answers for keys {keys:?} of group {group}; the last line \
                     is the first answer that cannot be:\n"
                );
                // The end of it tells the story; all of it is in the file.
                let skipped = shortest.len().saturating_sub(40);
                for operation in &shortest[skipped..] {
                    writeln!(text, "  {}", line(operation)).unwrap();
                }
                return Some(text);
            }
        }
        None
    }

    /// Whether LSNs are in the order of time, across all keys.
    pub fn order_offence(&self) -> Option<String> {
        let mut events = Vec::new();
        for record in self.records.iter().filter(|record| record.answered) {
            events.push((record.invoked, record, true));
            events.push((record.returned, record, false));
        }
        events.sort_by_key(|event| event.0);
        // The highest LSN answered so far, and what it was when each operation began.
        let (mut highest, mut floors) = (0, BTreeMap::new());
        let mut highest_snapshot = 0;
        let mut given = BTreeSet::new();
        for (_, record, begins) in events {
            if begins {
                floors.insert(record.invoked, (highest, highest_snapshot));
                continue;
            }
            let (floor, seen) = floors[&record.invoked];
            if let Some(lsn) = record.written {
                let fresh = given.insert(lsn);
                if !fresh || lsn <= floor || lsn <= seen {
                    return Some(format!(
                        "LSN {lsn} of {record:?}: {floor} was answered and {seen} seen before it began"
                    ));
                }
                highest = highest.max(lsn);
            }
            if let Some(lsn) = record.snapshot {
                if lsn < floor || record.versions.iter().any(|version| version.1 > lsn) {
                    return Some(format!("{record:?} sees less than LSN {floor}"));
                }
                highest_snapshot = highest_snapshot.max(lsn);
            }
        }
        self.version_offence()
    }

    /// Whether a value always comes with the LSN of the write that set it.
    fn version_offence(&self) -> Option<String> {
        let mut of_value: BTreeMap<Value, u64> = BTreeMap::new();
        for record in &self.records {
            let set: Vec<_> = match (&record.action, record.written) {
                (Action::Write(cells), Some(lsn)) => {
                    let values = cells.iter().filter_map(|cell| cell.1);
                    values.map(|value| (value, lsn)).collect()
                }
                (Action::Swap { new, .. }, Some(lsn)) => {
                    new.iter().map(|value| (*value, lsn)).collect()
                }
                _ => Vec::new(),
            };
            for (value, lsn) in set.into_iter().chain(record.versions.iter().copied()) {
                let known = *of_value.entry(value).or_insert(lsn);
                if known != lsn {
                    return Some(format!(
                        "value {value} has LSN {known} and, in {record:?}, {lsn}"
                    ));
                }
            }
        }
        None
    }

    /// The whole history, an operation a line, in the order of the answers.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut records = self.records.clone();
        records.sort_by_key(|record| record.returned);
        for record in records {
            let placed = Placed {
                invoked: record.invoked,
                returned: record.returned,
                action: record.action,
            };
            let end = if record.answered { "" } else { ", no answer" };
            writeln!(
                text,
                "client {} group {} {} lsn {:?}{end}",
                record.client,
                record.group,
                line(&placed),
                record.written.or(record.snapshot)
            )
            .unwrap();
        }
        text
    }
}

fn line(operation: &Placed) -> String {
    let Placed {
        invoked,
        returned,
        action,
    } = operation;
    let returned = match *returned {
        u64::MAX => "never".to_owned(),
        time => time.to_string(),
    };
    format!("[{invoked:>6} … {returned:>6}] {action:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(invoked: u64, action: Action, written: Option<u64>) -> Record {
        Record {
            client: 0,
            group: 0,
            action,
            invoked,
            returned: invoked + 1,
            answered: true,
            written,
            snapshot: None,
            versions: Vec::new(),
        }
    }

    fn write(invoked: u64, value: Option<Value>, lsn: u64) -> Record {
        record(invoked, Action::Write(vec![(0, value)]), Some(lsn))
    }

    fn read(invoked: u64, value: Option<Value>) -> Record {
        record(invoked, Action::Read(vec![(0, value)]), None)
    }

    fn unanswered(mut record: Record, returned: u64) -> Record {
        (record.answered, record.written, record.returned) = (false, None, returned);
        record
    }

    fn judge(records: Vec<Record>) -> bool {
        Recorded { records }.offence().is_none()
    }

    #[test]
    fn what_has_no_answer_may_have_happened_but_not_after_the_death() {
        let pending = unanswered(write(2, Some(2), 0), 10);
        let before = write(0, Some(1), 1);
        assert!(judge(vec![
            before.clone(),
            pending.clone(),
            read(4, Some(1))
        ]));
        assert!(judge(vec![
            before.clone(),
            pending.clone(),
            read(4, Some(2))
        ]));
        assert!(judge(vec![
            before.clone(),
            pending.clone(),
            read(4, Some(1)),
            read(20, Some(2))
        ]));
        let woken = vec![
            before.clone(),
            pending.clone(),
            read(20, Some(1)),
            read(30, Some(2)),
        ];
        assert!(!judge(woken));
        let back = vec![before, pending, read(4, Some(2)), read(20, Some(1))];
        assert!(!judge(back));
        let deleted = unanswered(write(2, None, 0), 10);
        let gone = vec![
            write(0, Some(1), 1),
            deleted,
            read(4, Some(1)),
            read(6, None),
        ];
        assert!(judge(gone));
    }

    #[test]
    fn lsns_must_be_in_the_order_of_time() {
        assert!(judge(vec![write(0, Some(1), 1), write(2, Some(2), 2)]));
        assert!(!judge(vec![write(0, Some(1), 2), write(2, Some(2), 1)]));
        assert!(!judge(vec![write(0, Some(1), 1), write(2, Some(2), 1)]));
        let mut scan = read(4, Some(2));
        (scan.snapshot, scan.versions) = (Some(2), vec![(2, 2)]);
        let mut records = vec![write(0, Some(1), 1), write(2, Some(2), 2), scan];
        assert!(judge(records.clone()));
        records[2].snapshot = Some(1);
        assert!(!judge(records.clone()));
        (records[2].snapshot, records[2].versions) = (Some(2), vec![(2, 1)]);
        assert!(!judge(records));
    }
}
