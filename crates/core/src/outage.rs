//! How long a link has been away, and when that is worth telling somebody.

use std::time::Duration;

use crate::MonotonicTime;

/// Watches one link. Short breaks are nobody's business; a long one is told of once, and so is its end.
#[derive(Debug)]
pub struct OutageTracker {
    grace: Duration,
    since: Option<MonotonicTime>,
    told: bool,
}

impl OutageTracker {
    /// A link that is not there yet, as of `now`. Breaks of up to `grace` are not told.
    pub fn new(grace: Duration, now: MonotonicTime) -> Self {
        Self {
            grace,
            since: Some(now),
            told: false,
        }
    }

    /// The link is gone, or still is.
    pub fn lost(&mut self, now: MonotonicTime) {
        self.since.get_or_insert(now);
    }

    /// The link is there. Returns how long it was away when that had been told.
    pub fn back(&mut self, now: MonotonicTime) -> Option<Duration> {
        let since = self.since.take()?;
        std::mem::take(&mut self.told).then(|| now.since(since))
    }

    /// When [`Self::overdue`] is to be asked; `None` while there is nothing to tell.
    pub fn deadline(&self) -> Option<MonotonicTime> {
        self.since.filter(|_| !self.told).map(|since| since + self.grace)
    }

    /// How long the link has been away, once that is to be told.
    pub fn overdue(&mut self, now: MonotonicTime) -> Option<Duration> {
        let due = self.deadline().is_some_and(|deadline| now >= deadline);
        if !due {
            return None;
        }
        self.told = true;
        self.since.map(|since| now.since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_absence_is_told_once_and_so_is_its_end() {
        let at = |seconds| MonotonicTime::since_origin(Duration::from_secs(seconds));
        let mut absence = OutageTracker::new(Duration::from_secs(60), at(0));
        assert_eq!(absence.deadline(), Some(at(60)));
        assert_eq!(absence.overdue(at(59)), None);
        assert_eq!(absence.back(at(59)), None, "a short one is no news");
        assert_eq!(absence.deadline(), None);

        absence.lost(at(100));
        absence.lost(at(150));
        assert_eq!(absence.overdue(at(160)), Some(Duration::from_secs(60)));
        assert_eq!(absence.overdue(at(161)), None);
        assert_eq!(absence.deadline(), None);
        assert_eq!(absence.back(at(200)), Some(Duration::from_secs(100)));
        assert_eq!(absence.back(at(201)), None);
    }
}
