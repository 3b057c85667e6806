//! How the alerts of a connection reach the hub: as they happen, or only through the backend's list. VisionGuard sends
//! an alert to the user whose stream raised it and to no one else, so that a second account hears nothing live, and one of
//! several that open streams hears those of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::MonotonicTime;

/// How often the list is read while alerts may come through it only, and how old a row has to be then. Together with
/// the second by which the backend's clock is rounded they stay below 10 s, in which a siren has to sound.
const LIST_INTERVAL: Duration = Duration::from_secs(4);

/// See [`LIST_INTERVAL`].
const LIST_SETTLE: Duration = Duration::from_secs(2);

/// How often the list is read while all alerts come as they happen: so late is the first one of a stream that another user
/// has opened. It must not be called late for that.
const LIVE_INTERVAL: Duration = Duration::from_secs(15);

/// See [`crate::SETTLE`].
const LIVE_SETTLE: Duration = crate::SETTLE;

/// After so long without a miss, an alert that comes live shows that all do.
const TRUSTED_AFTER: Duration = Duration::from_secs(3_600);

/// A stream of which so many alerts in a row were missed does not come live any more.
const MAX_LOST: u32 = 2;

/// Streams that are remembered of each sort; the real backend makes a new one whenever a camera is started.
const MAX_STREAMS: usize = 1_000;

/// How the alerts of a connection reach the hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feed {
    /// None has come yet.
    #[default]
    Unknown,
    /// As they happen.
    Live,
    /// Those of some streams as they happen, those of others through the list: live, they go to another user.
    Mixed,
    /// Through the list: live, they go to another user.
    List,
}

/// Finds out how the alerts reach the hub, and sets the pace at which the list is read.
#[derive(Debug, Default)]
pub struct FeedTracker {
    /// Streams whose alerts come as they happen, and when one last did.
    live: BTreeMap<String, Noted>,
    /// Streams whose alerts did not, and when one was last missed.
    missed: BTreeMap<String, Noted>,
}

/// What is remembered of a stream.
#[derive(Clone, Copy, Debug)]
struct Noted {
    at: MonotonicTime,
    /// How often alerts of it were missed since.
    lost: u32,
}

impl FeedTracker {
    /// How the alerts reach the hub, as far as is known.
    pub fn feed(&self) -> Feed {
        match (self.live.is_empty(), self.missed.is_empty()) {
            (true, true) => Feed::Unknown,
            (false, true) => Feed::Live,
            (false, false) => Feed::Mixed,
            (true, false) => Feed::List,
        }
    }

    /// An alert of this stream came as it happened. So one of the same stream that did not was lost on its way, and
    /// went to no other user.
    pub fn came(&mut self, stream: &str, now: MonotonicTime) {
        self.missed.remove(stream);
        self.missed.retain(|_, miss| now.since(miss.at) < TRUSTED_AFTER);
        remember(&mut self.live, stream, now);
    }

    /// The list has alerts of these streams that the socket did not bring, although it was open and the backend knew it.
    /// Whether it is news that they go to another user.
    pub fn missed<'a>(&mut self, streams: impl IntoIterator<Item = &'a str>, now: MonotonicTime) -> bool {
        let before = self.feed();
        for stream in streams {
            let live = self.live.get_mut(stream);
            let lost = live.map_or(MAX_LOST, |live| {
                live.lost += 1;
                live.lost
            });
            if lost >= MAX_LOST {
                self.live.remove(stream);
                remember(&mut self.missed, stream, now);
            }
        }
        // Those that came live once, and long ago, are of an account that opens none any more.
        if !self.missed.is_empty() {
            self.live.retain(|_, live| now.since(live.at) < TRUSTED_AFTER);
        }
        let is_other = |feed| matches!(feed, Feed::List | Feed::Mixed);
        is_other(self.feed()) && !is_other(before)
    }

    /// How often the list is to be read.
    pub fn interval(&self) -> Duration {
        match self.feed() {
            Feed::Live => LIVE_INTERVAL,
            Feed::Unknown | Feed::List | Feed::Mixed => LIST_INTERVAL,
        }
    }

    /// How old a row has to be that the socket has not brought.
    pub fn settle(&self) -> Duration {
        match self.feed() {
            Feed::Live => LIVE_SETTLE,
            Feed::Unknown | Feed::List | Feed::Mixed => LIST_SETTLE,
        }
    }
}

/// Notes a stream, in the place of the one that was noted longest ago where there are too many.
fn remember(streams: &mut BTreeMap<String, Noted>, stream: &str, now: MonotonicTime) {
    if streams.len() >= MAX_STREAMS && !streams.contains_key(stream) {
        let oldest = streams.iter().min_by_key(|(_, noted)| noted.at);
        if let Some(oldest) = oldest.map(|(stream, _)| stream.clone()) {
            streams.remove(&oldest);
        }
    }
    streams.insert(stream.to_owned(), Noted { at: now, lost: 0 });
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
        assert!(tracker.missed(["door"], at(10)));
        assert!(!tracker.missed(["door", "till"], at(20)), "said once");
        assert_eq!(tracker.feed(), Feed::List);
        assert_eq!(tracker.interval(), LIST_INTERVAL);
    }

    #[test]
    fn an_account_that_hears_alerts_reads_the_list_less_often_and_in_time_for_a_siren() {
        let mut tracker = FeedTracker::default();
        tracker.came("door", at(5));
        assert_eq!((tracker.feed(), tracker.interval()), (Feed::Live, LIVE_INTERVAL));
        // The default of `late_after`, after which a siren sounds no more.
        assert!(tracker.interval() + tracker.settle() < Duration::from_secs(120));
        assert!(
            tracker.missed(["till"], at(100)),
            "another stream of the shop is another user's"
        );
        tracker.came("door", at(200));
        assert_eq!(tracker.feed(), Feed::Mixed, "some come live, and not all");
        assert_eq!(tracker.interval(), LIST_INTERVAL);
        tracker.came("door", at(3_700));
        assert_eq!(tracker.feed(), Feed::Live);
    }

    #[test]
    fn what_is_lost_of_a_stream_that_comes_live_went_to_no_other_user() {
        let mut tracker = FeedTracker::default();
        tracker.came("door", at(5));
        assert!(!tracker.missed(["door"], at(100)));
        tracker.came("door", at(150));
        assert!(!tracker.missed(["door"], at(180)));
        assert_eq!(tracker.feed(), Feed::Live);
        // The first alert of a stream may be the one that is lost.
        assert!(tracker.missed(["till"], at(200)));
        tracker.came("till", at(300));
        assert_eq!(tracker.feed(), Feed::Live);
    }

    #[test]
    fn a_stream_that_comes_live_no_more_is_read_from_the_list_as_others() {
        let mut tracker = FeedTracker::default();
        tracker.came("door", at(5));
        assert!(!tracker.missed(["door"], at(100)));
        assert!(tracker.missed(["door"], at(120)));
        assert_eq!((tracker.feed(), tracker.interval()), (Feed::List, LIST_INTERVAL));
    }

    #[test]
    fn an_account_that_opens_the_streams_no_more_is_one_of_those_that_hear_nothing_live() {
        let mut tracker = FeedTracker::default();
        tracker.came("door", at(5));
        tracker.missed(["another"], at(4_000));
        assert_eq!(tracker.feed(), Feed::List);
    }

    #[test]
    fn streams_are_remembered_up_to_a_limit() {
        let mut tracker = FeedTracker::default();
        for number in 0..2 * MAX_STREAMS as u64 {
            tracker.came(&number.to_string(), at(number));
        }
        assert_eq!(tracker.live.len(), MAX_STREAMS);
        assert!(!tracker.missed(["1999"], at(3_000)) && tracker.missed(["7"], at(3_000)));
    }
}
