//! Rules of areas: a camera belongs to one at most, and what can be armed has a camera.

use watchpost_core::{MAX_AREAS, Mode, is_pattern, name_matches};

use super::Rules;
use crate::{AreaSettings, CameraSettings, Settings};

pub(super) fn areas(settings: &Settings, rules: &mut Rules) {
    rules.require(
        settings.area.len() <= MAX_AREAS,
        "/area",
        || format!("has {} elements", settings.area.len()),
        || format!("expected {MAX_AREAS} at most"),
    );
    for (i, area) in settings.area.iter().enumerate() {
        let at = format!("/area/{i}");
        rules.require(
            !area.modes.is_empty(),
            &format!("{at}/modes"),
            || "is empty, so it is never armed".to_owned(),
            || "name `home`, `away` or `night`, or leave the key out for all three".to_owned(),
        );
        rules.positive(&format!("{at}/trigger_time"), area.trigger_time);
        auto_arm(&at, area, rules);
        let watched = settings.camera.iter().any(|camera| names(area, camera));
        rules.require(
            watched || settings.listen().is_some() && !area.camera.is_empty(),
            &at,
            || "has no camera, so there is nothing to arm".to_owned(),
            || "give it a `camera`, or a [[camera]] this `area`".to_owned(),
        );
        let delayed = |camera: &&CameraSettings| {
            let mut patterns = area.delayed.iter();
            patterns.any(|pattern| name_matches(pattern, &camera.name)) && !names(area, camera)
        };
        if let Some(stranger) = settings.camera.iter().find(delayed) {
            rules.require(
                false,
                &format!("{at}/delayed"),
                || {
                    format!(
                        "names camera `{}`, which does not belong to the area",
                        stranger.name
                    )
                },
                || "name it in `camera` too".to_owned(),
            );
        }
    }
    for camera in &settings.camera {
        let mut of = settings
            .area
            .iter()
            .enumerate()
            .filter(|(_, area)| names(area, camera));
        if let (Some((_, first)), Some((i, _))) = (of.next(), of.next()) {
            rules.require(
                false,
                &format!("/area/{i}/camera"),
                || {
                    format!(
                        "has camera `{}`, which belongs to area `{}` already",
                        camera.name, first.name
                    )
                },
                || "a camera belongs to one area: name it in one of them".to_owned(),
            );
        }
    }
}

/// What arms an area is one schedule, in a mode that the area has.
fn auto_arm(at: &str, area: &AreaSettings, rules: &mut Rules) {
    for (n, arm) in area.arm.iter().enumerate() {
        rules.require(
            !is_pattern(&arm.schedule),
            &format!("{at}/arm/{n}/schedule"),
            || "has `*` or `?`, and one schedule is meant".to_owned(),
            || "expected the name of a [[schedule]], or several [[area.arm]]".to_owned(),
        );
        rules.require(
            area.modes.contains(&arm.mode),
            &format!("{at}/arm/{n}/mode"),
            || format!("is `{}`, in which the area is not armed", arm.mode),
            || {
                format!(
                    "expected one of its `modes`: {}",
                    Vec::from_iter(area.modes.iter().map(Mode::to_string)).join(", ")
                )
            },
        );
    }
}

/// Whether an area has a camera, by either of the two ways to say so.
fn names(area: &AreaSettings, camera: &CameraSettings) -> bool {
    camera.area.as_ref() == Some(&area.name)
        || area.camera.iter().any(|name| name_matches(name, &camera.name))
}
