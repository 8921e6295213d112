//! Kill -9 at random moments under load: nothing acknowledged is lost, under any sync policy.
//!
//! Each worker has one connection and keys of its own, and sends one operation after another, up to a
//! few ahead of the answers. What it sent and what it was answered is written down before it sends the next, on
//! another file system than the data's (`ledger`). A kill loses nothing that was handed to the operating system,
//! and the log has the order of a connection: so after a restart the worker's keys must be exactly what the
//! acknowledged operations made, and then a prefix, possibly none, of those on their way. A lost write, a write
//! that came back, a batch done in part, an order turned round: each makes that false. The check knows nothing
//! but the ledger, so a supervisor that was itself killed is followed up by the next one.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use atlaskv::client::{Client, ClientError, Pipeline, ScanOptions};
use atlaskv::protocol::{BatchOperation, Expected, Request, Response};
use fastrand::Rng;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tempfile::TempDir;

use crate::harness::{Daemon, Home, seed, stats, wait_until};
use crate::ledger::{Change, Ledger, State, Told, Value, apply, elsewhere};

const WORKERS: usize = 4;
/// Few keys, so that most writes overwrite and compaction has something to do.
const KEYS: usize = 60;
/// Operations on their way at most.
const AHEAD: usize = 8;
/// Answers to all workers after which a daemon is killed, at most.
const MOST_ANSWERS: u64 = 1500;

/// What an operation is answered, as far as it is known.
#[derive(Debug)]
enum Answer {
    Written,
    /// A condition that does not hold, with what is there instead.
    Refused(Option<Value>),
    /// A read, with what it must find.
    Read(Option<Value>),
}

/// One client.
struct Worker {
    prefix: String,
    random: Rng,
    ledger: Ledger,
    number: u64,
    /// Of those on their way, in order.
    expected: VecDeque<Answer>,
    /// The state once all on their way are done.
    newest: State,
    last_lsn: u64,
}

impl Worker {
    fn new(number: usize, ledgers: &Path, random: Rng) -> Worker {
        Worker {
            prefix: format!("w{number}/"),
            random,
            ledger: Ledger::open(ledgers, number),
            number: 0,
            expected: VecDeque::new(),
            newest: State::new(),
            last_lsn: 0,
        }
    }

    fn key(&mut self) -> String {
        format!("{}{}", self.prefix, self.random.usize(..KEYS))
    }

    /// A value that was never written before.
    fn value(&mut self) -> Value {
        self.number += 1;
        let fill = match self.random.u8(..) {
            0..=199 => self.random.usize(..200),
            200..=253 => self.random.usize(..4000),
            254.. => self.random.usize(..150_000),
        };
        Value {
            number: self.number,
            fill,
        }
    }

    /// Works until the connection is lost; counts the answers.
    fn work(&mut self, client: &mut Client, answered: &AtomicU64) {
        let mut pipeline = client.pipeline();
        loop {
            let room = self.expected.len() < AHEAD;
            if room && (self.expected.is_empty() || self.random.u8(..) < 200) {
                self.send_one(&mut pipeline);
                continue;
            }
            match pipeline.receive() {
                Ok(Some(answer)) => self.take_answer(&answer),
                Err(ClientError::Lost { .. } | ClientError::Broken { .. }) => return,
                other => panic!("{other:?}"),
            }
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn send_one(&mut self, pipeline: &mut Pipeline<'_>) {
        let (name, fresh) = (self.key(), self.value());
        let (key, value) = (name.as_bytes(), &fresh.bytes()[..]);
        let current = self.newest.get(&name).copied();
        let current_bytes = current.map(Value::bytes);
        let set = vec![(name.clone(), Some(fresh))];
        let nothing = Change::new();
        let (request, change, answer) = match self.random.u8(..20) {
            0..=8 => (Request::Put { key, value }, set, Answer::Written),
            9..=11 => {
                let gone = vec![(name.clone(), None)];
                (Request::Delete { key }, gone, Answer::Written)
            }
            12..=13 => return self.send_batch(pipeline),
            14..=15 => {
                let request = Request::PutIfAbsent { key, value };
                match current {
                    Some(_) => (request, nothing, Answer::Refused(current)),
                    None => (request, set, Answer::Written),
                }
            }
            16..=17 => {
                let expected = current_bytes.as_deref();
                let expected = expected.map_or(Expected::Absent, Expected::Value);
                let new = Some(value);
                let request = Request::CompareAndSwap { key, expected, new };
                (request, set, Answer::Written)
            }
            18 => {
                let (expected, new) = (Expected::Value(b"never written"), None);
                let request = Request::CompareAndSwap { key, expected, new };
                (request, nothing, Answer::Refused(current))
            }
            19.. => (Request::Get { key }, nothing, Answer::Read(current)),
        };
        self.send(pipeline, &request, &change, answer);
    }

    fn send_batch(&mut self, pipeline: &mut Pipeline<'_>) {
        let count = self.random.usize(1..8);
        let change: Change = (0..count)
            .map(|_| {
                let value = self.random.bool().then(|| self.value());
                (self.key(), value)
            })
            .collect();
        let bytes: Vec<_> = change
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.map(Value::bytes)))
            .collect();
        let operations = bytes.iter().map(|(key, value)| match value {
            Some(value) => BatchOperation::Put { key, value },
            None => BatchOperation::Delete { key },
        });
        let request = Request::Batch {
            operations: operations.collect(),
        };
        self.send(pipeline, &request, &change, Answer::Written);
    }

    fn send(
        &mut self,
        pipeline: &mut Pipeline<'_>,
        request: &Request<'_>,
        change: &Change,
        answer: Answer,
    ) {
        self.ledger.sent(change);
        // What could not be sent any more is known to be not done, but need not be told apart from
        // what may have been: receiving will find the connection lost.
        let _ = pipeline.send(request);
        apply(&mut self.newest, change);
        self.expected.push_back(answer);
    }

    fn take_answer(&mut self, answer: &Response) {
        let value = |bytes: &[u8]| Value::of(bytes);
        let lsn = match (self.expected.pop_front().unwrap(), answer) {
            (Answer::Written, Response::Written { lsn }) => {
                assert!(*lsn > self.last_lsn, "LSN {lsn} after {}", self.last_lsn);
                self.last_lsn = *lsn;
                *lsn
            }
            (Answer::Refused(current), Response::Refused { current: found }) => {
                assert_eq!(found.as_ref().map(|(_, found)| value(found)), current);
                0
            }
            (Answer::Read(Some(current)), Response::Value { value: found, .. }) => {
                assert_eq!(value(found), current);
                0
            }
            (Answer::Read(None), Response::NotFound) => 0,
            other => panic!("{other:?}"),
        };
        self.ledger.done(lsn);
    }

    /// Checks what the daemon has after a restart against the ledger, and takes it as what is.
    fn check(&mut self, client: &mut Client) {
        let mut told = self.ledger.told();
        let options = ScanOptions {
            prefix: self.prefix.clone().into_bytes(),
            ..ScanOptions::default()
        };
        let found: State = client
            .scan(&options)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let key = String::from_utf8(entry.key.to_vec()).unwrap();
                (key, Value::of(&entry.value))
            })
            .collect();
        let mut state = told.acknowledged.clone();
        while found != state {
            match told.ahead.pop_front() {
                Some(change) => apply(&mut state, &change),
                None => panic!("{}", difference(&told.acknowledged, &found)),
            }
        }
        // A key alone must be what the scan says.
        let key = self.key();
        let value = client.get(key.as_bytes()).unwrap();
        assert_eq!(
            value.map(|value| Value::of(&value.value)).as_ref(),
            found.get(&key)
        );
        self.number = self.number.max(told.last_number);
        self.last_lsn = told.last_lsn;
        self.expected.clear();
        self.newest.clone_from(&found);
        self.ledger.restate(&Told {
            acknowledged: found,
            ahead: VecDeque::new(),
            last_lsn: self.last_lsn,
            last_number: self.number,
        });
    }
}

/// The keys that are not as acknowledged, each value by its number.
fn difference(acknowledged: &State, found: &State) -> String {
    let number = |value: Option<&Value>| value.map(|value| value.number);
    let keys = acknowledged.keys().chain(found.keys());
    let differing: BTreeMap<_, _> = keys
        .filter(|key| acknowledged.get(*key) != found.get(*key))
        .map(|key| {
            let (told, found) = (acknowledged.get(key), found.get(key));
            (key, (number(told), number(found)))
        })
        .collect();
    format!("no prefix of what was on its way explains: key (acknowledged, found): {differing:?}")
}

/// A data directory, and the ledgers of all workers elsewhere. Both are kept when a test fails.
struct Place {
    home: Option<Home>,
    ledgers: Option<TempDir>,
}

impl Place {
    fn new(sync: &str) -> Place {
        let home = Home::new(
            "",
            &format!(
                "sync = \"{sync}\"\nsync_interval_ms = 10\nmemtable_size = \"32 KiB\"\n\
                 segment_size = \"48 KiB\"\nmax_sealed_memtables = 1\nmax_tables = 8"
            ),
        );
        let ledgers = elsewhere(home.config().parent().unwrap());
        Place {
            home: Some(home),
            ledgers: Some(ledgers),
        }
    }

    fn home(&self) -> &Home {
        self.home.as_ref().unwrap()
    }

    fn ledgers(&self) -> &Path {
        self.ledgers.as_ref().unwrap().path()
    }

    fn workers(&self, random: &mut Rng) -> Vec<Worker> {
        workers(self.ledgers(), random)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if thread::panicking() {
            let (home, ledgers) = (self.home.take(), self.ledgers.take());
            let home = home.map(Home::keep);
            eprintln!("kept: {home:?}, ledgers {:?}", ledgers.map(TempDir::keep));
        }
    }
}

fn workers(ledgers: &Path, random: &mut Rng) -> Vec<Worker> {
    (0..WORKERS)
        .map(|number| Worker::new(number, ledgers, random.fork()))
        .collect()
}

fn check(workers: &mut [Worker], daemon: &Daemon) {
    for worker in workers {
        worker.check(&mut daemon.client());
    }
}

/// Lets all workers work until so many answers came, and calls `end` in the middle of it.
fn under_load(
    daemon: &mut Daemon,
    workers: &mut [Worker],
    most: u64,
    end: impl FnOnce(&mut Daemon),
) {
    let answered = AtomicU64::new(0);
    let clients: Vec<_> = workers.iter().map(|_| daemon.client()).collect();
    thread::scope(|scope| {
        let working: Vec<_> = workers
            .iter_mut()
            .zip(clients)
            .map(|(worker, mut client)| {
                let answered = &answered;
                scope.spawn(move || worker.work(&mut client, answered))
            })
            .collect();
        // One that has ended before has something to say.
        while answered.load(Ordering::SeqCst) < most
            && !working.iter().any(ScopedJoinHandle::is_finished)
        {
            thread::sleep(Duration::from_micros(200));
        }
        end(daemon);
    });
}

fn rounds() -> u64 {
    std::env::var("ATLASKV_KILL_ROUNDS").map_or(67, |rounds| rounds.parse().unwrap())
}

/// A start after a kill: everything acknowledged is there.
fn start_after_a_kill(home: &Home, workers: &mut [Worker]) -> Daemon {
    let daemon = home.start();
    check(workers, &daemon);
    let figures = stats(&mut daemon.client());
    assert_eq!(figures["recovery.clean_shutdown"], "false");
    assert_eq!(figures["engine.state"], "running");
    daemon
}

fn kill_again_and_again(sync: &str) {
    let mut random = Rng::with_seed(seed());
    let place = Place::new(sync);
    let home = place.home();
    let mut workers = place.workers(&mut random);
    let (mut flushes, mut compactions) = (0, 0);
    let mut daemon = home.start();
    for _ in 0..rounds() {
        let (most, pause) = (random.u64(1..MOST_ANSWERS), random.u64(..3000));
        under_load(&mut daemon, &mut workers, most, |daemon| {
            // Which moment is hit is left to chance; none decides whether the test passes.
            thread::sleep(Duration::from_micros(pause));
            daemon.kill();
        });
        let said = daemon.said();
        flushes += said.matches("flushed ").count();
        compactions += said.matches("compacted ").count();
        if random.u8(..3) == 0 {
            // A recovery that is killed too leaves the same for the next.
            let mut daemon = home.spawn();
            thread::sleep(Duration::from_micros(random.u64(..60_000)));
            daemon.kill();
        }
        daemon = start_after_a_kill(home, &mut workers);
    }
    daemon.admin().compact().unwrap();
    check(&mut workers, &daemon);
    daemon.stop();
    let daemon = home.start();
    check(&mut workers, &daemon);
    assert_eq!(
        stats(&mut daemon.client())["recovery.clean_shutdown"],
        "true"
    );
    let values: u64 = workers.iter().map(|worker| worker.number).sum();
    println!(
        "{sync}: {} kills, {values} values, {flushes} flushes and {compactions} compactions under fire",
        rounds()
    );
    // Otherwise the kills have hit nothing but the log.
    assert!(flushes > 0 && compactions > 0, "{flushes} {compactions}");
}

#[test]
fn every_write() {
    kill_again_and_again("every-write");
}

#[test]
fn interval() {
    kill_again_and_again("interval");
}

#[test]
fn os_default() {
    kill_again_and_again("os-default");
}

/// What a supervisor in a process of its own is told: its daemon's configuration, and where the ledgers are.
const CONFIG: &str = "ATLASKV_KILL_SUPERVISED_CONFIG";
const LEDGERS: &str = "ATLASKV_KILL_SUPERVISED_LEDGERS";

/// A supervisor in a process of its own: this program, running `works_until_it_is_killed`.
struct Supervisor<'a> {
    child: Child,
    place: &'a Place,
}

impl Supervisor<'_> {
    fn start(place: &Place) -> Supervisor<'_> {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::works_until_it_is_killed", "--ignored"])
            .env(CONFIG, place.home().config())
            .env(LEDGERS, place.ledgers())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Supervisor { child, place }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills the daemon that has lost its supervisor, and waits for its end; returns whether it was alive.
    fn kill_daemon(&self) -> bool {
        let Ok(text) = std::fs::read_to_string(self.place.ledgers().join("daemon")) else {
            return false;
        };
        let process = Pid::from_raw(text.parse().unwrap()).unwrap();
        let Ok(handle) = pidfd_open(process, PidfdFlags::empty()) else {
            return false;
        };
        // Its number may be another process's by now; that of the handle cannot become so.
        let command = std::fs::read(format!("/proc/{text}/cmdline")).unwrap_or_default();
        let config = self.place.home().config();
        if !String::from_utf8_lossy(&command).contains(config.to_str().unwrap()) {
            return false;
        }
        let killed = pidfd_send_signal(&handle, Signal::KILL).is_ok();
        poll(&mut [PollFd::new(&handle, PollFlags::IN)], None).unwrap();
        killed
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        self.kill();
        self.kill_daemon();
    }
}

#[test]
#[ignore = "a supervisor to be killed: a_supervisor_that_is_killed_is_followed_up starts it"]
fn works_until_it_is_killed() {
    let (Some(config), Some(ledgers)) = (std::env::var_os(CONFIG), std::env::var_os(LEDGERS))
    else {
        return;
    };
    let (config, ledgers) = (Path::new(&config), Path::new(&ledgers));
    let socket = config.with_file_name("a.sock");
    let mut daemon = Daemon::spawn(&["--config", config.to_str().unwrap()], socket);
    std::fs::write(ledgers.join("daemon"), daemon.process().to_string()).unwrap();
    daemon.wait_until_ready();
    let mut workers = workers(ledgers, &mut Rng::new());
    check(&mut workers, &daemon);
    under_load(&mut daemon, &mut workers, 1_000_000, |_| {
        panic!("nobody kills this supervisor, or its daemon was lost")
    });
}

#[test]
fn a_supervisor_that_is_killed_is_followed_up() {
    let mut random = Rng::with_seed(seed());
    let place = Place::new("interval");
    let ledgers = || (0..WORKERS).map(|number| Ledger::open(place.ledgers(), number));
    let last_lsns = || {
        ledgers()
            .map(|ledger| ledger.told().last_lsn)
            .collect::<Vec<_>>()
    };
    for _ in 0..3 {
        let before = last_lsns();
        let mut supervisor = Supervisor::start(&place);
        wait_until("every worker of the supervisor was answered", || {
            last_lsns()
                .iter()
                .zip(&before)
                .all(|(now, before)| now > before)
        });
        thread::sleep(Duration::from_micros(random.u64(..50_000)));
        supervisor.kill();
        let on_their_way: usize = ledgers().map(|ledger| ledger.told().ahead.len()).sum();
        assert!(
            supervisor.kill_daemon(),
            "the daemon ended with its supervisor"
        );
        println!("{on_their_way} operations were on their way");
        let mut workers = place.workers(&mut random);
        let mut daemon = start_after_a_kill(place.home(), &mut workers);
        under_load(&mut daemon, &mut workers, 500, Daemon::kill);
    }
}
