//! `watchpost routes`: whether the configuration sends alerts where they should go, by a table of cases beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use watchpost_config::{Settings, not_there};
use watchpost_hub::{Decision, DryRun};

use crate::exit::Failure;
use crate::sample::Sample;
use crate::target::Target;
use crate::{out, values};

#[derive(Debug, Args)]
pub(crate) struct RoutesArgs {
    #[command(subcommand)]
    command: RoutesCommand,
}

#[derive(Debug, Subcommand)]
enum RoutesCommand {
    /// Decide about every alert of a table of cases, and show which goes elsewhere than it should. Asks no running hub.
    ///
    /// A case is a `[[case]]` with `alert = { camera = "Back door", score = -2.5, at = "2026-12-24 23:10" }`, whose keys are
    /// the options of `watchpost explain`, and `sinks = ["siren", "mail"]`, all that get it.
    Test {
        /// The table, in TOML.
        file: PathBuf,
        /// Print JSON: one document a case.
        #[arg(long)]
        json: bool,
    },
}

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<toml::Spanned<Case>>,
}

/// An alert, and where it should go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it is about, for people.
    #[serde(default)]
    name: Option<String>,
    alert: Sample,
    /// All sinks that get it.
    sinks: Vec<String>,
}

/// What became of a case.
#[derive(Debug, Serialize)]
struct Tested<'a> {
    /// Its name, or its number.
    case: String,
    /// Where it stands in the file.
    line: usize,
    ok: bool,
    expected: BTreeSet<&'a str>,
    actual: BTreeSet<&'a str>,
    decision: &'a Decision,
}

pub(crate) fn run(target: &Target, args: &RoutesArgs) -> anyhow::Result<()> {
    let RoutesCommand::Test { file, json } = &args.command;
    let loaded = target.load()?;
    test(&loaded.settings, file, *json)
}

fn test(settings: &Settings, file: &Path, json: bool) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let cases = cases(&text, file)?;
    let dry_run = DryRun::new(settings);
    let now = values::now();
    let mut failed = 0;
    for (number, spanned) in cases.iter().enumerate() {
        let (line, case) = (line_of(&text, spanned.span().start), spanned.get_ref());
        let place = || format!("{}:{line}", file.display());
        let alert = case.alert.alert(settings, now);
        let alert = alert.map_err(|why| Failure::Config(format!("{}: {why}", place())))?;
        check_sinks(case, settings).map_err(|why| Failure::Config(format!("{}: {why}", place())))?;
        let circumstances = case.alert.circumstances(settings);
        let circumstances = circumstances.map_err(|why| Failure::Config(format!("{}: {why}", place())))?;
        let decision = dry_run.decide(alert, circumstances);
        let getting = decision.sinks.iter().filter(|decided| decided.delivers);
        let expected: BTreeSet<&str> = case.sinks.iter().map(String::as_str).collect();
        let actual = getting.map(|decided| decided.sink.as_str()).collect();
        let ok = expected == actual;
        failed += usize::from(!ok);
        let tested = Tested {
            case: case
                .name
                .clone()
                .unwrap_or_else(|| format!("case {}", number + 1)),
            line,
            ok,
            expected,
            actual,
            decision: &decision,
        };
        match json {
            true => out::json(&tested)?,
            false if !ok => show(&place(), &tested)?,
            false => {}
        }
    }
    let total = cases.len();
    if failed > 0 {
        anyhow::bail!("{failed} of {} went elsewhere", out::count(total as u64, "case"));
    }
    if !json {
        let cases = out::count(total as u64, "case");
        out::line(format_args!("{}: ok ({cases})", file.display()))?;
    }
    Ok(())
}

/// Reads the table.
fn cases(text: &str, file: &Path) -> anyhow::Result<Vec<toml::Spanned<Case>>> {
    let table: Table = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        Failure::Config(format!("{}:{line}: {}", file.display(), error.message()))
    })?;
    Ok(table.case)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// A sink that there is not can get no alert, which is a typing error.
fn check_sinks(case: &Case, settings: &Settings) -> Result<(), String> {
    let known = || settings.sink.iter().map(|sink| sink.name.as_str());
    match case
        .sinks
        .iter()
        .find(|name| !known().any(|known| known == *name))
    {
        Some(wrong) => Err(not_there("sink", wrong, known())),
        None => Ok(()),
    }
}

/// What went elsewhere, and why.
fn show(place: &str, tested: &Tested<'_>) -> anyhow::Result<()> {
    let list = |sinks: &BTreeSet<&str>| match sinks.is_empty() {
        true => "none".to_owned(),
        false => sinks.iter().copied().collect::<Vec<_>>().join(", "),
    };
    out::line(format_args!("{place}: {}", tested.case))?;
    out::line(format_args!("  expected  {}", list(&tested.expected)))?;
    out::line(format_args!("  actual    {}", list(&tested.actual)))?;
    for sink in tested.expected.symmetric_difference(&tested.actual) {
        let decided = tested.decision.sinks.iter().find(|decided| decided.sink == *sink);
        let (sign, verb) = match tested.actual.contains(sink) {
            true => ('+', "gets it"),
            false => ('-', "does not get it"),
        };
        let why = decided.map_or_else(String::new, |decided| format!(": {}", decided.why));
        out::line(format_args!("  {sign} {sink} {verb}{why}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_knows_its_line_and_a_mistake_its_own() {
        let text = "# Cases\n[[case]]\nalert = {}\nsinks = []\n\n[[case]]\nalert = { score = -2 }\nsinks = [\"a\"]\n";
        let found = cases(text, Path::new("cases.toml")).unwrap();
        let lines: Vec<usize> = found
            .iter()
            .map(|case| line_of(text, case.span().start))
            .collect();
        assert_eq!(lines, [2, 6]);
        for (text, expected) in [
            ("[[case]]\nalert = {}\n", "cases.toml:1: missing field `sinks`"),
            (
                "\n[[case]]\nalert = { scor = -2 }\nsinks = []\n",
                "cases.toml:3: unknown field `scor`",
            ),
            ("[[case]\n", "cases.toml:1: "),
        ] {
            let refusal = cases(text, Path::new("cases.toml")).unwrap_err().to_string();
            assert!(refusal.starts_with(expected), "{refusal}");
        }
    }
}
