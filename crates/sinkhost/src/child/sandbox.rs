//! The place where the process confines itself: after the parent's first message, which says what the site
//! grants, and before `dlopen`, which runs the plugin's constructors, and before any thread, for confinement
//! binds the calling thread and those it starts.
//!
//! What holds for every plugin and needs no grant is in [`harden`](super::harden) already.

use crate::message::Task;

/// Confines the process to what `task` needs. No plugin is granted less than the user may do yet.
pub(super) fn enter(_task: &Task) {}
