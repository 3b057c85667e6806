//! Times by the clocks at a site, and how long something takes, in words. It knows no time zones but their distance from UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(feature = "template")]
use crate::words;

/// Length of `2026-11-23T02:16:30`.
pub(crate) const CLOCK_CHARS: usize = 19;

/// The last millisecond of the year 9999 UTC, since 1970.
pub(crate) const END_OF_9999_MS: u64 = 253_402_300_799_999;

/// A time as RFC 3339 has it, by clocks that are so many seconds ahead of UTC.
pub(crate) fn local(time: SystemTime, offset_s: i32) -> String {
    let (time, offset_s) = shifted(time, offset_s);
    let clock = humantime::format_rfc3339_seconds(time).to_string();
    if offset_s == 0 {
        return clock;
    }
    format!("{}{}", clock.trim_end_matches('Z'), offset(offset_s, ":"))
}

/// The same with spaces between its parts.
pub(crate) fn for_people(rfc_3339: &str) -> String {
    let (clock, offset) = rfc_3339.split_at(rfc_3339.len().min(CLOCK_CHARS));
    let offset = if offset == "Z" { "UTC" } else { offset };
    format!("{} {offset}", clock.replace('T', " "))
}

/// What the clocks show, as a time of UTC. What cannot be shifted is shown as it is.
fn shifted(time: SystemTime, offset_s: i32) -> (SystemTime, i32) {
    let apart = Duration::from_secs(offset_s.unsigned_abs().into());
    let shifted = if offset_s < 0 {
        time.checked_sub(apart)
    } else {
        time.checked_add(apart)
    };
    let end = UNIX_EPOCH + Duration::from_millis(END_OF_9999_MS);
    let in_range = |time: &SystemTime| (UNIX_EPOCH..=end).contains(time);
    shifted
        .filter(in_range)
        .map_or((time, 0), |time| (time, offset_s))
}

fn offset(offset_s: i32, between: &str) -> String {
    let minutes = offset_s.unsigned_abs() / 60;
    let sign = if offset_s < 0 { '-' } else { '+' };
    format!("{sign}{:02}{between}{:02}", minutes / 60, minutes % 60)
}

/// Reads a time as RFC 3339 has it, with `Z` or a distance from UTC.
#[cfg(feature = "template")]
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    if text.ends_with('Z') {
        return humantime::parse_rfc3339(text).ok();
    }
    let (clock, offset) = text.split_at_checked(text.len().checked_sub("+01:00".len())?)?;
    let time = humantime::parse_rfc3339(&format!("{clock}Z")).ok()?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let apart = hours.parse::<u64>().ok()? * 3_600 + minutes.parse::<u64>().ok()? * 60;
    match &offset[..1] {
        "+" => time.checked_sub(Duration::from_secs(apart)),
        "-" => time.checked_add(Duration::from_secs(apart)),
        _ => None,
    }
}

/// A time by clocks that are so many seconds ahead of UTC, as `strftime` would write it.
///
/// # Errors
/// What there is not after a `%`, with what there is.
#[cfg(feature = "template")]
pub(crate) fn format(time: SystemTime, offset_s: i32, format: &str) -> Result<String, String> {
    let (time, offset_s) = shifted(time, offset_s);
    let clock = humantime::format_rfc3339_seconds(time).to_string();
    let part = |range: std::ops::Range<usize>| clock.get(range).unwrap_or_default();
    let (month, hour) = (part(5..7), part(11..13));
    let days = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
    // The first of January 1970 was a Thursday.
    let weekday = usize::try_from((days + 3) % 7).unwrap_or(0);
    let month_index = month.parse::<usize>().map_or(0, |month| (month + 11) % 12);
    let hour_of_24: u32 = hour.parse().unwrap_or(0);
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('Y') => text += part(0..4),
            Some('m') => text += month,
            Some('d') => text += part(8..10),
            Some('e') => text += part(8..10).trim_start_matches('0'),
            Some('H') => text += hour,
            Some('I') => text += &format!("{:02}", (hour_of_24 + 11) % 12 + 1),
            Some('p') => text += if hour_of_24 < 12 { "AM" } else { "PM" },
            Some('M') => text += part(14..16),
            Some('S') => text += part(17..19),
            Some('F') => text += part(0..10),
            Some('T') => text += part(11..19),
            Some('R') => text += part(11..16),
            Some('A') => text += words::list("weekdays", weekday),
            Some('a') => text += words::list("weekdays_short", weekday),
            Some('B') => text += words::list("months", month_index),
            Some('b') => text += words::list("months_short", month_index),
            Some('z') => text += &offset(offset_s, ""),
            Some('%') => text.push('%'),
            other => {
                let other = other.map_or_else(String::new, String::from);
                return Err(format!(
                    "a time has no `%{other}`; there are %Y %m %d %e %H %I %p %M %S %F %T %R %A %a %B %b %z %%"
                ));
            }
        }
    }
    Ok(text)
}

/// How long something takes, in its two largest units: `45 s`, `1 h 5 min`, `2 d`.
#[cfg(feature = "template")]
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (d, h) = (words::text("span.days"), words::text("span.hours"));
    let (min, s) = (words::text("span.minutes"), words::text("span.seconds"));
    let (large, small) = match seconds {
        0..60 => ((seconds, s), (0, s)),
        60..3_600 => ((seconds / 60, min), (seconds % 60, s)),
        3_600..86_400 => ((seconds / 3_600, h), (seconds % 3_600 / 60, min)),
        _ => ((seconds / 86_400, d), (seconds % 86_400 / 3_600, h)),
    };
    match small {
        (0, _) => format!("{} {}", large.0, large.1),
        (count, unit) => format!("{} {} {count} {unit}", large.0, large.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_by_the_clocks_at_the_site() {
        let time = UNIX_EPOCH + Duration::from_secs(1_795_396_590);
        for (offset_s, shown) in [
            (0, "2026-11-23 01:16:30 UTC"),
            (3_600, "2026-11-23 02:16:30 +01:00"),
            (-12_600, "2026-11-22 21:46:30 -03:30"),
        ] {
            assert_eq!(for_people(&local(time, offset_s)), shown);
            #[cfg(feature = "template")]
            assert_eq!(parse(&local(time, offset_s)), Some(time));
        }
        assert_eq!(local(UNIX_EPOCH, -3_600), "1970-01-01T00:00:00Z");
    }

    #[cfg(feature = "template")]
    #[test]
    fn a_format_is_that_of_strftime() {
        let time = UNIX_EPOCH + Duration::from_secs(1_795_396_590);
        let all = "%Y %m %d %e %H %I %p %M %S %F %T %R %A %a %B %b %z %%";
        assert_eq!(
            format(time, 3_600, all).unwrap(),
            "2026 11 23 23 02 02 AM 16 30 2026-11-23 02:16:30 02:16 Monday Mon November Nov +0100 %"
        );
        assert_eq!(
            format(UNIX_EPOCH, 0, "%a %e %b, %I %p").unwrap(),
            "Thu 1 Jan, 12 AM"
        );
        for wrong in ["%Q", "%"] {
            assert!(format(time, 0, wrong).unwrap_err().contains("there are %Y"));
        }
        for text in ["", "Z", "now", "2026-11-23T01:16:30", "2026-11-23T01:16:30ü01:00"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[cfg(feature = "template")]
    #[test]
    fn a_span_has_two_units_at_most() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (120, "2 min"),
            (3_599, "59 min 59 s"),
            (3_905, "1 h 5 min"),
            (86_400, "1 d"),
            (100_000, "1 d 3 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), words);
        }
    }
}
