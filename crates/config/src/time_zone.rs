//! The time zone of the site, in which times are shown to people. What is stored and what programs read is UTC.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// A time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeZone(jiff::tz::TimeZone);

impl TimeZone {
    /// That of this machine; UTC where it has none.
    pub fn system() -> Self {
        Self(jiff::tz::TimeZone::system())
    }

    /// The same for who reckons with days.
    pub(crate) fn jiff(&self) -> jiff::tz::TimeZone {
        self.0.clone()
    }

    /// When its clocks show this, such as `2026-11-23 02:16`, in milliseconds since 1970 UTC. Of what they show twice it is the
    /// first time. A time with its distance from UTC, such as `2026-11-23T01:16:30Z`, stands for itself.
    pub fn read(&self, text: &str) -> Option<i64> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Some(at.as_millisecond());
        }
        let shown: jiff::civil::DateTime = text.parse().ok()?;
        Some(self.0.to_timestamp(shown).ok()?.as_millisecond())
    }

    /// By how many seconds its clocks are ahead of UTC at a time, given in milliseconds since 1970 UTC.
    pub fn offset_seconds(&self, unix_ms: i64) -> i32 {
        let at = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
        self.0.to_offset(at).seconds()
    }

    /// What its clocks show at a time, given in milliseconds since 1970 UTC: `2026-11-23 02:16:30`.
    pub fn show(&self, unix_ms: i64) -> String {
        match Timestamp::from_millisecond(unix_ms) {
            Ok(at) => at
                .to_zoned_datetime(self.0.clone())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string(),
            // Beyond the year 9999.
            Err(_) => format!("{unix_ms} ms since 1970"),
        }
    }
}

impl TimeZone {
    /// The same with milliseconds and the distance from UTC, for logs: `2026-11-23T02:16:30.521+01:00`.
    pub fn stamp(&self, unix_ms: i64) -> String {
        match Timestamp::from_millisecond(unix_ms) {
            Ok(at) => at
                .to_zoned_datetime(self.0.clone())
                .strftime("%Y-%m-%dT%H:%M:%S.%3f%:z")
                .to_string(),
            Err(_) => format!("{unix_ms} ms since 1970"),
        }
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        jiff::tz::TimeZone::get(&name).map(Self).map_err(|_| {
            de::Error::custom(format_args!(
                "there is no time zone `{name}` on this machine; write a name such as `Europe/Berlin` or `UTC`. \
                 `timedatectl list-timezones` lists them; on Debian they are in the package tzdata"
            ))
        })
    }
}

impl JsonSchema for TimeZone {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeZone".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "text" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_the_sites_clocks_have_them() {
        let zone = |name: &str| serde_json::from_value::<TimeZone>(name.into());
        let berlin = zone("Europe/Berlin").unwrap();
        let (winter, summer) = (1_795_396_590_521, 1_782_000_000_000);
        assert_eq!(berlin.show(winter), "2026-11-23 02:16:30");
        assert_eq!(berlin.show(summer), "2026-06-21 02:00:00");
        assert_eq!(
            [winter, summer].map(|at| berlin.offset_seconds(at)),
            [3_600, 7_200]
        );
        for (text, expected) in [
            ("2026-11-23 02:16:30", Some("2026-11-23 02:16:30")),
            ("2026-11-23T02:16", Some("2026-11-23 02:16:00")),
            ("2026-11-23T01:16:30Z", Some("2026-11-23 02:16:30")),
            ("tomorrow", None),
        ] {
            let read = berlin.read(text).map(|at| berlin.show(at));
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert_eq!(zone("UTC").unwrap().show(winter), "2026-11-23 01:16:30");
        assert_eq!(
            [winter, summer].map(|at| berlin.stamp(at)),
            ["2026-11-23T02:16:30.521+01:00", "2026-06-21T02:00:00.000+02:00"]
        );
        assert_eq!(berlin.show(i64::MAX), "9223372036854775807 ms since 1970");
        let refusal = zone("Europe/Berlinn").unwrap_err().to_string();
        assert!(
            refusal.starts_with("there is no time zone `Europe/Berlinn`"),
            "{refusal}"
        );
    }
}
