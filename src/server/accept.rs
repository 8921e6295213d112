//! The accept loop: waits for connections on both sockets and gives each to a worker, or a refusal.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::Socket;

use super::connection::Connection;
use super::stream::{Plane, Stream};
use super::workers::Workers;
use super::{Listeners, Shared};
use crate::logging::Throttle;
use crate::protocol::{CONNECTION_ID, DEFAULT_MAX_FRAME_SIZE, ErrorCode, Response};

/// Connections of the admin socket: its own, so that an administrator gets in when TCP is full.
pub(super) const MAX_ADMIN_CONNECTIONS: usize = 16;
/// Connections taken from one socket before the other is looked at.
const ACCEPT_BATCH: usize = 64;
/// How long nothing is accepted after the process ran out of files or memory. Connections wait in the
/// backlog meanwhile, and the loop does not spin.
const PAUSE: Duration = Duration::from_millis(100);
/// Refused connections that are kept until the peer has read the refusal.
const MAX_FAREWELLS: usize = 64;
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// Runs until its pulse is stopped. A byte on `wake` makes a round.
pub(super) fn run(
    shared: &Arc<Shared>,
    listeners: &Listeners,
    workers: &Workers,
    wake: &UnixStream,
) {
    let mut acceptor = Acceptor {
        shared,
        listeners,
        workers,
        data: Lane::new(shared.settings().max_connections),
        admin: Lane::new(MAX_ADMIN_CONNECTIONS),
        farewells: Vec::new(),
        paused_until: None,
        throttle: Throttle::default(),
    };
    while {
        acceptor.round(wake);
        shared.pulse.beat()
    } {}
}

struct Acceptor<'a> {
    shared: &'a Arc<Shared>,
    listeners: &'a Listeners,
    workers: &'a Workers,
    data: Lane,
    admin: Lane,
    farewells: Vec<Farewell>,
    paused_until: Option<Instant>,
    throttle: Throttle,
}

/// What one poll has found.
struct Ready {
    wake: bool,
    tcp: bool,
    admin: bool,
    farewells: Vec<bool>,
}

impl Acceptor<'_> {
    /// Waits for something and does it. Who is to stop, or only to show that it lives, accepts nothing:
    /// under a socket that is inherited a connection can wait for the next daemon.
    fn round(&mut self, mut wake: &UnixStream) {
        let ready = match self.wait(wake) {
            Ok(ready) => ready,
            Err(error) => {
                log::error!("the accept loop cannot wait for connections: {error}");
                thread::sleep(PAUSE);
                return;
            }
        };
        if ready.wake {
            // Whatever was written, and however much is left: the next round reads on.
            let _ = wake.read(&mut [0; 64]);
            return;
        }
        let mut told = ready.farewells.iter();
        let now = Instant::now();
        self.farewells.retain_mut(|farewell| {
            let ready = told.next().copied().unwrap_or(false);
            now < farewell.until && !(ready && farewell.is_over())
        });
        if ready.admin {
            self.accept(Plane::Admin);
        }
        if ready.tcp {
            self.accept(Plane::Data);
        }
    }

    fn wait(&mut self, wake: &UnixStream) -> io::Result<Ready> {
        let now = Instant::now();
        self.paused_until = self.paused_until.filter(|until| *until > now);
        let next = self.farewells.iter().map(|farewell| farewell.until);
        let next = next.chain(self.paused_until).min();
        let timeout = next.map(|next| timespec(next.saturating_duration_since(now)));
        let accepting = if self.paused_until.is_none() {
            PollFlags::IN
        } else {
            PollFlags::empty()
        };
        let mut fds = vec![
            PollFd::new(wake, PollFlags::IN),
            PollFd::new(&self.listeners.tcp, accepting),
            PollFd::new(&self.listeners.admin, accepting),
        ];
        let sockets = self
            .farewells
            .iter()
            .map(|farewell| farewell.socket.as_fd());
        fds.extend(sockets.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        Ok(Ready {
            wake: ready.next().unwrap_or(false),
            tcp: ready.next().unwrap_or(false),
            admin: ready.next().unwrap_or(false),
            farewells: ready.collect(),
        })
    }

    fn accept(&mut self, plane: Plane) {
        let listener = match plane {
            Plane::Data => &self.listeners.tcp,
            Plane::Admin => &self.listeners.admin,
        };
        for _ in 0..ACCEPT_BATCH {
            match listener.accept() {
                Ok((socket, _)) => self.welcome(socket, plane),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    if self.throttle.is_due() {
                        log::warn!("cannot accept connections for now: {error}");
                    }
                    self.paused_until = Some(Instant::now() + PAUSE);
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, socket: Socket, plane: Plane) {
        self.data.limit = self.shared.settings().max_connections;
        let lane = match plane {
            Plane::Data => &self.data,
            Plane::Admin => &self.admin,
        };
        let Some(place) = lane.take_place() else {
            self.refuse(socket, plane);
            return;
        };
        self.shared
            .registry
            .counters
            .accepted
            .fetch_add(1, Ordering::Relaxed);
        // A socket that takes no option is one whose peer has gone.
        let Ok(stream) = Stream::new(socket, plane).map(Arc::new) else {
            return;
        };
        // Entered here and not by its worker: a stop must reach it even before that looks.
        let registered = self.shared.registry.enter(&stream, place);
        let connection = Connection::new(self.shared, &stream, registered);
        self.workers.give(connection);
    }

    /// Tells the peer why, without ever waiting for it. A socket closed with unread bytes would be
    /// reset, and the refusal lost with it: so it is kept for a moment, and what comes is dropped.
    fn refuse(&mut self, socket: Socket, plane: Plane) {
        self.shared
            .registry
            .counters
            .refused
            .fetch_add(1, Ordering::Relaxed);
        let limit = match plane {
            Plane::Data => self.data.limit,
            Plane::Admin => self.admin.limit,
        };
        if self.throttle.is_due() {
            log::warn!("the server is full: {limit} connections are open, more are refused");
        }
        let message = format!("the server is full: {limit} connections are open; try again later");
        let mut bytes = Vec::new();
        let refusal = Response::error(ErrorCode::ServerFull, message);
        // So short a frame is under every limit, and a fresh socket's buffer takes it whole.
        let _ = refusal.encode(CONNECTION_ID, DEFAULT_MAX_FRAME_SIZE, &mut bytes);
        let told = socket
            .set_nonblocking(true)
            .and_then(|()| (&socket).write(&bytes))
            .and_then(|_| socket.shutdown(std::net::Shutdown::Write));
        if told.is_err() {
            return;
        }
        if self.farewells.len() >= MAX_FAREWELLS {
            self.farewells.remove(0);
        }
        let until = Instant::now() + FAREWELL_TIME;
        self.farewells.push(Farewell { socket, until });
    }
}

/// A refused connection that is kept until its peer has closed it, or its time is over.
struct Farewell {
    socket: Socket,
    until: Instant,
}

impl Farewell {
    /// Drops what came; whether nothing more will.
    fn is_over(&mut self) -> bool {
        let mut dropped = [0; 4096];
        match (&self.socket).read(&mut dropped) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// The places of one socket's connections.
struct Lane {
    live: Arc<AtomicUsize>,
    limit: usize,
}

/// A connection's place among those a lane allows, free again when dropped.
#[cfg_attr(test, derive(Default))]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lane {
    fn new(limit: usize) -> Lane {
        Lane {
            live: Arc::default(),
            limit,
        }
    }

    /// A place for one more connection; `None`: the lane is full.
    fn take_place(&self) -> Option<Place> {
        if self.live.load(Ordering::Acquire) >= self.limit {
            return None;
        }
        self.live.fetch_add(1, Ordering::AcqRel);
        Some(Place(Arc::clone(&self.live)))
    }
}

/// Errors of one connection that ended before it was accepted.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
    )
}

/// How long a poll waits for something that is so far away.
pub(super) fn timespec(duration: Duration) -> Timespec {
    // Rounded up by a millisecond: waking early would only mean waiting again.
    let duration = duration + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
