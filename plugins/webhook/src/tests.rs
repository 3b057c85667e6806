//! The sink on the bench, against a server that answers as it is told.

mod presets;
mod servers;
mod trust;

use std::time::Duration;

use base64_simd::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use ring::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::form_urlencoded;
use watchpost_sink::testing::{Bench, TestAlert, TestFrame, alert};
use watchpost_sink::{Fail, Outcome};
use watchpost_testkit::{Behavior, HttpAnswer, HttpRequest, HttpServer};

use crate::Webhook;

/// A picture that no scaling can make equal: its bytes only begin like a JPEG.
const PICTURE: &[u8] = b"\xff\xd8 not text \r\n--watchpost-00000000\r\n \xff\xd9";

pub(crate) fn bench(config: &Value) -> Bench<Webhook> {
    Bench::create(&config.to_string(), watchpost_testkit::state_dir()).unwrap()
}

fn refused(config: &Value) -> String {
    Bench::<Webhook>::check(&config.to_string())
        .unwrap_err()
        .to_string()
}

pub(crate) fn with_picture(id: &str, bytes: &[u8], width: u32, height: u32) -> TestAlert {
    let frame = TestFrame {
        mime: "image/jpeg".into(),
        name: "frame.jpg".into(),
        bytes: bytes.into(),
        width,
        height,
    };
    TestAlert {
        title: "Anomaly at the gate".into(),
        text: "Someone \"new\" <at> the gate & inside: Jürgen 🚨".into(),
        json: json!({ "id": id, "camera": { "id": "gate" } }).to_string(),
        frames: vec![frame],
        ..alert(id)
    }
}

/// A JPEG that compresses badly.
pub(crate) fn noise(width: u32, height: u32) -> Vec<u8> {
    let mut state = 1u32;
    let picture = image::RgbImage::from_fn(width, height, |_, _| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        image::Rgb(state.to_le_bytes()[..3].try_into().unwrap())
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90)
        .encode_image(&picture)
        .unwrap();
    bytes
}

/// What the server was asked when one alert was told.
fn told(config: Value, alert: &TestAlert) -> HttpRequest {
    let server = HttpServer::start().unwrap();
    let mut config = config;
    config["url"] = format!("{}/hook?a=b", server.url()).into();
    bench(&config).deliver(alert).unwrap();
    let mut requests = server.take();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

#[test]
fn a_json_document_holds_the_alert_and_its_picture() {
    let alert = with_picture("7", PICTURE, 4, 3);
    let request = told(
        json!({ "fields": { "site": "{{ id }}", "name": "shop {{ camera }}" } }),
        &alert,
    );
    assert_eq!(
        [request.method.as_str(), request.target.as_str()],
        ["POST", "/hook?a=b"]
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("idempotency-key"), Some("7"));
    let mut document = request.json().unwrap();
    let picture = document["pictures"][0]["base64"].take();
    assert_eq!(
        STANDARD.decode_to_vec(picture.as_str().unwrap()).unwrap(),
        PICTURE
    );
    let expected = json!({
        "id": "7", "title": alert.title, "text": alert.text, "severity": "high", "unix_ms": alert.unix_ms,
        "alert": { "id": "7", "camera": { "id": "gate" } },
        "pictures": [{ "name": "frame.jpg", "type": "image/jpeg", "base64": null }],
        "site": 7, "name": "shop gate",
    });
    assert_eq!(document, expected);
}

#[test]
fn a_form_holds_the_same() {
    let alert = with_picture("7", PICTURE, 4, 3);
    let request = told(
        json!({ "body": "form", "method": "PUT", "fields": { "title": "Mine & yours" } }),
        &alert,
    );
    assert_eq!(request.method, "PUT");
    let form: Vec<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
    let get = |key: &str| {
        let values: Vec<&str> = form
            .iter()
            .filter(|(name, _)| name == key)
            .map(|(_, value)| &**value)
            .collect();
        assert_eq!(values.len(), 1, "{key}");
        values[0]
    };
    assert_eq!([get("title"), get("text")], ["Mine & yours", &alert.text]);
    assert_eq!(STANDARD.decode_to_vec(get("picture")).unwrap(), PICTURE);
}

#[test]
fn a_multipart_body_holds_the_picture_byte_for_byte_even_if_it_looks_like_a_boundary() {
    let alert = with_picture("7", PICTURE, 4, 3);
    let request = told(json!({ "body": "multipart" }), &alert);
    let parts = request.parts().unwrap();
    let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["id", "title", "text", "severity", "alert", "picture"]);
    assert_eq!(parts[2].bytes, alert.text.as_bytes());
    assert_eq!(parts[5].file.as_deref(), Some("frame.jpg"));
    assert_eq!(parts[5].mime.as_deref(), Some("image/jpeg"));
    assert_eq!(parts[5].bytes, PICTURE);
}

#[test]
fn a_template_is_the_whole_body() {
    let alert = with_picture("7", PICTURE, 4, 3);
    let template = r#"{"summary": {{ text | tojson }}, "n": {{ id }}}"#;
    let request = told(
        json!({ "body": "template", "template": template, "method": "PATCH" }),
        &alert,
    );
    assert_eq!(request.method, "PATCH");
    assert_eq!(request.json().unwrap(), json!({ "summary": alert.text, "n": 7 }));

    let plain = json!({ "body": "template", "template": "{{ title }}!", "content_type": "text/plain" });
    let request = told(plain, &alert);
    assert_eq!(request.body, b"Anomaly at the gate!");
    assert_eq!(request.header("content-type"), Some("text/plain"));

    // It is JSON until a text has a quote in it.
    let broken =
        json!({ "url": "https://h.example", "body": "template", "template": r#"{"text": "{{ title }}"}"# });
    let fail = Bench::<Webhook>::check(&broken.to_string()).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::BadConfig);
    let expected = "/template: of an alert of hostile texts it makes no JSON (";
    assert!(
        fail.to_string().contains(expected) && fail.to_string().contains("tojson"),
        "{fail}"
    );
}

#[test]
fn a_bare_get_is_possible() {
    let request = told(json!({ "body": "none", "method": "GET" }), &alert("7"));
    assert_eq!(
        [request.method.as_str(), request.target.as_str()],
        ["GET", "/hook?a=b"]
    );
    assert!(request.body.is_empty());
}

#[test]
fn a_link_can_stand_for_the_picture() {
    let alert = with_picture("7", PICTURE, 4, 3);
    let config = json!({ "picture": "link", "link": "https://hub.example.com/alerts/{{ id }}" });
    let document = told(config, &alert).json().unwrap();
    assert_eq!(document["link"], "https://hub.example.com/alerts/7");
    assert_eq!(document["pictures"], json!([]));
    let document = told(json!({ "picture": "none" }), &alert).json().unwrap();
    assert_eq!(
        [&document["pictures"], &document["link"]],
        [&json!([]), &Value::Null]
    );
}

#[test]
fn headers_are_templates_that_cannot_break_out() {
    let hostile = TestAlert {
        title: "a\r\nX-Evil: yes\r\n\r\nGET / HTTP/1.1".into(),
        ..alert("7")
    };
    let config = json!({ "headers": { "X-Title": "{{ title }}", "User-Agent": "gate", "X-Name": "Jürgen" } });
    let request = told(config, &hostile);
    assert_eq!(
        request.header("x-title"),
        Some("a  X-Evil: yes    GET / HTTP/1.1")
    );
    assert_eq!(request.header("x-evil"), None);
    assert_eq!(
        [request.header("user-agent"), request.header("x-name")],
        [Some("gate"), Some("Jürgen")]
    );
}

#[test]
fn requests_are_signed_and_authorized() {
    let dir = TempDir::new().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let request = told(
        json!({ "token_file": token, "signing_key": "whsec_a2V5" }),
        &alert("7"),
    );
    assert_eq!(request.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(request.header("webhook-id"), Some("7"));
    let time = request.header("webhook-timestamp").unwrap();
    let signed = [format!("7.{time}.").as_bytes(), &request.body].concat();
    let signature = request
        .header("webhook-signature")
        .unwrap()
        .strip_prefix("v1,")
        .unwrap();
    let signature = STANDARD.decode_to_vec(signature).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
    hmac::verify(&key, &signed, &signature).unwrap();

    let request = told(json!({ "user": "me", "password": "pass word" }), &alert("7"));
    assert_eq!(request.header("authorization"), Some("Basic bWU6cGFzcyB3b3Jk"));
    assert_eq!(request.header("webhook-signature"), None);
}

#[test]
fn every_status_has_its_outcome() {
    let server = HttpServer::start().unwrap();
    let mut sink = bench(&json!({ "url": server.url(), "token": "s3cret" }));
    for status in (200..=599).filter(|status| *status != 304) {
        let answer = HttpAnswer::status(status)
            .header("Location", "/elsewhere")
            .header("Retry-After", "7");
        server.answer(if status == 204 {
            answer
        } else {
            answer.body("it says s3cret\nand more")
        });
        let told = sink.deliver(&alert("7"));
        match status {
            200..300 => assert_eq!(told, Ok(()), "{status}"),
            408 | 425 | 429 | 500..=510 | 512.. => {
                let fail = told.unwrap_err();
                assert_eq!(fail.outcome(), Outcome::Retry, "{status}");
                assert_eq!(fail.retry_after(), Some(Duration::from_secs(7)), "{status}");
            }
            // A mistake of the operator costs no alert, and its message names the key.
            300..=399 | 401 | 403 | 404 | 405 | 407 | 511 | 410 | 421 | 426 | 451 => {
                let fail = told.unwrap_err();
                assert_eq!(fail.outcome(), Outcome::Retry, "{status}");
                let key = if matches!(status, 401 | 403 | 407 | 511) {
                    "/token"
                } else {
                    "/url"
                };
                assert_eq!(fail.notes().next().unwrap().0, key, "{status}");
                assert!(!fail.to_string().contains("s3cret"), "{fail}");
            }
            _ => {
                let fail = told.unwrap_err();
                assert_eq!(fail.outcome(), Outcome::Permanent, "{status}");
                assert!(!fail.to_string().contains("s3cret"), "{fail}");
            }
        }
    }
    assert_eq!(server.requests().len(), 399, "one request each");
}

/// What came of an alert that the server answered in this behavior.
fn failure(behavior: Behavior) -> Fail {
    let server = HttpServer::start().unwrap();
    server.answer(HttpAnswer::status(200).body("x".repeat(100)).behavior(behavior));
    let url = format!("{}/a/secret/path", server.url());
    let mut sink = bench(&json!({ "url": url, "timeout": "200ms" }));
    let fail = sink.deliver(&alert("7")).unwrap_err();
    assert!(!fail.to_string().contains("secret"), "{fail}");
    let mut patient = bench(&json!({ "url": url }));
    assert_eq!(patient.deliver(&alert("7")), Ok(()), "the next time it works");
    fail
}

#[test]
fn a_server_that_does_not_answer_is_tried_again() {
    for (behavior, expected) in [
        (Behavior::Silent, "did not answer in time"),
        (Behavior::Closed, ""),
    ] {
        let fail = failure(behavior);
        assert_eq!(fail.outcome(), Outcome::Retry, "{fail}");
        assert!(
            fail.to_string().contains(expected),
            "{fail} should say {expected}"
        );
    }
}

#[test]
fn a_server_that_is_gone_is_tried_again_and_found_when_it_is_back() {
    let mut server = HttpServer::start().unwrap();
    let mut sink = bench(&json!({ "url": server.url() }));
    sink.deliver(&alert("1")).unwrap();
    server.stop();
    for _ in 0..3 {
        let fail = sink.deliver(&alert("2")).unwrap_err();
        assert_eq!(fail.outcome(), Outcome::Retry, "{fail}");
    }
    assert!(
        sink.probe()
            .unwrap_err()
            .to_string()
            .contains("does the server run?")
    );
    server.restart().unwrap();
    sink.deliver(&alert("2")).unwrap();
    let ids: Vec<_> = server
        .requests()
        .iter()
        .map(|r| r.header("idempotency-key").unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["1", "2"]);
}

#[test]
fn a_cancelled_call_sends_nothing() {
    let server = HttpServer::start().unwrap();
    let mut sink = bench(&json!({ "url": server.url() }));
    sink.cancel_next();
    assert_eq!(sink.deliver(&alert("7")).unwrap_err().outcome(), Outcome::Retry);
    assert!(server.requests().is_empty());
}

#[test]
fn redirects_are_followed_only_if_the_site_wants_and_on_the_same_host() {
    let (server, other) = (HttpServer::start().unwrap(), HttpServer::start().unwrap());
    let elsewhere = other.url().replace("127.0.0.1", "localhost");
    server.script(move |request| match request.target.as_str() {
        "/moved" => HttpAnswer::status(307).header("Location", "/here"),
        "/old" => HttpAnswer::status(301).header("Location", "here"),
        "/see" => HttpAnswer::status(303).header("Location", "/here"),
        "/away" => HttpAnswer::status(308).header("Location", &format!("{elsewhere}/secret")),
        "/round" => HttpAnswer::status(302).header("Location", "/round"),
        _ => HttpAnswer::status(200),
    });
    let at = |path: &str, redirects: u32| {
        let url = format!("{}{path}", server.url());
        let told = bench(&json!({ "url": url, "redirects": redirects, "token": "t" })).deliver(&alert("7"));
        told.map_err(|fail| {
            assert_eq!(fail.outcome(), Outcome::Retry, "{fail}");
            assert_eq!(fail.notes().next().unwrap().0, "/url", "{fail}");
            fail.to_string()
        })
    };
    let fail = at("/moved", 0).unwrap_err();
    assert!(
        fail.contains("307 and leads to") && !fail.contains("/here"),
        "{fail}"
    );
    for path in ["/moved", "/old"] {
        drop(server.take());
        assert_eq!(at(path, 1), Ok(()));
        let requests = server.take();
        assert_eq!(
            [requests[0].target.as_str(), requests[1].target.as_str()],
            [path, "/here"]
        );
        assert_eq!(requests[0].body, requests[1].body);
        assert_eq!(requests[1].method, "POST");
        assert_eq!(requests[1].header("authorization"), Some("Bearer t"));
    }
    for path in ["/see", "/away", "/round"] {
        assert!(at(path, 3).is_err(), "{path}");
    }
    assert!(other.requests().is_empty(), "nothing went to another host");
}

#[test]
fn large_pictures_are_made_to_fit_and_small_ones_left_as_they_are() {
    let (large, small) = (noise(640, 480), noise(32, 24));
    let pictures = |alert: &TestAlert| {
        let request = told(json!({ "body": "multipart", "max_picture": "20KB" }), alert);
        let parts = request.parts().unwrap();
        let text = String::from_utf8(parts[2].bytes.clone()).unwrap();
        let pictures: Vec<_> = parts.into_iter().filter(|part| part.file.is_some()).collect();
        (pictures, text)
    };
    assert!(large.len() > 20_000 && small.len() < 20_000);
    assert_eq!(pictures(&with_picture("7", &small, 32, 24)).0[0].bytes, small);
    let (scaled, _) = pictures(&with_picture("7", &large, 640, 480));
    assert!(scaled[0].bytes.len() <= 20_000);
    let decoded = image::load_from_memory(&scaled[0].bytes).unwrap();
    let shape = f64::from(decoded.width()) / f64::from(decoded.height());
    assert!((shape - 640.0 / 480.0).abs() < 0.05, "the shape stays: {shape}");
    assert!(decoded.width() > 60, "{}", decoded.width());
    // What is no picture is left out, and the text says so.
    let (none, text) = pictures(&with_picture("7", &[0xff; 30_000], 640, 480));
    assert!(none.is_empty() && text.contains("cannot be scaled"), "{text}");
}

#[test]
fn a_probe_sends_nothing_to_be_shown() {
    let server = HttpServer::start().unwrap();
    let mut sink = bench(&json!({ "url": server.url() }));
    for (status, works) in [(200, true), (405, true), (501, true), (503, false)] {
        server.answer(HttpAnswer::status(status));
        assert_eq!(sink.probe().is_ok(), works, "{status}");
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.method == "OPTIONS" && request.body.is_empty())
    );
}

#[test]
fn mistakes_are_explained() {
    let url = "https://alerts.example.com/hook";
    for (config, expected) in [
        (json!({}), "missing field `url`"),
        (json!({ "url": "alerts" }), "/url"),
        (
            json!({ "url": "ftp://example.com" }),
            "/url: it has to begin with https://",
        ),
        (
            json!({ "url": "https://me:pw@example.com" }),
            "/url: it holds a user",
        ),
        (json!({ "url": url, "uri": "x" }), "unknown field `uri`"),
        (
            json!({ "url": url, "token": "a", "token_file": "/b" }),
            "/token_file: there is `token` too",
        ),
        (
            json!({ "url": url, "token_file": "b" }),
            "/token_file: `b` is relative",
        ),
        (
            json!({ "url": url, "user": "a" }),
            "/password_file: there is a user without",
        ),
        (
            json!({ "url": url, "token": "t", "user": "a", "password": "b" }),
            "/token: a request has one",
        ),
        (
            json!({ "url": url, "cert_file": "/c" }),
            "/key_file: a certificate needs its key",
        ),
        (
            json!({ "url": url, "headers": { "a b": "" } }),
            "/headers/a b: this is no name",
        ),
        (
            json!({ "url": url, "headers": { "Host": "" } }),
            "/headers/Host: this header follows",
        ),
        (
            json!({ "url": url, "title": "{{ title" }),
            "/title: it is no template",
        ),
        (json!({ "url": url, "picture": "link" }), "/link: with"),
        (json!({ "url": url, "body": "template" }), "/template: with"),
        (
            json!({ "url": url, "template": "a" }),
            "/body: there is a template",
        ),
        (json!({ "url": url, "method": "GET" }), "/body: a GET has no body"),
        (
            json!({ "url": url, "timeout": "0s" }),
            "/timeout: `0s` is not a duration",
        ),
        (
            json!({ "url": url, "max_picture": "1KiB" }),
            "/max_picture: less than 4KiB",
        ),
        (json!({ "url": url, "to": "x" }), "/to: it goes with a preset"),
        (
            json!({ "url": url, "preset": "telegram", "to": "1" }),
            "/token_file: this service wants a token",
        ),
        (
            json!({ "url": url, "preset": "telegram", "token": "1" }),
            "/to: it has to say who",
        ),
        (
            json!({ "url": url, "preset": "matrix", "token": "1", "to": "#a:b" }),
            "/to: a room's id begins",
        ),
        (
            json!({ "url": url, "preset": "discord", "token": "1" }),
            "/token: this service has its secret",
        ),
        (
            json!({ "url": url, "preset": "teams", "body": "form" }),
            "/body: the preset knows",
        ),
    ] {
        let error = refused(&config);
        assert!(
            error.contains(expected),
            "{config}: {error} should say {expected}"
        );
    }
    let error = Bench::<Webhook>::create(
        &json!({ "url": url, "token_file": "/nowhere" }).to_string(),
        "/tmp",
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("/token_file: the secret cannot be read: /nowhere: No such file")
    );
}

#[test]
fn the_example_is_right() {
    let described = Bench::<Webhook>::describe();
    Bench::<Webhook>::check(&described["example"].to_string()).unwrap();
    assert_eq!(described["needs"]["connect"], json!(["config.url"]));
}

#[test]
fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({ "url": "http://127.0.0.1:1/hook" });
    let findings = watchpost_sink::testing::conformance::<Webhook>(&config, dir.path());
    assert_eq!(findings, [""; 0]);
}
