//! How fast a sink may be fed: at full speed while it works, with single probes while it does not.

use crate::{Backoff, BackoffPolicy, MonotonicTime};

/// Failures of different deliveries in a row after which the sink itself is taken to be down.
const FAILURES_UNTIL_DOWN: u32 = 3;

/// Watches the outcomes of one sink.
///
/// A delivery that fails alone waits for its own retry and holds up no other. But when several fail one
/// after the other, the mail server and not the mail is at fault: trying each of a hundred thousand
/// waiting alerts would only hammer it and scatter their order. So the sink is then probed with one
/// delivery a wait, the oldest, and with the first success everything is due again, in order.
#[derive(Debug)]
pub struct CircuitBreaker {
    backoff: Backoff,
    failures: u32,
    closed_until: Option<MonotonicTime>,
    /// Since the last failure, a probe has found that a delivery may work.
    probed: bool,
}

impl CircuitBreaker {
    /// Full speed; `seed` fixes the jitter of the waits.
    pub fn new(policy: BackoffPolicy, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(policy, seed),
            failures: 0,
            closed_until: None,
            probed: false,
        }
    }

    /// Whether the sink is taken to be down.
    pub fn is_down(&self) -> bool {
        self.failures >= FAILURES_UNTIL_DOWN
    }

    /// How many deliveries may be in flight at `now`, out of `full`.
    pub fn window(&self, now: MonotonicTime, full: usize) -> usize {
        match self.closed_until {
            None => full,
            Some(until) if now < until => 0,
            Some(_) => full.min(1),
        }
    }

    /// When the window opens again, if it is closed.
    pub fn opens_at(&self) -> Option<MonotonicTime> {
        self.closed_until
    }

    /// Whether a probe, where the plugin has one, should spare the sink an attempt at `now`.
    pub fn wants_probe(&self, now: MonotonicTime) -> bool {
        !self.probed && self.closed_until.is_some_and(|until| now >= until)
    }

    /// A probe has found that a delivery may work. Only a delivery proves it.
    pub fn probed(&mut self) {
        self.probed = true;
    }

    /// What made attempts fail may be over: the next may be made at once.
    pub fn try_now(&mut self, now: MonotonicTime) {
        if let Some(until) = &mut self.closed_until {
            *until = now.min(*until);
        }
    }

    /// An attempt failed in a way that may pass. Failures of deliveries that were in flight at the same
    /// time as the one that closed the window are not counted again.
    pub fn failed(&mut self, now: MonotonicTime) {
        self.failures = self.failures.saturating_add(1);
        self.probed = false;
        let waiting = self.closed_until.is_some_and(|until| now < until);
        if self.is_down() && !waiting {
            self.closed_until = Some(now + self.backoff.fail());
        }
    }

    /// An attempt ended with the sink's own answer. Returns whether the sink was down until now, so that
    /// everything that waits for a retry is due at once.
    pub fn answered(&mut self) -> bool {
        let was_down = self.is_down();
        self.failures = 0;
        self.closed_until = None;
        self.probed = false;
        self.backoff.reset();
        was_down
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_secs(seconds))
    }

    fn breaker() -> CircuitBreaker {
        let (initial, max) = (Duration::from_secs(1), Duration::from_secs(300));
        CircuitBreaker::new(
            BackoffPolicy {
                initial,
                max,
                jitter: 0.0,
            },
            0,
        )
    }

    #[test]
    fn single_failures_do_not_slow_the_sink_down() {
        let mut breaker = breaker();
        for second in 0..100 {
            breaker.failed(at(second));
            breaker.failed(at(second));
            assert_eq!(breaker.window(at(second), 64), 64);
            assert!(!breaker.answered());
        }
    }

    #[test]
    fn a_dead_sink_is_probed_with_one_delivery_and_comes_back_at_full_speed() {
        let mut breaker = breaker();
        for _ in 0..64 {
            breaker.failed(at(0));
        }
        assert!(breaker.is_down());
        assert_eq!(
            breaker.opens_at(),
            Some(at(1)),
            "64 failures at once are one wait"
        );
        assert_eq!([breaker.window(at(0), 64), breaker.window(at(1), 64)], [0, 1]);
        breaker.failed(at(1));
        assert_eq!(breaker.opens_at(), Some(at(3)));
        assert!(breaker.answered(), "what waits is due again");
        assert_eq!(breaker.window(at(3), 64), 64);
    }
}
