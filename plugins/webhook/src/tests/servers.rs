//! Servers that do what they are asked and say so badly, that say nothing, or that do not want the picture.

use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost_sink::Outcome;
use watchpost_sink::testing::{Bench, alert};
use watchpost_testkit::{Behavior, HttpAnswer, HttpRequest, HttpServer, Nginx};

use super::{bench, noise, with_picture};
use crate::Webhook;

#[test]
fn a_status_of_2xx_is_done_whatever_follows() {
    let many: String = (0..200).map(|n| format!("X-{n}: {n}\r\n")).collect();
    for (bytes, behavior) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(),
            Behavior::Held,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(),
            Behavior::Ended,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nwithout end".to_owned(), Behavior::Held),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_owned(),
            Behavior::Ended,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnothing like a chunk\r\n".to_owned(),
            Behavior::Held,
        ),
        (
            "HTTP/1.1 200 OK\r\nServer : x\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Behavior::Ended,
        ),
        (
            "HTTP/1.1 202 OK\r\nA: b\r\n folded\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Behavior::Ended,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_owned(),
            Behavior::Ended,
        ),
        (
            "HTTP/1.1 200 \u{fc}\r\nSet-Cookie: \u{1}\r\n\r\n".to_owned(),
            Behavior::Ended,
        ),
        (
            format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n"),
            Behavior::Ended,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            Behavior::Ended,
        ),
        ("HTTP/1.1 200".to_owned(), Behavior::Held),
    ] {
        let server = HttpServer::start().unwrap();
        server.answer(HttpAnswer::raw(bytes.clone()).behavior(behavior));
        let mut sink = bench(&json!({ "url": server.url(), "timeout": "500ms" }));
        assert_eq!(sink.deliver(&alert("7")), Ok(()), "{bytes:?} {behavior:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn what_was_sent_and_not_answered_is_repeated_a_few_times_and_then_reported() {
    for answer in [
        HttpAnswer::status(200).behavior(Behavior::Silent),
        HttpAnswer::status(200).behavior(Behavior::Closed),
        HttpAnswer::raw("what a nice picture\r\n").behavior(Behavior::Ended),
    ] {
        let server = HttpServer::start().unwrap();
        server.script({
            let answer = answer.clone();
            move |_| answer.clone()
        });
        let dir = TempDir::new().unwrap();
        let config = json!({ "url": server.url(), "timeout": "200ms" }).to_string();
        for send in 1..=4 {
            // A new instance each time: a restart does not begin the count again.
            let mut sink = Bench::<Webhook>::create(&config, dir.path()).unwrap();
            let fail = sink.deliver(&alert("7")).unwrap_err();
            assert_eq!(server.requests().len(), send, "{answer:?}: {fail}");
            let outcome = if send < 4 {
                Outcome::Retry
            } else {
                Outcome::Permanent
            };
            assert_eq!(fail.outcome(), outcome, "{answer:?}: {fail}");
        }
    }
}

/// The texts that a server with this script was sent, of an alert with a picture that it took in the end.
fn texts(
    config: &Value,
    script: impl FnMut(&HttpRequest) -> HttpAnswer + Send + 'static,
) -> Vec<HttpRequest> {
    let server = HttpServer::start().unwrap();
    server.script(script);
    let mut config = config.clone();
    config["url"] = server.url().into();
    bench(&config)
        .deliver(&with_picture("7", &noise(640, 480), 640, 480))
        .unwrap();
    server.take()
}

#[test]
fn a_picture_that_is_not_wanted_does_not_cost_the_alert() {
    let refused = |status: u16, said: &'static str| move || HttpAnswer::status(status).body(said);
    for (config, answer) in [
        (
            json!({ "preset": "ntfy", "to": "gate" }),
            refused(
                400,
                r#"{"code":40014,"http":400,"error":"invalid request: attachments not allowed"}"#,
            ),
        ),
        (
            json!({ "preset": "telegram", "token": "1:a", "to": "-100" }),
            refused(
                400,
                r#"{"ok":false,"error_code":400,"description":"Bad Request: IMAGE_PROCESS_FAILED"}"#,
            ),
        ),
        (
            json!({ "preset": "discord" }),
            refused(400, r#"{"code":40005,"message":"Request entity too large"}"#),
        ),
        (
            json!({ "preset": "pushover", "token": "a", "to": "u" }),
            refused(400, r#"{"attachment":"is not an image","status":0}"#),
        ),
        (
            json!({ "preset": "matrix", "token": "t", "to": "!a:b" }),
            refused(413, r#"{"errcode":"M_TOO_LARGE"}"#),
        ),
        (
            json!({ "preset": "matrix", "token": "t", "to": "!a:b" }),
            refused(403, r#"{"errcode":"M_FORBIDDEN"}"#),
        ),
        (json!({ "preset": "apprise" }), refused(413, "")),
        (json!({ "preset": "discord" }), refused(413, "")),
        (json!({ "body": "multipart" }), refused(413, "<html>nginx</html>")),
        (json!({ "body": "json" }), refused(415, "")),
    ] {
        let shown = config.to_string();
        let requests = texts(&config, move |request| {
            let pictured = request.target.contains("/media/")
                || request.body.windows(4).any(|bytes| bytes == b"\xff\xd8\xff\xe0")
                || request.body.windows(9).any(|bytes| bytes == b"\"base64\":");
            if pictured {
                return answer();
            }
            HttpAnswer::status(200).body(r#"{"ok":true,"status":1,"event_id":"$1"}"#)
        });
        let last = requests.last().unwrap();
        let said = format!("{}{}", last.target, String::from_utf8_lossy(&last.body));
        assert!(
            said.contains("picture was left out") || said.contains("picture+was+left+out"),
            "{shown}: {said}"
        );
    }
}

#[test]
fn a_proxy_that_takes_a_megabyte_gets_a_smaller_picture() {
    let server = HttpServer::start().unwrap();
    let proxy = Nginx::start(server.address()).unwrap();
    let url = format!("{}/hook", proxy.url());
    let config = json!({
        "url": url, "ca_file": proxy.ca(), "body": "multipart", "headers": { "X-Gate": "open" },
    });
    let picture = noise(1600, 1200);
    assert!(picture.len() > 1 << 20);
    let mut sink = bench(&config);
    sink.deliver(&with_picture("7", &picture, 1600, 1200)).unwrap();
    let requests = server.take();
    assert_eq!(requests.len(), 1, "what is too large does not get past the proxy");
    let parts = requests[0].parts().unwrap();
    let sent = parts.iter().find(|part| part.name == "picture").unwrap();
    assert!(sent.bytes.len() <= 100_000 && sent.bytes.starts_with(b"\xff\xd8"));
}

#[test]
fn what_a_service_says_of_its_configuration_keeps_the_alert_and_names_the_key() {
    for (config, status, said, key) in [
        (
            json!({ "preset": "ntfy", "to": "gate", "token": "t" }),
            403,
            r#"{"code":40301}"#,
            "/token",
        ),
        (
            json!({ "preset": "telegram", "token": "t", "to": "1" }),
            404,
            r#"{"ok":false}"#,
            "/token",
        ),
        (
            json!({ "preset": "telegram", "token": "t", "to": "1" }),
            400,
            r#"{"ok":false,"description":"Bad Request: chat not found"}"#,
            "/to",
        ),
        (
            json!({ "preset": "discord" }),
            404,
            r#"{"message":"Unknown Webhook"}"#,
            "/url",
        ),
        (json!({ "preset": "discord" }), 401, "", "/url"),
        (
            json!({ "preset": "pushover", "token": "t", "to": "u" }),
            400,
            r#"{"token":"invalid"}"#,
            "/token",
        ),
        (
            json!({ "preset": "pushover", "token": "t", "to": "u" }),
            400,
            r#"{"user":"invalid"}"#,
            "/to",
        ),
        (json!({ "preset": "gotify", "token": "t" }), 401, "", "/token"),
        (
            json!({ "preset": "matrix", "token": "t", "to": "!a:b" }),
            401,
            r#"{"errcode":"M_UNKNOWN_TOKEN"}"#,
            "/token",
        ),
        (
            json!({ "preset": "slack", "token": "t", "to": "C" }),
            200,
            r#"{"ok":false,"error":"not_in_channel"}"#,
            "/to",
        ),
        (
            json!({ "preset": "slack", "token": "t", "to": "C" }),
            200,
            r#"{"ok":false,"error":"token_revoked"}"#,
            "/token",
        ),
        (json!({ "preset": "slack" }), 404, "no_service", "/url"),
        (json!({}), 401, "", "/url"),
        (json!({ "token": "t" }), 401, "", "/token"),
        (json!({ "user": "u", "password": "p" }), 403, "", "/password"),
    ] {
        let server = HttpServer::start().unwrap();
        server.script(move |_| HttpAnswer::status(status).body(said));
        let mut config = config;
        config["url"] = server.url().into();
        let fail = bench(&config).deliver(&alert("7")).unwrap_err();
        assert_eq!(fail.outcome(), Outcome::Retry, "{config}: {fail}");
        assert_eq!(fail.notes().next().unwrap().0, key, "{config}: {fail}");
    }
}

#[test]
fn an_answer_whose_body_decides_and_cannot_be_read_counts_as_none() {
    for config in [
        json!({ "preset": "slack", "token": "t", "to": "C" }),
        json!({ "preset": "pushover", "token": "t", "to": "u" }),
    ] {
        let server = HttpServer::start().unwrap();
        server.script(|_| HttpAnswer::status(200).body("<html>welcome to the hotel</html>"));
        let mut config = config;
        config["url"] = server.url().into();
        let fail = bench(&config).deliver(&alert("7")).unwrap_err();
        assert_eq!(fail.outcome(), Outcome::Retry);
        assert!(fail.to_string().contains("1 of 4 times"), "{fail}");
    }
}
