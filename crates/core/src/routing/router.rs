//! The routes of a configuration, and the step.

use std::borrow::Cow;
use std::time::Duration;

use super::arming::{AlertMark, Judged};
use super::escalation::{Acknowledged, Escalating, Plan};
use super::expectation::Expectations;
use super::hold::Offered;
use super::inhibition::Inhibiting;
use super::matcher::{Matcher, Schedules};
use super::noise::timing;
use super::panic;
use super::sieve::Sieve;
use super::verdicts::{Verdict, Verdicts};
use super::{
    AlertCommand, AreaPolicy, Blocker, Cancellation, Confirm, DueStep, Effects, Expectation, Grouping,
    HoldCause, HoldKey, Inhibitions, Match, Pace, Policy, RoutePolicy, RouteReason, RoutingEvent,
    RoutingState, SilenceCommand, SilenceId, Suppression, Target,
};
use crate::{Alert, AlertKind, UnixMillis};

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
    /// Whether it sends one message for many alerts, and for which.
    pub group: Option<Grouping>,
    /// Who is to hear of what it takes until that is acknowledged.
    pub policy: Option<RoutePolicy>,
    /// How long after it has said that a condition holds it says so again.
    pub repeat: Option<Duration>,
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
    pub(super) inhibitions: Inhibitions,
    pub(super) policies: Vec<Policy>,
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
    pub(super) group: Option<Grouping>,
    pub(super) policy: Option<RoutePolicy>,
    pub(super) repeat: Option<Duration>,
}

impl CompiledRoute {
    /// How long a first delivery to a sink waits, and whether further ones may.
    pub(super) fn waits(&self, target: &Target) -> (Duration, bool) {
        let group = self.group.as_ref().filter(|_| target.is_grouped());
        let wait = group.map_or(Duration::ZERO, |group| group.pace.wait);
        (self.delay + wait, group.is_some())
    }
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
            group: route.group,
            policy: route.policy,
            repeat: route.repeat,
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
            inhibitions: Inhibitions::default(),
            policies: Vec::new(),
            assume_confirmed: false,
        }
    }

    /// The same, with what is expected to raise alerts.
    #[must_use]
    pub fn with_expectations(self, expected: Vec<Expectation>) -> Self {
        let expectations = Expectations::new(expected);
        Self { expectations, ..self }
    }

    /// The same, with what is not sent while a condition holds.
    #[must_use]
    pub fn with_inhibitions(self, inhibitions: Inhibitions) -> Self {
        Self { inhibitions, ..self }
    }

    /// The same, with the policies that routes name.
    #[must_use]
    pub fn with_policies(self, policies: Vec<Policy>) -> Self {
        Self { policies, ..self }
    }

    /// What policies do.
    pub(super) fn escalating(&self) -> Escalating<'_> {
        Escalating {
            policies: &self.policies,
            targets: &self.targets,
            routes: &self.routes,
        }
    }

    /// The message of a policy that is due, if there is one. Its alert says what comes next.
    pub fn due_step(&self, now: UnixMillis, state: &RoutingState) -> Option<DueStep> {
        self.escalating().due_step(now, &state.escalations)
    }

    /// What inhibits.
    pub(super) fn inhibiting(&self) -> Inhibiting<'_> {
        Inhibiting {
            rules: &self.inhibitions,
            expectations: &self.expectations,
        }
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
        let due = [
            state.silences.next_end(),
            areas,
            look,
            state.codes.next_due(),
            state.holds.next_change(),
            state.links.next_look(),
            state.escalations.next_due(),
            self.next_repeat(state),
        ];
        due.into_iter().flatten().min()
    }

    fn next_repeat(&self, state: &RoutingState) -> Option<UnixMillis> {
        let holding = |kind, name: &str| self.inhibiting().holding(state, kind, name);
        state.repeats.next_due(holding)
    }

    /// How often the digests of a window are sent, where there is more than one; `None` also where no alert joins it any more.
    pub(super) fn pace(&self, key: &HoldKey) -> Option<Pace> {
        let HoldCause::Group { route, .. } = &key.cause else {
            return None;
        };
        let place = self.targets.iter().position(|target| target.name == key.sink)?;
        let mut routes = self.routes.iter();
        let route = routes.find(|known| known.name == *route && known.sinks.contains(&place))?;
        let group = route.group.as_ref();
        Some(group.filter(|_| self.targets[place].is_grouped())?.pace)
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
            RoutingEvent::Command(command) => self.acknowledge(now, state, command),
            RoutingEvent::Silence(command) => self.silence(now, state, command),
            RoutingEvent::Arming(command) => self.arming(now, faults, state, command),
            RoutingEvent::WrongCode(sink) => wrong_code(now, state, sink),
            RoutingEvent::HeldBack { silence, alert } => changed(state, |after| {
                after.silences.hold(silence, alert);
                let mutes = |sink: &str| self.mutes(state, silence, sink);
                let more = after.holds.silence(now, alert.id, mutes);
                after.silences.count(silence, more);
            }),
            RoutingEvent::Undelivered { alert, sink } => changed(state, |after| {
                let escalations = &mut after.escalations;
                self.escalating().undelivered(now, (alert, sink), escalations);
            }),
            RoutingEvent::LinkUp(connection) => {
                let mut after = state.clone();
                Effects {
                    unheld: self.inhibiting().link_up(now, connection, &mut after),
                    state: (after != *state).then_some(after),
                    ..Effects::default()
                }
            }
            RoutingEvent::Due => self.due(now, faults, state),
            RoutingEvent::ClockStepped(step) => changed(state, |after| {
                // Whoever asks may still go by the time before.
                let (now, millis) = (step.set_to(), step.millis);
                after.holds.shift(now, millis);
                after.silences.shift(now, millis);
                after.areas.shift(now, millis);
                after.heard.shift(now, millis);
                after.sightings.shift(now, millis);
                after.codes.shift(now, millis);
                after.links.shift(now, millis);
                after.escalations.shift(now, millis);
                after.repeats.shift(now, millis);
            }),
        }
    }

    fn alert(&self, now: UnixMillis, state: &RoutingState, alert: &Alert) -> Effects {
        if let Some(digest) = &alert.digest {
            return self.digest(now, state, alert, digest.key());
        }
        if let Some(panic) = &alert.panic {
            return panic::route(self, now, state, (alert, panic));
        }
        if alert.kind == AlertKind::Escalation {
            return self.escalating().message(now, state, alert);
        }
        let mut after = Cow::Borrowed(state);
        let mut effects = self.inhibiting().note_condition(now, alert, &mut after);
        let inhibition = self.inhibiting().inhibition(&after, alert);
        let verdicts = self.verdicts(now, state, alert);
        if let Some(sightings) = &verdicts.sightings {
            after.to_mut().sightings.clone_from(sightings);
        }
        let plans = self.plans(now, (state, alert), (&verdicts, inhibition.as_ref()));
        let asked = (&verdicts, inhibition.as_ref(), plans.as_slice());
        let reasons = self.reasons(now, (state, alert), asked, &mut after);
        let mark = AlertMark {
            alert,
            qualifies: self.qualifies(alert, &reasons),
        };
        let judged = state.areas.judge(now, self.areas(), mark);
        let held = Self::held(now, state, alert, judged.as_ref());
        let urgent = judged.as_ref().is_some_and(Judged::begins_alarm);
        verdicts.note_repeated(now, alert, &mut after);
        for ((target, verdict), reason) in self.targets.iter().zip(&verdicts.of_sinks).zip(reasons) {
            // What one route says again is not for the sinks of others.
            if alert.repeat.is_some() && matches!(verdict, Verdict::Unrouted) {
                continue;
            }
            let delay = verdict.delay(&reason);
            let escalated = matches!(reason, RouteReason::Escalated { .. });
            let (mut reason, not_before) = timing(target, reason, judged.as_ref(), held);
            if reason.delivers() && !escalated {
                let offered = Offered {
                    alert,
                    not_before,
                    urgent,
                };
                let grouping = verdict.grouping(target, alert);
                reason = target.hold(now, grouping, offered, &mut after).unwrap_or(reason);
            }
            target.decide(now, alert, (delay, not_before), reason, &mut effects);
        }
        Escalating::settle(now, alert, plans, &mut effects, &mut after);
        Inhibiting::note_inhibited(alert, inhibition, &effects, &mut after);
        if let Some(judged) = judged {
            self.settle(now, alert, judged, &effects, &mut after);
        }
        if !verdicts.matched {
            self.note_unmatched(alert, &mut effects, &mut after);
        }
        if let Some(heard) = self.expectations.hear(now, &after.heard, alert) {
            after.to_mut().heard = heard;
        }
        if let Cow::Owned(after) = after {
            effects.state = Some(after);
        }
        effects
    }

    /// Counts an alert that no route takes, though there are routes.
    fn note_unmatched(&self, alert: &Alert, effects: &mut Effects, after: &mut Cow<'_, RoutingState>) {
        let asks_routes = !matches!(alert.kind, AlertKind::Hub | AlertKind::Tamper);
        if !self.routes.is_empty() && asks_routes {
            effects.suppressions.push(Suppression {
                sink: None,
                reason: RouteReason::Unmatched,
            });
            let after = after.to_mut();
            after.unmatched = after.unmatched.saturating_add(1);
        }
    }

    /// What routes, inhibition and silences say about each target.
    fn reasons(
        &self,
        now: UnixMillis,
        (state, alert): (&RoutingState, &Alert),
        (verdicts, inhibition, plans): (&Verdicts<'_>, Option<&RouteReason>, &[Plan<'_>]),
        after: &mut Cow<'_, RoutingState>,
    ) -> Vec<RouteReason> {
        let silences = state.silences.about(now, alert);
        let test = state.areas.testing(now, self.areas(), alert);
        let about = |(target, verdict): (&Target, &Verdict<'_>)| {
            let reason = self.reason(target, alert, (*verdict, verdicts));
            let reason = Escalating::reason(now, plans, &target.name, reason);
            if !reason.delivers() {
                return reason;
            }
            if let Some(area) = test.filter(|_| !target.keeps_record) {
                let area = area.to_owned();
                return RouteReason::Test { area };
            }
            let inhibited = inhibition.filter(|_| !target.keeps_record);
            let reason = inhibited.cloned().unwrap_or(reason);
            if !reason.delivers() {
                return reason;
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

    /// Pending deliveries of what is acknowledged are cancelled, and so is what is held of it. Policies end.
    fn acknowledge(&self, now: UnixMillis, state: &RoutingState, command: &AlertCommand) -> Effects {
        let (cancellation, mut after) = (Cancellation::of(command), state.clone());
        let policy = |name: &str| self.escalating().policy(name);
        let Acknowledged { with, sinks } = after.escalations.acknowledge(now, command, policy);
        let cancels = |sink: &str| {
            let mut targets = self.targets.iter();
            targets.any(|target| target.name == sink && target.cancel_on_acknowledge)
        };
        Effects {
            let_go: after.holds.acknowledge(&cancellation, cancels),
            cancellation: Some(cancellation),
            acknowledged_with: with,
            escalated_to: sinks,
            state: (after != *state).then_some(after),
            ..Effects::default()
        }
    }

    /// Whether a silence that is not over keeps what it is about from a sink.
    fn mutes(&self, state: &RoutingState, silence: SilenceId, sink: &str) -> bool {
        let mut active = state.silences.active().iter();
        let Some(silence) = active.find(|known| known.id == silence) else {
            return false;
        };
        let target = self.targets.iter().find(|target| target.name == sink);
        silence.mutes(sink, target.is_some_and(|target| target.keeps_record))
    }

    /// The sum of what was held goes to the sink that it was made for, also if that is not configured any more, and ends its
    /// waiting.
    fn digest(&self, now: UnixMillis, state: &RoutingState, alert: &Alert, key: HoldKey) -> Effects {
        let gone = Target {
            name: key.sink.clone(),
            ..Target::default()
        };
        let target = self.targets.iter().find(|target| target.name == key.sink);
        let target = target.unwrap_or(&gone);
        let mut after = state.clone();
        after.holds.sent(now, &key, self.pace(&key), alert.severity);
        if let Some(limit) = target.limit() {
            after.holds.note_sent(now, (&target.name, limit), alert, None);
        }
        let reason = match key.cause {
            HoldCause::Late => RouteReason::Digest,
            HoldCause::Group { route, group } => RouteReason::GroupDigest { route, group },
            HoldCause::RateLimit => RouteReason::RateLimitDigest,
        };
        Effects {
            deliveries: vec![target.plan(now, alert, (Duration::ZERO, None), reason)],
            state: Some(after),
            ..Effects::default()
        }
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
