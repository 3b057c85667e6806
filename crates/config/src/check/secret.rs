//! Secrets are one property of three keys, of which exactly one is given. Nothing here shows what stands
//! behind them: it points at keys, not at values.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::Checker;
use super::place::At;
use crate::formats;
use crate::mask::looks_like_token;
use crate::schema::Schema;
use crate::source::Origin;
use crate::tree::{Table, Value};

/// The three ways to give a secret: how the key ends, and how `SecretSource` calls it.
const SECRET_FORMS: [(&str, &str); 3] = [("", "inline"), ("_file", "file"), ("_env", "env")];

impl Checker<'_> {
    /// Of the three keys of a secret, the one that is given. `None` when there is none.
    pub(super) fn secret(&mut self, key: &str, table: &Table, at: &At) -> Option<Json> {
        let given = |(end, form): (&str, &'static str)| {
            let key = format!("{key}{end}");
            table.get(&key).map(|entry| (key, form, entry))
        };
        let mut given = SECRET_FORMS.into_iter().filter_map(given);
        let (key, form, entry) = given.next()?;
        if let Some((other, _, second)) = given.next() {
            let finding = self.sources.finding(
                second.key,
                format!("both `{key}` and `{other}` are given in {at}"),
            );
            let place = self.sources.location(entry.key);
            let finding = finding.label("and this").also(entry.key, "this");
            let finding = finding.help(format!("leave `{other}` out, or `{key}` ({place})"));
            return Some(self.report(finding));
        }
        // Points at the key: the value is not shown, so there is nothing to underline.
        let text = match &entry.node.value {
            Value::String(text) | Value::Untyped(text) => text,
            other => {
                let message = format!(
                    "`{key}` in {at} must be a string in quotes, and is {}",
                    other.kind()
                );
                let finding = self.sources.finding(entry.key, message).label("not a string");
                return Some(self.report(finding));
            }
        };
        let format = match form {
            "file" => "path",
            "env" => "variable",
            _ => "text",
        };
        if let Err(fault) = formats::check(format, text) {
            let message = format!("`{key}` in {at} {}", fault.problem);
            let finding = self
                .sources
                .finding(entry.key, message)
                .label("here")
                .help(fault.help);
            return Some(self.report(finding));
        }
        if form == "file" && looks_like_token(text) {
            let message = format!("`{key}` in {at} holds the secret itself");
            let finding = self.sources.finding(entry.key, message).label("here");
            return Some(self.report(finding.help("put it into a file, and write the file's path here")));
        }
        Some(match form {
            "file" => json!({ form: self.secret_file(text, entry.node.origin) }),
            _ => json!({ form: text }),
        })
    }

    /// A secret's file is looked for among the service manager's credentials first.
    fn secret_file(&self, text: &str, origin: Origin) -> PathBuf {
        let credential = self.credentials.as_ref().map(|folder| folder.join(text));
        match credential {
            Some(path) if Path::new(text).is_relative() && path.exists() => path,
            _ => self.absolute(text, origin),
        }
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
pub(super) fn spellings(key: &str, property: Schema<'_>) -> Vec<String> {
    match property.format() {
        "secret" => SECRET_FORMS
            .iter()
            .map(|(end, _)| format!("{key}{end}"))
            .collect(),
        _ => vec![key.to_owned()],
    }
}
