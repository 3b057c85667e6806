//! The sink on the bench, with a real mail server.

mod servers;
mod trust;

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost_sink::Outcome;
use watchpost_sink::testing::{Bench, TestAlert, TestFrame, alert};
use watchpost_testkit::{SMTP_PASSWORD, SMTP_USER, SmtpServer};

use crate::Email;

/// A configuration for `server`, with `more` of it on top.
pub(crate) fn config(server: &SmtpServer, more: Value) -> Value {
    let mut config = json!({
        "server": "localhost",
        "port": server.port(),
        "ca_file": server.ca(),
        "user": SMTP_USER,
        "password": SMTP_PASSWORD,
        "from": "Watchpost <watchpost@example.com>",
        "to": ["guard@example.com"],
    });
    if let (Some(config), Value::Object(more)) = (config.as_object_mut(), more) {
        config.extend(more);
        config.retain(|_, value| !value.is_null());
    }
    config
}

pub(crate) fn create(config: &Value) -> Bench<Email> {
    Bench::create(&config.to_string(), watchpost_testkit::state_dir()).unwrap()
}

pub(crate) fn bench(server: &SmtpServer, more: Value) -> Bench<Email> {
    create(&config(server, more))
}

pub(crate) fn with_picture(id: &str) -> TestAlert {
    let frame = TestFrame {
        mime: "image/jpeg".into(),
        name: "frame.jpg".into(),
        bytes: (0..40_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect(),
        width: 4,
        height: 3,
    };
    TestAlert {
        frames: vec![frame],
        ..alert(id)
    }
}

/// All values of a header.
pub(crate) fn header<'a>(mail: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = mail["headers"].as_array().unwrap();
    let wanted = headers
        .iter()
        .filter(|header| header[0].as_str().unwrap().eq_ignore_ascii_case(name));
    wanted.map(|header| header[1].as_str().unwrap()).collect()
}

pub(crate) fn text(part: &Value) -> String {
    String::from_utf8(bytes(part)).unwrap()
}

/// Base64 by hand: the rig's own encoding is the only thing it has to undo.
fn bytes(part: &Value) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextets: Vec<u32> = part["bytes"]
        .as_str()
        .unwrap()
        .bytes()
        .filter_map(|byte| alphabet.iter().position(|letter| *letter == byte))
        .map(|value| u32::try_from(value).unwrap())
        .collect();
    let mut bytes = Vec::new();
    for chunk in sextets.chunks(4) {
        let word = chunk.iter().fold(0, |word, sextet| word << 6 | sextet) << (6 * (4 - chunk.len()));
        bytes.extend(&word.to_be_bytes()[1..chunk.len()]);
    }
    bytes
}

#[test]
fn a_mail_carries_the_picture_byte_for_byte_inline_and_attached() {
    let server = SmtpServer::start().unwrap();
    let alert = with_picture("7");
    bench(&server, json!({})).deliver(&alert).unwrap();
    let mails = server.mails().unwrap();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(
        mail["tree"],
        "mixed(alternative(text/plain, related(text/html, image/jpeg)), image/jpeg)"
    );
    assert_eq!([&mail["encrypted"], &mail["odd"]], [&json!(true), &json!(0)]);
    assert_eq!(mail["defects"], json!([]));
    let [words, html, inline, attached] = mail["parts"].as_array().unwrap().as_slice() else {
        panic!("{mail:#}");
    };
    assert!(
        text(words).contains("A person climbs the fence at the gate."),
        "{}",
        text(words)
    );
    let cid = inline["id"].as_str().unwrap().trim_matches(['<', '>']);
    let html = text(html);
    let at = html.find(&format!("src=\"cid:{cid}\"")).unwrap();
    assert!(
        at < html.find("<h1").unwrap(),
        "the picture stands at its mark: {html}"
    );
    assert_eq!(
        [&inline["disposition"], &attached["disposition"]],
        ["inline", "attachment"]
    );
    assert_eq!(
        [&attached["name"], &inline["name"]],
        ["alert-7.jpg", "alert-7.jpg"]
    );
    for picture in [inline, attached] {
        assert!(bytes(picture) == alert.frames[0].bytes, "the picture was altered");
    }
}

#[test]
fn the_headers_say_who_what_and_that_a_machine_wrote_it() {
    let server = SmtpServer::start().unwrap();
    let more = json!({
        "to": ["Guard <guard@example.com>"], "cc": ["Büro <office@example.com>"], "bcc": ["boss@example.com"],
        "reply_to": "desk@example.com", "subject": "{{ title }} · {{ camera }}",
    });
    let mut bench = bench(&server, more);
    // Twice the same alert: a redelivery.
    for _ in 0..2 {
        bench.deliver(&alert("7")).unwrap();
    }
    let mails = server.mails().unwrap();
    let mail = &mails[0];
    assert_eq!(
        mail["to"],
        json!(["guard@example.com", "office@example.com", "boss@example.com"])
    );
    for (name, value) in [
        ("From", "Watchpost <watchpost@example.com>"),
        ("To", "Guard <guard@example.com>"),
        ("Cc", "Büro <office@example.com>"),
        ("Reply-To", "desk@example.com"),
        ("Subject", "Abnormal behaviour · gate"),
        ("Message-ID", "<7.test@example.com>"),
        ("Date", "Thu, 01 Jan 2026 00:00:00 +0000"),
        ("Auto-Submitted", "auto-generated"),
        ("List-Id", "<test.watchpost.example.com>"),
        ("Importance", "high"),
    ] {
        assert_eq!(header(mail, name), [value], "{name}");
    }
    assert!(!mail.to_string().replace("\"to\":", "").contains("Bcc"), "{mail}");
    assert!(!mail["headers"].to_string().contains("boss"), "{mail}");
    assert_eq!(header(&mails[1], "Message-ID"), header(mail, "Message-ID"));
}

#[test]
fn an_alert_cannot_add_headers_recipients_or_mails() {
    let server = SmtpServer::start().unwrap();
    let evil =
        "x\r\nBcc: <spy@example.com>\r\n\r\n.\r\nMAIL FROM:<a@b.example>\r\n\u{0}\u{85}\u{2028}<script>";
    let mut alert = with_picture("7");
    alert.title = evil.into();
    alert.text = format!("{evil}\n.\n.\r\n\r.\r");
    alert.json = json!({ "camera": { "id": evil } }).to_string();
    alert.frames[0].name = "../\"x\"\r\nBcc: a@b.example".into();
    alert.frames[0].mime = "text/html\r\nBcc: a@b.example".into();
    bench(&server, json!({})).deliver(&alert).unwrap();
    let mails = server.mails().unwrap();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(
        [&mail["to"], &mail["defects"]],
        [&json!(["guard@example.com"]), &json!([])]
    );
    assert_eq!(
        header(mail, "Subject"),
        ["[high] x Bcc: <spy@example.com> . MAIL FROM:<a@b.example> <script>"]
    );
    assert_eq!(mail["odd"], 0);
    assert!(header(mail, "Bcc").is_empty());
    let parts = mail["parts"].as_array().unwrap();
    let words = text(&parts[0]).replace("\r\n", "\n");
    assert!(
        words.contains("\u{2028}<script>\n.\n.\n.\n\nHappened: "),
        "{words:?}"
    );
    assert!(!text(&parts[1]).contains("<script>"), "HTML is escaped");
    assert_eq!(parts[3]["type"], "application/octet-stream");
    assert_eq!(parts[3]["name"], "alert-7.bin");
    assert!(bytes(&parts[3]) == alert.frames[0].bytes);
}

#[test]
fn the_shape_of_a_mail_is_what_the_site_wants() {
    let server = SmtpServer::start().unwrap();
    let picture = with_picture("7");
    for (more, alert, tree) in [
        (json!({}), &alert("7"), "alternative(text/plain, text/html)"),
        (json!({"html": ""}), &alert("7"), "text/plain"),
        (json!({"html": ""}), &picture, "mixed(text/plain, image/jpeg)"),
        (
            json!({"html": "", "picture": "inline"}),
            &picture,
            "mixed(text/plain, image/jpeg)",
        ),
        (json!({"html": "", "picture": "none"}), &picture, "text/plain"),
        (
            json!({"picture": "inline"}),
            &picture,
            "alternative(text/plain, related(text/html, image/jpeg))",
        ),
        (
            json!({"picture": "attached"}),
            &picture,
            "mixed(alternative(text/plain, text/html), image/jpeg)",
        ),
    ] {
        let shown = more.to_string();
        bench(&server, more).deliver(alert).unwrap();
        assert_eq!(server.mails().unwrap().last().unwrap()["tree"], tree, "{shown}");
    }
    let more =
        json!({"to": null, "bcc": ["boss@example.com"], "html": "<p>{{ title }}</p>", "picture": "inline"});
    bench(&server, more).deliver(&picture).unwrap();
    let mails = server.mails().unwrap();
    let mail = mails.last().unwrap();
    assert_eq!(header(mail, "To"), ["undisclosed-recipients:;"]);
    let html = text(&mail["parts"][1]);
    assert!(
        html.starts_with("<p>Abnormal behaviour</p><p style=\"margin: 0\"><img "),
        "{html}"
    );
    assert!(
        html.contains("alt=\"Picture of gate, 2026-01-01 00:00:00 UTC\""),
        "{html}"
    );
}

#[test]
fn every_kind_of_encryption_and_login_works() {
    let credentials = ["--user", SMTP_USER, "--password", SMTP_PASSWORD];
    for security in ["starttls", "tls", "none"] {
        for login in ["plain", "login", "xoauth2"] {
            let only = login.to_uppercase();
            let mut options = vec!["--security", security, "--only", &only];
            options.extend(credentials);
            let server = SmtpServer::with(&options).unwrap();
            let mut bench = bench(&server, json!({ "security": security, "login": login }));
            bench.probe().unwrap();
            bench.deliver(&alert("7")).unwrap();
            let mail = &server.mails().unwrap()[0];
            assert_eq!(mail["encrypted"], security != "none", "{security} {login}");
        }
    }
    let open = SmtpServer::with(&["--security", "none"]).unwrap();
    let more = json!({"security": "none", "user": null, "password": null, "ca_file": null});
    bench(&open, more).deliver(&alert("7")).unwrap();
    assert_eq!(open.mails().unwrap().len(), 1);
}

/// What a probe and a delivery say: outcome, pointer and wait.
fn said(bench: &mut Bench<Email>) -> [(Outcome, String, String); 2] {
    [bench.probe(), bench.deliver(&alert("7"))].map(|result| {
        let fail = result.unwrap_err();
        let (pointer, why) = fail.notes().next().unwrap();
        (fail.outcome(), pointer.to_owned(), why.to_owned())
    })
}

#[test]
fn what_is_wrong_with_the_server_names_its_key_and_keeps_the_alert() {
    let server = SmtpServer::start().unwrap();
    let tls = SmtpServer::with(&["--security", "tls", "--only", "SOMETHING"]).unwrap();
    let bare = SmtpServer::with(&["--security", "none"]).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let no_login = json!({"user": null, "password": null});
    let with = |mut more: Value| {
        more.as_object_mut()
            .unwrap()
            .extend(no_login.as_object().unwrap().clone());
        more
    };
    for (server, more, pointer, expected) in [
        (
            &server,
            json!({"password": "wrong"}),
            "/password",
            "refuses the login of watchpost: 535",
        ),
        (
            &server,
            json!({"ca_file": null}),
            "/ca_file",
            "an authority that this machine does not trust",
        ),
        (
            &server,
            json!({"server": "127.0.0.1"}),
            "/server",
            "the certificate of 127.0.0.1 is for localhost",
        ),
        (
            &server,
            json!({"security": "tls"}),
            "/security",
            "does not speak TLS at this port",
        ),
        (&bare, with(json!({})), "/security", "offers no STARTTLS"),
        (
            &tls,
            with(json!({"timeout": "300ms"})),
            "",
            "does not answer in time",
        ),
        (
            &tls,
            json!({"security": "tls"}),
            "/login",
            "does not offer this kind of login",
        ),
        (&server, json!({"port": free}), "", "takes no connections at port"),
        (
            &server,
            json!({"server": "no-such-host.invalid"}),
            "",
            "the name no-such-host.invalid is not found",
        ),
        (
            &server,
            json!({"password": null, "password_file": "/no/such"}),
            "/password_file",
            "cannot be read",
        ),
    ] {
        let [probe, delivery] = said(&mut bench(server, more));
        let outcome = if pointer.is_empty() {
            Outcome::Retry
        } else {
            Outcome::BadConfig
        };
        assert_eq!((probe.0, probe.1.as_str()), (outcome, pointer), "{}", probe.2);
        assert_eq!(
            (delivery.0, delivery.1.as_str()),
            (Outcome::Retry, pointer),
            "{}",
            delivery.2
        );
        assert!(probe.2.contains(expected), "{} should say {expected}", probe.2);
        assert_eq!(probe.2, delivery.2);
    }
    let wanted = said(&mut bench(&server, with(json!({}))));
    assert!(wanted[1].2.contains("wants a login: 530"), "{}", wanted[1].2);
}

#[test]
fn a_refused_login_waits_and_a_renewed_password_file_ends_it() {
    let server = SmtpServer::start().unwrap();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "old\n").unwrap();
    let mut bench = bench(&server, json!({"password": null, "password_file": file}));
    let fail = bench.deliver(&alert("7")).unwrap_err();
    assert_eq!(fail.retry_after(), Some(Duration::from_secs(300)));
    std::fs::write(&file, format!("{SMTP_PASSWORD}\n")).unwrap();
    bench.deliver(&alert("7")).unwrap();
    assert_eq!(server.mails().unwrap().len(), 1);
}

#[test]
fn a_file_without_certificates_is_a_mistake_in_the_configuration() {
    let server = SmtpServer::start().unwrap();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("ca.pem");
    for content in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&file, content).unwrap();
        let config = config(&server, json!({ "ca_file": file })).to_string();
        let fail = Bench::<Email>::create(&config, watchpost_testkit::state_dir()).unwrap_err();
        assert_eq!(fail.outcome(), Outcome::BadConfig, "{fail}");
        assert_eq!(fail.notes().next().unwrap().0, "/ca_file", "{fail}");
    }
}

#[test]
fn a_refused_recipient_keeps_the_alert_and_a_refused_mail_does_not() {
    let server = SmtpServer::with(&[
        "--size",
        "20000",
        "--user",
        SMTP_USER,
        "--password",
        SMTP_PASSWORD,
    ])
    .unwrap();
    for (to, outcome, expected) in [
        (
            json!(["later@example.com"]),
            Outcome::Retry,
            "takes no mail for later@example.com: 451 4.7.1 greylisted",
        ),
        (
            json!(["never@example.com"]),
            Outcome::Retry,
            "/to: localhost takes no mail for never@example.com: 550 5.1.1 no such user",
        ),
        (
            json!(["never@example.com", "later@example.com"]),
            Outcome::Retry,
            "451",
        ),
    ] {
        let mut bench = bench(&server, json!({ "to": to }));
        let fail = bench.deliver(&alert("7")).unwrap_err();
        assert_eq!(fail.outcome(), outcome, "{fail}");
        assert!(fail.to_string().contains(expected), "{fail}");
    }
    let mut bench = bench(&server, json!({}));
    let mut endless = alert("7");
    endless.text = "x".repeat(30_000);
    let fail = bench.deliver(&endless).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Permanent, "{fail}");
    assert!(
        fail.to_string().contains("takes mails of up to 20000 bytes"),
        "{fail}"
    );
    assert_eq!(server.mails().unwrap().len(), 0);
    bench.deliver(&alert("8")).unwrap();
    assert_eq!(server.mails().unwrap().len(), 1);
}

#[test]
fn a_server_that_takes_no_large_mails_gets_a_smaller_one() {
    // The picture is of 40,000 bytes, which base64 makes 55,000.
    for (size, tree) in [
        (
            "130000",
            "mixed(alternative(text/plain, related(text/html, image/jpeg)), image/jpeg)",
        ),
        ("80000", "alternative(text/plain, related(text/html, image/jpeg))"),
        ("20000", "alternative(text/plain, text/html)"),
    ] {
        let server = SmtpServer::with(&["--size", size, "--user", SMTP_USER, "--password", SMTP_PASSWORD]);
        let server = server.unwrap();
        bench(&server, json!({})).deliver(&with_picture("7")).unwrap();
        let mails = server.mails().unwrap();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0]["tree"], tree, "{size}");
        for part in mails[0]["parts"].as_array().unwrap().iter().take(2) {
            let said = text(part).contains("The picture was left out");
            assert_eq!(said, size == "20000", "{size}: {}", text(part));
        }
    }
}

#[test]
fn one_refused_address_neither_keeps_the_mail_from_the_others_nor_repeats_it() {
    let server = SmtpServer::start().unwrap();
    let to = json!(["once@example.com", "guard@example.com", "never@example.com"]);
    let mut bench = bench(&server, json!({ "to": to }));
    assert_eq!(bench.deliver(&alert("7")).unwrap_err().outcome(), Outcome::Retry);
    bench.deliver(&alert("7")).unwrap();
    let to: Vec<Value> = server
        .mails()
        .unwrap()
        .iter()
        .map(|mail| mail["to"].clone())
        .collect();
    assert_eq!(to, [json!(["guard@example.com"]), json!(["once@example.com"])]);
    let log = bench.log().join("\n");
    assert_eq!(
        log.matches("never@example.com does not get alert 7").count(),
        1,
        "{log}"
    );
}

#[test]
fn a_connection_that_the_server_has_closed_is_replaced_without_a_word() {
    let mut server = SmtpServer::start().unwrap();
    let mut bench = bench(&server, json!({}));
    bench.deliver(&alert("7")).unwrap();
    server.kill().unwrap();
    assert_eq!(bench.deliver(&alert("8")).unwrap_err().outcome(), Outcome::Retry);
    server.restart().unwrap();
    bench.deliver(&alert("8")).unwrap();
    server.kill().unwrap();
    server.restart().unwrap();
    bench.deliver(&alert("9")).unwrap();
    assert_eq!(server.mails().unwrap().len(), 3);
}

#[test]
fn a_cancelled_call_ends_before_it_begins() {
    let server = SmtpServer::start().unwrap();
    let mut bench = bench(&server, json!({}));
    bench.cancel_next();
    assert_eq!(bench.deliver(&alert("7")).unwrap_err().outcome(), Outcome::Retry);
    assert_eq!(server.mails().unwrap().len(), 0);
}

#[test]
fn the_example_is_right_and_needs_are_named_by_their_keys() {
    let description = Bench::<Email>::describe();
    Bench::<Email>::check(&description["example"].to_string()).unwrap();
    assert_eq!(
        description["needs"]["connect"],
        json!(["config.server:config.port"])
    );
}

#[test]
fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({ "server": "127.0.0.1", "port": 1, "security": "none", "from": "a@example.com", "to": ["b@example.com"] });
    let findings = watchpost_sink::testing::conformance::<Email>(&config, dir.path());
    assert_eq!(findings, [""; 0]);
}
