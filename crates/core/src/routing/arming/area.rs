//! One area, as a state machine. It knows no other area, and of the configuration what is said of it. What makes an alarm of it
//! stands in `alarm.rs`.

use std::collections::{BTreeSet, VecDeque};

use super::{AfterLoss, Area, AreaNews, AreaPolicy, AreaState, Blocker, CLEAR_BEFORE, Cause, Mode, TestMode};
use crate::routing::Actor;
use crate::{AlertId, UnixMillis};

/// Changes of what is protected that are remembered, for alerts that come after them. No alert that is older makes noise.
const MAX_HISTORY: usize = 32;

impl Area {
    /// One that is disarmed, as no one has armed it yet.
    pub(super) fn new(now: UnixMillis) -> Self {
        Self {
            since: now,
            history: VecDeque::from([(now, None)]),
            ..Self::default()
        }
    }

    /// How its alerts are an alarm now, if they are.
    pub fn protects(&self) -> Option<Mode> {
        match self.state {
            AreaState::Disarmed => None,
            AreaState::Arming { from, .. } => from,
            AreaState::Armed { mode } | AreaState::Pending { mode, .. } => Some(mode),
            AreaState::Triggered { mode, .. } => mode,
        }
    }

    /// How it was armed at a time. Of a time before all that is remembered the first is taken.
    pub fn protected_at(&self, at: UnixMillis) -> Option<Mode> {
        let known = self.history.iter().rev().find(|(from, _)| *from <= at);
        known
            .or_else(|| self.history.front())
            .map_or_else(|| self.protects(), |(_, mode)| *mode)
    }

    /// Cameras that a siren does not sound for any more, as they have raised too many alarms.
    pub fn shut(&self, now: UnixMillis, policy: &AreaPolicy) -> Vec<String> {
        let limit = policy.swinger.unwrap_or(u8::MAX);
        self.swingers.shut(now, limit)
    }

    /// When its state ends by itself.
    pub fn until(&self) -> Option<UnixMillis> {
        match self.state {
            AreaState::Disarmed | AreaState::Armed { .. } => None,
            AreaState::Arming { until, .. }
            | AreaState::Pending { until, .. }
            | AreaState::Triggered { until, .. } => Some(until),
        }
    }

    /// When there is something to do although nothing has come.
    pub(super) fn due(&self) -> Option<UnixMillis> {
        let followed = self.followed.as_ref().and_then(|followed| followed.look_at);
        let test = self.test.as_ref().map(|test| test.until);
        self.until().into_iter().chain(followed).chain(test).min()
    }

    /// The alarm that there is, or may be soon, by its first alert.
    pub(super) fn alarm_id(&self) -> Option<AlertId> {
        self.causes().first().map(|cause| cause.alert)
    }

    /// What was seen of the alarm that there is, or may be soon: the first ones.
    pub(super) fn causes(&self) -> &[Cause] {
        match &self.state {
            AreaState::Pending { cause, .. } => std::slice::from_ref(cause),
            AreaState::Triggered { causes, .. } => causes,
            AreaState::Disarmed | AreaState::Arming { .. } | AreaState::Armed { .. } => &[],
        }
    }

    /// Whether there is an alarm, or may be one soon.
    pub(super) fn is_alarmed(&self) -> bool {
        matches!(
            self.state,
            AreaState::Pending { .. } | AreaState::Triggered { .. }
        )
    }

    pub(super) fn go(&mut self, now: UnixMillis, state: AreaState) {
        (self.state, self.since) = (state, now);
        let protects = self.protects();
        // What held for no time at all is not remembered.
        if self.history.back().is_some_and(|(from, _)| *from == now) {
            self.history.pop_back();
        }
        if self.history.back().is_none_or(|(_, mode)| *mode != protects) {
            if self.history.len() == MAX_HISTORY {
                self.history.pop_front();
            }
            self.history.push_back((now, protects));
        }
    }

    /// What keeps it from being ready. `faults` is what is wrong on the site, whatever it is of.
    pub(super) fn blockers(&self, now: UnixMillis, policy: &AreaPolicy, faults: &[Blocker]) -> Vec<Blocker> {
        let concerns = |fault: &&Blocker| match fault {
            Blocker::Connection { name, .. } => policy.connections.contains(name),
            Blocker::Sink { .. } | Blocker::Camera { .. } => true,
        };
        let seen = self.last.iter().filter(|last| last.at + CLEAR_BEFORE > now);
        let seen = seen.map(|last| Blocker::Camera {
            name: last.camera.clone(),
        });
        faults.iter().filter(concerns).cloned().chain(seen).collect()
    }

    /// What keeps it from being armed now. That cameras see people while they leave is no matter.
    pub(super) fn keeps_from(
        &self,
        now: UnixMillis,
        policy: &AreaPolicy,
        faults: &[Blocker],
    ) -> Vec<Blocker> {
        let mut blockers = self.blockers(now, policy, faults);
        let leaving = !policy.exit_delay.is_zero();
        blockers.retain(|blocker| !(leaving && matches!(blocker, Blocker::Camera { .. })));
        blockers
    }

    /// Arms it. `blockers` are bypassed. To arm what is pending or triggered does not end the alarm, but says how it is armed
    /// afterwards.
    pub(super) fn arm(
        &mut self,
        now: UnixMillis,
        policy: &AreaPolicy,
        (wanted, by): (Mode, &Actor),
        blockers: Vec<Blocker>,
    ) -> Option<AreaNews> {
        let (mut from, mut again) = (self.protects(), false);
        self.swingers.clear();
        match &mut self.state {
            // For messages only, it is armed as any other: with the time to leave.
            AreaState::Armed { mode } if *mode == wanted && !self.messages_only => return None,
            AreaState::Arming { mode, restarted, .. } if *mode == wanted => {
                if std::mem::replace(restarted, true) {
                    return None;
                }
                again = true;
            }
            AreaState::Pending { mode, .. } => {
                *mode = wanted;
                return self.rename_mode(now, by);
            }
            AreaState::Triggered { mode, .. } => {
                *mode = Some(wanted);
                return self.rename_mode(now, by);
            }
            AreaState::Disarmed => from = None,
            AreaState::Arming { .. } | AreaState::Armed { .. } => {}
        }
        for blocker in blockers {
            if !self.bypassed.iter().any(|known| known.is(&blocker)) {
                self.bypassed.push(blocker);
            }
        }
        self.by = Some(by.clone());
        if policy.exit_delay.is_zero() {
            return Some(self.armed(now, wanted));
        }
        let until = now + policy.exit_delay;
        let (mode, restarted) = (wanted, again);
        self.go(
            now,
            AreaState::Arming {
                mode,
                until,
                from,
                restarted,
            },
        );
        None
    }

    /// The mode has changed under an alarm, which goes on.
    fn rename_mode(&mut self, now: UnixMillis, by: &Actor) -> Option<AreaNews> {
        self.by = Some(by.clone());
        let (state, since) = (self.state.clone(), self.since);
        self.go(now, state);
        self.since = since;
        None
    }

    /// It is armed from now on.
    pub(super) fn set_armed(&mut self, now: UnixMillis, mode: Mode) {
        self.messages_only = false;
        self.go(now, AreaState::Armed { mode });
    }

    /// What it was is not known any more: it is what its policy says.
    pub(super) fn lost(&mut self, now: UnixMillis, policy: &AreaPolicy) -> AreaNews {
        let scheduled = Self::scheduled(now, policy);
        let first = policy.modes.first().copied();
        let (mode, messages_only) = match (scheduled, policy.after_loss) {
            (Some(mode), _) => (mode, false),
            (None, AfterLoss::MessagesOnly) => (first, true),
            (None, AfterLoss::Disarmed) => (None, false),
        };
        if let Some(mode) = mode {
            self.set_armed(now, mode);
            self.messages_only = messages_only;
        }
        AreaNews::Lost {
            mode: self.protects(),
            scheduled: scheduled.is_some(),
        }
    }

    fn armed(&mut self, now: UnixMillis, mode: Mode) -> AreaNews {
        self.set_armed(now, mode);
        self.last = None;
        AreaNews::Armed {
            mode,
            by: self.by.clone(),
            bypassed: self.bypassed.clone(),
        }
    }

    /// Disarms it, whatever it is at. Returns what is to be said of it.
    pub(super) fn disarm(&mut self, now: UnixMillis, by: &Actor) -> Option<AreaNews> {
        if self.state == AreaState::Disarmed {
            return None;
        }
        let ((to, unsent), by) = (self.take_recipients(now), by.clone());
        let news = match &self.state {
            AreaState::Disarmed | AreaState::Arming { .. } | AreaState::Armed { .. } => {
                AreaNews::Disarmed { by: by.clone() }
            }
            AreaState::Pending { cause, .. } => AreaNews::Cancelled {
                by: by.clone(),
                causes: vec![cause.clone()],
                to,
                unsent,
            },
            AreaState::Triggered { causes, .. } => AreaNews::Cancelled {
                by: by.clone(),
                causes: causes.clone(),
                to,
                unsent,
            },
        };
        self.bypassed.clear();
        self.swingers.clear();
        (self.last, self.messages_only) = (None, false);
        self.by = Some(by);
        self.go(now, AreaState::Disarmed);
        Some(news)
    }

    /// The sinks that got its alarm, or will, and those that do not, as it was held back from them and is not sent any more.
    fn take_recipients(&mut self, now: UnixMillis) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut got, held) = (
            std::mem::take(&mut self.recipients),
            std::mem::take(&mut self.held),
        );
        let is_held = self.held_until(now).is_some();
        self.abort_until = None;
        if is_held {
            let unsent = held.difference(&got).cloned().collect();
            return (got, unsent);
        }
        got.extend(held);
        (got, BTreeSet::new())
    }

    /// Ends its state if the time for that has come. Returns what is to be said, and whether what makes noise is to stop. To
    /// be called again until there is nothing.
    pub(super) fn expire(
        &mut self,
        now: UnixMillis,
        policy: &AreaPolicy,
        faults: &[Blocker],
    ) -> Option<(Option<AreaNews>, bool)> {
        self.rebase(now);
        if self.test.as_ref().is_some_and(|test| test.until <= now) {
            return Some((TestMode::end(self, None), false));
        }
        let until = self.until().filter(|until| *until <= now)?;
        match self.state.clone() {
            AreaState::Arming { mode, from, .. } => {
                let mut blockers = self.blockers(now, policy, faults);
                blockers.retain(|blocker| !self.bypassed.iter().any(|known| known.is(blocker)));
                if blockers.is_empty() {
                    return Some((Some(self.armed(now, mode)), false));
                }
                self.stop_arming(now, from);
                let (by, is_news) = (self.by.clone(), self.has_failed());
                Some((
                    is_news.then_some(AreaNews::NotArmed { mode, by, blockers }),
                    false,
                ))
            }
            AreaState::Pending { mode, cause, .. } => {
                let news = self.trigger(now, until, policy, Some(mode), vec![cause], false);
                Some((Some(news), false))
            }
            AreaState::Triggered { mode, .. } => {
                let after = mode.map_or(AreaState::Disarmed, |mode| AreaState::Armed { mode });
                self.go(now, after);
                self.abort_until = None;
                let (to, _) = self.take_recipients(now);
                Some((Some(AreaNews::Over { mode, to }), true))
            }
            AreaState::Disarmed | AreaState::Armed { .. } => None,
        }
    }

    /// It is what it was before people began to leave.
    pub(super) fn stop_arming(&mut self, now: UnixMillis, from: Option<Mode>) {
        self.last = None;
        let before = from.map_or(AreaState::Disarmed, |mode| AreaState::Armed { mode });
        self.go(now, before);
        if from.is_none() {
            self.bypassed.clear();
        }
    }

    /// The clock is behind the beginning of the state, as after a loss of power: its time begins again, and what is
    /// protected was so all the time.
    fn rebase(&mut self, now: UnixMillis) {
        self.test.iter_mut().for_each(|test| test.rebase(now));
        if now >= self.since {
            return;
        }
        let protects = self.protects();
        let since = std::mem::replace(&mut self.since, now);
        self.abort_until = self.abort_until.map(|until| now + since.until(until));
        if let AreaState::Arming { until, .. }
        | AreaState::Pending { until, .. }
        | AreaState::Triggered { until, .. } = &mut self.state
        {
            *until = now + since.until(*until);
        }
        self.history = VecDeque::from([(UnixMillis(0), protects)]);
        self.last = None;
    }

    /// The clock was set, and is at `now` since: what is to come comes as late as it would have. A clock that stood before the
    /// beginning of the state was wrong, and is right now.
    pub(super) fn shift(&mut self, now: UnixMillis, millis: i64) {
        if let Some(followed) = &mut self.followed {
            followed.shift(now, millis);
        }
        self.test.iter_mut().for_each(|test| test.shift(millis));
        let before = UnixMillis(now.0.saturating_sub(millis));
        if self.since > before {
            return;
        }
        let moved = |at: &mut UnixMillis| at.0 = at.0.saturating_add(millis);
        moved(&mut self.since);
        self.abort_until.iter_mut().for_each(moved);
        self.swingers.shift(millis);
        self.history.iter_mut().for_each(|(from, _)| moved(from));
        self.last.iter_mut().for_each(|last| moved(&mut last.at));
        if let AreaState::Arming { until, .. }
        | AreaState::Pending { until, .. }
        | AreaState::Triggered { until, .. } = &mut self.state
        {
            moved(until);
        }
    }
}
