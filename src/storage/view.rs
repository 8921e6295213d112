//! What a reader reads from: the memtables and tables of one moment.

use std::ops::Bound;
use std::sync::Arc;

use super::error::Result;
use super::memtable::{Memtable, MemtableCursor};
use super::merge::{Admit, Merge, Source};
use super::scan::ScanRange;
use super::table::{Found, Table};
use super::{Lsn, Options, Versioned};

/// A memtable that takes no more writes, with the segment that was sealed together with it.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) memtable: Arc<Memtable>,
    /// File number of its segment, which its table replaces.
    pub(crate) segment: u64,
    /// LSN of its last write.
    pub(crate) last_lsn: Lsn,
}

/// Everything readable. A view never changes: the engine replaces it as a whole.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// Takes the writes.
    pub(crate) active: Arc<Memtable>,
    /// Newest first.
    pub(crate) sealed: Vec<Arc<Sealed>>,
    /// Newest first.
    pub(crate) tables: Vec<Arc<Table>>,
    /// Everything up to here is in tables.
    pub(crate) flushed_lsn: Lsn,
    /// The options in force: whoever has a view needs no lock for them.
    pub(crate) options: Arc<Options>,
}

impl View {
    /// The key's newest version that is not after `at`, when the active memtable has none: sealed
    /// memtables, then tables, newest first. A read error ends the search: older data is never an
    /// answer in its place.
    pub(crate) fn get_sealed(
        &self,
        key: &[u8],
        at: Lsn,
        admit: Admit<'_>,
    ) -> Result<Option<Found>> {
        for sealed in &self.sealed {
            if let Some(found) = sealed.memtable.read().get(key, at) {
                return Ok(Some(found));
            }
        }
        for table in &self.tables {
            if let Some(found) = table.get(key, admit)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The key's newest version of all, visible or not.
    pub(crate) fn newest(&self, key: &[u8]) -> Result<Option<Versioned>> {
        let found = self.active.read().get(key, Lsn::MAX);
        let found = match found {
            Some(found) => Some(found),
            None => self.get_sealed(key, Lsn::MAX, &mut |_| Ok(()))?,
        };
        Ok(value_of(found))
    }

    /// All entries in a range as of `at`, merged.
    pub(crate) fn merge(&self, range: &ScanRange, at: Lsn) -> Result<Merge> {
        let (from, to) = range.bounds();
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        for memtable in self.memtables() {
            let bounds = (from.clone(), to.clone());
            sources.push(Box::new(MemtableCursor::new(
                memtable,
                at,
                bounds,
                range.reverse,
            )));
        }
        let (from, to) = (as_slice(&from), as_slice(&to));
        for table in &self.tables {
            sources.push(Box::new(table.cursor(from, to, range.reverse)?));
        }
        Ok(Merge::new(sources, range.reverse))
    }

    /// The active memtable and the sealed ones.
    pub(crate) fn memtables(&self) -> Vec<Arc<Memtable>> {
        let sealed = self
            .sealed
            .iter()
            .map(|sealed| Arc::clone(&sealed.memtable));
        std::iter::once(Arc::clone(&self.active))
            .chain(sealed)
            .collect()
    }

    pub(crate) fn sealed_bytes(&self) -> usize {
        self.sealed
            .iter()
            .map(|sealed| sealed.memtable.bytes())
            .sum()
    }
}

/// What a reader is shown of what was found.
pub(crate) fn value_of(found: Option<Found>) -> Option<Versioned> {
    match found {
        Some(Found::Value(value)) => Some(value),
        Some(Found::Tombstone(_)) | None => None,
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}
