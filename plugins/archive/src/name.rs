//! Where an alert is filed: `{yyyy}/{mm}/{dd}/{HH-MM-SS.mmm}-{camera}-{id}`, all of it in UTC.
//!
//! Names are made of letters, digits, `.`, `_` and `-` only, so they are the same on every file system, and
//! nothing that a message says can lead out of the archive.

use std::path::PathBuf;
use std::time::SystemTime;

use time::{Date, Month, OffsetDateTime};

/// Length of the camera's part of a name, in bytes. Enough for the UUIDs of the backend.
const MAX_CAMERA_BYTES: usize = 64;
/// Length of the id's part of a name, in bytes.
const MAX_ID_BYTES: usize = 64;

/// The place of one alert: its day's directory, and its files' name without the ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) day: PathBuf,
    pub(crate) stem: String,
}

impl Place {
    /// The place of an alert received at that time. The same alert always has the same place.
    pub(crate) fn of(received: SystemTime, camera: &str, id: &str) -> Self {
        let time = OffsetDateTime::from(received);
        let (hour, minute, second) = time.to_hms();
        let camera = clean(camera, MAX_CAMERA_BYTES);
        let id = clean(id, MAX_ID_BYTES);
        Self {
            day: day_path(time.date()),
            stem: format!(
                "{hour:02}-{minute:02}-{second:02}.{:03}-{camera}-{id}",
                time.millisecond()
            ),
        }
    }
}

/// `{yyyy}/{mm}/{dd}`
pub(crate) fn day_path(date: Date) -> PathBuf {
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    [format!("{year:04}"), format!("{month:02}"), format!("{day:02}")]
        .iter()
        .collect()
}

/// The date of a day's directory, from the names of the three directories; `None` for any other.
pub(crate) fn date_of(year: &str, month: &str, day: &str) -> Option<Date> {
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())?
    };
    let month = Month::try_from(u8::try_from(number(month, 2)?).ok()?).ok()?;
    Date::from_calendar_date(
        i32::from(number(year, 4)?),
        month,
        u8::try_from(number(day, 2)?).ok()?,
    )
    .ok()
}

/// The alert's id, from the name of one of its files without the ending; `None` if it is not such a name.
pub(crate) fn id_of(stem: &str) -> Option<&str> {
    let time = stem.as_bytes().get(..13)?;
    let shape = time
        .iter()
        .zip(b"00-00-00.000-")
        .all(|(&found, &wanted)| match wanted {
            b'0' => found.is_ascii_digit(),
            other => found == other,
        });
    let (camera, id) = stem.get(13..)?.rsplit_once('-')?;
    (shape && !camera.is_empty() && !id.is_empty()).then_some(id)
}

/// Leaves what may stand in a file name. A `-` in an id would make the name ambiguous to read back, and a dot
/// at the beginning would hide the file; both become `_` by the caller's use of the part behind a `-`.
fn clean(text: &str, max_bytes: usize) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '_'
        }
    };
    let cleaned: String = text.chars().take(max_bytes).map(keep).collect();
    let trimmed = cleaned.trim_matches(['.', '-']);
    if trimmed.is_empty() {
        "unknown".to_owned()
    } else {
        trimmed.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: u64 = 1_795_396_590_521;

    fn received() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(MS)
    }

    fn path(camera: &str, id: &str) -> String {
        let place = Place::of(received(), camera, id);
        place.day.join(place.stem).display().to_string()
    }

    #[test]
    fn names_tell_when_where_and_which() {
        assert_eq!(path("front-door", "42"), "2026/11/23/01-16-30.521-front-door-42");
    }

    #[test]
    fn nothing_leads_out_of_the_archive() {
        for (camera, expected) in [
            ("../../etc/x", "01-16-30.521-_.._etc_x-42"),
            ("..", "01-16-30.521-unknown-42"),
            ("", "01-16-30.521-unknown-42"),
            ("a\0b\nc/d\\e:f", "01-16-30.521-a_b_c_d_e_f-42"),
            ("Tür ☃", "01-16-30.521-T_r__-42"),
        ] {
            assert_eq!(path(camera, "42"), format!("2026/11/23/{expected}"));
        }
        assert_eq!(
            Place::of(received(), &"x".repeat(5_000), &"9".repeat(5_000))
                .stem
                .len(),
            13 + 64 + 1 + 64
        );
    }

    #[test]
    fn names_are_read_back() {
        assert_eq!(
            id_of(&Place::of(received(), "a-b-c", "1795396590521000").stem),
            Some("1795396590521000")
        );
        for foreign in [
            "holiday",
            "01-16-30.521",
            "01-16-30.521-",
            "01-16-30.521-x",
            "01:16:30.521-x-1",
            "ä".repeat(9).as_str(),
        ] {
            assert_eq!(id_of(foreign), None, "{foreign}");
        }
        assert_eq!(
            date_of("2026", "11", "23").map(day_path),
            Some("2026/11/23".into())
        );
        assert_eq!(
            [
                date_of("2026", "13", "01"),
                date_of("26", "11", "01"),
                date_of("2026", "02", "30")
            ],
            [None; 3]
        );
    }
}
