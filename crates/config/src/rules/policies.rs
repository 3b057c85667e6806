//! Rules of policies: each has a step, each step has someone who can be sent a message, and what is said of times makes sense.

use watchpost_core::AlertKind;

use super::Rules;
use crate::{PolicyStepSettings, RouteSettings, Settings, SinkSettings, TimeSpan};

/// Longest time of a policy: what is older than a day needs no one at once.
const LONGEST: TimeSpan = TimeSpan::from_secs(24 * 3_600);

/// The words of events that say how an escalation has ended begin with this.
const OF_ESCALATIONS: &str = "escalation_";

pub(super) fn policies(settings: &Settings, rules: &mut Rules) {
    for (i, policy) in settings.policy.iter().enumerate() {
        let at = format!("/policy/{i}");
        rules.require(
            !policy.step.is_empty(),
            &at,
            || "has no step, so no one hears of an alert".to_owned(),
            || "add a [[policy.step]] with `sinks`".to_owned(),
        );
        let routes = settings.route.iter();
        let is_used = routes
            .map(|route| &route.policy)
            .any(|name| name.as_ref() == Some(&policy.name));
        rules.require(
            is_used,
            &at,
            || "is for no alert: no [[route]] has it".to_owned(),
            || format!("add `policy = \"{}\"` to a [[route]], or remove it", policy.name),
        );
        bounded(&format!("{at}/wait"), policy.wait, rules);
        if let Some(timeout) = policy.ack_timeout {
            bounded(&format!("{at}/ack_timeout"), timeout, rules);
        }
        for (j, step) in policy.step.iter().enumerate() {
            self::step(&format!("{at}/step/{j}"), step, settings, rules);
        }
    }
    for (i, route) in settings.route.iter().enumerate() {
        self::route(&format!("/route/{i}"), route, rules);
    }
}

fn step(at: &str, step: &PolicyStepSettings, settings: &Settings, rules: &mut Rules) {
    rules.require(
        !step.sinks.is_empty(),
        &format!("{at}/sinks"),
        || "is empty, so the step is for no one".to_owned(),
        || "name a sink, or remove the step".to_owned(),
    );
    if let Some(after) = step.after {
        rules.require(
            after <= LONGEST,
            &format!("{at}/after"),
            || format!("({after}) is longer than a day"),
            || "expected such as \"5m\"".to_owned(),
        );
    }
    if let Some(repeat) = step.repeat {
        bounded(&format!("{at}/repeat"), repeat, rules);
    }
    rules.require(
        step.repeat.is_some() || step.max.is_none(),
        &format!("{at}/max"),
        || "says how often the message is sent, and nothing says how soon again".to_owned(),
        || "add such as `repeat = \"2m\"`, or remove it".to_owned(),
    );
    for (k, name) in step.sinks.iter().enumerate() {
        let Some(sink) = settings.sink.iter().find(|sink| sink.name == *name) else {
            continue;
        };
        self::sink(&format!("{at}/sinks/{k}"), sink, settings, rules);
    }
}

/// A sink of a step sends messages.
fn sink(at: &str, sink: &SinkSettings, settings: &Settings, rules: &mut Rules) {
    rules.require(
        !sink.makes_noise() && !settings.only_armed(sink),
        at,
        || format!("names `{}`, which makes noise", sink.name),
        || "name it in `sinks` of a [[route]]: a siren sounds at once or not at all".to_owned(),
    );
    rules.require(
        !sink.keeps_record(),
        at,
        || format!("names `{}`, which keeps the record and calls no one", sink.name),
        || "name it in `sinks` of a [[route]], and here a sink that sends messages".to_owned(),
    );
}

/// What a policy is about is not what it causes itself, and is not delayed.
fn route(at: &str, route: &RouteSettings, rules: &mut Rules) {
    if route.policy.is_none() {
        return;
    }
    let (kinds, words) = (&route.matches.kind, &route.matches.status);
    let own = kinds.contains(&AlertKind::Hub) && words.iter().any(|word| word.starts_with(OF_ESCALATIONS));
    rules.require(
        !own,
        &format!("{at}/policy"),
        || "is a cycle: the route takes events that say how a policy has ended".to_owned(),
        || "name sinks in place of a policy: they get such an event once".to_owned(),
    );
    rules.require(
        route.delay.is_none(),
        &format!("{at}/delay"),
        || "stands beside `policy`, whose steps have times of their own".to_owned(),
        || "give the first [[policy.step]] `after`, or use one route for each".to_owned(),
    );
}

fn bounded(at: &str, time: TimeSpan, rules: &mut Rules) {
    rules.positive(at, time);
    rules.require(
        time <= LONGEST,
        at,
        || format!("({time}) is longer than a day"),
        || "expected such as \"5m\"".to_owned(),
    );
}
