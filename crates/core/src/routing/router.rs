//! The routes of a configuration, and the step.

use std::borrow::Cow;
use std::time::Duration;

use super::arming::AlertMark;
use super::expectation::Expectations;
use super::matcher::{Matcher, Schedules};
use super::noise::timing;
use super::panic;
use super::sieve::Sieve;
use super::verdicts::{Verdict, Verdicts};
use super::{
    AlertAct, AlertCommand, AreaPolicy, Blocker, CancelReason, Cancellation, CancelledAlerts, Confirm,
    Effects, Expectation, LatePolicy, Match, PlannedDelivery, RouteReason, RoutingEvent, RoutingState,
    SIREN_WINDOW, Silence, SilenceCommand, Suppression,
};
use crate::{Actor, Alert, AlertKind, UnixMillis};

/// A sink as the router knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// How long a delivery waits for a picture that is still being fetched.
    pub wait_picture: Duration,
    /// What becomes of alerts that came late.
    pub late: LatePolicy,
    /// Whether it keeps the record, which is no message: a silence spares it unless it names it.
    pub keeps_record: bool,
    /// Whether it sounds only while the area of an alert is armed, and then not late.
    pub only_armed: bool,
    /// Whether it makes noise, whatever is armed: a panic that is silent is not for it.
    pub makes_noise: bool,
    /// Whether it calls people who are elsewhere: an alarm is held back from it for the abort window of its area.
    pub remote: bool,
}

/// Sends alerts that match to some sinks. Routes are asked in their order, and each that matches applies.
#[derive(Clone, Debug, PartialEq)]
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
    /// Whether it takes only what other cameras confirm.
    pub confirm: Option<Confirm>,
}

/// The routes of a configuration. A plain value: another one can take its place between two events.
#[derive(Clone, Debug, Default)]
pub struct Router {
    pub(super) targets: Vec<Target>,
    pub(super) routes: Vec<CompiledRoute>,
    /// Of each route, in their order.
    pub(super) sieves: Vec<Sieve>,
    pub(super) schedules: Schedules,
    /// `None` where nothing is known of areas: what is remembered of them stays as it is.
    pub(super) areas: Option<Vec<AreaPolicy>>,
    pub(super) expectations: Expectations,
    /// Every alert counts as confirmed.
    pub(super) assume_confirmed: bool,
}

/// A [`Route`] in the form in which it is asked.
#[derive(Clone, Debug)]
pub(super) struct CompiledRoute {
    pub(super) name: String,
    pub(super) matcher: Matcher,
    /// The sinks that it feeds, by their places among the targets.
    pub(super) sinks: Vec<usize>,
    pub(super) delay: Duration,
    pub(super) stop: bool,
    pub(super) confirm: Option<Confirm>,
}

impl Router {
    /// Routes alerts to `targets`. Sinks that routes name must be among them (the configuration checks it).
    pub fn new(targets: Vec<Target>, routes: Vec<Route>) -> Self {
        let place = |name: &String| targets.iter().position(|target| target.name == *name);
        let mut schedules = Schedules::default();
        let compiled = |route: Route| CompiledRoute {
            matcher: Matcher::new(&route.matches, &mut schedules),
            sinks: route.sinks.iter().filter_map(place).collect(),
            delay: route.delay.unwrap_or_default(),
            name: route.name,
            stop: route.stop,
            confirm: route.confirm,
        };
        let routes: Vec<CompiledRoute> = routes.into_iter().map(compiled).collect();
        let sieve = |route: &CompiledRoute| Sieve::new(route.matcher.names_of(), &route.sinks);
        Self {
            targets,
            sieves: routes.iter().map(sieve).collect(),
            routes,
            schedules,
            areas: None,
            expectations: Expectations::default(),
            assume_confirmed: false,
        }
    }

    /// The same, with what is expected to raise alerts.
    #[must_use]
    pub fn with_expectations(self, expected: Vec<Expectation>) -> Self {
        let expectations = Expectations::new(expected);
        Self { expectations, ..self }
    }

    /// The same, with all areas that there are.
    #[must_use]
    pub fn with_areas(self, areas: Vec<AreaPolicy>) -> Self {
        let areas = Some(areas);
        Self { areas, ..self }
    }

    /// The same for an alert that other cameras confirm, whatever they have seen.
    #[must_use]
    pub fn confirmed(mut self) -> Self {
        self.routes.iter_mut().for_each(|route| route.confirm = None);
        self.assume_confirmed = true;
        self
    }

    /// The areas that there are, as far as is known.
    pub(super) fn areas(&self) -> &[AreaPolicy] {
        self.areas.as_deref().unwrap_or_default()
    }

    /// When [`RoutingEvent::Due`] is to happen next.
    pub fn next_due(&self, state: &RoutingState) -> Option<UnixMillis> {
        let areas = self.areas.as_ref().and_then(|_| state.areas.next_due());
        let look = self.expectations.next_look(&state.heard);
        [state.silences.next_end(), areas, look, state.codes.next_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether there is a route of this name that asks for confirmation.
    pub(super) fn confirms(&self, name: &str) -> bool {
        let mut routes = self.routes.iter();
        routes.any(|route| route.confirm.is_some() && route.name == name)
    }

    /// Whether deliveries to this sink are made from memory while the store can take nothing.
    pub(super) fn delivers_when_full(&self, sink: &str) -> bool {
        let target = self.targets.iter().find(|target| target.name == sink);
        target.is_some_and(|target| target.deliver_when_full)
    }

    /// What follows from an event. It depends on nothing but its arguments.
    pub fn step(&self, now: UnixMillis, state: &RoutingState, event: RoutingEvent<'_>) -> Effects {
        self.step_amid(now, &[], state, event)
    }

    /// The same while this is wrong on the site, which may keep areas from being ready to arm.
    pub fn step_amid(
        &self,
        now: UnixMillis,
        faults: &[Blocker],
        state: &RoutingState,
        event: RoutingEvent<'_>,
    ) -> Effects {
        match event {
            RoutingEvent::Alert(alert) => self.alert(now, state, alert),
            RoutingEvent::Command(command) => Effects {
                cancellation: Some(cancellation(command)),
                ..Effects::default()
            },
            RoutingEvent::Silence(command) => self.silence(now, state, command),
            RoutingEvent::Arming(command) => self.arming(now, faults, state, command),
            RoutingEvent::WrongCode(sink) => wrong_code(now, state, sink),
            RoutingEvent::HeldBack { silence, alert } => {
                changed(state, |after| after.silences.hold(silence, alert))
            }
            RoutingEvent::Due => self.due(now, faults, state),
            RoutingEvent::ClockStepped(step) => changed(state, |after| {
                // Whoever asks may still go by the time before.
                let (now, millis) = (step.set_to(), step.millis);
                after.silences.shift(now, millis);
                after.areas.shift(now, millis);
                after.heard.shift(now, millis);
                after.sightings.shift(now, millis);
                after.codes.shift(now, millis);
            }),
        }
    }

    fn alert(&self, now: UnixMillis, state: &RoutingState, alert: &Alert) -> Effects {
        if let Some(digest) = &alert.digest {
            return self.digest(now, state, alert, &digest.sink);
        }
        if let Some(panic) = &alert.panic {
            return panic::route(self, now, state, (alert, panic));
        }
        let mut effects = Effects::default();
        let mut after = Cow::Borrowed(state);
        let verdicts = self.verdicts(now, state, alert);
        if let Some(sightings) = &verdicts.sightings {
            after.to_mut().sightings.clone_from(sightings);
        }
        let reasons = self.reasons(now, (state, alert), &verdicts, &mut after);
        let mark = AlertMark {
            alert,
            qualifies: self.qualifies(alert, &reasons),
        };
        let judged = state.areas.judge(now, self.areas(), mark);
        let held = Self::held(now, state, alert, judged.as_ref());
        for ((target, verdict), reason) in self.targets.iter().zip(&verdicts.of_sinks).zip(reasons) {
            let delay = verdict.delay(&reason);
            let (mut reason, not_before) = timing(target, reason, judged.as_ref(), held);
            if reason.delivers() {
                match target.late_policy(alert) {
                    LatePolicy::Each => {}
                    LatePolicy::Drop => reason = RouteReason::TooLate,
                    LatePolicy::Digest => {
                        after.to_mut().hold(now, &target.name, alert);
                        reason = RouteReason::HeldForDigest;
                    }
                }
            }
            target.decide(now, alert, (delay, not_before), reason, &mut effects);
        }
        if let Some(judged) = judged {
            self.settle(now, alert, judged, &effects, &mut after);
        }
        let asks_routes = !matches!(alert.kind, AlertKind::Hub | AlertKind::Tamper);
        if !verdicts.matched && !self.routes.is_empty() && asks_routes {
            effects.suppressions.push(Suppression {
                sink: None,
                reason: RouteReason::Unmatched,
            });
            let after = after.to_mut();
            after.unmatched = after.unmatched.saturating_add(1);
        }
        if let Some(heard) = self.expectations.hear(now, &after.heard, alert) {
            after.to_mut().heard = heard;
        }
        if let Cow::Owned(after) = after {
            effects.state = Some(after);
        }
        effects
    }

    /// What routes and silences say about each target.
    fn reasons(
        &self,
        now: UnixMillis,
        (state, alert): (&RoutingState, &Alert),
        verdicts: &Verdicts<'_>,
        after: &mut Cow<'_, RoutingState>,
    ) -> Vec<RouteReason> {
        let silences = state.silences.about(now, alert);
        let test = state.areas.testing(now, self.areas(), alert);
        let about = |(target, verdict): (&Target, &Verdict<'_>)| {
            let reason = self.reason(target, alert, (*verdict, verdicts));
            if !reason.delivers() {
                return reason;
            }
            if let Some(area) = test.filter(|_| !target.keeps_record) {
                let area = area.to_owned();
                return RouteReason::Test { area };
            }
            match target.silenced(&silences, alert, after) {
                Some(silenced) => silenced,
                // What is late is a message, and never a siren.
                None if target.only_armed && alert.late => RouteReason::TooLate,
                None if target.only_armed => self.unless_swinging(now, state, (alert, target), reason),
                None => reason,
            }
        };
        self.targets.iter().zip(&verdicts.of_sinks).map(about).collect()
    }

    /// Carries out what a person wants of silences.
    fn silence(&self, now: UnixMillis, state: &RoutingState, command: &SilenceCommand) -> Effects {
        let mut after = state.clone();
        match after.silences.carry_out(now, command) {
            Ok(silenced) => Effects {
                silenced,
                spared: self.spared(command),
                state: Some(after),
                ..Effects::default()
            },
            Err(refused) => Effects {
                refused: Some(refused.into()),
                ..Effects::default()
            },
        }
    }

    /// The sinks that a silence spares which begins with this command.
    fn spared(&self, command: &SilenceCommand) -> Vec<String> {
        let keeping = self.targets.iter().filter(|target| target.keeps_record);
        match command {
            SilenceCommand::Begin { matches, .. } if matches.sink.is_empty() => {
                keeping.map(|target| target.name.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The sum of late alerts goes to the sink that it was made for, also if that is not configured any more, and ends their
    /// waiting.
    fn digest(&self, now: UnixMillis, state: &RoutingState, alert: &Alert, sink: &str) -> Effects {
        let gone = Target {
            name: sink.to_owned(),
            ..Target::default()
        };
        let target = self.targets.iter().find(|target| target.name == sink);
        let target = target.unwrap_or(&gone);
        let mut after = state.clone();
        after.digests.remove(sink);
        Effects {
            deliveries: vec![target.plan(now, alert, (Duration::ZERO, None), RouteReason::Digest)],
            state: Some(after),
            ..Effects::default()
        }
    }
}

impl Target {
    /// Whether it gets what people are to read whatever is armed: it makes no noise.
    pub(super) fn takes_messages(&self) -> bool {
        !self.only_armed && !self.makes_noise
    }

    /// Why it does not get an alert, if one of these silences mutes it. The alert is held back by that then.
    pub(super) fn silenced(
        &self,
        silences: &[&Silence],
        alert: &Alert,
        after: &mut Cow<'_, RoutingState>,
    ) -> Option<RouteReason> {
        let mut silences = silences.iter();
        let silence = silences.find(|silence| silence.mutes(&self.name, self.keeps_record))?;
        after.to_mut().silences.hold(silence.id, alert);
        Some(RouteReason::Silenced {
            silence: silence.id,
            why: silence.why.clone(),
        })
    }

    /// Plans a delivery to it, or says why there is none.
    pub(super) fn decide(
        &self,
        now: UnixMillis,
        alert: &Alert,
        when: (Duration, Option<UnixMillis>),
        reason: RouteReason,
        effects: &mut Effects,
    ) {
        if reason.delivers() {
            effects.deliveries.push(self.plan(now, alert, when, reason));
        } else {
            let sink = Some(self.name.clone());
            effects.suppressions.push(Suppression { sink, reason });
        }
    }

    /// A delivery that is due after a delay, and not before a time.
    fn plan(
        &self,
        now: UnixMillis,
        alert: &Alert,
        (delay, not_before): (Duration, Option<UnixMillis>),
        reason: RouteReason,
    ) -> PlannedDelivery {
        // The age of what is summed up is no reason to keep silent about it.
        let max_age = self.max_age.filter(|_| alert.digest.is_none());
        let mut expires_at = max_age.map(|age| alert.happened_at() + age);
        let due_at = (!delay.is_zero()).then(|| now + delay).max(not_before);
        if self.only_armed {
            let ends = due_at.unwrap_or(now) + SIREN_WINDOW;
            expires_at = Some(expires_at.map_or(ends, |end| end.min(ends)));
        }
        PlannedDelivery {
            sink: self.name.clone(),
            due_at,
            picture_by: self.waits_for_picture(now, alert, delay, expires_at),
            expires_at,
            cancel_on_acknowledge: self.cancel_on_acknowledge,
            reason,
        }
    }

    /// Until when a delivery waits for the picture of its alert, if it does: not for one that is there or never will be, and
    /// not so long that it expires.
    fn waits_for_picture(
        &self,
        now: UnixMillis,
        alert: &Alert,
        delay: Duration,
        expires_at: Option<UnixMillis>,
    ) -> Option<UnixMillis> {
        let by = now + self.wait_picture;
        let waits =
            alert.picture.is_pending() && self.wait_picture > delay && expires_at.is_none_or(|end| by < end);
        waits.then_some(by)
    }
}

/// Nothing but another state.
fn changed(state: &RoutingState, change: impl FnOnce(&mut RoutingState)) -> Effects {
    let mut after = state.clone();
    change(&mut after);
    Effects {
        state: Some(after),
        ..Effects::default()
    }
}

/// Remembers that a code was no one's.
fn wrong_code(now: UnixMillis, state: &RoutingState, sink: &str) -> Effects {
    let mut after = state.clone();
    let given = after.codes.give(now, sink, false);
    Effects {
        refused: given.err().map(Into::into),
        state: (after != *state).then_some(after),
        ..Effects::default()
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
        Actor::Operator | Actor::Backend(_) | Actor::Schedule(_) => None,
        Actor::Sink(sink) | Actor::Person { sink, .. } => Some(sink.clone()),
    };
    Cancellation {
        alerts,
        except,
        reason,
    }
}
