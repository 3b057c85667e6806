//! When the next pass of some work is due that must not run twice at once: catching up, writing back.

use std::time::Duration;

use crate::MonotonicTime;

/// Work that runs in passes, of which one at most is running.
#[derive(Debug)]
pub struct PassSchedule {
    due: Option<MonotonicTime>,
    running: bool,
    enabled: bool,
}

impl PassSchedule {
    /// Nothing is due. A schedule that is not enabled never will be.
    pub fn new(enabled: bool) -> Self {
        Self {
            due: None,
            running: false,
            enabled,
        }
    }

    /// A pass is wanted after this long, or sooner if one is due sooner. What is wanted during a pass is due after it.
    pub fn request(&mut self, now: MonotonicTime, wait: Duration) {
        if self.enabled {
            let due = now + wait;
            self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        }
    }

    /// When [`Self::begin`] is to be called.
    pub fn deadline(&self) -> Option<MonotonicTime> {
        self.due.filter(|_| !self.running)
    }

    /// Begins a pass if one is due. Whoever gets `true` makes it and calls [`Self::finish`].
    pub fn begin(&mut self, now: MonotonicTime) -> bool {
        let due = self.deadline().is_some_and(|due| now >= due);
        if due {
            self.due = None;
            self.running = true;
        }
        due
    }

    /// The pass has ended.
    pub fn finish(&mut self) {
        self.running = false;
    }

    /// There will be no pass any more.
    pub fn disable(&mut self) {
        self.enabled = false;
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn the_earliest_request_counts_and_passes_do_not_overlap() {
        let mut schedule = PassSchedule::new(true);
        assert_eq!(schedule.deadline(), None);
        schedule.request(at(0), Duration::from_secs(30));
        schedule.request(at(0), Duration::from_secs(10));
        schedule.request(at(0), Duration::from_secs(20));
        assert_eq!(schedule.deadline(), Some(at(10)));
        assert!(!schedule.begin(at(9)));
        assert!(schedule.begin(at(10)));
        schedule.request(at(11), Duration::ZERO);
        assert_eq!(schedule.deadline(), None, "one is running");
        assert!(!schedule.begin(at(12)));
        schedule.finish();
        assert_eq!(schedule.deadline(), Some(at(11)));
    }

    #[test]
    fn a_disabled_schedule_has_no_pass() {
        let mut schedule = PassSchedule::new(true);
        schedule.request(at(0), Duration::ZERO);
        schedule.disable();
        schedule.request(at(0), Duration::ZERO);
        assert_eq!(schedule.deadline(), None);
        assert!(!schedule.begin(at(100)));
    }
}
