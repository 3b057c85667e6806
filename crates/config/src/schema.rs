//! What types say of themselves, as a JSON Schema: our settings, and the `[sink.config]` of a plugin. It answers the few
//! questions that the checker and the reference page ask, and no others; what it does not understand takes any value.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use crate::Settings;
use crate::tree::Value;

/// One part of a schema.
#[derive(Clone, Copy)]
pub(crate) struct Schema<'a> {
    /// What references are looked up in.
    root: &'a Json,
    /// As it stands in its parent: it has the description.
    outer: &'a Json,
    /// With references followed, and without the null that an optional value may be.
    node: &'a Json,
    ours: bool,
}

/// The kinds of values that settings have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Table,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    /// One of several, or any.
    Any,
}

/// References within references that are followed.
const MAX_REFERENCES: usize = 16;

/// The schema of all settings.
pub(crate) fn root() -> Schema<'static> {
    static ROOT: OnceLock<Json> = OnceLock::new();
    let root = ROOT.get_or_init(|| {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        settings
            .into_generator()
            .into_root_schema_for::<Settings>()
            .to_value()
    });
    Schema {
        ours: true,
        ..Schema::of_plugin(root)
    }
}

impl<'a> Schema<'a> {
    /// The schema of a plugin's configuration. Forms of strings have no meaning in it, for they are not ours.
    pub(crate) fn of_plugin(root: &'a Json) -> Self {
        let ours = false;
        Self {
            root,
            outer: root,
            node: resolve(root, root),
            ours,
        }
    }

    fn child(self, node: &'a Json) -> Self {
        Self {
            outer: node,
            node: resolve(self.root, node),
            ..self
        }
    }

    /// Whether it is that of our own settings.
    pub(crate) fn is_ours(self) -> bool {
        self.ours
    }

    pub(crate) fn kind(self) -> Kind {
        match (&self.node["type"], &self.node["properties"]) {
            (Json::String(word), _) => kind(word),
            // An optional value: its type, or null.
            (Json::Array(words), _) => {
                let mut words = words
                    .iter()
                    .filter_map(Json::as_str)
                    .filter(|word| *word != "null");
                match (words.next(), words.next()) {
                    (Some(only), None) => kind(only),
                    _ => Kind::Any,
                }
            }
            (_, Json::Object(_)) => Kind::Table,
            _ if !self.words().is_empty() => Kind::String,
            _ => Kind::Any,
        }
    }

    /// The kinds that a value of kind `Any` may be of; empty when it may be of all.
    pub(crate) fn kinds(self) -> Vec<Kind> {
        let words = self.node["type"].as_array().into_iter().flatten();
        let words = words
            .filter_map(Json::as_str)
            .filter(|word| *word != "null")
            .map(kind);
        let alternatives = ["anyOf", "oneOf"]
            .iter()
            .filter_map(|key| self.node[key].as_array())
            .flatten();
        words
            .chain(alternatives.map(|schema| self.child(schema).kind()))
            .collect()
    }

    /// Whether a value is of a kind that it may be of.
    pub(crate) fn takes(self, value: &Value) -> bool {
        let kinds = self.kinds();
        kinds.is_empty()
            || kinds.iter().any(|kind| {
                matches!(
                    (kind, value),
                    (Kind::Any, _)
                        | (_, Value::Untyped(_))
                        | (Kind::Table, Value::Table(_))
                        | (Kind::Array, Value::Array(_))
                        | (Kind::String, Value::String(_) | Value::Datetime(_))
                        | (
                            Kind::Integer | Kind::Number,
                            Value::Integer(_) | Value::HugeInteger(_)
                        )
                        | (Kind::Number, Value::Float(_))
                        | (Kind::Boolean, Value::Boolean(_))
                )
            })
    }

    /// The name of the form that a string must have, such as `duration`.
    pub(crate) fn format(self) -> &'a str {
        self.node["format"]
            .as_str()
            .filter(|_| self.ours)
            .unwrap_or_default()
    }

    /// The keys of a table; `None` when they are the site's own.
    pub(crate) fn properties(self) -> Option<impl Iterator<Item = (&'a str, Self)>> {
        static NONE: OnceLock<serde_json::Map<String, Json>> = OnceLock::new();
        let properties = match self.node.get("properties").and_then(Json::as_object) {
            Some(properties) => properties,
            None if self.node["additionalProperties"] == false => NONE.get_or_init(serde_json::Map::new),
            None => return None,
        };
        Some(
            properties
                .iter()
                .map(move |(key, schema)| (key.as_str(), self.child(schema))),
        )
    }

    pub(crate) fn property(self, key: &str) -> Option<Self> {
        Some(self.child(self.node.get("properties")?.get(key)?))
    }

    /// Whether a table takes keys besides those that it names.
    pub(crate) fn is_open(self) -> bool {
        self.node["additionalProperties"] != false
    }

    /// What the values of keys are that a table does not name.
    pub(crate) fn values(self) -> Option<Self> {
        self.node
            .get("additionalProperties")
            .filter(|values| values.is_object())
            .map(|values| self.child(values))
    }

    pub(crate) fn required(self) -> impl Iterator<Item = &'a str> {
        self.node["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
    }

    /// What the elements of an array are.
    pub(crate) fn items(self) -> Self {
        self.child(&self.node["items"])
    }

    /// Whether an array of one element may be written as that element.
    pub(crate) fn one_or_many(self) -> bool {
        self.node["x-one"] == true
    }

    /// Whether it is a list of tables like the one that it stands in.
    pub(crate) fn is_nested(self) -> bool {
        self.node["x-nested"] == true
    }

    /// The word that may stand instead of an array.
    pub(crate) fn word(self) -> Option<&'a str> {
        self.node["x-word"].as_str()
    }

    /// The words that a string must be one of; empty when it may be any.
    pub(crate) fn words(self) -> Vec<&'a str> {
        let choices: Vec<&Json> = self.node["oneOf"].as_array().into_iter().flatten().collect();
        // Words with and without a description of their own.
        let words = choices.iter().flat_map(|choice| {
            let list = choice["enum"].as_array().into_iter().flatten();
            std::iter::once(&choice["const"])
                .chain(list)
                .filter_map(Json::as_str)
        });
        let only_words = choices
            .iter()
            .all(|choice| choice["const"].is_string() || choice["enum"].is_array());
        let list = self.node["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        let constant = self.node["const"].as_str();
        words.filter(|_| only_words).chain(list).chain(constant).collect()
    }

    /// The least and the greatest number.
    pub(crate) fn bounds(self) -> (Option<f64>, Option<f64>) {
        let (least, most) = match self.node["format"].as_str().unwrap_or_default() {
            "uint8" => (Some(0.0), Some(f64::from(u8::MAX))),
            "uint16" => (Some(0.0), Some(f64::from(u16::MAX))),
            "uint32" => (Some(0.0), Some(f64::from(u32::MAX))),
            "int32" => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
            _ => (None, None),
        };
        (
            self.node["minimum"].as_f64().or(least),
            self.node["maximum"].as_f64().or(most),
        )
    }

    pub(crate) fn default(self) -> Option<&'a Json> {
        [self.outer, self.node]
            .into_iter()
            .find_map(|node| node.get("default"))
            .filter(|default| !default.is_null())
    }

    pub(crate) fn description(self) -> &'a str {
        [self.outer, self.node]
            .into_iter()
            .find_map(|node| node["description"].as_str())
            .unwrap_or_default()
    }

    /// The first sentence of its description, without its full stop.
    pub(crate) fn summary(self) -> String {
        let description = self.description().replace('\n', " ");
        let sentence = description.split(". ").next().unwrap_or_default();
        sentence.trim_end_matches('.').to_owned()
    }

    /// What stands at a JSON pointer into a value of this schema.
    pub(crate) fn at(self, pointer: &str) -> Option<Self> {
        pointer.split('/').skip(1).try_fold(self, |schema, step| {
            let step = step.replace("~1", "/").replace("~0", "~");
            let item = || {
                step.parse::<usize>()
                    .ok()
                    .and_then(|_| schema.node.get("items").map(|_| schema.items()))
            };
            schema.property(&step).or_else(item).or_else(|| schema.values())
        })
    }
}

fn kind(word: &str) -> Kind {
    match word {
        "object" => Kind::Table,
        "array" => Kind::Array,
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        _ => Kind::Any,
    }
}

/// Follows references, and takes the one of two alternatives that is not null.
fn resolve<'a>(root: &'a Json, mut node: &'a Json) -> &'a Json {
    for _ in 0..MAX_REFERENCES {
        let reference = node["$ref"]
            .as_str()
            .and_then(|reference| root.pointer(reference.strip_prefix('#')?));
        let alternatives = ["anyOf", "oneOf", "allOf"]
            .iter()
            .find_map(|key| node[key].as_array());
        let only = alternatives.and_then(|all| {
            let mut others = all.iter().filter(|schema| schema["type"] != "null");
            others.next().filter(|_| others.next().is_none())
        });
        match reference.or(only) {
            Some(next) => node = next,
            None => return node,
        }
    }
    node
}
