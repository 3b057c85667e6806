//! What is known of an area, as it is stored. Nothing here decides.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Blocker, Followed, Mode, Swingers, TestMode};
use crate::routing::Actor;
use crate::{AlertId, UnixMillis};

/// Where an area stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AreaState {
    /// Alerts of it are no alarm.
    #[default]
    Disarmed,
    /// People are leaving.
    Arming {
        /// How it will be armed.
        mode: Mode,
        /// When.
        until: UnixMillis,
        /// How it is armed meanwhile, where it was armed in another mode.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Mode>,
        /// Whether the delay has begun once more, which it does once.
        #[serde(default)]
        restarted: bool,
    },
    /// An alert of it is an alarm.
    Armed {
        /// How.
        mode: Mode,
    },
    /// A camera on the way in has seen a person, who may disarm it.
    Pending {
        /// How it was armed.
        mode: Mode,
        /// How long.
        until: UnixMillis,
        /// What was seen.
        cause: Cause,
    },
    /// Alarm.
    Triggered {
        /// How it is armed afterwards; not given where it was disarmed before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Mode>,
        /// How long.
        until: UnixMillis,
        /// What was seen, the first ones.
        causes: Vec<Cause>,
        /// Whether it is a silent panic, while which its sirens stay silent.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        silent: bool,
    },
}

/// An alert that has to do with an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Which.
    pub alert: AlertId,
    /// When it happened.
    pub at: UnixMillis,
    /// Its camera, as people call it; of a panic a word for that, and of a tamper with one.
    pub camera: String,
}

/// An area: where it stands, and what is remembered of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Area {
    /// Where it stands.
    #[serde(flatten)]
    pub state: AreaState,
    /// Since when.
    pub since: UnixMillis,
    /// Who has armed or disarmed it last; not given where no one has yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    /// What kept it from being ready when it was armed by force. A camera among them raises no alarm until it is disarmed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bypassed: Vec<Blocker>,
    /// Whether it is armed only because it is not known whether it was: it raises no alarm.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub messages_only: bool,
    /// What has triggered it and is not marked as seen yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub memory: Vec<Cause>,
    /// The sinks that got the alarm, which are to hear how it ends.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub recipients: BTreeSet<String>,
    /// Until when its alarm is held back from remote sinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_until: Option<UnixMillis>,
    /// The remote sinks that it is held back from, or was.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub held: BTreeSet<String>,
    /// What its cameras see is a test, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<TestMode>,
    /// The alarms that cameras have raised since it was armed, where that is counted.
    #[serde(skip_serializing_if = "Swingers::is_empty")]
    pub swingers: Swingers,
    /// How far its schedules were followed, where it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub followed: Option<Followed>,
    /// The last alert of an immediate camera while it was disarmed or arming.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<Cause>,
    /// From when on what was protected, oldest first.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub(super) history: VecDeque<(UnixMillis, Option<Mode>)>,
}
