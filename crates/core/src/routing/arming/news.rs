//! What is said of an area: each an internal event. It knows no sentence about anything but areas.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Actor, Blocker, Cause, Mode, Severity};
use crate::time::span;

/// Something that has become of an area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaEvent {
    /// Its name.
    pub area: String,
    /// What.
    #[serde(flatten)]
    pub news: AreaNews,
}

/// What has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case")]
pub enum AreaNews {
    /// It is armed.
    Armed {
        /// How.
        mode: Mode,
        /// By whom, if that is known.
        by: Option<Actor>,
        /// What kept it from being ready, and was bypassed.
        bypassed: Vec<Blocker>,
    },
    /// It could not be armed, and is what it was before.
    NotArmed {
        /// How it was to be armed.
        mode: Mode,
        /// By whom, if that is known.
        by: Option<Actor>,
        /// What keeps it from being ready.
        blockers: Vec<Blocker>,
    },
    /// What it was is not known any more, as what was stored is lost.
    Lost {
        /// How it is armed now; `None` where it is disarmed.
        mode: Option<Mode>,
        /// Whether that is what its schedules say. Otherwise it is armed without any noise.
        #[serde(default)]
        scheduled: bool,
    },
    /// A schedule is about to arm it.
    ArmsSoon {
        /// How.
        mode: Mode,
        /// The schedule.
        by: Actor,
        /// In how many seconds.
        seconds: u64,
    },
    /// That a schedule arms it is postponed.
    Postponed {
        /// How it will be armed.
        mode: Mode,
        /// By whom it is postponed.
        by: Actor,
        /// In how many seconds it will be armed.
        seconds: u64,
    },
    /// A schedule was to disarm it, and did not because of an alarm.
    StaysArmed {
        /// The schedule.
        by: Actor,
    },
    /// It is disarmed.
    Disarmed {
        /// By whom.
        by: Actor,
    },
    /// Alarm.
    Alarm {
        /// What was seen.
        causes: Vec<Cause>,
        /// The sinks that got the alerts.
        to: BTreeSet<String>,
    },
    /// It was disarmed while there was an alarm, or while there might have been one soon.
    Cancelled {
        /// By whom.
        by: Actor,
        /// What was seen.
        causes: Vec<Cause>,
        /// The sinks that got the alerts.
        to: BTreeSet<String>,
        /// Those that did not, as they were held back from them.
        #[serde(default)]
        unsent: BTreeSet<String>,
    },
    /// Sirens do not sound for a camera any more.
    Swinger {
        /// Which.
        camera: String,
        /// How many alarms it has raised.
        alarms: u8,
    },
    /// What its cameras see is a test from now on.
    TestBegun {
        /// By whom.
        by: Actor,
        /// For how many seconds at most.
        seconds: u64,
    },
    /// It is none any more.
    TestOver {
        /// By whom, if not by itself.
        by: Option<Actor>,
        /// How many alerts there were.
        count: u64,
    },
    /// The time of an alarm is over.
    Over {
        /// How it is armed again; `None` where it was disarmed before.
        mode: Option<Mode>,
        /// The sinks that got the alerts.
        to: BTreeSet<String>,
    },
}

/// What an internal event says of an area, for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaNote {
    /// Its name.
    pub name: String,
    /// The sinks that get it whatever routes say, as they got the alarm.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub to: BTreeSet<String>,
    /// Whether every sink that makes no noise gets it, whatever routes say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub to_all: bool,
    /// Whether it reports an alarm, which is held back from remote sinks as long as the alarm is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alarm: bool,
}

/// A word, how much it matters, a title and a text.
type Description = (&'static str, Severity, String, String);

impl AreaEvent {
    /// The word for it, how much it matters, a title and a text.
    pub(crate) fn describe(&self) -> Description {
        let area = &self.area;
        match &self.news {
            AreaNews::Armed { mode, by, bypassed } if bypassed.is_empty() => (
                "armed",
                Severity::Low,
                format!("{area} is armed, mode {mode}{}", by_whom(by.as_ref())),
                "What its cameras see is an alarm until it is disarmed.".to_owned(),
            ),
            AreaNews::Armed { mode, by, bypassed } => (
                "armed",
                Severity::Medium,
                format!("{area} is armed by force, mode {mode}{}", by_whom(by.as_ref())),
                format!("Bypassed until it is disarmed: {}.", list(bypassed)),
            ),
            AreaNews::NotArmed { mode, by, blockers } => not_armed(area, *mode, by.as_ref(), blockers),
            AreaNews::ArmsSoon { mode, by, seconds } => arms_soon(area, *mode, by, *seconds),
            AreaNews::Postponed { mode, by, seconds } => (
                "arming_postponed",
                Severity::Low,
                format!("{area} will be armed later, in {}, mode {mode}", span(*seconds)),
                format!("That is postponed by {by}."),
            ),
            AreaNews::StaysArmed { by } => stays_armed(area, by),
            AreaNews::Lost { mode, scheduled } => lost(area, *mode, *scheduled),
            AreaNews::Disarmed { by } => (
                "disarmed",
                Severity::Low,
                format!("{area} is disarmed by {by}"),
                "What its cameras see is no alarm until it is armed.".to_owned(),
            ),
            AreaNews::Alarm { causes, .. } => (
                "alarm",
                Severity::Critical,
                format!("Alarm in {area}: {}", cameras(causes)),
                format!("{} `watchpost disarm` ends it.", alerts(causes)),
            ),
            AreaNews::Cancelled {
                by, causes, unsent, ..
            } => (
                "alarm_cancelled",
                Severity::Medium,
                format!("The alarm in {area} is cancelled by {by}"),
                format!(
                    "It is disarmed. It was about {}. {}{}",
                    cameras(causes),
                    alerts(causes),
                    nothing_sent(unsent)
                ),
            ),
            AreaNews::TestBegun { by, seconds } => test_begun(area, by, *seconds),
            AreaNews::TestOver { by, count } => test_over(area, by.as_ref(), *count),
            AreaNews::Swinger { camera, alarms } => swinger(area, camera, *alarms),
            AreaNews::Over { mode, .. } => over(area, *mode),
        }
    }

    pub(crate) fn note(&self) -> AreaNote {
        let to = match &self.news {
            AreaNews::Alarm { to, .. } | AreaNews::Cancelled { to, .. } | AreaNews::Over { to, .. } => {
                to.clone()
            }
            AreaNews::Armed { .. }
            | AreaNews::NotArmed { .. }
            | AreaNews::Lost { .. }
            | AreaNews::ArmsSoon { .. }
            | AreaNews::Postponed { .. }
            | AreaNews::StaysArmed { .. }
            | AreaNews::Swinger { .. }
            | AreaNews::TestBegun { .. }
            | AreaNews::TestOver { .. }
            | AreaNews::Disarmed { .. } => BTreeSet::new(),
        };
        AreaNote {
            name: self.area.clone(),
            to,
            to_all: matches!(self.news, AreaNews::Swinger { .. }),
            alarm: matches!(self.news, AreaNews::Alarm { .. }),
        }
    }
}

fn not_armed(area: &str, mode: Mode, by: Option<&Actor>, blockers: &[Blocker]) -> Description {
    let why = format!("Not ready: {}. It is what it was before", list(blockers));
    (
        "failed_to_arm",
        Severity::High,
        format!("{area} could not be armed, mode {mode}{}", by_whom(by)),
        match by {
            Some(Actor::Schedule(_)) => {
                format!("{why}, and is armed as soon as it is ready, which is looked at every five minutes.")
            }
            _ => format!("{why}."),
        },
    )
}

fn arms_soon(area: &str, mode: Mode, by: &Actor, seconds: u64) -> Description {
    (
        "arming_soon",
        Severity::Medium,
        format!("{area} will be armed in {}, mode {mode}, by {by}", span(seconds)),
        format!(
            "Who is there leaves until then. `watchpost arm --postpone 30m --area \"{area}\"` has it armed later."
        ),
    )
}

fn stays_armed(area: &str, by: &Actor) -> Description {
    (
        "not_disarmed",
        Severity::High,
        format!("{area} is not disarmed by {by}, because of an alarm"),
        "A schedule ends no alarm: it stays armed until a person disarms it (`watchpost disarm`), or until its schedules \
         want something else."
            .to_owned(),
    )
}

fn over(area: &str, mode: Option<Mode>) -> Description {
    (
        "alarm_over",
        Severity::Medium,
        format!("The time of the alarm in {area} is over"),
        match mode {
            Some(mode) => format!("It is armed again, mode {mode}: the next alert of it is an alarm."),
            None => "It is disarmed, as it was before.".to_owned(),
        },
    )
}

fn test_begun(area: &str, by: &Actor, seconds: u64) -> Description {
    (
        "test_begun",
        Severity::Medium,
        format!("{area} is in test mode for {}, by {by}", span(seconds)),
        "What its cameras see is recorded, and neither sounds nor is sent: it is no alarm. A panic is one all the same."
            .to_owned(),
    )
}

fn test_over(area: &str, by: Option<&Actor>, count: u64) -> Description {
    (
        "test_over",
        Severity::Low,
        format!("The test of {area} is over{}", by_whom(by)),
        match count {
            0 => "Its cameras have seen nothing meanwhile: look whether they work.".to_owned(),
            1 => "1 alert came meanwhile.".to_owned(),
            count => format!("{count} alerts came meanwhile."),
        },
    )
}

/// That an alarm was disarmed within the abort window.
fn nothing_sent(unsent: &BTreeSet<String>) -> String {
    let sinks: Vec<&str> = unsent.iter().map(String::as_str).collect();
    match sinks.as_slice() {
        [] => String::new(),
        sinks => format!(" Nothing was sent to {}.", sinks.join(", ")),
    }
}

fn swinger(area: &str, camera: &str, alarms: u8) -> Description {
    let count = if alarms == 1 {
        "an alarm".to_owned()
    } else {
        format!("{alarms} alarms")
    };
    (
        "swinger_shutdown",
        Severity::High,
        format!("Sirens in {area} do not sound for {camera} any more"),
        format!(
            "It has raised {count} since the area was armed (`swinger`). Messages go on. It sounds again once the area is armed or \
             disarmed, or after 48 hours without an alert of it: look what moves there."
        ),
    )
}

fn lost(area: &str, mode: Option<Mode>, scheduled: bool) -> Description {
    let now = mode.map_or("disarmed".to_owned(), |mode| format!("armed, mode {mode}"));
    let how = match (mode, scheduled) {
        (_, true) => ", as its schedules say",
        (Some(_), false) => ", and nothing sounds",
        (None, false) => "",
    };
    (
        "arming_lost",
        Severity::Critical,
        format!("{area} is {now}{how}: what it was is lost"),
        "The database was damaged, and the file beside it that says what was armed is not there. `watchpost arm` or \
         `watchpost disarm` says what it is to be."
            .to_owned(),
    )
}

fn by_whom(by: Option<&Actor>) -> String {
    by.map_or_else(String::new, |by| format!(", by {by}"))
}

fn list(blockers: &[Blocker]) -> String {
    Vec::from_iter(blockers.iter().map(Blocker::to_string)).join("; ")
}

/// The cameras that have seen something, each once.
fn cameras(causes: &[Cause]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for cause in causes {
        if !names.contains(&cause.camera.as_str()) {
            names.push(&cause.camera);
        }
    }
    names.join(", ")
}

fn alerts(causes: &[Cause]) -> String {
    let ids: Vec<String> = causes.iter().map(|cause| cause.alert.to_string()).collect();
    match ids.as_slice() {
        [only] => format!("The alert is {only}."),
        _ => format!("The alerts are {}.", ids.join(", ")),
    }
}
