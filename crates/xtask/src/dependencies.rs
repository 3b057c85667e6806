//! The looks at what Watchpost is built from: licences, sources and bans by cargo-deny (`deny.toml`), unused
//! dependencies by cargo-shear; and `cargo xtask audit`, the advisories of RustSec.
//!
//! The advisories change by the day and come from the network, so that they are no part of `cargo xtask test`: what was
//! green has to stay green.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{cargo, python};

/// Fails on a licence, source or crate that `deny.toml` does not allow. `programs` is where the tools lie.
pub(crate) fn check(programs: &Path) -> Result<()> {
    cargo::run(deny(programs).args(["bans", "licenses", "sources"]))
}

/// Fails on a dependency that no code uses.
pub(crate) fn unused(programs: &Path) -> Result<()> {
    cargo::run(Command::new(programs.join("cargo-shear")).current_dir(cargo::workspace_root()))
}

/// Fails on an advisory about a dependency, unless `deny.toml` says why it does not matter.
pub(crate) fn audit() -> Result<()> {
    let programs = python::ensure_tools()?;
    cargo::run(deny(&programs).arg("advisories")).context(
        "either an advisory above wants something done (another version, or the reason in deny.toml why it cannot be \
         reached), or RustSec's database could not be fetched, which takes a connection to GitHub",
    )
}

fn deny(programs: &Path) -> Command {
    let mut command = Command::new(programs.join("cargo-deny"));
    command.current_dir(cargo::workspace_root());
    command.args(["--all-features", "check", "--hide-inclusion-graph"]);
    command
}
