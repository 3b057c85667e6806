//! The `watchpost` program: reads the command line and hands over to one file a command.

#![forbid(unsafe_code)]

mod cli;
mod client;
mod commands;
mod exit;
mod logging;
mod out;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => commands::run::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Alerts(args) => commands::alerts::run(&args),
        Command::Deliveries(args) => commands::deliveries::run(&args),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Sink(command) => commands::sink::run(&command),
        Command::Simulate(args) => commands::simulate::run(&args),
        Command::Demo(args) => commands::demo::run(&args),
    };
    exit::code(outcome)
}
