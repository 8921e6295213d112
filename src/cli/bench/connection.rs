//! One connection of the load: requests out, answers in, never waiting.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::dialect::{Answer, Dialect, Operation};
use super::workload::Kind;
use crate::protocol::{DEFAULT_MAX_FRAME_SIZE, Request, Token, VERSION};

/// Bytes asked of the socket at once.
const READ_SIZE: usize = 64 * 1024;

/// Where the server is.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    Tcp(String),
    Unix(PathBuf),
}

/// A request whose answer is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// What it counts as; `None`: it is no part of the load.
    pub(super) kind: Option<Kind>,
    /// When it was to be sent: its latency is counted from here.
    pub(super) intended: Instant,
}

#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    dialect: Dialect,
    /// Whether it is the one that writes beside readers.
    pub(super) writes: bool,
    /// Whether the socket was full: the poll is asked to tell when it is not.
    pub(super) waits_for_room: bool,
    /// Bytes to send; those before `sent` are gone.
    outbox: Vec<u8>,
    sent: usize,
    /// Bytes received; those before `taken` have been decoded.
    inbox: Vec<u8>,
    taken: usize,
    due: VecDeque<Due>,
    last_id: u32,
}

impl Connection {
    /// Connects, waiting for it.
    pub(super) fn open(
        endpoint: &Endpoint,
        dialect: Dialect,
        token: Option<&Token>,
    ) -> io::Result<Connection> {
        let socket: OwnedFd = match endpoint {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.into()
            }
            Endpoint::Unix(path) => UnixStream::connect(path)?.into(),
        };
        ioctl_fionbio(&socket, true)?;
        let mut connection = Connection {
            socket,
            dialect,
            writes: false,
            waits_for_room: false,
            outbox: Vec::new(),
            sent: 0,
            inbox: Vec::new(),
            taken: 0,
            due: VecDeque::new(),
            last_id: 0,
        };
        if let Some(token) = token {
            connection.greet(token)?;
        }
        Ok(connection)
    }

    fn greet(&mut self, token: &Token) -> io::Result<()> {
        let hello = Request::Hello {
            client: concat!("atlaskv-bench/", env!("CARGO_PKG_VERSION")),
            max_version: VERSION,
            token: Some(token.clone()),
        };
        let id = self.note(None, Instant::now());
        hello
            .encode(id, DEFAULT_MAX_FRAME_SIZE, &mut self.outbox)
            .map_err(io::Error::other)
    }

    /// Requests without an answer.
    pub(super) fn in_flight(&self) -> usize {
        self.due.len()
    }

    fn note(&mut self, kind: Option<Kind>, intended: Instant) -> u32 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.due.push_back(Due { kind, intended });
        self.last_id
    }

    /// Puts a request behind those to be sent.
    pub(super) fn ask(
        &mut self,
        kind: Option<Kind>,
        intended: Instant,
        operation: Operation<'_>,
    ) -> Result<(), String> {
        let id = self.note(kind, intended);
        self.dialect.encode(id, operation, &mut self.outbox)
    }

    /// Hands the socket what it takes now; whether that was all.
    pub(super) fn send(&mut self) -> Result<bool, String> {
        while let Some(rest) = self.outbox.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(lost(errno)),
            }
        }
        self.outbox.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Takes what has come, and hands each answer out with the request that it answers.
    pub(super) fn receive(&mut self, each: &mut dyn FnMut(Due, Answer)) -> Result<(), String> {
        loop {
            self.inbox.reserve(READ_SIZE);
            let room = self.inbox.capacity() - self.inbox.len();
            let read = match recv(
                &self.socket,
                spare_capacity(&mut self.inbox),
                RecvFlags::empty(),
            ) {
                Ok((0, _)) => return Err("the server closed a connection".to_owned()),
                Ok((read, _)) => read,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(lost(errno)),
            };
            self.take(each)?;
            if read < room {
                return Ok(());
            }
        }
    }

    fn take(&mut self, each: &mut dyn FnMut(Due, Answer)) -> Result<(), String> {
        loop {
            let received = self.inbox.get(self.taken..).unwrap_or_default();
            let Some((answer, used)) = self.dialect.decode(received)? else {
                break;
            };
            self.taken += used;
            let due = self.due.pop_front();
            each(due.ok_or("an answer to nothing that was asked")?, answer);
        }
        if self.taken == self.inbox.len() {
            self.inbox.clear();
            self.taken = 0;
        } else if self.taken >= READ_SIZE {
            self.inbox.drain(..self.taken);
            self.taken = 0;
        }
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn lost(errno: Errno) -> String {
    format!("a connection was lost: {}", io::Error::from(errno))
}
