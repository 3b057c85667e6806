//! What the settings types say of themselves, as a JSON Schema, and the few questions that the checker and
//! the reference page ask of it.

use std::borrow::Cow;
use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator, json_schema};
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

/// Types that stand in a schema for a string of a certain form.
macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident = $schema:tt;)*) => { $(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
                json_schema!($schema)
            }
        }
    )* };
}

forms! {
    /// A path, made absolute against the folder of the file that it stands in.
    Path = { "type": "string", "format": "path" };
    /// A path that begins with `/`: what is granted must not depend on where the file lies.
    AbsolutePath = { "type": "string", "format": "absolute path" };
    /// TCP ports, or the word for all of them.
    Ports = { "type": "array", "x-word": "any", "items": { "type": "integer", "minimum": 1, "maximum": 65535 } };
    /// A name that can stand in file names, logs and addresses.
    Name = { "type": "string", "format": "name" };
    /// A name that exists elsewhere in the configuration.
    Reference = { "type": "string", "format": "reference" };
    /// The address of a backend.
    Address = { "type": "string", "format": "address" };
    /// A user's id, which stands in an address.
    UserId = { "type": "string", "format": "user-id" };
    /// The name of a plugin or the path of its file.
    Plugin = { "type": "string", "format": "plugin" };
    /// A text that is not empty.
    Text = { "type": "string", "format": "text" };
    /// The words of `watchpost_core::AlertKind`.
    KindWord = { "type": "string", "enum": ["anomaly", "owl_eye", "notice", "hub"] };
    /// The words of `watchpost_core::Severity`.
    SeverityWord = { "type": "string", "enum": ["low", "medium", "high", "critical"] };
    /// A table that someone else checks.
    FreeTable = { "type": "object" };
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watchpost_core::{AlertKind, Severity};

    use super::*;

    #[test]
    fn the_words_are_those_of_the_domain() {
        let mut generator = SchemaGenerator::default();
        let severities = [
            Severity::Low,
            Severity::Medium,
            Severity::High,
            Severity::Critical,
        ];
        let words = SeverityWord::json_schema(&mut generator).to_value();
        assert_eq!(words["enum"], json!(severities));
        assert_eq!(
            KindWord::json_schema(&mut generator).to_value()["enum"],
            json!([
                AlertKind::Anomaly,
                AlertKind::OwlEye,
                AlertKind::Notice,
                AlertKind::Hub
            ])
        );
    }
}
