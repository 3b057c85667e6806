//! What the GPIO sink's tests boot: a kernel with simulated GPIO lines, below the target directory.

use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo;

/// It fetches two Debian packages, 200 MB, the first time.
const MAKE: &str = include_str!("gpio-machine.sh");

/// Makes what is missing.
pub(crate) fn ensure_made() -> Result<()> {
    let home = cargo::target_dir()?.join("gpio-machine");
    let mut make = Command::new("bash");
    make.args(["-c", MAKE, "gpio-machine.sh"]).arg(&home);
    cargo::run(&mut make).context("the tests of the GPIO sink need a kernel with simulated lines")
}
