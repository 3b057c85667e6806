//! What would become of an alert that has not happened: decided by the same step as a real one, without a hub. It knows a
//! configuration, and nothing of what was before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchpost_config::{Rate, Settings, router};
use watchpost_core::{
    Alert, AreaPolicy, Areas, Effects, GroupKey, HoldCause, Holds, LostLinks, Mode, RouteReason, Router,
    RoutingEvent, RoutingState, UnixMillis,
};

use crate::stamp::{Stamp, StampPolicy};

/// Decides about alerts as a hub with this configuration would that remembers nothing but what is armed.
#[derive(Debug)]
pub struct DryRun {
    stamp: Stamp,
    router: Router,
    /// The same for alerts that other cameras confirm.
    confirmed: Router,
    areas: Vec<AreaPolicy>,
    /// Of sinks that have one, by name.
    rate_limits: BTreeMap<String, Rate>,
}

/// What is the case when an alert happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// All areas of this mode are armed, and no other.
    pub armed: Option<Mode>,
    /// Other cameras confirm it, where a route asks for that.
    pub confirmed: bool,
    /// The connection of this name is away.
    pub away: Option<String>,
}

/// What was decided about an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The alert as it was routed.
    pub alert: Alert,
    /// Whether there are routes and none of them takes it.
    pub unmatched: bool,
    /// All sinks: first those that get it.
    pub sinks: Vec<SinkDecision>,
}

/// What was decided about one sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkDecision {
    /// Its name.
    pub sink: String,
    /// Whether it gets the alert, also where that is with others in one message, or only if no one has acknowledged it by then.
    pub delivers: bool,
    /// Why.
    pub reason: RouteReason,
    /// The same in words.
    pub why: String,
    /// When, where not at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<UnixMillis>,
    /// The group that it would begin, where its route has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupDecision>,
    /// How many messages the sink gets, such as `20 per 1h`: it may be held where there were more. Not given where there is no limit,
    /// or the alert is none that is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Rate>,
    /// When it would stop being worth anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
}

/// The group that an alert would begin at a sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupDecision {
    /// What all of it have in common.
    pub key: GroupKey,
    /// Until when what comes of it would be held for one message.
    pub until: UnixMillis,
}

impl GroupDecision {
    /// That of this sink, where no other alert was before.
    fn of(sink: &str, holds: &Holds) -> Option<Self> {
        let mut windows = holds.windows().filter(|(key, _)| key.sink == sink);
        windows.find_map(|(key, window)| match &key.cause {
            HoldCause::Group { group, .. } => Some(Self {
                key: group.clone(),
                until: window.until(),
            }),
            HoldCause::Late | HoldCause::RateLimit => None,
        })
    }
}

impl DryRun {
    /// By this configuration.
    pub fn new(settings: &Settings) -> Self {
        let mut stamp = Stamp::default();
        stamp.set_policy(StampPolicy::new(settings));
        let router = router(settings);
        let sinks = settings.sink.iter();
        Self {
            rate_limits: sinks
                .filter_map(|sink| Some((sink.name.clone(), sink.rate_limit?)))
                .collect(),
            stamp,
            confirmed: router.clone().confirmed(),
            router,
            areas: settings.area_policies(),
        }
    }

    /// Decides about an alert at the time of its receipt. A camera that has a name keeps it.
    pub fn decide(&self, mut alert: Alert, circumstances: Circumstances) -> Decision {
        let Circumstances {
            armed,
            confirmed,
            away,
        } = circumstances;
        let router = if confirmed { &self.confirmed } else { &self.router };
        let named = alert.camera.clone().filter(|camera| camera.name.is_some());
        self.stamp.apply(&mut alert);
        if named.is_some() {
            alert.camera = named;
        }
        let event = RoutingEvent::Alert(&alert);
        let state = RoutingState {
            areas: Areas::armed_in(armed, &self.areas),
            links: LostLinks::away(alert.received_at, away),
            ..RoutingState::default()
        };
        let Effects {
            deliveries,
            suppressions,
            state: after,
            ..
        } = router.step(alert.received_at, &state, event);
        let unmatched = suppressions.iter().any(|suppression| suppression.sink.is_none());
        let holds = after.map(|after| after.holds).unwrap_or_default();
        let is_paced = |sink: &str| holds.windows().any(|(key, _)| key.sink == sink);
        let decided = |sink: String, reason: RouteReason, due_at: Option<UnixMillis>, expires_at| {
            let held_until = match reason {
                RouteReason::LaterStep { due_at, .. } => Some(due_at),
                _ => reason.holds_until(),
            };
            SinkDecision {
                delivers: reason.delivers() || held_until.is_some(),
                why: reason.to_string(),
                reason,
                due_at: due_at.or(held_until),
                group: GroupDecision::of(&sink, &holds),
                rate_limit: self.rate_limits.get(&sink).copied().filter(|_| is_paced(&sink)),
                expires_at,
                sink,
            }
        };
        let planned = deliveries
            .into_iter()
            .map(|planned| decided(planned.sink, planned.reason, planned.due_at, planned.expires_at));
        let suppressed = suppressions
            .into_iter()
            .filter_map(|suppression| Some(decided(suppression.sink?, suppression.reason, None, None)));
        Decision {
            sinks: planned.chain(suppressed).collect(),
            unmatched,
            alert,
        }
    }
}
