//! What makes noise, and when it is to stop: arming as a part of the routing step. It does not know when an area is armed.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::arming::{Judged, Sounding};
use super::{
    Actor, ArmingCommand, Blocker, CancelReason, Effects, HoldCause, HoldKey, Hush, RouteReason, Router,
    RoutingState, Target, Unsent,
};
use crate::{Alert, AlertId, HubEvent, UnixMillis};

impl Router {
    /// Whether an alert may raise an alarm: it goes to what makes noise, or where there is no such sink to one that is not
    /// only for the record.
    pub(super) fn qualifies(&self, alert: &Alert, reasons: &[RouteReason]) -> bool {
        let noise = self.targets.iter().any(|target| target.only_armed);
        let counts = |target: &Target| {
            if noise {
                target.only_armed
            } else {
                !target.keeps_record
            }
        };
        let mut decided = self.targets.iter().zip(reasons);
        !alert.late && decided.any(|(target, reason)| counts(target) && reason.delivers())
    }

    /// Whether a siren sounds, as far as its camera has not raised too many alarms.
    pub(super) fn unless_swinging(
        &self,
        now: UnixMillis,
        state: &RoutingState,
        (alert, siren): (&Alert, &Target),
        reason: RouteReason,
    ) -> RouteReason {
        let swinging = state.areas.is_swinging(now, self.areas(), alert, &siren.name);
        swinging.map_or(reason, |(area, camera)| RouteReason::Swinger {
            area: area.to_owned(),
            camera: camera.to_owned(),
        })
    }

    /// Remembers what an alert means for its area.
    pub(super) fn settle(
        &self,
        now: UnixMillis,
        alert: &Alert,
        mut judged: Judged,
        effects: &Effects,
        after: &mut Cow<'_, RoutingState>,
    ) {
        let sinks = effects.deliveries.iter().map(|planned| planned.sink.as_str());
        judged.count(
            now,
            alert,
            sinks.filter(|sink| self.sounding().any(|siren| siren.name == *sink)),
        );
        if judged.is_alarm() || after.areas.are_changed_by(&judged) {
            let deliveries = effects.deliveries.iter();
            let held = deliveries.filter(|planned| matches!(planned.reason, RouteReason::AbortWindow { .. }));
            let held = held.map(|planned| planned.sink.as_str());
            let areas = &mut after.to_mut().areas;
            areas.settle(judged, self.recipients(effects), held);
        }
    }

    /// The sinks that get an alert and are to hear how its alarm goes on: those that make no noise.
    pub(super) fn recipients<'a>(&'a self, effects: &'a Effects) -> impl Iterator<Item = &'a str> {
        let sent = effects.deliveries.iter();
        let sent = sent.filter(|planned| !matches!(planned.reason, RouteReason::AbortWindow { .. }));
        let sinks = sent.map(|planned| planned.sink.as_str());
        let grouped = effects.suppressions.iter();
        let grouped = grouped.filter(|one| one.reason.holds_until().is_some());
        let sinks = sinks.chain(grouped.filter_map(|one| one.sink.as_deref()));
        sinks.filter(|sink| {
            let target = self.targets.iter().find(|target| target.name == *sink);
            target.is_some_and(Target::takes_messages)
        })
    }

    /// Carries out what a person wants of areas.
    pub(super) fn arming(
        &self,
        now: UnixMillis,
        faults: &[Blocker],
        state: &RoutingState,
        command: &ArmingCommand,
    ) -> Effects {
        let mut after = state.clone();
        if let Some(Actor::Person { sink, .. }) = command.by()
            && let Err(refused) = after.codes.give(now, sink, true)
        {
            return Effects {
                refused: Some(refused.into()),
                ..Effects::default()
            };
        }
        let outcome = after
            .areas
            .carry_out(now, self.areas(), &self.faults(faults), command);
        let mut effects = Effects::default();
        match (outcome, command) {
            (Ok(disarmed), ArmingCommand::Arm { by, .. } | ArmingCommand::Disarm { by, .. }) => {
                let unsent = self.unsent(now, state, &disarmed);
                effects.let_go = after.holds.take_back(now, &unsent);
                let reason = CancelReason::Disarmed(by.clone());
                let going_on = after.areas.causes_besides(&disarmed);
                let reminders = after.escalations.disarm(command, &going_on);
                effects.hush = self.quieten(&mut after, (disarmed, unsent, reminders), reason);
            }
            (
                Ok(_),
                ArmingCommand::Seen { .. } | ArmingCommand::Postpone { .. } | ArmingCommand::Test { .. },
            ) => {}
            (Err(refused), _) => effects.refused = Some(refused.into()),
        }
        effects.state = (after != *state).then_some(after);
        effects
    }

    /// What of that keeps an area from being ready.
    fn faults(&self, faults: &[Blocker]) -> Vec<Blocker> {
        Blocker::of_alarm(faults, |sink| self.sounding().any(|target| target.name == sink))
    }

    /// The sinks that sound the alarm.
    fn sounding(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| target.only_armed)
    }

    /// What sounds for these areas stops. What was seen in those that are disarmed confirms nothing any more.
    fn quieten(
        &self,
        after: &mut RoutingState,
        (areas, unsent, reminders): (Vec<String>, Vec<Unsent>, BTreeSet<AlertId>),
        reason: CancelReason,
    ) -> Option<Hush> {
        if matches!(reason, CancelReason::Disarmed(_)) {
            areas.iter().for_each(|area| after.sightings.forget(area));
        }
        let sinks = self.sounding().map(|target| target.name.clone()).collect();
        let going_on = after.areas.causes_besides(&areas);
        Hush::new(areas, sinks, unsent, (going_on, reminders), reason)
    }

    /// What of these areas, which are disarmed, was held back from remote sinks.
    fn unsent(&self, now: UnixMillis, before: &RoutingState, areas: &[String]) -> Vec<Unsent> {
        let remote = self.targets.iter().filter(|target| target.remote);
        let sinks: Vec<String> = remote.map(|target| target.name.clone()).collect();
        let held = areas.iter().filter_map(|area| {
            let from = before.areas.held_from(now, area)?;
            let (area, sinks) = (area.clone(), sinks.clone());
            Some(Unsent { area, from, sinks })
        });
        held.collect()
    }

    /// Until when an alert is held back from remote sinks, and the area whose alarm it is about.
    pub(super) fn held<'a>(
        now: UnixMillis,
        state: &RoutingState,
        alert: &'a Alert,
        judged: Option<&'a Judged>,
    ) -> Option<(UnixMillis, &'a str)> {
        if let Some(judged) = judged {
            return Some((judged.held_until(now)?, judged.area_name()));
        }
        let note = alert.area.as_ref().filter(|note| note.alarm)?;
        Some((state.areas.held_until(now, &note.name)?, &note.name))
    }

    /// Does what is due. What is to be said of it is so the next time, or what is said would depend on what is wrong now.
    pub(super) fn due(&self, now: UnixMillis, faults: &[Blocker], state: &RoutingState) -> Effects {
        let mut after = state.clone();
        let news = match self.areas {
            Some(_) => after.areas.take_news(),
            None => Vec::new(),
        };
        let news = news.into_iter().map(HubEvent::Area);
        let quiet = self.expectations.look(now, &mut after.heard);
        let is_there = |sink: &str| self.targets.iter().any(|target| target.name == sink);
        let locked = after.codes.look(now, is_there);
        let ended = after
            .escalations
            .take_news()
            .into_iter()
            .map(HubEvent::Escalation);
        let holding = |kind, name: &str| self.inhibiting().holding(state, kind, name);
        let interval = |route: &str| {
            let mut routes = self.routes.iter();
            routes.find(|known| known.name == route)?.repeat
        };
        let again = after.repeats.look(now, holding, interval);
        let events = news
            .chain(after.silences.end(now))
            .chain(quiet)
            .chain(again)
            .chain(locked)
            .chain(ended);
        let events: Vec<HubEvent> = events.collect();
        let over = match &self.areas {
            Some(areas) => after.areas.advance(now, areas, &self.faults(faults)),
            None => None,
        };
        self.escalating().advance(now, &mut after.escalations);
        let unheld = self.inhibiting().look_at_links(now, &mut after);
        let hush = over.and_then(|(areas, reason)| {
            let silent = (areas, Vec::new(), BTreeSet::new());
            self.quieten(&mut after, silent, reason)
        });
        after.sightings.keep_routes(|route| self.confirms(route));
        let is_wanted = |key: &HoldKey| match key.cause {
            HoldCause::Late | HoldCause::RateLimit => true,
            HoldCause::Group { .. } => self.pace(key).is_some(),
        };
        let limit = |sink: &str| {
            let mut targets = self.targets.iter();
            targets.find(|target| target.name == sink)?.limit()
        };
        after.holds.advance(now, is_wanted, limit);
        Effects {
            state: (after != *state).then_some(after),
            hush,
            unheld,
            events,
            ..Effects::default()
        }
    }
}

/// Whether a sink that is to get an alert does so as far as arming goes, and not before when. `held` is until when the alert is held
/// back from remote sinks, by which area.
pub(super) fn timing(
    target: &Target,
    reason: RouteReason,
    judged: Option<&Judged>,
    held: Option<(UnixMillis, &str)>,
) -> (RouteReason, Option<UnixMillis>) {
    if let RouteReason::Withheld { until, .. } = reason {
        return (reason, Some(until));
    }
    match held.filter(|_| target.remote) {
        _ if !reason.delivers() => (reason, None),
        _ if target.only_armed => sounding(reason, judged),
        Some((until, area)) => {
            let area = area.to_owned();
            (RouteReason::AbortWindow { area }, Some(until))
        }
        None => (reason, None),
    }
}

/// Whether what makes noise does so for an alert that its routes take, and from when.
fn sounding(reason: RouteReason, judged: Option<&Judged>) -> (RouteReason, Option<UnixMillis>) {
    match judged.map(|judged| (&judged.sounding, judged.area_name())) {
        None | Some((Sounding::Now, _)) => (reason, None),
        Some((Sounding::At(at), area)) => {
            let area = area.to_owned();
            (RouteReason::EntryDelay { area }, Some(*at))
        }
        Some((Sounding::No(why), _)) => (why.clone(), None),
    }
}
