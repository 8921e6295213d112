//! One connection: receive, handle every request that is there, send the answers together.
//!
//! What must hold:
//! - Answers have the order of their requests.
//! - A request has a deadline from its first byte to its last, answers have one until they are sent:
//!   bytes that come drop by drop do not extend them.
//! - A request larger than the free bytes reserves its length before memory is taken. When there is no
//!   room in time it is passed over and answered as busy; the connection goes on.
//! - A connection that must present a token and has not takes neither much memory nor much time.
//! - Where the place of the next frame is not known any more, the error is the last answer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::auth::{AUTHENTICATION_TIME, Access, MAX_EARLY_FRAME};
use super::budget::{FREE_BYTES, Reservation};
use super::dispatch::{self, Session};
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::stream::{Pipe, Stream};
use super::{Settings, Shared};
use crate::protocol::{CONNECTION_ID, ErrorCode, HEADER_SIZE, frame};
use crate::storage::disk::count;

/// How long a connection that the server ends is kept for the peer to read the last answer: closing it
/// with unread bytes would reset it, and the answer be lost.
const LINGER: Duration = Duration::from_secs(1);

/// Why a connection ends.
#[derive(Debug)]
enum Ending {
    /// The peer has closed it, or its writing half.
    Closed,
    /// The server stops, and everything received was answered.
    Stopping,
    /// The last answer says why.
    Told,
    /// The socket failed, or the peer does not receive.
    Lost(io::Error),
}

/// Serves a connection to its end.
pub(super) fn serve(shared: &Shared, stream: &Stream) {
    let settings = shared.settings();
    let mut connection = Connection {
        shared,
        stream,
        pipe: Pipe::new(stream),
        inbox: Inbox::new(),
        outbox: Outbox::new(&shared.budget, settings.limits.max_frame_size),
        session: Session::new(shared, &settings, stream.plane, stream.peer()),
        authenticate_by: Instant::now() + early(settings.read_timeout),
        reservation: Reservation::none(&shared.budget),
        settings,
        deadline: None,
        left_when_stopping: None,
    };
    let ending = connection.run();
    match ending {
        Ending::Stopping => {
            let message = "the server is stopping";
            connection.tell(ErrorCode::ShuttingDown, message);
            // What came since is not answered, but left unread it would reset the connection.
            connection.linger();
        }
        Ending::Told => connection.linger(),
        Ending::Closed => {}
        Ending::Lost(error) => log::debug!("a connection was lost: {error}"),
    }
}

struct Connection<'a> {
    shared: &'a Shared,
    settings: Arc<Settings>,
    stream: &'a Stream,
    pipe: Pipe<'a>,
    inbox: Inbox,
    outbox: Outbox,
    session: Session<'a>,
    /// What the request at the head of the inbox holds, when it is large.
    reservation: Reservation,
    /// When a connection that must present a token must have done so.
    authenticate_by: Instant,
    /// When the request at the head of the inbox must be complete.
    deadline: Option<Instant>,
    /// Bytes that were received before the server stopped and are still to be read.
    left_when_stopping: Option<u64>,
}

impl Connection<'_> {
    fn run(&mut self) -> Ending {
        loop {
            if let Err(ending) = self.handle_received().and_then(|()| self.receive()) {
                return ending;
            }
        }
    }

    /// Handles every request that is there in full, and sends the answers.
    fn handle_received(&mut self) -> Result<(), Ending> {
        loop {
            match frame::decode(self.inbox.received(), self.frame_limit()) {
                Ok(Some((frame, used))) => {
                    self.session.handle(&frame, &mut self.outbox);
                    self.inbox.handled(used);
                    self.reservation.release();
                    self.deadline = None;
                }
                Ok(None) => return self.send(),
                Err(error) => {
                    let advice = match self.session.access() {
                        Access::Granted => "",
                        _ => "; the server wants a token first, in hello",
                    };
                    self.tell(error.code(), &format!("{error}{advice}"));
                    return Err(Ending::Told);
                }
            }
            if self.session.access() == Access::Lost {
                self.send()?;
                self.stream.end_writing();
                return Err(Ending::Told);
            }
            if self.outbox.is_full() {
                self.send()?;
            }
        }
    }

    /// Waits for more bytes of the request at the head, or for the first of the next.
    fn receive(&mut self) -> Result<(), Ending> {
        self.make_room()?;
        let wait = self.patience();
        if wait.is_some_and(|wait| wait.is_zero()) {
            return Err(self.time_out());
        }
        let room = self.inbox.room();
        let room = match still_to_read(self.shared, self.stream, &mut self.left_when_stopping) {
            None => room,
            Some(0) => return Err(Ending::Stopping),
            Some(left) => {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
                room.get_mut(..length).unwrap_or_default()
            }
        };
        match self.pipe.receive(room, wait) {
            Ok(0) if self.shared.registry.is_stopping() => Err(Ending::Stopping),
            Ok(0) => Err(Ending::Closed),
            Ok(count) => {
                self.inbox.filled(count);
                if let Some(left) = &mut self.left_when_stopping {
                    *left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(self.time_out()),
            Err(error) => Err(Ending::Lost(error)),
        }
    }

    /// How long to wait for the next bytes; `None`: for ever.
    fn patience(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let wait = if self.inbox.is_empty() {
            self.settings.idle_timeout
        } else {
            Some(self.deadline().saturating_duration_since(now))
        };
        if self.session.access() == Access::Granted {
            return wait;
        }
        let left = self.authenticate_by.saturating_duration_since(now);
        Some(wait.map_or(left, |wait| wait.min(left)))
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
    fn deadline(&mut self) -> Instant {
        let timeout = self.settings.read_timeout;
        *self
            .deadline
            .get_or_insert_with(|| Instant::now() + timeout)
    }

    /// Lets the inbox hold the request at its head, when it is large: reserves its bytes, or passes it
    /// over.
    fn make_room(&mut self) -> Result<(), Ending> {
        let limit = self.frame_limit();
        let received = self.inbox.received();
        // Errors were found when it was decoded; without its whole header it cannot be answered.
        let Ok(Some(length)) = frame::peek_length(received, limit) else {
            return Ok(());
        };
        if received.len() < HEADER_SIZE || self.inbox.may_hold(length) {
            return Ok(());
        }
        // The byte behind length and version.
        let code = received.get(5).copied().unwrap_or(0);
        let lists = dispatch::list_bytes(code, length, &self.settings.limits);
        let bytes = count(length).saturating_add(lists);
        let deadline = self.deadline();
        match self.reservation.raise(bytes, deadline) {
            Ok(()) => {
                self.inbox.allow(length);
                // The peer is not to blame for the wait: its time begins now.
                self.deadline = None;
                Ok(())
            }
            Err(busy) => self.pass_over(length, &busy.to_string()),
        }
    }

    /// Drops the request of `length` bytes at the head of the inbox as it comes, and answers it as busy.
    fn pass_over(&mut self, length: usize, message: &str) -> Result<(), Ending> {
        let request_id = match self.inbox.received().get(HEADER_SIZE - 4..HEADER_SIZE) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => CONNECTION_ID,
        };
        let mut left = length.saturating_sub(self.inbox.received().len());
        self.inbox.handled(self.inbox.received().len());
        let deadline = Instant::now() + self.settings.read_timeout;
        while left > 0 {
            let wait = deadline.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Err(self.time_out());
            }
            let room = self.inbox.room();
            let piece = room.len().min(left);
            let room = room.get_mut(..piece).unwrap_or_default();
            match self.pipe.receive(room, Some(wait)) {
                Ok(0) => return Err(Ending::Closed),
                Ok(count) => left -= count,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(self.time_out());
                }
                Err(error) => return Err(Ending::Lost(error)),
            }
        }
        self.deadline = None;
        self.outbox.push_error(request_id, ErrorCode::Busy, message);
        self.send()
    }

    fn time_out(&mut self) -> Ending {
        self.shared
            .registry
            .counters
            .timed_out
            .fetch_add(1, Ordering::Relaxed);
        let message = if self.session.access() != Access::Granted {
            "the token did not come in time: present it in hello".to_owned()
        } else if self.inbox.is_empty() {
            "the connection was idle for too long (idle_timeout_s)".to_owned()
        } else {
            let seconds = self.settings.read_timeout.as_secs();
            format!("the request did not come in whole within {seconds} s (read_timeout_s)")
        };
        self.tell(ErrorCode::Timeout, &message);
        Ending::Told
    }

    /// Sends a last answer, about the connection, behind those that wait. The peer may be gone.
    fn tell(&mut self, code: ErrorCode, message: &str) {
        self.session.settle(&mut self.outbox);
        self.outbox.push_error(CONNECTION_ID, code, message);
        let _ = self.send();
        self.stream.end_writing();
    }

    /// Settles the writes that wait, and sends every answer.
    fn send(&mut self) -> Result<(), Ending> {
        self.session.settle(&mut self.outbox);
        let counters = &self.shared.registry.counters;
        counters
            .requests
            .fetch_add(self.session.take_handled(), Ordering::Relaxed);
        counters
            .errors
            .fetch_add(self.outbox.take_errors(), Ordering::Relaxed);
        if self.outbox.bytes().is_empty() {
            return Ok(());
        }
        let limit = match self.session.access() {
            Access::Granted => self.settings.write_timeout,
            _ => early(self.settings.write_timeout),
        };
        let sent = self.pipe.send(self.outbox.bytes(), limit);
        self.outbox.sent();
        sent.map_err(|error| {
            if error.kind() == io::ErrorKind::TimedOut {
                counters.timed_out.fetch_add(1, Ordering::Relaxed);
            }
            Ending::Lost(error)
        })
    }

    /// Drops what still comes until the peer has closed, or its time is over.
    fn linger(&mut self) {
        let mut dropped = vec![0; FREE_BYTES];
        let until = Instant::now() + LINGER;
        loop {
            let wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() || !matches!(self.pipe.receive(&mut dropped, Some(wait)), Ok(1..)) {
                return;
            }
        }
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
