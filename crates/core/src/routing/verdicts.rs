//! What the routes say about an alert, sink by sink: the first of the questions. It does not know what comes after them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::arming::Protection;
use super::escalation::Plan;
use super::matcher::Asked;
use super::router::CompiledRoute;
use super::sieve::Words;
use super::{
    Confirm, Grouping, MatchCondition, Repeats, RoutePolicy, RouteReason, Router, RoutingState, Sightings,
    Target,
};
use crate::{Alert, AlertId, AlertKind, UnixMillis};

/// What all routes say about an alert.
pub(super) struct Verdicts<'a> {
    /// About each target.
    pub(super) of_sinks: Vec<Verdict<'a>>,
    /// Whether any of them took it.
    pub(super) matched: bool,
    /// What is remembered of it, where a route asks for confirmation.
    pub(super) sightings: Option<Sightings>,
    /// The routes that take it and have a policy, by their names.
    pub(super) policies: Vec<(&'a str, &'a RoutePolicy)>,
    /// The routes that take it and say it again, each with after how long.
    repeated: Vec<(&'a str, Duration)>,
    /// The alerts that confirm it, by the name of such a route.
    confirmed_by: BTreeMap<&'a str, Vec<AlertId>>,
}

/// What is said about one sink so far.
#[derive(Clone, Copy)]
pub(super) enum Verdict<'a> {
    /// No route has said anything that counts.
    Unrouted,
    /// This route takes the alert, the first that is due of those that do.
    Matched(&'a CompiledRoute),
    /// This route asks for something else.
    NotMatched(&'a CompiledRoute, MatchCondition),
    /// The same, as long as no one has asked for what.
    PassedOver(&'a CompiledRoute),
    /// This route would take it if other cameras confirmed it.
    Unconfirmed(&'a CompiledRoute, &'a Confirm),
    /// A route has kept the alert from this one.
    Stopped {
        by: &'a CompiledRoute,
        before: &'a CompiledRoute,
    },
}

impl Verdict<'_> {
    /// How long a delivery waits that is made for this reason: as long as its route says, where that is why.
    pub(super) fn delay(&self, reason: &RouteReason) -> Duration {
        match (self, reason) {
            (Self::Matched(route), RouteReason::Matched { .. } | RouteReason::Confirmed { .. }) => {
                route.delay
            }
            _ => Duration::ZERO,
        }
    }

    /// The route that takes an alert for a sink and groups it, with how. What the hub says of itself is not grouped, as it says it
    /// once, nor an attack on the alarm system.
    pub(super) fn grouping(&self, target: &Target, alert: &Alert) -> Option<(&str, &Grouping)> {
        let Self::Matched(route) = self else { return None };
        let grouped = target.is_grouped() && alert.kind.is_grouped();
        let grouping = route.group.as_ref().filter(|_| grouped)?;
        Some((&route.name, grouping))
    }
}

impl Router {
    /// What the routes say about each target.
    pub(super) fn verdicts(&self, now: UnixMillis, state: &RoutingState, alert: &Alert) -> Verdicts<'_> {
        let mut verdicts = Verdicts {
            of_sinks: vec![Verdict::Unrouted; self.targets.len()],
            matched: false,
            sightings: None,
            policies: Vec::new(),
            repeated: Vec::new(),
            confirmed_by: BTreeMap::new(),
        };
        // The route that took it and stopped.
        let mut stopped: Option<&CompiledRoute> = None;
        let protection = state.areas.protection(self.areas(), alert);
        let asked = Asked::new(alert, &self.schedules).under(protection);
        if self.assume_confirmed {
            asked.confirm();
        }
        // An internal event that is about a part of the site has further names: every route is asked.
        let words = alert.about.is_none().then(|| Words::of(alert));
        let is_condition = Repeats::concerns(alert);
        for (route, sieve) in self.routes.iter().zip(&self.sieves) {
            if alert.repeat.as_ref().is_some_and(|again| *again != route.name) {
                continue;
            }
            if words.as_ref().is_some_and(|words| !sieve.lets_through(words)) {
                sieve
                    .sinks()
                    .for_each(|sink| verdicts.of_sinks[sink].pass_over(route));
                continue;
            }
            let refusal = route.matcher.refusal(&asked);
            // What is no detection of a camera needs no confirmation.
            let asks = refusal.is_none() && stopped.is_none() && AlertKind::OF_CAMERAS.contains(&alert.kind);
            let confirm = route.confirm.as_ref().filter(|_| asks);
            let counts = confirm.is_none() || self.counts(now, state, (alert, protection), route);
            let unconfirmed = confirm.filter(|_| counts).filter(|confirm| {
                let sightings = verdicts.sightings.get_or_insert_with(|| state.sightings.clone());
                let with = sightings.note(now, (&route.name, confirm), alert);
                let missing = with.len() + 1 < confirm.count;
                verdicts.confirmed_by.insert(&route.name, with);
                missing
            });
            if confirm.is_some() && counts && unconfirmed.is_none() {
                asked.confirm();
            }
            for &sink in &route.sinks {
                match unconfirmed {
                    Some(confirm) => verdicts.of_sinks[sink].wait(route, confirm),
                    None => verdicts.of_sinks[sink].hear(&self.targets[sink], route, refusal, stopped),
                }
            }
            if refusal.is_none() && unconfirmed.is_none() && stopped.is_none() {
                verdicts.matched = true;
                let policy = route.policy.as_ref().filter(|_| counts);
                verdicts
                    .policies
                    .extend(policy.map(|policy| (route.name.as_str(), policy)));
                let repeat = route.repeat.filter(|_| is_condition);
                verdicts
                    .repeated
                    .extend(repeat.map(|again| (route.name.as_str(), again)));
                // What does not count is not confirmed, and so not kept from the routes after this one.
                stopped = (route.stop && counts).then_some(route);
            }
        }
        verdicts
            .of_sinks
            .iter_mut()
            .for_each(|verdict| verdict.say_why(&asked));
        verdicts
    }

    /// Whether an alert may confirm others for a route: one of its sinks would get it.
    fn counts(
        &self,
        now: UnixMillis,
        state: &RoutingState,
        (alert, protection): (&Alert, Protection),
        route: &CompiledRoute,
    ) -> bool {
        if state.areas.testing(now, self.areas(), alert).is_some() {
            return false;
        }
        let silences = state.silences.about(now, alert);
        route.sinks.iter().any(|&sink| {
            let target = &self.targets[sink];
            let mut silences = silences.iter();
            let muted = silences.any(|silence| silence.mutes(&target.name, target.keeps_record));
            let quiet = target.only_armed && (alert.late || protection == Protection::Disarmed);
            !muted && !quiet
        })
    }

    /// What policies mean for an alert that routes take. They mean nothing for what follows from a condition.
    pub(super) fn plans(
        &self,
        now: UnixMillis,
        (state, alert): (&RoutingState, &Alert),
        (verdicts, inhibition): (&Verdicts<'_>, Option<&RouteReason>),
    ) -> Vec<Plan<'_>> {
        if inhibition.is_some() {
            return Vec::new();
        }
        let tested = state.areas.testing(now, self.areas(), alert).is_some();
        let routes = verdicts.policies.as_slice();
        self.escalating().plans(now, (state, alert), (routes, tested))
    }

    /// Why the sink gets the alert or does not. An internal event goes to a sink that gets those whatever routes say.
    pub(super) fn reason(
        &self,
        target: &Target,
        alert: &Alert,
        (verdict, all): (Verdict<'_>, &Verdicts<'_>),
    ) -> RouteReason {
        let internal = alert.kind == AlertKind::Hub;
        if let Some(area) = &alert.area
            && area.to.contains(&target.name)
        {
            let area = area.name.clone();
            return RouteReason::GotAlarm { area };
        }
        if let Some(note) = &alert.escalation
            && note.to.contains(&target.name)
        {
            let policy = note.policy.clone();
            return RouteReason::GotEscalation { policy };
        }
        if alert.area.as_ref().is_some_and(|area| area.to_all) && target.takes_messages() {
            return RouteReason::ForAll;
        }
        match verdict {
            _ if internal && target.events && alert.repeat.is_none() => RouteReason::GetsEvents,
            // An attack on the alarm system must not be lost because routes were written for cameras.
            _ if alert.kind == AlertKind::Tamper && !all.matched && !self.routes.is_empty() => {
                RouteReason::Tamper
            }
            Verdict::Matched(route) => {
                let name = route.name.clone();
                match all.confirming(route) {
                    Some(with) => RouteReason::Confirmed { route: name, with },
                    None => RouteReason::Matched { route: name },
                }
            }
            Verdict::Unconfirmed(route, confirm) => RouteReason::Unconfirmed {
                route: route.name.clone(),
                count: confirm.count,
                seconds: confirm.within.as_secs(),
                with: all.confirming(route).unwrap_or_default(),
            },
            Verdict::NotMatched(route, condition) => RouteReason::NotMatched {
                route: route.name.clone(),
                condition,
            },
            Verdict::Stopped { by, before } => RouteReason::Stopped {
                route: by.name.clone(),
                before: before.name.clone(),
            },
            Verdict::Unrouted | Verdict::PassedOver(_) => match (internal, self.routes.is_empty()) {
                (true, true) => RouteReason::GetsNoEvents,
                (false, true) => RouteReason::NoRoutes,
                (_, false) => RouteReason::NotNamed,
            },
        }
    }
}

impl Verdicts<'_> {
    /// Remembers that a condition has begun which routes say again.
    pub(super) fn note_repeated(&self, now: UnixMillis, alert: &Alert, after: &mut Cow<'_, RoutingState>) {
        for &repeating in &self.repeated {
            after.to_mut().repeats.note(now, alert, repeating);
        }
    }

    /// The alerts that confirm it for a route, if that asks for confirmation and the alert counts.
    fn confirming(&self, route: &CompiledRoute) -> Option<Vec<AlertId>> {
        route.confirm.as_ref()?;
        self.confirmed_by.get(route.name.as_str()).cloned()
    }
}

impl<'a> Verdict<'a> {
    /// A route that names the sink would take the alert if it were confirmed, which says more than what others ask for.
    fn wait(&mut self, route: &'a CompiledRoute, confirm: &'a Confirm) {
        if !matches!(self, Self::Matched(_)) {
            *self = Self::Unconfirmed(route, confirm);
        }
    }

    /// A route that names the sink refuses the alert because of a name.
    fn pass_over(&mut self, route: &'a CompiledRoute) {
        if let Self::Unrouted | Self::NotMatched(..) | Self::PassedOver(_) = self {
            *self = Self::PassedOver(route);
        }
    }

    /// Finds out which condition it was, where that counts in the end. Names do not depend on what other routes say.
    fn say_why(&mut self, asked: &Asked<'_>) {
        if let Self::PassedOver(route) = *self
            && let Some(condition) = route.matcher.refusal(asked)
        {
            *self = Self::NotMatched(route, condition);
        }
    }

    /// A route that names the sink takes the alert, or refuses it because of a condition. `stopped` is the route before
    /// it that took the alert and stopped. Of several that take it the one that is due first counts.
    fn hear(
        &mut self,
        target: &Target,
        route: &'a CompiledRoute,
        refusal: Option<MatchCondition>,
        stopped: Option<&'a CompiledRoute>,
    ) {
        *self = match (*self, refusal, stopped) {
            (Self::Matched(earlier), None, None) if earlier.waits(target) <= route.waits(target) => return,
            (_, None, None) => Self::Matched(route),
            (Self::Matched(_), ..) => return,
            (_, None, Some(by)) => Self::Stopped { by, before: route },
            // That a route would have sent it there says more than what another one asks for.
            (Self::Stopped { .. } | Self::Unconfirmed(..), Some(_), _) => return,
            (_, Some(condition), _) => Self::NotMatched(route, condition),
        };
    }
}
