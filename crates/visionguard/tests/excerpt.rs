//! What a log line shows of messages that could not be read.

use expect_test::{Expect, expect};
use watchpost_visionguard::excerpt;

fn check(text: impl AsRef<[u8]>, expected: Expect) {
    expected.assert_eq(&excerpt(text.as_ref()));
}

#[test]
fn a_short_message_is_shown_whole_on_one_line() {
    check(
        "{\"type\":\"ping\",\n\t\"x\":\"caf\u{e9}\"\u{7}}",
        expect![[r#"{"type":"ping",\n\t"x":"café"\u{7}}"#]],
    );
    check("", expect![[""]]);
}

#[test]
fn a_real_alert_shows_its_names_and_no_picture() {
    check(
        include_bytes!("../fixtures/1_anomaly_detected_bbox.json"),
        expect![[
            r#"{"type":"anomaly_detected","user_id":"34598841-acab-401e-aea1-0dee13f318ec","stream_id":"3544c7ab-a57f-478e-918e-bb579162847a","result":{"sequence_id":0,"person_id":1,"start_frame":1,"end_frame":12,"s… (107319 bytes in all)"#
        ]],
    );
    let text = format!(
        r#"{{"type":"anomaly_detected","annotated_frame":"{}","frame":null,"frame":"#,
        "/9j/4AA".repeat(1000)
    );
    check(
        text,
        expect![[
            r#"{"type":"anomaly_detected","annotated_frame":"<7000 bytes left out>… (7069 bytes in all)"#
        ]],
    );
    check(
        include_bytes!("../fixtures/client_owl_eye_detection.json"),
        expect![[
            r#"{"type": "owl_eye_detection", "data": {"timestamp": "2025-12-03T10:30:00.000Z", "frame_data": "<77075 bytes left out>… (77359 bytes in all)"#
        ]],
    );
}

#[test]
fn tokens_and_passwords_are_left_out_in_every_place() {
    check(
        r#"{"access_token":"abc","password" : "a \" b!","x":1}"#,
        expect![[r#"{"access_token":"<3 bytes left out>","password" : "<7 bytes left out>","x":1}"#]],
    );
    check(
        "GET /ws/alerts/u-1?token=abc.def&x=1 HTTP/1.1",
        expect!["GET /ws/alerts/u-1?token=<7 bytes left out>&x=1 HTTP/1.1"],
    );
    check(
        "Authorization: Bearer abc def\nnext",
        expect![[r#"Authorization: <14 bytes left out>\nnext"#]],
    );
    check(
        r#"{"message":"{\"token\":\"abc\",\"n\":5}"}"#,
        expect![[r#"{"message":"{\"token\":\"<14 bytes left out>"}"#]],
    );
    check(
        "see eyJhbGciOiJIUzI1NiJ9.eyJzdWIi and go on",
        expect!["see <29 bytes left out> and go on"],
    );
}

#[test]
fn bytes_that_are_no_text_are_counted() {
    check(
        [b"\xFF\xD8\xFF\xE0".as_slice(), b"abc", b"\0"].concat(),
        expect![[r#"<4 bytes left out>abc\u{0}"#]],
    );
}
