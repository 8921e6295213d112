//! The load: a few threads, each of which drives many connections and serves whichever is ready.
//!
//! Without a rate every connection has as many requests in flight as the pipeline is deep, and a latency is
//! counted from the sending. With a rate, requests have times at which they are to be sent, whether the server
//! keeps up or not, and a latency is counted from that time: a server that stalls is charged with every request
//! that had to wait, not with the one that was under way ("coordinated omission", Tene 2013).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::connection::{Connection, Due, Endpoint};
use super::dialect::{Answer, Dialect, Operation};
use super::figures::Figures;
use super::workload::{Chooser, Data, Kind, Workload};
use crate::protocol::Token;
use crate::storage::disk::count;

/// Events that are taken at once.
const MOST_EVENTS: usize = 256;
/// A thread looks up at least so often, to see whether the run is to end.
const LOOK: Duration = Duration::from_millis(100);
/// How often the one who watches is told how far it is.
const TICK: Duration = Duration::from_millis(250);

/// How a server is loaded.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) endpoint: Endpoint,
    pub(super) dialect: Dialect,
    pub(super) token: Option<Token>,
    pub(super) connections: usize,
    pub(super) threads: usize,
    /// Requests in flight on a connection.
    pub(super) pipeline: usize,
    /// Requests in a second, of all connections; `None`: as many as are answered.
    pub(super) rate: Option<u64>,
    /// How long an answer is waited for.
    pub(super) timeout: Duration,
}

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) operations: Option<u64>,
    pub(super) duration: Option<Duration>,
}

/// What is asked, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub(super) workload: Workload,
    pub(super) data: Data,
    pub(super) limit: Limit,
}

/// What the threads of a run share.
#[derive(Debug)]
struct Shared {
    began: Instant,
    limit: Limit,
    /// The number of the next operation.
    next: AtomicU64,
    answered: AtomicU64,
    /// Whether nothing more is to be asked.
    ends: AtomicBool,
}

/// Connects; in words why it cannot.
pub(super) fn connect(load: &Load) -> Result<Vec<Connection>, String> {
    let open = |place: usize| {
        let opened = Connection::open(&load.endpoint, load.dialect, load.token.as_ref());
        let mut connection = opened.map_err(|error| {
            format!("connection {} of {}: {error}", place + 1, load.connections)
        })?;
        connection.writes = place == 0;
        Ok(connection)
    };
    (0..load.connections).map(open).collect()
}

/// Runs a task to its limit, and leaves the connections for the next. `told` learns now and then how many
/// operations were answered, and says whether to go on.
pub(super) fn run(
    load: &Load,
    task: Task,
    connections: &mut Vec<Connection>,
    told: &mut dyn FnMut(u64) -> bool,
) -> Result<Figures, String> {
    let shared = Shared {
        began: Instant::now(),
        limit: task.limit,
        next: AtomicU64::new(0),
        answered: AtomicU64::new(0),
        ends: AtomicBool::new(false),
    };
    let (ended, ends) = channel();
    std::thread::scope(|scope| {
        let hands = dealt(std::mem::take(connections), load.threads);
        for (thread, hand) in hands.into_iter().enumerate() {
            let (ended, shared) = (ended.clone(), &shared);
            scope.spawn(move || {
                let driver = Driver::new(load, task, shared, hand, thread);
                let part = driver.and_then(Driver::run);
                // What one thread cannot go on with the others do not go on with either.
                if part.is_err() {
                    shared.ends.store(true, Ordering::Relaxed);
                }
                // Whoever watches has gone only after a panic.
                let _ = ended.send(part);
            });
        }
        drop(ended);
        watch(&ends, &shared, connections, told)
    })
}

/// What a thread leaves: what it found, and its connections.
type Part = Result<(Figures, Vec<Connection>), String>;

/// Waits for all threads, adds up what they found and collects the connections.
fn watch(
    ends: &Receiver<Part>,
    shared: &Shared,
    connections: &mut Vec<Connection>,
    told: &mut dyn FnMut(u64) -> bool,
) -> Result<Figures, String> {
    let mut whole = Ok(Figures::default());
    loop {
        match ends.recv_timeout(TICK) {
            Ok(Ok((part, hand))) => {
                connections.extend(hand);
                if let Ok(whole) = &mut whole {
                    whole.add(&part);
                }
            }
            Ok(Err(why)) => whole = whole.and(Err(why)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return whole,
        }
        if !told(shared.answered.load(Ordering::Relaxed)) {
            shared.ends.store(true, Ordering::Relaxed);
        }
    }
}

/// Deals connections out to so many threads.
fn dealt(connections: Vec<Connection>, threads: usize) -> Vec<Vec<Connection>> {
    let mut hands: Vec<Vec<Connection>> = Vec::new();
    hands.resize_with(threads.clamp(1, connections.len().max(1)), Vec::new);
    for (place, connection) in connections.into_iter().enumerate() {
        let hand = place % hands.len();
        if let Some(hand) = hands.get_mut(hand) {
            hand.push(connection);
        }
    }
    hands
}

/// One thread of a run.
struct Driver<'a> {
    workload: Workload,
    pipeline: usize,
    timeout: Duration,
    /// From one request to the next of this thread, with a rate.
    gap: Option<Duration>,
    shared: &'a Shared,
    chooser: Chooser,
    poll: OwnedFd,
    connections: Vec<Connection>,
    in_flight: usize,
    /// When the next request is to be sent, with a rate.
    due: Instant,
    /// The connection to look at first for room.
    turn: usize,
    /// Whether nothing more is asked.
    spent: bool,
    last_answer: Instant,
    figures: Figures,
    /// Scans to close: the connection and the scan.
    open_scans: Vec<(usize, u64)>,
}

impl<'a> Driver<'a> {
    fn new(
        load: &Load,
        task: Task,
        shared: &'a Shared,
        connections: Vec<Connection>,
        thread: usize,
    ) -> Result<Driver<'a>, String> {
        let poll = epoll::create(CreateFlags::CLOEXEC).map_err(not_polled)?;
        for (place, connection) in connections.iter().enumerate() {
            let data = EventData::new_u64(count(place));
            epoll::add(&poll, connection, data, EventFlags::IN).map_err(not_polled)?;
        }
        let threads = count(load.threads.clamp(1, load.connections.max(1)));
        let gap = load.rate.map(|rate| {
            let nanoseconds = 1_000_000_000_u64.saturating_mul(threads) / rate.max(1);
            Duration::from_nanos(nanoseconds.max(1))
        });
        // The threads' requests fall between one another.
        let part = u32::try_from(threads).unwrap_or(u32::MAX);
        let place = u32::try_from(thread).unwrap_or(u32::MAX);
        let offset = gap.unwrap_or_default() / part * place;
        Ok(Driver {
            workload: task.workload,
            pipeline: load.pipeline,
            timeout: load.timeout,
            gap,
            shared,
            chooser: Chooser::new(task.data, count(thread)),
            poll,
            in_flight: connections.iter().map(Connection::in_flight).sum(),
            connections,
            due: shared.began + offset,
            turn: 0,
            spent: false,
            last_answer: shared.began,
            figures: Figures::default(),
            open_scans: Vec::new(),
        })
    }

    fn run(mut self) -> Part {
        for place in 0..self.connections.len() {
            self.fill(place)?;
            self.send(place)?;
        }
        let mut events: Vec<Event> = Vec::with_capacity(MOST_EVENTS);
        while !(self.spent && self.in_flight == 0) {
            self.pace()?;
            let patience = self.patience();
            match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&patience)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(not_polled(errno)),
            }
            for event in events.drain(..) {
                let place = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                self.serve(place, event.flags)?;
            }
            self.look_at_the_clock()?;
        }
        self.figures.took = self.last_answer - self.shared.began;
        Ok((self.figures, self.connections))
    }

    fn look_at_the_clock(&mut self) -> Result<(), String> {
        let now = Instant::now();
        if self.in_flight > 0 && now - self.last_answer > self.timeout {
            let waited = self.timeout.as_secs();
            return Err(format!("no answer for {waited} s"));
        }
        self.spent = self.spent || self.is_over(now);
        Ok(())
    }

    fn is_over(&self, now: Instant) -> bool {
        let limit = self.shared.limit.duration;
        self.shared.ends.load(Ordering::Relaxed)
            || limit.is_some_and(|limit| now - self.shared.began >= limit)
    }

    /// The number of the next operation, if there is to be one.
    fn next_number(&mut self, now: Instant) -> Option<u64> {
        if self.spent || self.is_over(now) {
            self.spent = true;
            return None;
        }
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let limit = self.shared.limit.operations;
        self.spent = limit.is_some_and(|limit| number >= limit);
        (!self.spent).then_some(number)
    }

    /// Takes what has come on a connection, and asks for more.
    fn serve(&mut self, place: usize, flags: EventFlags) -> Result<(), String> {
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.receive(place)?;
            self.fill(place)?;
        }
        self.send(place)
    }

    fn receive(&mut self, place: usize) -> Result<(), String> {
        let Some(connection) = self.connections.get_mut(place) else {
            return Ok(());
        };
        let now = Instant::now();
        let (mut answers, mut refused) = (0_usize, None);
        let (figures, scans) = (&mut self.figures, &mut self.open_scans);
        let mut note = |due: Due, answer: Answer| {
            answers += 1;
            if let Answer::Entries(_, Some(scan)) = answer {
                scans.push((place, scan));
            }
            match (due.kind, answer) {
                (Some(kind), answer) => {
                    figures.note(kind, now.saturating_duration_since(due.intended), answer);
                }
                (None, Answer::Refused(name)) => refused = Some(name),
                (None, _) => {}
            }
        };
        connection.receive(&mut note)?;
        if let Some(name) = refused {
            return Err(format!("the server refused to begin: {name}"));
        }
        self.in_flight = self.in_flight.saturating_sub(answers);
        if answers > 0 {
            self.last_answer = now;
            self.shared
                .answered
                .fetch_add(count(answers), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Without a rate: asks until the pipeline of a connection is full. Scans that have more are closed.
    fn fill(&mut self, place: usize) -> Result<(), String> {
        while let Some((place, scan)) = self.open_scans.pop() {
            self.ask(place, None, Instant::now(), |_| Operation::CloseScan {
                scan,
            })?;
        }
        if self.gap.is_some() {
            return Ok(());
        }
        while self.has_room(place) {
            let now = Instant::now();
            let Some(number) = self.next_number(now) else {
                break;
            };
            self.give(place, number, now)?;
        }
        Ok(())
    }

    fn has_room(&self, place: usize) -> bool {
        let connection = self.connections.get(place);
        connection.is_some_and(|connection| connection.in_flight() < self.pipeline)
    }

    /// With a rate: asks for all whose time has come, as far as there is room for them.
    fn pace(&mut self) -> Result<(), String> {
        let Some(gap) = self.gap else {
            return Ok(());
        };
        let now = Instant::now();
        while self.due <= now {
            let all = self.connections.len();
            let free = (0..all).map(|step| (self.turn + step) % all);
            let Some(place) = { free }.find(|place| self.has_room(*place)) else {
                break;
            };
            let Some(number) = self.next_number(now) else {
                break;
            };
            self.turn = place + 1;
            self.give(place, number, self.due)?;
            self.send(place)?;
            self.due += gap;
        }
        Ok(())
    }

    /// How long to wait for an event.
    fn patience(&self) -> Timespec {
        let until_due = self.due.saturating_duration_since(Instant::now());
        let is_waited_for = self.gap.is_some() && !until_due.is_zero();
        let patience = if is_waited_for {
            until_due.min(LOOK)
        } else {
            LOOK
        };
        Timespec {
            tv_sec: 0,
            tv_nsec: patience.subsec_nanos().into(),
        }
    }

    fn give(&mut self, place: usize, number: u64, intended: Instant) -> Result<(), String> {
        let writes = self
            .connections
            .get(place)
            .is_some_and(|connection| connection.writes);
        let workload = self.workload;
        let kind = workload.kind(&mut self.chooser, writes);
        self.ask(place, Some(kind), intended, |chooser| {
            chooser.operation(workload, kind, number)
        })
    }

    fn ask(
        &mut self,
        place: usize,
        kind: Option<Kind>,
        intended: Instant,
        operation: impl FnOnce(&mut Chooser) -> Operation<'_>,
    ) -> Result<(), String> {
        if let Some(connection) = self.connections.get_mut(place) {
            connection.ask(kind, intended, operation(&mut self.chooser))?;
            self.in_flight += 1;
        }
        Ok(())
    }

    /// Sends what waits, and asks to be told when there is room for the rest.
    fn send(&mut self, place: usize) -> Result<(), String> {
        let Some(connection) = self.connections.get_mut(place) else {
            return Ok(());
        };
        let is_gone = connection.send()?;
        if is_gone && !connection.waits_for_room {
            return Ok(());
        }
        connection.waits_for_room = !is_gone;
        let wanted = if is_gone {
            EventFlags::IN
        } else {
            EventFlags::IN | EventFlags::OUT
        };
        let data = EventData::new_u64(count(place));
        epoll::modify(&self.poll, &*connection, data, wanted).map_err(not_polled)
    }
}

/// Why the sockets cannot be waited for.
fn not_polled(errno: Errno) -> String {
    format!("epoll: {}", io::Error::from(errno))
}
