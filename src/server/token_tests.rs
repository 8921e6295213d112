//! A server that wants a token, and who presents it, another, or none.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::{Listeners, NoControl, Server, Settings};
use crate::client::{Client, ClientError, ClientOptions, StatValue};
use crate::config::Config;
use crate::protocol::{ErrorCode, Request, Response, Token, frame};
use crate::storage::{Engine, RealDisk};

/// Longer than anything takes; only a failure waits for it.
const LONG: Duration = Duration::from_secs(120);

struct Running {
    server: Server,
    home: TempDir,
}

fn token(text: &str) -> Token {
    Token::new(text.as_bytes()).unwrap()
}

fn start(change: impl FnOnce(&mut Settings)) -> Running {
    let home = tempfile::tempdir().unwrap();
    let mut config = Config::embedded(home.path());
    config.server.listen.set_port(0);
    let engine = Engine::open(RealDisk::shared(), home.path(), config.options()).unwrap();
    let listeners = Listeners::bind(config.server.listen, &home.path().join("a.sock")).unwrap();
    let mut settings = crate::daemon::settings(&config, 64, None);
    settings.token = Some(token("secret"));
    change(&mut settings);
    let server = Server::start(Arc::new(engine), listeners, settings, Arc::new(NoControl));
    Running {
        server: server.unwrap(),
        home,
    }
}

impl Running {
    fn connect(&self, token: Option<Token>) -> Result<Client, ClientError> {
        Client::connect(&self.server.address().to_string(), options(token))
    }

    fn admin(&self, token: Option<Token>) -> Client {
        Client::connect_unix(&self.home.path().join("a.sock"), options(token)).unwrap()
    }

    /// A connection from another address of the loopback.
    fn raw(&self, from: [u8; 4]) -> Raw {
        let stream = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        stream.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        stream.connect(&self.server.address().into()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Raw {
            stream,
            received: Vec::new(),
        }
    }

    fn figure(&self, name: &str) -> u64 {
        let figures = self.admin(None).stats().unwrap();
        match figures.into_iter().find(|(found, _)| found == name) {
            Some((_, StatValue::Number(number))) => number,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Lets an address have failed so often that its next token is not looked at for an hour.
    fn has_failed(&self, address: [u8; 4]) {
        let later = Instant::now() + Duration::from_secs(3600);
        let gate = &self.server.shared.gate;
        gate.attempt(IpAddr::from(address), later, || false);
    }
}

fn options(token: Option<Token>) -> ClientOptions {
    ClientOptions {
        read_timeout: Some(LONG),
        token,
        ..ClientOptions::default()
    }
}

struct Raw {
    stream: Socket,
    received: Vec<u8>,
}

impl Raw {
    fn send(&mut self, requests: &[Request<'_>]) {
        let mut bytes = Vec::new();
        for (id, request) in (1..).zip(requests) {
            request.encode(id, u32::MAX, &mut bytes).unwrap();
        }
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next answer, as its error code; `None`: it is none. At the end of the connection a panic.
    fn answer(&mut self) -> (u32, Option<ErrorCode>) {
        self.next().expect("the server has closed")
    }

    fn next(&mut self) -> Option<(u32, Option<ErrorCode>)> {
        loop {
            if let Some((frame, used)) = frame::decode(&self.received, u32::MAX).unwrap() {
                let code = match Response::decode(&frame).unwrap() {
                    Response::Error { code, .. } => Some(code),
                    _ => None,
                };
                let answer = (frame.request_id, code);
                self.received.drain(..used);
                return Some(answer);
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece).unwrap() {
                0 => return None,
                count => self.received.extend_from_slice(&piece[..count]),
            }
        }
    }
}

fn hello(with: Option<&str>) -> Request<'static> {
    Request::Hello {
        client: "test",
        max_version: 1,
        token: with.map(token),
    }
}

fn put() -> Request<'static> {
    Request::Put {
        key: b"k",
        value: b"v",
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Option<ErrorCode> {
    result.unwrap_err().code()
}

#[test]
fn only_the_right_token_gets_in_over_tcp() {
    let running = start(|_| {});
    let mut client = running.connect(Some(token("secret"))).unwrap();
    client.put(b"k", b"v").unwrap();
    let wrong = Some(ErrorCode::WrongToken);
    for guess in ["secre", "secret\0", "Secret", "guess"] {
        assert_eq!(code(running.connect(Some(token(guess)))), wrong);
    }
    let missing = Some(ErrorCode::NotAuthenticated);
    assert_eq!(code(running.connect(None)), missing);
    assert!(client.get(b"k").unwrap().is_some());
    assert_eq!(running.figure("server.auth_failures"), 4);
}

#[test]
fn the_unix_socket_needs_no_token_and_a_server_without_one_passes_it_over() {
    let running = start(|_| {});
    running.admin(None).put(b"k", b"v").unwrap();
    running.admin(Some(token("guess"))).put(b"k", b"v").unwrap();
    assert_eq!(running.figure("server.auth_failures"), 0);
    let open = start(|settings| settings.token = None);
    let mut client = open.connect(Some(token("guess"))).unwrap();
    client.put(b"k", b"v").unwrap();
}

#[test]
fn requests_before_the_token_are_refused_one_by_one_and_those_behind_it_done() {
    let running = start(|_| {});
    let mut raw = running.raw([127, 0, 0, 1]);
    let administrative = Request::Flush;
    raw.send(&[
        put(),
        hello(None),
        Request::Stats,
        administrative,
        hello(Some("secret")),
        Request::Exists { key: b"k" },
        put(),
        hello(None),
    ]);
    for id in 1..=4 {
        assert_eq!(raw.answer(), (id, Some(ErrorCode::NotAuthenticated)));
    }
    for id in 5..=8 {
        assert_eq!(raw.answer(), (id, None));
    }
    let mut client = running.connect(Some(token("secret"))).unwrap();
    assert_eq!(client.get(b"k").unwrap().unwrap().value, "v");
}

#[test]
fn nothing_behind_a_wrong_token_is_done_or_answered() {
    let running = start(|_| {});
    let mut early = running.raw([127, 0, 0, 1]);
    early.send(&[hello(Some("guess")), hello(Some("secret")), put()]);
    assert_eq!(early.answer(), (1, Some(ErrorCode::WrongToken)));
    assert_eq!(early.next(), None);
    let mut late = running.raw([127, 0, 0, 1]);
    late.send(&[hello(Some("secret")), hello(Some("guess")), put()]);
    assert_eq!(late.answer(), (1, None));
    assert_eq!(late.answer(), (2, Some(ErrorCode::WrongToken)));
    assert_eq!(late.next(), None);
    assert!(!running.admin(None).exists(b"k").unwrap());
}

#[test]
fn a_token_that_is_changed_holds_for_whoever_presents_one_from_then_on() {
    let running = start(|_| {});
    let mut before = running.connect(Some(token("secret"))).unwrap();
    let (mut with_old, mut with_new) = (running.raw([127, 0, 0, 1]), running.raw([127, 0, 0, 1]));
    // Both have begun under the old settings.
    for raw in [&mut with_old, &mut with_new] {
        raw.send(&[Request::Ping]);
        assert_eq!(raw.answer(), (1, Some(ErrorCode::NotAuthenticated)));
    }
    let mut settings = (*running.server.shared.settings()).clone();
    settings.token = Some(token("another"));
    running.server.shared.reconfigure(settings);
    with_old.send(&[hello(Some("secret"))]);
    assert_eq!(with_old.answer(), (1, Some(ErrorCode::WrongToken)));
    with_new.send(&[hello(Some("another"))]);
    assert_eq!(with_new.answer(), (1, None));
    before.ping().unwrap();
}

#[test]
fn before_the_token_frames_are_small() {
    let running = start(|settings| settings.token = Some(Token::new(&[7; 4096]).unwrap()));
    let mut raw = running.raw([127, 0, 0, 1]);
    raw.stream.write_all(&8193_u32.to_le_bytes()).unwrap();
    assert_eq!(raw.answer(), (0, Some(ErrorCode::FrameTooLarge)));
    assert_eq!(raw.next(), None);
    assert_eq!(running.figure("server.inflight_bytes"), 0);
    let mut client = running
        .connect(Some(Token::new(&[7; 4096]).unwrap()))
        .unwrap();
    client.put(b"k", &[0; 100_000]).unwrap();
}

#[test]
fn who_asks_on_and_on_without_a_token_is_ended() {
    let running = start(|settings| {
        settings.read_timeout = Duration::from_millis(100);
        settings.idle_timeout = None;
    });
    let mut idle = running.raw([127, 0, 0, 1]);
    assert_eq!(idle.answer(), (0, Some(ErrorCode::Timeout)));
    assert_eq!(idle.next(), None);
    let mut busy = running.raw([127, 0, 0, 1]);
    let end = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < end, "it is never ended");
        busy.send(&[Request::Ping]);
        match busy.answer() {
            (1, Some(ErrorCode::NotAuthenticated)) => {}
            (0, Some(ErrorCode::Timeout)) => break,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_address_that_guesses_is_not_heard_and_others_are() {
    let running = start(|_| {});
    let mut before = running.raw([127, 0, 0, 2]);
    before.send(&[hello(Some("secret"))]);
    assert_eq!(before.answer(), (1, None));
    running.has_failed([127, 0, 0, 2]);
    for with in ["guess", "secret"] {
        let mut raw = running.raw([127, 0, 0, 2]);
        raw.send(&[hello(Some(with)), put()]);
        assert_eq!(raw.answer(), (1, Some(ErrorCode::TooManyAttempts)));
        assert_eq!(raw.next(), None);
    }
    before.send(&[put()]);
    assert_eq!(before.answer(), (1, None));
    running.connect(Some(token("secret"))).unwrap();
    assert_eq!(running.figure("server.auth_throttled"), 2);
}

#[test]
fn during_an_attack_a_good_client_gets_in_every_time() {
    let running = start(|_| {});
    let (running, rounds) = (&running, 100);
    thread::scope(|scope| {
        for attacker in 2..6 {
            scope.spawn(move || {
                for _ in 0..rounds {
                    let mut raw = running.raw([127, 0, 0, attacker]);
                    raw.send(&[hello(Some("guess")), put()]);
                    let (_, code) = raw.answer();
                    assert!(matches!(
                        code,
                        Some(ErrorCode::WrongToken | ErrorCode::TooManyAttempts)
                    ));
                }
            });
        }
        for _ in 0..rounds {
            let mut client = running.connect(Some(token("secret"))).unwrap();
            client.put(b"good", b"v").unwrap();
        }
    });
    assert!(!running.admin(None).exists(b"k").unwrap());
    let refused = running.figure("server.auth_failures") + running.figure("server.auth_throttled");
    assert_eq!(refused, 4 * rounds);
}
