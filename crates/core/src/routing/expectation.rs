//! What is expected to raise an alert now and then, and is quiet: a camera that was turned away, a night watch that is broken.
//! Elsewhere this is called a dead man's switch. The quiet is a condition that is remembered: it begins with one event and ends
//! with one. It knows neither routes nor sinks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Match;
use super::matcher::{Asked, Matcher, Schedules};
use crate::{About, Alert, AlertKind, HubEvent, UnixMillis};

/// How exactly it is remembered when something was last heard, as a part of the time for which it may be quiet: not every
/// alert is to be a write of its own.
const NOTED_PARTS: u32 = 100;

/// A look that comes later than this was not made in time, because the hub did not run.
const LOOKS_WITHIN: Duration = Duration::from_secs(60);

/// How long the hub waits after it has not run: what happened meanwhile is still being fetched.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(3_600);

/// That something raises an alert now and then.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// What people call that which is expected to.
    pub name: String,
    /// Alerts that show that it works: one of them is enough.
    pub matches: Match,
    /// For how long it may be quiet.
    pub every: Duration,
    /// What its events are about, where that is one connection, camera or area.
    pub about: About,
}

/// The expectations of a configuration, in the form in which they are asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectations {
    expected: Vec<Expected>,
    schedules: Schedules,
}

#[derive(Clone, Debug)]
struct Expected {
    name: String,
    matcher: Matcher,
    every: Duration,
    about: About,
}

/// What is remembered of each expectation, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Heard(BTreeMap<String, LastHeard>);

/// When something was last heard that is expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastHeard {
    /// When the last alert of it happened, by a hundredth of its time at most too early; without any, since when it is expected.
    pub at: UnixMillis,
    /// Whether there was any.
    #[serde(default)]
    pub ever: bool,
    /// Since when it was quiet, if that was reported and its end was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<UnixMillis>,
    /// It is not said to be quiet before, because the hub did not run when it was to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UnixMillis>,
    /// That it was quiet was not said to all, because of what inhibits it. Its end is not said then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsaid: bool,
}

impl Expectations {
    pub(super) fn new(expected: Vec<Expectation>) -> Self {
        let mut schedules = Schedules::default();
        let compiled = |expectation: Expectation| Expected {
            matcher: Matcher::new(&expectation.matches, &mut schedules),
            name: expectation.name,
            every: expectation.every,
            about: expectation.about,
        };
        let expected = expected.into_iter().map(compiled).collect();
        Self { expected, schedules }
    }

    /// When [`Self::look`] is to be called next.
    pub(super) fn next_look(&self, heard: &Heard) -> Option<UnixMillis> {
        let next = |expected: &Expected| heard.0.get(&expected.name)?.next_look(expected.every);
        self.expected.iter().filter_map(next).min()
    }

    /// What is remembered of an alert, where that changes.
    pub(super) fn hear(&self, now: UnixMillis, heard: &Heard, alert: &Alert) -> Option<Heard> {
        // What the hub says of itself, such as that something is quiet, shows nothing of others.
        if self.expected.is_empty() || alert.kind == AlertKind::Hub {
            return None;
        }
        let asked = Asked::new(alert, &self.schedules);
        let at = alert.happened_at().min(now);
        let mut after = None;
        for expected in &self.expected {
            let noted = heard.0.get(&expected.name);
            let stale = noted.is_none_or(|noted| noted.is_stale(at, expected.every));
            if !stale || expected.matcher.refusal(&asked).is_some() {
                continue;
            }
            let after = after.get_or_insert_with(|| heard.clone());
            let last = LastHeard {
                at,
                ever: true,
                quiet_since: noted.and_then(|noted| noted.quiet_since),
                not_before: None,
                unsaid: noted.is_some_and(|noted| noted.unsaid),
            };
            after.0.insert(expected.name.clone(), last);
        }
        after
    }

    /// Begins to wait for what is new in the configuration, forgets what is no longer in it, and says what has been quiet for
    /// too long and what is so no longer.
    pub(super) fn look(&self, now: UnixMillis, heard: &mut Heard) -> Vec<HubEvent> {
        heard
            .0
            .retain(|name, _| self.expected.iter().any(|expected| expected.name == *name));
        let mut events = Vec::new();
        for expected in &self.expected {
            let last = heard
                .0
                .entry(expected.name.clone())
                .or_insert_with(|| LastHeard::nothing(now));
            if let Some(since) = last.quiet_since {
                if last.at + expected.every > now {
                    last.quiet_since = None;
                    if !std::mem::take(&mut last.unsaid) {
                        let seconds = since.until(last.at).as_secs();
                        events.push(expected.over(seconds));
                    }
                } else {
                    // What came meanwhile has happened too long ago to end it, and need not be looked at again.
                    last.quiet_since = Some(last.at);
                }
                continue;
            }
            let deadline = last.deadline(expected.every);
            if deadline > now {
                continue;
            }
            if last.not_before.is_none() && now > deadline + LOOKS_WITHIN {
                last.not_before = Some(now + expected.every.min(CATCHES_UP_WITHIN));
                continue;
            }
            last.quiet_since = Some(last.at);
            events.push(HubEvent::Quiet {
                name: expected.name.clone(),
                seconds: last.at.until(now).as_secs(),
                ever: last.ever,
                about: expected.about.clone(),
            });
        }
        events
    }

    /// What is quiet, each with what it is about.
    pub(super) fn quiet<'a>(&'a self, heard: &'a Heard) -> impl Iterator<Item = (&'a str, &'a About)> {
        let is_quiet = |expected: &&Expected| {
            let last = heard.0.get(&expected.name);
            last.is_some_and(|last| last.quiet_since.is_some())
        };
        let quiet = self.expected.iter().filter(is_quiet);
        quiet.map(|expected| (expected.name.as_str(), &expected.about))
    }

    /// What is quiet is to be said once more, if it is so for as long as it takes to fetch what has happened meanwhile.
    pub(super) fn look_again(&self, now: UnixMillis, heard: &mut Heard, name: &str) {
        let expected = self.expected.iter().find(|expected| expected.name == name);
        if let (Some(expected), Some(last)) = (expected, heard.0.get_mut(name)) {
            (last.quiet_since, last.unsaid) = (None, false);
            last.not_before = Some(now + expected.every.min(CATCHES_UP_WITHIN));
        }
    }
}

impl Expected {
    fn over(&self, seconds: u64) -> HubEvent {
        HubEvent::QuietOver {
            name: self.name.clone(),
            about: self.about.clone(),
            seconds,
        }
    }
}

impl Heard {
    /// All that is expected, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &LastHeard)> {
        self.0.iter().map(|(name, last)| (name.as_str(), last))
    }

    /// That something is quiet was not said to all.
    pub(super) fn set_unsaid(&mut self, name: &str) {
        if let Some(last) = self.0.get_mut(name).filter(|last| last.quiet_since.is_some()) {
            last.unsaid = true;
        }
    }

    /// What is quiet without that being said to all, by name.
    pub(super) fn unsaid(&self) -> impl Iterator<Item = &str> {
        let unsaid = self.0.iter().filter(|(_, last)| last.unsaid);
        unsaid.map(|(name, _)| name.as_str())
    }

    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The clock was set, and is at `now` since: what lay in the past lies as long ago as it did.
    pub(super) fn shift(&mut self, now: UnixMillis, millis: i64) {
        let before = UnixMillis(now.0.saturating_sub(millis));
        for last in self.0.values_mut().filter(|last| last.at <= before) {
            let rest = last.not_before.iter_mut().chain(&mut last.quiet_since);
            for at in std::iter::once(&mut last.at).chain(rest) {
                at.0 = at.0.saturating_add(millis);
            }
        }
    }
}

impl LastHeard {
    /// It is expected from now on.
    fn nothing(now: UnixMillis) -> Self {
        Self {
            at: now,
            ever: false,
            quiet_since: None,
            not_before: None,
            unsaid: false,
        }
    }

    /// When it has been quiet for too long.
    fn deadline(&self, every: Duration) -> UnixMillis {
        (self.at + every).max(self.not_before.unwrap_or(self.at))
    }

    /// When there may be something to say. That it is not quiet any more is said at once.
    fn next_look(&self, every: Duration) -> Option<UnixMillis> {
        match self.quiet_since {
            None => Some(self.deadline(every)),
            Some(since) => (since < self.at).then_some(self.at),
        }
    }

    /// Whether an alert that happened then says more than is remembered.
    fn is_stale(&self, at: UnixMillis, every: Duration) -> bool {
        at > self.at && (self.quiet_since.is_some() || !self.ever || at >= self.at + every / NOTED_PARTS)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::Camera;
    use crate::alert::sample;

    const HOUR: i64 = 3_600_000;

    fn alert(at: i64, camera: &str) -> Alert {
        let mut alert = sample(u64::try_from(at).unwrap() * 1_000);
        alert.camera = Some(Camera {
            name: Some(camera.into()),
            ..Camera::unnamed("a")
        });
        alert
    }

    /// The back door, which is not quiet for a day.
    fn back_door() -> Expectations {
        let matches = Match {
            cameras: vec!["Back*".into()],
            ..Match::default()
        };
        let every = Duration::from_secs(24 * 3_600);
        let name = "Back door".to_owned();
        let about = About::default();
        Expectations::new(vec![Expectation {
            name,
            matches,
            every,
            about,
        }])
    }

    /// Runs for a hundred hours, with alerts `(hour, camera)`, and looks as often as it is to; each line with its hour.
    fn play(expectations: &Expectations, heard: &mut Heard, from: i64, alerts: &[(i64, &str)]) -> String {
        let mut said = String::new();
        let mut say = |hour: i64, events: Vec<HubEvent>| {
            for event in events {
                let alert = event.into_alert(crate::AlertId(1), UnixMillis(hour * HOUR));
                said += &format!("{hour} h: {}: {}\n", alert.details.status, alert.title);
            }
        };
        for hour in from..from + 100 {
            let now = UnixMillis(hour * HOUR);
            for (_, camera) in alerts.iter().filter(|(at, _)| *at == hour) {
                if let Some(after) = expectations.hear(now, heard, &alert(now.0, camera)) {
                    *heard = after;
                }
            }
            if hour == from || expectations.next_look(heard).is_some_and(|at| at <= now) {
                say(hour, expectations.look(now, heard));
            }
        }
        said
    }

    #[test]
    fn what_is_quiet_for_too_long_is_said_once_and_so_is_its_end() {
        let said = play(
            &back_door(),
            &mut Heard::default(),
            0,
            &[
                (10, "Back door"),
                (20, "Till"),
                (70, "Back yard"),
                (71, "Back yard"),
            ],
        );
        expect![[r#"
            34 h: quiet: Nothing from Back door for 24 h
            70 h: quiet_over: Back door was quiet for 60 h
            95 h: quiet: Nothing from Back door for 24 h
        "#]]
        .assert_eq(&said);
    }

    #[test]
    fn what_was_never_heard_is_waited_for_since_it_is_expected() {
        expect![[r#"
            25 h: quiet: Nothing from Back door for 24 h
        "#]]
        .assert_eq(&play(&back_door(), &mut Heard::default(), 1, &[]));
    }

    #[test]
    fn a_hub_that_did_not_run_looks_again_when_it_may_have_caught_up() {
        let mut heard = Heard::default();
        play(&back_door(), &mut heard, 0, &[(90, "Back door")]);
        // Away until hour 1,000; what happened meanwhile is fetched within the hour.
        let mut caught_up = heard.clone();
        assert_eq!(
            play(
                &back_door(),
                &mut caught_up,
                1_000,
                &[
                    (1_000, "Back door"),
                    (1_020, "Back door"),
                    (1_040, "Back door"),
                    (1_060, "Back door"),
                    (1_080, "Back door")
                ]
            ),
            ""
        );
        expect![[r#"
            1001 h: quiet: Nothing from Back door for 911 h
        "#]]
        .assert_eq(&play(&back_door(), &mut heard, 1_000, &[]));
    }

    #[test]
    fn an_alert_that_is_older_than_its_time_ends_no_quiet() {
        let (expectations, mut heard) = (back_door(), Heard::default());
        expectations.look(UnixMillis(0), &mut heard);
        let now = UnixMillis(24 * HOUR);
        assert_eq!(expectations.look(now, &mut heard).len(), 1);
        let late = alert(5 * HOUR, "Back door");
        let hear = |now| {
            let mut after = expectations.hear(now, &heard, &late).unwrap();
            let events = expectations.look(now, &mut after);
            (events.len(), after.0["Back door"].quiet_since)
        };
        // Of the twenty-four hours after it five are left, or none.
        assert_eq!(hear(now), (1, None));
        assert_eq!(hear(UnixMillis(40 * HOUR)), (0, Some(UnixMillis(5 * HOUR))));
    }

    #[test]
    fn not_every_alert_is_remembered() {
        let (expectations, mut heard) = (back_door(), Heard::default());
        let mut writes = 0;
        for minute in 0..24 * 60 {
            let at = minute * 60_000;
            if let Some(after) = expectations.hear(UnixMillis(at), &heard, &alert(at, "Back door")) {
                (heard, writes) = (after, writes + 1);
            }
        }
        assert_eq!(writes, 96, "one in a quarter of an hour");
    }

    #[test]
    fn internal_events_are_no_sign_of_a_camera() {
        let of_all = Match {
            kinds: vec![AlertKind::Hub],
            ..Match::default()
        };
        let expectations = Expectations::new(vec![Expectation {
            name: "all".into(),
            matches: of_all,
            every: Duration::from_secs(3_600),
            about: About::default(),
        }]);
        let mut event = alert(HOUR, "Back door");
        event.kind = AlertKind::Hub;
        assert_eq!(
            expectations.hear(UnixMillis(HOUR), &Heard::default(), &event),
            None
        );
    }

    #[test]
    fn a_clock_that_is_set_ends_no_time() {
        let (expectations, mut heard) = (back_door(), Heard::default());
        let day = 24 * HOUR;
        expectations.look(UnixMillis(day), &mut heard);
        heard.shift(UnixMillis(15 * day), 14 * day);
        assert_eq!(expectations.next_look(&heard), Some(UnixMillis(16 * day)));
    }

    #[test]
    fn what_is_expected_no_more_is_forgotten() {
        let mut heard = Heard::default();
        back_door().look(UnixMillis(0), &mut heard);
        Expectations::default().look(UnixMillis(0), &mut heard);
        assert!(heard.is_empty());
    }
}
