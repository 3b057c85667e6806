//! What is asked of the backend, and what its captured answers are read as.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::time::Duration;

use watchpost_core::{ConnectFailure, FailureKind, Secret};
use watchpost_visionguard::calls::{self, Call, Method};
use watchpost_visionguard::{Backend, Message, NamedRecord, ParseOptions, Parser};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../fixtures/", $name)).as_slice()
    };
}

fn backend() -> Backend {
    Backend::parse("https://site.example/vision").unwrap()
}

/// Method, address and body of a question.
fn asked<T>(call: &Call<T>) -> (Method, &str, String) {
    let body = call.body.clone().unwrap_or_default();
    (call.method, call.url.as_str(), String::from_utf8(body).unwrap())
}

fn kind<T>(answer: Result<T, ConnectFailure>) -> FailureKind {
    answer.map(drop).unwrap_err().kind
}

#[test]
fn a_login_says_who_it_is_and_gives_a_user_and_a_token() {
    let call = calls::login(&backend(), "o@example.com", &Secret::new("p\"w"));
    assert_eq!(
        asked(&call),
        (
            Method::Post,
            "https://site.example/vision/auth/login",
            r#"{"email":"o@example.com","password":"p\"w"}"#.to_owned()
        )
    );
    let reply = call.read(200, fixture!("rest/login.json")).unwrap();
    assert_eq!(reply.user.id, "34598841-acab-401e-aea1-0dee13f318ec");
    assert_eq!(reply.lifetime(), None, "the captured token was blanked");
    let lasting = br#"{"access_token":"h.eyJpYXQiOjEwMCwiZXhwIjo3MDB9.s","user":{"id":"u"}}"#;
    let life = call.read(200, lasting).unwrap().lifetime();
    assert_eq!(life, Some(Duration::from_secs(600)));

    let refused = call.read(401, br#"{"detail":"Invalid credentials"}"#).map(drop);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "credentials rejected: Invalid credentials"
    );
    let odd = call.read(422, fixture!("rest/error_422.json"));
    assert_eq!(kind(odd), FailureKind::Login, "no e-mail address");
    assert_eq!(kind(call.read(500, b"")), FailureKind::Http(500));
}

#[test]
fn a_refusal_says_whether_the_token_or_its_user_is_at_fault() {
    let call = calls::shops(&backend());
    let refused = |status, detail: &str| {
        let body = format!(r#"{{"detail":"{detail}"}}"#);
        kind(call.read(status, body.as_bytes()))
    };
    for (status, detail, expected, ends) in [
        (401, "Invalid or expired token", FailureKind::Unauthorized, true),
        (401, "User not found", FailureKind::UserGone, true),
        (403, "Not authenticated", FailureKind::Forbidden, false),
        (500, "User not found", FailureKind::Http(500), false),
    ] {
        let kind = refused(status, detail);
        assert_eq!((kind, kind.ends_session()), (expected, ends), "{status} {detail}");
    }
    let missing = call.read(404, fixture!("rest/error_404.json")).map(drop);
    assert_eq!(
        missing.unwrap_err().to_string(),
        "HTTP 404: Not Found; The requested endpoint does not exist"
    );
    let other = call.read(200, b"well").map(drop).unwrap_err();
    assert!(
        other
            .detail
            .starts_with("the answer is not what VisionGuard says: "),
        "{other}"
    );
}

#[test]
fn a_socket_is_told_from_none_and_from_a_backend_that_cannot_tell() {
    let call = calls::socket_of(&backend(), "u-1").unwrap();
    assert_eq!(asked(&call).1, "https://site.example/vision/ws/connections/u-1");
    let socket = call.read(200, fixture!("rest/ws_connections_user.json")).unwrap();
    assert_eq!(socket.unwrap().age(), Some(Duration::from_secs_f64(0.505_506)));
    assert_eq!(call.read(404, fixture!("rest/error_404.json")).unwrap(), None);
    assert_eq!(kind(call.read(502, b"")), FailureKind::Http(502));
    assert!(calls::socket_of(&backend(), "..").is_err());

    let tells = calls::tells_sockets(&backend());
    let can = |status, body: &[u8]| tells.read(status, body).unwrap();
    assert!(can(200, br#"{"total_connections":0,"connections":[]}"#));
    assert!(!can(200, br#"{"status":"healthy"}"#), "something else answers");
    assert!(!can(404, fixture!("rest/error_404.json")) && !can(405, b""));
    assert_eq!(kind(tells.read(500, b"")), FailureKind::Http(500));
}

#[test]
fn a_page_is_read_and_one_that_cannot_be_shown_is_known() {
    let call = calls::anomalies(&backend(), "s 1", 100, 200);
    assert_eq!(
        asked(&call).1,
        "https://site.example/vision/api/anomalies?shop_id=s+1&limit=100&offset=200"
    );
    let page = call.read(200, fixture!("rest/anomalies_list.json")).unwrap();
    let rows: Vec<_> = page.anomalies.iter().flatten().collect();
    assert_eq!(rows[0].place(), Some("Back door"));
    let row = rows[3];
    assert_eq!(row.location.as_deref(), Some("Stream 3544c7ab"));
    assert_eq!(
        (row.place(), row.classification(), row.frame_number()),
        (None, Some("Abnormal"), Some(30))
    );
    let failure = |status| call.read(status, b"{}").map(drop).unwrap_err();
    assert!(calls::cannot_be_shown(&failure(500)));
    assert!(!calls::cannot_be_shown(&failure(503)));
}

#[test]
fn the_other_questions_take_any_answer_that_is_no_refusal() {
    let backend = backend();
    let change = calls::acknowledge(&backend, "a-1");
    assert_eq!(
        asked(&change),
        (
            Method::Patch,
            "https://site.example/vision/api/anomalies/a-1",
            r#"{"status":"acknowledged"}"#.to_owned()
        )
    );
    change.read(200, b"not looked at").unwrap();
    assert_eq!(kind(change.read(400, b"")), FailureKind::Http(400));
    calls::health(&backend)
        .read(200, br#"{"status":"degraded"}"#)
        .unwrap();
    assert!(calls::health(&backend).read(200, b"<html>").is_err());
    calls::summary(&backend, "s")
        .read(200, br#"{"total":1}"#)
        .unwrap();
    let picture = calls::picture(&backend, "/api/anomalies/frames/s/a.jpg").unwrap();
    picture.read(200, b"\xff\xd8").unwrap();
    let elsewhere = calls::picture(&backend, "https://other.example/a.jpg");
    assert_eq!(kind(elsewhere), FailureKind::Address);
}

#[test]
fn only_a_notification_of_the_backend_itself_names_a_record() {
    let mut parser = Parser::new(ParseOptions::default());
    let mut record = |text: &[u8]| -> Option<NamedRecord> {
        let Ok(Message::Notification(notification)) = parser.parse(text) else {
            panic!("not a notification")
        };
        notification.record()
    };
    let of_a_camera = record(fixture!("2_notification_alert.json")).unwrap();
    assert!(of_a_camera.stream_id.is_some() && of_a_camera.person_id.is_some());
    let happened = of_a_camera.happened.unwrap();
    assert!(happened.offset().is_utc());
    assert!(record(fixture!("4_notification_owl_eye.json")).is_some());
    assert_eq!(record(fixture!("5_notification_rest.json")), None);
    // Whoever reaches the backend can make it send this one, under a number of its own.
    let forged = br#"{"type":"notification","data":{"notification_id":"notif_1","type":"alert",
        "metadata":{"anomaly_id":"a-1"}}}"#;
    assert_eq!(record(forged), None);
}
