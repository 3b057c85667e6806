//! What is set from outside for a long run, and the figures it prints. It does not know the runs.

use anyhow::{Context as _, Result};

/// A whole number in an environment variable, if it is set.
pub(crate) fn from_environment(name: &str) -> Result<Option<u64>> {
    let Ok(value) = std::env::var(name) else {
        return Ok(None);
    };
    let number = value
        .parse()
        .with_context(|| format!("{name}={value} is not a whole number"))?;
    Ok(Some(number))
}

/// Shown with a failure, and always with `--nocapture`.
#[allow(
    clippy::print_stderr,
    reason = "figures and seed belong into the test's output"
)]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
