//! The project's own chores, run as `cargo xtask <command>`.
//!
//! It knows how to call cargo, apt-get and pip. It refuses to know anything of Watchpost itself, so that it builds in
//! seconds on a machine that has nothing but Rust.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to the person who started it"
)]

mod arm64_machine;
mod bench;
mod cargo;
mod demo;
mod dependencies;
mod fuzz;
mod gpio_machine;
mod harness;
mod install;
mod needs;
mod python;
mod report;
mod syscalls;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, shows and tests Watchpost.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds the hub and its plugins and shows them at work against a simulated backend.
    Demo(demo::Args),
    /// Formatting, lints, dependencies, the demo, every test, the documentation and a little fuzzing: what has to be green
    /// before a change goes in.
    Test(test::Args),
    /// Looks whether RustSec has an advisory about a dependency; fetches its database.
    Audit,
    /// Measures the released hub on this machine and prints figures, targets and what is met.
    Bench(bench::Args),
    /// Records which system calls plugins make, with strace, and prints how the sandbox's filter stands to them.
    Syscalls,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Audit => dependencies::audit(),
        Command::Bench(args) => bench::run(&args),
        Command::Syscalls => syscalls::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a backtrace, which would bury what failed.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
