//! Sizes, durations and rates as people write them: `"64MiB"`, `"1m30s"`, `"20 per 1h"`. One grammar for the hub and its
//! plugins.
//!
//! A number without its unit is refused, and so is a unit that can be mistaken for another: `30M` could be minutes or
//! months, `2G` could be counted in thousands or in 1024s. What a quantity measures is not known here.
//!
//! ```
//! # use std::time::Duration;
//! use watchpost_units::{ByteSize, TimeSpan, duration, size};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Config {
//!     /// How long it rings, for instance `"10s"`.
//!     #[serde(deserialize_with = "duration::read")]
//!     #[schemars(with = "TimeSpan")]
//!     ring_for: Duration,
//!     /// How much it keeps, for instance `"2GiB"`. Without it, everything.
//!     #[serde(default, deserialize_with = "size::read_optional")]
//!     #[schemars(with = "Option<ByteSize>")]
//!     keep: Option<u64>,
//! }
//! ```

#![forbid(unsafe_code)]

mod byte_size;
pub mod duration;
mod rate;
pub mod size;
mod time_span;

use std::fmt;

pub use byte_size::ByteSize;
pub use rate::Rate;
pub use time_span::TimeSpan;

/// A text is no quantity with its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError {
    /// What it should be, such as "a size".
    pub what: &'static str,
    /// What it is.
    pub text: String,
    /// What was expected instead.
    pub hint: String,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}: {}", self.text, self.what, self.hint)
    }
}

impl std::error::Error for UnitError {}

/// A number with at most one decimal point: its whole part, and its fraction in billionths.
///
/// `None` if it is no such number, or one too large to count with.
fn decimal(text: &str) -> Option<(u64, u64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let billionths: String = fraction
        .chars()
        .chain(std::iter::repeat_n('0', 9))
        .take(9)
        .collect();
    Some((whole.parse().ok()?, billionths.parse().ok()?))
}

/// What becomes of each text: the quantity as it is shown, or the error.
#[cfg(test)]
fn check<T>(texts: &[&str], expected: expect_test::Expect)
where
    T: std::str::FromStr<Err = UnitError> + fmt::Display,
{
    let lines: Vec<String> = texts
        .iter()
        .map(|text| match text.parse::<T>() {
            Ok(value) => format!("{text:?} = {value}\n"),
            Err(e) => format!("{e}\n"),
        })
        .collect();
    expected.assert_eq(&lines.concat());
}
