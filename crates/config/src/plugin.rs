//! A plugin's `[sink.config]`, held against the schema by which the plugin describes it. First by our own checker, which
//! knows where each value was written and what is likely to be meant; what that does not understand of the schema, a
//! validator of JSON Schema does.

use jsonschema::error::{ValidationError, ValidationErrorKind as Kind};
use serde_json::Value as Json;

use crate::ConfigError;
use crate::check::{At, Checker, Findings};
use crate::loaded::Loaded;
use crate::mask::is_secret_key;
use crate::schema::Schema;
use crate::tree::Node;

impl Loaded {
    /// What is wrong with the `[sink.config]` of the sink with this index, by the plugin's schema of it.
    pub fn check_sink_config(&self, sink: usize, schema: &Json) -> Vec<ConfigError> {
        let pointer = format!("/sink/{sink}/config");
        let at = At::pointer(&self.tree, &pointer);
        let mut checker = Checker {
            found: Findings {
                sources: &self.sources,
                errors: Vec::new(),
            },
            credentials: None,
        };
        let empty = Node::empty(self.tree.locate(&format!("/sink/{sink}")));
        let config = self.tree.find(&pointer).unwrap_or(&empty);
        checker.value(config, Schema::of_plugin(schema), &at);
        let mut errors = checker.found.errors;
        if errors.is_empty() {
            errors = self.validate(sink, schema);
        }
        errors.sort_by_key(ConfigError::order);
        errors
    }

    fn validate(&self, sink: usize, schema: &Json) -> Vec<ConfigError> {
        let config = &self.settings.sink[sink].config;
        match jsonschema::validator_for(schema) {
            Ok(validator) => validator
                .iter_errors(config)
                .map(|error| self.violation(sink, schema, &error))
                .collect(),
            Err(error) => {
                let message = format!("the plugin's own schema is not valid: {error}");
                let help = "this is a fault of the plugin: report it to its author";
                vec![self.error_at(&format!("/sink/{sink}/plugin"), message, Some(help.to_owned()))]
            }
        }
    }

    /// A violation in words.
    fn violation(&self, sink: usize, schema: &Json, error: &ValidationError<'_>) -> ConfigError {
        let pointer = error.instance_path().to_string();
        let at = At::pointer(&self.tree, &format!("/sink/{sink}/config{pointer}"));
        let schema = Schema::of_plugin(schema).at(&pointer);
        let secret = at.keys().any(is_secret_key);
        let value = match error.instance().as_ref() {
            _ if secret => "***".to_owned(),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        let problem = match error.kind() {
            Kind::MinLength { .. } | Kind::MinItems { .. } | Kind::MinProperties { .. }
                if value.is_empty() || value == "[]" || value == "{}" =>
            {
                "is empty".to_owned()
            }
            Kind::MinLength { limit } => format!("is too short: expected at least {limit} characters"),
            Kind::MaxLength { limit } => format!("is too long: expected at most {limit} characters"),
            Kind::MinItems { limit } => format!("has too few elements: expected at least {limit}"),
            Kind::MaxItems { limit } => format!("has too many elements: expected at most {limit}"),
            Kind::UniqueItems => "has an element twice".to_owned(),
            Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}, and is {value}"),
            Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}, and is {value}"),
            Kind::MultipleOf { multiple_of } => {
                format!("must be a multiple of {multiple_of}, and is {value}")
            }
            Kind::Constant { expected_value } => format!("must be {expected_value}, and is {value}"),
            Kind::AnyOf { .. }
            | Kind::OneOfNotValid { .. }
            | Kind::Pattern { .. }
            | Kind::Format { .. }
            | Kind::Enum { .. } => {
                format!("cannot be `{value}`")
            }
            _ => format!("is not as the plugin wants it: {error}"),
        };
        let description = schema
            .map(|schema| schema.description().replace('\n', " "))
            .unwrap_or_default();
        let help = Some(description).filter(|text| !text.is_empty());
        let message = if pointer.is_empty() {
            format!("{at} {problem}")
        } else {
            format!("`{}` in {} {problem}", at.key(), at.parent())
        };
        let message = self.without_secrets(sink, message);
        self.error_at(&format!("/sink/{sink}/config{pointer}"), message, help)
    }
}
