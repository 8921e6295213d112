//! What a client sent and was answered, in a file that outlives the daemon, the disk of its data, and the
//! supervisor.
//!
//! Each line is written before the next request is sent: `sent` with the changes of a request before the request
//! itself, `done` with the LSN of the answer when it came. So whatever a daemon may have done is here, and
//! whatever was acknowledged is known as such; what a killed supervisor had read from its socket but not written
//! down counts as on its way. After a restart the file is made anew from what the daemon has: `number`, `lsn` and
//! a `has` for each key.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A value that is written once only: its number, and how many bytes follow that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    pub number: u64,
    pub fill: usize,
}

impl Value {
    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = format!("{}-", self.number).into_bytes();
        bytes.resize(bytes.len() + self.fill, self.number as u8);
        bytes
    }

    /// The value that has these bytes; any others are none that was ever written.
    pub fn of(bytes: &[u8]) -> Value {
        let length = bytes.iter().position(|byte| *byte == b'-').unwrap();
        let number = std::str::from_utf8(&bytes[..length]).unwrap();
        let value = Value {
            number: number.parse().unwrap(),
            fill: bytes.len() - length - 1,
        };
        assert_eq!(value.bytes(), bytes, "a value that was never written");
        value
    }

    fn parse(text: &str) -> Option<Value> {
        let (number, fill) = text.split_once(':')?;
        Some(Value {
            number: number.parse().unwrap(),
            fill: fill.parse().unwrap(),
        })
    }
}

pub type State = BTreeMap<String, Value>;

/// What a request does to each key, the last one winning: nothing if it is a read, or refused.
pub type Change = Vec<(String, Option<Value>)>;

pub fn apply(state: &mut State, change: &Change) {
    for (key, value) in change {
        match value {
            Some(value) => state.insert(key.clone(), *value),
            None => state.remove(key),
        };
    }
}

/// What a ledger says.
#[derive(Debug, Default)]
pub struct Told {
    pub acknowledged: State,
    /// Sent and not answered, in order.
    pub ahead: VecDeque<Change>,
    pub last_lsn: u64,
    /// The number of the newest value.
    pub last_number: u64,
}

/// The file of one client.
pub struct Ledger {
    path: PathBuf,
    file: File,
}

impl Ledger {
    /// Opens a client's ledger, or begins it.
    pub fn open(dir: &Path, client: usize) -> Ledger {
        let path = dir.join(format!("client-{client}"));
        let mut appends = OpenOptions::new();
        let file = appends.create(true).append(true).open(&path).unwrap();
        Ledger { path, file }
    }

    pub fn sent(&mut self, change: &Change) {
        let mut line = "sent".to_owned();
        for (key, value) in change {
            match value {
                Some(Value { number, fill }) => line += &format!(" {key}={number}:{fill}"),
                None => line += &format!(" {key}=-"),
            }
        }
        self.line(line);
    }

    pub fn done(&mut self, lsn: u64) {
        self.line(format!("done {lsn}"));
    }

    /// One call for each line: a process that is killed leaves it whole, or without its end.
    fn line(&mut self, mut line: String) {
        line.push('\n');
        self.file.write_all(line.as_bytes()).unwrap();
    }

    /// Reads the file.
    pub fn told(&self) -> Told {
        let text = fs::read_to_string(&self.path).unwrap();
        let mut told = Told::default();
        for line in text.split_inclusive('\n') {
            // Without its end: the supervisor was killed while it wrote, and did nothing after it.
            let Some(line) = line.strip_suffix('\n') else {
                break;
            };
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "number" => told.last_number = rest.parse().unwrap(),
                "lsn" => told.last_lsn = rest.parse().unwrap(),
                "has" => apply(&mut told.acknowledged, &change(rest)),
                "sent" => {
                    let change = change(rest);
                    let numbers = change.iter().filter_map(|(_, value)| *value);
                    let newest = numbers.map(|value| value.number).max();
                    told.last_number = told.last_number.max(newest.unwrap_or(0));
                    told.ahead.push_back(change);
                }
                "done" => {
                    let change = told.ahead.pop_front().unwrap();
                    apply(&mut told.acknowledged, &change);
                    told.last_lsn = told.last_lsn.max(rest.parse().unwrap());
                }
                other => panic!("{}: {other}", self.path.display()),
            }
        }
        told
    }

    /// Begins anew with a state that is known.
    pub fn restate(&mut self, told: &Told) {
        let mut text = format!("number {}\nlsn {}\n", told.last_number, told.last_lsn);
        for (key, Value { number, fill }) in &told.acknowledged {
            text += &format!("has {key}={number}:{fill}\n");
        }
        let whole = self.path.with_extension("new");
        fs::write(&whole, text).unwrap();
        fs::rename(&whole, &self.path).unwrap();
        self.file = OpenOptions::new().append(true).open(&self.path).unwrap();
    }
}

fn change(text: &str) -> Change {
    let words = text.split(' ').filter(|word| !word.is_empty());
    words
        .map(|word| {
            let (key, value) = word.split_once('=').unwrap();
            (key.to_owned(), Value::parse(value))
        })
        .collect()
}

/// A directory on another file system than this path. `ATLASKV_KILL_LEDGER` names where it shall be made
/// instead, whatever file system that is.
pub fn elsewhere(data: &Path) -> TempDir {
    if let Some(place) = std::env::var_os("ATLASKV_KILL_LEDGER") {
        return tempfile::tempdir_in(place).unwrap();
    }
    let of_data = fs::metadata(data).unwrap().dev();
    let target = env!("CARGO_TARGET_TMPDIR");
    for place in ["/dev/shm", "/run/shm", "/var/tmp", "/tmp", target] {
        let is_other = fs::metadata(place).is_ok_and(|place| place.dev() != of_data);
        if let Some(dir) = is_other.then(|| tempfile::tempdir_in(place)) {
            match dir {
                Ok(dir) => return dir,
                Err(error) => println!("no ledgers in {place}: {error}"),
            }
        }
    }
    panic!(
        "no file system for the ledgers but that of {}: ATLASKV_KILL_LEDGER=DIR names a place for them",
        data.display()
    );
}

#[test]
fn a_ledger_says_what_was_acknowledged_and_what_is_on_its_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path(), 0);
    let (one, two) = (Value { number: 1, fill: 7 }, Value { number: 2, fill: 0 });
    let key = |name: &str| name.to_owned();
    ledger.sent(&vec![(key("a"), Some(one)), (key("b"), Some(two))]);
    ledger.sent(&vec![(key("a"), None)]);
    ledger.sent(&Change::new());
    ledger.done(5);
    ledger.done(6);
    let told = ledger.told();
    assert_eq!(told.acknowledged, State::from([(key("b"), two)]));
    assert_eq!(told.ahead, [Change::new()]);
    assert_eq!((told.last_lsn, told.last_number), (6, 2));
    ledger.restate(&Told {
        ahead: VecDeque::new(),
        ..told
    });
    ledger.sent(&vec![(key("a"), Some(Value { number: 3, fill: 1 }))]);
    // A supervisor that is killed while it writes.
    ledger.file.write_all(b"done").unwrap();
    let told = Ledger::open(dir.path(), 0).told();
    assert_eq!(told.acknowledged, State::from([(key("b"), two)]));
    assert_eq!(told.ahead.len(), 1);
    assert_eq!((told.last_lsn, told.last_number), (6, 3));
    assert_eq!(Value::of(&one.bytes()), one);
}
