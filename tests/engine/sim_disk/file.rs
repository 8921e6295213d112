//! An open file of the simulated disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;

use atlaskv::storage::DiskFile;

use super::call::{self, CallKind, Errno, Fault};
use super::names::split;
use super::{SimDisk, State};

#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) inode: u64,
    pub(super) path: PathBuf,
    pub(super) writable: bool,
}

impl SimFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(Errno::BadFile.into())
        }
    }

    fn write(&self, state: &mut State, data: &[u8], offset: u64) -> io::Result<usize> {
        let length = state.inodes[&self.inode].live.len() as u64;
        let end = offset + data.len() as u64;
        let room = state.room(end.saturating_sub(length));
        let data = &data[..data
            .len()
            .min(usize::try_from(length + room - offset).unwrap_or(0))];
        if data.is_empty() {
            return Err(Errno::Full.into());
        }
        let sequence = state.next_sequence();
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        inode.write(offset, data, sequence);
        Ok(data.len())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let fault = state.begin(CallKind::Read, &self.path)?;
        fault.refuse()?;
        let length = if fault.is_short() && buffer.len() > 1 {
            buffer.len() / 2
        } else {
            buffer.len()
        };
        Ok(state.inodes[&self.inode].read(&mut buffer[..length], offset))
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let fault = state.begin(CallKind::Write, &self.path)?;
        state = self.disk.wait_at_gate(state, CallKind::Write, &self.path)?;
        self.check_writable()?;
        if state.inodes[&self.inode].sync_failed {
            state.violation("wrote to", &self.path);
        }
        if std::mem::take(&mut state.control.full_next) {
            return Err(Errno::Full.into());
        }
        fault.refuse()?;
        if data.is_empty() {
            return Ok(0);
        }
        let part = if fault.is_short() && data.len() > 1 {
            &data[..data.len() / 2]
        } else {
            data
        };
        let written = self.write(&mut state, part, offset)?;
        if fault == Fault::ShortThenFull {
            state.control.full_next = true;
        }
        fault.report()?;
        Ok(written)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let fault = state.begin(CallKind::Sync, &self.path)?;
        if state.inodes[&self.inode].sync_failed {
            state.violation("synced again", &self.path);
        }
        // What is written while the sync is under way is not made durable by it.
        let upto = state.sequence;
        state = self.disk.wait_at_gate(state, CallKind::Sync, &self.path)?;
        if fault.is_failure() {
            state.sync_failed(&self.path, fault);
            state.inodes.get_mut(&self.inode).unwrap().sync_failed = true;
        }
        fault.refuse()?;
        if fault == Fault::SyncDropped {
            let mut random = state.random.fork();
            let inode = state.inodes.get_mut(&self.inode).unwrap();
            inode.drop_unsynced(&mut random);
            return Err(Errno::Io.into());
        }
        state.inodes.get_mut(&self.inode).unwrap().sync(upto);
        fault.report()
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let fault = state.begin(CallKind::Preallocate, &self.path)?;
        self.check_writable()?;
        if state.inodes[&self.inode].sync_failed {
            state.violation("preallocated", &self.path);
        }
        fault.refuse()?;
        if fault == Fault::NotPreallocated {
            return Ok(());
        }
        let grown = length.saturating_sub(state.inodes[&self.inode].live.len() as u64);
        if state.room(grown) < grown {
            return Err(Errno::Full.into());
        }
        let sequence = state.next_sequence();
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        inode.grow(length, sequence);
        fault.report()
    }

    fn length(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.begin(CallKind::Length, &self.path)?.refuse()?;
        Ok(state.inodes[&self.inode].live.len() as u64)
    }
}

impl SimDisk {
    fn wait_at_gate<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        kind: CallKind,
        path: &Path,
    ) -> io::Result<MutexGuard<'a, State>> {
        let name = split(path).1;
        let closed = |state: &State| {
            let gate = state.control.gate.as_ref();
            gate.is_some_and(|(held, prefix)| *held == kind && name.starts_with(prefix))
        };
        if !closed(&state) {
            return Ok(state);
        }
        state.control.at_gate += 1;
        self.shared.gate.notify_all();
        while closed(&state) {
            state = self.shared.gate.wait(state).unwrap();
        }
        state.control.at_gate -= 1;
        if state.control.dead {
            return Err(call::dead());
        }
        Ok(state)
    }
}
