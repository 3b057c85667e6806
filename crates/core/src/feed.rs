//! How the alerts of a connection reach the hub: as they happen, or only through the backend's list. VisionGuard sends
//! an alert to the user whose stream raised it and to no one else, so that a second account hears nothing live.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::MonotonicTime;

/// How often the list is read while alerts may come through it only, and how old a row has to be then. Together with
/// the second by which the backend's clock is rounded they stay below 10 s, in which a siren has to sound.
const LIST_INTERVAL: Duration = Duration::from_secs(4);

/// See [`LIST_INTERVAL`].
const LIST_SETTLE: Duration = Duration::from_secs(2);

/// How often the list is read while alerts come as they happen.
const LIVE_INTERVAL: Duration = Duration::from_secs(300);

/// See [`crate::SETTLE`].
const LIVE_SETTLE: Duration = crate::SETTLE;

/// After so long without a miss, an alert that comes live shows that all do.
const TRUSTED_AFTER: Duration = Duration::from_secs(3_600);

/// How the alerts of a connection reach the hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feed {
    /// None has come yet.
    #[default]
    Unknown,
    /// As they happen.
    Live,
    /// Through the list: live, they go to another user.
    List,
}

/// Finds out how the alerts reach the hub, and sets the pace at which the list is read.
#[derive(Debug, Default)]
pub struct FeedTracker {
    feed: Feed,
    last_miss: Option<MonotonicTime>,
}

impl FeedTracker {
    /// How the alerts reach the hub, as far as is known.
    pub fn feed(&self) -> Feed {
        self.feed
    }

    /// An alert came as it happened.
    pub fn came(&mut self, now: MonotonicTime) {
        let trusted = |miss: MonotonicTime| now.since(miss) >= TRUSTED_AFTER;
        if self.last_miss.is_none_or(trusted) {
            self.feed = Feed::Live;
        }
    }

    /// The list has alerts that the socket did not bring, although it was open and the backend knew it. Whether that is
    /// news.
    pub fn missed(&mut self, now: MonotonicTime) -> bool {
        self.last_miss = Some(now);
        std::mem::replace(&mut self.feed, Feed::List) != Feed::List
    }

    /// How often the list is to be read.
    pub fn interval(&self) -> Duration {
        match self.feed {
            Feed::Live => LIVE_INTERVAL,
            Feed::Unknown | Feed::List => LIST_INTERVAL,
        }
    }

    /// How old a row has to be that the socket has not brought.
    pub fn settle(&self) -> Duration {
        match self.feed {
            Feed::Live => LIVE_SETTLE,
            Feed::Unknown | Feed::List => LIST_SETTLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn a_second_account_is_found_out_and_fed_within_ten_seconds() {
        let mut tracker = FeedTracker::default();
        assert_eq!(tracker.feed(), Feed::Unknown);
        let clock_rounding = Duration::from_secs(1);
        let worst = tracker.interval() + tracker.settle() + clock_rounding;
        assert!(worst < Duration::from_secs(10), "also the first alert is in time");
        assert!(tracker.missed(at(10)));
        assert!(!tracker.missed(at(20)), "said once");
        assert_eq!(tracker.feed(), Feed::List);
        assert_eq!(tracker.interval(), LIST_INTERVAL);
    }

    #[test]
    fn an_account_that_hears_alerts_reads_the_list_now_and_then() {
        let mut tracker = FeedTracker::default();
        tracker.came(at(5));
        assert_eq!((tracker.feed(), tracker.interval()), (Feed::Live, LIVE_INTERVAL));
        assert!(
            tracker.missed(at(100)),
            "another stream of the shop is another user's"
        );
        tracker.came(at(200));
        assert_eq!(tracker.feed(), Feed::List, "some come live, and not all");
        tracker.came(at(3_700));
        assert_eq!(tracker.feed(), Feed::Live);
    }
}
