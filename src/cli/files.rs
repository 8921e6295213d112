//! The operator's own files: what `import` reads and `export` writes. The store's files are the
//! engine's, and are reached only through it.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fsync, open, rename, statvfs, unlink};

use super::Failure;

type Result<T> = std::result::Result<T, Failure>;

/// Mode of an exported file: the owner's alone, since it holds the store's data.
const EXPORT_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// An open file or pipe, read and written in order.
#[derive(Debug)]
struct Stream(OwnedFd);

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.0, buffer)?)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a file to be read from its beginning, or standard input for `-`.
pub(super) fn reader(path: &Path) -> Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty())
        .map_err(|errno| Failure::io("open", path, &errno.into()))?;
    Ok(Box::new(Stream(file)))
}

/// A short text, `limit` bytes of it at most.
pub(super) fn read_text(path: &Path, limit: usize) -> Result<String> {
    let failed = |error: io::Error| Failure::io("read", path, &error);
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut file = reader(path)?.take(limit);
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Bytes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    /// Those that a process without rights may still take.
    pub(super) free: u64,
    pub(super) total: u64,
}

/// The space of the file system on which `path` lies.
pub(super) fn space(path: &Path) -> Result<Space> {
    let found = statvfs(path).map_err(|errno| Failure::io("look at", path, &errno.into()))?;
    Ok(Space {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// A file that is written beside its place and put there when it is whole. One that is not finished
/// leaves what was there, and nothing else.
#[derive(Debug)]
pub(super) struct NewFile {
    stream: Stream,
    place: PathBuf,
    /// Beside the place; `None` when the place is written itself, being a device or a pipe.
    temporary: Option<PathBuf>,
}

impl NewFile {
    pub(super) fn create(path: &Path) -> Result<NewFile> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            let stream = open(path, flags, Mode::empty())
                .map_err(|errno| Failure::io("open", path, &errno.into()))?;
            return Ok(NewFile {
                stream: Stream(stream),
                place: path.to_path_buf(),
                temporary: None,
            });
        }
        // A link stays a link: the file it leads to is replaced.
        let place = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let temporary = temporary_name(&place)?;
        let flags = flags | OFlags::CREATE | OFlags::EXCL;
        let stream = open(&temporary, flags, EXPORT_MODE)
            .map_err(|errno| Failure::io("create", &temporary, &errno.into()))?;
        Ok(NewFile {
            stream: Stream(stream),
            place,
            temporary: Some(temporary),
        })
    }

    /// Makes the file durable and puts it in its place.
    pub(super) fn finish(mut self) -> Result<()> {
        let Some(temporary) = &self.temporary else {
            return Ok(());
        };
        fsync(&self.stream.0).map_err(|errno| Failure::io("sync", temporary, &errno.into()))?;
        rename(temporary, &self.place)
            .map_err(|errno| Failure::io("rename to", &self.place, &errno.into()))?;
        self.temporary = None;
        sync_parent(&self.place)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // What led here is told; a file that cannot be removed adds nothing.
            let _ = unlink(temporary);
        }
    }
}

/// `.NAME.PID.tmp` beside the file.
fn temporary_name(place: &Path) -> Result<PathBuf> {
    let wrong = || Failure::usage(format!("{} names no file", place.display()));
    let mut name = OsString::from(".");
    name.push(place.file_name().ok_or_else(wrong)?);
    name.push(format!(".{}.tmp", std::process::id()));
    Ok(place.with_file_name(name))
}

fn sync_parent(place: &Path) -> Result<()> {
    let parent = place.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(parent, flags, Mode::empty())
        .and_then(fsync)
        .map_err(|errno| Failure::io("sync", parent, &errno.into()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests see files as they are")]

    use std::fs;

    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("out.tsv");
        fs::write(&place, "old").unwrap();
        let mut file = NewFile::create(&place).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"old");
        drop(file);
        assert_eq!(fs::read(&place).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let mut file = NewFile::create(&place).unwrap();
        file.write_all(b"whole").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"whole");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link_and_a_device_a_device() {
        let dir = tempfile::tempdir().unwrap();
        let (place, link) = (dir.path().join("place"), dir.path().join("link"));
        fs::write(&place, "old").unwrap();
        std::os::unix::fs::symlink(&place, &link).unwrap();
        let mut file = NewFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&place).unwrap(), b"new");
        let mut null = NewFile::create(Path::new("/dev/null")).unwrap();
        null.write_all(b"gone").unwrap();
        null.finish().unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }
}
