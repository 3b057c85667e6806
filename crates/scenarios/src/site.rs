//! The configuration of a site, and its clocks.

use std::fs;

use jiff::ToSpan as _;
use jiff::civil::{DateTime, Weekday};
use watchpost_config::{Settings, TimeZone, Variables, load_with};
use watchpost_core::UnixMillis;

/// The settings of a site: `toml`, and what every scenario has beside it.
pub fn settings(toml: &str, beside: &str, variables: Variables) -> Settings {
    let zone = match toml.contains("[hub]") {
        true => "",
        false => "[hub]\ntimezone = \"UTC\"\n",
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("watchpost.toml");
    fs::write(&path, format!("{zone}{beside}\n{toml}")).unwrap();
    match load_with(&path, variables) {
        Ok(loaded) => loaded.settings,
        Err(errors) => {
            let errors: Vec<_> = errors.errors().iter().map(ToString::to_string).collect();
            panic!("{}\n{toml}", errors.join("\n"));
        }
    }
}

/// What the clocks of a site show.
#[derive(Clone, Debug)]
pub struct SiteClock(TimeZone);

impl SiteClock {
    pub fn new(settings: &Settings) -> Self {
        Self(settings.hub.time_zone())
    }

    /// When this day begins.
    pub fn begins(&self, day: &str) -> UnixMillis {
        UnixMillis(self.0.read(&format!("{day} 00:00")).unwrap())
    }

    /// Day and time, as `2037-11-27 22:10:00`.
    pub fn full(&self, at: UnixMillis) -> String {
        self.0.show(at.0)
    }

    /// A time, with its day where `day` is `%a `.
    pub fn show(&self, at: UnixMillis, day: &str) -> String {
        let shown = self.civil(at);
        let seconds = if shown.second() == 0 { "" } else { ":%S" };
        shown.strftime(&format!("{day}%H:%M{seconds}")).to_string()
    }

    /// When the clocks show this, such as `Fri 22:10`, not before the day of `from`.
    pub fn parse(&self, from: UnixMillis, text: &str) -> UnixMillis {
        let (day, time) = text
            .split_once(' ')
            .unwrap_or_else(|| panic!("no day and time: {text}"));
        let weekday = match day {
            "Mon" => Weekday::Monday,
            "Tue" => Weekday::Tuesday,
            "Wed" => Weekday::Wednesday,
            "Thu" => Weekday::Thursday,
            "Fri" => Weekday::Friday,
            "Sat" => Weekday::Saturday,
            "Sun" => Weekday::Sunday,
            _ => panic!("no day: {text}"),
        };
        let mut date = self.civil(from).date();
        while date.weekday() != weekday {
            date = date.checked_add(1.day()).unwrap();
        }
        let at = self.0.read(&format!("{date} {time}"));
        UnixMillis(at.unwrap_or_else(|| panic!("no time: {text}")))
    }

    fn civil(&self, at: UnixMillis) -> DateTime {
        self.0.show(at.0).parse().unwrap()
    }
}
