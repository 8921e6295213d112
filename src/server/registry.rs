//! The connections that live, counted, and reachable for a stop.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::accept::Place;
use super::stream::{Plane, Stream};

/// Called once, when a server that stops has no connection left.
pub(super) type OnDrained = Box<dyn FnOnce() + Send>;

/// Live connections, and what has been counted since the start.
#[derive(Default)]
pub(super) struct Registry {
    live: Mutex<Live>,
    stopping: AtomicBool,
    pub(super) counters: Counters,
}

#[derive(Default)]
struct Live {
    next: u64,
    streams: HashMap<u64, Arc<Stream>>,
    on_drained: Option<OnDrained>,
}

/// Counters since the start. They are read one by one: together they are not of one moment.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Connections accepted.
    pub(super) accepted: AtomicU64,
    /// Connections refused because the server was full.
    pub(super) refused: AtomicU64,
    /// Connections closed because they were idle, or took too long to send or to receive.
    pub(super) timed_out: AtomicU64,
    /// Requests answered.
    pub(super) requests: AtomicU64,
    /// Requests answered with an error.
    pub(super) errors: AtomicU64,
}

/// A connection's entry in the registry, removed when dropped.
pub(super) struct Registered {
    registry: Arc<Registry>,
    number: u64,
    /// Free again before anybody is told that it has ended.
    place: Option<Place>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a connection.
    pub(super) fn enter(self: &Arc<Self>, stream: &Arc<Stream>, place: Place) -> Registered {
        let mut live = self.lock();
        let number = live.next;
        live.next += 1;
        live.streams.insert(number, Arc::clone(stream));
        Registered {
            registry: Arc::clone(self),
            number,
            place: Some(place),
        }
    }

    /// Live connections of a plane.
    pub(super) fn open(&self, plane: Plane) -> usize {
        let live = self.lock();
        live.streams
            .values()
            .filter(|stream| stream.plane == plane)
            .count()
    }

    /// Whether connections should end after what they have received.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Lets every connection end after what it has received. No connection may be entered from now on.
    pub(super) fn stop(&self, on_drained: OnDrained) {
        self.stopping.store(true, Ordering::Release);
        let mut live = self.lock();
        live.streams
            .values()
            .for_each(|stream| stream.end_reading());
        live.on_drained = Some(on_drained);
        live.tell_if_drained();
    }

    /// Ends every connection now.
    pub(super) fn cut(&self) {
        self.lock().streams.values().for_each(|stream| stream.end());
    }
}

impl Live {
    fn tell_if_drained(&mut self) {
        if self.streams.is_empty()
            && let Some(on_drained) = self.on_drained.take()
        {
            on_drained();
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        drop(self.place.take());
        let mut live = self.registry.lock();
        live.streams.remove(&self.number);
        live.tell_if_drained();
    }
}
