//! One connection: receive, handle every request that is there, send the answers together. It waits for
//! nothing: each turn does what can be done now, and says what comes next.
//!
//! What must hold:
//! - Answers have the order of their requests.
//! - A request has a deadline from its first byte to its last, answers have one until they are sent:
//!   bytes that come drop by drop do not extend them.
//! - A request larger than the free bytes reserves its length before memory is taken. When there is no
//!   room in time it is passed over and answered as busy; the connection goes on.
//! - A connection that must present a token and has not takes neither much memory nor much time.
//! - Where the place of the next frame is not known any more, the error is the last answer.
//! - While something of it waits to be settled, done aside or sent, it reads nothing more; and a turn ends
//!   after so many requests or bytes of answers, however much is there: others have their turn too.
//! - One that is idle has no buffers.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::aside::Lane;
use super::auth::{AUTHENTICATION_TIME, Access, MAX_EARLY_FRAME};
use super::budget::Reservation;
use super::dispatch::{self, Handled, Patience, Session};
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::registry::Registered;
use super::stream::{Plane, Stream};
use super::{Settings, Shared};
use crate::protocol::{CONNECTION_ID, ErrorCode, HEADER_SIZE, frame};
use crate::storage::Lsn;
use crate::storage::disk::count;

/// How long a connection that the server ends is kept for the peer to read the last answer: closing it
/// with unread bytes would reset it, and the answer be lost.
const LINGER: Duration = Duration::from_secs(1);
/// Requests of a turn.
const TURN: usize = 1024;
/// Reads of bytes to be dropped in a turn.
const DROPS: usize = 16;

/// What a connection's turn ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait until the socket is ready, or time is over.
    Wait,
    /// Another turn, when the others had theirs.
    Turn,
    /// Wait until so much is settled.
    Settle(Lsn),
    /// Call [`Connection::go_aside`] in a thread of this lane.
    Aside(Lane),
    /// It has ended.
    End,
}

/// How far a connection is.
#[derive(Debug)]
enum Stage {
    /// Requests are handled.
    Open,
    /// Bytes of a request for which there was no memory are dropped as they come.
    PassingOver(PassedOver),
    /// The last answer is on its way.
    Leaving,
    /// Everything was sent: what still comes is dropped until the peer has closed, or its time is over.
    Lingering { until: Instant },
}

#[derive(Debug)]
struct PassedOver {
    left: usize,
    until: Instant,
    request_id: u32,
    message: String,
}

/// What the poll has said of a socket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer has ended writing, or all: reads are to go on to the end, even after a short one.
    pub(super) hung_up: bool,
}

impl Readiness {
    pub(super) fn add(&mut self, other: Readiness) {
        self.readable |= other.readable;
        self.writable |= other.writable;
        self.hung_up |= other.hung_up;
    }
}

/// Buffers that a worker lends to the connection whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Lent {
    inboxes: Vec<Vec<u8>>,
    outboxes: Vec<Vec<u8>>,
}

/// A live connection.
pub(super) struct Connection {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    stream: Arc<Stream>,
    pub(super) ready: Readiness,
    stage: Stage,
    inbox: Inbox,
    outbox: Outbox,
    session: Session,
    /// What the request at the head of the inbox holds, when it is large.
    reservation: Reservation,
    /// When a connection that must present a token must have done so.
    authenticate_by: Instant,
    /// When the request at the head of the inbox must be complete.
    deadline: Option<Instant>,
    /// When the answers that the socket did not take at once must be sent.
    send_by: Option<Instant>,
    /// Since when nothing is asked.
    quiet_since: Instant,
    /// Bytes that were received before the server stopped and are still to be read.
    left_when_stopping: Option<u64>,
    _registered: Registered,
}

impl Connection {
    pub(super) fn new(
        shared: &Arc<Shared>,
        stream: &Arc<Stream>,
        registered: Registered,
    ) -> Connection {
        let settings = shared.settings();
        let now = Instant::now();
        Connection {
            stream: Arc::clone(stream),
            // Until the socket says otherwise.
            ready: Readiness {
                writable: true,
                ..Readiness::default()
            },
            stage: Stage::Open,
            inbox: Inbox::new(),
            outbox: Outbox::new(&shared.budget, settings.limits.max_frame_size),
            session: Session::new(shared, &settings, stream.plane, stream.peer()),
            authenticate_by: now + early(settings.read_timeout),
            reservation: Reservation::none(&shared.budget),
            shared: Arc::clone(shared),
            settings,
            deadline: None,
            send_by: None,
            quiet_since: now,
            left_when_stopping: None,
            _registered: registered,
        }
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Whether a turn would find something to do.
    pub(super) fn is_ready(&self) -> bool {
        if self.is_blocked() {
            self.ready.writable
        } else {
            self.ready.readable
        }
    }

    /// Whether its writes wait to be settled still.
    pub(super) fn is_settling(&self) -> bool {
        self.session.is_settling()
    }

    /// Whether answers wait for the socket to take them.
    fn is_blocked(&self) -> bool {
        self.send_by.is_some()
    }

    /// Does what can be done without waiting.
    pub(super) fn turn(&mut self, now: Instant, lent: &mut Lent) -> Next {
        self.inbox.borrow(&mut lent.inboxes);
        self.outbox.borrow(&mut lent.outboxes);
        self.session.try_settle(&mut self.outbox);
        let next = self.go_on(now).unwrap_or_else(|error| {
            log::debug!("a connection was lost: {error}");
            Next::End
        });
        let next = match next {
            // An administrator waits among administrators, whatever for.
            Next::Aside(_) if self.stream.plane == Plane::Admin => Next::Aside(Lane::Admin),
            next => next,
        };
        self.inbox.give_back(&mut lent.inboxes);
        self.outbox.give_back(&mut lent.outboxes);
        next
    }

    fn go_on(&mut self, now: Instant) -> io::Result<Next> {
        let mut requests = 0;
        loop {
            // Answers that wait for a sync take along those before them.
            let waits = self.session.waits_for().is_some();
            let holds_back = waits && !self.outbox.is_full() && !self.is_blocked();
            if !holds_back && !self.send(now)? {
                return Ok(Next::Wait);
            }
            let next = match &self.stage {
                Stage::Open => self.serve(now, &mut requests)?,
                Stage::PassingOver(_) => self.pass_over()?,
                Stage::Leaving => {
                    self.stream.end_writing();
                    let until = now + LINGER;
                    self.stage = Stage::Lingering { until };
                    None
                }
                // However much the peer still sends.
                Stage::Lingering { until } if now >= *until => Some(Next::End),
                Stage::Lingering { .. } => self.linger(),
            };
            if let Some(next) = next {
                return Ok(next);
            }
        }
    }

    /// Sends every answer that there is; whether all are sent.
    fn send(&mut self, now: Instant) -> io::Result<bool> {
        if self.outbox.is_empty() {
            return Ok(true);
        }
        self.count_handled();
        while self.ready.writable {
            match self.stream.send(self.outbox.bytes())? {
                Some(count) => self.outbox.sent(count),
                None => self.ready.writable = false,
            }
            if self.outbox.is_empty() {
                self.send_by = None;
                self.quiet_since = now;
                return Ok(true);
            }
        }
        let limit = match self.session.access() {
            Access::Granted => self.settings.write_timeout,
            _ => early(self.settings.write_timeout),
        };
        self.send_by.get_or_insert(now + limit);
        Ok(false)
    }

    fn count_handled(&mut self) {
        let counters = &self.shared.registry.counters;
        let (handled, errors) = (self.session.take_handled(), self.outbox.take_errors());
        if handled > 0 {
            counters.requests.fetch_add(handled, Ordering::Relaxed);
        }
        if errors > 0 {
            counters.errors.fetch_add(errors, Ordering::Relaxed);
        }
    }

    /// Handles every request that is there in full, and receives more when none is left. `None`: go on.
    fn serve(&mut self, now: Instant, requests: &mut usize) -> io::Result<Option<Next>> {
        // Its timer fires only when it is idle, and without the token it need not ever be.
        if self.session.access() != Access::Granted && now >= self.authenticate_by {
            return Ok(self.time_out());
        }
        match self.handle_received(requests) {
            Some(Handled::Settle) => return Ok(self.session.waits_for().map(Next::Settle)),
            // What was gathered may hold memory, which nobody should who waits for some.
            Some(Handled::Aside(lane)) => {
                let next = self.send(now)?.then_some(Next::Aside(lane));
                return Ok(Some(next.unwrap_or(Next::Wait)));
            }
            Some(Handled::Done) => return Ok(None),
            None => {}
        }
        if let Some(lsn) = self.session.waits_for() {
            return Ok(Some(Next::Settle(lsn)));
        }
        if !self.outbox.is_empty() {
            return Ok(None);
        }
        if *requests >= TURN {
            return Ok(Some(Next::Turn));
        }
        self.receive(now)
    }

    /// Handles requests. `None`: no whole one is left, or the turn is over; `Done`: what was gathered is
    /// to be sent before more is.
    fn handle_received(&mut self, requests: &mut usize) -> Option<Handled> {
        while *requests < TURN {
            match frame::decode(self.inbox.received(), self.frame_limit()) {
                Ok(Some((frame, used))) => {
                    let outbox = &mut self.outbox;
                    match self.session.handle(&frame, outbox, Patience::None) {
                        Handled::Done => self.handled(used),
                        waits => return Some(waits),
                    }
                    *requests += 1;
                }
                Ok(None) => return None,
                Err(_) if self.session.waits_for().is_some() => return Some(Handled::Settle),
                Err(error) => {
                    let advice = match self.session.access() {
                        Access::Granted => "",
                        _ => "; the server wants a token first, in hello",
                    };
                    self.tell(error.code(), &format!("{error}{advice}"));
                    return Some(Handled::Done);
                }
            }
            if self.session.access() == Access::Lost {
                self.leave();
                return Some(Handled::Done);
            }
            if self.outbox.is_full() {
                *requests = TURN;
                return Some(Handled::Done);
            }
        }
        None
    }

    /// The request at the head, of `length` bytes, is done.
    fn handled(&mut self, length: usize) {
        self.inbox.handled(length);
        self.reservation.release();
        self.deadline = None;
    }

    /// Does what the request at the head has to wait for, in a thread that may.
    pub(super) fn go_aside(&mut self) {
        match frame::decode(self.inbox.received(), self.frame_limit()) {
            Ok(Some((frame, used))) => {
                let outbox = &mut self.outbox;
                if self.session.handle(&frame, outbox, Patience::Some) == Handled::Done {
                    self.handled(used);
                }
            }
            Ok(None) => {
                self.make_room(Instant::now(), Patience::Some);
            }
            // The next turn tells.
            Err(_) => {}
        }
    }

    /// Receives more bytes of the request at the head, or the first of the next. `None`: go on.
    fn receive(&mut self, now: Instant) -> io::Result<Option<Next>> {
        if !self.make_room(now, Patience::None) {
            return Ok(Some(Next::Aside(Lane::Memory)));
        }
        if !matches!(self.stage, Stage::Open) {
            return Ok(None);
        }
        let left = still_to_read(&self.shared, &self.stream, &mut self.left_when_stopping);
        if left == Some(0) {
            return Ok(self.stop());
        }
        if !self.ready.readable {
            if !self.inbox.is_empty() {
                self.head_deadline(now);
            }
            return Ok(Some(Next::Wait));
        }
        let room = self.inbox.room();
        let length = left.map_or(usize::MAX, |left| {
            usize::try_from(left).unwrap_or(usize::MAX)
        });
        let length = length.min(room.len());
        let room = room.get_mut(..length).unwrap_or_default();
        match self.stream.receive(room)? {
            None => self.ready.readable = false,
            Some(0) if self.shared.registry.is_stopping() => return Ok(self.stop()),
            Some(0) => return Ok(Some(Next::End)),
            Some(received) => {
                // A short read has emptied the socket, and what comes later is told anew.
                self.ready.readable = received == length || self.ready.hung_up;
                self.inbox.filled(received);
                if let Some(left) = &mut self.left_when_stopping {
                    *left = left.saturating_sub(count(received));
                }
            }
        }
        Ok(None)
    }

    /// Everything received was answered, and the server stops.
    fn stop(&mut self) -> Option<Next> {
        self.tell(ErrorCode::ShuttingDown, "the server is stopping");
        None
    }

    /// The largest frame, by its length field: without the token memory is not to be had.
    fn frame_limit(&self) -> u32 {
        let limit = self.settings.limits.max_frame_size;
        match self.session.access() {
            Access::Granted => limit,
            _ => limit.min(MAX_EARLY_FRAME),
        }
    }

    /// The deadline of the request at the head, from when its first byte was seen.
    fn head_deadline(&mut self, now: Instant) -> Instant {
        *self
            .deadline
            .get_or_insert(now + self.settings.read_timeout)
    }

    /// Lets the inbox hold the request at its head, when it is large: reserves its bytes, or begins to
    /// pass it over. `false`: it would have to wait for them.
    fn make_room(&mut self, now: Instant, patience: Patience) -> bool {
        let limit = self.frame_limit();
        let received = self.inbox.received();
        // Errors were found when it was decoded; without its whole header it cannot be answered.
        let Ok(Some(length)) = frame::peek_length(received, limit) else {
            return true;
        };
        if received.len() < HEADER_SIZE || self.inbox.may_hold(length) {
            return true;
        }
        // The byte behind length and version.
        let code = received.get(5).copied().unwrap_or(0);
        let lists = dispatch::list_bytes(code, length, &self.settings.limits);
        let bytes = count(length).saturating_add(lists);
        let deadline = self.head_deadline(now);
        let raised = match patience {
            Patience::None => self.reservation.try_raise(bytes),
            Patience::Some => self.reservation.raise(bytes, deadline),
        };
        match raised {
            Ok(()) => {
                self.inbox.allow(length);
                // The peer is not to blame for the wait: its time begins now.
                self.deadline = None;
            }
            Err(_) if patience == Patience::None => return false,
            Err(busy) => self.begin_to_pass_over(length, busy.to_string()),
        }
        true
    }

    fn begin_to_pass_over(&mut self, length: usize, message: String) {
        let received = self.inbox.received();
        let request_id = match received.get(HEADER_SIZE - 4..HEADER_SIZE) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => CONNECTION_ID,
        };
        self.stage = Stage::PassingOver(PassedOver {
            left: length.saturating_sub(received.len()),
            until: Instant::now() + self.settings.read_timeout,
            request_id,
            message,
        });
        self.inbox.handled(received.len());
        self.deadline = None;
    }

    /// Drops the bytes of a request for which there is no memory, and answers it as busy. `None`: go on.
    fn pass_over(&mut self) -> io::Result<Option<Next>> {
        let Stage::PassingOver(passed) = &mut self.stage else {
            return Ok(None);
        };
        for _ in 0..DROPS {
            if passed.left == 0 {
                let (id, message) = (passed.request_id, mem::take(&mut passed.message));
                self.stage = Stage::Open;
                self.outbox.push_error(id, ErrorCode::Busy, &message);
                return Ok(None);
            }
            let room = self.inbox.room();
            let piece = room.len().min(passed.left);
            match self
                .stream
                .receive(room.get_mut(..piece).unwrap_or_default())?
            {
                None => {
                    self.ready.readable = false;
                    return Ok(Some(Next::Wait));
                }
                Some(0) => return Ok(Some(Next::End)),
                Some(received) => passed.left = passed.left.saturating_sub(received),
            }
        }
        Ok(Some(Next::Turn))
    }

    /// When the connection's time is over, if nothing comes or goes.
    pub(super) fn until(&self) -> Option<Instant> {
        if self.is_blocked() {
            return self.send_by;
        }
        let until = match &self.stage {
            Stage::Open => self.deadline.or_else(|| {
                let idle = self.settings.idle_timeout?;
                self.quiet_since.checked_add(idle)
            }),
            Stage::PassingOver(passed) => Some(passed.until),
            Stage::Lingering { until } => Some(*until),
            Stage::Leaving => None,
        };
        if self.session.access() == Access::Granted || !matches!(self.stage, Stage::Open) {
            return until;
        }
        Some(until.map_or(self.authenticate_by, |it| it.min(self.authenticate_by)))
    }

    /// Its time is over: it is told why, in the next turn, or has ended.
    pub(super) fn time_out(&mut self) -> Option<Next> {
        if matches!(self.stage, Stage::Lingering { .. }) {
            return Some(Next::End);
        }
        let counters = &self.shared.registry.counters;
        counters.timed_out.fetch_add(1, Ordering::Relaxed);
        if self.is_blocked() {
            log::debug!("a connection was lost: its peer does not receive");
            return Some(Next::End);
        }
        let message = if self.session.access() != Access::Granted {
            "the token did not come in time: present it in hello".to_owned()
        } else if matches!(self.stage, Stage::Open) && self.inbox.is_empty() {
            "the connection was idle for too long (idle_timeout_s)".to_owned()
        } else {
            let seconds = self.settings.read_timeout.as_secs();
            format!("the request did not come in whole within {seconds} s (read_timeout_s)")
        };
        self.tell(ErrorCode::Timeout, &message);
        None
    }

    /// Adds a last answer, about the connection.
    fn tell(&mut self, code: ErrorCode, message: &str) {
        self.outbox.push_error(CONNECTION_ID, code, message);
        self.leave();
    }

    /// Nothing is handled any more: what was gathered is the last that is sent.
    fn leave(&mut self) {
        self.stage = Stage::Leaving;
        self.inbox.handled(self.inbox.received().len());
        self.reservation.release();
        self.deadline = None;
    }

    /// Drops what still comes.
    fn linger(&mut self) -> Option<Next> {
        for _ in 0..DROPS {
            match self.stream.receive(self.inbox.room()) {
                Ok(Some(1..)) => {}
                Ok(None) => {
                    self.ready.readable = false;
                    return Some(Next::Wait);
                }
                Ok(Some(0)) | Err(_) => return Some(Next::End),
            }
        }
        Some(Next::Turn)
    }
}

/// A timeout before the token.
fn early(timeout: Duration) -> Duration {
    timeout.min(AUTHENTICATION_TIME)
}

/// How many bytes a stopping server still reads from a connection: those that had been received when
/// the connection first looked. `None`: it does not stop.
fn still_to_read(shared: &Shared, stream: &Stream, left: &mut Option<u64>) -> Option<u64> {
    if !shared.registry.is_stopping() {
        return None;
    }
    Some(*left.get_or_insert_with(|| stream.unread()))
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
