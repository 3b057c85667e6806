//! What must hold for every input.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use watchpost_visionguard::{
    Backend, Claims, Confidence, EXCERPT_BYTES, Message, ParseOptions, Parser, Picture, PictureLimits,
    excerpt, outgoing,
};

const SAMPLES: [&[u8]; 5] = [
    include_bytes!("../fixtures/2_notification_alert.json"),
    include_bytes!("../fixtures/4_notification_owl_eye.json"),
    include_bytes!("../fixtures/6_ping.json"),
    br#"{"type":"anomaly_detected","stream_id":"s","result":{"score":-Infinity,"person_id":"2","bbox":{"x":1,"y":2,"w":3,"h":4},"pose_dict":{"1":[NaN]}},"annotated_frame":"/9j/4AAEAQL/wAAICAACAAMB/9oAAwEHB//Z"}"#,
    br#"{"id":1,"stream_id":"s","person_id":1,"timestamp":"2026-11-23T01:16:30Z","frame":"\/9j\/4AAEAQL","details":{"status":"x","confidence":0.5}}"#,
];

/// Does all that the hub does with a message; the point is that it returns.
fn use_fully(text: &[u8]) {
    let shown = excerpt(text);
    assert!(!shown.contains('\n'));
    let mut parser = Parser::new(ParseOptions { keep_pose: true });
    match parser.parse(text) {
        Ok(Message::Alert(alert)) => {
            let ack = outgoing::ack(&alert.stream_id, alert.source_id.as_ref());
            assert!(serde_json::from_str::<Value>(&ack).unwrap().is_object());
            assert!(alert.score.is_none_or(f64::is_finite));
            if let Some(pose) = alert.pose {
                let _ = serde_json::from_str::<Value>(pose.get());
            }
            if let Some(timestamp) = alert.timestamp {
                let _ = timestamp.parse();
            }
            if let Ok(frame) = alert
                .picture
                .and_then(|picture| picture.decode(PictureLimits::default()))
            {
                assert!(frame.width > 0 && frame.height > 0);
            }
        }
        Ok(other) => drop(format!("{other:?}")),
        Err(error) => drop(error.to_string()),
    }
}

/// The same cases on every run; looking for new ones is the fuzz target's work.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 512,
        rng_seed: RngSeed::Fixed(0x5EED),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..400)) {
        use_fully(&text);
        let _ = Picture::from_base64(&String::from_utf8_lossy(&text)).decode(PictureLimits::default());
        let _ = Claims::peek(&String::from_utf8_lossy(&text));
        let _ = Backend::parse(&String::from_utf8_lossy(&text));
    }

    #[test]
    fn any_text_made_of_a_messages_pieces(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\\", "\"type\"", "\"result\"", "\"details\"", "\"data\"", "\"metadata\"",
            "\"score\"", "\"id\"", "\"frame\"", "\"anomaly_detected\"", "\"notification\"", "NaN", "-Infinity", "null", "1",
            "-1e9", "\"é\"", "\n", " ",
        ]), 0..40),
    ) {
        use_fully(pieces.concat().as_bytes());
    }

    #[test]
    fn any_sample_with_bytes_changed_cut_and_moved(
        sample in prop::sample::select(SAMPLES.to_vec()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6),
    ) {
        let mut text = sample.to_vec();
        for (index, byte, edit) in edits {
            let at = index.index(text.len().max(1)).min(text.len().saturating_sub(1));
            match edit {
                _ if text.is_empty() => text.push(byte),
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 => text.truncate(at),
                _ => text.rotate_left(at),
            }
        }
        use_fully(&text);
    }

    #[test]
    fn an_alert_in_either_shape_reads_back(
        documented in any::<bool>(),
        stream in "\\PC{1,40}", status in "\\PC{1,20}", person in any::<i64>(), id in any::<i64>(),
        score in prop::num::f64::NORMAL | prop::num::f64::ZERO, number in any::<bool>(), ascii in any::<bool>(),
    ) {
        let confidence = if number { json!(score) } else { json!("Low") };
        let value = if documented {
            json!({"id": id, "stream_id": stream, "person_id": person, "timestamp": "2026-11-23T01:16:30", "score": score,
                "details": {"status": status, "confidence": confidence}})
        } else {
            json!({"type": "anomaly_detected", "id": id, "stream_id": stream,
                "result": {"person_id": person, "score": score, "status": status, "confidence": confidence}})
        };
        let mut text = value.to_string();
        if ascii {
            text = text.chars().map(|c| if c.is_ascii() { c.to_string() } else { escaped(c) }).collect();
        }
        let mut parser = Parser::default();
        let Ok(Message::Alert(alert)) = parser.parse(text.as_bytes()) else { panic!("not an alert: {text}") };
        prop_assert_eq!(&*alert.stream_id, &*stream);
        prop_assert_eq!(&*alert.status, &*status);
        prop_assert_eq!(alert.person_id, person);
        prop_assert_eq!(alert.score, Some(score));
        let expected = if number { Confidence::Number(score) } else { Confidence::Word("Low".into()) };
        prop_assert_eq!(alert.confidence, Some(expected));
        let ack = outgoing::ack(&alert.stream_id, alert.source_id.as_ref());
        prop_assert_eq!(serde_json::from_str::<Value>(&ack).unwrap(), json!({"type": "ack", "stream_id": stream, "id": id}));
        prop_assert!(alert.defects.is_empty());
    }

    #[test]
    fn python_numbers_never_reach_into_strings(name in "(NaN|-?Infinity|\\\\\\\\|\\\\\"|[a-z,:\\[])*", token in "NaN|-?Infinity") {
        let text = format!(r#"{{"type":"anomaly_detected","user_id":"{name}","score":{token},"stream_id":"{name}."}}"#);
        let plain: String = serde_json::from_str(&format!("\"{name}\"")).unwrap();
        let mut parser = Parser::default();
        let Ok(Message::Alert(alert)) = parser.parse(text.as_bytes()) else { panic!("not an alert: {text}") };
        prop_assert_eq!(alert.user_id.as_deref().unwrap_or_default(), &*plain);
        prop_assert_eq!(&*alert.stream_id, format!("{plain}."));
        prop_assert_eq!(alert.score, None);
    }

    #[test]
    fn an_excerpt_shows_no_secret_wherever_it_stands(
        before in "[ !#-\\[\\]-~é]{0,120}",
        name in "\"(token|access_token|password|annotated_frame|frame)\" ?: ?\"|\\?token=|&token=|token: ",
        secret in "[A-Za-z0-9+/]{6,40}", after in "[\"&}, ]?",
    ) {
        // A word of its own, so that finding it in the excerpt means a leak and no accident.
        let secret = format!("Zq9{secret}");
        prop_assume!(!before.contains(&secret));
        let text = format!("{before} {name}{secret}{after}");
        prop_assert!(!excerpt(text.as_bytes()).contains(&secret), "{}", excerpt(text.as_bytes()));
    }

    #[test]
    fn an_excerpt_shows_no_long_run(before in "\\PC{0,100}", run in "[A-Za-z0-9+/_.-]{64,300}", after in "\\PC{0,50}") {
        let shown = excerpt(format!("{before}{run}{after}").as_bytes());
        let long = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.len() > 63);
        prop_assert!(!shown.contains(&run) && !long(&shown), "{shown}");
        prop_assert!(shown.chars().count() < 4 * EXCERPT_BYTES);
    }
}

/// A character as `\u` escapes, the way Python's `json.dumps` writes it.
fn escaped(c: char) -> String {
    c.encode_utf16(&mut [0; 2])
        .iter()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect()
}
