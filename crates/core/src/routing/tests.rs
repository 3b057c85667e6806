//! The routing step as tables, and what holds of it whatever the routes.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::collections::BTreeSet;
use std::time::Duration;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::alert::sample;
use crate::{About, AlertKind, Camera, HubEvent, Picture, Severity, UnixMillis};

const SINKS: [&str; 3] = ["archive", "siren", "mail"];
const NOW: UnixMillis = UnixMillis(1_000_000);

fn target(name: &str, max_age: Option<u64>) -> Target {
    Target {
        name: name.into(),
        max_age: max_age.map(Duration::from_secs),
        cancel_on_acknowledge: name == "siren",
        events: name == "archive",
        wait_picture: Duration::from_secs(if name == "mail" { 10 } else { 0 }),
        ..Target::default()
    }
}

fn route(name: &str, matches: Match, sinks: &[&str]) -> Route {
    Route {
        name: name.into(),
        matches,
        sinks: sinks.iter().map(|&s| s.into()).collect(),
        delay: None,
        stop: false,
        confirm: None,
        group: None,
        policy: None,
        repeat: None,
    }
}

fn severe() -> Match {
    Match {
        severity: Some(Severity::High),
        ..Match::default()
    }
}

fn router(routes: Vec<Route>) -> Router {
    let targets = vec![
        target("archive", None),
        target("siren", Some(60)),
        target("mail", None),
    ];
    Router::new(targets, routes)
}

/// What follows, a line each.
fn lines(effects: &Effects) -> String {
    let mut text = String::new();
    for planned in &effects.deliveries {
        text += &planned.sink;
        for (word, time) in [
            ("due", planned.due_at),
            ("waits", planned.picture_by),
            ("until", planned.expires_at),
        ] {
            text += &time.map_or_else(String::new, |time| format!(" {word} {}", time.0));
        }
        text += &format!(": {}\n", planned.reason);
    }
    for Suppression { sink, reason } in &effects.suppressions {
        text += &format!("not {}: {reason}\n", sink.as_deref().unwrap_or("anywhere"));
    }
    if let Some(RoutingState { unmatched, .. }) = &effects.state {
        text += &format!("{unmatched} unmatched\n");
    }
    text
}

fn counted(unmatched: u64) -> RoutingState {
    RoutingState {
        unmatched,
        ..RoutingState::default()
    }
}

fn check(routes: Vec<Route>, alert: &Alert, expected: &Expect) {
    let state = counted(4);
    let effects = router(routes).step(NOW, &state, RoutingEvent::Alert(alert));
    expected.assert_eq(&lines(&effects));
}

#[test]
fn without_routes_every_sink_gets_everything() {
    check(
        vec![],
        &sample(1_000_000_000),
        &expect![[r#"
            archive: there are no routes, so every sink gets every alert
            siren until 1060000: there are no routes, so every sink gets every alert
            mail: there are no routes, so every sink gets every alert
        "#]],
    );
}

#[test]
fn internal_events_go_to_sinks_that_get_events_and_where_a_route_names_them() {
    let event = HubEvent::SinkRecovered { sink: "mail".into() };
    let alert = event.into_alert(AlertId(1), UnixMillis(0));
    check(
        vec![],
        &alert,
        &expect![[r#"
            archive: it is an internal event, and the sink has `events = true`
            not siren: it is an internal event, and the sink has `events = false`
            not mail: it is an internal event, and the sink has `events = false`
        "#]],
    );
    let hub = Match {
        kinds: vec![AlertKind::Hub],
        ..Match::default()
    };
    let cameras = route("cameras", Match::default(), &["archive", "siren"]);
    check(
        vec![cameras.clone(), route("own", hub, &["mail"])],
        &alert,
        &expect![[r#"
            archive: it is an internal event, and the sink has `events = true`
            mail: route own takes it
            not siren: route cameras asks for another kind
        "#]],
    );
    // It is not counted: nobody has asked for it.
    check(
        vec![cameras],
        &alert,
        &expect![[r#"
            archive: it is an internal event, and the sink has `events = true`
            not siren: route cameras asks for another kind
            not mail: no route names this sink
        "#]],
    );
}

#[test]
fn routes_ask_what_an_internal_event_is_about() {
    let quiet = HubEvent::Quiet {
        name: "Back door".into(),
        seconds: 60,
        ever: true,
        about: About {
            connection: Some("shop".into()),
            camera: Some("Back door".into()),
            area: Some("Yard".into()),
            ..About::default()
        },
    };
    let quiet = quiet.into_alert(AlertId(1), NOW);
    let asks = |connection: &str, camera: &str, area: &str| {
        let names = |name: &str| Vec::from_iter((!name.is_empty()).then(|| name.to_owned()));
        let matches = Match {
            connections: names(connection),
            cameras: names(camera),
            areas: names(area),
            kinds: vec![AlertKind::Hub],
            ..Match::default()
        };
        let router = router(vec![route("own", matches, &["mail"])]);
        let effects = router.step(NOW, &RoutingState::default(), RoutingEvent::Alert(&quiet));
        effects.deliveries.iter().any(|planned| planned.sink == "mail")
    };
    for (connection, camera, area, takes) in [
        ("shop", "", "", true),
        ("sh*", "Back*", "Yard", true),
        ("", "Back door", "", true),
        ("", "", "Yard", true),
        ("hub", "", "", true),
        ("other", "", "", false),
        ("shop", "Till", "", false),
        ("", "", "Till", false),
    ] {
        assert_eq!(
            asks(connection, camera, area),
            takes,
            "{connection} {camera} {area}"
        );
    }
}

#[test]
fn every_route_that_matches_applies_and_every_sink_has_its_reason() {
    let here = Match {
        streams: vec!["front-door".into()],
        ..Match::default()
    };
    check(
        vec![
            route("severe", severe(), &["archive", "siren"]),
            route("here", here, &["archive"]),
            route("all", Match::default(), &["mail", "archive"]),
        ],
        &sample(1_000_000_000),
        &expect![[r#"
            archive: route here takes it
            mail: route all takes it
            not siren: route severe asks for a higher severity
        "#]],
    );
}

#[test]
fn a_route_with_stop_keeps_what_it_takes_from_those_after_it() {
    let stop = Route {
        stop: true,
        ..route("here", Match::default(), &["archive"])
    };
    let routes = || {
        vec![
            stop.clone(),
            route("all", Match::default(), &["archive", "siren"]),
            route("severe", severe(), &["siren", "mail"]),
        ]
    };
    check(
        routes(),
        &sample(1_000_000_000),
        &expect![[r#"
            archive: route here takes it
            not siren: route here takes it and has `stop = true`, which keeps it from route all
            not mail: route severe asks for a higher severity
        "#]],
    );
    // What it does not take goes on.
    let mut routes = routes();
    routes[0].matches = severe();
    check(
        routes,
        &sample(1_000_000_000),
        &expect![[r#"
            archive: route all takes it
            siren until 1060000: route all takes it
            not mail: route severe asks for a higher severity
        "#]],
    );
}

#[test]
fn a_picture_that_is_being_fetched_is_waited_for_by_who_wants_it() {
    let mut alert = sample(1_000_000_000);
    alert.picture = Picture::Pending {
        from: "/frames/1.jpg".into(),
    };
    check(
        vec![],
        &alert,
        &expect![[r#"
            archive: there are no routes, so every sink gets every alert
            siren until 1060000: there are no routes, so every sink gets every alert
            mail waits 1010000: there are no routes, so every sink gets every alert
        "#]],
    );
    // What waits longer anyway waits for nothing else, and nothing waits until it has expired.
    let after = |seconds| Route {
        delay: Some(Duration::from_secs(seconds)),
        ..route("all", Match::default(), &["mail"])
    };
    let waits = |routes: Vec<Route>, max_age: Option<u64>| {
        let mail = Target {
            events: false,
            ..target("mail", max_age)
        };
        let effects =
            Router::new(vec![mail], routes).step(NOW, &RoutingState::default(), RoutingEvent::Alert(&alert));
        let planned = &effects.deliveries[0];
        (planned.due_at, planned.picture_by)
    };
    let at = |millis| Some(UnixMillis(millis));
    assert_eq!(waits(vec![after(4)], None), (at(1_004_000), at(1_010_000)));
    assert_eq!(waits(vec![after(10)], None), (at(1_010_000), None));
    assert_eq!(waits(vec![], Some(10)), (None, None));
    assert_eq!(waits(vec![], Some(11)), (None, at(1_010_000)));
}

/// A late alert that happened at this second.
fn late(id: u64, second: i64, severity: Severity) -> Alert {
    Alert {
        late: true,
        via: crate::Via::List,
        severity,
        occurred_at: Some(UnixMillis(second * 1_000)),
        received_at: UnixMillis(900_000_000),
        title: format!("Alert {id}"),
        ..sample(id)
    }
}

fn summing() -> Router {
    let of = |name: &str, late| Target {
        late,
        events: false,
        ..target(name, None)
    };
    let targets = vec![
        of("archive", LatePolicy::Each),
        of("siren", LatePolicy::Drop),
        of("mail", LatePolicy::Digest),
    ];
    Router::new(targets, Vec::new())
}

#[test]
fn what_comes_late_is_held_and_becomes_one_message_when_no_more_comes() {
    let router = summing();
    let second = |seconds: i64| UnixMillis(seconds * 1_000);
    let mut state = RoutingState::default();
    let effects = router.step(
        second(0),
        &state,
        RoutingEvent::Alert(&late(1, 100, Severity::Low)),
    );
    expect![[r#"
        archive: there are no routes, so every sink gets every alert
        not siren: it came late, and the sink has `late = "drop"`
        not mail: it came late, and goes with all others that did in one message (`late = "digest"`)
        0 unmatched
    "#]]
    .assert_eq(&lines(&effects));
    state = effects.state.unwrap();
    for (at, id, happened, severity) in [(10, 2, 300, Severity::High), (20, 3, 200, Severity::Medium)] {
        assert_eq!(state.due_digest(second(at)), None);
        let alert = late(id, happened, severity);
        state = router
            .step(second(at), &state, RoutingEvent::Alert(&alert))
            .state
            .unwrap();
    }
    assert_eq!(state.next_digest(), Some(second(35)));
    assert_eq!(state.due_digest(second(34)), None);
    let due = state.due_digest(second(35)).unwrap();
    let worst = due.held.worst().unwrap().id;
    assert_eq!(
        (due.key.sink.as_str(), due.held.count(), worst),
        ("mail", 3, AlertId(2))
    );
    let digest = due.into_alert(AlertId(9), second(35), clock);
    assert_eq!(
        digest.title,
        "3 alerts between 00:01 and 00:05 while the connection was away"
    );
    assert_eq!(digest.severity, Severity::High);
    // It goes to its sink alone, and closes the window.
    let effects = router.step(second(35), &state, RoutingEvent::Alert(&digest));
    expect![[r#"
        mail: it is the sum of what came late for this sink
        0 unmatched
    "#]]
    .assert_eq(&lines(&effects));
    assert_eq!(effects.state, Some(RoutingState::default()));
}

/// A clock of a zone without hours before noon.
fn clock(at: UnixMillis) -> String {
    let seconds = at.0 / 1_000;
    format!(
        "1970-01-01 {:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[test]
fn a_flood_that_does_not_end_is_summed_up_all_the_same_and_one_alert_keeps_its_words() {
    let router = summing();
    let second = |seconds: i64| UnixMillis(seconds * 1_000);
    let mut state = RoutingState::default();
    for number in 0..1_204_u64 {
        let at = second(i64::try_from(number / 5).unwrap());
        let alert = late(number + 1, 60, Severity::Low);
        state = router
            .step(at, &state, RoutingEvent::Alert(&alert))
            .state
            .unwrap();
    }
    assert_eq!(state.next_digest(), Some(second(255)));
    let due = state.due_digest(second(300)).unwrap();
    assert_eq!((due.held.count(), due.held.newest().count()), (1_204, 100));
    let digest = due.into_alert(AlertId(9), second(300), clock);
    assert!(
        digest.title.starts_with("1,204 alerts at 00:01 while"),
        "{}",
        digest.title
    );
    let one = router.step(
        second(0),
        &RoutingState::default(),
        RoutingEvent::Alert(&late(7, 60, Severity::Low)),
    );
    let due = one.state.unwrap().due_digest(second(300)).unwrap();
    assert_eq!(due.into_alert(AlertId(9), second(300), clock).title, "Alert 7");
}

#[test]
fn the_worst_is_the_severest_then_that_with_the_lowest_score_then_the_first() {
    let router = summing();
    let mut state = RoutingState::default();
    for (id, severity, score, worst) in [
        (1, Severity::Low, Some(-9.0), 1),
        (2, Severity::High, None, 2),
        (3, Severity::High, Some(-1.0), 3),
        (4, Severity::High, Some(-2.0), 4),
        (5, Severity::High, Some(-2.0), 4),
        (6, Severity::High, Some(-1.5), 4),
        (7, Severity::Medium, Some(-9.0), 4),
    ] {
        let mut alert = late(id, 60, severity);
        alert.details.score = score;
        let effects = router.step(UnixMillis(0), &state, RoutingEvent::Alert(&alert));
        state = effects.state.unwrap();
        let due = state.due_digest(UnixMillis(15_000)).unwrap();
        assert_eq!(due.held.worst().unwrap().id, AlertId(worst), "after {id}");
    }
}

#[test]
fn a_window_is_due_after_its_longest_time_and_when_the_clock_was_set_back() {
    let router = summing();
    let second = |seconds: i64| UnixMillis(seconds * 1_000);
    let mut state = RoutingState::default();
    for at in (1_000..1_300).step_by(10) {
        assert_eq!(state.due_digest(second(at)), None, "{at}");
        let alert = late(u64::try_from(at).unwrap(), 60, Severity::Low);
        state = router
            .step(second(at), &state, RoutingEvent::Alert(&alert))
            .state
            .unwrap();
    }
    assert!(state.due_digest(second(1_300)).is_some());
    // The clock was set back while the hub was away.
    let after = router.step(second(900), &state, RoutingEvent::Due).state.unwrap();
    assert_eq!(after.next_digest(), Some(second(1_200)));
}

#[test]
fn a_delivery_is_due_at_the_earliest_of_the_times_of_its_routes() {
    let after = |name, seconds| Route {
        delay: Some(Duration::from_secs(seconds)),
        ..route(name, Match::default(), &["mail", "archive"])
    };
    check(
        vec![
            after("late", 300),
            after("sooner", 30),
            route("now", Match::default(), &["archive"]),
            after("latest", 600),
        ],
        &sample(1_000_000_000),
        &expect![[r#"
            archive: route now takes it
            mail due 1030000: route sooner takes it
            not siren: no route names this sink
        "#]],
    );
}

#[test]
fn what_no_route_takes_is_counted() {
    check(
        vec![route("severe", severe(), &["mail"])],
        &sample(1_000_000_000),
        &expect![[r#"
            not archive: no route names this sink
            not siren: no route names this sink
            not mail: route severe asks for a higher severity
            not anywhere: no route takes it
            5 unmatched
        "#]],
    );
}

#[test]
fn acknowledging_an_alert_cancels_its_deliveries_but_where_a_person_did_that() {
    let cancelled = |act, by| {
        let command = AlertCommand { act, by };
        let effects = router(vec![]).step(NOW, &RoutingState::default(), RoutingEvent::Command(&command));
        let cancellation = effects.cancellation.clone().unwrap();
        let nothing_else = Effects {
            cancellation: effects.cancellation.clone(),
            ..Effects::default()
        };
        assert_eq!(effects, nothing_else);
        let Cancellation {
            alerts,
            except,
            reason,
        } = cancellation;
        (alerts, except, reason.to_string())
    };
    let one = CancelledAlerts::One(AlertId(7));
    let button = Actor::Sink("siren".into());
    for (act, by, expected) in [
        (
            AlertAct::Acknowledge(AlertId(7)),
            button,
            (
                one,
                Some("siren"),
                "its alert was acknowledged by a person at sink siren",
            ),
        ),
        (
            AlertAct::Dismiss(AlertId(7)),
            Actor::Operator,
            (one, None, "its alert was dismissed by the operator"),
        ),
        (
            AlertAct::Clear { through: AlertId(9) },
            Actor::Operator,
            (
                CancelledAlerts::Through(AlertId(9)),
                None,
                "the live list was cleared by the operator",
            ),
        ),
    ] {
        let (alerts, except, reason) = cancelled(act, by);
        assert_eq!((alerts, except.as_deref(), reason.as_str()), expected);
    }
}

#[test]
fn codes_of_reasons_are_stable() {
    let route = || "night".to_owned();
    let condition = MatchCondition::Stream;
    for (reason, json) in [
        (RouteReason::NoRoutes, r#"{"code":"no_routes"}"#),
        (
            RouteReason::Matched { route: route() },
            r#"{"code":"matched","route":"night"}"#,
        ),
        (RouteReason::GetsEvents, r#"{"code":"gets_events"}"#),
        (RouteReason::GetsNoEvents, r#"{"code":"gets_no_events"}"#),
        (RouteReason::NotNamed, r#"{"code":"not_named"}"#),
        (
            RouteReason::NotMatched {
                route: route(),
                condition,
            },
            r#"{"code":"not_matched","route":"night","condition":"stream"}"#,
        ),
        (
            RouteReason::Stopped {
                route: route(),
                before: "all".into(),
            },
            r#"{"code":"stopped","route":"night","before":"all"}"#,
        ),
        (RouteReason::Unmatched, r#"{"code":"unmatched"}"#),
    ] {
        assert_eq!(serde_json::to_string(&reason).unwrap(), json);
        assert_eq!(serde_json::from_str::<RouteReason>(json).unwrap(), reason);
    }
}

fn matches() -> impl Strategy<Value = Match> {
    let kinds = prop_oneof![
        Just(vec![]),
        Just(vec![AlertKind::Hub]),
        Just(vec![AlertKind::Anomaly, AlertKind::Notice]),
    ];
    let streams = prop_oneof![2 => Just(vec![]), 1 => Just(vec!["gate".to_owned()])];
    let severity = prop::option::of(prop_oneof![Just(Severity::Medium), Just(Severity::Critical)]);
    (kinds, streams, severity).prop_map(|(kinds, streams, severity)| Match {
        kinds,
        streams,
        severity,
        ..Match::default()
    })
}

fn routes() -> impl Strategy<Value = Vec<Route>> {
    let sinks = prop::sample::subsequence(SINKS.to_vec(), 1..=3);
    let delay = prop::option::of((1..5_u64).prop_map(Duration::from_secs));
    let route = (matches(), sinks, delay, any::<bool>());
    prop::collection::vec(route, 0..6).prop_map(|routes| {
        let named = routes.into_iter().enumerate();
        named
            .map(|(number, (matches, sinks, delay, stop))| Route {
                delay,
                stop,
                ..route_of(number, matches, &sinks)
            })
            .collect()
    })
}

fn route_of(number: usize, matches: Match, sinks: &[&str]) -> Route {
    route(&format!("r{number}"), matches, sinks)
}

fn alerts() -> impl Strategy<Value = Alert> {
    let kind = prop_oneof![
        3 => Just(AlertKind::Anomaly),
        1 => Just(AlertKind::Notice),
        1 => Just(AlertKind::Hub),
    ];
    let severity = prop_oneof![
        Just(Severity::Low),
        Just(Severity::High),
        Just(Severity::Critical)
    ];
    let camera = prop_oneof![Just("gate"), Just("yard")];
    (kind, severity, camera).prop_map(|(kind, severity, camera)| Alert {
        kind,
        severity,
        camera: Some(Camera::unnamed(camera)),
        ..sample(1_000_000_000)
    })
}

/// The routes that are asked and take the alert, as somebody would find them who reads the documentation.
fn taking<'a>(routes: &'a [Route], alert: &Alert) -> Vec<&'a Route> {
    let mut taking = Vec::new();
    for route in routes {
        let kinds = &route.matches.kinds;
        let kind = match kinds.as_slice() {
            [] => alert.kind == AlertKind::Anomaly,
            kinds => kinds.contains(&alert.kind),
        };
        let streams = &route.matches.streams;
        let stream = streams.is_empty() || streams.iter().any(|stream| stream == alert.camera_id());
        let severity = route.matches.severity.is_none_or(|least| alert.severity >= least);
        if kind && stream && severity {
            taking.push(route);
            if route.stop {
                break;
            }
        }
    }
    taking
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn effects_depend_on_state_and_event_alone_and_tell_of_every_sink_once(
        routes in routes(), alert in alerts(), unmatched in 0..5_u64,
    ) {
        let (state, event) = (counted(unmatched), RoutingEvent::Alert(&alert));
        let used = router(routes.clone());
        // Whatever it was asked before.
        used.step(UnixMillis(5), &counted(99), RoutingEvent::Alert(&sample(7_000)));
        let effects = used.step(NOW, &state, event);
        prop_assert_eq!(&effects, &router(routes.clone()).step(NOW, &state, event));

        let delivered: Vec<&str> = effects.deliveries.iter().map(|planned| planned.sink.as_str()).collect();
        let suppressed = effects.suppressions.iter().filter_map(|suppression| suppression.sink.as_deref());
        let mut told: Vec<&str> = delivered.iter().copied().chain(suppressed).collect();
        told.sort_unstable();
        let mut all = SINKS;
        all.sort_unstable();
        prop_assert_eq!(told, all);
        prop_assert!(effects.deliveries.iter().all(|planned| planned.reason.delivers()));
        prop_assert!(effects.suppressions.iter().all(|suppression| !suppression.reason.delivers()));

        let taking = taking(&routes, &alert);
        let internal = alert.kind == AlertKind::Hub;
        let expected: BTreeSet<&str> = SINKS.into_iter().filter(|sink| {
            let routed = taking.iter().any(|route| route.sinks.iter().any(|name| name == sink));
            routed || internal && *sink == "archive" || !internal && routes.is_empty()
        }).collect();
        prop_assert_eq!(delivered.iter().copied().collect::<BTreeSet<_>>(), expected);
        for planned in &effects.deliveries {
            let routed = taking.iter().filter(|route| route.sinks.contains(&planned.sink));
            let least = routed.map(|route| route.delay.unwrap_or_default()).min();
            let at_once = planned.reason == RouteReason::GetsEvents;
            let delay = least.filter(|delay| !at_once && !delay.is_zero());
            prop_assert_eq!(planned.due_at, delay.map(|delay| NOW + delay));
        }

        let is_unmatched = taking.is_empty() && !routes.is_empty() && !internal;
        let counted = is_unmatched.then_some(counted(unmatched + 1));
        prop_assert_eq!(&effects.state, &counted);
        let nowhere = effects.suppressions.iter().filter(|suppression| suppression.sink.is_none()).count();
        prop_assert_eq!(nowhere, usize::from(is_unmatched));
    }
}
