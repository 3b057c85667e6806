//! What one commit consists of. Plain data.

use std::collections::BTreeSet;
use std::time::Duration;

use watchpost_core::{Alert, AlertId, ClockStep, DeliveryState, Picture, UnixMillis};

/// Everything that goes into one transaction. It is kept as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// New alerts.
    pub arrivals: Vec<Arrival>,
    /// What became of deliveries; done after the arrivals. An update of a delivery that is no longer
    /// pending, or whose alert is gone, changes nothing.
    pub updates: Vec<DeliveryUpdate>,
    /// What has become known of alerts; done after the arrivals. One of an alert that is gone changes nothing.
    pub annotations: Vec<Annotation>,
    /// An annotated alert is late if it was received more than this after it happened; without it, that is not judged
    /// again.
    pub late_after: Option<Duration>,
    /// The wall clock was set; done after the updates.
    pub clock_step: Option<ClockStep>,
    /// Something is due of what the routing step remembers, at this time; done before the arrivals, which are what it said of
    /// that.
    pub due: Option<UnixMillis>,
    /// Names of connections that are up, whose outage was perhaps not known to be over; done before the arrivals.
    pub links_up: Vec<String>,
    /// How far the backend's records are known; done after the arrivals.
    pub checkpoints: Vec<ShopCheckpoint>,
    /// What became of attempts to fetch pictures; done after the arrivals.
    pub pictures: Vec<PictureResult>,
    /// What became of attempts to report acknowledgements to the backend.
    pub write_backs: Vec<WriteBackResult>,
    /// Names of sinks whose waiting retries shall all be due at once; done last. No more than
    /// 20,000 of a sink at a time, those that wait least first: the others keep their time.
    pub release: Vec<String>,
}

/// An alert to be stored, and routed if it is new.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// The alert. Its id is its key for ever.
    pub alert: Alert,
    /// The bytes of its picture.
    pub frame: Option<Vec<u8>>,
}

/// How far the records of a shop are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopCheckpoint {
    /// Name of the connection that sees it.
    pub connection: String,
    /// The shop.
    pub shop: String,
    /// Everything that happened before, by the backend's clock, is known.
    pub at: UnixMillis,
}

/// What the backend's own record says of an alert that came without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Which alert.
    pub alert: AlertId,
    /// The record.
    pub anomaly_id: String,
    /// The shop it is counted to.
    pub shop_id: Option<String>,
    /// When it happened.
    pub occurred_at: Option<UnixMillis>,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryUpdate {
    /// Which alert.
    pub alert: AlertId,
    /// To which sink.
    pub sink: String,
    /// Where it stands now. `Pending` means that it is tried again.
    pub state: DeliveryState,
    /// Attempts made so far.
    pub attempts: u32,
    /// When it is tried again; for a final state, when that was reached.
    pub due_at: UnixMillis,
    /// What went wrong last. Cut after 1,000 bytes.
    pub error: Option<String>,
}

/// What became of an attempt to report an acknowledgement to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteBackResult {
    /// Which alert was acknowledged.
    pub alert: AlertId,
    /// When it is tried again; `None` when there is nothing more to do.
    pub retry_at: Option<UnixMillis>,
}

/// What became of an attempt to fetch a picture. One of an alert that is gone, or whose picture is not wanted any more,
/// changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureResult {
    /// Of which alert.
    pub alert: AlertId,
    /// What became of it.
    pub outcome: PictureOutcome,
}

/// How an attempt to fetch a picture ended.
#[derive(Clone, Debug, PartialEq)]
pub enum PictureOutcome {
    /// It is here. The deliveries that wait for it are due.
    Fetched {
        /// What it measures.
        picture: Picture,
        /// Its bytes.
        frame: Vec<u8>,
    },
    /// There never will be one, for this reason. The deliveries that wait for it are due.
    Gone(String),
    /// It is tried again at this time.
    Later(UnixMillis),
}

/// What a commit has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// What became of the arrivals, in their order.
    pub receipts: Vec<Receipt>,
    /// Names of the sinks that have something more to do: new alerts, or pictures that deliveries waited for.
    pub sinks: BTreeSet<String>,
    /// What is to make no noise any more.
    pub hushed: Option<Hushed>,
}

/// Deliveries that were dropped so that they make no noise any more. What of them is in flight is to be stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hushed {
    /// Their alerts.
    pub alerts: BTreeSet<AlertId>,
    /// Their sinks.
    pub sinks: Vec<String>,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is on disk now.
    Stored,
    /// It was on disk already, or stands earlier in the same batch: the same source id or
    /// anomaly of the same connection, or the same id. Nothing of this one is kept.
    Duplicate {
        /// The alert that is kept.
        of: AlertId,
    },
}

impl Batch {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
            && self.due.is_none()
            && self.links_up.is_empty()
            && self.updates.is_empty()
            && self.release.is_empty()
            && self.clock_step.is_none()
            && self.annotations.is_empty()
            && self.checkpoints.is_empty()
            && self.write_backs.is_empty()
            && self.pictures.is_empty()
    }
}
