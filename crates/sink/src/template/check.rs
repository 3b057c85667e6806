//! What is wrong with a template, found when it is read: names that there are not, and alerts that it fails with.

use serde_json::Value as Json;

use super::document::below;
use super::{NAME, NAMES, Template};
use crate::samples::{known_keys, samples};
use crate::words;

/// Whether the template uses no name but those that there are, also where no alert leads it.
pub(super) fn names(template: &Template) -> Result<(), String> {
    let Ok(compiled) = template.environment.get_template(NAME) else {
        return Ok(());
    };
    let mut used: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
    used.sort();
    for path in used {
        let mut parts = path.split('.');
        let name = parts.next().unwrap_or_default();
        let wrong = match (name, NAMES.contains(&name)) {
            ("alert", _) => unknown_below(&path, known_keys(), parts),
            ("words", _) => unknown_below(&path, words::all(), parts),
            (_, true) => parts.next().map(|part| {
                let hint = format!("write `alert.{path}`");
                (part, format!("`{name}` is a text and has no `{part}`: {hint}"))
            }),
            (_, false) if template.environment.globals().any(|(global, _)| global == name) => None,
            (_, false) => Some((
                name,
                format!(
                    "there is no `{name}` in it; there are {}, and in `alert` all of an alert's document, as in `alert.camera.id`",
                    NAMES.join(", ")
                ),
            )),
        };
        if let Some((part, why)) = wrong {
            let at = find(&template.source, part).map_or_else(String::new, |at| place(&template.source, at));
            return Err(format!("{why}{at}"));
        }
    }
    Ok(())
}

/// The first part of a path that the document does not have, and what is wrong with it.
fn unknown_below<'p>(
    path: &str,
    mut known: &'static Json,
    parts: impl Iterator<Item = &'p str>,
) -> Option<(&'p str, String)> {
    let mut table = path.split('.').next().unwrap_or_default().to_owned();
    for part in parts {
        let Some(next) = below(known, part) else {
            let has = match known {
                Json::Object(keys) => {
                    let keys: Vec<&str> = keys.keys().map(String::as_str).collect();
                    format!("`{table}` can have {}", keys.join(", "))
                }
                _ => format!("`{table}` is no table"),
            };
            return Some((part, format!("there is no `{path}`; {has}")));
        };
        known = next;
        table = format!("{table}.{part}");
    }
    None
}

/// Fills the template with an alert of every kind.
pub(super) fn rehearse(template: &Template) -> Result<(), String> {
    for sample in samples() {
        let filled = sample.alert.with(|alert| template.fill(alert));
        if let Err(error) = filled {
            let why = explain(&error, &template.source);
            return Err(format!("it fails with {}: {why}", sample.what));
        }
    }
    Ok(())
}

/// One sentence: what is wrong, and where in the template.
pub(super) fn explain(error: &minijinja::Error, source: &str) -> String {
    let what = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match (error.range(), error.line()) {
        (Some(range), _) => format!("{what}{}", place(source, range.start)),
        (None, Some(line)) => format!("{what} (line {line})"),
        (None, None) => what,
    }
}

/// Where a byte of the template stands, for people.
fn place(source: &str, at: usize) -> String {
    let before = source.get(..at).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(" (line {line}, column {column})")
}

/// Where a name first stands by itself within `{{ }}` or `{% %}`.
fn find(source: &str, name: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    source.match_indices(name).map(|(at, _)| at).find(|at| {
        let (before, after) = (&source[..*at], &source[at + name.len()..]);
        let inside = ["{{", "{%"].iter().filter_map(|mark| before.rfind(mark)).max()
            > ["}}", "%}"].iter().filter_map(|mark| before.rfind(mark)).max();
        inside && !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}
