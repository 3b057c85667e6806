//! What follows from a routing step, as plain data.

use std::collections::BTreeSet;

use super::condition::Withheld;
use super::{
    Actor, AlertAct, AlertCommand, ArmingRefused, CancelReason, CodeRefused, LetGo, RouteReason,
    RoutingState, SilenceId, SilenceRefused,
};
use crate::{Alert, AlertId, HubEvent, UnixMillis};

/// What follows from one event. It is committed together with the event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// To whom the alert goes, at most once to each sink, in the order of the configuration.
    pub deliveries: Vec<PlannedDelivery>,
    /// Who does not get it, each with the reason.
    pub suppressions: Vec<Suppression>,
    /// Pending deliveries that are no longer wanted.
    pub cancellation: Option<Cancellation>,
    /// What is acknowledged with it, as it is a part of the same escalation.
    pub acknowledged_with: BTreeSet<AlertId>,
    /// The sinks that have messages of that, which are to stop.
    pub escalated_to: BTreeSet<String>,
    /// What was held for a digest and is not to be delivered any more, for the reason of the cancellation or of the hush.
    pub let_go: Vec<LetGo>,
    /// What is to be said of it, each an alert of its own.
    pub events: Vec<HubEvent>,
    /// A silence that has begun: what is pending is looked at once more.
    pub silenced: Option<SilenceId>,
    /// Sinks that keep the record, which it spares.
    pub spared: Vec<String>,
    /// Noise that is to stop.
    pub hush: Option<Hush>,
    /// What becomes of events that were withheld.
    pub unheld: Option<Unheld>,
    /// Why what a person wanted was not done.
    pub refused: Option<CommandRefused>,
    /// What is remembered from now on; `None` where nothing changed.
    pub state: Option<RoutingState>,
}

/// A delivery to be stored together with its alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedDelivery {
    /// Name of the sink.
    pub sink: String,
    /// When it is due; `None` at once.
    pub due_at: Option<UnixMillis>,
    /// Until when it waits for the picture of its alert, which is being fetched. It is due as soon as that is there, but
    /// not before `due_at`.
    pub picture_by: Option<UnixMillis>,
    /// When it stops being worth anything.
    pub expires_at: Option<UnixMillis>,
    /// Whether it is cancelled once its alert is acknowledged.
    pub cancel_on_acknowledge: bool,
    /// Why it is made.
    pub reason: RouteReason,
}

/// A delivery that is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Name of the sink; `None` where no route took the alert at all.
    pub sink: Option<String>,
    /// Why it is not made.
    pub reason: RouteReason,
}

/// Pending deliveries that are cancelled, of those whose own row says that an acknowledgement cancels them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// Of which alerts.
    pub alerts: CancelledAlerts,
    /// The sink where a person acknowledged the alert, whose own delivery goes on.
    pub except: Option<String>,
    /// Why.
    pub reason: CancelReason,
}

/// The alerts whose deliveries are cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelledAlerts {
    /// This one.
    One(AlertId),
    /// This one and all that are older.
    Through(AlertId),
}

/// Pending deliveries that make noise, of alerts of some areas: they are dropped, and stopped where they are in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hush {
    /// Names of the areas.
    pub areas: Vec<String>,
    /// Names of the sinks that make noise.
    pub sinks: Vec<String>,
    /// Alarms that were held back from remote sinks, which are not sent any more.
    pub unsent: Vec<Unsent>,
    /// Causes of alarms that go on elsewhere. A panic among them sounds on.
    pub going_on: BTreeSet<AlertId>,
    /// Messages of policies about what no one has to acknowledge any more.
    pub reminders: BTreeSet<AlertId>,
    /// Why.
    pub reason: CancelReason,
}

/// An alarm that was disarmed within the abort window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// The name of its area.
    pub area: String,
    /// Its first alert.
    pub from: AlertId,
    /// Names of the sinks that it was held back from.
    pub sinks: Vec<String>,
}

impl Cancellation {
    /// An acknowledgement cancels what its own row says it cancels, but for the delivery at which it was made.
    pub(super) fn of(AlertCommand { act, by }: &AlertCommand) -> Self {
        let (alerts, reason) = match *act {
            AlertAct::Acknowledge(alert) => (
                CancelledAlerts::One(alert),
                CancelReason::Acknowledged(by.clone()),
            ),
            AlertAct::Dismiss(alert) => (CancelledAlerts::One(alert), CancelReason::Dismissed(by.clone())),
            AlertAct::Clear { through } => (
                CancelledAlerts::Through(through),
                CancelReason::Cleared(by.clone()),
            ),
        };
        let except = match by {
            Actor::Operator | Actor::Backend(_) | Actor::Schedule(_) => None,
            Actor::Sink(sink) | Actor::Person { sink, .. } => Some(sink.clone()),
        };
        Self {
            alerts,
            except,
            reason,
        }
    }
}

impl Unsent {
    fn covers(&self, alert: &Alert, sink: &str) -> bool {
        let camera = alert.camera.as_ref();
        let seen = camera.is_some_and(|camera| camera.area.as_ref() == Some(&self.area));
        let said = alert.area.as_ref();
        let said = said.is_some_and(|note| note.alarm && note.name == self.area);
        (seen || said) && alert.id >= self.from && self.sinks.iter().any(|name| name == sink)
    }
}

impl Hush {
    /// Of these areas at these sinks, and of what is not sent any more, if there is anything. `going_on` are the causes of alarms
    /// that go on elsewhere, `reminders` messages of policies about what is over.
    pub fn new(
        areas: Vec<String>,
        sinks: Vec<String>,
        unsent: Vec<Unsent>,
        (going_on, reminders): (BTreeSet<AlertId>, BTreeSet<AlertId>),
        reason: CancelReason,
    ) -> Option<Self> {
        let sinks = if areas.is_empty() { Vec::new() } else { sinks };
        let no_areas = areas.is_empty() || (sinks.is_empty() && unsent.is_empty());
        let nothing = no_areas && reminders.is_empty();
        (!nothing).then_some(Self {
            areas,
            sinks,
            unsent,
            going_on,
            reminders,
            reason,
        })
    }

    /// Whether it is about this delivery.
    pub fn covers(&self, alert: &Alert, sink: &str) -> bool {
        let area = alert.area();
        // Of several areas it sounds until the last one is quiet.
        let panic = alert
            .panic
            .as_ref()
            .filter(|_| !self.going_on.contains(&alert.id));
        let of_these = area.is_some_and(|area| self.areas.iter().any(|known| known == area))
            || panic.is_some_and(|panic| self.areas.iter().any(|area| panic.is_of(area)));
        let sounds = of_these && self.sinks.iter().any(|name| name == sink);
        self.reminders.contains(&alert.id)
            || sounds
            || self.unsent.iter().any(|unsent| unsent.covers(alert, sink))
    }
}

/// Pending deliveries of events that were withheld until it was known whether a connection is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheld {
    /// Which.
    pub events: Vec<Withheld>,
    /// Whether they are dropped, each with its reason. Otherwise they are due at once.
    pub drops: bool,
}

impl Unheld {
    /// These, if there are any.
    pub(super) fn new(events: Vec<Withheld>, drops: bool) -> Option<Self> {
        (!events.is_empty()).then_some(Self { events, drops })
    }
}

/// Why what a person wants is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandRefused {
    /// Of silences.
    #[error(transparent)]
    Silence(#[from] SilenceRefused),
    /// Of areas.
    #[error(transparent)]
    Arming(#[from] ArmingRefused),
    /// For the code that came with it.
    #[error(transparent)]
    Code(#[from] CodeRefused),
}
