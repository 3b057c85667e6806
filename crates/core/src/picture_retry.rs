//! Whether a picture that could not be fetched is asked for again.

use std::time::Duration;

use crate::FailureKind;

/// The first wait after a failure, which doubles.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait. Whoever waits for a picture looks for it again within minutes of when the backend gives it.
const MAX_WAIT: Duration = Duration::from_secs(240);

/// What follows when a picture could not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureRetry {
    /// There is none, and never will be.
    Gone,
    /// It is asked for again after this long; others meanwhile.
    After(Duration),
    /// Probably no picture can be fetched now: none is asked for until then, and this one as late as after a failure of its
    /// own, in case it is the one that fails.
    Pause(Duration),
}

impl PictureRetry {
    /// What follows this failure. `attempts` of this picture failed before, and so many `pauses` went before this one.
    pub fn after(kind: FailureKind, attempts: u32, pauses: u32) -> Self {
        match kind {
            // What is larger than is wanted fails although the backend gives it.
            FailureKind::Http(200..=299 | 404 | 410) | FailureKind::WrongPath | FailureKind::Address => {
                Self::Gone
            }
            FailureKind::Http(_) | FailureKind::Forbidden | FailureKind::Redirected => {
                Self::After(doubled(attempts))
            }
            _ => Self::Pause(doubled(pauses)),
        }
    }
}

fn doubled(times: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << times.min(16)).min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_gone_is_not_asked_for_again_and_a_server_that_is_away_is_left_alone() {
        let (after, pause) = (
            |seconds| PictureRetry::After(Duration::from_secs(seconds)),
            |seconds| PictureRetry::Pause(Duration::from_secs(seconds)),
        );
        for (kind, attempts, pauses, expected) in [
            (FailureKind::Http(404), 0, 0, PictureRetry::Gone),
            (FailureKind::Address, 9, 9, PictureRetry::Gone),
            (FailureKind::Http(500), 0, 7, after(5)),
            (FailureKind::Http(503), 3, 0, after(40)),
            (FailureKind::Http(503), 99, 0, after(240)),
            (FailureKind::Network, 7, 0, pause(5)),
            (FailureKind::Timeout, 0, 2, pause(20)),
            (FailureKind::Unauthorized, 0, 40, pause(240)),
        ] {
            assert_eq!(
                PictureRetry::after(kind, attempts, pauses),
                expected,
                "{kind:?} {attempts} {pauses}"
            );
        }
    }
}
