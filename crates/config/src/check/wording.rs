//! What is said of values that are of another type than they should be. It decides nothing.

use super::place::At;
use crate::error::Finding;
use crate::formats;
use crate::location::Origin;
use crate::schema::{Kind, Schema};
use crate::source::Sources;
use crate::tree::Value;

/// The error about a value of another type than its key's.
pub(super) fn mismatch(
    sources: &Sources,
    origin: Origin,
    found: &Value,
    schema: Schema<'_>,
    at: &At,
) -> Finding {
    let tables = schema.kind() == Kind::Array && schema.items().kind() == Kind::Table;
    let expected = match schema.kind() {
        Kind::Table => "a table".to_owned(),
        Kind::Array if tables => "a list of tables".to_owned(),
        Kind::Array if schema.one_or_many() => "a string in quotes, or an array of them".to_owned(),
        Kind::Array if schema.items().kind() == Kind::Integer => {
            let word = schema
                .word()
                .map(|word| format!(", or \"{word}\""))
                .unwrap_or_default();
            format!("an array of numbers, such as [587]{word}")
        }
        Kind::Array => "an array, such as [\"a\", \"b\"]".to_owned(),
        Kind::Integer => "a whole number".to_owned(),
        Kind::Number => "a number".to_owned(),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::String => match schema.words().as_slice() {
            [] => formats::expected(schema.format()).to_owned(),
            words => list(words, "or"),
        },
    };
    let kind = if matches!(found, Value::Float(float) if !float.is_finite()) {
        "not finite"
    } else {
        found.kind()
    };
    let message = format!(
        "`{}` in {} must be {expected}, and is {kind}",
        at.key(),
        at.parent()
    );
    let finding = sources.finding(origin, message).label(kind.to_owned());
    match (found, schema.kind(), schema.format()) {
        (Value::Integer(n), _, "duration") => finding.help(format!("write \"{n}s\" if you mean seconds")),
        (Value::Integer(n), _, "size") => finding.help(format!("write \"{n}MiB\" or \"{n}B\"")),
        (Value::Table(_), ..) if tables => finding.help(format!(
            "write `[[{0}]]` and not `[{0}]`: there can be several",
            at.path
        )),
        (Value::Array(_), Kind::Table, _) => {
            finding.help(format!("write `[{}]`, once: there is only one", at.path))
        }
        (Value::String(text), kind, _) if parses_as(text, kind) => finding.help("write it without quotes"),
        _ => finding,
    }
}

/// Words in a row, the last after `and`.
pub(super) fn list(words: &[&str], and: &str) -> String {
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
