//! What the bundled plugins say by themselves: all default texts, in one file for each language.
//!
//! A text may have names in braces, such as `{why}`, or be a template; a translation keeps them.

use std::sync::LazyLock;

use serde_json::Value;

/// The texts in English.
const ENGLISH: &str = include_str!("../words/en.json");

static WORDS: LazyLock<Value> = LazyLock::new(|| {
    // A test reads it, so there is always something to read.
    serde_json::from_str(ENGLISH).unwrap_or_default()
});

/// All of them, as templates see them in `words`.
#[cfg(feature = "template")]
pub(crate) fn all() -> &'static Value {
    &WORDS
}

/// The text of a key, such as `mail.subject`; empty if there is none.
pub fn text(key: &str) -> &'static str {
    let pointer = format!("/{}", key.replace('.', "/"));
    WORDS
        .pointer(&pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// One of a list of texts, such as `weekdays`.
#[cfg(feature = "template")]
pub(crate) fn list(key: &str, index: usize) -> &'static str {
    WORDS[key][index].as_str().unwrap_or_default()
}

/// The text of a key with its names in braces filled in.
pub fn fill(key: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text(key).to_owned(), |filled, (name, value)| {
        filled.replace(&format!("{{{name}}}"), value)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The paths of all texts; a list is one.
    fn keys(value: &Value, at: &str, found: &mut BTreeSet<String>) {
        for (key, value) in value.as_object().unwrap() {
            let path = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            match value {
                Value::Object(_) => keys(value, &path, found),
                _ => _ = found.insert(path),
            }
        }
    }

    /// What is written below a folder, in code and in templates.
    fn written(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let ends = |ending: &str| path.extension().is_some_and(|extension| extension == ending);
            if path.is_dir() && !path.ends_with("target") {
                written(&path, all);
            } else if ends("rs") || ends("html") || ends("txt") || path.ends_with("en.json") {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_text_is_used_and_every_text_that_is_used_is_there() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (mut all, mut known) = (String::new(), BTreeSet::new());
        for folder in ["src", "words", "../../plugins"] {
            written(&here.join(folder), &mut all);
        }
        keys(&WORDS, "", &mut known);
        for key in &known {
            let table = key.rsplit_once('.').map_or("", |(table, _)| table);
            let ways = [
                format!("words.{key}"),
                format!("\"{key}\""),
                format!("words.{table}["),
            ];
            assert!(
                ways.iter().any(|way| all.contains(way)),
                "`{key}` is used nowhere"
            );
        }
        for way in ["text", "fill", "list"] {
            for used in all.split(&format!("words::{way}(\"")).skip(1) {
                let key = used.split('"').next().unwrap();
                assert!(known.contains(key), "there is no text `{key}`");
            }
        }
    }
}
