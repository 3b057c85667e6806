//! What came late: many alerts at once, when a connection is back. Each of them is stored; what a sink gets of them is one message.
//!
//! A late alert for such a sink is held: it joins the sink's [`DigestWindow`], which is committed with it. When no more has come
//! for a while the window is due, and the hub makes one alert of kind `digest` of it, whose commit closes the window. A hub that
//! was away meanwhile finds the window overdue, and does it once.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{RoutingState, Target};
use crate::{Alert, AlertId, AlertKind, Digest, HUB, Severity, UnixMillis, Via};

/// A window is due when no late alert has come for so long.
const QUIET: Duration = Duration::from_secs(15);

/// A window is due so long after its first alert, whatever comes.
const MAX_OPEN: Duration = Duration::from_secs(300);

/// Alerts of a digest that are named one by one, the newest.
const MAX_NAMED: usize = 100;

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

/// Late alerts that a sink is to get as one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DigestWindow {
    /// How many.
    pub count: u64,
    /// When the first of them happened.
    pub from: UnixMillis,
    /// When the last of them happened.
    pub to: UnixMillis,
    /// When the first was held.
    pub opened_at: UnixMillis,
    /// When the last was held.
    pub last_at: UnixMillis,
    /// The newest of them.
    pub ids: VecDeque<AlertId>,
    /// The connections that they came over.
    pub connections: BTreeSet<String>,
    /// Whether all of them were fetched from a backend's list.
    pub listed: bool,
    /// The one that matters most.
    pub worst: WorstAlert,
}

/// The alert of a window that matters most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorstAlert {
    /// Which.
    pub id: AlertId,
    /// How much it matters.
    pub severity: Severity,
    /// Its score; the lower the worse.
    pub score: Option<f64>,
    /// Its title.
    pub title: String,
}

impl WorstAlert {
    fn of(alert: &Alert) -> Self {
        Self {
            id: alert.id,
            severity: alert.severity,
            score: alert.details.score,
            title: alert.title.clone(),
        }
    }

    /// Whether this one matters more than another. Of equals the first one stays.
    fn is_worse_than(&self, other: &Self) -> bool {
        let score = |worst: &Self| worst.score.unwrap_or(f64::INFINITY);
        (self.severity > other.severity) || (self.severity == other.severity && score(self) < score(other))
    }
}

impl DigestWindow {
    fn open(now: UnixMillis, alert: &Alert) -> Self {
        Self {
            count: 0,
            from: alert.happened_at(),
            to: alert.happened_at(),
            opened_at: now,
            last_at: now,
            ids: VecDeque::new(),
            connections: BTreeSet::new(),
            listed: true,
            worst: WorstAlert::of(alert),
        }
    }

    fn hold(&mut self, now: UnixMillis, alert: &Alert) {
        let (at, other) = (alert.happened_at(), WorstAlert::of(alert));
        self.count += 1;
        (self.from, self.to) = (self.from.min(at), self.to.max(at));
        self.last_at = now;
        if self.ids.len() == MAX_NAMED {
            self.ids.pop_front();
        }
        self.ids.push_back(alert.id);
        self.connections.insert(alert.connection.clone());
        self.listed &= alert.via == Via::List;
        if other.is_worse_than(&self.worst) {
            self.worst = other;
        }
    }

    /// When it is due. One that the clock says is still to be opened is due: the clock was set back.
    fn due_at(&self, now: UnixMillis) -> UnixMillis {
        if now < self.opened_at {
            return now;
        }
        (self.last_at + QUIET).min(self.opened_at + MAX_OPEN)
    }

    /// The alert that stands for those of the window. `clock` says what the site's clocks show at a time, as
    /// `2026-11-23 02:16:30`. Its picture is that of the worst, which whoever stores it has.
    pub fn into_alert(
        self,
        sink: &str,
        id: AlertId,
        now: UnixMillis,
        clock: impl Fn(UnixMillis) -> String,
    ) -> Alert {
        let (title, text) = self.words(clock);
        let connection = match self.connections.first() {
            Some(only) if self.connections.len() == 1 => only.as_str(),
            _ => HUB,
        };
        Alert {
            severity: self.worst.severity,
            title,
            text,
            occurred_at: Some(self.to),
            via: if self.listed { Via::List } else { Via::Live },
            digest: Some(Digest {
                count: self.count,
                from: self.from,
                to: self.to,
                ids: self.ids.into(),
                worst: self.worst.id,
                sink: sink.to_owned(),
            }),
            ..Alert::new(id, AlertKind::Digest, connection, now)
        }
    }

    fn words(&self, clock: impl Fn(UnixMillis) -> String) -> (String, String) {
        let worst = &self.worst.title;
        if self.count == 1 {
            let text = format!("It happened at {}, and came late.", clock(self.to));
            return (worst.clone(), text);
        }
        let [from, to] = [self.from, self.to].map(clock);
        // Day and time, without seconds.
        let (from, to) = (from.get(..16).unwrap_or(&from), to.get(..16).unwrap_or(&to));
        let same_day = from.get(..10) == to.get(..10);
        let short = |at: &str| at.get(11..).filter(|_| same_day).unwrap_or(at).to_owned();
        let why = match self.listed {
            true => "while the connection was away",
            false => "that came late",
        };
        let (count, names) = (
            grouped(self.count),
            Vec::from_iter(self.connections.iter().cloned()),
        );
        // All of them may be of one minute.
        let (when, exactly) = match from == to {
            true => (format!("at {}", short(from)), format!("at {from}")),
            false => (
                format!("between {} and {}", short(from), short(to)),
                format!("between {from} and {to}"),
            ),
        };
        (
            format!("{count} alerts {when} {why}"),
            format!(
                "{count} alerts of {} happened {exactly}, and came late, all at once. The worst of them: {worst}. \
                 `watchpost alerts list --since \"{from}\"` lists them.",
                names.join(", ")
            ),
        )
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

impl RoutingState {
    /// Has a late alert wait for this sink.
    pub(super) fn hold(&mut self, now: UnixMillis, sink: &str, alert: &Alert) {
        let window = self.digests.entry(sink.to_owned());
        window
            .or_insert_with(|| DigestWindow::open(now, alert))
            .hold(now, alert);
    }

    /// When the first window is due, if there is one.
    pub fn next_digest(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.digests.values().map(|window| window.due_at(now)).min()
    }

    /// A window that is due, with its sink. Its alert closes it.
    pub fn due_digest(&self, now: UnixMillis) -> Option<(&str, &DigestWindow)> {
        let due = self.digests.iter().find(|(_, window)| window.due_at(now) <= now);
        due.map(|(sink, window)| (sink.as_str(), window))
    }
}

impl Target {
    /// What becomes of this alert because it came late, if that is so.
    pub(super) fn late_policy(&self, alert: &Alert) -> LatePolicy {
        let concerns = alert.late && !matches!(alert.kind, AlertKind::Hub | AlertKind::Digest);
        if concerns { self.late } else { LatePolicy::Each }
    }
}
