//! The message that stands for many alerts. It knows neither when it is due nor where it goes but to its sink.

use super::{HeldAlerts, HoldCause, HoldKey};
use crate::routing::{RoutingState, Target};
use crate::{Alert, AlertId, AlertKind, Digest, HUB, Severity, UnixMillis, Via};

/// What becomes of alerts that came late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatePolicy {
    /// The sink gets each of them.
    #[default]
    Each,
    /// The sink gets one message for all that come together.
    Digest,
    /// The sink gets none.
    Drop,
}

/// A message that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct DueDigest {
    /// Its window.
    pub key: HoldKey,
    /// What it sums up.
    pub held: HeldAlerts,
    /// Whether there was a message of the window before.
    pub more: bool,
}

impl RoutingState {
    /// When the first digest is due, if there is one.
    pub fn next_digest(&self) -> Option<UnixMillis> {
        self.holds.next_digest()
    }

    /// A digest that is due. Its alert closes its window.
    pub fn due_digest(&self, now: UnixMillis) -> Option<DueDigest> {
        self.holds.due_digest(now)
    }
}

impl DueDigest {
    /// The alert that stands for those that were held. `clock` says what the site's clocks show at a time, as
    /// `2026-11-23 02:16:30`. Its picture is that of the worst, which whoever stores it has.
    pub fn into_alert(self, id: AlertId, now: UnixMillis, clock: impl Fn(UnixMillis) -> String) -> Alert {
        let Self { key, held, .. } = &self;
        let HoldKey { sink, cause } = key.clone();
        let (from, to) = held.times();
        let connection = match held.connections().first() {
            Some(only) if held.connections().len() == 1 => only.clone(),
            _ => HUB.to_owned(),
        };
        let worst = held.worst();
        let worst_id = worst.map_or(id, |worst| worst.id);
        let severity = worst.map_or(Severity::Low, |worst| worst.severity);
        let (title, text) = self.words(clock);
        Alert {
            severity,
            title,
            text,
            camera: held.camera().cloned().filter(|_| cause != HoldCause::Late),
            occurred_at: Some(to),
            via: if held.are_listed() { Via::List } else { Via::Live },
            digest: Some(Digest {
                count: held.count(),
                from,
                to,
                ids: held.newest().map(|held| held.id).collect(),
                worst: worst_id,
                sink,
                cause,
            }),
            ..Alert::new(id, AlertKind::Digest, connection, now)
        }
    }

    fn words(&self, clock: impl Fn(UnixMillis) -> String) -> (String, String) {
        let held = &self.held;
        let worst = held.worst().map_or("", |worst| worst.title.as_str());
        let times = Times::new(held.times(), clock);
        let why = match &self.key.cause {
            HoldCause::Late => "and came late".to_owned(),
            HoldCause::Group { route, group } => {
                format!("and was held by route {route} with all others{group}")
            }
            HoldCause::RateLimit => format!("and was over the `rate_limit` of sink {}", self.key.sink),
        };
        if held.count() == 1 {
            let text = format!("It happened at {}, {why}.", times.last);
            return (worst.to_owned(), text);
        }
        let count = grouped(held.count());
        let names = Vec::from_iter(held.connections().iter().cloned()).join(", ");
        let (short, exact) = (times.in_words(true), times.in_words(false));
        let at = held.camera().map(|camera| format!(" at {}", camera.label()));
        let what = match (&at, self.more) {
            (Some(at), true) => format!("{count} more{at} {short}"),
            (Some(at), false) => format!("{count} alerts{at} {short}"),
            (None, true) => format!("{count} more alerts {short}"),
            (None, false) => format!("{count} alerts {short}"),
        };
        let (title, why) = match &self.key.cause {
            HoldCause::Late if held.are_listed() => (
                format!("{count} alerts {short} while the connection was away"),
                "and came late, all at once".to_owned(),
            ),
            HoldCause::Late => (
                format!("{count} alerts {short} that came late"),
                "and came late, all at once".to_owned(),
            ),
            HoldCause::Group { route, group } => (
                what,
                format!("and were held by route {route} with all others{group}"),
            ),
            HoldCause::RateLimit => (
                what,
                format!("and were over the `rate_limit` of sink {}", self.key.sink),
            ),
        };
        let text = format!(
            "{count} alerts of {names} happened {exact}, {why}. The worst of them: {worst}. \
             `watchpost alerts list --since \"{}\"` lists them.",
            times.from
        );
        (title, text)
    }
}

/// When alerts happened, as clocks show it: day and time, without seconds.
struct Times {
    from: String,
    to: String,
    /// The last of them with seconds.
    last: String,
}

impl Times {
    fn new((from, to): (UnixMillis, UnixMillis), clock: impl Fn(UnixMillis) -> String) -> Self {
        let (from, last) = (clock(from), clock(to));
        let minute = |at: &str| at.get(..16).unwrap_or(at).to_owned();
        Self {
            from: minute(&from),
            to: minute(&last),
            last,
        }
    }

    /// `between 22:01 and 22:04`; all of them may be of one minute. `short`: without the day where it is one.
    fn in_words(&self, short: bool) -> String {
        let same_day = short && self.from.get(..10) == self.to.get(..10);
        let [from, to] =
            [&self.from, &self.to].map(|at| at.get(11..).filter(|_| same_day).unwrap_or(at.as_str()));
        match from == to {
            true => format!("at {from}"),
            false => format!("between {from} and {to}"),
        }
    }
}

/// A number for people: `1,204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Target {
    /// What becomes of this alert because it came late, if that is so.
    pub(in crate::routing) fn late_policy(&self, alert: &Alert) -> LatePolicy {
        let concerns = alert.late
            && !matches!(
                alert.kind,
                AlertKind::Hub | AlertKind::Digest | AlertKind::Escalation
            );
        if concerns { self.late } else { LatePolicy::Each }
    }
}
