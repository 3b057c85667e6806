//! Where values come from: files with their text, and environment variables. It knows no keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Finding;
use crate::location::{Location, Origin, SourceId};
use crate::mask::{HIDDEN, mask};

/// One file or variable.
pub(crate) enum Source {
    File {
        path: PathBuf,
        /// With its secrets hidden. The plain text is not kept.
        masked: Arc<str>,
    },
    Variable(String),
}

/// All that the configuration was read from.
#[derive(Default)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    pub(crate) fn add_file(&mut self, path: &Path, text: &str) -> SourceId {
        self.add(Source::File {
            path: path.to_owned(),
            masked: mask(text).into(),
        })
    }

    pub(crate) fn add_variable(&mut self, name: String) -> SourceId {
        self.add(Source::Variable(name))
    }

    pub(crate) fn get(&self, origin: Origin) -> &Source {
        &self.0[origin.source.index()]
    }

    /// The files, in the order in which they were merged.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter_map(|source| match source {
            Source::File { path, .. } => Some(path.as_path()),
            Source::Variable(_) => None,
        })
    }

    /// The folder that relative paths written here are relative to; `None` for the working directory.
    pub(crate) fn folder(&self, origin: Origin) -> Option<&Path> {
        match self.get(origin) {
            Source::File { path, .. } => path.parent(),
            Source::Variable(_) => None,
        }
    }

    pub(crate) fn location(&self, origin: Origin) -> Location {
        match self.get(origin) {
            Source::Variable(name) => Location::Variable(name.clone()),
            Source::File { path, masked } => {
                let before = masked.get(..origin.start).unwrap_or(masked);
                let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
                Location::File {
                    path: path.clone(),
                    line: before.matches('\n').count() + 1,
                    column: before[line_start..].chars().count() + 1,
                }
            }
        }
    }

    /// Something wrong at this place.
    pub(crate) fn finding(&self, mut origin: Origin, message: impl Into<String>) -> Finding {
        let text = match self.get(origin) {
            Source::File { path, masked } => Some((path.display().to_string(), Arc::clone(masked))),
            Source::Variable(_) => None,
        };
        if let Some((_, masked)) = &text
            && masked
                .get(origin.start..)
                .is_some_and(|text| text.starts_with(HIDDEN))
        {
            // Underlining all of a hidden secret would show how long it is.
            origin.end = origin.end.min(origin.start + HIDDEN.len());
        }
        Finding::new(message.into(), self.location(origin), text, origin)
    }

    fn add(&mut self, source: Source) -> SourceId {
        self.0.push(source);
        SourceId::new(self.0.len() - 1)
    }
}
