//! Socket activation: the sockets that systemd made and hands over.
//!
//! The kind of a socket says what it is for: TCP for clients, Unix for administrators, at most one of
//! each. Names (`FileDescriptorName=`) change nothing, so one socket unit serves every instance.

use std::io;

use listenfd::ListenFd;

use super::Failure;
use crate::server::Inherited;

/// Takes the sockets that were handed to this process; none when it was started otherwise. Must be called
/// before there are threads: it clears the environment's variables.
///
/// # Errors
/// [`Failure::Inherited`] for what is no listening socket of these kinds, and for a second one of a kind.
pub(super) fn take() -> Result<Inherited, Failure> {
    let wrong = |what: String| Failure::Inherited { what };
    // It alone sees to it that they were meant for this process.
    let handed = sd_notify::listen_fds_with_names()
        .map_err(|error| wrong(format!("its list cannot be read: {error}")))?;
    let names: Vec<String> = handed.map(|(_, name)| name).collect();
    let mut inherited = Inherited::default();
    if names.is_empty() {
        return Ok(inherited);
    }
    let mut sockets = ListenFd::from_env();
    for (place, name) in names.iter().enumerate() {
        if let Ok(Some(tcp)) = sockets.take_tcp_listener(place) {
            if !is_listening(&tcp) {
                return Err(wrong(format!(
                    "{name:?} does not listen (Accept=yes in its unit?)"
                )));
            }
            if inherited.tcp.replace(tcp).is_some() {
                return Err(wrong(format!(
                    "{name:?} is a second TCP socket: name one ListenStream="
                )));
            }
        } else if let Ok(Some(admin)) = sockets.take_unix_listener(place) {
            if !is_listening(&admin) {
                return Err(wrong(format!(
                    "{name:?} does not listen (Accept=yes in its unit?)"
                )));
            }
            if inherited.admin.replace(admin).is_some() {
                return Err(wrong(format!(
                    "{name:?} is a second Unix socket: name one ListenStream="
                )));
            }
        } else {
            return Err(wrong(format!(
                "{name:?} is neither a TCP nor a Unix stream socket"
            )));
        }
    }
    Ok(inherited)
}

/// Whether connections can be accepted from it.
fn is_listening(socket: impl std::os::fd::AsFd) -> bool {
    let listening: io::Result<bool> =
        rustix::net::sockopt::socket_acceptconn(socket).map_err(io::Error::from);
    listening.unwrap_or(false)
}
