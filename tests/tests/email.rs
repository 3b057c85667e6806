//! Alerts become mails, whatever happens to the mail server.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use watchpost_testkit::{
    Backend, Hub, HubSetup, Need, PATIENCE, SMTP_PASSWORD, SMTP_USER, SmtpServer, deliveries, own_memory_kib,
    skip_without, toml,
};

/// Alerts of the long test, and how many of them come before each absence of the server.
const ALERTS: u64 = 1_000;
const PART: u64 = 350;

/// A hub that sends mails to `server`, out of the smallest sandbox that does.
fn mailing(backend: &Backend, server: &SmtpServer) -> Result<Hub> {
    let setup = HubSetup::new()?.connection("shop", backend)?;
    let port = server.port();
    let ca_file = server.ca().to_str().context("a path of text")?;
    let password = setup.dir().join("password");
    std::fs::write(&password, format!("{SMTP_PASSWORD}\n"))?;
    let password_file = password.to_str().context("a path of text")?;
    let setup = setup.with(toml! {
        [store]
        recent = 1000
        [[sink]]
        name = "mail"
        plugin = "email"
        retry = { initial = "100ms", max = "500ms" }
        sandbox = { read = [ca_file, password_file], connect = [port] }
        [sink.config]
        server = "localhost"
        port = port
        user = SMTP_USER
        from = "Watchpost <watchpost@example.com>"
        to = ["guard@example.com"]
        ca_file = ca_file
        password_file = password_file
    });
    setup.start()
}

fn header<'a>(mail: &'a Value, name: &str) -> Option<&'a str> {
    let headers = mail["headers"].as_array()?;
    headers.iter().find(|header| header[0] == name)?[1].as_str()
}

/// The number of the alert that a mail is about, out of its Message-ID.
fn number(mail: &Value) -> Result<String> {
    let id = header(mail, "Message-ID").context("a Message-ID")?;
    let (number, rest) = id
        .trim_start_matches('<')
        .split_once('.')
        .context("a number in front")?;
    assert_eq!(rest, "mail@example.com>");
    Ok(number.to_owned())
}

#[test]
fn every_picture_arrives_byte_for_byte() -> Result<()> {
    if skip_without(&[Need::Python]) {
        return Ok(());
    }
    let backend = Backend::start(&[
        "--count",
        "20",
        "--rate",
        "inf",
        "--wait-for-client",
        "--frame",
        "640x480",
    ])?;
    let server = SmtpServer::start()?;
    let hub = mailing(&backend, &server)?;
    hub.until("every mail sent", PATIENCE, |status| {
        deliveries(status, "delivered") == 20
    })?;

    let mails: BTreeMap<String, Value> = server
        .mails()?
        .into_iter()
        .map(|mail| Ok((number(&mail)?, mail)))
        .collect::<Result<_>>()?;
    let mut stored = hub.alerts()?;
    stored.reverse();
    let sent = backend.alerts()?;
    assert_eq!([mails.len(), stored.len(), sent.len()], [20, 20, 20]);
    for (sent, stored) in sent.iter().zip(&stored) {
        let mail = &mails[&stored["id"].to_string()];
        assert_eq!(mail["defects"], json!([]));
        assert_eq!(
            [&mail["encrypted"], &mail["to"]],
            [&json!(true), &json!(["guard@example.com"])]
        );
        let parts = mail["parts"].as_array().context("parts")?;
        let pictures: Vec<&Value> = parts.iter().filter(|part| part["type"] == "image/jpeg").collect();
        let places: Vec<&Value> = pictures.iter().map(|part| &part["disposition"]).collect();
        assert_eq!(places, ["inline", "attachment"]);
        let original = backend.picture(sent["anomaly_id"].as_str().context("an id")?)?;
        for picture in pictures {
            let arrived = base64_simd::STANDARD.decode_to_vec(picture["bytes"].as_str().context("bytes")?)?;
            assert!(
                arrived == original,
                "the picture of alert {} was altered",
                stored["id"]
            );
        }
    }
    Ok(())
}

#[test]
fn a_thousand_alerts_arrive_though_the_server_goes_away_twice() -> Result<()> {
    if skip_without(&[Need::Python]) {
        return Ok(());
    }
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let mut server = SmtpServer::start()?;
    let hub = mailing(&backend, &server)?;
    let mut early_kib = 0;
    for absence in 1..=2 {
        backend.order(&json!({"do": "send", "count": PART}))?;
        let before = PART * absence - PART / 2;
        let status = hub.until("half of this part sent", PATIENCE, |status| {
            deliveries(status, "delivered") >= before
        })?;
        server.kill()?;
        if absence == 1 {
            early_kib = own_memory_kib(&status["sinks"][0])?;
        }
        hub.until("the absence noticed", PATIENCE, |status| {
            status["sinks"][0]["state"] == "down"
        })?;
        server.restart()?;
    }
    backend.order(&json!({"do": "send", "count": ALERTS - 2 * PART}))?;
    let status = hub.until("every mail sent", PATIENCE * 2, |status| {
        deliveries(status, "delivered") == ALERTS
    })?;

    let numbers: Vec<String> = server.mails()?.iter().map(number).collect::<Result<_>>()?;
    let wanted: BTreeSet<String> = hub
        .alerts()?
        .iter()
        .map(|alert| alert["id"].to_string())
        .collect();
    assert_eq!(numbers.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(wanted.len() as u64, ALERTS);
    // One mail at a time is on its way, and the server may die after it wrote it down.
    let twice = numbers.len() - wanted.len();
    assert!(twice <= 2, "{twice} mails came twice");
    let late_kib = own_memory_kib(&status["sinks"][0])?;
    assert!(
        late_kib < 15 << 10 && late_kib < early_kib + (2 << 10),
        "the plugin's process held {early_kib} KiB, later {late_kib} KiB"
    );
    Ok(())
}
