//! What the settings types say of themselves, as a JSON Schema, and the few questions that the checker and
//! the reference page ask of it.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use crate::Settings;

/// One part of the schema.
#[derive(Clone, Copy)]
pub(crate) struct Schema<'a>(&'a Json);

/// The kinds of values that settings have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Table,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// The schema of all settings, without references.
pub(crate) fn root() -> Schema<'static> {
    static ROOT: OnceLock<Json> = OnceLock::new();
    Schema(ROOT.get_or_init(|| {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        settings
            .into_generator()
            .into_root_schema_for::<Settings>()
            .to_value()
    }))
}

impl<'a> Schema<'a> {
    pub(crate) fn kind(self) -> Kind {
        let word = match &self.0["type"] {
            Json::String(word) => Some(word.as_str()),
            // An optional value: its type, or null.
            Json::Array(words) => words.iter().filter_map(Json::as_str).find(|word| *word != "null"),
            _ => None,
        };
        match word {
            Some("object") => Kind::Table,
            Some("array") => Kind::Array,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Boolean,
            _ => Kind::String,
        }
    }

    /// The name of the form that a string must have, such as `duration`.
    pub(crate) fn format(self) -> &'a str {
        self.0["format"].as_str().unwrap_or_default()
    }

    /// The keys of a table; `None` when it takes any.
    pub(crate) fn properties(self) -> Option<impl Iterator<Item = (&'a str, Self)>> {
        let properties = self.0.get("properties")?.as_object()?;
        Some(
            properties
                .iter()
                .map(|(key, schema)| (key.as_str(), Self(schema))),
        )
    }

    pub(crate) fn property(self, key: &str) -> Option<Self> {
        self.0.get("properties")?.get(key).map(Self)
    }

    pub(crate) fn required(self) -> impl Iterator<Item = &'a str> {
        self.0["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
    }

    /// What the elements of an array are.
    pub(crate) fn items(self) -> Self {
        Self(&self.0["items"])
    }

    /// Whether an array of one element may be written as that element.
    pub(crate) fn one_or_many(self) -> bool {
        self.0["x-one"] == true
    }

    /// The word that may stand instead of an array.
    pub(crate) fn word(self) -> Option<&'a str> {
        self.0["x-word"].as_str()
    }

    /// The words that a string must be one of; empty when it may be any.
    pub(crate) fn words(self) -> Vec<&'a str> {
        let choices = self.0["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|choice| &choice["const"]);
        let list = self.0["enum"].as_array().into_iter().flatten();
        choices.chain(list).filter_map(Json::as_str).collect()
    }

    /// The least and the greatest number.
    pub(crate) fn bounds(self) -> (Option<f64>, Option<f64>) {
        (self.0["minimum"].as_f64(), self.0["maximum"].as_f64())
    }

    pub(crate) fn default(self) -> Option<&'a Json> {
        self.0.get("default").filter(|default| !default.is_null())
    }

    pub(crate) fn description(self) -> &'a str {
        self.0["description"].as_str().unwrap_or_default()
    }
}
