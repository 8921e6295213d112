//! `quarantine/`: where recovery keeps what it had to cut and what it does not know. It has a budget;
//! over it, files stay where they are. Only the operator empties it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::QuarantinedFile;
use super::disk::{self, Disk, count};
use super::error::{AtlasError, Result};
use super::file_name::{self, FileName};
use super::manifest::Move;
use super::progress::Progress;

/// Bytes copied at once.
const CHUNK: u64 = 256 * 1024;
/// What a file counts at least, so that many tiny ones have a limit too.
const LEAST_CHARGE: u64 = 4096;

/// The quarantine of one data directory.
pub(crate) struct Quarantine<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    names: BTreeSet<String>,
    left: u64,
}

impl<'a> Quarantine<'a> {
    /// Looks at what is there, of a budget in bytes.
    pub(crate) fn open(disk: &'a dyn Disk, dir: &'a Path, budget: u64) -> Result<Quarantine<'a>> {
        let files = list(disk, dir)?;
        let used: u64 = files.iter().map(|file| file.bytes.max(LEAST_CHARGE)).sum();
        let names = files.into_iter().map(|file| file.name).collect();
        Ok(Quarantine {
            disk,
            dir,
            names,
            left: budget.saturating_sub(used),
        })
    }

    /// Takes room for a file; the name it shall have, or `None` when there is no room.
    pub(crate) fn reserve(&mut self, name: &str, length: u64) -> Option<String> {
        let numbered = (1_u64..).map(|number| format!("{name}.{number}"));
        let free = std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|candidate| !self.names.contains(candidate))?;
        self.charge(&free, length).then_some(free)
    }

    /// Takes a name, whatever room there is; `false` when a file has it.
    pub(crate) fn take_name(&mut self, name: &str) -> bool {
        self.names.insert(name.to_owned())
    }

    fn charge(&mut self, name: &str, length: u64) -> bool {
        let Some(left) = self.left.checked_sub(length.max(LEAST_CHARGE)) else {
            return false;
        };
        self.left = left;
        self.names.insert(name.to_owned());
        true
    }

    /// Keeps the bytes of `source` from `start` to `end` in a durable file; its name, or `None` when
    /// there is no room. A file of that name is an interrupted recovery's copy of the same bytes, for
    /// file numbers are never used twice, and is replaced.
    pub(crate) fn keep_bytes(
        &mut self,
        source: &str,
        (start, end): (u64, u64),
        progress: &mut dyn Progress,
    ) -> Result<Option<String>> {
        let name = format!("{source}.from-{start}");
        if !self.names.contains(&name) && !self.charge(&name, end - start) {
            return Ok(None);
        }
        make(self.disk, self.dir)?;
        let home = file_name::quarantine(self.dir);
        let temporary = home.join(file_name::temporary(&name));
        let from = self.dir.join(source);
        copy_bytes(self.disk, (&from, &temporary), (start, end), progress)?;
        let path = home.join(&name);
        self.disk
            .rename(&temporary, &path)
            .map_err(|error| AtlasError::io("rename", &path, error))?;
        self.disk
            .sync_dir(&home)
            .map_err(|error| AtlasError::io("sync", &home, error))?;
        Ok(Some(name))
    }
}

/// Copies bytes of a file to a new, synced one; what had its name is replaced.
pub(crate) fn copy_bytes(
    disk: &dyn Disk,
    (from, to): (&Path, &Path),
    (start, end): (u64, u64),
    progress: &mut dyn Progress,
) -> Result<()> {
    match disk.remove(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(AtlasError::io("remove", to, error));
        }
        _ => {}
    }
    let source = disk
        .open(from)
        .map_err(|error| AtlasError::io("open", from, error))?;
    let target = disk
        .create(to)
        .map_err(|error| AtlasError::io("create", to, error))?;
    let mut at = start;
    while at < end {
        let mut chunk = vec![0; usize::try_from(CHUNK.min(end - at)).unwrap_or(0)];
        let read = disk::read_full(&*source, &mut chunk, at)
            .map_err(|error| AtlasError::io("read", from, error))?;
        if read == 0 {
            break;
        }
        chunk.truncate(read);
        disk::write_full(&*target, &chunk, at - start)
            .map_err(|error| AtlasError::io("write", to, error))?;
        at += count(read);
        progress.note(0, count(read));
    }
    target
        .sync()
        .map_err(|error| AtlasError::io("sync", to, error))
}

/// Does these moves, which a durable manifest lists, and makes them durable in quarantine. The caller
/// syncs the data directory.
pub(crate) fn move_files(disk: &dyn Disk, dir: &Path, moves: &[Move]) -> Result<()> {
    if moves.is_empty() {
        return Ok(());
    }
    make(disk, dir)?;
    let home = file_name::quarantine(dir);
    for Move { from, to } in moves {
        let path = dir.join(from);
        if matches!(file_name::parse(from), FileName::Segment(_)) {
            // Its last bytes may never have been synced, and are kept for being looked at.
            let file = disk.open(&path);
            file.and_then(|file| file.sync())
                .map_err(|error| AtlasError::io("sync", &path, error))?;
        }
        disk.rename(&path, &home.join(to))
            .map_err(|error| AtlasError::io("move", &path, error))?;
    }
    disk.sync_dir(&home)
        .map_err(|error| AtlasError::io("sync", &home, error))
}

/// Makes the directory, its name durable.
pub(crate) fn make(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let home = file_name::quarantine(dir);
    disk.create_dir(&home)
        .map_err(|error| AtlasError::io("create", &home, error))?;
    disk.sync_dir(dir)
        .map_err(|error| AtlasError::io("sync", dir, error))
}

/// The files in quarantine.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<QuarantinedFile>> {
    let home = file_name::quarantine(dir);
    let entries = match disk.list(&home) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(AtlasError::io("list", &home, error)),
    };
    let finished = entries
        .into_iter()
        .filter(|entry| entry.is_file && file_name::parse(&entry.name) != FileName::Temporary);
    Ok(finished
        .map(|entry| QuarantinedFile {
            name: entry.name,
            bytes: entry.length,
        })
        .collect())
}

/// Removes all files in quarantine; what was removed.
pub(crate) fn purge(disk: &dyn Disk, dir: &Path) -> Result<Vec<QuarantinedFile>> {
    let home = file_name::quarantine(dir);
    let files = list(disk, dir)?;
    for file in &files {
        let path = home.join(&file.name);
        disk.remove(&path)
            .map_err(|error| AtlasError::io("remove", &path, error))?;
    }
    if !files.is_empty() {
        disk.sync_dir(&home)
            .map_err(|error| AtlasError::io("sync", &home, error))?;
    }
    Ok(files)
}
