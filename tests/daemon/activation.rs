//! Sockets that somebody else has made: they survive the daemon, and nobody is refused meanwhile.

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use atlaskv::protocol::{Request, Response};

use crate::harness::{Daemon, Home, LONG, Raw, wait_until};

/// In the place of a socket unit.
struct Sockets {
    tcp: TcpListener,
    admin: UnixListener,
}

impl Sockets {
    fn new(home: &Home) -> Sockets {
        Sockets {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            admin: UnixListener::bind(home.socket()).unwrap(),
        }
    }

    /// The daemon of `home`, handed these sockets as systemd does: from number 3 on.
    fn command(&self, home: &Home) -> Command {
        let script = "exec 3<&0 4<&1 </dev/null >/dev/null; \
                      export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=atlaskv.socket:atlaskv.socket; \
                      exec \"$0\" --config \"$1\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_atlaskvd")]);
        command.arg(home.config());
        command.stdin(Stdio::from(OwnedFd::from(self.tcp.try_clone().unwrap())));
        command.stdout(Stdio::from(OwnedFd::from(self.admin.try_clone().unwrap())));
        command
    }

    fn start(&self, home: &Home) -> Daemon {
        let mut daemon = Daemon::run_with_streams(self.command(home), home.socket());
        daemon.wait_until_ready();
        daemon
    }

    fn connect(&self) -> Raw<TcpStream> {
        let stream = TcpStream::connect(self.tcp.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Raw::new(stream)
    }
}

#[test]
fn inherited_sockets_are_served_and_stay() {
    let home = Home::new("", "");
    let sockets = Sockets::new(&home);
    for _ in 0..2 {
        let mut daemon = sockets.start(&home);
        assert_eq!(daemon.address(), sockets.tcp.local_addr().unwrap());
        daemon.client().put(b"key", b"value").unwrap();
        let mut admin = daemon.admin();
        let items = admin.config().unwrap();
        let origin = |key: &str| {
            let item = items.iter().find(|item| item.key == key).unwrap();
            item.origin.clone()
        };
        assert_eq!(origin("server.listen"), "systemd socket");
        assert_eq!(origin("server.admin_socket"), "systemd socket");
        drop(admin);
        daemon.stop();
        assert!(home.socket().exists());
    }
}

#[test]
fn who_connects_between_two_daemons_is_served_by_the_second() {
    let home = Home::new("", "");
    let sockets = Sockets::new(&home);
    for kill in [true, false] {
        let mut daemon = sockets.start(&home);
        daemon.client().put(b"key", b"value").unwrap();
        if kill {
            daemon.kill();
        } else {
            daemon.stop();
        }
        let mut waiting: Vec<_> = (0..10).map(|_| sockets.connect()).collect();
        let mut admin = Raw::new(UnixStream::connect(home.socket()).unwrap());
        for raw in &mut waiting {
            raw.request(&Request::Get { key: b"key" }, 1);
        }
        admin.request(&Request::Ping, 1);
        let mut daemon = sockets.start(&home);
        for mut raw in waiting {
            let (_, answer) = raw.answer();
            assert!(matches!(answer, Response::Value { .. }), "{answer:?}");
        }
        assert_eq!(admin.answer(), (1, Response::Pong));
        drop(admin);
        daemon.stop();
    }
}

#[test]
fn restarts_refuse_nobody() {
    let home = Home::new("", "");
    let sockets = Sockets::new(&home);
    let (done, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let address = sockets.tcp.local_addr().unwrap();
            let (done, served) = (Arc::clone(&done), Arc::clone(&served));
            thread::spawn(move || {
                while !done.load(Ordering::Acquire) {
                    // Refused: the test fails here.
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_read_timeout(Some(LONG)).unwrap();
                    // A daemon that stops ends those that it has accepted, well, with a last answer.
                    let _ = stream.shutdown(Shutdown::Write);
                    let mut answer = Vec::new();
                    let _ = stream.read_to_end(&mut answer);
                    served.fetch_add(1, Ordering::AcqRel);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        let mut daemon = sockets.start(&home);
        let before = served.load(Ordering::Acquire);
        wait_until("clients are served", || {
            served.load(Ordering::Acquire) > before + 50
        });
        daemon.stop();
    }
    done.store(true, Ordering::Release);
    // Who waits now is served once more.
    let mut daemon = sockets.start(&home);
    for client in clients {
        client.join().unwrap();
    }
    daemon.stop();
}

#[test]
fn sockets_that_are_of_no_use_are_refused() {
    let home = Home::new("", "");
    let sockets = Sockets::new(&home);
    // The same kind twice, and something that is no socket.
    for (first, second, why) in [
        (
            Stdio::from(OwnedFd::from(sockets.tcp.try_clone().unwrap())),
            Stdio::from(OwnedFd::from(sockets.tcp.try_clone().unwrap())),
            "a second TCP socket",
        ),
        (
            Stdio::null(),
            Stdio::from(OwnedFd::from(sockets.tcp.try_clone().unwrap())),
            "neither a TCP nor a Unix stream socket",
        ),
    ] {
        let mut command = sockets.command(&home);
        command.stdin(first).stdout(second);
        let mut daemon = Daemon::run_with_streams(command, home.socket());
        assert_eq!(daemon.wait().code(), Some(2));
        let said = daemon.said();
        assert!(said.contains("systemd") && said.contains(why), "{said}");
    }
}
