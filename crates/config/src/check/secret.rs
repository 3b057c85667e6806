//! Secrets are one property of three keys, of which exactly one is given. Nothing here shows what stands
//! behind them: it points at keys, not at values.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::findings::Findings;
use super::place::At;
use crate::formats;
use crate::location::Origin;
use crate::mask::looks_like_token;
use crate::schema::Schema;
use crate::tree::{Table, Value};

/// The three ways to give a secret: how the key ends, and how `SecretSource` calls it.
const SECRET_FORMS: [(&str, &str); 3] = [("", "inline"), ("_file", "file"), ("_env", "env")];

/// Of the three keys of a secret, the one that is given. `None` when there is none.
pub(super) fn secret(
    found: &mut Findings<'_>,
    credentials: Option<&Path>,
    key: &str,
    table: &Table,
    at: &At,
) -> Option<Json> {
    let given = |(end, form): (&str, &'static str)| {
        let key = format!("{key}{end}");
        table.get(&key).map(|entry| (key, form, entry))
    };
    let mut given = SECRET_FORMS.into_iter().filter_map(given);
    let (key, form, entry) = given.next()?;
    if let Some((other, _, second)) = given.next() {
        let finding = found.sources.finding(
            second.key,
            format!("both `{key}` and `{other}` are given in {at}"),
        );
        let place = found.sources.location(entry.key);
        let finding = finding.label("and this").also(entry.key, "this");
        let finding = finding.help(format!("leave `{other}` out, or `{key}` ({place})"));
        return Some(found.report(finding));
    }
    // Points at the key: the value is not shown, so there is nothing to underline.
    let text = match &entry.node.value {
        Value::String(text) | Value::Untyped(text) => text,
        other => {
            let message = format!(
                "`{key}` in {at} must be a string in quotes, and is {}",
                other.kind()
            );
            let finding = found.sources.finding(entry.key, message).label("not a string");
            return Some(found.report(finding));
        }
    };
    let format = match form {
        "file" => "path",
        "env" => "variable",
        _ => "text",
    };
    if let Err(violation) = formats::check(format, text) {
        let message = format!("`{key}` in {at} {}", violation.problem);
        let finding = found
            .sources
            .finding(entry.key, message)
            .label("here")
            .help(violation.help);
        return Some(found.report(finding));
    }
    if form == "file" && looks_like_token(text) {
        let message = format!("`{key}` in {at} holds the secret itself");
        let finding = found.sources.finding(entry.key, message).label("here");
        return Some(found.report(finding.help("put it into a file, and write the file's path here")));
    }
    Some(match form {
        "file" => json!({ form: secret_file(found, credentials, text, entry.node.origin) }),
        _ => json!({ form: text }),
    })
}

/// A secret's file is looked for among the service manager's credentials first.
fn secret_file(found: &Findings<'_>, credentials: Option<&Path>, text: &str, origin: Origin) -> PathBuf {
    let credential = credentials.map(|folder| folder.join(text));
    match credential {
        Some(path) if Path::new(text).is_relative() && path.exists() => path,
        _ => found.absolute(text, origin),
    }
}

/// The secret of which this is one of the three keys.
pub(super) fn secret_of<'a>(schema: Schema<'a>, key: &str) -> Option<Schema<'a>> {
    let base = |end: &str| {
        schema
            .property(key.strip_suffix(end)?)
            .filter(|property| property.format() == "secret")
    };
    SECRET_FORMS.iter().find_map(|(end, _)| base(end))
}

/// The keys that stand for a property.
pub(crate) fn spellings(key: &str, property: Schema<'_>) -> Vec<String> {
    match property.format() {
        "secret" => SECRET_FORMS
            .iter()
            .map(|(end, _)| format!("{key}{end}"))
            .collect(),
        _ => vec![key.to_owned()],
    }
}
