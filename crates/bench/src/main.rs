//! Measures the hub as it is released: real processes, a real socket, a real disk, and beside it a bare loop that does
//! the same job, so that what is reported is a ratio and not the machine.
//!
//! It refuses to know the hub's inside: it drives the binaries over configuration, command line and wire. Only the routing
//! step, which is pure, it asks itself.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool that prints what it measured"
)]

mod bare;
mod deliveries;
mod disk;
mod figures;
mod firehose;
mod hub;
mod lab;
mod machine;
mod payload;
mod prefill;
mod process;
mod procfs;
mod record;
mod report;
mod statistics;
mod stopwatch;
mod subject;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};

use crate::figures::Group;
use crate::lab::{Effort, Lab};

/// Measures Watchpost on this machine. `cargo xtask bench` builds everything and then calls this.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    measure: MeasureArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct MeasureArgs {
    /// Take about three minutes, for figures that are less steady.
    #[arg(long)]
    quick: bool,
    /// Print one JSON object a line instead of the table.
    #[arg(long)]
    json: bool,
    /// Write the figures and the machine's description into this Markdown file.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "BENCHMARKS.md")]
    record: Option<PathBuf>,
    /// Where to measure: a directory on the disk that matters.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    dir: PathBuf,
    /// Measure only these groups.
    #[arg(value_enum, value_name = "GROUP")]
    groups: Vec<Group>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the bare loop: connect, store, acknowledge until the server disconnects.
    #[command(hide = true)]
    Bare {
        #[arg(long)]
        url: String,
        #[arg(long)]
        dir: PathBuf,
    },
    /// Measure the bare loop alone, in alerts a second for each picture size.
    Calibrate {
        /// Where to measure.
        #[arg(long, value_name = "DIR", default_value = "target/bench")]
        dir: PathBuf,
    },
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Bare { url, dir }) => bare::run(url, dir),
        Some(Command::Calibrate { dir }) => calibrate(dir),
        None => measure(&cli.measure),
    }
}

fn measure(args: &MeasureArgs) -> Result<()> {
    let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
    let mut lab = Lab::new(&args.dir, &bin_dir()?, effort)?;
    let machine = machine::describe(lab.dir())?;
    let groups = if args.groups.is_empty() {
        Group::ALL.to_vec()
    } else {
        args.groups.clone()
    };
    let mut all = Vec::new();
    for group in groups {
        eprintln!("measuring {group:?} …");
        let figures = group
            .measure(&mut lab)
            .with_context(|| format!("{group:?} could not be measured"))?;
        for figure in &figures {
            if args.json {
                println!("{}", serde_json::to_string(figure)?);
            }
        }
        all.extend(figures);
    }
    if !args.json {
        println!("{machine}\n{}", report::table(&all));
    }
    if let Some(file) = &args.record {
        record::write(file, &machine, &report::table(&all))?;
    }
    Ok(())
}

/// The bare loop's figures need no hub.
fn calibrate(dir: &Path) -> Result<()> {
    let mut lab = Lab::new(dir, &bin_dir()?, Effort::QUICK)?;
    println!("{}", machine::describe(lab.dir())?);
    for kb in [10, 60, 200] {
        let picture = lab.picture(kb)?;
        let load = lab.effort.flood_of(&picture);
        for _ in 0..lab.effort.rounds {
            let result = subject::bare(&lab, &picture, load)?;
            println!("{kb:>4} KB  {:>8.0} alerts/s", result.rate());
        }
    }
    Ok(())
}

/// The hub's binaries and plugins lie beside this one.
fn bin_dir() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find out where this program lies")?;
    Ok(this.parent().unwrap_or(Path::new(".")).to_path_buf())
}
