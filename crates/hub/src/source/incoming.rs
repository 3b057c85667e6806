//! An alert on its way from a source into the store.

use watchpost_core::Alert;

/// What an alert without its picture counts for in the in-flight budget, in bytes.
const ALERT_OVERHEAD_BYTES: usize = 2_048;

/// An alert as it came in. What its receipt is sent by is an `A`, which only its source understands.
#[derive(Debug)]
pub(crate) struct IncomingAlert<A> {
    pub(crate) alert: Alert,
    pub(crate) frame: Option<Vec<u8>>,
    pub(crate) origin: Origin<A>,
    /// What it takes up until it is stored, in bytes.
    pub(crate) bytes: usize,
}

/// How an alert came to its source.
#[derive(Debug)]
pub(crate) enum Origin<A> {
    /// By itself: the other side waits for this receipt.
    Pushed(A),
    /// It was asked for, or made of something else: no one waits.
    Fetched,
}

impl<A> IncomingAlert<A> {
    /// An alert that came by itself, with `extra_bytes` of details that are larger than usual.
    pub(crate) fn pushed(alert: Alert, frame: Option<Vec<u8>>, receipt: A, extra_bytes: usize) -> Self {
        Self {
            origin: Origin::Pushed(receipt),
            bytes: size(frame.as_deref()) + extra_bytes,
            alert,
            frame,
        }
    }

    /// An alert that was asked for, so that no one waits for a receipt.
    pub(crate) fn fetched(alert: Alert, frame: Option<Vec<u8>>) -> Self {
        Self {
            origin: Origin::Fetched,
            bytes: size(frame.as_deref()),
            alert,
            frame,
        }
    }

    /// Whether it came by itself.
    pub(crate) fn is_pushed(&self) -> bool {
        matches!(self.origin, Origin::Pushed(_))
    }
}

fn size(frame: Option<&[u8]>) -> usize {
    ALERT_OVERHEAD_BYTES + frame.map_or(0, <[u8]>::len)
}
