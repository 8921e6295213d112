//! The server: sockets and threads between the protocol and the engine.
//!
//! - `listener` makes the two sockets, `accept` takes connections from them and gives each to one of the
//!   few `workers`, or a refusal.
//! - `worker` serves whichever of its connections is ready; `timers` tells it whose time is over. It waits
//!   for nothing: `commits` waits for syncs, `aside` does what may wait or takes long.
//! - `connection` is one connection's story, turn by turn; `inbox`, `outbox` and `stream` are its parts.
//! - `dispatch` alone knows requests and the engine; `admission` and `scans` help it.
//! - `control` is what it asks of the process around it: the configuration, and its reload.
//! - `auth` judges the token of hello, and slows who guesses it.
//! - `handle` is what the process around it asks of a server that runs.
//! - `budget` bounds the memory that large requests and answers take, all together.
//! - `latency` and `slowlog` keep how long requests took; `status` gathers all figures.
//! - `verification` reads the store's files when an administrator asks, at a limited rate.
//! - `registry` knows the live connections, for `status` and for the stop.
//!
//! The stop is graceful: nothing new is accepted, what was received is answered, then connections end.
//! Whoever runs the server decides how long that may take, and then cuts.

mod accept;
mod admission;
mod aside;
mod auth;
mod budget;
mod commits;
mod connection;
mod control;
mod dispatch;
#[cfg(test)]
mod dispatch_tests;
mod handle;
mod inbox;
mod latency;
mod listener;
mod outbox;
mod registry;
mod scans;
mod slowlog;
#[cfg(test)]
mod slowlog_tests;
mod status;
mod stream;
mod timers;
#[cfg(test)]
mod token_tests;
mod verification;
mod worker;
mod workers;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crate::logging::Throttle;
use crate::protocol::{Limits, Token};
use crate::storage::Engine;
use auth::Gate;
use budget::Budget;
use handle::Pulse;
use latency::Latency;
use registry::Registry;
use slowlog::SlowLog;
use verification::Verification;
use workers::Workers;

pub use control::{Control, NoControl};
pub use handle::Handle;
pub use latency::OperationLatency;
pub use listener::{BindError, Inherited, Listeners};
pub use status::{Report, ServerFigures};
pub use verification::VerificationFigures;

/// Name and version, as hello answers them.
pub(crate) const SERVER_NAME: &str = concat!("atlaskvd ", env!("CARGO_PKG_VERSION"));

/// What a server is told. All of it can change while it runs; a connection keeps what held when it
/// began, so that the limits stay those that its hello was told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most TCP connections at a time.
    pub max_connections: usize,
    /// How long a connection may be silent between requests; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// From the first byte of a request to its last.
    pub read_timeout: Duration,
    /// How long a peer may take to receive answers.
    pub write_timeout: Duration,
    /// Bytes of large requests and answers, all connections together.
    pub max_inflight_bytes: u64,
    /// From how long on a request is kept in the slow log; `None`: none is.
    pub slow_request: Option<Duration>,
    /// The most requests in the slow log.
    pub slowlog_entries: usize,
    /// Bytes that a verification of the store's files reads in a second, at most.
    pub verify_rate: u64,
    /// What requests may have, as hello answers it.
    pub limits: Limits,
    /// What TCP clients must present in hello before anything else; `None`: nothing. The Unix socket
    /// needs no token: its file mode guards it.
    pub token: Option<Token>,
    /// The sync policy, as hello answers it.
    pub sync: String,
}

/// What all connections share.
struct Shared {
    engine: Arc<Engine>,
    control: Arc<dyn Control>,
    settings: RwLock<Arc<Settings>>,
    database_id: String,
    budget: Arc<Budget>,
    registry: Arc<Registry>,
    gate: Gate,
    failures: Throttle,
    latency: Latency,
    slowlog: SlowLog,
    verification: Arc<Verification>,
    started: Instant,
    /// The same by the clock on the wall.
    started_at: SystemTime,
    pulse: Pulse,
}

impl Shared {
    fn new(engine: Arc<Engine>, settings: Settings, control: Arc<dyn Control>) -> Shared {
        Shared {
            database_id: engine.stats().database_id,
            engine,
            control,
            budget: Budget::new(settings.max_inflight_bytes),
            latency: Latency::default(),
            slowlog: SlowLog::new(&settings),
            verification: Arc::new(Verification::new(settings.verify_rate)),
            settings: RwLock::new(Arc::new(settings)),
            registry: Arc::default(),
            gate: Gate::default(),
            failures: Throttle::default(),
            started: Instant::now(),
            started_at: SystemTime::now(),
            pulse: Pulse::default(),
        }
    }

    /// The settings in force.
    fn settings(&self) -> Arc<Settings> {
        let settings = self.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other settings in force, for connections that begin from now on.
    fn reconfigure(&self, settings: Settings) {
        self.budget.set_limit(settings.max_inflight_bytes);
        self.slowlog.reconfigure(&settings);
        self.verification.set_limit(settings.verify_rate);
        let current = self.settings.write();
        *current.unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}

/// A server that runs.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    wake: Arc<UnixStream>,
    workers: Workers,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `engine` on `listeners`, in threads of its own.
    ///
    /// # Errors
    /// What the operating system says when a thread cannot be made.
    pub fn start(
        engine: Arc<Engine>,
        listeners: Listeners,
        settings: Settings,
        control: Arc<dyn Control>,
    ) -> io::Result<Server> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let shared = Arc::new(Shared::new(engine, settings, control));
        let address = listeners.address();
        let workers = Workers::start(&shared)?;
        let acceptor = thread::Builder::new().name("accept".to_owned()).spawn({
            let (shared, workers) = (Arc::clone(&shared), workers.clone());
            move || accept::run(&shared, &listeners, &workers, &woken)
        })?;
        Ok(Server {
            shared,
            address,
            wake: Arc::new(wake),
            workers,
            acceptor: Some(acceptor),
        })
    }

    /// The TCP address, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What others may ask of this server while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(&self.shared, &self.wake)
    }

    /// Accepts nothing any more, and lets connections end after what they have received. `on_drained` is
    /// called, from any thread, when none is left.
    pub fn stop(&mut self, on_drained: impl FnOnce() + Send + 'static) {
        self.shared.pulse.stop();
        self.shared.verification.stop();
        // Fails only when bytes that wake it wait already, or when it has ended.
        let _ = (&*self.wake).write(&[0]);
        if let Some(acceptor) = self.acceptor.take() {
            // A panic of the loop was reported by its own thread.
            let _ = acceptor.join();
        }
        self.shared.registry.stop(Box::new(on_drained));
        self.workers.stop();
    }

    /// Ends every connection now.
    pub fn cut(&self) {
        self.shared.registry.cut();
    }
}
