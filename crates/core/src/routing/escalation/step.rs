//! Escalation as a part of the routing step: what a policy means for an alert that its route takes, and for its own messages.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use super::note::{DueStep, EscalationEnd, EscalationEvent, StepNote};
use super::policy::{Policy, Position, Require};
use super::{Escalation, EscalationKey, Escalations, MAX_ESCALATIONS, RoutePolicy};
use crate::routing::router::CompiledRoute;
use crate::routing::{Actor, Effects, GroupKey, RouteReason, RoutingState, Silence, Suppression, Target};
use crate::{Alert, AlertId, Details, UnixMillis};

/// The policies of a configuration, and the sinks that they name.
#[derive(Clone, Copy)]
pub(in crate::routing) struct Escalating<'a> {
    pub(in crate::routing) policies: &'a [Policy],
    pub(in crate::routing) targets: &'a [Target],
    pub(in crate::routing) routes: &'a [CompiledRoute],
}

/// What a policy means for an alert.
#[derive(Clone, Debug)]
pub(in crate::routing) struct Plan<'a> {
    key: EscalationKey,
    policy: &'a Policy,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// It begins with the alert, or begins again.
    Begins,
    /// Nothing, as all its sinks are silenced, or the area is in test mode: each says so.
    Nothing,
    /// The alert is a part of one that goes on, or that a person has acknowledged.
    Joins { of: AlertId, taken_by: Option<Actor> },
}

impl Plan<'_> {
    /// The sinks that get the alert itself, as the first step is for them and has no delay.
    fn first(&self) -> Option<&[String]> {
        let first = self.policy.steps.first()?;
        let at_once = matches!(self.what, What::Begins) && first.after.is_zero();
        at_once.then_some(&first.sinks)
    }

    /// Why a sink gets the alert or does not, where the policy names it.
    fn reason(&self, now: UnixMillis, sink: &str) -> Option<RouteReason> {
        let (policy, step) = (self.policy.name.clone(), self.policy.step_of(sink)?);
        Some(match &self.what {
            What::Begins
                if self
                    .first()
                    .is_some_and(|first| first.iter().any(|name| name == sink)) =>
            {
                RouteReason::Escalated { policy }
            }
            What::Nothing => RouteReason::Escalated { policy },
            What::Begins => RouteReason::LaterStep {
                due_at: now + self.policy.time_to(step),
                policy,
                step,
            },
            What::Joins { of, taken_by } => RouteReason::InEscalation {
                policy,
                alert: *of,
                acknowledged_by: taken_by.clone(),
            },
        })
    }
}

impl<'a> Escalating<'a> {
    pub(in crate::routing) fn policy(&self, name: &str) -> Option<&'a Policy> {
        self.policies.iter().find(|policy| policy.name == name)
    }

    /// What policies mean for an alert, by the routes that take it. `tested`: its area is in test mode.
    pub(in crate::routing) fn plans(
        &self,
        now: UnixMillis,
        (state, alert): (&RoutingState, &Alert),
        (routes, tested): (&[(&str, &RoutePolicy)], bool),
    ) -> Vec<Plan<'a>> {
        if routes.is_empty() || alert.escalation.is_some() {
            return Vec::new();
        }
        let silences = state.silences.about(now, alert);
        let mut plans = Vec::new();
        for (route, RoutePolicy { name, by }) in routes {
            let Some(policy) = self.policy(name) else { continue };
            let mut sinks = policy.steps.iter().flat_map(|step| &step.sinks);
            let silenced = sinks.all(|sink| self.is_silenced(sink, &silences));
            let key = state.escalations.key(name, route, &GroupKey::of(by, alert));
            let known = state.escalations.active.get(&key);
            let what = match known.filter(|known| known.includes(alert)) {
                _ if silenced || tested => What::Nothing,
                Some(known) => What::Joins {
                    of: known.alert(),
                    taken_by: known.taken_by().cloned(),
                },
                None => What::Begins,
            };
            plans.push(Plan { key, policy, what });
        }
        plans
    }

    /// Whether a route of the configuration has the policy.
    fn is_used(&self, key: &EscalationKey) -> bool {
        let policy = |route: &CompiledRoute| {
            route
                .policy
                .as_ref()
                .is_some_and(|policy| policy.name == key.policy)
        };
        self.routes
            .iter()
            .any(|route| route.name == key.route && policy(route))
    }

    fn is_silenced(&self, sink: &str, silences: &[&Silence]) -> bool {
        let target = self.targets.iter().find(|target| target.name == sink);
        let keeps_record = target.is_some_and(|target| target.keeps_record);
        silences.iter().any(|silence| silence.mutes(sink, keeps_record))
    }

    /// Why a sink gets an alert, or does not, as policies have it. What sends it there at once says more than all else.
    pub(in crate::routing) fn reason(
        now: UnixMillis,
        plans: &[Plan<'_>],
        sink: &str,
        reason: RouteReason,
    ) -> RouteReason {
        let reasons = plans.iter().filter_map(|plan| plan.reason(now, sink));
        let mut reasons: Vec<RouteReason> = reasons.collect();
        match reasons.iter().position(RouteReason::delivers) {
            Some(place) => reasons.swap_remove(place),
            None if reason.delivers() => reason,
            None => reasons.into_iter().next().unwrap_or(reason),
        }
    }

    /// Remembers what policies mean for an alert, of which this follows.
    pub(in crate::routing) fn settle(
        now: UnixMillis,
        alert: &Alert,
        plans: Vec<Plan<'_>>,
        effects: &mut Effects,
        after: &mut Cow<'_, RoutingState>,
    ) {
        for plan in plans {
            let escalations = &mut after.to_mut().escalations;
            if !matches!(plan.what, What::Begins) {
                let known = escalations.active.get_mut(&plan.key);
                if let (What::Joins { .. }, Some(known)) = (plan.what, known) {
                    known.join(alert);
                }
                continue;
            }
            let mut escalation = Escalation::begin(now, alert, plan.policy);
            // A step that is for no one is not waited for.
            if let Some(first) = plan.first().filter(|first| !first.is_empty()) {
                let mut sinks = BTreeSet::new();
                let planned = effects.deliveries.iter_mut();
                for planned in planned.filter(|planned| first.contains(&planned.sink)) {
                    planned.cancel_on_acknowledge |= plan.policy.require == Require::Any;
                    sinks.insert(planned.sink.clone());
                }
                escalation.sent(now, plan.policy, (alert.id, Position::default()), sinks);
            }
            escalations.active.insert(plan.key, escalation);
        }
    }

    /// The message of a step goes to the sinks of that, and the step after it is next.
    pub(in crate::routing) fn message(
        &self,
        now: UnixMillis,
        state: &RoutingState,
        alert: &Alert,
    ) -> Effects {
        let mut effects = Effects::default();
        let note = alert.escalation.as_ref();
        let Some((note, step)) = note.and_then(|note| Some((note, note.step.as_ref()?))) else {
            return effects;
        };
        let key = EscalationKey {
            policy: note.policy.clone(),
            route: step.route.clone(),
            group: step.group.clone(),
        };
        let (Some(policy), Some(known)) = (self.policy(&note.policy), state.escalations.active.get(&key))
        else {
            return effects;
        };
        let at = step.position();
        if known.next().is_none_or(|(next, _)| next != at) {
            return effects;
        }
        let silences = state.silences.about(now, &subject(alert, step));
        let mut after = Cow::Borrowed(state);
        let wanting: Vec<&str> = self.wanting(policy, known, at).collect();
        for target in self
            .targets
            .iter()
            .filter(|target| wanting.contains(&target.name.as_str()))
        {
            let held_until = alert.area().and_then(|area| state.areas.held_until(now, area));
            let held_until = held_until.filter(|_| target.remote);
            let reason = RouteReason::EscalationStep {
                policy: policy.name.clone(),
                step: step.number,
                alert: note.alert,
            };
            match target.silenced(&silences, alert, &mut after) {
                None => {
                    let mut planned = target.plan(now, alert, (Duration::ZERO, held_until), reason);
                    planned.cancel_on_acknowledge |= policy.require == Require::Any;
                    effects.deliveries.push(planned);
                }
                Some(reason) => effects.suppressions.push(Suppression {
                    sink: Some(target.name.clone()),
                    reason,
                }),
            }
        }
        let sinks = effects
            .deliveries
            .iter()
            .map(|planned| planned.sink.clone())
            .collect();
        if let Some(known) = after.to_mut().escalations.active.get_mut(&key) {
            known.sent(now, policy, (alert.id, at), sinks);
        }
        effects.state = Some(after.into_owned());
        effects
    }

    /// The sinks that get the message at a position.
    fn wanting<'s>(
        &'s self,
        policy: &'s Policy,
        known: &'s Escalation,
        at: Position,
    ) -> impl Iterator<Item = &'s str> {
        let sinks = policy.step(at).map_or(&[][..], |step| &step.sinks);
        let is_there = |sink: &&str| self.targets.iter().any(|target| target.name == *sink);
        known.wanting(sinks).filter(is_there)
    }

    /// A message that is due.
    pub(in crate::routing) fn due_step(&self, now: UnixMillis, escalations: &Escalations) -> Option<DueStep> {
        let mut due = escalations.active.iter().filter(|(_, known)| known.due() <= now);
        due.find_map(|(key, known)| {
            let (policy, (at, _)) = (self.policy(&key.policy)?, known.next()?);
            let is_for_any = self.is_used(key) && self.wanting(policy, known, at).next().is_some();
            is_for_any.then(|| DueStep {
                key: key.clone(),
                at,
                escalation: known.clone(),
            })
        })
    }

    /// Does what is due but for messages. What is not configured any more is over.
    pub(in crate::routing) fn advance(&self, now: UnixMillis, escalations: &mut Escalations) {
        let Escalations { active, news } = escalations;
        active.retain(|key, known| {
            known.go_on_by(now);
            let policy = self.policy(&key.policy).filter(|_| self.is_used(key));
            let Some(policy) = policy else {
                if known.taken_by().is_none() {
                    news.push(EscalationEvent::new(key, known, EscalationEnd::NotConfigured));
                }
                return false;
            };
            if known.taken_by().is_some() && known.due() <= now && !known.expire(now, policy) {
                return false;
            }
            while let Some((at, _)) = known.next().filter(|_| known.due() <= now) {
                if policy.step(at).is_none() {
                    news.push(EscalationEvent::new(key, known, EscalationEnd::Exhausted));
                    return false;
                }
                if self.wanting(policy, known, at).next().is_some() {
                    return true;
                }
                known.skip(now, policy);
            }
            true
        });
    }

    /// A sink does not get an alert.
    pub(in crate::routing) fn undelivered(
        &self,
        now: UnixMillis,
        (alert, sink): (AlertId, &str),
        escalations: &mut Escalations,
    ) {
        let active = escalations.active.iter_mut();
        for (key, known) in active.filter(|(_, known)| known.awaits(alert, sink)) {
            if let Some(policy) = self.policy(&key.policy) {
                known.undelivered(now, policy, sink);
            }
        }
    }
}

impl Escalations {
    /// The escalation of a group; beyond the most that there may be the one that all others share.
    fn key(&self, policy: &str, route: &str, group: &GroupKey) -> EscalationKey {
        let key = |group: &GroupKey| EscalationKey {
            policy: policy.to_owned(),
            route: route.to_owned(),
            group: group.clone(),
        };
        let own = key(group);
        let of_route = |key: &&EscalationKey| key.policy == policy && key.route == route;
        let is_one_more =
            !self.active.contains_key(&own) && self.active.keys().filter(of_route).count() >= MAX_ESCALATIONS;
        if is_one_more {
            key(&GroupKey::default())
        } else {
            own
        }
    }
}

/// The alert that a message is about, as far as silences ask.
fn subject(message: &Alert, step: &StepNote) -> Alert {
    Alert {
        kind: step.of,
        details: Details {
            status: step.status.clone(),
            ..Details::default()
        },
        ..message.clone()
    }
}
