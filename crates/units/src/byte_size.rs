//! Sizes: `"2GiB"`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{UnitError, decimal};

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

/// What is expected, for errors.
const EXPECTED: &str =
    "expected a number with the unit KiB, MiB, GiB or TiB (or kB, MB, GB, TB, B), such as \"2GiB\"";

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fault = |hint: String| UnitError {
            what: "a size",
            text: text.to_owned(),
            hint,
        };
        let quantity = text.trim();
        let unit_at = quantity.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = quantity.split_at(unit_at.unwrap_or(quantity.len()));
        let unit = unit.trim();
        let Some((whole, billionths)) = decimal(number) else {
            return Err(fault(EXPECTED.to_owned()));
        };
        let same = |name: &str| name.eq_ignore_ascii_case(unit);
        let Some((_, factor)) = SIZE_UNITS.iter().find(|(name, _)| same(name)) else {
            return Err(fault(match unit {
                "" => format!("a unit is missing, write \"{number}MiB\" or \"{number}B\""),
                _ => match SIZE_UNITS.iter().find(|(name, _)| same(&name[..1])) {
                    // One letter does not say whether it counts in thousands or in 1024s.
                    Some((name, _)) => format!("write \"{number}{name}\" or \"{number}{}\"", thousands(name)),
                    None => EXPECTED.to_owned(),
                },
            }));
        };
        let factor = u128::from(*factor);
        let bytes = u128::from(whole) * factor + u128::from(billionths) * factor / 1_000_000_000;
        match u64::try_from(bytes) {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(fault("that is more than can be counted".to_owned())),
        }
    }
}

/// The 1000-based unit beside one that counts in 1024s: `MB` for `MiB`.
fn thousands(unit: &str) -> String {
    let unit = unit.replace('i', "");
    if unit == "KB" { "kB".to_owned() } else { unit }
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
    use crate::check;

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
                "500k",
                "20",
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
                `2G` is not a size: write "2GiB" or "2GB"
                `500k` is not a size: write "500KiB" or "500kB"
                `20` is not a size: a unit is missing, write "20MiB" or "20B"
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
