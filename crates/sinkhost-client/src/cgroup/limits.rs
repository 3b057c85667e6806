//! Which files of a cgroup hold a child, and what is written to them. Writes nothing.

use std::fmt;

use crate::share::Share;

/// Most processes and threads of a child, those it has started with it. A plugin that encodes video with one thread a
/// processor and a pool for its network has a few dozen.
pub const MAX_TASKS: u64 = 128;

/// Memory beyond the limit that the site has set, which is one of allocations: what the kernel keeps for the child (page
/// tables, stacks, sockets, its programs' pages) counts in a cgroup too. An allocation that is too much is to fail, and
/// not to be the end.
pub(super) const KERNEL_SHARE_BYTES: u64 = 32 << 20;

/// Weight of all children together, for processors and for disks. The hub beside them has 100.
pub(super) const CHILDREN_WEIGHT: u64 = 25;

/// What a cgroup limits, each by a controller of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Tasks,
    Processors,
    Disks,
}

impl Controller {
    pub(super) const ALL: [Self; 4] = [Self::Memory, Self::Tasks, Self::Processors, Self::Disks];

    /// The kernel's name for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Tasks => "pids",
            Self::Processors => "cpu",
            Self::Disks => "io",
        }
    }

    /// Why it is not there.
    pub(super) fn absence(self) -> String {
        match self {
            // The firmware of a Raspberry Pi turns it off.
            Self::Memory => {
                "the kernel has its controller `memory` turned off; `cgroup_enable=memory` on the kernel's \
                             command line turns it on"
                    .to_owned()
            }
            Self::Tasks | Self::Processors | Self::Disks => {
                format!(
                    "the service manager has not handed over the controller `{}`",
                    self.name()
                )
            }
        }
    }

    /// What is set for all children together.
    pub(super) fn of_all(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Memory | Self::Tasks => &[],
            Self::Processors => &[("cpu.weight", CHILDREN_WEIGHT)],
            Self::Disks => &[("io.weight", CHILDREN_WEIGHT)],
        }
    }

    /// What is set for one child.
    pub(super) fn of_child(self, memory: Option<u64>) -> Vec<(&'static str, u64)> {
        match (self, memory) {
            (Self::Memory, Some(bytes)) => vec![
                ("memory.max", bytes.saturating_add(KERNEL_SHARE_BYTES)),
                // All of its processes, for what is left would be of no use.
                ("memory.oom.group", 1),
            ],
            (Self::Tasks, _) => vec![("pids.max", MAX_TASKS)],
            (Self::Memory | Self::Processors | Self::Disks, _) => Vec::new(),
        }
    }
}

/// What gives one child this share of what all of them get: 100 is what each has.
pub(super) fn weight(share: Share) -> (&'static str, u64) {
    let weight = match share {
        Share::Equal => 100,
        Share::Rest => 1,
    };
    ("cpu.weight", weight)
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "the memory of a sink's processes together",
            Self::Tasks => "the number of a sink's processes and threads",
            Self::Processors => "the sinks' share of the processors",
            Self::Disks => "the sinks' share of the disks",
        })
    }
}

/// A number in a file with a line for each, such as `memory.events`.
pub(super) fn counted(file: &str, name: &str) -> Option<u64> {
    let mut lines = file.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == name)?.1.parse().ok()
}

/// The name of a child's cgroup: its number keeps it from being another's, the rest is for the reader of `systemd-cgls`.
pub(super) fn name(instance: &str, number: u32) -> String {
    const MAX_CHARS: usize = 64;
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let instance: String = instance.chars().take(MAX_CHARS).map(plain).collect();
    format!("{number}-{instance}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_the_limits_of_its_site() {
        let all = |memory| {
            let limits = Controller::ALL.into_iter().flat_map(|c| c.of_child(memory));
            limits.collect::<Vec<_>>()
        };
        let (memory, tasks) = (
            ("memory.max", (256 << 20) + KERNEL_SHARE_BYTES),
            ("pids.max", MAX_TASKS),
        );
        assert_eq!(all(Some(256 << 20)), [memory, ("memory.oom.group", 1), tasks]);
        assert_eq!(all(Some(u64::MAX))[0], ("memory.max", u64::MAX));
        assert_eq!(all(None), [tasks]);
    }

    #[test]
    fn events_are_read_as_the_kernel_writes_them() {
        let events = "low 0\nmax 31\noom 2\noom_kill 1\noom_group_kill 1\n";
        assert_eq!(counted(events, "oom_kill"), Some(1));
        assert_eq!(counted(events, "oom"), Some(2));
        assert_eq!(counted("populated 0\nfrozen 0\n", "populated"), Some(0));
        assert_eq!(counted("", "populated"), None);
    }

    #[test]
    fn no_name_leads_elsewhere() {
        for (instance, expected) in [("mail", "7-mail"), ("../x y", "7----x-y"), ("", "7-")] {
            assert_eq!(name(instance, 7), expected);
        }
        assert!(name(&"ü".repeat(300), 7).len() < 100);
    }
}
