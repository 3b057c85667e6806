//! Names of files and directories, made of what comes from outside and recognised again.
//!
//! A name made here is one plain component of a path: it has no `/`, does not begin with a dot and is never
//! longer than file systems allow.

use std::path::PathBuf;

use time::OffsetDateTime;

/// Bytes of a stream's or an alert's part of a name. A name may have 255 in all.
const MAX_PART_BYTES: usize = 80;

/// `{hhmmss}.{ms}-{stream}-{id}`: what the files of one alert have in common. The same alert has the same stem
/// whenever it comes.
pub(crate) fn stem(unix_ms: u64, stream: &str, id: &str) -> String {
    let time = utc(unix_ms);
    let (hour, minute, second, ms) = (time.hour(), time.minute(), time.second(), time.millisecond());
    format!(
        "{hour:02}{minute:02}{second:02}.{ms:03}-{}-{}",
        part(stream),
        part(id)
    )
}

/// `{yyyy}/{mm}/{dd}`
pub(crate) fn day(unix_ms: u64) -> PathBuf {
    let time = utc(unix_ms);
    let year = format!("{:04}", time.year());
    [
        year,
        format!("{:02}", u8::from(time.month())),
        format!("{:02}", time.day()),
    ]
    .iter()
    .collect()
}

/// Name of an alert's picture number `index`, counted from 0.
pub(crate) fn picture(stem: &str, index: usize, mime: &str) -> String {
    let extension = match mime {
        "image/png" => "png",
        "image/webp" => "webp",
        "image/jpeg" => "jpg",
        _ => "bin",
    };
    match index {
        0 => format!("{stem}.{extension}"),
        _ => format!("{stem}.{}.{extension}", index + 1),
    }
}

/// The stem of a document's file name, if it is a name that [`stem`] makes.
pub(crate) fn stem_of_document(file_name: &str) -> Option<&str> {
    let stem = file_name.strip_suffix(".json")?;
    let (time, rest) = stem.split_once('-')?;
    let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    let (second, ms) = time.split_once('.')?;
    let two_parts = rest.len() >= 3 && rest.as_bytes()[1..rest.len() - 1].contains(&b'-');
    (digits(second, 6) && digits(ms, 3) && two_parts).then_some(stem)
}

/// Milliseconds from the beginning of the day, of a stem.
pub(crate) fn ms_of_day(stem: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| stem.get(range)?.parse::<u64>().ok();
    let (hour, minute, second) = (number(0..2)?, number(2..4)?, number(4..6)?);
    Some(((hour * 60 + minute) * 60 + second) * 1000 + number(7..10)?)
}

/// Whether `file_name` belongs to the alert with this stem.
pub(crate) fn belongs_to(file_name: &str, stem: &str) -> bool {
    let rest = file_name
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_prefix('.'));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
}

/// A part of a name: letters, digits, `-` and `_` stay, all else becomes `_`.
pub(crate) fn part(text: &str) -> String {
    let mut part = String::new();
    for c in text.chars() {
        let c = if c.is_alphanumeric() || matches!(c, '-' | '_') {
            c
        } else {
            '_'
        };
        if part.len() + c.len_utf8() > MAX_PART_BYTES {
            break;
        }
        part.push(c);
    }
    if part.is_empty() { "unknown".into() } else { part }
}

/// A time past the year 9999 is taken for the beginning of 1970.
fn utc(unix_ms: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 23 November 2026, 01:16:30.521 UTC
    const WHEN: u64 = 1_795_396_590_521;

    #[test]
    fn names_say_when_where_and_which() {
        assert_eq!(day(WHEN), PathBuf::from("2026/11/23"));
        let stem = stem(WHEN, "front-door", "17");
        assert_eq!(stem, "011630.521-front-door-17");
        assert_eq!(picture(&stem, 0, "image/jpeg"), "011630.521-front-door-17.jpg");
        assert_eq!(picture(&stem, 1, "image/png"), "011630.521-front-door-17.2.png");
        assert_eq!(ms_of_day(&stem), Some(WHEN % 86_400_000));
    }

    #[test]
    fn what_could_lead_elsewhere_does_not() {
        for (stream, expected) in [
            ("../../etc/x", "______etc_x"),
            ("", "unknown"),
            ("..", "__"),
            ("Tür 1", "Tür_1"),
            ("a\0b\n", "a_b_"),
        ] {
            assert_eq!(part(stream), expected);
        }
        assert_eq!(day(u64::MAX), PathBuf::from("1970/01/01"));
    }

    #[test]
    fn only_own_names_are_recognised() {
        for foreign in [
            "notes.json",
            "011630.521-x.json",
            "011630-x-1.json",
            "011630.521-x-1.jpg",
            "x1630.521-x-1.json",
            "011630.521--1.json",
        ] {
            assert_eq!(stem_of_document(foreign), None, "{foreign}");
        }
        assert!(belongs_to("a.jpg", "a") && belongs_to("a.2.jpg", "a"));
        assert!(!belongs_to("ab.jpg", "a") && !belongs_to("a", "a") && !belongs_to("a.", "a"));
    }

    proptest! {
        #[test]
        fn any_stream_and_id_make_one_short_plain_name(stream in ".*", id in ".*", when in any::<u64>()) {
            let stem = stem(when, &stream, &id);
            let document = format!("{stem}.json");
            prop_assert!(document.len() < 250 && !document.contains(['/', '\0']) && !document.starts_with('.'));
            prop_assert_eq!(stem_of_document(&document), Some(stem.as_str()));
            prop_assert!(ms_of_day(&stem).is_some());
        }
    }
}
