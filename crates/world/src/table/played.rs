//! How a scenario is played, and what was to be seen of it.

use std::collections::BTreeMap;

use watchpost_core::{Alert, AlertId, ArmingCommand, UnixMillis};
use watchpost_hub::{AreaReport, Explanation};
use watchpost_scenarios::Facts;

/// How a scenario is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// What follows from an act has followed before the next one.
    Settled,
    /// Act upon act, and now and then the process ends within a commit and is started again.
    Hurried {
        /// Of when it does.
        seed: u64,
    },
}

/// What was to be seen of it.
pub struct Played {
    /// What can be compared with a table.
    pub facts: Facts,
    /// When deliveries took effect, at which sink, and of which alerts.
    pub effects: Vec<(UnixMillis, String, AlertId)>,
    /// All that was raised, and what is explained of it.
    pub alerts: BTreeMap<AlertId, (Alert, Explanation)>,
    /// What people wanted of areas.
    pub commands: Vec<Command>,
    /// How the areas stand in the end.
    pub areas: Vec<AreaReport>,
}

/// A command about areas.
pub struct Command {
    pub what: ArmingCommand,
    /// When it was given, and when it was answered.
    pub from: UnixMillis,
    pub until: UnixMillis,
    /// It was carried out.
    pub done: bool,
}
