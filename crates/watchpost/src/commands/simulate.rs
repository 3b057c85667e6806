//! `watchpost simulate`: becomes `watchpost-simulator`, a program of its own, so that the hub carries no scenes and fonts.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::siblings;

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Options of `watchpost-simulator`; `watchpost simulate --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<OsString>,
}

/// Returns only when the program did not start.
pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let program = siblings::simulator_binary()?;
    let error = Command::new(&program)
        .arg0("watchpost simulate")
        .args(&args.options)
        .exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
