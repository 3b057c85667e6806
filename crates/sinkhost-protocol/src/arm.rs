//! Arming at a plugin: what it asks for, what comes of that, and how often it may ask. Knows no clock and no code.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::limits::{ASK_BURST, ASKS_PER_SECOND};

/// What a person at the plugin wants of areas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmRequest {
    /// By which its answer is known: 1 for the first, counting on.
    pub ticket: u64,
    /// What.
    pub act: ArmAct,
    /// Name of the area; empty: all.
    pub area: String,
    /// What the person has typed; empty: nothing.
    pub code: Code,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArmAct {
    /// To arm.
    Arm {
        /// How.
        mode: ArmMode,
        /// Whether also what is not ready.
        force: bool,
    },
    /// To disarm.
    Disarm,
    /// To call for help.
    Panic {
        /// Whether no siren sounds.
        silent: bool,
    },
}

/// How something is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words are those of the plugin contract")]
pub enum ArmMode {
    Home,
    Away,
    Night,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArmOutcome {
    /// It is so, or will be after the exit delay.
    Done,
    /// What sounds is stopped, and the rest follows when the hub can write to its disk.
    Noted,
    /// Something keeps an area from being armed.
    NotReady,
    /// It takes a code, and none was given.
    NeedsCode,
    /// The code is no one's.
    WrongCode,
    /// No code is taken for a while.
    Locked,
    /// Another reason.
    Refused,
}

/// What a person has typed. It is shown nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(pub String);

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How often may be asked: so many at once, and each second after.
#[derive(Debug)]
pub struct AskLimit {
    /// Each takes [`ASK_COST`] of it, and time gives that back.
    left: Duration,
    refilled: Instant,
    /// A multiple of the child's own limit.
    slack: u32,
}

/// What passes until one more may be asked for.
pub const ASK_COST: Duration = Duration::from_millis(1_000 / ASKS_PER_SECOND as u64);

impl AskLimit {
    /// The child's.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self::times(1, now)
    }

    /// The limit that no child breaks that keeps its own: what it has asked for at once and what it may leave unanswered can
    /// arrive together.
    #[must_use]
    pub fn of_parent(now: Instant) -> Self {
        Self::times(2, now)
    }

    fn times(slack: u32, now: Instant) -> Self {
        Self {
            left: ASK_COST * ASK_BURST * slack,
            refilled: now,
            slack,
        }
    }

    /// Whether one more may be asked for.
    pub fn admit(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.refilled) * self.slack;
        self.refilled = now;
        self.left = (self.left + passed).min(ASK_COST * ASK_BURST * self.slack);
        let left = self.left.checked_sub(ASK_COST);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::MAX_OPEN_ASKS;

    /// A child that asks as often as it may, while what is between it and its parent is stuck for a while, and then is not.
    #[test]
    fn the_parent_never_refuses_what_the_child_has_admitted() {
        let start = Instant::now();
        for stall in [1, 7, 100, 3_000] {
            let (mut child, mut parent) = (AskLimit::new(start), AskLimit::of_parent(start));
            let mut open = 0;
            for tick in 0..6_000 {
                let now = start + Duration::from_millis(100) * tick;
                if open < MAX_OPEN_ASKS && child.admit(now) {
                    open += 1;
                }
                if tick % stall < 10 {
                    (0..std::mem::take(&mut open)).for_each(|_| assert!(parent.admit(now), "{stall} {tick}"));
                }
            }
        }
    }

    #[test]
    fn ten_may_be_asked_for_at_once_and_then_one_a_second() {
        let start = Instant::now();
        let mut limit = AskLimit::new(start);
        let admitted = |limit: &mut AskLimit, now| (0..100).filter(|_| limit.admit(now)).count();
        assert_eq!(admitted(&mut limit, start), 10);
        assert_eq!(admitted(&mut limit, start + Duration::from_secs(3)), 3);
    }

    #[test]
    fn a_code_is_not_shown() {
        assert_eq!(format!("{:?}", Code("4711".into())), "***");
    }
}
