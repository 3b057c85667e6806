//! A window: what of it was sent lately, what is held meanwhile, and when that is sent. It is the group of Alertmanager:
//!
//! ```text
//! idle ─ alert ─► waiting ─ after the wait: sent ─► open ─ after the interval ┬─ something is held: sent ─► open
//!   │                                                ▲                        └─ nothing is held ─► idle
//!   └─ alert, where nothing is waited for: sent ─────┘
//! ```
//!
//! A window that is idle does not exist. It knows neither sinks nor routes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::held::{HeldAlert, HeldAlerts};
use super::rate::SentLog;
use crate::{Alert, AlertId, Severity, UnixMillis};

/// A window of late alerts is due when none has come for so long.
const QUIET: Duration = Duration::from_secs(15);

/// A window of late alerts is due so long after its first one, whatever comes.
const LONGEST: Duration = Duration::from_secs(300);

/// How often something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long the first message waits for what comes shortly after it; nothing where it does not wait.
    pub wait: Duration,
    /// How long after a message the next one is sent, for all that came meanwhile.
    pub interval: Duration,
}

/// What of an alert matters to a window.
#[derive(Clone, Copy, Debug)]
pub(in crate::routing) struct Offered<'a> {
    pub(in crate::routing) alert: &'a Alert,
    /// Before this it is not to be sent, for another reason.
    pub(in crate::routing) not_before: Option<UnixMillis>,
    /// It is not to be held, whatever was sent.
    pub(in crate::routing) urgent: bool,
}

/// What a window makes of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::routing) enum Offer {
    /// It is sent at once.
    Sent,
    /// It is held.
    Held,
    /// It would be sent, and is not to be, so that it is as if it had not come.
    Refused,
}

/// A window that is not idle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldWindow {
    /// Since when it is as it is.
    pub(super) since: UnixMillis,
    /// When it ends, and what is held is sent.
    pub(super) until: UnixMillis,
    /// What was sent since it is open; `None` while its first message waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sent: Option<Sent>,
    /// In the window of a rate limit: what its sink got lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<SentLog>,
    /// What waits for its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<HeldAlerts>,
}

/// What was sent in an open window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    /// The greatest severity of it. What is more severe is sent at once.
    severity: Severity,
    /// The alert that has opened it, and the area of its camera; `None` where that was a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<(AlertId, Option<String>)>,
}

impl HoldWindow {
    /// One that an alert begins; `None` where that would be sent at once, and is not to be (`may_send`).
    pub(super) fn begin(
        now: UnixMillis,
        pace: Pace,
        offered: Offered<'_>,
        may_send: bool,
    ) -> Option<(Self, Offer)> {
        let Offered {
            alert,
            not_before,
            urgent,
        } = offered;
        if urgent || pace.wait.is_zero() {
            if !may_send {
                return None;
            }
            let sent = Sent {
                severity: alert.severity,
                by: Some((alert.id, alert.area().map(str::to_owned))),
            };
            // It begins when that is delivered.
            let until = not_before.map_or(now, |at| at.max(now)) + pace.interval;
            return Some((Self::open(now, until, sent), Offer::Sent));
        }
        let waiting = Self {
            since: now,
            until: (now + pace.wait).max(not_before.unwrap_or(now)),
            sent: None,
            log: None,
            held: Some(HeldAlerts::of(alert)),
        };
        Some((waiting, Offer::Held))
    }

    /// One that a message has begun which was held.
    pub(super) fn begin_after(now: UnixMillis, pace: Pace, severity: Severity) -> Self {
        Self::open(now, now + pace.interval, Sent { severity, by: None })
    }

    fn open(since: UnixMillis, until: UnixMillis, sent: Sent) -> Self {
        Self {
            since,
            until,
            sent: Some(sent),
            log: None,
            held: None,
        }
    }

    /// An alert comes.
    pub(super) fn offer(&mut self, offered: Offered<'_>, may_send: bool, most: usize) -> Offer {
        let severity = offered.alert.severity;
        let exceeds = |sent: &Sent| severity > sent.severity;
        if offered.urgent || self.sent.as_ref().is_some_and(exceeds) {
            if !may_send {
                return Offer::Refused;
            }
            if let Some(sent) = &mut self.sent {
                sent.severity = sent.severity.max(severity);
            }
            return Offer::Sent;
        }
        self.hold(offered.alert, most);
        self.until = self.until.max(offered.not_before.unwrap_or(self.until));
        Offer::Held
    }

    /// Late alerts: one that a first one begins.
    pub(super) fn begin_late(now: UnixMillis, alert: &Alert) -> Self {
        Self {
            since: now,
            until: now + QUIET,
            sent: None,
            log: None,
            held: Some(HeldAlerts::of(alert)),
        }
    }

    /// Holds another late alert.
    pub(super) fn offer_late(&mut self, now: UnixMillis, alert: &Alert, most: usize) {
        self.hold(alert, most);
        self.until = (now + QUIET).min(self.since + LONGEST);
    }

    fn hold(&mut self, alert: &Alert, most: usize) {
        match &mut self.held {
            Some(held) => held.hold(alert, most),
            None => self.held = Some(HeldAlerts::of(alert)),
        }
    }

    /// When it ends.
    pub fn until(&self) -> UnixMillis {
        self.until
    }

    /// What waits for its end.
    pub fn held(&self) -> Option<&HeldAlerts> {
        self.held.as_ref()
    }

    /// Whether a message was sent before what is held.
    pub fn is_open(&self) -> bool {
        self.sent.is_some() || self.log.as_ref().is_some_and(|log| !log.is_empty())
    }

    /// What is held was sent.
    pub(super) fn let_all_go(&mut self) {
        self.held = None;
        self.rest();
    }

    /// What waits for its end, which it does not do any more.
    pub(super) fn into_held(self) -> Option<HeldAlerts> {
        self.held
    }

    /// Whether it is over, and nothing is held.
    pub(super) fn is_idle(&self, now: UnixMillis) -> bool {
        self.held.is_none() && self.until <= now
    }

    /// One that the clock says is still to begin begins now, and lasts as long as it would have: the clock was set back while the
    /// hub was away.
    pub(super) fn begin_by(&mut self, now: UnixMillis) {
        if now < self.since {
            self.move_by(now.0.saturating_sub(self.since.0));
        }
    }

    /// Nothing is to be held any more: what is held is due.
    pub(super) fn end(&mut self, now: UnixMillis) {
        self.until = self.until.min(now);
    }

    /// Some of what is held is not to be delivered any more. Returns that.
    pub(super) fn let_go(&mut self, which: impl Fn(&HeldAlert) -> bool) -> Vec<AlertId> {
        let gone = self.held.as_mut().map(|held| held.let_go(which));
        gone.unwrap_or_default()
    }

    /// So does what is only counted, if it is as old as this alert or older.
    pub(super) fn let_go_through(&mut self, alert: AlertId) {
        if let Some(held) = &mut self.held {
            held.let_go_through(alert);
        }
    }

    /// So does what is only counted, where none of the newer ones is left. Returns how many.
    pub(super) fn follow(&mut self) -> u64 {
        self.held.as_mut().map_or(0, HeldAlerts::follow)
    }

    /// What has opened it was not sent after all, if it is this.
    pub(super) fn take_back(&mut self, now: UnixMillis, which: impl Fn(AlertId, Option<&str>) -> bool) {
        let opened = self.sent.take_if(|sent| {
            let by = sent.by.as_ref();
            by.is_some_and(|(alert, area)| which(*alert, area.as_deref()))
        });
        if opened.is_some() {
            self.end(now);
        }
        if let Some(log) = &mut self.log {
            log.take_back(&which);
            self.hurry(now);
        }
    }

    /// Forgets that something is held where nothing is. Returns whether it goes on.
    pub(super) fn goes_on(&mut self) -> bool {
        self.held.take_if(|held| held.is_empty());
        self.rest();
        self.held.is_some() || self.is_open()
    }

    /// The clock was set, and stood at `before` until then.
    pub(super) fn shift(&mut self, before: UnixMillis, millis: i64) {
        if self.since <= before {
            self.move_by(millis);
        }
    }

    fn move_by(&mut self, millis: i64) {
        for at in [&mut self.since, &mut self.until] {
            at.0 = at.0.saturating_add(millis);
        }
        if let Some(log) = &mut self.log {
            log.shift(millis);
        }
    }
}
