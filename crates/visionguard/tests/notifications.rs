//! Every captured notification, read to what it says.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use expect_test::{Expect, expect};
use watchpost_visionguard::Parser;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../fixtures/", $name)).as_slice()
    };
}

fn check(text: &[u8], expected: Expect) {
    let mut parser = Parser::default();
    expected.assert_debug_eq(&parser.parse(text).unwrap());
}

#[test]
fn notification_after_an_alert() {
    check(
        fixture!("2_notification_alert.json"),
        expect![[r#"
        Notification(
            Notification {
                notification_id: Some(
                    "d5bbd94d-73f8-4f01-80f9-a6cfcb7709d7",
                ),
                kind: Alert,
                title: "Alert",
                message: "Anomalous behavior detected (Person ID: 1, Confidence: Low) at Stream 3544c7ab",
                priority: Some(
                    "low",
                ),
                timestamp: Some(
                    TimestampText(
                        "2026-11-23T01:16:30.521329",
                    ),
                ),
                action_url: Some(
                    "/suspicious-activity?anomaly_id=d5bbd94d-73f8-4f01-80f9-a6cfcb7709d7",
                ),
                metadata: Some(
                    Metadata {
                        anomaly_id: Some(
                            "d5bbd94d-73f8-4f01-80f9-a6cfcb7709d7",
                        ),
                        shop_id: Some(
                            "938d55f2-123f-4b7f-b14a-84514886360f",
                        ),
                        stream_id: Some(
                            "3544c7ab-a57f-478e-918e-bb579162847a",
                        ),
                        person_id: Some(
                            1,
                        ),
                        num_persons: None,
                        detections: [],
                    },
                ),
                defects: [],
            },
        )
    "#]],
    );
}

#[test]
fn notification_of_owl_eye() {
    check(
        fixture!("4_notification_owl_eye.json"),
        expect![[r#"
        Notification(
            Notification {
                notification_id: Some(
                    "3440918f-cac6-4e2c-bf3a-bca2fe6c890e",
                ),
                kind: OwlEye,
                title: "OWL EYE ALERT",
                message: "Owl Eye Alert: 1 unauthorized person(s) detected in sentry mode at Back door",
                priority: Some(
                    "high",
                ),
                timestamp: Some(
                    TimestampText(
                        "2026-11-23T01:16:30.964370",
                    ),
                ),
                action_url: Some(
                    "/suspicious-activity?anomaly_id=3440918f-cac6-4e2c-bf3a-bca2fe6c890e",
                ),
                metadata: Some(
                    Metadata {
                        anomaly_id: Some(
                            "3440918f-cac6-4e2c-bf3a-bca2fe6c890e",
                        ),
                        shop_id: Some(
                            "938d55f2-123f-4b7f-b14a-84514886360f",
                        ),
                        stream_id: Some(
                            "sentry-1",
                        ),
                        person_id: None,
                        num_persons: Some(
                            1,
                        ),
                        detections: [
                            Detection {
                                bbox: Some(
                                    BoundingBox {
                                        x: 10.0,
                                        y: 60.0,
                                        w: 80.0,
                                        h: 200.0,
                                    },
                                ),
                                confidence: Some(
                                    0.91,
                                ),
                            },
                        ],
                    },
                ),
                defects: [],
            },
        )
    "#]],
    );
}

#[test]
fn notification_made_over_rest() {
    check(
        fixture!("5_notification_rest.json"),
        expect![[r#"
        Notification(
            Notification {
                notification_id: Some(
                    "notif_c8b7bc7a170d",
                ),
                kind: Other(
                    "info",
                ),
                title: "Hello",
                message: "héllo ☃",
                priority: Some(
                    "medium",
                ),
                timestamp: Some(
                    TimestampText(
                        "2026-11-23T01:16:30.979910",
                    ),
                ),
                action_url: None,
                metadata: None,
                defects: [],
            },
        )
    "#]],
    );
}
