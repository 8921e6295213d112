//! The listener against clients that misbehave, and the health of a store that does not take writes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::Metrics;
use crate::config::Config;
use crate::server::{Listeners, NoControl, Server};
use crate::storage::{Engine, RealDisk};

const LONG: Duration = Duration::from_secs(120);

struct Running {
    engine: Arc<Engine>,
    server: Server,
    metrics: Metrics,
    _home: tempfile::TempDir,
}

fn start() -> Running {
    let home = tempfile::tempdir().unwrap();
    let mut config = Config::embedded(home.path());
    config.server.listen.set_port(0);
    let engine = Engine::open(RealDisk::shared(), home.path(), config.options()).unwrap();
    let engine = Arc::new(engine);
    let listeners = Listeners::bind(config.server.listen, &config.server.admin_socket).unwrap();
    let settings = crate::daemon::settings(&config, 8, None);
    let server = Server::start(
        Arc::clone(&engine),
        listeners,
        settings,
        Arc::new(NoControl),
    );
    let server = server.unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    Running {
        engine,
        metrics: super::start(listen, server.handle()).unwrap(),
        server,
        _home: home,
    }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.metrics.address()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Everything that is answered to these bytes.
    fn ask(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        all(&mut stream)
    }

    fn get(&self, path: &str) -> String {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
    }
}

fn all(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_is_not_asked_rightly_is_told_so() {
    let running = start();
    for (request, status) in [
        ("GET /metrics?name=a HTTP/1.0\r\n\r\n", "200 OK"),
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("GET /metrics/ HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("GET /metrics\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/2.0\r\n\r\n", "400 Bad Request"),
        ("GET  /metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("\r\n\r\n", "400 Bad Request"),
        ("\0\u{ff}\0\r\n\r\n", "400 Bad Request"),
    ] {
        let answer = running.ask(request.as_bytes());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{request:?}: {answer}"
        );
    }
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(8192));
    assert!(running.ask(long.as_bytes()).starts_with("HTTP/1.1 431 "));
    let head = running.ask(b"HEAD /health HTTP/1.1\r\n\r\n");
    assert!(
        head.contains("Content-Length: 3\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[test]
fn a_request_may_come_in_pieces_and_end_before_it_is_whole() {
    let running = start();
    let mut slow = running.connect();
    slow.set_nodelay(true).unwrap();
    for byte in b"GET /health HTTP/1.1\r\n\r\n" {
        slow.write_all(&[*byte]).unwrap();
        // Nobody waits for it.
        assert!(running.get("/health").ends_with("\r\n\r\nok\n"));
    }
    assert!(all(&mut slow).ends_with("\r\n\r\nok\n"));
    let mut half = running.connect();
    half.write_all(b"GET /hea").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(all(&mut half), "");
}

#[test]
fn who_holds_connections_open_keeps_nobody_out() {
    let running = start();
    let held: Vec<_> = (0..100).map(|_| running.connect()).collect();
    assert!(running.get("/metrics").ends_with("# EOF\n"));
    // A few are kept for a while and all the others were closed: the first is one of them.
    let mut first = &held[0];
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let running = start();
    assert_eq!(all(&mut running.connect()), "");
}

#[test]
fn health_says_why_writes_are_not_taken() {
    let mut running = start();
    assert!(running.get("/health").starts_with("HTTP/1.1 200 OK\r\n"));
    running.engine.close().unwrap();
    let answer = running.get("/health");
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\nclosed\n"),
        "{answer}"
    );
    running.server.stop(|| {});
    assert!(running.get("/health").ends_with("\r\n\r\nstopping\n"));
    let Running {
        server, metrics, ..
    } = running;
    drop(server);
    // Its threads end by themselves, and the last takes the figures with it.
    let deadline = std::time::Instant::now() + LONG;
    loop {
        let mut stream = TcpStream::connect(metrics.address()).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        if all(&mut stream).starts_with("HTTP/1.1 503 ") {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "it still answers");
    }
}

#[test]
fn a_listener_that_is_dropped_listens_no_more() {
    let running = start();
    let address = running.metrics.address();
    drop(running.metrics);
    let deadline = std::time::Instant::now() + LONG;
    while TcpStream::connect(address).is_ok() {
        assert!(std::time::Instant::now() < deadline, "it still listens");
    }
}
