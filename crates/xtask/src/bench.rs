//! `cargo xtask bench`: builds what is released and what measures it, then becomes the measurement.
//!
//! It refuses to know what is measured: that is the `watchpost-bench` binary's own affair.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::{cargo, install};

/// The measured binaries and plugins, and the binary that measures. All must lie in one directory.
const PACKAGES: [&str; 9] = [
    "watchpost",
    "watchpost-sinkhost",
    "watchpost-archive",
    "watchpost-email",
    "watchpost-exec",
    "watchpost-mqtt",
    "watchpost-sound",
    "watchpost-webhook",
    "watchpost-bench",
];

/// Everything after `bench` goes to the measuring binary, for example `cargo xtask bench --quick --json`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Options of the measurement; `cargo xtask bench -- --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    bench: Vec<OsString>,
}

/// Returns only when something went wrong: xtask is replaced by the measurement, whose exit code the caller sees.
pub(crate) fn run(args: &Args) -> Result<()> {
    // The sinks' counterparts are those of the tests.
    install::everything()?;
    let mut build = cargo::command();
    build
        .args(["build", "--release"])
        .args(PACKAGES.iter().flat_map(|package| ["-p", package]));
    cargo::run(&mut build)?;

    // Another profile's directory lies beside the one xtask itself was put into.
    let release = cargo::target_dir()?.join("release");
    let mut bench = Command::new(release.join("watchpost-bench"));
    bench.current_dir(cargo::workspace_root()).args(&args.bench);
    let error = bench.exec();
    Err(anyhow!(error).context(format!("`{}` did not start", cargo::command_line(&bench))))
}
