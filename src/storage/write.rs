//! The way of a write: limits, the writer's lock, room, the log, the memtable, the answer.

use super::sync::atomic::Ordering;
use super::sync::{MutexGuard, TryLockError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, add, lock};
use super::disk::count;
use super::durability::CurrentReaders;
use super::error::{AtlasError, Result};
use super::event::Event;
use super::manifest::SegmentEnd;
use super::recovery;
use super::reserve::{self, Held};
use super::view::{Sealed, View};
use super::wal::writer::SegmentWriter;
use super::wal::{HEADER_SIZE, Kind, MARK_SIZE, NewEntry};
use super::{Conditional, Expected, Lsn, Operation, Options, file_name};

/// With the disk full, a write tries again at most this often.
const FULL_RETRY: Duration = Duration::from_millis(250);
/// The most that a write is slowed down while flushing is behind.
const MOST_DELAY: Duration = Duration::from_millis(2);
/// How long a waiting write sleeps before it looks again by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The one writer.
#[derive(Debug)]
pub(crate) struct Writer {
    segment: SegmentWriter,
    last_lsn: Lsn,
    /// An append failed: the segment must be closed before the next write.
    broken: bool,
    /// When a write last found no room on the disk.
    refused_at: Option<Instant>,
    /// The size of the write that found no room; 0: none did.
    refused_size: usize,
}

impl Writer {
    pub(crate) fn new(segment: SegmentWriter, last_lsn: Lsn) -> Writer {
        Writer {
            segment,
            last_lsn,
            broken: false,
            refused_at: None,
            refused_size: 0,
        }
    }

    /// LSN of the last write.
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.last_lsn
    }

    /// Whether the segment takes nothing more: an append failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether memtable and segment must be sealed before an entry of `size` bytes.
    fn is_full(&self, view: &View, size: usize) -> bool {
        let used = self.segment.offset();
        let over = used + count(size) > self.segment.limit();
        self.broken
            || view.active.bytes() >= view.options.memtable_size
            || (over && used > count(HEADER_SIZE))
    }
}

impl Core {
    /// Appends one atomic write, in order; [`Core::settle`] makes it an answer.
    pub(crate) fn submit(&self, operations: &[Operation<'_>]) -> Result<Lsn> {
        let view = self.view();
        let size = view.options.check_operations(operations)?;
        let frees = operations
            .iter()
            .all(|operation| operation.value().is_none());
        let mut writer = self.writer_with_room(&view, size, frees)?;
        self.append(&mut writer, Kind::Operations, operations)
    }

    /// As [`Core::submit`], without waiting for room. `None`: it would have to, and nothing was done.
    pub(crate) fn try_submit(&self, operations: &[Operation<'_>]) -> Result<Option<Lsn>> {
        let view = self.view();
        let size = view.options.check_operations(operations)?;
        let Some(mut writer) = self.writer_at_once(&view, size)? else {
            return Ok(None);
        };
        let appended = self.append(&mut writer, Kind::Operations, operations);
        appended.map(Some)
    }

    /// Waits until the policy lets a write be answered.
    pub(crate) fn settle(&self, lsn: Lsn) -> Result<()> {
        if self.durability.is_every_write() {
            self.durability.wait(lsn)
        } else {
            Ok(())
        }
    }

    /// What [`Core::settle`] would return at once; `None`: it would wait.
    pub(crate) fn try_settle(&self, lsn: Lsn) -> Option<Result<()>> {
        if self.durability.is_every_write() {
            self.durability.outcome(lsn)
        } else {
            Some(Ok(()))
        }
    }

    /// Writes if the key's newest state, visible or not, is as expected. An answer that depends on
    /// that state, a refusal too, must wait until the state may be answered: the LSN to settle goes
    /// with the outcome.
    pub(crate) fn submit_if(
        &self,
        key: &[u8],
        expected: Expected<'_>,
        new: Option<&[u8]>,
    ) -> Result<(Conditional, Lsn)> {
        let operation = changed_to(key, new);
        let view = self.view();
        let size = view.options.check_operations(&[operation])?;
        let writer = self.writer_with_room(&view, size, new.is_none())?;
        self.decide(writer, expected, operation)
    }

    /// As [`Core::submit_if`], without waiting for room. `None`: it would have to, and nothing was done.
    pub(crate) fn try_submit_if(
        &self,
        key: &[u8],
        expected: Expected<'_>,
        new: Option<&[u8]>,
    ) -> Result<Option<(Conditional, Lsn)>> {
        let operation = changed_to(key, new);
        let view = self.view();
        let size = view.options.check_operations(&[operation])?;
        // A condition that is not met appends nothing, and so would not be told.
        self.durability.check()?;
        let Some(writer) = self.writer_at_once(&view, size)? else {
            return Ok(None);
        };
        self.decide(writer, expected, operation).map(Some)
    }

    /// Judges the condition on the newest state, and writes if it holds; no other write comes between.
    fn decide(
        &self,
        mut writer: MutexGuard<'_, Writer>,
        expected: Expected<'_>,
        operation: Operation<'_>,
    ) -> Result<(Conditional, Lsn)> {
        let current = self.view().newest(operation.key())?;
        let holds = match (expected, &current) {
            (Expected::Absent, None) => true,
            (Expected::Value(value), Some(current)) => current.value == value,
            (Expected::Version(lsn), Some(current)) => current.lsn == lsn,
            _ => false,
        };
        if !holds {
            return Ok((Conditional::Refused(current), writer.last_lsn));
        }
        let lsn = self.append(&mut writer, Kind::Operations, &[operation])?;
        Ok((Conditional::Done(lsn), lsn))
    }

    /// The writer, when an entry of `size` bytes can be appended at once: when nothing is to be sealed
    /// before, now or by another, and the write is not to be slowed down.
    fn writer_at_once(&self, view: &View, size: usize) -> Result<Option<MutexGuard<'_, Writer>>> {
        if self.sealing.load(Ordering::Acquire) || delay_us(view) > 0 {
            return Ok(None);
        }
        let writer = lock(&self.writer);
        // Under the lock: no write may follow the clean-shutdown mark.
        self.check_open()?;
        let at_once = !self.reserve.is_in_use() && !writer.is_full(&self.view(), size);
        Ok(at_once.then_some(writer))
    }

    /// The writer, with room in memtable and segment for an entry of `size` bytes. While flushing is
    /// behind, writes are first slowed down, then wait. `view` is the present one. A write that `frees`
    /// room, by deleting, may use what is held back.
    fn writer_with_room(
        &self,
        view: &View,
        size: usize,
        frees: bool,
    ) -> Result<MutexGuard<'_, Writer>> {
        self.slow_down(view);
        let started = Instant::now();
        let mut waits = false;
        loop {
            self.durability.check()?;
            let seen = self.flushed.beats();
            let writer = if frees {
                self.with_reserve(|| self.try_writer(size, frees))?
            } else {
                self.try_writer(size, frees)?
            };
            if let Some(writer) = writer {
                self.note_wait(started);
                return Ok(writer);
            }
            let view = self.view();
            let first = !std::mem::replace(&mut waits, true);
            let is_hopeless = !frees
                || matches!(self.reserve.held(), Held::Spent | Held::Never)
                || self.is_out_of_merges(&view);
            if is_hopeless && self.disk_full().is_some() {
                return Err(self.full());
            }
            self.wait_for_flush(&view.options, started, seen, first)?;
        }
    }

    /// As [`Core::writer_with_room`], without waiting. `None`: flushing is behind.
    fn try_writer(&self, size: usize, frees: bool) -> Result<Option<MutexGuard<'_, Writer>>> {
        let mut writer = lock(&self.writer);
        // Under the lock: no write may follow the clean-shutdown mark.
        self.check_open()?;
        if !frees && self.reserve.is_in_use() {
            return Err(self.full());
        }
        let view = self.view();
        if writer.is_full(&view, size) {
            if view.sealed.len() >= view.options.max_sealed_memtables {
                return Ok(None);
            }
            self.seal_or_refuse(&mut writer, size, frees)?;
        }
        Ok(Some(writer))
    }

    /// The refusal of a write on a full disk.
    fn full(&self) -> AtlasError {
        AtlasError::DiskFull {
            reason: self.disk_full().unwrap_or_default(),
        }
    }

    /// Delays a write a little when the last free memtable fills up, so that writers meet the speed of
    /// flushing before they have to wait.
    fn slow_down(&self, view: &View) {
        let delay = delay_us(view);
        if delay == 0 {
            return;
        }
        add(&self.counters.slowed_writes, 1);
        add(&self.counters.stall_us, delay);
        std::thread::sleep(Duration::from_micros(delay));
    }

    fn note_wait(&self, started: Instant) {
        let waited = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if waited > 1000 {
            add(&self.counters.stall_us, waited);
        }
    }

    /// Waits until a memtable was flushed; the caller looks again. `first`: it has not waited yet.
    fn wait_for_flush(
        &self,
        options: &Options,
        started: Instant,
        seen: u64,
        first: bool,
    ) -> Result<()> {
        if !self.background {
            return self.flush_oldest().map(|_| ());
        }
        let waited = started.elapsed();
        if waited >= options.stall_timeout {
            let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            return Err(AtlasError::Stalled { waited_ms });
        }
        if first && self.counters.stalled_writes.fetch_add(1, Ordering::Relaxed) == 0 {
            self.tell(&Event::Stalled { cause: "flushing" });
        }
        self.flush_bell.ring();
        self.flushed.wait(seen, LOOK_AGAIN);
        Ok(())
    }

    /// Seals memtable and segment for an entry of `size` bytes; a full disk is told as such. A write that `frees` room
    /// need not wait before it tries again, while there may be some for it.
    fn seal_or_refuse(&self, writer: &mut Writer, size: usize, frees: bool) -> Result<()> {
        let too_soon = writer
            .refused_at
            .is_some_and(|at| at.elapsed() < FULL_RETRY);
        let may_free = frees && matches!(self.reserve.held(), Held::All | Held::Nothing);
        let refused = too_soon && self.background && !may_free;
        if let Some(reason) = self.disk_full().filter(|_| refused) {
            return Err(AtlasError::DiskFull { reason });
        }
        match self.seal(writer) {
            Err(error) if error.is_out_of_space() => {
                writer.refused_at = Some(Instant::now());
                writer.refused_size = size;
                Err(self.refuse_full(&error))
            }
            outcome => outcome,
        }
    }

    /// Seals the memtable and the segment together and lets fresh ones take the writes. The new
    /// segment and the manifest that names it are durable before the first entry goes there.
    pub(crate) fn seal(&self, writer: &mut Writer) -> Result<()> {
        self.durability.check()?;
        // Whoever holds the writer seals: nobody else sets it.
        self.sealing.store(true, Ordering::Release);
        let sealed = self.seal_now(writer);
        self.sealing.store(false, Ordering::Release);
        sealed
    }

    fn seal_now(&self, writer: &mut Writer) -> Result<()> {
        let mut installed = self.manifest();
        let mut next = installed.manifest.clone();
        let first_lsn = writer.last_lsn.next().ok_or(AtlasError::Exhausted {
            what: "the LSNs of this epoch",
            remedy: "restart to open the next epoch",
        })?;
        let closed = SegmentEnd {
            offset: writer.segment.offset(),
            last_lsn: writer.last_lsn,
        };
        if let Some(segment) = next.segments.last_mut() {
            segment.closed = Some(closed);
        }
        let number = next.next_file_number;
        let mut options = Options::clone(&self.options());
        if self.reserve.is_in_use() {
            options = reserve::small(&options);
        }
        let created =
            recovery::create_segment(&*self.disk, &self.dir, &options, (&mut next, first_lsn));
        // The number is spent even if the file was not made whole.
        installed.manifest.next_file_number = next.next_file_number;
        let segment = match created.and_then(|segment| {
            self.install(&mut installed, next)?;
            Ok(segment)
        }) {
            Ok(segment) => segment,
            Err(error) => {
                self.discard_segment(number, &error);
                return Err(error);
            }
        };
        self.durability.rotated(Arc::clone(segment.file()));
        let old = std::mem::replace(&mut writer.segment, segment);
        writer.broken = false;
        writer.refused_at = None;
        writer.refused_size = 0;
        let (number, last_lsn) = (old.header().number, writer.last_lsn);
        self.change_view(|view| {
            let memtable = std::mem::take(&mut view.active);
            view.sealed.insert(
                0,
                Arc::new(Sealed {
                    memtable,
                    segment: number,
                    last_lsn,
                }),
            );
        });
        drop(installed);
        self.resume();
        self.flush_bell.ring();
        Ok(())
    }

    /// Removes what a failed attempt left of a segment that no manifest names.
    fn discard_segment(&self, number: u64, error: &AtlasError) {
        if error.leaves_outcome_open() {
            self.durability.stop_writing(error);
        }
        if self.durability.check().is_err() {
            // After a failed sync nothing is removed.
            return;
        }
        let name = file_name::segment(number);
        // It may be there under either name, or not at all; recovery takes care of the rest.
        let _ = self
            .disk
            .remove(&self.dir.join(file_name::temporary(&name)));
        let _ = self.disk.remove(&self.dir.join(name));
    }

    /// Appends an entry, takes it into the memtable and shows it to readers as the policy allows.
    pub(crate) fn append(
        &self,
        writer: &mut Writer,
        kind: Kind,
        operations: &[Operation<'_>],
    ) -> Result<Lsn> {
        self.durability.check()?;
        let lsn = writer.last_lsn.next().ok_or(AtlasError::Exhausted {
            what: "the LSNs of this epoch",
            remedy: "restart to open the next epoch",
        })?;
        let durable_lsn = self.durability.durable();
        let appended = writer.segment.append(&NewEntry {
            lsn,
            kind,
            durable_lsn,
            operations,
        });
        let bytes = match appended {
            Ok(bytes) => bytes,
            Err(error) => return Err(self.append_failed(writer, error)),
        };
        let readers = CurrentReaders {
            durability: &self.durability,
            snapshots: &self.snapshots,
            writing: lsn,
        };
        let view = self.view();
        let is_mark = kind != Kind::Operations;
        view.active.apply(operations, lsn, &readers, || {
            self.durability.publish(lsn, is_mark);
        });
        writer.last_lsn = lsn;
        add(&self.counters.log_bytes, bytes);
        add(&self.counters.writes, count(operations.len()));
        let size = |operation: &Operation<'_>| {
            operation.key().len() + operation.value().map_or(0, <[u8]>::len)
        };
        add(
            &self.counters.written_bytes,
            count(operations.iter().map(size).sum()),
        );
        Ok(lsn)
    }

    /// The bytes behind the last whole entry are not known: nothing more goes to this segment. On a
    /// full disk the entry cannot be whole, so it is refused; otherwise writing stops.
    fn append_failed(&self, writer: &mut Writer, error: AtlasError) -> AtlasError {
        if !matches!(error, AtlasError::Io { .. }) {
            return error;
        }
        writer.broken = true;
        if error.is_out_of_space() {
            writer.refused_at = Some(Instant::now());
            return self.refuse_full(&error);
        }
        self.durability.stop_writing(&error);
        let lsn = writer.last_lsn.next().unwrap_or(Lsn::MAX);
        AtlasError::OutcomeUnknown {
            lsn,
            reason: error.to_string(),
        }
    }

    /// Appends and syncs a mark when the log was synced and then quiet for `quiet`: it proves the
    /// durable LSN to a later recovery.
    pub(crate) fn mark(&self, quiet: Duration) -> Result<()> {
        if !self.durability.wants_mark(quiet) {
            return Ok(());
        }
        // A writer at work means that it is not quiet.
        let Ok(mut writer) = self.writer.try_lock() else {
            return Ok(());
        };
        let view = self.view();
        if !self.durability.wants_mark(quiet) {
            return Ok(());
        }
        if writer.is_full(&view, MARK_SIZE) {
            return self.seal_for_mark(&mut writer, &view);
        }
        let lsn = self.append(&mut writer, Kind::DurableMark, &[])?;
        drop(writer);
        self.durability.wait(lsn)
    }

    /// Where a mark has no place, the next manifest proves the durable LSN: the one that sealing makes,
    /// or else that of the flush under way. Tried once.
    fn seal_for_mark(&self, writer: &mut Writer, view: &View) -> Result<()> {
        self.durability.skip_mark();
        if view.sealed.len() < view.options.max_sealed_memtables {
            self.seal_or_refuse(writer, MARK_SIZE, false)?;
        }
        Ok(())
    }

    /// Writes again when the disk was full and there is room now, for the write that found none as well:
    /// what is left of a segment often takes smaller ones. While a memtable waits to be flushed, its
    /// flush shows whether there is.
    pub(crate) fn try_resume(&self) -> Result<()> {
        // Room is no remedy for a failed sync, even if a full disk was its cause.
        if self.disk_full().is_none() || self.durability.check().is_err() {
            return Ok(());
        }
        if !self.view().sealed.is_empty() {
            return Ok(());
        }
        // A merge that is under way may need what is held back, and take long.
        let merging = self.compacting.try_lock();
        if self.reserve.is_in_use()
            && matches!(merging, Err(TryLockError::WouldBlock))
            && !self.has_room_beside_merges()
        {
            return Ok(());
        }
        self.hold_reserve()
            .map_err(|error| self.told_as_full(error))?;
        let mut writer = lock(&self.writer);
        let view = self.view();
        if !view.sealed.is_empty() {
            return Ok(());
        }
        let size = writer.refused_size.max(MARK_SIZE);
        if writer.is_full(&view, size) {
            return self.seal_or_refuse(&mut writer, size, false);
        }
        self.resume();
        Ok(())
    }
}

fn changed_to<'a>(key: &'a [u8], new: Option<&'a [u8]>) -> Operation<'a> {
    match new {
        Some(value) => Operation::Put { key, value },
        None => Operation::Delete { key },
    }
}

/// Microseconds that a write is to be slowed down, while the last free memtable fills up.
fn delay_us(view: &View) -> u64 {
    let half = view.options.memtable_size / 2;
    if view.sealed.len() < view.options.max_sealed_memtables || half == 0 {
        return 0;
    }
    let above = view.active.bytes().saturating_sub(half);
    let most = u64::try_from(MOST_DELAY.as_micros()).unwrap_or(0);
    (most * count(above) / count(half)).min(most)
}
