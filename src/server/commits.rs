//! The one thread that waits for syncs of the log on behalf of all workers.
//!
//! A worker appends whatever its connections have sent, tells how far it has come, and goes on; it is
//! woken when so much is settled. All that was told meanwhile shares the next sync.

use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::Shared;
use super::worker::Desk;
use crate::storage::Lsn;

/// What workers wait for.
#[derive(Debug)]
pub(super) struct Commits {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: Mutex<Asked>,
    told: Condvar,
}

#[derive(Debug, Default)]
struct Asked {
    /// The last write that somebody waits for.
    last: Option<Lsn>,
    by: Vec<Arc<Desk>>,
    ended: bool,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, shared: &Shared) {
        let mut desks = Vec::new();
        loop {
            let waiting = |asked: &mut Asked| asked.last.is_none() && !asked.ended;
            let asked = self.told.wait_while(self.lock(), waiting);
            let mut asked = asked.unwrap_or_else(PoisonError::into_inner);
            let Some(last) = asked.last.take() else {
                return;
            };
            mem::swap(&mut asked.by, &mut desks);
            drop(asked);
            // How each write ended, the worker sees for itself.
            let _ = shared.engine.settle(last);
            for desk in desks.drain(..) {
                desk.wake();
            }
        }
    }
}

impl Commits {
    /// Starts the thread; it ends when this is dropped.
    ///
    /// # Errors
    /// What the operating system says when it cannot be made.
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Commits> {
        let state = Arc::new(State::default());
        let (thread, of_thread) = (thread::Builder::new(), Arc::clone(&state));
        let shared = Arc::clone(shared);
        let thread = thread.name("commits".to_owned());
        thread.spawn(move || of_thread.run(&shared))?;
        Ok(Commits { state })
    }

    /// Wakes the worker of `desk` when everything up to `lsn` is settled.
    pub(super) fn ask(&self, lsn: Lsn, desk: &Arc<Desk>) {
        let mut asked = self.state.lock();
        let is_first = asked.last.is_none();
        asked.last = asked.last.max(Some(lsn));
        if !asked.by.iter().any(|by| Arc::ptr_eq(by, desk)) {
            asked.by.push(Arc::clone(desk));
        }
        drop(asked);
        if is_first {
            self.state.told.notify_one();
        }
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        self.state.lock().ended = true;
        self.state.told.notify_one();
    }
}
