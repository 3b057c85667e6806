//! What wakes a sink: the store has something for it, or has taken something back.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A bell for one sink.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    notify: Notify,
    given_up: AtomicBool,
}

impl Bell {
    /// Something is due.
    pub(crate) fn ring(&self) {
        self.notify.notify_one();
    }

    /// Deliveries were given up, of which some may be under way.
    pub(crate) fn ring_given_up(&self) {
        self.given_up.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    /// Waits until it rings.
    pub(crate) async fn rung(&self) {
        self.notify.notified().await;
    }

    /// Whether deliveries were given up since this was last asked.
    pub(crate) fn take_given_up(&self) -> bool {
        self.given_up.swap(false, Ordering::AcqRel)
    }
}
