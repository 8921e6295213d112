//! The store (skeleton).

use std::path::Path;
use std::sync::Arc;

use super::error::{AtlasError, Result};
use super::{
    CompactionSummary, Conditional, Disk, Expected, Lsn, Operation, Options, QuarantinedFile,
    RecoveryReport, Scan, ScanRange, Stats, Versioned,
};

/// An open store. Share it by reference or `Arc`; all methods take `&self`.
#[derive(Debug)]
pub struct Engine {
    report: RecoveryReport,
}

#[allow(unused_variables)]
impl Engine {
    /// Opens, or makes, the store in `dir`: locks it, recovers it, starts the threads.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<Engine> {
        Err(AtlasError::Closed)
    }
    /// What the start found and did.
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.report
    }
    /// Sets a key's value. Returns the write's LSN, by the policy durable or not.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<Lsn> {
        self.write(&[Operation::Put { key, value }])
    }
    /// Removes a key's value.
    pub fn delete(&self, key: &[u8]) -> Result<Lsn> {
        self.write(&[Operation::Delete { key }])
    }
    /// Does all operations or none, as one write with one LSN.
    pub fn write(&self, operations: &[Operation<'_>]) -> Result<Lsn> {
        let lsn = self.submit(operations)?;
        self.settle(lsn)?;
        Ok(lsn)
    }
    /// The first half of `write`: appended and ordered, but only `settle` makes it an answer.
    pub fn submit(&self, operations: &[Operation<'_>]) -> Result<Lsn> {
        Err(AtlasError::Closed)
    }
    /// The second half of `write`: waits until the policy lets this LSN (and all before) be answered.
    pub fn settle(&self, lsn: Lsn) -> Result<()> {
        Err(AtlasError::Closed)
    }
    /// Sets the value only if the key has none.
    pub fn put_if_absent(&self, key: &[u8], value: &[u8]) -> Result<Conditional> {
        self.compare_and_swap(key, Expected::Absent, Some(value))
    }
    /// Sets (or with `None` deletes) the value only if the key is as expected.
    pub fn compare_and_swap(
        &self,
        key: &[u8],
        expected: Expected<'_>,
        new: Option<&[u8]>,
    ) -> Result<Conditional> {
        Err(AtlasError::Closed)
    }
    /// The key's value.
    pub fn get(&self, key: &[u8]) -> Result<Option<Versioned>> {
        self.get_admitted(key, &mut |_| Ok(()))
    }
    /// As `get`; `admit` is asked before memory for a value of more than 64 KiB is taken.
    pub fn get_admitted(
        &self,
        key: &[u8],
        admit: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Option<Versioned>> {
        Err(AtlasError::Closed)
    }
    /// Whether the key has a value.
    pub fn exists(&self, key: &[u8]) -> Result<bool> {
        Ok(self.get(key)?.is_some())
    }
    /// The values of several keys, all of one state. `admit` as in `get_admitted`.
    pub fn multi_get(
        &self,
        keys: &[&[u8]],
        admit: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Vec<Option<Versioned>>> {
        Err(AtlasError::Closed)
    }
    /// Opens a scan of the present state.
    pub fn scan(&self, range: ScanRange) -> Result<Scan> {
        Err(AtlasError::Closed)
    }
    /// Makes every write so far durable; returns the LSN up to which everything is.
    pub fn sync(&self) -> Result<Lsn> {
        Err(AtlasError::Closed)
    }
    /// Waits until this LSN and all before are durable, syncing if need be.
    pub fn sync_to(&self, lsn: Lsn) -> Result<Lsn> {
        Err(AtlasError::Closed)
    }
    /// Writes what is in memory to tables, and waits for it.
    pub fn flush(&self) -> Result<()> {
        Err(AtlasError::Closed)
    }
    /// Merges all tables into one, and waits for it.
    pub fn compact(&self) -> Result<CompactionSummary> {
        Err(AtlasError::Closed)
    }
    /// A moment's figures.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
    /// The files in quarantine.
    pub fn quarantine_list(&self) -> Result<Vec<QuarantinedFile>> {
        Err(AtlasError::Closed)
    }
    /// Removes all files in quarantine; returns what was removed.
    pub fn quarantine_purge(&self) -> Result<Vec<QuarantinedFile>> {
        Err(AtlasError::Closed)
    }
    /// What the threads would do, once, for an engine without them.
    pub fn maintain(&self) -> Result<()> {
        Err(AtlasError::Closed)
    }
    /// Stops writing, flushes, syncs, writes the clean-shutdown mark. Later calls get `Closed`.
    pub fn close(&self) -> Result<()> {
        Err(AtlasError::Closed)
    }
}
