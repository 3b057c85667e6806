//! The number by which everybody knows an alert.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::UnixMillis;

/// Names one alert for ever, here and in every sink.
///
/// It is the time of receipt in microseconds since 1970, counted up where two alerts fall on the same
/// microsecond. So ids are unique, grow with time, survive a lost database without starting over, and
/// fit the 53 bits that JSON readers keep exact until the year 2255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(pub u64);

impl AlertId {
    /// When the alert was received, as far as the id tells: where two fell on the same microsecond it was counted up.
    pub fn received_at(self) -> UnixMillis {
        UnixMillis(i64::try_from(self.0 / 1_000).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AlertId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Hands out alert ids; shared by all connections of a hub.
#[derive(Debug)]
pub struct AlertIds {
    last: AtomicU64,
}

impl AlertIds {
    /// Continues behind `last`, the greatest id in the store, so that a clock set back cannot make an
    /// id a second time.
    pub fn after(last: Option<AlertId>) -> Self {
        Self {
            last: AtomicU64::new(last.map_or(0, |id| id.0)),
        }
    }

    /// A new id for an alert received at `now`.
    pub fn next(&self, now: UnixMillis) -> AlertId {
        let micros = u64::try_from(now.0).unwrap_or(0).saturating_mul(1_000);
        let next = |last: u64| micros.max(last.saturating_add(1));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        AlertId(next(last.unwrap_or_else(|last| last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_does_not() {
        let ids = AlertIds::after(Some(AlertId(5_000_007)));
        let given: Vec<u64> = [5_000, 5_000, 9_000, 1_000, 9_000]
            .map(|ms| ids.next(UnixMillis(ms)).0)
            .into();
        assert_eq!(given, [5_000_008, 5_000_009, 9_000_000, 9_000_001, 9_000_002]);
    }
}
