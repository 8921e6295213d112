//! Clients that all want the same few keys at once, and write down what they are told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use atlaskv::client::{Client, ClientError, Conditional, Entry, ScanOptions, Versioned};
use atlaskv::protocol::{BatchOperation, ErrorCode, Expected};
use fastrand::Rng;

use crate::history::{Clock, Record};
use crate::model::{Action, Cell, KEYS, Outcome, Value};

/// Groups of keys: few, so that clients meet.
pub const GROUPS: usize = 2;
/// Bytes that a value is filled up with at most: memtables are full soon, and tables are made.
const FILL: usize = 3000;

/// What all clients of a history share.
#[derive(Debug, Default)]
pub struct Shared {
    pub clock: Clock,
    /// The last value given out; none is given twice.
    values: AtomicU64,
    /// Operations answered.
    pub answered: AtomicU64,
    pub records: Mutex<Vec<Record>>,
}

/// A client, across its connections.
#[derive(Debug)]
pub struct Worker {
    number: usize,
    random: Rng,
    /// What each key was last seen to have: what a swap expects. Often it is right, often overtaken.
    seen: [[Option<(Value, u64)>; KEYS]; GROUPS],
}

/// An answer: the action as it turned out.
struct Answer {
    action: Action,
    written: Option<u64>,
    snapshot: Option<u64>,
    versions: Vec<(Value, u64)>,
    /// When it was known, if that was before all of it was fetched.
    at: Option<u64>,
}

impl Answer {
    fn of(action: Action) -> Answer {
        Answer {
            action,
            written: None,
            snapshot: None,
            versions: Vec::new(),
            at: None,
        }
    }

    fn written(action: Action, lsn: u64) -> Answer {
        Answer {
            written: Some(lsn),
            ..Answer::of(action)
        }
    }

    /// A read's, of these cells with their versions.
    fn read(cells: Vec<(usize, Option<(Value, u64)>)>) -> Answer {
        let versions = cells.iter().filter_map(|cell| cell.1).collect();
        let cells = cells.into_iter();
        let cells = cells.map(|(key, found)| (key, found.map(|found| found.0)));
        Answer {
            versions,
            ..Answer::of(Action::Read(cells.collect()))
        }
    }
}

type Asked = Result<Answer, ClientError>;

pub fn key(group: usize, key: usize) -> Vec<u8> {
    format!("g{group}/{key}").into_bytes()
}

fn bytes(value: Value) -> Vec<u8> {
    let mut bytes = format!("{value}-").into_bytes();
    let fill = usize::try_from(value.wrapping_mul(0x9E37_79B9) >> 7).unwrap() % FILL;
    bytes.resize(bytes.len() + fill, b'.');
    bytes
}

fn value(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).unwrap();
    let number = text.split_once('-').unwrap().0.parse().unwrap();
    assert_eq!(bytes, self::bytes(number), "a value that was never written");
    number
}

fn version(found: &Versioned) -> (Value, u64) {
    (value(&found.value), found.lsn)
}

impl Worker {
    pub fn new(number: usize, random: Rng) -> Worker {
        Worker {
            number,
            random,
            seen: [[None; KEYS]; GROUPS],
        }
    }

    /// Asks one thing after another until the connection is lost, or `most` are answered.
    pub fn work(&mut self, shared: &Shared, client: &mut Client, most: u64) {
        for _ in 0..most {
            let group = self.random.usize(..GROUPS);
            let planned = self.plan(shared, group);
            let invoked = shared.clock.now();
            let asked = self.ask(shared, client, group, &planned);
            let returned = shared.clock.now();
            let answered = asked.is_ok();
            let answer = match asked {
                Ok(answer) => answer,
                // Refused for certain: it is as if it had never been asked.
                Err(ClientError::Server {
                    code: ErrorCode::ShuttingDown,
                    ..
                }) => return,
                Err(ClientError::Lost { .. } | ClientError::Broken { .. }) => Answer::of(planned),
                Err(other) => panic!("{other:?}"),
            };
            self.learn(group, &answer);
            shared.records.lock().unwrap().push(Record {
                client: self.number,
                group,
                action: answer.action,
                invoked,
                returned: answer.at.unwrap_or(returned),
                answered,
                written: answer.written,
                snapshot: answer.snapshot,
                versions: answer.versions,
            });
            if !answered {
                return;
            }
            shared.answered.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// What to ask: an action whose outcome is open.
    fn plan(&mut self, shared: &Shared, group: usize) -> Action {
        let key = self.random.usize(..KEYS);
        let fresh = || Some(shared.values.fetch_add(1, Ordering::SeqCst) + 1);
        match self.random.u8(..20) {
            0..=4 => Action::Read(vec![(key, None)]),
            5..=6 => Action::Read((0..KEYS).map(|key| (key, None)).collect()),
            7..=10 => Action::Write(vec![(key, fresh())]),
            11 => Action::Write(vec![(key, None)]),
            12..=14 => {
                let mut keys: Vec<usize> = (0..KEYS).collect();
                self.random.shuffle(&mut keys);
                keys.truncate(self.random.usize(2..=KEYS));
                let cells = keys.into_iter().map(|key| match self.random.u8(..4) {
                    0 => (key, None),
                    _ => (key, fresh()),
                });
                Action::Write(cells.collect())
            }
            kind => Action::Swap {
                key,
                expected: match kind {
                    15 => None,
                    _ => self.seen[group][key].map(|seen| seen.0),
                },
                new: if kind == 16 { None } else { fresh() },
                outcome: Outcome::Unknown,
            },
        }
    }

    fn ask(&mut self, shared: &Shared, client: &mut Client, group: usize, plan: &Action) -> Asked {
        match plan {
            Action::Read(cells) if cells.len() == 1 => {
                let key = cells[0].0;
                let found = client.get(&self::key(group, key))?;
                Ok(Answer::read(vec![(key, found.as_ref().map(version))]))
            }
            Action::Read(_) if self.random.bool() => multi_get(client, group),
            Action::Read(_) => self.scan(shared, client, group),
            Action::Write(cells) => {
                let lsn = write(client, group, cells)?;
                Ok(Answer::written(plan.clone(), lsn))
            }
            Action::Swap {
                key, expected, new, ..
            } => self.swap(client, group, (*key, *expected, *new)),
        }
    }

    fn scan(&mut self, shared: &Shared, client: &mut Client, group: usize) -> Asked {
        let options = ScanOptions {
            prefix: format!("g{group}/").into_bytes(),
            reverse: self.random.bool(),
            page_entries: self.random.u32(..3),
            ..ScanOptions::default()
        };
        let scan = client.scan(&options)?;
        // Its state is of the time when it was opened, whenever the rest is fetched.
        let (at, snapshot) = (shared.clock.now(), scan.lsn());
        let mut entries = scan.collect::<Result<Vec<_>, _>>()?;
        if options.reverse {
            entries.reverse();
        }
        assert!(entries.is_sorted_by(|left, right| left.key < right.key));
        let found = |wanted: usize| {
            let key = key(group, wanted);
            let entry: Option<&Entry> = entries.iter().find(|entry| entry.key == key);
            entry.map(|entry| (value(&entry.value), entry.lsn))
        };
        let cells: Vec<_> = (0..KEYS).map(|key| (key, found(key))).collect();
        let among = cells.iter().filter(|cell| cell.1.is_some()).count();
        assert_eq!(entries.len(), among, "keys that were never written");
        Ok(Answer {
            snapshot: Some(snapshot),
            at: Some(at),
            ..Answer::read(cells)
        })
    }

    fn swap(
        &mut self,
        client: &mut Client,
        group: usize,
        (key, expected, new): (usize, Option<Value>, Option<Value>),
    ) -> Asked {
        let name = self::key(group, key);
        let wanted = expected.map(bytes);
        let lsn = self.seen[group][key].map(|seen| seen.1);
        let expects = match (&wanted, lsn) {
            (Some(_), Some(lsn)) if self.random.bool() => Expected::Version(lsn),
            (Some(value), _) => Expected::Value(value),
            (None, _) => Expected::Absent,
        };
        let value = new.map(bytes);
        let done = match &value {
            Some(value) if expected.is_none() && self.random.bool() => {
                client.put_if_absent(&name, value)?
            }
            _ => client.compare_and_swap(&name, expects, value.as_deref())?,
        };
        let swap = |outcome| Action::Swap {
            key,
            expected,
            new,
            outcome,
        };
        Ok(match done {
            Conditional::Written(lsn) => Answer::written(swap(Outcome::Done), lsn),
            Conditional::Refused(current) => {
                let current = current.as_ref().map(version);
                Answer {
                    versions: current.into_iter().collect(),
                    ..Answer::of(swap(Outcome::Refused(current.map(|found| found.0))))
                }
            }
        })
    }

    /// Remembers what the keys have now, as far as this client knows.
    fn learn(&mut self, group: usize, answer: &Answer) {
        let lsn_of = |value: Value| {
            let version = answer.versions.iter().find(|version| version.0 == value);
            version.map(|version| version.1).or(answer.written)
        };
        let cells: Vec<Cell> = match &answer.action {
            Action::Read(cells) => cells.clone(),
            Action::Write(cells) if answer.written.is_some() => cells.clone(),
            Action::Write(_) => Vec::new(),
            Action::Swap {
                key, new, outcome, ..
            } => match outcome {
                Outcome::Done => vec![(*key, *new)],
                Outcome::Refused(current) => vec![(*key, *current)],
                Outcome::Unknown => Vec::new(),
            },
        };
        for (key, value) in cells {
            self.seen[group][key] = value.and_then(|value| Some((value, lsn_of(value)?)));
        }
    }
}

fn multi_get(client: &mut Client, group: usize) -> Asked {
    let keys: Vec<_> = (0..KEYS).map(|key| self::key(group, key)).collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let found = client.multi_get(&keys)?;
    let cells = found.iter().map(|found| found.as_ref().map(version));
    Ok(Answer::read(cells.enumerate().collect()))
}

fn write(client: &mut Client, group: usize, cells: &[Cell]) -> Result<u64, ClientError> {
    let pairs: Vec<_> = cells
        .iter()
        .map(|(key, value)| (self::key(group, *key), value.map(bytes)))
        .collect();
    match &pairs[..] {
        [(key, Some(value))] => client.put(key, value),
        [(key, None)] => client.delete(key),
        _ => {
            let operations = pairs.iter().map(|(key, value)| match value {
                Some(value) => BatchOperation::Put { key, value },
                None => BatchOperation::Delete { key },
            });
            client.batch(operations.collect())
        }
    }
}
