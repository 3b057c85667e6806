//! Which sinks an alert goes to, and why: a pure function of the alert and the configuration.

use std::fmt;
use std::time::Duration;

use crate::{Alert, AlertKind, Severity, UnixMillis};

/// A sink as the router knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name in the configuration.
    pub name: String,
    /// Alerts older than this are not worth delivering; `None` means for ever.
    pub max_age: Option<Duration>,
    /// Whether its deliveries are cancelled once their alert is acknowledged.
    pub cancel_on_acknowledge: bool,
    /// Whether it gets internal events, with or without routes.
    pub events: bool,
}

/// Conditions that an alert must meet, all of them. An empty list or `None` asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Names of connections, one of which it came over.
    pub connections: Vec<String>,
    /// Kinds, one of which it is. Empty means all that cameras raise: a route takes internal events and notices only
    /// when it names them, so that a siren does not sound for a full disk, or because a client on the network wants it.
    pub kinds: Vec<AlertKind>,
    /// Stream ids, one of which it has.
    pub streams: Vec<String>,
    /// The least severity.
    pub severity: Option<Severity>,
}

/// Sends alerts that match to some sinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name, or its number where it has none, for explanations.
    pub name: String,
    /// What it takes.
    pub matches: Match,
    /// Names of the sinks it feeds.
    pub sinks: Vec<String>,
}

/// A delivery to be stored together with its alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedDelivery {
    /// Name of the sink.
    pub sink: String,
    /// When it stops being worth anything.
    pub expires_at: Option<UnixMillis>,
    /// Whether it is cancelled once its alert is acknowledged.
    pub cancel_on_acknowledge: bool,
}

/// Whether one sink gets the alert, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The sink.
    pub sink: &'a str,
    /// The reason.
    pub why: RouteReason<'a>,
}

/// The reason of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteReason<'a> {
    /// Yes: there are no routes, so every sink gets every alert.
    NoRoutes,
    /// Yes: this route took it.
    TakenBy(&'a str),
    /// Yes: it is an internal event, and the sink gets those.
    GetsEvents,
    /// No: it is an internal event, and the sink gets those only where a route says so.
    GetsNoEvents,
    /// No: no route names this sink.
    NeverNamed,
    /// No: of the routes that name this sink, the last one asked refused it for this reason.
    NotMatched(&'a str, &'static str),
}

impl RouteReason<'_> {
    /// Whether this reason is a yes.
    pub fn delivers(&self) -> bool {
        matches!(self, Self::NoRoutes | Self::TakenBy(_) | Self::GetsEvents)
    }
}

impl fmt::Display for RouteReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoutes => f.write_str("yes: without routes every sink gets every alert"),
            Self::TakenBy(route) => write!(f, "yes: route {route}"),
            Self::GetsEvents => f.write_str("yes: it is an internal event, and the sink has `events = true`"),
            Self::GetsNoEvents => {
                f.write_str("no: it is an internal event, and the sink has `events = false`")
            }
            Self::NeverNamed => f.write_str("no: no route names this sink"),
            Self::NotMatched(route, condition) => {
                write!(f, "no: route {route} asks for another {condition}")
            }
        }
    }
}

/// The routes of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Router {
    targets: Vec<Target>,
    routes: Vec<Route>,
}

impl Router {
    /// Routes alerts to `targets`. Sinks that routes name must be among them (the configuration checks it).
    pub fn new(targets: Vec<Target>, routes: Vec<Route>) -> Self {
        Self { targets, routes }
    }

    /// The deliveries of one alert, at most one a sink, in the order of the configuration.
    pub fn plan(&self, alert: &Alert) -> Vec<PlannedDelivery> {
        let happened = alert.happened_at();
        self.targets
            .iter()
            .filter(|target| self.decide(target, alert).delivers())
            .map(|target| PlannedDelivery {
                sink: target.name.clone(),
                expires_at: target.max_age.map(|age| happened + age),
                cancel_on_acknowledge: target.cancel_on_acknowledge,
            })
            .collect()
    }

    /// The decision for every sink, with its reason.
    pub fn explain(&self, alert: &Alert) -> Vec<Decision<'_>> {
        self.targets
            .iter()
            .map(|target| Decision {
                sink: &target.name,
                why: self.decide(target, alert),
            })
            .collect()
    }

    fn decide(&self, target: &Target, alert: &Alert) -> RouteReason<'_> {
        let event = alert.kind == AlertKind::Hub;
        if event && target.events {
            return RouteReason::GetsEvents;
        }
        if self.routes.is_empty() {
            return if event {
                RouteReason::GetsNoEvents
            } else {
                RouteReason::NoRoutes
            };
        }
        let mut why = RouteReason::NeverNamed;
        for route in self
            .routes
            .iter()
            .filter(|route| route.sinks.contains(&target.name))
        {
            match route.matches.refusal(alert) {
                None => return RouteReason::TakenBy(&route.name),
                Some(condition) => why = RouteReason::NotMatched(&route.name, condition),
            }
        }
        why
    }
}

impl Match {
    fn takes(&self, kind: AlertKind) -> bool {
        if self.kinds.is_empty() {
            matches!(kind, AlertKind::Anomaly | AlertKind::OwlEye)
        } else {
            self.kinds.contains(&kind)
        }
    }

    /// The first condition that the alert does not meet.
    fn refusal(&self, alert: &Alert) -> Option<&'static str> {
        let missing = |list: &[String], word: &str| !list.is_empty() && !list.iter().any(|w| w == word);
        if missing(&self.connections, &alert.connection) {
            Some("connection")
        } else if !self.takes(alert.kind) {
            Some("kind")
        } else if missing(&self.streams, alert.camera_id()) {
            Some("stream")
        } else if self.severity.is_some_and(|least| alert.severity < least) {
            Some("severity")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::alert::sample;
    use crate::{AlertId, HubEvent};

    fn target(name: &str, max_age: Option<u64>) -> Target {
        Target {
            name: name.into(),
            max_age: max_age.map(Duration::from_secs),
            cancel_on_acknowledge: false,
            events: name == "archive",
        }
    }

    fn route(name: &str, matches: Match, sinks: &[&str]) -> Route {
        Route {
            name: name.into(),
            matches,
            sinks: sinks.iter().map(|&s| s.into()).collect(),
        }
    }

    fn check(routes: Vec<Route>, expected: Expect) {
        let targets = vec![
            target("archive", None),
            target("siren", Some(60)),
            target("mail", None),
        ];
        let router = Router::new(targets, routes);
        let alert = sample(1_000_000_000);
        let mut text = String::new();
        for Decision { sink, why } in router.explain(&alert) {
            text += &format!("{sink}: {why}\n");
        }
        for planned in router.plan(&alert) {
            text += &format!(
                "-> {} until {:?}\n",
                planned.sink,
                planned.expires_at.map(|t| t.0)
            );
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn without_routes_every_sink_gets_everything() {
        check(
            vec![],
            expect![[r#"
                archive: yes: without routes every sink gets every alert
                siren: yes: without routes every sink gets every alert
                mail: yes: without routes every sink gets every alert
                -> archive until None
                -> siren until Some(1060000)
                -> mail until None
            "#]],
        );
    }

    #[test]
    fn internal_events_go_to_sinks_that_get_events_and_where_a_route_names_them() {
        let everything = Match::default();
        let hub = Match {
            kinds: vec![AlertKind::Hub],
            ..Match::default()
        };
        let event = HubEvent::SinkRecovered { sink: "mail".into() };
        let alert = event.into_alert(AlertId(1), UnixMillis(0));
        let sinks = |routes| {
            let targets = ["archive", "siren", "mail"].map(|name| target(name, None));
            let planned = Router::new(targets.into(), routes).plan(&alert);
            planned
                .into_iter()
                .map(|planned| planned.sink)
                .collect::<Vec<_>>()
        };
        assert_eq!(sinks(vec![]), ["archive"]);
        let routes = vec![
            route("cameras", everything, &["archive", "siren"]),
            route("own", hub, &["mail"]),
        ];
        assert_eq!(sinks(routes), ["archive", "mail"]);
    }

    #[test]
    fn every_decision_has_its_reason() {
        let severe = Match {
            severity: Some(Severity::High),
            ..Match::default()
        };
        let here = Match {
            streams: vec!["front-door".into()],
            ..Match::default()
        };
        check(
            vec![
                route("all", here, &["archive"]),
                route("#2", severe, &["archive", "siren"]),
            ],
            expect![[r#"
                archive: yes: route all
                siren: no: route #2 asks for another severity
                mail: no: no route names this sink
                -> archive until None
            "#]],
        );
    }
}
