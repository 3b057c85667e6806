//! What is said of an area: each an internal event. It knows no sentence about anything but areas.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Actor, Blocker, Cause, Mode, Severity};
use crate::event::span;

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
            AreaNews::Cancelled { by, causes, .. } => (
                "alarm_cancelled",
                Severity::Medium,
                format!("The alarm in {area} is cancelled by {by}"),
                format!(
                    "It is disarmed. It was about {}. {}",
                    cameras(causes),
                    alerts(causes)
                ),
            ),
            AreaNews::Over { mode, .. } => (
                "alarm_over",
                Severity::Medium,
                format!("The time of the alarm in {area} is over"),
                match mode {
                    Some(mode) => {
                        format!("It is armed again, mode {mode}: the next alert of it is an alarm.")
                    }
                    None => "It is disarmed, as it was before.".to_owned(),
                },
            ),
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
            | AreaNews::Disarmed { .. } => BTreeSet::new(),
        };
        AreaNote {
            name: self.area.clone(),
            to,
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
