//! Any bytes as a message of the alert socket. It asserts what a log, an answer and a stored alert rely on.
//!
//! From `crates/visionguard`: `cargo +nightly fuzz run parse_message fuzz/corpus/parse_message fuzz/seeds`.
//! The first directory, which must exist, takes what is found; the second is only read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchpost_visionguard::{Message, ParseOptions, Parser, PictureLimits, excerpt, outgoing};

fuzz_target!(|text: &[u8]| {
    let shown = excerpt(text);
    assert!(!shown.contains(char::is_control), "an excerpt is one line");
    // 63 characters, and the `n` of an escaped line break before them.
    let breaks = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/'));
    assert!(
        shown.split(breaks).all(|run| run.len() <= 64),
        "an excerpt shows no picture"
    );

    let mut parser = Parser::new(ParseOptions { keep_pose: true });
    match parser.parse(text) {
        Ok(Message::Alert(alert)) => {
            assert!(alert.score.is_none_or(f64::is_finite));
            assert!(!alert.stream_id.is_empty() && !alert.status.is_empty());
            assert!(
                !outgoing::ack(&alert.stream_id, alert.source_id.as_ref()).is_empty(),
                "it can be acknowledged"
            );
            if let Some(timestamp) = &alert.timestamp {
                let _ = timestamp.parse();
            }
            if let Ok(frame) = alert
                .picture
                .and_then(|picture| picture.decode(PictureLimits::default()))
            {
                assert!(frame.width > 0 && frame.height > 0 && frame.bytes.starts_with(&[0xFF, 0xD8]));
            }
        }
        Ok(other) => drop(format!("{other:?}")),
        Err(error) => drop(error.to_string()),
    }
});
