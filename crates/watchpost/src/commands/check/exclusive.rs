//! What no two sinks may share, as a plugin's schema says with the keyword `x-exclusive`: a list of keys whose values
//! together belong to one sink only, the folder of an archive for instance.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use watchpost_config::{Loaded, SinkSettings};

use super::Report;

/// The keyword.
const KEYWORD: &str = "x-exclusive";

pub(super) fn check(loaded: &Loaded, schemas: &[Option<Value>], report: &mut Report) {
    let sinks = &loaded.settings.sink;
    for (number, (sink, schema)) in sinks.iter().zip(schemas).enumerate() {
        let Some((keys, own)) = schema.as_ref().and_then(|schema| values(schema, sink)) else {
            continue;
        };
        let earlier = sinks[..number].iter().zip(schemas).position(|(other, schema)| {
            let other_values = schema.as_ref().and_then(|schema| values(schema, other));
            other.plugin == sink.plugin && other_values.is_some_and(|(_, theirs)| theirs == own)
        });
        let Some(earlier) = earlier else { continue };
        let key = keys.last().map(String::as_str).unwrap_or_default();
        let pointer = format!("/sink/{number}/config/{key}");
        let first = loaded.locate(&format!("/sink/{earlier}/config/{key}"));
        let message = format!(
            "{} is that of sink `{}` too ({first})",
            loaded.describe(&pointer),
            sinks[earlier].name
        );
        let help = "two sinks would be in each other's way: give each its own";
        report.say(loaded.error_at(&pointer, message, Some(help.to_owned())));
    }
}

/// The keys that are a sink's own, and their values, paths in their shortest form.
fn values(schema: &Value, sink: &SinkSettings) -> Option<(Vec<String>, Vec<Value>)> {
    let keys: Vec<String> = schema[KEYWORD]
        .as_array()?
        .iter()
        .filter_map(|key| key.as_str().map(str::to_owned))
        .collect();
    let values = keys
        .iter()
        .map(|key| sink.config.get(key).map(normal))
        .collect::<Option<_>>()?;
    Some((keys, values))
}

fn normal(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if text.starts_with('/') => Value::from(shortest(Path::new(text)).display().to_string()),
        _ => value.clone(),
    }
}

/// Without links, `.`, `..` and slashes that say nothing.
fn shortest(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    path.components().fold(PathBuf::new(), |mut done, step| {
        match step {
            Component::ParentDir => {
                done.pop();
            }
            Component::CurDir => {}
            step => done.push(step),
        }
        done
    })
}
