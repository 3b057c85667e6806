//! Reads a [`Duration`] of a configuration, which has to be longer than nothing.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, de};

use crate::{TimeSpan, UnitError};

/// Reads one that has to be there.
///
/// # Errors
/// It is no duration with its unit, or none at all.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// Reads one that may be left out.
///
/// # Errors
/// It is no duration with its unit, or none at all.
pub fn read_optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse(&text).map_err(de::Error::custom))
        .transpose()
}

/// The same from a text.
///
/// # Errors
/// It is no duration with its unit, or none at all.
pub fn parse(text: &str) -> Result<Duration, UnitError> {
    let TimeSpan(time) = text.parse()?;
    if time.is_zero() {
        return Err(UnitError {
            what: "a duration",
            text: text.to_owned(),
            hint: "expected more than nothing, such as \"10s\"".to_owned(),
        });
    }
    Ok(time)
}
