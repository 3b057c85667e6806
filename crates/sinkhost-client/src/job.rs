//! What the parent gives a plugin to do.

use std::sync::Arc;
use std::time::Duration;

use watchpost_sinkhost_protocol::{AlertDoc, FrameFd};

/// One delivery to try.
#[derive(Clone, Debug)]
pub struct Job {
    /// The caller's number for this attempt: below 2^63 and never used twice with the same [`Host`](crate::Host).
    pub call_id: u64,
    /// 1 for the first try at this alert by this sink.
    pub attempt: u32,
    /// How long the plugin may take once it has begun.
    pub timeout: Duration,
    /// The alert. Shared, for several sinks may get the same.
    pub alert: Arc<AlertDoc>,
    /// Its pictures, at most [`MAX_FRAMES`](crate::MAX_FRAMES).
    pub frames: Vec<FrameFd>,
}
