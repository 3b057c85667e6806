//! What the parent hands to a plugin.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::FrameFd;

/// One delivery to try.
#[derive(Clone, Debug)]
pub struct Job {
    /// The caller's number for this try: below 2^63 and never used twice with the same [`Host`](crate::Host).
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

/// An alert in the words of the plugin contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertDoc {
    /// The same on every retry and for every sink: letters, digits, `-` and `_`.
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// A sentence or more.
    pub text: String,
    /// The whole alert as a JSON object.
    pub json: String,
    /// When it happened, as far as is known: milliseconds since 1970 UTC.
    pub unix_ms: u64,
}

/// How much an alert matters, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the field's own words")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}
