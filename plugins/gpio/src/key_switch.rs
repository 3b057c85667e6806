//! The key switch that arms and disarms. What it is turned to at the start does neither: only that it is turned counts.

use std::sync::{Arc, Mutex, PoisonError};

use gpiocdev::chip::Chip;
use gpiocdev::line::EdgeDetection;
use watchpost_sink::{
    AreaState, AreaStatus, ArmAct, ArmOutcome, ArmRequest, Arming, ArmingNews, Fail, Host, Level,
};

use crate::config::{KeySwitchConfig, KeySwitchKind, Mode};
use crate::input::Input;

/// A key switch. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct KeySwitch {
    _input: Input,
}

impl KeySwitch {
    pub(crate) fn watch(chip: &Chip, config: &KeySwitchConfig, host: &Host) -> Result<Self, Fail> {
        let areas: Arc<Mutex<Option<Vec<AreaStatus>>>> = Arc::default();
        let (known, log) = (Arc::clone(&areas), host.clone());
        let arming = host.arming(move |news| match news {
            ArmingNews::Areas(areas) => *known.lock().unwrap_or_else(PoisonError::into_inner) = Some(areas),
            ArmingNews::Answer {
                outcome: ArmOutcome::Done,
                ..
            } => {}
            ArmingNews::Answer { text, .. } => log.log(Level::Warn, format_args!("the key switch: {text}")),
            _ => {}
        });
        let arming = arming.ok_or_else(|| {
            Fail::bad_config(
                "/key_switch",
                "it is not granted under [sink.sandbox]: add `arm = true`, `arm_without_code = true` and `disarm_without_code = true`",
            )
        })?;
        let (key, log) = (config.clone(), host.clone());
        let turned = move |active| {
            let known = areas.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match wanted(&key, active, known.as_deref()) {
                Some(act) => ask(&arming, act, &key, &log),
                None => log.log(
                    Level::Warn,
                    "the key switch was turned before it is known what is armed: turn it once more",
                ),
            }
        };
        let edges = match config.kind {
            KeySwitchKind::Level => EdgeDetection::BothEdges,
            KeySwitchKind::Pulse => EdgeDetection::RisingEdge,
        };
        Ok(Self {
            _input: Input::watch(chip, config.wiring(), edges, ("key switch", host), turned)?,
        })
    }
}

fn ask(arming: &Arming, act: ArmAct, config: &KeySwitchConfig, host: &Host) {
    let word = if act == ArmAct::Disarm { "disarm" } else { "arm" };
    host.log(Level::Info, format_args!("the key switch is turned to {word}"));
    let request = ArmRequest {
        area: &config.area,
        ..ArmRequest::default()
    };
    if arming.ask(act, request).is_none() {
        host.log(
            Level::Warn,
            "the key switch was turned too often, or too early: turn it once more",
        );
    }
}

/// What is wanted of one that has become active or not; `None` while that cannot be known.
fn wanted(config: &KeySwitchConfig, active: bool, areas: Option<&[AreaStatus]>) -> Option<ArmAct> {
    let arms = match config.kind {
        KeySwitchKind::Level => active,
        KeySwitchKind::Pulse => {
            let mut areas = areas?.iter();
            !areas.any(|area| {
                (config.area.is_empty() || area.name == config.area) && area.state != AreaState::Disarmed
            })
        }
    };
    Some(match (arms, config.mode) {
        (false, _) => ArmAct::Disarm,
        (true, Mode::Home) => ArmAct::ArmHome,
        (true, Mode::Away) => ArmAct::ArmAway,
        (true, Mode::Night) => ArmAct::ArmNight,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> KeySwitchConfig {
        serde_json::from_str(&format!(r#"{{"line":6{more}}}"#)).unwrap()
    }

    fn area(name: &str, state: AreaState) -> AreaStatus {
        AreaStatus {
            name: name.into(),
            modes: Vec::new(),
            state,
            mode: None,
            from: None,
            until: None,
            since: None,
            by: None,
            cause: None,
        }
    }

    #[test]
    fn a_level_arms_and_disarms_whatever_is_armed() {
        let config = config(r#","kind":"level","mode":"night""#);
        for areas in [None, Some([area("Yard", AreaState::Armed)])] {
            let areas = areas.as_ref().map(<[_; 1]>::as_slice);
            assert_eq!(wanted(&config, true, areas), Some(ArmAct::ArmNight));
            assert_eq!(wanted(&config, false, areas), Some(ArmAct::Disarm));
        }
    }

    #[test]
    fn a_pulse_does_the_other_thing_of_its_area() {
        let all = config(r#","kind":"pulse""#);
        let yard = config(r#","kind":"pulse","area":"Yard""#);
        let areas = [
            area("Yard", AreaState::Disarmed),
            area("House", AreaState::Arming),
        ];
        for (config, expected) in [(&all, ArmAct::Disarm), (&yard, ArmAct::ArmAway)] {
            assert_eq!(wanted(config, true, Some(&areas)), Some(expected));
            assert_eq!(wanted(config, true, None), None, "it is not known yet");
        }
        for state in [AreaState::Armed, AreaState::Pending, AreaState::Triggered] {
            let areas = [area("Yard", state)];
            assert_eq!(
                wanted(&yard, true, Some(&areas)),
                Some(ArmAct::Disarm),
                "{state:?}"
            );
        }
    }
}
