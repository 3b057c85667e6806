//! When the line is on: all the time, or in pulses.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use watchpost_sink::units::duration;

/// Nothing mechanical follows shorter pulses.
const MIN_PULSE: Duration = Duration::from_millis(20);

/// A pattern, as `on 10s` or `pulse 500ms/500ms x 20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    on: Duration,
    off: Duration,
    times: u32,
}

impl Pattern {
    /// From the first switching on to the last switching off.
    pub(crate) fn total(&self) -> Duration {
        let period = self.on + self.off;
        period.saturating_mul(self.times).saturating_sub(self.off)
    }

    /// Whether the line is on after this time, and when that changes next.
    pub(crate) fn at(&self, elapsed: Duration) -> (bool, Duration) {
        let period = self.on + self.off;
        let periods = u32::try_from(elapsed.as_nanos() / period.as_nanos()).unwrap_or(u32::MAX);
        let begun = period.saturating_mul(periods);
        if self.off.is_zero() {
            (true, self.total())
        } else if elapsed - begun < self.on {
            (true, begun + self.on)
        } else {
            (false, begun + period)
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither like `on 10s` nor like `pulse 500ms/500ms x 20`");
        let (kind, rest) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let pattern = match kind {
            "on" => Self {
                on: pulse(rest)?,
                off: Duration::ZERO,
                times: 1,
            },
            "pulse" => {
                let (lengths, times) = rest.rsplit_once('x').ok_or_else(wrong)?;
                let (on, off) = lengths.split_once('/').ok_or_else(wrong)?;
                Self {
                    on: pulse(on)?,
                    off: pulse(off)?,
                    times: times.trim().parse().map_err(|_| wrong())?,
                }
            }
            _ => return Err(wrong()),
        };
        if pattern.times == 0 {
            return Err(format!("`{text}` never switches on"));
        }
        Ok(pattern)
    }
}

fn pulse(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text.trim()).map_err(|e| e.to_string())?;
    if time < MIN_PULSE {
        return Err(format!(
            "`{}` is shorter than 20ms, which nothing follows",
            text.trim()
        ));
    }
    Ok(time)
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-lasts": "2s" })
    }
}
