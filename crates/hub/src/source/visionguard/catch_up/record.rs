//! What a record in the backend's list means: turns it into the domain's [`Alert`].

use watchpost_core::{
    Alert, AlertKind, Camera, Details, Picture, Severity, UNKNOWN, UnixMillis, Via, VisionGuard,
};
use watchpost_visionguard::rest::Anomaly;

use super::super::super::IncomingAlert;
use super::super::context::ConnectionContext;

/// The alert of a record, whose picture is fetched apart.
pub(super) fn incoming(context: &ConnectionContext, anomaly: &Anomaly, via: Via) -> IncomingAlert<String> {
    let camera = Camera::unnamed(anomaly.stream_id().unwrap_or(UNKNOWN));
    let picture = match &anomaly.image_url {
        Some(url) => Picture::Pending { from: url.clone() },
        None => Picture::Missing("the backend has no picture of it".to_owned()),
    };
    let person_id = anomaly.person_id().unwrap_or(0);
    let (title, text) = words(anomaly, &camera, person_id);
    let now = context.clock.unix();
    let kind = if anomaly.is_owl_eye() {
        AlertKind::OwlEye
    } else {
        AlertKind::Anomaly
    };
    let alert = Alert {
        camera: Some(camera),
        occurred_at: anomaly.happened().map(|at| context.ours(at.into())),
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
            classification: anomaly.classification().map(str::to_owned),
            confidence: None,
            score: anomaly.score(),
            bbox: anomaly.bbox(),
        },
        picture,
        visionguard: Some(VisionGuard {
            person_id,
            anomaly_id: Some(anomaly.id.clone()),
            shop_id: anomaly.shop_id.clone(),
            location: anomaly.place().map(str::to_owned),
            frame_number: anomaly.frame_number(),
            start_frame: anomaly.start_frame(),
            pose: None,
        }),
        ..Alert::new(context.ids.next(now), kind, context.name(), now)
    };
    IncomingAlert::fetched(alert, None)
}

/// A line and a sentence.
fn words(anomaly: &Anomaly, camera: &Camera, person_id: i64) -> (String, String) {
    let place = anomaly.place();
    let owl_eye = anomaly.is_owl_eye();
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
    context: &ConnectionContext,
    place: &str,
    newest: UnixMillis,
) -> IncomingAlert<String> {
    let now = context.clock.unix();
    let alert = Alert {
        camera: Some(Camera::unnamed(UNKNOWN)),
        occurred_at: Some(context.ours(newest)),
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
        ..Alert::new(context.ids.next(now), AlertKind::Anomaly, context.name(), now)
    };
    IncomingAlert::fetched(alert, None)
}
