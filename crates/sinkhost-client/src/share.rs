//! What a child is given of the processors while others want them too. Knows no process and reads no clock.
//!
//! A plugin may compute for nothing: a loop that does not end, a thread that waits by asking. Its calls have their time
//! limits, its other threads have none, and the sinks beside it would wait. So what computes much and answers little gets
//! what the others leave. It is slowed down and not stopped, for there may be a reason.

use std::time::Duration;

use tokio::time::Instant;

/// How long a child is looked at before it is judged by what it has used.
const LOOK: Duration = Duration::from_secs(1);
/// One that uses less of its time than this part is no burden: where others compute too, it may get no more.
const BUSY_PART: u32 = 4;
/// What an answered call may cost. Most of the bundled plugins take a millisecond. Scaling a picture down for a mail takes
/// longer, and is slowed down in a flood only.
const COST_OF_CALL: Duration = Duration::from_millis(10);
/// How long the first slowing down lasts. One that follows soon lasts twice as long as the one before.
const FIRST_SLOW: Duration = Duration::from_secs(10);
const LONGEST_SLOW: Duration = Duration::from_secs(600);

/// How much a child gets of processors that others want too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// As much as each of the others.
    Equal,
    /// What the others leave.
    Rest,
}

/// Decides a child's share by what it uses.
#[derive(Debug)]
pub(crate) struct ShareWatch {
    share: Share,
    looked: Instant,
    /// Processor time, and answered calls, up to then.
    used: Duration,
    answered: u64,
    /// Whether it was busy then, and so is looked at without another reason to wake up.
    busy: bool,
    /// When its share changed last.
    since: Instant,
    /// How long slowing it down takes, the next time.
    lasts: Duration,
}

impl ShareWatch {
    /// A child that has just started.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            share: Share::Equal,
            looked: now,
            used: Duration::ZERO,
            answered: 0,
            busy: false,
            since: now,
            lasts: FIRST_SLOW,
        }
    }

    /// What it is to have.
    pub(crate) fn share(&self) -> Share {
        self.share
    }

    /// Whether it is time for [`Self::look`].
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.looked + LOOK
    }

    /// When to wake up for the next look; a child that rests is looked at when it is heard of.
    pub(crate) fn next(&self) -> Option<Instant> {
        (self.busy || self.share == Share::Rest).then(|| self.looked + LOOK)
    }

    /// Judges it by all the processor time that it has `used` since its start and all the calls that it has `answered`.
    pub(crate) fn look(&mut self, now: Instant, used: Duration, answered: u64) {
        let elapsed = now.saturating_duration_since(self.looked);
        let spent = used.saturating_sub(self.used);
        let calls = u32::try_from(answered.saturating_sub(self.answered)).unwrap_or(u32::MAX);
        (self.looked, self.used, self.answered) = (now, used, answered);
        self.busy = spent >= elapsed / BUSY_PART;
        match self.share {
            Share::Equal if self.busy && spent > COST_OF_CALL.saturating_mul(calls) => {
                // It has behaved for longer than it was slowed down.
                if now.saturating_duration_since(self.since) > self.lasts {
                    self.lasts = FIRST_SLOW;
                }
                self.change(Share::Rest, now);
            }
            Share::Rest if now.saturating_duration_since(self.since) >= self.lasts => {
                self.lasts = (self.lasts * 2).min(LONGEST_SLOW);
                self.change(Share::Equal, now);
            }
            Share::Equal | Share::Rest => {}
        }
    }

    fn change(&mut self, share: Share, now: Instant) {
        (self.share, self.since) = (share, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const MS: Duration = Duration::from_millis(1);

    /// A child that spends this much of each second, and answers so many calls in it.
    fn after(
        watch: &mut ShareWatch,
        start: Instant,
        seconds: std::ops::Range<u32>,
        spends: Duration,
        calls: u64,
    ) {
        for second in seconds {
            let now = start + LOOK * (second + 1);
            let (used, answered) = (watch.used + spends, watch.answered + calls);
            watch.look(now, used, answered);
        }
    }

    #[test]
    fn what_computes_for_nothing_gets_the_rest_and_what_works_an_equal_share() {
        let cases = [
            (1_000 * MS, 0, Share::Rest),
            (2_000 * MS, 0, Share::Rest),
            (2_000 * MS, 25, Share::Rest),
            (300 * MS, 0, Share::Rest),
            (249 * MS, 0, Share::Equal),
            (Duration::ZERO, 0, Share::Equal),
            // An archive in a flood, and pictures that are scaled down for a few mails.
            (900 * MS, 2_000, Share::Equal),
            (240 * MS, 8, Share::Equal),
            (300 * MS, 20, Share::Rest),
        ];
        for (spends, calls, expected) in cases {
            let start = clock::now();
            let mut watch = ShareWatch::new(start);
            after(&mut watch, start, 0..1, spends, calls);
            assert_eq!(watch.share(), expected, "{spends:?} for {calls} calls");
        }
    }

    #[test]
    fn it_is_slowed_down_for_longer_each_time_until_it_behaves() {
        let start = clock::now();
        let mut watch = ShareWatch::new(start);
        let mut slow = Vec::new();
        for second in 0..120 {
            after(&mut watch, start, second..second + 1, 1_000 * MS, 0);
            slow.push(watch.share() == Share::Rest);
        }
        let runs: Vec<usize> = slow.chunk_by(|a, b| a == b).map(<[bool]>::len).collect();
        assert_eq!(runs, [10, 1, 20, 1, 40, 1, 47]);
        // Slowed down until the 152nd second, and calm for longer than that.
        after(&mut watch, start, 120..400, Duration::ZERO, 0);
        assert_eq!(watch.share(), Share::Equal);
        after(&mut watch, start, 400..401, 1_000 * MS, 0);
        assert_eq!(watch.share(), Share::Rest);
        after(&mut watch, start, 401..411, Duration::ZERO, 0);
        assert_eq!(watch.share(), Share::Equal);
    }

    #[test]
    fn a_child_that_rests_is_no_reason_to_wake_up() {
        let start = clock::now();
        let mut watch = ShareWatch::new(start);
        assert_eq!(watch.next(), None);
        assert!(!watch.is_due(start + LOOK / 2));
        assert!(watch.is_due(start + LOOK));
        after(&mut watch, start, 0..1, 500 * MS, 0);
        assert_eq!(watch.next(), Some(start + LOOK * 2));
        after(&mut watch, start, 1..11, Duration::ZERO, 0);
        assert_eq!((watch.share(), watch.next()), (Share::Equal, None));
    }
}
