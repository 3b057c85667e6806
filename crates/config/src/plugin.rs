//! A plugin's `[sink.config]`, held against the schema by which the plugin describes it, by our own checker, which knows
//! where each value was written and what is likely to be meant. What that does not understand of the schema, a validator of
//! JSON Schema does elsewhere, in a process that foreign code can do no harm in; here its findings get their words.

use serde_json::Value as Json;

use crate::ConfigError;
use crate::check::{At, Checker, Findings};
use crate::loaded::Loaded;
use crate::mask::is_secret_key;
use crate::schema::Schema;
use crate::tree::Node;

/// What is said of a secret that a validator does not take.
const NOT_AS_WANTED: &str = "is not as the plugin wants it";

impl Loaded {
    /// What is wrong with the `[sink.config]` of the sink with this index, by what is understood of the plugin's schema of it.
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
        errors.sort_by_key(ConfigError::order);
        errors
    }

    /// What a validator has found wrong with the value at this pointer into the `[sink.config]` of the sink with this index;
    /// `problem` goes behind the words for the value.
    pub fn schema_violation(&self, sink: usize, schema: &Json, pointer: &str, problem: &str) -> ConfigError {
        let place = format!("/sink/{sink}/config{pointer}");
        let at = At::pointer(&self.tree, &place);
        let description = Schema::of_plugin(schema)
            .at(pointer)
            .map(|schema| schema.description().replace('\n', " "))
            .unwrap_or_default();
        let help = Some(description).filter(|text| !text.is_empty());
        // The value may be in it, also in part.
        let problem = if at.keys().any(is_secret_key) {
            NOT_AS_WANTED
        } else {
            problem
        };
        let message = if pointer.is_empty() {
            format!("{at} {problem}")
        } else {
            format!("`{}` in {} {problem}", at.key(), at.parent())
        };
        self.error_at(&place, self.without_secrets(sink, message), help)
    }
}
