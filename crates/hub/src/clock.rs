//! The one place that reads clocks. Everything else takes a [`Clock`], so tests can pause time.

use std::time::SystemTime;

use time::OffsetDateTime;
use tokio::time::Instant;
use watchpost_core::{MonotonicTime, Now, UnixMillis};

/// Tells the time to the actors.
///
/// The monotonic side is tokio's clock, which tests pause and advance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// In tests the wall clock shows this at the origin and goes on with the monotonic one, which can be paused.
    #[cfg(test)]
    unix_origin: Option<UnixMillis>,
}

impl Clock {
    /// A clock whose monotonic side begins now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
            #[cfg(test)]
            unix_origin: None,
        }
    }

    /// A clock whose wall side shows `unix` now and then goes with the monotonic one.
    #[cfg(test)]
    pub(crate) fn starting_at(unix: UnixMillis) -> Self {
        Self {
            unix_origin: Some(unix),
            ..Self::start()
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
        #[cfg(test)]
        if let Some(unix) = self.unix_origin {
            return unix + self.now().since(MonotonicTime::default());
        }
        let since_1970 = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }

    /// Both.
    pub(crate) fn both(&self) -> Now {
        Now {
            monotonic: self.now(),
            unix: self.unix(),
        }
    }

    /// The wall-clock time as date and clock time in UTC.
    pub(crate) fn utc(&self) -> OffsetDateTime {
        self.unix().to_utc().unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}
