//! The merged configuration as it was written, every key and value with its origin. It knows no types:
//! `check` does.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::location::{Origin, SourceId};
use crate::mask::is_secret_key;

/// A table: its keys in the order of the alphabet.
pub(crate) type Table = BTreeMap<String, Entry>;

/// A value and where it was written; a table's origin is its header.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// A value under a key.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: Origin,
    pub(crate) node: Node,
}

/// What TOML can say.
#[derive(Clone)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    /// An integer beyond 64 bits.
    HugeInteger(String),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
    /// From the environment, where `"5"` and `5` look the same: the type that is expected decides.
    Untyped(String),
}

impl Node {
    /// A table with nothing in it.
    pub(crate) fn empty(origin: Origin) -> Self {
        Self {
            value: Value::Table(Table::new()),
            origin,
        }
    }

    /// Keeps what the parser found in a source.
    pub(crate) fn from_toml(parsed: &Spanned<DeValue<'_>>, source: SourceId) -> Self {
        let value = match parsed.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_or_else(|_| Value::HugeInteger(integer.to_string()), Value::Integer),
            DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
            DeValue::Array(items) => {
                Value::Array(items.iter().map(|item| Self::from_toml(item, source)).collect())
            }
            DeValue::Table(table) => Value::Table(table_from_toml(table, source)),
        };
        Self {
            value,
            origin: source.at(parsed.span()),
        }
    }

    /// Lays `over` on top: tables key by key, arrays of tables one after the other, else `over` wins.
    pub(crate) fn merge(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Value::Table(base), Value::Table(over)) => {
                for (key, entry) in over {
                    match base.get_mut(&key) {
                        Some(earlier) => earlier.node.merge(entry.node),
                        None => {
                            base.insert(key, entry);
                        }
                    }
                }
            }
            (Value::Array(base), Value::Array(mut over)) if all_tables(base) && all_tables(&over) => {
                base.append(&mut over);
            }
            (base, over_value) => {
                *base = over_value;
                self.origin = over.origin;
            }
        }
    }

    /// Where the value at a JSON pointer (RFC 6901) stands; or, where there is none, the deepest table or
    /// array on the way that there is. A value that stands there without its array is the array's first.
    pub(crate) fn locate(&self, pointer: &str) -> Origin {
        self.walk(pointer).0
    }

    /// The value at a JSON pointer, if it is there.
    pub(crate) fn find(&self, pointer: &str) -> Option<&Self> {
        self.walk(pointer).1
    }

    fn walk(&self, pointer: &str) -> (Origin, Option<&Self>) {
        let mut node = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let only = (step == "0").then_some(node);
            let next = match &node.value {
                Value::Table(table) => table.get(&step).map(|entry| &entry.node).or(only),
                Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => only,
            };
            match next {
                Some(next) => node = next,
                None => return (node.origin, None),
            }
        }
        (node.origin, Some(node))
    }

    /// Every string below here that stands behind a secret's key.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.collect_secrets(false, &mut found);
        found
    }

    fn collect_secrets<'a>(&'a self, secret: bool, found: &mut Vec<&'a str>) {
        match &self.value {
            Value::String(text) | Value::Untyped(text) if secret && !text.is_empty() => found.push(text),
            Value::Array(items) => items.iter().for_each(|item| item.collect_secrets(secret, found)),
            Value::Table(table) => {
                for (key, entry) in table {
                    entry.node.collect_secrets(secret || is_secret_key(key), found);
                }
            }
            _ => {}
        }
    }
}

impl Value {
    /// What it is, with its article, for errors.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) | Self::Untyped(_) => "a string",
            Self::Integer(_) | Self::HugeInteger(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date or time",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Keeps a parsed table.
pub(crate) fn table_from_toml(table: &DeTable<'_>, source: SourceId) -> Table {
    let entry = |(key, value): (&Spanned<_>, &Spanned<_>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        let entry = Entry {
            key: source.at(key.span()),
            node: Node::from_toml(value, source),
        };
        (key.get_ref().to_string(), entry)
    };
    table.iter().map(entry).collect()
}

fn all_tables(items: &[Node]) -> bool {
    items.iter().all(|item| matches!(item.value, Value::Table(_)))
}
