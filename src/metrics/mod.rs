//! The listener for metrics: a store's figures in the OpenMetrics text format, and its health, by HTTP.
//!
//! One thread answers, beside the server and not in its way: it takes no lock that a request waits for
//! longer than a copy takes, and when it is late nothing else is. It keeps a few connections, each for a
//! few seconds; the one that is there the longest makes way for a new one, so that nobody who holds
//! connections open keeps a monitoring system out.

mod connection;
mod http;
#[cfg(test)]
mod tests;
mod text;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use thiserror::Error;

use crate::logging::Throttle;
use crate::server::Handle;
use connection::Connection;

/// Connections at a time.
const MAX_CONNECTIONS: usize = 8;
/// How long nothing is done after the operating system has refused something.
const PAUSE: Duration = Duration::from_millis(100);

/// The listener could not be made. The text says what to do.
#[derive(Debug, Error)]
#[error(
    "cannot listen on {address} for metrics: {source}; choose another address ([metrics] listen)"
)]
pub struct MetricsError {
    /// The address.
    pub address: SocketAddr,
    /// What the operating system said.
    pub source: io::Error,
}

/// A listener that answers, until it is dropped.
#[derive(Debug)]
pub struct Metrics {
    address: SocketAddr,
    /// Its end ends the thread. Nobody waits for that: the thread may be asking a disk that hangs.
    _wake: UnixStream,
}

impl Metrics {
    /// The address, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers on `listen` what `server` tells, in a thread of its own.
///
/// # Errors
/// [`MetricsError`].
pub fn start(listen: SocketAddr, server: Handle) -> Result<Metrics, MetricsError> {
    let failed = |source| MetricsError {
        address: listen,
        source,
    };
    let (wake, woken) = UnixStream::pair().map_err(failed)?;
    let socket = TcpListener::bind(listen).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    let mut listener = Listener {
        socket,
        server,
        connections: Vec::new(),
        throttle: Throttle::default(),
    };
    let thread = thread::Builder::new().name("metrics".to_owned());
    thread
        .spawn(move || while listener.round(&woken) {})
        .map_err(failed)?;
    Ok(Metrics {
        address,
        _wake: wake,
    })
}

struct Listener {
    socket: TcpListener,
    server: Handle,
    /// The oldest first.
    connections: Vec<Connection>,
    throttle: Throttle,
}

impl Listener {
    /// Waits for something and does it; `false`: to stop.
    fn round(&mut self, woken: &UnixStream) -> bool {
        let now = Instant::now();
        self.connections.retain(|connection| now < connection.until);
        let until = self.connections.iter().map(|connection| connection.until);
        let timeout = until.min().map(|until| timespec(until - now));
        let mut fds = vec![
            PollFd::new(woken, PollFlags::IN),
            PollFd::new(&self.socket, PollFlags::IN),
        ];
        fds.extend(self.connections.iter().map(Connection::waits_for));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => self.pause("wait for", &error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        let (stop, accept) = (ready.next() == Some(true), ready.next() == Some(true));
        self.connections
            .retain_mut(|connection| ready.next() != Some(true) || connection.go_on(&self.server));
        if accept {
            self.accept();
        }
        !stop
    }

    fn accept(&mut self) {
        match self.socket.accept() {
            Ok((stream, _)) => {
                if self.connections.len() >= MAX_CONNECTIONS {
                    self.connections.remove(0);
                }
                self.connections.extend(Connection::new(stream).ok());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.pause("accept", &error),
        }
    }

    fn pause(&self, what: &str, error: &io::Error) {
        if self.throttle.is_due() {
            log::warn!("cannot {what} connections for metrics for now: {error}");
        }
        thread::sleep(PAUSE);
    }
}

fn timespec(duration: Duration) -> Timespec {
    // Rounded up by a millisecond: waking early would only mean waiting again.
    let duration = duration + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
