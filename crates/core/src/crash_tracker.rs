//! What the crashes of a sink's plugin mean: for its next start, and for the alert it was working on.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::{AlertId, Backoff, BackoffPolicy, MonotonicTime};

/// Alerts that are remembered because the plugin crashed over them. Those of more would be remembered by a plugin that
/// crashes over everything, and then no single alert is to blame.
const MAX_SUSPECTS: usize = 256;

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrashPolicy {
    /// Waits between starts.
    pub restarts: BackoffPolicy,
    /// After so many crashes within [`window`](Self::window) the sink has failed, and waits the longest time between
    /// starts.
    pub crashes: usize,
    /// See [`crashes`](Self::crashes). A failed sink that delivers and has not crashed for this long has recovered.
    pub window: Duration,
    /// An alert over which the plugin crashed so many times is dead-lettered.
    pub poison_threshold: u32,
}

/// Watches the crashes of one sink's plugin. A start that fails counts as a crash.
#[derive(Debug)]
pub struct CrashTracker {
    policy: CrashPolicy,
    backoff: Backoff,
    /// The last few, oldest first.
    recent: VecDeque<MonotonicTime>,
    failed: bool,
    /// Since it failed, some delivery has ended with the plugin's own answer.
    proved: bool,
    /// Crashes by the alert that was being delivered.
    suspects: BTreeMap<AlertId, u32>,
}

/// What follows from a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AfterCrash {
    /// How long to wait before the next start.
    pub wait: Duration,
    /// With this crash the sink has failed.
    pub fails: bool,
}

impl CrashTracker {
    /// None so far; `seed` fixes the jitter of the waits.
    pub fn new(policy: CrashPolicy, seed: u64) -> Self {
        Self {
            policy,
            backoff: Backoff::new(policy.restarts, seed),
            recent: VecDeque::new(),
            failed: false,
            proved: false,
            suspects: BTreeMap::new(),
        }
    }

    /// The plugin has ended without being asked to.
    pub fn crashed(&mut self, now: MonotonicTime) -> AfterCrash {
        let AfterCrash { wait, fails } = self.not_started(now);
        let wait = if self.failed {
            wait.max(self.policy.restarts.delay(u32::MAX, 0.5))
        } else {
            wait
        };
        AfterCrash { wait, fails }
    }

    /// The plugin did not start, perhaps because its device is not plugged in. That does no harm, so it is tried with
    /// growing waits, also when the sink has failed.
    pub fn not_started(&mut self, now: MonotonicTime) -> AfterCrash {
        self.recent.push_back(now);
        if self.recent.len() > self.policy.crashes {
            self.recent.pop_front();
        }
        let crowded = self.recent.len() == self.policy.crashes
            && self
                .recent
                .front()
                .is_some_and(|&first| now.since(first) <= self.policy.window);
        let fails = crowded && !self.failed;
        if fails {
            (self.failed, self.proved) = (true, false);
        }
        let wait = self.backoff.fail();
        AfterCrash { wait, fails }
    }

    /// It crashed over this alert. Returns whether the alert is to be dead-lettered, and is forgotten.
    ///
    /// A plugin that has failed and answers for no alert at all is itself to blame, and loses none.
    pub fn blame(&mut self, alert: AlertId) -> bool {
        let count = self.suspects.entry(alert).or_default();
        *count += 1;
        if *count >= self.policy.poison_threshold && (self.proved || !self.failed) {
            self.suspects.remove(&alert);
            return true;
        }
        while self.suspects.len() > MAX_SUSPECTS {
            self.suspects.pop_first();
        }
        false
    }

    /// A delivery ended with the plugin's own answer. Returns whether the sink has recovered with it.
    pub fn answered(&mut self, alert: AlertId, now: MonotonicTime) -> bool {
        self.backoff.reset();
        self.proved = true;
        self.suspects.remove(&alert);
        let quiet = self
            .recent
            .back()
            .is_none_or(|&last| now.since(last) >= self.policy.window);
        let recovers = self.failed && quiet;
        if recovers {
            self.failed = false;
            self.recent.clear();
        }
        recovers
    }

    /// Whether the sink has failed.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether the last start or run ended in a crash that no delivery has followed.
    pub fn is_clean(&self) -> bool {
        self.backoff.failures() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_secs(seconds))
    }

    fn crashes() -> CrashTracker {
        let restarts = BackoffPolicy {
            initial: Duration::from_millis(500),
            max: Duration::from_secs(60),
            jitter: 0.0,
        };
        let policy = CrashPolicy {
            restarts,
            crashes: 5,
            window: Duration::from_secs(300),
            poison_threshold: 3,
        };
        CrashTracker::new(policy, 0)
    }

    #[test]
    fn five_crashes_in_five_minutes_are_a_failure_and_quiet_deliveries_end_it() {
        let mut crashes = crashes();
        let waits: Vec<_> = (0..5)
            .map(|n| crashes.crashed(at(n * 60)).wait.as_millis())
            .collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 60_000]);
        assert!(crashes.has_failed());
        assert!(!crashes.crashed(at(300)).fails, "it had failed before");
        assert!(!crashes.answered(AlertId(1), at(301)), "too early to tell");
        assert_eq!(crashes.crashed(at(320)).wait, Duration::from_secs(60));
        assert!(!crashes.answered(AlertId(2), at(619)));
        assert!(crashes.answered(AlertId(3), at(620)));
        assert!(!crashes.has_failed());
        assert_eq!(crashes.crashed(at(700)).wait, Duration::from_millis(500));
    }

    #[test]
    fn rare_crashes_are_no_failure() {
        let mut crashes = crashes();
        for n in 0..100 {
            let after = crashes.crashed(at(n * 76));
            assert_eq!((after.fails, after.wait), (false, Duration::from_millis(500)));
            crashes.answered(AlertId(n), at(n * 76 + 1));
        }
    }

    #[test]
    fn the_third_crash_over_an_alert_dead_letters_it() {
        let mut crashes = crashes();
        let blamed = [1, 2, 1, 1, 2, 2].map(|alert| crashes.blame(AlertId(alert)));
        assert_eq!(blamed, [false, false, false, true, false, true]);
        assert!(!crashes.blame(AlertId(1)), "it was forgotten");
        crashes.answered(AlertId(1), at(0));
        assert_eq!([crashes.blame(AlertId(1)), crashes.blame(AlertId(1))], [false; 2]);
    }

    #[test]
    fn a_plugin_that_fails_over_every_alert_loses_none() {
        let mut crashes = crashes();
        for second in 0..5 {
            crashes.crashed(at(second));
        }
        assert!((0..10).all(|_| !crashes.blame(AlertId(1))));
        crashes.answered(AlertId(2), at(70));
        assert!(crashes.blame(AlertId(1)), "it works for others");
    }

    #[test]
    fn a_plugin_that_crashes_over_everything_takes_no_memory() {
        let mut crashes = crashes();
        for alert in 0..100_000 {
            crashes.blame(AlertId(alert));
        }
        assert_eq!(crashes.suspects.len(), MAX_SUSPECTS);
    }
}
