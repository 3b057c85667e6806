//! Owl Eye: a browser in sentry mode reports what it saw over the alert socket.
//! It checks the report as the backend does, by staying silent on any fault.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Error,
    backend::Backend,
    clock,
    picture::Recipe,
    rows::{Extra, Picture, Row, Severity, Status},
    scene::Look,
    wire::{self, OwlEye},
};

/// Records a report and answers the notification for it; none on any fault.
pub(crate) fn report(backend: &Backend, data: &Value) -> Option<String> {
    let shop_id = Uuid::try_parse(data.get("shop_id")?.as_str()?)
        .ok()
        .filter(|id| backend.shops.contains(id))?;
    let picture = picture(data.get("frame_data")?.as_str()?)?;
    let detections = data
        .get("detections")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let text = |key: &str| data.get(key).and_then(Value::as_str).map(str::to_owned);
    let seen = OwlEye {
        anomaly_id: Uuid::new_v4(),
        shop_id,
        stream_id: text("stream_id"),
        location: text("location").unwrap_or_else(|| "Unknown".to_owned()),
        detections,
    };
    let now = backend.now();
    let confidence = |seen: &Value| seen.get("confidence").and_then(Value::as_f64);
    backend.state().rows.insert(Row {
        id: seen.anomaly_id,
        shop_id,
        timestamp: now,
        location: seen.location.clone(),
        severity: if seen.detections.is_empty() {
            Severity::Medium
        } else {
            Severity::High
        },
        status: Status::Pending,
        description: format!(
            "Owl Eye Alert: {} unauthorized person(s) detected in sentry mode",
            seen.detections.len()
        ),
        picture_name: format!("{}_{:08x}.jpg", clock::file_stamp(now), fastrand::u32(..)),
        picture: Picture::Given(picture.into()),
        anomaly_type: "owl_eye_intrusion",
        confidence_score: seen.detections.iter().filter_map(confidence).fold(0.0, f64::max),
        resolved_by: None,
        resolved_at: None,
        notes: None,
        extra: Extra::of_owl(seen.stream_id.clone()),
        updated_at: now,
    });
    Some(wire::owl_notification(&seen, now))
}

/// Records a report of this many persons, as a browser would make it, and answers the notification for it.
pub(crate) fn seen(backend: &Backend, persons: u32) -> Result<String, Error> {
    let recipe = Recipe {
        camera: 0,
        look: Look {
            moment: 0,
            clock: backend.now().unix_timestamp(),
            persons,
            boxes: true,
        },
        seq: 0,
        fresh: true,
    };
    let picture = base64_simd::STANDARD.encode_to_string(backend.painter.alert_picture(&recipe)?);
    let detection = json!({ "bbox": { "x": 10, "y": 10, "w": 50, "h": 100 }, "confidence": 0.9 });
    let detections = vec![detection; usize::try_from(persons).unwrap_or_default()];
    let data = json!({
        "shop_id": backend.shops[0],
        "frame_data": format!("data:image/jpeg;base64,{picture}"),
        "location": "Back door",
        "detections": detections,
    });
    report(backend, &data).ok_or(Error::Stopped)
}

/// The picture of a data URL or of plain base64, if it can be decoded.
fn picture(text: &str) -> Option<Vec<u8>> {
    let base64 = text.split_once("base64,").map_or(text, |(_, base64)| base64);
    let bytes = base64_simd::STANDARD.decode_to_vec(base64).ok()?;
    image::load_from_memory(&bytes).ok()?;
    Some(bytes)
}
