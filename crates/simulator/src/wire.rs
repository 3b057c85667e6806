//! The messages of the alert socket, byte for byte as the backend writes them: compact, keys in
//! its order, text not escaped beyond need. It knows nothing of sockets.

use std::fmt::Write as _;

use serde::Serialize;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::{clock, pose::Poses};

/// Frames of one anomaly's window; `end_frame` is this much behind `start_frame`.
const WINDOW_FRAMES: u64 = 11;

/// A box around a person, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Bbox {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) w: u32,
    pub(crate) h: u32,
}

/// One anomaly as the detector found it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    pub(crate) user_id: Uuid,
    pub(crate) stream_id: Uuid,
    /// Where the camera hangs.
    pub(crate) shop_id: Uuid,
    pub(crate) sequence_id: u64,
    pub(crate) person_id: u32,
    pub(crate) start_frame: u64,
    pub(crate) frame_number: u64,
    /// Below 0; the lower, the stranger. May be `-inf`.
    pub(crate) score: f64,
    pub(crate) bbox: Option<Bbox>,
}

impl Finding {
    pub(crate) fn end_frame(&self) -> u64 {
        self.start_frame + WINDOW_FRAMES
    }
}

/// The picture as it goes into a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Frame<'a> {
    /// These bytes, in base64.
    Bytes(&'a [u8]),
    /// This text, whatever it is.
    Text(&'a str),
}

/// `anomaly_detected`. `pose` names the persons of the picture; `id` is no part of the real message.
pub(crate) fn anomaly_detected(
    finding: &Finding,
    pose: Option<(&Poses, &[u32])>,
    frame: Frame<'_>,
    id: Option<u64>,
) -> String {
    let pose_bytes = pose.map_or(0, |(poses, persons)| poses.bytes_per_person() * persons.len());
    let frame_bytes = match frame {
        Frame::Bytes(bytes) => bytes.len().div_ceil(3) * 4,
        Frame::Text(text) => text.len(),
    };
    let mut out = String::with_capacity(1024 + pose_bytes + frame_bytes);
    write_head(&mut out, finding, id);
    out.push_str(r#","pose_dict":"#);
    match pose {
        Some((poses, persons)) => poses.write(&mut out, persons),
        None => out.push_str("{}"),
    }
    if let Some(Bbox { x, y, w, h }) = finding.bbox {
        let _ = write!(out, r#","bbox":{{"x":{x},"y":{y},"w":{w},"h":{h}}}"#);
    }
    out.push_str(r#"},"annotated_frame":""#);
    match frame {
        Frame::Bytes(bytes) => base64_simd::STANDARD.encode_append(bytes, &mut out),
        Frame::Text(text) => out.push_str(text),
    }
    out.push_str(r#"","frame_format":"jpeg"}"#);
    out
}

/// Everything before the poses. Identities and numbers need no escaping, so no serializer is asked.
fn write_head(out: &mut String, finding: &Finding, id: Option<u64>) {
    let Finding {
        user_id,
        stream_id,
        sequence_id,
        person_id,
        start_frame,
        frame_number,
        score,
        ..
    } = finding;
    out.push_str(r#"{"type":"anomaly_detected","#);
    if let Some(id) = id {
        let _ = write!(out, r#""id":{id},"#);
    }
    let _ = write!(
        out,
        r#""user_id":"{user_id}","stream_id":"{stream_id}","result":{{"sequence_id":{sequence_id},"person_id":{person_id},"start_frame":{start_frame},"end_frame":{},"score":"#,
        finding.end_frame(),
    );
    // Python writes infinity as a bare word, which is not JSON.
    let _ = if score.is_finite() {
        write!(out, "{score:?}")
    } else {
        write!(out, "-Infinity")
    };
    let _ = write!(
        out,
        r#","is_abnormal":true,"classification":"Abnormal","confidence":"Low","scene_id":"live","clip_id":"{stream_id}","frame_number":{frame_number},"stream_id":"{stream_id}","user_id":"{user_id}""#,
    );
}

#[derive(Serialize)]
struct Envelope<T> {
    r#type: &'static str,
    data: T,
}

#[derive(Serialize)]
struct Notification<M> {
    notification_id: String,
    title: String,
    message: String,
    priority: &'static str,
    r#type: &'static str,
    timestamp: String,
    metadata: Option<M>,
    action_url: Option<String>,
}

fn notification<M: Serialize>(data: Notification<M>) -> String {
    // Strings and numbers only: this cannot fail.
    serde_json::to_string(&Envelope {
        r#type: "notification",
        data,
    })
    .unwrap_or_default()
}

fn action_url(anomaly_id: Uuid) -> Option<String> {
    Some(format!("/suspicious-activity?anomaly_id={anomaly_id}"))
}

#[derive(Serialize)]
struct CameraMetadata {
    anomaly_id: Uuid,
    shop_id: Uuid,
    stream_id: Uuid,
    person_id: u32,
}

/// The notification that follows an alert of a camera; its time is UTC.
pub(crate) fn camera_notification(
    finding: &Finding,
    anomaly_id: Uuid,
    location: &str,
    now: OffsetDateTime,
) -> String {
    let Finding {
        stream_id,
        shop_id,
        person_id,
        ..
    } = *finding;
    notification(Notification {
        notification_id: anomaly_id.to_string(),
        title: "Alert".to_owned(),
        message: format!(
            "Anomalous behavior detected (Person ID: {person_id}, Confidence: Low) at {location}"
        ),
        priority: "low",
        r#type: "alert",
        timestamp: clock::naive_utc(now),
        metadata: Some(CameraMetadata {
            anomaly_id,
            shop_id,
            stream_id,
            person_id,
        }),
        action_url: action_url(anomaly_id),
    })
}

/// What Owl Eye, the sentry mode of the browser, saw.
#[derive(Debug, Clone)]
pub(crate) struct OwlEye {
    pub(crate) anomaly_id: Uuid,
    pub(crate) shop_id: Uuid,
    pub(crate) stream_id: Option<String>,
    pub(crate) location: String,
    /// As the client sent them.
    pub(crate) detections: Vec<serde_json::Value>,
}

#[derive(Serialize)]
struct OwlMetadata<'a> {
    anomaly_id: Uuid,
    shop_id: Uuid,
    stream_id: Option<&'a str>,
    num_persons: usize,
    detections: &'a [serde_json::Value],
}

/// The notification of Owl Eye; its time is UTC and no alert goes with it.
pub(crate) fn owl_notification(seen: &OwlEye, now: OffsetDateTime) -> String {
    let count = seen.detections.len();
    notification(Notification {
        notification_id: seen.anomaly_id.to_string(),
        title: "OWL EYE ALERT".to_owned(),
        message: format!(
            "Owl Eye Alert: {count} unauthorized person(s) detected in sentry mode at {}",
            seen.location
        ),
        priority: if count == 0 { "medium" } else { "high" },
        r#type: "owl_eye",
        timestamp: clock::naive_utc(now),
        metadata: Some(OwlMetadata {
            anomaly_id: seen.anomaly_id,
            shop_id: seen.shop_id,
            stream_id: seen.stream_id.as_deref(),
            num_persons: count,
            detections: &seen.detections,
        }),
        action_url: action_url(seen.anomaly_id),
    })
}

/// A notification as the REST interface makes it; its time is local.
pub(crate) fn rest_notification(
    digits: u64,
    title: &str,
    message: &str,
    now: OffsetDateTime,
    offset: UtcOffset,
) -> String {
    notification(Notification::<()> {
        notification_id: format!("notif_{:012x}", digits & 0xffff_ffff_ffff),
        title: title.to_owned(),
        message: message.to_owned(),
        priority: "medium",
        r#type: "info",
        timestamp: clock::naive(now, offset),
        metadata: None,
        action_url: None,
    })
}

/// `ping`, with the server's local time.
pub(crate) fn ping(now: OffsetDateTime, offset: UtcOffset) -> String {
    format!(r#"{{"type":"ping","timestamp":"{}"}}"#, clock::naive(now, offset))
}

/// `pong`, with the server's local time; nothing of the ping comes back.
pub(crate) fn pong(now: OffsetDateTime, offset: UtcOffset) -> String {
    format!(r#"{{"type":"pong","timestamp":"{}"}}"#, clock::naive(now, offset))
}

/// A message that cannot be understood; `kind` chooses among the ways of being wrong.
pub(crate) fn garbage(kind: usize) -> &'static str {
    const WAYS: [&str; 10] = [
        r#"{"type":"anomaly_detected","user_id":"34598841-acab-401e"#,
        "not json at all",
        "",
        r#"{"type":"weather_report","data":{"rain":true}}"#,
        r#"{"type":"anomaly_detected","stream_id":7,"result":"none","annotated_frame":{}}"#,
        "[1]",
        "null",
        r#"{"type":17}"#,
        "{}",
        "{\"type\":\"anomaly_detected\",\"result\":{\"score\":1e999999,\"person_id\":-3},\"annotated_frame\":null}",
    ];
    WAYS[kind % WAYS.len()]
}
