//! The processes that this program starts, what the kernel tells about them, and their end: with the guard that
//! holds them, at a signal, and when this process is killed.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process, set_parent_process_death_signal,
    setrlimit,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What a signal has to end and to remove.
static STARTED: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static HOME: Mutex<Option<PathBuf>> = Mutex::new(None);

const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// A process that ends, at the latest, when this is dropped.
#[derive(Debug)]
pub(crate) struct Owned(pub(crate) Child);

impl Owned {
    /// Starts the command. It must make the process end with this one: [`bound`] or [`end_with_parent`].
    pub(crate) fn start(command: &mut Command) -> io::Result<Owned> {
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        started.push(child.id());
        Ok(Owned(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // The lock is held until the process is reaped: no signal handler meets a number given anew.
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.0.kill();
        let _ = self.0.wait();
        started.retain(|pid| *pid != self.0.id());
    }
}

/// A command for `program` that the kernel ends when this process ends, however that happens.
pub(crate) fn bound(program: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("exec").arg(program);
    Ok(command)
}

/// In the process that [`bound`] starts: becomes the program.
pub(crate) fn exec(command: &[OsString]) -> io::Error {
    if let Err(error) = end_with_parent() {
        return error;
    }
    Command::new(&command[0]).args(&command[1..]).exec()
}

/// From now on the kernel kills this process when the one that started it ends.
pub(crate) fn end_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Kills this process as a power cut would, with nothing closed.
pub(crate) fn die() -> ! {
    let _ = kill_process(rustix::process::getpid(), Signal::KILL);
    unreachable!("killed")
}

/// At a signal: ends what was started, removes `home`, and exits as the signal says.
pub(crate) fn clean_up_at_signals(home: PathBuf) -> io::Result<()> {
    *HOME.lock().unwrap_or_else(PoisonError::into_inner) = Some(home);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end_all();
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

fn end_all() {
    // Kept: nothing is started any more.
    let started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    for pid in started.iter() {
        if let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    if let Some(home) = &*HOME.lock().unwrap_or_else(PoisonError::into_inner) {
        // A process that is being killed may still make a file.
        for _ in 0..ATTEMPTS {
            if std::fs::remove_dir_all(home).is_ok() || !home.exists() {
                break;
            }
            std::thread::sleep(PAUSE);
        }
    }
    std::mem::forget(started);
}

/// As many open files as the system lets this process, and what it starts, have.
pub(crate) fn raise_open_files() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Bytes that a process has dirtied for writing, by `/proc/PID/io`.
pub(crate) fn write_bytes(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/io"), "write_bytes:").unwrap_or(0)
}

/// KiB of a line of `/proc/PID/status`: `VmRSS`, `VmHWM`.
pub(crate) fn memory_kib(pid: u32, name: &str) -> u64 {
    field(&format!("/proc/{pid}/status"), &format!("{name}:")).unwrap_or(0)
}

fn field(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
