//! Every captured alert and heartbeat, read to what it says.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use expect_test::{Expect, expect};
use watchpost_visionguard::{Message, ParseOptions, Parser, PictureLimits};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../fixtures/", $name)).as_slice()
    };
}

fn check(text: &[u8], expected: Expect) {
    let mut parser = Parser::default();
    expected.assert_debug_eq(&parser.parse(text).unwrap());
}

/// Reads an alert and says what its picture decodes to.
fn check_picture(text: &[u8], expected: Expect) {
    let mut parser = Parser::default();
    let Message::Alert(alert) = parser.parse(text).unwrap() else {
        panic!("not an alert")
    };
    let frame = alert
        .picture
        .and_then(|picture| picture.decode(PictureLimits::default()))
        .unwrap();
    expected.assert_eq(&format!("{frame:?} crc32c {:08x}", crc32c::crc32c(&frame.bytes)));
}

#[test]
fn alert_with_bbox() {
    let text = fixture!("1_anomaly_detected_bbox.json");
    check(
        text,
        expect![[r#"
        Alert(
            Alert {
                source_id: None,
                user_id: Some(
                    "34598841-acab-401e-aea1-0dee13f318ec",
                ),
                stream_id: "3544c7ab-a57f-478e-918e-bb579162847a",
                person_id: 1,
                score: Some(
                    -1.2345,
                ),
                confidence: Some(
                    Word(
                        "Low",
                    ),
                ),
                classification: Some(
                    "Abnormal",
                ),
                status: "unknown",
                bbox: Some(
                    BoundingBox {
                        x: 64.0,
                        y: 96.0,
                        w: 128.0,
                        h: 288.0,
                    },
                ),
                frame_number: Some(
                    30,
                ),
                start_frame: Some(
                    1,
                ),
                end_frame: Some(
                    12,
                ),
                sequence_id: Some(
                    0,
                ),
                timestamp: None,
                pose: None,
                picture: Ok(
                    Picture {
                        text_len: 77052,
                        format: Some(
                            "jpeg",
                        ),
                    },
                ),
                defects: [],
            },
        )
    "#]],
    );
    check_picture(text, expect!["JpegFrame(640x480, 57788 bytes) crc32c b81d0ccd"]);
}

#[test]
fn alert_of_two_persons_without_bbox() {
    let text = fixture!("3_anomaly_detected_pipeline_2persons.json");
    check(
        text,
        expect![[r#"
        Alert(
            Alert {
                source_id: None,
                user_id: Some(
                    "34598841-acab-401e-aea1-0dee13f318ec",
                ),
                stream_id: "8fe86860-376e-4f30-9187-355cfd9b166d",
                person_id: 1,
                score: Some(
                    -1.2345000505447388,
                ),
                confidence: Some(
                    Word(
                        "Low",
                    ),
                ),
                classification: Some(
                    "Abnormal",
                ),
                status: "unknown",
                bbox: None,
                frame_number: Some(
                    30,
                ),
                start_frame: Some(
                    1,
                ),
                end_frame: Some(
                    12,
                ),
                sequence_id: Some(
                    0,
                ),
                timestamp: None,
                pose: None,
                picture: Ok(
                    Picture {
                        text_len: 66316,
                        format: Some(
                            "jpeg",
                        ),
                    },
                ),
                defects: [],
            },
        )
    "#]],
    );
    check_picture(text, expect!["JpegFrame(640x480, 49737 bytes) crc32c 483bea22"]);
}

#[test]
fn alert_with_a_score_of_minus_infinity() {
    let text = fixture!("7_anomaly_detected_neg_infinity.txt");
    check(
        text,
        expect![[r#"
        Alert(
            Alert {
                source_id: None,
                user_id: Some(
                    "34598841-acab-401e-aea1-0dee13f318ec",
                ),
                stream_id: "a6f9856c-33f8-48e8-afc6-99dca0179ac4",
                person_id: 1,
                score: None,
                confidence: Some(
                    Word(
                        "Low",
                    ),
                ),
                classification: Some(
                    "Abnormal",
                ),
                status: "unknown",
                bbox: None,
                frame_number: Some(
                    30,
                ),
                start_frame: Some(
                    1,
                ),
                end_frame: Some(
                    12,
                ),
                sequence_id: Some(
                    0,
                ),
                timestamp: None,
                pose: None,
                picture: Ok(
                    Picture {
                        text_len: 66316,
                        format: Some(
                            "jpeg",
                        ),
                    },
                ),
                defects: [],
            },
        )
    "#]],
    );
    check_picture(text, expect!["JpegFrame(640x480, 49737 bytes) crc32c 483bea22"]);
}

#[test]
fn the_pose_is_kept_only_when_asked_for() {
    let mut parser = Parser::new(ParseOptions { keep_pose: true });
    let text = fixture!("3_anomaly_detected_pipeline_2persons.json");
    let Message::Alert(alert) = parser.parse(text).unwrap() else {
        panic!("not an alert")
    };
    let pose: serde_json::Value = serde_json::from_str(alert.pose.unwrap().get()).unwrap();
    let persons: Vec<_> = pose
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, p)| (id.as_str(), p.as_object().unwrap().len()))
        .collect();
    assert_eq!(persons, [("1", 30), ("2", 30)]);
    assert_eq!(pose["1"]["0001"]["keypoints"].as_array().unwrap().len(), 51);
}

#[test]
fn heartbeats() {
    check(
        fixture!("6_ping.json"),
        expect![[r#"
        Ping {
            timestamp: Some(
                TimestampText(
                    "2026-11-23T01:17:00.478730",
                ),
            ),
        }
    "#]],
    );
    check(
        fixture!("8_pong.json"),
        expect![[r#"
        Pong {
            timestamp: Some(
                TimestampText(
                    "2026-11-23T01:16:30.981854",
                ),
            ),
        }
    "#]],
    );
}

#[test]
fn what_only_clients_send_is_unknown() {
    check(
        fixture!("client_owl_eye_detection.json"),
        expect![[r#"
        Unknown {
            kind: "owl_eye_detection",
        }
    "#]],
    );
}
