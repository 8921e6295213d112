//! The order in which the daemon starts and stops, its signals and its exit codes; nothing else.
//!
//! Start: flags and file, the process's limits, the engine (lock and recovery), the admin socket, TCP,
//! and one line that says that it is ready. Stop, on SIGTERM or SIGINT: nothing new is accepted, what
//! was received is answered, the engine flushes, syncs and writes its clean mark. A second signal does
//! not wait for connections any more.

mod flags;
mod limits;
mod signals;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use clap::Parser;
use thiserror::Error;

use crate::config::{Config, ConfigError, OnSyncFailure, Size};
use crate::exit::Exit;
use crate::logging;
use crate::protocol::Limits;
use crate::server::{BindError, Listeners, NoControl, Server, Settings};
use crate::storage::{AtlasError, Engine, Event, Options, RealDisk, RecoveryReport};

pub use flags::Flags;

/// What the main thread waits for.
#[derive(Debug)]
enum Wish {
    /// A signal asks to stop.
    Stop {
        /// Its name.
        signal: &'static str,
    },
    /// The engine writes no more, and the configuration says to exit then.
    WritingStopped,
    /// The server that stops has no connection left.
    Drained,
}

/// Why the daemon ends other than well.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Engine(#[from] AtlasError),
    #[error(transparent)]
    Bind(#[from] BindError),
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
            Failure::Config(_) => Exit::Usage,
            Failure::Engine(error) => Exit::from(error),
            Failure::Bind(_) | Failure::System { .. } | Failure::SyncFailed => Exit::Io,
        }
    }
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
    let ended = match flags.resolve() {
        Ok(_) if flags.check_config => {
            say_valid(&flags);
            Ok(())
        }
        Ok(config) => {
            logging::start(config.log.level.into());
            run(&config)
        }
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            report(&failure);
            failure.exit().into()
        }
    }
}

#[expect(clippy::print_stdout, reason = "the result of --check-config")]
fn say_valid(flags: &Flags) {
    match &flags.config {
        Some(path) => println!("the configuration {} is valid", path.display()),
        None => println!("the configuration is valid"),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the log starts after the configuration is read"
)]
fn report(failure: &Failure) {
    match failure {
        Failure::Config(error) => eprintln!("atlaskvd: {error}"),
        _ => log::error!("{failure}"),
    }
}

/// The whole life of the daemon.
fn run(config: &Config) -> Result<(), Failure> {
    let (wishes, inbox) = std::sync::mpsc::channel();
    let signals = signals::watch(wishes.clone()).map_err(|source| Failure::System {
        what: "watch for signals",
        source,
    })?;
    let max_connections = limits::fit(config);
    let data_dir = &config.storage.data_dir;
    let engine = Engine::open(
        RealDisk::shared(),
        data_dir,
        options(config, wishes.clone()),
    )?;
    let engine = Arc::new(engine);
    log_recovery(engine.recovery_report());
    signals.begin_graceful();
    let served = serve(config, max_connections, &engine, &wishes, &inbox);
    let closed = engine.close().map_err(Failure::Engine);
    served.and(closed)?;
    log::info!("stopped: everything is flushed and synced");
    Ok(())
}

/// From the sockets' making to the last connection's end.
fn serve(
    config: &Config,
    max_connections: usize,
    engine: &Arc<Engine>,
    wishes: &Sender<Wish>,
    inbox: &Receiver<Wish>,
) -> Result<(), Failure> {
    let listeners = Listeners::bind(config.server.listen, &config.server.admin_socket)?;
    let settings = settings(config, max_connections);
    let control = Arc::new(NoControl);
    let server = Server::start(Arc::clone(engine), listeners, settings, control);
    let mut server = server.map_err(|source| Failure::System {
        what: "start the server",
        source,
    })?;
    // Scripts wait for this line and read the port from it.
    logging::announce(format_args!(
        "atlaskvd {} ready on {}, admin socket {}, data {}",
        env!("CARGO_PKG_VERSION"),
        server.address(),
        config.server.admin_socket.display(),
        config.storage.data_dir.display(),
    ));
    let reason = wait_for_reason(inbox);
    let drained = wishes.clone();
    server.stop(move || {
        // Nobody waits any more when the daemon has hurried.
        let _ = drained.send(Wish::Drained);
    });
    wait_for_connections(inbox, config.server.shutdown_timeout_s);
    server.cut();
    reason
}

/// Waits until there is a reason to stop.
fn wait_for_reason(inbox: &Receiver<Wish>) -> Result<(), Failure> {
    match inbox.recv() {
        Ok(Wish::Stop { signal }) => {
            log::info!("{signal}: stopping");
            Ok(())
        }
        Ok(Wish::WritingStopped) => Err(Failure::SyncFailed),
        // Senders live as long as this thread does, and nothing drains before the stop.
        Ok(Wish::Drained) | Err(_) => Ok(()),
    }
}

/// Waits for the last connection, for the time to be over, or for another signal.
fn wait_for_connections(inbox: &Receiver<Wish>, timeout_s: u64) {
    let deadline = Instant::now() + Duration::from_secs(timeout_s);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match inbox.recv_timeout(left) {
            Ok(Wish::Drained) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Wish::WritingStopped) => {}
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

/// The engine's options: those of the configuration, and where events go.
fn options(config: &Config, wishes: Sender<Wish>) -> Options {
    let mut options = config.options();
    let exit_on_failure = config.storage.on_sync_failure == OnSyncFailure::Exit;
    let log = logging::event_sink();
    options.events = Some(Arc::new(move |event| {
        log(event);
        if exit_on_failure && matches!(event, Event::WritingStopped { .. }) {
            // The main thread is gone only when the daemon ends anyway.
            let _ = wishes.send(Wish::WritingStopped);
        }
    }));
    options
}

pub(crate) fn settings(config: &Config, max_connections: usize) -> Settings {
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
        limits: Limits {
            max_key_size: storage.max_key_size.0,
            max_value_size: storage.max_value_size.0,
            max_batch_size: storage.max_batch_size.0,
            max_batch_operations: storage.max_batch_operations,
            max_frame_size: config.max_frame_size(),
        },
        token: None,
        sync: storage.sync.to_string(),
    }
}

/// Says what the start found and did, in one line; a warning when something was lost or set aside.
fn log_recovery(report: &RecoveryReport) {
    let mut line = if report.created {
        "made a new store".to_owned()
    } else {
        let end = if report.clean_shutdown {
            "a clean shutdown"
        } else {
            "a crash"
        };
        format!(
            "recovered after {end}: operations replayed: {}, segments read: {}, last LSN {}",
            report.replayed_operations, report.segments, report.last_lsn
        )
    };
    if let Some(lsn) = report.cut_from {
        line.push_str(&format!(
            "; from LSN {lsn} on nothing was provable: {} bytes cut and kept in quarantine",
            report.cut_bytes
        ));
    }
    if !report.quarantined.is_empty() {
        line.push_str(&format!(
            "; moved to quarantine: {}",
            report.quarantined.join(", ")
        ));
    }
    for note in &report.notes {
        line.push_str(&format!("; {note}"));
    }
    if report.cut_from.is_some() || !report.quarantined.is_empty() {
        log::warn!("{line}");
    } else {
        log::info!("{line}");
    }
}
