//! Whether a change that the backend did not take is tried again.

use std::time::Duration;

use crate::FailureKind;

/// The first wait after a failure, which doubles.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// Of a record with an infinite score the backend answers 500 although it took effect: so many tries are enough.
const MAX_TRIES_AT_500: u32 = 3;

/// What follows a failed write-back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteBackRetry {
    /// It is tried again after this long.
    After(Duration),
    /// It has probably taken effect: the backend answers so to a change that it makes.
    ProbablyDone,
    /// The backend refuses it, and always will.
    Refused,
}

impl WriteBackRetry {
    /// What follows this failure, after `attempts` failures before it.
    pub fn after(kind: FailureKind, attempts: u32) -> Self {
        match kind {
            FailureKind::Http(500) if attempts + 1 >= MAX_TRIES_AT_500 => Self::ProbablyDone,
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
        for (kind, attempts, expected) in [
            (FailureKind::Refused, 0, after(5)),
            (FailureKind::Refused, 3, after(40)),
            (FailureKind::Refused, 40, after(600)),
            (FailureKind::Http(500), 1, after(10)),
            (FailureKind::Http(500), 2, WriteBackRetry::ProbablyDone),
            (FailureKind::Http(404), 0, WriteBackRetry::Refused),
        ] {
            assert_eq!(
                WriteBackRetry::after(kind, attempts),
                expected,
                "{kind:?} {attempts}"
            );
        }
    }
}
