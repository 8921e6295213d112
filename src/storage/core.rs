//! What all parts of an open store share, and the one order of its locks.
//!
//! | # | lock | guards | held while |
//! |---|---|---|---|
//! | 1 | `flushing`, `compacting` | one flush, one compaction at a time | writing a table |
//! | 2 | `writer` | the order of writes; the segment that takes them | appending; sealing |
//! | 3 | `manifest` | the manifest | storing the next one |
//! | 4 | `view` | which view is the present one | swapping or copying an `Arc` |
//! | 5 | a memtable's map | its entries | one write, one look-up, one batch of a cursor |
//! | 6 | `reserve` | the room held back | making or removing its file |
//! | 7 | `durability`, snapshots, scans, `merging`, `disk_full`, `shortage`, `closing` | progress and registries | a few instructions |
//!
//! A lock is only ever taken while locks of smaller numbers are held. No lock is held while the log is
//! synced for a waiter, and none between the pages of a scan. Who has a merge give way waits for its end, and
//! holds at most `flushing` meanwhile.

use super::cache::BlockCache;
use super::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use super::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::bell::{Bell, Pulse};
use super::disk::{self, Disk};
use super::durability::Durability;
use super::error::{AtlasError, Result};
use super::event::Event;
use super::give_way::Merging;
use super::manifest::Manifest;
use super::options::EventSink;
use super::progress::Gauge;
use super::reserve::Reserve;
use super::scan::{Scans, Snapshots};
use super::shortage::Shortage;
use super::table::{self, Index, Table, TableInfo};
use super::view::View;
use super::write::Writer;
use super::{Lsn, Options, file_name};

/// What the engine counts; see [`super::Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) reads: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) written_bytes: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) flushed_bytes: AtomicU64,
    pub(crate) last_flush_unix_s: AtomicU64,
    pub(crate) compactions: AtomicU64,
    pub(crate) compacted_bytes: AtomicU64,
    pub(crate) background_failures: AtomicU64,
    pub(crate) slowed_writes: AtomicU64,
    pub(crate) stalled_writes: AtomicU64,
    pub(crate) stall_us: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// What does not change while a store is open, so that nobody waits for the manifest to read it.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) database_id: [u8; 16],
    pub(crate) epoch: u32,
    /// See [`Manifest::past_epochs`].
    pub(crate) past_epochs: Vec<Lsn>,
}

impl Identity {
    /// The last LSN recovered of an earlier epoch; its start when nothing of it is known.
    pub(crate) fn end_of_epoch(&self, epoch: u32) -> Lsn {
        let found = self.past_epochs.iter().find(|last| last.epoch() == epoch);
        found.copied().unwrap_or_else(|| Lsn::epoch_start(epoch))
    }
}

/// The manifest in force.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) manifest: Manifest,
    /// Obsolete files removed since the directory was last synced: the next manifest still lists them.
    removed: Vec<String>,
}

/// An open store.
pub(crate) struct Core {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) flushing: Mutex<()>,
    pub(crate) compacting: Mutex<()>,
    pub(crate) merging: Merging,
    pub(crate) writer: Mutex<Writer>,
    manifest: Mutex<Installed>,
    view: RwLock<Arc<View>>,
    /// Of what clients read in tables.
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) durability: Durability,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) scans: Arc<Scans>,
    pub(crate) reserve: Reserve,
    pub(super) disk_full: Mutex<Option<String>>,
    /// Of the last merge, when it found no room.
    pub(super) shortage: Mutex<Option<Shortage>>,
    pub(crate) counters: Counters,
    pub(crate) closed: AtomicBool,
    /// Whether memtable and segment are being sealed just now, which the writer waits for.
    pub(crate) sealing: AtomicBool,
    /// How far the final flush is, in bytes of memory, while the store is being closed.
    pub(crate) closing: Mutex<Option<Gauge>>,
    /// Nobody waits for the final flush.
    pub(crate) hurried: AtomicBool,
    /// Whether the engine has threads of its own.
    pub(crate) background: bool,
    events: Option<EventSink>,
    /// Told when a memtable was flushed or could not be.
    pub(crate) flushed: Pulse,
    pub(crate) flush_bell: Bell,
    pub(crate) compact_bell: Bell,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Core")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Locks a mutex. A panic elsewhere aborts the daemon; in tests what it guards is whole between two
/// statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        options: Options,
        recovered: super::recovery::Recovered,
    ) -> Core {
        let start = recovered.manifest.flushed_lsn;
        let file = Arc::clone(recovered.segment.file());
        let durability = Durability::new(start, file, options.sync, options.events.clone());
        let view = View {
            active: Arc::default(),
            sealed: Vec::new(),
            tables: recovered.tables,
            flushed_lsn: start,
            options: Arc::new(options.clone()),
        };
        let full = recovered.full;
        let identity = Identity {
            database_id: recovered.manifest.database_id,
            epoch: recovered.manifest.epoch,
            past_epochs: recovered.manifest.past_epochs.clone(),
        };
        let core = Core {
            disk,
            dir,
            identity,
            flushing: Mutex::new(()),
            compacting: Mutex::new(()),
            merging: Merging::default(),
            writer: Mutex::new(Writer::new(recovered.segment, start)),
            manifest: Mutex::new(Installed {
                manifest: recovered.manifest,
                removed: Vec::new(),
            }),
            view: RwLock::new(Arc::new(view)),
            cache: recovered.cache,
            durability,
            snapshots: Arc::default(),
            scans: Arc::default(),
            reserve: Reserve::new(recovered.held, &options),
            disk_full: Mutex::default(),
            shortage: Mutex::default(),
            counters: Counters::default(),
            closed: AtomicBool::new(false),
            sealing: AtomicBool::new(false),
            closing: Mutex::default(),
            hurried: AtomicBool::new(false),
            flushed: Pulse::default(),
            flush_bell: Bell::default(),
            compact_bell: Bell::default(),
            background: options.background,
            events: options.events,
        };
        if let Some(error) = full {
            core.refuse_full(&error);
        }
        core
    }

    /// The present view.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The options in force.
    pub(crate) fn options(&self) -> Arc<Options> {
        Arc::clone(&self.view().options)
    }

    /// Replaces the present view by a changed copy. Whoever changes what is readable holds the
    /// manifest's lock, so that views follow manifests.
    pub(crate) fn change_view(&self, change: impl FnOnce(&mut View)) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = View::clone(&view);
        change(&mut next);
        *view = Arc::new(next);
    }

    pub(crate) fn manifest(&self) -> MutexGuard<'_, Installed> {
        lock(&self.manifest)
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            Err(AtlasError::Closed)
        } else {
            Ok(())
        }
    }

    pub(crate) fn tell(&self, event: &Event) {
        if let Some(events) = &self.events {
            events(event);
        }
    }

    /// Makes `next` the durable manifest. A failure that leaves open which of the two is durable stops
    /// writing.
    pub(crate) fn install(&self, installed: &mut Installed, mut next: Manifest) -> Result<()> {
        // Another may have failed to sync the directory while this one waited for its turn.
        self.durability.check()?;
        next.generation += 1;
        next.durable_lsn = next.durable_lsn.max(self.durability.durable());
        let announced = std::mem::take(&mut next.obsolete);
        let obsolete = announced.into_iter().filter(|name| !next.is_live(name));
        next.obsolete = obsolete.collect();
        if let Err(error) = next.store(&*self.disk, &self.dir) {
            if error.leaves_outcome_open() {
                self.durability.stop_writing(&error);
            }
            return Err(error);
        }
        // The directory was synced: what was removed before is gone for good.
        for name in installed.removed.drain(..) {
            next.obsolete.remove(&name);
        }
        installed.manifest = next;
        Ok(())
    }

    /// Takes a number for a new file; it is not taken again, whatever becomes of the file.
    pub(crate) fn take_file_number(&self) -> u64 {
        self.manifest().manifest.take_file_number()
    }

    /// Gives a finished table its name, durably, and opens it. Until a manifest names it, it is obsolete: after a
    /// power cut in between it is no stray, which would be kept in the room that the next start may need.
    pub(crate) fn adopt_table(&self, info: &TableInfo, index: Index) -> Result<Arc<Table>> {
        self.announce(file_name::table(info.number))?;
        let temporary = table::temporary_path(&self.dir, info.number);
        let path = table::path(&self.dir, info.number);
        disk::give_name(&*self.disk, &temporary, &path)?;
        if let Err(error) = self.disk.sync_dir(&self.dir) {
            let error = AtlasError::io("sync", &self.dir, error);
            self.durability.stop_writing(&error);
            return Err(error);
        }
        Table::open_cached(&*self.disk, &self.dir, info, (&self.cache, Some(index)))
    }

    /// Makes it durable that a file of this name may be deleted, until a manifest names it as live.
    fn announce(&self, name: String) -> Result<()> {
        let mut installed = self.manifest();
        let mut next = installed.manifest.clone();
        next.obsolete.insert(name);
        self.install(&mut installed, next)
    }

    /// Removes files that the durable manifest lists as obsolete. What cannot be removed now, the next
    /// recovery removes. After a failed sync nothing is removed.
    pub(crate) fn remove_obsolete(&self, names: &[String]) {
        for name in names {
            if self.durability.check().is_err() {
                return;
            }
            match self.disk.remove(&self.dir.join(name)) {
                Ok(()) => self.manifest().removed.push(name.clone()),
                Err(source) => {
                    let error = AtlasError::io("remove", &self.dir.join(name), source);
                    let task = "removing an obsolete file";
                    self.tell(&Event::BackgroundFailed {
                        task,
                        error: error.to_string(),
                    });
                }
            }
        }
    }

    /// Removes what a failed task left of a table that no manifest names.
    pub(crate) fn discard_table(&self, number: u64) {
        if self.durability.check().is_err() {
            return;
        }
        // It may be there under either name, or not at all; recovery takes care of the rest.
        let _ = table::remove_temporary(&*self.disk, &self.dir, number);
        let name = file_name::table(number);
        let is_gone = match self.disk.remove(&self.dir.join(&name)) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let mut installed = self.manifest();
        if is_gone && installed.manifest.obsolete.contains(&name) {
            installed.removed.push(name);
        }
    }

    /// Why the disk is full, if it is.
    pub(crate) fn disk_full(&self) -> Option<String> {
        lock(&self.disk_full).clone()
    }

    /// Notes that something could not grow, and returns the error for whoever wanted it to.
    pub(crate) fn refuse_full(&self, error: &AtlasError) -> AtlasError {
        let reason = error.reason_of_full();
        if lock(&self.disk_full).replace(reason.clone()).is_none() {
            self.tell(&Event::DiskFull {
                reason: reason.clone(),
            });
            // The flush thread looks for room from now on.
            self.flush_bell.ring();
        }
        AtlasError::DiskFull { reason }
    }

    /// Notes that there is room again, unless it is only what was held back.
    pub(crate) fn resume(&self) {
        let mut full = lock(&self.disk_full);
        // Asked under the lock: whoever frees the reserve notes the full disk after it.
        if self.reserve.is_in_use() {
            return;
        }
        if full.take().is_some() {
            drop(full);
            self.tell(&Event::WritingResumed);
        }
    }
}
