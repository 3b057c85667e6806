//! Holds the alerts that templates and plugins are tried with against the documents that the hub makes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    About, Actor, Alert, AlertId, AlertKind, AreaNote, BoundingBox, Camera, Confidence, Details, Digest,
    EscalationNote, GroupKey, HoldCause, Panic, Picture, Severity, StepNote, UnixMillis, Via, VisionGuard,
};

const SAMPLES: &str = include_str!("../../sink/samples/alerts.json");

fn samples() -> Vec<(String, Value)> {
    let samples: Vec<Value> = serde_json::from_str(SAMPLES).unwrap();
    let pair = |sample: Value| {
        (
            sample["what"].as_str().unwrap().to_owned(),
            sample["alert"].clone(),
        )
    };
    samples.into_iter().map(pair).collect()
}

fn about_all() -> About {
    let text = || Some(String::new());
    About {
        connection: text(),
        camera: text(),
        area: text(),
        sink: text(),
        expect: text(),
    }
}

/// An alert that has everything. A new member has to be added here, and then to a sample.
fn whole(picture: Picture) -> Alert {
    let (text, at) = (String::new, UnixMillis(0));
    Alert {
        id: AlertId(1),
        site: Some(text()),
        kind: AlertKind::Anomaly,
        connection: text(),
        source_id: Some(text()),
        camera: Some(Camera {
            id: text(),
            name: Some(text()),
            area: Some(text()),
        }),
        received_at: at,
        occurred_at: Some(at),
        late: true,
        via: Via::Live,
        severity: Severity::Low,
        title: text(),
        text: text(),
        details: Details {
            status: text(),
            classification: Some(text()),
            confidence: Some(Confidence::Number(1.0)),
            score: Some(1.0),
            bbox: Some(BoundingBox {
                x: 0.0,
                y: 0.0,
                w: 0.0,
                h: 0.0,
            }),
        },
        picture,
        digest: Some(Digest {
            count: 1,
            from: at,
            to: at,
            ids: vec![AlertId(1)],
            worst: AlertId(1),
            sink: text(),
            cause: of_a_group(),
        }),
        about: Some(about_all()),
        area: Some(AreaNote {
            name: text(),
            to: BTreeSet::from([text()]),
            to_all: true,
            alarm: true,
        }),
        repeat: Some(text()),
        panic: Some(a_panic()),
        escalation: Some(of_a_step()),
        also_over: vec![text()],
        visionguard: Some(of_visionguard()),
    }
}

/// What only VisionGuard has, all of it.
fn of_visionguard() -> VisionGuard {
    let text = String::new;
    VisionGuard {
        person_id: 1,
        anomaly_id: Some(text()),
        shop_id: Some(text()),
        location: Some(text()),
        frame_number: Some(1),
        start_frame: Some(1),
        pose: Some(Value::Null),
    }
}

/// What a message has to do with an escalation, with all that there is to say of it.
fn of_a_step() -> EscalationNote {
    let step = StepNote {
        number: 1,
        sending: 1,
        round: 1,
        route: String::new(),
        group: GroupKey::default(),
        of: AlertKind::Anomaly,
        status: String::new(),
    };
    EscalationNote {
        policy: String::new(),
        alert: AlertId(1),
        count: 1,
        step: Some(step),
        to: BTreeSet::from([String::new()]),
    }
}

/// A panic, with all that there is to say of it.
fn a_panic() -> Panic {
    Panic {
        areas: vec![String::new()],
        silent: true,
        by: Actor::Person {
            name: String::new(),
            sink: String::new(),
        },
        why: Some(String::new()),
    }
}

/// Why a digest was held, with all that there is to say of it.
fn of_a_group() -> HoldCause {
    HoldCause::Group {
        route: String::new(),
        group: GroupKey::default(),
    }
}

/// The paths of all keys of a document.
fn keys(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{at}/{key}");
        keys(value, &path, found);
        found.insert(path);
    }
}

#[test]
fn the_samples_are_documents_of_the_hub() {
    for (what, document) in samples() {
        let alert: Alert = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(alert).unwrap(), document, "{what}");
    }
}

#[test]
fn every_key_of_a_document_is_in_a_sample() {
    let (mut sampled, mut possible) = (BTreeSet::new(), BTreeSet::new());
    for (_, document) in samples() {
        keys(&document, "", &mut sampled);
    }
    for picture in [
        Picture::Missing(String::new()),
        Picture::Pending { from: String::new() },
        Picture::Jpeg {
            bytes: 0,
            width: 0,
            height: 0,
        },
    ] {
        keys(&serde_json::to_value(whole(picture)).unwrap(), "", &mut possible);
    }
    let lacking: Vec<_> = possible.difference(&sampled).collect();
    assert!(lacking.is_empty(), "no sample has {lacking:?}");
}

#[test]
fn every_kind_of_alert_is_sampled() {
    let sampled: BTreeSet<String> = samples()
        .iter()
        .map(|(_, document)| document["kind"].as_str().unwrap().to_owned())
        .collect();
    let mut next = Some(AlertKind::Anomaly);
    while let Some(kind) = next {
        assert!(sampled.contains(&kind.to_string()), "no sample is of kind {kind}");
        next = match kind {
            AlertKind::Anomaly => Some(AlertKind::OwlEye),
            AlertKind::OwlEye => Some(AlertKind::Notice),
            AlertKind::Notice => Some(AlertKind::Hub),
            AlertKind::Hub => Some(AlertKind::Digest),
            AlertKind::Digest => Some(AlertKind::Drill),
            AlertKind::Drill => Some(AlertKind::Panic),
            AlertKind::Panic => Some(AlertKind::Tamper),
            AlertKind::Tamper => Some(AlertKind::Escalation),
            AlertKind::Escalation => None,
        };
    }
}
