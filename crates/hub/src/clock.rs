//! The one place that reads clocks. Everything else takes a [`Clock`], so tests can pause time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};
use time::OffsetDateTime;
use tokio::time::Instant;
use watchpost_core::{MonotonicTime, Now, UnixMillis};

/// Tells the time to the actors.
///
/// The monotonic side is tokio's clock, which tests pause and advance. The other one follows the machine's wall clock, but
/// for steps, which are taken over by [`Self::follow`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// In tests the wall clock shows this at the origin and goes on with the monotonic one, which can be paused.
    #[cfg(test)]
    unix_origin: Option<UnixMillis>,
}

/// By how many milliseconds the time that the hub goes by is ahead of the boot clock. A process has one wall clock, and so
/// it has one of these.
static OFFSET_MS: OnceLock<AtomicI64> = OnceLock::new();

fn offset() -> &'static AtomicI64 {
    OFFSET_MS.get_or_init(|| AtomicI64::new(wall().0.saturating_sub(boot_ms())))
}

/// What the machine's wall clock shows.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn wall() -> UnixMillis {
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

/// Time since the machine started, asleep or not.
fn boot_ms() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1_000) + time.tv_nsec / 1_000_000
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

    /// The time that the hub goes by.
    pub(crate) fn unix(&self) -> UnixMillis {
        #[cfg(test)]
        if let Some(unix) = self.unix_origin {
            return unix + self.now().since(MonotonicTime::default());
        }
        UnixMillis(boot_ms().saturating_add(offset().load(Ordering::SeqCst)))
    }

    /// What the machine's wall clock shows, which differs while it has just been set.
    pub(crate) fn wall(&self) -> UnixMillis {
        #[cfg(test)]
        if self.unix_origin.is_some() {
            return self.unix();
        }
        wall()
    }

    /// Takes over by how many milliseconds the wall clock was adjusted or set.
    pub(crate) fn follow(&self, millis: i64) {
        offset().fetch_add(millis, Ordering::SeqCst);
    }

    /// Both.
    pub(crate) fn both(&self) -> Now {
        Now {
            monotonic: self.now(),
            unix: self.unix(),
        }
    }

    /// The time that the hub goes by as date and clock time in UTC.
    pub(crate) fn utc(&self) -> OffsetDateTime {
        self.unix().to_utc().unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}
