//! Room held back for a full disk, so that deletes, flush and compaction can still make room.
//!
//! [`file_name::RESERVE`] is a preallocated file whose bytes mean nothing. On a full disk it is removed,
//! for deletes, flush and compaction; while it is gone puts are refused, and segments are small. It is
//! made again as soon as there is room; until then a small one is there for the next start. To recovery
//! it is a temporary file like any other: a start takes its room first, and holds it back again at its
//! end. Nothing depends on it, so no power cut matters.
//!
//! How large it is follows the options, also when they change while the store is open ([`size`]).

use std::io;
use std::path::Path;

use super::core::{Core, lock};
use super::disk::{Disk, count};
use super::error::{AtlasError, Result};
use super::event::Event;
use super::sync::Mutex;
use super::sync::atomic::{AtomicU8, Ordering};
use super::view::View;
use super::{Lsn, MIB, Options, file_name, table};

/// The largest segment that is made while the reserve is gone.
const SMALL_SEGMENT: usize = MIB;
/// Bytes that an entry takes in a table besides key and value, at most: its prefix, two lengths and the LSN.
const ENTRY_OVERHEAD: usize = 28;

/// The reserve of an open store.
#[derive(Debug)]
pub(crate) struct Reserve {
    state: AtomicU8,
    /// Held while the file is made or removed.
    turn: Mutex<Kept>,
}

/// What the file is kept for.
#[derive(Debug)]
struct Kept {
    /// Bytes held, where all is.
    size: u64,
    /// What options that are in force no longer may need, until everything up to this LSN and a write
    /// beyond is flushed: then the segment that took writes at the change is gone, and its memtable.
    older: Option<(Lsn, u64)>,
}

impl Kept {
    /// Bytes to hold back.
    fn needed(&mut self, view: &View) -> u64 {
        self.older = self.older.filter(|(until, _)| view.flushed_lsn <= *until);
        size(&view.options).max(self.older.map_or(0, |(_, size)| size))
    }
}

/// What is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Held {
    /// The file is there.
    All = 0,
    /// The disk is full, and what was held back is free to be used.
    Nothing = 1,
    /// As `Nothing`, and even so something found no room.
    Spent = 2,
    /// The file system cannot hold room back: a full disk is full at once.
    Never = 3,
}

impl Reserve {
    /// As a start has left it.
    pub(crate) fn new(held: Held, options: &Options) -> Reserve {
        let kept = Kept {
            size: size(options),
            older: None,
        };
        let reserve = Reserve {
            state: AtomicU8::new(0),
            turn: Mutex::new(kept),
        };
        reserve.set(held);
        reserve
    }

    pub(super) fn set(&self, held: Held) {
        let code = match held {
            Held::All => 0,
            Held::Nothing => 1,
            Held::Spent => 2,
            Held::Never => 3,
        };
        self.state.store(code, Ordering::Release);
    }

    pub(crate) fn held(&self) -> Held {
        match self.state.load(Ordering::Acquire) {
            0 => Held::All,
            1 => Held::Nothing,
            2 => Held::Spent,
            _ => Held::Never,
        }
    }

    /// Whether its room is in use, and puts must not take it.
    pub(crate) fn is_in_use(&self) -> bool {
        matches!(self.held(), Held::Nothing | Held::Spent)
    }

    /// Something that makes room found none, even with what was held back.
    pub(super) fn note_spent(&self) {
        let _turn = lock(&self.turn);
        if self.held() == Held::Nothing {
            self.set(Held::Spent);
        }
    }

    /// Keeps others from making or removing the file meanwhile.
    #[cfg(test)]
    pub(super) fn in_turn(&self, meanwhile: &mut dyn FnMut()) {
        let _turn = lock(&self.turn);
        meanwhile();
    }

    /// Something was written with its room.
    pub(crate) fn note_use(&self) {
        let _turn = lock(&self.turn);
        if self.held() == Held::Spent {
            self.set(Held::Nothing);
        }
    }
}

/// Bytes held back: for the largest table that a flush may make, for two small segments, and for the next
/// start.
///
/// One table is enough, for each flush gives back its segment before the next one, and a start on a full disk
/// goes the same way. What a table holds is what one segment and its memtable hold. They are sealed when
/// either is full, before an entry that no longer fits: so it is no more than a segment, or than one batch
/// that is alone in it; nor more than a full memtable and one batch.
pub(crate) fn size(options: &Options) -> u64 {
    let entries = entries(options);
    // The sections, and as much again while they wait to be copied behind the entries.
    let sections = 2 * table::most_sections(entries);
    entries + sections + count(2 * small(options).segment_size) + least(options)
}

/// The most bytes of entries in the table of a flush. What they take beyond keys and values is that of the last
/// batch, and less than a quarter of what was in the memtable before, which counts 120 bytes for each entry. The
/// more of the contents are keys and values, the fewer such entries there were.
fn entries(options: &Options) -> u64 {
    let (memtable, batch) = (options.memtable_size, options.max_batch_size);
    let segment = options.segment_size.min(memtable + batch);
    let contents = segment.max(memtable).max(batch);
    let before = (memtable + batch - contents) / 4;
    count(contents + before + options.max_batch_operations * ENTRY_OVERHEAD)
}

/// Bytes held back while the rest is in use: a start needs a small segment, and tables of what is in one.
fn least(options: &Options) -> u64 {
    2 * count(small(options).segment_size)
}

/// The options for making a segment on a full disk.
pub(crate) fn small(options: &Options) -> Options {
    Options {
        segment_size: options.segment_size.min(SMALL_SEGMENT),
        ..options.clone()
    }
}

/// Holds room back in `dir`, in place of what is held there.
pub(crate) fn hold(disk: &dyn Disk, dir: &Path, options: &Options, size: u64) -> Result<Held> {
    let path = dir.join(file_name::RESERVE);
    let held = make(disk, &path, size);
    match &held {
        Ok(Held::All) => {}
        Err(error) if error.is_out_of_space() => hold_least(disk, &path, options),
        _ => remove(disk, &path),
    }
    held
}

/// Holds back what the next start needs, if there is room for it.
fn hold_least(disk: &dyn Disk, path: &Path, options: &Options) {
    if !matches!(make(disk, path, least(options)), Ok(Held::All)) {
        remove(disk, path);
    }
}

/// Removes what a failed attempt left; what stays is removed by the next.
fn remove(disk: &dyn Disk, path: &Path) {
    let _ = disk.remove(path);
}

fn make(disk: &dyn Disk, path: &Path, size: u64) -> Result<Held> {
    let failed = |operation| move |error| AtlasError::io(operation, path, error);
    // A failed attempt may have left it.
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove")(error));
        }
        _ => {}
    }
    let file = disk.create(path).map_err(failed("create"))?;
    file.preallocate(size).map_err(failed("preallocate"))?;
    if file.length().map_err(failed("read"))? < size {
        return Ok(Held::Never);
    }
    file.sync().map_err(failed("sync"))?;
    Ok(Held::All)
}

impl Core {
    /// Does `work`, which is to make room by itself; where it finds the disk full, once more with the room that a merge
    /// under way gives back, and once more with what is held back. Where even so there is none, that is noted, and
    /// until something was written no merge is disturbed again. The caller holds `flushing` at most.
    pub(crate) fn with_reserve<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let held = self.reserve.held();
        match work() {
            Err(error) if error.is_out_of_space() && matches!(held, Held::All | Held::Nothing) => {}
            outcome => return outcome,
        }
        // No merge takes the room before this is done.
        let _stopped = self.merging.stop();
        match work() {
            Err(error) if error.is_out_of_space() => {
                // Another may have freed it meanwhile.
                let is_free = self.free_reserve(&error);
                if is_free || (held == Held::All && self.reserve.is_in_use()) {
                    return work();
                }
                self.reserve.note_spent();
                Err(error)
            }
            outcome => outcome,
        }
    }

    /// Does the same for a merge, which says nothing of the room for others when it is too large.
    pub(crate) fn merge_with_reserve<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Err(error) if error.is_out_of_space() && self.free_reserve(&error) => work(),
            outcome => outcome,
        }
    }

    /// Frees what is held back; `false` when there is nothing to free, or it cannot be. From then on the
    /// disk counts as full.
    pub(crate) fn free_reserve(&self, error: &AtlasError) -> bool {
        if self.durability.check().is_err() {
            // After a failed sync nothing is removed.
            return false;
        }
        let options = self.options();
        let turn = lock(&self.reserve.turn);
        if self.reserve.held() != Held::All {
            return false;
        }
        let path = self.dir.join(file_name::RESERVE);
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return false,
            _ => self.reserve.set(Held::Nothing),
        }
        hold_least(&*self.disk, &path, &options);
        drop(turn);
        self.refuse_full(error);
        true
    }

    /// Whether there is room to hold all back again, whatever a merge that is under way may still write.
    pub(crate) fn has_room_beside_merges(&self) -> bool {
        let view = self.view();
        let tables: u64 = view.tables.iter().map(|table| table.info().size).sum();
        let needed = lock(&self.reserve.turn)
            .needed(&view)
            .saturating_add(tables);
        let free = self.disk.free_space(&self.dir);
        matches!(free, Ok(Some(free)) if free >= needed)
    }

    /// Holds room back again, if its room was in use; not while somebody has a merge give way, for whom it was freed.
    pub(crate) fn hold_reserve(&self) -> Result<()> {
        let view = self.view();
        let mut kept = lock(&self.reserve.turn);
        if self.reserve.is_in_use() && !self.merging.is_in_the_way() {
            let needed = kept.needed(&view);
            self.hold_now(&mut kept, &view.options, (least(&view.options), needed))?;
        }
        Ok(())
    }

    /// Holds back what the options in force need, if all is held: they may have changed. A disk without room for
    /// that counts as full, as it would at the next start.
    pub(crate) fn refit_reserve(&self) {
        if self.durability.check().is_err() {
            return;
        }
        let view = self.view();
        let mut kept = lock(&self.reserve.turn);
        let (present, needed) = (kept.size, kept.needed(&view));
        if self.reserve.held() != Held::All || present == needed {
            return;
        }
        let held = self.hold_now(&mut kept, &view.options, (present, needed));
        drop(kept);
        if let Err(error) = held {
            self.free_reserve(&error);
        }
    }

    /// Options change: what those that were in force may need, for writes up to `last`, is held on to.
    pub(crate) fn keep_reserve_for(&self, old: &Options, last: Lsn) {
        let mut kept = lock(&self.reserve.turn);
        // For what never was held nothing was written: puts were refused.
        let needed = size(old).min(kept.size);
        let size = kept.older.map_or(0, |(_, size)| size).max(needed);
        kept.older = Some((last, size));
    }

    /// Makes the file, where `present` bytes are held. Fails on a full disk alone: whatever else keeps it from
    /// being made, the store serves without it.
    fn hold_now(
        &self,
        kept: &mut Kept,
        options: &Options,
        (present, needed): (u64, u64),
    ) -> Result<()> {
        self.check_room_to_hold(present, needed)?;
        match hold(&*self.disk, &self.dir, options, needed) {
            Ok(held) => self.reserve.set(held),
            Err(error) if error.is_out_of_space() => return Err(error),
            Err(error) => {
                self.reserve.set(Held::Never);
                self.tell(&Event::BackgroundFailed {
                    task: "holding room back for a full disk",
                    error: error.to_string(),
                });
            }
        }
        kept.size = needed;
        Ok(())
    }

    /// Refuses an attempt that cannot succeed: a file system may hand out all it has before it says that it
    /// is not enough, and for that moment nobody else would find room.
    fn check_room_to_hold(&self, present: u64, needed: u64) -> Result<()> {
        let Ok(Some(free)) = self.disk.free_space(&self.dir) else {
            return Ok(());
        };
        if free.saturating_add(present) >= needed {
            return Ok(());
        }
        let path = self.dir.join(file_name::RESERVE);
        Err(AtlasError::io(
            "preallocate",
            &path,
            io::ErrorKind::StorageFull.into(),
        ))
    }
}
