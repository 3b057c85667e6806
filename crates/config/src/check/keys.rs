//! Keys that are not known and keys that are missing, with what is likely to be meant.

use super::findings::Findings;
use super::place::At;
use super::secret::spellings;
use super::wording::list;
use crate::location::Origin;
use crate::nearest::nearest;
use crate::schema::{self, Kind, Schema};

/// Reports a key that is not known, and returns the one that is likely to be meant.
pub(super) fn unknown(
    found: &mut Findings<'_>,
    key: &str,
    origin: Origin,
    schema: Schema<'_>,
    at: &At,
) -> Option<String> {
    let keys: Vec<String> = schema
        .properties()
        .into_iter()
        .flatten()
        .flat_map(|(key, property)| spellings(key, property))
        .collect();
    let near = nearest(key, keys.iter().map(String::as_str));
    let elsewhere = || {
        let (table, schema) = schema::root().properties()?.find(|(_, table)| {
            let table = if table.kind() == Kind::Array {
                table.items()
            } else {
                *table
            };
            table.property(key).is_some()
        })?;
        Some(At {
            path: table.to_owned(),
            many: schema.kind() == Kind::Array,
        })
    };
    let help = if let Some(near) = near {
        format!("did you mean `{near}`?")
    } else if let Some(table) = elsewhere() {
        format!("`{key}` belongs in {table}")
    } else {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        format!("its keys are {}", list(&keys, "and"))
    };
    let finding = found
        .sources
        .finding(origin, format!("unknown key `{key}` in {at}"));
    found.report(finding.label("not a key here").help(help));
    near.map(str::to_owned)
}

/// Reports the keys that a table needs and lacks.
pub(super) fn missing(found: &mut Findings<'_>, missing: &[(&str, Schema<'_>)], origin: Origin, at: &At) {
    let shown = |(key, schema): &(&str, Schema<'_>)| match schema.kind() {
        Kind::Array if schema.items().kind() == Kind::Table => format!("[[{key}]]"),
        _ if schema.format() == "secret" => format!("{key}_file"),
        _ => (*key).to_owned(),
    };
    let keys: Vec<String> = missing.iter().map(shown).collect();
    let explained = missing.iter().map(|entry| {
        let also = if entry.1.format() == "secret" {
            format!(" (or `{0}`, `{0}_env`)", entry.0)
        } else {
            String::new()
        };
        let description = entry.1.description().replace('\n', " ");
        let sentence = description
            .split(". ")
            .next()
            .unwrap_or_default()
            .trim_end_matches('.');
        format!("`{}`{also}: {sentence}", shown(entry))
    });
    let help = explained.collect::<Vec<_>>().join("\n");
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let finding = found
        .sources
        .finding(origin, format!("{at} lacks {}", list(&keys, "and")));
    found.report(finding.label("in here").help(help));
}
