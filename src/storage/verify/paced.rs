//! A disk whose reads ask first: for a verification beside other work, at a limited rate.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::storage::disk::{DirEntry, DirLock, Disk, DiskFile, Ownership, count};
use crate::storage::error::Result;

/// Told the bytes of every read once it is done; waits as long as it likes. An error ends the reading.
pub type Pace = dyn Fn(u64) -> io::Result<()> + Send + Sync;

/// Another disk, for reading only, at a pace.
pub(crate) struct PacedDisk {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) pace: Arc<Pace>,
}

impl fmt::Debug for PacedDisk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("PacedDisk").field(&self.disk).finish()
    }
}

fn only_reading<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for PacedDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(PacedFile {
            file: self.disk.open(path)?,
            pace: Arc::clone(&self.pace),
        }))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(path)
    }

    fn ownership(&self, path: &Path) -> io::Result<Option<Ownership>> {
        self.disk.ownership(path)
    }

    fn random(&self) -> io::Result<u64> {
        self.disk.random()
    }

    fn lock(&self, dir: &Path) -> Result<DirLock> {
        self.disk.lock(dir)
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        only_reading()
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        only_reading()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        only_reading()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        only_reading()
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        only_reading()
    }
}

struct PacedFile {
    file: Arc<dyn DiskFile>,
    pace: Arc<Pace>,
}

impl fmt::Debug for PacedFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("PacedFile").field(&self.file).finish()
    }
}

impl DiskFile for PacedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        (self.pace)(count(read))?;
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        only_reading()
    }

    fn sync(&self) -> io::Result<()> {
        only_reading()
    }

    fn preallocate(&self, _: u64) -> io::Result<()> {
        only_reading()
    }
}
