//! Where alerts go: a step from what happened and what was before to what follows.
//!
//! The step is pure. Whoever commits what happened commits its [`Effects`] in the same transaction, each with its reason,
//! so that it need not be guessed later why a sink got an alert or why it did not. What rules remember has its place in
//! [`RoutingState`].
//!
//! An alert has its severity before it gets here ([`SeverityTable`]). Then the rules are asked in this order, one file each,
//! and the first that keeps it from a sink is the reason that is stored:
//!
//! 1. its routes (`verdicts.rs`), each by its conditions (`matcher.rs`), of which schedules are a part (`schedule.rs`):
//!    which sinks it is for, and when; one that asks for it waits for other cameras to confirm the alert (`confirmation.rs`), of
//!    which none counts that is silenced, or not armed;
//! 2. test mode (`arming/test_mode.rs`): whether its area is tried, and the alert is recorded only;
//! 3. inhibition (`inhibition.rs`): whether an internal event follows from a condition that holds (`condition.rs`);
//! 4. silences (`silence.rs`), which are looked at once more for what still waits when one begins;
//! 5. for sirens, whether the camera has raised too many alarms already (`arming/swinger.rs`);
//! 6. arming (`arming`): for what makes noise whether its area is armed, and whether it waits for the entry delay; for remote sinks
//!    whether an alarm waits for the abort window;
//! 7. how late it came, what was sent lately of its group, and how much its sink got lately (`hold`): whether it is held for a
//!    message with others;
//! 8. what sends it later: the delay of its route.
//!
//! A route may have a policy (`escalation`): what it takes goes to one step of people after the other until it is acknowledged. Neither a
//! group nor lateness holds that back.
//!
//! A tamper passes test mode, swinger shutdown, arming and its delays; what no route takes of it goes to every sink. A panic
//! (`panic.rs`) is asked of its routes and of silences that name it, and of nothing else.

mod arming;
mod cancel;
mod codes;
mod condition;
mod confirmation;
mod effects;
mod escalation;
mod expectation;
mod hold;
mod inhibition;
mod matcher;
mod noise;
mod panic;
mod reason;
mod relay;
mod repeat;
mod router;
mod schedule;
mod severity;
mod sieve;
mod silence;
mod target;
#[cfg(test)]
mod tests;
mod verdicts;

use serde::{Deserialize, Serialize};

pub use self::arming::{
    AfterLoss, Area, AreaEvent, AreaNews, AreaNote, AreaPolicy, AreaState, Areas, ArmedWord, ArmingCommand,
    ArmingRefused, AutoArm, Blocker, Cause, Followed, MAX_AREAS, MAX_POSTPONED, MAX_SWINGER, MAX_TEST, Mode,
    NextEdge, PendingArm, Protection, SIREN_WINDOW, Swingers, TestMode,
};
pub use self::cancel::CancelReason;
pub use self::codes::{CODE_LOCK, CodeChannel, CodeChannels, CodeRefused, MAX_WRONG_CODES};
pub use self::condition::{ConditionKind, LostLinks, Withheld};
pub use self::confirmation::{Confirm, MAX_CONFIRM_COUNT, Sightings};
pub use self::effects::{
    Cancellation, CancelledAlerts, CommandRefused, Effects, Hush, PlannedDelivery, Suppression, Unheld,
    Unsent,
};
pub use self::escalation::{
    DueStep, Escalation, EscalationEnd, EscalationEvent, EscalationKey, EscalationNote, Escalations,
    MAX_ESCALATIONS, Policy, PolicyStep, Position, Repeat, Require, RoutePolicy, StepNote, TAKEN_FOR,
};
pub use self::expectation::{Expectation, Heard, LastHeard};
pub use self::hold::{
    DueDigest, GroupKey, GroupLabel, Grouping, HeldAlert, HeldAlerts, HoldCause, HoldKey, HoldWindow, Holds,
    LatePolicy, LetGo, MAX_GROUPS, MAX_RATE_COUNT, Pace, RateLimit,
};
pub use self::inhibition::{AboutMatch, FollowUp, Inhibition, Inhibitions, Label, SourceMatch, TargetMatch};
pub use self::matcher::{Match, is_pattern, name_matches};
pub use self::panic::Panic;
pub use self::reason::{MatchCondition, RouteReason};
pub use self::relay::{MAX_FROM_MEMORY, MemoryRelay};
pub use self::repeat::Repeats;
pub use self::router::{Route, Router};
pub use self::schedule::{Calendar, Holiday, ParseScheduleError, Schedule, Window};
pub use self::severity::SeverityTable;
pub use self::silence::{
    HeldBack, MAX_SILENCE, MAX_SILENCES, Silence, SilenceCommand, SilenceId, SilenceMatch, SilenceRefused,
    Silences,
};
pub use self::target::Target;
use crate::{Alert, AlertId, ClockStep};

/// What the routing step remembers from one event to the next. It is stored with the effects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoutingState {
    /// Alerts that no route took, although there were routes. Internal events are not counted: that a sink gets none is
    /// by choice.
    pub unmatched: u64,
    /// Alerts that wait for being delivered as one message.
    #[serde(skip_serializing_if = "Holds::is_empty")]
    pub holds: Holds,
    /// What persons do not want to hear of for a while.
    pub silences: Silences,
    /// Where the areas stand that are armed and disarmed.
    #[serde(skip_serializing_if = "Areas::is_empty")]
    pub areas: Areas,
    /// What cameras have seen that may confirm an alert of another one.
    #[serde(skip_serializing_if = "Sightings::is_empty")]
    pub sightings: Sightings,
    /// What routes say again while a condition holds.
    #[serde(skip_serializing_if = "Repeats::is_empty")]
    pub repeats: Repeats,
    /// Where codes were wrong.
    #[serde(skip_serializing_if = "CodeChannels::is_empty")]
    pub codes: CodeChannels,
    /// When what is expected to raise alerts last did.
    #[serde(skip_serializing_if = "Heard::is_empty")]
    pub heard: Heard,
    /// The connections that are away.
    #[serde(skip_serializing_if = "LostLinks::is_empty")]
    pub links: LostLinks,
    /// What is to be acknowledged, and by whom next.
    #[serde(skip_serializing_if = "Escalations::is_empty")]
    pub escalations: Escalations,
}

impl RoutingState {
    /// What of it a site must not lose with its database: what is armed and silenced.
    #[must_use]
    pub fn to_keep(&self) -> Self {
        Self {
            silences: self.silences.to_keep(),
            areas: self.areas.to_keep(),
            ..Self::default()
        }
    }

    /// What of that is another when it has to be kept once more: it stays as it is while an alarm gets more alerts.
    #[must_use]
    pub fn outline(&self) -> Self {
        Self {
            silences: self.silences.to_keep(),
            areas: self.areas.outline(),
            ..Self::default()
        }
    }

    /// The hub was started: what was away then may be back.
    pub fn set_restored(&mut self) {
        self.links.set_unknown();
    }

    /// The database that it was stored in is lost, and what was armed is not known any more.
    pub fn set_lost(&mut self) {
        self.areas.set_lost();
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RoutingEvent<'a> {
    /// An alert that is new came in.
    Alert(&'a Alert),
    /// A person has acknowledged alerts, by one of three acts.
    Command(&'a AlertCommand),
    /// A person wants something of silences.
    Silence(&'a SilenceCommand),
    /// A person wants something of areas.
    Arming(&'a ArmingCommand),
    /// Someone has given a code at the sink of this name that is no one's.
    WrongCode(&'a str),
    /// A silence that has begun has held back this alert, which was waiting.
    HeldBack {
        /// Which.
        silence: SilenceId,
        /// The alert.
        alert: &'a Alert,
    },
    /// An alert will not reach the sink of this name.
    Undelivered {
        /// Which.
        alert: AlertId,
        /// The sink.
        sink: &'a str,
    },
    /// The connection of this name is up, whether its outage was reported or not.
    LinkUp(&'a str),
    /// The time has come that [`Router::next_due`] named, or the configuration may be another one.
    Due,
    /// The clock was set, and goes on from there.
    ClockStepped(ClockStep),
}

/// A person's command by which alerts are acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertCommand {
    /// What the person did.
    pub act: AlertAct,
    /// Who.
    pub by: Actor,
}

/// The three acts of a person by which alerts are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertAct {
    /// The alert is in hand, and stays listed.
    Acknowledge(AlertId),
    /// The alert is in hand, and off the live list.
    Dismiss(AlertId),
    /// All alerts up to this one are in hand, and off the live list.
    Clear {
        /// The newest.
        through: AlertId,
    },
}

/// Who has acknowledged an alert, or armed or disarmed an area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Whoever works with the hub: by a command, or over its control socket.
    Operator,
    /// A person at the sink of this name, for instance by a button.
    Sink(String),
    /// The person of this name, who has given their code at a sink.
    Person {
        /// Who.
        name: String,
        /// Where.
        sink: String,
    },
    /// A person in the backend of the connection of this name.
    Backend(String),
    /// No person, but the schedule of this name.
    Schedule(String),
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Operator => f.write_str("the operator"),
            Self::Sink(name) => write!(f, "a person at sink {name}"),
            Self::Person { name, sink } => write!(f, "{name} at sink {sink}"),
            Self::Backend(name) => write!(f, "a person in the backend of {name}"),
            Self::Schedule(name) => write!(f, "schedule {name}"),
        }
    }
}
