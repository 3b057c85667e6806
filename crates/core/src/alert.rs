//! What an alert is, whatever backend it came from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{AlertId, UnixMillis};

/// One alert as the hub keeps it and as every reader outside sees it.
///
/// Its JSON form is one document in the store, in the HTTP interface, in `--json` output and in what
/// plugins are given. Fields are only ever added; a reader must ignore what it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The hub's own number for it, the same on every delivery attempt.
    pub id: AlertId,
    /// What kind of thing happened.
    pub kind: AlertKind,
    /// Name of the `[[connection]]` it came over; `"hub"` for the hub's own.
    pub connection: String,
    /// The id the backend gave the message, if it gave one. Unique within a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The camera stream, `"unknown"` when the message named none.
    pub stream_id: String,
    /// The person within the stream, as the backend's tracker numbers them; 0 when not given.
    pub person_id: i64,
    /// When the hub received it.
    pub received_at: UnixMillis,
    /// When it happened, where the backend said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<UnixMillis>,
    /// The backend's own record of it, as soon as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly_id: Option<String>,
    /// The shop that the backend counts it to, as soon as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop_id: Option<String>,
    /// Whether it did not come when it happened, but was fetched from the backend afterwards.
    #[serde(default, skip_serializing_if = "is_false")]
    pub late: bool,
    /// How much it matters.
    pub severity: Severity,
    /// One line for a subject or a list.
    pub title: String,
    /// A sentence for a person who has only this text.
    pub text: String,
    /// What the backend's AI had to say.
    pub details: Details,
    /// The picture, or why there is none.
    pub picture: Picture,
}

/// What kind of thing an alert reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A camera's AI judged a person's behaviour abnormal.
    Anomaly,
    /// The backend's night watch saw somebody where nobody should be.
    OwlEye,
    /// A message for people that was made over the backend's REST interface. It proves nothing.
    Notice,
    /// The hub speaks of itself: see [`HubEvent`](crate::HubEvent).
    Hub,
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

/// What the backend's AI said about the anomaly. All of it is optional but the status.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Details {
    /// The backend's word for the state of the anomaly, `"unknown"` when it gave none.
    pub status: String,
    /// The class the AI chose, for instance `"Abnormal"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    /// How sure it was, as a word or as a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// The normality score: negative, and the lower the more abnormal. Never infinite or NaN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Where in the picture the person stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bbox: Option<BoundingBox>,
    /// The number of the video frame shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_number: Option<i64>,
    /// Body poses as the backend sent them; only with `keep_pose`, for they are large (30 KB a person).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pose: Option<serde_json::Value>,
}

/// How sure the backend was, in the form it chose to say it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Confidence {
    /// A number; the backend does not say of which scale.
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
    /// There is none, and this is why, in words for the operator.
    Missing(String),
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
        })
    }
}

#[cfg(test)]
pub(crate) fn sample(id: u64) -> Alert {
    Alert {
        id: AlertId(id),
        kind: AlertKind::Anomaly,
        connection: "shop".into(),
        source_id: None,
        stream_id: "front-door".into(),
        person_id: 1,
        received_at: UnixMillis(i64::try_from(id / 1_000).unwrap()),
        occurred_at: None,
        anomaly_id: None,
        shop_id: None,
        late: false,
        severity: Severity::Low,
        title: "Anomaly at front-door".into(),
        text: "Person 1, score -1.23".into(),
        details: Details {
            status: "unknown".into(),
            score: Some(-1.23),
            ..Details::default()
        },
        picture: Picture::Missing("the message had no picture".into()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_document_keeps_its_shape() {
        let alert = Alert {
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
              "kind": "anomaly",
              "connection": "shop",
              "stream_id": "front-door",
              "person_id": 1,
              "received_at": "2026-11-23T01:16:30.521Z",
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
              }
            }"#]]
        .assert_eq(&json);
        assert_eq!(serde_json::from_str::<Alert>(&json).unwrap(), alert);
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
