//! Why a plugin cannot be loaded, described or started. Every text says what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use watchpost_sinkhost_protocol::{LoadFault, Note, Outcome, Stage};

use crate::ExitKind;

/// What kept the plugin from running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not a plugin this host can load.
    #[error("plugin {}: {fault}", path.display())]
    Load {
        /// The plugin.
        path: PathBuf,
        /// What is wrong with it.
        fault: LoadFault,
    },
    /// Its process could not be sandboxed, or not as far as is required. The plugin was not loaded.
    #[error("plugin {} is not started: {reason}", path.display())]
    Sandbox {
        /// The plugin.
        path: PathBuf,
        /// Which grant or part of the sandbox it is about, and what to do.
        reason: String,
    },
    /// The plugin was loaded and refused.
    #[error("plugin {} refuses its configuration or its start ({outcome}){}", path.display(), Joined(notes))]
    Refused {
        /// The plugin.
        path: PathBuf,
        /// What it answered.
        outcome: Outcome,
        /// What it had to say.
        notes: Vec<Note>,
    },
    /// The plugin's process ended before it had answered.
    #[error("plugin {} {how} while {stage}{}", path.display(), Tail(output))]
    Died {
        /// The plugin.
        path: PathBuf,
        /// What it was doing.
        stage: Stage,
        /// How the process ended.
        how: ExitKind,
        /// The last lines it wrote, oldest first.
        output: Vec<String>,
    },
    /// The plugin did not answer in time and was killed.
    #[error("plugin {} did not finish {stage} within {after:?}{}", path.display(), Tail(output))]
    TimedOut {
        /// The plugin.
        path: PathBuf,
        /// What it was doing.
        stage: Stage,
        /// How long it had.
        after: Duration,
        /// The last lines it wrote, oldest first.
        output: Vec<String>,
    },
    /// The child's program could not be started.
    #[error("cannot start {}: {source}; it is installed beside the watchpost program", path.display())]
    Spawn {
        /// The child's program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The child's program ended before its first message.
    #[error(
        "{} {how} as soon as it was started{}; is it the watchpost-sinkhost of this release?",
        path.display(),
        Tail(output)
    )]
    HostDied {
        /// The child's program.
        path: PathBuf,
        /// How the process ended.
        how: ExitKind,
        /// The last lines it wrote, oldest first.
        output: Vec<String>,
    },
    /// The child's program is not the one that belongs to this hub.
    #[error("{} is of another release than this program; install both from the same package", path.display())]
    OtherRelease {
        /// The child's program.
        path: PathBuf,
    },
}

/// Notes, one after the other behind a colon.
struct Joined<'a>(&'a [Note]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, note) in self.0.iter().enumerate() {
            write!(f, "{}{note}", if index == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

/// The last line of what the process wrote, which mostly says why it died.
struct Tail<'a>(&'a [String]);

impl fmt::Display for Tail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.last() {
            Some(line) => write!(f, "; its last words: {line}"),
            None => Ok(()),
        }
    }
}
