//! What an alert is, whatever backend it came from.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::camera_ids::{MIN_SHOWN_CHARS, UUID_CHARS};
use crate::{About, AlertId, AreaNote, EscalationNote, HoldCause, HoldKey, Panic, UnixMillis};

/// Stands for a camera or a state that the source does not name.
pub const UNKNOWN: &str = "unknown";

/// One alert as the hub keeps it and as every reader outside sees it.
///
/// Its JSON form is one document in the store, in the HTTP interface, in `--json` output and in what
/// plugins are given. Fields are only ever added; a reader must ignore what it does not know. All times in it are UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The hub's own number for it, the same on every delivery attempt.
    pub id: AlertId,
    /// Name of the site, where `[hub] site` gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What kind of thing happened.
    pub kind: AlertKind,
    /// Name of the `[[connection]]` it came over; `"hub"` for the hub's own and a panic.
    pub connection: String,
    /// The id the source gave it, if it gave one. Unique within a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The camera; none for what no camera has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<Camera>,
    /// When the hub received it.
    pub received_at: UnixMillis,
    /// When it happened, where the source said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<UnixMillis>,
    /// Whether it was received long after it happened: more than `[hub] late_after`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub late: bool,
    /// How it came.
    #[serde(default)]
    pub via: Via,
    /// How much it matters.
    pub severity: Severity,
    /// One line for a subject or a list.
    pub title: String,
    /// A sentence for a person who has only this text.
    pub text: String,
    /// What was detected.
    pub details: Details,
    /// The picture, or why there is none.
    pub picture: Picture,
    /// What it sums up, if it is a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What it is about, if it is an internal event about a part of the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// The area that it is about, if it is an internal event about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<AreaNote>,
    /// Name of the route that says it again, if it is an internal event which says that a condition still holds. It is for that
    /// route only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// Who needs help where, if it is a panic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<Panic>,
    /// What it has to do with an alert that is to be acknowledged, if it is a message of a policy or says how one has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<EscalationNote>,
    /// Further connections that it came over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_over: Vec<String>,
    /// What only VisionGuard has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visionguard: Option<VisionGuard>,
}

/// A camera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Camera {
    /// What its source calls it; not always for ever: VisionGuard makes a new id for every session.
    pub id: String,
    /// What people call it, where a `[[camera]]` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The area it watches, where a `[[camera]]` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
}

/// How an alert came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// As it happened, over the connection that stands for it.
    #[default]
    Live,
    /// It was missed and found in the source's list afterwards.
    List,
    /// The source posted it to the hub.
    Inbound,
}

/// What a digest sums up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How many alerts.
    pub count: u64,
    /// When the first of them happened.
    pub from: UnixMillis,
    /// When the last of them happened.
    pub to: UnixMillis,
    /// Which; the newest of them where there are very many.
    pub ids: Vec<AlertId>,
    /// The one that matters most, whose picture it has.
    pub worst: AlertId,
    /// The sink that it is for.
    pub sink: String,
    /// Why they were held for it.
    #[serde(default)]
    pub cause: HoldCause,
}

impl Digest {
    /// The window that it stands for.
    pub(crate) fn key(&self) -> HoldKey {
        HoldKey {
            sink: self.sink.clone(),
            cause: self.cause.clone(),
        }
    }
}

/// What only VisionGuard says of an alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VisionGuard {
    /// The person within the stream, as its tracker numbers them; 0 when not given.
    #[serde(default)]
    pub person_id: i64,
    /// Its own record of the anomaly, as soon as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly_id: Option<String>,
    /// The shop that it counts the anomaly to, as soon as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop_id: Option<String>,
    /// Where the camera is, in the backend's words, as soon as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The number of the video frame shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_number: Option<i64>,
    /// The first video frame of the sequence that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_frame: Option<i64>,
    /// Body poses as they were sent; only with `keep_pose`, for they are large (30 KB a person).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pose: Option<serde_json::Value>,
}

/// What kind of thing an alert reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A camera's AI judged a person's behaviour abnormal.
    Anomaly,
    /// The backend's night watch saw a person where none should be.
    OwlEye,
    /// A message for people that was made over the backend's REST interface. It proves nothing.
    Notice,
    /// An internal event: see [`HubEvent`](crate::HubEvent).
    Hub,
    /// The sum of several alerts, made for one sink.
    Digest,
    /// An exercise: nothing has happened. Reserved.
    Drill,
    /// A person needs help, and has said so: see [`Panic`].
    Panic,
    /// A camera or a part of the alarm system was opened, turned away or cut off: an attack on it. It is an alarm whatever is armed.
    Tamper,
    /// A message of a policy: an alert that no one has acknowledged yet.
    Escalation,
}

impl AlertKind {
    /// Whether one message may stand for many of them.
    pub(crate) fn is_grouped(self) -> bool {
        matches!(self, Self::Anomaly | Self::OwlEye | Self::Notice)
    }

    /// What cameras raise.
    pub const OF_CAMERAS: [Self; 2] = [Self::Anomaly, Self::OwlEye];
}

/// How much an alert matters, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the four words are the field's own")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// What was detected. All of it is optional but the status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// The source's word for the state of what was detected, `"unknown"` when it gave none; for an internal event the
    /// word that stands for it.
    pub status: String,
    /// The class that was detected, for instance `"Abnormal"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    /// How sure the source was, as a word or as a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// A score on the source's scale; VisionGuard's is negative, and the lower the more abnormal. Never infinite or NaN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Where in the picture it was detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bbox: Option<BoundingBox>,
}

impl Default for Details {
    fn default() -> Self {
        Self {
            status: UNKNOWN.to_owned(),
            classification: None,
            confidence: None,
            score: None,
            bbox: None,
        }
    }
}

/// How sure the source was, in the form it chose to say it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Confidence {
    /// A number; the source does not say of which scale.
    Number(f64),
    /// A word, for instance `"Low"`.
    Word(String),
}

/// A rectangle in the picture, in pixels from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the struct's sentence says it all")]
pub struct BoundingBox {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

/// The picture that belongs to an alert. The bytes stand in the frame log, not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Picture {
    /// There is one.
    Jpeg {
        /// Size of the file in bytes.
        bytes: u32,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// There is one, and it is not here yet: it is fetched beside the alert.
    Pending {
        /// Where its source has it.
        from: String,
    },
    /// There is none, and this is why, in words for the operator.
    Missing(String),
}

impl Picture {
    /// Whether it is still to be fetched.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }
}

impl Alert {
    /// An alert of low severity with no words, no camera and no picture yet.
    pub fn new(id: AlertId, kind: AlertKind, connection: impl Into<String>, received_at: UnixMillis) -> Self {
        Self {
            id,
            site: None,
            kind,
            connection: connection.into(),
            source_id: None,
            camera: None,
            received_at,
            occurred_at: None,
            late: false,
            via: Via::Live,
            severity: Severity::Low,
            title: String::new(),
            text: String::new(),
            details: Details::default(),
            picture: Picture::Missing("it came without one".to_owned()),
            digest: None,
            about: None,
            area: None,
            repeat: None,
            panic: None,
            escalation: None,
            also_over: Vec::new(),
            visionguard: None,
        }
    }

    /// The alert whose picture it has, if that is another one's: it is a message about that.
    pub fn shows(&self) -> Option<AlertId> {
        let step = self.escalation.as_ref().filter(|note| note.step.is_some());
        let digest = self.digest.as_ref().map(|digest| digest.worst);
        digest.or_else(|| Some(step?.alert))
    }

    /// When it happened, as far as is known: a source whose clock is ahead cannot tell of what is still to come.
    pub fn happened_at(&self) -> UnixMillis {
        self.occurred_at.unwrap_or(self.received_at).min(self.received_at)
    }

    /// Marks it as late if it was received more than `late_after` after it happened.
    pub fn mark_late(&mut self, late_after: Duration) {
        self.late = self.happened_at() + late_after < self.received_at;
    }

    /// The id of its camera; empty for what no camera has seen.
    pub fn camera_id(&self) -> &str {
        self.camera.as_ref().map_or("", |camera| &camera.id)
    }

    /// Name of the area that its camera watches, if it watches one.
    pub fn area(&self) -> Option<&str> {
        self.camera.as_ref()?.area.as_deref()
    }

    /// VisionGuard's own record of it, if that is known.
    pub fn anomaly_id(&self) -> Option<&str> {
        self.visionguard.as_ref()?.anomaly_id.as_deref()
    }
}

impl Camera {
    /// One that has no name yet.
    pub fn unnamed(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: None,
            area: None,
        }
    }

    /// What to call it among people: its name, or enough of its id to tell cameras apart.
    pub fn label(&self) -> &str {
        match &self.name {
            Some(name) => name,
            None => short(&self.id),
        }
    }
}

/// The beginning of a UUID; any other id as it is.
fn short(id: &str) -> &str {
    match id.char_indices().nth(MIN_SHOWN_CHARS) {
        Some((end, _)) if id.len() == UUID_CHARS => &id[..end],
        _ => id,
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::List => "list",
            Self::Inbound => "inbound",
        })
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// A word that names no severity.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a severity: write low, medium, high or critical")]
pub struct ParseSeverityError(pub String);

impl FromStr for Severity {
    type Err = ParseSeverityError;

    /// Reads the word in any case: the backend writes `Low`, people write `low`.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Low, Self::Medium, Self::High, Self::Critical]
            .into_iter()
            .find(|severity| severity.to_string().eq_ignore_ascii_case(word))
            .ok_or_else(|| ParseSeverityError(word.to_owned()))
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anomaly => "anomaly",
            Self::OwlEye => "owl_eye",
            Self::Notice => "notice",
            Self::Hub => "hub",
            Self::Digest => "digest",
            Self::Drill => "drill",
            Self::Panic => "panic",
            Self::Tamper => "tamper",
            Self::Escalation => "escalation",
        })
    }
}

#[cfg(test)]
pub(crate) fn sample(id: u64) -> Alert {
    let received_at = UnixMillis(i64::try_from(id / 1_000).unwrap());
    Alert {
        camera: Some(Camera::unnamed("front-door")),
        title: "Anomaly at front-door".into(),
        text: "Person 1, score -1.23".into(),
        details: Details {
            score: Some(-1.23),
            ..Details::default()
        },
        visionguard: Some(VisionGuard {
            person_id: 1,
            ..VisionGuard::default()
        }),
        ..Alert::new(AlertId(id), AlertKind::Anomaly, "shop", received_at)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_document_keeps_its_shape() {
        let alert = Alert {
            site: Some("Harbour 7".into()),
            occurred_at: Some(UnixMillis(1_795_396_290_000)),
            late: true,
            via: Via::List,
            picture: Picture::Jpeg {
                bytes: 22_695,
                width: 640,
                height: 480,
            },
            ..sample(1_795_396_590_521_000)
        };
        let json = serde_json::to_string_pretty(&alert).unwrap();
        expect![[r#"
            {
              "id": 1795396590521000,
              "site": "Harbour 7",
              "kind": "anomaly",
              "connection": "shop",
              "camera": {
                "id": "front-door"
              },
              "received_at": "2026-11-23T01:16:30.521Z",
              "occurred_at": "2026-11-23T01:11:30.000Z",
              "late": true,
              "via": "list",
              "severity": "low",
              "title": "Anomaly at front-door",
              "text": "Person 1, score -1.23",
              "details": {
                "status": "unknown",
                "score": -1.23
              },
              "picture": {
                "jpeg": {
                  "bytes": 22695,
                  "width": 640,
                  "height": 480
                }
              },
              "visionguard": {
                "person_id": 1
              }
            }"#]]
        .assert_eq(&json);
        assert_eq!(serde_json::from_str::<Alert>(&json).unwrap(), alert);
    }

    #[test]
    fn an_alert_is_late_when_it_was_received_long_after_it_happened() {
        for (occurred_at, late) in [
            (None, false),
            (Some(880_000), false),
            (Some(879_999), true),
            (Some(2_000_000), false),
        ] {
            let mut alert = Alert {
                occurred_at: occurred_at.map(UnixMillis),
                ..sample(1_000_000_000)
            };
            alert.mark_late(Duration::from_secs(120));
            assert_eq!(alert.late, late, "{occurred_at:?}");
        }
    }

    #[test]
    fn a_camera_is_called_by_its_name_or_enough_of_its_id() {
        let id = "3544c7ab-a57f-478e-918e-bb579162847a";
        assert_eq!(Camera::unnamed(id).label(), "3544c7ab");
        assert_eq!(Camera::unnamed("front-door").label(), "front-door");
        let named = Camera {
            name: Some("Gate".into()),
            ..Camera::unnamed(id)
        };
        assert_eq!(named.label(), "Gate");
    }

    #[test]
    fn severities_are_ordered_and_read_in_any_case() {
        assert!(Severity::Low < Severity::Medium && Severity::High < Severity::Critical);
        assert_eq!("Low".parse(), Ok(Severity::Low));
        assert_eq!(
            "urgent".parse::<Severity>(),
            Err(ParseSeverityError("urgent".into()))
        );
    }
}
