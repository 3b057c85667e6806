//! What is said of an escalation: the messages of its steps, and the events at its end. It knows neither when nor to whom.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::EscalationKey;
use super::policy::Position;
use super::state::{Escalation, Subject};
use crate::routing::{Actor, GroupKey};
use crate::{Alert, AlertId, AlertKind, Severity, UnixMillis};

/// What an alert has to do with an escalation, for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationNote {
    /// The policy; of an event about several their names, with commas.
    pub policy: String,
    /// The alert that is to be acknowledged.
    pub alert: AlertId,
    /// How many alerts of its group there are.
    pub count: u64,
    /// Which message of the policy it is; an event about it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepNote>,
    /// The sinks that get an event whatever routes say, as they got the alert.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub to: BTreeSet<String>,
}

/// A message of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepNote {
    /// The step, counted from 1.
    pub number: usize,
    /// The message of the step, counted from 1.
    pub sending: u32,
    /// The time that all steps are gone through, counted from 1.
    pub round: u32,
    /// The route that took the alert.
    pub route: String,
    /// The group of the alert.
    pub group: GroupKey,
    /// The kind of the alert.
    pub of: AlertKind,
    /// The word for its state.
    pub status: String,
}

/// A message that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct DueStep {
    pub(super) key: EscalationKey,
    pub(super) at: Position,
    pub(super) escalation: Escalation,
}

/// An escalation has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationEvent {
    /// The policy, or several.
    pub policy: String,
    /// The alert that it began with.
    pub alert: AlertId,
    /// Its title.
    pub title: String,
    /// How many alerts it was about.
    pub count: u64,
    /// The sinks that were to get it.
    pub to: BTreeSet<String>,
    /// How.
    pub end: EscalationEnd,
}

/// How an escalation has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscalationEnd {
    /// A person has acknowledged it.
    Acknowledged(Actor),
    /// A person has disarmed its area.
    Disarmed(Actor),
    /// No one has acknowledged it.
    Exhausted,
    /// The configuration does not ask for it any more.
    NotConfigured,
}

impl StepNote {
    /// Its place in the policy.
    pub(super) fn position(&self) -> Position {
        Position {
            round: self.round.saturating_sub(1),
            step: self.number.saturating_sub(1),
            sending: self.sending.saturating_sub(1),
        }
    }
}

impl DueStep {
    /// The name of the policy.
    pub fn policy(&self) -> &str {
        &self.key.policy
    }

    /// The alert that is the message. `clock` says what the site's clocks show at a time, as `2026-11-23 02:16:30`. Its picture is
    /// that of the alert that it is about, which whoever stores it has.
    pub fn into_alert(self, id: AlertId, now: UnixMillis, clock: impl Fn(UnixMillis) -> String) -> Alert {
        let text = self.text(clock);
        let Self { key, at, escalation } = self;
        let count = escalation.count();
        let Subject {
            alert,
            kind,
            connection,
            camera,
            severity,
            status,
            title,
            at: happened,
            ..
        } = escalation.subject;
        let step = StepNote {
            number: at.step + 1,
            sending: at.sending + 1,
            round: at.round + 1,
            route: key.route,
            group: key.group,
            of: kind,
            status,
        };
        Alert {
            severity,
            title: format!("Not acknowledged: {title}"),
            text,
            camera,
            occurred_at: Some(happened),
            escalation: Some(EscalationNote {
                policy: key.policy,
                alert,
                count,
                step: Some(step),
                to: BTreeSet::new(),
            }),
            ..Alert::new(id, AlertKind::Escalation, connection, now)
        }
    }

    fn text(&self, clock: impl Fn(UnixMillis) -> String) -> String {
        let Self { key, at, escalation } = self;
        let Subject {
            alert, at: happened, ..
        } = &escalation.subject;
        let more = match escalation.count() {
            0 | 1 => String::new(),
            2 => ", and so has one more of its group".to_owned(),
            count => format!(", and so have {} more of its group", count - 1),
        };
        let who = match escalation.next() {
            Some((_, Some(by))) => format!("It was acknowledged by {by}, and not dismissed in time"),
            _ => "No one has acknowledged it".to_owned(),
        };
        let again = match at.round {
            0 => String::new(),
            round => format!(" for the {} time", ordinal(round + 1)),
        };
        format!(
            "It happened at {}{more}. {who}: this is step {} of policy {}{again}. `watchpost alerts acknowledge {alert}` acknowledges it.",
            clock(*happened),
            at.step + 1,
            key.policy,
        )
    }
}

impl EscalationEvent {
    /// The end of an escalation.
    pub(super) fn new(key: &EscalationKey, escalation: &Escalation, end: EscalationEnd) -> Self {
        Self {
            policy: key.policy.clone(),
            alert: escalation.alert(),
            title: escalation.subject.title.clone(),
            count: escalation.count(),
            to: escalation.reached().clone(),
            end,
        }
    }

    /// For programs.
    pub(crate) fn note(&self) -> EscalationNote {
        EscalationNote {
            policy: self.policy.clone(),
            alert: self.alert,
            count: self.count,
            step: None,
            to: self.to.clone(),
        }
    }

    /// The word for it, how much it matters, a title and a text.
    pub(crate) fn describe(&self) -> (&'static str, Severity, String, String) {
        let (title, policy) = (&self.title, &self.policy);
        match &self.end {
            EscalationEnd::Acknowledged(by) => (
                "escalation_acknowledged",
                Severity::Low,
                format!("Acknowledged by {by}: {title}"),
                format!("Policy {policy} sends nothing more of it."),
            ),
            EscalationEnd::Disarmed(by) => (
                "escalation_closed",
                Severity::Low,
                format!("Disarmed by {by}, and so no one is to acknowledge: {title}"),
                format!("Policy {policy} sends nothing more of it."),
            ),
            EscalationEnd::NotConfigured => (
                "escalation_closed",
                Severity::Medium,
                format!("No policy is about it any more: {title}"),
                format!(
                    "Policy {policy} or its route is not in the configuration any more. No one has acknowledged alert {}.",
                    self.alert
                ),
            ),
            EscalationEnd::Exhausted => (
                "escalation_exhausted",
                Severity::Critical,
                format!("No one has acknowledged: {title}"),
                format!(
                    "Policy {policy} has gone through all its steps, and sends nothing more of it. `watchpost alerts acknowledge {}` acknowledges it.",
                    self.alert
                ),
            ),
        }
    }
}

/// `second`, `third`, and so on.
fn ordinal(number: u32) -> String {
    match number {
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        number => format!("{number}th"),
    }
}
