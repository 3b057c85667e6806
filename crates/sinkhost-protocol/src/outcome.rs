//! How a call ended, what the plugin says about it, and how important a line of its log is.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, and flushed where the plugin flushes.
    Ok,
    /// Not now.
    Retry {
        /// The plugin knows that there is no point before this long.
        after: Option<Duration>,
    },
    /// Never, for this alert.
    Permanent,
    /// The configuration is wrong; the notes say where.
    BadConfig,
    /// The instance is unusable and has to be created again.
    Fatal,
    /// The plugin does not do that.
    Unsupported,
    /// Not done by its deadline. The child is dead or about to be.
    TimedOut,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("done"),
            Self::Retry { after: None } => f.write_str("try again later"),
            Self::Retry { after: Some(after) } => write!(f, "try again after {after:?}"),
            Self::Permanent => f.write_str("will never work"),
            Self::BadConfig => f.write_str("bad configuration"),
            Self::Fatal => f.write_str("the instance has failed"),
            Self::Unsupported => f.write_str("not supported"),
            Self::TimedOut => f.write_str("timed out"),
        }
    }
}

/// A sentence from the plugin for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// JSON pointer (RFC 6901) into the sink's configuration, or empty.
    pub pointer: String,
    /// The sentence.
    pub text: String,
}

impl Note {
    /// A note that speaks of no place in the configuration.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.text),
            pointer => write!(f, "{pointer}: {}", self.text),
        }
    }
}

/// How loud a line of the log is. What a plugin writes to stdout is `Info`, to stderr `Warn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the field's own words")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}
