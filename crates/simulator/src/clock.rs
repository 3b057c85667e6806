//! The time that the backend goes by, and how it writes a moment: ISO 8601 without an offset, microseconds left out when 0.

use std::fs;
use std::path::Path;

use time::{OffsetDateTime, UtcOffset, macros::format_description};

/// The time that stands in a file, in milliseconds since 1970; this machine's where there is no such file, or none in it.
pub(crate) fn now(file: Option<&Path>) -> OffsetDateTime {
    let text = file.and_then(|file| fs::read_to_string(file).ok());
    let millis: Option<i128> = text.and_then(|text| text.trim().parse().ok());
    let moment = millis.and_then(|millis| OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).ok());
    moment.unwrap_or_else(OffsetDateTime::now_utc)
}

/// `2026-11-23T01:17:00.478730`, in the offset given.
pub(crate) fn naive(moment: OffsetDateTime, offset: UtcOffset) -> String {
    let moment = moment.to_offset(offset);
    let (y, m, d) = (moment.year(), u8::from(moment.month()), moment.day());
    let (h, min, s, us) = (
        moment.hour(),
        moment.minute(),
        moment.second(),
        moment.microsecond(),
    );
    if us == 0 {
        return format!("{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}");
    }
    format!("{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}.{us:06}")
}

/// [`naive`] in UTC.
pub(crate) fn naive_utc(moment: OffsetDateTime) -> String {
    naive(moment, UtcOffset::UTC)
}

/// `20261123_011630`, as it stands in the name of a picture file.
pub(crate) fn file_stamp(moment: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]_[hour][minute][second]");
    moment
        .to_offset(UtcOffset::UTC)
        .format(format)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use time::macros::datetime;

    #[test]
    fn moments_are_written_as_python_does() {
        let moment = datetime!(2026-11-23 01:17:00.478730 UTC);
        expect!["2026-11-23T01:17:00.478730"].assert_eq(&naive_utc(moment));
        expect!["2026-11-23T06:17:00.478730"].assert_eq(&naive(moment, time::macros::offset!(+5)));
        expect!["2026-11-23T01:17:00"].assert_eq(&naive_utc(datetime!(2026-11-23 01:17:00 UTC)));
        expect!["20261123_011700"].assert_eq(&file_stamp(moment));
    }
}
