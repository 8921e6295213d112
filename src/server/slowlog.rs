//! The slow log: the latest requests that took longer than a limit.
//!
//! It tells an operator which keys are slow and who asks for them. It is bounded: so many entries, so
//! many bytes of each key, and never a value.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::Settings;
use super::stream::Plane;
use crate::protocol::{BatchOperation, Request, Response, SLOW_KEY_BYTES, SlowRequest};
use crate::storage::disk::count;

/// The latest slow requests.
#[derive(Debug)]
pub(super) struct SlowLog {
    /// Microseconds from which on a request is slow.
    limit_us: AtomicU64,
    found: AtomicU64,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    capacity: usize,
    /// The latest last.
    requests: VecDeque<SlowRequest>,
}

/// What a request asks, as far as the slow log wants it: taken from a write while it waits to be
/// settled, when its frame is gone.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) opcode: u8,
    key_length: u32,
    key: [u8; SLOW_KEY_BYTES],
    value_bytes: u64,
}

impl SlowLog {
    pub(super) fn new(settings: &Settings) -> SlowLog {
        let log = SlowLog {
            limit_us: AtomicU64::new(u64::MAX),
            found: AtomicU64::new(0),
            ring: Mutex::default(),
        };
        log.reconfigure(settings);
        log
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps to other settings, for connections that live too. What is over a smaller bound is dropped.
    pub(super) fn reconfigure(&self, settings: &Settings) {
        let limit = settings.slow_request.map_or(u64::MAX, microseconds);
        self.limit_us.store(limit, Ordering::Relaxed);
        let mut ring = self.lock();
        ring.capacity = settings.slowlog_entries;
        ring.make_room(0);
    }

    /// Whether a request that took so long belongs here.
    pub(super) fn is_slow(&self, took: Duration) -> bool {
        microseconds(took) >= self.limit_us.load(Ordering::Relaxed)
    }

    /// Adds a request whose answer is ready now; `peer`: where it came from.
    pub(super) fn add(&self, subject: &Subject, took: Duration, peer: (Plane, Option<SocketAddr>)) {
        self.found.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let request = SlowRequest {
            unix_us: microseconds(now.unwrap_or_default()),
            duration_us: microseconds(took),
            opcode: subject.opcode,
            key_length: subject.key_length,
            key: Bytes::copy_from_slice(subject.key()),
            value_bytes: subject.value_bytes,
            peer: match peer {
                (Plane::Admin, _) => "admin socket".to_owned(),
                (Plane::Data, Some(address)) => address.to_string(),
                (Plane::Data, None) => "gone".to_owned(),
            },
        };
        let mut ring = self.lock();
        ring.make_room(1);
        if ring.capacity > 0 {
            ring.requests.push_back(request);
        }
    }

    /// The latest requests, the latest first, at most `limit`; 0: all.
    pub(super) fn latest(&self, limit: u32) -> Vec<SlowRequest> {
        let limit = match limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let ring = self.lock();
        ring.requests.iter().rev().take(limit).cloned().collect()
    }

    /// Slow requests since the start, those that are not kept any more too.
    pub(super) fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }
}

impl Ring {
    /// Drops the oldest until so many more may be added.
    fn make_room(&mut self, more: usize) {
        let excess = (self.requests.len() + more).saturating_sub(self.capacity);
        self.requests.drain(..excess.min(self.requests.len()));
    }
}

impl Subject {
    /// What a request asks. A batch and a multi-get are known by their first key, a scan by where it
    /// begins.
    pub(super) fn of(request: &Request<'_>) -> Subject {
        let (key, value_bytes): (&[u8], usize) = match request {
            Request::Put { key, value } | Request::PutIfAbsent { key, value } => (key, value.len()),
            Request::CompareAndSwap { key, new, .. } => (key, new.map_or(0, <[u8]>::len)),
            Request::Get { key } | Request::Exists { key } | Request::Delete { key } => (key, 0),
            Request::MultiGet { keys } => (keys.first().copied().unwrap_or_default(), 0),
            Request::Batch { operations } => {
                let key = operations.first().map_or(&b""[..], |it| changed(it).0);
                (key, operations.iter().map(|it| changed(it).1).sum())
            }
            Request::ScanOpen { from, prefix, .. } => (from.unwrap_or(prefix), 0),
            _ => (b"", 0),
        };
        let mut subject = Subject {
            opcode: request.opcode(),
            key_length: u32::try_from(key.len()).unwrap_or(u32::MAX),
            key: [0; SLOW_KEY_BYTES],
            value_bytes: count(value_bytes),
        };
        for (kept, byte) in subject.key.iter_mut().zip(key) {
            *kept = *byte;
        }
        subject
    }

    /// The same with the values that a read has found.
    pub(super) fn answered(mut self, response: &Response) -> Subject {
        let bytes: usize = match response {
            Response::Value { value, .. } => value.len(),
            Response::Values(values) => values.iter().flatten().map(|(_, value)| value.len()).sum(),
            Response::ScanPage { entries, .. } => entries.iter().map(|it| it.value.len()).sum(),
            _ => return self,
        };
        self.value_bytes = count(bytes);
        self
    }

    fn key(&self) -> &[u8] {
        let length = usize::try_from(self.key_length).unwrap_or(SLOW_KEY_BYTES);
        self.key.get(..length).unwrap_or(&self.key)
    }
}

/// The key of a change and the bytes of its value.
fn changed<'a>(operation: &BatchOperation<'a>) -> (&'a [u8], usize) {
    match *operation {
        BatchOperation::Put { key, value } => (key, value.len()),
        BatchOperation::Delete { key } => (key, 0),
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
