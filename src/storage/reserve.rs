//! Room held back for a full disk, so that deletes, flush and compaction can still make room.
//!
//! [`file_name::RESERVE`] is a preallocated file whose bytes mean nothing. On a full disk it is removed,
//! for deletes, flush and compaction; while it is gone puts are refused, and segments are small. It is
//! made again as soon as there is room; until then a small one is there for the next start. To recovery
//! it is a temporary file like any other: a start takes its room first, and holds it back again at its
//! end. Nothing depends on it, so no power cut matters.

use std::io;
use std::path::Path;

use super::core::{Core, lock};
use super::disk::{Disk, count};
use super::error::{AtlasError, Result};
use super::sync::Mutex;
use super::sync::atomic::{AtomicU8, Ordering};
use super::{MIB, Options, file_name};

/// The largest segment that is made while the reserve is gone.
const SMALL_SEGMENT: usize = MIB;

/// The reserve of an open store.
#[derive(Debug)]
pub(crate) struct Reserve {
    state: AtomicU8,
    /// Held while the file is made or removed.
    turn: Mutex<()>,
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
    pub(crate) fn new(held: Held) -> Reserve {
        let reserve = Reserve {
            state: AtomicU8::new(0),
            turn: Mutex::default(),
        };
        reserve.set(held);
        reserve
    }

    fn set(&self, held: Held) {
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

    /// Something was written with its room.
    pub(crate) fn note_use(&self) {
        let _turn = lock(&self.turn);
        if self.held() == Held::Spent {
            self.set(Held::Nothing);
        }
    }
}

/// Bytes held back: for the table of a full memtable, for two small segments, and for the next start.
fn size(options: &Options) -> u64 {
    let table = options.memtable_size + options.memtable_size / 4;
    count(table + 2 * small(options).segment_size) + least(options)
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

/// Holds room back in `dir`, where none is.
pub(crate) fn hold(disk: &dyn Disk, dir: &Path, options: &Options) -> Result<Held> {
    let path = dir.join(file_name::RESERVE);
    let held = make(disk, &path, size(options));
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
    /// Does `work`; where it finds the disk full, frees what is held back and does it once more.
    pub(crate) fn with_reserve<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
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
        let turn = lock(&self.reserve.turn);
        match self.reserve.held() {
            Held::Never => return false,
            Held::Nothing | Held::Spent => {
                self.reserve.set(Held::Spent);
                return false;
            }
            Held::All => {}
        }
        let path = self.dir.join(file_name::RESERVE);
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return false,
            _ => self.reserve.set(Held::Nothing),
        }
        hold_least(&*self.disk, &path, &self.options());
        drop(turn);
        self.refuse_full(error);
        true
    }

    /// Refuses an attempt that cannot succeed: a file system may hand out all it has before it says that it
    /// is not enough, and for that moment nobody else would find room.
    fn check_room_to_hold(&self, options: &Options) -> Result<()> {
        let Ok(Some(free)) = self.disk.free_space(&self.dir) else {
            return Ok(());
        };
        if free.saturating_add(least(options)) >= size(options) {
            return Ok(());
        }
        let path = self.dir.join(file_name::RESERVE);
        Err(AtlasError::io(
            "preallocate",
            &path,
            io::ErrorKind::StorageFull.into(),
        ))
    }

    /// Holds room back again, if its room was in use.
    pub(crate) fn hold_reserve(&self) -> Result<()> {
        let options = self.options();
        let _turn = lock(&self.reserve.turn);
        if self.reserve.is_in_use() {
            self.check_room_to_hold(&options)?;
            let held = hold(&*self.disk, &self.dir, &options)?;
            self.reserve.set(held);
        }
        Ok(())
    }
}
