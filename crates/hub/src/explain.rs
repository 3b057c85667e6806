//! Why an alert went where it went: what the store wrote down when it was routed, and what became of it since. Nothing is
//! decided again, so that no change of the configuration changes what is said of the past.

use serde::{Deserialize, Serialize};
use watchpost_core::{Actor, AlertId, RouteReason, UnixMillis, Via};
use watchpost_store::{
    Acknowledgement, Delivery, DeliveryRow, HoldEnd, Reader, StoreError, StoredSuppression,
};

use crate::deliveries::DeliveryRecord;

/// In place of a reason that was not written down.
const NOT_WRITTEN_DOWN: &str = "an earlier release stored it, and did not write down why";

/// Why each sink got an alert or did not, as it was decided when the alert came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Which alert.
    pub alert: AlertId,
    /// Its title.
    pub title: String,
    /// The connection that it came over.
    pub connection: String,
    /// Further ones that it came over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_over: Vec<String>,
    /// How it came.
    pub via: Via,
    /// When it happened.
    pub happened_at: UnixMillis,
    /// When it was received.
    pub received_at: UnixMillis,
    /// Whether its picture is still being fetched. A delivery that waits for it is made as soon as it is there.
    pub picture_pending: bool,
    /// Whether there were routes and none of them took it.
    pub unmatched: bool,
    /// When it was acknowledged, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<UnixMillis>,
    /// Who has acknowledged it; not given where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<Actor>,
    /// The sinks there were when it came in: first those that it goes to.
    pub sinks: Vec<SinkExplanation>,
}

/// What was decided about one sink, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkExplanation {
    /// Its name.
    pub sink: String,
    /// Why it gets the alert or does not; not given where that was not written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RouteReason>,
    /// The same in words.
    pub why: String,
    /// What became of it where it was held for a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldExplanation>,
    /// What became of the delivery; not given where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryRecord>,
}

/// That an alert is or was held for a digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldExplanation {
    /// Until when, as far as that was known when it came in; not given where it depends on what comes after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
    /// The digest that sums it up, where there is one that names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<AlertId>,
    /// Why it is not held any more, and not in a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub let_go: Option<String>,
    /// When one or the other happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixMillis>,
}

impl HoldExplanation {
    fn new(suppression: &StoredSuppression) -> Option<Self> {
        let until = suppression.reason.holds_until();
        if until.is_none() && suppression.reason != RouteReason::HeldForDigest {
            return None;
        }
        let held = Self {
            until,
            ..Self::default()
        };
        Some(match suppression.ended.clone() {
            None => held,
            Some(HoldEnd::SummedUp { digest, at }) => Self {
                digest: Some(digest),
                ended_at: Some(at),
                ..held
            },
            Some(HoldEnd::LetGo { why, at }) => Self {
                let_go: Some(why),
                ended_at: Some(at),
                ..held
            },
        })
    }
}

/// Reads what is known of an alert.
pub(crate) fn explain(reader: &mut Reader, id: AlertId) -> Result<Option<Explanation>, StoreError> {
    let Some(stored) = reader.get(id)? else {
        return Ok(None);
    };
    let suppressions = reader.suppressions(id)?;
    let unmatched = suppressions.iter().any(|suppression| suppression.sink.is_none());
    let suppressed = suppressions.into_iter().filter_map(|suppression| {
        Some(SinkExplanation {
            hold: HoldExplanation::new(&suppression),
            sink: suppression.sink?,
            why: suppression.reason.to_string(),
            reason: Some(suppression.reason),
            delivery: None,
        })
    });
    let (acknowledged_at, acknowledged_by) = match stored.acknowledged {
        Some(Acknowledgement { at, by }) => (Some(at), by),
        None => (None, None),
    };
    let planned = stored.deliveries.into_iter().map(|row| planned(id, row));
    Ok(Some(Explanation {
        alert: id,
        connection: stored.alert.connection.clone(),
        also_over: stored.alert.also_over.clone(),
        via: stored.alert.via,
        happened_at: stored.alert.happened_at(),
        received_at: stored.alert.received_at,
        picture_pending: stored.alert.picture.is_pending(),
        title: stored.alert.title,
        unmatched,
        acknowledged_at,
        acknowledged_by,
        sinks: planned.chain(suppressed).collect(),
    }))
}

/// Why the delivery was planned, and what became of it.
fn planned(alert: AlertId, row: DeliveryRow) -> SinkExplanation {
    SinkExplanation {
        sink: row.sink.clone(),
        why: match &row.reason {
            Some(reason) => reason.to_string(),
            None => NOT_WRITTEN_DOWN.to_owned(),
        },
        reason: row.reason.clone(),
        hold: None,
        delivery: Some(Delivery { alert, row }.into()),
    }
}
