//! A connected socket that nobody waits for, the same for TCP and Unix.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::Socket;

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
        socket.set_nonblocking(true)?;
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

    /// Reads what is there; `None`: nothing is. 0 bytes: the end.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        at_once(|| (&self.socket).read(buffer))
    }

    /// Sends as much of `bytes`, which are not empty, as the socket takes; `None`: it takes nothing.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match at_once(|| (&self.socket).write(bytes))? {
            Some(0) => Err(io::ErrorKind::WriteZero.into()),
            sent => Ok(sent),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Calls the operating system until it is not interrupted; `None`: it would have to wait.
fn at_once(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
