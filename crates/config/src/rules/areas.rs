//! Rules of areas: a camera belongs to one at most, and what can be armed has a camera.

use std::time::Duration;

use watchpost_core::{MAX_AREAS, Mode, is_pattern, name_matches};

use super::Rules;
use crate::{AreaSettings, CameraSettings, Settings, TimeSpan};

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
        abort_window(&at, area, rules);
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

/// The times of ANSI/SIA CP-01: an abort window of 15 to 45 seconds, and a minute with the entry delay.
const ABORT_WINDOW: std::ops::RangeInclusive<TimeSpan> = TimeSpan::from_secs(15)..=TimeSpan::from_secs(45);

/// Longest time from what is seen to what is sent, after ANSI/SIA CP-01.
const LONGEST_HELD: TimeSpan = TimeSpan::from_secs(60);

/// What is held back is so for a short time, and no longer than the alarm lasts.
fn abort_window(at: &str, area: &AreaSettings, rules: &mut Rules) {
    let Some(window) = area.abort_window else { return };
    let pointer = format!("{at}/abort_window");
    let held = Duration::from(window) + Duration::from(area.entry_delay);
    rules.require(
        ABORT_WINDOW.contains(&window),
        &pointer,
        || format!("is {window}"),
        || "expected 15 to 45 seconds, such as \"30s\"".to_owned(),
    );
    rules.require(
        area.delayed.is_empty() || held <= Duration::from(LONGEST_HELD),
        &pointer,
        || {
            format!(
                "({window}) and `entry_delay` ({}) make more than a minute",
                area.entry_delay
            )
        },
        || "help must not come later than that: lower one of them".to_owned(),
    );
    rules.require(
        window <= area.trigger_time,
        &pointer,
        || format!("({window}) is longer than `trigger_time` ({})", area.trigger_time),
        || "the alarm would be over before it is sent: lower the one or raise the other".to_owned(),
    );
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
