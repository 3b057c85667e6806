//! Each preset against what its service documents.

use std::time::Duration;

use base64_simd::STANDARD;
use serde_json::{Value, json};
use url::Url;
use watchpost_sink::testing::{TestAlert, alert};
use watchpost_sink::{Outcome, Severity};
use watchpost_testkit::{HttpAnswer, HttpPart, HttpRequest, HttpServer};

use super::{bench, noise, with_picture};

const PICTURE: &[u8] = b"\xff\xd8 the picture \xff\xd9";

/// A server that answers every request by this document, and the requests that one alert led to.
fn told(answer: Value, config: Value, alert: &TestAlert) -> Vec<HttpRequest> {
    let server = HttpServer::start().unwrap();
    server.script(move |_| HttpAnswer::status(200).body(answer.to_string()));
    bench(&at(&server, config)).deliver(alert).unwrap();
    server.take()
}

fn at(server: &HttpServer, mut config: Value) -> Value {
    let path = config["path"].take();
    config.as_object_mut().unwrap().remove("path");
    config["url"] = format!("{}{}", server.url(), path.as_str().unwrap_or_default()).into();
    config
}

fn pictured() -> TestAlert {
    with_picture("7", PICTURE, 640, 480)
}

/// An alert with a text that is longer than anybody takes.
fn endless(picture: bool) -> TestAlert {
    let base = if picture { pictured() } else { alert("7") };
    TestAlert {
        title: "🚨é\"".repeat(2_000),
        text: "🚨é\"".repeat(40_000),
        ..base
    }
}

fn part<'a>(parts: &'a [HttpPart], name: &str) -> &'a HttpPart {
    parts
        .iter()
        .find(|part| part.name == name)
        .unwrap_or_else(|| panic!("no part {name}"))
}

fn text(parts: &[HttpPart], name: &str) -> String {
    String::from_utf8(part(parts, name).bytes.clone()).unwrap()
}

fn query(request: &HttpRequest, name: &str) -> String {
    let url = Url::parse(&format!("http://host{}", request.target)).unwrap();
    url.query_pairs()
        .find(|(key, _)| key == name)
        .unwrap()
        .1
        .into_owned()
}

#[test]
fn ntfy_gets_the_picture_as_the_body() {
    let config =
        json!({ "preset": "ntfy", "to": "gate", "token": "tk_1", "fields": { "tags": "{{ severity }}" } });
    let request = told(json!({}), config.clone(), &pictured()).remove(0);
    assert_eq!(request.method, "PUT");
    assert!(request.target.starts_with("/gate?"));
    assert_eq!(request.body, PICTURE);
    assert_eq!(request.header("authorization"), Some("Bearer tk_1"));
    assert_eq!(query(&request, "message"), pictured().text);
    assert_eq!(
        [query(&request, "priority"), query(&request, "tags")],
        ["4", "high"]
    );
    assert_eq!(query(&request, "filename"), "frame.jpg");

    let request = told(json!({}), config.clone(), &endless(false)).remove(0);
    assert!((4090..=4096).contains(&request.body.len()));
    assert!(String::from_utf8(request.body).unwrap().ends_with('…'));

    let large = noise(1600, 1200);
    assert!(large.len() > 2_000_000);
    let request = told(json!({}), config, &with_picture("7", &large, 1600, 1200)).remove(0);
    assert!(request.body.len() <= 2_000_000 && request.body.starts_with(b"\xff\xd8"));
}

#[test]
fn telegram_gets_a_photo_with_a_caption_or_a_text() {
    let config = json!({ "preset": "telegram", "token": "12:AB", "to": "-100" });
    let ok = json!({ "ok": true });
    let request = told(ok.clone(), config.clone(), &endless(true)).remove(0);
    assert_eq!(request.target, "/bot12:AB/sendPhoto");
    let parts = request.parts().unwrap();
    assert_eq!(part(&parts, "photo").bytes, PICTURE);
    assert_eq!(text(&parts, "chat_id"), "-100");
    assert!((1023..=1024).contains(&text(&parts, "caption").encode_utf16().count()));

    let mut low = alert("8");
    low.severity = Severity::Low;
    let request = told(ok, config.clone(), &low).remove(0);
    assert_eq!(request.target, "/bot12:AB/sendMessage");
    let document = request.json().unwrap();
    assert_eq!(
        [&document["disable_notification"], &document["chat_id"]],
        [&json!(true), &json!("-100")]
    );

    let mut server = HttpServer::start().unwrap();
    let mut sink = bench(&at(&server, config));
    let busy = json!({ "ok": false, "description": "bot 12:AB is busy", "parameters": { "retry_after": 9 } });
    server.answer(HttpAnswer::status(429).body(busy.to_string()));
    let fail = sink.deliver(&pictured()).unwrap_err();
    assert_eq!(
        (fail.outcome(), fail.retry_after()),
        (Outcome::Retry, Some(Duration::from_secs(9)))
    );
    assert!(!fail.to_string().contains("12:AB"), "{fail}");
    drop(server.take());
    sink.probe().unwrap();
    assert_eq!(server.take()[0].target, "/bot12:AB/getMe");
    server.stop();
    let fail = sink.deliver(&pictured()).unwrap_err();
    assert!(!fail.to_string().contains("12:AB"), "{fail}");
}

#[test]
fn slack_gets_the_picture_as_a_file_or_a_text_without() {
    let server = HttpServer::start().unwrap();
    let place = format!("{}/upload/v1/x", server.url());
    server.script(move |request| {
        let answer = match request.target.as_str() {
            "/api/files.getUploadURLExternal" => json!({ "ok": true, "file_id": "F1", "upload_url": place }),
            _ => json!({ "ok": true }),
        };
        HttpAnswer::status(200).body(answer.to_string())
    });
    let mut sink = bench(&at(
        &server,
        json!({ "preset": "slack", "token": "xoxb", "to": "C1" }),
    ));
    sink.deliver(&pictured()).unwrap();
    let requests = server.take();
    let targets: Vec<&str> = requests.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(
        targets,
        [
            "/api/files.getUploadURLExternal",
            "/upload/v1/x",
            "/api/files.completeUploadExternal"
        ]
    );
    assert_eq!(
        requests[0].body,
        format!("filename=frame.jpg&length={}", PICTURE.len()).into_bytes()
    );
    assert_eq!(requests[0].header("authorization"), Some("Bearer xoxb"));
    assert_eq!(
        [
            requests[1].header("authorization"),
            requests[1].header("content-type")
        ],
        [None, Some("image/jpeg")]
    );
    assert_eq!(requests[1].body, PICTURE);
    let document = requests[2].json().unwrap();
    assert_eq!(
        [&document["channel_id"], &document["files"][0]["id"]],
        ["C1", "F1"]
    );
    assert!(
        document["initial_comment"]
            .as_str()
            .unwrap()
            .contains("&lt;at&gt; the gate &amp; inside")
    );

    for (error, outcome) in [
        ("ratelimited", Outcome::Retry),
        ("channel_not_found", Outcome::Retry),
        ("invalid_auth", Outcome::Retry),
        ("invalid_blocks", Outcome::Permanent),
    ] {
        server.answer(HttpAnswer::status(200).body(json!({ "ok": false, "error": error }).to_string()));
        assert_eq!(
            sink.deliver(&alert("8")).unwrap_err().outcome(),
            outcome,
            "{error}"
        );
    }
    sink.probe().unwrap();

    drop(server.take());
    let config = json!({ "preset": "slack", "path": "/services/T/B/x" });
    bench(&at(&server, config)).deliver(&endless(true)).unwrap();
    let request = server.take().remove(0);
    assert_eq!(request.target, "/services/T/B/x");
    assert_eq!(
        request.json().unwrap()["text"].as_str().unwrap().chars().count(),
        4000
    );
}

#[test]
fn discord_gets_the_picture_beside_a_message_that_calls_no_one() {
    let config =
        json!({ "preset": "discord", "path": "/api/webhooks/1/x", "fields": { "username": "Gate" } });
    let request = told(json!({}), config.clone(), &endless(true)).remove(0);
    assert_eq!(request.target, "/api/webhooks/1/x?wait=true");
    let parts = request.parts().unwrap();
    assert_eq!(part(&parts, "files[0]").bytes, PICTURE);
    let document: Value = serde_json::from_slice(&part(&parts, "payload_json").bytes).unwrap();
    assert_eq!(document["content"].as_str().unwrap().chars().count(), 2000);
    assert_eq!(
        [&document["allowed_mentions"], &document["username"]],
        [&json!({ "parse": [] }), &json!("Gate")]
    );
    let request = told(json!({}), config, &alert("8")).remove(0);
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[test]
fn gotify_gets_a_message_and_a_link() {
    let link = "https://hub.example.com/7.jpg";
    let config = json!({ "preset": "gotify", "token": "A1", "link": link, "fields": { "priority": "6" } });
    let request = told(json!({}), config, &pictured()).remove(0);
    assert_eq!(request.target, "/message");
    assert_eq!(
        [request.header("x-gotify-key"), request.header("authorization")],
        [Some("A1"), None]
    );
    let document = request.json().unwrap();
    assert_eq!(
        [&document["priority"], &document["title"]],
        [&json!(6), &json!("Anomaly at the gate")]
    );
    assert_eq!(document["extras"]["client::notification"]["bigImageUrl"], link);
}

#[test]
fn pushover_gets_an_attachment() {
    let config = json!({ "preset": "pushover", "token": "app", "to": "user" });
    let request = told(json!({ "status": 1 }), config.clone(), &endless(true)).remove(0);
    assert_eq!(request.target, "/1/messages.json");
    let parts = request.parts().unwrap();
    assert_eq!(part(&parts, "attachment").bytes, PICTURE);
    assert_eq!(
        [
            text(&parts, "token"),
            text(&parts, "user"),
            text(&parts, "priority")
        ],
        ["app", "user", "1"]
    );
    assert_eq!(text(&parts, "timestamp"), "1767225600");
    assert_eq!(
        [text(&parts, "title"), text(&parts, "message")].map(|text| text.chars().count()),
        [250, 1024]
    );

    let server = HttpServer::start().unwrap();
    let mut sink = bench(&at(&server, config));
    server.script(|_| HttpAnswer::status(200).body(r#"{"status":0}"#));
    assert_eq!(
        sink.deliver(&pictured()).unwrap_err().outcome(),
        Outcome::Permanent
    );
    assert!(sink.probe().is_err());
    assert_eq!(server.take()[2].target, "/1/users/validate.json");
}

#[test]
fn matrix_gets_the_picture_once_and_the_event_under_one_number() {
    let server = HttpServer::start().unwrap();
    server.script(|_| HttpAnswer::status(200).body(r#"{"content_uri":"mxc://host/1","event_id":"$1"}"#));
    let mut sink = bench(&at(
        &server,
        json!({ "preset": "matrix", "token": "syt", "to": "!a:host" }),
    ));
    let uploaded = HttpAnswer::status(200).body(r#"{"content_uri":"mxc://host/1"}"#);
    server.answer(uploaded);
    server.answer(HttpAnswer::status(429).body(r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1500}"#));
    let fail = sink.deliver(&endless(true)).unwrap_err();
    assert_eq!(
        (fail.outcome(), fail.retry_after()),
        (Outcome::Retry, Some(Duration::from_millis(1500)))
    );
    sink.deliver(&endless(true)).unwrap();
    let requests = server.take();
    let targets: Vec<&str> = requests.iter().map(|request| request.target.as_str()).collect();
    let event = "/_matrix/client/v3/rooms/!a:host/send/m.room.message/watchpost-test-7";
    assert_eq!(
        targets,
        ["/_matrix/media/v3/upload?filename=frame.jpg", event, event]
    );
    assert_eq!(requests[0].body, PICTURE);
    assert_eq!(
        [
            &requests[1].method,
            &requests[1].header("authorization").unwrap().to_owned()
        ],
        ["PUT", "Bearer syt"]
    );
    assert_eq!(requests[1].body, requests[2].body);
    assert!(requests[1].body.len() < 60_000, "an event has 65536 bytes");
    let document = requests[1].json().unwrap();
    assert_eq!(
        [&document["msgtype"], &document["url"]],
        ["m.image", "mxc://host/1"]
    );
    assert_eq!(
        document["info"],
        json!({ "mimetype": "image/jpeg", "size": PICTURE.len() })
    );
    // The next alert has a picture of its own.
    sink.deliver(&with_picture("8", PICTURE, 4, 3)).unwrap();
    assert_eq!(server.take().len(), 2);
}

#[test]
fn apprise_gets_attachments_and_its_strange_answers_are_understood() {
    let config = json!({ "preset": "apprise", "to": "guards", "fields": { "tag": "night" } });
    let request = told(json!({}), config.clone(), &pictured()).remove(0);
    assert_eq!(request.target, "/notify/guards");
    let parts = request.parts().unwrap();
    assert_eq!(part(&parts, "attach").bytes, PICTURE);
    assert_eq!([text(&parts, "type"), text(&parts, "tag")], ["failure", "night"]);
    let server = HttpServer::start().unwrap();
    let mut sink = bench(&at(&server, config));
    for (status, outcome) in [
        (204, Outcome::Retry),
        (424, Outcome::Retry),
        (400, Outcome::Permanent),
    ] {
        server.script(move |_| HttpAnswer::status(status));
        assert_eq!(
            sink.deliver(&pictured()).unwrap_err().outcome(),
            outcome,
            "{status}"
        );
    }
}

#[test]
fn teams_gets_a_card_of_28_kilobytes_at_most_with_a_picture_in_it() {
    let large = TestAlert {
        frames: with_picture("7", &noise(640, 480), 640, 480).frames,
        ..endless(true)
    };
    let config =
        json!({ "preset": "teams", "path": "/workflows/1?sig=x", "link": "https://hub.example.com/7" });
    let request = told(json!({}), config.clone(), &large).remove(0);
    assert_eq!(request.target, "/workflows/1?sig=x");
    assert!(request.body.len() <= 28_000, "{}", request.body.len());
    let document = request.json().unwrap();
    let card = &document["attachments"][0]["content"];
    let url = card["body"][2]["url"].as_str().unwrap();
    let picture = url.strip_prefix("data:image/jpeg;base64,").unwrap();
    let picture = image::load_from_memory(&STANDARD.decode_to_vec(picture).unwrap()).unwrap();
    assert!(picture.width() > 60, "{}", picture.width());
    assert_eq!(card["actions"][0]["url"], "https://hub.example.com/7");

    let server = HttpServer::start().unwrap();
    let said = "Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0";
    server.answer(HttpAnswer::status(200).body(said));
    let fail = bench(&at(&server, config)).deliver(&pictured()).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Retry);
}

#[test]
fn every_preset_probes_without_telling() {
    for (config, target) in [
        (json!({ "preset": "ntfy", "to": "gate" }), "GET /v1/health"),
        (
            json!({ "preset": "discord", "path": "/api/webhooks/1/x" }),
            "GET /api/webhooks/1/x",
        ),
        (json!({ "preset": "gotify", "token": "A" }), "GET /health"),
        (
            json!({ "preset": "matrix", "token": "A", "to": "!a:b" }),
            "GET /_matrix/client/v3/account/whoami",
        ),
        (json!({ "preset": "apprise" }), "GET /status"),
        (json!({ "preset": "teams", "path": "/w" }), "OPTIONS /w"),
        (
            json!({ "preset": "slack", "path": "/services/1" }),
            "OPTIONS /services/1",
        ),
    ] {
        let server = HttpServer::start().unwrap();
        let mut sink = bench(&at(&server, config));
        sink.probe().unwrap();
        server.answer(HttpAnswer::status(503));
        sink.probe().unwrap_err();
        let asked = server.take();
        assert_eq!(format!("{} {}", asked[0].method, asked[0].target), target);
    }
}
