//! The engine: an LSM store in one directory.
//!
//! It knows no network, no configuration file and no log daemon. [`Engine`] is the store;
//! [`verify`] reads a directory without changing it. Everything goes to the disk through [`Disk`].

mod background;
mod bell;
mod cache;
mod closing;
mod codec;
mod compact_offline;
mod compaction;
mod core;
pub mod disk;
pub mod dump;
mod durability;
mod engine;
mod error;
mod event;
mod examine;
mod file_name;
mod flush;
#[doc(hidden)]
pub mod fuzzing;
mod give_way;
#[cfg(test)]
mod golden;
mod limits;
mod lsn;
mod manifest;
mod memtable;
mod merge;
mod operation;
mod options;
mod probe;
mod progress;
mod quarantine;
mod reconfigure;
mod recovery;
pub mod repair;
mod replay;
mod reserve;
mod scan;
mod shortage;
mod stats;
mod sync;
mod table;
pub mod verify;
mod view;
mod wal;
mod words;
mod write;

pub use compact_offline::{
    OfflineEnding, OfflinePlan, OfflineWatch, compact_offline, plan_offline,
};
pub use disk::{DirEntry, DirLock, Disk, DiskFile, OwnersDisk, Ownership, RealDisk};
pub use engine::Engine;
pub use error::{AtlasError, Result};
pub use event::{Event, ReplayStep, percent};
pub use lsn::Lsn;
pub use operation::{Conditional, Expected, Operation, Versioned};
pub use options::{
    DEFAULT_MAX_KEY_SIZE, DEFAULT_MAX_VALUE_SIZE, EventSink, KIB, MIB, Options, WalSyncStrategy,
};
pub use probe::Stuck;
pub use recovery::RecoveryReport;
pub use scan::{Page, Scan, ScanRange};
pub use stats::{CompactionSummary, QuarantinedFile, Stats};
pub(crate) use words::counted;
