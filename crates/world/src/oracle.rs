//! What must be so: at any time, and when all has been well for long enough.

mod contents;
mod deliveries;
mod people;
mod slots;

pub use self::contents::contents;
pub use self::deliveries::{Deliveries, Quiet};
pub use self::people::people;
pub use self::slots::slots;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use watchpost_config::Settings;
use watchpost_core::{AlertId, AlertKind, RouteReason, UnixMillis};
use watchpost_hub::{ConnectionReport, ConnectionState, Counters, HubStatus};
use watchpost_store::{Filter, HoldEnd, Reader, StoreError, StoredAlert, StoredSuppression};

use crate::backend::{Backend, Key, Row, State};
use crate::process::CONNECTION;
use crate::scenario::SINKS;

/// Most alerts that are read at once.
const PAGE: u32 = 1_000;

/// Alerts whose notification is lost wait for ever until their socket is closed; the hub's own limit of these is far beyond what
/// an hour has.
const MAX_UNNAMED: u64 = 400;

/// Begins the name of a record that the backend cannot show.
const PLACE: &str = watchpost_store::PLACE_PREFIX;

/// What is on the hub's disk.
pub struct Stored {
    pub alerts: Vec<StoredAlert>,
    /// Why sinks did not get alerts of cameras.
    suppressed: BTreeMap<AlertId, Vec<StoredSuppression>>,
}

impl Stored {
    /// All of it.
    pub fn read(dir: &Path) -> Result<Self, StoreError> {
        let mut reader = Reader::open(dir)?;
        let (mut alerts, mut suppressed) = (Vec::new(), BTreeMap::new());
        let mut filter = Filter {
            limit: PAGE,
            ..Filter::default()
        };
        loop {
            let page = reader.list(&filter)?;
            filter.before = page.last().map(|last| last.alert.id);
            let ended = page.len() < PAGE as usize;
            for stored in &page {
                let id = stored.alert.id;
                if stored.alert.kind == AlertKind::Anomaly && stored.deliveries.len() < SINKS.len() {
                    suppressed.insert(id, reader.suppressions(id)?);
                }
            }
            alerts.extend(page);
            if ended {
                return Ok(Self { alerts, suppressed });
            }
        }
    }

    /// The newest alerts, without why sinks did not get them.
    pub fn newest(dir: &Path, limit: u32) -> Result<Self, StoreError> {
        let filter = Filter {
            limit,
            ..Filter::default()
        };
        Ok(Self {
            alerts: Reader::open(dir)?.list(&filter)?,
            suppressed: BTreeMap::new(),
        })
    }

    /// The alerts of cameras.
    pub fn anomalies(&self) -> impl Iterator<Item = &StoredAlert> {
        self.alerts
            .iter()
            .filter(|stored| stored.alert.kind == AlertKind::Anomaly)
    }

    /// Why a sink did not get an alert.
    pub fn why_not(&self, alert: AlertId, sink: &str) -> Option<&RouteReason> {
        Some(&self.suppression(alert, sink)?.reason)
    }

    /// Whether an alert was held for a digest to a sink, and is not to come there any more.
    pub fn was_let_go(&self, alert: AlertId, sink: &str) -> bool {
        let ended = self
            .suppression(alert, sink)
            .and_then(|suppression| suppression.ended.as_ref());
        matches!(ended, Some(HoldEnd::LetGo { .. }))
    }

    fn suppression(&self, alert: AlertId, sink: &str) -> Option<&StoredSuppression> {
        let mut reasons = self.suppressed.get(&alert)?.iter();
        reasons.find(|reason| reason.sink.as_deref() == Some(sink))
    }

    /// Whether it was raised since then that a connection is away, or before and not taken back.
    pub fn says_lost(&self, since: UnixMillis) -> bool {
        let events = self.alerts.iter().map(|stored| &stored.alert);
        let links =
            events.filter(|alert| alert.kind == AlertKind::Hub && alert.details.status.starts_with("link_"));
        let mut losses = links.clone().filter(|alert| alert.details.status == "link_lost");
        let is_lost = links
            .max_by_key(|alert| alert.id)
            .is_some_and(|alert| alert.details.status == "link_lost");
        is_lost || losses.any(|alert| alert.received_at >= since)
    }

    fn is_placeholder(stored: &StoredAlert) -> bool {
        stored
            .alert
            .anomaly_id()
            .is_some_and(|record| record.starts_with(PLACE))
            && key(stored).is_none()
    }

    /// Receipts that were sent and whose alerts are not there, also not as the alerts that their rows had become before.
    pub fn unkept(&self, state: &State) -> Vec<String> {
        let kept: BTreeSet<_> = self
            .anomalies()
            .filter_map(|stored| stored.alert.source_id.as_deref())
            .collect();
        let keys: BTreeSet<_> = self.anomalies().filter_map(key).collect();
        let fetched: BTreeSet<_> = state
            .rows
            .iter()
            .filter(|row| keys.contains(&row.key()))
            .map(|row| row.number)
            .collect();
        let lost = state
            .receipts
            .iter()
            .filter(|number| !kept.contains(number.to_string().as_str()) && !fetched.contains(*number));
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

/// The alerts of cameras, and the placeholders of rows that the backend cannot show.
#[derive(Default)]
struct Found<'a> {
    /// The alerts, by their keys.
    alerts: BTreeMap<Key, Vec<&'a StoredAlert>>,
    /// The placeholders, by their shops and, where it is still in its place, the row.
    places: BTreeMap<(usize, Option<u64>), Vec<AlertId>>,
    wrong: Vec<String>,
}

impl<'a> Found<'a> {
    fn new(state: &State, stored: &'a Stored) -> Self {
        let mut found = Self::default();
        for anomaly in stored.anomalies() {
            let record = anomaly.alert.anomaly_id().unwrap_or_default();
            let place = record.strip_prefix(PLACE).and_then(|place| state.place(place));
            match (key(anomaly), place) {
                (Some(key), _) => found.alerts.entry(key).or_default().push(anomaly),
                (None, Some(place)) => found.places.entry(place).or_default().push(anomaly.alert.id),
                _ => found.wrong.push(format!("alert {} has no key", anomaly.alert.id)),
            }
        }
        for (key, alerts) in found.alerts.iter().filter(|(_, alerts)| alerts.len() > 1) {
            let ids: Vec<_> = alerts.iter().map(|stored| stored.alert.id.to_string()).collect();
            let text = format!("{key:?} is {} alerts: {}", ids.len(), ids.join(", "));
            found.wrong.push(text);
        }
        found
    }
}

/// The rows of a shop that cannot be shown, and what stands for them. Which placeholder stands for which of them is not to be
/// seen, only whether they are as many as they should be.
#[derive(Default)]
struct Hidden {
    /// Those without an alert that came live: each needs a placeholder.
    needed: usize,
    /// Those with one of whose record no notification has said the name: the hub cannot know that it has a row.
    nameless: usize,
    /// Those whose alert, or its name, may have come after the hub had found the row, and those that it may not have found.
    found_before: usize,
    placeholders: usize,
    /// The backend's clock was set: the place of one of them changes as others come before it, and each time it is taken for
    /// another one.
    drifts: bool,
}

impl Hidden {
    /// A row, with the alerts that came live and the placeholders in its place.
    fn add(&mut self, row: &Row, alerts: &[&StoredAlert], places: &[AlertId]) {
        let came_later = |stored: &&StoredAlert| places.iter().any(|place| *place < stored.alert.id);
        if alerts.is_empty() && row.is_before_all {
            self.found_before += 1;
        } else if alerts.is_empty() {
            self.needed += 1;
        } else if alerts.iter().all(|stored| stored.alert.anomaly_id().is_none()) {
            self.nameless += 1;
        } else if row.notified_late || alerts.iter().any(came_later) {
            self.found_before += 1;
        }
    }

    fn check(&self, shop: usize, missing: &mut Vec<String>, wrong: &mut Vec<String>) {
        let Self {
            needed,
            nameless,
            found_before,
            placeholders,
            drifts,
        } = *self;
        let text = format!(
            "of shop {shop} {placeholders} alerts stand for rows that cannot be shown, of which {needed} have no other, {nameless} one without a name, and {found_before} one that came later"
        );
        if placeholders < needed + nameless {
            missing.push(text);
        } else if !drifts && placeholders > needed + nameless + found_before {
            wrong.push(text);
        }
    }
}

/// Every row is exactly one alert, and every alert has a row. What is missing may still come; what is wrong is so for good.
pub fn rows(backend: &Backend, stored: &Stored) -> (Vec<String>, Vec<String>) {
    let state = backend.state();
    let mut found = Found::new(&state, stored);
    let (mut missing, mut wrong) = (Vec::new(), std::mem::take(&mut found.wrong));
    for row in state.rows.iter().filter(|row| !row.infinite) {
        if found.alerts.remove(&row.key()).is_none() && !row.is_before_all {
            missing.push(format!("anomaly {} is no alert", row.number));
        }
    }
    let mut shops: BTreeMap<usize, Hidden> = BTreeMap::new();
    for ((shop, _), placeholders) in &found.places {
        shops.entry(*shop).or_default().placeholders += placeholders.len();
    }
    for row in state.rows.iter().filter(|row| row.infinite) {
        let alerts = found.alerts.remove(&row.key()).unwrap_or_default();
        let places = found.places.get(&(row.shop, Some(row.number)));
        let hidden = shops.entry(row.shop).or_default();
        hidden.drifts = state.clocks > 0;
        hidden.add(row, &alerts, places.map_or(&[], Vec::as_slice));
    }
    for (shop, hidden) in shops {
        hidden.check(shop, &mut missing, &mut wrong);
    }
    let without = stored
        .anomalies()
        .filter(|anomaly| anomaly.frame.is_none() && !Stored::is_placeholder(anomaly));
    missing.extend(without.map(|anomaly| format!("alert {} has no picture", anomaly.alert.id)));
    let made_up = found.alerts.keys().filter(|key| !state.rowless.contains(*key));
    wrong.extend(made_up.map(|key| format!("{key:?} was never raised")));
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
    for connection in &status.connections {
        missing.extend(in_memory(connection));
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

/// What a connection holds in memory, which is nothing when all is well: what is never let go of would be here.
fn in_memory(connection: &ConnectionReport) -> Vec<String> {
    let (name, counters) = (&connection.name, &connection.counters);
    let link = connection.link.clone().unwrap_or_default();
    let tables = [
        ("alerts that the store has in hand", counters.unstored),
        ("bytes that the store has in hand", counters.unstored_bytes),
        (
            "alerts in hand that the list is compared with",
            link.compared_in_hand,
        ),
        (
            "alerts that wait for their notification",
            link.unnamed.saturating_sub(MAX_UNNAMED),
        ),
    ];
    let full = tables.into_iter().filter(|(_, count)| *count > 0);
    full.map(|(what, count)| format!("connection {name} holds {count} {what}"))
        .collect()
}

/// What must not be beyond its limit at any time.
pub fn limits(status: &HubStatus, settings: &Settings) -> Vec<String> {
    let mut beyond = Vec::new();
    for (connection, limit) in status.connections.iter().zip(&settings.connection) {
        let Counters {
            unstored: alerts,
            unstored_bytes: bytes,
            ..
        } = connection.counters;
        // One of any size is taken.
        if alerts > 1 && bytes > limit.intake_buffer.0 {
            beyond.push(format!("connection {} holds {bytes} bytes", connection.name));
        }
    }
    for (sink, limit) in status.sinks.iter().zip(&settings.sink) {
        if sink.in_flight > limit.in_flight {
            beyond.push(format!("sink {} has {} in flight", sink.name, sink.in_flight));
        }
    }
    beyond
}
