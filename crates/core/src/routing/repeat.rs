//! What routes with a `repeat_interval` say again while a condition holds, as Alertmanager repeats a notification of what still fires.
//! It is remembered by route and condition from when the route has taken the event with which that begins, and said by an event of
//! its own, which only that route is asked about. It asks neither silences nor inhibition: whatever says it again is asked by them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConditionKind;
use crate::{About, Alert, AlertKind, HubEvent, UnixMillis};

/// Conditions that are remembered so for all routes. What comes beyond is said once.
const MAX_REPEATS: usize = 500;

/// What is to be said again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Repeats(Vec<Repeat>);

/// That a route says again that a condition holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Repeat {
    /// The route.
    route: String,
    condition: ConditionKind,
    /// What the condition is of: a connection, or what is expected.
    name: String,
    /// What it is about.
    about: About,
    /// Since when it holds, by the event with which it began.
    since: UnixMillis,
    /// When it is to be said next.
    due: UnixMillis,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    Yes,
    No,
    /// The hub was started since it was known.
    Unknown,
}

impl ConditionKind {
    /// The condition that begins with an event, and what it is of.
    fn begun_by(alert: &Alert) -> Option<(Self, &str)> {
        let about = alert.about.as_ref().filter(|_| alert.kind == AlertKind::Hub)?;
        [Self::LinkLost, Self::Quiet].into_iter().find_map(|kind| {
            let name = match kind {
                Self::LinkLost => &about.connection,
                Self::Quiet => &about.expect,
            };
            (alert.details.status == kind.word()).then_some((kind, name.as_deref()?))
        })
    }
}

impl Repeats {
    /// Whether nothing is to be said again.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a route that takes this alert says it again.
    pub(super) fn concerns(alert: &Alert) -> bool {
        alert.repeat.is_none() && ConditionKind::begun_by(alert).is_some()
    }

    /// A condition begins with an alert that a route takes.
    pub(super) fn note(&mut self, now: UnixMillis, alert: &Alert, (route, interval): (&str, Duration)) {
        let Some((condition, name)) = ConditionKind::begun_by(alert) else {
            return;
        };
        self.0
            .retain(|known| known.route != route || known.condition != condition || known.name != name);
        if self.0.len() < MAX_REPEATS {
            self.0.push(Repeat {
                route: route.to_owned(),
                condition,
                name: name.to_owned(),
                about: alert.about.clone().unwrap_or_default(),
                since: now,
                due: now + interval,
            });
        }
    }

    /// When there is something to say, as far as it is known what holds.
    pub(super) fn next_due(&self, holding: impl Fn(ConditionKind, &str) -> Holding) -> Option<UnixMillis> {
        let known = self.0.iter();
        let known = known.filter(|repeat| holding(repeat.condition, &repeat.name) != Holding::Unknown);
        known.map(|repeat| repeat.due).min()
    }

    /// Forgets conditions that are over and routes that say nothing again any more. Returns what is to be said.
    pub(super) fn look(
        &mut self,
        now: UnixMillis,
        holding: impl Fn(ConditionKind, &str) -> Holding,
        interval: impl Fn(&str) -> Option<Duration>,
    ) -> Vec<HubEvent> {
        let mut events = Vec::new();
        self.0.retain_mut(|repeat| {
            let holds = holding(repeat.condition, &repeat.name);
            let Some(interval) = interval(&repeat.route).filter(|_| holds != Holding::No) else {
                return false;
            };
            if repeat.due <= now && holds == Holding::Yes {
                repeat.due = now + interval;
                events.push(repeat.event(now));
            }
            true
        });
        events
    }

    /// The clock was set, and is at `now` since: what lay in the past lies as long ago as it did.
    pub(super) fn shift(&mut self, now: UnixMillis, millis: i64) {
        let before = UnixMillis(now.0.saturating_sub(millis));
        for repeat in self.0.iter_mut().filter(|repeat| repeat.since <= before) {
            for at in [&mut repeat.since, &mut repeat.due] {
                at.0 = at.0.saturating_add(millis);
            }
        }
    }
}

impl Repeat {
    fn event(&self, now: UnixMillis) -> HubEvent {
        let (name, route) = (self.name.clone(), self.route.clone());
        let seconds = self.since.until(now).as_secs();
        match self.condition {
            ConditionKind::LinkLost => HubEvent::StillLost {
                connection: name,
                seconds,
                route,
            },
            ConditionKind::Quiet => HubEvent::StillQuiet {
                name,
                seconds,
                about: self.about.clone(),
                route,
            },
        }
    }
}
