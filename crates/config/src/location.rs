//! Places in what the configuration was read from: for people and, as ranges of bytes, for the program. It knows
//! neither files nor their text.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// A place that a person can go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A place in a file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// An environment variable, by its name.
    Variable(String),
}

/// Number of a source within its `Sources`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceId(usize);

/// Where a key or a value was written: a range of bytes in a source. Of a variable it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) source: SourceId,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

impl SourceId {
    /// The source at this index.
    pub(crate) fn new(index: usize) -> Self {
        Self(index)
    }

    /// Its index among the sources.
    pub(crate) fn index(self) -> usize {
        self.0
    }

    /// A range of this source.
    pub(crate) fn at(self, span: Range<usize>) -> Origin {
        Origin {
            source: self,
            start: span.start,
            end: span.end,
        }
    }
}
