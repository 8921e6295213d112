//! Replaying the log: from its entries to new, synced tables.

use std::path::Path;
use std::sync::Arc;

use super::Lsn;
use super::disk::{Disk, count};
use super::error::{AtlasError, Result};
use super::examine::Extent;
use super::flush;
use super::manifest::Manifest;
use super::memtable::{Memtable, Readers};
use super::progress::{Progress, Replaying};
use super::table::{Index, TableInfo};
use super::wal::reader::SegmentReader;

/// Nobody reads while the log is replayed.
struct NoReaders;

impl Readers for NoReaders {
    fn may_read(&self, _from: Lsn, _to: Lsn) -> bool {
        false
    }
}

/// A replay under way.
pub(crate) struct Replay<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    /// A memtable of this size is written to a table.
    memtable_size: usize,
    /// What is replayed and in no table yet.
    memtable: Arc<Memtable>,
    /// Bytes of the log replayed so far, those in tables too. Keys and values of a memtable never take
    /// more than the entries they came from.
    bytes: u64,
    replayed: Replayed,
}

/// What a replay came to.
#[derive(Default)]
pub(crate) struct Replayed {
    /// The new tables, oldest first, still under their temporary names.
    pub(crate) tables: Vec<(TableInfo, Index)>,
    pub(crate) operations: u64,
}

impl Replayed {
    /// The tables without their indexes.
    pub(crate) fn infos(self) -> Vec<TableInfo> {
        self.tables.into_iter().map(|(info, _)| info).collect()
    }
}

impl<'a> Replay<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, dir: &'a Path, memtable_size: usize) -> Replay<'a> {
        Replay {
            disk,
            dir,
            memtable_size,
            memtable: Arc::default(),
            bytes: 0,
            replayed: Replayed::default(),
        }
    }

    /// Replays a part of a segment. Parts come in the order of their LSNs. Numbers of new files are
    /// taken from `manifest`.
    pub(crate) fn extent(
        &mut self,
        mut reader: SegmentReader,
        extent: &Extent,
        manifest: &mut Manifest,
        progress: &mut Replaying<'_>,
    ) -> Result<()> {
        reader.limit(extent.end);
        reader.seek(extent.start);
        let mut expected = extent.first_lsn;
        for _ in 0..extent.entries {
            let offset = reader.offset();
            let path = reader.path().to_path_buf();
            let Some(entry) = reader.next_if(expected)? else {
                let detail = "an entry that was valid a moment ago is not any more";
                return Err(AtlasError::corrupt(&path, offset, detail));
            };
            self.replayed.operations += count(entry.operations.len());
            self.memtable
                .apply(&entry.operations, entry.lsn, &NoReaders, || {});
            expected = Lsn::from_u64(expected.as_u64().saturating_add(1));
            let size = reader.offset() - offset;
            self.bytes += size;
            progress.note(0, size);
            if self.memtable.bytes() >= self.memtable_size {
                self.write_table(manifest, progress)?;
            }
        }
        Ok(())
    }

    /// Writes what was replayed since the last table to a new one.
    fn write_table(&mut self, manifest: &mut Manifest, progress: &mut Replaying<'_>) -> Result<()> {
        let memtable = std::mem::take(&mut self.memtable);
        if memtable.is_empty() {
            return Ok(());
        }
        let number = manifest.take_file_number();
        let table = flush::write_memtable(self.disk, self.dir, &memtable, number, progress)?;
        self.replayed.tables.extend(table);
        progress.reach(self.bytes);
        Ok(())
    }

    /// The tables written so far, their indexes dropped.
    pub(crate) fn take_tables(&mut self) -> Vec<TableInfo> {
        std::mem::take(&mut self.replayed).infos()
    }

    /// Writes the rest to a table.
    pub(crate) fn finish(
        mut self,
        manifest: &mut Manifest,
        progress: &mut Replaying<'_>,
    ) -> Result<Replayed> {
        self.write_table(manifest, progress)?;
        Ok(self.replayed)
    }
}
