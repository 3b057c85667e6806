//! What belongs to an alert is acknowledged with it, in one transaction.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::*;
use watchpost_core::{
    Actor, AlertId, AlertKind, DeliveryState, Digest, Effects, GroupLabel, HoldCause, Match, Picture, Policy,
    PolicyStep, Require, Route, RoutePolicy, Router, RoutingEvent, RoutingState, Target,
};
use watchpost_store::{Arrival, OperatorAct, Performed, Store};

/// A policy of two steps, five minutes one after the other.
fn router() -> Router {
    let target = |name: &str| Target {
        name: name.into(),
        ..Target::default()
    };
    let step = |after: u64, sinks: &[&str]| PolicyStep {
        after: Duration::from_secs(after),
        sinks: sinks.iter().map(|&sink| sink.to_owned()).collect(),
        repeat: None,
    };
    let policy = Policy {
        name: "night".into(),
        steps: vec![step(0, &["anna"]), step(300, &["ben", "boss"])],
        loops: 0,
        wait: Duration::from_secs(300),
        require: Require::Any,
        ack_timeout: None,
    };
    let route = Route {
        name: "all".into(),
        matches: Match::default(),
        sinks: Vec::new(),
        delay: None,
        stop: false,
        confirm: None,
        group: None,
        repeat: None,
        policy: Some(RoutePolicy {
            name: "night".into(),
            by: vec![GroupLabel::Area],
        }),
    };
    Router::new(["anna", "ben", "boss"].map(target).into(), vec![route]).with_policies(vec![policy])
}

/// The routing step at a time.
fn step_at(router: &Router, now: i64) -> impl Fn(&RoutingState, RoutingEvent<'_>) -> Effects {
    move |state, event| router.step(at(now), state, event)
}

/// Stores the message that is due, if one is.
fn send(store: &mut Store, router: &Router, now: i64) -> Option<AlertId> {
    let due = router.due_step(at(now), store.routing_state())?;
    let alert = due.into_alert(id(now.unsigned_abs()), at(now), |at| at.to_string());
    let (id, frame) = (alert.id, None);
    store
        .commit(&arrivals(vec![Arrival { alert, frame }]), &step_at(router, now))
        .unwrap();
    Some(id)
}

fn acknowledge(store: &mut Store, router: &Router, alert: AlertId, now: i64) -> Performed {
    let by = Actor::Operator;
    let act = OperatorAct::Acknowledge { alert, by };
    store.perform(&act, at(now), &step_at(router, now)).unwrap()
}

fn states(store: &Store, alert: AlertId) -> Vec<(String, DeliveryState)> {
    let stored = store.reader().unwrap().get(alert).unwrap().unwrap();
    let rows = stored.deliveries.into_iter();
    rows.map(|row| (row.sink, row.state)).collect()
}

fn is_acknowledged(store: &Store, alert: AlertId) -> bool {
    let stored = store.reader().unwrap().get(alert).unwrap().unwrap();
    stored.acknowledged.is_some()
}

#[test]
fn who_acknowledges_a_message_has_the_alert_and_all_that_is_on_its_way_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, router) = (open(dir.path()), router());
    let seen = vec![with_picture(id(1), 5_000, &[]), arrival(id(2), &[])];
    store.commit(&arrivals(seen), &step_at(&router, 2)).unwrap();
    assert_eq!(send(&mut store, &router, 300_001), None, "it is not due");
    let message = send(&mut store, &router, 300_002).unwrap();
    let shown = store.reader().unwrap().get(message).unwrap().unwrap();
    assert_eq!(shown.alert.kind, AlertKind::Escalation);
    assert!(matches!(shown.alert.picture, Picture::Jpeg { bytes: 5_000, .. }));
    assert_eq!(send(&mut store, &router, 300_003), None, "it is sent once");
    let performed = acknowledge(&mut store, &router, message, 301_000);
    assert_eq!(performed.changed, 1);
    let hushed = performed.hushed.unwrap();
    assert_eq!(hushed.alerts, BTreeSet::from([id(1), id(2), message]));
    assert_eq!(hushed.sinks, ["anna", "ben", "boss"]);
    for alert in [id(1), id(2), message] {
        assert!(is_acknowledged(&store, alert), "{alert}");
        let states = states(&store, alert);
        assert!(
            states.iter().all(|(_, state)| *state == DeliveryState::Dropped),
            "{states:?}"
        );
    }
    assert_eq!(send(&mut store, &router, 900_000), None);
    assert_eq!(
        acknowledge(&mut store, &router, id(1), 901_000)
            .hushed
            .map(|hushed| hushed.alerts.len()),
        Some(3)
    );
}

#[test]
fn a_step_that_no_sink_could_be_sent_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, router) = (open(dir.path()), router());
    store
        .commit(&arrivals(vec![arrival(id(1), &[])]), &step_at(&router, 1))
        .unwrap();
    let end = |store: &mut Store, alert, sink: &str, state, now| {
        let ended = updates(vec![update(alert, sink, state, at(now))]);
        store.commit(&ended, &step_at(&router, now)).unwrap();
    };
    // It is tried again.
    end(&mut store, id(1), "anna", DeliveryState::Pending, 10);
    assert_eq!(send(&mut store, &router, 11), None);
    end(&mut store, id(1), "anna", DeliveryState::Dead, 20);
    let message = send(&mut store, &router, 21).unwrap();
    end(&mut store, message, "ben", DeliveryState::Expired, 30);
    end(&mut store, message, "boss", DeliveryState::Delivered, 31);
    // One has got it.
    let due = router.next_due(store.routing_state());
    assert_eq!(due, Some(at(21 + 300_000)));
}

#[test]
fn who_acknowledges_a_digest_has_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let seen: Vec<Arrival> = (1..=3).map(|n| arrival(id(n), &["!mail"])).collect();
    store_all(&mut store, seen);
    let mut digest = arrival(id(4), &["!mail"]);
    digest.alert.kind = AlertKind::Digest;
    digest.alert.digest = Some(Digest {
        count: 2,
        from: at(1),
        to: at(2),
        ids: vec![id(1), id(2)],
        worst: id(1),
        sink: "mail".to_owned(),
        cause: HoldCause::Late,
    });
    store_all(&mut store, vec![digest]);
    let (alert, by) = (id(4), Actor::Operator);
    perform(&mut store, OperatorAct::Acknowledge { alert, by }, at(10));
    let acknowledged = [1, 2, 3, 4].map(|n| is_acknowledged(&store, id(n)));
    assert_eq!(acknowledged, [true, true, false, true]);
    let dropped = [1, 2, 3, 4].map(|n| states(&store, id(n))[0].1 == DeliveryState::Dropped);
    assert_eq!(dropped, [true, true, false, true]);
}
