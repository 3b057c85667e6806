//! The routes of a configuration, and the step.

use std::time::Duration;

use super::{
    AlertAct, AlertCommand, CancelReason, Cancellation, CancelledAlerts, Effects, MatchCondition,
    PlannedDelivery, RouteReason, RoutingEvent, RoutingState, Suppression,
};
use crate::{Actor, Alert, AlertKind, Severity, UnixMillis};

/// A sink as the router knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name in the configuration.
    pub name: String,
    /// Alerts older than this are not worth delivering; `None` means for ever.
    pub max_age: Option<Duration>,
    /// Whether its deliveries are cancelled once their alert is acknowledged.
    pub cancel_on_acknowledge: bool,
    /// Whether it gets internal events, with or without routes.
    pub events: bool,
    /// Whether its deliveries are made from memory while the store can take nothing, and do not wait for that.
    pub deliver_when_full: bool,
}

/// Conditions that an alert must meet, all of them. An empty list or `None` asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Names of connections, one of which it came over.
    pub connections: Vec<String>,
    /// Kinds, one of which it is. Empty means all that cameras raise: a route takes internal events and notices only
    /// when it names them, so that a siren does not sound for a full disk, or because a client on the network wants it.
    pub kinds: Vec<AlertKind>,
    /// Stream ids, one of which it has.
    pub streams: Vec<String>,
    /// The least severity.
    pub severity: Option<Severity>,
}

/// Sends alerts that match to some sinks. Routes are asked in their order, and each that matches applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name, or its number where it has none, for explanations.
    pub name: String,
    /// What it takes.
    pub matches: Match,
    /// Names of the sinks it feeds.
    pub sinks: Vec<String>,
    /// How long after the alert came in its deliveries are due.
    pub delay: Option<Duration>,
    /// Whether no route after it is asked for what it takes.
    pub stop: bool,
}

/// The routes of a configuration. A plain value: another one can take its place between two events.
#[derive(Clone, Debug, Default)]
pub struct Router {
    targets: Vec<Target>,
    routes: Vec<Route>,
}

/// What the routes say about one sink so far.
struct Verdict {
    reason: RouteReason,
    /// How long the delivery waits, if there is one.
    delay: Duration,
}

impl Router {
    /// Routes alerts to `targets`. Sinks that routes name must be among them (the configuration checks it).
    pub fn new(targets: Vec<Target>, routes: Vec<Route>) -> Self {
        Self { targets, routes }
    }

    /// Whether deliveries to this sink are made from memory while the store can take nothing.
    pub(super) fn delivers_when_full(&self, sink: &str) -> bool {
        let target = self.targets.iter().find(|target| target.name == sink);
        target.is_some_and(|target| target.deliver_when_full)
    }

    /// What follows from an event. It depends on nothing but its arguments.
    pub fn step(&self, now: UnixMillis, state: &RoutingState, event: RoutingEvent<'_>) -> Effects {
        match event {
            RoutingEvent::Alert(alert) => self.alert(now, state, alert),
            RoutingEvent::Command(command) => Effects {
                cancellation: Some(cancellation(command)),
                ..Effects::default()
            },
        }
    }

    fn alert(&self, now: UnixMillis, state: &RoutingState, alert: &Alert) -> Effects {
        let mut effects = Effects::default();
        let (verdicts, matched) = self.verdicts(alert);
        for (target, Verdict { reason, delay }) in self.targets.iter().zip(verdicts) {
            let sink = target.name.clone();
            if !reason.delivers() {
                let sink = Some(sink);
                effects.suppressions.push(Suppression { sink, reason });
                continue;
            }
            effects.deliveries.push(PlannedDelivery {
                sink,
                due_at: (!delay.is_zero()).then(|| now + delay),
                expires_at: target.max_age.map(|age| alert.happened_at() + age),
                cancel_on_acknowledge: target.cancel_on_acknowledge,
                reason,
            });
        }
        if !matched && !self.routes.is_empty() && alert.kind != AlertKind::Hub {
            effects.suppressions.push(Suppression {
                sink: None,
                reason: RouteReason::Unmatched,
            });
            effects.state = Some(RoutingState {
                unmatched: state.unmatched.saturating_add(1),
            });
        }
        effects
    }

    /// What the routes say about each target, and whether any of them took the alert.
    fn verdicts(&self, alert: &Alert) -> (Vec<Verdict>, bool) {
        let mut verdicts: Vec<Verdict> = self
            .targets
            .iter()
            .map(|target| Verdict::before_routes(self.unrouted(target, alert)))
            .collect();
        // The route that took it and stopped.
        let (mut matched, mut stopped): (bool, Option<&Route>) = (false, None);
        for route in &self.routes {
            let refusal = route.matches.refusal(alert);
            for (target, verdict) in self.targets.iter().zip(&mut verdicts) {
                if route.sinks.contains(&target.name) {
                    verdict.hear(route, refusal, stopped);
                }
            }
            if refusal.is_none() && stopped.is_none() {
                matched = true;
                stopped = route.stop.then_some(route);
            }
        }
        (verdicts, matched)
    }

    /// What is said about a sink before any route is asked.
    fn unrouted(&self, target: &Target, alert: &Alert) -> RouteReason {
        match (alert.kind == AlertKind::Hub, self.routes.is_empty()) {
            (true, _) if target.events => RouteReason::GetsEvents,
            (true, true) => RouteReason::GetsNoEvents,
            (false, true) => RouteReason::NoRoutes,
            (_, false) => RouteReason::NotNamed,
        }
    }
}

impl Verdict {
    fn before_routes(reason: RouteReason) -> Self {
        let delay = Duration::ZERO;
        Self { reason, delay }
    }

    /// A route that names the sink takes the alert, or refuses it because of a condition. `stopped` is the route before
    /// it that took the alert and stopped. Of several that take it the one that is due first counts.
    fn hear(&mut self, route: &Route, refusal: Option<MatchCondition>, stopped: Option<&Route>) {
        let name = route.name.clone();
        match (refusal, stopped) {
            (None, None) => {
                let delay = route.delay.unwrap_or_default();
                if !self.reason.delivers() || delay < self.delay {
                    self.delay = delay;
                    self.reason = RouteReason::Matched { route: name };
                }
            }
            _ if self.reason.delivers() => {}
            (None, Some(stopped)) => {
                self.reason = RouteReason::Stopped {
                    route: stopped.name.clone(),
                    before: name,
                };
            }
            // That a route would have sent it there says more than what another one asks for.
            (Some(_), _) if matches!(self.reason, RouteReason::Stopped { .. }) => {}
            (Some(condition), _) => {
                self.reason = RouteReason::NotMatched {
                    route: name,
                    condition,
                }
            }
        }
    }
}

impl Match {
    fn takes(&self, kind: AlertKind) -> bool {
        if self.kinds.is_empty() {
            AlertKind::OF_CAMERAS.contains(&kind)
        } else {
            self.kinds.contains(&kind)
        }
    }

    /// The first condition that the alert does not meet.
    fn refusal(&self, alert: &Alert) -> Option<MatchCondition> {
        let missing = |list: &[String], word: &str| !list.is_empty() && !list.iter().any(|w| w == word);
        if missing(&self.connections, &alert.connection) {
            Some(MatchCondition::Connection)
        } else if !self.takes(alert.kind) {
            Some(MatchCondition::Kind)
        } else if missing(&self.streams, alert.camera_id()) {
            Some(MatchCondition::Stream)
        } else if self.severity.is_some_and(|least| alert.severity < least) {
            Some(MatchCondition::Severity)
        } else {
            None
        }
    }
}

/// An acknowledgement cancels what its own row says it cancels, but for the delivery at which it was made.
fn cancellation(AlertCommand { act, by }: &AlertCommand) -> Cancellation {
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
        Actor::Operator => None,
        Actor::Sink(name) => Some(name.clone()),
    };
    Cancellation {
        alerts,
        except,
        reason,
    }
}
