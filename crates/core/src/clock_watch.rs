//! The time that the hub goes by. It follows the machine's wall clock, but for steps: a machine without a clock of its own
//! starts weeks slow and jumps when the network tells it the time. A step is taken over only together with what is stored,
//! so that no age grows by it: what was to expire in an hour still does, and what was to be tried again in a minute too.
//!
//! It reads no clock and knows no store.

use std::time::Duration;

use crate::{AlertId, UnixMillis};

/// A wall clock that is off by more was set; one that is off by less is being adjusted.
const STEP: Duration = Duration::from_secs(1);

/// What is due later than this was planned for a time of the day, or by another clock; the wait for a retry is shorter.
const LONGEST_RETRY: Duration = Duration::from_secs(3_600);

/// Alerts that were received before a step are in the store this long after it.
const ON_THEIR_WAY: Duration = Duration::from_secs(60);

/// The wall clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// By how many milliseconds; negative when it was set back.
    pub millis: i64,
    /// What the hub went by when that was noticed.
    pub at: UnixMillis,
}

/// How far the clock was set forward after alerts had been received. A step back makes none of them older.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockSteps(Vec<(AlertId, i64)>);

/// What a look at the wall clock means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockLook {
    /// It is to be followed by so many milliseconds.
    Adjusted(i64),
    /// It was set by so many milliseconds.
    Stepped(i64),
    /// It was set, and what is stored is being moved along.
    Moving,
}

/// Compares the time that the hub goes by with the wall clock.
#[derive(Debug, Default)]
pub struct ClockWatch {
    moving: bool,
}

impl ClockWatch {
    /// `ours` is what the hub goes by, `wall` what the machine's clock shows.
    pub fn look(&mut self, ours: UnixMillis, wall: UnixMillis) -> ClockLook {
        let off = wall.0.saturating_sub(ours.0);
        if u128::from(off.unsigned_abs()) < STEP.as_millis() {
            return ClockLook::Adjusted(off);
        }
        if std::mem::replace(&mut self.moving, true) {
            return ClockLook::Moving;
        }
        ClockLook::Stepped(off)
    }

    /// What is stored has been moved along, and the hub goes by the new time.
    pub fn moved(&mut self) {
        self.moving = false;
    }
}

impl ClockStep {
    /// What the clock shows since, as of when that was noticed.
    pub fn set_to(&self) -> UnixMillis {
        UnixMillis(self.at.0.saturating_add(self.millis))
    }

    /// When a retry is due by the new time.
    pub fn due(&self, due_at: UnixMillis) -> UnixMillis {
        if due_at > self.last_retry() {
            due_at
        } else {
            UnixMillis(due_at.0.saturating_add(self.millis))
        }
    }

    /// The last time at which a retry can be due that was planned by the clock before.
    pub fn last_retry(&self) -> UnixMillis {
        self.at + LONGEST_RETRY
    }

    /// The greatest id that an alert can have that was received by the clock before, where `last` is the greatest there
    /// is: a few are still on their way into the store.
    pub fn through(&self, last: AlertId) -> AlertId {
        let at = u64::try_from(self.at.0).unwrap_or(0).saturating_mul(1_000);
        let step = self.millis.unsigned_abs().saturating_mul(1_000);
        let on_their_way = (step / 2).min(u64::try_from(ON_THEIR_WAY.as_micros()).unwrap_or(u64::MAX));
        AlertId(at.max(last.0).saturating_add(on_their_way))
    }
}

impl ClockSteps {
    /// Each step: the greatest id that was received before it, and by how many milliseconds the clock was set forward.
    pub fn new(steps: Vec<(AlertId, i64)>) -> Self {
        Self(steps)
    }

    /// A time that was noted when this alert was received, in the time of now.
    pub fn moved(&self, alert: AlertId, noted: UnixMillis) -> UnixMillis {
        let after = self.0.iter().filter(|(through, _)| alert <= *through);
        let millis = after.fold(0_i64, |sum, (_, millis)| sum.saturating_add(*millis));
        UnixMillis(noted.0.saturating_add(millis))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_clock_that_is_adjusted_is_followed_and_one_that_was_set_is_reported_once() {
        let mut watch = ClockWatch::default();
        let at = UnixMillis;
        for (ours, wall, expected) in [
            (1_000, 1_020, ClockLook::Adjusted(20)),
            (2_000, 1_001, ClockLook::Adjusted(-999)),
            (3_000, 4_000, ClockLook::Stepped(1_000)),
            (4_000, 5_000, ClockLook::Moving),
            (5_000, 9 * HOUR, ClockLook::Moving),
        ] {
            assert_eq!(watch.look(at(ours), at(wall)), expected);
        }
        watch.moved();
        assert_eq!(watch.look(at(9_000), at(9_010)), ClockLook::Adjusted(10));
        assert_eq!(watch.look(at(9_000), at(1_000)), ClockLook::Stepped(-8_000));
    }

    #[test]
    fn retries_move_with_the_clock_and_what_was_planned_does_not() {
        for (millis, due, expected) in [
            (HOUR, 101, 102),
            (-HOUR, 100, 99),
            (50 * HOUR, 140, 140),
            (-50 * HOUR, 102, 102),
        ] {
            let step = ClockStep {
                millis,
                at: UnixMillis(100 * HOUR),
            };
            let moved = step.due(UnixMillis(due * HOUR));
            assert_eq!(moved, UnixMillis(expected * HOUR), "{millis} {due}");
        }
    }

    #[test]
    fn a_step_counts_for_alerts_received_before_it() {
        let id = |millis: i64| AlertId(u64::try_from(millis * 1_000).unwrap());
        let step = |millis| ClockStep {
            millis,
            at: UnixMillis(100 * HOUR),
        };
        // Half of a short step, a minute of a long one; behind the last alert, whose time may have been another.
        for (millis, last, through) in [
            (10_000, 1, 100 * HOUR + 5_000),
            (9 * HOUR, 1, 100 * HOUR + 60_000),
            (9 * HOUR, 200 * HOUR, 200 * HOUR + 60_000),
        ] {
            assert_eq!(step(millis).through(id(last)), id(through));
        }
        let steps = ClockSteps::new(vec![(AlertId(10), HOUR), (AlertId(20), 2 * HOUR)]);
        for (alert, expected) in [(5, 3), (10, 3), (11, 2), (20, 2), (21, 0)] {
            let moved = steps.moved(AlertId(alert), UnixMillis(0));
            assert_eq!(moved, UnixMillis(expected * HOUR), "{alert}");
        }
    }

    /// What happens to a delivery while it waits.
    #[derive(Clone, Debug)]
    enum Event {
        Passes(i64),
        Set(i64),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            (0..7_200_000_i64).prop_map(Event::Passes),
            (-40_000_000_000..40_000_000_000_i64).prop_map(Event::Set),
        ];
        prop::collection::vec(event, 0..30)
    }

    proptest! {
        /// However the wall clock is set, a delivery is retried when its time has passed, and does not expire before.
        /// Where the clock is never set back, it expires just then.
        #[test]
        fn ages_run_on_time_that_passes(max_age in 1..90_000_000_i64, retry in 1..HOUR, events in events()) {
            const START: i64 = 1_795_396_590_000;
            // Boot time, and by how much the hub's time and the wall clock are ahead of it.
            let (mut boot, mut offset, mut wall) = (0_i64, START, START);
            let alert = AlertId(u64::try_from(START).unwrap() * 1_000);
            let expires_at = UnixMillis(START + max_age);
            let mut due_at = UnixMillis(START + retry);
            let (mut steps, mut set_back) = (Vec::new(), false);
            let mut watch = ClockWatch::default();
            for event in events {
                match event {
                    Event::Passes(millis) => boot += millis,
                    Event::Set(millis) => wall += millis,
                }
                let ours = UnixMillis(boot + offset);
                match watch.look(ours, UnixMillis(boot + wall)) {
                    // Less than a second, which ages are off by.
                    ClockLook::Adjusted(_) => wall = offset,
                    ClockLook::Stepped(millis) => {
                        let step = ClockStep { millis, at: ours };
                        due_at = step.due(due_at);
                        if millis > 0 {
                            steps.push((step.through(alert), millis));
                        }
                        set_back |= millis < 0;
                        offset += millis;
                        watch.moved();
                    }
                    ClockLook::Moving => prop_assert!(false, "it was moved at once"),
                }
                let now = UnixMillis(boot + offset);
                prop_assert_eq!(due_at <= now, retry <= boot, "retry");
                let expired = ClockSteps::new(steps.clone()).moved(alert, expires_at) <= now;
                prop_assert!(!expired || max_age <= boot, "expired too early");
                prop_assert!(expired || set_back || max_age > boot, "not expired");
            }
        }
    }
}
