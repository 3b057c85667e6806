//! What a site of a scenario has around it: a backend and what that says, and what its hub says of its own parts.

use serde_json::json;
use watchpost_core::{Alert, AlertKind};
use watchpost_scenarios::Seen;

use crate::scenario::Setup;

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

/// The setup of a world's backend in which nothing is odd.
pub fn setup() -> Setup {
    Setup {
        second_account: false,
        write_back: false,
        ids: true,
        bad_shop: false,
        both_accounts: false,
        late: Default::default(),
        zone_hours: 0,
    }
}

/// Whether it is said of the hub's machine or its parts, and not by a rule.
pub fn is_of_its_parts(alert: &Alert) -> bool {
    alert.kind == AlertKind::Hub && OF_ITS_PARTS.contains(&alert.details.status.as_str())
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
