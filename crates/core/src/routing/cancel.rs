//! Why pending deliveries are cancelled, and its words.

use std::fmt;

use super::Actor;

/// Why pending deliveries are cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// Their alert was acknowledged.
    Acknowledged(Actor),
    /// Their alert was dismissed, which acknowledges it.
    Dismissed(Actor),
    /// The live list was cleared, which acknowledges all that is on it.
    Cleared(Actor),
    /// Their area was disarmed.
    Disarmed(Actor),
    /// The time of the alarm in their area is over.
    AlarmOver,
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acknowledged(by) => write!(f, "its alert was acknowledged by {by}"),
            Self::Dismissed(by) => write!(f, "its alert was dismissed by {by}"),
            Self::Cleared(by) => write!(f, "the live list was cleared by {by}"),
            Self::Disarmed(by) => write!(f, "its area was disarmed by {by}"),
            Self::AlarmOver => f.write_str("the time of the alarm in its area is over"),
        }
    }
}
