//! Arming: areas of a site are armed and disarmed, and what makes noise sounds only while they are.
//!
//! An installer's zone is a camera or detector, and what he arms is an area. Each area is a state machine of its own
//! (`area.rs`): disarmed, arming, armed, pending, triggered. All areas together, and what persons want of them, are in
//! `areas.rs`. Both are parts of what routing remembers, so that each transition is committed with what it sends, and resumed
//! after a loss of power. A timer is a time in the state: what ended the state has ended its timer. Nothing here knows routes,
//! sinks or where an alert came from.

mod alarm;
mod area;
mod areas;
mod auto_arm;
mod follow;
mod judged;
mod news;
mod state;
mod swinger;
mod test_mode;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::alarm::{AlertMark, Sounding};
pub use self::areas::Areas;
pub use self::auto_arm::AutoArm;
pub use self::follow::{Followed, NextEdge, PendingArm};
pub(super) use self::judged::Judged;
pub use self::news::{AreaEvent, AreaNews, AreaNote};
pub use self::state::{Area, AreaState, Cause};
pub use self::swinger::{MAX_SWINGER, Swingers};
pub use self::test_mode::{MAX_TEST, TestMode};
use super::Actor;
use crate::Severity;

/// A siren sounds no later than this after its time: one that comes after a loss of power would frighten those who clear up.
pub const SIREN_WINDOW: Duration = Duration::from_secs(120);

/// With an alert of an immediate camera in this time an area is not ready: people are still there.
pub(super) const CLEAR_BEFORE: Duration = Duration::from_secs(5);

/// Longest time by which arming by a schedule is postponed at once.
pub const MAX_POSTPONED: Duration = Duration::from_secs(12 * 3_600);

/// Most areas that a site has, so that what is remembered is bounded.
pub const MAX_AREAS: usize = 64;

/// How an area is armed. A mode is the set of areas that are armed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// People are there and awake.
    Home,
    /// The site is empty.
    Away,
    /// People are there and asleep.
    Night,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Home, Self::Away, Self::Night];
}

/// What is asked of an alert by `armed` in a rule: the mode in which its area was armed when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are those of `armed` in `[route.match]`")]
pub enum ArmedWord {
    Home,
    Away,
    Night,
    Disarmed,
}

/// What arming says of an alert, as of when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It belongs to no area, and so is always heard.
    Always,
    /// Its area was armed like this.
    Armed(Mode),
    /// Its area was not.
    Disarmed,
}

impl ArmedWord {
    /// Whether this is what holds. What is always armed is so in every mode.
    pub(super) fn holds(self, protection: Protection) -> bool {
        match (protection, self.mode()) {
            (Protection::Always, Some(_)) | (Protection::Disarmed, None) => true,
            (Protection::Armed(armed), Some(mode)) => armed == mode,
            (Protection::Always, None) | (Protection::Armed(_), None) | (Protection::Disarmed, Some(_)) => {
                false
            }
        }
    }

    /// The mode that it names, if it names one.
    pub fn mode(self) -> Option<Mode> {
        match self {
            Self::Home => Some(Mode::Home),
            Self::Away => Some(Mode::Away),
            Self::Night => Some(Mode::Night),
            Self::Disarmed => None,
        }
    }
}

/// What an `[[area]]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AreaPolicy {
    /// Its name, which is the `area` of its cameras.
    pub name: String,
    /// The modes in which it is armed.
    pub modes: Vec<Mode>,
    /// Names of the cameras on the way in and out, with `*` and `?`. All others are immediate.
    pub delayed: Vec<String>,
    /// How long people have to leave.
    pub exit_delay: Duration,
    /// How long people have to disarm once they are back.
    pub entry_delay: Duration,
    /// How long it stays triggered.
    pub trigger_time: Duration,
    /// Names of the connections that its cameras are seen over.
    pub connections: Vec<String>,
    /// What it is when what was armed is not known any more, and no schedule says it.
    pub after_loss: AfterLoss,
    /// The schedules that arm it, of which the first that is open counts.
    pub auto_arm: Vec<AutoArm>,
    /// How long an alarm of a camera is held back from remote sinks, in which disarming sends nothing; `None` for not at all.
    pub abort_window: Option<Duration>,
    /// After how many alarms of a camera sirens do not sound for it any more, 1 to [`MAX_SWINGER`]; `None` for never.
    pub swinger: Option<u8>,
}

/// What an area is when what was armed is not known any more, because the database is lost and the file beside it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterLoss {
    /// Armed, in the first of its modes; but nothing sounds until a person has armed it.
    #[default]
    MessagesOnly,
    /// Disarmed.
    Disarmed,
}

/// What keeps an area from being ready to arm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Blocker {
    /// A connection gets no alerts.
    Connection {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// A sink that sounds the alarm does not work.
    Sink {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// A camera has seen something a moment ago.
    Camera {
        /// Its name.
        name: String,
    },
}

impl Blocker {
    /// What of these faults keeps areas from being ready: of sinks only those that sound the alarm.
    pub fn of_alarm(faults: &[Self], sounds: impl Fn(&str) -> bool) -> Vec<Self> {
        let concerns = |fault: &&Self| match fault {
            Self::Sink { name, .. } => sounds(name),
            Self::Connection { .. } | Self::Camera { .. } => true,
        };
        faults.iter().filter(concerns).cloned().collect()
    }

    /// Whether it is the same one, whatever is said of it now.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Connection { name, .. }, Self::Connection { name: other, .. })
            | (Self::Sink { name, .. }, Self::Sink { name: other, .. })
            | (Self::Camera { name }, Self::Camera { name: other }) => name == other,
            _ => false,
        }
    }
}

/// What a person wants of areas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArmingCommand {
    /// That they are armed.
    Arm {
        /// How.
        mode: Mode,
        /// Names; empty means all that are armed in this mode, and that the others are not.
        areas: Vec<String>,
        /// Whether also those that are not ready: what keeps them from it is bypassed until they are disarmed.
        force: bool,
        /// Who.
        by: Actor,
    },
    /// That they are not.
    Disarm {
        /// Names; empty means all.
        areas: Vec<String>,
        /// Who.
        by: Actor,
    },
    /// That a schedule which is about to arm them does so later.
    Postpone {
        /// Names; empty means all that a schedule arms.
        areas: Vec<String>,
        /// By how much, at most [`MAX_POSTPONED`].
        lasts: Duration,
        /// Who.
        by: Actor,
    },
    /// That what their cameras see is a test for a while, or is not any more.
    Test {
        /// Names; empty means all.
        areas: Vec<String>,
        /// How long, at most [`MAX_TEST`]; `None` ends it.
        lasts: Option<Duration>,
        /// Who.
        by: Actor,
    },
    /// That what has triggered them is seen, and need not be remembered any more.
    Seen {
        /// Names; empty means all.
        areas: Vec<String>,
    },
}

impl ArmingCommand {
    /// Who wants it, where that matters.
    pub(in crate::routing) fn by(&self) -> Option<&Actor> {
        match self {
            Self::Arm { by, .. }
            | Self::Disarm { by, .. }
            | Self::Postpone { by, .. }
            | Self::Test { by, .. } => Some(by),
            Self::Seen { .. } => None,
        }
    }
}

/// Why a command about areas was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmingRefused {
    /// There is none.
    #[error("there is no area: add an [[area]] to the configuration, with its `camera`s")]
    NoAreas,
    /// There is none of this name.
    #[error("there is no area `{name}`; there are {}", there.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        there: Vec<String>,
    },
    /// It is not armed in this mode.
    #[error("area {area} is not armed in mode {mode}: its `modes` are {}", words(modes))]
    NotInMode {
        /// Which.
        area: String,
        /// The mode.
        mode: Mode,
        /// The modes in which it is.
        modes: Vec<Mode>,
    },
    /// No area is armed in this mode.
    #[error("no area is armed in mode {0}: name it in the `modes` of an [[area]]")]
    NoneInMode(Mode),
    /// No schedule is about to arm it.
    #[error(
        "no schedule is about to arm {0}. `watchpost disarm` disarms what is armed, until its schedules want something else."
    )]
    NotScheduled(String),
    /// It would be armed too late, or at once.
    #[error("arming is postponed by 1 minute to {} hours", MAX_POSTPONED.as_secs() / 3_600)]
    NotPostponed,
    /// A test would last too long, or no time at all.
    #[error("a test lasts 1 minute to {} hours", MAX_TEST.as_secs() / 3_600)]
    NotTested,
    /// None of them is in test mode.
    #[error("{0} is in test mode")]
    NoTest(String),
    /// Not all of them are ready.
    #[error("not ready to arm: {}. `--force` arms all the same and bypasses what is named here until disarmed.", named(.0))]
    NotReady(Vec<(String, Blocker)>),
}

fn words(modes: &[Mode]) -> String {
    Vec::from_iter(modes.iter().map(Mode::to_string)).join(", ")
}

/// What blocks areas, each once.
fn named(blockers: &[(String, Blocker)]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for (_, blocker) in blockers {
        let text = blocker.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join("; ")
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Home => "home",
            Self::Away => "away",
            Self::Night => "night",
        })
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection { name, why } => write!(f, "connection {name} gets no alerts ({why})"),
            Self::Sink { name, why } => write!(f, "sink {name} would not sound ({why})"),
            Self::Camera { name } => write!(f, "camera {name} has just seen something"),
        }
    }
}
