//! How often something may be: `"20 per 1h"`. It knows no clock.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{TimeSpan, UnitError};

/// So many times within such a time, written `"20 per 1h"`. Neither is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many times.
    pub count: u32,
    /// Within what time.
    pub per: TimeSpan,
}

/// What is expected, for errors.
const EXPECTED: &str = "expected a number and a duration, such as \"20 per 1h\"";

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fault = |hint: String| UnitError {
            what: "a rate",
            text: text.to_owned(),
            hint,
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [count, "per", _, ..] = words.as_slice() else {
            // As others write it.
            let parts = text.split_once('/').and_then(|(count, unit)| {
                let count: u32 = count.trim().parse().ok()?;
                Some(format!("write \"{count} per {}\"", span(unit.trim())?))
            });
            return Err(fault(parts.unwrap_or_else(|| EXPECTED.to_owned())));
        };
        let count = match count.parse() {
            Ok(0) => return Err(fault("expected one at least, such as \"1 per 1h\"".to_owned())),
            Ok(count) => count,
            Err(_) => return Err(fault(EXPECTED.to_owned())),
        };
        let time = words[2..].join(" ");
        let per: TimeSpan = time.parse().map_err(|error: UnitError| {
            let meant = span(&time).map(|span| format!("write \"{count} per {span}\""));
            fault(meant.unwrap_or(error.hint))
        })?;
        match per.0.is_zero() {
            true => Err(fault("expected some time, such as \"20 per 1h\"".to_owned())),
            false => Ok(Self { count, per }),
        }
    }
}

/// What a word for a unit of time stands for: `1h` for `hour`. `None` where it is no such word.
fn span(word: &str) -> Option<&'static str> {
    Some(match word {
        "s" | "sec" | "second" | "seconds" => "1s",
        "m" | "min" | "minute" | "minutes" => "1m",
        "h" | "hour" | "hours" => "1h",
        "d" | "day" | "days" => "1d",
        "w" | "week" | "weeks" => "1w",
        _ => return None,
    })
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", self.count, self.per)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "rate" })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::check;

    #[test]
    fn rates() {
        check::<Rate>(
            &[
                "20 per 1h",
                " 3  per 1m 30s",
                "1 per 1d",
                "20",
                "20 per",
                "20 per hour",
                "20/h",
                "20 / min",
                "20/s",
                "20 per minutes",
                "20 per 60",
                "0 per 1h",
                "5 per 0s",
                "-1 per 1h",
                "2.5 per 1h",
                "many per 1h",
                "1h",
                "",
                "99999999999 per 1h",
            ],
            expect![[r#"
                "20 per 1h" = 20 per 1h
                " 3  per 1m 30s" = 3 per 1m30s
                "1 per 1d" = 1 per 1d
                `20` is not a rate: expected a number and a duration, such as "20 per 1h"
                `20 per` is not a rate: expected a number and a duration, such as "20 per 1h"
                `20 per hour` is not a rate: write "20 per 1h"
                `20/h` is not a rate: write "20 per 1h"
                `20 / min` is not a rate: write "20 per 1m"
                `20/s` is not a rate: write "20 per 1s"
                `20 per minutes` is not a rate: write "20 per 1m"
                `20 per 60` is not a rate: a unit is missing, write "60s" for seconds
                `0 per 1h` is not a rate: expected one at least, such as "1 per 1h"
                `5 per 0s` is not a rate: expected some time, such as "20 per 1h"
                `-1 per 1h` is not a rate: expected a number and a duration, such as "20 per 1h"
                `2.5 per 1h` is not a rate: expected a number and a duration, such as "20 per 1h"
                `many per 1h` is not a rate: expected a number and a duration, such as "20 per 1h"
                `1h` is not a rate: expected a number and a duration, such as "20 per 1h"
                `` is not a rate: expected a number and a duration, such as "20 per 1h"
                `99999999999 per 1h` is not a rate: expected a number and a duration, such as "20 per 1h"
            "#]],
        );
    }

    proptest! {
        #[test]
        fn rates_read_back(count in 1..u32::MAX, millis in 1..3_000_000_000_000u64) {
            let rate = Rate { count, per: TimeSpan::from_millis(millis) };
            prop_assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Rate>();
        }
    }
}
