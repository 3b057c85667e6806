//! Where areas stand, for people: what is configured and what is remembered of them, side by side. What arming does is decided
//! by the routing step.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use watchpost_config::{AreaSettings, Settings};
use watchpost_core::{
    Area, AreaPolicy, AreaState, Areas, ArmingCommand, Blocker, CancelReason, Hush, Mode, UnixMillis,
};

/// An `[[area]]`, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaReport {
    /// Its name.
    pub name: String,
    /// The modes in which it is armed.
    pub modes: Vec<Mode>,
    /// Where it stands, and what is remembered of it.
    #[serde(flatten)]
    pub area: Area,
    /// What keeps it from being ready to arm, while it is disarmed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
    /// Cameras that sirens do not sound for any more, as they have raised too many alarms (`swinger`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shut: Vec<String>,
}

/// All of them, in the order of the configuration.
pub(crate) fn report(
    settings: &Settings,
    areas: &Areas,
    now: UnixMillis,
    faults: &[Blocker],
) -> Vec<AreaReport> {
    let sounding = noisy(settings);
    let faults = Blocker::of_alarm(faults, |sink| sounding.iter().any(|name| name == sink));
    let report = |policy: AreaPolicy| {
        let area = areas.get(&policy.name).cloned().unwrap_or_default();
        let disarmed = area.state == AreaState::Disarmed;
        let blockers = areas.blockers(now, &policy, &faults);
        AreaReport {
            blockers: if disarmed { blockers } else { Vec::new() },
            shut: area.shut(now, &policy),
            name: policy.name,
            modes: policy.modes,
            area,
        }
    };
    settings.area_policies().into_iter().map(report).collect()
}

/// The noise that a command is to stop, as far as can be known before it is carried out. `known` is how areas were when that was
/// last committed.
pub(crate) fn hush(settings: &Settings, known: &Areas, command: &ArmingCommand) -> Option<Hush> {
    let ArmingCommand::Disarm { areas, by } = command else {
        return None;
    };
    let all = settings.area.iter().map(|area: &AreaSettings| area.name.clone());
    let areas: Vec<String> = if areas.is_empty() {
        all.collect()
    } else {
        areas.clone()
    };
    let reason = CancelReason::Disarmed(by.clone());
    let going_on = known.causes_besides(&areas);
    Hush::new(
        areas,
        noisy(settings),
        Vec::new(),
        (going_on, BTreeSet::new()),
        reason,
    )
}

/// Names of the sinks that sound only while an area is armed.
fn noisy(settings: &Settings) -> Vec<String> {
    let sinks = settings.sink.iter().filter(|sink| settings.only_armed(sink));
    sinks.map(|sink| sink.name.clone()).collect()
}
