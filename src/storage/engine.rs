//! The store: opening it, reading, writing, closing it.

use super::sync::Mutex;
use super::sync::atomic::Ordering;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::core::{Core, add, lock};
use super::disk::{DirLock, Disk, count};
use super::error::{AtlasError, Result};
use super::scan::Snapshot;
use super::table::ADMIT_ABOVE;
use super::verify::{self, Pace, PacedDisk, VerifyOptions, VerifyReport};
use super::view::{View, value_of};
use super::{
    CompactionSummary, Conditional, Expected, Lsn, Operation, Options, QuarantinedFile,
    RecoveryReport, Scan, ScanRange, Stats, Stuck, Versioned, file_name, quarantine, recovery,
};

/// An open store. Share it by reference or in an `Arc`: every method takes `&self`.
///
/// Every write returns its [`Lsn`]; what that means for durability is the policy's,
/// [`super::WalSyncStrategy`]. Dropping an engine without [`Engine::close`] loses nothing: the next
/// start replays the log.
pub struct Engine {
    core: Arc<Core>,
    report: RecoveryReport,
    threads: Mutex<Vec<JoinHandle<()>>>,
    directory_lock: Mutex<Option<DirLock>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine")
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the store in `dir`, or makes one there: locks the directory, recovers what a crash left,
    /// starts the threads.
    ///
    /// # Errors
    /// `InvalidOption`, `Locked`, `OthersDirectory`, `NotAStore`, `NewerFormat`; `SyncedDataDamaged`, `MissingFile`,
    /// `MissingManifest` and `Corrupt` when starting would lose synced data; `Io`.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<Engine> {
        options.check()?;
        make_dir(&*disk, dir)?;
        let directory_lock = disk.lock(dir)?;
        Engine::open_locked(disk, dir, options, directory_lock)
    }

    /// As [`Engine::open`], of a directory that is there and whose lock the caller holds.
    pub(crate) fn open_locked(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        directory_lock: DirLock,
    ) -> Result<Engine> {
        let recovered = recovery::recover(&*disk, dir, &options)?;
        let report = recovered.report.clone();
        let background = options.background;
        let core = Arc::new(Core::new(disk, dir.to_path_buf(), options, recovered));
        let engine = Engine {
            core,
            report,
            threads: Mutex::default(),
            directory_lock: Mutex::new(Some(directory_lock)),
        };
        if background {
            engine.start("atlaskv-sync", Core::run_syncs)?;
            engine.start("atlaskv-flush", Core::run_flushes)?;
            engine.start("atlaskv-compact", Core::run_compactions)?;
        }
        Ok(engine)
    }

    fn start(&self, name: &str, run: fn(&Core)) -> Result<()> {
        let core = Arc::clone(&self.core);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&core))
            .map_err(|error| AtlasError::io("start a thread for", &self.core.dir, error))?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// What the start found and did.
    #[must_use]
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Sets a key's value.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<Lsn> {
        self.write(&[Operation::Put { key, value }])
    }

    /// Removes a key's value; well also when it has none.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub fn delete(&self, key: &[u8]) -> Result<Lsn> {
        self.write(&[Operation::Delete { key }])
    }

    /// Does all operations or none, as one write with one LSN. Of several for one key the last holds.
    ///
    /// # Errors
    /// A limit (`EmptyKey`, `KeyTooLarge`, `ValueTooLarge`, `BatchTooLarge`, `TooManyOperations`):
    /// not done. `DiskFull`, `ReadOnly`, `Stalled`, `Closed`: not done. `OutcomeUnknown`: it may or may
    /// not survive.
    pub fn write(&self, operations: &[Operation<'_>]) -> Result<Lsn> {
        let lsn = self.submit(operations)?;
        self.settle(lsn)?;
        Ok(lsn)
    }

    /// The first half of [`Engine::write`]: the write is ordered and logged, but only
    /// [`Engine::settle`] makes it an answer. Several writes may share one settling.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub fn submit(&self, operations: &[Operation<'_>]) -> Result<Lsn> {
        self.core.submit(operations)
    }

    /// As [`Engine::submit`], for a thread that must not wait. `None`: the write would have to wait for
    /// room in memory or log, and nothing was done.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub fn try_submit(&self, operations: &[Operation<'_>]) -> Result<Option<Lsn>> {
        self.core.try_submit(operations)
    }

    /// The second half of [`Engine::write`]: waits until the policy lets this LSN, and all before, be
    /// answered.
    ///
    /// # Errors
    /// `OutcomeUnknown` when a sync failed.
    pub fn settle(&self, lsn: Lsn) -> Result<()> {
        self.core.settle(lsn)
    }

    /// What [`Engine::settle`] would return at once; `None`: it would wait.
    #[must_use]
    pub fn try_settle(&self, lsn: Lsn) -> Option<Result<()>> {
        self.core.try_settle(lsn)
    }

    /// Whether the policy in force lets a write be answered as soon as it is submitted.
    #[must_use]
    pub fn answers_at_once(&self) -> bool {
        !self.core.durability.is_every_write()
    }

    /// Sets a key's value if it has none.
    ///
    /// # Errors
    /// As [`Engine::write`] and [`Engine::get`].
    pub fn put_if_absent(&self, key: &[u8], value: &[u8]) -> Result<Conditional> {
        self.compare_and_swap(key, Expected::Absent, Some(value))
    }

    /// Sets a key's value, or with `None` removes it, if the key is as expected. Judged on the newest
    /// state; no other write comes between.
    ///
    /// # Errors
    /// As [`Engine::write`] and [`Engine::get`].
    pub fn compare_and_swap(
        &self,
        key: &[u8],
        expected: Expected<'_>,
        new: Option<&[u8]>,
    ) -> Result<Conditional> {
        let (outcome, state) = self.submit_if(key, expected, new)?;
        self.settle(state)?;
        Ok(outcome)
    }

    /// The first half of [`Engine::compare_and_swap`]: its outcome may be answered when the LSN that
    /// goes with it is settled, a refusal too.
    ///
    /// # Errors
    /// As [`Engine::compare_and_swap`].
    pub fn submit_if(
        &self,
        key: &[u8],
        expected: Expected<'_>,
        new: Option<&[u8]>,
    ) -> Result<(Conditional, Lsn)> {
        self.core.submit_if(key, expected, new)
    }

    /// As [`Engine::submit_if`], for a thread that must not wait. `None`: the write would have to wait
    /// for room in memory or log, and nothing was done.
    ///
    /// # Errors
    /// As [`Engine::compare_and_swap`].
    pub fn try_submit_if(
        &self,
        key: &[u8],
        expected: Expected<'_>,
        new: Option<&[u8]>,
    ) -> Result<Option<(Conditional, Lsn)>> {
        self.core.try_submit_if(key, expected, new)
    }

    /// The key's value.
    ///
    /// # Errors
    /// `EmptyKey`, `KeyTooLarge`, `Closed`; `Io` and `Corrupt` when a table cannot be read: older data
    /// is never an answer in its place.
    pub fn get(&self, key: &[u8]) -> Result<Option<Versioned>> {
        self.get_admitted(key, &mut |_| Ok(()))
    }

    /// As [`Engine::get`]; `admit` is asked before memory for a value of more than 64 KiB is taken.
    ///
    /// # Errors
    /// As [`Engine::get`], and what `admit` says.
    pub fn get_admitted(
        &self,
        key: &[u8],
        admit: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Option<Versioned>> {
        self.core.check_open()?;
        let view = self.core.view();
        view.options.check_key(key)?;
        add(&self.core.counters.reads, 1);
        let (found, at) = {
            let active = view.active.read();
            let at = self.core.durability.visible();
            (active.get(key, at), at)
        };
        Ok(value_of(match found {
            Some(found) => Some(found),
            None => view.get_sealed(key, at, admit)?,
        }))
    }

    /// Whether the key has a value.
    ///
    /// # Errors
    /// As [`Engine::get`].
    pub fn exists(&self, key: &[u8]) -> Result<bool> {
        // A large value need not be read: being asked for its memory says that it is there.
        let refuse = &mut |bytes| Err(AtlasError::OverBudget { bytes, limit: 0 });
        match self.get_admitted(key, refuse) {
            Err(AtlasError::OverBudget { .. }) => Ok(true),
            found => Ok(found?.is_some()),
        }
    }

    /// The values of several keys, all of one state. `admit` as in [`Engine::get_admitted`], and for
    /// smaller values too, each when it has been read: many of them add up.
    ///
    /// # Errors
    /// As [`Engine::get_admitted`], and `TooManyOperations`.
    pub fn multi_get(
        &self,
        keys: &[&[u8]],
        admit: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Vec<Option<Versioned>>> {
        self.core.check_open()?;
        let view = self.core.view();
        view.options.check_count(keys.len())?;
        keys.iter()
            .try_for_each(|key| view.options.check_key(key))?;
        add(&self.core.counters.reads, count(keys.len()));
        let (found, at) = {
            let active = view.active.read();
            let at = self.core.durability.visible();
            (
                keys.iter()
                    .map(|key| active.get(key, at))
                    .collect::<Vec<_>>(),
                at,
            )
        };
        let answers = keys.iter().zip(found).map(|(key, found)| {
            if found.is_some() {
                return Ok(value_of(found));
            }
            let value = value_of(view.get_sealed(key, at, admit)?);
            // Small values are not asked for one by one, but here they add up.
            if let Some(Versioned { value, .. }) = &value
                && count(value.len()) <= ADMIT_ABOVE
            {
                admit(count(value.len()))?;
            }
            Ok(value)
        });
        answers.collect()
    }

    /// Opens a scan of the present state.
    ///
    /// # Errors
    /// `TooManyScans`, `Closed`, and as [`Engine::get`].
    pub fn scan(&self, range: &ScanRange) -> Result<Scan> {
        self.core.check_open()?;
        let (view, snapshot) = self.core.snapshot();
        let merge = view.merge(range, snapshot.lsn())?;
        let scan = self.core.scans.open(merge, &view, range.limit, snapshot)?;
        self.core.flush_bell.ring();
        Ok(scan)
    }

    /// Makes every write so far durable; the LSN up to which everything is.
    ///
    /// # Errors
    /// `ReadOnly` when a sync failed, now or before.
    pub fn sync(&self) -> Result<Lsn> {
        self.core.check_open()?;
        self.core.durability.sync()
    }

    /// Waits until this LSN and all before are durable, syncing if need be.
    ///
    /// # Errors
    /// `LsnLost` for a write of an earlier run that recovery did not find (or that is older than the
    /// 4096 past runs that are remembered), `LsnNotAssigned`, `OutcomeUnknown`.
    pub fn sync_to(&self, lsn: Lsn) -> Result<Lsn> {
        self.core.check_open()?;
        let last = self.core.durability.appended();
        if lsn.epoch() < last.epoch() {
            let end = self.core.identity.end_of_epoch(lsn.epoch());
            let lost = AtlasError::LsnLost { lsn, last: end };
            return if lsn <= end {
                Ok(self.core.durability.durable())
            } else {
                Err(lost)
            };
        }
        if lsn > last {
            return Err(AtlasError::LsnNotAssigned { lsn, last });
        }
        self.core.durability.wait(lsn)?;
        Ok(self.core.durability.durable())
    }

    /// Writes what is in memory to tables, and waits for it.
    ///
    /// # Errors
    /// `DiskFull`, `ReadOnly`, `Closed`, `Io`.
    pub fn flush(&self) -> Result<()> {
        self.core.check_open()?;
        self.core
            .flush_all()
            .map_err(|error| self.core.told_as_full(error))
    }

    /// Flushes, merges all tables into one, and waits for it.
    ///
    /// # Errors
    /// As [`Engine::flush`], and `Corrupt` when a table is damaged.
    pub fn compact(&self) -> Result<CompactionSummary> {
        self.compact_while(&|| true)
    }

    /// As [`Engine::compact`]; `wanted` is asked before every entry. `Closed` when it said no: all
    /// tables are then as they were.
    pub(crate) fn compact_while(&self, wanted: &dyn Fn() -> bool) -> Result<CompactionSummary> {
        self.flush()?;
        self.core.compact_all(wanted).map_err(|error| {
            // That it is too large does not make the disk full.
            if error.is_out_of_space() {
                let reason = error.reason_of_full();
                return AtlasError::DiskFull { reason };
            }
            error
        })
    }

    /// Puts other options in force, all at once for whoever reads them; which of those that differ do
    /// need a restart. Sizes of memtables and segments count from the next ones on. Events keep going
    /// where they went.
    ///
    /// A change to every-write ends by syncing what was written before: when this returns, no reader
    /// sees anything that is not durable. After a failed sync, now or before, `sync` is among what needs
    /// a restart.
    ///
    /// # Errors
    /// `InvalidOption`, `Closed`: nothing has changed.
    pub fn reconfigure(&self, options: &Options) -> Result<Vec<&'static str>> {
        options.check()?;
        self.core.reconfigure(options)
    }

    /// Proves within `patience` that the engine is at work: that the writer can be had, that the sync
    /// thread answers, that a sync under way comes to its end. Writes nothing. An engine that waits for
    /// flushing, refuses writes (read-only, disk full) or is closed is well.
    ///
    /// # Errors
    /// [`Stuck`] says which of these did not happen.
    pub fn probe(&self, patience: Duration) -> std::result::Result<(), Stuck> {
        self.core.probe(patience)
    }

    /// A moment's figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// Verifies the store's own files beside everything else that is done, in the caller's thread, which
    /// holds no lock meanwhile. `pace` is told the bytes of every read; its error ends the reading.
    ///
    /// # Errors
    /// As [`verify::verify`].
    pub fn verify(&self, pace: Arc<Pace>) -> Result<VerifyReport> {
        let disk = PacedDisk {
            disk: Arc::clone(&self.core.disk),
            pace,
        };
        verify::verify(&disk, &self.core.dir, VerifyOptions::default())
    }

    /// Bytes that [`Engine::verify`] has to read, about.
    #[must_use]
    pub fn bytes_to_verify(&self) -> u64 {
        verify::bytes_to_read(&*self.core.disk, &self.core.dir)
    }

    /// The files in quarantine.
    ///
    /// # Errors
    /// `Io`.
    pub fn quarantine_list(&self) -> Result<Vec<QuarantinedFile>> {
        quarantine::list(&*self.core.disk, &self.core.dir)
    }

    /// Removes all files in quarantine; what was removed.
    ///
    /// # Errors
    /// `Io`.
    pub fn quarantine_purge(&self) -> Result<Vec<QuarantinedFile>> {
        self.core.check_open()?;
        quarantine::purge(&*self.core.disk, &self.core.dir)
    }

    /// What the threads would do, once, for an engine without them: sync and mark, flush, compact, close
    /// idle scans, write again after a full disk.
    ///
    /// # Errors
    /// The first failure of any of these.
    pub fn maintain(&self) -> Result<()> {
        self.core.check_open()?;
        self.core.housekeeping()?;
        self.core.sync_tick(Duration::ZERO)?;
        while self.core.flush_oldest()? {}
        while self.core.compact_once()? {}
        self.core.try_resume()
    }

    /// Stops writing, flushes, syncs, appends the clean-shutdown mark. Later calls get `Closed`.
    ///
    /// # Errors
    /// What keeps it from ending cleanly. Nothing that was durable is lost by that.
    pub fn close(&self) -> Result<()> {
        if self.core.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.core.begin_closing();
        self.stop_threads();
        let outcome = self
            .core
            .shut_down()
            .map_err(|error| self.core.told_as_full(error));
        self.core.end();
        lock(&self.directory_lock).take();
        outcome
    }

    /// Lets the end of this run, under way or to come, do without its final flush: the log is synced, and
    /// the next start replays it.
    pub fn hurry(&self) {
        self.core.hurried.store(true, Ordering::Release);
    }

    fn stop_threads(&self) {
        self.core.durability.stop();
        self.core.flush_bell.stop();
        self.core.compact_bell.stop();
        for thread in lock(&self.threads).drain(..) {
            // A thread that panicked has aborted the daemon; in tests its panic is the failure.
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    /// The safety net of `close`: what was written so far reaches the disk if it still can.
    fn drop(&mut self) {
        if self.core.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.stop_threads();
        // There is nobody to tell of a failure, and the log is as good as after a crash.
        let _ = self.core.durability.sync();
    }
}

/// Makes the data directory, its name durable and those above it. A directory without a manifest is
/// treated as new even when it is there: whoever made it may have crashed before its name was synced.
fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<()> {
    match disk.list(dir) {
        Ok(files) if files.iter().any(|file| file.name == file_name::MANIFEST) => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => disk
            .create_dir(dir)
            .map_err(|error| AtlasError::io("create", dir, error))?,
        Err(error) => return Err(AtlasError::io("list", dir, error)),
    }
    for above in dir.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        match disk.sync_dir(above) {
            // Who may not read a directory did not make a name in it: that is its owner's to sync.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                return Err(AtlasError::io("sync", above, error));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Core {
    /// The present view, and the visible LSN as a state that stays readable in it.
    fn snapshot(&self) -> (Arc<View>, Snapshot) {
        loop {
            let view = self.view();
            let snapshot = {
                let _active = view.active.read();
                self.snapshots.take(self.durability.visible())
            };
            // Were the view out of date, the LSN could be one of a write that it does not hold.
            if Arc::ptr_eq(&view.active, &self.view().active) {
                return (view, snapshot);
            }
        }
    }

    /// A full disk as such, and noted.
    pub(crate) fn told_as_full(&self, error: AtlasError) -> AtlasError {
        if error.is_out_of_space() {
            self.refuse_full(&error)
        } else {
            error
        }
    }

    /// Takes no lock that anyone holds while the disk works; it only lists quarantine.
    fn stats(&self) -> Stats {
        let view = self.view();
        let (state, state_reason) = self.state();
        let counted = |counter: &super::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (counters, cache) = (&self.counters, self.cache.figures());
        let in_tables = |figure: fn(&super::table::TableInfo) -> u64| {
            view.tables
                .iter()
                .map(|table| figure(table.info()))
                .sum::<u64>()
        };
        let quarantined = quarantine::list(&*self.disk, &self.dir).unwrap_or_default();
        let id = self
            .identity
            .database_id
            .iter()
            .map(|byte| format!("{byte:02x}"));
        Stats {
            state: state.to_owned(),
            state_reason,
            database_id: id.collect(),
            epoch: u64::from(self.identity.epoch),
            last_lsn: self.durability.appended().as_u64(),
            durable_lsn: self.durability.durable().as_u64(),
            flushed_lsn: view.flushed_lsn.as_u64(),
            reads: counted(&counters.reads),
            writes: counted(&counters.writes),
            written_bytes: counted(&counters.written_bytes),
            log_syncs: self.durability.syncs(),
            log_bytes: counted(&counters.log_bytes),
            log_segments: count(view.sealed.len() + 1),
            memtable_bytes: count(view.active.bytes()),
            memtable_entries: count(view.active.entries()),
            sealed_memtables: count(view.sealed.len()),
            sealed_bytes: count(view.sealed_bytes()),
            tables: count(view.tables.len()),
            table_bytes: in_tables(|info| info.size),
            table_entries: in_tables(|info| info.entries),
            table_tombstones: in_tables(|info| info.tombstones),
            cache_capacity_bytes: cache.capacity,
            cache_bytes: cache.used,
            cache_hits: cache.hits,
            cache_misses: cache.misses,
            flushes: counted(&counters.flushes),
            flushed_bytes: counted(&counters.flushed_bytes),
            last_flush_unix_s: counted(&counters.last_flush_unix_s),
            compactions: counted(&counters.compactions),
            compacted_bytes: counted(&counters.compacted_bytes),
            background_failures: counted(&counters.background_failures),
            slowed_writes: counted(&counters.slowed_writes),
            stalled_writes: counted(&counters.stalled_writes),
            stall_us: counted(&counters.stall_us),
            open_scans: count(self.scans.len()),
            pinned_bytes: count(self.scans.pinned_bytes(&self.is_live())),
            quarantine_files: count(quarantined.len()),
            quarantine_bytes: quarantined.iter().map(|file| file.bytes).sum(),
        }
    }

    fn state(&self) -> (&'static str, String) {
        if self.closed.load(Ordering::Acquire) {
            return ("closed", String::new());
        }
        if let Some(reason) = self.durability.poison() {
            return ("read-only", reason);
        }
        match self.disk_full() {
            Some(reason) => ("disk-full", reason),
            None => ("running", String::new()),
        }
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "stopped_tests.rs"]
mod stopped_tests;

#[cfg(test)]
#[path = "turns_tests.rs"]
mod turns_tests;
