//! What is said of values that are of another type than they should be. It decides nothing.

use super::place::At;
use crate::error::Finding;
use crate::formats;
use crate::location::Origin;
use crate::mask::is_secret_key;
use crate::schema::{Kind, Schema};
use crate::source::Sources;
use crate::tree::{Table, Value};

/// Words that people write for `true` and `false`.
const YES: [&str; 4] = ["yes", "on", "y", "1"];
const NO: [&str; 4] = ["no", "off", "n", "0"];

/// A number of bytes that is not meant as one of mebibytes.
const LARGE: i64 = 1 << 20;

/// The error about a value of another type than its key's.
pub(super) fn mismatch(
    sources: &Sources,
    origin: Origin,
    found: &Value,
    schema: Schema<'_>,
    at: &At,
) -> Finding {
    let kind = if matches!(found, Value::Float(float) if !float.is_finite()) {
        "not finite"
    } else {
        found.kind()
    };
    let message = format!(
        "`{}` in {} must be {}, and is {kind}",
        at.key(),
        at.parent(),
        expected(schema)
    );
    let finding = sources.finding(origin, message).label(kind.to_owned());
    match advice(found, schema, at) {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// What a value of this schema is.
fn expected(schema: Schema<'_>) -> String {
    let tables = schema.kind() == Kind::Array && schema.items().kind() == Kind::Table;
    match schema.kind() {
        Kind::Table => "a table".to_owned(),
        Kind::Array if tables && schema.one_or_many() => "a table, or an array of them".to_owned(),
        Kind::Array if tables => "a list of tables".to_owned(),
        Kind::Array if schema.one_or_many() && schema.items().kind() == Kind::Integer => {
            "a whole number, or an array of them".to_owned()
        }
        Kind::Array if schema.one_or_many() => "a string in quotes, or an array of them".to_owned(),
        Kind::Array if schema.items().kind() == Kind::Integer => {
            let word = schema
                .word()
                .map(|word| format!(", or \"{word}\""))
                .unwrap_or_default();
            let example = if schema.is_ours() { "[587]" } else { "[1, 2]" };
            format!("an array of numbers, such as {example}{word}")
        }
        Kind::Array => "an array, such as [\"a\", \"b\"]".to_owned(),
        Kind::Integer => "a whole number".to_owned(),
        Kind::Number => "a number".to_owned(),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::String => match schema.words().as_slice() {
            [] => formats::expected(schema.format()).to_owned(),
            words => list(words, "or"),
        },
        Kind::Any => {
            let mut kinds: Vec<&str> = Vec::new();
            for kind in schema.kinds() {
                let word = match kind {
                    Kind::Table => "a table",
                    Kind::Array => "an array",
                    Kind::String => "a string in quotes",
                    Kind::Integer => "a whole number",
                    Kind::Number => "a number",
                    Kind::Boolean => "`true` or `false`",
                    Kind::Any => "another value",
                };
                if !kinds.contains(&word) {
                    kinds.push(word);
                }
            }
            kinds.join(" or ")
        }
    }
}

/// What to write instead.
fn advice(found: &Value, schema: Schema<'_>, at: &At) -> Option<String> {
    let tables = schema.kind() == Kind::Array && schema.items().kind() == Kind::Table;
    let secret = is_secret_key(at.key());
    match (found, schema.kind(), schema.format()) {
        (Value::Integer(n), _, "duration") => Some(format!("write \"{n}s\" if you mean seconds")),
        (Value::Integer(n), _, "rate") => Some(format!("write \"{n} per 1h\" if you mean in an hour")),
        (Value::Integer(n), _, "size") if *n >= LARGE => Some(format!("write \"{n}B\"")),
        (Value::Integer(n), _, "size") => Some(format!("write \"{n}MiB\" or \"{n}B\"")),
        (Value::Table(table), ..) if tables => Some(list_of_tables(table, at)),
        (Value::String(_) | Value::Integer(_) | Value::Boolean(_), Kind::Array, _) if tables => Some(
            format!("write a line `[[{}]]`, and its keys below it", at.dotted()),
        ),
        (Value::String(_) | Value::Integer(_) | Value::Boolean(_), Kind::Table, _) => {
            Some(format!("write a line `[{}]`, and its keys below it", at.dotted()))
        }
        (Value::Array(_), Kind::Table, _) => {
            Some(format!("write `[{}]`, once: there is only one", at.dotted()))
        }
        (Value::String(text), Kind::Boolean, _) if YES.contains(&text.to_lowercase().as_str()) => {
            Some("write `true`".to_owned())
        }
        (Value::String(text), Kind::Boolean, _) if NO.contains(&text.to_lowercase().as_str()) => {
            Some("write `false`".to_owned())
        }
        (Value::Integer(n @ (0 | 1)), Kind::Boolean, _) => Some(format!("write `{}`", *n == 1)),
        (Value::String(text), kind, _) if parses_as(text, kind) => Some("write it without quotes".to_owned()),
        (Value::Float(float), Kind::Integer, _) if float.fract() == 0.0 => Some(format!("write {float:.0}")),
        (Value::String(text), Kind::Array, _) if parses_as(text, schema.items().kind()) => {
            Some(format!("write [{text}]"))
        }
        (Value::Integer(n), Kind::Array, _) if schema.items().kind() == Kind::Integer => {
            Some(format!("write [{n}]"))
        }
        (Value::String(text), Kind::Array, _) if schema.items().kind() == Kind::String && !secret => {
            let elements: Vec<String> = text
                .split(',')
                .map(|part| format!("\"{}\"", part.trim()))
                .collect();
            Some(format!("write [{}]", elements.join(", ")))
        }
        (Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_), Kind::String, "")
            if secret =>
        {
            Some("write it in quotes".to_owned())
        }
        (Value::Integer(n), Kind::String, "" | "text" | "name") if schema.words().is_empty() => {
            Some(with_summary(&format!("write \"{n}\""), schema))
        }
        (Value::Boolean(b), Kind::String, "" | "text") if schema.words().is_empty() => {
            Some(with_summary(&format!("write \"{b}\""), schema))
        }
        (Value::Array(items), Kind::String, _) if items.len() == 1 => {
            Some("write it without `[ ]`: there is only one".to_owned())
        }
        _ => None,
    }
}

/// One table stands where there can be several.
fn list_of_tables(table: &Table, at: &At) -> String {
    let only_tables = table
        .values()
        .all(|entry| matches!(entry.node.value, Value::Table(_)));
    let below: Vec<String> = table
        .keys()
        .map(|key| format!("`[{}.{key}]`", at.dotted()))
        .collect();
    if only_tables && !below.is_empty() {
        let below = below.join(" and ");
        return format!(
            "write `[[{}]]` with its keys first, and {below} behind it",
            at.dotted()
        );
    }
    format!(
        "write `[[{0}]]` and not `[{0}]`: there can be several",
        at.dotted()
    )
}

/// For a plugin's key: its description says what the string is, a duration for instance.
fn with_summary(advice: &str, schema: Schema<'_>) -> String {
    match schema.summary() {
        summary if summary.is_empty() || schema.is_ours() => advice.to_owned(),
        summary => format!("{advice}; {summary}"),
    }
}

/// Words in a row, the last after `and`.
pub(crate) fn list(words: &[&str], and: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} {and} {last}", most.join(", ")),
    }
}

/// Whether a string would be right without its quotes.
fn parses_as(text: &str, kind: Kind) -> bool {
    match kind {
        Kind::Boolean => text.parse::<bool>().is_ok(),
        Kind::Integer => text.parse::<i64>().is_ok(),
        Kind::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
        _ => false,
    }
}
