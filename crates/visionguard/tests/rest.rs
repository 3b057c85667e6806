//! Every captured REST reply, read to what it says.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use expect_test::expect;
use watchpost_visionguard::rest::{AnomalyPage, Connection, ErrorBody, TokenResponse};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../fixtures/rest/", $name)).as_slice()
    };
}

#[test]
fn login_reply_without_showing_its_tokens() {
    let reply: TokenResponse = serde_json::from_slice(fixture!("login.json")).unwrap();
    assert_eq!(reply.access_token.expose(), "<JWT>");
    expect![[r#"
        TokenResponse {
            access_token: ***,
            refresh_token: Some(
                ***,
            ),
            token_type: "bearer",
            user: User {
                id: "34598841-acab-401e-aea1-0dee13f318ec",
                name: "Rig Owner",
                email: "rig-887cacd6b7@example.com",
                role: "OWNER",
            },
        }
    "#]]
    .assert_debug_eq(&reply);
}

#[test]
fn connection_reply() {
    let reply: Connection = serde_json::from_slice(fixture!("ws_connections_user.json")).unwrap();
    expect![[r#"
        Connection {
            user_id: "34598841-acab-401e-aea1-0dee13f318ec",
            connected: true,
            connected_at: Some(
                "2026-11-23T01:16:30.477608",
            ),
            uptime_seconds: Some(
                0.505506,
            ),
            last_heartbeat: Some(
                "2026-11-23T01:16:30.981842",
            ),
            seconds_since_heartbeat: Some(
                0.001272,
            ),
        }
    "#]]
    .assert_debug_eq(&reply);
}

#[test]
fn anomalies_reply() {
    let text = fixture!("anomalies_list.json");
    let reply: AnomalyPage = serde_json::from_slice(text).unwrap();
    let rows: Vec<_> = reply.anomalies.iter().flatten().collect();
    expect![[r#"
        (
            4,
            Anomaly {
                id: "3440918f-cac6-4e2c-bf3a-bca2fe6c890e",
                shop_id: Some(
                    "938d55f2-123f-4b7f-b14a-84514886360f",
                ),
                timestamp: "2026-11-23T01:16:30.964370",
                location: Some(
                    "Back door",
                ),
                severity: Some(
                    "high",
                ),
                status: Some(
                    "pending",
                ),
                description: Some(
                    "Owl Eye Alert: 1 unauthorized person(s) detected in sentry mode",
                ),
                image_url: Some(
                    "/api/anomalies/frames/938d55f2-123f-4b7f-b14a-84514886360f/20261123_011630_8782dd45.jpg",
                ),
                anomaly_type: Some(
                    "owl_eye_intrusion",
                ),
                confidence_score: Some(
                    0.91,
                ),
                resolved_by: None,
                resolved_at: None,
                notes: None,
                extra_data: Some(
                    ExtraData {
                        stream_id: Some(
                            "sentry-1",
                        ),
                        person_id: None,
                        start_frame: None,
                        end_frame: None,
                        frame_number: None,
                        bbox: None,
                        classification: None,
                    },
                ),
                created_at: Some(
                    "2026-11-23T01:16:30.966666",
                ),
                updated_at: Some(
                    "2026-11-23T01:16:30.966670",
                ),
            },
            Some(
                ExtraData {
                    stream_id: Some(
                        "3544c7ab-a57f-478e-918e-bb579162847a",
                    ),
                    person_id: Some(
                        Number(1),
                    ),
                    start_frame: Some(
                        1,
                    ),
                    end_frame: Some(
                        12,
                    ),
                    frame_number: Some(
                        30,
                    ),
                    bbox: Some(
                        BoundingBox {
                            x: 64.0,
                            y: 96.0,
                            w: 128.0,
                            h: 288.0,
                        },
                    ),
                    classification: Some(
                        "Abnormal",
                    ),
                },
            ),
        )
    "#]]
    .assert_debug_eq(&(reply.total, rows[0], &rows[3].extra_data));
    let again: serde_json::Value = serde_json::to_value(&reply).unwrap();
    let original: serde_json::Value = serde_json::from_slice(text).unwrap();
    assert_eq!(
        again["anomalies"][1]["extra_data"],
        original["anomalies"][1]["extra_data"]
    );
    assert_eq!(again["anomalies"][2], original["anomalies"][2]);
}

#[test]
fn error_replies_say_their_reason_and_nothing_of_the_request() {
    let shown = |body: &[u8]| ErrorBody::parse(body).to_string();
    expect!["Not Found; The requested endpoint does not exist"].assert_eq(&shown(fixture!("error_404.json")));
    expect!["Validation Error; Request validation failed; body -> email: value is not a valid email address: An email address must have an @-sign.; body -> password: Field required"].assert_eq(&shown(fixture!("error_422.json")));
    assert_eq!(
        shown(br#"{"detail":"Invalid credentials"}"#),
        "Invalid credentials"
    );
    assert_eq!(shown(b"<html>502 Bad Gateway</html>"), "no reason given");
}
