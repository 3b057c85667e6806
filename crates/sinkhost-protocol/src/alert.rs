//! An alert in the words of the plugin contract.

use serde::{Deserialize, Serialize};

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
    /// Seconds that the clocks at the site are ahead of UTC then.
    pub utc_offset_s: i32,
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
