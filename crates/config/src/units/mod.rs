//! Quantities with their units, as people write them. What they measure is not known here.

mod byte_size;
mod pace;
mod time_span;

pub use byte_size::ByteSize;
pub use pace::Pace;
pub use time_span::TimeSpan;

/// What becomes of each text: the quantity as it is shown, or the error.
#[cfg(test)]
fn check<T>(texts: &[&str], expected: expect_test::Expect)
where
    T: std::str::FromStr<Err = crate::ConfigError> + std::fmt::Display,
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
