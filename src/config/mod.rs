//! The configuration: what the daemon can be told, with defaults, ranges and clear refusals.
//!
//! The file is TOML in sections: `[server]`, `[storage]`, `[metrics]` and `[log]`. Every key has a default,
//! so an empty file, and none at all, are configurations too. A key that is not known is an error: a
//! misspelt limit must not pass as the default. `config/atlaskv.toml` lists every key.

mod check;
mod place;
#[cfg(test)]
mod tests;
mod value;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::storage::{Disk, Options, RealDisk, WalSyncStrategy, disk};

pub use value::{Level, LogTarget, OnSyncFailure, Size, SyncPolicy, parse_address};

/// A configuration file is a few kilobytes; what is larger is another file.
const MAX_FILE_SIZE: usize = 1024 * 1024;

/// Everything the daemon can be told. `default()` is what the shipped file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Sockets, connections and timeouts.
    pub server: Server,
    /// The data directory and the engine.
    pub storage: Storage,
    /// The listener for metrics.
    pub metrics: Metrics,
    /// The log.
    pub log: Log,
}

/// `[server]`: sockets, connections and timeouts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The TCP address, an IP address and a port; port 0 takes a free one.
    #[serde(with = "value::address")]
    pub listen: SocketAddr,
    /// The path of the Unix socket that takes administrative requests too.
    #[serde(serialize_with = "value::path")]
    pub admin_socket: PathBuf,
    /// The most TCP connections at a time, each with a thread.
    pub max_connections: u64,
    /// Seconds a connection may be silent between requests; 0: for ever.
    pub idle_timeout_s: u64,
    /// Seconds from the first byte of a request to its last.
    pub read_timeout_s: u64,
    /// Seconds a client may take to receive answers.
    pub write_timeout_s: u64,
    /// Bytes of large requests and answers in memory, all connections together.
    pub max_inflight_bytes: Size,
    /// Whether addresses beyond loopback are allowed although nobody has to authenticate.
    pub allow_unauthenticated: bool,
    /// The file with the token that TCP clients must present. Empty: the credential `token` of systemd,
    /// if there is one.
    #[serde(serialize_with = "value::path")]
    pub token_file: PathBuf,
    /// Milliseconds from which on a request is kept in the slow log; 0: none is.
    pub slow_request_ms: u64,
    /// The most requests in the slow log.
    pub slowlog_entries: u64,
    /// Seconds that requests under way have to finish when the daemon stops.
    pub shutdown_timeout_s: u64,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            listen: SocketAddr::from(([127, 0, 0, 1], 7390)),
            admin_socket: PathBuf::from("/run/atlaskv/atlaskv.sock"),
            max_connections: 1024,
            idle_timeout_s: 600,
            read_timeout_s: 30,
            write_timeout_s: 30,
            max_inflight_bytes: Size::mib(256),
            allow_unauthenticated: false,
            token_file: PathBuf::new(),
            slow_request_ms: 100,
            slowlog_entries: 128,
            shutdown_timeout_s: 30,
        }
    }
}

/// `[storage]`: the data directory and the engine. The meaning of each is [`Options`]'s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "storage::Options documents each of them")]
pub struct Storage {
    /// The data directory.
    #[serde(serialize_with = "value::path")]
    pub data_dir: PathBuf,
    /// When a write becomes durable.
    #[serde(deserialize_with = "value::named")]
    pub sync: SyncPolicy,
    /// Milliseconds from one sync to the next, under `sync = "interval"`.
    pub sync_interval_ms: u64,
    /// What to do when a sync failed.
    #[serde(deserialize_with = "value::named")]
    pub on_sync_failure: OnSyncFailure,
    pub max_key_size: Size,
    pub max_value_size: Size,
    pub max_batch_size: Size,
    pub max_batch_operations: u64,
    pub memtable_size: Size,
    pub segment_size: Size,
    pub max_sealed_memtables: u64,
    pub stall_timeout_s: u64,
    pub compaction_trigger: u64,
    pub max_tables: u64,
    pub cache_size: Size,
    pub quarantine_size: Size,
    pub max_scans: u64,
    pub scan_idle_timeout_s: u64,
    pub max_pinned_bytes: Size,
    /// Bytes that a verification of the daemon's own files reads in a second, at most.
    pub verify_rate: Size,
}

impl Default for Storage {
    fn default() -> Storage {
        let engine = Options::default();
        let sync_interval_ms = match engine.sync {
            WalSyncStrategy::Interval { ms } => ms,
            WalSyncStrategy::EveryWrite | WalSyncStrategy::OsDefault => 100,
        };
        Storage {
            data_dir: PathBuf::from("/var/lib/atlaskv"),
            sync: SyncPolicy::from(engine.sync),
            sync_interval_ms,
            on_sync_failure: OnSyncFailure::ReadOnly,
            max_key_size: Size::of(engine.max_key_size),
            max_value_size: Size::of(engine.max_value_size),
            max_batch_size: Size::of(engine.max_batch_size),
            max_batch_operations: disk::count(engine.max_batch_operations),
            memtable_size: Size::of(engine.memtable_size),
            segment_size: Size::of(engine.segment_size),
            max_sealed_memtables: disk::count(engine.max_sealed_memtables),
            stall_timeout_s: engine.stall_timeout.as_secs(),
            compaction_trigger: disk::count(engine.compaction_trigger),
            max_tables: disk::count(engine.max_tables),
            cache_size: Size::of(engine.cache_size),
            quarantine_size: Size(engine.quarantine_size),
            max_scans: disk::count(engine.max_scans),
            scan_idle_timeout_s: engine.scan_idle_timeout.as_secs(),
            max_pinned_bytes: Size::of(engine.max_pinned_bytes),
            verify_rate: Size::mib(32),
        }
    }
}

/// `[metrics]`: the listener for metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// The TCP address that answers metrics; `None`, in the file an empty text: there is no such listener.
    #[serde(with = "value::optional_address")]
    pub listen: Option<SocketAddr>,
    /// Whether an address beyond loopback is allowed.
    pub allow_remote: bool,
}

/// `[log]`: the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least important level that is written.
    #[serde(deserialize_with = "value::named")]
    pub level: Level,
    /// Where the log goes.
    #[serde(deserialize_with = "value::named")]
    pub target: LogTarget,
}

/// Why a configuration was refused. The text names the file, line and column where they are known, the
/// key, and what is allowed.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not what a configuration looks like: syntax, an unknown key, a wrong type.
    #[error("{place}: {message}")]
    Invalid {
        /// File, line, column and key.
        place: String,
        /// What is wrong and what is allowed.
        message: String,
    },
}

impl Config {
    /// What the daemon does without a configuration file: everything in one directory, which needs no
    /// root.
    #[must_use]
    pub fn embedded(data_dir: &Path) -> Config {
        let mut config = Config::default();
        config.storage.data_dir = data_dir.to_path_buf();
        config.server.admin_socket = data_dir.join("atlaskv.sock");
        config
    }

    /// Reads a configuration file. Ranges are not checked yet: flags may still change values.
    ///
    /// # Errors
    /// [`ConfigError`], with file, line, column and key.
    pub fn load(path: &Path) -> Result<(Config, Source), ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_path_buf(),
            source,
        };
        let file = RealDisk.open(path).map_err(unreadable)?;
        let mut bytes = vec![0; MAX_FILE_SIZE];
        let length = disk::read_full(&*file, &mut bytes, 0).map_err(unreadable)?;
        bytes.truncate(length);
        let source = Source::new(path, &String::from_utf8_lossy(&bytes));
        let config = Config::parse(&source)?;
        Ok((config, source))
    }

    /// Reads the text of a configuration.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn parse(source: &Source) -> Result<Config, ConfigError> {
        toml::from_str(&source.text).map_err(|error| ConfigError::Invalid {
            place: place::of_error(source, &error),
            message: error.message().trim().replace('\n', "; "),
        })
    }

    /// Every key, as `section.key`, with its value as a file states it, texts without their quotes; in
    /// the order of the shipped file.
    #[must_use]
    pub fn entries(&self) -> Vec<(String, String)> {
        // Every field is a number, a yes or no, or a text: that can be written and read again.
        let text = toml::to_string(self).unwrap_or_default();
        let table: toml::Table = text.parse().unwrap_or_default();
        let value = |key: &str| {
            let (section, name) = key.split_once('.')?;
            Some(match table.get(section)?.get(name)? {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        };
        let keys = place::keys(&text).into_iter();
        keys.filter_map(|key| value(&key).map(|value| (key, value)))
            .collect()
    }

    /// What the engine is told, by this configuration.
    #[must_use]
    pub fn options(&self) -> Options {
        check::options(&self.storage)
    }
}

/// Where a configuration came from, so that a refusal can point at the line.
#[derive(Debug, Clone, Default)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    /// A file's text.
    #[must_use]
    pub fn new(path: &Path, text: &str) -> Source {
        Source {
            name: path.display().to_string(),
            text: text.to_owned(),
        }
    }

    /// The file and the line that state `key`; `None` when the file does not.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Option<String> {
        place::line_of(self, key)
    }
}
