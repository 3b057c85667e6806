//! The one place that reads clocks. Everything else takes a [`Clock`], so tests can pause time.

use std::time::SystemTime;

use time::OffsetDateTime;
use tokio::time::Instant;
use watchpost_core::{MonotonicTime, UnixMillis};

/// Tells the time to the actors.
///
/// The monotonic side is tokio's clock, which tests pause and advance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose monotonic side begins now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The monotonic time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub(crate) fn now(&self) -> MonotonicTime {
        MonotonicTime::since_origin(Instant::now().saturating_duration_since(self.origin))
    }

    /// The wall-clock time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub(crate) fn unix(&self) -> UnixMillis {
        let since_1970 = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }

    /// The wall-clock time as date and clock time in UTC.
    pub(crate) fn utc(&self) -> OffsetDateTime {
        self.unix().to_utc().unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}
