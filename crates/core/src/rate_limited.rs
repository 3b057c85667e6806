//! Reports something that may happen often, without a flood of reports.

use std::time::Duration;

use crate::MonotonicTime;

/// Counts what happens and says when to report it: at once the first time, then as a sum, at most once an interval.
#[derive(Debug)]
pub struct RateLimitedCounter {
    interval: Duration,
    reported: Option<MonotonicTime>,
    unreported: u64,
}

impl RateLimitedCounter {
    /// Nothing has happened.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            reported: None,
            unreported: 0,
        }
    }

    /// It happened so many times more.
    pub fn add(&mut self, count: u64) {
        self.unreported += count;
    }

    /// How many times it happened since the last report, if one is due now. It then counts as reported.
    pub fn take(&mut self, now: MonotonicTime) -> Option<u64> {
        if self.due()? > now {
            return None;
        }
        self.reported = Some(now);
        Some(std::mem::take(&mut self.unreported))
    }

    /// When [`Self::take`] will have something to report; a moment in the past means now, `None` never.
    pub fn due(&self) -> Option<MonotonicTime> {
        match self.reported {
            _ if self.unreported == 0 => None,
            None => Some(MonotonicTime::since_origin(Duration::ZERO)),
            Some(reported) => Some(reported + self.interval),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_reported_at_once_and_the_rest_as_a_sum() {
        let at = |seconds| MonotonicTime::since_origin(Duration::from_secs(seconds));
        let mut counter = RateLimitedCounter::new(Duration::from_secs(600));
        assert_eq!((counter.take(at(5)), counter.due()), (None, None));
        counter.add(1);
        assert_eq!(counter.take(at(5)), Some(1));
        counter.add(1);
        counter.add(40);
        assert_eq!((counter.take(at(604)), counter.due()), (None, Some(at(605))));
        assert_eq!(counter.take(at(605)), Some(41));
        assert_eq!(counter.take(at(10_000)), None);
    }
}
