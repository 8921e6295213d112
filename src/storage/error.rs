//! Everything that can go wrong in the engine, one variant for each failure a caller can act on.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

use super::Lsn;

/// The engine's result.
pub type Result<T> = std::result::Result<T, AtlasError>;

/// A failure of the engine. The text says what, where and what to do; it is written for operators.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AtlasError {
    /// A key of zero bytes.
    #[error("the key is empty: a key has at least one byte")]
    EmptyKey,
    /// A key over the limit.
    #[error("the key has {length} bytes, over the limit of {limit} (max_key_size)")]
    KeyTooLarge {
        /// Bytes of the key.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A value over the limit.
    #[error("the value has {length} bytes, over the limit of {limit} (max_value_size)")]
    ValueTooLarge {
        /// Bytes of the value.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A batch of more bytes than one write may have.
    #[error("the batch has {length} bytes, over the limit of {limit} (max_batch_size)")]
    BatchTooLarge {
        /// Bytes of all keys and values.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A batch, or a multi-get, of too many operations.
    #[error("{count} operations in one request, over the limit of {limit} (max_batch_operations)")]
    TooManyOperations {
        /// Operations asked for.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// A read or write of a file failed.
    #[error("cannot {operation} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried, as a verb: "read", "create".
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Bytes of a file are not what was written.
    #[error(
        "{} is damaged at offset {offset}: {detail}; run atlaskv-verify on the directory",
        path.display()
    )]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Offset in bytes of what does not check.
        offset: u64,
        /// What was expected and what was found.
        detail: String,
    },
    /// A write that was synced is no longer readable in the log.
    #[error(
        "synced data is damaged: {} at offset {offset}: LSN {missing} is not readable, yet {proof} \
         proves that everything up to LSN {proven} was synced; nothing was changed; run \
         atlaskv-verify on the directory",
        path.display()
    )]
    SyncedDataDamaged {
        /// The segment in which the missing entry should stand.
        path: PathBuf,
        /// Offset in bytes where it should stand.
        offset: u64,
        /// The first LSN that is missing.
        missing: Lsn,
        /// The highest LSN that is proven to have been synced.
        proven: Lsn,
        /// What proves it: "the manifest", or a file and offset.
        proof: String,
    },
    /// A file that the manifest names is not there, or its identity is another.
    #[error(
        "{} is missing or not the file that the manifest names ({detail}); nothing was changed; \
         run atlaskv-verify on the directory",
        path.display()
    )]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// What the manifest says and what was found.
        detail: String,
    },
    /// Data files without a manifest.
    #[error(
        "{} has data files but no MANIFEST; nothing was changed; bring the MANIFEST back, or have \
         atlaskv-verify --repair make one anew of the files",
        path.display()
    )]
    MissingManifest {
        /// The data directory.
        path: PathBuf,
    },
    /// A directory that holds something, but no store.
    #[error(
        "{} is not empty ({name}) and holds no AtlasKV store: give an empty directory, or one that \
         does not exist yet",
        path.display()
    )]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// A file in it.
        name: String,
    },
    /// The data was written by a newer program.
    #[error(
        "{} has format version {found}; this program reads versions up to {supported}: install \
         a newer atlaskv",
        path.display()
    )]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version this program reads.
        supported: u32,
    },
    /// Another process holds the directory.
    #[error("{} is locked by {holder}", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The process, and its unit where it has one.
        holder: String,
    },
    /// Root would leave files that the directory's owner cannot open.
    #[error(
        "{} belongs to another user (uid {owner}), who could not open what root writes there: run this \
         as that user, for the service: runuser -u atlaskv -- COMMAND",
        path.display()
    )]
    OthersDirectory {
        /// The data directory.
        path: PathBuf,
        /// The user's number.
        owner: u32,
    },
    /// Writing has stopped because a sync failed; reads go on.
    #[error("read-only since a sync failed ({reason}): restart atlaskvd to recover")]
    ReadOnly {
        /// The failure that stopped writing.
        reason: String,
    },
    /// The write was appended but its durability cannot be known.
    #[error("the outcome of the write at LSN {lsn} is unknown: {reason}")]
    OutcomeUnknown {
        /// The LSN the write was given.
        lsn: Lsn,
        /// The failure.
        reason: String,
    },
    /// No room on the disk. The write was not done; writing resumes by itself when there is room.
    #[error(
        "the disk is full ({reason}): nothing was written; make room, writing resumes by itself"
    )]
    DiskFull {
        /// Which file could not grow.
        reason: String,
    },
    /// Compacting offline would not have the room that it needs. Nothing was changed.
    #[error(
        "compacting {} needs {needed} bytes free, and {free} are: nothing was changed; make room on \
         that file system",
        path.display()
    )]
    NoRoom {
        /// The data directory.
        path: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// Flushing has not kept up for too long. The write was not done.
    #[error(
        "flushing does not keep up: the write waited {waited_ms} ms and was not done; try again"
    )]
    Stalled {
        /// Milliseconds waited.
        waited_ms: u64,
    },
    /// The engine was closed.
    #[error("the store is closed")]
    Closed,
    /// A scan was closed by a limit, or its number is not known.
    #[error("the scan has ended ({reason}): scan again from the last key")]
    ScanEnded {
        /// The limit: idle time, pinned bytes, closed.
        reason: &'static str,
    },
    /// Too many scans are open.
    #[error("{limit} scans are open, the limit here: close one, or wait for one to idle out")]
    TooManyScans {
        /// The limit.
        limit: u64,
    },
    /// An LSN that an earlier run gave and that recovery did not find.
    #[error("LSN {lsn} was lost: recovery of epoch {} ended at LSN {last}", lsn.epoch())]
    LsnLost {
        /// The LSN asked for.
        lsn: Lsn,
        /// The last LSN of that epoch that was recovered.
        last: Lsn,
    },
    /// An LSN that no write has.
    #[error("no write has LSN {lsn}: the last is {last}")]
    LsnNotAssigned {
        /// The LSN asked for.
        lsn: Lsn,
        /// The last LSN given.
        last: Lsn,
    },
    /// All LSNs, or all starts, of this store are used up.
    #[error("{what} are used up: {remedy}")]
    Exhausted {
        /// What is used up.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// An answer would be over a memory limit. The caller can ask for less.
    #[error("{bytes} bytes for this answer are over what is free of {limit}: try again")]
    OverBudget {
        /// Bytes asked for.
        bytes: u64,
        /// The budget in bytes.
        limit: u64,
    },
    /// An option outside its range.
    #[error("{option} is {value}: {rule}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// Its value.
        value: String,
        /// The rule it breaks.
        rule: String,
    },
}

impl AtlasError {
    /// An I/O failure with its place.
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> AtlasError {
        AtlasError::Io {
            operation,
            path: path.to_path_buf(),
            source,
        }
    }

    /// Damage with its place.
    pub(crate) fn corrupt(path: &Path, offset: u64, detail: impl Into<String>) -> AtlasError {
        AtlasError::Corrupt {
            path: path.to_path_buf(),
            offset,
            detail: detail.into(),
        }
    }

    /// Whether this failure leaves open what the next start will find: a sync of something in use, or a
    /// rename. A full disk while a new file is made does not.
    pub(crate) fn leaves_outcome_open(&self) -> bool {
        let AtlasError::Io {
            operation, path, ..
        } = self
        else {
            return false;
        };
        let unused = path.extension().is_some_and(|ending| ending == "tmp");
        match *operation {
            "rename" => true,
            "sync" => !(unused && self.is_out_of_space()),
            _ => false,
        }
    }

    /// Whether this is a full disk or a used-up quota, which passes when room is made.
    pub(crate) fn is_out_of_space(&self) -> bool {
        match self {
            AtlasError::DiskFull { .. } => true,
            AtlasError::Io { source, .. } => is_out_of_space(source),
            _ => false,
        }
    }

    /// What a full disk is told with.
    pub(crate) fn reason_of_full(&self) -> String {
        match self {
            AtlasError::DiskFull { reason } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// Whether nothing is broken: there is no room, the file system takes no writes, or whoever asks may
    /// not do this.
    pub(crate) fn is_refusal(&self) -> bool {
        let AtlasError::Io { source, .. } = self else {
            return self.is_out_of_space();
        };
        let is_forbidden = matches!(
            source.kind(),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
        );
        is_forbidden || is_refused(source) || self.is_out_of_space()
    }

    /// Whether the disk, or the file system on it, failed to give bytes or to take them.
    pub(crate) fn is_disk_failure(&self) -> bool {
        const FAILURES: [Errno; 7] = [
            Errno::IO,
            Errno::NODATA,
            Errno::REMOTEIO,
            Errno::ILSEQ,
            Errno::BADMSG,
            Errno::UCLEAN,
            Errno::TIMEDOUT,
        ];
        matches!(self, AtlasError::Io { source, .. }
            if Errno::from_io_error(source).is_some_and(|errno| FAILURES.contains(&errno)))
    }
}

/// A file that is left alone, though the operating system would let us.
#[derive(Debug, Error)]
#[error("{0}")]
struct Refused(&'static str);

/// The error of a disk that leaves a file alone.
pub(crate) fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, Refused(why))
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(source) if source.is::<Refused>())
}

/// What to do about a refusal of the operating system that no retry mends; empty for other errors.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "; mount the file system for writing; under systemd a data directory outside \
             /var/lib/atlaskv also needs ReadWritePaths= with it in a drop-in (systemctl edit \
             atlaskv)"
        }
        io::ErrorKind::PermissionDenied => {
            "; the data directory and its files must belong to the user that runs this (atlaskv for \
             the service: chown -R atlaskv: DIR), with mode 0700 and 0600, or run as that user"
        }
        _ => "",
    }
}

/// Whether the operating system said that the disk is full or a quota used up.
pub(crate) fn is_out_of_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
