//! What the process may have of files, and how many connections fit into it.

use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Config, Size};
use crate::logging::message;
use crate::storage::{Disk, RealDisk, disk};

/// Files besides connections, tables and segments: standard streams, sockets, manifest, lock, what
/// libraries open; generously.
const SPARE_FILES: u64 = 64;
/// Connections of the admin socket, and refused ones that are being told so.
const OTHER_CONNECTIONS: u64 = 16 + 64;
/// A table is open twice while it is compacted.
const OPEN_TWICE: u64 = 2;

/// The number of TCP connections that the process's limit on files leaves room for, at most the configured one.
/// Raises the limit on open files as far as it may. Says so when connections have to be fewer.
pub(super) fn fit(config: &Config) -> usize {
    let wanted = config.server.max_connections;
    let storage = &config.storage;
    let tables = storage.max_tables.saturating_mul(OPEN_TWICE);
    let files = raise_files()
        .saturating_sub(SPARE_FILES + OTHER_CONNECTIONS + tables + storage.max_sealed_memtables);
    let fitting = wanted.min(files).max(1);
    if fitting < wanted {
        log::warn!(
            message_id = message::CONNECTIONS_LIMITED, limit = fitting, wanted;
            "max_connections lowered from {wanted} to {fitting} by the limit of this process on open files; \
             raise LimitNOFILE= in the unit (RLIMIT_NOFILE), or lower max_connections"
        );
    }
    Size(fitting).as_usize()
}

/// Says so when the kernel would not spare this process, which runs as a service, in a lack of memory.
pub(super) fn check_memory_score() {
    let service = std::env::var("SYSTEMD_EXEC_PID").ok();
    if service != Some(std::process::id().to_string()) {
        return;
    }
    let score = read(Path::new("/proc/self/oom_score_adj"));
    let score: Option<i64> = score.and_then(|score| score.trim().parse().ok());
    if let Some(score @ 0..) = score {
        log::warn!(
            message_id = message::MEMORY_SCORE, score;
            "the kernel may end this process early when memory runs out: its score is {score}, \
             OOMScoreAdjust= of the unit has not lowered it"
        );
    }
}

/// Raises the soft limit on open files to the hard one; returns what it is then.
fn raise_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let reached = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    reached.unwrap_or(u64::MAX)
}

/// A short text of the kernel's.
fn read(path: &Path) -> Option<String> {
    let mut bytes = vec![0; 4096];
    let file = RealDisk.open(path).ok()?;
    let length = disk::read_full(&*file, &mut bytes, 0).ok()?;
    bytes.truncate(length);
    String::from_utf8(bytes).ok()
}
