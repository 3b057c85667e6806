//! What makes an alarm of an area: what its cameras see, a tamper, and a panic.

use super::{Area, AreaNews, AreaPolicy, AreaState, Blocker, Cause, Mode};
use crate::routing::{Panic, RouteReason};
use crate::{Alert, AlertKind, UnixMillis, name_matches};

/// Alerts that are remembered as the cause of an alarm: the first ones.
const MAX_CAUSES: usize = 20;

/// What of an alert matters to its area.
#[derive(Clone, Copy, Debug)]
pub(in crate::routing) struct AlertMark<'a> {
    pub(in crate::routing) alert: &'a Alert,
    /// Whether it may raise an alarm: a route has it sound, and nothing before keeps it from that.
    pub(in crate::routing) qualifies: bool,
}

/// Whether what makes noise does so for an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::routing) enum Sounding {
    /// At once.
    Now,
    /// When the entry delay is over.
    At(UnixMillis),
    /// No.
    No(RouteReason),
}

impl Area {
    /// An alert of one of its cameras: whether what makes noise does so, and what is to be said.
    pub(super) fn alert(
        &mut self,
        now: UnixMillis,
        policy: &AreaPolicy,
        mark: AlertMark<'_>,
    ) -> (Sounding, Option<AreaNews>) {
        let alert = mark.alert;
        let area = || policy.name.clone();
        let cause = Cause::of(alert);
        let delayed = policy.delays(alert);
        let no = |reason| (Sounding::No(reason), None);
        let is_bypassed =
            |blocker: &Blocker| matches!(blocker, Blocker::Camera { name } if *name == cause.camera);
        if self.bypassed.iter().any(is_bypassed) {
            return no(RouteReason::Bypassed { area: area() });
        }
        match &self.state {
            AreaState::Disarmed => {
                self.note_seen(delayed, cause);
                return no(RouteReason::NotArmed { area: area() });
            }
            AreaState::Arming { from, .. } if delayed || from.is_none() => {
                self.note_seen(delayed, cause);
                return no(RouteReason::ExitDelay { area: area() });
            }
            _ if self.protected_at(alert.happened_at()).is_none() => {
                return no(RouteReason::NotArmed { area: area() });
            }
            _ => {}
        }
        if self.messages_only {
            return no(RouteReason::MessagesOnly { area: area() });
        }
        if !mark.qualifies {
            return (Sounding::Now, None);
        }
        self.alarm(now, policy, cause, delayed)
    }

    /// An alert of a camera that is protected.
    fn alarm(
        &mut self,
        now: UnixMillis,
        policy: &AreaPolicy,
        cause: Cause,
        delayed: bool,
    ) -> (Sounding, Option<AreaNews>) {
        let delayed = delayed && !policy.entry_delay.is_zero();
        let ends = now + policy.entry_delay;
        match &mut self.state {
            AreaState::Armed { mode } if delayed => {
                let (mode, until) = (*mode, ends);
                self.begin_alarm(policy.abort_window.map(|window| until + window));
                self.go(now, AreaState::Pending { mode, until, cause });
                (Sounding::At(until), None)
            }
            AreaState::Pending { until, .. } if delayed => {
                // Only ever earlier: a second camera on the way must not give a burglar time.
                *until = ends.min(*until);
                let until = *until;
                self.hold_until(policy.abort_window.map(|window| until + window));
                (Sounding::At(until), None)
            }
            AreaState::Triggered { causes, silent, .. } => {
                let sounding = match silent {
                    true => Sounding::No(RouteReason::HeldSilent {
                        area: policy.name.clone(),
                    }),
                    false => Sounding::Now,
                };
                add(causes, &cause);
                self.remember(cause);
                (sounding, None)
            }
            AreaState::Pending { cause: first, .. } => {
                let causes = vec![first.clone(), cause];
                self.hold_until(policy.abort_window.map(|window| now + window));
                let news = self.trigger(now, now, policy, self.protects(), causes, false);
                (Sounding::Now, Some(news))
            }
            AreaState::Armed { mode } | AreaState::Arming { mode, .. } => {
                let mode = Some(*mode);
                self.begin_alarm(policy.abort_window.map(|window| now + window));
                let news = self.trigger(now, now, policy, mode, vec![cause], false);
                (Sounding::Now, Some(news))
            }
            AreaState::Disarmed => (Sounding::Now, None),
        }
    }

    /// An alarm begins, or may soon, and is held back from remote sinks until then.
    fn begin_alarm(&mut self, abort_until: Option<UnixMillis>) {
        self.recipients.clear();
        self.held.clear();
        self.abort_until = abort_until;
    }

    /// An alarm is held back until then, and not longer than it was.
    fn hold_until(&mut self, abort_until: Option<UnixMillis>) {
        self.abort_until = self
            .abort_until
            .zip(abort_until)
            .map(|(one, other)| one.min(other));
    }

    /// Until when its alarm is held back from remote sinks, if it is.
    pub(super) fn held_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.abort_until.filter(|until| now < *until)
    }

    /// Alarm, as of a time that may have passed while the hub was away. `silent`: it is a panic for which no siren sounds.
    pub(super) fn trigger(
        &mut self,
        now: UnixMillis,
        from: UnixMillis,
        policy: &AreaPolicy,
        mode: Option<Mode>,
        causes: Vec<Cause>,
        silent: bool,
    ) -> AreaNews {
        for cause in &causes {
            self.remember(cause.clone());
        }
        let news = AreaNews::Alarm {
            causes: causes.clone(),
            to: self.recipients.clone(),
        };
        let until = from + policy.trigger_time;
        self.go(
            now,
            AreaState::Triggered {
                mode,
                until,
                causes,
                silent,
            },
        );
        news
    }

    /// One of its cameras was attacked: alarm, whatever it is at. It asks for no delay and no window, and a flapping contact does not
    /// make the alarm longer. While there is a silent panic it is silent too.
    pub(super) fn tamper(
        &mut self,
        now: UnixMillis,
        policy: &AreaPolicy,
        mark: AlertMark<'_>,
    ) -> (Sounding, Option<AreaNews>) {
        let cause = Cause::of(mark.alert);
        if let AreaState::Triggered { causes, silent, .. } = &mut self.state {
            let sounding = match silent {
                true => Sounding::No(RouteReason::HeldSilent {
                    area: policy.name.clone(),
                }),
                false => Sounding::Now,
            };
            if mark.qualifies {
                add(causes, &cause);
                self.abort_until = None;
                self.remember(cause);
            }
            return (sounding, None);
        }
        if !mark.qualifies {
            return (Sounding::Now, None);
        }
        (
            Sounding::Now,
            Some(self.trigger_always(now, policy, cause, false)),
        )
    }

    /// Alarm for what asks neither arming nor delays, where there is none yet. Who was leaving leaves an area that is armed afterwards.
    fn trigger_always(
        &mut self,
        now: UnixMillis,
        policy: &AreaPolicy,
        cause: Cause,
        silent: bool,
    ) -> AreaNews {
        let mut causes = Vec::new();
        let mode = match &self.state {
            AreaState::Arming { mode, .. } => Some(*mode),
            _ => self.protects(),
        };
        match &self.state {
            AreaState::Pending { cause, .. } => causes.push(cause.clone()),
            _ => self.begin_alarm(None),
        }
        self.abort_until = None;
        causes.push(cause);
        self.trigger(now, now, policy, mode, causes, silent)
    }

    fn remember(&mut self, cause: Cause) {
        let known = self.memory.iter().any(|known| known.alert == cause.alert);
        if !known && self.memory.len() < MAX_CAUSES {
            self.memory.push(cause);
        }
    }

    /// Notes what an immediate camera has seen, at most once a second: who arms then is not alone.
    fn note_seen(&mut self, delayed: bool, cause: Cause) {
        let newest = self
            .last
            .as_ref()
            .map_or(i64::MIN, |last| last.at.0.saturating_add(999));
        if !delayed && cause.at.0 > newest {
            self.last = Some(cause);
        }
    }

    /// A person needs help: alarm, whatever it is at. An alarm that it has lasts its whole time from now on, and sounds if one of the
    /// two does.
    pub(super) fn panic(
        &mut self,
        now: UnixMillis,
        policy: &AreaPolicy,
        (alert, panic): (&Alert, &Panic),
    ) -> Option<AreaNews> {
        let cause = Cause {
            alert: alert.id,
            at: alert.happened_at(),
            camera: panic.label().to_owned(),
        };
        if let AreaState::Triggered {
            until,
            causes,
            silent,
            ..
        } = &mut self.state
        {
            *until = (now + policy.trigger_time).max(*until);
            *silent &= panic.silent;
            // It is among them, or it would not be known where it sounds.
            causes.truncate(MAX_CAUSES - 1);
            causes.push(cause.clone());
            self.abort_until = None;
            self.remember(cause);
            return None;
        }
        Some(self.trigger_always(now, policy, cause, panic.silent))
    }
}

fn add(causes: &mut Vec<Cause>, cause: &Cause) {
    if causes.len() < MAX_CAUSES {
        causes.push(cause.clone());
    }
}

impl AreaPolicy {
    /// Whether this alert is of a camera on the way in and out.
    fn delays(&self, alert: &Alert) -> bool {
        let name = alert.camera.as_ref().and_then(|camera| camera.name.as_deref());
        name.is_some_and(|name| self.delayed.iter().any(|delayed| name_matches(delayed, name)))
    }
}

impl Cause {
    fn of(alert: &Alert) -> Self {
        let camera = alert.camera.as_ref().map_or("", |camera| camera.label());
        let camera = match alert.kind {
            AlertKind::Tamper => format!("tamper at {camera}"),
            _ => camera.to_owned(),
        };
        Self {
            alert: alert.id,
            at: alert.happened_at(),
            camera,
        }
    }
}
