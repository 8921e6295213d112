//! Threads for what a worker must not do: requests that may wait, or take long.
//!
//! What must hold:
//! - The number of threads is bounded, whatever the number of connections: a connection has one request
//!   aside at most, and those that find no thread wait in line.
//! - What waits for one thing does not hold up who waits for another: each has a lane of its own.

use std::sync::{Mutex, PoisonError};
use std::thread;

use threadpool::ThreadPool;

use super::budget::FREE_BYTES;
use super::dispatch::is_write;
use super::stream::Plane;
use crate::protocol::Frame;
use crate::protocol::opcode::request as opcode;

/// Keys of a multi-get that a worker looks up itself, by the bytes of the request.
const MANY_KEYS: usize = 4 * 1024;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Room in memtable or log for a write.
    Room,
    /// Memory for a large request or answer.
    Memory,
    /// The disk: an explicit sync.
    Sync,
    /// The work itself: pages of scans, many keys, figures.
    Work,
    /// Whatever an administrator asks.
    Admin,
}

impl Lane {
    const ALL: [Lane; 5] = [
        Lane::Room,
        Lane::Memory,
        Lane::Sync,
        Lane::Work,
        Lane::Admin,
    ];

    /// Its most threads.
    fn threads(self) -> usize {
        match self {
            Lane::Room | Lane::Memory | Lane::Work => 16,
            // They only wait, and share what they wait for.
            Lane::Sync => 32,
            // One for each connection of the admin socket.
            Lane::Admin => super::accept::MAX_ADMIN_CONNECTIONS,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Lane::Room => "aside-room",
            Lane::Memory => "aside-memory",
            Lane::Sync => "aside-sync",
            Lane::Work => "aside-work",
            Lane::Admin => "aside-admin",
        }
    }

    /// Where a request belongs that a worker must not even begin; `None`: it may.
    pub(super) fn of(frame: &Frame<'_>, plane: Plane) -> Option<Lane> {
        let length = frame.payload.len();
        let lane = match frame.code {
            opcode::SYNC => Lane::Sync,
            opcode::STATS | opcode::SCAN_OPEN | opcode::SCAN_NEXT => Lane::Work,
            opcode::MULTI_GET if length > MANY_KEYS => Lane::Work,
            _ if length > FREE_BYTES && is_write(frame.code) => Lane::Room,
            _ if length > FREE_BYTES => Lane::Work,
            opcode::FLUSH.. if plane == Plane::Admin => Lane::Admin,
            _ => return None,
        };
        Some(match plane {
            Plane::Data => lane,
            Plane::Admin => Lane::Admin,
        })
    }
}

/// The threads of all lanes. They are made when they are needed first.
#[derive(Debug)]
pub(super) struct Aside {
    lanes: Vec<(Lane, Mutex<ThreadPool>)>,
}

impl Aside {
    pub(super) fn new() -> Aside {
        let pool = |lane: Lane| Mutex::new(ThreadPool::with_name(lane.name().to_owned(), 1));
        let lanes = Lane::ALL.into_iter().map(|lane| (lane, pool(lane)));
        Aside {
            lanes: lanes.collect(),
        }
    }

    /// Does `job` in a thread of this lane, as soon as one is free.
    pub(super) fn execute(&self, lane: Lane, job: impl FnOnce() + Send + 'static) {
        let Some((_, pool)) = self.lanes.iter().find(|(name, _)| *name == lane) else {
            return;
        };
        let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = pool.active_count() + pool.queued_count() + 1;
        let made = pool.max_count();
        // The pool would panic when a thread cannot be made, so one is made on trial before.
        if needed > made && made < lane.threads() && can_make_a_thread() {
            pool.set_num_threads(made + 1);
        }
        pool.execute(job);
    }
}

fn can_make_a_thread() -> bool {
    let made = thread::Builder::new().spawn(|| {});
    made.is_ok_and(|thread| thread.join().is_ok())
}
