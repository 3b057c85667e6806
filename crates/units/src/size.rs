//! Reads a number of bytes of a configuration, which has to be more than none.

use serde::{Deserialize as _, Deserializer, de};

use crate::{ByteSize, UnitError};

/// Reads one that has to be there.
///
/// # Errors
/// It is no size with its unit, or zero.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// Reads one that may be left out.
///
/// # Errors
/// It is no size with its unit, or zero.
pub fn read_optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse(&text).map_err(de::Error::custom))
        .transpose()
}

/// The same from a text.
///
/// # Errors
/// It is no size with its unit, or zero.
pub fn parse(text: &str) -> Result<u64, UnitError> {
    let ByteSize(bytes) = text.parse()?;
    if bytes == 0 {
        return Err(UnitError {
            what: "a size",
            text: text.to_owned(),
            hint: "expected more than nothing, such as \"64MiB\"".to_owned(),
        });
    }
    Ok(bytes)
}
