//! What a site can set, and how durations and sizes are written.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use watchpost_sink::duration;

/// Files every alert as a picture and a JSON document below a directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The directory to file alerts in, as an absolute path. It is made if it does not exist.
    pub(crate) dir: PathBuf,
    /// How long a filed alert is kept, for instance `"30d"`. Without it, for ever.
    #[serde(default, deserialize_with = "duration::read_optional")]
    #[schemars(with = "Option<String>")]
    pub(crate) keep_for: Option<Duration>,
    /// How much disk space filed alerts may take, for instance `"20GiB"`; the oldest go first. Without it, any amount.
    #[serde(default, deserialize_with = "size")]
    #[schemars(with = "Option<String>")]
    pub(crate) max_size: Option<u64>,
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    match text.parse::<bytesize::ByteSize>() {
        Ok(size) if size.as_u64() > 0 => Ok(Some(size.as_u64())),
        Ok(_) => Err(de::Error::custom(
            "a size of zero would keep nothing; leave the key out to keep everything",
        )),
        Err(e) => Err(de::Error::custom(format_args!(
            "`{text}` is not a size such as \"20GiB\": {e}"
        ))),
    }
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
                "`30 moons` is not a duration such as \"10s\"",
            ),
            (
                r#"{"dir":"/a","max_size":"big"}"#,
                "`big` is not a size such as \"20GiB\"",
            ),
            (
                r#"{"dir":"/a","max_size":"0B"}"#,
                "leave the key out to keep everything",
            ),
            (r#"{"dir":"/a","keep":"30d"}"#, "unknown field `keep`"),
            (r#"{}"#, "missing field `dir`"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(expected), "{error} should say {expected}");
        }
    }
}
