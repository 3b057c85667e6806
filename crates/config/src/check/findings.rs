//! What a check has found so far. It judges nothing itself.

use std::path::PathBuf;

use serde_json::Value as Json;

use crate::error::{ConfigError, Finding};
use crate::location::Origin;
use crate::source::Sources;

/// The findings, and the text that they point into.
pub(crate) struct Findings<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) errors: Vec<ConfigError>,
}

impl Findings<'_> {
    /// Adds one; what stands there then counts as null.
    pub(super) fn report(&mut self, finding: Finding) -> Json {
        self.errors.push(finding.into());
        Json::Null
    }

    /// A path, relative to the folder of the file that it stands in.
    pub(super) fn absolute(&self, text: &str, origin: Origin) -> PathBuf {
        let path = self
            .sources
            .folder(origin)
            .map_or_else(|| PathBuf::from(text), |folder| folder.join(text));
        // It fails only without a working directory; then the relative path is all that is known.
        std::path::absolute(&path).unwrap_or(path)
    }
}
