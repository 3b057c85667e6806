//! What happens in or to a child, as its caller sees it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use watchpost_sinkhost_protocol::{ArmRequest, LogLevel, Note, Outcome};

/// Something that happened in or to the child, in the order it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The plugin has begun this call. Its deadline counts from here.
    Begun {
        /// The call's number, as given.
        call_id: u64,
    },
    /// The call is over. Comes at most once for each call; calls that get none are [`Exit::unfinished`].
    Done {
        /// The call's number, as given.
        call_id: u64,
        /// How it ended.
        outcome: Outcome,
        /// What the plugin, or the host, had to say about it.
        notes: Arc<[Note]>,
    },
    /// A person has acknowledged the alert of this call at the sink (a button at the siren). The call goes on. Comes at most
    /// once for each call, and only from a plugin with the grant.
    Acknowledged {
        /// The call's number, as given.
        call_id: u64,
    },
    /// A person at the sink wants something of areas. Comes only from a plugin with the grant, and wants an answer.
    Asked(ArmRequest),
    /// A line for the sink's log.
    Log {
        /// How loud.
        level: LogLevel,
        /// One line, at most [`MAX_LINE_BYTES`](watchpost_sinkhost_protocol::limits::MAX_LINE_BYTES) long.
        text: String,
    },
    /// The child is gone and reaped. Always the last event, and it always comes.
    Exited(Exit),
}

/// How and over what the child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// How.
    pub how: ExitKind,
    /// The one delivery the plugin was working on, if it was just one. Its next attempt may end the same way.
    pub blamed: Option<u64>,
    /// Calls that were accepted and got no [`Event::Done`], oldest first, the blamed one among them.
    pub unfinished: Vec<u64>,
}

/// How a child process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// It was asked to stop and did.
    Stopped,
    /// It left on its own with this code.
    Code(i32),
    /// It died of this signal.
    Signal(i32),
    /// It was killed because a call outlived its deadline.
    TimedOut,
    /// It was killed because it gave no sign of life for this long, not even from the host's own thread: it was stopped.
    Unresponsive(Duration),
    /// It was asked to stop, did not within its grace period, and was killed.
    StopTimedOut,
    /// It was killed and has not died: it waits in the kernel, for a disk or a device. It may die later.
    Unkillable,
    /// It was killed because it takes up more than it may, in these words.
    OverLimit(String),
    /// It was killed because it sent what no child of this release sends.
    ProtocolViolation(String),
}

impl fmt::Display for ExitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("was stopped"),
            Self::Code(code) => write!(f, "left by exit({code})"),
            Self::Signal(number) => match signal_name(*number) {
                Some((name, meaning)) => write!(f, "was killed by {name} ({meaning})"),
                None => write!(f, "was killed by signal {number}"),
            },
            Self::TimedOut => f.write_str("was killed because it missed its deadline"),
            Self::Unresponsive(silent) => {
                write!(f, "was killed because it gave no sign of life for {silent:.0?}")
            }
            Self::Unkillable => f.write_str("was killed and did not die, for it waits in the kernel"),
            Self::StopTimedOut => f.write_str("was killed because it did not stop in time"),
            Self::OverLimit(why) => write!(f, "was killed because {why}"),
            Self::ProtocolViolation(reason) => {
                write!(f, "was killed because it violated the protocol ({reason})")
            }
        }
    }
}

/// The signals a crash ends with, by their numbers on Linux (MIPS and SPARC, which differ, are not supported).
fn signal_name(number: i32) -> Option<(&'static str, &'static str)> {
    Some(match number {
        4 => ("SIGILL", "illegal instruction"),
        5 => ("SIGTRAP", "trap"),
        6 => ("SIGABRT", "it aborted itself"),
        7 => ("SIGBUS", "bus error"),
        8 => ("SIGFPE", "arithmetic error"),
        9 => ("SIGKILL", "killed from outside, perhaps for want of memory"),
        11 => ("SIGSEGV", "segmentation fault"),
        13 => ("SIGPIPE", "broken pipe"),
        14 => ("SIGALRM", "its own alarm"),
        15 => ("SIGTERM", "terminated from outside"),
        24 => ("SIGXCPU", "processor time limit"),
        25 => ("SIGXFSZ", "file size limit"),
        31 => ("SIGSYS", "forbidden system call"),
        _ => return None,
    })
}
