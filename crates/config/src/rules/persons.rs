//! Rules of persons and of the sinks at which they arm and disarm: what is granted can be used.

use super::Rules;
use crate::{SandboxSettings, Settings};

/// Most persons: each is tried with each code that is given.
const MAX_PERSONS: usize = 32;

pub(super) fn persons(settings: &Settings, rules: &mut Rules) {
    rules.require(
        settings.person.len() <= MAX_PERSONS,
        "/person",
        || format!("has {} elements", settings.person.len()),
        || format!("expected {MAX_PERSONS} at most"),
    );
    for (i, sink) in settings.sink.iter().enumerate() {
        arming(&format!("/sink/{i}/sandbox"), &sink.sandbox, settings, rules);
    }
}

fn arming(at: &str, sandbox: &SandboxSettings, settings: &Settings, rules: &mut Rules) {
    let SandboxSettings {
        arm,
        arm_without_code,
        disarm_without_code,
        ..
    } = *sandbox;
    for (key, given) in [
        ("arm_without_code", arm_without_code),
        ("disarm_without_code", disarm_without_code),
    ] {
        rules.require(
            arm || !given,
            &format!("{at}/{key}"),
            || "says nothing, as the sink may not arm at all".to_owned(),
            || "set `arm = true` beside it, or leave it out".to_owned(),
        );
    }
    rules.require(
        !arm || !settings.area.is_empty(),
        &format!("{at}/arm"),
        || "is true, and there is nothing to arm".to_owned(),
        || "add an [[area]], or leave it out".to_owned(),
    );
    rules.require(
        !arm || arm_without_code || disarm_without_code || !settings.person.is_empty(),
        &format!("{at}/arm"),
        || "is true, and there is no one whose code could be given".to_owned(),
        || "add a [[person]], or set `arm_without_code` or `disarm_without_code`".to_owned(),
    );
}
