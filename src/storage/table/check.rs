//! Reading a whole table and comparing it with what is known of it.

use std::path::Path;
use std::sync::Arc;

use super::TableInfo;
use super::check_sections::SectionsCheck;
use super::frame::TableFile;
use super::index::{Index, IndexBuilder};
use super::walk::{Entry, Walk};
use crate::storage::disk::{Disk, count};
use crate::storage::error::Result;
use crate::storage::{Lsn, counted};

/// How much a pass over a whole file reads at a time.
pub(super) const PASS_CHUNK: usize = 256 * 1024;

/// Reads a whole table and proves that it is what `info` says: every checksum, the order, the counts,
/// the ranges of keys and LSNs, and that its sections say of every entry what is true. Done with every new
/// file before the manifest names it. Returns the index, which costs nothing on the way. `watch` is told the bytes read, now and then.
///
/// # Errors
/// As [`super::Table::open`]; `Corrupt` at the first difference; what `watch` says.
pub(crate) fn read_back(
    disk: &dyn Disk,
    path: &Path,
    info: &TableInfo,
    watch: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Index> {
    let file = Arc::new(TableFile::open(disk, path, info)?);
    pass(&file, info, watch)
}

/// The pass over an open file.
pub(super) fn pass(
    file: &Arc<TableFile>,
    info: &TableInfo,
    watch: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Index> {
    let mut walk = Walk::all(Arc::clone(file), PASS_CHUNK).with_whole_checksum();
    let mut sections = SectionsCheck::new(file)?;
    let mut index = IndexBuilder::new();
    let mut tally = Tally::default();
    let mut watched = 0;
    while let Some(entry) = sections.step(&mut walk)? {
        if !sections.has_directory() {
            index.note(walk.previous(), walk.key(), entry.offset);
        }
        if tally.entries == 0 {
            tally.min_key.extend_from_slice(walk.key());
        }
        tally.count(&entry);
        if entry.end() - watched >= count(PASS_CHUNK) {
            watch(entry.end() - watched)?;
            watched = entry.end();
        }
    }
    // The walk has left the last entry behind.
    tally.max_key.extend_from_slice(walk.previous());
    let end = walk.offset();
    tally.checksum = walk.whole_checksum()?;
    match tally.difference(info) {
        None => Ok(match sections.into_directory() {
            Some(directory) => Index::Sections(directory),
            None => Index::Sparse(index.finish(end)),
        }),
        Some(difference) => Err(file.corrupt(0, difference)),
    }
}

/// Reads a whole table whose header and footer check, and says what a manifest would say of it. Every LSN is
/// shown to `visit`.
///
/// # Errors
/// `Corrupt` at the first entry, or section, that is not whole, `Io`.
pub(super) fn read_alone(
    file: &Arc<TableFile>,
    number: u64,
    visit: &mut dyn FnMut(Lsn),
) -> Result<TableInfo> {
    let mut walk = Walk::all(Arc::clone(file), PASS_CHUNK).with_whole_checksum();
    let mut sections = SectionsCheck::new(file)?;
    let mut tally = Tally::default();
    while let Some(entry) = sections.step(&mut walk)? {
        if tally.entries == 0 {
            tally.min_key.extend_from_slice(walk.key());
        }
        tally.count(&entry);
        visit(entry.lsn);
    }
    let (min_lsn, max_lsn) = tally.lsns.unwrap_or_default();
    Ok(TableInfo {
        number,
        file_id: file.file_id,
        size: file.size,
        checksum: walk.whole_checksum()?,
        entries: tally.entries,
        tombstones: tally.tombstones,
        min_key: tally.min_key,
        max_key: walk.previous().to_vec(),
        min_lsn,
        max_lsn,
    })
}

/// What a pass has seen.
#[derive(Debug, Default)]
struct Tally {
    entries: u64,
    tombstones: u64,
    min_key: Vec<u8>,
    max_key: Vec<u8>,
    lsns: Option<(Lsn, Lsn)>,
    checksum: u32,
}

impl Tally {
    fn count(&mut self, entry: &Entry) {
        self.entries += 1;
        self.tombstones += u64::from(entry.value_length.is_none());
        let (least, most) = self.lsns.unwrap_or((entry.lsn, entry.lsn));
        self.lsns = Some((least.min(entry.lsn), most.max(entry.lsn)));
    }

    /// What differs from the manifest, in words.
    fn difference(&self, info: &TableInfo) -> Option<String> {
        let lsns = Some((info.min_lsn, info.max_lsn));
        let what = if (self.entries, self.tombstones) != (info.entries, info.tombstones) {
            let (entries, tombstones) = (
                counted(self.entries, "entry"),
                counted(self.tombstones, "tombstone"),
            );
            let (stated, of_them) = (info.entries, info.tombstones);
            format!("{entries} and {tombstones}, the manifest says {stated} and {of_them}")
        } else if (&self.min_key, &self.max_key) != (&info.min_key, &info.max_key) {
            "the first or the last key is not the one that the manifest says".to_owned()
        } else if self.lsns != lsns {
            let (least, most) = self.lsns.unwrap_or_default();
            format!(
                "LSNs from {least} to {most}, the manifest says {} to {}",
                info.min_lsn, info.max_lsn
            )
        } else if self.checksum != info.checksum {
            format!(
                "the file's checksum is {:08x}, the manifest says {:08x}",
                self.checksum, info.checksum
            )
        } else {
            return None;
        };
        Some(what)
    }
}
