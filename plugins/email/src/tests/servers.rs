//! Servers that are slow, mute, unreadable, choosy or gone: what was done is not done for ever, what is too much goes
//! smaller, and what the operator has to mend keeps the alert and names the key.

use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost_sink::testing::{Bench, alert};
use watchpost_sink::{Fail, Outcome};
use watchpost_testkit::{ScriptedSmtp, SmtpAnswer};

use super::{create, with_picture};
use crate::Email;

/// A configuration for a server that neither encrypts nor wants a login.
fn config(server: &ScriptedSmtp, more: &Value) -> Value {
    let mut config = json!({
        "server": "127.0.0.1",
        "port": server.port(),
        "security": "none",
        "from": "a@example.com",
        "to": ["guard@example.com"],
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    config
}

fn bench(server: &ScriptedSmtp, more: &Value) -> Bench<Email> {
    create(&config(server, more))
}

/// Answers like this at a step that begins so, and else as usual.
fn at(step: &'static str, answer: SmtpAnswer) -> impl FnMut(&str) -> SmtpAnswer + Send + 'static {
    move |line| {
        let is_it = if step.is_empty() {
            line.is_empty()
        } else {
            line.starts_with(step)
        };
        if is_it { answer.clone() } else { SmtpAnswer::Usual }
    }
}

fn first_note(fail: &Fail) -> (String, String) {
    let (pointer, why) = fail.notes().next().unwrap();
    (pointer.to_owned(), why.to_owned())
}

#[test]
fn a_mail_that_was_sent_and_not_answered_is_repeated_a_few_times_and_then_reported() {
    for answer in [
        SmtpAnswer::Silent,
        SmtpAnswer::Close,
        SmtpAnswer::say("what a nice mail"),
        SmtpAnswer::SayAndClose(b"25".to_vec()),
        SmtpAnswer::say("354 go on"),
    ] {
        let server = ScriptedSmtp::with(at(".", answer.clone())).unwrap();
        let dir = TempDir::new().unwrap();
        let config = config(&server, &json!({ "timeout": "200ms" })).to_string();
        let mut waits = Vec::new();
        for send in 1..=4 {
            // A new instance each time: a restart does not begin the count again.
            let mut bench = Bench::<Email>::create(&config, dir.path()).unwrap();
            let fail = bench.deliver(&alert("7")).unwrap_err();
            assert_eq!(server.mails().len(), send, "{answer:?}");
            let outcome = if send < 4 {
                Outcome::Retry
            } else {
                Outcome::Permanent
            };
            assert_eq!(fail.outcome(), outcome, "{answer:?}: {fail}");
            waits.extend(fail.retry_after());
            if send == 4 {
                assert!(
                    fail.to_string().contains("sent 4 times, and never an answer"),
                    "{fail}"
                );
            }
        }
        assert!(waits.len() == 3 && waits.is_sorted_by(|a, b| a < b), "{waits:?}");
    }
}

#[test]
fn an_answer_is_judged_by_its_code_alone() {
    for answer in [
        &b"250 angenommen, gr\xfc\xdfe"[..],
        b"250",
        b"250-one\r\n250-two\r\n250 three",
        b"250\tfine\x1b[2J",
        b"200 an old code",
        b"259 an odd code",
    ] {
        let server = ScriptedSmtp::with(at(".", SmtpAnswer::Say(answer.to_vec()))).unwrap();
        bench(&server, &json!({})).deliver(&alert("7")).unwrap();
        assert_eq!(server.mails().len(), 1);
    }
    let server = ScriptedSmtp::with(at(".", SmtpAnswer::SayAndClose(b"250 done".to_vec()))).unwrap();
    bench(&server, &json!({})).deliver(&alert("7")).unwrap();
    let latin = ScriptedSmtp::with(at("", SmtpAnswer::Say(b"220-gr\xfc\xdf\r\n220 Gott".to_vec()))).unwrap();
    bench(&latin, &json!({})).deliver(&alert("7")).unwrap();
}

#[test]
fn a_mail_that_is_too_large_goes_smaller_and_then_without_its_picture() {
    for refusal in [
        "552 5.3.4 too much",
        "554 5.3.4 no",
        "550 5.2.3 no",
        "550 message size exceeds the limit",
        "523 no",
        "500 5.3.4 no",
        "452 4.3.4 no",
    ] {
        let server = ScriptedSmtp::start().unwrap();
        let mut count = 0;
        server.script(move |step| {
            count += u32::from(step == ".");
            // The first two are refused: both copies of the picture, then one.
            if step == "." && count <= 2 {
                return SmtpAnswer::say(refusal);
            }
            SmtpAnswer::Usual
        });
        bench(&server, &json!({})).deliver(&with_picture("7")).unwrap();
        let mails = server.mails();
        let sizes: Vec<usize> = mails.iter().map(Vec::len).collect();
        assert!(sizes.is_sorted_by(|a, b| a > b), "{refusal}: {sizes:?}");
        let last = String::from_utf8_lossy(mails.last().unwrap()).into_owned();
        assert!(last.contains("The picture was left out"), "{refusal}: {last}");
    }
}

#[test]
fn a_size_that_is_refused_before_the_mail_was_sent_is_not_sent() {
    for step in ["MAIL", "RCPT"] {
        let server = ScriptedSmtp::start().unwrap();
        let mut count = 0;
        server.script(move |line| {
            count += u32::from(line.starts_with(step));
            match line {
                _ if line.starts_with("EHLO") => SmtpAnswer::say("250-mail\r\n250 SIZE"),
                _ if line.starts_with(step) && count <= 2 => SmtpAnswer::say("552 5.3.4 too large"),
                _ => SmtpAnswer::Usual,
            }
        });
        bench(&server, &json!({})).deliver(&with_picture("7")).unwrap();
        let mails = server.mails();
        assert_eq!(mails.len(), 1, "{step}");
        assert!(String::from_utf8_lossy(&mails[0]).contains("The picture was left out"));
    }
}

#[test]
fn the_announced_size_is_kept_to_without_a_try() {
    let server =
        ScriptedSmtp::with(at("EHLO", SmtpAnswer::say("250-mail.example\r\n250 SIZE 20000"))).unwrap();
    server.reset_beyond(20_000);
    let mut bench = bench(&server, &json!({}));
    bench.deliver(&with_picture("7")).unwrap();
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert!(String::from_utf8_lossy(&mails[0]).contains("The picture was left out"));
    let commands = server.commands();
    let begun: Vec<&String> = commands.iter().filter(|line| line.starts_with("MAIL")).collect();
    assert!(begun.iter().all(|line| line.contains(" SIZE=")), "{begun:?}");
}

#[test]
fn a_server_that_resets_instead_of_saying_what_is_too_large_gets_a_smaller_mail() {
    let server = ScriptedSmtp::start().unwrap();
    server.reset_beyond(20_000);
    let mut bench = bench(&server, &json!({}));
    for attempt in 1..=2 {
        let fail = bench.deliver_again(&with_picture("7"), attempt).unwrap_err();
        assert_eq!(fail.outcome(), Outcome::Retry, "{fail}");
    }
    bench.deliver_again(&with_picture("7"), 3).unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn a_picture_that_is_refused_for_what_it_is_does_not_cost_the_alert() {
    let server = ScriptedSmtp::start().unwrap();
    let mut refused = false;
    server.script(move |step| {
        if step == "." && !refused {
            refused = true;
            return SmtpAnswer::say("554 5.7.1 attachments are not wanted here");
        }
        SmtpAnswer::Usual
    });
    bench(&server, &json!({})).deliver(&with_picture("7")).unwrap();
    assert_eq!(server.mails().len(), 2);
    // A mail without a picture that is refused is refused for good.
    let server = ScriptedSmtp::with(at(".", SmtpAnswer::say("554 5.7.1 spam"))).unwrap();
    let fail = bench(&server, &json!({})).deliver(&alert("7")).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Permanent, "{fail}");
}

#[test]
fn a_refusal_before_the_mail_was_seen_keeps_the_alert_and_names_the_key() {
    for (step, answer, key) in [
        ("", "554 no service for you", "/server"),
        ("EHLO", "504 5.5.2 need a name with a domain", "/ehlo_name"),
        ("EHLO", "550 who are you", "/ehlo_name"),
        ("EHLO", "501 not a name", "/ehlo_name"),
        ("MAIL", "553 5.1.8 no such domain", "/from"),
        ("MAIL", "550 5.7.1 not your address", "/from"),
        ("MAIL", "530 5.7.0 authentication required", "/user"),
        ("RCPT", "504 5.5.2 <gate>: Helo command rejected", "/ehlo_name"),
        ("RCPT", "554 5.7.1 relay access denied", "/to"),
        ("RCPT", "550 5.1.2 no such domain", "/to"),
        ("RCPT", "552 5.2.2 mailbox full", "/to"),
        ("DATA", "554 5.5.1 no valid recipients", ""),
        (".", "552 5.2.2 mailbox full", "/to"),
        (".", "530 authentication required", "/user"),
    ] {
        let server = ScriptedSmtp::with(at(step, SmtpAnswer::say(answer))).unwrap();
        let mut bench = bench(&server, &json!({}));
        let fail = bench.deliver(&alert("7")).unwrap_err();
        assert_eq!(fail.outcome(), Outcome::Retry, "{step} {answer}: {fail}");
        let (pointer, why) = first_note(&fail);
        assert_eq!(pointer, key, "{step} {answer}: {why}");
        assert!(why.contains(answer.split(' ').next().unwrap()), "{why}");
        assert!(fail.retry_after().is_some(), "{why}");
    }
}

#[test]
fn a_refusal_that_passes_is_tried_again_without_blame() {
    for (step, answer) in [
        ("", "421 too busy"),
        ("EHLO", "421 4.3.2 shutting down"),
        ("MAIL", "451 4.3.0 try again"),
        ("RCPT", "450 4.2.1 mailbox busy"),
        ("DATA", "451 4.3.0 no space"),
        (".", "451 4.7.1 greylisted"),
    ] {
        let server = ScriptedSmtp::with(at(step, SmtpAnswer::say(answer))).unwrap();
        let fail = bench(&server, &json!({})).deliver(&alert("7")).unwrap_err();
        assert_eq!(
            (fail.outcome(), fail.retry_after()),
            (Outcome::Retry, None),
            "{fail}"
        );
        assert_eq!(first_note(&fail).0, "", "{fail}");
    }
}

#[test]
fn what_answers_otherwise_is_no_mail_server() {
    let server = ScriptedSmtp::with(at("", SmtpAnswer::say("HTTP/1.1 400 Bad Request"))).unwrap();
    let fail = bench(&server, &json!({})).deliver(&alert("7")).unwrap_err();
    assert_eq!(first_note(&fail).0, "/port", "{fail}");
    assert!(fail.to_string().contains("speaks no SMTP"), "{fail}");
}

#[test]
fn an_old_server_is_greeted_in_the_old_way() {
    let server = ScriptedSmtp::with(at("EHLO", SmtpAnswer::say("502 what?"))).unwrap();
    bench(&server, &json!({ "ehlo_name": "gate.example.com" }))
        .deliver(&alert("7"))
        .unwrap();
    assert_eq!(
        server.commands()[..2],
        ["EHLO gate.example.com", "HELO gate.example.com"]
    );
    // It offers a parameter and refuses it.
    let server = ScriptedSmtp::start().unwrap();
    server.script(|step| match step {
        _ if step.starts_with("EHLO") => SmtpAnswer::say("250-mail\r\n250 SIZE"),
        _ if step.contains("SIZE=") => SmtpAnswer::say("555 no such parameter"),
        _ => SmtpAnswer::Usual,
    });
    bench(&server, &json!({})).deliver(&alert("7")).unwrap();
}

#[test]
fn a_machine_without_a_domain_calls_itself_by_its_address() {
    let server = ScriptedSmtp::start().unwrap();
    bench(&server, &json!({})).deliver(&alert("7")).unwrap();
    let said = server.commands()[0].clone();
    assert!(said == "EHLO [127.0.0.1]" || said.contains('.'), "{said}");
}

#[test]
fn a_late_alert_says_so_and_when_it_happened() {
    let server = ScriptedSmtp::start().unwrap();
    let mut late = alert("7");
    // 2025-06-15 12:00:07 UTC.
    late.unix_ms = 1_749_988_807_000;
    late.json = json!({
        "camera": { "id": "5c4f", "name": "Gate" }, "late": true, "received_at": "2025-06-15T18:00:00.000Z",
        "details": { "score": -1.234 },
    })
    .to_string();
    bench(&server, &json!({ "html": "" })).deliver(&late).unwrap();
    let mail = String::from_utf8_lossy(&server.mails()[0]).into_owned();
    assert!(
        mail.contains("Subject: [high, late] Abnormal behaviour"),
        "{mail}"
    );
    for line in [
        "This alert is late",
        "It was received 5 h 59 min after it happened",
        "Happened: 2025-06-15",
        "Camera: Gate",
        "Score: slightly abnormal (-1.23)",
    ] {
        assert!(mail.contains(line), "{mail} should say {line}");
    }
}
