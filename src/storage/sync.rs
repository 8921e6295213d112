//! Locks, condition variables and atomics of the engine: the standard library's, or, in a build with
//! `--cfg atlaskv_shuttle`, those of a scheduler that tries interleavings (`make interleavings`). There
//! a wait never times out.

#[cfg(not(atlaskv_shuttle))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError, atomic,
};

#[cfg(atlaskv_shuttle)]
pub(crate) use shuttle::sync::{
    Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError, atomic,
};
