//! Keys and tables that are given twice: where the first stands.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::header::path_of;
use super::line::Line;
use super::{Explanation, readable};

/// Explains a key at `span` that the text had before.
pub(super) fn explain(text: &str, span: &Range<usize>, line: &Line<'_>) -> Option<Explanation> {
    let key = text.get(span.clone())?;
    if line.text.trim_start().starts_with('[') {
        return table(text, line);
    }
    // In one inline table, or before on other lines.
    let before = &text[line.start..span.start];
    let in_line = before.contains('{').then(|| before.find(key)).flatten();
    let first = match in_line {
        Some(at) => line.start + at..line.start + at + key.len(),
        None => first_key(text, line, key)?,
    };
    let number = line_number(text, first.start);
    let message = format!("`{key}` is given twice here, first on line {number}");
    Some(
        Explanation::new(span.clone(), message, "again here")
            .also(first, "first here")
            .help("remove one of the two: which was meant cannot be known"),
    )
}

/// The same for a table's header.
fn table(text: &str, line: &Line<'_>) -> Option<Explanation> {
    let header = line.text.trim();
    let many = header.starts_with("[[");
    let path = path_of(header)?;
    let root = readable(&text[..line.start]);
    let (last, parents) = path.split_last()?;
    let parent = parents
        .iter()
        .try_fold(root.get_ref(), |table, step| descend(table, step))?;
    let value = parent.get(last.as_str())?;
    let earlier = value.span();
    let number = line_number(text, earlier.start);
    let dotted = path.join(".");
    let here = line.start + line.indentation()..line.start + line.text.trim_end().len();
    let first_header = Line::around(text, text, earlier.start).text.trim().to_owned();
    let (message, help) = match value.get_ref() {
        DeValue::Array(_) => (
            format!("`[{dotted}]` here and `[[{dotted}]]` on line {number} are the same table"),
            format!("write `[[{dotted}]]` each time: there can be several"),
        ),
        DeValue::Table(_) if many && path_of(&first_header).is_some_and(|first| first.len() > path.len()) => {
            (
                format!(
                    "`{first_header}` on line {number} stands before the `[[{dotted}]]` that it belongs to"
                ),
                format!("move `{first_header}` and what is below it behind its `[[{dotted}]]`"),
            )
        }
        DeValue::Table(_) if many => (
            format!("`[[{dotted}]]` here and `[{dotted}]` on line {number} are the same table"),
            format!(
                "write `[[{dotted}]]` each time if there are several, and `[{dotted}]` once if there is one"
            ),
        ),
        DeValue::Table(_) => (
            format!("the table `[{dotted}]` is given twice, first on line {number}"),
            format!("put the keys of both under one `[{dotted}]`"),
        ),
        _ => (
            format!("`{dotted}` is given as a value on line {number}, and as a table here"),
            "remove one of the two".to_owned(),
        ),
    };
    Some(
        Explanation::new(here, message, "again here")
            .also(earlier, "first here")
            .help(help),
    )
}

/// Where the key of a line was given before in the same table.
fn first_key(text: &str, line: &Line<'_>, key: &str) -> Option<Range<usize>> {
    let before = &text[..line.start];
    let root = readable(before);
    let header = before.lines().rev().find_map(|line| path_of(line.trim()));
    let mut table = header
        .unwrap_or_default()
        .iter()
        .try_fold(root.get_ref(), |table, step| descend(table, step))?;
    // A dotted key: `retry.max = "5m"`.
    let dotted = line.text.split('=').next().unwrap_or_default();
    for step in dotted
        .split('.')
        .map(unquoted)
        .take_while(|step| *step != unquoted(key))
    {
        table = descend(table, step)?;
    }
    table.get_key_value(unquoted(key)).map(|(key, _)| key.span())
}

fn descend<'t, 'a>(table: &'t DeTable<'a>, step: &str) -> Option<&'t DeTable<'a>> {
    match table.get(step)?.get_ref() {
        DeValue::Table(table) => Some(table),
        DeValue::Array(items) => match items.iter().last()?.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => None,
        },
        _ => None,
    }
}

fn unquoted(key: &str) -> &str {
    key.trim().trim_matches(['"', '\''])
}

fn line_number(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}
