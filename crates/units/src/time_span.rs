//! Lengths of time: `"1m30s"`. It knows no clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{UnitError, decimal};

/// A length of time, written with units: `"500ms"`, `"30s"`, `"1m30s"`, `"7d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(pub Duration);

/// Longer than any machine lives: a hundred years. Sums of such times and of clocks cannot overflow.
const MAX_TIME: Duration = Duration::from_secs(36_525 * 86_400);

/// Units of time and their nanoseconds. Months and years are left out: they have no fixed length, and `M` is too
/// easily mistaken for minutes.
const TIME_UNITS: [(&str, u64); 6] = [
    ("w", 7 * 86_400 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// What is expected, for errors.
const EXPECTED: &str = "expected numbers with the units ms, s, m, h, d or w, such as \"30s\" or \"1m30s\"";

impl TimeSpan {
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl From<TimeSpan> for Duration {
    fn from(span: TimeSpan) -> Self {
        span.0
    }
}

impl FromStr for TimeSpan {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fault = |hint: String| UnitError {
            what: "a duration",
            text: text.to_owned(),
            hint,
        };
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(fault(EXPECTED.to_owned()));
        }
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let (number, after) = cut(rest, |c| c.is_ascii_digit() || c == '.');
            let (unit, after) = cut(after.trim_start(), |c| !c.is_ascii_digit() && !c.is_whitespace());
            rest = after.trim_start();
            nanos = nanos.saturating_add(part(number, unit).map_err(&fault)?);
        }
        if nanos > MAX_TIME.as_nanos() {
            return Err(fault("at most 100 years (36525d) are allowed".to_owned()));
        }
        let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        Ok(Self(Duration::new(seconds, (nanos % 1_000_000_000) as u32)))
    }
}

/// Cuts a text behind its beginning of such characters.
fn cut(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !fits(c)).unwrap_or(text.len()))
}

/// One number with its unit, in nanoseconds, or what is wrong with it.
fn part(number: &str, unit: &str) -> Result<u128, String> {
    let known = TIME_UNITS.iter().find(|(name, _)| *name == unit);
    match (decimal(number), known) {
        (Some((whole, billionths)), Some((_, factor))) => {
            let factor = u128::from(*factor);
            Ok(u128::from(whole) * factor + u128::from(billionths) * factor / 1_000_000_000)
        }
        (Some(_), None) if unit.is_empty() => {
            Err(format!("a unit is missing, write \"{number}s\" for seconds"))
        }
        (Some(_), None) if unit == "M" || unit.starts_with("min") => Err(format!(
            "there is no unit `{unit}`; write \"{number}m\" for minutes"
        )),
        (_, None) if unit.starts_with(char::is_alphabetic) => {
            Err(format!("there is no unit `{unit}`; {EXPECTED}"))
        }
        _ => Err(EXPECTED.to_owned()),
    }
}

impl fmt::Display for TimeSpan {
    /// In a form that reads back as the same time: `1m30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ] {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for TimeSpan {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeSpan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "duration" })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::check;

    #[test]
    fn durations() {
        check::<TimeSpan>(
            &[
                "30s", "1m30s", "1m 30s", "500ms", "7d", "1.5h", "2w", "0s", "30", "", "soon", "5M",
                "10 min", "1m 5", "3 sec", "-1s", "99999w", "s",
            ],
            expect![[r#"
                "30s" = 30s
                "1m30s" = 1m30s
                "1m 30s" = 1m30s
                "500ms" = 500ms
                "7d" = 7d
                "1.5h" = 1h30m
                "2w" = 14d
                "0s" = 0s
                `30` is not a duration: a unit is missing, write "30s" for seconds
                `` is not a duration: expected numbers with the units ms, s, m, h, d or w, such as "30s" or "1m30s"
                `soon` is not a duration: there is no unit `soon`; expected numbers with the units ms, s, m, h, d or w, such as "30s" or "1m30s"
                `5M` is not a duration: there is no unit `M`; write "5m" for minutes
                `10 min` is not a duration: there is no unit `min`; write "10m" for minutes
                `1m 5` is not a duration: a unit is missing, write "5s" for seconds
                `3 sec` is not a duration: there is no unit `sec`; expected numbers with the units ms, s, m, h, d or w, such as "30s" or "1m30s"
                `-1s` is not a duration: expected numbers with the units ms, s, m, h, d or w, such as "30s" or "1m30s"
                `99999w` is not a duration: at most 100 years (36525d) are allowed
                `s` is not a duration: expected numbers with the units ms, s, m, h, d or w, such as "30s" or "1m30s"
            "#]],
        );
    }

    proptest! {
        #[test]
        fn durations_read_back(millis in 0..3_000_000_000_000u64) {
            let span = TimeSpan::from_millis(millis);
            prop_assert_eq!(span.to_string().parse::<TimeSpan>().unwrap(), span);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<TimeSpan>();
        }
    }
}
