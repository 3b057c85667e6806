//! What stands between the hub and the backend, or answers in its place: slow lines, clocks that are off, proxies and login
//! pages. None of it costs an alert or gives one twice.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, HttpServer, Hub, HubSetup, Line, PATIENCE, Table, count, eventually, toml};

fn connection(status: &Value) -> &Value {
    &status["connections"][0]
}

fn counter(status: &Value, name: &str) -> u64 {
    count(&connection(status)["counters"], name)
}

/// A hub that logs in as the user who opens the streams and reads the list every second.
fn setup(backend: &Backend, url: &str, more: Table) -> Result<HubSetup> {
    let (email, password) = (backend.ready("email")?, backend.ready("password")?);
    let mut keys = toml! {
        name = "shop"
        url = url
        login = { email = email, password = password }
        reconnect = { initial = "100ms", max = "800ms", stable_after = "1s" }
        backfill = { interval = "1s" }
    };
    keys.extend(more);
    Ok(HubSetup::new()?.with(toml! { connection = [keys] }))
}

/// Waits until the hub has drawn the line between what is its business and what was before.
fn until_checkpoint(hub: &Hub, backend: &Backend) -> Result<()> {
    hub.until("connected", PATIENCE, |status| {
        connection(status)["state"] == "connected"
    })?;
    looks(backend, 4)
}

/// Waits for so many requests more.
fn looks(backend: &Backend, more: u64) -> Result<()> {
    let before = count(&backend.stats()?, "rest_requests");
    backend.until("looks at the list", PATIENCE, |stats| {
        count(stats, "rest_requests") >= before + more
    })?;
    Ok(())
}

/// Waits until every row is one alert with its picture.
fn until_complete(hub: &Hub, backend: &Backend, within: Duration) -> Result<BTreeMap<String, Value>> {
    eventually("one alert with its picture for each row", within, || {
        let found = hub.alerts_by_row()?;
        for row in backend.alerts()? {
            let id = row["anomaly_id"].as_str().unwrap_or_default();
            let alert = found.get(id).with_context(|| format!("row {id} is no alert"))?;
            ensure!(alert["picture"]["jpeg"].is_object(), "{alert}");
        }
        let rows = backend.alerts()?.len();
        ensure!(found.len() == rows, "{rows} rows, {} alerts", found.len());
        Ok(found)
    })
}

#[test]
fn a_backends_clock_that_was_an_hour_ahead_for_one_look_hides_nothing_afterwards() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90", "--token-life", "1day"])?;
    let hub = setup(&backend, backend.url(), Table::new())?.start()?;
    until_checkpoint(&hub, &backend)?;
    let ahead = |seconds: i64| {
        hub.until("the backend's clock is known", PATIENCE, |status| {
            let ahead = connection(status)["clock_ahead_ms"].as_i64();
            ahead.is_some_and(|ahead| (ahead + seconds * 1_000).abs() < 60_000)
        })
    };
    backend.order(&json!({"do": "clock", "ahead_seconds": 3_600}))?;
    ahead(3_600)?;
    // One is recorded with a time that is still to come.
    backend.order(&json!({"do": "faults", "are": "drop=1"}))?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    until_complete(&hub, &backend, PATIENCE)?;
    backend.order(&json!({"do": "clock", "ahead_seconds": 0}))?;
    ahead(0)?;
    backend.order(&json!({"do": "send", "count": 3}))?;
    for (row, alert) in until_complete(&hub, &backend, PATIENCE)? {
        assert_eq!(alert["via"], "list", "{row}: {alert}");
    }
    assert_eq!(hub.events("clock_differs")?.len(), 1, "it is said");
    Ok(())
}

#[test]
fn what_takes_longer_on_its_way_than_it_may_is_one_alert_and_sounds_once() -> Result<()> {
    const SENT: u64 = 12;
    let backend = Backend::start(&["--rate", "0", "--picture-size", "250KB"])?;
    let line = Line::to(backend.address()?)?;
    let setup = setup(&backend, &line.url(), Table::new())?;
    let dir = setup.dir().join("siren").display().to_string();
    let keys = toml! {
        late = "each"
        wait_picture = "0s"
    };
    let hub = setup
        .sink_with("siren", "archive", toml! { dir = dir }, keys)
        .start()?;
    until_checkpoint(&hub, &backend)?;
    // Two while it is away.
    backend.order(&json!({"do": "handshakes", "mode": "fail"}))?;
    line.reset();
    backend.until("no client registered", PATIENCE, |stats| stats["registered"] == 0)?;
    backend.order(&json!({"do": "send", "count": 2}))?;
    backend.order(&json!({"do": "handshakes", "mode": "accept"}))?;
    hub.until("connected again", PATIENCE, |status| {
        connection(status)["state"] == "connected" && counter(status, "opened") >= 2
    })?;
    // 2 Mbit/s: each takes more than a second, and the last ones come long after they are in the list.
    line.carries(Some(250_000));
    backend.order(&json!({"do": "send", "count": SENT}))?;
    let slow = Duration::from_secs(240);
    hub.until("some came both ways", slow, |status| {
        counter(status, "duplicates") > 0
    })?;
    until_complete(&hub, &backend, slow)?;
    line.carries(None);
    let status = hub.until("all have sounded", PATIENCE, |status| {
        count(&status["sinks"][0]["deliveries"], "delivered") >= SENT + 2
    })?;
    let deliveries = &status["sinks"][0]["deliveries"];
    assert_eq!(count(deliveries, "delivered"), SENT + 2, "{status:#}");
    assert_eq!(
        connection(&status)["feed"],
        "live",
        "they went to no other user: {status:#}"
    );
    Ok(())
}

/// What else than the backend's answer may come to any request, and for how long: until the end of its turn.
fn answers() -> Vec<(&'static str, Value)> {
    let page = "<!DOCTYPE html><html><head><title>Please log in</title></head><body/></html>";
    let answer = |status: u16, body: &str| json!({"status": status, "body": body});
    vec![
        ("expired", answer(401, r#"{"detail":"Invalid or expired token"}"#)),
        ("forbidden", answer(403, r#"{"detail":"Not authenticated"}"#)),
        (
            "not found",
            answer(
                404,
                r#"{"error":"Not Found","message":"The requested endpoint does not exist"}"#,
            ),
        ),
        (
            "a proxy that knows no such backend",
            answer(404, "404 page not found\n"),
        ),
        ("conflict", answer(409, "{}")),
        ("invalid", answer(422, r#"{"error":"Validation Error"}"#)),
        ("too many", answer(429, "")),
        ("an error", answer(500, r#"{"detail":"Internal server error"}"#)),
        (
            "a proxy without its backend",
            answer(502, "<html><head><title>502 Bad Gateway</title></head></html>"),
        ),
        ("another one", answer(503, "no available server")),
        ("a login page", answer(200, page)),
        (
            "half an answer",
            answer(200, r#"{"total":3,"anomalies":[{"id":"a","timesta"#),
        ),
        ("something else", answer(200, r#"["well"]"#)),
        (
            "a redirection",
            json!({"status": 307, "location": "https://elsewhere.example/"}),
        ),
    ]
}

#[test]
fn whatever_is_answered_to_the_list_for_a_while_all_of_it_is_fetched_afterwards() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90", "--fault", "drop=1"])?;
    let hub = setup(&backend, backend.url(), Table::new())?.start()?;
    until_checkpoint(&hub, &backend)?;
    for (what, answer) in answers() {
        for to in ["/api/anomalies", "/shops"] {
            let mut order = answer.clone();
            order["do"] = "answer".into();
            order["to"] = to.into();
            backend.order(&order)?;
        }
        backend.order(&json!({"do": "send", "count": 2}))?;
        hub.until(what, PATIENCE, |status| {
            let failure = &connection(status)["list_failure"];
            failure["what"].is_string() && failure["hint"].is_string()
        })?;
        backend.order(&json!({"do": "answer_as_ever"}))?;
        until_complete(&hub, &backend, PATIENCE).with_context(|| what.to_owned())?;
        hub.until("all is well", PATIENCE, |status| {
            connection(status)["list_failure"].is_null()
        })?;
    }
    Ok(())
}

#[test]
fn a_picture_is_gone_only_where_the_backend_itself_says_so() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90", "--fault", "drop=1"])?;
    let hub = setup(&backend, backend.url(), Table::new())?.start()?;
    until_checkpoint(&hub, &backend)?;
    let temporary = ["a proxy that knows no such backend", "a login page", "expired"];
    for (what, answer) in answers().into_iter().filter(|(what, _)| temporary.contains(what)) {
        let mut order = answer;
        order["do"] = "answer".into();
        order["to"] = "/api/anomalies/frames/".into();
        backend.order(&order)?;
        backend.order(&json!({"do": "send", "count": 2}))?;
        hub.until(what, PATIENCE, |status| {
            count(connection(status), "pictures_missing") == 2
                && connection(status)["picture_failure"]["what"].is_string()
        })?;
        let text = hub.ask("status", &[])?;
        assert!(text.contains("a picture could not be fetched: HTTP "), "{text}");
        let doctor = hub.ask("doctor", &["--json"])?;
        assert!(
            doctor.contains("2 pictures of fetched alerts could not be fetched yet"),
            "{doctor}"
        );
        backend.order(&json!({"do": "answer_as_ever"}))?;
        until_complete(&hub, &backend, PATIENCE * 2).with_context(|| what.to_owned())?;
    }
    Ok(())
}

/// A hub that logs in as the user who opens no stream, so that the list is all it has.
fn second(backend: &Backend, more: Table) -> Result<HubSetup> {
    let (email, password) = (backend.ready("second_email")?, backend.ready("second_password")?);
    let mut keys = toml! { login = { email = email, password = password } };
    keys.extend(more);
    setup(backend, backend.url(), keys)
}

#[test]
fn a_list_that_is_all_there_is_and_cannot_be_read_is_no_silence() -> Result<()> {
    let (backend, watchdog) = (
        Backend::start(&["--rate", "0", "--frame", "160x90"])?,
        HttpServer::start()?,
    );
    let ping_url = format!("{}/ping", watchdog.url());
    let setup = second(&backend, Table::new())?.with(toml! {
        [hub]
        link_grace = "2s"
        [watchdog]
        ping_url = ping_url
        interval = "1s"
    });
    let hub = setup.start()?;
    until_checkpoint(&hub, &backend)?;
    hub.until("an open socket", PATIENCE, |status| {
        connection(status)["open_for_ms"].as_u64() > Some(12_500)
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    hub.until("how it comes", PATIENCE, |status| {
        connection(status)["feed"] == "list"
    })?;
    backend.order(&json!({"do": "answer", "to": "/api/anomalies", "status": 503}))?;
    let event = |word: &'static str| {
        eventually(word, PATIENCE, || {
            let mut events = hub.events(word)?;
            ensure!(events.len() == 1, "{events:?}");
            events.pop().context("one")
        })
    };
    let lost = event("list_lost")?;
    assert_eq!(lost["severity"], "high", "{lost}");
    assert!(
        lost["text"]
            .as_str()
            .is_some_and(|text| text.contains("none comes until")),
        "{lost}"
    );
    let _ = watchdog.take();
    looks(&backend, 6)?;
    assert!(watchdog.take().len() <= 1, "a call although nothing can come");
    backend.order(&json!({"do": "send", "count": 2}))?;
    backend.order(&json!({"do": "answer_as_ever"}))?;
    event("list_back")?;
    until_complete(&hub, &backend, PATIENCE)?;
    eventually("calls again", PATIENCE, || match watchdog.requests().len() {
        0 => Err("none"),
        _ => Ok(()),
    })?;
    Ok(())
}

#[test]
fn shops_appear_and_vanish_and_what_happened_in_them_is_fetched() -> Result<()> {
    let backend = Backend::start(&[
        "--rate",
        "0",
        "--frame",
        "160x90",
        "--shops",
        "2",
        "--cameras",
        "2",
    ])?;
    backend.order(&json!({"do": "show_shops", "count": 0}))?;
    let hub = second(&backend, Table::new())?.start()?;
    hub.until("that there is none", PATIENCE, |status| {
        let failure = &connection(status)["list_failure"];
        failure["what"]
            .as_str()
            .is_some_and(|what| what.contains("no shop"))
            && failure["hint"]
                .as_str()
                .is_some_and(|hint| hint.contains("opens the cameras' streams"))
    })?;
    // Both have an alert before the account sees either.
    backend.order(&json!({"do": "send", "count": 2}))?;
    // That was long before they are seen at last.
    backend.order(&json!({"do": "clock", "ahead_seconds": 400}))?;
    backend.order(&json!({"do": "show_shops", "count": 2}))?;
    until_complete(&hub, &backend, PATIENCE)?;
    // One that is hidden for a while loses nothing, and hides nothing of the other.
    let shops = backend.about()?["shops"].clone();
    let hidden = shops[1].as_str().context("a shop")?;
    backend
        .order(&json!({"do": "answer", "to": format!("shop_id={hidden}"), "status": 403, "body": "{}"}))?;
    backend.order(&json!({"do": "send", "count": 4}))?;
    eventually("those of the other", PATIENCE, || {
        let found = hub.alerts_by_row()?.len();
        ensure!(found == 4, "{found} alerts");
        Ok(())
    })?;
    backend.order(&json!({"do": "answer_as_ever"}))?;
    until_complete(&hub, &backend, PATIENCE)?;
    Ok(())
}

#[test]
fn a_token_that_is_refused_in_the_middle_of_it_all_costs_nothing() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90", "--fault", "drop=1"])?;
    let hub = setup(&backend, backend.url(), Table::new())?.start()?;
    until_checkpoint(&hub, &backend)?;
    backend.order(&json!({"do": "send", "count": 250}))?;
    hub.until("some are fetched", PATIENCE, |status| {
        counter(status, "fetched") > 0
    })?;
    backend.order(&json!({"do": "revoke_tokens"}))?;
    until_complete(&hub, &backend, PATIENCE * 4)?;
    assert!(count(&backend.stats()?, "logins") >= 2);
    assert_eq!(hub.events("login_refused")?.len(), 0);
    Ok(())
}

#[test]
fn of_streams_that_another_user_opened_alerts_come_in_time_too_and_that_is_said() -> Result<()> {
    // Those of the second camera go to no socket, as if another user had opened its stream.
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90", "--cameras", "2"])?;
    let auto = toml! {
        backfill = { interval = "auto" }
        slot = { interval = "400ms" }
    };
    let hub = setup(&backend, backend.url(), auto)?.start()?;
    until_checkpoint(&hub, &backend)?;
    hub.until("an open socket", PATIENCE, |status| {
        connection(status)["open_for_ms"].as_u64() > Some(12_500)
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    let status = hub.until("one came live", PATIENCE, |status| {
        connection(status)["feed"] == "live"
    })?;
    // A look that was due already would find the next one.
    let open = count(connection(&status), "open_for_ms");
    hub.until("that look", PATIENCE, |status| {
        count(connection(status), "open_for_ms") > open + 6_000
    })?;
    backend.order(&json!({"do": "faults", "are": "drop=1"}))?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    let status = hub.until("one did not", PATIENCE * 2, |status| {
        connection(status)["feed"] == "mixed"
    })?;
    assert_eq!(connection(&status)["list_interval_ms"], 4_000, "{status:#}");
    let text = hub.ask("status", &[])?;
    assert!(
        text.contains("live alerts of some streams go to another user"),
        "{text}"
    );
    for alert in until_complete(&hub, &backend, PATIENCE)?.values() {
        assert!(
            alert["late"].is_null() || alert["late"] == false,
            "a siren sounds for it: {alert}"
        );
    }
    // Something that is lost of a stream that comes live is no reason to say so.
    backend.order(&json!({"do": "send", "count": 1}))?;
    until_complete(&hub, &backend, PATIENCE)?;
    Ok(())
}
