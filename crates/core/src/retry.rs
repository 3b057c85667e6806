//! Whether and when a failed delivery is tried again.

use std::time::Duration;

use crate::{BackoffPolicy, Outcome, UnixMillis};

/// A sink's rules for failed deliveries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Waits between the attempts at one delivery.
    pub backoff: BackoffPolicy,
    /// A delivery that still fails this long after its alert was received is dead-lettered; `None` never.
    pub give_up_after: Option<Duration>,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Delivered,
    /// Not before this time.
    RetryAt(UnixMillis),
    /// Dead-lettered, for this reason.
    Dead(String),
}

impl RetryPolicy {
    /// Judges attempt number `attempt` (from 1) at an alert that was received so long ago; `random` in 0..1 moves the wait
    /// within its jitter.
    pub fn judge(
        &self,
        outcome: &Outcome,
        attempt: u32,
        age: Duration,
        now: UnixMillis,
        random: f64,
    ) -> Verdict {
        let (note, asked) = match outcome {
            Outcome::Delivered => return Verdict::Delivered,
            Outcome::Refused { note } | Outcome::Poisonous { note } => return Verdict::Dead(note.clone()),
            Outcome::Retry { note, after } => (note, *after),
            Outcome::Broken { note } => (note, None),
        };
        let wait = self.backoff.delay(attempt, random).max(asked.unwrap_or_default());
        match self.give_up_after {
            Some(patience) if age.saturating_add(wait) > patience => {
                Verdict::Dead(format!("dead-lettered after {attempt} attempts: {note}"))
            }
            _ => Verdict::RetryAt(now + wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        backoff: BackoffPolicy {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(300),
            jitter: 0.0,
        },
        give_up_after: Some(Duration::from_secs(3_600)),
    };

    fn judge(outcome: Outcome, attempt: u32, now: i64) -> Verdict {
        let age = Duration::from_millis(u64::try_from(now).unwrap());
        POLICY.judge(&outcome, attempt, age, UnixMillis(now), 0.5)
    }

    fn retry(after: Option<u64>) -> Outcome {
        Outcome::Retry {
            note: "451 busy".into(),
            after: after.map(Duration::from_secs),
        }
    }

    #[test]
    fn waits_double_but_the_plugin_may_ask_for_more() {
        assert_eq!(judge(Outcome::Delivered, 1, 0), Verdict::Delivered);
        assert_eq!(judge(retry(None), 3, 10), Verdict::RetryAt(UnixMillis(4_010)));
        assert_eq!(
            judge(retry(Some(60)), 3, 10),
            Verdict::RetryAt(UnixMillis(60_010))
        );
        assert_eq!(judge(retry(Some(1)), 3, 10), Verdict::RetryAt(UnixMillis(4_010)));
    }

    #[test]
    fn refusal_and_lost_patience_are_final_and_keep_the_reason() {
        let refused = Outcome::Refused {
            note: "550 no such user".into(),
        };
        assert_eq!(judge(refused, 1, 0), Verdict::Dead("550 no such user".into()));
        let late = judge(retry(None), 20, 3_400_000);
        assert_eq!(
            late,
            Verdict::Dead("dead-lettered after 20 attempts: 451 busy".into())
        );
        let broken = Outcome::Broken {
            note: "the plugin was killed by SIGSEGV".into(),
        };
        assert_eq!(judge(broken, 1, 0), Verdict::RetryAt(UnixMillis(1_000)));
    }
}
