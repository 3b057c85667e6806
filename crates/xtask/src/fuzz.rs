//! The fuzz targets, each for a short time. What they assert it does not know.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// How long all targets run together, in seconds, apart from their building.
const SECONDS_OF_ALL: usize = 30;

/// How long each target runs in a long run, in seconds: on one thread, so as much of a processor that is free.
const LONG_SECONDS: usize = 600;

/// One input must not take longer, in seconds. Generous, for the machine may be busy.
const INPUT_SECONDS: u32 = 30;

/// The version that is installed where cargo-fuzz is missing.
const CARGO_FUZZ: &str = "^0.13";

/// What is fuzzed.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its crate's directory.
    dir: &'static str,
    /// Its name, also in the report.
    pub(crate) name: &'static str,
}

/// Every target.
pub(crate) const TARGETS: &[Target] = &[
    Target {
        dir: "crates/visionguard",
        name: "parse_message",
    },
    Target {
        dir: "crates/sinkhost-protocol",
        name: "decode_packet",
    },
    Target {
        dir: "crates/sinkhost-client",
        name: "parent",
    },
];

/// Runs a target on its seeds and on what it makes of them; a crash is an error.
pub(crate) fn run(target: &Target, long: bool) -> Result<()> {
    ensure_installed()?;
    let mut command = command(target.name, seconds(long));
    let dir = cargo::workspace_root().join(target.dir);
    for place in [format!("fuzz/corpus/{}", target.name), "fuzz/seeds".to_owned()] {
        let place = dir.join(place);
        std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    }
    println!("    {}", cargo::command_line(&command));
    cargo::run(command.current_dir(dir))
}

/// How long one target runs.
const fn seconds(long: bool) -> usize {
    if long {
        LONG_SECONDS
    } else {
        SECONDS_OF_ALL / TARGETS.len()
    }
}

/// Without a sanitizer: what the targets call is safe code, where a fault shows as a panic.
fn command(target: &str, seconds: usize) -> Command {
    let mut command = cargo::command();
    let corpus = format!("fuzz/corpus/{target}");
    command
        // The coverage that libFuzzer needs is an unstable flag, which a stable compiler takes on this word.
        .env("RUSTC_BOOTSTRAP", "1")
        .args([
            "fuzz",
            "run",
            "--sanitizer",
            "none",
            target,
            &corpus,
            "fuzz/seeds",
            "--",
        ])
        // Else it prints a line for each input that it keeps.
        .args(["-verbosity=0", "-print_final_stats=1"])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"));
    command
}

fn ensure_installed() -> Result<()> {
    let there = || {
        let status = cargo::command()
            .args(["fuzz", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    if !there() {
        cargo::run(cargo::command().args(["install", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ]))?;
    }
    ensure!(
        there(),
        "`cargo fuzz` does not start; install it with `cargo install --locked cargo-fuzz`"
    );
    Ok(())
}
