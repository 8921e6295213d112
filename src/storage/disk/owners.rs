//! The disk of a tool that root runs on the directory of another user.
//!
//! Whatever is made belongs to the user and group of the data directory, so that the daemon, which runs
//! as that user, opens it afterwards. That user may be anybody's enemy, and may put links where names of
//! ours are looked for: nothing here follows one, every name is looked up from the directory that was
//! opened once, and nothing that is reached through a second name of a file is given to them.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::fchown;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{
    DIR_MODE, DirEntry, DirLock, Disk, DiskFile, FILE_MODE, HeldLock, Ownership, RealDisk,
    RealFile, free_bytes,
};
use crate::storage::error::{AtlasError, Result, refused};
use crate::storage::file_name;

/// One data directory and what is below it, as its owner keeps it.
#[derive(Debug)]
pub struct OwnersDisk {
    root: PathBuf,
    home: OwnedFd,
    user: u32,
    group: u32,
}

impl OwnersDisk {
    /// The disk of the data directory `dir`, which must be there. What runs without root's rights makes
    /// files of its own, as with [`RealDisk`].
    ///
    /// # Errors
    /// `Io` when the directory cannot be opened.
    pub fn of(dir: &Path) -> Result<OwnersDisk> {
        let failed = |errno: rustix::io::Errno| AtlasError::io("open", dir, errno.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let home = rustix::fs::open(dir, flags, Mode::empty()).map_err(failed)?;
        let found = fstat(&home).map_err(failed)?;
        Ok(OwnersDisk {
            root: dir.to_path_buf(),
            home,
            user: found.st_uid,
            group: found.st_gid,
        })
    }

    /// The directory in which `path` stands, and its name there.
    fn place<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.directory(parent)?, name))
    }

    /// Opens a directory, step by step from the data directory, through no link.
    fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut dir = self.home.try_clone()?;
        for name in self.steps(path)? {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            dir = match rustix::fs::openat(&dir, name, flags, Mode::empty()) {
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    return Err(refused("it is a link, or no directory"));
                }
                opened => opened?,
            };
        }
        Ok(dir)
    }

    /// The names that lead from the data directory to `path`.
    fn steps<'a>(&self, path: &'a Path) -> io::Result<Vec<&'a OsStr>> {
        let below = path
            .strip_prefix(&self.root)
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        let step = |component| match component {
            Component::Normal(name) => Ok(name),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        };
        below.components().map(step).collect()
    }

    /// Opens a file that is there.
    fn existing(&self, path: &Path, access: OFlags) -> io::Result<OwnedFd> {
        let (dir, name) = self.place(path)?;
        // Without waiting: a pipe in a file's place is refused instead.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&dir, name, flags, Mode::empty()) {
            Err(Errno::LOOP) => return Err(refused("it is a link")),
            opened => opened?,
        };
        let found = fstat(&file)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(refused("it is no file"));
        }
        if found.st_uid != self.user && found.st_nlink != 1 {
            return Err(refused("it is another name of a file of another user"));
        }
        Ok(file)
    }

    /// Makes a file that was not there.
    fn new_file(&self, path: &Path) -> io::Result<OwnedFd> {
        let (dir, name) = self.place(path)?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&dir, name, flags, Mode::from_raw_mode(FILE_MODE))?;
        if let Err(error) = self.give(&file) {
            // Nobody is to find a file that its owner cannot open.
            let _ = rustix::fs::unlinkat(&dir, name, AtFlags::empty());
            return Err(error);
        }
        Ok(file)
    }

    fn is_others(&self, found: &Stat) -> bool {
        (found.st_uid, found.st_gid) != (self.user, self.group)
    }

    /// Gives what was opened to the directory's owner, if root opened it.
    fn give(&self, file: impl AsFd) -> io::Result<()> {
        if geteuid().is_root() && self.is_others(&fstat(&file)?) {
            fchown(file, Some(self.user), Some(self.group))?;
        }
        Ok(())
    }

    /// Gives a directory that was made a moment ago, unless another stands in its place by now.
    fn give_made(&self, dir: &OwnedFd) -> io::Result<()> {
        let found = fstat(dir)?;
        let mut names = Dir::read_from(dir)?.filter_map(rustix::io::Result::ok);
        let is_empty = names.all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."));
        if found.st_uid != geteuid().as_raw() || !is_empty {
            return Err(refused("it is not the directory that was made"));
        }
        self.give(dir)
    }

    /// The lock file, made if there is none.
    fn lock_file(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.new_file(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = self.existing(path, OFlags::RDWR)?;
                let found = fstat(&file)?;
                if found.st_nlink != 1 {
                    return Err(refused("it is another name of a file"));
                }
                // The owner may move anybody's file here; root's they could only have removed.
                if ![self.user, geteuid().as_raw()].contains(&found.st_uid) {
                    return Err(refused("it is a file of another user"));
                }
                Ok(file)
            }
            made => made,
        }
    }
}

impl Disk for OwnersDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(self.new_file(path)?.into())))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.existing(path, OFlags::RDONLY)?;
        Ok(Arc::new(RealFile(file.into())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((old, from), (new, to)) = (self.place(from)?, self.place(to)?);
        Ok(rustix::fs::renameat(&old, from, &new, to)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        Ok(rustix::fs::unlinkat(&dir, name, AtFlags::empty())?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.directory(path)?)?)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut place = self.root.clone();
        for name in self.steps(path)? {
            let parent = self.directory(&place)?;
            place.push(name);
            match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(DIR_MODE)) {
                Ok(()) => self.give_made(&self.directory(&place)?)?,
                Err(Errno::EXIST) => drop(self.directory(&place)?),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        // Refuses a link. Should one take its place only now, names alone are told, and nothing is done
        // there.
        drop(self.directory(path)?);
        RealDisk.list(path)
    }

    fn ownership(&self, path: &Path) -> io::Result<Option<Ownership>> {
        RealDisk.ownership(path)
    }

    fn lock(&self, dir: &Path) -> Result<DirLock> {
        let path = dir.join(file_name::LOCK);
        let failed = |source| AtlasError::io("lock", &path, source);
        let file = self.lock_file(&path).map_err(failed)?.into();
        super::hold(&file, dir)?;
        super::sign(&file, &path)?;
        // One that root left there once: the owner could not take it. What it held is gone by now.
        self.give(&file).map_err(failed)?;
        Ok(Box::new(HeldLock(file)))
    }

    fn random(&self) -> io::Result<u64> {
        RealDisk.random()
    }

    fn free_space(&self, dir: &Path) -> io::Result<Option<u64>> {
        Ok(free_bytes(&rustix::fs::fstatvfs(self.directory(dir)?)?))
    }
}

#[cfg(test)]
#[path = "owners_tests.rs"]
mod tests;
