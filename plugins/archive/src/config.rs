//! The `[sink.config]` table.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use watchpost_sink::Fail;

/// A smaller archive would be emptied by one alert.
const MIN_SIZE_BYTES: u64 = 1 << 20;

/// Where to file alerts, and for how long.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory, an absolute path. It is made if only its last part is missing: a mount point that is not
    /// mounted is so found out and not filled.
    pub(crate) dir: PathBuf,
    /// How long an alert stays, for instance `"90d"`. Without it, for ever.
    #[serde(default)]
    pub(crate) keep_for: Option<Span>,
    /// How large the archive may grow, for instance `"20GiB"`; the oldest alerts go first. Without it, as large
    /// as the disk.
    #[serde(default)]
    pub(crate) max_size: Option<Size>,
}

/// A length of time, written as `"90d"` or `"12h 30m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// A number of bytes, written as `"20GiB"` or `"500 MB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Config {
    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<(), Fail> {
        if !self.dir.is_absolute() {
            let dir = self.dir.display();
            return Err(Fail::bad_config(
                "/dir",
                format_args!("`{dir}` is not an absolute path; write one that begins with `/`"),
            ));
        }
        if self.keep_for.is_some_and(|span| span.0.is_zero()) {
            return Err(Fail::bad_config(
                "/keep_for",
                "nothing would be kept; leave it out to keep everything",
            ));
        }
        if self.max_size.is_some_and(|size| size.0 < MIN_SIZE_BYTES) {
            return Err(Fail::bad_config(
                "/max_size",
                "is less than 1MiB; leave it out to keep everything",
            ));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            de::Error::custom(format_args!(
                "`{text}` is not a length of time ({error}); write for instance \"90d\""
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        parse_size(&text).map(Self).ok_or_else(|| {
            de::Error::custom(format_args!(
                "`{text}` is not a size; write for instance \"20GiB\" or \"500MB\""
            ))
        })
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["90d", "12h"] })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["20GiB", "500MB"] })
    }
}

/// A number with a unit in any case: powers of 1024 with an `i`, of 1000 without.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use watchpost_sink::testing::Bench;

    use super::*;
    use crate::Archive;

    #[test]
    fn sizes_have_a_unit() {
        for (text, bytes) in [
            ("1KiB", 1024),
            ("20GiB", 20 << 30),
            ("500 MB", 500_000_000),
            ("1.5gib", 3 << 29),
            ("7B", 7),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "20", "GiB", "1.5.5GiB", "-1MB", "99999999TiB", "1 apple"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn every_refusal_says_where_and_what_to_write() {
        for (config, expected) in [
            (r"{}", "missing field `dir`"),
            (r#"{"dir":"archive"}"#, "/dir: `archive` is not an absolute path"),
            (
                r#"{"dir":"/a","keep":"1d"}"#,
                "/keep: unknown field `keep`, expected one of `dir`, `keep_for`, `max_size`",
            ),
            (
                r#"{"dir":"/a","keep_for":"soon"}"#,
                "/keep_for: `soon` is not a length of time",
            ),
            (
                r#"{"dir":"/a","keep_for":"0s"}"#,
                "/keep_for: nothing would be kept",
            ),
            (
                r#"{"dir":"/a","max_size":"20"}"#,
                "/max_size: `20` is not a size; write for instance \"20GiB\"",
            ),
            (
                r#"{"dir":"/a","max_size":"1KiB"}"#,
                "/max_size: is less than 1MiB",
            ),
        ] {
            let refusal = Bench::<Archive>::check(config).unwrap_err().to_string();
            assert!(
                refusal.starts_with("bad configuration: ") && refusal.contains(expected),
                "{refusal}"
            );
        }
        Bench::<Archive>::check(r#"{"dir":"/a","keep_for":"90d","max_size":"20GiB"}"#).unwrap();
    }

    #[test]
    fn the_example_is_right() {
        let description = Bench::<Archive>::describe();
        Bench::<Archive>::check(&description["example"].to_string()).unwrap();
    }
}
