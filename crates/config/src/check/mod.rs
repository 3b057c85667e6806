//! Compares the tree with a schema and finds everything that is wrong with keys, types, words and forms in one go:
//! with ours, and with the one by which a plugin describes its `[sink.config]`. What it returns is what serde makes the
//! settings of. It knows the schema's language and no single key.

mod findings;
mod keys;
mod place;
mod secret;
mod wording;

use std::borrow::Cow;
use std::path::PathBuf;

use serde_json::{Map, Value as Json, json};
use toml::de::DeValue;

pub(crate) use self::findings::Findings;
pub(crate) use self::place::At;
use self::secret::secret_of;
pub(crate) use self::secret::spellings;
pub(crate) use self::wording::list;
use self::wording::mismatch;
use crate::formats;
use crate::location::Origin;
use crate::mask::{HIDDEN, is_secret_key};
use crate::nearest::nearest;
use crate::schema::{self, Kind, Schema};
use crate::tree::{Node, Table, Value};

/// Checks a tree, and collects what is wrong.
pub(crate) struct Checker<'a> {
    pub(crate) found: Findings<'a>,
    /// Where the service manager puts credentials, if it does.
    pub(crate) credentials: Option<PathBuf>,
}

impl Checker<'_> {
    /// Checks the whole configuration.
    pub(crate) fn root(&mut self, tree: &Node) -> Json {
        self.value(tree, schema::root(), &At::root())
    }

    /// Checks one value, and returns it as JSON; null where it is wrong.
    pub(crate) fn value(&mut self, node: &Node, schema: Schema<'_>, at: &At) -> Json {
        let node = typed(node, schema);
        match (schema.kind(), &node.value) {
            (Kind::Any, _) if schema.takes(&node.value) => self.free(&node),
            (Kind::Table, Value::Table(table)) => self.table(table, node.origin, schema, at),
            (Kind::Array, Value::Array(items)) => Json::Array(
                items
                    .iter()
                    .map(|item| self.value(item, schema.items(), &at.element(item)))
                    .collect(),
            ),
            (Kind::Array, other)
                if schema.one_or_many()
                    && matches!(other, Value::Table(_)) == (schema.items().kind() == Kind::Table) =>
            {
                json!([self.value(&node, schema.items(), at)])
            }
            (Kind::Array, Value::String(text)) if schema.word() == Some(text.as_str()) => json!(text),
            (Kind::String, Value::String(text)) => self.string(text, node.origin, schema, at),
            (Kind::Boolean, Value::Boolean(boolean)) => json!(boolean),
            (Kind::Integer | Kind::Number, Value::Integer(integer)) => {
                let number = integer.to_string();
                self.number(*integer as f64, &number, json!(integer), node.origin, schema, at)
            }
            (Kind::Integer | Kind::Number, Value::HugeInteger(text)) => {
                let number = if text.starts_with('-') { f64::MIN } else { f64::MAX };
                self.number(number, text, Json::Null, node.origin, schema, at)
            }
            (Kind::Number, Value::Float(float)) if float.is_finite() => {
                self.number(*float, &float.to_string(), json!(float), node.origin, schema, at)
            }
            (_, found) => {
                let finding = mismatch(self.found.sources, node.origin, found, schema, at);
                self.found.report(finding)
            }
        }
    }

    fn table(&mut self, table: &Table, origin: Origin, schema: Schema<'_>, at: &At) -> Json {
        let Some(properties) = schema.properties() else {
            return self.any_keys(table, schema, at);
        };
        let mut done = Map::new();
        let mut meant = Vec::new();
        for (key, entry) in table {
            match schema.property(key) {
                Some(property) if property.format() != "secret" => {
                    let value = self.value(&entry.node, property, &at.below(key));
                    done.insert(key.clone(), value);
                }
                _ if secret_of(schema, key).is_some() => {}
                _ if schema.is_open() => {
                    done.insert(key.clone(), self.free(&entry.node));
                }
                _ => meant.extend(keys::unknown(&mut self.found, key, entry, schema, at)),
            }
        }
        let mut missing = Vec::new();
        for (key, property) in properties {
            if property.format() == "secret"
                && let Some(value) =
                    secret::secret(&mut self.found, self.credentials.as_deref(), key, table, at)
            {
                done.insert(key.to_owned(), value);
            }
            let needed = schema.required().any(|required| required == key);
            // A key that is there but mistyped has been reported.
            let mistyped = meant.iter().any(|meant| spellings(key, property).contains(meant));
            if needed && !mistyped && !done.contains_key(key) {
                missing.push((key, property));
            }
        }
        if !missing.is_empty() {
            keys::missing(&mut self.found, &missing, origin, at);
        }
        Json::Object(done)
    }

    /// A table whose keys are the site's own.
    fn any_keys(&mut self, table: &Table, schema: Schema<'_>, at: &At) -> Json {
        let values = schema.values();
        let entry = |(key, entry): (&String, &crate::tree::Entry)| {
            let value = match values {
                Some(values) => self.value(&entry.node, values, &at.below(key)),
                None => self.free(&entry.node),
            };
            (key.clone(), value)
        };
        Json::Object(table.iter().map(entry).collect())
    }

    fn string(&mut self, text: &str, origin: Origin, schema: Schema<'_>, at: &At) -> Json {
        let words = schema.words();
        if !words.is_empty() && !words.contains(&text) {
            let shown = if is_secret_key(at.key()) { HIDDEN } else { text };
            let message = format!("`{}` in {} cannot be `{shown}`", at.key(), at.parent());
            let help = match nearest(text, words.iter().copied()) {
                Some(word) => format!("did you mean \"{word}\"? It is {}", list(&words, "or")),
                None => format!("expected {}", list(&words, "or")),
            };
            let finding = self.found.sources.finding(origin, message);
            return self
                .found
                .report(finding.label("not one of its words").help(help));
        }
        if let Err(violation) = formats::check(schema.format(), text) {
            let message = format!("`{}` in {} {}", at.key(), at.parent(), violation.problem);
            let finding = self.found.sources.finding(origin, message);
            return self.found.report(finding.label("here").help(violation.help));
        }
        match schema.format() {
            "path" => json!(self.found.absolute(text, origin)),
            "plugin" if formats::is_plugin_path(text) => json!(self.found.absolute(text, origin)),
            _ => json!(text),
        }
    }

    fn number(
        &mut self,
        number: f64,
        shown: &str,
        json: Json,
        origin: Origin,
        schema: Schema<'_>,
        at: &At,
    ) -> Json {
        let (least, most) = schema.bounds();
        let huge = json.is_null() && schema.kind() == Kind::Integer;
        if !huge && least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most) {
            return json;
        }
        let help = match (least, most) {
            (Some(least), Some(most)) => format!("expected {least} to {most}"),
            (Some(least), None) if number < least => format!("expected {least} or more"),
            (_, None) => format!("expected at most {}", i64::MAX),
            (_, Some(most)) => format!("expected at most {most}"),
        };
        let message = format!("`{}` in {} cannot be {shown}", at.key(), at.parent());
        let finding = self.found.sources.finding(origin, message);
        self.found.report(finding.label("out of range").help(help))
    }

    /// A table that is checked later, by a plugin, as JSON: dates become strings.
    fn free(&mut self, node: &Node) -> Json {
        match &node.value {
            Value::String(text) | Value::Datetime(text) => json!(text),
            Value::Integer(integer) => json!(integer),
            Value::Float(float) if float.is_finite() => json!(float),
            Value::Boolean(boolean) => json!(boolean),
            Value::Array(items) => Json::Array(items.iter().map(|item| self.free(item)).collect()),
            Value::Table(table) => {
                let entry =
                    |(key, entry): (&String, &crate::tree::Entry)| (key.clone(), self.free(&entry.node));
                Json::Object(table.iter().map(entry).collect())
            }
            Value::Untyped(text) => {
                parse(text, node.origin).map_or_else(|| json!(text), |node| self.free(&node))
            }
            Value::HugeInteger(_) | Value::Float(_) => {
                let finding = self
                    .found
                    .sources
                    .finding(node.origin, "this number cannot be handed to a plugin");
                let help = "expected a finite number, if whole of at most 64 bits";
                self.found.report(finding.label("here").help(help))
            }
        }
    }
}

/// A value from the environment, as the type that is expected; other values as they are.
fn typed<'a>(node: &'a Node, schema: Schema<'_>) -> Cow<'a, Node> {
    let Value::Untyped(text) = &node.value else {
        return Cow::Borrowed(node);
    };
    let parsed = if schema.kind() == Kind::String {
        None
    } else {
        parse(text, node.origin)
    };
    let text = || Node {
        value: Value::String(text.clone()),
        origin: node.origin,
    };
    Cow::Owned(parsed.unwrap_or_else(text))
}

fn parse(text: &str, origin: Origin) -> Option<Node> {
    DeValue::parse(text)
        .ok()
        .map(|value| Node::from_toml(&value, origin.source))
}
