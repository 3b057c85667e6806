//! Two things that go wrong with an unattended machine: its disk fills up, and its clock jumps.

use std::time::Duration;

use crate::{MonotonicTime, UnixMillis};

/// Tells of a disk that gets full, once, and again only after there has been clearly more room in between.
#[derive(Debug, Default)]
pub struct LowDiskAlarm {
    reported: bool,
}

impl LowDiskAlarm {
    /// Has seen nothing yet.
    pub const fn new() -> Self {
        Self { reported: false }
    }

    /// Whether this is to be reported: so many bytes are free, and less than `least` are too few.
    pub fn check(&mut self, least: u64, free: u64) -> bool {
        if free >= least.saturating_add(least / 4) {
            self.reported = false;
        }
        free < least && !std::mem::replace(&mut self.reported, true)
    }
}

/// Notices when the wall clock is set: the times of alerts before and after do not fit together.
#[derive(Debug)]
pub struct ClockWatch {
    last: Option<(MonotonicTime, UnixMillis)>,
}

/// What clocks are adjusted by all the time is no news.
const JUMP: Duration = Duration::from_secs(30);

impl ClockWatch {
    /// Has seen nothing yet.
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// Looks at both clocks. Returns by how many milliseconds the wall clock has jumped since the last look, forward or
    /// back, if it has. A machine that was asleep looks the same.
    pub fn jumped(&mut self, now: MonotonicTime, wall: UnixMillis) -> Option<i64> {
        let (before, wall_before) = self.last.replace((now, wall))?;
        let passed = i64::try_from(now.since(before).as_millis()).unwrap_or(i64::MAX);
        let jump = wall.0.saturating_sub(wall_before.0).saturating_sub(passed);
        (u128::from(jump.unsigned_abs()) > JUMP.as_millis()).then_some(jump)
    }
}

impl Default for ClockWatch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_once_until_there_was_room_again() {
        let mut alarm = LowDiskAlarm::new();
        let reported = [150, 99, 50, 101, 99, 130, 99].map(|free| alarm.check(100, free));
        assert_eq!(reported, [false, true, false, false, false, false, true]);
    }

    #[test]
    fn only_a_clock_that_was_set_has_jumped() {
        let at = |seconds| MonotonicTime::since_origin(Duration::from_secs(seconds));
        let mut clock = ClockWatch::new();
        assert_eq!(clock.jumped(at(0), UnixMillis(1_000)), None);
        assert_eq!(clock.jumped(at(10), UnixMillis(11_500)), None);
        assert_eq!(clock.jumped(at(20), UnixMillis(3_621_500)), Some(3_600_000));
        assert_eq!(clock.jumped(at(30), UnixMillis(31_500)), Some(-3_600_000));
        assert_eq!(clock.jumped(at(40), UnixMillis(41_500)), None);
    }
}
