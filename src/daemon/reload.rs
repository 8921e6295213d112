//! Reading the configuration again, for SIGHUP and for an administrator's request.
//!
//! Everything is checked before anything is changed: a configuration that is refused leaves the old one
//! in force, whole.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::effective::{Effective, Launch};
use super::reporter::{Note, Notes};
use super::{limits, settings};
use crate::config::OnSyncFailure;
use crate::logging::{self, message};
use crate::protocol::{ConfigItem, ReloadReport};
use crate::server::{Control, Handle};
use crate::storage::Engine;

/// Keys that are read once, at the start, besides those that the engine names.
const AT_START: [&str; 6] = [
    "server.listen",
    "server.admin_socket",
    "storage.data_dir",
    "metrics.listen",
    "metrics.allow_remote",
    "log.target",
];

/// Whether a new value of this key waits for the next start. (A sync policy that the engine cannot change
/// to at once does too, which only the reload shows.)
#[must_use]
pub fn waits_for_restart(key: &str) -> bool {
    AT_START.contains(&key)
}

/// The configuration in force, and the way to another.
pub(super) struct Reloader {
    launch: Launch,
    /// The TCP address, whatever the file says meanwhile.
    listen: SocketAddr,
    engine: Arc<Engine>,
    server: OnceLock<Handle>,
    notes: Notes,
    exit_on_failure: Arc<AtomicBool>,
    current: Mutex<Effective>,
    /// One reload at a time; `current` is free meanwhile.
    turn: Mutex<()>,
}

impl Reloader {
    pub(super) fn new(
        launch: Launch,
        effective: Effective,
        engine: &Arc<Engine>,
        notes: Notes,
        exit_on_failure: &Arc<AtomicBool>,
    ) -> Reloader {
        Reloader {
            launch,
            listen: effective.config.server.listen,
            engine: Arc::clone(engine),
            server: OnceLock::new(),
            notes,
            exit_on_failure: Arc::clone(exit_on_failure),
            current: Mutex::new(effective),
            turn: Mutex::default(),
        }
    }

    /// The server whose settings change with the configuration; until it is known nothing is reloaded.
    pub(super) fn attach(&self, server: Handle) {
        // A second server would be another process's.
        let _ = self.server.set(server);
    }

    /// Seconds that requests under way have to finish when the daemon stops.
    pub(super) fn shutdown_timeout_s(&self) -> u64 {
        lock(&self.current).config.server.shutdown_timeout_s
    }

    fn apply(&self) -> Result<ReloadReport, String> {
        let server = self.server.get().ok_or("the daemon is still starting")?;
        let mut newer = self.launch.resolve().map_err(|error| error.to_string())?;
        newer.check_at(self.listen)?;
        let engine = self.engine.reconfigure(&newer.config.options());
        let mut stuck = engine.map_err(|error| error.to_string())?;
        if stuck.contains(&"sync") {
            // Writing has stopped: what the engine does is what hello and the status must say.
            stuck.push("sync_interval_ms");
            let (old, new) = (lock(&self.current), &mut newer.config.storage);
            new.sync = old.config.storage.sync;
            new.sync_interval_ms = old.config.storage.sync_interval_ms;
        }
        let config = &newer.config;

        // From here on nothing can fail.
        let max_connections = limits::fit(config);
        server.reconfigure(settings(config, max_connections, newer.token.clone()));
        logging::set_level(config.log.level.into());
        let exit = config.storage.on_sync_failure == OnSyncFailure::Exit;
        self.exit_on_failure.store(exit, Ordering::Release);
        for warning in &newer.warnings {
            log::warn!("{warning}");
        }
        let needs_restart = |key: &str| {
            let option = key.strip_prefix("storage.");
            waits_for_restart(key) || option.is_some_and(|option| stuck.contains(&option))
        };
        Ok(lock(&self.current).adopt(newer, needs_restart))
    }
}

impl Control for Reloader {
    fn config(&self) -> Vec<ConfigItem> {
        lock(&self.current).items().to_vec()
    }

    fn reload(&self) -> Result<ReloadReport, String> {
        let _turn = lock(&self.turn);
        self.notes.send(Note::Reloading);
        let outcome = self.apply();
        let refusal = outcome.as_ref().err().cloned();
        match &outcome {
            Ok(report) => log_report(report),
            Err(why) => log::error!(
                message_id = message::RELOAD_REFUSED, reason = why;
                "reload refused, the old configuration stays in force: {why}"
            ),
        }
        let sync = lock(&self.current).config.storage.sync.to_string();
        self.notes.send(Note::Reloaded { refusal, sync });
        outcome
    }
}

fn log_report(report: &ReloadReport) {
    let changed = match report.changed.as_slice() {
        [] => "nothing has changed".to_owned(),
        changed => format!("changed {}", changed.join(", ")),
    };
    log::info!(message_id = message::RELOADED, changed; "reloaded the configuration: {changed}");
    if !report.needs_restart.is_empty() {
        let keys = report.needs_restart.join(", ");
        log::warn!(
            message_id = message::RESTART_NEEDED, keys;
            "the new value of {keys} needs a restart: the old one stays in force until then"
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
