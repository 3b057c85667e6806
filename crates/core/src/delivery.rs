//! What becomes of an alert at one sink.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a delivery stands. It begins pending and ends in exactly one of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not done: due now or at a later time.
    Pending,
    /// The sink has it.
    Delivered,
    /// Dead-lettered by the hub: the sink refused it for good, it kept crashing the plugin, or the retries ran out. The
    /// last error says why.
    Dead,
    /// Grew older than the sink's `max_age` before it could be delivered.
    Expired,
    /// Dropped: by the operator, or because its alert was acknowledged. The last error says which.
    Dropped,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Delivered,
        Self::Dead,
        Self::Expired,
        Self::Dropped,
    ];
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
        })
    }
}

/// How one attempt at a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sink has it, durably where the sink promises that.
    Delivered,
    /// It may work later.
    Retry {
        /// What the plugin said.
        note: String,
        /// The plugin knows that there is no point before this long.
        after: Option<Duration>,
    },
    /// It will never work for this alert.
    Refused {
        /// What the plugin said.
        note: String,
    },
    /// The attempt was cut short: the child died, was killed at its deadline, or was stopped.
    Broken {
        /// How, for instance `the plugin was killed by SIGSEGV`.
        note: String,
    },
    /// The attempt was cut short like the others before it: this alert crashes the plugin.
    Poisonous {
        /// How the plugin crashed, and how often.
        note: String,
    },
}

impl Outcome {
    /// What went wrong, if anything did.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Delivered => None,
            Self::Retry { note, .. }
            | Self::Refused { note }
            | Self::Broken { note }
            | Self::Poisonous { note } => Some(note),
        }
    }
}
