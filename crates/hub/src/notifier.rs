//! What wakes a sink's actor: the store has something for it, or something in flight has to stop.
//!
//! A siren must fall silent also while the disk is full. So a stop goes around the store: whoever asks for it leaves a
//! [`StopRequest`] here, which holds until the store has recorded what was asked for. Until then the actor cancels what
//! it covers and starts nothing that it covers, whatever the store still shows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::{Notify, watch};
use watchpost_core::{Alert, AlertId, DeliveryState, Hush};
use watchpost_sinkhost_client::FrameFd;
use watchpost_store::{Hushed, Selection};

/// Stop requests of one sink that are kept one by one. While there are more, all its deliveries are stopped: one too
/// many is made again once the store has recorded them.
const MAX_STOP_REQUESTS: usize = 1_024;

/// Which deliveries have to stop at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StopRequest {
    /// This alert was acknowledged or dismissed: its deliveries that are cancelled by that.
    Acknowledged(AlertId),
    /// The live list was cleared: all deliveries that are cancelled by that.
    Cleared,
    /// The operator drops these deliveries.
    Dropped(Selection),
    /// These are to make no noise any more: their area is disarmed, or its alarm is over.
    Hushed(Hushed),
}

impl StopRequest {
    /// Whether it means the delivery of this alert to this sink. `cancel_on_acknowledge` says whether that delivery is
    /// cancelled once its alert is acknowledged.
    fn covers(&self, alert: AlertId, sink: &str, cancel_on_acknowledge: bool) -> bool {
        match self {
            Self::Acknowledged(acknowledged) => cancel_on_acknowledge && *acknowledged == alert,
            Self::Cleared => cancel_on_acknowledge,
            Self::Dropped(selection) => selection.matches(alert, sink, DeliveryState::Pending),
            Self::Hushed(hushed) => {
                hushed.alerts.contains(&alert) && hushed.sinks.iter().any(|name| name == sink)
            }
        }
    }
}

/// A delivery that the store cannot take now, and that does not wait for it.
#[derive(Debug)]
pub(crate) struct MemoryDelivery {
    pub(crate) alert: Alert,
    pub(crate) frame: Option<FrameFd>,
    /// Whether it is cancelled once its alert is acknowledged.
    pub(crate) cancel_on_acknowledge: bool,
}

/// Wakes one sink, says what it has to stop, and hands over what it is to deliver without the store.
#[derive(Debug)]
pub(crate) struct SinkNotifier {
    notify: Notify,
    stops: Mutex<Stops>,
    offered: Mutex<Offered>,
}

/// What was offered to a sink while the store could take nothing.
#[derive(Debug, Default)]
struct Offered {
    /// What the sink has not taken yet; the writer bounds it.
    waiting: VecDeque<MemoryDelivery>,
    /// The alerts that it has taken, without their pictures.
    taken: Vec<Alert>,
}

/// The stop requests of one sink.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stops {
    sink: String,
    last_id: u64,
    requests: BTreeMap<u64, (StopRequest, Hold)>,
    /// Requests beyond the limit that are not recorded.
    overflow: usize,
    /// Such requests were recorded since the last fetch began.
    overflow_recorded: bool,
}

/// How far a stop request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// The store does not show it.
    Unrecorded,
    /// The store shows it to whoever begins to read now. A fetch that began before may still bring what it covers.
    Recorded,
}

impl Stops {
    /// Whether the delivery of this alert has to stop, or must not be started.
    pub(crate) fn cover(&self, alert: AlertId, cancel_on_acknowledge: bool) -> bool {
        let mut requests = self.requests.values();
        self.overflow > 0
            || self.overflow_recorded
            || requests.any(|(request, _)| request.covers(alert, &self.sink, cancel_on_acknowledge))
    }

    fn add(&mut self, request: StopRequest) -> u64 {
        self.last_id += 1;
        if self.requests.len() < MAX_STOP_REQUESTS {
            self.requests.insert(self.last_id, (request, Hold::Unrecorded));
        } else {
            self.overflow += 1;
        }
        self.last_id
    }

    fn recorded(&mut self, id: u64) {
        match self.requests.get_mut(&id) {
            Some((_, hold)) => *hold = Hold::Recorded,
            None => {
                self.overflow = self.overflow.saturating_sub(1);
                self.overflow_recorded = true;
            }
        }
    }

    fn forget_recorded(&mut self) {
        self.requests.retain(|_, (_, hold)| *hold == Hold::Unrecorded);
        self.overflow_recorded = false;
    }
}

impl SinkNotifier {
    fn new(sink: &str) -> Self {
        Self {
            notify: Notify::new(),
            stops: Mutex::new(Stops {
                sink: sink.to_owned(),
                ..Stops::default()
            }),
            offered: Mutex::default(),
        }
    }

    /// Something is due, or something is to stop.
    pub(crate) fn notify(&self) {
        self.notify.notify_one();
    }

    /// Has the sink make this delivery, which the store cannot take now.
    pub(crate) fn offer(&self, delivery: MemoryDelivery) {
        self.offered().waiting.push_back(delivery);
        self.notify();
    }

    /// The oldest delivery that was offered and not taken.
    pub(crate) fn take_offered(&self) -> Option<MemoryDelivery> {
        let mut offered = self.offered();
        let delivery = offered.waiting.pop_front()?;
        offered.taken.push(delivery.alert.clone());
        Some(delivery)
    }

    /// Of what was offered while the store could take nothing, the alerts that this noise is about.
    fn offered_noise(&self, hush: &Hush) -> Vec<AlertId> {
        let (sink, offered) = (self.lock().sink.clone(), self.offered());
        let waiting = offered.waiting.iter().map(|delivery| &delivery.alert);
        let alerts = offered.taken.iter().chain(waiting);
        alerts
            .filter(|alert| hush.covers(alert, &sink))
            .map(|alert| alert.id)
            .collect()
    }

    /// The store can take what was offered and not taken: the sink finds it there.
    pub(crate) fn withdraw_offered(&self) {
        *self.offered() = Offered::default();
    }

    fn offered(&self) -> MutexGuard<'_, Offered> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is a notification.
    pub(crate) async fn notified(&self) {
        self.notify.notified().await;
    }

    /// What has to stop, or must not be started. To be asked when the actor is woken and when a fetch has brought
    /// something.
    pub(crate) fn stops(&self) -> Stops {
        self.lock().clone()
    }

    /// What a fetch that begins now must leave where it is. Requests that the store shows are forgotten, so there must
    /// be no other fetch in flight.
    pub(crate) fn begin_fetch(&self) -> Stops {
        let mut stops = self.lock();
        stops.forget_recorded();
        stops.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Stops> {
        self.stops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The notifiers of all sinks, by name. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct SinkNotifiers(Arc<RwLock<BTreeMap<String, Arc<SinkNotifier>>>>);

impl SinkNotifiers {
    /// That of the sink of this name. A new one if it has none: what a sink has to stop is its successor's to stop too.
    pub(crate) fn of(&self, sink: &str) -> Arc<SinkNotifier> {
        let mut notifiers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(SinkNotifier::new(sink));
        Arc::clone(notifiers.entry(sink.to_owned()).or_insert_with(new))
    }

    /// The sink has ended, and no other of its name follows.
    pub(crate) fn remove(&self, sink: &str) {
        let mut notifiers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        notifiers.remove(sink);
    }

    /// Wakes the sink of this name, if there is one.
    pub(crate) fn notify(&self, sink: &str) {
        if let Some(notifier) = self.read().get(sink) {
            notifier.notify();
        }
    }

    /// Has the sink of this name make a delivery that the store cannot take now.
    pub(crate) fn offer(&self, sink: &str, delivery: MemoryDelivery) {
        if let Some(notifier) = self.read().get(sink) {
            notifier.offer(delivery);
        }
    }

    /// Wakes all sinks.
    pub(crate) fn notify_all(&self) {
        self.read().values().for_each(|notifier| notifier.notify());
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<SinkNotifier>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store has dropped what makes noise: stops what of that is in flight.
    pub(crate) fn hush(&self, hushed: &Hushed) {
        drop(self.stop(&StopRequest::Hushed(hushed.clone()), None));
    }

    /// Of what was offered while the store could take nothing, the alerts that this noise is about.
    pub(crate) fn offered_noise(&self, hush: &Hush) -> Vec<AlertId> {
        let notifiers = self.read();
        let noise = notifiers
            .values()
            .flat_map(|notifier| notifier.offered_noise(hush));
        noise.collect()
    }

    /// The store can take what was offered to the sinks.
    pub(crate) fn withdraw_offered(&self) {
        self.read()
            .values()
            .for_each(|notifier| notifier.withdraw_offered());
    }

    /// Stops at once what the request covers, except at the sink `except`, until the hold is dropped: when the store
    /// has recorded it.
    pub(crate) fn stop(&self, request: &StopRequest, except: Option<&str>) -> StopHold {
        let notifiers = self.read();
        let concerned = notifiers.iter().filter(|(sink, _)| {
            let named = match request {
                StopRequest::Dropped(selection) => selection.sink.as_ref().is_none_or(|named| named == *sink),
                StopRequest::Hushed(hushed) => hushed.sinks.contains(sink),
                StopRequest::Acknowledged(_) | StopRequest::Cleared => true,
            };
            named && except != Some(sink.as_str())
        });
        let stop = |(_, notifier): (_, &Arc<SinkNotifier>)| {
            let id = notifier.lock().add(request.clone());
            notifier.notify();
            (Arc::clone(notifier), id)
        };
        StopHold(concerned.map(stop).collect())
    }
}

/// Keeps a stop request in force. Dropped when the store has recorded what was asked for, or never will.
#[derive(Debug)]
pub(crate) struct StopHold(Vec<(Arc<SinkNotifier>, u64)>);

impl Drop for StopHold {
    fn drop(&mut self) {
        for (notifier, id) in &self.0 {
            notifier.lock().recorded(*id);
            notifier.notify();
        }
    }
}

/// Wakes connections: what they report to their backend may have become due. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct WriteBackNotifier(watch::Sender<()>);

impl WriteBackNotifier {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// The store has something new to report.
    pub(crate) fn notify(&self) {
        self.0.send_replace(());
    }

    /// Sees each notification from now on, also those that come between two waits.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sirens() -> SinkNotifiers {
        let notifiers = SinkNotifiers::default();
        for sink in ["siren", "mail"] {
            notifiers.of(sink);
        }
        notifiers
    }

    fn covers(notifiers: &SinkNotifiers, sink: &str, alert: u64, cancel_on_acknowledge: bool) -> bool {
        let notifier = notifiers.of(sink);
        notifier.stops().cover(AlertId(alert), cancel_on_acknowledge)
    }

    #[test]
    fn an_acknowledged_alert_stops_only_what_is_cancelled_by_that_and_not_where_it_was_acknowledged() {
        let notifiers = sirens();
        let _hold = notifiers.stop(&StopRequest::Acknowledged(AlertId(7)), Some("mail"));
        assert!(covers(&notifiers, "siren", 7, true));
        assert!(!covers(&notifiers, "siren", 7, false));
        assert!(!covers(&notifiers, "siren", 8, true));
        assert!(!covers(&notifiers, "mail", 7, true));
    }

    #[test]
    fn dropped_deliveries_stop_at_the_sink_that_is_named() {
        let notifiers = sirens();
        let selection = Selection {
            sink: Some("siren".to_owned()),
            ..Selection::default()
        };
        let _hold = notifiers.stop(&StopRequest::Dropped(selection), None);
        assert!(covers(&notifiers, "siren", 7, false));
        assert!(!covers(&notifiers, "mail", 7, false));
    }

    #[test]
    fn a_recorded_stop_holds_for_the_fetch_in_flight_and_is_forgotten_by_the_next() {
        let notifiers = sirens();
        let hold = notifiers.stop(&StopRequest::Cleared, None);
        let siren = notifiers.of("siren");
        assert!(siren.begin_fetch().cover(AlertId(7), true));
        drop(hold);
        assert!(covers(&notifiers, "siren", 7, true), "the fetch began before");
        assert!(!siren.begin_fetch().cover(AlertId(7), true));
        assert!(!covers(&notifiers, "siren", 7, true));
    }

    #[test]
    fn more_requests_than_are_kept_stop_everything_until_they_are_recorded() {
        let notifiers = sirens();
        let acknowledge = |alert| notifiers.stop(&StopRequest::Acknowledged(AlertId(alert)), None);
        let mut holds: Vec<_> = (0..1_024).map(acknowledge).collect();
        assert!(!covers(&notifiers, "siren", 5_000, true));
        holds.push(acknowledge(2_000));
        assert!(covers(&notifiers, "siren", 5_000, false));
        drop(holds.pop());
        let siren = notifiers.of("siren");
        assert!(!siren.begin_fetch().cover(AlertId(5_000), true));
        assert!(covers(&notifiers, "siren", 1_023, true));
    }
}
