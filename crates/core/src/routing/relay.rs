//! What sinks deliver from memory while the store can take nothing.
//!
//! A siren must not wait for a disk that a person has to empty. So the same routing step decides about an alert that waits
//! for the store, on the last state that is known, and the deliveries that are not to wait are made from memory, a bounded
//! number of them. The alert keeps its id, so that its delivery is recorded once it is stored, like any other.

use std::collections::{BTreeMap, HashSet};

use super::{Effects, PlannedDelivery, Router, RoutingEvent, RoutingState};
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
            let wanted = planned.due_at.is_none()
                && planned.expires_at.is_none_or(|end| end > now)
                && router.delivers_when_full(&planned.sink);
            let relayed = self.relayed.entry(planned.sink.clone()).or_default();
            let relay = wanted && *relayed < MAX_FROM_MEMORY;
            *relayed += usize::from(relay);
            relay
        });
        deliveries
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Match, Route, Target};
    use super::*;
    use crate::alert::sample;

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
        };
        let mut relay = MemoryRelay::new(RoutingState {
            unmatched: 4,
            ..RoutingState::default()
        });
        relayed(&mut relay, &sample(1), &router(vec![nowhere]));
        assert_eq!(relay.state.unmatched, 5);
    }
}
