//! The `watchpost` program: reads the command line and hands over to one file a command.

#![forbid(unsafe_code)]

mod cli;
mod client;
mod commands;
mod diagnostics;
mod exit;
mod logging;
mod out;
mod reload;
mod sample;
mod siblings;
mod target;
mod values;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let Cli { target, command } = Cli::parse();
    if let Err(why) = target.check(command.needs()) {
        Cli::command().error(ErrorKind::ArgumentConflict, why).exit();
    }
    let outcome = match command {
        Command::Run => commands::run::run(&target),
        Command::Reload(args) => commands::reload::run(&target, &args),
        Command::Check => commands::check::run(&target),
        Command::Status(args) => commands::status::run(&target, &args),
        Command::Alerts(args) => commands::alerts::run(&target, &args),
        Command::Cameras(args) => commands::cameras::run(&target, &args),
        Command::Explain(args) => commands::explain::run(&target, &args),
        Command::Deliveries(args) => commands::deliveries::run(&target, &args),
        Command::Doctor(args) => commands::doctor::run(&target, &args),
        Command::Routes(args) => commands::routes::run(&target, &args),
        Command::Silence(args) => commands::silence::run(&target, &args),
        Command::Arm(args) => commands::areas::arm(&target, &args),
        Command::Disarm(args) => commands::areas::disarm(&target, &args),
        Command::Panic(args) => commands::panic::run(&target, &args),
        Command::TestMode(args) => commands::areas::test_mode(&target, &args),
        Command::Areas(args) => commands::areas::run(&target, &args),
        Command::Code(command) => commands::code::run(&command),
        Command::Sink(command) => commands::sink::run(&target, &command),
        Command::Simulate(args) => commands::simulate::run(&args),
        Command::Demo(args) => commands::demo::run(&args),
    };
    exit::code(outcome)
}
