//! The log to the syslog daemon of this machine, in RFC 3164's form.
//!
//! Who logs never waits: lines go into a bounded queue, and one thread sends them. While the daemon is
//! away the thread tries to reach it again and again; lines that find the queue full are counted, and
//! the count is logged when the queue has been sent.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ::syslog::{Error, Facility, Formatter3164, LogFormat, LoggerBackend, Severity, unix_custom};
use log::Level;

use super::IDENTIFIER;
use super::stderr::Stderr;

/// Where syslog daemons listen.
pub(super) const SOCKET: &str = "/dev/log";

/// Lines that wait for the daemon, at most.
const CAPACITY: usize = 1024;
/// How long the thread waits before it tries again: twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
/// How long the end of the process waits for the queue. Longer than a pause: who is back is reached.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Syslog(Arc<Queue>);

impl Syslog {
    /// Starts the thread. A daemon that is not there yet is waited for, and `stderr` told of it.
    pub(super) fn start(socket: &Path, stderr: Stderr) -> io::Result<Syslog> {
        let queue = Arc::new(Queue::default());
        let mut sender = Sender {
            queue: Arc::clone(&queue),
            socket: socket.to_owned(),
            stderr,
            connection: None,
        };
        thread::Builder::new()
            .name("syslog".to_owned())
            .spawn(move || sender.run())?;
        Ok(Syslog(queue))
    }

    pub(super) fn write(&self, level: Level, text: &str) {
        self.0.push(format(level, text));
    }

    /// Waits until everything is sent, for a bounded time.
    pub(super) fn flush(&self) {
        self.wait(PATIENCE);
    }

    fn wait(&self, patience: Duration) {
        let state = self.0.lock();
        let is_busy = |state: &mut State| state.sending || !state.is_empty();
        drop(self.0.changed.wait_timeout_while(state, patience, is_busy));
    }
}

/// A line as it is sent, with the time of now.
fn format(level: Level, text: &str) -> Vec<u8> {
    let severity = match level {
        Level::Error => Severity::LOG_ERR,
        Level::Warn => Severity::LOG_WARNING,
        Level::Info => Severity::LOG_INFO,
        Level::Debug | Level::Trace => Severity::LOG_DEBUG,
    };
    let mut line = Vec::new();
    // Memory takes every line.
    let _ = formatter().format(&mut line, severity, text);
    line
}

fn formatter() -> Formatter3164 {
    Formatter3164 {
        facility: Facility::LOG_DAEMON,
        hostname: None,
        process: IDENTIFIER.to_owned(),
        pid: std::process::id(),
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// Lines that found the queue full, since this was last said.
    dropped: u64,
    /// Whether the thread has taken a line that is not sent yet.
    sending: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }
}

impl Queue {
    /// The state is whole after every step, so a panic of another thread has not harmed it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Vec<u8>) {
        let mut state = self.lock();
        if state.lines.len() < CAPACITY {
            state.lines.push_back(line);
            self.changed.notify_all();
        } else {
            state.dropped = state.dropped.saturating_add(1);
        }
    }

    /// The next line to send, which is waited for. The one before it is done.
    fn next(&self) -> Vec<u8> {
        let mut state = self.lock();
        state.sending = false;
        self.changed.notify_all();
        let waited = self.changed.wait_while(state, |state| state.is_empty());
        state = waited.unwrap_or_else(PoisonError::into_inner);
        state.sending = true;
        if let Some(line) = state.lines.pop_front() {
            return line;
        }
        let dropped = std::mem::take(&mut state.dropped);
        let text = format!("lines dropped while syslog did not take them: {dropped}");
        format(Level::Warn, &text)
    }
}

/// The thread's side.
struct Sender {
    queue: Arc<Queue>,
    socket: PathBuf,
    stderr: Stderr,
    connection: Option<LoggerBackend>,
}

impl Sender {
    fn run(&mut self) {
        loop {
            let line = self.queue.next();
            self.deliver(&line);
        }
    }

    /// Sends a line, however often it has to be tried.
    fn deliver(&mut self, line: &[u8]) {
        // A daemon that was started anew has a new socket.
        if self.connection.is_some() && self.send(line).is_ok() {
            return;
        }
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.send(line) {
            if pause == FIRST_PAUSE {
                let socket = self.socket.display();
                let text = format!(
                    "syslog cannot be reached at {socket}: {error}; {CAPACITY} lines are kept for it"
                );
                self.stderr.write(Level::Warn, &text);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tries once; a connection that failed is not used again.
    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                unix_custom(formatter(), &self.socket)
                    .map_err(cause)?
                    .backend
            }
        };
        connection.write_all(line)?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// What the system said, without what the library says around it.
fn cause(error: Error) -> io::Error {
    match error {
        Error::Io(error) | Error::Write(error) => error,
        Error::Initialization(error) => match error.downcast::<Error>() {
            Ok(inner) => cause(*inner),
            Err(other) => io::Error::other(other),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::time::Instant;

    use super::*;

    /// Longer than anything takes; only a failure waits for it.
    const LONG: Duration = Duration::from_secs(60);

    struct Daemon(UnixDatagram);

    impl Daemon {
        fn at(socket: &Path) -> Daemon {
            let daemon = UnixDatagram::bind(socket).unwrap();
            daemon.set_read_timeout(Some(LONG)).unwrap();
            Daemon(daemon)
        }

        /// The next line, without time and process id.
        fn line(&self) -> String {
            let mut bytes = vec![0; 8192];
            let length = self.0.recv(&mut bytes).unwrap();
            let line = String::from_utf8(bytes[..length].to_vec()).unwrap();
            let (head, text) = line.split_once(": ").unwrap();
            let (priority, rest) = head.split_once('>').unwrap();
            let who = format!(" atlaskvd[{}]", std::process::id());
            let time = rest.strip_suffix(&who).unwrap();
            assert_eq!(time.len(), "Nov 23 21:53:20".len(), "{line}");
            format!("{priority}> {text}")
        }
    }

    #[test]
    fn lines_have_the_priority_of_their_level() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let daemon = Daemon::at(&socket);
        let log = Syslog::start(&socket, Stderr::ForPeople).unwrap();
        for level in [Level::Error, Level::Warn, Level::Info, Level::Debug] {
            log.write(level, "text");
        }
        // Facility 3, daemon, is 24.
        for priority in [27, 28, 30, 31] {
            assert_eq!(daemon.line(), format!("<{priority}> text"));
        }
    }

    #[test]
    fn what_a_daemon_misses_it_gets_when_it_is_back_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let daemon = Daemon::at(&socket);
        let log = Syslog::start(&socket, Stderr::ForPeople).unwrap();
        log.write(Level::Info, "before");
        assert_eq!(daemon.line(), "<30> before");

        drop(daemon);
        log.write(Level::Info, "first");
        // The thread has it in hand and tries: from here on the queue alone takes lines.
        let deadline = Instant::now() + LONG;
        let is_held = |state: &State| state.sending && state.lines.is_empty();
        while !is_held(&log.0.lock()) {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(1));
        }
        for number in 0..CAPACITY + 7 {
            log.write(Level::Info, &number.to_string());
        }
        rustix::fs::unlink(&socket).unwrap();
        let daemon = Daemon::at(&socket);
        assert_eq!(daemon.line(), "<30> first");
        for number in 0..CAPACITY {
            assert_eq!(daemon.line(), format!("<30> {number}"));
        }
        let said = "<28> lines dropped while syslog did not take them: 7";
        assert_eq!(daemon.line(), said);
        log.write(Level::Info, "after");
        assert_eq!(daemon.line(), "<30> after");
    }

    #[test]
    fn a_flush_waits_for_the_queue_but_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let log = Syslog::start(&socket, Stderr::ForPeople).unwrap();
        log.write(Level::Info, "text");
        log.wait(Duration::from_millis(10));
        assert!(log.0.lock().sending || !log.0.lock().is_empty());
        let daemon = Daemon::at(&socket);
        log.wait(LONG);
        daemon.0.set_nonblocking(true).unwrap();
        assert_eq!(daemon.line(), "<30> text");
    }
}
