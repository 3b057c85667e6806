//! What a child is given of the processors while others want them too. Knows no process and reads no clock.
//!
//! A plugin may compute for nothing: a loop that does not end, a thread that waits by asking. Its calls have their time
//! limits, its other threads have none, and the sinks beside it would wait. So what computes much and answers little gets
//! what the others leave. It is slowed down and not stopped, for there may be a reason.
//!
//! A child has a credit of time in which it may do so. What spends it is slowed down until it has been calm for long
//! enough, and longer each time. The credit is its sink's: a child that takes another's place goes on with it, and one whose
//! forerunner has crashed or had to be killed begins slowed down. What a start takes is not counted, up to a bound.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often a child with an equal share is looked at that has something to do, or has not its whole credit.
const LOOK: Duration = Duration::from_millis(50);
/// How often one is that is slowed down. Longer, for what it gets comes in pieces.
const SLOW_LOOK: Duration = Duration::from_secs(1);
/// One that uses less of its time than this part is no burden: where others compute too, it may get no more.
const BUSY_PART: u32 = 4;
/// What an answered call may cost. Most of the bundled plugins take a millisecond. Scaling a picture down for a mail takes
/// longer, and is slowed down in a flood only.
const COST_OF_CALL: Duration = Duration::from_millis(10);
/// The most credit that a child has. Two or three alerts of a busy site come in this time.
const CREDIT: Duration = Duration::from_millis(100);
/// What a start may take with an equal share, whatever was before: it has a time limit, also where others compute.
const START: Duration = Duration::from_millis(500);
/// The part of a calm time by which the credit grows.
const GROWTH: u32 = 100;
/// How long a child that is slowed down for the first time has to be calm. It is twice as long for one that is slowed down
/// again soon.
const FIRST_CALM: Duration = Duration::from_secs(10);
const LONGEST_CALM: Duration = Duration::from_secs(600);

/// How much a child gets of processors that others want too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// As much as each of the others.
    Equal,
    /// What the others leave.
    Rest,
}

/// What became of giving a child its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// It has it.
    Now,
    /// It is to be tried again.
    NotYet,
    /// This machine has no means to.
    Never,
}

/// How the children of one sink have used the processors: what one of them has learned is not forgotten with it. A new one
/// is that of a sink without a past.
#[derive(Clone, Debug, Default)]
pub struct Conduct(Arc<Mutex<Option<ShareWatch>>>);

impl Conduct {
    /// The watch over the next child, which starts now.
    pub(crate) fn watch(&self, now: Instant) -> ShareWatch {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.map_or_else(|| ShareWatch::new(now), |watch| watch.over_next(now))
    }

    /// The child is gone. `badly`: it was to be there.
    pub(crate) fn keep(&self, mut watch: ShareWatch, badly: bool, now: Instant) {
        if badly {
            watch.ended_badly(now);
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(watch);
    }
}

/// What is seen of a child.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Whether its start is not over.
    pub(crate) starting: bool,
    /// All the processor time that it has used.
    pub(crate) used: Duration,
    /// All the calls that it has answered.
    pub(crate) answered: u64,
}

impl Seen {
    /// A child that has just been started.
    const NOTHING: Self = Self {
        starting: true,
        used: Duration::ZERO,
        answered: 0,
    };
}

/// Decides a child's share by what it uses.
#[derive(Debug)]
pub(crate) struct ShareWatch {
    state: State,
    /// Since when.
    since: Instant,
    /// What its start may yet take with an equal share.
    start: Duration,
    looked: Instant,
    /// What was seen then.
    seen: Seen,
    /// How long it has to be calm when it is slowed down.
    wanted: Duration,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// It has an equal share, and may be busy for nothing for as long as this.
    Equal { credit: Duration },
    /// It is slowed down. It was calm for so long since. `reported`: it goes on all the same, which was said.
    Rest { calm: Duration, reported: bool },
}

impl ShareWatch {
    /// Of a sink's first child.
    fn new(now: Instant) -> Self {
        Self {
            state: State::Equal { credit: CREDIT },
            since: now,
            start: START,
            looked: now,
            seen: Seen::NOTHING,
            wanted: FIRST_CALM,
        }
    }

    /// Of the child that takes this one's place. The time between them proves nothing.
    fn over_next(self, now: Instant) -> Self {
        Self {
            start: START,
            looked: now,
            seen: Seen::NOTHING,
            ..self
        }
    }

    /// What it is to have. `starting`: its start is not over.
    pub(crate) fn share(&self, starting: bool) -> Share {
        match self.state {
            State::Equal { .. } => Share::Equal,
            State::Rest { .. } if starting && !self.start.is_zero() => Share::Equal,
            State::Rest { .. } => Share::Rest,
        }
    }

    /// Whether it is time for [`Self::look`].
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.next_look()
    }

    /// When to wake up for the next look. A child that rests is no reason to: one with an equal share and its whole credit
    /// that is not `at_work` and has answered no call since the last look.
    pub(crate) fn next(&self, at_work: bool, answered: u64) -> Option<Instant> {
        let rests = matches!(self.state, State::Equal { credit } if credit >= CREDIT);
        let rests = rests && !at_work && answered == self.seen.answered;
        (!rests).then(|| self.next_look())
    }

    fn next_look(&self) -> Instant {
        let interval = match self.share(self.seen.starting) {
            Share::Equal => LOOK,
            Share::Rest => SLOW_LOOK,
        };
        self.looked + interval
    }

    /// Judges it by what is seen of it. Whether that is to be said: it goes on although it is slowed down, or begins again
    /// soon.
    pub(crate) fn look(&mut self, now: Instant, seen: Seen) -> bool {
        let elapsed = now.saturating_duration_since(self.looked);
        let spent = seen.used.saturating_sub(self.seen.used);
        let calls = seen.answered.saturating_sub(self.seen.answered);
        let worth = COST_OF_CALL.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX));
        let was_starting = self.seen.starting;
        (self.looked, self.seen) = (now, seen);
        let wasted = spent.saturating_sub(worth).min(elapsed);
        let is_calm = spent < elapsed / BUSY_PART || wasted.is_zero();
        if was_starting {
            self.start = self
                .start
                .saturating_sub(if is_calm { Duration::ZERO } else { wasted });
            if self.start.is_zero() && self.share(false) == Share::Equal {
                self.slow_down(now);
            }
            return false;
        }
        match &mut self.state {
            State::Equal { credit } => {
                *credit = if is_calm {
                    CREDIT.min(*credit + elapsed / GROWTH)
                } else {
                    credit.saturating_sub(wasted)
                };
                if credit.is_zero() {
                    return self.slow_down(now);
                }
            }
            State::Rest { calm, .. } if is_calm => {
                *calm += elapsed;
                if *calm >= self.wanted {
                    self.relieve(now);
                }
            }
            State::Rest { reported, .. } => return !std::mem::replace(reported, true),
        }
        false
    }

    /// It was not to end. What takes its place has to be calm for as long as one that was busy for nothing.
    fn ended_badly(&mut self, now: Instant) {
        match &mut self.state {
            State::Equal { .. } => {
                self.slow_down(now);
            }
            State::Rest { calm, .. } => *calm = Duration::ZERO,
        }
    }

    /// Whether it was slowed down a short while ago.
    fn slow_down(&mut self, now: Instant) -> bool {
        // It has behaved for longer than it would have to be calm now.
        if now.saturating_duration_since(self.since) > self.wanted {
            self.wanted = FIRST_CALM;
        }
        let again = self.wanted > FIRST_CALM;
        self.state = State::Rest {
            calm: Duration::ZERO,
            reported: again,
        };
        self.since = now;
        again
    }

    fn relieve(&mut self, now: Instant) {
        self.wanted = (self.wanted * 2).min(LONGEST_CALM);
        self.state = State::Equal { credit: CREDIT };
        self.since = now;
    }
}

#[cfg(test)]
mod tests;
