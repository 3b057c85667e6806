//! The picture of an alert: how it decodes, and what is said when it does not.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use expect_test::expect;
use watchpost_visionguard::{JpegFrame, Message, Parser, Picture, PictureLimits, PictureProblem};

/// A whole JPEG of 3x2 pixels as far as its markers tell.
const JPEG: &str = "/9j/4AAEAQL/wAAICAACAAMB/9oAAwEHB//Z";

fn decode(picture: &str) -> Result<JpegFrame, PictureProblem> {
    let text = format!(r#"{{"type":"anomaly_detected","annotated_frame":{picture},"frame_format":"jpeg"}}"#);
    match Parser::default().parse(text.as_bytes()) {
        Ok(Message::Alert(alert)) => alert
            .picture
            .and_then(|picture| picture.decode(PictureLimits::default())),
        other => panic!("not an alert: {other:?}"),
    }
}

#[test]
fn a_missing_picture_has_its_reason() {
    let reason = |picture: &str| decode(picture).unwrap_err().to_string();
    expect!["the message had no picture"].assert_eq(&reason("null"));
    expect!["the message's picture is empty"].assert_eq(&reason("\"\""));
    expect!["the message's picture should be base64 text, but is an object"].assert_eq(&reason("{}"));
    expect!["the picture is not base64: its 15 characters are damaged at character 4"]
        .assert_eq(&reason("\"/9j/!not base64\""));
    expect!["the picture is not base64: its 9 characters are damaged at character 8"]
        .assert_eq(&reason("\"/9j/4AAQ=\""));
    expect!["the picture is not base64: its 6 characters are damaged at character 0"]
        .assert_eq(&reason("\"\\ud800\""));
    expect![[r#"the picture is not a JPEG: it begins with 89 50 4E 47, the message calls it "jpeg""#]]
        .assert_eq(&reason("\"iVBORw0KGgo=\""));
    expect!["the picture is cut off: its 24 bytes lack a JPEG's end marker"]
        .assert_eq(&reason(&format!("\"{}\"", &JPEG[..JPEG.len() - 4])));
    expect!["the picture's JPEG header is damaged at byte 4"].assert_eq(&reason("\"/9j/4AAAAAAA/9k=\""));
    expect!["the picture's JPEG header does not say its width and height"].assert_eq(&reason("\"/9j/2Q==\""));
}

#[test]
fn a_picture_may_carry_the_browsers_prefix() {
    let plain = Picture::from_base64(JPEG)
        .decode(PictureLimits::default())
        .unwrap();
    assert_eq!((plain.width, plain.height, plain.bytes.len()), (3, 2, 27));
    for prefix in ["data:image/jpeg;base64,", "data:image\\/jpeg;base64,"] {
        assert_eq!(decode(&format!("\"{prefix}{JPEG}\"")), Ok(plain.clone()));
    }
}

#[test]
fn lines_the_alphabet_of_urls_and_no_padding_are_base64_too() {
    let plain = Picture::from_base64(JPEG)
        .decode(PictureLimits::default())
        .unwrap();
    let urls = JPEG.replace('/', "_").replace('+', "-");
    for text in [
        format!("{}\\r\\n{}\\n", &JPEG[..12], &JPEG[12..]),
        urls.clone(),
        format!(" {}\\t{}", &urls[..5], &urls[5..]),
    ] {
        assert_eq!(decode(&format!("\"{text}\"")), Ok(plain.clone()), "{text}");
    }
    // Two bytes more, as after the end of a picture.
    let padded = format!("{JPEG}AAA=");
    assert_eq!(
        decode(&format!("\"{}\"", padded.trim_end_matches('='))),
        decode(&format!("\"{padded}\""))
    );
}

#[test]
fn limits_hold_before_and_after_decoding() {
    let picture = Picture::from_base64(JPEG);
    let limits = PictureLimits::default();
    let too_large = picture
        .decode(PictureLimits {
            max_bytes: 20,
            ..limits
        })
        .unwrap_err();
    expect!["the picture has about 27 bytes, more than the 20 allowed"].assert_eq(&too_large.to_string());
    let too_wide = picture
        .decode(PictureLimits {
            max_side: 2,
            ..limits
        })
        .unwrap_err();
    expect!["the picture measures 3x2 pixels, more than the 2 allowed on a side"]
        .assert_eq(&too_wide.to_string());
    assert!(
        picture
            .decode(PictureLimits {
                max_bytes: 27,
                max_side: 3
            })
            .is_ok()
    );
    // Not base64 at all, but too large to find that out.
    let huge = "!".repeat(1 << 20);
    let problem = Picture::from_base64(&huge)
        .decode(PictureLimits {
            max_bytes: 1 << 10,
            ..limits
        })
        .unwrap_err();
    assert!(matches!(problem, PictureProblem::TooLarge { .. }));
}

#[test]
fn the_picture_is_borrowed_from_the_message() {
    let text = format!(r#"{{"type":"anomaly_detected","annotated_frame":"{JPEG}"}}"#);
    let mut parser = Parser::default();
    let Ok(Message::Alert(alert)) = parser.parse(text.as_bytes()) else {
        panic!("not an alert")
    };
    let inside = alert.picture.unwrap().raw_base64().as_ptr();
    assert!(text.as_bytes().as_ptr_range().contains(&inside));
}

#[test]
fn an_escaped_picture_is_the_same_picture() {
    let escaped = decode(&format!("\"{}\"", JPEG.replace('/', "\\/")));
    assert!(escaped.is_ok());
    assert_eq!(escaped, decode(&format!("\"{JPEG}\"")));
}
