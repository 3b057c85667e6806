//! `[[route]]`: which alerts go where.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_core::{
    AlertKind, ArmedWord, Confirm, GroupLabel, Grouping, Match, Pace, RoutePolicy, Schedule, Severity,
    name_matches,
};

use crate::{TimeSpan, forms};

/// `[[route]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// What it is called in explanations. Without it, its number.
    #[schemars(with = "Option<forms::Name>")]
    pub name: Option<String>,
    /// Which alerts it takes: those that meet every condition given here. Without any, all.
    #[serde(default, rename = "match")]
    pub matches: RouteMatch,
    /// Names of the sinks that it feeds. With a `policy` there need not be any.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub sinks: Vec<String>,
    /// The name of the `[[policy]]` that sees to it that a person acknowledges what it takes.
    #[schemars(with = "Option<forms::Reference>")]
    pub policy: Option<String>,
    /// How long after the alert came in it is delivered, so that what is handled by then need not be: a sink with
    /// `cancel_on_acknowledge = true` does not get what was acknowledged before. Of several routes to a sink the earliest
    /// time counts. Without it, at once.
    pub delay: Option<TimeSpan>,
    /// Whether the routes after it are not asked for an alert that it takes.
    #[serde(default)]
    pub stop: bool,
    /// Whether it takes an alert of a camera only once others confirm it, which is also called cross zoning: `confirm = { count = 2,
    /// within = "20s" }`. What is not confirmed goes on to the routes after it, and the one that is confirmed to this one. Without it,
    /// each alert by itself.
    pub confirm: Option<ConfirmSettings>,
    /// Sends one message for many alerts instead of each: the first of a camera at once, and what comes of that camera within this
    /// time afterwards as one message when it is over, with how many there were, when, and the picture of the worst. As long as more
    /// comes there is one message in this time. What is more severe than all that was sent in it is sent at once, and so is what begins
    /// an alarm. The time begins when something was sent. It is another word for `group_wait = "0s"` and a `group_interval`. Sirens
    /// and sounds sound for each alert all the same, and an archive keeps each; nor is a panic or a tamper held, nor what the hub says
    /// of itself.
    /// Without it, each alert is a message.
    pub cooldown: Option<TimeSpan>,
    /// What alerts have in common that are one message: `camera`, `area`, `connection`, `stream`, `kind`, `status`, `severity`, or
    /// several. With an empty list all that the route takes is one group. Each of its sinks has groups of its own, 64 of a
    /// route at most: beyond that all new ones share one. Without it, nothing is grouped; with `cooldown`, by `camera`.
    #[schemars(with = "Option<Vec<forms::GroupWord>>", extend("x-one" = true))]
    #[serde(default)]
    pub group_by: Option<Vec<GroupLabel>>,
    /// How long the first alert of a group waits for others, which are in the same message then. With `group_by`, `30s` without it;
    /// `0s` sends the first at once. What is acknowledged meanwhile is not in it, for a sink with `cancel_on_acknowledge = true`, nor
    /// what is silenced.
    pub group_wait: Option<TimeSpan>,
    /// How long after a message of a group the next one is sent, for all that came meanwhile. When nothing came, the group is over
    /// and begins with the next alert. With `group_by`, `5m` without it.
    pub group_interval: Option<TimeSpan>,
    /// How long after it has said that a connection is lost (`link_lost`) or that something is quiet (`quiet`) it says so again, as long
    /// as that is so, to its own sinks: `4h` for instance. It is for a route whose `match` takes events (`kind = "hub"`). What cameras see
    /// happens once, and is not repeated. Without it, each is said once.
    pub repeat_interval: Option<TimeSpan>,
}

/// As it is usual: so long the first alert of a group waits for others.
const GROUP_WAIT: TimeSpan = TimeSpan::from_secs(30);

/// As it is usual: so long it is from one message of a group to the next.
const GROUP_INTERVAL: TimeSpan = TimeSpan::from_secs(300);

impl RouteSettings {
    /// Its policy, in the words of the domain.
    pub(crate) fn policy(&self) -> Option<RoutePolicy> {
        let name = self.policy.clone()?;
        let grouping = self.grouping().map(|grouping| grouping.by);
        let by = grouping.unwrap_or_else(|| vec![GroupLabel::Area]);
        Some(RoutePolicy { name, by })
    }

    /// Whether it sends one message for many alerts, in the words of the domain.
    pub(crate) fn grouping(&self) -> Option<Grouping> {
        let by = match (&self.group_by, self.cooldown) {
            (Some(by), _) => by.clone(),
            (None, Some(_)) => vec![GroupLabel::Camera],
            (None, None) => return None,
        };
        let usual = match self.cooldown {
            Some(cooldown) => (TimeSpan::from_secs(0), cooldown),
            None => (GROUP_WAIT, GROUP_INTERVAL),
        };
        let pace = Pace {
            wait: self.group_wait.unwrap_or(usual.0).into(),
            interval: self.group_interval.unwrap_or(usual.1).into(),
        };
        Some(Grouping { by, pace })
    }
}

/// `[route.confirm]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConfirmSettings {
    /// How many cameras of its area (or of none) have seen something: so many alerts of different cameras, which the route would take.
    /// What was seen while a siren's area was not armed does not count for the siren, nor what is silenced.
    #[schemars(range(min = 2, max = 10))]
    pub count: usize,
    /// Within what time: an hour at most.
    pub within: TimeSpan,
    /// Cameras that see the same, by name, with `*` and `?`: those that match one of these count as one.
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub overlapping: Vec<String>,
}

impl Default for ConfirmSettings {
    /// As cross zoning is usual in alarm panels.
    fn default() -> Self {
        Self {
            count: 2,
            within: TimeSpan::from_secs(20),
            overlapping: Vec::new(),
        }
    }
}

impl ConfirmSettings {
    /// The same in the words of the domain.
    pub(crate) fn confirm(&self) -> Confirm {
        Confirm {
            count: self.count,
            within: self.within.into(),
            overlapping: self.overlapping.clone(),
        }
    }
}

/// `[route.match]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteMatch {
    /// The name of the connection that it came over, or several. In this and other names `*` stands for any characters
    /// and `?` for one. An internal event has the names of the connection, camera and area that it is about.
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub connection: Vec<String>,
    /// The name of the camera that saw it, or several: those of `[[camera]]`, such as `Back*`.
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub camera: Vec<String>,
    /// The area that its camera watches, or several: those of `[[camera]]`.
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub area: Vec<String>,
    /// The id of the camera stream as the backend knows it, or several.
    #[schemars(with = "Vec<forms::Text>", extend("x-one" = true))]
    pub stream: Vec<String>,
    /// The kind of the alert, or several: `anomaly` from a camera, `owl_eye` from the night watch, `notice` for a
    /// message made over REST, `hub` for internal events of the hub, `panic` where a person needs help (`watchpost panic`), `tamper`
    /// where a camera was opened or turned away. Without it, `anomaly` and `owl_eye`. A panic or a tamper that no route takes goes to
    /// every sink.
    #[schemars(with = "Vec<forms::KindWord>", extend("x-one" = true))]
    pub kind: Vec<AlertKind>,
    /// The source's word for the state of what was detected, or several; of an internal event the word that stands for it,
    /// such as `disk_low`.
    #[schemars(with = "Vec<forms::Text>", extend("x-one" = true))]
    pub status: Vec<String>,
    /// The source's word for how sure it was, or several, in any case. VisionGuard says `Low` of every camera.
    #[schemars(with = "Vec<forms::Text>", extend("x-one" = true))]
    pub confidence: Vec<String>,
    /// The least number for how sure the source was, of sources that give one.
    pub confidence_at_least: Option<f64>,
    /// The least severity. That of a camera's anomaly follows from its score: see `[visionguard.severity]`.
    #[schemars(with = "Option<forms::SeverityWord>")]
    pub severity: Option<Severity>,
    /// A `[[schedule]]` that was open when it happened, or several, one of which was. What is to hold outside of it is
    /// `not = { schedule = "opening-hours" }`.
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub schedule: Vec<String>,
    /// How its area was armed when it happened, or several: `home`, `away`, `night` or `disarmed`. What is of no `[[area]]` is
    /// armed in every mode.
    #[schemars(with = "Vec<forms::ArmedWordForm>", extend("x-one" = true))]
    pub armed: Vec<ArmedWord>,
    /// `true`: other cameras confirm it for a route before this one that has `confirm`; `false`: none has taken it so. It is for
    /// routes only.
    pub confirmed: Option<bool>,
    /// What only VisionGuard says.
    pub visionguard: VisionGuardMatch,
    /// Alternatives, such as `[{ area = "Till" }, { severity = "high" }]`: it meets one of them at least. The keys of each are
    /// those of this table.
    #[schemars(extend("x-one" = true, "x-nested" = true))]
    pub any: Vec<RouteMatch>,
    /// An exception, or several, such as `{ camera = "Car park*" }`: it meets none of them. The keys are those of this table.
    #[schemars(extend("x-one" = true, "x-nested" = true))]
    pub not: Vec<RouteMatch>,
}

/// `[route.match.visionguard]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VisionGuardMatch {
    /// Its score is lower than this. Scores are negative, and the lower the more abnormal.
    pub score_below: Option<f64>,
    /// The person within the stream, or several, as the backend's tracker numbers them.
    #[schemars(extend("x-one" = true))]
    pub person: Vec<i64>,
}

impl RouteMatch {
    /// Whether it takes all that cameras raise.
    pub(crate) fn takes_all(&self) -> bool {
        AlertKind::OF_CAMERAS
            .iter()
            .all(|raised| self.takes_all_of(*raised))
    }

    /// Whether it takes all that cameras raise of this kind.
    pub(crate) fn takes_all_of(&self, raised: AlertKind) -> bool {
        let Self { kind, severity, .. } = self;
        let rest = Self {
            kind: Vec::new(),
            severity: severity.filter(|least| *least != Severity::Low),
            ..self.clone()
        };
        (kind.is_empty() || kind.contains(&raised)) && rest.is_empty()
    }

    /// Whether it takes all that cameras raise of this kind, but for what other cameras confirm.
    pub(crate) fn takes_all_unconfirmed(&self, raised: AlertKind) -> bool {
        let confirmed = self.confirmed.filter(|confirmed| *confirmed);
        Self {
            confirmed,
            ..self.clone()
        }
        .takes_all_of(raised)
    }

    /// Whether it asks anywhere for what other cameras confirm.
    pub(crate) fn asks_confirmed(&self) -> bool {
        let mut nested = self.any.iter().chain(&self.not);
        self.confirmed.is_some() || nested.any(Self::asks_confirmed)
    }

    /// Whether it takes nothing but what cameras raise.
    pub(crate) fn takes_cameras_only(&self) -> bool {
        self.kind.iter().all(|kind| AlertKind::OF_CAMERAS.contains(kind))
    }

    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same in the words of the domain. `schedules` are all that there are.
    pub fn conditions(&self, schedules: &[Arc<Schedule>]) -> Match {
        let all = |nested: &[Self]| nested.iter().map(|one| one.conditions(schedules)).collect();
        let is_named = |schedule: &&Arc<Schedule>| {
            let mut names = self.schedule.iter();
            names.any(|name| name_matches(name, &schedule.name))
        };
        Match {
            connections: self.connection.clone(),
            cameras: self.camera.clone(),
            areas: self.area.clone(),
            streams: self.stream.clone(),
            kinds: self.kind.clone(),
            statuses: self.status.clone(),
            confidences: self.confidence.clone(),
            confidence_at_least: self.confidence_at_least,
            score_below: self.visionguard.score_below,
            persons: self.visionguard.person.clone(),
            severity: self.severity,
            schedules: schedules.iter().filter(is_named).cloned().collect(),
            armed: self.armed.clone(),
            confirmed: self.confirmed,
            any: all(&self.any),
            not: all(&self.not),
        }
    }
}
