//! The documents that programs may post, and what they mean. Unlike messages of a backend, which are read as far as
//! they can be, a document is refused where it is wrong: its sender can mend it.
//!
//! There are two: the documented alert of VisionGuard (`AnomalyAlert`), and one for everything else, which has a
//! `title`.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use watchpost_core::{
    Alert, AlertId, AlertKind, Camera, Confidence, Details, Picture, Severity, UnixMillis, Via, VisionGuard,
};
use watchpost_visionguard::{JpegFrame, PictureLimits};

use super::{PostError, Posted};

/// Longest text of a document that is kept, in characters: a title, a camera, an id.
const MAX_WORD_CHARS: usize = 512;

/// Longest sentence, in characters.
const MAX_TEXT_CHARS: usize = 8_192;

/// A posted alert that was read.
#[derive(Debug)]
pub(crate) struct PostedAlert {
    document: Document,
    occurred_at: UnixMillis,
    picture: Option<JpegFrame>,
    /// By what a repetition is recognised.
    key: Option<String>,
}

#[derive(Debug)]
enum Document {
    Anomaly(AnomalyAlert),
    Neutral(NeutralAlert),
}

/// VisionGuard's documented alert.
#[derive(Debug, Deserialize)]
struct AnomalyAlert {
    id: i64,
    stream_id: String,
    person_id: i64,
    timestamp: String,
    /// Base64 of a JPEG.
    #[serde(default)]
    frame: Option<String>,
    details: AnomalyDetails,
}

#[derive(Debug, Deserialize)]
struct AnomalyDetails {
    status: String,
    #[serde(default)]
    confidence: Option<f64>,
}

/// An alert of any system.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NeutralAlert {
    /// One line.
    title: String,
    /// When it happened (RFC 3339).
    occurred_at: String,
    /// A sentence.
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    severity: Option<Severity>,
    /// The system's own name for it.
    #[serde(default)]
    id: Option<String>,
    /// Which camera saw it.
    #[serde(default)]
    camera: Option<Camera>,
    /// What it is, where that is no detection.
    #[serde(default)]
    kind: PostedKind,
    /// What was detected.
    #[serde(default)]
    details: Option<Details>,
    /// Base64 of a JPEG.
    #[serde(default)]
    frame: Option<String>,
}

/// What a program may say that an alert is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PostedKind {
    /// A camera or a detector has seen something.
    #[default]
    Anomaly,
    /// A part of the alarm system was opened, turned away or cut off. It is an alarm whatever is armed.
    Tamper,
}

impl PostedKind {
    fn alert_kind(self) -> AlertKind {
        match self {
            Self::Anomaly => AlertKind::Anomaly,
            Self::Tamper => AlertKind::Tamper,
        }
    }

    /// How severe it is where the program does not say so.
    fn severity(self) -> Severity {
        match self {
            Self::Anomaly => Severity::Low,
            Self::Tamper => Severity::High,
        }
    }
}

/// Reads what was posted.
///
/// # Errors
/// [`PostError::Invalid`] with the place of the first thing that is wrong.
pub(super) fn read(posted: &Posted, limits: PictureLimits) -> Result<PostedAlert, PostError> {
    let value: Value = serde_json::from_slice(&posted.document)
        .map_err(|e| invalid("", format!("the document is not JSON: {e}")))?;
    if !value.is_object() {
        return Err(invalid("", "the document is not a JSON object"));
    }
    let document = if value.get("title").is_some() {
        Document::Neutral(typed(value)?)
    } else {
        Document::Anomaly(typed(value)?)
    };
    let (pointer, time) = document.time();
    let occurred_at = OffsetDateTime::parse(time, &Rfc3339).map_err(|e| {
        invalid(
            pointer,
            format!("not a time with a zone, such as 2026-11-23T01:16:30Z: {e}"),
        )
    })?;
    document.check_lengths()?;
    let picture = match (&posted.picture, document.frame()) {
        (Some(_), Some(_)) => {
            return Err(invalid(
                "/frame",
                "the request has a picture of its own: leave `frame` out",
            ));
        }
        (Some(jpeg), None) => Some(JpegFrame::parse(jpeg.clone(), limits)),
        (None, Some(base64)) => Some(watchpost_visionguard::Picture::from_base64(base64).decode(limits)),
        (None, None) => None,
    };
    let at = if posted.picture.is_some() { "" } else { "/frame" };
    let picture = picture.transpose().map_err(|e| invalid(at, e.to_string()))?;
    let key = match &posted.key {
        Some(key) => Some(format!("key:{key}")),
        None => document.key(),
    };
    Ok(PostedAlert {
        document,
        occurred_at: occurred_at.into(),
        picture,
        key,
    })
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, PostError> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = e.path().to_string();
        let pointer = match path.as_str() {
            "." => String::new(),
            path => format!("/{}", path.replace(['.', '['], "/").replace(']', "")),
        };
        invalid(&pointer, e.into_inner().to_string())
    })
}

fn invalid(pointer: &str, problem: impl Into<String>) -> PostError {
    PostError::Invalid {
        pointer: pointer.to_owned(),
        problem: problem.into(),
    }
}

impl Document {
    fn time(&self) -> (&'static str, &str) {
        match self {
            Self::Anomaly(alert) => ("/timestamp", &alert.timestamp),
            Self::Neutral(alert) => ("/occurred_at", &alert.occurred_at),
        }
    }

    fn frame(&self) -> Option<&str> {
        match self {
            Self::Anomaly(alert) => alert.frame.as_deref(),
            Self::Neutral(alert) => alert.frame.as_deref(),
        }
    }

    /// By what a repetition is recognised: the documented id is a clock in milliseconds, so that two cameras may have
    /// the same, and only all of them together name an alert.
    fn key(&self) -> Option<String> {
        match self {
            Self::Anomaly(alert) => Some(format!(
                "{}:{}:{}:{}",
                alert.id, alert.stream_id, alert.person_id, alert.timestamp
            )),
            Self::Neutral(alert) => {
                let camera = alert.camera.as_ref().map_or("", |camera| &camera.id);
                let id = alert.id.as_ref()?;
                Some(format!("{id}:{camera}:{}", alert.occurred_at))
            }
        }
    }

    fn check_lengths(&self) -> Result<(), PostError> {
        let words: Vec<(&str, &str, usize)> = match self {
            Self::Anomaly(alert) => vec![
                ("/stream_id", &alert.stream_id, MAX_WORD_CHARS),
                ("/details/status", &alert.details.status, MAX_WORD_CHARS),
            ],
            Self::Neutral(alert) => vec![
                ("/title", &alert.title, MAX_WORD_CHARS),
                ("/text", alert.text.as_deref().unwrap_or_default(), MAX_TEXT_CHARS),
                ("/id", alert.id.as_deref().unwrap_or_default(), MAX_WORD_CHARS),
                (
                    "/camera/id",
                    alert.camera.as_ref().map_or("", |camera| &camera.id),
                    MAX_WORD_CHARS,
                ),
            ],
        };
        for (pointer, text, most) in words {
            if text.chars().count() > most {
                return Err(invalid(pointer, format!("longer than {most} characters")));
            }
        }
        match self {
            Self::Neutral(alert) if alert.title.trim().is_empty() => Err(invalid("/title", "empty")),
            _ => Ok(()),
        }
    }
}

impl PostedAlert {
    /// The alert, and its picture.
    pub(super) fn into_alert(
        self,
        id: AlertId,
        received_at: UnixMillis,
        connection: &str,
    ) -> (Alert, Option<Vec<u8>>) {
        let (picture, frame) = match self.picture {
            Some(jpeg) => (
                Picture::Jpeg {
                    bytes: u32::try_from(jpeg.bytes.len()).unwrap_or(u32::MAX),
                    width: jpeg.width,
                    height: jpeg.height,
                },
                Some(jpeg.bytes),
            ),
            None => (
                Picture::Missing("it was posted without a picture".to_owned()),
                None,
            ),
        };
        let base = Alert {
            source_id: self.key,
            occurred_at: Some(self.occurred_at),
            via: Via::Inbound,
            picture,
            ..Alert::new(id, AlertKind::Anomaly, connection, received_at)
        };
        let alert = match self.document {
            Document::Anomaly(alert) => {
                let camera = Camera::unnamed(alert.stream_id);
                Alert {
                    title: format!("Anomaly at camera {}", camera.label()),
                    text: format!("Abnormal behaviour of person {}", alert.person_id),
                    camera: Some(camera),
                    details: Details {
                        status: alert.details.status,
                        confidence: alert.details.confidence.map(Confidence::Number),
                        ..Details::default()
                    },
                    visionguard: Some(VisionGuard {
                        person_id: alert.person_id,
                        ..VisionGuard::default()
                    }),
                    ..base
                }
            }
            Document::Neutral(alert) => Alert {
                text: alert.text.unwrap_or_else(|| alert.title.clone()),
                title: alert.title,
                camera: alert.camera,
                kind: alert.kind.alert_kind(),
                severity: alert.severity.unwrap_or_else(|| alert.kind.severity()),
                details: alert.details.unwrap_or_default(),
                ..base
            },
        };
        (alert, frame)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn posted(document: &Value) -> Posted {
        Posted {
            document: document.to_string().into_bytes(),
            ..Posted::default()
        }
    }

    fn anomaly() -> Value {
        json!({
            "id": 1_795_396_590_521_u64, "stream_id": "front-door", "person_id": 2,
            "timestamp": "2026-11-23T01:16:30Z", "details": { "status": "new", "confidence": 0.9 }
        })
    }

    /// What is wrong with a document that differs from a good one in this field.
    fn problem(field: &str, value: Value) -> String {
        let mut document = anomaly();
        document[field] = value;
        match read(&posted(&document), PictureLimits::default()) {
            Err(PostError::Invalid { pointer, problem }) => format!("{pointer}: {problem}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_documented_alert_is_read() {
        let alert = read(&posted(&anomaly()), PictureLimits::default()).unwrap();
        let (alert, frame) = alert.into_alert(AlertId(7), UnixMillis(9), "yard");
        assert_eq!(frame, None);
        assert_eq!(alert.camera_id(), "front-door");
        assert_eq!(alert.visionguard.as_ref().unwrap().person_id, 2);
        assert_eq!(alert.occurred_at.unwrap().to_string(), "2026-11-23T01:16:30.000Z");
        assert_eq!(alert.details.confidence, Some(Confidence::Number(0.9)));
        assert_eq!(
            alert.source_id.as_deref(),
            Some("1795396590521:front-door:2:2026-11-23T01:16:30Z")
        );
    }

    #[test]
    fn an_alert_of_any_system_has_a_title() {
        let document = json!({
            "title": "Gate open", "occurred_at": "2026-11-23T06:16:30+05:00", "severity": "high", "camera": { "id": "gate" }
        });
        let alert = read(&posted(&document), PictureLimits::default()).unwrap();
        let (alert, _) = alert.into_alert(AlertId(7), UnixMillis(9), "yard");
        assert_eq!(
            (alert.title.as_str(), alert.text.as_str()),
            ("Gate open", "Gate open")
        );
        assert_eq!((alert.severity, alert.camera_id()), (Severity::High, "gate"));
        assert_eq!(alert.occurred_at.unwrap().to_string(), "2026-11-23T01:16:30.000Z");
        assert_eq!(alert.source_id, None, "without an id each one is another alert");
    }

    #[test]
    fn a_tamper_is_posted_and_no_other_kind_is() {
        let document = |kind: &str| {
            let at = "2026-11-23T01:16:30Z";
            json!({ "title": "Cover open", "kind": kind, "occurred_at": at, "camera": { "id": "gate" } })
        };
        let tamper = read(&posted(&document("tamper")), PictureLimits::default()).unwrap();
        let (tamper, _) = tamper.into_alert(AlertId(7), UnixMillis(9), "yard");
        assert_eq!(
            (tamper.kind, tamper.severity),
            (AlertKind::Tamper, Severity::High)
        );
        for kind in ["panic", "hub", "digest"] {
            let error = read(&posted(&document(kind)), PictureLimits::default()).unwrap_err();
            let expected = format!("unknown variant `{kind}`, expected `anomaly` or `tamper`");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }

    #[test]
    fn the_same_id_with_other_content_is_another_alert() {
        let key = |document: &Value| read(&posted(document), PictureLimits::default()).unwrap().key;
        let mut other = anomaly();
        other["stream_id"] = json!("back-door");
        assert_ne!(key(&anomaly()), key(&other));
        let named = Posted {
            key: Some("abc".to_owned()),
            ..posted(&other)
        };
        let named = read(&named, PictureLimits::default()).unwrap();
        assert_eq!(named.key.as_deref(), Some("key:abc"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (field, value, expected) in [
            (
                "stream_id",
                json!(7),
                "/stream_id: invalid type: integer `7`, expected a string",
            ),
            (
                "timestamp",
                json!("yesterday"),
                "/timestamp: not a time with a zone",
            ),
            (
                "timestamp",
                json!("2026-11-23T01:16:30"),
                "/timestamp: not a time with a zone",
            ),
            ("details", json!({}), "/details: missing field `status`"),
            ("frame", json!("AAAA"), "/frame: the picture is not a JPEG"),
            (
                "stream_id",
                json!("x".repeat(600)),
                "/stream_id: longer than 512 characters",
            ),
            ("title", json!("Gate"), ": "),
        ] {
            let text = problem(field, value);
            assert!(text.contains(expected), "{field}: {text}");
        }
        let no_json = Posted {
            document: b"{".to_vec(),
            ..Posted::default()
        };
        let error = read(&no_json, PictureLimits::default()).unwrap_err();
        assert!(error.to_string().contains("not JSON"), "{error}");
    }
}
