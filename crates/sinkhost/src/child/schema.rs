//! Holding a configuration against the JSON Schema by which a plugin describes it.
//!
//! The schema is the plugin's and may be made to cost: by its depth, by references that lead to more and more of it, by
//! patterns. So it is counted before it is followed, and all of this is done in the sandboxed process, whose memory is
//! limited and which its parent ends when it takes too long.

use std::collections::HashMap;

use jsonschema::error::{ValidationError, ValidationErrorKind as Kind};
use serde_json::Value;
use watchpost_sinkhost_protocol::limits::{MAX_NOTES, MAX_SCHEMA_DEPTH, MAX_SCHEMA_PARTS};
use watchpost_sinkhost_protocol::{Note, Outcome};

/// What is wrong with a configuration, by the schema: a note for each, with its place. Another outcome than that the
/// configuration is bad says what is wrong with the schema.
pub(super) fn check(schema: &str, config: &str) -> (Outcome, Vec<Note>) {
    match violations(schema, config) {
        Ok(notes) if notes.is_empty() => (Outcome::Ok, notes),
        Ok(notes) => (Outcome::BadConfig, notes),
        Err(fault) => (Outcome::Permanent, vec![Note::new(fault)]),
    }
}

fn violations(schema: &str, config: &str) -> Result<Vec<Note>, String> {
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
    let (schema, config) = (parse(schema)?, parse(config)?);
    measure(&schema)?;
    let validator = jsonschema::options()
        .offline()
        .build(&schema)
        .map_err(|error| error.to_string())?;
    let note = |error: ValidationError<'_>| Note {
        pointer: error.instance_path().to_string(),
        text: problem(&error),
    };
    Ok(validator.iter_errors(&config).take(MAX_NOTES).map(note).collect())
}

/// A violation in words, to be put behind the name of the key.
fn problem(error: &ValidationError<'_>) -> String {
    let value = match error.instance().as_ref() {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match error.kind() {
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
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}, and is {value}"),
        Kind::Constant { expected_value } => format!("must be {expected_value}, and is {value}"),
        Kind::AnyOf { .. }
        | Kind::OneOfNotValid { .. }
        | Kind::Pattern { .. }
        | Kind::Format { .. }
        | Kind::Enum { .. } => {
            format!("cannot be `{value}`")
        }
        _ => format!("is not as the plugin wants it: {error}"),
    }
}

/// Fails for a schema that is too deep, or of too many parts once its references are followed.
fn measure(schema: &Value) -> Result<(), String> {
    let mut measured = Measured {
        root: schema,
        parts: HashMap::new(),
    };
    let parts = measured.parts(schema, 0)?;
    if parts > MAX_SCHEMA_PARTS {
        return Err(format!(
            "with its references followed it has more than {MAX_SCHEMA_PARTS} parts"
        ));
    }
    Ok(())
}

/// How many parts are below each part that a reference leads to.
struct Measured<'a> {
    root: &'a Value,
    /// By address, for a part stands in one place; `None` while it is being counted: a schema may contain itself, which is
    /// followed only as far as the configuration goes.
    parts: HashMap<*const Value, Option<u64>>,
}

impl<'a> Measured<'a> {
    fn parts(&mut self, node: &'a Value, depth: usize) -> Result<u64, String> {
        if depth > MAX_SCHEMA_DEPTH {
            return Err(format!("it is more than {MAX_SCHEMA_DEPTH} parts deep"));
        }
        let mut sum: u64 = 1;
        match node {
            Value::Array(items) => {
                for item in items {
                    sum = sum.saturating_add(self.parts(item, depth + 1)?);
                }
            }
            Value::Object(table) => {
                for part in table.values() {
                    sum = sum.saturating_add(self.parts(part, depth + 1)?);
                }
                let target = table.get("$ref").and_then(Value::as_str);
                let target = target.and_then(|target| self.root.pointer(target.strip_prefix('#')?));
                if let Some(target) = target {
                    sum = sum.saturating_add(self.referred(target, depth + 1)?);
                }
            }
            _ => {}
        }
        Ok(sum)
    }

    fn referred(&mut self, target: &'a Value, depth: usize) -> Result<u64, String> {
        let place = std::ptr::from_ref(target);
        if let Some(known) = self.parts.get(&place) {
            return Ok(known.unwrap_or(1));
        }
        self.parts.insert(place, None);
        let parts = self.parts(target, depth)?;
        self.parts.insert(place, Some(parts));
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn shown(schema: &Value, config: &Value, expected: &Expect) {
        let (outcome, notes) = check(&schema.to_string(), &config.to_string());
        let mut lines = vec![outcome.to_string()];
        lines.extend(
            notes
                .iter()
                .map(|note| format!("{}: {}", note.pointer, note.text)),
        );
        expected.assert_eq(&lines.join("\n"));
    }

    /// A schema of a few hundred bytes in which each part refers to the next one twice.
    fn doubling(times: usize) -> Value {
        let mut parts = serde_json::Map::new();
        for i in 0..times {
            let next = json!({ "$ref": format!("#/$defs/d{}", i + 1) });
            parts.insert(format!("d{i}"), json!({ "allOf": [next, next] }));
        }
        parts.insert(format!("d{times}"), json!({ "type": "integer" }));
        json!({ "properties": { "a": { "$ref": "#/$defs/d0" } }, "$defs": parts })
    }

    #[test]
    fn what_is_wrong_has_a_place_and_words() {
        let schema = json!({
            "properties": {
                "pattern": { "type": "string", "pattern": "^on .+$" },
                "command": { "type": "array", "minItems": 1 },
                "a": { "not": { "type": "integer" } }
            }
        });
        shown(
            &schema,
            &json!({ "pattern": "on 10s", "command": ["x"] }),
            &expect!["done"],
        );
        shown(
            &schema,
            &json!({ "pattern": "10s", "command": [], "a": 1 }),
            &expect![[r#"
                bad configuration
                /a: is not as the plugin wants it: {"type":"integer"} is not allowed for 1
                /command: is empty
                /pattern: cannot be `10s`"#]],
        );
    }

    #[test]
    fn a_schema_that_is_none_is_the_plugins_fault() {
        let (outcome, notes) = check(r#"{"type": 5}"#, "{}");
        assert_eq!((outcome, notes.len()), (Outcome::Permanent, 1));
        let (outcome, _) = check("{", "{}");
        assert_eq!(outcome, Outcome::Permanent);
    }

    #[test]
    fn a_schema_that_grows_without_end_is_not_followed() {
        shown(
            &doubling(40),
            &json!({ "a": 1 }),
            &expect![[r#"
                will never work
                : with its references followed it has more than 100000 parts"#]],
        );
        shown(&doubling(5), &json!({ "a": 1 }), &expect!["done"]);
        shown(
            &doubling(MAX_SCHEMA_DEPTH),
            &json!({ "a": 1 }),
            &expect![[r#"
                will never work
                : it is more than 256 parts deep"#]],
        );
    }

    #[test]
    fn a_schema_may_contain_itself() {
        let tree = json!({
            "$ref": "#/$defs/node",
            "$defs": { "node": { "type": "object", "additionalProperties": { "$ref": "#/$defs/node" } } }
        });
        shown(&tree, &json!({ "a": { "b": {} } }), &expect!["done"]);
        shown(
            &tree,
            &json!({ "a": { "b": 1 } }),
            &expect![[r#"
                bad configuration
                /a/b: is not as the plugin wants it: 1 is not of type "object""#]],
        );
    }
}
