//! The conventions of this repository, held as tests: which crate may use which, how a source file looks, what a
//! plugin's folder holds, that links lead somewhere.
//!
//! Every rule reports all its findings as `file:line: what is wrong`. The rules know Rust, cargo and Markdown and
//! refuse to know what Watchpost does.
#![allow(
    clippy::expect_used,
    reason = "helpers of tests are tests; clippy sees only the functions marked so"
)]

mod arrows;
mod files;
mod impls;
mod links;
mod plugins;
mod source;

use std::fmt::{self, Display};
use std::path::Path;

/// A place that breaks a rule.
#[derive(Debug, PartialEq)]
struct Finding {
    /// Relative to the workspace's root.
    file: String,
    /// Counted from 1.
    line: usize,
    problem: String,
}

impl Finding {
    fn new(file: &Path, line: usize, problem: impl Into<String>) -> Self {
        let file = file
            .strip_prefix(watchpost_testkit::workspace_root())
            .unwrap_or(file);
        Self {
            file: file.display().to_string(),
            line,
            problem: problem.into(),
        }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

/// Fails with every finding, one a line.
fn expect_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} finding(s):\n{}",
        lines.len(),
        lines.join("\n")
    );
}
