//! What became of the checks and tests of a run, and its last words. A failure stops no other check.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::harness::Tally;

/// Counts, and the names of all that did not pass.
#[derive(Debug, Default)]
pub(crate) struct Report {
    passed: u64,
    failed: Vec<String>,
    skipped: Vec<String>,
    /// What the tests that failed printed.
    said: Vec<String>,
}

impl Report {
    /// Announces a check, runs it and says how long it took. What it counted is counted, and it itself as well.
    pub(crate) fn check(&mut self, name: &str, check: impl FnOnce(&mut Self) -> Result<()>) {
        println!("==> {name}");
        let begun = Instant::now();
        let outcome = check(self);
        let took = seconds(begun.elapsed());
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("    {name} passed in {took}");
            }
            Err(error) => {
                println!("    {name} failed after {took}: {error:#}");
                self.failed.push(format!("{name}: {error:#}"));
            }
        }
    }

    /// Counts a check that cannot run here.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        println!("==> {name} skipped: {why}");
        self.skipped.push(format!("{name}: {why}"));
    }

    /// Adds what tests said.
    pub(crate) fn add(&mut self, tally: Tally, skipped: Vec<String>) {
        self.passed += tally.passed;
        self.failed.extend(tally.failed);
        self.said.extend(tally.said);
        self.skipped.extend(skipped);
    }

    /// What did not pass and why, once more, for it scrolled away long ago; and the counts as the last line.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        let lists = [
            ("what the failed tests printed", &self.said),
            ("skipped", &self.skipped),
            ("failed", &self.failed),
        ];
        for (what, list) in lists {
            if list.is_empty() {
                continue;
            }
            text += &format!("==> {what}\n");
            for line in list.iter().flat_map(|entry| entry.lines()) {
                text += &format!("    {line}\n");
            }
        }
        let counts = (self.passed, self.failed.len(), self.skipped.len());
        text + &format!("{} passed, {} failed, {} skipped\n", counts.0, counts.1, counts.2)
    }

    /// Fails if anything has failed.
    pub(crate) fn verdict(&self) -> Result<()> {
        if !self.failed.is_empty() {
            bail!("not green");
        }
        Ok(())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_failure_stops_nothing_and_is_listed_at_the_end() {
        let mut report = Report::default();
        report.check("lints", |_| Err(anyhow!("`cargo clippy` failed")));
        report.check("tests", |report| {
            let tally = Tally {
                passed: 812,
                ignored: 0,
                failed: vec!["tests/busy.rs: a_ping".into()],
                said: vec!["a pong never came".into()],
            };
            report.add(tally, vec!["a_proxy: it needs nginx".into()]);
            Ok(())
        });
        report.skip("dependencies", "no cargo-deny");
        expect![[r#"
            ==> what the failed tests printed
                a pong never came
            ==> skipped
                a_proxy: it needs nginx
                dependencies: no cargo-deny
            ==> failed
                lints: `cargo clippy` failed
                tests/busy.rs: a_ping
            813 passed, 2 failed, 2 skipped
        "#]]
        .assert_eq(&report.summary());
        assert!(report.verdict().is_err());
    }
}
