//! An alert on its way from a source into the store.

use watchpost_core::Alert;

/// What an alert without its picture counts for in the in-flight budget, in bytes.
const ALERT_OVERHEAD_BYTES: usize = 2_048;

/// An alert as it came in.
#[derive(Debug)]
pub(crate) struct IncomingAlert {
    pub(crate) alert: Alert,
    pub(crate) frame: Option<Vec<u8>>,
    /// The message that acknowledges it; `None` for what was fetched.
    pub(crate) ack: Option<String>,
    /// What it takes up until it is stored, in bytes.
    pub(crate) bytes: usize,
}

impl IncomingAlert {
    /// An alert that came by itself, with `extra_bytes` of details that are larger than usual.
    pub(crate) fn live(alert: Alert, frame: Option<Vec<u8>>, ack: String, extra_bytes: usize) -> Self {
        Self {
            ack: Some(ack),
            bytes: size(frame.as_deref()) + extra_bytes,
            alert,
            frame,
        }
    }

    /// An alert that was asked for, so that no one waits for an acknowledgement.
    pub(crate) fn fetched(alert: Alert, frame: Option<Vec<u8>>) -> Self {
        Self {
            ack: None,
            bytes: size(frame.as_deref()),
            alert,
            frame,
        }
    }
}

fn size(frame: Option<&[u8]>) -> usize {
    ALERT_OVERHEAD_BYTES + frame.map_or(0, <[u8]>::len)
}
