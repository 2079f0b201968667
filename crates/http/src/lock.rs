//! Locks of what is replaced whole.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also where a panic has left the lock poisoned: what is behind it is replaced whole, never half.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
