//! A disk in memory that forgets what was not synced, and fails on demand.
//!
//! It keeps to the contract of `atlaskv::storage::disk` in the strictest way that a real file system
//! may: bytes are durable only after `sync` of the file, names only after `sync_dir` of the directory
//! (syncing a new file does not save its name, and a new directory has a name too), a failed sync
//! may drop what it should have saved and call it clean. A rename is atomic; one between two
//! directories is durable once both are synced.
//!
//! Calls that change something are numbered from 0, and calls that read are, apart from them. A test
//! can fail any of them ([`SimDisk::fail_at`]), or end the process there ([`SimDisk::crash_at`]),
//! and then ask what a power cut would have left ([`SimDisk::crash_image`]).

mod call;
mod contents;
mod crash;
mod file;
mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use atlaskv::storage::{AtlasError, DirEntry, DirLock, Disk, DiskFile};

pub(crate) use call::{Call, CallKind, Errno, Fault};
use contents::Inode;
pub(crate) use crash::Loss;
use file::SimFile;
use names::{Names, Node, split};

/// A simulated disk; clones share it.
#[derive(Clone)]
pub(crate) struct SimDisk {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Signalled when the gate opens and when a sync arrives at it.
    gate: Condvar,
}

#[derive(Clone)]
struct State {
    names: Names,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// Numbers unsynced operations, of files and names alike, in the order they were done.
    sequence: u64,
    random: fastrand::Rng,
    /// The sum of the lengths that files may have; `None`: no limit.
    capacity: Option<u64>,
    control: Control,
}

/// What the test asked for and what was seen; a crash image starts with a fresh one.
#[derive(Clone, Default)]
struct Control {
    changes: u64,
    reads: u64,
    change_faults: BTreeMap<u64, Fault>,
    read_faults: BTreeMap<u64, Fault>,
    /// Every change from this one on fails so, until cleared.
    from: Option<(u64, Fault)>,
    fired: u64,
    /// The write after a `ShortThenFull` finds the disk full.
    full_next: bool,
    crash_at: Option<u64>,
    dead: bool,
    trace: Vec<Call>,
    locks: BTreeSet<PathBuf>,
    failed_sync: Option<String>,
    violations: Vec<String>,
    /// Calls of this kind, of files whose name begins so, wait at the gate.
    gate: Option<(CallKind, String)>,
    at_gate: u64,
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SimDisk")
    }
}

impl SimDisk {
    /// An empty disk whose random numbers come from `seed`.
    pub(crate) fn new(seed: u64) -> SimDisk {
        SimDisk::from_state(State {
            names: Names::default(),
            inodes: BTreeMap::new(),
            next_inode: 1,
            sequence: 0,
            random: fastrand::Rng::with_seed(seed),
            capacity: None,
            control: Control::default(),
        })
    }

    fn from_state(state: State) -> SimDisk {
        let shared = Shared {
            state: Mutex::new(state),
            gate: Condvar::new(),
        };
        SimDisk {
            shared: Arc::new(shared),
        }
    }

    /// The same disk as the engine wants it.
    pub(crate) fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// Changes so far: the number that the next one gets.
    pub(crate) fn changes(&self) -> u64 {
        self.state().control.changes
    }

    /// Reads so far: the number that the next one gets.
    pub(crate) fn reads(&self) -> u64 {
        self.state().control.reads
    }

    /// Every call so far, reads too.
    pub(crate) fn trace(&self) -> Vec<Call> {
        self.state().control.trace.clone()
    }

    /// Forgets the calls so far, numbers stay.
    pub(crate) fn clear_trace(&self) {
        self.state().control.trace.clear();
    }

    /// What change `number` is or was, for messages.
    pub(crate) fn describe(&self, number: u64) -> String {
        let state = self.state();
        let found = state
            .control
            .trace
            .iter()
            .find(|call| call.kind.is_change() && call.number == number);
        found.map_or_else(|| format!("change {number}"), Call::to_string)
    }

    /// Change `number` fails so.
    pub(crate) fn fail_at(&self, number: u64, fault: Fault) {
        self.state().control.change_faults.insert(number, fault);
    }

    /// Read `number` fails so.
    pub(crate) fn fail_read_at(&self, number: u64, fault: Fault) {
        self.state().control.read_faults.insert(number, fault);
    }

    /// Every change from `number` on fails so, until [`SimDisk::clear_faults`]; a full disk strikes
    /// only what needs room.
    pub(crate) fn fail_from(&self, number: u64, fault: Fault) {
        self.state().control.from = Some((number, fault));
    }

    /// No more faults.
    pub(crate) fn clear_faults(&self) {
        let mut state = self.state();
        state.control.change_faults.clear();
        state.control.read_faults.clear();
        state.control.from = None;
        state.control.full_next = false;
    }

    /// How many faults struck.
    pub(crate) fn fired(&self) -> u64 {
        self.state().control.fired
    }

    /// Change `number` and everything after it, reads too, finds the process dead.
    pub(crate) fn crash_at(&self, number: u64) {
        self.state().control.crash_at = Some(number);
    }

    /// Whether the crash has come.
    pub(crate) fn is_dead(&self) -> bool {
        self.state().control.dead
    }

    /// Limits the sum of all lengths to `bytes`; `None` lifts it.
    pub(crate) fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// The sum of all lengths.
    pub(crate) fn used(&self) -> u64 {
        self.state().used()
    }

    /// What was done after a failed sync that must not be done: a write to the file or a second sync
    /// of it, or the removal of a finished file.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.state().control.violations.clone()
    }

    /// From now on, syncs of files whose name begins with `prefix` wait until the gate opens.
    pub(crate) fn close_gate(&self, prefix: &str) {
        self.hang(CallKind::Sync, prefix);
    }

    /// As [`SimDisk::close_gate`], for syncs or for writes. Others that wait go on.
    pub(crate) fn hang(&self, kind: CallKind, prefix: &str) {
        self.state().control.gate = Some((kind, prefix.to_owned()));
        self.shared.gate.notify_all();
    }

    /// Lets all calls go on.
    pub(crate) fn open_gate(&self) {
        self.state().control.gate = None;
        self.shared.gate.notify_all();
    }

    /// Opens the gate when it is dropped: a test that fails must not wait for those at the gate.
    pub(crate) fn opens_gate(&self) -> OpenGate<'_> {
        OpenGate(self)
    }

    /// Waits until a call waits at the gate.
    pub(crate) fn wait_for_call_at_gate(&self) {
        let mut state = self.state();
        while state.control.at_gate == 0 {
            state = self.shared.gate.wait(state).unwrap();
        }
    }

    /// Every file as a process would read it now, by path. The lock file is left out: its bytes name
    /// a process. So is the reserve: its bytes mean nothing, and it may go and come.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state();
        let mut files = BTreeMap::new();
        for (path, inode) in state.names.files() {
            if !path.ends_with("LOCK") && !path.ends_with("RESERVE.tmp") {
                files.insert(path, state.inodes[&inode].live.clone());
            }
        }
        files
    }

    /// Changes a file's bytes behind everybody's back, durably: damage.
    pub(crate) fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = state.names.file(path).unwrap();
        let inode = state.inodes.get_mut(&inode).unwrap();
        let mut bytes = inode.live.clone();
        change(&mut bytes);
        *inode = Inode::durable(bytes);
    }

    /// Puts a file there, durably, replacing one of the same name.
    pub(crate) fn put_file(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let number = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(number, Inode::durable(bytes.to_vec()));
        state.names.put_durable(path, Node::File(number));
    }

    /// Takes a file away, durably.
    pub(crate) fn take_file(&self, path: &Path) {
        let mut state = self.state();
        state.names.take_durable(path);
    }

    /// What the next process finds after a crash: after a power cut that lost what `loss` says, chosen
    /// by `seed`, or, with [`Loss::KeepAll`], after the process alone died.
    pub(crate) fn crash_image(&self, loss: Loss, seed: u64) -> SimDisk {
        SimDisk::from_state(crash::image(&self.state(), loss, seed))
    }

    /// A copy of everything as it is, locks and counters aside.
    pub(crate) fn copy(&self) -> SimDisk {
        self.crash_image(Loss::KeepAll, 0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Before every call of the disk another thread may go on.
        #[cfg(atlaskv_shuttle)]
        shuttle::thread::yield_now();
        // A test that failed while it held the lock has told its story already.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn used(&self) -> u64 {
        let numbers: BTreeSet<u64> = self.names.files().into_iter().map(|file| file.1).collect();
        numbers
            .iter()
            .map(|number| self.inodes[number].live.len() as u64)
            .sum()
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn add_inode(&mut self) -> u64 {
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, Inode::default());
        number
    }

    /// How many of `bytes` more bytes there is room for.
    fn room(&self, bytes: u64) -> u64 {
        self.capacity.map_or(bytes, |capacity| {
            bytes.min(capacity.saturating_sub(self.used()))
        })
    }

    /// Notes a failed sync, for [`SimDisk::violations`]. An unfinished file that is not the next
    /// manifest is thrown away, and one that the disk had no room for too: nothing depends on it.
    fn sync_failed(&mut self, path: &Path, fault: Fault) {
        let unfinished = path.extension().is_some_and(|end| end == "tmp");
        let full = matches!(
            fault,
            Fault::Fail(Errno::Full | Errno::Quota) | Fault::FailDone(Errno::Full | Errno::Quota)
        );
        if !unfinished || (split(path).1.starts_with("MANIFEST") && !full) {
            self.control.failed_sync = Some(path.display().to_string());
        }
    }

    /// Who takes the lock begins anew, as a new process would.
    fn forget_failed_syncs(&mut self) {
        self.control.failed_sync = None;
        for inode in self.inodes.values_mut() {
            inode.sync_failed = false;
        }
    }

    fn violation(&mut self, what: &str, path: &Path) {
        let failed = self.control.failed_sync.clone().unwrap_or_default();
        let text = format!(
            "{what} {} after the failed sync of {failed}",
            path.display()
        );
        self.control.violations.push(text);
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        let fault = state.begin(CallKind::Create, path)?;
        state.names.check_free(path)?;
        fault.refuse()?;
        let inode = state.add_inode();
        let sequence = state.next_sequence();
        state.names.link(path, Node::File(inode), sequence);
        fault.report()?;
        Ok(self.handle(inode, path, true))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.begin(CallKind::Open, path)?.refuse()?;
        let inode = state.names.file(path)?;
        Ok(self.handle(inode, path, false))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let fault = state.begin(CallKind::Rename, from)?;
        state.names.file(from)?;
        fault.refuse()?;
        let sequence = state.next_sequence();
        state.names.rename(from, to, sequence)?;
        fault.report()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let fault = state.begin(CallKind::Remove, path)?;
        state.names.file(path)?;
        if state.control.failed_sync.is_some() && path.extension().is_none_or(|end| end != "tmp") {
            state.violation("removed", path);
        }
        fault.refuse()?;
        let sequence = state.next_sequence();
        state.names.unlink(path, sequence)?;
        fault.report()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let fault = state.begin(CallKind::SyncDir, path)?;
        state.names.check_dir(path)?;
        if fault.is_failure() {
            state.sync_failed(path, fault);
        }
        fault.refuse()?;
        state.names.sync(path);
        fault.report()
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let fault = state.begin(CallKind::CreateDir, path)?;
        fault.refuse()?;
        let mut missing: Vec<&Path> = path.ancestors().collect();
        missing.retain(|above| state.names.check_dir(above).is_err());
        for dir in missing.into_iter().rev() {
            let sequence = state.next_sequence();
            state.names.check_free(dir)?;
            state.names.link(dir, Node::Dir, sequence);
        }
        fault.report()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut state = self.state();
        state.begin(CallKind::List, path)?.refuse()?;
        let mut entries = Vec::new();
        for (name, node) in state.names.list(path)? {
            let length = match node {
                Node::File(inode) => state.inodes[&inode].live.len() as u64,
                Node::Dir => 0,
            };
            let is_file = node != Node::Dir;
            entries.push(DirEntry {
                name,
                length,
                is_file,
            });
        }
        Ok(entries)
    }

    fn lock(&self, dir: &Path) -> Result<DirLock, AtlasError> {
        let mut state = self.state();
        let path = dir.join("LOCK");
        let failed = |source| AtlasError::Io {
            operation: "lock",
            path: path.clone(),
            source,
        };
        let fault = state.begin(CallKind::Lock, &path).map_err(failed)?;
        fault.refuse().map_err(failed)?;
        if state.control.locks.contains(dir) {
            return Err(AtlasError::Locked {
                path: dir.to_path_buf(),
                holder: "another process".to_owned(),
            });
        }
        if state.names.check_free(&path).is_ok() {
            let inode = state.add_inode();
            let sequence = state.next_sequence();
            state.names.link(&path, Node::File(inode), sequence);
        }
        state.names.file(&path).map_err(failed)?;
        fault.report().map_err(failed)?;
        state.control.locks.insert(dir.to_path_buf());
        state.forget_failed_syncs();
        Ok(Box::new(LockGuard {
            disk: self.clone(),
            dir: dir.to_path_buf(),
        }))
    }

    fn random(&self) -> io::Result<u64> {
        let mut state = self.state();
        state
            .begin(CallKind::Random, Path::new("random"))?
            .refuse()?;
        Ok(state.random.u64(..))
    }

    fn free_space(&self, _dir: &Path) -> io::Result<Option<u64>> {
        let state = self.state();
        Ok(state.capacity.map(|_| state.room(u64::MAX)))
    }
}

impl SimDisk {
    fn handle(&self, inode: u64, path: &Path, writable: bool) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            disk: self.clone(),
            inode,
            path: path.to_path_buf(),
            writable,
        })
    }
}

/// Opens the gate of its disk when it is dropped.
pub(crate) struct OpenGate<'a>(&'a SimDisk);

impl Drop for OpenGate<'_> {
    fn drop(&mut self) {
        self.0.open_gate();
    }
}

struct LockGuard {
    disk: SimDisk,
    dir: PathBuf,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.disk.state().control.locks.remove(&self.dir);
    }
}
