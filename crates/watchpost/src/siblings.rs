//! The programs that are installed beside this one.

use std::path::PathBuf;

use anyhow::Context as _;

/// The program that runs plugins.
pub(crate) fn sinkhost_binary() -> anyhow::Result<PathBuf> {
    beside("watchpost-sinkhost", "it runs the plugins")
}

/// The program that plays a backend.
pub(crate) fn simulator_binary() -> anyhow::Result<PathBuf> {
    beside("watchpost-simulator", "it is the simulated backend")
}

fn beside(name: &str, purpose: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find out where this program is")?;
    let binary = own.with_file_name(name);
    anyhow::ensure!(
        binary.exists(),
        "{} is missing: {purpose} and must be installed beside watchpost",
        binary.display()
    );
    Ok(binary)
}
