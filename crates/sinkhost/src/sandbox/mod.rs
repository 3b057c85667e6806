//! The sandbox around a plugin: what its process may read, write, reach and use up.
//!
//! A plugin is foreign code. It runs in a process of its own, and [`apply`] sandboxes that process before the first
//! line of the plugin runs. It gets what the site's `[sink.sandbox]` grants and nothing because it asked for it: the
//! `needs` in a plugin's description are shown to the installer, who writes down what the plugin shall have.
//!
//! Four mechanisms of Linux do the work, none of which needs root, and none of which can be taken off again:
//!
//! - **no_new_privs** and an empty set of capabilities: no program the plugin starts can be more privileged than it is.
//! - **Resource limits** bound memory and open files. Too much memory is a failed allocation here, not a machine
//!   without memory.
//! - **Landlock** says which files may be opened and which TCP ports reached.
//! - **seccomp** allows the system calls sinks need and refuses the others, with an error and not with death: a plugin
//!   that probes for a feature takes its other way.
//!
//! An old kernel lacks some of this. What holds and what does not is said in [`Enforced`]; a site that would rather
//! have no sink than a weak sandbox sets `require`.
//!
//! Nothing here knows the plugin, the protocol or the configuration's format.

mod descriptors;
mod error;
mod files;
mod limits;
mod privileges;
mod syscalls;

use std::os::fd::BorrowedFd;

use watchpost_sinkhost_protocol::sandbox::{Enforced, Grants, Part};

pub use error::SandboxError;

/// Sandboxes the calling process. There is no way back.
///
/// `mark` is what this process and those it starts can be known by, whatever they do; without it they have none.
///
/// To be called once, first thing in a fresh process: every descriptor but standard input, output and error and those
/// in `keep` is closed, whoever opened it, and a second thread would stay outside (an error). A process for which this
/// failed is half sandboxed and of no use: end it.
pub fn apply(grants: &Grants, mark: Option<u32>, keep: &[BorrowedFd<'_>]) -> Result<Enforced, SandboxError> {
    let mut enforced = Enforced::default();
    require_single_thread()?;
    // Before the file rules, which do not bind what is open already.
    enforced.note(Part::Descriptors, descriptors::close_all_but(keep));
    // While /proc/self still belongs to this user and may be written to.
    enforced.note(Part::OomScore, limits::die_first());
    limits::set(grants, mark)?;
    enforced.holds(Part::Limits);
    privileges::drop(grants.user.as_ref())?;
    privileges::end_with_parent()?;
    enforced.holds(Part::Privileges);
    let kernel = files::restrict(grants)?;
    let filter = syscalls::restrict(grants)?;
    files::account(kernel, grants, filter.is_ok(), &mut enforced);
    if !(grants.network() && grants.unix_sockets) {
        enforced.note(Part::Sockets, filter.clone());
    }
    enforced.note(Part::SystemCalls, filter);
    if grants.require && !enforced.is_complete() {
        return Err(SandboxError::Incomplete { gaps: enforced.gaps });
    }
    Ok(enforced)
}

/// Landlock and seccomp bind the thread that asks for them and those it starts later.
fn require_single_thread() -> Result<(), SandboxError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    match threads {
        0 | 1 => Ok(()),
        threads => Err(SandboxError::Threads { threads }),
    }
}
