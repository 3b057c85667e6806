//! What must be so: at any time, and when all has been well for long enough.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use watchpost_core::{AlertKind, DeliveryState, UnixMillis};
use watchpost_hub::{ConnectionState, HubStatus};
use watchpost_store::{Filter, Reader, StoreError, StoredAlert};

use crate::backend::{Backend, Key};
use crate::process::CONNECTION;
use crate::scenario::SINKS;
use crate::sinks::Sinks;

/// Most alerts that are read at once.
const PAGE: u32 = 1_000;

/// Begins the name of a record that the backend cannot show.
const PLACE: &str = watchpost_store::PLACE_PREFIX;

/// What is on the hub's disk.
pub struct Stored {
    pub alerts: Vec<StoredAlert>,
}

impl Stored {
    pub fn read(dir: &Path) -> Result<Self, StoreError> {
        let mut reader = Reader::open(dir)?;
        let mut alerts = Vec::new();
        let mut filter = Filter {
            limit: PAGE,
            ..Filter::default()
        };
        loop {
            let page = reader.list(&filter)?;
            filter.before = page.last().map(|last| last.alert.id);
            let ended = page.len() < PAGE as usize;
            alerts.extend(page);
            if ended {
                return Ok(Self { alerts });
            }
        }
    }

    /// The alerts of cameras.
    fn anomalies(&self) -> impl Iterator<Item = &StoredAlert> {
        self.alerts
            .iter()
            .filter(|stored| stored.alert.kind == AlertKind::Anomaly)
    }

    /// Whether it was raised since then that a connection is away.
    pub fn says_lost(&self, since: UnixMillis) -> bool {
        let mut alerts = self.alerts.iter().map(|stored| &stored.alert);
        alerts.any(|alert| {
            alert.kind == AlertKind::Hub && alert.details.status == "link_lost" && alert.received_at >= since
        })
    }

    fn is_placeholder(stored: &StoredAlert) -> bool {
        stored
            .alert
            .anomaly_id()
            .is_some_and(|record| record.starts_with(PLACE))
            && key(stored).is_none()
    }

    /// Receipts that were sent and whose alerts are not there.
    pub fn unkept(&self, receipts: &[u64]) -> Vec<String> {
        let kept: BTreeSet<_> = self
            .anomalies()
            .filter_map(|stored| stored.alert.source_id.as_deref())
            .collect();
        let lost = receipts
            .iter()
            .filter(|number| !kept.contains(number.to_string().as_str()));
        lost.map(|number| format!("alert {number} got its receipt and is not on the disk"))
            .collect()
    }

    /// The id of the alert of an anomaly.
    pub fn alert_of(&self, wanted: &Key) -> Option<String> {
        let found = self
            .anomalies()
            .find(|stored| key(stored).as_ref() == Some(wanted));
        found.map(|stored| stored.alert.id.to_string())
    }
}

fn key(stored: &StoredAlert) -> Option<Key> {
    let fields = stored.alert.visionguard.as_ref()?;
    Some((
        stored.alert.camera_id().to_owned(),
        fields.person_id,
        fields.frame_number?,
    ))
}

/// Every row is exactly one alert, and every alert has a row.
pub fn rows(backend: &Backend, stored: &Stored) -> (Vec<String>, Vec<String>) {
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    let state = backend.state();
    let mut alerts: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    let mut placeholders = 0;
    for anomaly in stored.anomalies() {
        match key(anomaly) {
            Some(key) => alerts.entry(key).or_default().push(anomaly.alert.id.to_string()),
            None if Stored::is_placeholder(anomaly) => placeholders += 1,
            None => wrong.push(format!("alert {} has no key", anomaly.alert.id)),
        }
    }
    for (key, ids) in &alerts {
        if ids.len() > 1 {
            wrong.push(format!("{key:?} is {} alerts: {}", ids.len(), ids.join(", ")));
        }
    }
    let mut hidden = 0;
    for row in &state.rows {
        let found = alerts.remove(&row.key()).is_some();
        match (row.infinite, found) {
            (false, false) => missing.push(format!("anomaly {} is no alert", row.number)),
            (true, false) => hidden += 1,
            _ => {}
        }
    }
    if placeholders < hidden {
        missing.push(format!(
            "{hidden} rows cannot be shown, and {placeholders} alerts stand for them"
        ));
    }
    if placeholders > hidden {
        wrong.push(format!(
            "{hidden} rows cannot be shown, and {placeholders} alerts stand for them"
        ));
    }
    let without = stored
        .anomalies()
        .filter(|anomaly| anomaly.frame.is_none() && !Stored::is_placeholder(anomaly));
    missing.extend(without.map(|anomaly| format!("alert {} has no picture", anomaly.alert.id)));
    let made_up = alerts.keys().filter(|key| !state.rowless.contains(*key));
    wrong.extend(made_up.map(|key| format!("{key:?} was never raised")));
    (missing, wrong)
}

/// Every delivery was made that is said to be, and none waits.
pub fn deliveries(stored: &Stored, sinks: &Sinks, crashed: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    let made: BTreeMap<_, _> = SINKS
        .into_iter()
        .map(|sink| (sink, sinks.delivered(sink)))
        .collect();
    for anomaly in stored.anomalies() {
        let id = anomaly.alert.id.to_string();
        for sink in SINKS {
            let Some(row) = anomaly.deliveries.iter().find(|row| row.sink == sink) else {
                wrong.push(format!("alert {id} has no delivery to {sink}"));
                continue;
            };
            let is_made = made[sink].contains(&id);
            match row.state {
                DeliveryState::Pending => missing.push(format!("the delivery of {id} to {sink} waits")),
                DeliveryState::Delivered if !is_made => {
                    wrong.push(format!(
                        "{id} is said to be delivered to {sink}, which never got it"
                    ));
                }
                DeliveryState::Delivered => {}
                DeliveryState::Dropped if anomaly.acknowledged.is_some() && row.cancel_on_acknowledge => {}
                DeliveryState::Dead if crashed.contains(sink) => {}
                state => wrong.push(format!("the delivery of {id} to {sink} is {state:?}")),
            }
        }
    }
    (missing, wrong)
}

/// What the status says is so, when all is well.
pub fn status(status: &HubStatus, backend: &Backend, user: usize, bad_shop: bool) -> Vec<String> {
    let mut missing = Vec::new();
    let Some(connection) = status
        .connections
        .iter()
        .find(|connection| connection.name == CONNECTION)
    else {
        return vec!["the status has no connection".to_owned()];
    };
    if connection.state != ConnectionState::Connected {
        let why = connection.last_failure.as_ref().map(|failure| &failure.what);
        missing.push(format!("the connection is {:?}: {why:?}", connection.state));
    }
    if backend.hub_holds_slot(user).is_none() {
        missing.push("the backend does not send its alerts to the hub".to_owned());
    }
    match connection
        .link
        .as_ref()
        .and_then(|link| link.list_failure.as_ref())
    {
        Some(failure) if !bad_shop => missing.push(failure.what.clone()),
        None if bad_shop => missing.push("the status does not say that a shop cannot be read".to_owned()),
        _ => {}
    }
    if let Some(error) = &status.store.error {
        missing.push(format!("the store: {error}"));
    }
    for sink in &status.sinks {
        if sink.down_since.is_some() || sink.pid.is_none() {
            missing.push(format!(
                "sink {} is {:?}: {:?}",
                sink.name, sink.state, sink.last_error
            ));
        }
    }
    missing
}
