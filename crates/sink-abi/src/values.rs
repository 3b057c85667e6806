//! The sets of values that travel as integers.

/// How a call ended: `WP_OK` and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Outcome {
    /// Done; with a `flush`, once that has returned the same.
    Ok = 0,
    /// Not now.
    Retry = 1,
    /// Never, for this alert.
    Permanent = 2,
    /// The configuration is wrong.
    BadConfig = 3,
    /// This instance is of no use any more.
    Fatal = 4,
    /// The plugin does not do that.
    Unsupported = 5,
}

impl Outcome {
    /// Reads what a plugin returned. A value of a later version means [`Outcome::Retry`].
    pub const fn from_raw(raw: i32) -> Self {
        match raw {
            0 => Self::Ok,
            2 => Self::Permanent,
            3 => Self::BadConfig,
            4 => Self::Fatal,
            5 => Self::Unsupported,
            _ => Self::Retry,
        }
    }
}

/// How much an alert matters: `WP_LOW` and its kin. A closed set, so nothing else will ever arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
#[allow(missing_docs, reason = "the four words are the header's own")]
pub enum Severity {
    Low = 1,
    Medium = 2,
    High = 3,
    Critical = 4,
}

impl Severity {
    /// Reads the number; one outside the set is taken for the nearest end, so that nothing gets lost.
    pub const fn from_raw(raw: u32) -> Self {
        match raw {
            0 | 1 => Self::Low,
            2 => Self::Medium,
            3 => Self::High,
            _ => Self::Critical,
        }
    }
}

/// What a person wants of areas: `WP_ARM_HOME` and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs, reason = "the words are the header's own")]
pub enum ArmAct {
    ArmHome = 1,
    ArmAway = 2,
    ArmNight = 3,
    Disarm = 4,
    Panic = 5,
}

impl ArmAct {
    /// Reads the number; `None` for one that this version does not know.
    pub const fn from_raw(raw: u32) -> Option<Self> {
        Some(match raw {
            1 => Self::ArmHome,
            2 => Self::ArmAway,
            3 => Self::ArmNight,
            4 => Self::Disarm,
            5 => Self::Panic,
            _ => return None,
        })
    }
}

/// `WP_ARM_FORCE`: arm also what is not ready.
pub const ARM_FORCE: u32 = 1;

/// `WP_PANIC_SILENT`: no siren sounds for it.
pub const PANIC_SILENT: u32 = 2;

/// What came of what a person wanted of areas: `WP_ARM_DONE` and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ArmOutcome {
    /// It is so, or will be after the exit delay.
    Done = 0,
    /// What sounds is stopped, and the rest follows when the hub can write to its disk.
    Noted = 1,
    /// Something keeps an area from being armed.
    NotReady = 2,
    /// It takes a code, and none was given.
    NeedsCode = 3,
    /// The code is no one's.
    WrongCode = 4,
    /// No code is taken for a while.
    Locked = 5,
    /// Another reason.
    Refused = 6,
}

impl ArmOutcome {
    /// Reads what the host says. A value of a later version means [`ArmOutcome::Refused`].
    pub const fn from_raw(raw: i32) -> Self {
        match raw {
            0 => Self::Done,
            1 => Self::Noted,
            2 => Self::NotReady,
            3 => Self::NeedsCode,
            4 => Self::WrongCode,
            5 => Self::Locked,
            _ => Self::Refused,
        }
    }
}

/// Levels for [`Host::log`](crate::Host::log).
pub mod level {
    /// `WP_LOG_ERROR`
    pub const ERROR: i32 = 1;
    /// `WP_LOG_WARN`
    pub const WARN: i32 = 2;
    /// `WP_LOG_INFO`
    pub const INFO: i32 = 3;
    /// `WP_LOG_DEBUG`
    pub const DEBUG: i32 = 4;
}
