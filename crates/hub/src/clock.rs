//! The one place that reads clocks. Everything else takes a [`Clock`], so tests can pause time.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use time::OffsetDateTime;
use tokio::time::Instant;
use watchpost_core::{MonotonicTime, Now, UnixMillis};

/// The clocks of a machine that go on whatever the hub does. They live as long as the process.
pub trait WallClock: fmt::Debug + Send + Sync {
    /// What the wall clock shows, which can be set.
    fn wall(&self) -> UnixMillis;

    /// Time since some moment, asleep or not, in milliseconds. It cannot be set.
    fn steady_ms(&self) -> i64;

    /// By how many milliseconds the time that the hub goes by is ahead of the steady one. A process has one wall clock, and
    /// so it has one of these.
    fn ahead_ms(&self) -> &AtomicI64;
}

/// Tells the time to the actors.
///
/// The monotonic side is tokio's clock, which tests pause and advance. The other one follows the machine's wall clock, but
/// for steps, which are taken over by [`Self::follow`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    machine: &'static dyn WallClock,
}

/// The clocks of this machine: the boot clock, and what the wall clock showed beside it at the start.
#[derive(Debug)]
pub(crate) struct MachineClock {
    ahead_ms: AtomicI64,
}

impl MachineClock {
    /// There is one.
    pub(crate) fn get() -> &'static Self {
        static CLOCK: OnceLock<MachineClock> = OnceLock::new();
        CLOCK.get_or_init(|| Self {
            ahead_ms: AtomicI64::new(wall().0.saturating_sub(boot_ms())),
        })
    }
}

impl WallClock for MachineClock {
    fn wall(&self) -> UnixMillis {
        wall()
    }

    fn steady_ms(&self) -> i64 {
        boot_ms()
    }

    fn ahead_ms(&self) -> &AtomicI64 {
        &self.ahead_ms
    }
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

/// A wall clock that goes with tokio's, also while that is paused, and can be set.
#[derive(Debug)]
pub struct TokioClock {
    origin: Instant,
    /// What the wall clock showed at the origin, but for what it was set by since.
    unix_ms: AtomicI64,
    ahead_ms: AtomicI64,
}

impl TokioClock {
    /// A clock that shows `unix` now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn starting_at(unix: UnixMillis) -> Self {
        Self {
            origin: Instant::now(),
            unix_ms: AtomicI64::new(unix.0),
            ahead_ms: AtomicI64::new(unix.0),
        }
    }

    /// Sets it by so many milliseconds.
    pub fn set_by(&self, millis: i64) {
        self.unix_ms.fetch_add(millis, Ordering::SeqCst);
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn passed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.origin)
    }
}

impl WallClock for TokioClock {
    fn wall(&self) -> UnixMillis {
        UnixMillis(self.unix_ms.load(Ordering::SeqCst)) + self.passed()
    }

    fn steady_ms(&self) -> i64 {
        i64::try_from(self.passed().as_millis()).unwrap_or(i64::MAX)
    }

    fn ahead_ms(&self) -> &AtomicI64 {
        &self.ahead_ms
    }
}

impl Clock {
    /// A clock of this machine whose monotonic side begins now.
    pub(crate) fn start() -> Self {
        Self::on(MachineClock::get())
    }

    /// A clock whose monotonic side begins now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub(crate) fn on(machine: &'static dyn WallClock) -> Self {
        Self {
            origin: Instant::now(),
            machine,
        }
    }

    /// A clock whose wall side shows `unix` now and then goes with the monotonic one.
    #[cfg(test)]
    pub(crate) fn starting_at(unix: UnixMillis) -> Self {
        Self::on(Box::leak(Box::new(TokioClock::starting_at(unix))))
    }

    /// The monotonic time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub(crate) fn now(&self) -> MonotonicTime {
        MonotonicTime::since_origin(Instant::now().saturating_duration_since(self.origin))
    }

    /// The time that the hub goes by.
    pub(crate) fn unix(&self) -> UnixMillis {
        let ahead = self.machine.ahead_ms().load(Ordering::SeqCst);
        UnixMillis(self.machine.steady_ms().saturating_add(ahead))
    }

    /// What the machine's wall clock shows, which differs while it has just been set.
    pub(crate) fn wall(&self) -> UnixMillis {
        self.machine.wall()
    }

    /// Takes over by how many milliseconds the wall clock was adjusted or set.
    pub(crate) fn follow(&self, millis: i64) {
        self.machine.ahead_ms().fetch_add(millis, Ordering::SeqCst);
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
