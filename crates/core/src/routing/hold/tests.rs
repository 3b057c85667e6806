//! Groups and cooldowns as the routing step has them: what they must do whatever comes, against a model that counts seconds, and
//! their words and bounds.

mod rate;

use std::collections::BTreeMap;
use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;

use super::super::{Match, Route, Router, RoutingEvent, RoutingState, Target};
use super::*;
use crate::alert::sample;
use crate::{Actor, AlertAct, AlertCommand, Camera, ClockStep, PlannedDelivery, RouteReason};

const CAMERAS: [&str; 3] = ["Back door", "Gate", "Till"];

fn seconds(seconds: i64) -> UnixMillis {
    UnixMillis(seconds * 1_000)
}

/// One sink that gets messages, one that makes noise, one that keeps the record, and a route to all of them.
fn router(wait: u64, interval: u64, by: &[GroupLabel]) -> Router {
    let target = |name: &str| Target {
        name: name.into(),
        cancel_on_acknowledge: true,
        makes_noise: name == "siren",
        keeps_record: name == "archive",
        ..Target::default()
    };
    let names = ["mail", "siren", "archive"];
    let route = Route {
        name: "all".into(),
        matches: Match::default(),
        sinks: names.map(str::to_owned).into(),
        delay: None,
        stop: false,
        confirm: None,
        repeat: None,
        group: Some(Grouping {
            by: by.to_vec(),
            pace: Pace {
                wait: Duration::from_secs(wait),
                interval: Duration::from_secs(interval),
            },
        }),
        policy: None,
    };
    Router::new(names.map(target).into(), vec![route])
}

fn seen(id: u64, at: UnixMillis, camera: &str, severity: Severity) -> Alert {
    Alert {
        id: AlertId(id),
        received_at: at,
        occurred_at: Some(at),
        severity,
        title: format!("Anomaly at {camera}"),
        camera: Some(Camera {
            name: Some(camera.into()),
            ..Camera::unnamed(camera)
        }),
        ..sample(id)
    }
}

/// A hub as far as groups go.
struct Hub {
    router: Router,
    state: RoutingState,
    now: i64,
    /// By how much its clock is off.
    off_by: i64,
    /// What the sink for messages got, and when.
    messages: Vec<(i64, Vec<u64>)>,
    digests: Vec<Alert>,
}

impl Hub {
    fn new(router: Router) -> Self {
        Self {
            router,
            state: RoutingState::default(),
            now: 1_000_000,
            off_by: 0,
            messages: Vec::new(),
            digests: Vec::new(),
        }
    }

    fn clock(&self) -> UnixMillis {
        seconds(self.now + self.off_by)
    }

    fn step(&mut self, event: RoutingEvent<'_>) -> Vec<PlannedDelivery> {
        let effects = self.router.step(self.clock(), &self.state, event);
        if let Some(state) = effects.state {
            let json = serde_json::to_string(&state).unwrap();
            self.state = serde_json::from_str(&json).unwrap();
            assert_eq!(self.state, state, "it does not come back as it was stored");
        }
        effects.deliveries
    }

    fn see(&mut self, id: u64, camera: &str, severity: Severity) {
        let alert = seen(id, self.clock(), camera, severity);
        let sinks: Vec<String> = self
            .step(RoutingEvent::Alert(&alert))
            .into_iter()
            .map(|planned| planned.sink)
            .collect();
        assert!(
            sinks.contains(&"siren".to_owned()) && sinks.contains(&"archive".to_owned()),
            "they are for each"
        );
        if sinks.contains(&"mail".to_owned()) {
            self.messages.push((self.now, vec![id]));
        }
    }

    /// Does what is due by now.
    fn look(&mut self) {
        while let Some(due) = self.state.due_digest(self.clock()) {
            let shown = |at: UnixMillis| {
                format!(
                    "1970-01-12 {:02}:{:02}:00",
                    at.0 / 3_600_000 % 24,
                    at.0 / 60_000 % 60
                )
            };
            let digest = due.into_alert(AlertId(u64::MAX / 2), self.clock(), shown);
            let summary = digest.digest.clone().unwrap();
            let planned = self.step(RoutingEvent::Alert(&digest));
            assert_eq!(planned.len(), 1, "it is for one sink");
            assert_eq!(planned[0].sink, "mail");
            let ids = summary.ids.iter().map(|id| id.0).collect();
            self.messages.push((self.now, ids));
            self.digests.push(digest);
        }
        if self
            .router
            .next_due(&self.state)
            .is_some_and(|due| due <= self.clock())
        {
            self.step(RoutingEvent::Due);
        }
    }

    fn pass(&mut self, time: i64, runs: bool) {
        for _ in 0..time {
            self.now += 1;
            if runs {
                self.look();
            }
        }
        self.look();
    }

    fn acknowledge(&mut self, id: u64) {
        self.step(RoutingEvent::Command(&AlertCommand {
            act: AlertAct::Acknowledge(AlertId(id)),
            by: Actor::Operator,
        }));
    }

    fn set_clock(&mut self, by: i64) {
        let step = ClockStep {
            millis: by * 1_000,
            at: self.clock(),
        };
        self.off_by += by;
        self.step(RoutingEvent::ClockStepped(step));
    }
}

/// The same in the simplest form: what each camera's group does at each second.
#[derive(Default)]
struct Model {
    groups: BTreeMap<&'static str, ModelGroup>,
    messages: Vec<(i64, Vec<u64>)>,
}

struct ModelGroup {
    until: i64,
    /// The greatest severity that was sent; none while the first message waits.
    sent: Option<Severity>,
    held: Vec<(u64, Severity)>,
}

impl Model {
    fn look(&mut self, now: i64, interval: i64) {
        for group in self.groups.values_mut().filter(|group| group.until <= now) {
            if let Some(worst) = group.held.iter().map(|(_, severity)| *severity).max() {
                let ids = group.held.drain(..).map(|(id, _)| id).collect();
                self.messages.push((now, ids));
                (group.until, group.sent) = (now + interval, Some(worst));
            }
        }
        self.groups
            .retain(|_, group| group.until > now || !group.held.is_empty());
    }

    fn see(
        &mut self,
        now: i64,
        (wait, interval): (i64, i64),
        camera: usize,
        (id, severity): (u64, Severity),
    ) {
        let group = self.groups.entry(CAMERAS[camera]);
        let group = group.or_insert(ModelGroup {
            until: now + wait,
            sent: None,
            held: Vec::new(),
        });
        let is_first = group.held.is_empty() && group.sent.is_none();
        if is_first && wait == 0 {
            (group.until, group.sent) = (now + interval, Some(severity));
            self.messages.push((now, vec![id]));
        } else if group.sent.is_some_and(|sent| severity > sent) {
            group.sent = Some(severity);
            self.messages.push((now, vec![id]));
        } else {
            group.held.push((id, severity));
        }
    }

    fn acknowledge(&mut self, id: u64) {
        for group in self.groups.values_mut() {
            group.held.retain(|(held, _)| *held != id);
        }
        self.groups
            .retain(|_, group| group.sent.is_some() || !group.held.is_empty());
    }
}

#[derive(Clone, Debug)]
enum Op {
    See(usize, Severity),
    /// The alert of this number, if there was one.
    Acknowledge(u64),
    SetClock(i64),
    Pass(i64),
    /// The hub does not run for a while.
    Off(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let severity = prop_oneof![Just(Severity::Low), Just(Severity::Medium), Just(Severity::High)];
    prop_oneof![
        6 => (0..CAMERAS.len(), severity).prop_map(|(camera, severity)| Op::See(camera, severity)),
        1 => (1..30_u64).prop_map(Op::Acknowledge),
        1 => (-5_000..5_000_i64).prop_map(Op::SetClock),
        5 => (0..150_i64).prop_map(Op::Pass),
        1 => (0..500_i64).prop_map(Op::Off),
    ]
}

proptest! {
    /// Whatever comes, a sink gets the messages that the model says, at their times, and in the end nothing is remembered.
    #[test]
    fn messages_are_those_of_the_model(
        ops in proptest::collection::vec(op(), 0..60),
        (wait, interval) in prop_oneof![Just((0, 60)), Just((0, 300)), Just((30, 60)), Just((30, 300))],
    ) {
        let mut hub = Hub::new(router(wait, interval, &[GroupLabel::Camera]));
        let pace = (i64::try_from(wait).unwrap(), i64::try_from(interval).unwrap());
        let (mut model, mut last) = (Model::default(), 0);
        for op in ops.into_iter().chain([Op::Pass(301), Op::Pass(301)]) {
            match op {
                Op::See(camera, severity) => {
                    last += 1;
                    hub.see(last, CAMERAS[camera], severity);
                    model.see(hub.now, pace, camera, (last, severity));
                }
                Op::Acknowledge(id) => {
                    hub.acknowledge(id);
                    model.acknowledge(id);
                }
                Op::SetClock(by) => hub.set_clock(by),
                Op::Pass(time) => {
                    (0..time).for_each(|second| model.look(hub.now + second + 1, pace.1));
                    hub.pass(time, true);
                    model.look(hub.now, pace.1);
                }
                Op::Off(time) => {
                    hub.pass(time, false);
                    model.look(hub.now, pace.1);
                }
            }
        }
        hub.messages.sort();
        model.messages.sort();
        prop_assert_eq!(hub.messages, model.messages);
        prop_assert!(hub.state.holds.is_empty());
    }
}

#[test]
fn a_digest_says_how_many_there_were_where_and_when() {
    let words = |by: &[GroupLabel], wait, alerts: &[(i64, &str)]| {
        let mut hub = Hub::new(router(wait, 300, by));
        for (number, (at, camera)) in alerts.iter().enumerate() {
            hub.pass(1_000_000 + at - hub.now, true);
            hub.see(number as u64 + 1, camera, Severity::Low);
        }
        hub.pass(301, true);
        let words = hub.digests.iter().map(|digest| {
            let camera = digest.camera.as_ref().map_or("-", |camera| camera.label());
            format!("{} ({camera})\n  {}\n", digest.title, digest.text)
        });
        words.collect::<String>()
    };
    let camera = &[GroupLabel::Camera];
    let all = [
        words(
            camera,
            0,
            &[(0, "Gate"), (60, "Gate"), (150, "Gate"), (240, "Gate")],
        ),
        words(camera, 0, &[(0, "Gate"), (60, "Gate")]),
        words(camera, 30, &[(0, "Gate"), (10, "Gate")]),
        words(&[], 0, &[(0, "Gate"), (60, "Till"), (120, "Gate")]),
        words(&[], 30, &[(0, "Gate"), (5, "Till")]),
    ];
    expect![[r#"
        3 more at Gate between 13:47 and 13:50 (Gate)
          3 alerts of shop happened between 1970-01-12 13:47 and 1970-01-12 13:50, and were held by route all with all others of camera Gate. The worst of them: Anomaly at Gate. `watchpost alerts list --since "1970-01-12 13:47"` lists them.
        Anomaly at Gate (Gate)
          It happened at 1970-01-12 13:47:00, and was held by route all with all others of camera Gate.
        2 alerts at Gate at 13:46 (Gate)
          2 alerts of shop happened at 1970-01-12 13:46, and were held by route all with all others of camera Gate. The worst of them: Anomaly at Gate. `watchpost alerts list --since "1970-01-12 13:46"` lists them.
        2 more alerts between 13:47 and 13:48 (-)
          2 alerts of shop happened between 1970-01-12 13:47 and 1970-01-12 13:48, and were held by route all with all others. The worst of them: Anomaly at Till. `watchpost alerts list --since "1970-01-12 13:47"` lists them.
        2 alerts at 13:46 (-)
          2 alerts of shop happened at 1970-01-12 13:46, and were held by route all with all others. The worst of them: Anomaly at Gate. `watchpost alerts list --since "1970-01-12 13:46"` lists them.
    "#]].assert_eq(&all.concat());
}

#[test]
fn what_is_remembered_is_bounded_and_a_flood_of_names_is_no_flood_of_messages() {
    let mut hub = Hub::new(router(0, 300, &[GroupLabel::Camera]));
    for number in 0..1_000 {
        hub.see(number + 1, &format!("Camera {number}"), Severity::Low);
    }
    // Those that have a group, and the one that all others share.
    assert_eq!(hub.messages.len(), MAX_GROUPS + 1);
    assert_eq!(hub.state.holds.windows().count(), MAX_GROUPS + 1);
    let long = "é".repeat(1_000);
    hub.pass(301, true);
    assert_eq!(hub.digests.len(), 1);
    let digest = hub.digests[0].digest.clone().unwrap();
    assert_eq!(
        (digest.count, digest.ids.len()),
        (1_000 - MAX_GROUPS as u64 - 1, 20)
    );
    hub.pass(301, true);
    assert!(hub.state.holds.is_empty());
    hub.see(2_000, &long, Severity::Low);
    assert!(serde_json::to_string(&hub.state.holds).unwrap().len() < 500);
}

#[test]
fn of_many_that_are_held_the_picture_is_that_of_the_worst_also_where_it_is_let_go() {
    let mut hub = Hub::new(router(0, 300, &[GroupLabel::Camera]));
    hub.see(1, "Gate", Severity::High);
    for id in 2..60 {
        let severity = match id {
            // One that is only counted in the end, and one that is named.
            10 | 50 => Severity::High,
            _ => Severity::Low,
        };
        hub.see(id, "Gate", severity);
    }
    let worst = |hub: &Hub| {
        let mut due = hub.state.clone().due_digest(seconds(2_000_000)).unwrap();
        due.more = true;
        (due.held.count(), due.held.worst().unwrap().id.0)
    };
    assert_eq!(worst(&hub), (58, 10));
    hub.acknowledge(50);
    hub.acknowledge(10);
    // What is only counted stays.
    assert_eq!(worst(&hub), (57, 10));
    hub.step(RoutingEvent::Command(&AlertCommand {
        act: AlertAct::Clear { through: AlertId(58) },
        by: Actor::Operator,
    }));
    assert_eq!(worst(&hub), (1, 59));
}

#[test]
fn why_it_is_held_is_explained() {
    let router = router(30, 300, &[GroupLabel::Camera, GroupLabel::Area]);
    let alert = seen(1, seconds(100), "Gate", Severity::Low);
    let effects = router.step(
        seconds(100),
        &RoutingState::default(),
        RoutingEvent::Alert(&alert),
    );
    let held = &effects.suppressions[0].reason;
    assert!(matches!(held, RouteReason::HeldInGroup { until, .. } if *until == seconds(130)));
    expect!["route all holds it for one message with all others of camera Gate, no area"]
        .assert_eq(&held.to_string());
    expect![[r#"{"code":"held_in_group","route":"all","group":{"camera":"Gate","area":""},"until":"1970-01-01T00:02:10.000Z"}"#]].assert_eq(&serde_json::to_string(held).unwrap());
}
