//! One escalation: how far its policy has come with an alert, and who has it.
//!
//! ```text
//!   alert ─► running: step, round ─ after the last one ─► exhausted
//!               ▲ │
//!               │ └─ acknowledged ─► taken ─ dismissed, or an hour without more ─► closed
//!               └── ack_timeout, another camera, more severe ──┘
//! ```
//!
//! It knows neither sinks nor routes but by their names.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::policy::{Policy, Position, Require};
use crate::routing::Actor;
use crate::{Alert, AlertId, AlertKind, Camera, Severity, UnixMillis};

/// For so long after an acknowledgement what comes of the same group, of a camera that was known and not more severe, is a part of
/// what was acknowledged.
pub const TAKEN_FOR: Duration = Duration::from_secs(3_600);

/// The alerts of one escalation that are known one by one, the newest, and so many of its messages.
const MAX_KNOWN: usize = 20;

/// The cameras that are known by name. Beyond that one more is no reason to begin again.
const MAX_CAMERAS: usize = 64;

/// An alert that a person is to acknowledge, with what came of its group since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    /// The alert that it began with.
    pub(super) subject: Subject,
    /// Since when it stands where it stands.
    since: UnixMillis,
    /// When that ends.
    due: UnixMillis,
    phase: Phase,
    /// How many alerts it is about.
    count: u64,
    /// The newest of them after the first.
    alerts: VecDeque<AlertId>,
    /// The newest of its own messages.
    messages: VecDeque<AlertId>,
    /// The greatest severity of its alerts, and their cameras.
    severity: Severity,
    cameras: BTreeSet<String>,
    /// The sinks that were to get it.
    reached: BTreeSet<String>,
    /// The sinks at which it was acknowledged, where that takes more than one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    acknowledged_at: BTreeSet<String>,
    /// What was sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Sending>,
}

/// The alert that an escalation began with, as far as its messages need it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Subject {
    pub(super) alert: AlertId,
    pub(super) kind: AlertKind,
    pub(super) connection: String,
    pub(super) camera: Option<Camera>,
    pub(super) severity: Severity,
    pub(super) status: String,
    pub(super) title: String,
    /// When it happened.
    pub(super) at: UnixMillis,
    /// The areas that it is about; of a panic for the whole site none.
    pub(super) areas: Vec<String>,
    pub(super) panic: bool,
}

/// Where an escalation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// No one has acknowledged it.
    Running {
        /// What is sent next.
        next: Position,
        /// Who had acknowledged it, so long ago that it counts no more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expired: Option<Actor>,
    },
    /// A person has.
    Taken {
        /// Who.
        by: Actor,
        /// Whether it begins again when it is due.
        again: bool,
    },
}

/// A message of an escalation on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sending {
    /// The alert that it is.
    alert: AlertId,
    at: Position,
    /// The sinks that may get it yet, or have got it.
    left: BTreeSet<String>,
}

/// What an acknowledgement means for an escalation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing: it was acknowledged before.
    No,
    /// Others have to acknowledge it too.
    ByOne,
    /// It is acknowledged.
    Yes,
}

impl Escalation {
    /// One that begins with this alert.
    pub(super) fn begin(now: UnixMillis, alert: &Alert, policy: &Policy) -> Self {
        let (next, after) = policy.first(0);
        let note = alert.area.as_ref().map(|note| note.name.as_str());
        let areas = match &alert.panic {
            Some(panic) => panic.areas.clone(),
            None => alert.area().or(note).map(str::to_owned).into_iter().collect(),
        };
        Self {
            subject: Subject {
                alert: alert.id,
                kind: alert.kind,
                connection: alert.connection.clone(),
                camera: alert.camera.clone(),
                severity: alert.severity,
                status: alert.details.status.clone(),
                title: alert.title.clone(),
                at: alert.happened_at(),
                areas,
                panic: alert.panic.is_some(),
            },
            since: now,
            due: now + after,
            phase: Phase::Running { next, expired: None },
            count: 1,
            alerts: VecDeque::new(),
            messages: VecDeque::new(),
            severity: alert.severity,
            cameras: BTreeSet::from([camera(alert)]),
            reached: BTreeSet::new(),
            acknowledged_at: BTreeSet::new(),
            last: None,
        }
    }

    /// Whether an alert of its group is a part of it. If not it begins again with that.
    pub(super) fn includes(&self, alert: &Alert) -> bool {
        let known = self.cameras.contains(&camera(alert)) || self.cameras.len() >= MAX_CAMERAS;
        matches!(self.phase, Phase::Running { .. }) || (known && alert.severity <= self.severity)
    }

    /// Another alert of its group is a part of it.
    pub(super) fn join(&mut self, alert: &Alert) {
        self.count += 1;
        keep(&mut self.alerts, alert.id);
        self.severity = self.severity.max(alert.severity);
        if self.cameras.len() < MAX_CAMERAS {
            self.cameras.insert(camera(alert));
        }
    }

    /// When something is to be done.
    pub(super) fn due(&self) -> UnixMillis {
        self.due
    }

    /// How many alerts it is about.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The alert that it began with.
    pub fn alert(&self) -> AlertId {
        self.subject.alert
    }

    /// What is sent next, and who had acknowledged it before; `None` while a person has it.
    pub(super) fn next(&self) -> Option<(Position, Option<&Actor>)> {
        match &self.phase {
            Phase::Running { next, expired } => Some((*next, expired.as_ref())),
            Phase::Taken { .. } => None,
        }
    }

    /// Who has acknowledged it.
    pub fn taken_by(&self) -> Option<&Actor> {
        match &self.phase {
            Phase::Taken { by, .. } => Some(by),
            Phase::Running { .. } => None,
        }
    }

    /// The sinks that were to get it.
    pub(super) fn reached(&self) -> &BTreeSet<String> {
        &self.reached
    }

    /// The sinks of a step at which no one has acknowledged it yet.
    pub(super) fn wanting<'s>(&self, sinks: &'s [String]) -> impl Iterator<Item = &'s str> {
        let sinks = sinks.iter().map(String::as_str);
        sinks.filter(|sink| !self.acknowledged_at.contains(*sink))
    }

    /// All alerts that are known of it, with its messages.
    pub(super) fn all(&self) -> impl Iterator<Item = AlertId> {
        let rest = self.alerts.iter().chain(&self.messages).copied();
        std::iter::once(self.subject.alert).chain(rest)
    }

    /// Its own messages.
    pub(super) fn messages(&self) -> impl Iterator<Item = AlertId> {
        self.messages.iter().copied()
    }

    /// The message at a position is this alert, on its way to these sinks.
    pub(super) fn sent(
        &mut self,
        now: UnixMillis,
        policy: &Policy,
        (alert, at): (AlertId, Position),
        sinks: BTreeSet<String>,
    ) {
        if alert != self.subject.alert {
            keep(&mut self.messages, alert);
        }
        self.reached.extend(sinks.iter().cloned());
        self.last = (!sinks.is_empty()).then_some(Sending {
            alert,
            at,
            left: sinks,
        });
        self.go_on(now, policy.then(at));
    }

    /// The step that is next is for no one.
    pub(super) fn skip(&mut self, now: UnixMillis, policy: &Policy) {
        if let Phase::Running { next, .. } = self.phase {
            self.go_on(now, policy.skip(next));
        }
    }

    fn go_on(&mut self, now: UnixMillis, (position, wait): (Position, Duration)) {
        if let Phase::Running { next, .. } = &mut self.phase {
            *next = position;
            (self.since, self.due) = (now, now + wait);
        }
    }

    /// Whether it is of interest that this alert has not reached this sink.
    pub(super) fn awaits(&self, alert: AlertId, sink: &str) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| last.alert == alert && last.left.contains(sink))
    }

    /// A sink does not get what was sent last. When none of them does it goes on with the next step at once.
    pub(super) fn undelivered(&mut self, now: UnixMillis, policy: &Policy, sink: &str) {
        let Some(last) = &mut self.last else { return };
        last.left.remove(sink);
        if last.left.is_empty() {
            let at = last.at;
            self.last = None;
            self.go_on(now, policy.skip(at));
        }
    }

    /// A person has acknowledged an alert of it.
    pub(super) fn acknowledge(&mut self, now: UnixMillis, policy: Option<&Policy>, by: &Actor) -> Taken {
        if self.taken_by().is_some() {
            return Taken::No;
        }
        let all = policy.is_some_and(|policy| policy.require == Require::All);
        if let (true, Actor::Sink(sink) | Actor::Person { sink, .. }) = (all, by) {
            self.acknowledged_at.insert(sink.clone());
            if !self.reached.is_subset(&self.acknowledged_at) {
                return Taken::ByOne;
            }
        }
        let timeout = policy.and_then(|policy| policy.ack_timeout);
        self.phase = Phase::Taken {
            by: by.clone(),
            again: timeout.is_some(),
        };
        (self.since, self.due, self.last) = (now, now + timeout.unwrap_or(TAKEN_FOR), None);
        Taken::Yes
    }

    /// The time of an acknowledgement is over. Returns whether it begins again; if not it is closed.
    pub(super) fn expire(&mut self, now: UnixMillis, policy: &Policy) -> bool {
        let Phase::Taken { by, again: true } = &self.phase else {
            return false;
        };
        let (next, after) = policy.first(0);
        let expired = Some(by.clone());
        self.phase = Phase::Running { next, expired };
        (self.since, self.due) = (now, now + after);
        self.acknowledged_at.clear();
        true
    }

    /// One that the clock says is still to begin goes on now, and lasts as long as it would have: the clock was set back while the
    /// hub was away.
    pub(super) fn go_on_by(&mut self, now: UnixMillis) {
        if now < self.since {
            let lasts = self.since.until(self.due);
            (self.since, self.due) = (now, now + lasts);
        }
    }

    /// The clock was set, and stood at `before` until then.
    pub(super) fn shift(&mut self, before: UnixMillis, millis: i64) {
        if self.since <= before {
            for at in [&mut self.since, &mut self.due] {
                at.0 = at.0.saturating_add(millis);
            }
        }
    }
}

/// What tells cameras apart: what has none is of one that has no name.
fn camera(alert: &Alert) -> String {
    let camera = alert.camera.as_ref();
    camera.map_or_else(String::new, |camera| camera.label().to_owned())
}

/// Keeps the newest.
fn keep(known: &mut VecDeque<AlertId>, alert: AlertId) {
    if known.len() == MAX_KNOWN {
        known.pop_front();
    }
    known.push_back(alert);
}
