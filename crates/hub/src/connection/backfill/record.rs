//! What a record in the backend's list means: turns it into the domain's [`Alert`].

use std::sync::Arc;

use time::UtcOffset;
use watchpost_core::{
    Alert, AlertIds, AlertKind, BoundingBox, Camera, Details, Picture, Severity, UNKNOWN, UnixMillis, Via,
    VisionGuard,
};
use watchpost_store::PLACE_PREFIX;
use watchpost_visionguard::rest::Anomaly;
use watchpost_visionguard::{JpegFrame, PictureLimits, Timestamp};

/// The backend's word for an anomaly of its night watch.
const OWL_EYE: &str = "owl_eye_intrusion";

/// When the record says that it happened. The backend writes UTC without saying so.
pub(super) fn happened(anomaly: &Anomaly) -> Option<UnixMillis> {
    Some(Timestamp::parse(&anomaly.timestamp)?.at(UtcOffset::UTC).into())
}

/// The person, as a number or as the tracker's text.
pub(super) fn person_id(anomaly: &Anomaly) -> Option<i64> {
    let id = anomaly.extra_data.as_ref()?.person_id.as_ref()?;
    id.as_i64().or_else(|| id.as_str()?.trim().parse().ok())
}

/// The alert of a record, with its picture if that could be had.
pub(super) fn alert(
    anomaly: &Anomaly,
    connection: &str,
    via: Via,
    picture: Result<Vec<u8>, String>,
    limits: PictureLimits,
    ids: &Arc<AlertIds>,
    now: UnixMillis,
) -> (Alert, Option<Vec<u8>>) {
    let extra = anomaly.extra_data.clone().unwrap_or_default();
    let owl_eye = anomaly.anomaly_type.as_deref() == Some(OWL_EYE);
    let camera = Camera::unnamed(extra.stream_id.clone().unwrap_or_else(|| UNKNOWN.to_owned()));
    let score = anomaly.confidence_score.filter(|score| score.is_finite());
    let (picture, frame) = framed(picture, limits);
    let person_id = person_id(anomaly).unwrap_or(0);
    let (title, text) = words(anomaly, owl_eye, &camera, person_id);
    let kind = if owl_eye {
        AlertKind::OwlEye
    } else {
        AlertKind::Anomaly
    };
    let alert = Alert {
        camera: Some(camera),
        occurred_at: happened(anomaly),
        via,
        severity: anomaly
            .severity
            .as_deref()
            .and_then(|word| word.parse().ok())
            .unwrap_or(Severity::Low),
        title,
        text,
        details: Details {
            status: anomaly.status.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
            classification: extra.classification,
            confidence: None,
            // The backend keeps it without its sign.
            score: score.filter(|_| !owl_eye).map(|score| -score),
            bbox: extra.bbox.map(|b| BoundingBox {
                x: b.x,
                y: b.y,
                w: b.w,
                h: b.h,
            }),
        },
        picture,
        visionguard: Some(VisionGuard {
            person_id,
            anomaly_id: Some(anomaly.id.clone()),
            shop_id: anomaly.shop_id.clone(),
            frame_number: extra.frame_number,
            pose: None,
        }),
        ..Alert::new(ids.next(now), kind, connection, now)
    };
    (alert, frame)
}

/// A line and a sentence.
fn words(anomaly: &Anomaly, owl_eye: bool, camera: &Camera, person_id: i64) -> (String, String) {
    let place = anomaly.location.as_deref().filter(|place| !place.is_empty());
    let title = if owl_eye {
        format!("Owl Eye at {}", place.unwrap_or("the shop"))
    } else {
        format!("Anomaly at camera {}", camera.label())
    };
    let described = anomaly.description.as_deref().map(str::trim).unwrap_or_default();
    let text = match (described, owl_eye) {
        ("", true) => "A person was there after hours".to_owned(),
        ("", false) => format!("Abnormal behaviour of person {person_id}"),
        (description, _) => description.to_owned(),
    };
    (title, text)
}

/// The alert of a record that the backend cannot show: only its place in the list is known.
pub(super) fn unreadable(
    place: &str,
    newest: UnixMillis,
    connection: &str,
    ids: &Arc<AlertIds>,
    now: UnixMillis,
) -> Alert {
    debug_assert!(place.starts_with(PLACE_PREFIX));
    Alert {
        camera: Some(Camera::unnamed(UNKNOWN)),
        occurred_at: Some(newest),
        via: Via::List,
        // Its score is infinite, which is as abnormal as can be.
        severity: Severity::High,
        title: "Anomaly that the backend cannot show".to_owned(),
        text: format!(
            "The backend recorded an anomaly by {newest} and answers HTTP 500 whenever it is asked for it, as it does for an infinite score: look at the cameras' recordings"
        ),
        details: Details {
            status: "unreadable".to_owned(),
            ..Details::default()
        },
        picture: Picture::Missing("the backend cannot show this anomaly".to_owned()),
        visionguard: Some(VisionGuard {
            anomaly_id: Some(place.to_owned()),
            ..VisionGuard::default()
        }),
        ..Alert::new(ids.next(now), AlertKind::Anomaly, connection, now)
    }
}

fn framed(picture: Result<Vec<u8>, String>, limits: PictureLimits) -> (Picture, Option<Vec<u8>>) {
    let checked = picture.and_then(|bytes| JpegFrame::parse(bytes, limits).map_err(|e| e.to_string()));
    match checked {
        Ok(jpeg) => (
            Picture::Jpeg {
                bytes: u32::try_from(jpeg.bytes.len()).unwrap_or(u32::MAX),
                width: jpeg.width,
                height: jpeg.height,
            },
            Some(jpeg.bytes),
        ),
        Err(why) => (Picture::Missing(why), None),
    }
}
