//! Panic: a person needs help, and says so. It is an alert of its own, which asks neither arming nor delays nor confirmation, and
//! which nothing holds back but a silence that names it. What it makes of areas stands in `arming/alarm.rs`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::escalation::Escalating;
use super::{Actor, Effects, RouteReason, Router, RoutingState};
use crate::{Alert, AlertId, AlertKind, HUB, Severity, UnixMillis};

/// That a person needs help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic {
    /// Names of the areas where; the whole site without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<String>,
    /// Whether no siren sounds: messages only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// Who has said so.
    pub by: Actor,
    /// What the person has said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Panic {
    /// Whether it is about an area.
    pub fn is_of(&self, area: &str) -> bool {
        self.areas.is_empty() || self.areas.iter().any(|name| name == area)
    }

    /// What it is called where a camera would be named.
    pub(super) fn label(&self) -> &'static str {
        match self.silent {
            true => "silent panic",
            false => "panic",
        }
    }

    /// The alert that it is, from when the person has said so.
    pub fn into_alert(self, id: AlertId, now: UnixMillis) -> Alert {
        let what = if self.silent { "Silent panic" } else { "Panic" };
        let title = match self.areas.as_slice() {
            [] => what.to_owned(),
            areas => format!("{what}: {}", areas.join(", ")),
        };
        let why = self.why.as_deref().map_or_else(
            || "It was not said why".to_owned(),
            |why| format!("What was said: {why}"),
        );
        let noise = if self.silent {
            " No siren sounds for it."
        } else {
            ""
        };
        let text = format!("A person needs help. It was raised by {}. {why}.{noise}", self.by);
        Alert {
            severity: Severity::Critical,
            title,
            text,
            panic: Some(self),
            ..Alert::new(id, AlertKind::Panic, HUB, now)
        }
    }
}

/// Where it goes. A route that takes it says so; without one it goes to every sink.
pub(super) fn route(
    router: &Router,
    now: UnixMillis,
    state: &RoutingState,
    (alert, panic): (&Alert, &Panic),
) -> Effects {
    let verdicts = router.verdicts(now, state, alert);
    let silences = state.silences.about(now, alert);
    let plans = router.plans(now, (state, alert), (&verdicts, None));
    let (mut after, mut effects) = (Cow::Borrowed(state), Effects::default());
    for (target, verdict) in router.targets.iter().zip(&verdicts.of_sinks) {
        let mut reason = RouteReason::Panic;
        if verdicts.matched || router.routes.is_empty() {
            reason = router.reason(target, alert, (*verdict, &verdicts));
            reason = Escalating::reason(now, &plans, &target.name, reason);
        }
        let delay = verdict.delay(&reason);
        if reason.delivers() && panic.silent && target.makes_noise {
            reason = RouteReason::SilentPanic;
        } else if reason.delivers() {
            reason = target.silenced(&silences, alert, &mut after).unwrap_or(reason);
        }
        target.decide(now, alert, (delay, None), reason, &mut effects);
    }
    Escalating::settle(now, alert, plans, &mut effects, &mut after);
    let recipients: Vec<&str> = router.recipients(&effects).collect();
    let mut after = after.into_owned();
    after
        .areas
        .panic(now, router.areas(), (alert, panic), &recipients);
    effects.state = Some(after);
    effects
}
