//! A daemon for a test, and raw connections to it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use atlaskv::client::{Client, ClientOptions};
use atlaskv::protocol::{DEFAULT_MAX_FRAME_SIZE, Request, Response, StatValue, frame};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything takes; only a failure waits for it.
pub const LONG: Duration = Duration::from_secs(120);

/// A directory with a configuration, for one daemon after another.
pub struct Home {
    dir: TempDir,
}

impl Home {
    /// `server` and `storage` are further lines of those sections.
    pub fn new(server: &str, storage: &str) -> Home {
        let home = Home {
            dir: tempfile::tempdir().unwrap(),
        };
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_socket = {:?}\n{server}\n\
             [storage]\ndata_dir = {:?}\n{storage}\n",
            home.socket(),
            home.data(),
        );
        std::fs::write(home.config(), text).unwrap();
        home
    }

    /// Leaves everything where it is; returns where that is.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("atlaskv.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("a.sock")
    }

    /// Starts a daemon and waits until it is ready.
    pub fn start(&self) -> Daemon {
        let mut daemon = self.spawn();
        daemon.wait_until_ready();
        daemon
    }

    /// Starts a daemon and does not wait.
    pub fn spawn(&self) -> Daemon {
        let config = self.config();
        Daemon::spawn(&["--config", config.to_str().unwrap()], self.socket())
    }

    /// Runs a daemon that is expected to end by itself; returns its exit code and what it said.
    pub fn run(&self) -> (Option<i32>, String) {
        let mut daemon = self.spawn();
        let status = daemon.wait();
        (status.code(), daemon.said())
    }
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_atlaskvd"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A running daemon, killed when dropped.
pub struct Daemon {
    child: Child,
    address: Option<SocketAddr>,
    socket: PathBuf,
    said: Arc<Mutex<String>>,
    ready: Mutex<mpsc::Receiver<SocketAddr>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Daemon {
    pub fn spawn(arguments: &[&str], socket: PathBuf) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atlaskvd"));
        command.args(arguments);
        Daemon::run(command, socket)
    }

    /// Starts a command that becomes a daemon.
    pub fn run(mut command: Command, socket: PathBuf) -> Daemon {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Daemon::run_with_streams(command, socket)
    }

    /// The same with the standard input and output that the command has.
    pub fn run_with_streams(mut command: Command, socket: PathBuf) -> Daemon {
        let mut child = command
            // As the unit has it: by default glibc may keep up to 64 MiB that were freed for each of
            // eight arenas a core, which is not what the tests measure.
            .env("MALLOC_ARENA_MAX", "2")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let (sender, ready) = mpsc::channel();
        let reader = thread::spawn({
            let said = Arc::clone(&said);
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    if let Some((_, rest)) = line.split_once(" ready on ") {
                        let address = rest.split(',').next().unwrap();
                        let _ = sender.send(address.parse().unwrap());
                    }
                    let mut said = said.lock().unwrap();
                    said.push_str(&line);
                    said.push('\n');
                }
            }
        });
        Daemon {
            child,
            address: None,
            socket,
            said,
            ready: Mutex::new(ready),
            reader: Some(reader),
        }
    }

    pub fn wait_until_ready(&mut self) {
        let ready = self.ready.lock().unwrap().recv_timeout(LONG);
        match ready {
            Ok(address) => self.address = Some(address),
            Err(error) => panic!("not ready ({error}): {}", self.said_so_far()),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.address().to_string(), options()).unwrap()
    }

    pub fn admin(&self) -> Client {
        Client::connect_unix(&self.socket, options()).unwrap()
    }

    pub fn raw(&self) -> Raw<TcpStream> {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        Raw::new(stream)
    }

    pub fn raw_admin(&self) -> Raw<UnixStream> {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Raw::new(stream)
    }

    pub fn signal(&self, signal: Signal) {
        // The process may have ended just now.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end, which must come.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "does not end: {}",
                self.said_so_far()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Asks it to stop and waits; it must end well.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.said());
    }

    /// Everything it said, once it has ended.
    pub fn said(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.said_so_far()
    }

    /// A copy, so that whoever fails with it does not hold the lock while the daemon is dropped.
    fn said_so_far(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// A number of `/proc/PID/status`, in KiB.
    pub fn memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("the daemon said:\n{}", self.said_so_far());
        }
    }
}

pub fn options() -> ClientOptions {
    ClientOptions {
        read_timeout: Some(LONG),
        write_timeout: Some(LONG),
        ..ClientOptions::default()
    }
}

/// The figures of `stats` by name, numbers and texts as text.
pub fn stats(client: &mut Client) -> BTreeMap<String, String> {
    let figures = client.stats().unwrap().into_iter();
    figures
        .map(|(name, value)| match value {
            StatValue::Number(number) => (name, number.to_string()),
            StatValue::Text(text) => (name, text),
        })
        .collect()
}

/// One figure that is a number.
pub fn figure(client: &mut Client, name: &str) -> u64 {
    stats(client)[name].parse().unwrap()
}

/// Asks again and again until it is so; it must become so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The seed of a random test, printed so that a failure can be run again.
pub fn seed() -> u64 {
    let seed = std::env::var("ATLASKV_TEST_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("ATLASKV_TEST_SEED={seed}");
    seed
}

pub fn encoded(request: &Request<'_>, id: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(id, u32::MAX, &mut bytes).unwrap();
    bytes
}

/// A connection that sends any bytes and reads frames.
pub struct Raw<S> {
    pub stream: S,
    received: Vec<u8>,
}

impl<S: Read + Write> Raw<S> {
    pub fn new(stream: S) -> Raw<S> {
        Raw {
            stream,
            received: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn request(&mut self, request: &Request<'_>, id: u32) {
        self.send(&encoded(request, id));
    }

    /// The next answer; `None`: the server has closed.
    pub fn try_answer(&mut self) -> io::Result<Option<(u32, Response)>> {
        let mut piece = vec![0; 64 * 1024];
        loop {
            let decoded = frame::decode(&self.received, DEFAULT_MAX_FRAME_SIZE).unwrap();
            if let Some((frame, used)) = decoded {
                let answer = (frame.request_id, Response::decode(&frame).unwrap());
                self.received.drain(..used);
                return Ok(Some(answer));
            }
            let count = self.stream.read(&mut piece)?;
            if count == 0 {
                assert!(self.received.is_empty(), "closed inside an answer");
                return Ok(None);
            }
            self.received.extend_from_slice(&piece[..count]);
        }
    }

    pub fn answer(&mut self) -> (u32, Response) {
        self.try_answer().unwrap().expect("the server has closed")
    }

    /// The next answer is an error of this code, about this request; returns its text.
    pub fn expect_error(&mut self, id: u32, code: atlaskv::protocol::ErrorCode) -> String {
        match self.answer() {
            (
                answered,
                Response::Error {
                    code: found,
                    message,
                },
            ) => {
                assert_eq!((answered, found), (id, code), "{message}");
                message
            }
            other => panic!("{code} expected for {id}, found {other:?}"),
        }
    }

    pub fn expect_closed(&mut self) {
        assert_eq!(self.try_answer().unwrap(), None);
    }

    pub fn expect_ping(&mut self) {
        self.request(&Request::Ping, 4711);
        assert_eq!(self.answer(), (4711, Response::Pong));
    }
}
