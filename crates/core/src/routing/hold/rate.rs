//! How many messages a sink may get: what it got lately, and when the next one may be. What is over its limit is held in the window
//! of that ([`HoldCause::RateLimit`]), as for any other cause. It knows no routes and no groups.
//!
//! Each message counts for the time of the limit from when it is sent, so that there are never more in *any* such time; what is too
//! severe to be held counts as well, and the next one is later by that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::window::Offered;
use super::{HeldAlerts, HoldCause, HoldKey, HoldWindow, Holds};
use crate::{Alert, AlertId, Severity, UnixMillis};

/// Messages that a limit may allow: each is remembered for its time.
pub const MAX_RATE_COUNT: u32 = 200;

/// Messages beyond its limit that are remembered, which were too severe to be held.
const MAX_BEYOND: usize = 16;

/// How many messages a sink may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many, at least one and at most [`MAX_RATE_COUNT`].
    pub count: u32,
    /// Within what time.
    pub per: Duration,
}

/// What a sink got lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SentLog {
    /// How many it may get, by the limit as it was last seen.
    count: usize,
    /// Messages that count, that which does so for longest last.
    sent: Vec<Sent>,
    /// Before this nothing of what is held is to be sent, for another reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<UnixMillis>,
}

/// A message that a sink got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sent {
    alert: AlertId,
    severity: Severity,
    /// Until when it counts.
    until: UnixMillis,
    /// The area of its camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    area: Option<String>,
}

impl SentLog {
    /// When there may be another message, where there may not be always.
    pub(super) fn free_at(&self) -> Option<UnixMillis> {
        let surplus = self.sent.len().checked_sub(self.count)?;
        self.sent.get(surplus).map(|sent| sent.until)
    }

    /// When nothing of it counts any more, if anything does.
    pub(super) fn ends_at(&self) -> Option<UnixMillis> {
        self.sent.last().map(|last| last.until)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Whether what is so severe is more than all that counts.
    fn is_exceeded_by(&self, now: UnixMillis, severity: Severity) -> bool {
        let counting = self.sent.iter().filter(|sent| sent.until > now);
        let most = counting.map(|sent| sent.severity).max();
        most.is_some_and(|most| severity > most)
    }

    /// An alert is sent, not before a time.
    fn note(&mut self, now: UnixMillis, limit: RateLimit, alert: &Alert, not_before: Option<UnixMillis>) {
        self.set_count(limit);
        self.sent.retain(|sent| sent.until > now);
        let until = not_before.map_or(now, |at| at.max(now)) + limit.per;
        let place = self.sent.partition_point(|sent| sent.until <= until);
        let sent = Sent {
            alert: alert.id,
            severity: alert.severity,
            until,
            area: alert.area().map(str::to_owned),
        };
        self.sent.insert(place, sent);
        let surplus = self.sent.len().saturating_sub(self.count + MAX_BEYOND);
        self.sent.drain(..surplus);
    }

    fn set_count(&mut self, limit: RateLimit) {
        self.count = usize::try_from(limit.count).unwrap_or(usize::MAX);
    }

    /// A message was not sent after all.
    pub(super) fn take_back(&mut self, which: impl Fn(AlertId, Option<&str>) -> bool) {
        self.sent.retain(|sent| !which(sent.alert, sent.area.as_deref()));
    }

    /// All of it happened so much later.
    pub(super) fn shift(&mut self, millis: i64) {
        let times = self.sent.iter_mut().map(|sent| &mut sent.until);
        for at in times.chain(&mut self.not_before) {
            at.0 = at.0.saturating_add(millis);
        }
    }
}

/// The window of what is over the limit of a sink.
fn key(sink: &str) -> HoldKey {
    HoldKey {
        sink: sink.to_owned(),
        cause: HoldCause::RateLimit,
    }
}

impl HoldWindow {
    /// Of a sink that got nothing lately.
    fn begin_log(now: UnixMillis) -> Self {
        Self {
            since: now,
            until: now,
            sent: None,
            log: Some(SentLog::default()),
            held: None,
        }
    }

    /// Whether the sink may get what is so severe now. What is held goes before what comes, unless that is more severe.
    fn admits(&self, now: UnixMillis, severity: Severity) -> bool {
        let exceeds = |log: &SentLog| log.is_exceeded_by(now, severity);
        self.has_room(now) || self.log.as_ref().is_some_and(exceeds)
    }

    fn has_room(&self, now: UnixMillis) -> bool {
        let is_free = |log: &SentLog| log.free_at().is_none_or(|at| at <= now);
        self.held.is_none() && self.log.as_ref().is_none_or(is_free)
    }

    /// What is held is sent when there is room. What is too severe to wait for that makes it no later.
    fn hold_over(&mut self, now: UnixMillis, held: HeldAlerts, not_before: Option<UnixMillis>) {
        let log = self.log.get_or_insert_default();
        log.not_before = log.not_before.max(not_before);
        if self.held.is_none() {
            self.until = log.free_at().map_or(now, |at| at.max(now));
        }
        self.until = self.until.max(not_before.unwrap_or(self.until));
        self.since = now;
        let most = HoldCause::RateLimit.most_named();
        match &mut self.held {
            Some(known) => known.join(held, most),
            None => self.held = Some(held),
        }
    }

    fn note(&mut self, now: UnixMillis, limit: RateLimit, alert: &Alert, not_before: Option<UnixMillis>) {
        self.since = now;
        let log = self.log.get_or_insert_default();
        log.note(now, limit, alert, not_before);
        self.rest();
    }

    /// Where nothing is held any more it lasts as long as something counts.
    pub(super) fn rest(&mut self) {
        if let Some(log) = self.log.as_mut().filter(|_| self.held.is_none()) {
            log.not_before = None;
            self.until = log.ends_at().unwrap_or(self.since);
        }
    }

    /// Less counts than before, or more may be sent: what is held may be due sooner.
    pub(super) fn hurry(&mut self, now: UnixMillis) {
        if let Some(log) = self.log.as_ref().filter(|_| self.held.is_some()) {
            let times = [log.free_at(), log.not_before];
            let free_at = times.into_iter().flatten().fold(now, UnixMillis::max);
            self.until = self.until.min(free_at);
        }
        self.rest();
    }
}

impl Holds {
    /// Whether a sink that has a limit may get what is so severe now.
    pub(in crate::routing) fn admits(&self, now: UnixMillis, sink: &str, severity: Severity) -> bool {
        let window = self.0.get(&key(sink));
        window.is_none_or(|window| window.admits(now, severity))
    }

    /// Holds an alert that is over the limit of a sink. Returns until when.
    pub(in crate::routing) fn hold_over(
        &mut self,
        now: UnixMillis,
        sink: &str,
        offered: Offered<'_>,
    ) -> UnixMillis {
        let window = self.log_of(now, sink);
        window.hold_over(now, HeldAlerts::of(offered.alert), offered.not_before);
        window.until()
    }

    /// A sink that has a limit gets an alert, not before a time.
    pub(in crate::routing) fn note_sent(
        &mut self,
        now: UnixMillis,
        (sink, limit): (&str, RateLimit),
        alert: &Alert,
        not_before: Option<UnixMillis>,
    ) {
        self.log_of(now, sink).note(now, limit, alert, not_before);
    }

    fn log_of(&mut self, now: UnixMillis, sink: &str) -> &mut HoldWindow {
        self.0
            .entry(key(sink))
            .or_insert_with(|| HoldWindow::begin_log(now))
    }

    /// Whether a window is due, and what it holds is over the limit of its sink.
    fn is_over(&self, now: UnixMillis, key: &HoldKey, window: &HoldWindow) -> bool {
        let worst = window.held().and_then(HeldAlerts::worst);
        key.cause != HoldCause::RateLimit
            && window.until() <= now
            && worst.is_some_and(|worst| !self.admits(now, &key.sink, worst.severity))
    }

    /// Whether what a window holds is to wait for others, though it is due: it is over the limit, or is to be joined by what is.
    pub(super) fn has_to_wait(&self, now: UnixMillis, key: &HoldKey, window: &HoldWindow) -> bool {
        let of_sink = |known: &HoldKey| key.cause == HoldCause::RateLimit && known.sink == key.sink;
        let mut others = self.0.iter().filter(|(known, _)| of_sink(known));
        self.is_over(now, key, window) || others.any(|(known, window)| self.is_over(now, known, window))
    }

    /// What is held for another cause, and is over the limit of its sink when it is due, joins what is held for that.
    pub(super) fn join_what_is_over(&mut self, now: UnixMillis) {
        let over = self.0.iter();
        let over = over.filter(|(key, window)| self.is_over(now, key, window));
        let over: Vec<HoldKey> = over.map(|(key, _)| key.clone()).collect();
        for key in over {
            let held = self.0.remove(&key).and_then(HoldWindow::into_held);
            if let Some(held) = held {
                self.log_of(now, &key.sink).hold_over(now, held, None);
            }
        }
    }

    /// When that may have to happen next. It is not known yet whether what is held then is too severe to wait.
    pub(super) fn next_join(&self) -> Option<UnixMillis> {
        let held = self.0.iter().filter(|(_, window)| window.held().is_some());
        let may_be_over = held.filter(|(known, window)| {
            let log = self.0.get(&key(&known.sink));
            known.cause != HoldCause::RateLimit && log.is_some_and(|log| !log.has_room(window.until()))
        });
        may_be_over.map(|(_, window)| window.until()).min()
    }

    /// The limits may be others. What is held over one that is not there any more is due.
    pub(super) fn set_limits(&mut self, now: UnixMillis, limit: impl Fn(&str) -> Option<RateLimit>) {
        for (key, window) in self
            .0
            .iter_mut()
            .filter(|(key, _)| key.cause == HoldCause::RateLimit)
        {
            match (&mut window.log, limit(&key.sink)) {
                (Some(log), Some(limit)) => log.set_count(limit),
                (log, _) => *log = Some(SentLog::default()),
            }
            window.hurry(now);
        }
    }
}
