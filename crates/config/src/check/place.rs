//! Where a value stands, in the words of a person who looks at the file: `[sink.retry] of `mail``.

use std::fmt;

use crate::tree::{Node, Value};

/// The way from the top of the configuration to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    steps: Vec<Step>,
    /// The name of the connection, sink or route that it belongs to.
    of: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    key: String,
    /// Whether it is one of several: `[[sink]]` and not `[sink]`.
    many: bool,
}

impl At {
    pub(crate) fn root() -> Self {
        Self::default()
    }

    /// The place of a JSON pointer into this tree.
    pub(crate) fn pointer(tree: &Node, pointer: &str) -> Self {
        let mut at = Self::root();
        let mut so_far = String::new();
        for step in pointer.split('/').skip(1) {
            let around = tree.find(&so_far);
            so_far = format!("{so_far}/{step}");
            at = match (step.parse::<usize>(), tree.find(&so_far)) {
                (Ok(_), Some(node)) if !at.steps.is_empty() => match around.map(|around| &around.value) {
                    Some(Value::Array(_)) => at.element(node),
                    // It stands there without its array.
                    _ => at,
                },
                _ => at.below(&step.replace("~1", "/").replace("~0", "~")),
            };
        }
        at
    }

    pub(crate) fn below(&self, key: &str) -> Self {
        let mut at = self.clone();
        at.steps.push(Step {
            key: key.to_owned(),
            many: false,
        });
        at
    }

    /// The same as a table of which there can be several.
    pub(crate) fn several(mut self) -> Self {
        if let Some(last) = self.steps.last_mut() {
            last.many = true;
        }
        self
    }

    /// One element of what stands here.
    pub(crate) fn element(&self, node: &Node) -> Self {
        let mut at = self.clone();
        let Value::Table(table) = &node.value else {
            return at;
        };
        if at.steps.len() == 1 {
            at.of = table.get("name").and_then(|entry| match &entry.node.value {
                Value::String(name) | Value::Untyped(name) if !name.is_empty() => Some(name.clone()),
                _ => None,
            });
        }
        at.several()
    }

    /// The last key.
    pub(crate) fn key(&self) -> &str {
        self.steps.last().map_or("", |step| step.key.as_str())
    }

    /// The table around the last key.
    pub(crate) fn parent(&self) -> Self {
        let mut at = self.clone();
        at.steps.pop();
        at
    }

    /// Its keys, dotted, without brackets.
    pub(crate) fn dotted(&self) -> String {
        let keys: Vec<&str> = self.steps.iter().map(|step| step.key.as_str()).collect();
        keys.join(".")
    }

    /// The keys on the way to it.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|step| step.key.as_str())
    }

    /// Its header, as it stands in a file.
    pub(crate) fn header(&self) -> String {
        match self.steps.last() {
            Some(Step { many: true, .. }) => format!("[[{}]]", self.dotted()),
            _ => format!("[{}]", self.dotted()),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str("the configuration");
        }
        f.write_str(&self.header())?;
        match &self.of {
            Some(name) if self.steps.len() == 1 => write!(f, " `{name}`"),
            Some(name) => write!(f, " of `{name}`"),
            None => Ok(()),
        }
    }
}
