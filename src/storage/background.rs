//! What the engine does beside reads and writes: flushing, compacting, syncing on time, closing scans
//! that idle. Each step is a function of its own, so that an engine without threads can take it too.

use super::sync::atomic::Ordering;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::bell::Wake;
use super::compaction::{MergePlan, Merged};
use super::core::{Core, add, lock};
use super::disk::count;
use super::durability::QUIET;
use super::error::{AtlasError, Result};
use super::event::Event;
use super::memtable::Memtable;
use super::table::{Index, Table, TableInfo};
use super::view::{Sealed, View};
use super::{CompactionSummary, compaction, file_name, flush};

/// Time from a failed flush or compaction to the next try.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// The longest such time between compactions: one that meets a damaged table reads everything up to it
/// each time, one that finds no room writes all that there is, and both fail again.
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// Time between two looks at idle scans and at a full disk.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

impl Core {
    /// Writes the oldest sealed memtable to a table that replaces its segment. `false`: there is none.
    pub(crate) fn flush_oldest(&self) -> Result<bool> {
        let _turn = lock(&self.flushing);
        let flushed = self.with_reserve(|| self.try_flush());
        self.flushed.beat();
        flushed.map_err(|error| self.told_as_full(error))
    }

    fn try_flush(&self) -> Result<bool> {
        self.durability.check()?;
        let Some(sealed) = self.view().sealed.last().map(Arc::clone) else {
            return Ok(false);
        };
        let started = Instant::now();
        let number = self.take_file_number();
        let mut progress = self.closing_progress();
        let written = flush::write_memtable(
            &*self.disk,
            &self.dir,
            &sealed.memtable,
            number,
            &mut progress,
        );
        let outcome = written.and_then(|written| self.install_flush(&sealed, written, started));
        match outcome {
            Ok(()) => {
                self.note_flushed();
                self.reserve.note_use();
                self.resume();
                self.compact_bell.ring();
                Ok(true)
            }
            Err(error) => {
                self.discard_table(number);
                Err(error)
            }
        }
    }

    fn install_flush(
        &self,
        sealed: &Arc<Sealed>,
        written: Option<(TableInfo, Index)>,
        started: Instant,
    ) -> Result<()> {
        let (entries, bytes) = written
            .as_ref()
            .map_or((0, 0), |(info, _)| (info.entries, info.size));
        let table = match written {
            Some((info, index)) => Some(self.adopt_table(&info, index)?),
            None => None,
        };
        let segment = file_name::segment(sealed.segment);
        let mut installed = self.manifest();
        let mut next = installed.manifest.clone();
        next.flushed_lsn = sealed.last_lsn;
        next.durable_lsn = next.durable_lsn.max(sealed.last_lsn);
        next.segments.retain(|info| info.number != sealed.segment);
        next.obsolete.insert(segment.clone());
        if let Some(table) = &table {
            next.tables.insert(0, table.info().clone());
        }
        self.install(&mut installed, next)?;
        // Readers of the new view must see what it holds.
        self.durability.flushed(sealed.last_lsn, sealed.segment);
        self.change_view(|view| {
            view.sealed.retain(|other| !Arc::ptr_eq(other, sealed));
            view.tables.splice(0..0, table);
            view.flushed_lsn = sealed.last_lsn;
        });
        drop(installed);
        self.remove_obsolete(&[segment]);
        add(&self.counters.flushes, 1);
        add(&self.counters.flushed_bytes, bytes);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        self.counters
            .last_flush_unix_s
            .store(now, Ordering::Relaxed);
        let took = started.elapsed();
        self.tell(&Event::Flushed {
            entries,
            bytes,
            lsn: sealed.last_lsn,
            took,
        });
        Ok(())
    }

    /// Seals what is in memory and writes all sealed memtables to tables.
    pub(crate) fn flush_all(&self) -> Result<()> {
        while !self.with_reserve(|| self.try_seal())? {
            self.flush_oldest()?;
        }
        while self.flush_oldest()? {}
        Ok(())
    }

    /// Seals what is in memory. `false`: there are as many sealed memtables as there may be.
    fn try_seal(&self) -> Result<bool> {
        let mut writer = lock(&self.writer);
        let view = self.view();
        if view.active.is_empty() {
            return Ok(true);
        }
        if view.sealed.len() >= view.options.max_sealed_memtables {
            return Ok(false);
        }
        self.seal(&mut writer).map(|()| true)
    }

    /// Merges the tables that the policy chooses. `false`: there is nothing to merge, or no room for it.
    pub(crate) fn compact_once(&self) -> Result<bool> {
        let _turn = lock(&self.compacting);
        let view = self.view();
        let room = self.room();
        let limit = self.merge_limit(room);
        let infos: Vec<TableInfo> = view
            .tables
            .iter()
            .map(|table| table.info().clone())
            .collect();
        let (trigger, most) = (view.options.compaction_trigger, view.options.max_tables);
        let chosen = compaction::choose(&infos, (trigger, most), limit.unwrap_or(u64::MAX));
        let bytes = chosen
            .as_ref()
            .map_or(0, |range| compaction::bytes(&infos, range));
        let merged = match chosen {
            Some(range) => self
                .merge_as_room_allows(&view.tables, range, &|| true)
                .map(|_| true),
            None => Ok(false),
        };
        match &merged {
            Err(error) if error.is_out_of_space() => self.note_shortage(bytes, room, error),
            // Whatever was worth it was tried.
            Ok(_) if limit.is_none() => self.end_shortage(u64::MAX),
            Ok(_) => self.end_shortage(bytes),
            Err(_) => {}
        }
        merged
    }

    /// Merges a range of tables, on a full disk in what is held back. Not while there is room for puts: a merge that
    /// is too large would only take it from them, and that it finds no room is not yet a full disk.
    fn merge_as_room_allows(
        &self,
        tables: &[Arc<Table>],
        range: Range<usize>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(u64, u64)> {
        let merge = || self.merge(tables, range.clone(), wanted);
        if self.disk_full().is_none() {
            return merge();
        }
        self.merge_with_reserve(merge)
            .map_err(|error| self.told_as_full(error))
    }

    /// Merges all tables into one, as long as `wanted` says so: `Closed` when it was not any more.
    pub(crate) fn compact_all(&self, wanted: &dyn Fn() -> bool) -> Result<CompactionSummary> {
        let mut summary = CompactionSummary::default();
        {
            let manifest = &self.manifest().manifest;
            summary.tables_before = count(manifest.tables.len());
            summary.bytes_before = manifest.tables.iter().map(|info| info.size).sum();
            summary.entries_before = manifest.tables.iter().map(|info| info.entries).sum();
        }
        {
            let _turn = lock(&self.compacting);
            let view = self.view();
            let tombstones: u64 = view
                .tables
                .iter()
                .map(|table| table.info().tombstones)
                .sum();
            let is_worth_it = match view.tables.as_slice() {
                [table] if tombstones == 0 => table.is_to_be_made_anew()?,
                tables => !tables.is_empty(),
            };
            if is_worth_it {
                let all = 0..view.tables.len();
                let merged = self.merge_as_room_allows(&view.tables, all, wanted)?;
                (summary.tombstones_dropped, summary.shadowed_dropped) = merged;
                self.end_shortage(u64::MAX);
            }
        }
        let manifest = &self.manifest().manifest;
        summary.tables_after = count(manifest.tables.len());
        summary.bytes_after = manifest.tables.iter().map(|info| info.size).sum();
        summary.entries_after = manifest.tables.iter().map(|info| info.entries).sum();
        Ok(summary)
    }

    /// Merges an age-contiguous range of tables, newest first, into one and puts it in their place. How
    /// many tombstones and older versions were dropped. When it gives way it begins anew: whoever needs its room
    /// makes some, or does not ask again.
    pub(super) fn merge(
        &self,
        tables: &[Arc<Table>],
        range: Range<usize>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(u64, u64)> {
        let wanted = || wanted() && !self.compact_bell.is_stopping();
        loop {
            let _under_way = self.merging.begin();
            let keep_going = || wanted() && !self.merging.is_in_the_way();
            match self.try_merge(tables, range.clone(), &keep_going) {
                Err(AtlasError::Closed) if self.merging.is_in_the_way() && wanted() => {}
                outcome => return outcome,
            }
        }
    }

    fn try_merge(
        &self,
        tables: &[Arc<Table>],
        range: Range<usize>,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<(u64, u64)> {
        self.check_open()?;
        self.durability.check()?;
        let started = Instant::now();
        // Only the range with the oldest table leaves nothing below that a tombstone must hide.
        let drop_tombstones = range.end == tables.len();
        let inputs = tables.get(range).unwrap_or_default();
        let number = self.take_file_number();
        let file_id = self
            .disk
            .random()
            .map_err(|error| AtlasError::io("make an identity for", &self.dir, error))?;
        let plan = MergePlan {
            inputs,
            number,
            file_id,
            drop_tombstones,
        };
        let merged = compaction::merge_tables(&*self.disk, &self.dir, &plan, keep_going);
        let outcome = merged.and_then(|merged| {
            let Merged {
                table,
                tombstones,
                shadowed,
            } = merged;
            self.install_merge(inputs, table, started)?;
            Ok((tombstones, shadowed))
        });
        if outcome.is_err() {
            self.discard_table(number);
        }
        outcome
    }

    fn install_merge(
        &self,
        inputs: &[Arc<Table>],
        output: Option<(TableInfo, Index)>,
        started: Instant,
    ) -> Result<()> {
        let output = match output {
            Some((info, index)) => Some(self.adopt_table(&info, index)?),
            None => None,
        };
        let numbers: Vec<u64> = inputs.iter().map(|table| table.info().number).collect();
        let names: Vec<String> = numbers
            .iter()
            .map(|number| file_name::table(*number))
            .collect();
        let mut installed = self.manifest();
        let mut next = installed.manifest.clone();
        let infos = output.iter().map(|table| table.info().clone());
        replace(
            &mut next.tables,
            |info| numbers.contains(&info.number),
            infos,
        );
        next.obsolete.extend(names.iter().cloned());
        self.install(&mut installed, next)?;
        let bytes = output.as_ref().map_or(0, |table| table.info().size);
        self.change_view(|view| {
            replace(
                &mut view.tables,
                |table| numbers.contains(&table.info().number),
                output,
            );
        });
        drop(installed);
        self.remove_obsolete(&names);
        add(&self.counters.compactions, 1);
        add(&self.counters.compacted_bytes, bytes);
        self.tell(&Event::Compacted {
            inputs: count(inputs.len()),
            input_bytes: inputs.iter().map(|table| table.info().size).sum(),
            output_bytes: bytes,
            took: started.elapsed(),
        });
        self.flush_bell.ring();
        Ok(())
    }

    /// Syncs the log if its interval says so, and appends a mark after a quiet moment.
    pub(crate) fn sync_tick(&self, quiet: Duration) -> Result<()> {
        if self.durability.wants_sync() {
            self.durability.sync()?;
        }
        self.mark(quiet)
    }

    /// Closes scans over their limits, and writes again if the disk was full and is not any more.
    pub(crate) fn housekeeping(&self) -> Result<()> {
        let options = self.options();
        let limits = (options.scan_idle_timeout, options.max_pinned_bytes);
        for reason in self.scans.expire(limits.0, limits.1, &self.is_live()) {
            self.tell(&Event::ScanClosed { reason });
        }
        self.refit_reserve();
        self.try_resume()
    }

    /// Whether a memtable would be in memory without any scan.
    pub(crate) fn is_live(&self) -> impl Fn(&Arc<Memtable>) -> bool + use<> {
        let live = self.view().memtables();
        move |memtable| live.iter().any(|other| Arc::ptr_eq(other, memtable))
    }

    fn report_failure(&self, task: &'static str, error: &AtlasError) {
        add(&self.counters.background_failures, 1);
        // A full disk and a failed sync tell of themselves.
        if !matches!(
            error,
            AtlasError::DiskFull { .. } | AtlasError::ReadOnly { .. }
        ) {
            self.tell(&Event::BackgroundFailed {
                task,
                error: error.to_string(),
            });
        }
    }

    /// The flush thread. It waits while compaction is too far behind, so that tables stay few.
    pub(crate) fn run_flushes(&self) {
        let mut wake = Wake::Rung;
        while wake != Wake::Stop {
            if let Err(error) = self.housekeeping() {
                self.report_failure("resuming", &error);
            }
            let view = self.view();
            let behind = self.is_behind(&view);
            if behind && !view.sealed.is_empty() {
                self.tell_behind();
            }
            let more = if behind {
                Ok(false)
            } else {
                self.flush_oldest()
            };
            wake = match more {
                Ok(true) => Wake::Rung,
                Ok(false) => self.flush_bell.wait(self.housekeeping_turn(behind)),
                // Whoever closes the store tries once more, and tells.
                Err(_) if self.flush_bell.is_stopping() => Wake::Stop,
                Err(error) => {
                    self.report_failure("a flush", &error);
                    self.flush_bell.pause(RETRY)
                }
            };
            if self.flush_bell.is_stopping() {
                return;
            }
        }
    }

    /// Whether there are so many tables that flushes wait for a merge. Where a merge may find no room, there may be
    /// twice as many: on a full disk, where a flush makes some, and while one has found none.
    pub(super) fn is_behind(&self, view: &View) -> bool {
        let most = view.options.max_tables;
        let is_short = self.disk_full().is_some() || self.shortage().is_some();
        view.tables.len() >= most.saturating_mul(if is_short { 2 } else { 1 })
    }

    /// Whether flushes wait for a merge that finds no room.
    pub(super) fn is_out_of_merges(&self, view: &View) -> bool {
        self.shortage().is_some() && self.is_behind(view)
    }

    /// Flushes wait for a merge. When that finds no room, the disk is full for whoever writes.
    fn tell_behind(&self) {
        match self.shortage() {
            Some(shortage) => {
                let reason = shortage.reason;
                self.refuse_full(&AtlasError::DiskFull { reason });
            }
            None => self.tell(&Event::Stalled {
                cause: "compaction",
            }),
        }
    }

    fn housekeeping_turn(&self, behind: bool) -> Option<Duration> {
        let wanted = behind || self.scans.len() > 0 || self.disk_full().is_some();
        wanted.then_some(HOUSEKEEPING)
    }

    /// The compaction thread.
    pub(crate) fn run_compactions(&self) {
        let mut wake = Wake::Rung;
        let mut retry = RETRY;
        while wake != Wake::Stop {
            let compacted = self.compact_once();
            if compacted.is_ok() {
                retry = RETRY;
            }
            wake = match compacted {
                Ok(true) => Wake::Rung,
                Ok(false) => {
                    let look = self.shortage().map(|_| HOUSEKEEPING);
                    self.compact_bell.wait(look)
                }
                Err(_) if self.compact_bell.is_stopping() => Wake::Stop,
                Err(error) => {
                    self.report_failure("a compaction", &error);
                    if error.is_out_of_space() {
                        // There may be room for less, at once.
                        continue;
                    }
                    let pause = retry;
                    retry = pause.saturating_mul(2).min(LONGEST_RETRY);
                    self.compact_bell.pause(pause)
                }
            };
        }
    }

    /// The sync thread.
    pub(crate) fn run_syncs(&self) {
        while self.durability.wait_for_work() {
            if let Err(error) = self.sync_tick(QUIET) {
                self.report_failure("a sync", &error);
            }
        }
    }
}

/// Puts `new` in the place of the contiguous run of elements that `is_old` holds for.
fn replace<T>(list: &mut Vec<T>, is_old: impl Fn(&T) -> bool, new: impl IntoIterator<Item = T>) {
    let start = list.iter().position(&is_old).unwrap_or(list.len());
    let end = list
        .iter()
        .rposition(&is_old)
        .map_or(start, |last| last + 1);
    list.splice(start..end, new);
}
