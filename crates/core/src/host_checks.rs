//! What goes wrong with an unattended machine: its disk fills up, and its clock is not set.

use crate::ClockSkew;

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

/// Tells of a clock that is far from another machine's, once, and again only after they have agreed in between.
#[derive(Debug, Default)]
pub struct SkewAlarm {
    reported: bool,
}

/// Clocks that differ by more are far from each other, in milliseconds.
const FAR_MS: u64 = 60_000;

impl SkewAlarm {
    /// Whether this is to be reported.
    pub fn check(&mut self, skew: ClockSkew) -> bool {
        if skew.agrees() {
            self.reported = false;
        }
        skew.ahead_ms().unsigned_abs() > FAR_MS && !std::mem::replace(&mut self.reported, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnixMillis;

    #[test]
    fn clocks_that_are_far_apart_are_reported_once_until_they_agreed_again() {
        let mut alarm = SkewAlarm::default();
        let skew = |seconds: i64| {
            let at = UnixMillis(seconds * 1_000);
            ClockSkew::default().seen(at, at, UnixMillis(0))
        };
        let reported = [3, 61, 3_600, 30, -90, 4, -61, -61].map(|seconds| alarm.check(skew(seconds)));
        assert_eq!(reported, [false, true, false, false, false, false, true, false]);
    }

    #[test]
    fn a_full_disk_is_told_once_until_there_was_room_again() {
        let mut alarm = LowDiskAlarm::new();
        let reported = [150, 99, 50, 101, 99, 130, 99].map(|free| alarm.check(100, free));
        assert_eq!(reported, [false, true, false, false, false, false, true]);
    }
}
