//! How long a link has been down, and when that is reported.

use std::time::Duration;

use crate::MonotonicTime;

/// Tracks one link. A short outage is not reported; a long one is once, and so is its end.
#[derive(Debug)]
pub struct OutageTracker {
    since: Option<MonotonicTime>,
    reported: bool,
}

impl OutageTracker {
    /// A link that is not up yet, as of `now`.
    pub fn new(now: MonotonicTime) -> Self {
        Self {
            since: Some(now),
            reported: false,
        }
    }

    /// A link that is up.
    pub const fn up() -> Self {
        Self {
            since: None,
            reported: false,
        }
    }

    /// The link is down, or still is.
    pub fn lost(&mut self, now: MonotonicTime) {
        self.since.get_or_insert(now);
    }

    /// The link is up. Returns how long it was down when that had been reported.
    pub fn back(&mut self, now: MonotonicTime) -> Option<Duration> {
        let since = self.since.take()?;
        std::mem::take(&mut self.reported).then(|| now.since(since))
    }

    /// When [`Self::overdue`] is to be asked; `None` while there is nothing to report. Outages of up to `grace` are not
    /// reported.
    pub fn deadline(&self, grace: Duration) -> Option<MonotonicTime> {
        self.since.filter(|_| !self.reported).map(|since| since + grace)
    }

    /// How long the link has been down, once that is to be reported.
    pub fn overdue(&mut self, grace: Duration, now: MonotonicTime) -> Option<Duration> {
        let due = self.deadline(grace).is_some_and(|deadline| now >= deadline);
        if !due {
            return None;
        }
        self.reported = true;
        self.since.map(|since| now.since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_outage_is_reported_once_and_so_is_its_end() {
        let at = |seconds| MonotonicTime::since_origin(Duration::from_secs(seconds));
        let grace = Duration::from_secs(60);
        let mut outage = OutageTracker::new(at(0));
        assert_eq!(outage.deadline(grace), Some(at(60)));
        assert_eq!(outage.overdue(grace, at(59)), None);
        assert_eq!(outage.back(at(59)), None, "a short one is no news");
        assert_eq!(outage.deadline(grace), None);

        outage.lost(at(100));
        outage.lost(at(150));
        assert_eq!(outage.overdue(grace, at(160)), Some(Duration::from_secs(60)));
        assert_eq!(outage.overdue(grace, at(161)), None);
        assert_eq!(outage.deadline(grace), None);
        assert_eq!(outage.back(at(200)), Some(Duration::from_secs(100)));
        assert_eq!(outage.back(at(201)), None);
    }
}
