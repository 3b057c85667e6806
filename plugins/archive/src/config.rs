//! What a site can set.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_sink::units::{ByteSize, TimeSpan, duration, size};

/// Where documents go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Documents {
    /// Each into a file of its own, beside its picture.
    #[default]
    Beside,
    /// All of a day into one file, `alerts.jsonl`, a line each. It costs half as many files, and syncs.
    Daily,
}

/// Files every alert as a picture and a JSON document below a directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-exclusive" = ["dir"]))]
pub(crate) struct Config {
    /// The directory to file alerts in, as an absolute path. It is made if it does not exist.
    pub(crate) dir: PathBuf,
    /// Where the JSON documents go: `"beside"` puts each beside its picture, `"daily"` appends all of a day to one file.
    #[serde(default)]
    pub(crate) documents: Documents,
    /// How long a filed alert is kept, for instance `"30d"`. Without it, for ever.
    #[serde(default, deserialize_with = "duration::read_optional")]
    #[schemars(with = "Option<TimeSpan>")]
    pub(crate) keep_for: Option<Duration>,
    /// How much disk space filed alerts may take, for instance `"20GiB"`; the oldest go first. Without it, any amount.
    #[serde(default, deserialize_with = "size::read_optional")]
    #[schemars(with = "Option<ByteSize>")]
    pub(crate) max_size: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Config, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn quantities_have_units() {
        let config = read(r#"{"dir":"/a","keep_for":"30d","max_size":"20GiB"}"#).unwrap();
        assert_eq!(config.keep_for, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(config.max_size, Some(20 << 30));
        assert_eq!(read(r#"{"dir":"/a"}"#).unwrap().max_size, None);
    }

    #[test]
    fn mistakes_are_explained() {
        for (json, expected) in [
            (
                r#"{"dir":"/a","keep_for":"30 moons"}"#,
                "there is no unit `moons`",
            ),
            (
                r#"{"dir":"/a","max_size":"big"}"#,
                "`big` is not a size: expected a number with the unit",
            ),
            // Without a unit it would be 20 bytes, and every picture deleted.
            (r#"{"dir":"/a","max_size":"20"}"#, "write \"20MiB\" or \"20B\""),
            (r#"{"dir":"/a","max_size":"20G"}"#, "write \"20GiB\" or \"20GB\""),
            (r#"{"dir":"/a","keep_for":"30M"}"#, "write \"30m\" for minutes"),
            (r#"{"dir":"/a","max_size":"0B"}"#, "expected more than nothing"),
            (r#"{"dir":"/a","keep":"30d"}"#, "unknown field `keep`"),
            (r#"{}"#, "missing field `dir`"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(expected), "{error} should say {expected}");
        }
    }
}
