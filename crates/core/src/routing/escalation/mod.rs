//! Escalation: an alert that a policy is about goes to one step of people after the other until a person acknowledges it.
//!
//! There is one escalation for each policy, route and group of the route. The alert that begins it goes to the first step, in its own
//! commit where that has no `after`. Each further message is an alert of its own, of kind `escalation`, which the hub makes when it is
//! due ([`DueStep`]); its commit sends it and says what comes next. So a hub that was away meanwhile finds the step overdue, and does
//! it once, and an acknowledgement comes before a message or after it, where it cancels it. How an escalation ends is said once
//! ([`EscalationEvent`]): it is remembered with what ended it, and raised by the next commit.
//!
//! It knows neither stores nor clocks, and routes but by their names.

mod note;
mod policy;
mod state;
mod step;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::note::{DueStep, EscalationEnd, EscalationEvent, EscalationNote, StepNote};
pub use self::policy::{Policy, PolicyStep, Position, Repeat, Require};
use self::state::Taken;
pub use self::state::{Escalation, TAKEN_FOR};
pub(super) use self::step::{Escalating, Plan};
use super::{Actor, AlertAct, AlertCommand, ArmingCommand, GroupKey, GroupLabel};
use crate::{AlertId, UnixMillis};

/// Groups of one route that a policy is about at a time. What has none of its own any more shares one.
pub const MAX_ESCALATIONS: usize = 64;

/// That a route has a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePolicy {
    /// Its name.
    pub name: String,
    /// What alerts have in common that are one escalation.
    pub by: Vec<GroupLabel>,
}

/// By which an escalation is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EscalationKey {
    /// Name of the policy.
    pub policy: String,
    /// Name of the route that took its alerts.
    pub route: String,
    /// What they have in common.
    pub group: GroupKey,
}

/// All escalations that are not over. It is a part of what routing remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, from = "Stored", into = "Stored")]
pub struct Escalations {
    active: BTreeMap<EscalationKey, Escalation>,
    /// What is to be said of those that have ended.
    news: Vec<EscalationEvent>,
}

/// The form in which they are stored.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    active: Vec<(EscalationKey, Escalation)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    news: Vec<EscalationEvent>,
}

impl From<Stored> for Escalations {
    fn from(Stored { active, news }: Stored) -> Self {
        let active = active.into_iter().collect();
        Self { active, news }
    }
}

impl From<Escalations> for Stored {
    fn from(Escalations { active, news }: Escalations) -> Self {
        let active = active.into_iter().collect();
        Self { active, news }
    }
}

/// What of an acknowledgement concerns escalations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acknowledged {
    /// The alerts of the same escalations, which are acknowledged with it.
    pub(super) with: BTreeSet<AlertId>,
    /// The sinks that have their messages.
    pub(super) sinks: BTreeSet<String>,
}

impl Escalations {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.news.is_empty()
    }

    /// All of them.
    pub fn active(&self) -> impl Iterator<Item = (&EscalationKey, &Escalation)> {
        self.active.iter()
    }

    /// Whether it is of interest that an alert has not reached a sink.
    pub fn awaits(&self, alert: AlertId, sink: &str) -> bool {
        self.active.values().any(|active| active.awaits(alert, sink))
    }

    /// When something is to be done.
    pub(super) fn next_due(&self) -> Option<UnixMillis> {
        match self.news.is_empty() {
            true => self.active.values().map(Escalation::due).min(),
            false => Some(UnixMillis(0)),
        }
    }

    /// Takes what is to be said.
    pub(super) fn take_news(&mut self) -> Vec<EscalationEvent> {
        std::mem::take(&mut self.news)
    }

    /// A person has acknowledged alerts.
    pub(super) fn acknowledge<'p>(
        &mut self,
        now: UnixMillis,
        command: &AlertCommand,
        policy: impl Fn(&str) -> Option<&'p Policy>,
    ) -> Acknowledged {
        let (mut concerned, mut ended) = (Acknowledged::default(), Vec::new());
        let by = &command.by;
        let closes = !matches!(command.act, AlertAct::Acknowledge(_));
        self.active.retain(|key, escalation| {
            let alert = match command.act {
                AlertAct::Acknowledge(alert) | AlertAct::Dismiss(alert) => alert,
                AlertAct::Clear { through } if escalation.alert() <= through => escalation.alert(),
                AlertAct::Clear { .. } => return true,
            };
            let is_known = escalation.all().any(|known| known == alert);
            if !is_known {
                return true;
            }
            let taken = escalation.acknowledge(now, policy(&key.policy), by);
            if taken == Taken::ByOne {
                return true;
            }
            concerned.with.extend(escalation.all());
            concerned.sinks.extend(escalation.reached().iter().cloned());
            if taken == Taken::Yes {
                let end = EscalationEnd::Acknowledged(by.clone());
                ended.push(EscalationEvent::new(key, escalation, end));
            }
            !closes
        });
        self.news.extend(as_one(ended));
        concerned
    }

    /// A person has disarmed areas, and these alerts are causes of alarms that go on elsewhere. Returns the messages that are not to
    /// be sent any more.
    pub(super) fn disarm(
        &mut self,
        command: &ArmingCommand,
        going_on: &BTreeSet<AlertId>,
    ) -> BTreeSet<AlertId> {
        let ArmingCommand::Disarm { areas, by } = command else {
            return BTreeSet::new();
        };
        if !matches!(by, Actor::Operator | Actor::Person { .. }) {
            return BTreeSet::new();
        }
        let mut unsent = BTreeSet::new();
        let is_disarmed = |name: &String| areas.is_empty() || areas.contains(name);
        let news = &mut self.news;
        self.active.retain(|key, escalation| {
            let subject = &escalation.subject;
            let of_site = subject.panic && subject.areas.is_empty() && areas.is_empty();
            let ends = of_site || subject.areas.iter().any(is_disarmed);
            if !ends || going_on.contains(&subject.alert) {
                return true;
            }
            unsent.extend(escalation.messages());
            if escalation.taken_by().is_none() {
                let end = EscalationEnd::Disarmed(by.clone());
                news.push(EscalationEvent::new(key, escalation, end));
            }
            false
        });
        unsent
    }

    /// The clock was set, and is at `now` since: each goes on as it would have.
    pub(super) fn shift(&mut self, now: UnixMillis, millis: i64) {
        let before = UnixMillis(now.0.saturating_sub(millis));
        let active = self.active.values_mut();
        active.for_each(|escalation| escalation.shift(before, millis));
    }
}

/// What is said once of an alert though several policies were about it.
fn as_one(ended: Vec<EscalationEvent>) -> Vec<EscalationEvent> {
    let mut all: Vec<EscalationEvent> = Vec::new();
    for event in ended {
        match all.iter_mut().find(|known| known.alert == event.alert) {
            Some(known) => {
                known.policy = format!("{}, {}", known.policy, event.policy);
                known.to.extend(event.to);
            }
            None => all.push(event),
        }
    }
    all
}
