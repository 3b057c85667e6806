//! `cargo xtask test`: the checks of this repository in the order in which they fail fastest.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{cargo, debian, fuzz, gpio_machine, python};

/// Without a filter every check runs; with one only the tests whose name contains it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs only tests whose path contains this text, and none of the other checks.
    filter: Option<String>,
    /// Passed on to the test binaries, for example `-- --nocapture`.
    #[arg(last = true)]
    harness: Vec<String>,
}

/// One check: a name for the reader and the command behind it.
struct Step {
    name: &'static str,
    command: Command,
}

/// Runs the checks one after the other and stops at the first that fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let begun = Instant::now();
    timed("system packages", debian::ensure_installed)?;
    timed("Python packages", python::ensure_installed)?;
    timed("GPIO machine", gpio_machine::ensure_made)?;
    for Step { name, mut command } in steps(args) {
        println!("    {}", cargo::command_line(&command));
        timed(name, || cargo::run(&mut command))?;
    }
    if args.filter.is_none() {
        timed("fuzzing", fuzz::run)?;
    }
    println!("==> all green in {}", seconds(begun.elapsed()));
    Ok(())
}

fn steps(args: &Args) -> Vec<Step> {
    let test = step("tests", &test_words(args));
    if args.filter.is_some() {
        return vec![test];
    }
    let mut doc = step("documentation", &["doc", "--workspace", "--no-deps"]);
    doc.command.env("RUSTDOCFLAGS", "-D warnings");
    vec![
        step("formatting", &["fmt", "--all", "--check"]),
        step(
            "lints",
            &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        ),
        // Unit tests, end-to-end tests and the examples in the documentation.
        test,
        doc,
    ]
}

fn test_words(args: &Args) -> Vec<&str> {
    let mut words = vec!["test", "--workspace"];
    if args.filter.is_some() || !args.harness.is_empty() {
        words.push("--");
        words.extend(args.filter.as_deref());
        words.extend(args.harness.iter().map(String::as_str));
    }
    words
}

fn step(name: &'static str, words: &[&str]) -> Step {
    let mut command = cargo::command();
    command.args(words);
    Step { name, command }
}

/// Announces a check, runs it and says how long it took; a failure names the check.
fn timed(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("==> {name}");
    let begun = Instant::now();
    check().with_context(|| format!("{name} failed after {}", seconds(begun.elapsed())))?;
    println!("    {name} passed in {}", seconds(begun.elapsed()));
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(filter: Option<&str>, harness: &[&str], expected: Expect) {
        let args = Args {
            filter: filter.map(String::from),
            harness: harness.iter().map(|word| String::from(*word)).collect(),
        };
        let lines: Vec<String> = steps(&args)
            .iter()
            .map(|step| format!("{}: {}", step.name, cargo::command_line(&step.command)))
            .collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn without_a_filter_every_check_runs() {
        check(
            None,
            &[],
            expect![[r#"
                formatting: cargo fmt --all --check
                lints: cargo clippy --workspace --all-targets -- -D warnings
                tests: cargo test --workspace
                documentation: cargo doc --workspace --no-deps"#]],
        );
    }

    #[test]
    fn a_filter_runs_the_matching_tests_only() {
        check(
            Some("archive"),
            &["--nocapture"],
            expect!["tests: cargo test --workspace -- archive --nocapture"],
        );
    }

    #[test]
    fn a_failure_names_the_check() {
        let error = timed("lints", || anyhow::bail!("`cargo clippy` failed")).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("lints failed after "),
            "{error:#}"
        );
    }
}
