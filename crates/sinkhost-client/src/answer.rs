//! What became of the start of a child.

use watchpost_sinkhost_protocol::sandbox::Enforced;
use watchpost_sinkhost_protocol::{LoadFault, Note, Outcome, PluginInfo, Stage};

use crate::ExitKind;

/// What became of a start.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It did what it was started for, or runs.
    Ready(Box<PluginInfo>, Option<String>, Enforced),
    /// Its process could not be sandboxed.
    Unconfined(String),
    /// The file is no plugin.
    Unloadable(LoadFault),
    /// The plugin refused.
    Refused(Outcome, Vec<Note>),
    /// The child's program is not ours.
    OtherRelease,
    /// The child is gone.
    Died {
        stage: Stage,
        how: ExitKind,
        output: Vec<String>,
    },
}
