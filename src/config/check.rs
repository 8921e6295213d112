//! The ranges of a configuration's values, and what the engine makes of them.

use std::path::Path;
use std::time::Duration;

use super::{Config, ConfigError, Size, Source, Storage, place};
use crate::protocol::{self, LEAST_VERIFY_RATE};
use crate::storage::{AtlasError, Options};

/// The kernel's `sun_path` has 108 bytes, the last of them zero.
const MAX_SOCKET_PATH: usize = 107;
/// Threads beyond this are no longer "a thread per connection" but a mistake.
const MAX_CONNECTIONS: u64 = 65_536;
/// An hour, in milliseconds: no request takes longer.
const HOUR_MS: u64 = 3_600_000;
/// Entries of the slow log: each has a few hundred bytes.
const MAX_SLOWLOG: u64 = 10_000;
/// Bytes a second: no disk gives more.
const MOST_VERIFY_RATE: Size = Size::mib(64 << 10);
/// A day, in seconds: the longest timeout.
const DAY: u64 = 86_400;

impl Config {
    /// Checks that every value is in its range. `source` is the file, for the line in the refusal;
    /// `has_token`: clients have to present a token.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for the first value that is not.
    pub fn check(&self, source: &Source, has_token: bool) -> Result<(), ConfigError> {
        let refuse = |(key, message): (String, String)| ConfigError::Invalid {
            place: place::of_key(source, &key),
            message,
        };
        self.check_listen(has_token).map_err(refuse)?;
        self.check_server().map_err(refuse)?;
        self.check_metrics().map_err(refuse)?;
        self.check_storage().map_err(refuse)?;
        self.check_budget().map_err(refuse)
    }

    /// The frame limit of the protocol under these limits, in bytes: any request within them fits.
    #[must_use]
    pub fn max_frame_size(&self) -> u32 {
        let storage = &self.storage;
        // A compare-and-swap carries the value expected and the new one.
        let swap = storage
            .max_key_size
            .0
            .saturating_add(storage.max_value_size.0.saturating_mul(2));
        let largest = storage.max_batch_size.0.max(swap);
        let frame = protocol::frame_size_for(largest, storage.max_batch_operations);
        u32::try_from(frame).unwrap_or(u32::MAX)
    }

    fn check_listen(&self, has_token: bool) -> Result<(), (String, String)> {
        let server = &self.server;
        if server.listen.ip().is_loopback() || has_token || server.allow_unauthenticated {
            return Ok(());
        }
        wrong(
            "server.listen",
            format!(
                "{} is beyond loopback, and clients need no token: listen on 127.0.0.1 or [::1], or give \
                 the daemon a token (token_file, or the systemd credential \"token\"), or set \
                 allow_unauthenticated = true in [server] if the network keeps strangers out",
                server.listen
            ),
        )
    }

    fn check_metrics(&self) -> Result<(), (String, String)> {
        match self.metrics.listen {
            Some(listen) if !listen.ip().is_loopback() && !self.metrics.allow_remote => wrong(
                "metrics.listen",
                format!(
                    "{listen} is beyond loopback, and metrics are shown to everybody who asks: listen on \
                     127.0.0.1 or [::1], or set allow_remote = true in [metrics]"
                ),
            ),
            _ => Ok(()),
        }
    }

    fn check_server(&self) -> Result<(), (String, String)> {
        let server = &self.server;
        check_socket_path(&server.admin_socket)?;
        range(
            "server.max_connections",
            server.max_connections,
            1,
            MAX_CONNECTIONS,
        )?;
        range("server.idle_timeout_s", server.idle_timeout_s, 0, DAY)?;
        range("server.read_timeout_s", server.read_timeout_s, 1, DAY)?;
        range("server.write_timeout_s", server.write_timeout_s, 1, DAY)?;
        range("server.slow_request_ms", server.slow_request_ms, 0, HOUR_MS)?;
        range(
            "server.slowlog_entries",
            server.slowlog_entries,
            1,
            MAX_SLOWLOG,
        )?;
        range(
            "server.shutdown_timeout_s",
            server.shutdown_timeout_s,
            0,
            DAY,
        )
    }

    fn check_storage(&self) -> Result<(), (String, String)> {
        let storage = &self.storage;
        if storage.data_dir.as_os_str().is_empty() {
            return wrong(
                "storage.data_dir",
                "it is empty: name a directory".to_owned(),
            );
        }
        range(
            "storage.sync_interval_ms",
            storage.sync_interval_ms,
            1,
            60_000,
        )?;
        range("storage.stall_timeout_s", storage.stall_timeout_s, 1, 3600)?;
        range(
            "storage.scan_idle_timeout_s",
            storage.scan_idle_timeout_s,
            1,
            DAY,
        )?;
        check_verify_rate(storage.verify_rate)?;
        match self.options().check() {
            Ok(()) => Ok(()),
            Err(AtlasError::InvalidOption {
                option,
                value,
                rule,
            }) => wrong(
                &format!("storage.{option}"),
                format!("it is {value}: {rule}"),
            ),
            Err(error) => wrong("storage", error.to_string()),
        }
    }

    /// A request and its answer must fit the budget together, or the largest could never be served.
    fn check_budget(&self) -> Result<(), (String, String)> {
        let least = u64::from(self.max_frame_size()).saturating_mul(2);
        let budget = self.server.max_inflight_bytes;
        if budget.0 >= least {
            return Ok(());
        }
        wrong(
            "server.max_inflight_bytes",
            format!(
                "it is {budget}: it must be at least {least} bytes, twice the largest request that \
                 max_batch_size, max_batch_operations, max_key_size and max_value_size allow"
            ),
        )
    }
}

fn check_verify_rate(rate: Size) -> Result<(), (String, String)> {
    let (least, most) = (Size(LEAST_VERIFY_RATE), MOST_VERIFY_RATE);
    if (least..=most).contains(&rate) {
        return Ok(());
    }
    wrong(
        "storage.verify_rate",
        format!("it is {rate} a second: it must be from {least} to {most}"),
    )
}

fn check_socket_path(path: &Path) -> Result<(), (String, String)> {
    let length = path.as_os_str().len();
    if (1..=MAX_SOCKET_PATH).contains(&length) {
        return Ok(());
    }
    wrong(
        "server.admin_socket",
        format!(
            "the path has {length} bytes: a Unix socket's path has from 1 to {MAX_SOCKET_PATH}; choose \
             a shorter one (--admin-socket)"
        ),
    )
}

fn range(key: &str, value: u64, least: u64, most: u64) -> Result<(), (String, String)> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    wrong(
        key,
        format!("it is {value}: it must be from {least} to {most}"),
    )
}

fn wrong(key: &str, message: String) -> Result<(), (String, String)> {
    Err((key.to_owned(), message))
}

/// What the engine is told.
pub(super) fn options(storage: &Storage) -> Options {
    let length = |count: u64| Size(count).as_usize();
    Options {
        sync: storage.sync.strategy(storage.sync_interval_ms),
        max_key_size: storage.max_key_size.as_usize(),
        max_value_size: storage.max_value_size.as_usize(),
        max_batch_size: storage.max_batch_size.as_usize(),
        max_batch_operations: length(storage.max_batch_operations),
        memtable_size: storage.memtable_size.as_usize(),
        segment_size: storage.segment_size.as_usize(),
        max_sealed_memtables: length(storage.max_sealed_memtables),
        stall_timeout: Duration::from_secs(storage.stall_timeout_s),
        compaction_trigger: length(storage.compaction_trigger),
        max_tables: length(storage.max_tables),
        cache_size: storage.cache_size.as_usize(),
        quarantine_size: storage.quarantine_size.0,
        max_scans: length(storage.max_scans),
        scan_idle_timeout: Duration::from_secs(storage.scan_idle_timeout_s),
        max_pinned_bytes: storage.max_pinned_bytes.as_usize(),
        background: true,
        events: None,
    }
}
