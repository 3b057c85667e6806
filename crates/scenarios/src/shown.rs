//! Areas and alerts as they stand in a table.

use watchpost_core::{Alert, Area, AreaState, UnixMillis};

/// An alert in a word: its camera, or its title, as of a digest.
pub fn brief(alert: &Alert) -> String {
    let camera = alert.camera.as_ref().filter(|_| alert.shows().is_none());
    camera.map_or_else(|| alert.title.clone(), |camera| camera.label().to_owned())
}

/// Where an area stands. `until` shows a time.
pub fn show_area(area: &Area, until: impl Fn(UnixMillis) -> String) -> String {
    let mut shown = match &area.state {
        AreaState::Disarmed => "disarmed".to_owned(),
        AreaState::Arming {
            mode,
            until: end,
            from: None,
            ..
        } => format!("arming {mode} until {}", until(*end)),
        AreaState::Arming {
            mode,
            until: end,
            from: Some(from),
            ..
        } => {
            format!("armed {from}, arming {mode} until {}", until(*end))
        }
        AreaState::Armed { mode } => format!("armed {mode}"),
        AreaState::Pending { mode, until: end, .. } => {
            format!("armed {mode}, pending until {}", until(*end))
        }
        AreaState::Triggered {
            mode,
            until: end,
            silent,
            ..
        } => {
            let silent = if *silent { "silently " } else { "" };
            let then = mode.map_or("disarmed".to_owned(), |mode| format!("armed {mode}"));
            format!("{silent}triggered until {}, {then} then", until(*end))
        }
    };
    if area.test.is_some() {
        shown += ", in test mode";
    }
    if area.messages_only {
        shown += ", messages only";
    }
    for blocker in &area.bypassed {
        shown += &format!("; bypassed: {blocker}");
    }
    shown
}
