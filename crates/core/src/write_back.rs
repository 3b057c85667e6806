//! Whether a change that the backend did not take is tried again.

use std::time::Duration;

use crate::FailureKind;

/// The first wait after a failure, which doubles.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// A record with an infinite score is never shown, which is a 500: so many tries are enough.
const MAX_TRIES_AT_500: u32 = 3;

/// What follows a failed write-back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteBackRetry {
    /// It is tried again after this long.
    After(Duration),
    /// The backend cannot show the record: whether a person has judged it cannot be known, and it stays as it is.
    Unknowable,
    /// The backend refuses it, and always will.
    Refused,
}

impl WriteBackRetry {
    /// What follows this failure, after `attempts` failures before it. `scored` says whether the alert has a score: to a change
    /// of one that has, a 500 says only that the backend is not well.
    pub fn after(kind: FailureKind, attempts: u32, scored: bool) -> Self {
        match kind {
            FailureKind::Http(500) if !scored && attempts + 1 >= MAX_TRIES_AT_500 => Self::Unknowable,
            FailureKind::Http(400 | 404 | 405 | 422) => Self::Refused,
            _ => Self::After(FIRST_WAIT.saturating_mul(1 << attempts.min(16)).min(MAX_WAIT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_until_it_is_done_but_not_what_never_will_be() {
        let after = |seconds| WriteBackRetry::After(Duration::from_secs(seconds));
        for (kind, attempts, scored, expected) in [
            (FailureKind::Refused, 0, true, after(5)),
            (FailureKind::Refused, 3, true, after(40)),
            (FailureKind::Refused, 40, false, after(600)),
            (FailureKind::Http(500), 1, false, after(10)),
            (FailureKind::Http(500), 2, false, WriteBackRetry::Unknowable),
            (FailureKind::Http(500), 2, true, after(20)),
            (FailureKind::Http(500), 40, true, after(600)),
            (FailureKind::Http(404), 0, true, WriteBackRetry::Refused),
        ] {
            assert_eq!(
                WriteBackRetry::after(kind, attempts, scored),
                expected,
                "{kind:?} {attempts} {scored}"
            );
        }
    }
}
