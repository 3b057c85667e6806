//! `cargo xtask demo`: builds the hub and its plugins, then becomes `watchpost demo`.
//!
//! It refuses to know what the demo does or prints: that is the `watchpost` binary's own command.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::cargo;

/// What the demo runs, and nothing more.
const PACKAGES: [&str; 4] = [
    "watchpost",
    "watchpost-archive",
    "watchpost-simulator",
    "watchpost-sinkhost",
];

/// A profile of its own, which builds fast; see Cargo.toml.
const PROFILE: &str = "demo";

/// Everything after `demo` goes to `watchpost demo`, for example `cargo xtask demo --for 15s --rate 20`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Options of `watchpost demo`; `cargo xtask demo -- --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    demo: Vec<OsString>,
}

/// Returns only when something went wrong: xtask is replaced by the demo, whose exit code the caller sees and which
/// Ctrl-C therefore reaches directly.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut demo = built()?;
    demo.args(&args.demo);
    let error = demo.exec();
    Err(anyhow!(error).context(format!("`{}` did not start", cargo::command_line(&demo))))
}

/// Builds the demo by itself, as a newcomer does, and has it show a few alerts. The tests' build has more features of the
/// dependencies than what runs has.
pub(crate) fn check() -> Result<()> {
    cargo::run(built()?.args(["--for", "5s"]))
}

/// Builds what the demo runs, and gives the command that runs it.
fn built() -> Result<Command> {
    let mut build = cargo::command();
    build
        .args(["build", "--profile", PROFILE])
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    cargo::run(&mut build)?;

    // The demo looks for the plugin, watchpost-sinkhost and watchpost-simulator beside itself, where cargo has put them.
    let mut demo = Command::new(cargo::target_dir()?.join(PROFILE).join("watchpost"));
    demo.arg("demo");
    Ok(demo)
}
