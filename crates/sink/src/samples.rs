//! Alerts of every kind that there are, as the hub makes them: what a template or a sink is tried with before it is needed.
//!
//! They stand in `samples/alerts.json`. A test of the hub holds them against the hub's own documents, so that every key that
//! a document can have is in one of them, and none that it cannot have.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use crate::Severity;
use crate::testing::{TestAlert, TestFrame};

/// The documents, each with what it is.
const DOCUMENTS: &str = include_str!("../samples/alerts.json");

/// The picture of those that have one: a grey one of 16 by 9 pixels.
const PICTURE: &[u8] = include_bytes!("../samples/picture.jpg");

/// How far the clocks at the site of the samples are ahead of UTC.
const UTC_OFFSET_S: i32 = 3_600;

/// One alert to try something with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sample {
    /// What it is, such as `a digest`.
    pub what: String,
    /// The alert.
    pub alert: TestAlert,
}

#[derive(Deserialize)]
struct Described {
    what: String,
    alert: Value,
}

/// Alerts of every kind: of cameras, with and without a score, a picture, a name; late; a digest; internal events; a panic;
/// a drill; and one whose texts are meant to do harm.
pub fn samples() -> &'static [Sample] {
    static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
        // A test reads them, so there is always something to read.
        let described: Vec<Described> = serde_json::from_str(DOCUMENTS).unwrap_or_default();
        described.into_iter().map(sample).collect()
    });
    &SAMPLES
}

/// All keys that a document can have: what the samples have between them.
#[cfg(feature = "template")]
pub(crate) fn known_keys() -> &'static Value {
    static KEYS: LazyLock<Value> = LazyLock::new(|| {
        let mut keys = Value::Null;
        for sample in samples() {
            merge(
                &mut keys,
                &serde_json::from_str(&sample.alert.json).unwrap_or(Value::Null),
            );
        }
        keys
    });
    &KEYS
}

/// Adds the keys of another document. What is a table in one of them and a word in another, such as who has raised a panic,
/// is a table.
#[cfg(feature = "template")]
fn merge(keys: &mut Value, more: &Value) {
    match (keys, more) {
        (Value::Object(keys), Value::Object(more)) => {
            for (key, value) in more {
                merge(keys.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Object(_), _) => {}
        (keys, more) => *keys = more.clone(),
    }
}

fn sample(Described { what, alert }: Described) -> Sample {
    let text = |key: &str| alert[key].as_str().unwrap_or_default();
    let severity = match text("severity") {
        "critical" => Severity::Critical,
        "high" => Severity::High,
        "medium" => Severity::Medium,
        _ => Severity::Low,
    };
    let happened = alert["occurred_at"].as_str().unwrap_or(text("received_at"));
    let since_1970 = humantime::parse_rfc3339(happened)
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .unwrap_or_default();
    let frames = match alert["picture"].get("jpeg") {
        None => Vec::new(),
        Some(_) => vec![TestFrame {
            mime: "image/jpeg".into(),
            name: "frame.jpg".into(),
            bytes: PICTURE.to_vec(),
            width: 16,
            height: 9,
        }],
    };
    let alert = TestAlert {
        id: alert["id"].to_string(),
        severity,
        title: text("title").to_owned(),
        text: text("text").to_owned(),
        json: alert.to_string(),
        unix_ms: u64::try_from(since_1970.as_millis()).unwrap_or(0),
        utc_offset_s: UTC_OFFSET_S,
        frames,
    };
    Sample { what, alert }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_can_be_read() {
        assert!(samples().len() >= 15);
        assert!(samples().iter().any(|sample| !sample.alert.frames.is_empty()));
        assert!(samples().iter().all(|sample| !sample.alert.title.is_empty()));
    }
}
