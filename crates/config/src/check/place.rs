//! Where the checker is, in the words of a person who looks at the file.

use std::fmt;

use crate::schema::{self, Kind, Schema};

/// Where the checker is, in words.
#[derive(Clone)]
pub(super) struct At {
    /// Dotted, without array indices: `sink.retry`; empty at the top.
    pub(super) path: String,
    /// Whether it is one of several: `[[sink]]` and not `[sink]`.
    pub(super) many: bool,
}

impl At {
    pub(super) fn below(&self, key: &str) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Self { path, many: false }
    }

    /// The last key.
    pub(super) fn key(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// The table around the last key.
    pub(super) fn parent(&self) -> Self {
        let path = self
            .path
            .rsplit_once('.')
            .map_or("", |(parent, _)| parent)
            .to_owned();
        let array = |table: Schema<'_>| table.kind() == Kind::Array;
        let many = schema::root().property(&path).is_some_and(array);
        Self { path, many }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { path, .. } if path.is_empty() => f.write_str("the configuration"),
            Self { path, many: true } => write!(f, "[[{path}]]"),
            Self { path, many: false } => write!(f, "[{path}]"),
        }
    }
}
