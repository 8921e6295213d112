//! The order in which the daemon starts and stops, its signals and its exit codes; nothing else.
//!
//! Start: flags, inherited sockets and file, the process's limits, the engine (lock and recovery), the
//! admin socket, TCP, and one line that says that it is ready. Stop, on SIGTERM or SIGINT: nothing new is
//! accepted, what was received is answered, the engine flushes, syncs and writes its clean mark. Another
//! signal does not wait for connections any more, or for the final flush. SIGHUP reads the configuration
//! again.
//!
//! - `flags`, `inherited` and `token` are what the process is given; `effective` joins them with the file.
//! - `reload` changes what can change while it runs.
//! - `reporter` tells the service manager what the daemon does (`serving`, `recovered`: in which words);
//!   `watchdog` shows it that the daemon is alive.

mod effective;
mod flags;
mod inherited;
mod limits;
mod recovered;
mod reload;
mod reporter;
mod serving;
mod signals;
mod token;
mod watchdog;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use log::LevelFilter;
use thiserror::Error;

use crate::config::{Config, ConfigError, LogTarget, OnSyncFailure, Size};
use crate::exit::Exit;
use crate::logging::{self, message};
use crate::metrics::{self, Metrics, MetricsError};
use crate::protocol::{ConfigItem, Limits, Token};
use crate::server::{BindError, Control, Inherited, Listeners, Server, Settings};
use crate::storage::{AtlasError, Engine, Event, Options, RealDisk};
use effective::{Effective, Launch};
use reload::Reloader;
use reporter::{Note, Notes, Reporter};
use signals::Watch;
use watchdog::Watchdog;

pub use flags::Flags;
pub use reload::waits_for_restart;

/// What the main thread waits for.
#[derive(Debug)]
enum Wish {
    /// A signal asks to stop.
    Stop {
        /// Its name.
        signal: &'static str,
    },
    /// A signal asks to read the configuration again.
    Reload,
    /// The engine writes no more, and the configuration says to exit then.
    WritingStopped,
    /// The server that stops has no connection left.
    Drained,
    /// The store is closed.
    Closed,
}

/// Why the daemon ends other than well.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the socket that systemd handed over cannot be used: {what}")]
    Inherited { what: String },
    #[error(transparent)]
    Engine(#[from] AtlasError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error("cannot {what}: {source}")]
    System {
        what: &'static str,
        source: std::io::Error,
    },
    #[error("a sync failed and on_sync_failure is \"exit\"")]
    SyncFailed,
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Failure::Config(_) | Failure::Inherited { .. } => Exit::Usage,
            Failure::Engine(error) => Exit::from(error),
            Failure::Bind(_)
            | Failure::Metrics(_)
            | Failure::System { .. }
            | Failure::SyncFailed => Exit::Io,
        }
    }
}

/// For `map_err`: what could not be done.
fn cannot(what: &'static str) -> impl Fn(std::io::Error) -> Failure {
    move |source| Failure::System { what, source }
}

/// Runs the daemon by the process's arguments, to its end.
#[must_use]
pub fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => {
            // A broken pipe cannot be told to anybody.
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            return exit.into();
        }
    };
    let ended = if flags.check_config {
        check(flags).inspect_err(complain)
    } else {
        start(flags).inspect_err(report)
    };
    logging::flush();
    match ended {
        Ok(()) => Exit::Done.into(),
        Err(failure) => failure.exit().into(),
    }
}

/// What was given to this process, besides sockets.
fn launch(flags: Flags) -> Launch {
    Launch {
        flags,
        credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(Into::into),
        ..Launch::default()
    }
}

/// What a daemon with these flags would run with, judged as it judges it: every key with its value and
/// origin, and what should be mended all the same, a sentence each.
///
/// # Errors
/// [`ConfigError`], with file, line, column and key.
pub fn resolve(flags: Flags) -> Result<(Vec<ConfigItem>, Vec<String>), ConfigError> {
    let effective = launch(flags).resolve()?;
    let items = effective.items().to_vec();
    Ok((items, effective.warnings))
}

/// Reads the configuration and says that it is valid.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the result of --check-config, and what should be mended all the same"
)]
fn check(flags: Flags) -> Result<(), Failure> {
    let launch = launch(flags);
    for warning in launch.resolve()?.warnings {
        eprintln!("atlaskvd: warning: {warning}");
    }
    match &launch.flags.config {
        Some(path) => println!("the configuration {} is valid", path.display()),
        None => println!("the configuration is valid"),
    }
    Ok(())
}

/// Says on standard error why nothing was started.
#[expect(
    clippy::print_stderr,
    reason = "the log starts after the configuration is read"
)]
fn complain(failure: &Failure) {
    eprintln!("atlaskvd: {failure}");
}

/// Tells log and service manager why the daemon ends. Before the log has started that is the journal, where
/// there is one, or else standard error.
fn report(failure: &Failure) {
    let exit_code = failure.exit().code();
    let before_log = matches!(failure, Failure::Config(_) | Failure::Inherited { .. });
    if before_log && !logging::is_in_journal() {
        complain(failure);
    } else {
        logging::start(LogTarget::Auto, LevelFilter::Error);
        log::error!(message_id = message::START_FAILED, exit_code; "{failure}");
    }
    reporter::tell_failure(&failure.to_string());
}

/// What comes before the log.
fn start(flags: Flags) -> Result<(), Failure> {
    let inherited = inherited::take()?;
    let mut launch = launch(flags);
    let tcp = inherited.tcp.as_ref();
    launch.listen = tcp.and_then(|socket| socket.local_addr().ok());
    let admin = inherited.admin.as_ref();
    let address = admin.and_then(|socket| socket.local_addr().ok());
    launch.admin_socket = address.and_then(|address| address.as_pathname().map(Into::into));
    let effective = launch.resolve()?;
    logging::start(
        effective.config.log.target,
        effective.config.log.level.into(),
    );
    for warning in &effective.warnings {
        log::warn!("{warning}");
    }
    let reporter = Reporter::start().map_err(cannot("start a thread"))?;
    let ended = run(launch, effective, inherited, reporter.notes());
    reporter.finish(ended.is_ok());
    ended
}

/// The life of the daemon from the log's start on.
fn run(
    launch: Launch,
    effective: Effective,
    inherited: Inherited,
    notes: Notes,
) -> Result<(), Failure> {
    let (wishes, inbox) = std::sync::mpsc::channel();
    let signals = signals::watch(wishes.clone()).map_err(cannot("watch for signals"))?;
    let config = effective.config.clone();
    let max_connections = limits::fit(&config);
    limits::check_memory_score();
    let exit_on_failure = AtomicBool::new(config.storage.on_sync_failure == OnSyncFailure::Exit);
    let exit_on_failure = Arc::new(exit_on_failure);
    let options = options(&config, &notes, &wishes, &exit_on_failure);
    let engine = Arc::new(Engine::open(
        RealDisk::shared(),
        &config.storage.data_dir,
        options,
    )?);
    recovered::log(engine.recovery_report());
    signals.begin_graceful();

    let settings = settings(&config, max_connections, effective.token.clone());
    let daemon = Daemon {
        reloader: Reloader::new(launch, effective, &engine, notes.clone(), &exit_on_failure).into(),
        engine: Arc::clone(&engine),
        notes,
        signals,
        wishes,
        inbox,
    };
    let served = daemon.serve(&config, inherited, settings);
    let closed = daemon.close();
    served.and(closed)?;
    log::info!(message_id = message::STOPPED; "stopped: everything is flushed and synced");
    Ok(())
}

/// A daemon whose store is open.
struct Daemon {
    engine: Arc<Engine>,
    reloader: Arc<Reloader>,
    notes: Notes,
    signals: Watch,
    wishes: Sender<Wish>,
    inbox: Receiver<Wish>,
}

impl Daemon {
    /// From the sockets' making to the last connection's end.
    fn serve(
        &self,
        config: &Config,
        inherited: Inherited,
        settings: Settings,
    ) -> Result<(), Failure> {
        let (listen, admin_socket) = (config.server.listen, &config.server.admin_socket);
        let listeners = Listeners::inherit(inherited, listen, admin_socket)?;
        let control = Arc::clone(&self.reloader);
        let server = Server::start(Arc::clone(&self.engine), listeners, settings, control);
        let mut server = server.map_err(cannot("start the server"))?;
        self.reloader.attach(server.handle());
        let (watchdog, reason) = match self.accompany(config, &server) {
            Ok((watchdog, _metrics)) => (watchdog, self.wait_for_reason()),
            Err(failure) => (None, Err(failure)),
        };
        self.notes.send(Note::Stopping);
        let drained = self.wishes.clone();
        server.stop(move || {
            // Nobody waits any more when the daemon has hurried.
            let _ = drained.send(Wish::Drained);
        });
        self.wait_for_connections();
        server.cut();
        if let Some(watchdog) = watchdog {
            watchdog.stop();
        }
        reason
    }

    /// Starts what goes along with a server, and says that the daemon is ready.
    fn accompany(
        &self,
        config: &Config,
        server: &Server,
    ) -> Result<(Option<Watchdog>, Option<Metrics>), Failure> {
        let listen = config.metrics.listen;
        let metrics = listen.map(|listen| metrics::start(listen, server.handle()));
        let metrics = metrics.transpose()?;
        if let Some(metrics) = &metrics {
            log::info!("metrics on http://{}/metrics", metrics.address());
        }
        let watchdog = Watchdog::start(&self.engine, &server.handle());
        let watchdog = watchdog.map_err(cannot("start the watchdog"))?;
        // Scripts wait for this line and read the port from it.
        logging::announce(format_args!(
            "atlaskvd {} ready on {}, admin socket {}, data {}",
            env!("CARGO_PKG_VERSION"),
            server.address(),
            config.server.admin_socket.display(),
            config.storage.data_dir.display(),
        ));
        self.notes.send(Note::Ready {
            engine: Arc::clone(&self.engine),
            sync: config.storage.sync.to_string(),
            recovered: recovered::short(self.engine.recovery_report()),
        });
        Ok((watchdog, metrics))
    }

    /// Waits until there is a reason to stop.
    fn wait_for_reason(&self) -> Result<(), Failure> {
        loop {
            match self.inbox.recv() {
                Ok(Wish::Stop { signal }) => {
                    log::info!(message_id = message::STOPPING, signal; "{signal}: stopping");
                    return Ok(());
                }
                Ok(Wish::Reload) => {
                    self.signals.begin_reload();
                    // It has logged and told what came of it.
                    let _ = self.reloader.reload();
                }
                Ok(Wish::WritingStopped) => return Err(Failure::SyncFailed),
                // Senders live as long as this thread does, and nothing drains before the stop.
                Ok(Wish::Drained | Wish::Closed) | Err(_) => return Ok(()),
            }
        }
    }

    /// Waits for the last connection, for the time to be over, or for another signal.
    fn wait_for_connections(&self) {
        let timeout_s = self.reloader.shutdown_timeout_s();
        let deadline = Instant::now() + Duration::from_secs(timeout_s);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(left) {
                Ok(Wish::Drained) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Wish::WritingStopped | Wish::Reload | Wish::Closed) => {}
                Ok(Wish::Stop { signal }) => {
                    log::warn!("{signal} again: not waiting for connections");
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {
                    log::warn!(
                        "connections are cut: requests took over {timeout_s} s (shutdown_timeout_s)"
                    );
                    return;
                }
            }
        }
    }

    /// Closes the store. Another signal leaves out the final flush.
    fn close(&self) -> Result<(), Failure> {
        let (engine, closed) = (Arc::clone(&self.engine), self.wishes.clone());
        let closing = thread::Builder::new().name("close".to_owned());
        let closing = closing.spawn(move || {
            let outcome = engine.close();
            // Nobody waits any more when the daemon ends by itself.
            let _ = closed.send(Wish::Closed);
            outcome
        });
        let closing = closing.map_err(cannot("start a thread"))?;
        loop {
            match self.inbox.recv() {
                Ok(Wish::Stop { signal }) => {
                    log::warn!("{signal} again: no final flush, the next start replays the log");
                    self.engine.hurry();
                }
                Ok(Wish::Closed) | Err(_) => break,
                Ok(Wish::Reload | Wish::WritingStopped | Wish::Drained) => {}
            }
        }
        match closing.join() {
            Ok(outcome) => Ok(outcome?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// The engine's options: those of the configuration, and where events go.
fn options(
    config: &Config,
    notes: &Notes,
    wishes: &Sender<Wish>,
    exit_on_failure: &Arc<AtomicBool>,
) -> Options {
    let mut options = config.options();
    let (notes, wishes) = (notes.clone(), wishes.clone());
    let exit_on_failure = Arc::clone(exit_on_failure);
    let log = logging::event_sink();
    options.events = Some(Arc::new(move |event| {
        log(event);
        notes.tell(event);
        let stopped = matches!(event, Event::WritingStopped { .. });
        if stopped && exit_on_failure.load(Ordering::Acquire) {
            // The main thread is gone only when the daemon ends anyway.
            let _ = wishes.send(Wish::WritingStopped);
        }
    }));
    options
}

/// What the server is told.
pub(crate) fn settings(config: &Config, max_connections: usize, token: Option<Token>) -> Settings {
    let (server, storage) = (&config.server, &config.storage);
    let idle = Duration::from_secs(server.idle_timeout_s);
    let slow = Duration::from_millis(server.slow_request_ms);
    Settings {
        max_connections,
        idle_timeout: (!idle.is_zero()).then_some(idle),
        read_timeout: Duration::from_secs(server.read_timeout_s),
        write_timeout: Duration::from_secs(server.write_timeout_s),
        max_inflight_bytes: server.max_inflight_bytes.0,
        slow_request: (!slow.is_zero()).then_some(slow),
        slowlog_entries: Size(server.slowlog_entries).as_usize(),
        verify_rate: storage.verify_rate.0,
        limits: Limits {
            max_key_size: storage.max_key_size.0,
            max_value_size: storage.max_value_size.0,
            max_batch_size: storage.max_batch_size.0,
            max_batch_operations: storage.max_batch_operations,
            max_frame_size: config.max_frame_size(),
        },
        token,
        sync: storage.sync.to_string(),
    }
}
