//! The one room that touches files: the [`Disk`] trait and its real implementation.
//!
//! Everything the engine does to a disk goes through [`Disk`] and [`DiskFile`], so that the tests can
//! put a simulated disk in its place that loses what was not synced, tears it, reorders it, and fails
//! the n-th call. What must hold of every implementation:
//!
//! - Bytes written are durable only after [`DiskFile::sync`] returned `Ok`.
//! - A name created, renamed or removed is durable only after [`Disk::sync_dir`] of its directory.
//! - After a `sync` failed, what it should have made durable is unknown, and a second `sync` proves
//!   nothing.

mod owners;

use std::any::Any;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, StatVfs};

use super::error::{self, AtlasError, Result};
use super::file_name;

pub use owners::OwnersDisk;

/// Mode of every file and directory made here, before the process's umask: the owner's alone.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;
/// The bits of a mode that say who may do what.
const PERMISSIONS: u32 = 0o7777;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without the directory. Names that are not UTF-8 come with replacement characters
    /// and are no file of ours.
    pub name: String,
    /// Bytes of the file; 0 for anything that is not a regular file.
    pub length: u64,
    /// Whether it is a regular file: neither a directory nor a socket.
    pub is_file: bool,
}

/// To whom a file or directory belongs and what others may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// The user's number.
    pub owner: u32,
    /// The permission bits.
    pub mode: u32,
}

/// A lock on a data directory, held until it is dropped.
pub type DirLock = Box<dyn Any + Send + Sync>;

/// A disk with directories and files. See the module for what durability means.
pub trait Disk: Debug + Send + Sync {
    /// Makes a new file for reading and writing; fails when the name exists.
    ///
    /// # Errors
    /// What the operating system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading only.
    ///
    /// # Errors
    /// What the operating system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, replacing what had it. Durable after `sync_dir`.
    ///
    /// # Errors
    /// What the operating system says; whether the rename happened is then unknown.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Durable after `sync_dir`; open files stay readable.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the operating system says; what is durable is then unknown.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and those above it; an existing one is well.
    ///
    /// # Errors
    /// What the operating system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// What the operating system says; `NotFound` when the directory does not exist.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// To whom a file or directory belongs; `None` on a disk that knows no owners.
    ///
    /// # Errors
    /// What the operating system says.
    fn ownership(&self, _path: &Path) -> io::Result<Option<Ownership>> {
        Ok(None)
    }

    /// Locks a data directory against every other process, without waiting.
    ///
    /// # Errors
    /// [`AtlasError::Locked`], naming the holder, or [`AtlasError::Io`].
    fn lock(&self, dir: &Path) -> Result<DirLock>;

    /// 64 random bits, for identities.
    ///
    /// # Errors
    /// What the operating system says.
    fn random(&self) -> io::Result<u64>;

    /// Bytes that may still be written to the file system of a directory, those kept for root left out;
    /// `None`: nobody knows.
    ///
    /// # Errors
    /// What the operating system says.
    fn free_space(&self, _dir: &Path) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

/// An open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at and beyond the end. May read less.
    ///
    /// # Errors
    /// What the operating system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at `offset`, growing the file as needed. May write less.
    ///
    /// # Errors
    /// What the operating system says.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the file's bytes and length durable.
    ///
    /// # Errors
    /// What the operating system says; what is durable is then unknown.
    fn sync(&self) -> io::Result<()>;

    /// Reserves room for `length` bytes and makes the file that long, new bytes zero. A file system
    /// that cannot reserve leaves the file as it is: it then grows as it is written.
    ///
    /// # Errors
    /// What the operating system says, a full disk first of all.
    fn preallocate(&self, length: u64) -> io::Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn length(&self) -> io::Result<u64>;
}

/// Reads until `buffer` is full or the file ends; returns the bytes read.
///
/// # Errors
/// The first error of the disk that is not an interruption.
pub fn read_full(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + count(done)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `data` at `offset`.
///
/// # Errors
/// The first error of the disk that is not an interruption; a part may have been written.
pub fn write_full(file: &dyn DiskFile, data: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
        match file.write_at(rest, offset + count(done)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives a finished file its name. A full disk or a used-up quota refuses that on some file systems: while
/// the old name is still there it was not done, and the error is not that of a `rename`, whose outcome is
/// unknown.
pub(crate) fn give_name(disk: &dyn Disk, temporary: &Path, path: &Path) -> Result<()> {
    disk.rename(temporary, path).map_err(|source| {
        let refused = error::is_out_of_space(&source) && disk.open(temporary).is_ok();
        let operation = if refused {
            "give its name to"
        } else {
            "rename"
        };
        AtlasError::io(operation, path, source)
    })
}

/// A length in memory as a number of a format. Every supported machine has at most 64-bit lengths.
#[must_use]
pub fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The machine's own disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl RealDisk {
    /// The machine's own disk, shared as the engine wants it.
    #[must_use]
    pub fn shared() -> Arc<dyn Disk> {
        Arc::new(RealDisk)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the room that touches files"
)]
impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(File::open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // A name may vanish between the listing and the look: a running store removes files.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let is_file = metadata.is_file();
            let length = if is_file { metadata.len() } else { 0 };
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(DirEntry {
                name,
                length,
                is_file,
            });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn ownership(&self, path: &Path) -> io::Result<Option<Ownership>> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Some(Ownership {
            owner: metadata.uid(),
            mode: metadata.mode() & PERMISSIONS,
        }))
    }

    fn lock(&self, dir: &Path) -> Result<DirLock> {
        let path = dir.join(file_name::LOCK);
        let failed = |source| AtlasError::io("lock", &path, source);
        // Whoever holds it is told first, and nothing is made where we must not be.
        if !path.exists() {
            check_owner(dir)?;
        }
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE);
        let file = options.open(&path).map_err(failed)?;
        hold(&file, dir)?;
        check_owner(dir)?;
        sign(&file, &path)?;
        Ok(Box::new(HeldLock(file)))
    }

    fn random(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        let read = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        // The kernel gives up to 256 bytes whole.
        if read != bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(u64::from_le_bytes(bytes))
    }

    fn free_space(&self, dir: &Path) -> io::Result<Option<u64>> {
        Ok(free_bytes(&rustix::fs::statvfs(dir)?))
    }
}

/// What is free of a file system; one that does not tell its size does not tell this either.
fn free_bytes(found: &StatVfs) -> Option<u64> {
    (found.f_blocks > 0).then(|| found.f_bavail.saturating_mul(found.f_frsize))
}

/// A lock file that is locked. Closing it alone would not let go of the lock: a child that another thread forks
/// shares it until it becomes another program, and so could keep the directory locked for a moment.
struct HeldLock(File);

impl Drop for HeldLock {
    fn drop(&mut self) {
        // What fails here leaves the lock to the end of the last process that has the file open.
        let _ = self.0.unlock();
    }
}

/// Locks the lock file of a data directory, or says who holds it.
fn hold(file: &File, dir: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(AtlasError::Locked {
            path: dir.to_path_buf(),
            holder: holder(file),
        }),
        Err(TryLockError::Error(source)) => {
            Err(AtlasError::io("lock", &dir.join(file_name::LOCK), source))
        }
    }
}

/// Writes into the lock file who holds it.
fn sign(file: &File, path: &Path) -> Result<()> {
    let failed = |source| AtlasError::io("lock", path, source);
    let owner = format!("{} {}\n", std::process::id(), program_name());
    file.set_len(0).map_err(failed)?;
    file.write_all_at(owner.as_bytes(), 0).map_err(failed)
}

/// Keeps root out of another user's directory: the files that it made there would be root's, and the daemon,
/// which runs as that user, could not open them at its next start. [`OwnersDisk`] makes them that user's.
fn check_owner(dir: &Path) -> Result<()> {
    let metadata = fs::metadata(dir).map_err(|source| AtlasError::io("open", dir, source))?;
    let owner = metadata.uid();
    if rustix::process::geteuid().is_root() && owner != 0 {
        let path = dir.to_path_buf();
        return Err(AtlasError::OthersDirectory { path, owner });
    }
    Ok(())
}

fn program_name() -> String {
    let program = std::env::args_os()
        .next()
        .map(PathBuf::from)
        .unwrap_or_default();
    program
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Who holds a lock file, in words: the process by its number and name, and its systemd unit.
fn holder(file: &File) -> String {
    // Longer than any process number and program name that we write.
    let mut bytes = [0; 256];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned();
    let mut words = text.split_whitespace();
    let Some(process) = words.next().filter(|word| word.parse::<u32>().is_ok()) else {
        return "another process".to_owned();
    };
    let program = words.next().unwrap_or("process");
    match unit_of(process) {
        Some(unit) => format!("{program}, process {process} (unit {unit})"),
        None => format!("{program}, process {process}"),
    }
}

fn unit_of(process: &str) -> Option<String> {
    let groups = std::fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    let is_unit = |name: &&str| name.ends_with(".service") || name.ends_with(".scope");
    groups
        .lines()
        .find_map(|line| line.rsplit('/').find(is_unit).map(str::to_owned))
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.0, buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(&self.0, data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, length) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_stays_out_of_another_users_directory() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(dir.path(), Some(1), None).unwrap();
        let refused = RealDisk.lock(dir.path()).unwrap_err();
        assert!(
            matches!(refused, AtlasError::OthersDirectory { owner: 1, .. }),
            "{refused}"
        );
        assert!(!dir.path().join(file_name::LOCK).exists());
        std::os::unix::fs::chown(dir.path(), Some(0), None).unwrap();
        let _held = RealDisk.lock(dir.path()).unwrap();
        std::os::unix::fs::chown(dir.path(), Some(1), None).unwrap();
        // Who holds it is told first.
        let locked = RealDisk.lock(dir.path()).unwrap_err();
        assert!(matches!(locked, AtlasError::Locked { .. }), "{locked}");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests see files as they are")]
    fn root_leaves_the_lock_file_of_another_users_directory_alone() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join(file_name::LOCK);
        std::fs::write(&lock, "left there").unwrap();
        std::os::unix::fs::chown(dir.path(), Some(1), None).unwrap();
        let refused = RealDisk.lock(dir.path()).unwrap_err();
        let is_others = matches!(refused, AtlasError::OthersDirectory { owner: 1, .. });
        assert!(is_others, "{refused}");
        assert_eq!(std::fs::read(&lock).unwrap(), b"left there");
    }

    /// Nothing of `/proc` can be synced, and the kernel says so: a sync that it is not asked for would be well.
    #[test]
    fn a_sync_is_asked_of_the_kernel() {
        let dir = Path::new("/proc/self");
        RealDisk.sync_dir(dir).unwrap_err();
        OwnersDisk::of(dir).unwrap().sync_dir(dir).unwrap_err();
        let file = RealDisk.open(&dir.join("status")).unwrap();
        file.sync().unwrap_err();
    }

    #[test]
    fn a_file_that_another_process_inherited_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let held = RealDisk.lock(dir.path()).unwrap();
        let lock: &HeldLock = held.downcast_ref().unwrap();
        let _inherited = lock.0.try_clone().unwrap();
        drop(held);
        RealDisk.lock(dir.path()).unwrap();
    }
}
