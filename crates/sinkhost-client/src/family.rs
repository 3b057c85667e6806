//! A child and the processes that it has started, known by a mark that they can neither shed nor forge.
//!
//! A plugin that may start programs may have them leave its group, its session and their parent. What they inherit and
//! cannot change is a resource limit: the one on POSIX message queues, which no sandboxed process can make, and which
//! the filter of system calls lets none of them set.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, PidfdFlags, Resource, Signal, geteuid, getrlimit, pidfd_open, pidfd_send_signal};
use watchpost_sinkhost_protocol::sandbox::Grants;

use crate::cgroup::Group;

/// How the processes of a child are found that are not its first.
#[derive(Debug)]
pub(crate) enum Family {
    /// It can start none.
    Alone,
    /// By their mark.
    Marked(Mark),
    /// They are in a cgroup of its own.
    Grouped(Group),
}

impl Family {
    /// Without a cgroup.
    pub(crate) fn of(grants: &Grants, mark: Mark) -> Self {
        if grants.exec {
            Self::Marked(mark)
        } else {
            Self::Alone
        }
    }

    /// Kills all of them where that is one act, the first among them.
    pub(crate) fn kill_grouped(&self) {
        if let Self::Grouped(group) = self {
            group.kill();
        }
    }

    /// Kills what lives, apart from `main`. Says whether there was anything: what was about to start a process may have
    /// started it, so ask again.
    pub(crate) fn kill_all(&self, main: Pid) -> bool {
        match self {
            Self::Alone => false,
            Self::Marked(mark) => mark.kill_all(main),
            Self::Grouped(group) => {
                let found = group.is_populated();
                group.kill();
                found
            }
        }
    }

    /// Whether the kernel has ended them for the memory that they held together.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        matches!(self, Self::Grouped(group) if group.ran_out_of_memory())
    }
}

/// The largest mark; the limit on message queues is 819200 by default, and a mark has to be below it.
const LAST_MARK: u32 = 800_000;

/// The mark of one child's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u32);

impl Mark {
    /// A mark that no living process has.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Two hubs of one machine begin at different places.
        let start = std::process::id().wrapping_mul(7919);
        let number = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        // A mark can only be put on that is below the limit there is, and is known by being below it.
        let below = u32::try_from(own_limit() - 1).unwrap_or(LAST_MARK);
        Self(1 + number % below.clamp(1, LAST_MARK))
    }

    /// Its number, for the child to put on.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// What lives with this mark, apart from `main`.
    pub(crate) fn all(self, main: u32) -> Vec<u32> {
        let numbers = processes().filter(|pid| self.is_on(*pid));
        let numbers = numbers.map(|pid| pid.as_raw_pid().unsigned_abs());
        numbers.filter(|pid| *pid != main).collect()
    }

    /// Kills what lives with this mark, apart from `main`. Says whether there was anything: what was about to start a
    /// process may have started it, so ask again.
    pub(crate) fn kill_all(self, main: Pid) -> bool {
        let mut found = false;
        for pid in processes().filter(|pid| *pid != main && self.is_on(*pid)) {
            // A number may have become another process's, so it is held before it is looked at again.
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
                continue;
            };
            if self.is_on(pid) {
                found = true;
                let _ = pidfd_send_signal(&process, Signal::KILL);
            }
        }
        found
    }

    /// Whether a process that is not dead has it.
    fn is_on(self, pid: Pid) -> bool {
        let read =
            |file: &str| fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_pid())).unwrap_or_default();
        hard_limit(&read("limits")) == Some(self.0.into()) && !is_dead(&read("stat"))
    }
}

/// Whether this process, of this user, runs a plugin or was started by one, under this hub or an earlier one. What has ended
/// meanwhile may have been; other users' processes are none, for only such a sink has a user of its own as may not ask.
///
/// `pid` is 0 for a process outside what this one can see, where no sink is.
#[must_use]
pub fn is_of_a_sink(pid: u32, user: u32) -> bool {
    if pid == 0 || user != geteuid().as_raw() {
        return false;
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"));
    let limit = limits.ok().and_then(|limits| hard_limit(&limits));
    limit.is_none_or(|limit| limit < own_limit())
}

/// The limit that this process has where its children have their marks, at least 1.
fn own_limit() -> u64 {
    getrlimit(Resource::Msgqueue)
        .maximum
        .map_or(u64::MAX, |limit| limit.max(1))
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// The hard limit on message queues in a `/proc/PID/limits`.
fn hard_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max msgqueue size"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Whether a `/proc/PID/stat` is of a process that only waits to be reaped. The name before the state may hold anything.
/// The state is that of the first thread, which may have ended before others.
fn is_dead(stat: &str) -> bool {
    let Some((_, rest)) = stat.rsplit_once(')') else {
        return true;
    };
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next();
    // The state is the third field, and the number of threads the 20th: proc_pid_stat(5).
    let threads = fields.nth(16).and_then(|threads| threads.parse().ok());
    matches!(state, None | Some("Z" | "X")) && threads.unwrap_or(0) < 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_read_as_the_kernel_writes_it() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max cpu time              unlimited            unlimited            seconds   \n\
                      Max msgqueue size         4711                 4711                 bytes     \n";
        assert_eq!(hard_limit(limits), Some(4711));
        assert_eq!(hard_limit(&limits.replace("4711", "unlimited")), Some(u64::MAX));
        assert_eq!(hard_limit(""), None);
        let own = fs::read_to_string("/proc/self/limits").unwrap();
        assert!(own.contains("Max msgqueue size"), "{own}");
    }

    #[test]
    fn a_process_without_a_mark_is_of_no_sink() {
        let (this, user) = (std::process::id(), geteuid().as_raw());
        assert!(!is_of_a_sink(this, user));
        // It may have been one.
        assert!(is_of_a_sink(u32::MAX, user));
        assert!(!is_of_a_sink(u32::MAX, user + 1));
        assert!(!is_of_a_sink(0, user));
    }

    #[test]
    fn the_dead_are_told_from_the_living() {
        assert!(!is_dead("12 (sh) S 1 12 12"));
        assert!(!is_dead("12 (a) Z) R 1 12 12"));
        assert!(is_dead("12 (sh) Z 1 12 12"));
        let stat =
            |threads| format!("12 (sh) Z 1 12 12 0 -1 4227148 31 0 0 0 0 0 0 0 20 0 {threads} 0 341843 0 0");
        assert!(is_dead(&stat(1)));
        assert!(
            !is_dead(&stat(2)),
            "its first thread has ended, and another goes on"
        );
        assert!(is_dead(""));
    }
}
