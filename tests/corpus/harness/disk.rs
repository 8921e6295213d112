//! A disk in memory, only as much as a store needs: everything is durable, nothing fails.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use atlaskv::storage::{DirEntry, DirLock, Disk, DiskFile, Result};

/// Every file with its bytes.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

type Bytes = Arc<Mutex<Vec<u8>>>;

#[derive(Debug)]
pub(super) struct MemoryDisk {
    files: Mutex<BTreeMap<PathBuf, Bytes>>,
    /// Numbers that are no secret, so that an input always does the same.
    next_random: Mutex<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    /// A disk with these files.
    pub(super) fn with(files: &Files, first_random: u64) -> Arc<MemoryDisk> {
        let copy = |(path, bytes): (&PathBuf, &Vec<u8>)| {
            (path.clone(), Arc::new(Mutex::new(bytes.clone())))
        };
        Arc::new(MemoryDisk {
            files: Mutex::new(files.iter().map(copy).collect()),
            next_random: Mutex::new(first_random),
        })
    }

    /// What stands on it.
    pub(super) fn files(&self) -> Files {
        let files = lock(&self.files);
        let copy = |(path, bytes): (&PathBuf, &Bytes)| (path.clone(), lock(bytes).clone());
        files.iter().map(copy).collect()
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut files = lock(&self.files);
        if files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let bytes = Bytes::default();
        files.insert(path.to_owned(), Arc::clone(&bytes));
        Ok(Arc::new(MemoryFile(bytes)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let files = lock(&self.files);
        let bytes = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile(Arc::clone(bytes))))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = lock(&self.files);
        let bytes = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = lock(&self.files).remove(path);
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let files = lock(&self.files);
        let here = files.iter().filter(|(file, _)| file.parent() == Some(path));
        let entry = |(file, bytes): (&PathBuf, &Bytes)| DirEntry {
            name: file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            length: u64::try_from(lock(bytes).len()).unwrap_or(u64::MAX),
            is_file: true,
        };
        Ok(here.map(entry).collect())
    }

    fn lock(&self, _dir: &Path) -> Result<DirLock> {
        Ok(Box::new(()))
    }

    fn random(&self) -> io::Result<u64> {
        let mut next = lock(&self.next_random);
        *next += 1;
        Ok(*next)
    }
}

#[derive(Debug)]
struct MemoryFile(Bytes);

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = lock(&self.0);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        let mut bytes = lock(&self.0);
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start
            .checked_add(data.len())
            .ok_or(io::ErrorKind::FileTooLarge)?;
        let length = bytes.len().max(end);
        bytes.resize(length, 0);
        bytes[start..end].copy_from_slice(data);
        Ok(data.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        let mut bytes = lock(&self.0);
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .max(bytes.len());
        bytes.resize(length, 0);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(u64::try_from(lock(&self.0).len()).unwrap_or(u64::MAX))
    }
}
