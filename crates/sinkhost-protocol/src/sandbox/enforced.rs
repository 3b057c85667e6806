//! Which parts of the sandbox are in force on this machine. Knows nothing of how they are put in force.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What came of putting the sandbox in force, to be shown to the installer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforced {
    /// The parts that hold.
    pub in_force: Vec<Part>,
    /// The parts that do not, each with the reason. A part that the grants leave nothing to do is in neither list.
    pub gaps: Vec<Gap>,
}

/// A part of the sandbox that this machine cannot put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Which.
    pub part: Part,
    /// Why not, and what it takes.
    pub reason: String,
}

/// A part of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Part {
    /// Nothing that the hub has open is inherited.
    Descriptors,
    /// When the machine runs out of memory, the plugin goes first.
    OomScore,
    /// Memory, open files, core dumps, tasks.
    Limits,
    /// The user, no capabilities, no way to new ones.
    Privileges,
    /// Files and directories to open, create, rename and delete.
    Files,
    /// Cutting off files that may not be written to.
    Truncation,
    /// Controlling devices (`ioctl`) that may only be read.
    DeviceControl,
    /// TCP ports to connect to or to listen on.
    TcpPorts,
    /// No network at all, no local sockets.
    Sockets,
    /// Abstract local sockets of other processes.
    AbstractSockets,
    /// No signals to other processes.
    Signals,
    /// System calls that no sink needs; starting programs.
    SystemCalls,
    /// Memory and number of all processes of a sink together.
    Group,
}

impl Enforced {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// This part is in force.
    pub fn holds(&mut self, part: Part) {
        self.in_force.push(part);
    }

    /// This part is not in force, for this reason.
    pub fn lacks(&mut self, part: Part, reason: impl Into<String>) {
        self.gaps.push(Gap {
            part,
            reason: reason.into(),
        });
    }

    /// In force, or lacking for the reason given.
    pub fn note(&mut self, part: Part, result: Result<(), String>) {
        match result {
            Ok(()) => self.holds(part),
            Err(reason) => self.lacks(part, reason),
        }
    }
}

impl fmt::Display for Enforced {
    /// One line: `the sandbox holds`, or what it lacks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_complete() {
            return f.write_str("the sandbox holds");
        }
        write!(f, "the sandbox lacks {}", join_gaps(&self.gaps))
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.part, self.reason)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Descriptors => "closing inherited descriptors",
            Self::OomScore => "being first to go when memory runs out",
            Self::Limits => "resource limits",
            Self::Privileges => "dropped privileges",
            Self::Files => "limits on files",
            Self::Truncation => "limits on truncating files",
            Self::DeviceControl => "limits on controlling devices",
            Self::TcpPorts => "limits on TCP ports",
            Self::Sockets => "limits on sockets",
            Self::AbstractSockets => "limits on abstract local sockets",
            Self::Signals => "limits on signals to other processes",
            Self::SystemCalls => "limits on system calls",
            Self::Group => "limits on all its processes together",
        })
    }
}

/// Gaps, separated by commas.
#[must_use]
pub fn join_gaps(gaps: &[Gap]) -> String {
    let gaps: Vec<String> = gaps.iter().map(Gap::to_string).collect();
    gaps.join(", ")
}
