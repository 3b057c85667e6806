//! Lays environment variables over the tree: `WATCHPOST__SINK__0__TIMEOUT=5s` is `timeout` of the first
//! `[[sink]]`. Their types are decided later, by what is expected.

use config::{Environment, Source as _};

use crate::error::ConfigError;
use crate::location::Origin;
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
