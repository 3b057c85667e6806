//! What is said of an area: each an internal event. It knows no sentence about anything but areas.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Actor, Blocker, Cause, Mode, Severity};

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
        /// How it is armed now, without any noise; `None` where it is disarmed.
        mode: Option<Mode>,
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

impl AreaEvent {
    /// The word for it, how much it matters, a title and a text.
    pub(crate) fn describe(&self) -> (&'static str, Severity, String, String) {
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
            AreaNews::NotArmed { mode, by, blockers } => (
                "failed_to_arm",
                Severity::High,
                format!("{area} could not be armed, mode {mode}{}", by_whom(by.as_ref())),
                format!("Not ready: {}. It is what it was before.", list(blockers)),
            ),
            AreaNews::Lost { mode } => (
                "arming_lost",
                Severity::Critical,
                match mode {
                    Some(mode) => format!("{area} is armed, mode {mode}, and nothing sounds: what it was is lost"),
                    None => format!("{area} is disarmed: what it was is lost"),
                },
                "The database was damaged, and the file beside it that says what was armed is not there. `watchpost arm` \
                 or `watchpost disarm` says what it is to be."
                    .to_owned(),
            ),
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
            | AreaNews::Disarmed { .. } => BTreeSet::new(),
        };
        AreaNote {
            name: self.area.clone(),
            to,
        }
    }
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
