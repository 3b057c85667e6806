//! Why a delivery is made, not made or cancelled: stable codes, and the only place where they become words.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Actor, ConditionKind, GroupKey, SilenceId};
use crate::time::span;
use crate::{AlertId, UnixMillis};

/// Why a sink gets an alert, or why it does not. Its JSON form is stored and shown; its words may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum RouteReason {
    /// Yes: there are no routes, so every sink gets every alert.
    NoRoutes,
    /// Yes: a route took it that names the sink.
    Matched {
        /// The route.
        route: String,
    },
    /// Yes: a route took it that names the sink, as other cameras confirm it.
    Confirmed {
        /// The route.
        route: String,
        /// The alerts of the other cameras.
        with: Vec<AlertId>,
    },
    /// No: the route that names the sink waits for other cameras to confirm it.
    Unconfirmed {
        /// The route.
        route: String,
        /// How many cameras are asked for.
        count: usize,
        /// Within how many seconds.
        seconds: u64,
        /// The alerts of other cameras so far.
        with: Vec<AlertId>,
    },
    /// Yes: it is an internal event, and the sink gets those.
    GetsEvents,
    /// No: it is an internal event, and the sink gets those only where a route says so.
    GetsNoEvents,
    /// No: no route names the sink.
    NotNamed,
    /// No: of the routes that name the sink, the last one asked for something else.
    NotMatched {
        /// The route.
        route: String,
        /// The condition that the alert does not meet.
        condition: MatchCondition,
    },
    /// No: a route before the one that would have sent it there took the alert and stopped.
    Stopped {
        /// The route that took it.
        route: String,
        /// The route that was not asked any more.
        before: String,
    },
    /// No: a person does not want to hear of it for a while.
    Silenced {
        /// The silence.
        silence: SilenceId,
        /// Why there is one.
        why: String,
    },
    /// No: a condition holds from which it follows.
    Inhibited {
        /// The rule.
        rule: String,
        /// The condition.
        condition: ConditionKind,
        /// What the condition is of: a connection, or what is expected.
        name: String,
    },
    /// Yes, as soon as it is known that a connection is up again that was away when the hub ended.
    Withheld {
        /// The rule.
        rule: String,
        /// The connection.
        connection: String,
        /// When that is known at the latest.
        until: UnixMillis,
    },
    /// No route took it at all.
    Unmatched,
    /// Not by itself: it came late, and is held for the message that all such alerts make together.
    HeldForDigest,
    /// No: it came late, and the sink does not want that.
    TooLate,
    /// Yes: it is the sum of what came late for the sink.
    Digest,
    /// Not by itself: it is held for the message that all alerts of its group make together.
    HeldInGroup {
        /// The route that groups it.
        route: String,
        /// Its group.
        group: GroupKey,
        /// Until when, as far as was known.
        until: UnixMillis,
    },
    /// Yes: it is the sum of what was held of a group.
    GroupDigest {
        /// The route that groups it.
        route: String,
        /// The group.
        group: GroupKey,
    },
    /// Not by itself: the sink got as many messages as it may, and it is held for the one that all make together which are over that.
    OverRateLimit {
        /// How many it may get.
        count: u32,
        /// Within how many seconds.
        seconds: u64,
        /// Until when, as far as was known.
        until: UnixMillis,
    },
    /// Yes: it is the sum of what was over the rate limit of the sink.
    RateLimitDigest,
    /// Yes, when the entry delay is over, unless the area is disarmed by then.
    EntryDelay {
        /// The area.
        area: String,
    },
    /// Yes: a person needs help, and no route says who is to hear of that.
    Panic,
    /// Yes: the alarm system is attacked, and no route says who is to hear of that.
    Tamper,
    /// No: a person needs help, and has asked for that in silence.
    SilentPanic,
    /// No: the area has a silent panic, and its sirens stay silent as long.
    HeldSilent {
        /// The area.
        area: String,
    },
    /// No: the camera has raised too many alarms since its area was armed.
    Swinger {
        /// The area.
        area: String,
        /// The camera.
        camera: String,
    },
    /// Yes, when the abort window is over, unless the area is disarmed by then.
    AbortWindow {
        /// The area.
        area: String,
    },
    /// No: the area is in test mode, and the alert is recorded only.
    Test {
        /// The area.
        area: String,
    },
    /// Yes: a route with a policy took it, and the sink is of the first step.
    Escalated {
        /// The policy.
        policy: String,
    },
    /// Not now: a route with a policy took it, and the sink is of a later step.
    LaterStep {
        /// The policy.
        policy: String,
        /// The step, counted from 1.
        step: usize,
        /// When that is, if no step before it is skipped.
        due_at: UnixMillis,
    },
    /// No: a policy is about an alert of the same group already.
    InEscalation {
        /// The policy.
        policy: String,
        /// The alert.
        alert: AlertId,
        /// Who has acknowledged that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acknowledged_by: Option<Actor>,
    },
    /// Yes: it is the message of a step, as no one has acknowledged an alert.
    EscalationStep {
        /// The policy.
        policy: String,
        /// The step, counted from 1.
        step: usize,
        /// The alert.
        alert: AlertId,
    },
    /// Yes: it says how a policy has ended that the sink had messages of.
    GotEscalation {
        /// The policy.
        policy: String,
    },
    /// Yes: it is for every sink that makes no noise.
    ForAll,
    /// Yes: it says how an alarm goes on, and the sink got that.
    GotAlarm {
        /// The area.
        area: String,
    },
    /// No: the sink sounds only while the area is armed, and it was not, or is not any more.
    NotArmed {
        /// The area.
        area: String,
    },
    /// No: the sink sounds only while the area is armed, and people are leaving it.
    ExitDelay {
        /// The area.
        area: String,
    },
    /// No: the area is armed only because it is not known whether it was.
    MessagesOnly {
        /// The area.
        area: String,
    },
    /// No: the area was armed by force, and the camera is bypassed until it is disarmed.
    Bypassed {
        /// The area.
        area: String,
    },
}

/// A condition of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the keys in `[route.match]`")]
pub enum MatchCondition {
    Connection,
    Kind,
    Camera,
    Area,
    Stream,
    Status,
    Confidence,
    Score,
    Person,
    Severity,
    Schedule,
    Armed,
    Confirmed,
    Any,
    Not,
}

impl RouteReason {
    /// Whether the sink gets the alert.
    pub fn delivers(&self) -> bool {
        matches!(
            self,
            Self::NoRoutes
                | Self::Matched { .. }
                | Self::Confirmed { .. }
                | Self::GetsEvents
                | Self::Digest
                | Self::GroupDigest { .. }
                | Self::RateLimitDigest
                | Self::EntryDelay { .. }
                | Self::Panic
                | Self::Tamper
                | Self::ForAll
                | Self::AbortWindow { .. }
                | Self::Withheld { .. }
                | Self::GotAlarm { .. }
                | Self::Escalated { .. }
                | Self::EscalationStep { .. }
                | Self::GotEscalation { .. }
        )
    }
}

impl RouteReason {
    /// Until when the alert is held for a message that it makes with others, where that was known.
    pub fn holds_until(&self) -> Option<UnixMillis> {
        match self {
            Self::HeldInGroup { until, .. } | Self::OverRateLimit { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// Those that holding alerts for a message has.
    fn fmt_of_hold(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeldForDigest => f.write_str(
                "it came late, and goes with all others that did in one message (`late = \"digest\"`)",
            ),
            Self::Digest => f.write_str("it is the sum of what came late for this sink"),
            Self::HeldInGroup { route, group, .. } => {
                write!(f, "route {route} holds it for one message with all others{group}")
            }
            Self::GroupDigest { route, group } => {
                write!(f, "it is the sum of what route {route} has held{group}")
            }
            Self::OverRateLimit { count, seconds, .. } => write!(
                f,
                "the sink got {count} {} within {}, as many as it may (`rate_limit`): it is held for one message with all others",
                if *count == 1 { "message" } else { "messages" },
                span(*seconds)
            ),
            Self::RateLimitDigest => {
                f.write_str("it is the sum of what was over the `rate_limit` of this sink")
            }
            _ => Ok(()),
        }
    }

    /// Those that conditions have.
    fn fmt_of_condition(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inhibited {
                rule,
                condition,
                name,
            } => write!(f, "[[inhibit]] {rule} holds it back: {}", condition.of(name)),
            Self::Withheld { rule, connection, .. } => write!(
                f,
                "[[inhibit]] {rule} withholds it until it is known whether connection {connection} is back since the hub was started"
            ),
            _ => Ok(()),
        }
    }

    /// Those that policies have.
    fn fmt_of_policy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Escalated { policy } => write!(f, "policy {policy} sends it there first"),
            Self::LaterStep { policy, step, .. } => write!(
                f,
                "policy {policy} sends it there in step {step}, unless it is acknowledged before"
            ),
            Self::InEscalation {
                policy,
                acknowledged_by: None,
                ..
            } => write!(
                f,
                "policy {policy} is about an earlier alert of its group, which no one has acknowledged yet"
            ),
            Self::InEscalation {
                policy,
                acknowledged_by: Some(by),
                ..
            } => write!(
                f,
                "policy {policy} is about an earlier alert of its group, which {by} has acknowledged"
            ),
            Self::EscalationStep { policy, step, .. } => write!(
                f,
                "it is step {step} of policy {policy}, as no one has acknowledged the alert"
            ),
            Self::GotEscalation { policy } => {
                write!(f, "it had a message of policy {policy}, and hears how that ends")
            }
            _ => Ok(()),
        }
    }

    /// Those that arming has.
    fn fmt_of_area(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EntryDelay { area } => write!(
                f,
                "area {area} is armed and has an entry delay: it sounds when that is over, unless it is disarmed before"
            ),
            Self::HeldSilent { area } => write!(
                f,
                "area {area} has a silent panic, and its sirens stay silent until that is over"
            ),
            Self::Test { area } => write!(f, "area {area} is in test mode: it is a test, and recorded only"),
            Self::AbortWindow { area } => write!(
                f,
                "area {area} has an abort window: it is sent when that is over, unless it is disarmed before"
            ),
            Self::Swinger { area, camera } => write!(
                f,
                "{camera} has raised as many alarms since area {area} was armed as it sounds for (`swinger`)"
            ),
            Self::GotAlarm { area } => {
                write!(f, "it got the alarm in area {area}, and hears how that goes on")
            }
            Self::NotArmed { area } => write!(
                f,
                "it sounds only while area {area} is armed, which it was not then or is not any more"
            ),
            Self::ExitDelay { area } => write!(
                f,
                "it sounds only while area {area} is armed, and people were leaving it (`exit_delay`)"
            ),
            Self::MessagesOnly { area } => write!(
                f,
                "what was armed is lost, and area {area} is armed for messages only until it is armed (`after_loss`)"
            ),
            Self::Bypassed { area } => write!(
                f,
                "area {area} was armed by force, and the camera is bypassed until it is disarmed"
            ),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for RouteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoutes => f.write_str("there are no routes, so every sink gets every alert"),
            Self::Matched { route } => write!(f, "route {route} takes it"),
            Self::Confirmed { route, with } => {
                write!(f, "route {route} takes it, confirmed by {}", ids(with))
            }
            Self::Unconfirmed {
                route,
                count,
                seconds,
                with,
            } => {
                write!(
                    f,
                    "route {route} takes it once {count} cameras have seen something within {}",
                    span(*seconds)
                )?;
                match with.as_slice() {
                    [] => f.write_str(", and it was the first"),
                    with => write!(f, ", and before it there was {}", ids(with)),
                }
            }
            Self::GetsEvents => f.write_str("it is an internal event, and the sink has `events = true`"),
            Self::GetsNoEvents => f.write_str("it is an internal event, and the sink has `events = false`"),
            Self::NotNamed => f.write_str("no route names this sink"),
            Self::NotMatched { route, condition } => write!(f, "route {route} {condition}"),
            Self::Stopped { route, before } => {
                write!(
                    f,
                    "route {route} takes it and has `stop = true`, which keeps it from route {before}"
                )
            }
            Self::Silenced { silence, why } => write!(f, "silence {silence} holds it back: {why}"),
            Self::Inhibited { .. } | Self::Withheld { .. } => self.fmt_of_condition(f),
            Self::Unmatched => f.write_str("no route takes it"),
            Self::TooLate => f.write_str("it came late, and the sink has `late = \"drop\"`"),
            Self::HeldForDigest
            | Self::Digest
            | Self::HeldInGroup { .. }
            | Self::GroupDigest { .. }
            | Self::OverRateLimit { .. }
            | Self::RateLimitDigest => self.fmt_of_hold(f),
            Self::Panic => f.write_str("a person needs help: a panic that no route takes goes to every sink"),
            Self::Tamper => {
                f.write_str("a camera is tampered with: what no route takes of that goes to every sink")
            }
            Self::SilentPanic => f.write_str("the panic is silent, and the sink makes noise"),
            Self::ForAll => f.write_str("every sink that makes no noise gets it, whatever routes say"),
            Self::Escalated { .. }
            | Self::LaterStep { .. }
            | Self::InEscalation { .. }
            | Self::EscalationStep { .. }
            | Self::GotEscalation { .. } => self.fmt_of_policy(f),
            Self::EntryDelay { .. }
            | Self::HeldSilent { .. }
            | Self::Swinger { .. }
            | Self::AbortWindow { .. }
            | Self::Test { .. }
            | Self::GotAlarm { .. }
            | Self::NotArmed { .. }
            | Self::ExitDelay { .. }
            | Self::MessagesOnly { .. }
            | Self::Bypassed { .. } => self.fmt_of_area(f),
        }
    }
}

/// Alerts by their ids.
fn ids(alerts: &[AlertId]) -> String {
    let word = if alerts.len() == 1 { "alert" } else { "alerts" };
    let ids: Vec<String> = alerts.iter().map(AlertId::to_string).collect();
    format!("{word} {}", ids.join(", "))
}

impl fmt::Display for MatchCondition {
    /// What the rule wants, after its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "asks for another connection",
            Self::Kind => "asks for another kind",
            Self::Camera => "asks for another camera",
            Self::Area => "asks for another area",
            Self::Stream => "asks for another stream",
            Self::Status => "asks for another status",
            Self::Confidence => "asks for another confidence",
            Self::Score => "asks for a lower score",
            Self::Person => "asks for another person",
            Self::Severity => "asks for a higher severity",
            Self::Schedule => "asks for another time",
            Self::Armed => "asks for another state of its area (`armed`)",
            Self::Confirmed => "asks whether other cameras confirm it (`confirmed`)",
            Self::Any => "has `any`, and none of that is met",
            Self::Not => "excludes it by `not`",
        })
    }
}
