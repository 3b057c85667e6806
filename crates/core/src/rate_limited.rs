//! Tells of something that may happen often without flooding anybody.

use std::time::Duration;

use crate::MonotonicTime;

/// Counts what happens and lets it be told: at once the first time, then as a sum, at most once an interval.
#[derive(Debug)]
pub struct RateLimitedCounter {
    interval: Duration,
    told: Option<MonotonicTime>,
    untold: u64,
}

impl RateLimitedCounter {
    /// Nothing has happened.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            told: None,
            untold: 0,
        }
    }

    /// It happened so many times more.
    pub fn add(&mut self, count: u64) {
        self.untold += count;
    }

    /// How many times it happened since this was last told, if that is to be told now. It then counts as told.
    pub fn take(&mut self, now: MonotonicTime) -> Option<u64> {
        if self.due()? > now {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    /// When [`Self::take`] will have something to tell; a moment in the past means now, `None` never.
    pub fn due(&self) -> Option<MonotonicTime> {
        match self.told {
            _ if self.untold == 0 => None,
            None => Some(MonotonicTime::since_origin(Duration::ZERO)),
            Some(told) => Some(told + self.interval),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_rest_as_a_sum() {
        let at = |seconds| MonotonicTime::since_origin(Duration::from_secs(seconds));
        let mut digest = RateLimitedCounter::new(Duration::from_secs(600));
        assert_eq!((digest.take(at(5)), digest.due()), (None, None));
        digest.add(1);
        assert_eq!(digest.take(at(5)), Some(1));
        digest.add(1);
        digest.add(40);
        assert_eq!((digest.take(at(604)), digest.due()), (None, Some(at(605))));
        assert_eq!(digest.take(at(605)), Some(41));
        assert_eq!(digest.take(at(10_000)), None);
    }
}
