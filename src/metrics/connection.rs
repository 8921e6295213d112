//! One connection of the metrics listener: a request, its answer, the end. It never blocks.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::http;
use crate::server::Handle;

/// How long a connection may be there.
const TIME: Duration = Duration::from_secs(5);
/// Bytes read at once.
const PIECE: usize = 4096;

/// A connection, and how far it is.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// When it is closed at the latest.
    pub(super) until: Instant,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The head of the request, as far as it came.
    Asking(Vec<u8>),
    /// The answer, and how much of it was sent.
    Answering(Vec<u8>, usize),
    /// The peer has the answer and may take its time to read it: closed with unread bytes, a socket
    /// would be reset and the answer lost.
    Leaving,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            until: Instant::now() + TIME,
            phase: Phase::Asking(Vec::new()),
        })
    }

    /// What to wait for before [`Connection::go_on`].
    pub(super) fn waits_for(&self) -> PollFd<'_> {
        let flags = match self.phase {
            Phase::Asking(_) | Phase::Leaving => PollFlags::IN,
            Phase::Answering(..) => PollFlags::OUT,
        };
        PollFd::new(&self.stream, flags)
    }

    /// Does what can be done without waiting; whether there is more to do.
    pub(super) fn go_on(&mut self, server: &Handle) -> bool {
        let done = match &mut self.phase {
            Phase::Asking(_) => self.ask(server),
            Phase::Answering(..) => self.answer(),
            Phase::Leaving => self.leave(),
        };
        match done {
            Ok(goes_on) => goes_on,
            Err(error) => matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ),
        }
    }

    fn ask(&mut self, server: &Handle) -> io::Result<bool> {
        let Phase::Asking(head) = &mut self.phase else {
            return Ok(false);
        };
        let mut piece = [0; PIECE];
        let count = self.stream.read(&mut piece)?;
        head.extend_from_slice(piece.get(..count).unwrap_or_default());
        if let Some(answer) = http::answer(head, server) {
            self.phase = Phase::Answering(answer, 0);
            return self.answer();
        }
        Ok(count > 0)
    }

    fn answer(&mut self) -> io::Result<bool> {
        let Phase::Answering(bytes, sent) = &mut self.phase else {
            return Ok(false);
        };
        *sent += self.stream.write(bytes.get(*sent..).unwrap_or_default())?;
        if *sent == bytes.len() {
            self.stream.shutdown(Shutdown::Write)?;
            self.phase = Phase::Leaving;
        }
        Ok(true)
    }

    fn leave(&mut self) -> io::Result<bool> {
        Ok(self.stream.read(&mut [0; PIECE])? > 0)
    }
}
