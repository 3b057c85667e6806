//! The backend's timestamps: naive ISO texts whose zone is known only to who wrote them.
//!
//! Pings, pongs and REST notifications carry the server's local time; anomaly notifications and REST rows
//! carry UTC. Nothing here guesses which: the caller says so in [`Timestamp::at`].

use std::borrow::Cow;

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// A timestamp as the backend wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampText<'a>(pub Cow<'a, str>);

/// A point in time, as exact as the text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// Without zone, as Python's `datetime.now()` and `utcnow()` write it.
    Naive(PrimitiveDateTime),
    /// With `Z` or an offset.
    Zoned(OffsetDateTime),
}

/// Python leaves the microseconds out when they are 0.
const NAIVE: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day][first [T] [ ]][hour]:[minute]:[second][optional [.[subsecond]]]"
);

impl TimestampText<'_> {
    /// Reads it; `None` when it is not an ISO date and time.
    pub fn parse(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.0)
    }
}

impl Timestamp {
    /// Reads `2026-11-23T01:17:00`, with or without fraction, `Z` or an offset such as `+05:00`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(naive) = PrimitiveDateTime::parse(text, NAIVE) {
            return Some(Self::Naive(naive));
        }
        OffsetDateTime::parse(text, &Rfc3339).ok().map(Self::Zoned)
    }

    /// The point in time, where a naive one was written at `offset` from UTC.
    pub fn at(self, offset: UtcOffset) -> OffsetDateTime {
        match self {
            Self::Naive(naive) => naive.assume_offset(offset),
            Self::Zoned(zoned) => zoned,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{datetime, offset};

    use super::*;

    #[test]
    fn every_form_the_backend_writes_is_read() {
        for (text, expected) in [
            (
                "2026-11-23T01:17:00.478730",
                datetime!(2026-11-23 01:17:00.478730 UTC),
            ),
            ("2026-11-23T01:17:00", datetime!(2026-11-23 01:17:00 UTC)),
            ("2026-11-23 01:17:00.5", datetime!(2026-11-23 01:17:00.5 UTC)),
            ("2025-12-03T10:30:00.000Z", datetime!(2025-12-03 10:30:00 UTC)),
            ("2026-11-23T06:17:00+05:00", datetime!(2026-11-23 01:17:00 UTC)),
        ] {
            assert_eq!(
                Timestamp::parse(text).map(|time| time.at(UtcOffset::UTC)),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn only_a_naive_time_takes_the_assumed_offset() {
        let karachi = offset!(+5);
        assert_eq!(
            Timestamp::parse("2026-11-23T06:17:00").map(|m| m.at(karachi)),
            Some(datetime!(2026-11-23 01:17:00 UTC).to_offset(karachi))
        );
        assert_eq!(
            Timestamp::parse("2026-11-23T06:17:00Z").map(|m| m.at(karachi)),
            Some(datetime!(2026-11-23 06:17:00 UTC))
        );
    }

    #[test]
    fn anything_else_is_no_timestamp() {
        for text in [
            "",
            "yesterday",
            "2026-13-01T00:00:00",
            "2026-11-23",
            "2026-11-23T01:17:00 ",
            "1795396590521",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
