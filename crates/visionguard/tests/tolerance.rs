//! Both shapes of an alert, mixtures of them, wrong types, words JSON does not know, and hostile input.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use expect_test::{Expect, expect};
use watchpost_visionguard::{
    Alert, MAX_TEXT_BYTES, Message, ParseOptions, Parser, PictureLimits, PictureProblem, outgoing,
};

/// A whole JPEG of 3x2 pixels as far as its markers tell.
const JPEG: &str = "/9j/4AAEAQL/wAAICAACAAMB/9oAAwEHB//Z";

fn with_alert<T>(text: &str, then: impl FnOnce(Alert<'_>) -> T) -> T {
    let mut parser = Parser::default();
    match parser.parse(text.as_bytes()) {
        Ok(Message::Alert(alert)) => then(*alert),
        other => panic!("not an alert: {other:?}"),
    }
}

fn check(text: &str, expected: Expect) {
    with_alert(text, |alert| expected.assert_debug_eq(&alert));
}

fn check_error(text: impl AsRef<[u8]>, expected: Expect) {
    expected.assert_eq(&Parser::default().parse(text.as_ref()).unwrap_err().to_string());
}

fn defects(text: &str) -> String {
    with_alert(text, |alert| {
        alert.defects.iter().map(|d| format!("{d}\n")).collect()
    })
}

#[test]
fn the_documented_shape() {
    let text = format!(
        r#"{{"id":1795396590521,"stream_id":"front","person_id":2,"timestamp":"2026-11-23T01:16:30.521Z",
            "frame":"{JPEG}","details":{{"status":"Abnormal","confidence":0.87}}}}"#
    );
    check(
        &text,
        expect![[r#"
        Alert {
            source_id: Some(
                SourceId {
                    text: "1795396590521",
                    is_number: true,
                },
            ),
            user_id: None,
            stream_id: "front",
            person_id: 2,
            score: None,
            confidence: Some(
                Number(
                    0.87,
                ),
            ),
            classification: None,
            status: "Abnormal",
            bbox: None,
            frame_number: None,
            start_frame: None,
            end_frame: None,
            sequence_id: None,
            timestamp: Some(
                TimestampText(
                    "2026-11-23T01:16:30.521Z",
                ),
            ),
            pose: None,
            picture: Ok(
                Picture {
                    text_len: 36,
                    format: None,
                },
            ),
            defects: [],
        }
    "#]],
    );
}

#[test]
fn a_mixture_takes_each_field_from_where_it_is() {
    let text = r#"{"type":"anomaly_detected","id":"a-7","details":{"status":"theft","person_id":9,"score":-3},
        "result":{"person_id":"2","score":-1.5,"confidence":"High","bbox":{"x":1,"y":2,"w":3.5,"h":4,"z":0}}}"#;
    check(
        text,
        expect![[r#"
        Alert {
            source_id: Some(
                SourceId {
                    text: "a-7",
                    is_number: false,
                },
            ),
            user_id: None,
            stream_id: "unknown",
            person_id: 2,
            score: Some(
                -1.5,
            ),
            confidence: Some(
                Word(
                    "High",
                ),
            ),
            classification: None,
            status: "theft",
            bbox: Some(
                BoundingBox {
                    x: 1.0,
                    y: 2.0,
                    w: 3.5,
                    h: 4.0,
                },
            ),
            frame_number: None,
            start_frame: None,
            end_frame: None,
            sequence_id: None,
            timestamp: None,
            pose: None,
            picture: Err(
                Absent,
            ),
            defects: [],
        }
    "#]],
    );
}

#[test]
fn an_alert_with_nothing_in_it_has_the_documented_defaults() {
    check(
        r#"{"type":"anomaly_detected"}"#,
        expect![[r#"
        Alert {
            source_id: None,
            user_id: None,
            stream_id: "unknown",
            person_id: 0,
            score: None,
            confidence: None,
            classification: None,
            status: "unknown",
            bbox: None,
            frame_number: None,
            start_frame: None,
            end_frame: None,
            sequence_id: None,
            timestamp: None,
            pose: None,
            picture: Err(
                Absent,
            ),
            defects: [],
        }
    "#]],
    );
    with_alert(
        r#"{"type":"anomaly_detected","stream_id":"","result":{"status":null}}"#,
        |alert| {
            assert_eq!((&*alert.stream_id, &*alert.status), ("unknown", "unknown"));
            assert_eq!(alert.defects, []);
        },
    );
}

#[test]
fn wrong_types_cost_the_field_and_not_the_alert() {
    let text = r#"{"type":"anomaly_detected","id":{},"user_id":5,"stream_id":["x"],"timestamp":1795396590521,
        "details":"none","annotated_frame":17,"frame_format":false,
        "result":{"person_id":2.5,"score":"low","confidence":[],"classification":{},"status":true,"bbox":[1,2,3,4],
        "frame_number":"30","start_frame":3e1,"end_frame":"x","sequence_id":99999999999999999999}}"#;
    expect![[r#"
        `details` should be an object, but is text
        `id` should be a number or text, but is an object
        `frame_format` should be valid text of at most 4096 bytes, but is true or false
        `user_id` should be valid text of at most 4096 bytes, but is a number
        `stream_id` should be valid text of at most 4096 bytes, but is an array
        `person_id` should be a whole number of 64 bits, but is a number
        `score` should be a number, but is text
        `confidence` should be a number or a word, but is an array
        `classification` should be valid text of at most 4096 bytes, but is an object
        `status` should be valid text of at most 4096 bytes, but is true or false
        `bbox` should be an object of the numbers x, y, w and h, but is an array
        `end_frame` should be a whole number of 64 bits, but is text
        `sequence_id` should be a whole number of 64 bits, but is a number
        `timestamp` should be valid text of at most 4096 bytes, but is a number
    "#]]
    .assert_eq(&defects(text));
    with_alert(text, |alert| {
        assert_eq!(
            (alert.person_id, alert.frame_number, alert.start_frame),
            (0, Some(30), Some(30))
        );
        assert_eq!(alert.picture, Err(PictureProblem::NotText { found: "a number" }));
    });
}

#[test]
fn a_defect_at_one_place_lets_the_next_place_speak() {
    let text = r#"{"type":"anomaly_detected","person_id":{},"result":{"person_id":3}}"#;
    assert_eq!(with_alert(text, |alert| alert.person_id), 3);
    assert_eq!(
        defects(text),
        "`person_id` should be a whole number of 64 bits, but is an object\n"
    );
}

#[test]
fn text_beyond_the_limit_and_half_a_surrogate_are_defects() {
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    let text = format!(r#"{{"type":"anomaly_detected","stream_id":"{long}","user_id":"\ud800"}}"#);
    expect![[r#"
        `user_id` should be valid text of at most 4096 bytes, but is text
        `stream_id` should be valid text of at most 4096 bytes, but is a longer text
    "#]]
    .assert_eq(&defects(&text));
    let text = format!(r#"{{"type":"{long}"}}"#);
    assert!(
        matches!(Parser::default().parse(text.as_bytes()), Ok(Message::Unknown { kind }) if kind.is_empty())
    );
}

#[test]
fn escapes_are_undone() {
    let text = r#"{"\u0074ype":"anomaly\u005fdetected","stream_id":"caf\u00e9 \"2\"","result":{"pers\u006fn_id":4}}"#;
    with_alert(text, |alert| {
        assert_eq!((&*alert.stream_id, alert.person_id), ("café \"2\"", 4))
    });
}

#[test]
fn no_score_in_every_spelling() {
    for token in [
        "NaN",
        "Infinity",
        "-Infinity",
        "null",
        "1e999",
        "-1e999",
        "\"NaN\"",
        "\"-inf\"",
        "\"\"",
    ] {
        let text = format!(
            r#"{{"type":"anomaly_detected","stream_id":"NaN \"Infinity","result":{{"score":{token},"person_id":2,
                "pose_dict":{{"1":[NaN,-Infinity]}}}},"annotated_frame":"{JPEG}"}}"#
        );
        with_alert(&text, |alert| {
            assert_eq!(
                (alert.score, alert.person_id, &*alert.stream_id),
                (None, 2, "NaN \"Infinity"),
                "{token}"
            );
            assert_eq!(alert.defects, [], "{token}");
            assert!(alert.picture.unwrap().decode(PictureLimits::default()).is_ok());
        });
    }
}

#[test]
fn the_kept_pose_of_a_mended_message_is_json() {
    let mut parser = Parser::new(ParseOptions { keep_pose: true });
    let text = br#"{"type":"anomaly_detected","result":{"pose_dict":{"1":[NaN,-Infinity,"NaN"]}}}"#;
    let Ok(Message::Alert(alert)) = parser.parse(text) else {
        panic!("not an alert")
    };
    assert_eq!(alert.pose.unwrap().get(), r#"{"1":[null,null     ,"NaN"]}"#);
}

#[test]
fn an_id_is_acknowledged_as_it_came() {
    for id in [
        "7",
        "-7",
        "1.0",
        "123456789012345678901234567890",
        "1e3",
        "\"7\"",
        "\"a\\\"b\"",
    ] {
        let ack = with_alert(&format!(r#"{{"id":{id},"details":{{}}}}"#), |alert| {
            outgoing::ack(&alert.stream_id, alert.source_id.as_ref())
        });
        assert_eq!(
            ack,
            format!(r#"{{"type":"ack","stream_id":"unknown","id":{id}}}"#)
        );
    }
    for id in ["null", "\"\"", "true", "[1]"] {
        assert_eq!(
            with_alert(&format!(r#"{{"id":{id},"details":{{}}}}"#), |alert| alert
                .source_id),
            None
        );
    }
}

#[test]
fn what_is_no_message_says_where_and_why() {
    check_error(
        "",
        expect!["the message is not JSON: EOF while parsing a value at line 1 column 1 (byte 0)"],
    );
    check_error(
        "hello",
        expect!["the message is not JSON: expected value at line 1 column 1 (byte 0)"],
    );
    check_error(
        "{\"type\":\"ping\",\n \"x\" 1}",
        expect!["the message is not JSON: expected `:` at line 2 column 6 (byte 21)"],
    );
    check_error(
        r#"{"type":"anomaly_detected","annotated_frame":"/9j/4AA"#,
        expect!["the message is not JSON: EOF while parsing a string at line 1 column 53 (byte 52)"],
    );
    check_error(
        "{\"a\":NaN,\n\"b\":NaN,\"c\":oops}",
        expect!["the message is not JSON: expected value at line 2 column 13 (byte 22)"],
    );
    check_error(
        r#"{"type":"ping"} {"type":"ping"}"#,
        expect!["the message is not JSON: trailing characters at line 1 column 17 (byte 16)"],
    );
    check_error(
        [b"{\"type\":\"ping".as_slice(), &[0xFF]].concat(),
        expect!["the message is not UTF-8 text: byte 13 does not belong"],
    );
    check_error(
        "[1]",
        expect!["the message is an array where a JSON object was expected"],
    );
    check_error(
        "null",
        expect!["the message is null where a JSON object was expected"],
    );
    check_error(
        "{}",
        expect!["the message has no `type`, and none of an alert's fields (`result`, `details`, `frame`)"],
    );
    check_error(
        r#"{"type":5,"id":1}"#,
        expect!["the message has no `type`, and none of an alert's fields (`result`, `details`, `frame`)"],
    );
}

#[test]
fn the_place_of_an_error_is_its_place_in_what_was_received() {
    let text = "{\"a\":NaN,\"é\":-Infinity,\n\"b\":NaN,\"c\":oops}";
    let error = Parser::default().parse(text.as_bytes()).unwrap_err();
    let watchpost_visionguard::ParseError::Syntax { line, offset, .. } = error else {
        panic!("{error}")
    };
    let oops = text.find("oops").unwrap();
    assert_eq!(line, 2);
    assert!((oops..=oops + 1).contains(&offset), "{offset} is not at {oops}");
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    check_error(
        deep("{\"result\":", "}"),
        expect!["the message is not JSON: recursion limit exceeded at line 1 column 1271 (byte 1270)"],
    );
    check_error(
        deep("[", "]"),
        expect!["the message is an array where a JSON object was expected"],
    );
    // What is not looked into may be as deep as it likes.
    let text = format!(
        r#"{{"type":"anomaly_detected","result":{{"pose_dict":{},"person_id":1}}}}"#,
        deep("[", "]")
    );
    assert_eq!(with_alert(&text, |alert| alert.person_id), 1);
}
