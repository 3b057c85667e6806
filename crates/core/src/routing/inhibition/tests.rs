//! Inhibition against a model of it that is as simple as can be, without a store.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{AlertId, HubEvent, PlannedDelivery, Router, RoutingEvent, Target};

const GRACE: Duration = Duration::from_secs(60);

/// What is expected, and the connection that it is about.
const EXPECTED: [(&str, Option<&str>); 4] = [
    ("door", Some("main")),
    ("gate", Some("main")),
    ("yard", Some("other")),
    ("any", None),
];

fn about(connection: Option<&str>) -> About {
    About {
        connection: connection.map(str::to_owned),
        ..About::default()
    }
}

/// Quiet is not said of what is seen over a connection that is away. `archive` keeps the record.
fn router() -> Router {
    let target = |name: &str, keeps_record| Target {
        name: name.to_owned(),
        events: true,
        keeps_record,
        ..Target::default()
    };
    let rule = Inhibition {
        name: "away".to_owned(),
        source: SourceMatch {
            conditions: vec![ConditionKind::LinkLost],
            ..SourceMatch::default()
        },
        target: TargetMatch {
            events: vec![FollowUp::Quiet],
            ..TargetMatch::default()
        },
        equal: vec![Label::Connection],
    };
    let inhibitions = Inhibitions {
        rules: vec![rule],
        connections: vec!["main".to_owned(), "other".to_owned()],
        link_grace: GRACE,
    };
    Router::new(vec![target("mail", false), target("archive", true)], Vec::new())
        .with_inhibitions(inhibitions)
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Lost(&'static str),
    Back(&'static str),
    Up(&'static str),
    /// The hub is started again.
    Start,
    Quiet(usize),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let connection = || prop_oneof![Just("main"), Just("other")];
    prop_oneof![
        connection().prop_map(Op::Lost),
        connection().prop_map(Op::Back),
        connection().prop_map(Op::Up),
        Just(Op::Start),
        (0..EXPECTED.len()).prop_map(Op::Quiet),
        (0..EXPECTED.len()).prop_map(Op::Quiet),
        (1..200_u64).prop_map(Op::Wait),
    ]
}

/// When `mail` gets each event; `None` where it does not.
type Outcomes = BTreeMap<AlertId, Option<UnixMillis>>;

/// The step with what the store does of it.
struct Hub {
    router: Router,
    state: RoutingState,
    now: UnixMillis,
    waiting: BTreeMap<AlertId, UnixMillis>,
    outcomes: Outcomes,
}

impl Hub {
    fn new() -> Self {
        Self {
            router: router(),
            state: RoutingState::default(),
            now: UnixMillis(1_000),
            waiting: BTreeMap::new(),
            outcomes: Outcomes::new(),
        }
    }

    fn step(&mut self, event: RoutingEvent<'_>) -> Vec<PlannedDelivery> {
        let effects = self.router.step(self.now, &self.state, event);
        if let Some(state) = effects.state {
            // As it is stored.
            let json = serde_json::to_string(&state).unwrap();
            self.state = serde_json::from_str(&json).unwrap();
            assert_eq!(self.state, state);
        }
        for event in effects.unheld.iter().flat_map(|unheld| &unheld.events) {
            assert_eq!(event.sinks, ["mail"]);
            if self.waiting.remove(&event.alert).is_some() {
                let drops = effects.unheld.as_ref().unwrap().drops;
                self.outcomes.insert(event.alert, (!drops).then_some(self.now));
            }
        }
        effects.deliveries
    }

    fn raise(&mut self, id: AlertId, event: HubEvent) {
        let alert = event.into_alert(id, self.now);
        let deliveries = self.step(RoutingEvent::Alert(&alert));
        let recorded = |planned: &PlannedDelivery| planned.sink == "archive" && planned.due_at.is_none();
        assert!(deliveries.iter().any(recorded));
        match deliveries.iter().find(|planned| planned.sink == "mail") {
            None => drop(self.outcomes.insert(id, None)),
            Some(PlannedDelivery { due_at: None, .. }) => drop(self.outcomes.insert(id, Some(self.now))),
            Some(PlannedDelivery {
                due_at: Some(due), ..
            }) => drop(self.waiting.insert(id, *due)),
        }
    }

    fn wait(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        loop {
            let due = self.router.next_due(&self.state);
            let first = self.waiting.values().copied().chain(due).min();
            let Some(next) = first.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let now = self.now;
            let due = self.waiting.iter().filter(|(_, due)| **due <= now);
            self.outcomes.extend(due.map(|(id, due)| (*id, Some(*due))));
            self.waiting.retain(|_, due| *due > now);
            if self.router.next_due(&self.state).is_some_and(|due| due <= now) {
                self.step(RoutingEvent::Due);
            }
        }
        self.now = end;
    }
}

/// What is known of a connection, said as simply as can be.
#[derive(Clone, Copy, Default)]
enum Known {
    #[default]
    Up,
    Away,
    /// Until then.
    Unknown(UnixMillis),
}

#[derive(Default)]
struct Model {
    links: BTreeMap<&'static str, Known>,
    /// What waits, since when it is due by itself, and for which connection.
    held: Vec<(AlertId, UnixMillis, &'static str)>,
    outcomes: Outcomes,
}

impl Model {
    fn set(&mut self, connection: &'static str, known: Known) {
        self.links.insert(connection, known);
    }

    fn decide(&mut self, connection: &str, at: Option<UnixMillis>) {
        for (id, _, _) in self.held.extract_if(.., |(_, _, of)| *of == connection) {
            self.outcomes.insert(id, at);
        }
    }

    fn quiet(&mut self, now: UnixMillis, id: AlertId, connection: Option<&'static str>) {
        let known = connection.and_then(|connection| self.links.get(connection));
        match (known.copied().unwrap_or_default(), connection) {
            (Known::Unknown(until), Some(connection)) => self.held.push((id, until, connection)),
            (Known::Away, _) => drop(self.outcomes.insert(id, None)),
            _ => drop(self.outcomes.insert(id, Some(now))),
        }
    }

    fn pass(&mut self, now: UnixMillis) {
        for (id, due, _) in self.held.extract_if(.., |(_, due, _)| *due <= now) {
            self.outcomes.insert(id, Some(due));
        }
        for known in self.links.values_mut() {
            if matches!(known, Known::Unknown(until) if *until <= now) {
                *known = Known::Up;
            }
        }
    }
}

proptest! {
    /// Whatever happens, who gets what and when is what the model says; nothing waits for ever, and the record has everything.
    #[test]
    fn each_event_is_sent_or_not_as_the_model_says(ops in prop::collection::vec(op(), 1..60)) {
        let (mut hub, mut model, mut raised) = (Hub::new(), Model::default(), 0);
        for (number, op) in ops.into_iter().enumerate() {
            let id = AlertId(u64::try_from(number).unwrap() + 1);
            let now = hub.now;
            match op {
                Op::Lost(name) => {
                    let (connection, why) = (name.to_owned(), "refused".to_owned());
                    hub.raise(AlertId(0), HubEvent::LinkLost { connection, why, seconds: 60 });
                    model.decide(name, None);
                    model.set(name, Known::Away);
                }
                Op::Back(name) => {
                    hub.raise(AlertId(0), HubEvent::LinkBack { connection: name.to_owned(), seconds: 60 });
                    model.decide(name, Some(now));
                    model.set(name, Known::Up);
                }
                Op::Up(name) => {
                    hub.step(RoutingEvent::LinkUp(name));
                    model.decide(name, Some(now));
                    model.set(name, Known::Up);
                }
                Op::Start => {
                    hub.state.set_restored();
                    hub.wait(0);
                    for known in model.links.values_mut().filter(|known| !matches!(known, Known::Up)) {
                        *known = Known::Unknown(now + GRACE * 2);
                    }
                }
                Op::Quiet(which) => {
                    let (name, connection) = EXPECTED[which];
                    let (name, about) = (name.to_owned(), about(connection));
                    hub.raise(id, HubEvent::Quiet { name, seconds: 60, ever: true, about });
                    model.quiet(now, id, connection);
                    raised += 1;
                }
                Op::Wait(seconds) => {
                    hub.wait(seconds);
                    model.pass(hub.now);
                }
            }
        }
        hub.wait(300);
        model.pass(hub.now);
        hub.outcomes.remove(&AlertId(0));
        prop_assert_eq!(&hub.outcomes, &model.outcomes);
        prop_assert_eq!(hub.outcomes.len(), raised);
        prop_assert!(hub.waiting.is_empty());
    }
}

/// Whether the quiet of what this is about is said while all of these are quiet or away.
fn is_said(rule: &Inhibition, conditions: &[(ConditionKind, About)], event: &About) -> bool {
    let inhibits = |(kind, about): &(ConditionKind, About)| {
        let condition = Condition {
            kind: *kind,
            name: "it",
            about: Cow::Borrowed(about),
            is_known: true,
        };
        rule.inhibits(&condition, FollowUp::Quiet, event)
    };
    !conditions.iter().any(inhibits)
}

/// That nothing comes from something is not said while this holds of the same connection.
fn quiet_because_of(condition: ConditionKind) -> Inhibition {
    Inhibition {
        source: SourceMatch {
            conditions: vec![condition],
            ..SourceMatch::default()
        },
        target: TargetMatch {
            events: vec![FollowUp::Quiet],
            ..TargetMatch::default()
        },
        equal: vec![Label::Connection],
        ..Inhibition::default()
    }
}

#[test]
fn what_is_quiet_does_not_inhibit_itself_nor_its_like() {
    let quiet = |expect: &str| (ConditionKind::Quiet, about(Some("main")).of_expected(expect));
    let mut rule = quiet_because_of(ConditionKind::Quiet);
    let both = [quiet("shop"), quiet("door")];
    assert!(
        is_said(&rule, &both, &both[1].1),
        "each would keep the other back"
    );
    rule.source.about.expect = vec!["shop".to_owned()];
    assert!(!is_said(&rule, &both, &both[1].1));
    assert!(is_said(&rule, &both, &both[0].1));
}

#[test]
fn a_label_that_one_of_both_lacks_is_not_equal() {
    let mut rule = quiet_because_of(ConditionKind::LinkLost);
    let lost = [(ConditionKind::LinkLost, About::connection("main"))];
    assert!(!is_said(&rule, &lost, &about(Some("main"))));
    assert!(is_said(&rule, &lost, &about(Some("other"))));
    assert!(is_said(&rule, &lost, &about(None)));
    // Neither has an area.
    rule.equal.push(Label::Area);
    assert!(is_said(&rule, &lost, &about(Some("main"))));
}
