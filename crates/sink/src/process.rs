//! Programs that a sink starts and that must not outlive its process. Knows nothing of what they do.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// Lets the kernel kill the program when the thread that starts it ends, for instance because its process is killed.
///
/// It holds for the program itself, not for those it starts, and not for one that changes its user (set-user-id).
pub fn end_with_us(command: &mut Command) {
    let parent = getpid();
    // SAFETY: between fork and exec only async-signal-safe system calls are made, and nothing is allocated.
    unsafe {
        command.pre_exec(move || tie_to(parent));
    }
}

fn tie_to(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before the kernel knew.
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(io::ErrorKind::NotConnected.into())
    }
}
