//! What the clock wants of an area: which of its schedules is open arms it, and where none is it is disarmed. A function of time.

use std::sync::Arc;
use std::time::Duration;

use super::Mode;
use crate::UnixMillis;
use crate::routing::Schedule;

/// Edges that are looked at for one that changes the mode. Two schedules may change at many times while a third one, which comes
/// first, is open.
const MAX_EDGES: usize = 1_000;

/// That an area is armed while a schedule is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoArm {
    /// When.
    pub schedule: Arc<Schedule>,
    /// How.
    pub mode: Mode,
    /// How long before it is said, so that who is there can leave or postpone it; zero for not at all.
    pub warn: Duration,
    /// Whether the area is disarmed when the schedule closes.
    pub disarms: bool,
    /// Whether what keeps the area from being ready is bypassed.
    pub force: bool,
}

/// A time at which schedules want something else of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) at: UnixMillis,
    /// How it is armed from then on; `None` where it is not.
    pub(super) mode: Option<Mode>,
}

/// The schedules of an area. The first that is open counts.
#[derive(Clone, Copy)]
pub(super) struct AutoArms<'a>(pub(super) &'a [AutoArm]);

impl<'a> AutoArms<'a> {
    /// The schedule that counts at a time.
    pub(super) fn open(self, at: UnixMillis) -> Option<&'a AutoArm> {
        self.0.iter().find(|auto| auto.schedule.is_open(at))
    }

    fn mode(self, at: UnixMillis) -> Option<Mode> {
        self.open(at).map(|auto| auto.mode)
    }

    /// The first edge after a time; `None` where there is none within a year.
    pub(super) fn next(self, after: UnixMillis) -> Option<Edge> {
        let (before, mut at) = (self.mode(after), after);
        for _ in 0..MAX_EDGES {
            at = self
                .0
                .iter()
                .filter_map(|auto| auto.schedule.next_edge(at))
                .min()?;
            let mode = self.mode(at);
            if mode != before {
                return Some(Edge { at, mode });
            }
        }
        None
    }

    /// The last edge after `after` and not after `now`, and the first after `now`.
    pub(super) fn around(self, after: UnixMillis, now: UnixMillis) -> (Option<Edge>, Option<Edge>) {
        let (mut last, mut from) = (None, after);
        for _ in 0..MAX_EDGES {
            match self.next(from) {
                Some(edge) if edge.at <= now => (last, from) = (Some(edge), edge.at),
                next => return (last, next),
            }
        }
        // Of so many edges the last one is what holds now, whenever it was.
        let mode = self.mode(now);
        (Some(Edge { at: now, mode }), self.next(now))
    }

    /// The schedule that counted until a time.
    pub(super) fn closed(self, at: UnixMillis) -> Option<&'a AutoArm> {
        self.open(UnixMillis(at.0.saturating_sub(1)))
    }
}
