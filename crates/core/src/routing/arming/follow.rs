//! An area that is armed and disarmed by the clock, beside what persons do with it: an edge of its schedules is carried out once,
//! also one that has passed while the hub did not run, and what a person has wanted since then holds until the next one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::auto_arm::{AutoArm, AutoArms, Edge};
use super::{Area, AreaNews, AreaPolicy, AreaState, Blocker, MAX_POSTPONED, Mode};
use crate::UnixMillis;
use crate::routing::Actor;

/// How long until an area is armed that was not ready when its schedule wanted that.
const RETRY: Duration = Duration::from_secs(300);

/// 2026-01-01 in UTC, which is before this was written. A clock that shows an earlier time is not set yet, and no schedule is
/// followed by it.
const CLOCK_IS_SET: UnixMillis = UnixMillis(1_767_225_600_000);

/// How far the schedules of an area were followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Followed {
    /// Up to when: the last edge that was carried out, or the last command of a person. A schedule that is new begins with its next
    /// edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<UnixMillis>,
    /// The next edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextEdge>,
    /// What a schedule wants and has not got yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingArm>,
    /// When to look again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) look_at: Option<UnixMillis>,
}

/// An edge that is to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextEdge {
    /// When.
    pub at: UnixMillis,
    /// How the area is armed from then on; `None` where it is disarmed.
    pub mode: Option<Mode>,
    /// When it is armed instead, because a person wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postponed_to: Option<UnixMillis>,
    /// Whether it was said that it will be armed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    warned: bool,
}

/// That an area is to be armed, as a schedule has wanted since its last edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingArm {
    /// How.
    pub mode: Mode,
    /// When that is tried next.
    pub at: UnixMillis,
    /// Whether it was said that it will be armed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    warned: bool,
    /// Whether it has failed, which is said once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

/// What a look has come to.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) news: Vec<AreaNews>,
    /// It is disarmed, by this schedule.
    pub(super) disarmed: Option<Actor>,
}

impl Area {
    /// Does what the schedules of the area want by now. To be called when [`Followed::look_at`] has come, and when its policy may be
    /// another one.
    pub(super) fn follow(&mut self, now: UnixMillis, policy: &AreaPolicy, faults: &[Blocker]) -> Look {
        let mut look = Look::default();
        if policy.auto_arm.is_empty() {
            self.followed = None;
            return look;
        }
        let mut followed = self.followed.take().unwrap_or_default();
        if now < CLOCK_IS_SET {
            followed.look_at = Some(CLOCK_IS_SET);
            self.followed = Some(followed);
            return look;
        }
        let auto_arms = AutoArms(&policy.auto_arm);
        // A clock that was ahead must not keep edges from being carried out for as long as it was.
        let since = followed.since.map_or(now, |since| since.min(now));
        let (last, next) = auto_arms.around(since, now);
        followed.since = Some(since);
        if let Some(edge) = last {
            followed.since = Some(now);
            self.carry_out_edge((now, edge), policy, &mut followed, &mut look);
        }
        followed.expect(next);
        self.pursue((now, policy, faults), &mut followed, &mut look);
        self.warn(now, policy, &mut followed, &mut look);
        self.followed = Some(followed);
        look
    }

    /// What an edge wants. A schedule never disarms what is pending or triggered.
    fn carry_out_edge(
        &mut self,
        (now, edge): (UnixMillis, Edge),
        policy: &AreaPolicy,
        followed: &mut Followed,
        look: &mut Look,
    ) {
        let known = followed.next.take().filter(|next| next.at == edge.at);
        if let Some(mode) = edge.mode {
            let postponed_to = known.as_ref().and_then(|next| next.postponed_to);
            followed.pending = Some(PendingArm {
                mode,
                at: postponed_to.unwrap_or(edge.at),
                warned: known.is_some_and(|next| next.warned),
                failed: false,
            });
            return;
        }
        followed.pending = None;
        let Some(closed) = AutoArms(&policy.auto_arm)
            .closed(edge.at)
            .filter(|closed| closed.disarms)
        else {
            return;
        };
        let by = closed.actor();
        if self.is_alarmed() {
            look.news.push(AreaNews::StaysArmed { by });
        } else if let Some(news) = self.disarm(now, &by) {
            look.news.push(news);
            look.disarmed = Some(by);
        }
    }

    /// Arms the area if that is pending and its time has come.
    fn pursue(
        &mut self,
        (now, policy, faults): (UnixMillis, &AreaPolicy, &[Blocker]),
        followed: &mut Followed,
        look: &mut Look,
    ) {
        let Some(mut pending) = followed.pending.take() else {
            return;
        };
        let open = AutoArms(&policy.auto_arm).open(now);
        // The configuration may be another one since.
        let Some(auto) = open.filter(|auto| auto.mode == pending.mode) else {
            return;
        };
        // It may have been set by a clock that was ahead.
        pending.at = pending.at.min(now + MAX_POSTPONED);
        if self.is_armed(pending.mode) {
            return;
        }
        let arming = matches!(self.state, AreaState::Arming { mode, .. } if mode == pending.mode);
        if pending.at > now || arming {
            followed.pending = Some(pending);
            return;
        }
        let blockers = match self.is_alarmed() {
            true => Vec::new(),
            false => self.keeps_from(now, policy, faults),
        };
        let by = auto.actor();
        if !blockers.is_empty() && !auto.force {
            if !std::mem::replace(&mut pending.failed, true) {
                let (mode, by) = (pending.mode, Some(by));
                look.news.push(AreaNews::NotArmed { mode, by, blockers });
            }
            pending.at = now + RETRY;
            followed.pending = Some(pending);
            return;
        }
        look.news
            .extend(self.arm(now, policy, (pending.mode, &by), blockers));
        if let AreaState::Arming { mode, until, .. } = self.state {
            if !std::mem::replace(&mut pending.warned, true) {
                let seconds = now.until(until).as_secs();
                look.news.push(AreaNews::ArmsSoon { mode, by, seconds });
            }
            // It may fail when people have had the time to leave.
            pending.at = until + RETRY;
            followed.pending = Some(pending);
        }
    }

    /// Says that the area will be armed, once, and finds out when to look again.
    fn warn(&mut self, now: UnixMillis, policy: &AreaPolicy, followed: &mut Followed, look: &mut Look) {
        let auto_arms = AutoArms(&policy.auto_arm);
        let mut times: Vec<UnixMillis> = Vec::new();
        let mut warn = |at: UnixMillis, warned: &mut bool, mode: Mode, auto: Option<&AutoArm>| {
            times.push(at);
            let warns = auto.filter(|auto| !auto.warn.is_zero() && !*warned && !self.is_armed(mode));
            let Some(auto) = warns else { return };
            if at - auto.warn > now {
                times.push(at - auto.warn);
                return;
            }
            *warned = true;
            let (by, seconds) = (auto.actor(), now.until(at).as_secs());
            look.news.push(AreaNews::ArmsSoon { mode, by, seconds });
        };
        if let Some(pending) = &mut followed.pending {
            // That it is tried again is no news.
            pending.warned |= pending.failed;
            warn(pending.at, &mut pending.warned, pending.mode, auto_arms.open(now));
        }
        if let Some(next) = &mut followed.next {
            if let Some(mode) = next.mode {
                let at = next.arms_at();
                warn(at, &mut next.warned, mode, auto_arms.open(next.at));
            }
            times.push(next.at);
        }
        followed.look_at = times.into_iter().min();
    }
}

impl Area {
    /// Has what a person wants be done later: that a schedule arms the area. Returns whether it is about to.
    pub(super) fn postpone(&mut self, now: UnixMillis, lasts: Duration, by: &Actor) -> Option<AreaNews> {
        let mut followed = self.followed.take()?;
        let postponed = match (&mut followed.pending, &mut followed.next) {
            (Some(pending), _) => {
                // People are leaving, because of the schedule.
                if let AreaState::Arming { from, .. } = self.state {
                    self.stop_arming(now, from);
                    pending.at = now;
                }
                pending.at = pending.at.max(now) + lasts;
                (pending.warned, pending.failed) = (false, false);
                Some((pending.mode, pending.at))
            }
            (None, Some(next)) => next.mode.map(|mode| {
                let at = next.arms_at() + lasts;
                (next.postponed_to, next.warned) = (Some(at), false);
                (mode, at)
            }),
            (None, None) => None,
        };
        followed.look_at = Some(now);
        self.followed = Some(followed);
        let (mode, at) = postponed?;
        let (by, seconds) = (by.clone(), now.until(at).as_secs());
        Some(AreaNews::Postponed { mode, by, seconds })
    }

    /// Whether it is armed like this, with all that belongs to it.
    fn is_armed(&self, wanted: Mode) -> bool {
        !self.messages_only && matches!(self.state, AreaState::Armed { mode } if mode == wanted)
    }

    /// A person has said what the area is to be, which holds until the next edge.
    pub(super) fn overrule(&mut self, now: UnixMillis) {
        if let Some(followed) = &mut self.followed {
            (followed.since, followed.look_at) = (Some(now), Some(now));
            followed.pending = None;
        }
    }

    /// It could not be armed after people had the time to leave. Returns whether that is news.
    pub(super) fn has_failed(&mut self) -> bool {
        let followed = self.followed.as_mut();
        let pending = followed.and_then(|followed| followed.pending.as_mut());
        pending.is_none_or(|pending| !std::mem::replace(&mut pending.failed, true))
    }

    /// What its schedules say, where what it was is not known any more: how it is armed, if they say anything.
    pub(super) fn scheduled(now: UnixMillis, policy: &AreaPolicy) -> Option<Option<Mode>> {
        let knows = now >= CLOCK_IS_SET && !policy.auto_arm.is_empty();
        knows.then(|| AutoArms(&policy.auto_arm).open(now).map(|auto| auto.mode))
    }
}

impl Followed {
    /// Waits for this edge. What a person wants of the one that is known stays so.
    fn expect(&mut self, next: Option<Edge>) {
        self.next = next.map(|Edge { at, mode }| match self.next.take() {
            Some(known) if (known.at, known.mode) == (at, mode) => known,
            _ => NextEdge {
                at,
                mode,
                postponed_to: None,
                warned: false,
            },
        });
    }

    /// When the area is armed by a schedule next, and how.
    pub fn next_arm(&self) -> Option<(UnixMillis, Mode)> {
        let pending = self.pending.as_ref().map(|pending| (pending.at, pending.mode));
        let next = self.next.as_ref();
        pending.or_else(|| next.and_then(|next| Some((next.arms_at(), next.mode?))))
    }

    /// The clock was set, and is at `now` since. Edges are times of the day, and stay where they are.
    pub(super) fn shift(&mut self, now: UnixMillis, millis: i64) {
        self.look_at = Some(now);
        if let Some(pending) = &mut self.pending {
            pending.at.0 = pending.at.0.saturating_add(millis);
        }
    }
}

impl NextEdge {
    /// When the area is armed, if it is.
    fn arms_at(&self) -> UnixMillis {
        self.postponed_to.unwrap_or(self.at)
    }
}

impl AutoArm {
    fn actor(&self) -> Actor {
        Actor::Schedule(self.schedule.name.clone())
    }
}
