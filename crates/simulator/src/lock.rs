//! Locks that outlive a panic elsewhere: the ledger stays readable whatever a test did to a thread.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The guard of a mutex, poisoned or not.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
