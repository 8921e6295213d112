//! A broken server: it stands between the clients and the daemon, and lies about one thing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use atlaskv::protocol::{DEFAULT_MAX_FRAME_SIZE, Expected, Request, Response, frame};

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Nothing: what the others are compared with.
    None,
    /// Every fourth get is answered from a cache that nobody refreshes.
    StaleRead,
    /// Every fourth put is acknowledged, with an LSN as it should be, and done to another key.
    LostUpdate,
    /// A compare-and-swap is a get, a look and a put.
    SwapInSteps,
    /// A batch is done one operation after another.
    TornBatch,
    /// A scan that is opened after a write was acknowledged shows the state of the scan before it.
    StaleScan,
}

/// What all connections share.
#[derive(Debug, Default)]
struct Cache {
    gets: BTreeMap<Vec<u8>, Response>,
    scans: BTreeMap<(Vec<u8>, bool), Response>,
    asked: u64,
}

/// Listens, and lies, for as long as the test runs.
pub fn start(daemon: SocketAddr, lie: Lie) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let cache = Arc::new(Mutex::new(Cache::default()));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let cache = Arc::clone(&cache);
            let server = TcpStream::connect(daemon).unwrap();
            server.set_nodelay(true).unwrap();
            client.set_nodelay(true).unwrap();
            thread::spawn(move || {
                let mut liar = Liar { server, lie, cache };
                // Either end may close whenever it likes.
                let _ = liar.serve(client);
            });
        }
    });
    address
}

struct Liar {
    server: TcpStream,
    lie: Lie,
    cache: Arc<Mutex<Cache>>,
}

fn read_frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    stream.read_exact(&mut bytes)?;
    let length = frame::peek_length(&bytes, DEFAULT_MAX_FRAME_SIZE).unwrap();
    bytes.resize(length.unwrap(), 0);
    stream.read_exact(&mut bytes[4..])?;
    Ok(bytes)
}

impl Liar {
    fn serve(&mut self, mut client: TcpStream) -> std::io::Result<()> {
        loop {
            let bytes = read_frame(&mut client)?;
            let (frame, _) = frame::decode(&bytes, u32::MAX).unwrap().unwrap();
            let request = Request::decode(&frame, u64::MAX).unwrap();
            let answer = self.answer(&request)?;
            let mut out = Vec::new();
            answer.encode(frame.request_id, u32::MAX, &mut out).unwrap();
            client.write_all(&out)?;
        }
    }

    fn forward(&mut self, request: &Request<'_>) -> std::io::Result<Response> {
        let mut bytes = Vec::new();
        request.encode(1, u32::MAX, &mut bytes).unwrap();
        self.server.write_all(&bytes)?;
        let bytes = read_frame(&mut self.server)?;
        let (frame, _) = frame::decode(&bytes, u32::MAX).unwrap().unwrap();
        Ok(Response::decode(&frame).unwrap())
    }

    /// Whether it is time to lie: each fourth time.
    fn is_time(&self) -> bool {
        let mut cache = self.cache.lock().unwrap();
        cache.asked += 1;
        cache.asked.is_multiple_of(4)
    }

    fn answer(&mut self, request: &Request<'_>) -> std::io::Result<Response> {
        match (self.lie, request) {
            (Lie::StaleRead, Request::Get { key }) => {
                let known = self.cache.lock().unwrap().gets.get(*key).cloned();
                match known.filter(|_| self.is_time()) {
                    Some(stale) => Ok(stale),
                    None => {
                        let answer = self.forward(request)?;
                        let mut cache = self.cache.lock().unwrap();
                        cache.gets.entry(key.to_vec()).or_insert(answer.clone());
                        Ok(answer)
                    }
                }
            }
            (Lie::LostUpdate, Request::Put { value, .. }) if self.is_time() => {
                let key = b"elsewhere";
                self.forward(&Request::Put { key, value })
            }
            (Lie::SwapInSteps, Request::CompareAndSwap { key, expected, new }) => {
                self.swap_in_steps(request, key, *expected, *new)
            }
            (Lie::TornBatch, Request::Batch { operations }) => {
                let mut last = None;
                for operation in operations {
                    let operations = vec![*operation];
                    last = Some(self.forward(&Request::Batch { operations })?);
                }
                Ok(last.unwrap())
            }
            (
                Lie::StaleScan,
                Request::ScanOpen {
                    prefix, reverse, ..
                },
            ) => {
                let answer = self.forward(request)?;
                // One of several pages cannot be kept: its number is a connection's own.
                let Response::ScanPage { done: true, .. } = answer else {
                    return Ok(answer);
                };
                let mut cache = self.cache.lock().unwrap();
                let stale = cache
                    .scans
                    .insert((prefix.to_vec(), *reverse), answer.clone());
                Ok(stale.unwrap_or(answer))
            }
            _ => self.forward(request),
        }
    }

    fn swap_in_steps(
        &mut self,
        request: &Request<'_>,
        key: &[u8],
        expected: Expected<'_>,
        new: Option<&[u8]>,
    ) -> std::io::Result<Response> {
        let current = self.forward(&Request::Get { key })?;
        let holds = match (&current, expected) {
            (Response::Value { value, .. }, Expected::Value(wanted)) => value == wanted,
            (Response::Value { lsn, .. }, Expected::Version(wanted)) => *lsn == wanted,
            (Response::NotFound, Expected::Absent) => true,
            _ => false,
        };
        match new {
            Some(value) if holds => {
                // Time enough for others; how much decides only how soon it is found out.
                thread::sleep(std::time::Duration::from_millis(2));
                self.forward(&Request::Put { key, value })
            }
            _ => self.forward(request),
        }
    }
}
