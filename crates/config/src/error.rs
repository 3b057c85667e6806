//! What can be wrong with a configuration, said so that it can be mended: where, what was expected, and
//! the nearest valid spelling. No error holds the value of a secret.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

use crate::location::{Location, Origin};

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or a folder cannot be read.
    #[error("cannot read {path}: {reason}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
        /// What to do.
        help: String,
    },
    /// Something in a file or a variable is wrong.
    #[error("{0}")]
    Finding(Box<Finding>),
    /// A secret is not available.
    #[error("cannot read the secret in {from}: {problem}")]
    Secret {
        /// Where it should be.
        from: String,
        /// Why it cannot be read.
        problem: String,
    },
    /// A variable sets nothing, because the keys in its name are not separated by two underscores.
    #[error("environment variable {name} sets nothing: keys are separated by two underscores")]
    Variable {
        /// The variable.
        name: String,
        /// The name that is likely to be meant.
        meant: String,
    },
    /// A file in `conf.d` is not read.
    #[error("{path} is not read: its name does not end in .toml", path = .path.display())]
    NotRead {
        /// The file.
        path: PathBuf,
        /// The name with which it would be.
        right: PathBuf,
    },
}

/// All that is wrong with a configuration; at least one thing.
#[derive(Debug, thiserror::Error)]
#[error("{} in the configuration", count(.0.len()))]
pub struct ConfigErrors(pub(crate) Vec<ConfigError>);

/// Something wrong at a place in the configuration. With miette's graphical handler it shows the lines,
/// secrets hidden.
#[derive(Debug)]
pub struct Finding {
    message: String,
    help: Option<String>,
    severity: Severity,
    location: Location,
    text: Option<NamedSource<Arc<str>>>,
    origin: Origin,
    labels: Vec<LabeledSpan>,
}

impl ConfigError {
    /// Where it is, if it is at a place.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Finding(finding) => Some(&finding.location),
            _ => None,
        }
    }

    /// Whether it is better corrected, but keeps nothing from working.
    pub fn is_warning(&self) -> bool {
        self.severity() == Some(Severity::Warning)
    }

    /// Errors are shown in the order of the files and of the lines in them.
    pub(crate) fn order(&self) -> Option<Origin> {
        match self {
            Self::Finding(finding) => Some(finding.origin),
            _ => None,
        }
    }

    /// In one line, beginning with file:line:column where it is at a place in a file. For logs.
    pub fn line(&self) -> String {
        match self.location() {
            Some(place @ Location::File { .. }) => format!("{place}: {self}"),
            _ => self.to_string(),
        }
    }
}

impl ConfigErrors {
    /// Each of them, in the order in which they were found; at least one.
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }

    /// The same, for whoever keeps them.
    pub fn into_errors(self) -> Vec<ConfigError> {
        self.0
    }
}

impl Finding {
    pub(crate) fn new(
        message: String,
        location: Location,
        text: Option<(String, Arc<str>)>,
        origin: Origin,
    ) -> Self {
        Self {
            message,
            help: None,
            severity: Severity::Error,
            location,
            text: text.map(|(name, text)| NamedSource::new(name, text)),
            origin,
            labels: Vec::new(),
        }
    }

    /// Points at the place with a few words.
    pub(crate) fn label(mut self, words: impl Into<String>) -> Self {
        let span = self.origin.start..self.origin.end;
        self.labels
            .insert(0, LabeledSpan::new_primary_with_span(Some(words.into()), span));
        self
    }

    /// Points at another place too, if it is in the same file.
    pub(crate) fn also(mut self, other: Origin, words: &str) -> Self {
        if other.source == self.origin.source {
            self.labels.push(LabeledSpan::new_with_span(
                Some(words.to_owned()),
                other.start..other.end,
            ));
        }
        self
    }

    /// Says what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Makes it something that is better mended, but does not stop the hub.
    pub(crate) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

impl From<Finding> for ConfigError {
    fn from(finding: Finding) -> Self {
        Self::Finding(Box::new(finding))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Location::File { .. } => f.write_str(&self.message),
            // No snippet will show where it is.
            Location::Variable(name) => write!(f, "environment variable `{name}`: {}", self.message),
        }
    }
}

impl Diagnostic for ConfigError {
    fn severity(&self) -> Option<Severity> {
        match self {
            Self::Finding(finding) => Some(finding.severity),
            Self::NotRead { .. } => Some(Severity::Warning),
            _ => Some(Severity::Error),
        }
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match self {
            Self::Unreadable { help, .. } => Some(Box::new(help)),
            Self::Finding(finding) => finding.help.as_ref().map(|help| Box::new(help) as _),
            Self::Variable { meant, .. } => Some(Box::new(format!("write {meant}"))),
            Self::NotRead { right, .. } => Some(Box::new(format!(
                "call it {}, or move it elsewhere",
                right.display()
            ))),
            Self::Secret { .. } => None,
        }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        match self {
            Self::Finding(finding) => finding.text.as_ref().map(|text| text as _),
            _ => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match self {
            Self::Finding(finding) if finding.text.is_some() => {
                Some(Box::new(finding.labels.iter().cloned()))
            }
            _ => None,
        }
    }
}

impl Diagnostic for ConfigErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.0.iter().map(|error| error as &dyn Diagnostic)))
    }
}

fn count(errors: usize) -> String {
    if errors == 1 {
        "1 error".to_owned()
    } else {
        format!("{errors} errors")
    }
}
