//! The cgroup of one child, from its start until it is empty.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Pid;

use super::limits::{self, Controller};
use crate::share::{Given, Share};

use super::{Cgroups, Failed, failed, read, write};

/// A child's cgroup. Dropping it ends what is in it and removes it, or leaves it to be removed when it is empty.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
    all: Cgroups,
}

impl Group {
    pub(super) fn make(
        path: PathBuf,
        controllers: &[Controller],
        memory: Option<u64>,
        all: Cgroups,
    ) -> Result<Self, Failed> {
        fs::create_dir(&path).map_err(|source| failed(&path, source))?;
        let group = Self { path, all };
        for controller in controllers {
            for (file, value) in controller.of_child(memory) {
                write(&group.path.join(file), &value.to_string())?;
            }
        }
        // A kernel that does not count swap has none of these; then there is no limit on it.
        let _ = write(&group.path.join("memory.swap.max"), "0");
        Ok(group)
    }

    /// Moves a process into it, with what it starts from now on.
    pub(crate) fn take_in(&self, process: Pid) -> Result<(), String> {
        write(&self.path.join("cgroup.procs"), &process.as_raw_pid().to_string())
            .map_err(|error| error.to_string())
    }

    /// Kills all that is in it.
    pub(crate) fn kill(&self) {
        // It fails only when the cgroup is gone. The kernel starts no process in it meanwhile.
        let _ = write(&self.path.join("cgroup.kill"), "1");
    }

    /// The processor time that all that was in it has used.
    pub(crate) fn used(&self) -> Option<Duration> {
        let stat = read(&self.path.join("cpu.stat")).ok()?;
        limits::counted(&stat, "usage_usec").map(Duration::from_micros)
    }

    /// Has it get this share of processors that other children want too.
    pub(crate) fn give(&self, share: Share) -> Given {
        let (file, weight) = limits::weight(share);
        match write(&self.path.join(file), &weight.to_string()) {
            Ok(()) => Given::Now,
            // There is no controller.
            Err(_) => Given::Never,
        }
    }

    /// Whether a process is in it that is not dead.
    pub(crate) fn is_populated(&self) -> bool {
        let events = read(&self.path.join("cgroup.events"));
        events.is_ok_and(|events| limits::counted(&events, "populated") == Some(1))
    }

    /// Whether it was ended by the kernel because it held more memory than it may.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let events = read(&self.path.join("memory.events"));
        events.is_ok_and(|events| limits::counted(&events, "oom_kill").is_some_and(|count| count > 0))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        if fs::remove_dir(&self.path).is_err() {
            self.all.leave_behind(std::mem::take(&mut self.path));
        }
    }
}
