//! How the store is, shared with whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchpost_store::Held;

/// The state that the writer thread keeps up to date.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreState(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    error: Option<String>,
    held: Option<Held>,
}

impl StoreState {
    /// What keeps it from storing.
    pub(crate) fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }

    /// What retention could not remove, because deliveries of it are pending.
    pub(crate) fn held(&self) -> Option<Held> {
        self.lock().held.clone()
    }

    pub(super) fn set_error(&self, error: Option<String>) {
        self.lock().error = error;
    }

    /// Returns whether it is the first time, or other sinks are concerned than before.
    pub(super) fn set_held(&self, held: Option<Held>) -> bool {
        let mut state = self.lock();
        let sinks = |held: &Option<Held>| held.as_ref().map(|held| held.sinks.clone());
        let is_new = sinks(&state.held) != sinks(&held);
        state.held = held;
        is_new
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
