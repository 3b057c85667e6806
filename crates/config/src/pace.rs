//! How often something is done: at a fixed interval, or as often as the hub finds to be needed.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use watchpost_units::{TimeSpan, UnitError};

/// The word for [`Pace::Auto`].
const AUTO: &str = "auto";

/// An interval, or `"auto"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// The hub finds out.
    #[default]
    Auto,
    /// Once in this time.
    Every(TimeSpan),
}

impl Pace {
    /// The interval, where it is fixed.
    pub fn fixed(self) -> Option<TimeSpan> {
        match self {
            Self::Auto => None,
            Self::Every(interval) => Some(interval),
        }
    }
}

impl FromStr for Pace {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text.trim() {
            AUTO => Ok(Self::Auto),
            interval => interval.parse().map(Self::Every),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str(AUTO),
            Self::Every(interval) => interval.fmt(f),
        }
    }
}

impl Serialize for Pace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Pace {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pace".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "pace" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_duration_or_the_word_for_none() {
        assert_eq!("auto".parse::<Pace>().unwrap(), Pace::Auto);
        let every = "30s".parse::<Pace>().unwrap();
        assert_eq!(every.fixed(), Some(TimeSpan::from_secs(30)));
        assert_eq!(every.to_string(), "30s");
        assert!("often".parse::<Pace>().is_err());
    }
}
