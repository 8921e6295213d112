//! A worker: one of the few threads that serve all connections. Each has a poll of its own; a connection
//! belongs to one worker until it ends.
//!
//! What must hold:
//! - It waits for nothing but its poll. What a connection has to wait for is done by other threads, the
//!   connection being theirs meanwhile (`aside`), or told by one (`commits`).
//! - Connections have their turns one after another; whoever has more to do goes to the end of the line.
//! - What all connections whose turn it was have written is settled together.
//! - An idle connection costs no time, and no look at a clock.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

use super::accept::timespec;
use super::aside::{Aside, Lane};
use super::commits::Commits;
use super::connection::{Connection, Lent, Next, Readiness};
use super::timers::Timers;
use crate::storage::Lsn;

/// Events that one look at the poll brings.
const EVENTS: usize = 256;
/// The number of the worker's own wake-up in its poll.
const WAKE: u64 = u64::MAX;
/// How long a worker rests whose poll fails.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a worker is told what others have for it.
#[derive(Debug)]
pub(super) struct Desk {
    wake: OwnedFd,
    /// Whether it was woken and has not looked yet: once is enough.
    woken: AtomicBool,
    mail: Mutex<Vec<Mail>>,
    /// Connections that are its own, those in the mail too.
    connections: AtomicUsize,
    stopping: AtomicBool,
}

enum Mail {
    /// A connection that was accepted.
    Accepted(Box<Connection>),
    /// A connection that was aside, by its number.
    Back(usize, Box<Connection>),
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Mail")
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Vec<Mail>> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of its connections.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Makes the worker look at what is new.
    #[expect(
        clippy::host_endian_bytes,
        reason = "the kernel reads a number of its own"
    )]
    pub(super) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // Fails only when a worker has not looked for 2^64 times.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Gives it a connection.
    pub(super) fn accept(&self, connection: Connection) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.lock().push(Mail::Accepted(Box::new(connection)));
        self.wake();
    }

    /// Lets the worker end when its last connection has.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    fn back(&self, number: usize, connection: Box<Connection>) {
        self.lock().push(Mail::Back(number, connection));
        self.wake();
    }
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Its socket.
    Idle,
    /// Its turn.
    InLine,
    /// Its writes.
    Settling,
    /// What another thread does with it.
    Aside,
}

struct Slot {
    /// `None`: it is aside.
    connection: Option<Box<Connection>>,
    place: Place,
    /// What the poll has said while it was aside.
    ready: Readiness,
    /// What its timer is set to.
    timer: Option<Instant>,
}

/// A thread's connections.
pub(super) struct Worker {
    desk: Arc<Desk>,
    aside: Arc<Aside>,
    commits: Arc<Commits>,
    poll: OwnedFd,
    /// Connections by their number; `None`: the number is free.
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    line: VecDeque<usize>,
    /// Connections whose writes wait, in the order in which they were written.
    settling: VecDeque<(Lsn, usize)>,
    /// The last write that is to be settled and was not asked for yet.
    unasked: Option<Lsn>,
    timers: Timers,
    lent: Lent,
    now: Instant,
}

impl Worker {
    /// Starts a worker.
    ///
    /// # Errors
    /// What the operating system says when its poll or its thread cannot be made.
    pub(super) fn start(aside: &Arc<Aside>, commits: &Arc<Commits>) -> io::Result<Arc<Desk>> {
        let desk = Arc::new(Desk {
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            woken: AtomicBool::new(false),
            mail: Mutex::default(),
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        // Each write is told anew: it need not be read.
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&poll, &desk.wake, EventData::new_u64(WAKE), flags)?;
        let worker = Worker {
            desk: Arc::clone(&desk),
            aside: Arc::clone(aside),
            commits: Arc::clone(commits),
            poll,
            slots: Vec::new(),
            free: Vec::new(),
            line: VecDeque::new(),
            settling: VecDeque::new(),
            unasked: None,
            timers: Timers::default(),
            lent: Lent::default(),
            now: Instant::now(),
        };
        let thread = thread::Builder::new().name("worker".to_owned());
        thread.spawn(move || worker.run())?;
        Ok(desk)
    }

    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            if let Err(error) = self.wait(&mut events) {
                log::error!("a worker cannot wait for its connections: {error}");
                thread::sleep(PAUSE);
            }
            self.now = Instant::now();
            for event in events.drain(..) {
                self.note(event);
            }
            if self.desk.woken.swap(false, Ordering::AcqRel) && !self.look_at_desk() {
                return;
            }
            for _ in 0..self.line.len() {
                if let Some(number) = self.line.pop_front() {
                    self.turn(number);
                }
            }
            if let Some(lsn) = self.unasked.take() {
                self.commits.ask(lsn, &self.desk);
            }
            self.time_out();
        }
    }

    /// Waits for events, unless a connection waits for its turn.
    fn wait(&self, events: &mut Vec<Event>) -> io::Result<()> {
        let timeout = if self.line.is_empty() {
            let next = self.timers.next();
            next.map(|next| timespec(next.saturating_duration_since(Instant::now())))
        } else {
            Some(Timespec::default())
        };
        match epoll::wait(&self.poll, spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes in what the poll says of a connection.
    fn note(&mut self, event: Event) {
        let (flags, number) = (event.flags, event.data.u64());
        let slot = usize::try_from(number).ok().and_then(|number| {
            let slot = self.slots.get_mut(number)?.as_mut()?;
            Some((number, slot))
        });
        // The wake-up has no slot, and what has ended in this round none any more.
        let Some((number, slot)) = slot else {
            return;
        };
        let hung_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let ready = Readiness {
            readable: hung_up || flags.contains(EventFlags::IN),
            writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
            hung_up,
        };
        let Some(connection) = &mut slot.connection else {
            slot.ready.add(ready);
            return;
        };
        connection.ready.add(ready);
        if slot.place == Place::Idle && connection.is_ready() {
            slot.place = Place::InLine;
            self.line.push_back(number);
        }
    }

    /// Takes what others have put there, and lets those go on whose writes are settled; `false`: there is
    /// nothing more to do, ever.
    fn look_at_desk(&mut self) -> bool {
        // Read before the mail: nothing is accepted after it.
        let stopping = self.desk.stopping.load(Ordering::Acquire);
        let mail = mem::take(&mut *self.desk.lock());
        for mail in mail {
            match mail {
                Mail::Accepted(connection) => self.enter(connection),
                Mail::Back(number, connection) => self.take_back(number, connection),
            }
        }
        while let Some((lsn, number)) = self.settling.front().copied() {
            let slot = self.slots.get_mut(number).and_then(Option::as_mut);
            let connection = slot.as_ref().and_then(|slot| slot.connection.as_ref());
            if connection.is_some_and(|connection| connection.is_settling()) {
                // Asked for before; but were the policy changed twice meanwhile, nobody would tell.
                self.unasked = self.unasked.max(Some(lsn));
                break;
            }
            self.settling.pop_front();
            self.put_in_line(number);
        }
        !stopping || self.desk.connections() > 0
    }

    fn enter(&mut self, connection: Box<Connection>) {
        let number = self.free.pop().unwrap_or(self.slots.len());
        let data = EventData::new_u64(u64::try_from(number).unwrap_or(WAKE));
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if let Err(error) = epoll::add(&self.poll, connection.stream(), data, flags) {
            log::warn!("a connection cannot be served: {error}");
            self.free.push(number);
            self.desk.connections.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let slot = Slot {
            connection: Some(connection),
            place: Place::Idle,
            ready: Readiness::default(),
            timer: None,
        };
        match self.slots.get_mut(number) {
            Some(free) => *free = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        self.set_timer(number);
        let is_set = |when, number: usize| {
            let slot = self.slots.get(number).and_then(Option::as_ref);
            slot.is_some_and(|slot| slot.timer == Some(when))
        };
        self.timers.tidy(self.slots.len(), is_set);
    }

    fn take_back(&mut self, number: usize, mut connection: Box<Connection>) {
        if let Some(slot) = self.slots.get_mut(number).and_then(Option::as_mut) {
            connection.ready.add(mem::take(&mut slot.ready));
            slot.connection = Some(connection);
            self.put_in_line(number);
        }
    }

    fn put_in_line(&mut self, number: usize) {
        if let Some(slot) = self.slots.get_mut(number).and_then(Option::as_mut) {
            slot.place = Place::InLine;
            self.line.push_back(number);
        }
    }

    /// Gives a connection its turn.
    fn turn(&mut self, number: usize) {
        let slot = self.slots.get_mut(number).and_then(Option::as_mut);
        let Some(slot) = slot.filter(|slot| slot.place == Place::InLine) else {
            return;
        };
        let Some(connection) = &mut slot.connection else {
            return;
        };
        let next = connection.turn(self.now, &mut self.lent);
        self.go_on(number, next);
    }

    fn go_on(&mut self, number: usize, next: Next) {
        let Some(slot) = self.slots.get_mut(number).and_then(Option::as_mut) else {
            return;
        };
        match next {
            Next::Wait => {
                slot.place = Place::Idle;
                self.set_timer(number);
            }
            Next::Turn => self.put_in_line(number),
            Next::Settle(lsn) => {
                slot.place = Place::Settling;
                self.settling.push_back((lsn, number));
                self.unasked = self.unasked.max(Some(lsn));
            }
            Next::Aside(lane) => {
                slot.place = Place::Aside;
                if let Some(connection) = slot.connection.take() {
                    self.set_aside(lane, number, connection);
                }
            }
            Next::End => self.end(number),
        }
    }

    fn set_aside(&self, lane: Lane, number: usize, mut connection: Box<Connection>) {
        let desk = Arc::clone(&self.desk);
        self.aside.execute(lane, move || {
            connection.go_aside();
            desk.back(number, connection);
        });
    }

    fn end(&mut self, number: usize) {
        if let Some(slot) = self.slots.get_mut(number) {
            *slot = None;
            self.free.push(number);
            self.desk.connections.fetch_sub(1, Ordering::Relaxed);
            // Perhaps it was the last that a stop waits for.
            if self.desk.stopping.load(Ordering::Acquire) {
                self.desk.wake();
            }
        }
    }

    fn set_timer(&mut self, number: usize) {
        if let Some(slot) = self.slots.get_mut(number).and_then(Option::as_mut)
            && let Some(connection) = &slot.connection
        {
            let until = connection.until();
            self.timers.set(number, &mut slot.timer, until);
        }
    }

    /// Ends the patience with those whose time is over.
    fn time_out(&mut self) {
        while let Some((when, number)) = self.timers.due(self.now) {
            let Some(slot) = self.slots.get_mut(number).and_then(Option::as_mut) else {
                continue;
            };
            if slot.timer != Some(when) {
                continue;
            }
            slot.timer = None;
            let Some(connection) = &mut slot.connection else {
                continue;
            };
            if slot.place != Place::Idle {
                continue;
            }
            if connection.until().is_none_or(|until| until > self.now) {
                self.set_timer(number);
            } else {
                match connection.time_out() {
                    Some(next) => self.go_on(number, next),
                    None => self.put_in_line(number),
                }
            }
        }
    }
}
