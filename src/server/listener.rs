//! The two sockets the server listens on: made here, or inherited from a service manager that goes on
//! listening when the daemon does not.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode};
use socket2::{Domain, SockAddr, Socket, Type};
use thiserror::Error;

use crate::storage::{Disk, RealDisk};

/// Connections that wait to be accepted. The kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// Read and write for the owner and the group: who may write to the socket administrates.
const ADMIN_MODE: u32 = 0o660;

/// A socket that could not be made. The text says what to do.
#[derive(Debug, Error)]
pub enum BindError {
    /// The TCP address.
    #[error("cannot listen on {address}: {source}{}", advice(source))]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The Unix socket.
    #[error("cannot make the admin socket {}: {source}{}", path.display(), advice(source))]
    Admin {
        /// Its path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The path of the Unix socket is taken by something that listens, or by a file.
    #[error(
        "cannot make the admin socket {}: {taken}; choose another path (--admin-socket)",
        path.display()
    )]
    AdminTaken {
        /// Its path.
        path: PathBuf,
        /// What is there.
        taken: &'static str,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop what listens there or choose another (--listen)",
        io::ErrorKind::AddrNotAvailable => "; it is no address of this machine (--listen)",
        io::ErrorKind::NotFound => "; make the directory or choose another path (--admin-socket)",
        _ => "",
    }
}

/// The sockets of a server, listening.
#[derive(Debug)]
pub struct Listeners {
    pub(super) tcp: Socket,
    pub(super) admin: Socket,
    address: SocketAddr,
    /// The socket file that goes with its server: none when the socket was inherited.
    _admin_file: Option<SocketFile>,
}

/// Sockets that listen already. Their files and modes are their maker's.
#[derive(Debug, Default)]
pub struct Inherited {
    /// For TCP clients.
    pub tcp: Option<TcpListener>,
    /// For administrators.
    pub admin: Option<UnixListener>,
}

impl Listeners {
    /// Makes both sockets. The caller holds the lock of the data
    /// directory, and so is the only daemon that may replace a socket file that a crash has left.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(address: SocketAddr, admin_path: &Path) -> Result<Listeners, BindError> {
        Listeners::inherit(Inherited::default(), address, admin_path)
    }

    /// Takes the sockets that were inherited, and makes those that were not, as [`Listeners::bind`] does.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn inherit(
        inherited: Inherited,
        address: SocketAddr,
        admin_path: &Path,
    ) -> Result<Listeners, BindError> {
        let (admin, admin_file) = match inherited.admin {
            Some(admin) => (Socket::from(admin), None),
            None => {
                let admin = bind_admin(admin_path)?;
                (admin, Some(SocketFile(admin_path.to_path_buf())))
            }
        };
        let failed = |source| BindError::Tcp { address, source };
        let tcp = match inherited.tcp {
            Some(tcp) => Socket::from(tcp),
            None => bind_tcp(address).map_err(failed)?,
        };
        for socket in [&tcp, &admin] {
            // The accept loop polls: a connection that vanished in between must not block it.
            socket.set_nonblocking(true).map_err(failed)?;
        }
        let bound = tcp.local_addr().map_err(failed)?;
        Ok(Listeners {
            address: bound.as_socket().unwrap_or(address),
            _admin_file: admin_file,
            tcp,
            admin,
        })
    }

    /// The TCP address, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A socket's file, removed when dropped.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next start replaces what stays behind.
        let _ = RealDisk.remove(&self.0);
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Without it a restart would wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn bind_admin(path: &Path) -> Result<Socket, BindError> {
    let failed = |source| BindError::Admin {
        path: path.to_path_buf(),
        source,
    };
    let address = SockAddr::unix(path).map_err(failed)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    let bound = match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            check_stale(path, &address)?;
            RealDisk.remove(path).and_then(|()| socket.bind(&address))
        }
        bound => bound,
    };
    bound.map_err(failed)?;
    // Nobody can connect before it listens, so nobody connects under another mode.
    let protected = rustix::fs::chmod(path, Mode::from_raw_mode(ADMIN_MODE));
    protected.map_err(|error| failed(error.into()))?;
    socket.listen(BACKLOG).map_err(failed)?;
    Ok(socket)
}

/// Whether what is at `path` is a socket that nobody listens on.
fn check_stale(path: &Path, address: &SockAddr) -> Result<(), BindError> {
    let taken = |taken| BindError::AdminTaken {
        path: path.to_path_buf(),
        taken,
    };
    let failed = |source| BindError::Admin {
        path: path.to_path_buf(),
        source,
    };
    let stat = rustix::fs::lstat(path).map_err(|error| failed(error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(taken("a file that is no socket is there"));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    // A full backlog must not block the start: it too means that somebody listens.
    probe.set_nonblocking(true).map_err(failed)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => Err(taken("another process listens there")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn any() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn inherited_sockets_keep_their_file_and_their_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let admin = UnixListener::bind(&path).unwrap();
        rustix::fs::chmod(&path, Mode::from_raw_mode(0o600)).unwrap();
        let tcp = TcpListener::bind(any()).unwrap();
        let address = tcp.local_addr().unwrap();
        let (tcp, admin) = (Some(tcp), Some(admin));
        let listeners = Listeners::inherit(Inherited { tcp, admin }, any(), &path).unwrap();
        assert_eq!(listeners.address(), address);
        drop(listeners);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_admin_socket_is_for_owner_and_group_and_goes_with_its_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let listeners = Listeners::bind(any(), &path).unwrap();
        assert_ne!(listeners.address().port(), 0);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
        UnixStream::connect(&path).unwrap();
        drop(listeners);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_left_by_a_crash_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        Listeners::bind(any(), &path).unwrap();
    }

    #[test]
    fn what_listens_and_what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let error = Listeners::bind(any(), &path).unwrap_err().to_string();
        assert!(error.contains("another process listens there"), "{error}");
        drop(listener);
        let file = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
        let error = Listeners::bind(any(), file.path()).unwrap_err().to_string();
        assert!(error.contains("no socket"), "{error}");
        assert!(file.path().is_file());
    }

    #[test]
    fn a_port_in_use_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let first = Listeners::bind(any(), &dir.path().join("a.sock")).unwrap();
        let path = dir.path().join("b.sock");
        let error = Listeners::bind(first.address(), &path)
            .unwrap_err()
            .to_string();
        assert!(error.contains(&first.address().to_string()), "{error}");
        assert!(error.contains("--listen"), "{error}");
        assert!(!path.exists());
    }
}
