//! `cargo xtask demo`: builds the hub and its plugins, then becomes `watchpost demo`.
//!
//! It refuses to know what the demo does or prints: that is the `watchpost` binary's own command.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::cargo;

/// Nearly the whole workspace, selected as the tests select it (see `crates/testkit/src/artefacts.rs`): cargo unites the
/// features of what is selected, and a narrower selection would have a later `cargo xtask test` build tokio, actix and
/// all above them a second time. It costs twenty small packages more. The sound sink is left out, since it needs ALSA's
/// headers, which the demo does not.
const BUILD: [&str; 6] = [
    "build",
    "--workspace",
    "--exclude=watchpost-sound",
    "--lib",
    "--bins",
    "--examples",
];

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
    let mut build = cargo::command();
    build.args(BUILD);
    cargo::run(&mut build)?;

    // The demo looks for the plugin, watchpost-sinkhost and watchpost-simulator beside itself, where cargo has put them.
    let mut demo = Command::new(cargo::profile_dir()?.join("watchpost"));
    demo.arg("demo").args(&args.demo);
    let error = demo.exec();
    Err(anyhow!(error).context(format!("`{}` did not start", cargo::command_line(&demo))))
}
