//! Durations as a site writes them, such as `"10s"` or `"1m 30s"`, for the fields of a configuration:
//!
//! ```
//! # use std::time::Duration;
//! # use watchpost_sink::duration;
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Config {
//!     /// How long it rings, for instance `"10s"`.
//!     #[serde(deserialize_with = "duration::read")]
//!     #[schemars(with = "String")]
//!     ring_for: Duration,
//!     /// How long it waits before. Without it, it does not wait.
//!     #[serde(default, deserialize_with = "duration::read_optional")]
//!     #[schemars(with = "Option<String>")]
//!     wait_for: Option<Duration>,
//! }
//! ```

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Reads one that has to be there. None at all, `"0s"`, is an error.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// Reads one that may be left out.
pub fn read_optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse(&text).map_err(de::Error::custom))
        .transpose()
}

/// The same from a text, with what is wrong in words.
pub fn parse(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        Ok(_) => Err(format!("`{text}` is no time at all; write for instance \"10s\"")),
        Err(e) => Err(format!("`{text}` is not a duration such as \"10s\": {e}")),
    }
}
