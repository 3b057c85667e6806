//! Escalations against a model of them, and what they remember.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::alert::sample;
use crate::{
    Alert, AlertKind, Camera, ClockStep, Match, Route, Router, RoutingEvent, RoutingState, Severity, Target,
};

const CAMERAS: [&str; 2] = ["Gate", "Till"];

const SINKS: [&str; 3] = ["anna", "ben", "boss"];

/// The times of the policy, in seconds: each step after the one before, how often and how soon again.
const STEPS: [(i64, u32, i64); 3] = [(0, 1, 0), (300, 3, 60), (120, 1, 0)];

/// How long the last step is waited for.
const WAIT: i64 = 200;

fn policy(loops: u32, ack_timeout: Option<u64>) -> Policy {
    let seconds = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
    let step = |(place, (after, max, every)): (usize, (i64, u32, i64))| PolicyStep {
        after: seconds(after),
        sinks: vec![SINKS[place].to_owned()],
        repeat: (max > 1).then_some(Repeat {
            every: seconds(every),
            max,
        }),
    };
    Policy {
        name: "night".into(),
        steps: STEPS.into_iter().enumerate().map(step).collect(),
        loops,
        wait: seconds(WAIT),
        require: Require::Any,
        ack_timeout: ack_timeout.map(Duration::from_secs),
    }
}

fn router(policy: Policy) -> Router {
    let target = |name: &str| Target {
        name: name.into(),
        ..Target::default()
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
            name: policy.name.clone(),
            by: vec![GroupLabel::Area],
        }),
    };
    Router::new(SINKS.map(target).into(), vec![route]).with_policies(vec![policy])
}

fn seconds(at: i64) -> UnixMillis {
    UnixMillis(at * 1_000)
}

/// The routing step with what is stored, at a time in seconds.
struct Hub {
    router: Router,
    state: RoutingState,
    now: i64,
    last_id: u64,
    /// Each message: when, and to which sink.
    messages: Vec<(i64, String)>,
    /// How escalations have ended: when, and the word for it.
    ends: Vec<(i64, &'static str)>,
    /// The last message, and what it was about.
    last: Option<(AlertId, Vec<String>)>,
    subject: AlertId,
    /// What the clock shows beside the time.
    ahead: i64,
}

impl Hub {
    fn new(router: Router) -> Self {
        Self {
            router,
            state: RoutingState::default(),
            now: 1_000_000,
            last_id: 0,
            messages: Vec::new(),
            ends: Vec::new(),
            last: None,
            subject: AlertId(0),
            ahead: 0,
        }
    }

    fn shown(&self) -> UnixMillis {
        seconds(self.now + self.ahead)
    }

    fn step(&mut self, event: RoutingEvent<'_>) -> crate::Effects {
        let effects = self.router.step(self.shown(), &self.state, event);
        if let Some(state) = &effects.state {
            let json = serde_json::to_string(state).unwrap();
            self.state = serde_json::from_str(&json).unwrap();
            assert_eq!(self.state, *state, "it does not come back as it was stored");
        }
        effects
    }

    fn take(&mut self, alert: &Alert) {
        let effects = self.step(RoutingEvent::Alert(alert));
        let sinks: Vec<String> = effects
            .deliveries
            .into_iter()
            .map(|planned| planned.sink)
            .collect();
        self.messages
            .extend(sinks.iter().map(|sink| (self.now, sink.clone())));
        if !sinks.is_empty() {
            self.last = Some((alert.id, sinks));
        }
    }

    fn see(&mut self, camera: &str, severity: Severity) {
        self.last_id += 1;
        self.subject = AlertId(self.last_id);
        let alert = Alert {
            received_at: self.shown(),
            occurred_at: Some(self.shown()),
            severity,
            camera: Some(Camera {
                name: Some(camera.into()),
                ..Camera::unnamed("a")
            }),
            ..sample(self.last_id)
        };
        self.take(&alert);
        self.settle();
    }

    /// Does what is due by now.
    fn settle(&mut self) {
        for _ in 0..100 {
            let now = self.shown();
            if let Some(due) = self.router.due_step(now, &self.state) {
                self.last_id += 1;
                let alert = due.into_alert(AlertId(self.last_id), now, |at| at.to_string());
                assert_eq!(alert.kind, AlertKind::Escalation);
                self.take(&alert);
            } else if self.router.next_due(&self.state).is_some_and(|due| due <= now) {
                for event in self.step(RoutingEvent::Due).events {
                    let status = event.into_alert(AlertId(0), now).details.status;
                    let word = match status.as_str() {
                        "escalation_acknowledged" => "acknowledged",
                        "escalation_exhausted" => "exhausted",
                        _ => "closed",
                    };
                    self.ends.push((self.now, word));
                }
            } else {
                return;
            }
        }
        panic!("there is always something to do");
    }

    fn pass(&mut self, time: i64, runs: bool) {
        let end = self.now + time;
        while runs && self.now < end {
            self.now += 1;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    fn acknowledge(&mut self, act: impl Fn(AlertId) -> AlertAct) {
        let command = AlertCommand {
            act: act(self.subject),
            by: Actor::Operator,
        };
        self.step(RoutingEvent::Command(&command));
        self.settle();
    }

    fn fail(&mut self) {
        if let Some((alert, sinks)) = self.last.take() {
            for sink in &sinks {
                if self.state.escalations.awaits(alert, sink) {
                    self.step(RoutingEvent::Undelivered { alert, sink });
                }
            }
            self.settle();
        }
    }

    fn set_clock(&mut self, by: i64) {
        let at = self.shown();
        self.ahead += by;
        let millis = by * 1_000;
        self.step(RoutingEvent::ClockStepped(ClockStep { millis, at }));
    }
}

/// All messages of a policy in a row: how long after the one before, of which step, and to which sink.
fn row(loops: u32) -> Vec<(i64, usize, &'static str)> {
    let mut row = Vec::new();
    for round in 0..=loops {
        for (step, (after, max, every)) in STEPS.into_iter().enumerate() {
            for sending in 0..max {
                let rest = if round > 0 && step == 0 { WAIT } else { 0 };
                let after = if sending == 0 { after + rest } else { every };
                row.push((after, step + round as usize * STEPS.len(), SINKS[step]));
            }
        }
    }
    row
}

/// What is to follow, by the row of messages.
struct Model {
    row: Vec<(i64, usize, &'static str)>,
    ack_timeout: Option<i64>,
    /// The place in the row of what is next, and when; one place behind the last stands for the end.
    next: Option<(usize, i64)>,
    /// Until when an acknowledgement counts.
    taken: Option<i64>,
    known: (Vec<usize>, Severity),
    /// The place of what was sent last, if it has not failed.
    sent: Option<usize>,
    messages: Vec<(i64, String)>,
    ends: Vec<(i64, &'static str)>,
}

impl Model {
    fn see(&mut self, now: i64, camera: usize, severity: Severity) {
        let (cameras, most) = &mut self.known;
        let joins = match (self.next, self.taken) {
            (Some(_), _) => true,
            (None, Some(_)) => cameras.contains(&camera) && severity <= *most,
            (None, None) => false,
        };
        if joins {
            cameras.push(camera);
            *most = severity.max(*most);
            return;
        }
        self.known = (vec![camera], severity);
        (self.next, self.taken, self.sent) = (Some((0, now + self.row[0].0)), None, None);
        self.look(now);
    }

    /// Does what is due now.
    fn look(&mut self, now: i64) {
        if self.taken.is_some_and(|until| until <= now) {
            self.taken = None;
            self.next = self.ack_timeout.map(|_| (0, now + self.row[0].0));
        }
        while let Some((place, _)) = self.next.filter(|(_, due)| *due <= now) {
            let Some((_, _, sink)) = self.row.get(place) else {
                self.ends.push((now, "exhausted"));
                (self.next, self.sent) = (None, None);
                return;
            };
            self.messages.push((now, (*sink).to_owned()));
            self.sent = Some(place);
            let wait = self.row.get(place + 1).map_or(WAIT, |(after, ..)| *after);
            self.next = Some((place + 1, now + wait));
        }
    }

    fn acknowledge(&mut self, now: i64, closes: bool) {
        if self.next.take().is_some() {
            self.ends.push((now, "acknowledged"));
            self.taken = Some(now + self.ack_timeout.unwrap_or(3_600));
            self.sent = None;
        }
        if closes {
            self.taken = None;
        }
    }

    fn fail(&mut self, now: i64) {
        let Some(sent) = self.sent.take() else { return };
        if self.next.is_none() {
            return;
        }
        let step = self.row[sent].1;
        let next = self.row.iter().position(|(_, of, _)| *of > step);
        self.next = Some(match next {
            Some(place) if self.row[place].1.is_multiple_of(STEPS.len()) => (place, now + self.row[place].0),
            Some(place) => (place, now),
            None => (self.row.len(), now),
        });
        self.look(now);
    }
}

#[derive(Clone, Debug)]
enum Op {
    See(usize, Severity),
    Acknowledge,
    Dismiss,
    Fail,
    SetClock(i64),
    Pass(i64),
    Off(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let severity = prop_oneof![Just(Severity::Low), Just(Severity::High)];
    prop_oneof![
        4 => (0..2_usize, severity).prop_map(|(camera, severity)| Op::See(camera, severity)),
        1 => Just(Op::Acknowledge),
        1 => Just(Op::Dismiss),
        1 => Just(Op::Fail),
        1 => (-5_000..5_000_i64).prop_map(Op::SetClock),
        6 => (0..400_i64).prop_map(Op::Pass),
        1 => (0..900_i64).prop_map(Op::Off),
    ]
}

proptest! {
    /// Whatever comes, sinks get the messages that the model says, at their times; each escalation ends and says so, and in the end
    /// nothing is remembered.
    #[test]
    fn messages_and_ends_are_those_of_the_model(
        ops in proptest::collection::vec(op(), 0..50),
        loops in 0..2_u32,
        ack_timeout in prop_oneof![Just(None), Just(Some(500_u64))],
    ) {
        let mut hub = Hub::new(router(policy(loops, ack_timeout)));
        let mut model = Model {
            row: row(loops),
            ack_timeout: ack_timeout.map(|time| i64::try_from(time).unwrap()),
            next: None,
            taken: None,
            known: (Vec::new(), Severity::Low),
            sent: None,
            messages: Vec::new(),
            ends: Vec::new(),
        };
        for op in ops.into_iter().chain([Op::Dismiss, Op::Pass(5_000)]) {
            match op {
                Op::See(camera, severity) => {
                    hub.see(CAMERAS[camera], severity);
                    model.see(hub.now, camera, severity);
                }
                Op::Acknowledge => {
                    hub.acknowledge(AlertAct::Acknowledge);
                    model.acknowledge(hub.now, false);
                }
                Op::Dismiss => {
                    hub.acknowledge(|through| AlertAct::Clear { through });
                    model.acknowledge(hub.now, true);
                }
                Op::Fail => {
                    hub.fail();
                    model.fail(hub.now);
                }
                Op::SetClock(by) => hub.set_clock(by),
                Op::Pass(time) => {
                    (0..time).for_each(|second| model.look(hub.now + second + 1));
                    hub.pass(time, true);
                }
                Op::Off(time) => {
                    hub.pass(time, false);
                    model.look(hub.now);
                }
            }
        }
        prop_assert_eq!(hub.messages, model.messages);
        prop_assert_eq!(hub.ends, model.ends);
        prop_assert!(hub.state.escalations.is_empty());
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut hub = Hub::new(router(policy(0, None)));
    for _ in 0..1_000 {
        hub.see(CAMERAS[0], Severity::Low);
    }
    hub.pass(20, true);
    let stored = serde_json::to_string(&hub.state.escalations).unwrap();
    assert!(stored.len() < 1_500, "{stored}");
    // The first one, and the newest.
    for (alert, ends) in [(1, true), (1_000, true), (500, false)] {
        let mut escalations = hub.state.escalations.clone();
        let command = AlertCommand {
            act: AlertAct::Acknowledge(AlertId(alert)),
            by: Actor::Operator,
        };
        let acknowledged = escalations.acknowledge(hub.shown(), &command, |_| None);
        assert_eq!(!acknowledged.with.is_empty(), ends, "{alert}");
    }
}
