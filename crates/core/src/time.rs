//! The two kinds of time the hub reckons with, as plain data: the hub's clock reads them.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point on a monotonic clock: the time since some fixed origin, such as the start of the hub.
///
/// It never jumps, so waits and timeouts are measured in it. It means nothing after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonotonicTime(Duration);

impl MonotonicTime {
    /// The moment `elapsed` after the clock's origin.
    pub const fn since_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The moment this long before; the clock's origin at the earliest.
    pub fn before(self, wait: Duration) -> Self {
        Self(self.0.saturating_sub(wait))
    }

    /// How long after `earlier` this is; zero when it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for MonotonicTime {
    type Output = Self;
    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// Both kinds of time at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// What waits are measured in.
    pub monotonic: MonotonicTime,
    /// What the store keeps.
    pub unix: UnixMillis,
}

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00 UTC.
///
/// It survives restarts, so it is what the store keeps. Written in JSON as RFC 3339 in UTC, for
/// instance `2026-11-23T01:16:30.521Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// How long before `later` this is; zero when it is not earlier.
    pub fn until(self, later: Self) -> Duration {
        let millis = later.0.saturating_sub(self.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// This time as date and clock time; `None` beyond the year 9999 either way.
    pub fn to_utc(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok()
    }
}

/// How far another machine's clock is from this one's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockSkew {
    /// By how many milliseconds ours is ahead.
    ahead_ms: i64,
}

/// Clocks that differ by less agree, in milliseconds: the other one is told in whole seconds, by an answer that took its
/// time.
const AGREES_MS: u64 = 5_000;

impl ClockSkew {
    /// What is known after an answer that was asked for and came at these times of ours, and was given at `theirs`, in whole
    /// seconds, some time between the two. What was known before stays as far as it can be so: an answer that was long on its way
    /// says little.
    pub fn seen(self, asked: UnixMillis, answered: UnixMillis, theirs: UnixMillis) -> Self {
        let least = asked.0.saturating_sub(theirs.0).saturating_sub(999);
        let most = answered.0.saturating_sub(theirs.0).max(least);
        Self {
            ahead_ms: self.ahead_ms.clamp(least, most),
        }
    }

    /// What our clock showed when theirs showed this.
    pub fn ours(self, theirs: UnixMillis) -> UnixMillis {
        if self.agrees() {
            return theirs;
        }
        UnixMillis(theirs.0.saturating_add(self.ahead_ms))
    }

    /// Whether the two agree, as far as that can be told.
    pub fn agrees(self) -> bool {
        self.ahead_ms.unsigned_abs() < AGREES_MS
    }

    /// By how many milliseconds our clock is ahead of theirs.
    pub fn ahead_ms(self) -> i64 {
        self.ahead_ms
    }
}

impl From<OffsetDateTime> for UnixMillis {
    fn from(time: OffsetDateTime) -> Self {
        let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
        Self(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl Add<Duration> for UnixMillis {
    type Output = Self;
    fn add(self, wait: Duration) -> Self {
        let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for UnixMillis {
    type Output = Self;
    fn sub(self, back: Duration) -> Self {
        let millis = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_utc() {
            Some(utc) => {
                let (hour, minute, second) = utc.to_hms();
                let millis = utc.millisecond();
                write!(f, "{}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z", utc.date())
            }
            None => write!(f, "{} ms since 1970", self.0),
        }
    }
}

impl Serialize for UnixMillis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixMillis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339)
            .map(Self::from)
            .map_err(|e| {
                de::Error::custom(format_args!(
                    "`{text}` is not a time like 2026-11-23T01:16:30.521Z: {e}"
                ))
            })
    }
}

/// A time in the unit that suits it.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_clock_that_is_off_are_brought_to_ours_and_others_left_as_they_are() {
        for (ahead_ms, shown, expected) in [
            (-4_999, 50_000, 50_000),
            (-5_000, 50_000, 45_000),
            (3_600_000, 50_000, 3_650_000),
            (i64::MAX, 1, i64::MAX),
        ] {
            let skew = ClockSkew { ahead_ms };
            assert_eq!(skew.ours(UnixMillis(shown)), UnixMillis(expected));
        }
    }

    #[test]
    fn an_answer_that_was_long_on_its_way_says_no_more_than_it_knows() {
        let second = 1_000;
        for (known, asked, answered, theirs, expected) in [
            // At once, by clocks that agree, one that is an hour off, and one that is right again.
            (0, 100_200, 100_210, 100 * second, 0),
            (0, 100_200, 100_210, 3_700 * second, -3_599_790),
            (-3_599_800, 100_200, 100_210, 3_700 * second, -3_599_800),
            (-3_599_800, 100_200, 100_210, 100 * second, -799),
            // It took a minute to get there, and to come back.
            (0, 100_000, 160_000, 160 * second, 0),
            (0, 100_000, 160_000, 100 * second, 0),
            (0, 100_000, 160_000, 220 * second, -60_000),
            // Our clock was set back meanwhile.
            (0, 100_000, 40_000, 100 * second, -999),
            (0, i64::MAX, i64::MAX, i64::MIN, i64::MAX - 999),
        ] {
            let seen = ClockSkew { ahead_ms: known }.seen(
                UnixMillis(asked),
                UnixMillis(answered),
                UnixMillis(theirs),
            );
            assert_eq!(seen.ahead_ms(), expected, "{asked} to {answered}, {theirs}");
        }
    }

    #[test]
    fn times_are_written_as_rfc_3339_and_read_back() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_396_590_521, "2026-11-23T01:16:30.521Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            let time = UnixMillis(millis);
            assert_eq!(time.to_string(), text);
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<UnixMillis>(&json).unwrap(), time);
        }
        assert_eq!(
            UnixMillis(i64::MAX).to_string(),
            "9223372036854775807 ms since 1970"
        );
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(UnixMillis(i64::MAX) + Duration::MAX, UnixMillis(i64::MAX));
        assert_eq!(
            MonotonicTime::default().since(MonotonicTime::since_origin(Duration::MAX)),
            Duration::ZERO
        );
    }
}
