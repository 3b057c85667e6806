//! Runs `cargo test` and reads from its output what passed and what failed, while the reader sees all of it.
//!
//! It knows the words of cargo and of Rust's test harness, and no test.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result};

use crate::cargo;

/// What the tests of all packages said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    /// Marked as ignored, which none should be.
    pub(crate) ignored: u64,
    /// `target: test`, and targets that ended without a result.
    pub(crate) failed: Vec<String>,
    /// What those tests printed, of each target the last [`MAX_SAID`] lines.
    pub(crate) said: Vec<String>,
}

/// Lines of a target's failed tests that are kept: a panic's message with a status in it, and what the processes said.
const MAX_SAID: usize = 150;

/// Runs the command to its end with its output on ours.
pub(crate) fn run(command: &mut Command) -> Result<(Tally, ExitStatus)> {
    let line = cargo::command_line(command);
    // One pipe for both streams, so that the name of a target stands before what its tests say.
    let (reader, writer) = std::io::pipe().context("no pipe")?;
    command
        .stdout(writer.try_clone().context("no pipe")?)
        .stderr(writer);
    let mut child = command
        .spawn()
        .with_context(|| format!("`{line}` did not start"))?;
    // The command holds the pipe's writing end, which would keep it open.
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut reading = Reading::default();
    let mut out = std::io::stdout().lock();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("the tests' output cannot be read")?;
        let line = String::from_utf8_lossy(&line);
        // The reader may be gone; the tests go on.
        let _ = writeln!(out, "{line}");
        reading.line(&line);
    }
    let status = child.wait().context("cargo test cannot be waited for")?;
    Ok((reading.end(), status))
}

/// Where in the output the reading stands.
#[derive(Debug, Default)]
struct Reading {
    tally: Tally,
    /// The target whose tests run; none after its result.
    target: Option<String>,
    /// The names below the last `failures:`, if that was the last heading.
    failures: Option<Vec<String>>,
    /// The last lines since the target's first `failures:`.
    said: VecDeque<String>,
    /// Whether the last line was one of a backtrace.
    backtrace: bool,
}

impl Reading {
    fn line(&mut self, line: &str) {
        let plain = line.trim();
        if self.failures.is_some() {
            self.said(line);
        }
        if let Some(target) = target(plain) {
            self.close();
            self.target = Some(target);
        } else if plain == "failures:" {
            // The first of two holds what the tests printed, the second only names.
            self.failures = Some(Vec::new());
        } else if let Some(counts) = plain.strip_prefix("test result: ") {
            self.result(counts);
        } else if let Some(failures) = &mut self.failures
            && line.starts_with("    ")
            && !plain.is_empty()
        {
            failures.push(plain.to_owned());
        }
    }

    /// Keeps what failed tests print, but for the frames of backtraces: they stand above.
    fn said(&mut self, line: &str) {
        self.backtrace = match line.trim() {
            "" => false,
            "stack backtrace:" | "Stack backtrace:" => true,
            _ => self.backtrace,
        };
        if self.backtrace {
            return;
        }
        if self.said.len() == MAX_SAID {
            self.said.pop_front();
        }
        self.said.push_back(line.to_owned());
    }

    /// `FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s`
    fn result(&mut self, counts: &str) {
        let count = |what: &str| {
            let found = counts
                .split(['.', ';'])
                .find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<u64>().ok());
            found.unwrap_or(0)
        };
        self.tally.passed += count("passed");
        self.tally.ignored += count("ignored");
        let target = self.target.take().unwrap_or_default();
        let said = std::mem::take(&mut self.said);
        let failed = usize::try_from(count("failed")).unwrap_or(usize::MAX);
        let mut names = self.failures.take().unwrap_or_default();
        if failed > 0 {
            self.tally.said.push(format!("{target}:"));
            self.tally.said.extend(said);
        }
        // A list that was misread must not hide a failure, nor make more of them.
        let kept = names.split_off(names.len().saturating_sub(failed));
        let unnamed = failed - kept.len();
        let names = kept.into_iter().chain((0..unnamed).map(|_| "a test".to_owned()));
        self.tally
            .failed
            .extend(names.map(|name| format!("{target}: {name}")));
    }

    /// A target that is left without its result has crashed, or was killed.
    fn close(&mut self) {
        if let Some(target) = self.target.take() {
            self.tally
                .failed
                .push(format!("{target}: ended without a result"));
        }
        self.failures = None;
        self.said.clear();
    }

    fn end(mut self) -> Tally {
        self.close();
        self.tally
    }
}

/// `Running tests/busy.rs (target/debug/deps/busy-0123)` or `Doc-tests watchpost_core`.
fn target(line: &str) -> Option<String> {
    if let Some(rest) = line.strip_prefix("Running ") {
        let (source, binary) = rest.strip_suffix(')')?.split_once(" (")?;
        let name = binary.rsplit_once('/').map_or(binary, |(_, name)| name);
        let name = name.rsplit_once('-').map_or(name, |(name, _hash)| name);
        let unit = source.starts_with("unittests");
        return Some(if unit { name.to_owned() } else { source.to_owned() });
    }
    let name = line.strip_prefix("Doc-tests ")?;
    Some(format!("documentation of {name}"))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(output: &str, expected: Expect) {
        let mut reading = Reading::default();
        output.lines().for_each(|line| reading.line(line));
        expected.assert_eq(&format!("{:#?}", reading.end()));
    }

    #[test]
    fn counts_are_added_up_and_failures_named_with_their_target() {
        check(
            "     Running unittests src/lib.rs (target/debug/deps/watchpost_core-0a1b)\n\n\
             running 2 tests\ntest a ... ok\ntest b ... ok\n\n\
             test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n     \
             Running tests/busy.rs (target/debug/deps/busy-77)\n\nrunning 2 tests\n\nfailures:\n\n\
             ---- slow stdout ----\nfailures:\n    not a name\nstack backtrace:\n   0: main\n\nfailures:\n    slow\n\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n",
            expect![[r#"
                Tally {
                    passed: 3,
                    ignored: 1,
                    failed: [
                        "tests/busy.rs: slow",
                    ],
                    said: [
                        "tests/busy.rs:",
                        "",
                        "---- slow stdout ----",
                        "failures:",
                        "    not a name",
                        "",
                        "failures:",
                        "    slow",
                        "",
                        "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
                    ],
                }"#]],
        );
    }

    #[test]
    fn a_target_that_ends_without_a_result_has_failed() {
        check(
            "     Running tests/kill/main.rs (target/debug/deps/kill-1)\nrunning 1 test\n\
             error: test failed, to rerun pass `-p watchpost-tests --test kill`\n   \
             Doc-tests watchpost_core\ntest result: ok. 4 passed; 0 failed; 0 ignored\n",
            expect![[r#"
                Tally {
                    passed: 4,
                    ignored: 0,
                    failed: [
                        "tests/kill/main.rs: ended without a result",
                    ],
                    said: [],
                }"#]],
        );
    }
}
