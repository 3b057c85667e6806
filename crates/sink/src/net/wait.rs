//! How long something may be waited for: until a time, and no longer than the call that waits.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use crate::{Call, Fail, Host};

/// What is kept of a call's time for giving the answer.
const MARGIN: Duration = Duration::from_millis(300);

/// How often whoever waits looks whether the call was cancelled.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// A limit on waiting. It outlives the call that it is made from, as a connection does that is kept for the next one.
#[derive(Clone, Debug)]
pub struct Wait {
    until: Instant,
    call: Option<(Host, u64)>,
}

impl Wait {
    /// Until this long from now, whether there is a call or not.
    pub fn of(time: Duration) -> Self {
        Self {
            until: Instant::now() + time,
            call: None,
        }
    }

    /// What is left.
    ///
    /// # Errors
    /// Nothing is left ([`ErrorKind::TimedOut`]), or the call was cancelled ([`is_cancelled`]).
    pub fn left(&self) -> io::Result<Duration> {
        if let Some((host, id)) = &self.call
            && host.is_cancelled(*id)
        {
            return Err(io::Error::other(Cancelled));
        }
        match self.until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }

    /// What is left, but not longer than until the next look whether the call was cancelled.
    pub(super) fn step(&self) -> io::Result<Duration> {
        Ok(self.left()?.min(LOOK_INTERVAL))
    }
}

impl Call<'_> {
    /// Waits at most this long, and neither longer than the call may take nor beyond its being cancelled.
    ///
    /// # Errors
    /// There is no time left, or the call was cancelled; the alert is to be tried again.
    pub fn wait(&self, at_most: Duration) -> Result<Wait, Fail> {
        if self.cancelled() {
            return Err(Fail::retry("the call was cancelled"));
        }
        let time = match self.remaining() {
            None => at_most,
            Some(left) => at_most.min(left.saturating_sub(MARGIN)),
        };
        if time.is_zero() {
            return Err(Fail::retry(
                "no time is left; set a longer `timeout` for this sink",
            ));
        }
        Ok(Wait {
            until: Instant::now() + time,
            call: Some((self.host.clone(), self.id())),
        })
    }
}

/// Whether something ended because its call was cancelled.
pub fn is_cancelled(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Cancelled>())
}

#[derive(Debug)]
struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call was cancelled")
    }
}

impl std::error::Error for Cancelled {}
