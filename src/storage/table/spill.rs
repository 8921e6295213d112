//! Bytes that wait to be copied behind the entries: in memory, and beyond a limit in a temporary file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::storage::disk::{Disk, DiskFile, count, read_full, write_full};
use crate::storage::error::{AtlasError, Result};
use crate::storage::file_name;

/// Takes bytes in order and gives them back in order. Its file, if there is one, is removed with it; recovery
/// removes one that a crash has left, as it does every temporary file.
#[derive(Debug)]
pub(super) struct Spill<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    file: Option<Arc<dyn DiskFile>>,
    /// Bytes in the file.
    written: u64,
    /// Bytes given back so far.
    given: u64,
    /// Bytes that are not in the file.
    held: Vec<u8>,
    limit: usize,
}

impl<'a> Spill<'a> {
    /// Holds up to `limit` bytes in memory; the file stands beside the one at `path`.
    pub(super) fn new(disk: &'a dyn Disk, path: &Path, limit: usize) -> Spill<'a> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Spill {
            disk,
            path: path.with_file_name(file_name::temporary(&name)),
            file: None,
            written: 0,
            given: 0,
            held: Vec::new(),
            limit,
        }
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.held.extend_from_slice(bytes);
        if self.held.len() <= self.limit {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let made = self.disk.create(&self.path);
                let made = made.map_err(|error| AtlasError::io("create", &self.path, error))?;
                Arc::clone(self.file.insert(made))
            }
        };
        write_full(&*file, &self.held, self.written)
            .map_err(|error| AtlasError::io("write", &self.path, error))?;
        self.written = self.written.saturating_add(count(self.held.len()));
        self.held.clear();
        Ok(())
    }

    /// Gives back the next `length` bytes.
    ///
    /// # Errors
    /// `Io`; `Corrupt` when there are not so many.
    pub(super) fn next(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let in_file = self.written.saturating_sub(self.given);
        let in_file = usize::try_from(in_file).unwrap_or(usize::MAX).min(length);
        let (from_file, from_held) = bytes.split_at_mut(in_file);
        if let Some(file) = self.file.as_ref().filter(|_| !from_file.is_empty()) {
            let read = read_full(&**file, from_file, self.given)
                .map_err(|error| AtlasError::io("read", &self.path, error))?;
            if read != from_file.len() {
                return Err(self.ends());
            }
        }
        let at = self.given.saturating_sub(self.written);
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let held = self
            .held
            .get(at..)
            .and_then(|held| held.get(..from_held.len()));
        let Some(held) = held else {
            return Err(self.ends());
        };
        from_held.copy_from_slice(held);
        self.given = self.given.saturating_add(count(length));
        Ok(bytes)
    }

    fn ends(&self) -> AtlasError {
        AtlasError::corrupt(&self.path, self.given, "what was written here is gone")
    }
}

impl Drop for Spill<'_> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What stays is removed by the next recovery.
            let _ = self.disk.remove(&self.path);
        }
    }
}
