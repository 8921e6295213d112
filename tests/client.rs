//! The client against servers that misbehave. How it works with the real one is proven elsewhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "test code"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use atlaskv::client::{
    Client, ClientError, ClientOptions, ConfigItem, Limits, ReloadReport, ScanOptions, ServerInfo,
    SlowRequest, Token,
};
use atlaskv::protocol::{DEFAULT_MAX_FRAME_SIZE, Entry, ErrorCode, Request, Response, frame};
use bytes::Bytes;

/// The server's end of a connection.
struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Peer {
    /// Reads one request; gives its id and what `judge` makes of it. `None` when the client closed.
    fn request<T>(&mut self, judge: impl FnOnce(Request<'_>) -> T) -> Option<(u32, T)> {
        loop {
            if let Some((frame, used)) = frame::decode(&self.buffer, u32::MAX).unwrap() {
                let id = frame.request_id;
                let judged = judge(Request::decode(&frame, 1000).unwrap());
                self.buffer.drain(..used);
                return Some((id, judged));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
    }

    fn answer(&mut self, id: u32, answer: Response) {
        let mut bytes = Vec::new();
        answer.encode(id, u32::MAX, &mut bytes).unwrap();
        // A client that has gone is no concern of the server's.
        let _ = self.stream.write_all(&bytes);
    }

    fn hello(&mut self, max_frame_size: u32) {
        let (id, is_hello) = self
            .request(|request| matches!(request, Request::Hello { .. }))
            .unwrap();
        assert!(is_hello);
        self.answer(id, Response::Hello(server_info(max_frame_size)));
    }

    /// Answers everything until the client closes.
    fn serve(&mut self, mut answer: impl FnMut(Request<'_>) -> Response) {
        while let Some((id, response)) = self.request(&mut answer) {
            self.answer(id, response);
        }
    }
}

fn server_info(max_frame_size: u32) -> ServerInfo {
    ServerInfo {
        version: 1,
        server: "test".into(),
        limits: Limits {
            max_key_size: 100,
            max_value_size: 1 << 24,
            max_batch_size: 1 << 25,
            max_batch_operations: 1000,
            max_frame_size,
        },
        sync: "interval".into(),
        database_id: "00".into(),
    }
}

/// Listens on a port of the system's choice and plays `play` on the first connection.
fn server(play: impl FnOnce(&mut Peer) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        play(&mut Peer {
            stream,
            buffer: Vec::new(),
        });
    });
    (address, thread)
}

fn connect(address: &str) -> Client {
    Client::connect(address, ClientOptions::default()).unwrap()
}

fn is_broken<T: std::fmt::Debug>(result: Result<T, ClientError>) -> bool {
    matches!(result, Err(ClientError::Broken { .. }))
}

/// The server reads one request, then writes its answer, and waits in between: with large requests and
/// large answers both buffers fill.
#[test]
fn a_pipeline_does_not_deadlock_when_both_buffers_are_full() {
    const SIZE: usize = 1 << 20;
    const COUNT: usize = 64;
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        peer.serve(|request| match request {
            Request::PutIfAbsent { value, .. } => Response::Refused {
                current: Some((1, Bytes::copy_from_slice(value))),
            },
            _ => Response::Pong,
        });
    });
    let options = ClientOptions {
        pipeline_bytes: usize::MAX,
        ..ClientOptions::default()
    };
    let mut client = Client::connect(&address, options).unwrap();
    let value = vec![7; SIZE];
    let mut pipeline = client.pipeline();
    for _ in 0..COUNT {
        pipeline
            .send(&Request::PutIfAbsent {
                key: b"k",
                value: &value,
            })
            .unwrap();
    }
    pipeline.flush();
    let mut answers = 0;
    while let Some(answer) = pipeline.receive().unwrap() {
        let Response::Refused {
            current: Some((1, echo)),
        } = answer
        else {
            panic!("{answer:?}");
        };
        assert_eq!(echo.len(), SIZE);
        answers += 1;
    }
    assert_eq!(answers, COUNT);
    drop(pipeline);
    client.ping().unwrap();
    drop(client);
    thread.join().unwrap();
}

#[test]
fn a_full_pipeline_says_so_and_goes_on() {
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        peer.serve(|_| Response::Pong);
    });
    let options = ClientOptions {
        pipeline_requests: 2,
        ..ClientOptions::default()
    };
    let mut client = Client::connect(&address, options).unwrap();
    let mut pipeline = client.pipeline();
    pipeline.send(&Request::Ping).unwrap();
    pipeline.send(&Request::Ping).unwrap();
    assert!(pipeline.is_full());
    let error = pipeline.send(&Request::Ping).unwrap_err();
    assert!(matches!(error, ClientError::PipelineFull));
    assert_eq!(pipeline.receive().unwrap(), Some(Response::Pong));
    pipeline.send(&Request::Ping).unwrap();
    assert_eq!(pipeline.receive().unwrap(), Some(Response::Pong));
    assert_eq!(pipeline.receive().unwrap(), Some(Response::Pong));
    assert_eq!(pipeline.receive().unwrap(), None);
    drop(pipeline);
    drop(client);
    thread.join().unwrap();
}

#[test]
fn a_pipeline_bounds_the_bytes_of_requests_but_lets_one_in() {
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        peer.serve(|_| Response::Written { lsn: 1 });
    });
    let options = ClientOptions {
        pipeline_bytes: 10,
        ..ClientOptions::default()
    };
    let mut client = Client::connect(&address, options).unwrap();
    let mut pipeline = client.pipeline();
    let put = Request::Put {
        key: b"key",
        value: &[0; 1000],
    };
    pipeline.send(&put).unwrap();
    assert!(matches!(
        pipeline.send(&put),
        Err(ClientError::PipelineFull)
    ));
    pipeline.receive().unwrap();
    pipeline.send(&put).unwrap();
    drop(pipeline);
    drop(client);
    thread.join().unwrap();
}

#[test]
fn answers_nobody_waits_for_any_more_are_passed_over() {
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        peer.serve(|request| match request {
            Request::Get { key } => Response::Value {
                lsn: 1,
                value: Bytes::copy_from_slice(key),
            },
            _ => Response::Pong,
        });
    });
    let mut client = connect(&address);
    let mut pipeline = client.pipeline();
    pipeline.send(&Request::Get { key: b"a" }).unwrap();
    pipeline.send(&Request::Get { key: b"b" }).unwrap();
    drop(pipeline);
    let found = client.get(b"c").unwrap().unwrap();
    assert_eq!(found.value, "c");
    drop(client);
    thread.join().unwrap();
}

#[test]
fn after_a_timeout_the_connection_is_of_no_use() {
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        while peer.request(|_| ()).is_some() {}
    });
    let mut client = connect(&address);
    client
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    assert!(matches!(client.ping(), Err(ClientError::Timeout(_))));
    assert!(is_broken(client.ping()));
    assert!(is_broken(client.pipeline().send(&Request::Ping)));
    assert!(is_broken(client.scan(&ScanOptions::default()).map(drop)));
    drop(client);
    thread.join().unwrap();
}

#[test]
fn a_server_that_takes_nothing_is_a_timeout_too() {
    let (done, wait) = mpsc::channel::<()>();
    let (address, thread) = server(move |peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        assert!(wait.recv().is_err(), "until the test is over");
    });
    let options = ClientOptions {
        write_timeout: Some(Duration::from_millis(50)),
        ..ClientOptions::default()
    };
    let mut client = Client::connect(&address, options).unwrap();
    let error = client.put(b"key", &vec![0; 32 << 20]).unwrap_err();
    assert!(matches!(error, ClientError::Timeout(_)), "{error}");
    assert!(is_broken(client.ping()));
    drop(done);
    thread.join().unwrap();
}

#[test]
fn an_answer_out_of_step_breaks_the_connection() {
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        let (id, ()) = peer.request(|_| ()).unwrap();
        peer.answer(id + 1, Response::Pong);
        peer.serve(|_| Response::Pong);
    });
    let mut client = connect(&address);
    let error = client.ping().unwrap_err();
    assert!(matches!(error, ClientError::UnexpectedAnswer(_)), "{error}");
    assert!(is_broken(client.ping()));
    drop(client);
    thread.join().unwrap();
}

#[test]
fn an_answer_of_the_wrong_kind_breaks_the_connection() {
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        peer.serve(|_| Response::Done);
    });
    let mut client = connect(&address);
    assert!(matches!(
        client.ping(),
        Err(ClientError::UnexpectedAnswer(_))
    ));
    assert!(is_broken(client.ping()));
    drop(client);
    thread.join().unwrap();
}

#[test]
fn bytes_that_are_not_the_protocol_break_the_connection() {
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        peer.request(|_| ()).unwrap();
        peer.stream.write_all(b"HTTP/1.1 400 Bad Request").unwrap();
        peer.serve(|_| Response::Pong);
    });
    let mut client = connect(&address);
    assert!(matches!(client.ping(), Err(ClientError::Protocol(_))));
    assert!(is_broken(client.ping()));
    drop(client);
    thread.join().unwrap();
}

#[test]
fn a_full_server_says_so_before_it_closes() {
    let (address, thread) = server(|peer| {
        let error = Response::error(ErrorCode::ServerFull, "server is full");
        peer.answer(0, error);
    });
    let error = Client::connect(&address, ClientOptions::default()).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ServerFull), "{error}");
    thread.join().unwrap();
}

/// A server that knows no token must not get one it was not asked for: its decoding is strict.
#[test]
fn a_token_is_in_hello_when_there_is_one() {
    for wanted in [None, Some(Token::new(b"secret").unwrap())] {
        let expected = wanted.clone();
        let (address, thread) = server(move |peer| {
            let is_so = |request: Request<'_>| matches!(request, Request::Hello { token, .. } if token == expected);
            let (id, is_so) = peer.request(is_so).unwrap();
            assert!(is_so);
            peer.answer(id, Response::error(ErrorCode::WrongToken, "no"));
        });
        let options = ClientOptions {
            token: wanted,
            ..ClientOptions::default()
        };
        assert!(!format!("{options:?}").contains("secret"));
        let error = Client::connect(&address, options).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::WrongToken), "{error}");
        thread.join().unwrap();
    }
}

#[test]
fn what_an_operator_asks_comes_back_as_it_was_answered() {
    let item = ConfigItem {
        key: "server.listen".into(),
        value: "127.0.0.1:7390".into(),
        origin: "default".into(),
    };
    let report = ReloadReport {
        changed: vec!["log.level".into()],
        needs_restart: Vec::new(),
    };
    let slow = SlowRequest {
        unix_us: 1,
        duration_us: 2,
        opcode: 0x11,
        key_length: 100,
        key: Bytes::from_static(&[7; 64]),
        value_bytes: 3,
        peer: "127.0.0.1:1".into(),
    };
    let answers = (item.clone(), report.clone(), slow.clone());
    let (address, thread) = server(move |peer| {
        let (item, report, slow) = answers;
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        peer.serve(|request| match request {
            Request::Config => Response::Config(vec![item.clone()]),
            Request::Reload => Response::Reloaded(report.clone()),
            Request::Slowlog { limit: 5 } => Response::Slowlog(vec![slow.clone()]),
            _ => Response::Pong,
        });
    });
    let mut client = connect(&address);
    assert_eq!(client.config().unwrap(), [item]);
    assert_eq!(client.reload().unwrap(), report);
    assert_eq!(client.slowlog(5).unwrap(), [slow]);
    drop(client);
    thread.join().unwrap();
}

#[test]
fn an_error_about_one_request_leaves_the_connection_as_it_was() {
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        peer.serve(|request| match request {
            Request::Get { .. } => Response::error(ErrorCode::EmptyKey, "the key is empty"),
            _ => Response::Pong,
        });
    });
    let mut client = connect(&address);
    let error = client.get(b"").unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::EmptyKey));
    assert_eq!(error.to_string(), "the key is empty [empty-key]");
    client.ping().unwrap();
    drop(client);
    thread.join().unwrap();
}

#[test]
fn a_connection_that_the_server_closes_is_lost() {
    let (address, thread) = server(|peer| peer.hello(DEFAULT_MAX_FRAME_SIZE));
    let mut client = connect(&address);
    thread.join().unwrap();
    assert!(matches!(client.ping(), Err(ClientError::Lost { .. })));
    assert!(is_broken(client.ping()));
}

#[test]
fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Client::connect(&address, ClientOptions::default()).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }));
    assert!(error.to_string().contains(&address));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.sock");
    let error = Client::connect_unix(&path, ClientOptions::default()).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }));
}

#[test]
fn a_request_over_the_server_s_limit_is_not_sent() {
    let (address, thread) = server(|peer| {
        peer.hello(1000);
        peer.serve(|_| Response::Pong);
    });
    let mut client = connect(&address);
    let error = client.put(b"key", &[0; 1000]).unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { limit: 1000, .. }));
    client.ping().unwrap();
    drop(client);
    thread.join().unwrap();
}

fn numbered(number: u64) -> Entry {
    Entry {
        key: number.to_string().into(),
        value: "v".into(),
        lsn: number,
    }
}

/// Pages of one entry each, 1 to 3, of scan 9.
fn scan_answers(request: Request<'_>, place: &mut u64) -> Response {
    match request {
        Request::ScanOpen { .. } => *place = 1,
        Request::ScanNext { scan: 9, .. } => *place += 1,
        Request::ScanClose { scan: 9 } => return Response::Done,
        _ => return Response::Pong,
    }
    let done = *place == 3;
    Response::ScanPage {
        scan: if done { 0 } else { 9 },
        lsn: 100,
        entries: vec![numbered(*place)],
        done,
    }
}

#[test]
fn a_scan_yields_all_pages_and_may_be_dropped_early() {
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        let (mut place, mut closed) = (0, 0);
        peer.serve(|request| {
            closed += u32::from(matches!(request, Request::ScanClose { .. }));
            scan_answers(request, &mut place)
        });
        assert_eq!(closed, 1, "only the scan that was dropped early is closed");
    });
    let mut client = connect(&address);
    let scan = client.scan(&ScanOptions::default()).unwrap();
    assert_eq!(scan.lsn(), 100);
    let lsns: Vec<u64> = scan.map(|entry| entry.unwrap().lsn).collect();
    assert_eq!(lsns, [1, 2, 3]);
    let mut scan = client.scan(&ScanOptions::default()).unwrap();
    assert_eq!(scan.next().unwrap().unwrap().key, "1");
    drop(scan);
    client.ping().unwrap();
    drop(client);
    thread.join().unwrap();
}

#[test]
fn a_scan_that_fails_ends_with_the_error() {
    let (address, thread) = server(|peer| {
        peer.hello(DEFAULT_MAX_FRAME_SIZE);
        let mut place = 0;
        peer.serve(|request| match request {
            Request::ScanNext { .. } => Response::error(ErrorCode::ScanEnded, "idle"),
            other => scan_answers(other, &mut place),
        });
    });
    let mut client = connect(&address);
    let mut scan = client.scan(&ScanOptions::default()).unwrap();
    assert!(scan.next().unwrap().is_ok());
    let error = scan.next().unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ScanEnded));
    assert!(scan.next().is_none());
    drop(scan);
    client.ping().unwrap();
    drop(client);
    thread.join().unwrap();
}
