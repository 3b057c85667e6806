//! What comes late, all at once, is one message.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{
    Backend, HttpAnswer, HttpServer, Hub, HubSetup, Need, PATIENCE, SMTP_PASSWORD, SMTP_USER, SmtpServer,
    count, eventually, skip_without, toml,
};

/// Alerts of the flood.
const FLOOD: u64 = 5_000;

/// How long the flood and its silence may take on a busy machine.
const FLOOD_PATIENCE: Duration = Duration::from_secs(240);

/// A hub to which everything is late that is older than a moment.
fn setup(backend: &Backend) -> Result<HubSetup> {
    let setup = HubSetup::new()?.with(toml! {
        [hub]
        late_after = "1ms"
        timezone = "UTC"
    });
    setup.connection_with("shop", backend, toml! { backfill = { interval = "1s" } })
}

/// Has the backend record so many alerts while its sockets are away, and lets the hub in when the last one is old.
fn miss(hub: &Hub, backend: &Backend, alerts: u64) -> Result<()> {
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    let before = count(&backend.stats()?, "rest_requests");
    backend.until("a look at the list", PATIENCE, |stats| {
        count(stats, "rest_requests") >= before + 4
    })?;
    backend.order(&json!({"do": "hang"}))?;
    backend.order(&json!({"do": "kill", "how": "reset"}))?;
    backend.until("no client registered", PATIENCE, |stats| stats["registered"] == 0)?;
    backend.order(&json!({"do": "send", "count": alerts}))?;
    let made = time::OffsetDateTime::now_utc();
    eventually("the last one is old", PATIENCE, || {
        // The backend's clock is known to the second.
        ensure!(time::OffsetDateTime::now_utc() - made > time::Duration::seconds(3));
        Ok(())
    })?;
    backend.order(&json!({"do": "unhang"}))?;
    Ok(())
}

fn delivered(status: &Value) -> u64 {
    count(&status["sinks"][0]["deliveries"], "delivered")
}

#[test]
fn five_thousand_late_alerts_are_one_mail() -> Result<()> {
    if skip_without(&[Need::Python]) {
        return Ok(());
    }
    let (backend, server) = (
        Backend::start(&["--rate", "0", "--frame", "160x90"])?,
        SmtpServer::start()?,
    );
    let setup = setup(&backend)?;
    let (port, ca_file) = (server.port(), server.ca().display().to_string());
    let password = setup.dir().join("password");
    std::fs::write(&password, SMTP_PASSWORD)?;
    let password_file = password.display().to_string();
    let (ca, secret) = (ca_file.as_str(), password_file.as_str());
    let hub = setup
        .with(toml! {
            [[sink]]
            name = "mail"
            plugin = "email"
            events = false
            sandbox = { read = [ca, secret], connect = [port] }
            [sink.config]
            server = "localhost"
            port = port
            user = SMTP_USER
            from = "Watchpost <watchpost@example.com>"
            to = ["guard@example.com"]
            ca_file = ca
            password_file = secret
        })
        .start()?;
    miss(&hub, &backend, FLOOD)?;
    let status = hub.until("all are stored, and told", FLOOD_PATIENCE, |status| {
        count(&status["connections"][0]["counters"], "fetched") == FLOOD && delivered(status) > 0
    })?;
    assert_eq!(delivered(&status), 1, "{status:#}");
    let mails = server.mails()?;
    assert_eq!(mails.len(), 1);
    let headers = mails[0]["headers"].as_array().context("headers")?;
    let subject = headers
        .iter()
        .find(|header| header[0] == "Subject")
        .context("a subject")?;
    let subject = subject[1].as_str().unwrap_or_default().to_owned();
    // All within one minute, or not.
    let words = ["5,000 alerts at ", "5,000 alerts between "];
    assert!(words.iter().any(|words| subject.contains(words)), "{subject}");
    assert!(subject.contains("while the connection was away"), "{subject}");
    let parts = mails[0]["parts"].as_array().context("parts")?;
    let pictures = parts.iter().filter(|part| part["type"] == "image/jpeg").count();
    assert!(
        pictures > 0,
        "the picture of the worst is fetched before all others"
    );
    // Each says why there is no mail of its own.
    let alert = hub
        .alerts()?
        .into_iter()
        .find(|alert| alert["kind"] == "anomaly")
        .context("an alert")?;
    let text = hub.ask("explain", &[&alert["id"].to_string()])?;
    assert!(
        text.contains("mail: summed up in alert ") && text.contains("in one message"),
        "{text}"
    );
    Ok(())
}

#[test]
fn a_message_that_was_due_while_the_hub_was_away_is_sent_once_with_the_picture_of_the_worst() -> Result<()> {
    const LATE: u64 = 7;
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90"])?;
    let setup = setup(&backend)?;
    let dir = setup.dir().join("letters");
    let path = dir.display().to_string();
    let mut hub = setup
        .sink_with(
            "letters",
            "archive",
            toml! { dir = path },
            toml! { late = "digest" },
        )
        .start()?;
    miss(&hub, &backend, LATE)?;
    hub.until("all are stored with their pictures", PATIENCE, |status| {
        let connection = &status["connections"][0];
        count(&connection["counters"], "fetched") == LATE && count(connection, "pictures_missing") == 0
    })?;
    hub.kill()?;
    hub.restart()?;
    hub.until("one message", PATIENCE, |status| delivered(status) == 1)?;
    let digests = || -> Result<Vec<Value>> {
        let alerts = hub.alerts()?;
        Ok(alerts
            .into_iter()
            .filter(|alert| alert["kind"] == "digest")
            .collect())
    };
    let found = digests()?;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["digest"]["count"], LATE, "{found:#?}");
    assert!(found[0]["picture"]["jpeg"].is_object(), "{found:#?}");
    let worst = found[0]["digest"]["worst"].to_string();
    let picture = |id: &str| -> Result<Vec<u8>> {
        let file = hub.setup().dir().join("picture.jpg");
        hub.ask("alerts", &["show", id, "--picture", &file.display().to_string()])?;
        Ok(std::fs::read(&file)?)
    };
    assert!(picture(&worst)? == picture(&found[0]["id"].to_string())?);
    // What comes live is delivered as ever.
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    hub.until("delivered by itself", PATIENCE, |status| delivered(status) == 2)?;
    assert_eq!(digests()?.len(), 1);
    Ok(())
}

/// A sink of each kind, without a word about what comes late, and the file that is there once something has sounded.
fn of_each_kind(setup: HubSetup, server: &HttpServer) -> Result<(HubSetup, PathBuf)> {
    let home = setup.dir().join("home");
    fs::create_dir(&home)?;
    let (sounded, archive) = (home.join("out.raw"), setup.dir().join("archive"));
    let output = "type file slave.pcm null format raw file";
    let card = format!("pcm.shop {{ {output} \"{}\" }}", sounded.display());
    fs::write(home.join(".asoundrc"), card)?;
    let (home, archive) = (home.display().to_string(), archive.display().to_string());
    let (url, port) = (server.url(), server.address().port());
    let setup = setup
        .environment(vec![("HOME".to_owned(), home.clone())])
        .sink("archive", "archive", toml! { dir = archive })
        .with(toml! {
            [[sink]]
            name = "hook"
            plugin = "webhook"
            events = false
            retry = { initial = "100ms", max = "300ms" }
            sandbox = { connect = [port] }
            config = { url = url }
            [[sink]]
            name = "siren"
            plugin = "sound"
            sandbox = { read = ["/usr/share/alsa"], write = [home] }
            config = { device = "shop", tone = "beep" }
        });
    Ok((setup, sounded))
}

fn sink<'a>(status: &'a Value, name: &str) -> &'a Value {
    let sinks = status["sinks"].as_array().into_iter().flatten();
    let mut named = sinks.filter(|sink| sink["name"] == name);
    named.next().map_or(&Value::Null, |sink| &sink["deliveries"])
}

#[test]
fn of_what_is_late_messages_get_one_sirens_nothing_and_the_archive_all_and_a_server_that_is_down_gets_it_later()
-> Result<()> {
    const LATE: u64 = 40;
    let (backend, server) = (
        Backend::start(&["--rate", "0", "--frame", "160x90"])?,
        HttpServer::start()?,
    );
    let (setup, sounded) = of_each_kind(setup(&backend)?, &server)?;
    server.script(|_| HttpAnswer::status(503));
    let mut hub = setup.start()?;
    miss(&hub, &backend, LATE)?;
    hub.until("the message cannot be sent", PATIENCE * 2, |status| {
        count(sink(status, "hook"), "pending") == 1 && count(sink(status, "archive"), "delivered") == LATE
    })?;
    // What was to be sent is, also after the hub was killed meanwhile.
    hub.kill()?;
    server.script(|_| HttpAnswer::status(204));
    hub.restart()?;
    let status = hub.until("the message", PATIENCE, |status| {
        count(sink(status, "hook"), "delivered") == 1
    })?;
    assert_eq!(count(sink(&status, "siren"), "delivered"), 0, "{status:#}");
    assert!(!sounded.exists(), "something has sounded");
    let taken: Vec<_> = server.requests();
    let message = taken.last().context("a request")?.json()?;
    let title = message["title"].as_str().unwrap_or_default();
    assert!(
        title.starts_with("40 alerts between ") || title.starts_with("40 alerts at "),
        "{message}"
    );
    assert_eq!(message["pictures"][0]["type"], "image/jpeg", "{title}");
    let ids: std::collections::BTreeSet<_> = taken
        .iter()
        .map(|request| request.header("idempotency-key"))
        .collect();
    assert_eq!(ids.len(), 1, "nothing else was asked for");
    Ok(())
}
