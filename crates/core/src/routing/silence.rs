//! Silences: a person does not want to hear of some alerts for a while. What is held back is stored like all else, with the
//! silence as the reason, and summed up in one digest when the silence is over. It knows neither routes nor sinks.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::matcher::{Asked, Matcher, Schedules};
use super::{Actor, Match};
use crate::{Alert, AlertId, AlertKind, HubEvent, Severity, UnixMillis};

/// Most silences at a time, so that what is remembered is bounded.
pub const MAX_SILENCES: usize = 100;

/// Longest time that a silence may still last: what is forgotten must not keep a site silent for ever.
pub const MAX_SILENCE: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Alerts that a digest names: the newest of those that were held back.
const MAX_DIGEST_IDS: usize = 20;

/// By which people name a silence: counted up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SilenceId(pub u64);

/// What a silence is about: alerts that meet every condition given. Names may have `*` and `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SilenceMatch {
    /// Names of connections.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connection: Vec<String>,
    /// Names of cameras.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub camera: Vec<String>,
    /// Names of areas.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub area: Vec<String>,
    /// Ids of streams.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stream: Vec<String>,
    /// Kinds. Without any, what cameras raise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<AlertKind>,
    /// The words for their state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
    /// What is more severe than this is heard all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity_at_most: Option<Severity>,
    /// Names of the sinks that it holds for. Without any, all but those that keep the record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sink: Vec<String>,
}

/// A silence that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its number.
    pub id: SilenceId,
    /// What it is about.
    #[serde(rename = "match")]
    pub matches: SilenceMatch,
    /// When it began.
    pub from: UnixMillis,
    /// When it is over: this instant does not belong to it.
    pub until: UnixMillis,
    /// Why, in the words of the person who wanted it.
    pub why: String,
    /// Who wanted it.
    pub by: Actor,
    /// Who has ended it before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<Actor>,
    /// What it has held back so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldBack>,
}

/// What a silence has held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// How many alerts.
    pub count: u64,
    /// When the first of them happened.
    pub from: UnixMillis,
    /// When the last of them happened.
    pub to: UnixMillis,
    /// The newest of them.
    pub ids: Vec<AlertId>,
}

/// What a person wants of silences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SilenceCommand {
    /// That one begins.
    Begin {
        /// What it is about.
        matches: Box<SilenceMatch>,
        /// For how long.
        lasts: Duration,
        /// Why.
        why: String,
        /// Who.
        by: Actor,
    },
    /// That one lasts so long from now on, longer or shorter than it would.
    Extend {
        /// Which.
        id: SilenceId,
        /// For how long.
        lasts: Duration,
    },
    /// That one is over.
    End {
        /// Which.
        id: SilenceId,
        /// Who.
        by: Actor,
    },
}

/// Why a command about silences was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceRefused {
    /// There is none of this number.
    #[error("there is no silence {0}; it may be over. `watchpost silence list` shows those that there are.")]
    Unknown(SilenceId),
    /// There are enough.
    #[error("there are {MAX_SILENCES} silences already, which is the most: end one first")]
    TooMany,
    /// It would last too long, or no time at all.
    #[error("a silence lasts from a second to {} days: a longer one is for a schedule in the configuration", MAX_SILENCE.as_secs() / 86_400)]
    Duration,
    /// It says nothing, and would hold for everything.
    #[error("the silence names nothing that it is about: give a condition, such as `--match camera=Back*`")]
    Everything,
}

/// All silences that are not over. It is a part of what routing remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Silences {
    /// In the order of their numbers.
    active: Vec<Silence>,
    /// The number of the last one that there was.
    last: u64,
}

impl SilenceMatch {
    fn conditions(&self) -> Match {
        Match {
            connections: self.connection.clone(),
            cameras: self.camera.clone(),
            areas: self.area.clone(),
            streams: self.stream.clone(),
            kinds: self.kind.clone(),
            statuses: self.status.clone(),
            ..Match::default()
        }
    }

    /// How many names it has.
    pub fn names(&self) -> usize {
        let lists = [
            &self.connection,
            &self.camera,
            &self.area,
            &self.stream,
            &self.status,
            &self.sink,
        ];
        lists.into_iter().map(Vec::len).sum::<usize>() + self.kind.len()
    }

    /// Whether it would hold for every alert of a sink.
    fn is_empty(&self) -> bool {
        let rest = Self {
            sink: Vec::new(),
            severity_at_most: None,
            ..self.clone()
        };
        rest == Self::default()
    }
}

impl Silence {
    /// Says of an alert and a sink whether it is about them. What it is about is prepared once.
    pub fn muting(&self) -> impl Fn(&Alert, &str) -> bool {
        let is_about = self.about();
        move |alert, sink| self.holds_for(sink) && is_about(alert)
    }

    /// Says of an alert whether it is about that, whatever the sink.
    fn about(&self) -> impl Fn(&Alert) -> bool + use<> {
        let mut schedules = Schedules::default();
        let matcher = Matcher::new(&self.matches.conditions(), &mut schedules);
        let most = self.matches.severity_at_most;
        move |alert| {
            most.is_none_or(|most| alert.severity <= most)
                && matcher.refusal(&Asked::new(alert, &schedules)).is_none()
        }
    }

    fn holds_for(&self, sink: &str) -> bool {
        let sinks = &self.matches.sink;
        sinks.is_empty() || sinks.iter().any(|name| name == sink)
    }

    /// Whether it was in force when an alert happened, or is now.
    fn is_in_force(&self, now: UnixMillis, alert: &Alert) -> bool {
        let holds = |at: UnixMillis| self.from <= at && at < self.until;
        holds(now) || holds(alert.happened_at())
    }

    /// Whether it keeps what it is about from this sink. One that keeps the record is spared where it is not named.
    pub(super) fn mutes(&self, sink: &str, keeps_record: bool) -> bool {
        let spares = keeps_record && self.matches.sink.is_empty();
        self.holds_for(sink) && !spares
    }

    fn hold(&mut self, alert: &Alert) {
        let at = alert.happened_at();
        let held = self.held.get_or_insert_with(|| HeldBack {
            count: 0,
            from: at,
            to: at,
            ids: Vec::new(),
        });
        // Of an alert with several sinks once.
        if held.ids.last() == Some(&alert.id) {
            return;
        }
        held.count += 1;
        (held.from, held.to) = (held.from.min(at), held.to.max(at));
        if held.ids.len() == MAX_DIGEST_IDS {
            held.ids.remove(0);
        }
        held.ids.push(alert.id);
    }

    /// What is said when it is over.
    fn digest(&self) -> HubEvent {
        HubEvent::SilenceOver {
            id: self.id,
            why: self.why.clone(),
            ended_by: self.ended_by.clone(),
            held: self.held.clone(),
        }
    }
}

impl Silences {
    /// The same without what they have held back.
    pub(super) fn to_keep(&self) -> Self {
        let mut kept = self.clone();
        kept.active.iter_mut().for_each(|silence| silence.held = None);
        kept
    }

    /// Those that are not over, in the order of their numbers.
    pub fn active(&self) -> &[Silence] {
        &self.active
    }

    /// When the first of them is over.
    pub fn next_end(&self) -> Option<UnixMillis> {
        self.active.iter().map(|silence| silence.until).min()
    }

    /// Those in force that are about an alert, the one that lasts longest first.
    pub(super) fn about(&self, now: UnixMillis, alert: &Alert) -> Vec<&Silence> {
        let in_force = self
            .active
            .iter()
            .filter(|silence| silence.is_in_force(now, alert));
        let mut about: Vec<&Silence> = in_force.filter(|silence| silence.about()(alert)).collect();
        about.sort_by_key(|silence| Reverse((silence.until, silence.id)));
        about
    }

    /// Remembers that a silence has held back an alert.
    pub(super) fn hold(&mut self, id: SilenceId, alert: &Alert) {
        if let Some(silence) = self.find(id) {
            silence.hold(alert);
        }
    }

    /// Remembers that it has held back more alerts, which are not known one by one.
    pub(super) fn count(&mut self, id: SilenceId, more: u64) {
        let held = self.find(id).and_then(|silence| silence.held.as_mut());
        if let Some(held) = held {
            held.count += more;
        }
    }

    /// Carries out what a person wants. Returns the silence that has begun.
    pub(super) fn carry_out(
        &mut self,
        now: UnixMillis,
        command: &SilenceCommand,
    ) -> Result<Option<SilenceId>, SilenceRefused> {
        match command {
            SilenceCommand::Begin {
                matches,
                lasts,
                why,
                by,
            } => {
                let until = end(now, *lasts)?;
                if matches.is_empty() {
                    return Err(SilenceRefused::Everything);
                }
                if self.active.len() >= MAX_SILENCES {
                    return Err(SilenceRefused::TooMany);
                }
                self.last += 1;
                self.active.push(Silence {
                    id: SilenceId(self.last),
                    matches: SilenceMatch::clone(matches),
                    from: now,
                    until,
                    why: why.clone(),
                    by: by.clone(),
                    ended_by: None,
                    held: None,
                });
                return Ok(Some(SilenceId(self.last)));
            }
            SilenceCommand::Extend { id, lasts } => {
                let until = end(now, *lasts)?;
                self.running(now, *id)?.until = until;
            }
            SilenceCommand::End { id, by } => {
                let silence = self.running(now, *id)?;
                (silence.until, silence.ended_by) = (now, Some(by.clone()));
            }
        }
        Ok(None)
    }

    /// Forgets those that are over, and says so of each.
    pub(super) fn end(&mut self, now: UnixMillis) -> Vec<HubEvent> {
        let over = self.active.iter().filter(|silence| silence.until <= now);
        let events = over.map(Silence::digest).collect();
        self.active.retain(|silence| silence.until > now);
        events
    }

    /// The clock was set, and is at `now` since: each lasts as long as it would have. Where it stood before the beginning of
    /// one it was wrong, as after a loss of power, and is right now: no silence becomes decades long by that.
    pub(super) fn shift(&mut self, now: UnixMillis, millis: i64) {
        let before = UnixMillis(now.0.saturating_sub(millis));
        for silence in self.active.iter_mut().filter(|silence| silence.from <= before) {
            for at in [&mut silence.from, &mut silence.until] {
                at.0 = at.0.saturating_add(millis);
            }
        }
    }

    fn find(&mut self, id: SilenceId) -> Option<&mut Silence> {
        self.active.iter_mut().find(|silence| silence.id == id)
    }

    fn running(&mut self, now: UnixMillis, id: SilenceId) -> Result<&mut Silence, SilenceRefused> {
        let running = self.find(id).filter(|silence| silence.until > now);
        running.ok_or(SilenceRefused::Unknown(id))
    }
}

/// When a silence is over that lasts so long from now on.
fn end(now: UnixMillis, lasts: Duration) -> Result<UnixMillis, SilenceRefused> {
    match lasts {
        lasts if lasts < Duration::from_secs(1) || lasts > MAX_SILENCE => Err(SilenceRefused::Duration),
        lasts => Ok(now + lasts),
    }
}

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for SilenceId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for SilenceMatch {
    /// As it is written on the command line: `camera=Back*, sink=siren`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("connection", &self.connection),
            ("camera", &self.camera),
            ("area", &self.area),
            ("stream", &self.stream),
            ("status", &self.status),
            ("sink", &self.sink),
        ];
        let kinds = self.kind.iter().map(|kind| format!("kind={kind}"));
        let words = lists
            .into_iter()
            .flat_map(|(key, words)| words.iter().map(move |word| format!("{key}={word}")));
        let most = self
            .severity_at_most
            .iter()
            .map(|most| format!("severity_at_most={most}"));
        f.write_str(&words.chain(kinds).chain(most).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::alert::sample;
    use crate::{Camera, ClockStep, HUB, Route, RouteReason, Router, RoutingEvent, RoutingState, Target};

    const HOUR: Duration = Duration::from_secs(3_600);

    /// One that happened and was received at this time, of this camera.
    fn alert(at: i64, camera: &str) -> Alert {
        let mut alert = sample(u64::try_from(at).unwrap() * 1_000);
        alert.camera = Some(Camera {
            name: Some(camera.into()),
            ..Camera::unnamed("a")
        });
        alert
    }

    fn of(cameras: &[&str]) -> SilenceMatch {
        SilenceMatch {
            camera: cameras.iter().map(|&camera| camera.into()).collect(),
            ..SilenceMatch::default()
        }
    }

    fn begin(matches: SilenceMatch, lasts: Duration) -> SilenceCommand {
        SilenceCommand::Begin {
            matches: Box::new(matches),
            lasts,
            why: "painters".into(),
            by: Actor::Operator,
        }
    }

    fn router() -> Router {
        let target = |name: &str| Target {
            name: name.into(),
            ..Target::default()
        };
        Router::new(vec![target("mail"), target("siren")], Vec::<Route>::new())
    }

    /// A router with what it remembers.
    struct Site(Router, RoutingState);

    impl Site {
        fn new() -> Self {
            Self(router(), RoutingState::default())
        }

        fn step(&mut self, now: i64, event: RoutingEvent<'_>) -> super::super::Effects {
            let effects = self.0.step(UnixMillis(now), &self.1, event);
            if let Some(state) = &effects.state {
                self.1 = state.clone();
            }
            effects
        }

        fn silence(
            &mut self,
            now: i64,
            command: &SilenceCommand,
        ) -> Result<Option<SilenceId>, SilenceRefused> {
            let effects = self.step(now, RoutingEvent::Silence(command));
            match effects.refused {
                None => Ok(effects.silenced),
                Some(crate::CommandRefused::Silence(refused)) => Err(refused),
                Some(other) => panic!("{other}"),
            }
        }

        /// The sinks that get an alert.
        fn heard(&mut self, now: i64, alert: &Alert) -> Vec<String> {
            let effects = self.step(now, RoutingEvent::Alert(alert));
            effects
                .deliveries
                .into_iter()
                .map(|planned| planned.sink)
                .collect()
        }

        /// What is said of silences that are over.
        fn due(&mut self, now: i64) -> Vec<Alert> {
            let events = self.step(now, RoutingEvent::Due).events;
            let said = events.into_iter();
            said.map(|event| event.into_alert(crate::AlertId(1), UnixMillis(now)))
                .collect()
        }

        /// How many each silence held back that is over.
        fn over(&mut self, now: i64) -> Vec<u64> {
            let events = self.step(now, RoutingEvent::Due).events.into_iter();
            let count = |event| match event {
                HubEvent::SilenceOver { held, .. } => held.map_or(0, |held| held.count),
                other => panic!("{other:?}"),
            };
            events.map(count).collect()
        }
    }

    #[test]
    fn what_it_is_about_is_not_heard_from_its_beginning_to_its_end_and_summed_up_then() {
        let mut site = Site::new();
        let begun = site.silence(10_000, &begin(of(&["Back*"]), Duration::from_secs(100)));
        assert_eq!(begun, Ok(Some(SilenceId(1))));
        assert_eq!(site.0.next_due(&site.1), Some(UnixMillis(110_000)));
        for (at, camera, heard) in [
            (10_000, "Back door", false),
            (20_000, "Front door", true),
            (109_999, "Back gate", false),
            // The end does not belong to it.
            (110_000, "Back door", true),
        ] {
            let sinks = site.heard(at, &alert(at, camera));
            assert_eq!(!sinks.is_empty(), heard, "{camera} at {at}");
        }
        // What happened meanwhile is not heard when it comes later, as long as the silence is remembered.
        let late = Alert {
            occurred_at: Some(UnixMillis(50_000)),
            ..alert(120_000, "Back door")
        };
        assert_eq!(site.heard(120_000, &late), [] as [&str; 0]);
        let said = site.due(120_000);
        let [said] = said.as_slice() else {
            panic!("{said:?}")
        };
        assert_eq!(
            (said.kind, said.details.status.as_str()),
            (AlertKind::Hub, "silence_over")
        );
        expect![[r#"
            Silence 1 is over: it held back 3 alerts
            There was one because of: painters. The last was 120000000; `watchpost alerts list --since 1970-01-01T00:00:10.000Z` lists what came meanwhile."#]]
        .assert_eq(&format!("{}\n{}", said.title, said.text));
        assert_eq!(said.digest, None, "it is for every sink that gets events");
        assert_eq!(
            (site.1.silences.active().len(), site.0.next_due(&site.1)),
            (0, None)
        );
        assert_eq!(site.due(130_000), []);
    }

    #[test]
    fn the_reason_is_the_silence_that_lasts_longest() {
        let mut site = Site::new();
        site.silence(0, &begin(of(&["Back door"]), 2 * HOUR)).unwrap();
        site.silence(0, &begin(of(&["*"]), HOUR)).unwrap();
        let effects = site.step(1, RoutingEvent::Alert(&alert(1, "Back door")));
        let reasons: Vec<String> = effects
            .suppressions
            .iter()
            .map(|one| one.reason.to_string())
            .collect();
        assert_eq!(reasons, ["silence 1 holds it back: painters"; 2]);
        let json = serde_json::to_string(&effects.suppressions[0].reason).unwrap();
        assert_eq!(json, r#"{"code":"silenced","silence":1,"why":"painters"}"#);
        assert!(!serde_json::from_str::<RouteReason>(&json).unwrap().delivers());
        // An alert counts once, however many sinks it has.
        assert_eq!(site.1.silences.active()[0].held.as_ref().unwrap().count, 1);
    }

    #[test]
    fn it_can_be_about_some_sinks_and_up_to_some_severity_and_no_event_unless_it_names_the_kind() {
        let mut site = Site::new();
        let matches = SilenceMatch {
            sink: vec!["siren".into()],
            severity_at_most: Some(Severity::Medium),
            ..of(&["*"])
        };
        site.silence(0, &begin(matches, HOUR)).unwrap();
        let severe = Alert {
            severity: Severity::High,
            ..alert(1, "Back door")
        };
        assert_eq!(site.heard(1, &alert(1, "Back door")), ["mail"]);
        assert_eq!(site.heard(1, &severe), ["mail", "siren"]);
        let event = Alert::new(crate::AlertId(1), AlertKind::Hub, HUB, UnixMillis(1));
        let of_hub = |kind| Silence {
            matches: SilenceMatch {
                connection: vec![HUB.into()],
                kind,
                ..SilenceMatch::default()
            },
            ..site.1.silences.active()[0].clone()
        };
        assert!(!of_hub(Vec::new()).muting()(&event, "mail"));
        assert!(of_hub(vec![AlertKind::Hub]).muting()(&event, "mail"));
    }

    /// The clock was set by so much, to this.
    fn set_to(now: i64, millis: i64) -> RoutingEvent<'static> {
        let at = UnixMillis(now - millis);
        RoutingEvent::ClockStepped(ClockStep { millis, at })
    }

    #[test]
    fn it_can_be_made_longer_and_shorter_and_be_ended_and_a_clock_that_is_set_changes_nothing_of_that() {
        let mut site = Site::new();
        site.silence(0, &begin(of(&["*"]), HOUR)).unwrap();
        let id = SilenceId(1);
        let ends = |site: &Site| site.0.next_due(&site.1).unwrap().0;
        site.silence(1_000, &SilenceCommand::Extend { id, lasts: 2 * HOUR })
            .unwrap();
        assert_eq!(ends(&site), 7_201_000);
        // Set back, it began before: it is in force.
        site.step(-86_398_000, set_to(-86_398_000, -86_400_000));
        assert_eq!(ends(&site), -79_199_000);
        let mut back = alert(0, "Back door");
        back.received_at = UnixMillis(-86_398_000);
        assert_eq!(site.heard(-86_398_000, &back), [] as [&str; 0]);
        site.step(86_402_000, set_to(86_402_000, 172_800_000));
        assert_eq!(ends(&site), 93_601_000);
        site.silence(
            86_402_000,
            &SilenceCommand::Extend {
                id,
                lasts: Duration::from_secs(1),
            },
        )
        .unwrap();
        assert_eq!(ends(&site), 86_403_000);
        let by = Actor::Sink("panel".into());
        site.silence(86_402_500, &SilenceCommand::End { id, by: by.clone() })
            .unwrap();
        let said = site.due(86_402_500);
        assert_eq!(
            said[0].title,
            "Silence 1 is over, ended by a person at sink panel: it held back 1 alert"
        );
        // It is over.
        let again = site.silence(86_402_500, &SilenceCommand::End { id, by });
        assert_eq!(again, Err(SilenceRefused::Unknown(id)));
        // A number is not used again.
        assert_eq!(
            site.silence(86_402_500, &begin(of(&["*"]), HOUR)),
            Ok(Some(SilenceId(2)))
        );
    }

    #[test]
    fn a_clock_that_lost_its_time_with_the_power_makes_no_silence_long() {
        let (mut site, day) = (Site::new(), 86_400_000);
        site.silence(day, &begin(of(&["*"]), HOUR)).unwrap();
        let end = site.0.next_due(&site.1);
        // The hub is back, and its clock is at 0 until it is set.
        assert_eq!(site.heard(0, &alert(0, "Till")), ["mail", "siren"]);
        let now = day + 1_000;
        site.step(now, set_to(now, now));
        assert_eq!(site.0.next_due(&site.1), end);
        assert_eq!(site.heard(now, &alert(now, "Till")), [] as [&str; 0]);
    }

    #[test]
    fn what_keeps_the_record_is_spared_unless_it_is_named() {
        let target = |name: &str, keeps_record| Target {
            name: name.into(),
            keeps_record,
            ..Target::default()
        };
        let targets = vec![target("mail", false), target("archive", true)];
        let mut site = Site(Router::new(targets, Vec::new()), RoutingState::default());
        let all = begin(of(&["*"]), HOUR);
        let effects = site.step(0, RoutingEvent::Silence(&all));
        assert_eq!(
            (effects.silenced, effects.spared),
            (Some(SilenceId(1)), vec!["archive".to_owned()])
        );
        assert_eq!(site.heard(1, &alert(1, "Till")), ["archive"]);
        let named = SilenceMatch {
            sink: vec!["archive".into()],
            ..of(&["*"])
        };
        let effects = site.step(2, RoutingEvent::Silence(&begin(named, HOUR)));
        assert_eq!(effects.spared, [] as [&str; 0]);
        assert_eq!(site.heard(3, &alert(3, "Till")), [] as [&str; 0]);
    }

    #[test]
    fn what_is_boundless_is_refused_and_changes_nothing() {
        let mut site = Site::new();
        let everything = SilenceMatch {
            sink: vec!["siren".into()],
            ..SilenceMatch::default()
        };
        for (command, refused) in [
            (begin(everything, HOUR), SilenceRefused::Everything),
            (begin(of(&["*"]), MAX_SILENCE + HOUR), SilenceRefused::Duration),
            (begin(of(&["*"]), Duration::ZERO), SilenceRefused::Duration),
            (
                SilenceCommand::Extend {
                    id: SilenceId(9),
                    lasts: HOUR,
                },
                SilenceRefused::Unknown(SilenceId(9)),
            ),
        ] {
            assert_eq!(site.silence(0, &command), Err(refused));
        }
        assert_eq!(site.1, RoutingState::default());
        for _ in 0..MAX_SILENCES {
            site.silence(0, &begin(of(&["*"]), HOUR)).unwrap();
        }
        assert_eq!(
            site.silence(0, &begin(of(&["*"]), HOUR)),
            Err(SilenceRefused::TooMany)
        );
        // What a digest names is bounded.
        for at in 1..=50 {
            site.heard(at, &alert(at, "Back door"));
        }
        let held = site.1.silences.active()[MAX_SILENCES - 1].held.clone().unwrap();
        assert_eq!((held.count, held.ids.len()), (50, MAX_DIGEST_IDS));
        assert_eq!(held.ids.last(), Some(&crate::AlertId(50_000)));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Begin(usize, u64),
        Extend(u64, u64),
        End(u64),
        Alert(usize),
        Due,
    }

    const CAMERAS: [&str; 2] = ["Back door", "Till"];

    fn acts() -> impl Strategy<Value = Vec<(i64, Act)>> {
        let act = prop_oneof![
            2 => (0..2_usize, 1..20_u64).prop_map(|(camera, lasts)| Act::Begin(camera, lasts)),
            1 => (1..5_u64, 1..20_u64).prop_map(|(id, lasts)| Act::Extend(id, lasts)),
            1 => (1..5_u64).prop_map(Act::End),
            4 => (0..2_usize).prop_map(Act::Alert),
            2 => Just(Act::Due),
        ];
        prop::collection::vec((0..4_i64, act), 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// The reference: for each silence that ever was its camera, its end and how many it held back.
        #[test]
        fn silences_do_what_a_list_of_intervals_does(acts in acts()) {
            let (mut site, mut now) = (Site::new(), 0);
            let mut model: Vec<(usize, i64, u64, bool)> = Vec::new();
            for (seconds, act) in acts {
                // A millisecond more, so that no two alerts have one id.
                now += seconds * 1_000 + 1;
                match act {
                    Act::Begin(camera, lasts) => {
                        site.silence(now, &begin(of(&[CAMERAS[camera]]), Duration::from_secs(lasts))).unwrap();
                        model.push((camera, now + i64::try_from(lasts).unwrap() * 1_000, 0, false));
                    }
                    Act::Extend(id, lasts) => {
                        let lasts_for = Duration::from_secs(lasts);
                        let done = site.silence(now, &SilenceCommand::Extend { id: SilenceId(id), lasts: lasts_for });
                        let known = model.get_mut(usize::try_from(id).unwrap() - 1).filter(|one| one.1 > now);
                        prop_assert_eq!(done.is_ok(), known.is_some());
                        if let Some(one) = known {
                            one.1 = now + i64::try_from(lasts).unwrap() * 1_000;
                        }
                    }
                    Act::End(id) => {
                        let done = site.silence(now, &SilenceCommand::End { id: SilenceId(id), by: Actor::Operator });
                        let known = model.get_mut(usize::try_from(id).unwrap() - 1).filter(|one| one.1 > now);
                        prop_assert_eq!(done.is_ok(), known.is_some());
                        if let Some(one) = known {
                            one.1 = now;
                        }
                    }
                    Act::Alert(camera) => {
                        let heard = site.heard(now, &alert(now, CAMERAS[camera]));
                        let active = model.iter_mut().enumerate();
                        let muting = active.filter(|(_, one)| one.0 == camera && one.1 > now);
                        let longest = muting.max_by_key(|(index, one)| (one.1, *index));
                        prop_assert_eq!(heard.is_empty(), longest.is_some());
                        if let Some((_, one)) = longest {
                            one.2 += 1;
                        }
                    }
                    Act::Due => {
                        let said: Vec<u64> = site.over(now);
                        let over: Vec<u64> = model.iter_mut().filter(|one| one.1 <= now && !one.3)
                            .map(|one| { one.3 = true; one.2 }).collect();
                        prop_assert_eq!(said, over, "each is summed up once");
                    }
                }
                let next = model.iter().filter(|one| !one.3).map(|one| one.1).min();
                prop_assert_eq!(site.0.next_due(&site.1), next.map(UnixMillis));
            }
        }
    }
}
