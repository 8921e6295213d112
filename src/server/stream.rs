//! A connected socket with deadlines, the same for TCP and Unix.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use socket2::Socket;

/// A Unix socket's send timeout starts anew with every piece the kernel copies, so that a peer that
/// drains it drop by drop could hold a large one for ever: large answers are sent in pieces of this
/// size, the deadline checked between them.
const SEND_PIECE: usize = 256 * 1024;

/// Which socket a connection came in by, and so what it may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plane {
    /// TCP: data operations only.
    Data,
    /// The Unix socket: everything.
    Admin,
}

/// A connected socket. One thread reads and writes it; another may shut it down.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Socket,
    pub(super) plane: Plane,
}

impl Stream {
    pub(super) fn new(socket: Socket, plane: Plane) -> io::Result<Stream> {
        if plane == Plane::Data {
            // Answers are gathered before they are sent: nothing is won by waiting for more.
            socket.set_tcp_nodelay(true)?;
        }
        Ok(Stream { socket, plane })
    }

    /// The address of a TCP peer; `None`: it has gone already, or came by the Unix socket.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.socket.peer_addr().ok()?.as_socket()
    }

    /// Ends reading: what was received can still be read, then comes the end.
    pub(super) fn end_reading(&self) {
        // Fails only when the peer is gone already.
        let _ = self.socket.shutdown(Shutdown::Read);
    }

    /// Ends writing: the peer reads what was sent and then the end.
    pub(super) fn end_writing(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Ends everything; who reads or writes is woken.
    pub(super) fn end(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Bytes that were received and not read yet.
    pub(super) fn unread(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.socket).unwrap_or(0)
    }
}

/// The reading and writing end of a [`Stream`], which remembers the timeouts that are set: most reads
/// and writes change none.
#[derive(Debug)]
pub(super) struct Pipe<'a> {
    stream: &'a Stream,
    receive_timeout: Option<Duration>,
    send_timeout: Option<Duration>,
}

impl<'a> Pipe<'a> {
    pub(super) fn new(stream: &'a Stream) -> Pipe<'a> {
        Pipe {
            stream,
            receive_timeout: None,
            send_timeout: None,
        }
    }

    /// Reads what is there, waiting at most `wait` (`None`: for ever). 0 bytes: the end.
    ///
    /// # Errors
    /// `TimedOut`, and what the operating system says.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        wait: Option<Duration>,
    ) -> io::Result<usize> {
        let wait = wait.map(at_least_a_millisecond);
        if self.receive_timeout != wait {
            self.stream.socket.set_read_timeout(wait)?;
            self.receive_timeout = wait;
        }
        loop {
            match (&self.stream.socket).read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(timed_out),
            }
        }
    }

    /// Sends all of `bytes` within `limit`.
    ///
    /// # Errors
    /// `TimedOut`, and what the operating system says; a part may have been sent.
    pub(super) fn send(&mut self, bytes: &[u8], limit: Duration) -> io::Result<()> {
        let deadline = Instant::now() + limit;
        let mut wait = limit;
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = rest.get(..SEND_PIECE).unwrap_or(rest);
            let sent = self.send_piece(piece, wait)?;
            rest = rest.get(sent..).unwrap_or_default();
            if !rest.is_empty() {
                wait = deadline.saturating_duration_since(Instant::now());
                if wait.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
    }

    fn send_piece(&mut self, piece: &[u8], wait: Duration) -> io::Result<usize> {
        let wait = Some(at_least_a_millisecond(wait));
        if self.send_timeout != wait {
            self.stream.socket.set_write_timeout(wait)?;
            self.send_timeout = wait;
        }
        match (&self.stream.socket).write(piece) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            result => result.map_err(timed_out),
        }
    }
}

/// A timeout of zero would mean none.
fn at_least_a_millisecond(wait: Duration) -> Duration {
    wait.max(Duration::from_millis(1))
}

/// A socket's timeout is told as `WouldBlock`.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}
