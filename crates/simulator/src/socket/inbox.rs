//! What waits to be sent on a socket, and what becomes of it when the socket ends.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::backend::{Backend, Outgoing};

/// Messages for the socket. Alerts that still wait when it ends are counted as unsent.
pub(super) struct Inbox {
    pub(super) receiver: mpsc::Receiver<Outgoing>,
    pub(super) backend: Arc<Backend>,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.receiver.close();
        while let Ok(message) = self.receiver.try_recv() {
            if matches!(message, Outgoing::Alert { .. }) {
                self.backend.state().ledger.stats.unsent += 1;
            }
        }
    }
}
