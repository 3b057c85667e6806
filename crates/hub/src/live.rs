//! What happens in the hub, for whoever watches it live.

use std::sync::Arc;

use watchpost_core::{Alert, AlertId, DeliveryState};

/// Events that a slow watcher may lag behind before it misses some.
pub(crate) const MAX_LAG_EVENTS: usize = 1_024;

/// Something that just happened, and is on disk.
#[derive(Clone, Debug)]
pub enum LiveEvent {
    /// An alert came in.
    Stored(Arc<Alert>),
    /// A delivery ended.
    Finished {
        /// Which alert.
        alert: AlertId,
        /// To which sink.
        sink: String,
        /// How.
        state: DeliveryState,
    },
}
