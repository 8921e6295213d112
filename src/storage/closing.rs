//! The end of a run, and how far its final flush is.

use super::sync::atomic::Ordering;

use super::core::{Core, lock};
use super::disk::count;
use super::error::{AtlasError, Result};
use super::event::Event;
use super::progress::{Gauge, Progress};
use super::wal::Kind;

/// Tells of a flush while the store is being closed, and of none before.
pub(crate) struct ClosingProgress<'a>(&'a Core);

impl Progress for ClosingProgress<'_> {
    fn note(&mut self, nearer: u64, work: u64) {
        let mut closing = lock(&self.0.closing);
        if let Some(gauge) = &mut *closing
            && gauge.note(nearer, work)
        {
            self.0.tell_closing(gauge);
        }
    }

    fn is_wanted(&self) -> bool {
        !self.0.is_hurried()
    }
}

impl Core {
    /// From now on flushes tell how much of what is in memory they have written.
    pub(crate) fn begin_closing(&self) {
        let gauge = Gauge::new(self.bytes_in_memory());
        self.tell_closing(&gauge);
        *lock(&self.closing) = Some(gauge);
    }

    fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Acquire)
    }

    pub(crate) fn closing_progress(&self) -> ClosingProgress<'_> {
        ClosingProgress(self)
    }

    /// Notes, while the store is being closed, that only what is in memory now is still to be written.
    pub(crate) fn note_flushed(&self) {
        let left = self.bytes_in_memory();
        let mut closing = lock(&self.closing);
        if let Some(gauge) = &mut *closing {
            gauge.reach(gauge.total().saturating_sub(left));
            self.tell_closing(gauge);
        }
    }

    fn bytes_in_memory(&self) -> u64 {
        let view = self.view();
        count(view.active.bytes() + view.sealed_bytes())
    }

    fn tell_closing(&self, gauge: &Gauge) {
        if gauge.total() > 0 {
            self.tell(&Event::Closing {
                bytes: gauge.done(),
                total_bytes: gauge.total(),
            });
        }
    }

    /// The end of a run: everything in tables, or when it was hurried in the log, and a synced mark that
    /// says so.
    pub(crate) fn shut_down(&self) -> Result<()> {
        let flushed = match self.flush_all() {
            Err(AtlasError::Closed) if self.is_hurried() => Ok(()),
            flushed => flushed,
        };
        // Where there is no room for tables, the log at least is durable.
        let synced = self.durability.sync();
        flushed?;
        synced?;
        let mut writer = self.with_reserve(|| {
            let mut writer = lock(&self.writer);
            if writer.is_broken() {
                self.seal(&mut writer)?;
            }
            Ok(writer)
        })?;
        let lsn = self.append(&mut writer, Kind::CleanMark, &[])?;
        drop(writer);
        self.durability.wait(lsn)?;
        self.note_flushed();
        Ok(())
    }

    /// Waits for whoever still writes, flushes or compacts, and lets nobody begin: once the directory's
    /// lock is free it may be another process's.
    pub(crate) fn end(&self) {
        let _flushing = lock(&self.flushing);
        let _compacting = lock(&self.compacting);
        let _writer = lock(&self.writer);
        self.durability.end();
    }
}
