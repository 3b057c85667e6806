//! What a person says to the hub: the acts of a table as commands of the program.

use std::path::Path;
use std::process::Command;
use std::vec;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use watchpost_core::{ArmingCommand, Panic, SilenceCommand};
use watchpost_testkit::artefacts;

/// The exit code of what did not work.
const FAILED: i32 = 1;

/// Says this. Answers with what is printed, or why it is refused.
pub(crate) fn say<S: AsRef<str>>(data_dir: &Path, words: &[S]) -> Result<Result<String, String>> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let mut command = Command::new(artefacts()?.watchpost()?);
    let command = command.args(&words).arg("--data-dir").arg(data_dir);
    let output = command.output().context("watchpost does not start")?;
    let text = String::from_utf8(if output.status.success() {
        output.stdout
    } else {
        output.stderr
    })?;
    if output.status.success() {
        return Ok(Ok(text));
    }
    let refused = text.trim_end().strip_prefix("watchpost: ");
    ensure!(
        output.status.code() == Some(FAILED) && refused.is_some(),
        "watchpost {} ended with {}: {text}",
        words.join(" "),
        output.status
    );
    Ok(Err(refused.unwrap_or_default().to_owned()))
}

/// Asks for a document, or for one a line.
pub(crate) fn ask(data_dir: &Path, words: &[&str]) -> Result<Vec<Value>> {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    let answer = say(data_dir, &words)?.map_err(anyhow::Error::msg)?;
    let documents = serde_json::Deserializer::from_str(&answer).into_iter();
    documents
        .collect::<serde_json::Result<_>>()
        .with_context(|| format!("{words:?} printed {answer}"))
}

pub(crate) fn arming(command: &ArmingCommand) -> Vec<String> {
    match command {
        ArmingCommand::Arm {
            mode, areas, force, ..
        } => {
            let force = force.then(|| "--force".to_owned());
            let said = words(&["arm", &mode.to_string()]).chain(named("--area", areas));
            said.chain(force).collect()
        }
        ArmingCommand::Disarm { areas, .. } => words(&["disarm"]).chain(named("--area", areas)).collect(),
        ArmingCommand::Postpone { areas, lasts, .. } => {
            let lasts = format!("{}s", lasts.as_secs());
            words(&["arm", "--postpone", &lasts])
                .chain(named("--area", areas))
                .collect()
        }
        ArmingCommand::Test { areas, lasts, .. } => {
            let how = match lasts {
                Some(lasts) => vec!["--for".to_owned(), format!("{}s", lasts.as_secs())],
                None => vec!["--end".to_owned()],
            };
            words(&["test-mode"])
                .chain(areas.iter().cloned())
                .chain(how)
                .collect()
        }
        ArmingCommand::Seen { areas } => words(&["areas", "seen"]).chain(named("--area", areas)).collect(),
    }
}

pub(crate) fn panic(panic: &Panic) -> Vec<String> {
    let silent = panic.silent.then(|| "--silent".to_owned());
    let said = words(&["panic"])
        .chain(named("--area", &panic.areas))
        .chain(silent);
    said.chain(named("--why", panic.why.as_slice())).collect()
}

pub(crate) fn silence(command: &SilenceCommand) -> Result<Vec<String>> {
    Ok(match command {
        SilenceCommand::Begin {
            matches, lasts, why, ..
        } => {
            let lasts = format!("{}s", lasts.as_secs());
            let said = words(&["silence", "--for", &lasts, "--why", why]);
            said.chain(conditions(&serde_json::to_value(matches)?)).collect()
        }
        SilenceCommand::Extend { id, lasts } => {
            let lasts = format!("{}s", lasts.as_secs());
            words(&["silence", "extend", &id.to_string(), "--for", &lasts]).collect()
        }
        SilenceCommand::End { id, .. } => words(&["silence", "end", &id.to_string()]).collect(),
    })
}

/// What a silence is about.
fn conditions(matches: &Value) -> vec::IntoIter<String> {
    let table = matches.as_object().into_iter().flatten();
    let single = table.flat_map(|(key, value)| match value {
        Value::Array(values) => values.iter().map(|value| (key, value)).collect(),
        value => vec![(key, value)],
    });
    let texts = single.filter_map(|(key, value)| Some((key, value.as_str()?)));
    let options = texts.flat_map(|(key, value)| match key.as_str() {
        "sink" => ["--sink".to_owned(), value.to_owned()],
        key => ["--match".to_owned(), format!("{key}={value}")],
    });
    options.collect::<Vec<_>>().into_iter()
}

fn words(words: &[&str]) -> vec::IntoIter<String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    words.into_iter()
}

/// The option once for each.
fn named(option: &str, values: &[String]) -> vec::IntoIter<String> {
    let named = values.iter().flat_map(|value| [option.to_owned(), value.clone()]);
    named.collect::<Vec<_>>().into_iter()
}
