//! The one place that reads the clock, which is tokio's, so that tests can pause it. What decides takes the time as an
//! argument.

use tokio::time::Instant;

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
