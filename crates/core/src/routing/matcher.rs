//! What alerts a rule is about: conditions as they are written, and the form in which they are asked. They are compiled
//! once, so that hundreds of rules cost an alert some microseconds. It does not know what follows from a match.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

use wildmatch::WildMatch;

use super::arming::{ArmedWord, Protection};
use super::{MatchCondition, Schedule};
use crate::{About, Alert, AlertKind, Confidence, Severity};

/// Conditions that an alert must meet, all of them. An empty list or `None` asks for nothing. Names may have `*` for any
/// characters and `?` for one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// Names of connections, one of which it came over; of an internal event one that it is about, as of the next two.
    pub connections: Vec<String>,
    /// Names of cameras, one of which saw it.
    pub cameras: Vec<String>,
    /// Names of areas, one of which its camera watches.
    pub areas: Vec<String>,
    /// Stream ids, one of which it has.
    pub streams: Vec<String>,
    /// Kinds, one of which it is. Empty means all that cameras raise: a rule takes internal events and notices only
    /// when it names them, so that a siren does not sound for a full disk, or because a client on the network wants it.
    /// Within [`Self::any`] and [`Self::not`], empty means every kind.
    pub kinds: Vec<AlertKind>,
    /// The source's words for the state of what was detected, one of which it has.
    pub statuses: Vec<String>,
    /// The source's words for how sure it was, in any case, one of which it has.
    pub confidences: Vec<String>,
    /// The least number for how sure the source was. One that said so by a word does not meet it.
    pub confidence_at_least: Option<f64>,
    /// Its score on VisionGuard's scale is lower than this, and so more abnormal.
    pub score_below: Option<f64>,
    /// Persons, one of which it is about, as VisionGuard's tracker numbers them.
    pub persons: Vec<i64>,
    /// The least severity.
    pub severity: Option<Severity>,
    /// Schedules, one of which was open when it happened.
    pub schedules: Vec<Arc<Schedule>>,
    /// How its area was armed when it happened, one of these. What is of no area is armed in every mode.
    pub armed: Vec<ArmedWord>,
    /// Whether a route before has taken it because other cameras confirm it.
    pub confirmed: Option<bool>,
    /// Alternatives, one of which it meets.
    pub any: Vec<Self>,
    /// Exceptions, none of which it meets.
    pub not: Vec<Self>,
}

/// A [`Match`] in the form in which it is asked.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    connections: Option<Names>,
    cameras: Option<Names>,
    areas: Option<Names>,
    streams: Option<Names>,
    /// Any when empty.
    kinds: Vec<AlertKind>,
    statuses: Option<Names>,
    /// In lower case.
    confidences: Vec<String>,
    confidence_at_least: Option<f64>,
    score_below: Option<f64>,
    persons: Vec<i64>,
    severity: Option<Severity>,
    /// Any when empty; by their places among the schedules that all rules name.
    schedules: Vec<usize>,
    armed: Vec<ArmedWord>,
    confirmed: Option<bool>,
    any: Vec<Self>,
    not: Vec<Self>,
}

/// Names and patterns of names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    exact: HashSet<String>,
    patterns: Vec<Pattern>,
}

/// A name with `*` or `?` in it.
#[derive(Clone, Debug)]
enum Pattern {
    /// All that begins like this: what people write most, and what is asked fastest.
    Prefix(String),
    Other(WildMatch),
}

/// The schedules that rules name, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedules(Vec<Arc<Schedule>>);

/// An alert that rules are asked about. Whether a schedule was open is found out once for all of them.
pub(super) struct Asked<'a> {
    alert: &'a Alert,
    schedules: &'a Schedules,
    open: Vec<Cell<Option<bool>>>,
    protection: Protection,
    confirmed: Cell<bool>,
}

impl Schedules {
    fn place(&mut self, schedule: &Arc<Schedule>) -> usize {
        let known = self.0.iter().position(|known| known.name == schedule.name);
        known.unwrap_or_else(|| {
            self.0.push(Arc::clone(schedule));
            self.0.len() - 1
        })
    }
}

impl<'a> Asked<'a> {
    pub(super) fn new(alert: &'a Alert, schedules: &'a Schedules) -> Self {
        Self {
            alert,
            open: vec![Cell::new(None); schedules.0.len()],
            schedules,
            protection: Protection::Always,
            confirmed: Cell::new(false),
        }
    }

    /// From now on other cameras confirm it.
    pub(super) fn confirm(&self) {
        self.confirmed.set(true);
    }

    /// The same, with what arming said of the alert when it happened.
    pub(super) fn under(self, protection: Protection) -> Self {
        Self { protection, ..self }
    }

    /// Whether the schedule at this place was open when the alert happened.
    fn was_open(&self, place: usize) -> bool {
        let open = self.open[place]
            .get()
            .unwrap_or_else(|| self.schedules.0[place].is_open(self.alert.happened_at()));
        self.open[place].set(Some(open));
        open
    }
}

impl Matcher {
    /// Of the conditions of a rule, which takes what cameras raise unless it names kinds. Its schedules are added to those of
    /// the other rules.
    pub(super) fn new(conditions: &Match, schedules: &mut Schedules) -> Self {
        let mut matcher = Self::nested(conditions, schedules);
        if matcher.kinds.is_empty() {
            matcher.kinds = AlertKind::OF_CAMERAS.to_vec();
        }
        matcher
    }

    fn nested(conditions: &Match, schedules: &mut Schedules) -> Self {
        let named = conditions.schedules.iter();
        let named = named.map(|schedule| schedules.place(schedule)).collect();
        let mut all = |nested: &[Match]| nested.iter().map(|one| Self::nested(one, schedules)).collect();
        Self {
            connections: Names::new(&conditions.connections),
            cameras: Names::new(&conditions.cameras),
            areas: Names::new(&conditions.areas),
            streams: Names::new(&conditions.streams),
            kinds: conditions.kinds.clone(),
            statuses: Names::new(&conditions.statuses),
            confidences: conditions
                .confidences
                .iter()
                .map(|word| word.to_lowercase())
                .collect(),
            confidence_at_least: conditions.confidence_at_least,
            score_below: conditions.score_below,
            persons: conditions.persons.clone(),
            severity: conditions.severity,
            schedules: named,
            armed: conditions.armed.clone(),
            confirmed: conditions.confirmed,
            any: all(&conditions.any),
            not: all(&conditions.not),
        }
    }

    /// The names that it asks for: of a stream, a camera, an area and a connection.
    pub(super) fn names_of(&self) -> [Option<&Names>; 4] {
        [
            self.streams.as_ref(),
            self.cameras.as_ref(),
            self.areas.as_ref(),
            self.connections.as_ref(),
        ]
    }

    /// The first condition that the alert does not meet.
    pub(super) fn refusal(&self, asked: &Asked<'_>) -> Option<MatchCondition> {
        let alert = asked.alert;
        let (camera, about) = (alert.camera.as_ref(), alert.about.as_ref());
        let has_none = |names: &Names, words: [Option<&str>; 2]| {
            let mut words = words.into_iter().flatten();
            !words.any(|word| names.contain(word))
        };
        let refuses = |names: &Option<Names>, word: Option<&str>| {
            names.as_ref().is_some_and(|names| has_none(names, [word, None]))
        };
        // An internal event has the names of what it is about.
        let refuses_both =
            |names: &Option<Names>, word: Option<&str>, other: fn(&About) -> &Option<String>| {
                let other = about.and_then(|about| other(about).as_deref());
                names.as_ref().is_some_and(|names| has_none(names, [word, other]))
            };
        if refuses_both(&self.connections, Some(&alert.connection), |about| {
            &about.connection
        }) {
            return Some(MatchCondition::Connection);
        }
        if !self.kinds.is_empty() && !self.kinds.contains(&alert.kind) {
            return Some(MatchCondition::Kind);
        }
        let name = camera.and_then(|camera| camera.name.as_deref());
        if refuses_both(&self.cameras, name, |about| &about.camera) {
            return Some(MatchCondition::Camera);
        }
        let area = alert.area();
        if refuses_both(&self.areas, area, |about| &about.area) {
            return Some(MatchCondition::Area);
        }
        if refuses(&self.streams, camera.map(|camera| camera.id.as_str())) {
            return Some(MatchCondition::Stream);
        }
        if refuses(&self.statuses, Some(&alert.details.status)) {
            return Some(MatchCondition::Status);
        }
        self.refusal_of_degree(alert).or_else(|| {
            if !self.schedules.is_empty() && !self.schedules.iter().any(|&place| asked.was_open(place)) {
                Some(MatchCondition::Schedule)
            } else if !self.armed.is_empty() && !self.armed.iter().any(|word| word.holds(asked.protection)) {
                Some(MatchCondition::Armed)
            } else if self
                .confirmed
                .is_some_and(|asked_for| asked_for != asked.confirmed.get())
            {
                Some(MatchCondition::Confirmed)
            } else if !self.any.is_empty() && !self.any.iter().any(|any| any.takes(asked)) {
                Some(MatchCondition::Any)
            } else if self.not.iter().any(|not| not.takes(asked)) {
                Some(MatchCondition::Not)
            } else {
                None
            }
        })
    }

    /// The same of what has a degree, and of the person.
    fn refusal_of_degree(&self, alert: &Alert) -> Option<MatchCondition> {
        let (details, own) = (&alert.details, alert.visionguard.as_ref());
        let sure = match &details.confidence {
            Some(Confidence::Word(word)) => {
                self.confidence_at_least.is_none() && (self.confidences.is_empty() || self.names(word))
            }
            Some(Confidence::Number(number)) => {
                self.confidences.is_empty() && self.confidence_at_least.is_none_or(|least| *number >= least)
            }
            None => self.confidences.is_empty() && self.confidence_at_least.is_none(),
        };
        let score = own.and(details.score);
        if !sure {
            Some(MatchCondition::Confidence)
        } else if self
            .score_below
            .is_some_and(|limit| !score.is_some_and(|score| score < limit))
        {
            Some(MatchCondition::Score)
        } else if !self.persons.is_empty() && !own.is_some_and(|own| self.persons.contains(&own.person_id)) {
            Some(MatchCondition::Person)
        } else if self.severity.is_some_and(|least| alert.severity < least) {
            Some(MatchCondition::Severity)
        } else {
            None
        }
    }

    /// Whether a word for confidence is among those that are asked for.
    fn names(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        self.confidences.contains(&word)
    }

    fn takes(&self, asked: &Asked<'_>) -> bool {
        self.refusal(asked).is_none()
    }
}

impl Names {
    /// `None` where any name will do.
    pub(super) fn new(names: &[String]) -> Option<Self> {
        let (patterns, exact): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| is_pattern(name));
        (!names.is_empty()).then(|| Self {
            exact: exact.into_iter().cloned().collect(),
            patterns: patterns
                .into_iter()
                .map(|pattern| Pattern::new(pattern))
                .collect(),
        })
    }

    /// Those without `*` and `?`.
    pub(super) fn exact(&self) -> impl Iterator<Item = &str> {
        self.exact.iter().map(String::as_str)
    }

    /// How those begin that end in `*` and are plain before it, and how many other patterns there are.
    pub(super) fn patterns(&self) -> (Vec<&str>, usize) {
        let prefixes = self.patterns.iter().filter_map(|pattern| match pattern {
            Pattern::Prefix(prefix) => Some(prefix.as_str()),
            Pattern::Other(_) => None,
        });
        let prefixes: Vec<&str> = prefixes.collect();
        let others = self.patterns.len() - prefixes.len();
        (prefixes, others)
    }

    pub(super) fn contain(&self, word: &str) -> bool {
        self.exact.contains(word) || self.patterns.iter().any(|pattern| pattern.matches(word))
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) if !is_pattern(prefix) => Self::Prefix(prefix.to_owned()),
            _ => Self::Other(WildMatch::new(text)),
        }
    }

    fn matches(&self, word: &str) -> bool {
        match self {
            Self::Prefix(prefix) => word.starts_with(prefix),
            Self::Other(pattern) => pattern.matches(word),
        }
    }
}

/// Whether a name stands for all that look like it: it has `*` or `?` in it.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Whether a name or a pattern of names stands for this one.
pub fn name_matches(pattern: &str, name: &str) -> bool {
    match is_pattern(pattern) {
        true => Pattern::new(pattern).matches(name),
        false => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sample;
    use crate::{Camera, Details, VisionGuard};

    /// A person at the back door, at score -2.5.
    fn alert() -> Alert {
        Alert {
            camera: Some(Camera {
                id: "3544c7ab-1".into(),
                name: Some("Back door".into()),
                area: Some("Yard".into()),
            }),
            severity: Severity::Medium,
            details: Details {
                status: "pending".into(),
                score: Some(-2.5),
                confidence: Some(Confidence::Word("Low".into())),
                ..Details::default()
            },
            ..sample(1_000_000_000)
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.into()).collect()
    }

    fn schedule(window: &str) -> Arc<Schedule> {
        let calendar = Arc::new(crate::Calendar::new(jiff::tz::TimeZone::UTC, Vec::new()));
        Arc::new(Schedule::new(window, vec![window.parse().unwrap()], calendar))
    }

    fn refusal(conditions: &Match, alert: &Alert) -> Option<MatchCondition> {
        let mut schedules = Schedules::default();
        let matcher = Matcher::new(conditions, &mut schedules);
        matcher.refusal(&Asked::new(alert, &schedules))
    }

    #[test]
    fn each_condition_is_met_or_named() {
        type Condition = fn(&mut Match);
        use MatchCondition as C;
        let cases: &[(Condition, Option<C>)] = &[
            (|_| (), None),
            (|m| m.connections = names(&["yard", "shop"]), None),
            (|m| m.connections = names(&["sho?"]), None),
            (|m| m.connections = names(&["yard"]), Some(C::Connection)),
            (|m| m.cameras = names(&["Back door"]), None),
            (|m| m.cameras = names(&["Front*", "Back*"]), None),
            (|m| m.cameras = names(&["*door"]), None),
            (|m| m.cameras = names(&["back door"]), Some(C::Camera)),
            (|m| m.areas = names(&["Yard"]), None),
            (|m| m.areas = names(&["Till"]), Some(C::Area)),
            (|m| m.streams = names(&["3544c7ab*"]), None),
            (|m| m.streams = names(&["3544c7ab"]), Some(C::Stream)),
            (|m| m.kinds = vec![AlertKind::OwlEye], Some(C::Kind)),
            (|m| m.statuses = names(&["new", "pending"]), None),
            (|m| m.statuses = names(&["new"]), Some(C::Status)),
            (|m| m.confidences = names(&["LOW"]), None),
            (|m| m.confidences = names(&["high"]), Some(C::Confidence)),
            (|m| m.confidence_at_least = Some(0.1), Some(C::Confidence)),
            (|m| m.score_below = Some(-2.4), None),
            // The limit itself is not below it.
            (|m| m.score_below = Some(-2.5), Some(C::Score)),
            (|m| m.persons = vec![1, 7], None),
            (|m| m.persons = vec![2], Some(C::Person)),
            (|m| m.severity = Some(Severity::Medium), None),
            (|m| m.severity = Some(Severity::High), Some(C::Severity)),
            // It happened at 00:16 UTC.
            (|m| m.schedules = vec![schedule("daily 00:00-01:00")], None),
            (
                |m| m.schedules = vec![schedule("daily 01:00-02:00")],
                Some(C::Schedule),
            ),
            (
                |m| m.schedules = vec![schedule("daily 01:00-02:00"), schedule("daily 00:16-00:17")],
                None,
            ),
        ];
        for (number, (condition, expected)) in cases.iter().enumerate() {
            let mut conditions = Match::default();
            condition(&mut conditions);
            assert_eq!(refusal(&conditions, &alert()), *expected, "case {number}");
            // What is excluded is what would have been met, and an alternative is what is met.
            let not = Match {
                not: vec![conditions.clone()],
                ..Match::default()
            };
            let excluded = expected.is_none().then_some(C::Not);
            assert_eq!(refusal(&not, &alert()), excluded, "not case {number}");
            let never = Match {
                cameras: names(&["nowhere"]),
                ..Match::default()
            };
            let any = Match {
                any: vec![never, conditions],
                ..Match::default()
            };
            assert_eq!(
                refusal(&any, &alert()),
                expected.and(Some(C::Any)),
                "any case {number}"
            );
        }
    }

    #[test]
    fn what_an_alert_does_not_say_meets_no_condition_on_it() {
        let bare = Alert {
            camera: None,
            visionguard: None,
            details: Details {
                score: Some(-9.0),
                ..Details::default()
            },
            ..alert()
        };
        let anything = || names(&["*"]);
        for (conditions, expected) in [
            (
                Match {
                    cameras: anything(),
                    ..Match::default()
                },
                MatchCondition::Camera,
            ),
            (
                Match {
                    areas: anything(),
                    ..Match::default()
                },
                MatchCondition::Area,
            ),
            (
                Match {
                    streams: anything(),
                    ..Match::default()
                },
                MatchCondition::Stream,
            ),
            (
                Match {
                    confidences: names(&["low"]),
                    ..Match::default()
                },
                MatchCondition::Confidence,
            ),
            // The scale is VisionGuard's, and another source may have another.
            (
                Match {
                    score_below: Some(0.0),
                    ..Match::default()
                },
                MatchCondition::Score,
            ),
            (
                Match {
                    persons: vec![0],
                    ..Match::default()
                },
                MatchCondition::Person,
            ),
        ] {
            assert_eq!(refusal(&conditions, &bare), Some(expected));
        }
        let numbered = Alert {
            details: Details {
                confidence: Some(Confidence::Number(0.8)),
                ..Details::default()
            },
            visionguard: Some(VisionGuard::default()),
            ..alert()
        };
        let at_least = |least| Match {
            confidence_at_least: Some(least),
            ..Match::default()
        };
        assert_eq!(refusal(&at_least(0.8), &numbered), None);
        assert_eq!(
            refusal(&at_least(0.81), &numbered),
            Some(MatchCondition::Confidence)
        );
    }

    #[test]
    fn a_rule_takes_what_cameras_raise_unless_it_names_kinds_and_nested_conditions_take_every_kind() {
        let hub = Alert {
            kind: AlertKind::Hub,
            ..alert()
        };
        assert_eq!(refusal(&Match::default(), &hub), Some(MatchCondition::Kind));
        let named = Match {
            kinds: vec![AlertKind::Hub],
            any: vec![Match {
                connections: names(&["shop"]),
                ..Match::default()
            }],
            ..Match::default()
        };
        assert_eq!(refusal(&named, &hub), None);
    }
}
