//! Calls, their numbers, and the faults that strike them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::State;

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    Create,
    Write,
    Sync,
    Preallocate,
    Rename,
    Remove,
    SyncDir,
    CreateDir,
    Lock,
    Open,
    Read,
    Length,
    List,
    Random,
}

impl CallKind {
    /// Whether it may change what is on the disk. Changes and reads are numbered apart.
    pub(crate) fn is_change(self) -> bool {
        !matches!(
            self,
            CallKind::Open | CallKind::Read | CallKind::Length | CallKind::List | CallKind::Random
        )
    }

    /// Whether a full disk refuses it.
    fn needs_room(self) -> bool {
        matches!(
            self,
            CallKind::Create | CallKind::Write | CallKind::Preallocate | CallKind::CreateDir
        )
    }
}

/// One call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its number among the changes, or among the reads.
    pub(crate) number: u64,
    pub(crate) kind: CallKind,
    pub(crate) path: PathBuf,
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.kind.is_change() {
            "change"
        } else {
            "read"
        };
        let path = self.path.display();
        write!(out, "{what} {}: {:?} {path}", self.number, self.kind)
    }
}

/// What the operating system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errno {
    /// EIO
    Io,
    /// ENOSPC
    Full,
    /// EDQUOT
    Quota,
    /// EINTR
    Interrupted,
    /// EBADF
    BadFile,
    /// EROFS
    ReadOnly,
    /// EACCES
    Denied,
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> io::Error {
        let number = match errno {
            Errno::Io => 5,
            Errno::Full => 28,
            Errno::Quota => 122,
            Errno::Interrupted => 4,
            Errno::BadFile => 9,
            Errno::ReadOnly => 30,
            Errno::Denied => 13,
        };
        io::Error::from_raw_os_error(number)
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not: what most calls get.
    None,
    /// Nothing is done and the error comes.
    Fail(Errno),
    /// It is done and the error comes all the same.
    FailDone(Errno),
    /// Half is written and the error comes.
    FailHalf(Errno),
    /// A sync fails with EIO; each unsynced page was saved or not, and all count as clean from now
    /// on: they can be read, and no later sync saves them.
    SyncDropped,
    /// Half is read or written and the call says so.
    Short,
    /// Half is written and the call says so; the next write finds the disk full.
    ShortThenFull,
    /// A file system that cannot preallocate: the file stays as it is, without an error.
    NotPreallocated,
}

impl Fault {
    /// Whether a call of this kind can fail so.
    pub(crate) fn applies_to(self, kind: CallKind) -> bool {
        match self {
            Fault::None => false,
            Fault::Fail(Errno::Interrupted) | Fault::Short => {
                matches!(kind, CallKind::Write | CallKind::Read)
            }
            Fault::Fail(_) => true,
            // A write that finds no room has not written everything: no kernel says so else.
            Fault::FailDone(Errno::Full | Errno::Quota) => {
                kind.is_change() && kind != CallKind::Write
            }
            Fault::FailDone(_) => kind.is_change(),
            Fault::SyncDropped => kind == CallKind::Sync,
            Fault::NotPreallocated => kind == CallKind::Preallocate,
            Fault::ShortThenFull | Fault::FailHalf(_) => kind == CallKind::Write,
        }
    }

    pub(super) fn is_failure(self) -> bool {
        matches!(
            self,
            Fault::Fail(_) | Fault::FailDone(_) | Fault::FailHalf(_) | Fault::SyncDropped
        )
    }

    pub(super) fn is_short(self) -> bool {
        matches!(
            self,
            Fault::Short | Fault::ShortThenFull | Fault::FailHalf(_)
        )
    }

    /// The error that comes before anything is done.
    pub(super) fn refuse(self) -> io::Result<()> {
        match self {
            Fault::Fail(errno) => Err(errno.into()),
            _ => Ok(()),
        }
    }

    /// The error that comes after it was done.
    pub(super) fn report(self) -> io::Result<()> {
        match self {
            Fault::FailDone(errno) | Fault::FailHalf(errno) => Err(errno.into()),
            _ => Ok(()),
        }
    }
}

/// What a dead process would see, could it see.
pub(super) fn dead() -> io::Error {
    io::Error::other("the simulated process is dead")
}

impl State {
    /// Counts a call, and says how it fails.
    pub(super) fn begin(&mut self, kind: CallKind, path: &Path) -> io::Result<Fault> {
        let control = &mut self.control;
        if kind.is_change() && control.crash_at == Some(control.changes) {
            control.dead = true;
        }
        if control.dead {
            return Err(dead());
        }
        let (counter, faults) = if kind.is_change() {
            (&mut control.changes, &control.change_faults)
        } else {
            (&mut control.reads, &control.read_faults)
        };
        let number = *counter;
        *counter += 1;
        control.trace.push(Call {
            number,
            kind,
            path: path.to_path_buf(),
        });
        let lasting = control
            .from
            .filter(|(from, _)| kind.is_change() && number >= *from)
            .map(|(_, fault)| fault)
            .filter(|fault| {
                let full = matches!(fault, Fault::Fail(Errno::Full | Errno::Quota));
                !full || kind.needs_room()
            });
        let fault = faults.get(&number).copied().or(lasting);
        let fault = fault.filter(|fault| fault.applies_to(kind));
        control.fired += u64::from(fault.is_some());
        Ok(fault.unwrap_or(Fault::None))
    }
}
