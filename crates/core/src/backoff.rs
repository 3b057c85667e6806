//! How long to wait before the next try.

use std::time::Duration;

/// A wait that doubles with every failure, up to a limit, with jitter around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffPolicy {
    /// Wait after the first failure.
    pub initial: Duration,
    /// The wait never grows beyond this (before jitter).
    pub max: Duration,
    /// Share by which a wait may be shorter or longer at random: 0.2 means ±20 %. It keeps a hundred
    /// hubs from knocking at a server in the same second.
    pub jitter: f64,
}

impl BackoffPolicy {
    /// The wait after `failures` failures in a row, counted from 1, moved by `random` in 0..1.
    pub fn delay(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let plain = self.initial.saturating_mul(1 << doublings).min(self.max);
        let jitter = self.jitter.clamp(0.0, 1.0);
        plain.mul_f64(1.0 + jitter * (2.0 * random.clamp(0.0, 1.0) - 1.0))
    }
}

/// Counts failures and draws the waits between them.
#[derive(Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    failures: u32,
    rng: fastrand::Rng,
}

impl Backoff {
    /// Starts without failures; `seed` fixes the jitter.
    pub fn new(policy: BackoffPolicy, seed: u64) -> Self {
        Self {
            policy,
            failures: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// Counts one more failure and says how long to wait after it.
    pub fn fail(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.policy.delay(self.failures, self.rng.f64())
    }

    /// Forgets the failures: the other side has proved itself.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last reset.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BackoffPolicy = BackoffPolicy {
        initial: Duration::from_secs(1),
        max: Duration::from_secs(30),
        jitter: 0.2,
    };

    #[test]
    fn doubles_up_to_the_limit() {
        let waits = [1, 2, 3, 4, 5, 6, 7, 40].map(|n| POLICY.delay(n, 0.5).as_secs());
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let mut backoff = Backoff::new(POLICY, 7);
        for plain in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let wait = backoff.fail().as_secs_f64();
            assert!(
                (plain * 0.8..=plain * 1.2).contains(&wait),
                "{wait} around {plain}"
            );
        }
        backoff.reset();
        assert!(backoff.fail() <= Duration::from_millis(1_200));
    }
}
