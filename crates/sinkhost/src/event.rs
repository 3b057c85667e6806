//! What a running plugin tells its parent.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Something that happened in or to the child, in the order it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The plugin was handed this call. Its deadline counts from here.
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
        notes: Vec<Note>,
    },
    /// Somebody has seen to the alert of this call, as the plugin has noticed. The call goes on.
    Acknowledged {
        /// The call's number, as given.
        call_id: u64,
    },
    /// A line for the sink's log.
    Log {
        /// How loud.
        level: LogLevel,
        /// One line, at most [`MAX_LINE_BYTES`](crate::MAX_LINE_BYTES) long.
        text: String,
    },
    /// The child is gone and reaped. Always the last event, and it always comes.
    Exited(Exit),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, and flushed where the plugin flushes.
    Ok,
    /// Not now.
    Retry {
        /// The plugin knows that there is no point before this long.
        after: Option<Duration>,
    },
    /// Never, for this alert.
    Permanent,
    /// The configuration is wrong; the notes say where.
    BadConfig,
    /// The instance is of no use any more and wants to be made anew.
    Fatal,
    /// The plugin does not do that.
    Unsupported,
    /// Not done by its deadline. The child is dead or about to be.
    TimedOut,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("done"),
            Self::Retry { after: None } => f.write_str("try again later"),
            Self::Retry { after: Some(after) } => write!(f, "try again after {after:?}"),
            Self::Permanent => f.write_str("will never work"),
            Self::BadConfig => f.write_str("bad configuration"),
            Self::Fatal => f.write_str("the instance has failed"),
            Self::Unsupported => f.write_str("not supported"),
            Self::TimedOut => f.write_str("timed out"),
        }
    }
}

/// A sentence from the plugin for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// JSON pointer (RFC 6901) into the sink's configuration, or empty.
    pub pointer: String,
    /// The sentence.
    pub text: String,
}

impl Note {
    /// A note that speaks of no place in the configuration.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.text),
            pointer => write!(f, "{pointer}: {}", self.text),
        }
    }
}

/// How loud a line of the log is. What a plugin writes to stdout is `Info`, to stderr `Warn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the field's own words")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// How and over what the child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// How.
    pub how: ExitKind,
    /// The one delivery the plugin was working on, if it was just one. Its next attempt may end the same way.
    pub blamed: Option<u64>,
    /// Calls that were handed over and got no [`Event::Done`], oldest first, the blamed one among them.
    pub unfinished: Vec<u64>,
}

/// How a child process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// As it was told to.
    Stopped,
    /// It left on its own with this code.
    Code(i32),
    /// It died of this signal.
    Signal(i32),
    /// It was killed because a call outlived its deadline.
    TimedOut,
    /// It was told to stop, did not within the grace it had, and was killed.
    StopTimedOut,
    /// It was killed because it sent what no child of this release sends.
    Garbled(String),
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
            Self::StopTimedOut => f.write_str("was killed because it did not stop when told to"),
            Self::Garbled(reason) => write!(f, "was killed because it spoke nonsense ({reason})"),
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
