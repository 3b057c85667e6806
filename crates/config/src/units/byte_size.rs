//! Sizes, as people write them: `"2GiB"`. It knows nothing of what has them.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ConfigError;

/// A number of bytes, written with a unit: `"64MiB"` (1024-based), `"10MB"` (1000-based).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Units of size and their bytes, the 1024-based first, then the 1000-based, each largest first.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let fault = |hint: String| ConfigError::Quantity {
            what: "a size",
            text: text.to_owned(),
            hint,
        };
        let expected =
            "expected a number with the unit KiB, MiB, GiB or TiB (or kB, MB, GB, TB, B), such as \"2GiB\"";
        let unit_at = text
            .trim()
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.trim().len());
        let (number, unit) = text.trim().split_at(unit_at);
        let unit = unit.trim();
        if unit.is_empty() && !number.is_empty() {
            return Err(fault(format!(
                "a unit is missing, write \"{number}MiB\" or \"{number}B\""
            )));
        }
        let Some((_, factor)) = SIZE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        else {
            return Err(fault(expected.to_owned()));
        };
        let too_large = || fault("that is more than can be counted".to_owned());
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(*factor).map(Self).ok_or_else(too_large);
        }
        let fraction: f64 = number.parse().map_err(|_| fault(expected.to_owned()))?;
        let bytes = fraction * *factor as f64;
        if bytes < u64::MAX as f64 {
            Ok(Self(bytes as u64))
        } else {
            Err(too_large())
        }
    }
}

impl fmt::Display for ByteSize {
    /// The whole number of the largest unit that says it exactly (`64MiB`, `10MB`), else rounded to a
    /// tenth of a 1024-based unit (`1.2GiB`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        let exact = |&&(_, factor): &&(&str, u64)| bytes >= factor && bytes.is_multiple_of(factor);
        match SIZE_UNITS.iter().find(exact) {
            Some((unit, factor)) if *factor > 1 || bytes < 1024 => write!(f, "{}{unit}", bytes / factor),
            _ => match SIZE_UNITS[..4].iter().find(|(_, factor)| bytes >= *factor) {
                Some((unit, factor)) => write!(f, "{:.1}{unit}", bytes as f64 / *factor as f64),
                None => write!(f, "{bytes}B"),
            },
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = self.to_string();
        if shown.contains('.') {
            serializer.collect_str(&format_args!("{}B", self.0))
        } else {
            serializer.collect_str(&shown)
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "size" })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::units::check;

    #[test]
    fn sizes() {
        check::<ByteSize>(
            &[
                "2GiB",
                "64 mib",
                "10MB",
                "0B",
                "1.5KiB",
                "1500B",
                "1234567B",
                "2G",
                "5000",
                "",
                "GiB",
                "-1B",
                "99999999TiB",
                "1.2.3kB",
            ],
            expect![[r#"
                "2GiB" = 2GiB
                "64 mib" = 64MiB
                "10MB" = 10MB
                "0B" = 0B
                "1.5KiB" = 1.5KiB
                "1500B" = 1.5KiB
                "1234567B" = 1.2MiB
                `2G` is not a size: expected a number with the unit KiB, MiB, GiB or TiB (or kB, MB, GB, TB, B), such as "2GiB"
                `5000` is not a size: a unit is missing, write "5000MiB" or "5000B"
                `` is not a size: expected a number with the unit KiB, MiB, GiB or TiB (or kB, MB, GB, TB, B), such as "2GiB"
                `GiB` is not a size: expected a number with the unit KiB, MiB, GiB or TiB (or kB, MB, GB, TB, B), such as "2GiB"
                `-1B` is not a size: expected a number with the unit KiB, MiB, GiB or TiB (or kB, MB, GB, TB, B), such as "2GiB"
                `99999999TiB` is not a size: that is more than can be counted
                `1.2.3kB` is not a size: expected a number with the unit KiB, MiB, GiB or TiB (or kB, MB, GB, TB, B), such as "2GiB"
            "#]],
        );
    }

    proptest! {
        #[test]
        fn sizes_read_back(bytes: u64) {
            let json = serde_json::to_value(ByteSize(bytes)).unwrap();
            prop_assert_eq!(serde_json::from_value::<ByteSize>(json).unwrap(), ByteSize(bytes));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<ByteSize>();
        }
    }
}
