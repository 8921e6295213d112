//! One connection: bytes out, bytes in, and the answers that are due.
//!
//! The socket blocks only where there is nothing left to send. While there is, the client sends what the
//! socket takes and reads what has come, so that two full buffers never wait for each other.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{ClientError, ClientOptions, Result, Waiting};
use crate::protocol::{
    CONNECTION_ID, DEFAULT_MAX_FRAME_SIZE, ProtocolError, Request, Response, frame,
};

/// Bytes asked of the socket at once.
const READ_SIZE: usize = 64 * 1024;
/// Bytes to send that are handed to the socket before anybody waits.
const SEND_SIZE: usize = 32 * 1024;
/// An empty buffer of more bytes is given back.
const KEPT_SIZE: usize = 1024 * 1024;

/// An answer that is due.
#[derive(Debug)]
struct Due {
    id: u32,
    /// Bytes of the request.
    length: usize,
    /// Whether anybody wants it; if not it is passed over.
    wanted: bool,
}

#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    write_timeout: Option<Duration>,
    /// Bytes to send; those before `sent` are gone.
    outbox: Vec<u8>,
    sent: usize,
    /// Bytes received; those before `taken` have been decoded.
    inbox: Vec<u8>,
    taken: usize,
    due: VecDeque<Due>,
    /// Bytes of all requests in `due`.
    due_bytes: usize,
    last_id: u32,
    send_limit: u32,
    receive_limit: u32,
    /// Why sending failed. What the server said before it closed is still read.
    send_failure: Option<String>,
    /// Why the connection is of no further use.
    broken: Option<String>,
}

impl Connection {
    pub(super) fn tcp(address: &str, options: &ClientOptions) -> Result<Connection> {
        let unreachable = |source| ClientError::Unreachable {
            address: address.to_owned(),
            source,
        };
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for resolved in address.to_socket_addrs().map_err(unreachable)? {
            match connect(&resolved, options.connect_timeout) {
                Ok(stream) => return Connection::new(stream.into(), options),
                Err(error) => failure = error,
            }
        }
        if failure.kind() == io::ErrorKind::TimedOut {
            return Err(ClientError::Timeout(Waiting::Connecting));
        }
        Err(unreachable(failure))
    }

    pub(super) fn unix(path: &Path, options: &ClientOptions) -> Result<Connection> {
        let stream = UnixStream::connect(path).map_err(|source| ClientError::Unreachable {
            address: path.display().to_string(),
            source,
        })?;
        Connection::new(stream.into(), options)
    }

    fn new(socket: OwnedFd, options: &ClientOptions) -> Result<Connection> {
        let mut connection = Connection {
            socket,
            write_timeout: options.write_timeout,
            outbox: Vec::new(),
            sent: 0,
            inbox: Vec::new(),
            taken: 0,
            due: VecDeque::new(),
            due_bytes: 0,
            last_id: CONNECTION_ID,
            send_limit: DEFAULT_MAX_FRAME_SIZE,
            receive_limit: options.max_answer_size,
            send_failure: None,
            broken: None,
        };
        connection.set_read_timeout(options.read_timeout)?;
        Ok(connection)
    }

    pub(super) fn set_read_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        // A zero timeout would mean "for ever" to the operating system.
        let timeout = timeout.map(|timeout| timeout.max(Duration::from_millis(1)));
        set_socket_timeout(&self.socket, Timeout::Recv, timeout)
            .map_err(|errno| ClientError::lost(&errno.into()))
    }

    /// The server's frame limit, for what is sent; and for answers, unless this side's is smaller.
    pub(super) fn adopt_limit(&mut self, server: u32, own: u32) {
        self.send_limit = server;
        self.receive_limit = own.min(server);
    }

    /// Bytes of requests whose answers are due.
    pub(super) fn pending_bytes(&self) -> usize {
        self.due_bytes
    }

    /// Nobody wants the answers that are due any more.
    pub(super) fn forget_pending(&mut self) {
        self.due.iter_mut().for_each(|due| due.wanted = false);
    }

    /// Sends one request and waits for its answer.
    pub(super) fn ask(&mut self, request: &Request<'_>) -> Result<Response> {
        self.submit(request)?;
        self.receive()
    }

    /// Puts a request behind those to be sent, without waiting.
    pub(super) fn submit(&mut self, request: &Request<'_>) -> Result<()> {
        if let Some(reason) = &self.broken {
            let reason = reason.clone();
            return Err(ClientError::Broken { reason });
        }
        let id = self.last_id.checked_add(1).unwrap_or(1);
        let before = self.outbox.len();
        request
            .encode(id, self.send_limit, &mut self.outbox)
            .map_err(too_large)?;
        let length = self.outbox.len() - before;
        self.last_id = id;
        self.due_bytes += length;
        self.due.push_back(Due {
            id,
            length,
            wanted: true,
        });
        if self.outbox.len() - self.sent >= SEND_SIZE {
            self.send_now();
        }
        Ok(())
    }

    /// Hands the socket what it takes now.
    pub(super) fn send_now(&mut self) {
        while let Some(rest) = self.outbox.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match send(
                &self.socket,
                rest,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.outbox.drain(..self.sent);
                    self.sent = 0;
                    return;
                }
                Err(errno) => {
                    self.send_failure = Some(io::Error::from(errno).to_string());
                    break;
                }
            }
        }
        self.outbox.clear();
        self.outbox.shrink_to(KEPT_SIZE);
        self.sent = 0;
    }

    /// Waits for the next answer that is due and wanted.
    pub(super) fn receive(&mut self) -> Result<Response> {
        loop {
            if let Some(reason) = &self.broken {
                let reason = reason.clone();
                return Err(ClientError::Broken { reason });
            }
            let step = match self.take() {
                Ok(Some((answer, true))) => return self.judge(answer),
                Ok(Some((_, false))) => Ok(()),
                Ok(None) => self.progress(),
                Err(error) => Err(error),
            };
            if let Err(error) = step {
                return Err(self.fail(error));
            }
        }
    }

    /// An error answer becomes an error; one after which the server closes ends the connection.
    fn judge(&mut self, answer: Response) -> Result<Response> {
        match answer {
            Response::Error { code, message } => {
                let closes = code.closes_connection();
                let error = ClientError::Server { code, message };
                Err(if closes { self.fail(error) } else { error })
            }
            answer => Ok(answer),
        }
    }

    /// Takes the next whole answer from what has come, and whether it is wanted.
    fn take(&mut self) -> Result<Option<(Response, bool)>> {
        let received = self.inbox.get(self.taken..).unwrap_or_default();
        let Some((frame, used)) = frame::decode(received, self.receive_limit)? else {
            return Ok(None);
        };
        let (id, answer) = (frame.request_id, Response::decode(&frame)?);
        self.taken += used;
        self.tidy_inbox();
        if let (CONNECTION_ID, Response::Error { code, message }) = (id, &answer) {
            return Err(ClientError::Server {
                code: *code,
                message: message.clone(),
            });
        }
        let due = self.due.pop_front().filter(|due| due.id == id);
        let due = due.ok_or_else(|| {
            ClientError::UnexpectedAnswer(format!("an answer to request {id} is not due"))
        })?;
        self.due_bytes -= due.length;
        Ok(Some((answer, due.wanted)))
    }

    fn tidy_inbox(&mut self) {
        if self.taken == self.inbox.len() {
            self.inbox.clear();
            self.inbox.shrink_to(KEPT_SIZE);
            self.taken = 0;
        } else if self.taken >= READ_SIZE && self.taken * 2 >= self.inbox.len() {
            self.inbox.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Waits until bytes could be sent or have come, and moves them.
    fn progress(&mut self) -> Result<()> {
        self.send_now();
        if self.outbox.is_empty() {
            return self.read(RecvFlags::empty());
        }
        let timeout = self.write_timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut sockets = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::OUT)];
        match poll(&mut sockets, timeout.as_ref()) {
            Ok(0) => return Err(ClientError::Timeout(Waiting::Sending)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(ClientError::lost(&errno.into())),
        }
        let [socket] = sockets;
        if socket.revents() == PollFlags::OUT {
            return Ok(());
        }
        self.read(RecvFlags::DONTWAIT)
    }

    fn read(&mut self, flags: RecvFlags) -> Result<()> {
        self.inbox.reserve(READ_SIZE);
        match recv(&self.socket, spare_capacity(&mut self.inbox), flags) {
            Ok((0, _)) => Err(ClientError::Lost {
                reason: match self.send_failure.take() {
                    Some(failure) => failure,
                    None => "the server closed it".to_owned(),
                },
            }),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(Errno::AGAIN) if flags.contains(RecvFlags::DONTWAIT) => Ok(()),
            Err(Errno::AGAIN) => Err(ClientError::Timeout(Waiting::Answer)),
            Err(errno) => Err(ClientError::lost(&errno.into())),
        }
    }

    /// The answer is of no kind that the request can have.
    pub(super) fn unexpected(&mut self, answer: &Response) -> ClientError {
        let status = answer.status();
        self.fail(ClientError::UnexpectedAnswer(format!(
            "status {status:#04x} does not answer the request"
        )))
    }

    /// Ends the connection's use.
    fn fail(&mut self, error: ClientError) -> ClientError {
        self.broken = Some(error.to_string());
        self.outbox = Vec::new();
        self.inbox = Vec::new();
        self.sent = 0;
        self.taken = 0;
        error
    }
}

fn connect(address: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, timeout.max(Duration::from_millis(1)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn too_large(error: ProtocolError) -> ClientError {
    match error {
        ProtocolError::FrameTooLarge { length, limit } => ClientError::TooLarge { length, limit },
        other => other.into(),
    }
}
