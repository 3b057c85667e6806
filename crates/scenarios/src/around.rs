//! What a whole hub has around it when the tables are played: what it is connected to, what it is given to hear of what a camera
//! has seen, and what it says that no rule does.

use serde_json::json;
use watchpost_core::{Alert, AlertKind, UnixMillis};

use crate::Seen;

/// What a site has beside what its scenario says: the backend, which is asked as rarely as it can be, and a way in for what is
/// seen while that is away.
pub const BESIDE: &str = r#"
[[connection]]
name = "main"
url = "http://192.168.1.20:8000"
login = { email = "yard@example.org", password = "secret" }
accept_notices = true
backfill = { interval = "1h" }
slot = { interval = "1h" }
reconnect = { max = "1s", jitter = 0 }

[[connection]]
name = "posts"
kind = "inbound"
token = "a token that no one guesses"
"#;

/// What cannot be done to a whole hub, by the title of its scenario, and why.
pub const NOT_PLAYED: &[(&str, &str)] = &[
    (
        "Not ready, and what keeps it from that",
        "a sink fails over a delivery, and not by itself",
    ),
    (
        "It is acknowledged in the moment of a step: the one or the other comes first",
        "a message that is on its way then is delivered or not, which a table cannot leave open",
    ),
];

/// What the hub says of its machine and its parts, and no rule does.
const OF_ITS_PARTS: &[&str] = &[
    "clock_differs",
    "clock_jumped",
    "dead_letters",
    "link_back",
    "link_lost",
    "list_back",
    "list_lost",
    "store_replaced",
    "subscription_lost",
];

/// Whether it is said of the hub's machine or its parts, and not by a rule, as what a route says again is.
pub fn is_of_its_parts(alert: &Alert) -> bool {
    let is_of_parts = OF_ITS_PARTS.contains(&alert.details.status.as_str());
    alert.kind == AlertKind::Hub && is_of_parts && alert.repeat.is_none()
}

/// What the backend says of it.
pub fn message(seen: &Seen, stream: &str, frame: i64, happened: Option<String>) -> String {
    let record = format!("{stream}-{frame}");
    match seen.kind.unwrap_or(AlertKind::Anomaly) {
        AlertKind::OwlEye => json!({"type": "notification", "data": {
            "notification_id": record, "title": seen.camera, "message": "A person is there", "type": "owl_eye",
            "metadata": {"anomaly_id": record, "stream_id": stream},
        }}),
        AlertKind::Notice => json!({"type": "notification", "data": {
            "notification_id": record, "title": seen.camera, "message": "A notice", "type": "system",
        }}),
        _ => json!({
            "type": "anomaly_detected", "id": frame, "stream_id": stream, "timestamp": happened,
            "result": {
                "person_id": seen.person, "frame_number": frame, "score": seen.score, "is_abnormal": true,
                "classification": "Abnormal", "confidence": "Low", "stream_id": stream,
            },
        }),
    }
    .to_string()
}

/// The same as another program posts it. What no camera has but an attacker did is no anomaly.
pub fn posted(seen: &Seen, stream: &str, frame: i64, at: UnixMillis, happened: Option<String>) -> String {
    let at = happened.unwrap_or_else(|| at.to_string());
    match seen.kind {
        Some(AlertKind::Tamper) => json!({
            "title": format!("Tamper at {}", seen.camera), "kind": "tamper", "occurred_at": at,
            "camera": {"id": stream},
        }),
        _ => json!({
            "id": frame, "stream_id": stream, "person_id": seen.person, "timestamp": at,
            "details": {"status": "Abnormal"},
        }),
    }
    .to_string()
}

/// The stream of a camera, by what the table calls that.
pub fn stream(camera: &str) -> String {
    camera.to_lowercase().replace(' ', "-")
}
