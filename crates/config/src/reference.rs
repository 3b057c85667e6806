//! The reference page, made of what the settings types say of themselves.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::schema::{self, Kind, Schema};

const INTRODUCTION: &str = "\
# The configuration of Watchpost

<!-- Generated from the types in crates/config: change it there, then run
     `UPDATE_EXPECT=1 cargo test -p watchpost-config`. -->

One TOML file, `/etc/watchpost/watchpost.toml` unless `--config` names another. Merged into it are, each over the one
before:

1. the files `conf.d/*.toml` beside it, in the order of their names;
2. environment variables: `WATCHPOST__HUB__LOG=debug` is `log` in `[hub]`, `WATCHPOST__SINK__0__TIMEOUT=5s` is `timeout`
   of the first `[[sink]]`.

Tables are merged key by key; `[[connection]]`, `[[sink]]` and `[[route]]` add up; any other value replaces the earlier one.
An unknown key is an error. `watchpost check` shows every error with file, line and column.

- **Durations** are numbers with units, `ms`, `s`, `m`, `h`, `d`, `w`: `\"30s\"`, `\"1m30s\"`.
- **Sizes** are a number with a unit, `KiB`, `MiB`, `GiB`, `TiB` (1024-based) or `kB`, `MB`, `GB`, `TB`, `B`: `\"2GiB\"`.
- **Paths** that are relative belong to the folder of the file that they stand in; from the environment, to the working
  directory.
- **Secrets** such as `token` have three forms, of which exactly one is given: `token` holds it, `token_file` names a file
  that holds it (and nothing else), `token_env` an environment variable. A relative `token_file` is looked for among the
  credentials of systemd (`LoadCredential=`) first. The file is read again at each use.

A running hub goes by changed files after `watchpost reload`. A key whose change takes a restart of the hub says so.
";

/// The reference page in Markdown: every table and key, its type, default and meaning.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for table in schema::root().properties().into_iter().flatten() {
        section(&mut page, "", table);
    }
    page
}

/// A table, then the tables in it.
fn section(page: &mut String, parent: &str, (key, schema): (&str, Schema<'_>)) {
    let path = format!("{parent}{key}");
    let (header, table) = match schema.kind() {
        Kind::Array => (format!("[[{path}]]"), schema.items()),
        _ => (format!("[{path}]"), schema),
    };
    let mut text = format!("\n## `{header}`\n\n{}\n", flow(schema.description()));
    let (mut rows, mut inner) = (String::new(), Vec::new());
    let needed = |key: &str| table.required().any(|required| required == key);
    let mut properties: Vec<_> = table.properties().into_iter().flatten().collect();
    // What must be given comes first.
    properties.sort_by_key(|(key, _)| !needed(key));
    for (key, property) in properties {
        let tables = property.kind() == Kind::Array && property.items().kind() == Kind::Table;
        if property.kind() == Kind::Table || tables && property.one_or_many() && !property.is_nested() {
            inner.push((key, property));
        } else {
            row(&mut rows, key, property, needed(key));
        }
    }
    if !rows.is_empty() {
        text += "\n| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n";
    }
    page.push_str(&text);
    page.push_str(&rows);
    for table in inner {
        section(page, &format!("{path}."), table);
    }
}

fn row(rows: &mut String, key: &str, schema: Schema<'_>, needed: bool) {
    let default = match schema.default() {
        _ if needed => "**required**".to_owned(),
        Some(Json::Array(items)) if items.is_empty() && schema.one_or_many() => "any".to_owned(),
        Some(Json::Array(items)) if items.is_empty() => "none".to_owned(),
        Some(default) => format!("`{default}`"),
        None => "none".to_owned(),
    };
    let keys = match schema.format() {
        "secret" => format!("`{key}`, `{key}_file` or `{key}_env`"),
        _ => format!("`{key}`"),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        rows,
        "| {keys} | {} | {default} | {} |",
        type_of(schema),
        flow(schema.description())
    );
}

fn type_of(schema: Schema<'_>) -> String {
    let words = schema.words();
    if !words.is_empty() {
        return words
            .iter()
            .map(|word| format!("`\"{word}\"`"))
            .collect::<Vec<_>>()
            .join(" or ");
    }
    let bounds = match schema.bounds() {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        _ => String::new(),
    };
    match (schema.kind(), schema.format()) {
        (Kind::Array, _) if schema.one_or_many() => format!("{}, or array", type_of(schema.items())),
        (Kind::Array, _) => {
            let word = schema.word().map(|word| format!("; or `\"{word}\"`"));
            format!("array: {}{}", type_of(schema.items()), word.unwrap_or_default())
        }
        (Kind::Integer, _) => format!("integer{bounds}"),
        (Kind::Number, _) => format!("number{bounds}"),
        (Kind::Boolean, _) => "boolean".to_owned(),
        (Kind::Table, _) => "table".to_owned(),
        (Kind::Any, _) => "any".to_owned(),
        (Kind::String, "" | "text" | "user-id" | "log filter") => "string".to_owned(),
        (Kind::String, "reference") => "name".to_owned(),
        (Kind::String, form) => form.to_owned(),
    }
}

fn flow(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
