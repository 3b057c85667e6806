//! Whether a child still lives: one that has sent nothing for a while is asked for a sign of life. Knows no clock.

use std::time::Duration;

use tokio::time::Instant;
use watchpost_sinkhost_protocol::limits::{PING_EVERY, PONG_TIMEOUT};

use crate::violation::Violation;

/// When a running child was last heard of, and whether it was asked since.
#[derive(Debug)]
pub(crate) struct Liveness {
    heard: Instant,
    asked: Option<Instant>,
}

/// What to do about a silent child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LivenessAction {
    /// Ask it.
    Ping,
    /// It was asked and has not answered for this long.
    Kill(Duration),
}

impl Liveness {
    /// A child that begins to run.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            asked: None,
        }
    }

    /// It has sent something.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// It has answered.
    pub(crate) fn answered(&mut self) -> Result<(), Violation> {
        self.asked.take().map(drop).ok_or(Violation::UnaskedPong)
    }

    /// When to ask [`Self::check`] again.
    pub(crate) fn next(&self) -> Instant {
        match self.asked {
            Some(asked) => asked + PONG_TIMEOUT,
            None => self.heard + PING_EVERY,
        }
    }

    /// What to do now.
    pub(crate) fn check(&mut self, now: Instant) -> Option<LivenessAction> {
        if now < self.next() {
            return None;
        }
        if let Some(asked) = self.asked {
            return Some(LivenessAction::Kill(now.saturating_duration_since(asked)));
        }
        self.asked = Some(now);
        Some(LivenessAction::Ping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_silent_child_is_asked_and_then_killed_within_ten_seconds() {
        let start = clock::now();
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.check(start + PING_EVERY / 2), None);
        let asked = start + PING_EVERY;
        assert_eq!(liveness.check(asked), Some(LivenessAction::Ping));
        assert_eq!(liveness.check(asked), None);
        let killed = liveness.next();
        assert_eq!(liveness.check(killed), Some(LivenessAction::Kill(PONG_TIMEOUT)));
        assert!(killed - start < Duration::from_secs(10));
    }

    #[test]
    fn what_is_heard_puts_the_question_off_and_an_answer_ends_it() {
        let start = clock::now();
        let mut liveness = Liveness::new(start);
        liveness.heard(start + PING_EVERY / 2);
        assert_eq!(liveness.check(start + PING_EVERY), None);
        let asked = liveness.next();
        assert_eq!(liveness.check(asked), Some(LivenessAction::Ping));
        liveness.heard(asked + PONG_TIMEOUT / 2);
        liveness.answered().unwrap();
        assert_eq!(liveness.check(asked + PONG_TIMEOUT), None);
        assert!(liveness.answered().is_err(), "it was not asked again");
    }
}
