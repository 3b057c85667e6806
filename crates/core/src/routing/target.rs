//! A sink as routing knows it, and what is planned for it.

use std::borrow::Cow;
use std::time::Duration;

use super::hold::Offered;
use super::{
    Effects, Grouping, LatePolicy, PlannedDelivery, RateLimit, RouteReason, RoutingState, SIREN_WINDOW,
    Silence, Suppression,
};
use crate::{Alert, AlertKind, UnixMillis};

/// A sink as the router knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Its name in the configuration.
    pub name: String,
    /// Alerts older than this are not worth delivering; `None` means for ever.
    pub max_age: Option<Duration>,
    /// Whether its deliveries are cancelled once their alert is acknowledged.
    pub cancel_on_acknowledge: bool,
    /// Whether it gets internal events, with or without routes.
    pub events: bool,
    /// Whether its deliveries are made from memory while the store can take nothing, and do not wait for that.
    pub deliver_when_full: bool,
    /// How long a delivery waits for a picture that is still being fetched.
    pub wait_picture: Duration,
    /// What becomes of alerts that came late.
    pub late: LatePolicy,
    /// Whether it keeps the record, which is no message: a silence spares it unless it names it.
    pub keeps_record: bool,
    /// Whether it sounds only while the area of an alert is armed, and then not late.
    pub only_armed: bool,
    /// Whether it makes noise, whatever is armed: a panic that is silent is not for it.
    pub makes_noise: bool,
    /// Whether it calls people who are elsewhere: an alarm is held back from it for the abort window of its area.
    pub remote: bool,
    /// How many messages it may get. What is over that is held for one message.
    pub rate_limit: Option<RateLimit>,
}

impl Target {
    /// Whether it gets what people are to read whatever is armed: it makes no noise.
    pub(super) fn takes_messages(&self) -> bool {
        !self.only_armed && !self.makes_noise
    }

    /// Why it does not get an alert, if one of these silences mutes it. The alert is held back by that then.
    pub(super) fn silenced(
        &self,
        silences: &[&Silence],
        alert: &Alert,
        after: &mut Cow<'_, RoutingState>,
    ) -> Option<RouteReason> {
        let mut silences = silences.iter();
        let silence = silences.find(|silence| silence.mutes(&self.name, self.keeps_record))?;
        after.to_mut().silences.hold(silence.id, alert);
        Some(RouteReason::Silenced {
            silence: silence.id,
            why: silence.why.clone(),
        })
    }

    /// Whether one message may stand for many alerts: not where each is to be heard at once, nor where all are recorded.
    pub(super) fn is_grouped(&self) -> bool {
        !self.only_armed && !self.makes_noise && !self.keeps_record
    }

    /// How many messages it may get, where one message may stand for many alerts.
    pub(super) fn limit(&self) -> Option<RateLimit> {
        self.rate_limit.filter(|_| self.is_grouped())
    }

    /// Why an alert that it is to get does not go to it by itself, if that is so: it came late, is of a group, or is over the rate
    /// limit, in this order. This is asked last, after all that may keep the alert from it, so that what is not sent counts nowhere.
    pub(super) fn hold(
        &self,
        now: UnixMillis,
        grouping: Option<(&str, &Grouping)>,
        offered: Offered<'_>,
        after: &mut Cow<'_, RoutingState>,
    ) -> Option<RouteReason> {
        let Offered {
            alert, not_before, ..
        } = offered;
        match self.late_policy(alert) {
            LatePolicy::Each => {}
            LatePolicy::Drop => return Some(RouteReason::TooLate),
            LatePolicy::Digest => {
                after.to_mut().holds.hold_late(now, &self.name, alert);
                return Some(RouteReason::HeldForDigest);
            }
        }
        let limit = self.limit().filter(|_| alert.kind.is_grouped());
        if grouping.is_none() && limit.is_none() {
            return None;
        }
        let holds = &mut after.to_mut().holds;
        let may_send = limit.is_none() || offered.urgent || holds.admits(now, &self.name, alert.severity);
        if let Some((route, grouping)) = grouping {
            let held = holds.offer(now, &self.name, (route, grouping), (offered, may_send));
            if let Some((group, until)) = held {
                let route = route.to_owned();
                return Some(RouteReason::HeldInGroup { route, group, until });
            }
        }
        let limit = limit?;
        if may_send {
            holds.note_sent(now, (&self.name, limit), alert, not_before);
            return None;
        }
        Some(RouteReason::OverRateLimit {
            count: limit.count,
            seconds: limit.per.as_secs(),
            until: holds.hold_over(now, &self.name, offered),
        })
    }

    /// Plans a delivery to it, or says why there is none.
    pub(super) fn decide(
        &self,
        now: UnixMillis,
        alert: &Alert,
        when: (Duration, Option<UnixMillis>),
        reason: RouteReason,
        effects: &mut Effects,
    ) {
        if reason.delivers() {
            effects.deliveries.push(self.plan(now, alert, when, reason));
        } else {
            let sink = Some(self.name.clone());
            effects.suppressions.push(Suppression { sink, reason });
        }
    }

    /// A delivery that is due after a delay, and not before a time.
    pub(super) fn plan(
        &self,
        now: UnixMillis,
        alert: &Alert,
        (delay, not_before): (Duration, Option<UnixMillis>),
        reason: RouteReason,
    ) -> PlannedDelivery {
        // The age of what is summed up, or of what no one has acknowledged, is no reason to keep silent about it.
        let summed_up = alert.digest.is_some() || alert.kind == AlertKind::Escalation;
        let max_age = self.max_age.filter(|_| !summed_up);
        let mut expires_at = max_age.map(|age| alert.happened_at() + age);
        let due_at = (!delay.is_zero()).then(|| now + delay).max(not_before);
        if self.only_armed {
            let ends = due_at.unwrap_or(now) + SIREN_WINDOW;
            expires_at = Some(expires_at.map_or(ends, |end| end.min(ends)));
        }
        PlannedDelivery {
            sink: self.name.clone(),
            due_at,
            picture_by: self.waits_for_picture(now, alert, delay, expires_at),
            expires_at,
            cancel_on_acknowledge: self.cancel_on_acknowledge,
            reason,
        }
    }

    /// Until when a delivery waits for the picture of its alert, if it does: not for one that is there or never will be, and
    /// not so long that it expires.
    fn waits_for_picture(
        &self,
        now: UnixMillis,
        alert: &Alert,
        delay: Duration,
        expires_at: Option<UnixMillis>,
    ) -> Option<UnixMillis> {
        let by = now + self.wait_picture;
        let waits =
            alert.picture.is_pending() && self.wait_picture > delay && expires_at.is_none_or(|end| by < end);
        waits.then_some(by)
    }
}
