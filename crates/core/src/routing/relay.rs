//! What sinks deliver from memory while the store can take nothing.
//!
//! A siren must not wait for a disk that a person has to empty. So the same routing step decides about an alert that waits
//! for the store, on the last state that is known, and the deliveries that are not to wait are made from memory, a bounded
//! number of them. The alert keeps its id, so that its delivery is recorded once it is stored, like any other.

use std::collections::{BTreeMap, HashSet};

use super::{
    ArmingCommand, Blocker, Effects, PlannedDelivery, RouteReason, Router, RoutingEvent, RoutingState,
};
use crate::{Alert, AlertId, UnixMillis};

/// Deliveries from memory to one sink until the store works again.
pub const MAX_FROM_MEMORY: usize = 16;

/// What makes two alerts the same one, as the store sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Identity {
    Id(AlertId),
    Source { connection: String, id: String },
    Record { connection: String, id: String },
}

/// What was delivered from memory since the store failed.
#[derive(Clone, Debug, Default)]
pub struct MemoryRelay {
    /// The state as it will be once everything is stored that was looked at.
    state: RoutingState,
    seen: HashSet<Identity>,
    relayed: BTreeMap<String, usize>,
    /// What is to be made from memory at a time that has not come, with its alert.
    held: BTreeMap<AlertId, (Alert, Vec<PlannedDelivery>)>,
    /// How many commands about areas were obeyed.
    obeyed: usize,
}

impl MemoryRelay {
    /// Begins with the state that was stored last.
    pub fn new(state: RoutingState) -> Self {
        Self {
            state,
            ..Self::default()
        }
    }

    /// Whether this alert was not looked at yet, under any of the names by which the store would recognise it. It counts as
    /// looked at from now on.
    pub fn is_new(&mut self, alert: &Alert) -> bool {
        let connection = || alert.connection.clone();
        let source = alert.source_id.clone().map(|id| Identity::Source {
            connection: connection(),
            id,
        });
        let record = alert.anomaly_id().map(|id| Identity::Record {
            connection: connection(),
            id: id.to_owned(),
        });
        let identities = [Some(Identity::Id(alert.id)), source, record];
        let known = identities
            .iter()
            .flatten()
            .any(|identity| self.seen.contains(identity));
        self.seen.extend(identities.into_iter().flatten());
        !known
    }

    /// Does what is due by now, and obeys commands about areas that wait for the store too, in their order: who disarms must not
    /// hear the siren again because a disk is full. Those before are given each time as well.
    pub fn advance<'c>(
        &mut self,
        now: UnixMillis,
        faults: &[Blocker],
        commands: impl Iterator<Item = &'c ArmingCommand>,
        router: &Router,
    ) {
        let step = |state: &mut RoutingState, event: RoutingEvent<'_>| {
            let Effects {
                state: after, hush, ..
            } = router.step_amid(now, faults, state, event);
            *state = after.unwrap_or_else(|| std::mem::take(state));
            hush
        };
        step(&mut self.state, RoutingEvent::Due);
        for command in commands.skip(self.obeyed) {
            self.obeyed += 1;
            let hush = step(&mut self.state, RoutingEvent::Arming(command));
            for (alert, planned) in self.held.values_mut() {
                planned.retain(|planned| {
                    !hush
                        .as_ref()
                        .is_some_and(|hush| hush.covers(alert, &planned.sink))
                });
            }
        }
    }

    /// The deliveries of an alert whose time has come since it was looked at, such as that of a siren after the entry delay.
    pub fn due(&mut self, now: UnixMillis, alert: AlertId) -> Vec<PlannedDelivery> {
        let Some((_, planned)) = self.held.get_mut(&alert) else {
            return Vec::new();
        };
        let is_due = |planned: &mut PlannedDelivery| planned.due_at.is_none_or(|due| due <= now);
        let mut due: Vec<PlannedDelivery> = planned.extract_if(.., is_due).collect();
        due.retain(|planned| planned.expires_at.is_none_or(|end| end > now));
        due
    }

    /// The deliveries of a new alert that are made from memory now.
    pub fn relay(&mut self, now: UnixMillis, alert: &Alert, router: &Router) -> Vec<PlannedDelivery> {
        let Effects {
            mut deliveries,
            state,
            ..
        } = router.step(now, &self.state, RoutingEvent::Alert(alert));
        if let Some(state) = state {
            self.state = state;
        }
        deliveries.retain(|planned| {
            let in_time = planned.due_at.is_none()
                || matches!(
                    planned.reason,
                    RouteReason::EntryDelay { .. } | RouteReason::AbortWindow { .. }
                );
            let wanted = in_time
                && planned.expires_at.is_none_or(|end| end > now)
                && router.delivers_when_full(&planned.sink);
            let relayed = self.relayed.entry(planned.sink.clone()).or_default();
            let relay = wanted && *relayed < MAX_FROM_MEMORY;
            *relayed += usize::from(relay);
            relay
        });
        let later = |planned: &mut PlannedDelivery| planned.due_at.is_some_and(|due| due > now);
        let held: Vec<PlannedDelivery> = deliveries.extract_if(.., later).collect();
        if !held.is_empty() {
            self.held.insert(alert.id, (alert.clone(), held));
        }
        deliveries
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{AfterLoss, AreaPolicy, Areas, Match, Mode, Route, Target};
    use super::*;
    use crate::alert::sample;
    use crate::{Actor, Camera};

    fn router(routes: Vec<Route>) -> Router {
        let target = |name: &str, deliver_when_full| Target {
            name: name.into(),
            deliver_when_full,
            ..Target::default()
        };
        Router::new(vec![target("siren", true), target("mail", false)], routes)
    }

    fn relayed(relay: &mut MemoryRelay, alert: &Alert, router: &Router) -> Vec<String> {
        let deliveries = relay.relay(UnixMillis(0), alert, router);
        deliveries.into_iter().map(|planned| planned.sink).collect()
    }

    #[test]
    fn a_bounded_number_is_relayed_and_only_where_that_is_wanted() {
        let (mut relay, router) = (MemoryRelay::default(), router(Vec::new()));
        for id in 1..=16 {
            assert_eq!(relayed(&mut relay, &sample(id), &router), ["siren"]);
        }
        assert_eq!(relayed(&mut relay, &sample(17), &router), [] as [&str; 0]);
    }

    #[test]
    fn what_is_to_wait_or_is_too_old_is_not_told() {
        let delayed = Route {
            name: "late".into(),
            matches: Match::default(),
            sinks: vec!["siren".into()],
            delay: Some(std::time::Duration::from_secs(1)),
            stop: false,
            confirm: None,
            group: None,
            policy: None,
            repeat: None,
        };
        let mut relay = MemoryRelay::default();
        assert_eq!(
            relayed(&mut relay, &sample(1), &router(vec![delayed])),
            [] as [&str; 0]
        );
        let old = Target {
            name: "siren".into(),
            max_age: Some(std::time::Duration::from_secs(1)),
            deliver_when_full: true,
            ..Target::default()
        };
        let router = Router::new(vec![old], Vec::new());
        let of =
            |relay: &mut MemoryRelay, now| relay.relay(UnixMillis(now), &sample(5_000_000), &router).len();
        assert_eq!((of(&mut relay, 6_000), of(&mut relay, 5_999)), (0, 1));
    }

    #[test]
    fn the_same_alert_is_new_once_under_any_of_its_names() {
        let mut relay = MemoryRelay::default();
        let with = |id, source: Option<&str>, record: Option<&str>| {
            let mut alert = sample(id);
            alert.source_id = source.map(str::to_owned);
            alert.visionguard.get_or_insert_default().anomaly_id = record.map(str::to_owned);
            alert
        };
        assert!(relay.is_new(&with(1, Some("a"), None)));
        assert!(!relay.is_new(&with(1, None, None)));
        assert!(!relay.is_new(&with(2, Some("a"), Some("r"))));
        assert!(
            !relay.is_new(&with(3, None, Some("r"))),
            "what was seen with it counts too"
        );
        assert!(relay.is_new(&with(4, Some("b"), Some("s"))));
        let elsewhere = Alert {
            connection: "barn".into(),
            ..with(5, Some("b"), None)
        };
        assert!(relay.is_new(&elsewhere));
    }

    #[test]
    fn it_goes_on_from_the_state_that_was_stored() {
        let nowhere = Route {
            name: "nowhere".into(),
            matches: Match {
                streams: vec!["nowhere".into()],
                ..Match::default()
            },
            sinks: vec!["siren".into()],
            delay: None,
            stop: false,
            confirm: None,
            group: None,
            policy: None,
            repeat: None,
        };
        let mut relay = MemoryRelay::new(RoutingState {
            unmatched: 4,
            ..RoutingState::default()
        });
        relayed(&mut relay, &sample(1), &router(vec![nowhere]));
        assert_eq!(relay.state.unmatched, 5);
    }

    #[test]
    fn an_area_that_is_disarmed_while_the_store_fails_makes_no_noise_and_an_entry_delay_ends() {
        let areas = vec![AreaPolicy {
            name: "Yard".into(),
            modes: Mode::ALL.to_vec(),
            delayed: vec!["Gate".into()],
            exit_delay: Duration::ZERO,
            entry_delay: Duration::from_secs(30),
            trigger_time: Duration::from_secs(180),
            connections: Vec::new(),
            after_loss: AfterLoss::Disarmed,
            auto_arm: Vec::new(),
            abort_window: None,
            swinger: None,
        }];
        let siren = Target {
            name: "siren".into(),
            deliver_when_full: true,
            only_armed: true,
            ..Target::default()
        };
        let router = Router::new(vec![siren], Vec::new()).with_areas(areas.clone());
        let seen = |id: u64, camera: &str| Alert {
            camera: Some(Camera {
                name: Some(camera.into()),
                area: Some("Yard".into()),
                ..Camera::unnamed("a")
            }),
            ..sample(id * 1_000_000)
        };
        let mut relay = MemoryRelay::new(RoutingState {
            areas: Areas::armed_in(Some(Mode::Away), &areas),
            ..RoutingState::default()
        });
        let at = |seconds: i64| UnixMillis(seconds * 1_000);
        assert_eq!(relay.relay(at(10), &seen(10, "Gate"), &router), []);
        let due = |relay: &mut MemoryRelay, now| relay.due(at(now), AlertId(10_000_000)).len();
        assert_eq!([39, 40, 41].map(|now| due(&mut relay, now)), [0, 1, 0]);
        relay.advance(at(41), &[], std::iter::empty(), &router);
        assert_eq!(
            relay.relay(at(42), &seen(42, "Gate"), &router).len(),
            1,
            "it is triggered"
        );
        let disarm = ArmingCommand::Disarm {
            areas: Vec::new(),
            by: Actor::Operator,
        };
        let arm = ArmingCommand::Arm {
            mode: Mode::Away,
            areas: Vec::new(),
            force: false,
            by: Actor::Operator,
        };
        relay.advance(at(43), &[], [&disarm].into_iter(), &router);
        assert_eq!(relay.relay(at(44), &seen(44, "Hall"), &router), []);
        relay.advance(at(50), &[], [&disarm, &arm].into_iter(), &router);
        assert_eq!(relay.relay(at(51), &seen(51, "Hall"), &router).len(), 1);
        // What waits for the end of its entry delay is dropped with the area.
        relay.advance(at(52), &[], [&disarm, &arm, &disarm, &arm].into_iter(), &router);
        assert_eq!(relay.relay(at(53), &seen(53, "Gate"), &router), []);
        relay.advance(
            at(54),
            &[],
            [&disarm, &arm, &disarm, &arm, &disarm].into_iter(),
            &router,
        );
        assert_eq!(relay.due(at(100), AlertId(53_000_000)), []);
    }
}
