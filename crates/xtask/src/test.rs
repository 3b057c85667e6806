//! `cargo xtask test`: the checks of this repository in the order in which they fail fastest, each of them whatever became
//! of the others, and at the end what failed and what was skipped.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::install::{self, Lacking};
use crate::needs::{ALSA, PYTHON};
use crate::report::Report;
use crate::{arm64_machine, cargo, demo, dependencies, fuzz, harness, python};

/// The environment variables by which the test kit learns what is lacking, and where it notes a test that was skipped for
/// it; see `crates/testkit/src/skip.rs`.
const LACKING: &str = "WATCHPOST_LACKING";
const SKIPPED: &str = "WATCHPOST_SKIPPED";

/// Names the machine in which a long run tries the filter of 64-bit ARM; see
/// `crates/sinkhost/src/sandbox/syscalls/tests/arm64.rs`.
const ARM64_MACHINE: &str = "WATCHPOST_ARM64_MACHINE";

/// What a run does that `cargo test` by itself does less of, where its caller does not say it.
const EVERY_RUN: [(&str, &str); 1] = [("WATCHPOST_WORLD_SEEDS", "0..960")];

/// How much more a long run does, where its caller does not say it.
const LONG_RUN: [(&str, &str); 6] = [
    ("WATCHPOST_KILLS", "500"),
    ("WATCHPOST_POWER_CUTS", "100"),
    ("WATCHPOST_RECONNECTS", "1000"),
    ("WATCHPOST_WORLD_SEEDS", "0..5000"),
    ("WATCHPOST_LONG_RUN_MINUTES", "5"),
    ("WATCHPOST_SCENARIOS", "all"),
];

/// Without a filter every check runs; with one only the tests whose name contains it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs only tests whose path contains this text, and none of the other checks.
    filter: Option<String>,
    /// Also what takes longer: every test, more kills, power cuts and reconnections, five minutes of fuzzing a target.
    #[arg(long)]
    long: bool,
    /// Passed on to the test binaries, for example `-- --nocapture`.
    #[arg(last = true)]
    harness: Vec<String>,
}

/// One check: a name for the reader and the command behind it.
struct Step {
    name: &'static str,
    command: Command,
}

/// Runs the checks and prints what became of them.
pub(crate) fn run(args: &Args) -> Result<()> {
    println!("==> what the tests need");
    let lacking = install::everything()?;
    let mut report = Report::default();
    if args.filter.is_none() {
        for Step { name, mut command } in quick_steps(&lacking) {
            report.check(name, |_| run_step(&mut command));
        }
        check_dependencies(&mut report, &lacking);
        report.check("demo", |_| demo::check());
    }
    let mut command = test_command(args, &lacking);
    if args.long {
        match arm64_machine::ensure_made() {
            Ok(machine) => _ = command.env(ARM64_MACHINE, machine),
            Err(error) => report.skip("the filter of 64-bit ARM on its kernel", &format!("{error:#}")),
        }
    }
    report.check("tests", |report| run_tests(&mut command, &lacking, report));
    if args.filter.is_none() {
        let Step { name, mut command } = documentation(&lacking);
        report.check(name, |_| run_step(&mut command));
        for target in fuzz::TARGETS {
            report.check(target.name, |_| fuzz::run(target, args.long));
        }
    }
    print!("{}", report.summary());
    report.verdict()
}

fn run_step(command: &mut Command) -> Result<()> {
    println!("    {}", cargo::command_line(command));
    cargo::run(command)
}

fn quick_steps(lacking: &Lacking) -> Vec<Step> {
    let mut lints = step("lints", &["clippy", "--workspace", "--all-targets"], lacking);
    lints.command.args(["--", "-D", "warnings"]);
    vec![
        Step {
            name: "formatting",
            command: cargo_command(&["fmt", "--all", "--check"]),
        },
        lints,
    ]
}

fn documentation(lacking: &Lacking) -> Step {
    let mut doc = step("documentation", &["doc", "--workspace", "--no-deps"], lacking);
    doc.command.env("RUSTDOCFLAGS", "-D warnings");
    doc
}

fn check_dependencies(report: &mut Report, lacking: &Lacking) {
    const NAMES: [&str; 2] = ["licences, bans and sources", "unused dependencies"];
    let tools = if lacking.has(PYTHON) {
        Err(anyhow::anyhow!("their tools come from PyPI, which takes Python"))
    } else {
        python::ensure_tools()
    };
    match tools {
        Ok(programs) => {
            report.check(NAMES[0], |_| dependencies::check(&programs));
            report.check(NAMES[1], |_| dependencies::unused(&programs));
        }
        Err(error) => NAMES
            .iter()
            .for_each(|name| report.skip(name, &format!("{error:#}"))),
    }
}

/// Unit tests, end-to-end tests and the examples in the documentation.
fn test_command(args: &Args, lacking: &Lacking) -> Command {
    let mut command = step("tests", &["test", "--workspace", "--no-fail-fast"], lacking).command;
    if args.filter.is_some() || !args.harness.is_empty() {
        command.arg("--").args(&args.filter).args(&args.harness);
    }
    let long = args.long.then_some(LONG_RUN);
    let amounts = EVERY_RUN.into_iter().chain(long.into_iter().flatten());
    let unset = amounts.filter(|(name, _)| std::env::var_os(name).is_none());
    command.envs(unset);
    command
}

fn run_tests(command: &mut Command, lacking: &Lacking, report: &mut Report) -> Result<()> {
    let notes = Notes::new()?;
    command
        .env(LACKING, lacking.for_the_tests())
        .env(SKIPPED, &notes.file);
    println!("    {}", cargo::command_line(command));
    let (mut tally, status) = harness::run(command)?;
    let mut skipped = notes.read()?;
    // A skipped test returns early, which its harness takes for passed.
    tally.passed = tally.passed.saturating_sub(skipped.len() as u64);
    skipped.extend((0..tally.ignored).map(|_| "a test is marked as ignored".to_owned()));
    let none_failed = tally.failed.is_empty();
    report.add(tally, skipped);
    ensure!(
        status.success() || !none_failed,
        "`{}` failed with {status}",
        cargo::command_line(command)
    );
    ensure!(none_failed, "see the failed ones above");
    Ok(())
}

/// The file in which tests note that they were skipped.
struct Notes {
    file: PathBuf,
}

impl Notes {
    fn new() -> Result<Self> {
        let file = cargo::target_dir()?.join(format!("skipped-{}.txt", std::process::id()));
        std::fs::write(&file, "").with_context(|| format!("{} was not written", file.display()))?;
        Ok(Self { file })
    }

    fn read(&self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("{} cannot be read", self.file.display()))?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        // A file left behind below the target directory harms nothing.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// A command for the whole workspace, without what cannot be built here.
fn step(name: &'static str, words: &[&str], lacking: &Lacking) -> Step {
    let mut command = cargo_command(words);
    if lacking.has(ALSA) {
        command.args(["--exclude", "watchpost-sound"]);
    }
    Step { name, command }
}

fn cargo_command(words: &[&str]) -> Command {
    let mut command = cargo::command();
    command.args(words);
    command
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(filter: Option<&str>, harness: &[&str], expected: Expect) {
        let args = Args {
            filter: filter.map(String::from),
            long: false,
            harness: harness.iter().map(|word| String::from(*word)).collect(),
        };
        expected.assert_eq(&cargo::command_line(&test_command(&args, &Lacking::default())));
    }

    #[test]
    fn all_tests_run_whatever_becomes_of_one() {
        check(None, &[], expect!["cargo test --workspace --no-fail-fast"]);
    }

    #[test]
    fn a_filter_runs_the_matching_tests_only() {
        check(
            Some("archive"),
            &["--nocapture"],
            expect!["cargo test --workspace --no-fail-fast -- archive --nocapture"],
        );
    }

    #[test]
    fn what_cannot_be_built_is_left_out() {
        let mut lacking = Lacking::default();
        lacking.add(ALSA, "no headers".to_owned());
        let lines: Vec<String> = quick_steps(&lacking)
            .iter()
            .chain([&documentation(&lacking)])
            .map(|step| format!("{}: {}", step.name, cargo::command_line(&step.command)))
            .collect();
        expect![[r#"
            formatting: cargo fmt --all --check
            lints: cargo clippy --workspace --all-targets --exclude watchpost-sound -- -D warnings
            documentation: cargo doc --workspace --no-deps --exclude watchpost-sound"#]]
        .assert_eq(&lines.join("\n"));
    }
}
