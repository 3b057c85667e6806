//! Inhibition: while a condition holds, events that follow from it are not sent, as the condition has been. They are stored like all
//! else, with the rule as the reason. Only internal events which a condition explains can be a target: what a camera sees, a panic and
//! a tamper never are.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use super::condition::{ConditionKind, Withheld};
use super::expectation::Expectations;
use super::matcher::name_matches;
use super::repeat::Holding;
use super::{Effects, RouteReason, RoutingState, Suppression, Unheld};
use crate::about::{LINK_BACK, LINK_LOST};
use crate::{About, Alert, AlertKind, UnixMillis};

/// While the source holds, the targets are not sent that have equal labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inhibition {
    /// Its name, or its number where it has none, for explanations.
    pub name: String,
    /// The conditions that inhibit.
    pub source: SourceMatch,
    /// The events that are inhibited.
    pub target: TargetMatch,
    /// The labels that both must have, with the same name each. Without any, all targets are inhibited.
    pub equal: Vec<Label>,
}

/// Which conditions inhibit: those that meet all of this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMatch {
    /// One of these.
    pub conditions: Vec<ConditionKind>,
    /// What they are about.
    pub about: AboutMatch,
}

/// Which events are inhibited: those that meet all of this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetMatch {
    /// One of these.
    pub events: Vec<FollowUp>,
    /// What they are about.
    pub about: AboutMatch,
}

/// Names, with `*` and `?`. An empty list asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the keys in `[[inhibit]]`")]
pub struct AboutMatch {
    pub connection: Vec<String>,
    pub camera: Vec<String>,
    pub area: Vec<String>,
    pub expect: Vec<String>,
}

/// An event that may follow from a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowUp {
    /// What is expected to raise an alert now and then does not.
    Quiet,
    /// A backend does not accept the login or the token.
    LoginRefused,
}

/// What conditions and events have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the words in `equal`")]
pub enum Label {
    Connection,
    Camera,
    Area,
}

/// The rules of a configuration, and what is to be known of its connections.
#[derive(Clone, Debug, Default)]
pub struct Inhibitions {
    /// In their order: the first that applies is the reason.
    pub rules: Vec<Inhibition>,
    /// The names of all connections.
    pub connections: Vec<String>,
    /// How long a connection may be away before that is reported.
    pub link_grace: Duration,
}

/// The rules, with what is expected, whose quiet is a condition and a target.
#[derive(Clone, Copy)]
pub(super) struct Inhibiting<'a> {
    pub(super) rules: &'a Inhibitions,
    pub(super) expectations: &'a Expectations,
}

/// A condition that holds, or of which that is not known.
struct Condition<'a> {
    kind: ConditionKind,
    /// By which people name it.
    name: &'a str,
    about: Cow<'a, About>,
    is_known: bool,
}

impl FollowUp {
    /// The word for the event.
    fn status(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::LoginRefused => "login_refused",
        }
    }
}

impl AboutMatch {
    fn meets(&self, about: &About) -> bool {
        let takes = |patterns: &[String], name: &Option<String>| {
            let name = name.as_deref();
            patterns.is_empty()
                || name.is_some_and(|name| patterns.iter().any(|pattern| name_matches(pattern, name)))
        };
        takes(&self.connection, &about.connection)
            && takes(&self.camera, &about.camera)
            && takes(&self.area, &about.area)
            && takes(&self.expect, &about.expect)
    }
}

impl Label {
    /// Whether both have it, with the same name. What lacks it is equal to nothing.
    fn is_equal(self, one: &About, other: &About) -> bool {
        let (one, other) = match self {
            Self::Connection => (&one.connection, &other.connection),
            Self::Camera => (&one.camera, &other.camera),
            Self::Area => (&one.area, &other.area),
        };
        one.is_some() && one == other
    }
}

impl Inhibition {
    fn is_source(&self, kind: ConditionKind, about: &About) -> bool {
        self.source.conditions.contains(&kind) && self.source.about.meets(about)
    }

    fn is_target(&self, event: FollowUp, about: &About) -> bool {
        self.target.events.contains(&event) && self.target.about.meets(about)
    }

    /// Whether a condition keeps an event from being sent.
    fn inhibits(&self, condition: &Condition<'_>, event: FollowUp, about: &About) -> bool {
        let both = |condition: &About, event: &About| {
            self.is_source(ConditionKind::Quiet, condition) && self.is_target(FollowUp::Quiet, event)
        };
        // What is quiet begins with the event that may be a target. Two of them do not inhibit each other, nor one itself.
        let is_mutual = condition.kind == ConditionKind::Quiet
            && event == FollowUp::Quiet
            && (condition.about.expect == about.expect || both(about, &condition.about));
        let labels = |label: &Label| label.is_equal(&condition.about, about);
        self.is_source(condition.kind, &condition.about)
            && self.is_target(event, about)
            && self.equal.iter().all(labels)
            && !is_mutual
    }
}

impl<'a> Inhibiting<'a> {
    /// What holds, or is not known not to.
    fn conditions(self, state: &'a RoutingState) -> impl Iterator<Item = Condition<'a>> {
        let lost = state.links.iter().map(|(name, is_known)| Condition {
            kind: ConditionKind::LinkLost,
            name,
            about: Cow::Owned(About::connection(name)),
            is_known,
        });
        let quiet = self.expectations.quiet(&state.heard);
        lost.chain(quiet.map(|(name, about)| Condition {
            kind: ConditionKind::Quiet,
            name,
            about: Cow::Owned(about.of_expected(name)),
            is_known: true,
        }))
    }

    /// Whether a condition holds.
    pub(super) fn holding(self, state: &RoutingState, kind: ConditionKind, name: &str) -> Holding {
        let mut conditions = self.conditions(state);
        let condition = conditions.find(|condition| condition.kind == kind && condition.name == name);
        match condition {
            None => Holding::No,
            Some(condition) if condition.is_known => Holding::Yes,
            Some(_) => Holding::Unknown,
        }
    }

    /// Why an event is not sent, or is withheld, if a rule says so. What is known counts before what is not.
    pub(super) fn inhibition(self, state: &RoutingState, alert: &Alert) -> Option<RouteReason> {
        if alert.kind != AlertKind::Hub || self.rules.rules.is_empty() {
            return None;
        }
        let about = alert.about.as_ref()?;
        let events = [FollowUp::Quiet, FollowUp::LoginRefused];
        let event = events
            .into_iter()
            .find(|event| event.status() == alert.details.status)?;
        self.why_inhibited(state, event, about)
    }

    fn why_inhibited(self, state: &RoutingState, event: FollowUp, about: &About) -> Option<RouteReason> {
        let mut withheld = None;
        for rule in &self.rules.rules {
            let inhibiting = |condition: &Condition<'_>| rule.inhibits(condition, event, about);
            for Condition {
                kind, name, is_known, ..
            } in self.conditions(state).filter(inhibiting)
            {
                let (rule, name) = (rule.name.clone(), name.to_owned());
                if is_known {
                    let condition = kind;
                    return Some(RouteReason::Inhibited {
                        rule,
                        condition,
                        name,
                    });
                }
                let until = state.links.unknown_until(&name);
                withheld = withheld.or(until.map(|until| RouteReason::Withheld {
                    rule,
                    connection: name,
                    until,
                }));
            }
        }
        withheld
    }

    /// Remembers that a condition has begun or is over, if an event says so, and says what follows from that.
    pub(super) fn note_condition(
        self,
        now: UnixMillis,
        alert: &Alert,
        after: &mut Cow<'_, RoutingState>,
    ) -> Effects {
        let connection = alert.about.as_ref().and_then(|about| about.connection.as_deref());
        let unheld = match (alert.details.status.as_str(), connection) {
            _ if alert.repeat.is_some() => None,
            (LINK_LOST, Some(connection)) => {
                let after = after.to_mut();
                let events = after.links.lost(now, connection);
                for expect in events.iter().filter_map(|event| event.expect.as_deref()) {
                    after.heard.set_unsaid(expect);
                }
                Unheld::new(events, true)
            }
            (LINK_BACK, Some(connection)) => self.link_up(now, connection, after.to_mut()),
            _ => None,
        };
        Effects {
            unheld,
            ..Effects::default()
        }
    }

    /// A connection is up.
    pub(super) fn link_up(
        self,
        now: UnixMillis,
        connection: &str,
        after: &mut RoutingState,
    ) -> Option<Unheld> {
        let events = after.links.back(connection);
        self.say_what_is_quiet(now, after);
        Unheld::new(events, false)
    }

    /// Does what is due of connections that were away.
    pub(super) fn look_at_links(self, now: UnixMillis, after: &mut RoutingState) -> Option<Unheld> {
        let Inhibitions {
            connections,
            link_grace,
            ..
        } = self.rules;
        let is_there = |name: &str| connections.iter().any(|connection| connection == name);
        let events = after.links.look(now, *link_grace, is_there);
        self.say_what_is_quiet(now, after);
        Unheld::new(events, false)
    }

    /// What is quiet and was not said to be, because of a condition that is over, is said if it is so for a while longer.
    fn say_what_is_quiet(self, now: UnixMillis, after: &mut RoutingState) {
        let unsaid: Vec<String> = after.heard.unsaid().map(str::to_owned).collect();
        for name in unsaid {
            let mut quiet = self.expectations.quiet(&after.heard);
            let about = quiet.find(|(quiet, _)| *quiet == name);
            let about = about.map(|(name, about)| about.of_expected(name));
            drop(quiet);
            let inhibited =
                about.is_some_and(|about| self.why_inhibited(after, FollowUp::Quiet, &about).is_some());
            if !inhibited {
                self.expectations.look_again(now, &mut after.heard, &name);
            }
        }
    }

    /// Remembers what is not said of an event because of a rule, or not yet.
    pub(super) fn note_inhibited(
        alert: &Alert,
        inhibition: Option<RouteReason>,
        effects: &Effects,
        after: &mut Cow<'_, RoutingState>,
    ) {
        let about = alert.about.as_ref().filter(|_| alert.repeat.is_none());
        // What is said again was said before.
        let expect = || about.and_then(|about| about.expect.clone());
        let is_inhibited =
            |suppression: &Suppression| matches!(suppression.reason, RouteReason::Inhibited { .. });
        match inhibition {
            Some(RouteReason::Inhibited { .. }) => {
                let concerns = effects.suppressions.iter().any(is_inhibited);
                if let Some(expect) = expect().filter(|_| concerns) {
                    after.to_mut().heard.set_unsaid(&expect);
                }
            }
            Some(RouteReason::Withheld { rule, connection, .. }) => {
                let withheld = effects.deliveries.iter();
                let withheld =
                    withheld.filter(|planned| matches!(planned.reason, RouteReason::Withheld { .. }));
                let sinks: Vec<String> = withheld.map(|planned| planned.sink.clone()).collect();
                if !sinks.is_empty() {
                    after.to_mut().links.withhold(Withheld {
                        alert: alert.id,
                        sinks,
                        rule,
                        connection,
                        expect: expect(),
                    });
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
