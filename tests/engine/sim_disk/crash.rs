//! What is left after a crash.

use std::collections::BTreeMap;

use super::contents::{Inode, PAGE, SECTOR};
use super::names::Names;
use super::{Control, State};

/// What a crash takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// A power cut: everything that was not synced.
    DropAll,
    /// A power cut: everything that was not synced from a random moment on, the last write torn.
    KeepPrefix,
    /// A power cut: each unsynced page was written, in some state, or not; names up to a random
    /// moment.
    RandomPages,
    /// As `RandomPages`, by sectors of 512 bytes.
    TornSectors,
    /// A power cut: each unsynced change of a name was kept or not, whatever became of the bytes.
    LostNames,
    /// The process alone: nothing.
    KeepAll,
}

impl Loss {
    /// All of them.
    pub(crate) const ALL: [Loss; 6] = [
        Loss::DropAll,
        Loss::KeepPrefix,
        Loss::RandomPages,
        Loss::TornSectors,
        Loss::LostNames,
        Loss::KeepAll,
    ];
}

pub(super) fn image(state: &State, loss: Loss, seed: u64) -> State {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut image = State {
        control: Control::default(),
        ..state.clone()
    };
    if loss == Loss::KeepAll {
        image.forget_failed_syncs();
        return image;
    }
    let cut = moment(state, &mut random);
    image.names = names_after(&state.names, loss, cut, &mut random);
    image.inodes = BTreeMap::new();
    for (_, number) in image.names.files() {
        let bytes = bytes_after(&state.inodes[&number], loss, cut, &mut random);
        image.inodes.insert(number, Inode::durable(bytes));
    }
    image
}

/// A random moment: the sequence number of the first unsynced operation that is lost.
fn moment(state: &State, random: &mut fastrand::Rng) -> u64 {
    let mut unsynced: Vec<u64> = state.names.unsynced_sequences().collect();
    for inode in state.inodes.values() {
        unsynced.extend(inode.unsynced_sequences());
    }
    unsynced.sort_unstable();
    // Beyond the last, so that sometimes all is kept.
    unsynced.push(u64::MAX);
    random.choice(unsynced).unwrap()
}

fn names_after(names: &Names, loss: Loss, cut: u64, random: &mut fastrand::Rng) -> Names {
    match loss {
        Loss::DropAll => names.after_power_cut(|_| false),
        Loss::LostNames => names.after_power_cut(|_| random.bool()),
        _ => names.after_power_cut(|sequence| sequence < cut),
    }
}

fn bytes_after(inode: &Inode, loss: Loss, cut: u64, random: &mut fastrand::Rng) -> Vec<u8> {
    if !inode.is_unsynced() {
        return inode.with_nothing();
    }
    match loss {
        Loss::DropAll => inode.with_nothing(),
        Loss::KeepPrefix => inode.with_prefix(cut, random),
        Loss::RandomPages => inode.with_units(PAGE, random),
        Loss::TornSectors => inode.with_units(SECTOR, random),
        Loss::LostNames => match random.u8(0..3) {
            0 => inode.with_nothing(),
            1 => inode.with_everything(),
            _ => inode.with_units(PAGE, random),
        },
        Loss::KeepAll => inode.with_everything(),
    }
}
