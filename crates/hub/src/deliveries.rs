//! Deliveries as the outside asks for them.

use serde::{Deserialize, Serialize};
use watchpost_core::{AlertId, DeliveryState, UnixMillis};
use watchpost_store::{Delivery, Selection};

/// Which deliveries: those that meet every condition given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryQuery {
    /// Those of this alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertId>,
    /// Those to the sink of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Those of alerts received at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMillis>,
    /// Those of alerts received before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
    /// How many to list at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A delivery with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// Of which alert.
    pub alert: AlertId,
    /// To which sink.
    pub sink: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether it is cancelled once its alert is acknowledged.
    pub cancel_on_acknowledge: bool,
    /// When it is tried next; not given when that is at once, or never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<UnixMillis>,
    /// When it stops being worth anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
    /// When it reached its final state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<UnixMillis>,
    /// What went wrong last, or why it was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How many deliveries were changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// So many. None of those that are recorded later.
    pub changed: u64,
    /// Set when the store cannot be written: what this means, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred: Option<String>,
}

impl From<DeliveryQuery> for Selection {
    fn from(query: DeliveryQuery) -> Self {
        Self {
            alert: query.alert,
            sink: query.sink,
            states: query.state.into_iter().collect(),
            since: query.since,
            until: query.until,
        }
    }
}

impl From<Delivery> for DeliveryRecord {
    fn from(Delivery { alert, row }: Delivery) -> Self {
        Self {
            alert,
            sink: row.sink,
            state: row.state,
            attempts: row.attempts,
            cancel_on_acknowledge: row.cancel_on_acknowledge,
            due_at: row.due_at,
            expires_at: row.expires_at,
            finished_at: row.finished_at,
            error: row.error,
        }
    }
}
