//! When rules hold: named windows of the week, by the clocks of the site. A schedule is a function of time; it remembers
//! nothing and reads no clock.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;

use crate::UnixMillis;

/// The days of the week as they are written, Monday first, and then the day of all holidays.
const DAY_WORDS: [&str; 8] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"];

/// The place of the holidays among [`DAY_WORDS`].
const HOLIDAY: u8 = 7;

/// Words that stand for several days.
const GROUPS: [(&str, u8); 3] = [
    ("daily", 0b1111_1111),
    ("workdays", 0b0001_1111),
    ("weekend", 0b0110_0000),
];

/// How many days ahead the next edge of a schedule is looked for: a year with a leap day, and the day before.
const MAX_DAYS_AHEAD: i64 = 367;

const MINUTES_A_DAY: u16 = 24 * 60;

/// What days are by the clocks of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: TimeZone,
    holidays: Vec<Holiday>,
}

/// A day that counts as a holiday, and not as the day of the week that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Holiday {
    /// Once: `2026-04-03`.
    Once(Date),
    /// Every year: `12-25`, month and day.
    Yearly(i8, i8),
}

/// Named windows of the week. It is open while one of them is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    windows: Vec<Window>,
    calendar: Arc<Calendar>,
}

/// From one time of some days to another, or over midnight: `mon-fri 22:00-06:00`. The start belongs to it, the end does
/// not. It belongs to the day on which it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Window {
    /// A bit for each of [`DAY_WORDS`].
    days: u8,
    /// Minutes after midnight.
    from: u16,
    /// Minutes after midnight; not after `from` when it is on the next day.
    to: u16,
}

/// A text that is no [`Window`] or [`Holiday`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {help}")]
pub struct ParseScheduleError {
    /// What is wrong, to go on after the words for the value.
    pub problem: String,
    /// What to write.
    pub help: String,
}

impl Calendar {
    /// Of this zone, with these holidays.
    pub fn new(zone: TimeZone, holidays: Vec<Holiday>) -> Self {
        Self { zone, holidays }
    }

    /// The date at a time; `None` beyond the year 9999.
    fn date(&self, at: UnixMillis) -> Option<Date> {
        let at = Timestamp::from_millisecond(at.0).ok()?;
        Some(self.zone.to_datetime(at).date())
    }

    /// What a date counts as, a place among [`DAY_WORDS`].
    fn day(&self, date: Date) -> u8 {
        let is_holiday = self.holidays.iter().any(|holiday| match *holiday {
            Holiday::Once(once) => once == date,
            Holiday::Yearly(month, day) => (date.month(), date.day()) == (month, day),
        });
        match is_holiday {
            true => HOLIDAY,
            false => date.weekday().to_monday_zero_offset().unsigned_abs(),
        }
    }

    /// When the clocks show this. What they show twice is meant the first time; what they pass over is the next instant
    /// that there is.
    fn instant(&self, shown: DateTime) -> Option<UnixMillis> {
        let at = match self.zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(shown).ok()?,
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(shown).ok()?,
            AmbiguousOffset::Gap { after, .. } => {
                let earlier = after.to_timestamp(shown).ok()?;
                self.zone.following(earlier).next()?.timestamp()
            }
        };
        Some(UnixMillis(at.as_millisecond()))
    }
}

impl Schedule {
    /// Open in each of these windows.
    pub fn new(name: impl Into<String>, windows: Vec<Window>, calendar: Arc<Calendar>) -> Self {
        Self {
            name: name.into(),
            windows,
            calendar,
        }
    }

    /// Whether it is open at a time.
    pub fn is_open(&self, at: UnixMillis) -> bool {
        let Some(today) = self.calendar.date(at) else {
            return false;
        };
        // What began yesterday may end today.
        let days = today.yesterday().into_iter().chain([today]);
        days.flat_map(|day| self.spans(day))
            .any(|(start, end)| start <= at && at < end)
    }

    /// When it opens or closes next, after this time; `None` where that is not within a year.
    pub fn next_edge(&self, after: UnixMillis) -> Option<UnixMillis> {
        let open = self.is_open(after);
        let first = self.calendar.date(after)?.yesterday().ok()?;
        for ahead in 0..=MAX_DAYS_AHEAD {
            let day = first.checked_add(ahead.days()).ok()?;
            // Windows of the day before end on this one.
            let mut edges: Vec<UnixMillis> = [day.yesterday().ok(), Some(day)]
                .into_iter()
                .flatten()
                .flat_map(|day| self.spans(day))
                .flat_map(|(start, end)| [start, end])
                .filter(|edge| *edge > after)
                .collect();
            edges.sort_unstable();
            // What ends on the next day is looked at with that day, so that nothing earlier is passed over.
            let end_of_day = self
                .calendar
                .instant(day.tomorrow().ok()?.to_datetime(Time::midnight()))?;
            let edge = edges
                .into_iter()
                .find(|edge| *edge <= end_of_day && self.is_open(*edge) != open);
            if edge.is_some() {
                return edge;
            }
        }
        None
    }

    /// The windows that begin on a date, from and to.
    fn spans(&self, date: Date) -> impl Iterator<Item = (UnixMillis, UnixMillis)> {
        let day = self.calendar.day(date);
        let windows = self
            .windows
            .iter()
            .filter(move |window| window.days & 1 << day != 0);
        windows.filter_map(move |window| {
            let end = if window.to > window.from {
                date
            } else {
                date.tomorrow().ok()?
            };
            let start = self.calendar.instant(shown(date, window.from)?)?;
            Some((start, self.calendar.instant(shown(end, window.to)?)?))
        })
    }
}

/// What clocks show so many minutes after midnight of a date, of which there are a day's at most.
fn shown(date: Date, minutes: u16) -> Option<DateTime> {
    if minutes >= MINUTES_A_DAY {
        return Some(date.tomorrow().ok()?.to_datetime(Time::midnight()));
    }
    let part = |minutes: u16| i8::try_from(minutes).ok();
    let time = Time::new(part(minutes / 60)?, part(minutes % 60)?, 0, 0).ok()?;
    Some(date.to_datetime(time))
}

impl TryFrom<String> for Window {
    type Error = ParseScheduleError;

    fn try_from(text: String) -> Result<Self, ParseScheduleError> {
        text.parse()
    }
}

impl FromStr for Window {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        let (days, times) = match text.trim().rsplit_once(char::is_whitespace) {
            Some((days, times)) => (days.trim(), times),
            None => ("daily", text.trim()),
        };
        let (from, to) = times
            .split_once('-')
            .ok_or_else(|| error(format!("has no times: `{text}`")))?;
        let (from, to) = (minutes(from)?, minutes(to)?);
        if from == MINUTES_A_DAY {
            return Err(error("begins at 24:00, which is 00:00 of the next day"));
        }
        if from == to {
            return Err(error("ends when it begins; the whole day is `00:00-24:00`"));
        }
        Ok(Self {
            days: parse_days(days)?,
            from,
            to,
        })
    }
}

fn parse_days(text: &str) -> Result<u8, ParseScheduleError> {
    text.split(',').try_fold(0, |days, part| {
        let part = part.trim().to_lowercase();
        if let Some((_, group)) = GROUPS.iter().find(|(word, _)| *word == part) {
            return Ok(days | group);
        }
        let Some((first, last)) = part.split_once('-') else {
            return Ok(days | 1 << day(&part)?);
        };
        let (first, last) = (day(first.trim())?, day(last.trim())?);
        if first == HOLIDAY || last == HOLIDAY {
            return Err(error("has a range with `holiday`: write it after a comma"));
        }
        // From Friday to Monday goes over Sunday.
        let length = (last + HOLIDAY - first) % HOLIDAY;
        Ok((0..=length).fold(days, |days, step| days | 1 << ((first + step) % HOLIDAY)))
    })
}

fn day(word: &str) -> Result<u8, ParseScheduleError> {
    let place = DAY_WORDS.iter().position(|day| *day == word);
    place
        .and_then(|place| u8::try_from(place).ok())
        .ok_or_else(|| error(format!("names no day: `{word}`")))
}

fn minutes(text: &str) -> Result<u16, ParseScheduleError> {
    let wrong = || error(format!("has no time of the form `22:00`: `{text}`"));
    let (hours, minutes) = text.trim().split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| {
        let is_number = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_number).ok_or_else(wrong)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 24 || minutes > 59 || hours == 24 && minutes > 0 {
        return Err(wrong());
    }
    Ok(hours * 60 + minutes)
}

fn error(problem: impl Into<String>) -> ParseScheduleError {
    ParseScheduleError {
        problem: problem.into(),
        help: "expected such as `mon-fri 22:00-06:00`, `sat,sun,holiday 00:00-24:00` or `daily 08:00-20:00`"
            .to_owned(),
    }
}

impl TryFrom<String> for Holiday {
    type Error = ParseScheduleError;

    fn try_from(text: String) -> Result<Self, ParseScheduleError> {
        text.parse()
    }
}

impl FromStr for Holiday {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        let text = text.trim();
        if let Ok(date) = text.parse::<Date>() {
            return Ok(Self::Once(date));
        }
        // Of a leap year, so that there is every day.
        format!("2024-{text}")
            .parse::<Date>()
            .map(|date| Self::Yearly(date.month(), date.day()))
            .map_err(|_| ParseScheduleError {
                problem: format!("is no date: `{text}`"),
                help: "expected a date such as `2026-04-03`, or `12-25` for every year".to_owned(),
            })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = GROUPS.iter().find(|(_, days)| *days == self.days);
        let days: Vec<&str> = match group {
            Some((word, _)) => vec![word],
            None => (0..=HOLIDAY)
                .filter(|day| self.days & 1 << day != 0)
                .map(|day| DAY_WORDS[usize::from(day)])
                .collect(),
        };
        let (from, to) = (self.from, self.to);
        let days = days.join(",");
        write!(
            f,
            "{days} {:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn schedule(zone: &str, windows: &[&str]) -> Schedule {
        let holidays = ["2026-04-03", "12-25"].map(|day| day.parse().unwrap());
        let calendar = Calendar::new(TimeZone::get(zone).unwrap(), holidays.to_vec());
        let windows = windows.iter().map(|window| window.parse().unwrap());
        Schedule::new("night", windows.collect(), Arc::new(calendar))
    }

    fn at(utc: &str) -> UnixMillis {
        UnixMillis(utc.parse::<Timestamp>().unwrap().as_millisecond())
    }

    /// Whether it is open at each of these times.
    fn check(zone: &str, windows: &[&str], cases: &[(&str, bool)]) {
        let schedule = schedule(zone, windows);
        for (utc, open) in cases {
            assert_eq!(schedule.is_open(at(utc)), *open, "{zone} {windows:?} at {utc}");
        }
    }

    #[test]
    fn a_window_has_its_start_and_not_its_end_and_belongs_to_the_day_it_starts_on() {
        check(
            "Europe/Berlin",
            &["mon-fri 22:00-06:00"],
            &[
                // Friday, 2026-11-27, 22:00 in Berlin.
                ("2026-11-27T20:59:59.999Z", false),
                ("2026-11-27T21:00:00Z", true),
                ("2026-11-28T04:59:59.999Z", true),
                ("2026-11-28T05:00:00Z", false),
                // Saturday and Sunday night.
                ("2026-11-28T22:00:00Z", false),
                ("2026-11-30T02:00:00Z", false),
                ("2026-11-30T21:00:00Z", true),
            ],
        );
        check(
            "UTC",
            &["sat 00:00-24:00", "sun 10:00-12:00"],
            &[
                ("2026-11-27T23:59:59.999Z", false),
                ("2026-11-28T00:00:00Z", true),
                ("2026-11-28T23:59:59.999Z", true),
                ("2026-11-29T00:00:00Z", false),
                ("2026-11-29T11:00:00Z", true),
            ],
        );
    }

    #[test]
    fn a_holiday_counts_as_a_holiday_and_not_as_its_day_of_the_week() {
        check(
            "Europe/Berlin",
            &["workdays 08:00-18:00", "holiday 12:00-13:00"],
            &[
                // Friday the 3rd of April 2026 is one, Friday the 3rd of April 2020 is not.
                ("2026-04-03T07:00:00Z", false),
                ("2026-04-03T10:30:00Z", true),
                ("2020-04-03T07:00:00Z", true),
                // Christmas of every year.
                ("2026-12-25T09:00:00Z", false),
                ("2029-12-25T11:30:00Z", true),
                ("2026-12-24T09:00:00Z", true),
            ],
        );
        check("UTC", &["daily 00:00-24:00"], &[("2026-12-25T09:00:00Z", true)]);
    }

    #[test]
    fn clocks_that_go_forward_pass_over_a_time_which_is_then_the_next_there_is() {
        // On 2026-03-29 the clocks of Berlin go from 02:00 to 03:00, at 01:00 UTC.
        check(
            "Europe/Berlin",
            &["sun 02:30-04:00"],
            &[
                ("2026-03-29T00:59:59.999Z", false),
                ("2026-03-29T01:00:00Z", true),
                ("2026-03-29T01:59:59.999Z", true),
                ("2026-03-29T02:00:00Z", false),
            ],
        );
        check(
            "Europe/Berlin",
            &["sat 22:00-02:30"],
            &[
                ("2026-03-29T00:59:59.999Z", true),
                ("2026-03-29T01:00:00Z", false),
            ],
        );
        // Nothing is left of it.
        check(
            "Europe/Berlin",
            &["sun 02:15-02:45"],
            &[
                ("2026-03-29T00:59:59.999Z", false),
                ("2026-03-29T01:00:00Z", false),
            ],
        );
    }

    #[test]
    fn clocks_that_go_back_show_a_time_twice_of_which_the_first_counts() {
        // On 2026-10-25 the clocks of Berlin go from 03:00 to 02:00, at 01:00 UTC.
        check(
            "Europe/Berlin",
            &["sun 02:30-04:00"],
            &[
                ("2026-10-25T00:29:59.999Z", false),
                ("2026-10-25T00:30:00Z", true),
                ("2026-10-25T01:15:00Z", true),
                ("2026-10-25T02:59:59.999Z", true),
                ("2026-10-25T03:00:00Z", false),
            ],
        );
        check(
            "Europe/Berlin",
            &["sat 22:00-02:30"],
            &[
                ("2026-10-25T00:29:59.999Z", true),
                ("2026-10-25T00:30:00Z", false),
                ("2026-10-25T01:15:00Z", false),
            ],
        );
    }

    #[test]
    fn the_next_edge_is_that_of_all_windows_together() {
        for (windows, after, edge) in [
            (
                &["mon-fri 22:00-06:00"][..],
                "2026-11-27T12:00:00Z",
                Some("2026-11-27T22:00:00Z"),
            ),
            (
                &["mon-fri 22:00-06:00"],
                "2026-11-27T22:00:00Z",
                Some("2026-11-28T06:00:00Z"),
            ),
            (
                &["mon-fri 22:00-06:00"],
                "2026-11-28T06:00:00Z",
                Some("2026-11-30T22:00:00Z"),
            ),
            // Windows that meet or overlap have no edge between them.
            (
                &["sat 00:00-24:00", "sun 00:00-10:00"],
                "2026-11-28T01:00:00Z",
                Some("2026-11-29T10:00:00Z"),
            ),
            (
                &["sat 10:00-14:00", "sat 12:00-16:00"],
                "2026-11-28T11:00:00Z",
                Some("2026-11-28T16:00:00Z"),
            ),
            (
                &["holiday 10:00-12:00"],
                "2026-12-25T12:00:00Z",
                Some("2027-12-25T10:00:00Z"),
            ),
            (&["daily 00:00-24:00"], "2026-11-28T11:00:00Z", None),
        ] {
            let found = schedule("UTC", windows).next_edge(at(after));
            assert_eq!(found, edge.map(at), "{windows:?} after {after}");
        }
    }

    #[test]
    fn windows_and_holidays_are_written_in_one_way_and_refused_with_what_to_write() {
        for (text, canonical) in [
            ("mon-fri 22:00-06:00", "workdays 22:00-06:00"),
            ("FRI-mon 8:00-9:30", "mon,fri,sat,sun 08:00-09:30"),
            ("sat, sun,holiday 00:00-24:00", "sat,sun,holiday 00:00-24:00"),
            ("22:00-06:00", "daily 22:00-06:00"),
            ("weekend 00:00-24:00", "weekend 00:00-24:00"),
        ] {
            let window: Window = text.parse().unwrap();
            assert_eq!(window.to_string(), canonical);
            assert_eq!(window.to_string().parse(), Ok(window));
        }
        for (text, problem) in [
            ("", "has no times: ``"),
            ("mon-fri", "has no time of the form `22:00`: `mon`"),
            ("mon-fri 22:00", "has no times: `mon-fri 22:00`"),
            (
                "mon 22:00-22:00",
                "ends when it begins; the whole day is `00:00-24:00`",
            ),
            (
                "mon 24:00-02:00",
                "begins at 24:00, which is 00:00 of the next day",
            ),
            ("mon 22-06", "has no time of the form `22:00`: `22`"),
            ("mon 22:00-24:30", "has no time of the form `22:00`: `24:30`"),
            ("mon 22:60-23:00", "has no time of the form `22:00`: `22:60`"),
            ("mon +1:00-23:00", "has no time of the form `22:00`: `+1:00`"),
            ("monday 22:00-06:00", "names no day: `monday`"),
            (
                "sat-holiday 22:00-06:00",
                "has a range with `holiday`: write it after a comma",
            ),
        ] {
            assert_eq!(text.parse::<Window>().unwrap_err().problem, problem, "{text}");
        }
        assert_eq!("02-29".parse(), Ok(Holiday::Yearly(2, 29)));
        let refusal = "25.12.".parse::<Holiday>().unwrap_err();
        assert_eq!(refusal.problem, "is no date: `25.12.`");
        assert!("02-30".parse::<Holiday>().is_err() && "2026-02-29".parse::<Holiday>().is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the clocks do, what is not night is day.
        #[test]
        fn two_halves_of_the_day_are_never_open_together_and_never_closed_together(
            zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Karachi"]),
            minutes in (0..1_440_u16, 0..1_440_u16),
            // Hours of the years 2026 and 2027, and some minutes.
            hour in 0..17_520_i64, millis in 0..HOUR,
        ) {
            let (from, to) = minutes;
            prop_assume!(from != to);
            let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
            let halves = [(from, to), (to, from)].map(|(from, to)| {
                schedule(zone, &[&format!("daily {}-{}", clock(from), clock(to))])
            });
            let at = UnixMillis(at("2026-01-01T00:00:00Z").0 + hour * HOUR + millis);
            prop_assert_ne!(halves[0].is_open(at), halves[1].is_open(at));

            // Nothing changes before the next edge, and then it does.
            let edge = halves[0].next_edge(at).unwrap();
            prop_assert!(edge > at);
            let between = UnixMillis(at.0 + (edge.0 - at.0) / 2);
            prop_assert_eq!(halves[0].is_open(between), halves[0].is_open(at));
            prop_assert_eq!(halves[0].is_open(UnixMillis(edge.0 - 1)), halves[0].is_open(at));
            prop_assert_ne!(halves[0].is_open(edge), halves[0].is_open(at));
        }
    }
}
