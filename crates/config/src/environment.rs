//! Lays environment variables over the tree: `WATCHPOST__SINK__0__TIMEOUT=5s` is `timeout` of the first
//! `[[sink]]`. Their types are decided later, by what is expected.

use config::{Environment, Source as _};

use crate::check::spellings;
use crate::error::ConfigError;
use crate::location::Origin;
use crate::schema::{self, Kind, Schema};
use crate::source::Sources;
use crate::tree::{Entry, Node, Value};

/// What the names of our variables begin with, before the separator.
pub(crate) const PREFIX: &str = "WATCHPOST";

/// Stands between the keys in a variable's name. Two underscores, for keys contain one.
pub(crate) const SEPARATOR: &str = "__";

/// Lays those of `variables` that are ours over `tree`.
pub(crate) fn apply(
    tree: &mut Node,
    variables: impl Iterator<Item = (String, String)>,
    sources: &mut Sources,
    errors: &mut Vec<ConfigError>,
) {
    let source = Environment::with_prefix(PREFIX)
        .separator(SEPARATOR)
        .source(Some(variables.collect()));
    // Given its variables as text, it has nothing to fail on.
    let mut found: Vec<_> = source.collect().unwrap_or_default().into_iter().collect();
    // Elements before those that follow them, the tenth after the ninth.
    found.sort_by_cached_key(|(path, _)| {
        path.split('.')
            .map(|step| (step.parse::<usize>().ok(), step.to_owned()))
            .collect::<Vec<_>>()
    });
    for (path, value) in found {
        let name = format!(
            "{PREFIX}{SEPARATOR}{}",
            path.to_uppercase().replace('.', SEPARATOR)
        );
        let origin = sources.add_variable(name).at(0..0);
        let steps: Vec<&str> = path.split('.').collect();
        if let Some(meant) = regrouped(&steps) {
            let finding = sources.finding(origin, "its keys are not separated by two underscores");
            errors.push(finding.help(format!("write {meant}")).into());
            continue;
        }
        let text = value.into_string().unwrap_or_default();
        if let Err(place) = set(tree, &steps, text, origin) {
            let finding = sources.finding(origin, format!("there is no element {} there", place.index));
            let help = match place.length {
                0 => "elements are counted from 0, and there is none yet: begin with 0".to_owned(),
                n => format!(
                    "elements are counted from 0: 0 to {} are there, and {n} adds one",
                    n - 1
                ),
            };
            errors.push(finding.help(help).into());
        }
    }
}

/// The name that is meant by one whose keys are separated by single underscores, such as `WATCHPOST_HUB_LOG`. `None`
/// when it is no setting's.
pub(crate) fn meant_by(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix('_')?;
    if rest.starts_with('_') {
        return None;
    }
    let rest = rest.to_lowercase();
    let words: Vec<&str> = rest.split('_').filter(|word| !word.is_empty()).collect();
    // A key of `[hub]` is likely to be given without its table.
    let hub = [&["hub"], words.as_slice()].concat();
    grouped(schema::root(), &words)
        .or_else(|| grouped(schema::root(), &hub))
        .map(|keys| full_name(&keys))
}

/// The name that is meant by keys that are there only when they are separated elsewhere.
fn regrouped(steps: &[&str]) -> Option<String> {
    let words: Vec<&str> = steps.iter().flat_map(|step| step.split('_')).collect();
    let keys = grouped(schema::root(), &words)?;
    (keys != steps).then(|| full_name(&keys))
}

/// Groups words to the keys of a setting.
fn grouped(schema: Schema<'_>, words: &[&str]) -> Option<Vec<String>> {
    let Some(first) = words.first() else {
        return (schema.kind() != Kind::Table && schema.kind() != Kind::Array).then(Vec::new);
    };
    if schema.kind() == Kind::Array {
        first.parse::<usize>().ok()?;
        let mut keys = vec![(*first).to_owned()];
        keys.extend(grouped(schema.items(), &words[1..])?);
        return Some(keys);
    }
    let Some(properties) = schema.properties().filter(|_| schema.kind() == Kind::Table) else {
        // What a plugin's keys are is not known here.
        return (schema.kind() == Kind::Table).then(|| vec![words.join("_")]);
    };
    let properties: Vec<_> = properties.collect();
    (1..=words.len()).rev().find_map(|length| {
        let key = words[..length].join("_");
        let (_, property) = properties
            .iter()
            .find(|(name, property)| spellings(name, *property).contains(&key))?;
        let mut keys = vec![key];
        keys.extend(grouped(*property, &words[length..])?);
        Some(keys)
    })
}

fn full_name(keys: &[String]) -> String {
    let keys = keys.join(SEPARATOR).to_uppercase();
    format!("{PREFIX}{SEPARATOR}{keys}")
}

/// An element that cannot be there, because those before it are not.
struct Gap {
    index: usize,
    length: usize,
}

fn set(node: &mut Node, steps: &[&str], text: String, origin: Origin) -> Result<(), Gap> {
    let [step, rest @ ..] = steps else {
        *node = Node {
            value: Value::Untyped(text),
            origin,
        };
        return Ok(());
    };
    match (&mut node.value, step.parse::<usize>()) {
        (Value::Array(items), Ok(index)) => {
            if index > items.len() {
                return Err(Gap {
                    index,
                    length: items.len(),
                });
            }
            if index == items.len() {
                items.push(new_container(rest, origin));
            }
            set(&mut items[index], rest, text, origin)
        }
        (Value::Table(table), _) => {
            let fresh = || Entry {
                key: origin,
                node: new_container(rest, origin),
            };
            set(
                &mut table.entry((*step).to_owned()).or_insert_with(fresh).node,
                rest,
                text,
                origin,
            )
        }
        _ => {
            *node = new_container(steps, origin);
            set(node, steps, text, origin)
        }
    }
}

/// What the following steps can be set in.
fn new_container(steps: &[&str], origin: Origin) -> Node {
    let mut node = Node::empty(origin);
    if steps.first().is_some_and(|step| step.parse::<usize>().is_ok()) {
        node.value = Value::Array(Vec::new());
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_underscores_are_understood() {
        for (name, meant) in [
            ("WATCHPOST_HUB_LOG", Some("WATCHPOST__HUB__LOG")),
            ("WATCHPOST_HUB_DATA_DIR", Some("WATCHPOST__HUB__DATA_DIR")),
            ("WATCHPOST_HUB__LOG_FORMAT", Some("WATCHPOST__HUB__LOG_FORMAT")),
            ("WATCHPOST_LOG", Some("WATCHPOST__HUB__LOG")),
            ("WATCHPOST_DATA_DIR", Some("WATCHPOST__HUB__DATA_DIR")),
            ("WATCHPOST_STORE_MAX_SIZE", Some("WATCHPOST__STORE__MAX_SIZE")),
            (
                "WATCHPOST_CONNECTION_0_LOGIN_PASSWORD_FILE",
                Some("WATCHPOST__CONNECTION__0__LOGIN__PASSWORD_FILE"),
            ),
            (
                "WATCHPOST_SINK_0_CONFIG_MAX_ON",
                Some("WATCHPOST__SINK__0__CONFIG__MAX_ON"),
            ),
            ("WATCHPOST__HUB__LOG", None),
            ("WATCHPOST_TOKEN", None),
            ("WATCHPOST_HUB", None),
            ("WATCHPOST_SEED", None),
            ("WATCHPOST_SINK_PASSWORD", None),
        ] {
            assert_eq!(meant_by(name).as_deref(), meant, "{name}");
        }
        assert_eq!(regrouped(&["hub_log"]).as_deref(), Some("WATCHPOST__HUB__LOG"));
        assert_eq!(
            regrouped(&["hub", "data", "dir"]).as_deref(),
            Some("WATCHPOST__HUB__DATA_DIR")
        );
        assert_eq!(regrouped(&["hub", "logg"]), None);
        assert_eq!(regrouped(&["hub", "log"]), None);
    }
}
