//! What did not come over the socket is fetched from the backend's list, once, with its picture and its true time; what
//! did come is distinguished from it. And what is acknowledged here is acknowledged in the backend.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, count, eventually, toml};

/// A hub that compares the lists every second.
fn setup(backend: &Backend, switched_on: &[&str]) -> Result<HubSetup> {
    let mut keys = toml! {
        reconnect = { initial = "100ms", max = "800ms", jitter = 0.2, stable_after = "1s" }
        backfill = { interval = "1s" }
    };
    for key in switched_on {
        keys.insert((*key).to_owned(), true.into());
    }
    HubSetup::new()?.connection_with("shop", backend, keys)
}

fn counter(status: &Value, name: &str) -> u64 {
    count(&status["connections"][0]["counters"], name)
}

/// Waits until every row of the backend is exactly one alert of the hub, and returns the alerts by their row.
fn until_complete(hub: &Hub, backend: &Backend) -> Result<BTreeMap<String, Value>> {
    eventually(
        "one alert for each row",
        PATIENCE,
        || -> Result<BTreeMap<String, Value>> {
            let by_row = hub.alerts_by_row()?;
            let rows = backend.alerts()?;
            for row in &rows {
                let id = row["anomaly_id"].as_str().unwrap_or_default();
                ensure!(
                    by_row.contains_key(id),
                    "row {id} is missing; there are {}",
                    by_row.len()
                );
            }
            ensure!(
                rows.len() == by_row.len(),
                "{} rows, {} alerts",
                rows.len(),
                by_row.len()
            );
            Ok(by_row)
        },
    )
}

fn no_picture_is_missing(status: &Value) -> bool {
    count(&status["connections"][0], "pictures_missing") == 0
}

fn until_checkpoint(hub: &Hub, backend: &Backend) -> Result<()> {
    hub.until("connected", PATIENCE, |status| counter(status, "opened") >= 1)?;
    // The first look at the list draws the line between what is the hub's business and what was before.
    let before = count(&backend.stats()?, "rest_requests");
    backend.until("a look at the list", PATIENCE, |stats| {
        stats["rest_requests"].as_u64() >= Some(before + 4)
    })?;
    Ok(())
}

#[test]
fn what_happened_while_the_socket_was_away_comes_late_and_once() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let hub = setup(&backend, &[])?.start()?;
    until_checkpoint(&hub, &backend)?;
    backend.order(&json!({"do": "send", "count": 5}))?;
    hub.until("five alerts", PATIENCE, |status| counter(status, "stored") == 5)?;
    // No client is accepted while fifty are recorded.
    backend.order(&json!({"do": "handshakes", "mode": "fail"}))?;
    backend.order(&json!({"do": "kill", "how": "reset"}))?;
    backend.until("no client registered", PATIENCE, |stats| stats["registered"] == 0)?;
    backend.order(&json!({"do": "send", "count": 50}))?;
    backend.order(&json!({"do": "handshakes", "mode": "accept"}))?;
    let by_row = until_complete(&hub, &backend)?;
    let late = by_row.values().filter(|alert| alert["via"] == "list").count();
    assert_eq!(late, 50);
    hub.until("their pictures", PATIENCE, no_picture_is_missing)?;
    for (row, alert) in &by_row {
        assert!(
            alert["occurred_at"].is_string() && alert["visionguard"]["shop_id"].is_string(),
            "{alert}"
        );
        let id = alert["id"].to_string();
        let file = hub.setup().dir().join("picture.jpg");
        hub.ask("alerts", &["show", &id, "--picture", &file.display().to_string()])?;
        let picture = std::fs::read(&file)?;
        if alert["via"] == "list" {
            assert!(picture.starts_with(&[0xFF, 0xD8]) && picture.len() > 1_000);
        } else {
            assert_eq!(
                picture,
                backend.picture(row)?,
                "what came over the socket is untouched"
            );
        }
    }
    Ok(())
}

#[test]
fn what_happened_while_the_hub_was_away_is_fetched_at_its_start() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let mut hub = setup(&backend, &[])?.start()?;
    until_checkpoint(&hub, &backend)?;
    backend.order(&json!({"do": "send", "count": 2}))?;
    hub.until("two alerts", PATIENCE, |status| counter(status, "stored") == 2)?;
    hub.kill()?;
    backend.until("no client registered", PATIENCE, |stats| stats["registered"] == 0)?;
    backend.order(&json!({"do": "send", "count": 120}))?;
    hub.restart()?;
    let by_row = until_complete(&hub, &backend)?;
    assert_eq!(
        by_row.values().filter(|alert| alert["via"] == "list").count(),
        120
    );
    Ok(())
}

#[test]
fn a_row_that_the_backend_cannot_show_hides_no_other() -> Result<()> {
    // Every score is infinite now and then, and every page with such a row is an HTTP 500.
    let backend = Backend::start(&[
        "--rate",
        "0",
        "--frame",
        "320x240",
        "--fault",
        "infinity=0.1,drop=0.3",
    ])?;
    let hub = setup(&backend, &[])?.start()?;
    until_checkpoint(&hub, &backend)?;
    backend.order(&json!({"do": "send", "count": 60}))?;
    let produced = backend.alerts()?.len();
    // Of those that cannot be shown, only the number is known.
    eventually("as many alerts as rows", PATIENCE, || {
        let alerts: Vec<Value> = hub
            .all_alerts()?
            .into_iter()
            .filter(|alert| alert["kind"] == "anomaly")
            .collect();
        ensure!(alerts.len() == produced, "{} of {produced}", alerts.len());
        Ok(())
    })?;
    let alerts = hub.all_alerts()?;
    let hidden = |alert: &&Value| alert["details"]["status"] == "unreadable";
    assert!(alerts.iter().filter(hidden).count() > 0, "the fault did play");
    let names: std::collections::BTreeSet<&str> = alerts
        .iter()
        .filter_map(|alert| alert["visionguard"]["anomaly_id"].as_str())
        .collect();
    for row in backend.alerts()? {
        let shown = names.contains(row["anomaly_id"].as_str().unwrap_or_default());
        assert!(
            shown || row["sent_at_ms"].is_null(),
            "an alert that came has its record: {row}"
        );
    }
    // A further look changes nothing.
    let before = backend.stats()?["rest_requests"].as_u64();
    backend.until("looks at the list", PATIENCE, |stats| {
        stats["rest_requests"].as_u64() > before.map(|before| before + 40)
    })?;
    assert_eq!(alerts.len(), hub.all_alerts()?.len());
    Ok(())
}

#[test]
fn an_owl_eye_detection_comes_at_once_with_its_picture() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let hub = setup(&backend, &[])?.start()?;
    hub.until("connected", PATIENCE, |status| counter(status, "opened") == 1)?;
    backend.order(&json!({"do": "owl_eye", "persons": 2}))?;
    hub.until("stored", PATIENCE, |status| {
        counter(status, "fetched") == 1 && no_picture_is_missing(status)
    })?;
    let alert = hub.all_alerts()?.pop().context("an alert")?;
    assert_eq!(
        (&alert["kind"], &alert["via"]),
        (&json!("owl_eye"), &json!("live")),
        "{alert}"
    );
    assert_eq!(alert["severity"], "high");
    assert!(
        alert["picture"]["jpeg"]["bytes"].as_u64() > Some(1_000),
        "{alert}"
    );
    assert!(alert["visionguard"]["anomaly_id"].is_string() && alert["occurred_at"].is_string());
    Ok(())
}

#[test]
fn notices_are_taken_only_where_they_are_wanted() -> Result<()> {
    let notice = json!({"do": "notify", "title": "Back soon", "message": "The server restarts at 3."});
    for (more, expected) in [(&[][..], 0), (&["accept_notices"][..], 1)] {
        let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
        let hub = setup(&backend, more)?.start()?;
        hub.until("connected", PATIENCE, |status| counter(status, "opened") == 1)?;
        backend.order(&notice)?;
        backend.order(&json!({"do": "send", "count": 1}))?;
        hub.until("the alert after it", PATIENCE, |status| {
            counter(status, "stored") == 1 && counter(status, "notifications") >= 1
        })?;
        hub.until("what is wanted", PATIENCE, |status| {
            counter(status, "fetched") == expected
        })?;
        let notices: Vec<Value> = hub
            .all_alerts()?
            .into_iter()
            .filter(|alert| alert["kind"] == "notice")
            .collect();
        assert_eq!(u64::try_from(notices.len())?, expected);
        assert!(notices.iter().all(|notice| notice["title"] == "Back soon"));
    }
    Ok(())
}

#[test]
fn what_is_acknowledged_here_is_acknowledged_there_also_after_a_restart() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let mut hub = setup(&backend, &["write_back"])?.start()?;
    hub.until("connected", PATIENCE, |status| counter(status, "opened") == 1)?;
    backend.order(&json!({"do": "send", "count": 3}))?;
    eventually("three alerts with their rows", PATIENCE, || {
        let alerts = hub.all_alerts()?;
        ensure!(
            alerts
                .iter()
                .filter(|alert| alert["visionguard"]["anomaly_id"].is_string())
                .count()
                == 3,
            "{alerts:?}"
        );
        Ok(())
    })?;
    let all = hub.all_alerts()?;
    // The backend answers nothing while the first is acknowledged, and the hub dies before it could tell.
    backend.order(&json!({"do": "hang"}))?;
    hub.ask("alerts", &["acknowledge", &all[0]["id"].to_string()])?;
    hub.kill()?;
    backend.order(&json!({"do": "unhang"}))?;
    hub.restart()?;
    let status_of = |alert: &Value| -> Result<Value> {
        let id = alert["visionguard"]["anomaly_id"].as_str().context("a row")?;
        Ok(backend.row(id)?["status"].clone())
    };
    let until = |alert: &Value, expected: &str| {
        eventually(expected, PATIENCE, || {
            let status = status_of(alert)?;
            ensure!(status == expected, "{status}");
            Ok(())
        })
    };
    until(&all[0], "acknowledged")?;
    until(&all[1], "pending")?;
    hub.ask("alerts", &["clear"])?;
    until(&all[1], "acknowledged")?;
    until(&all[2], "acknowledged")?;
    Ok(())
}

#[test]
fn records_find_their_alerts_whatever_becomes_of_the_notifications() -> Result<()> {
    // Missing, late and out of order, from a server whose own clock shows another zone.
    let faults = [
        "--fault",
        "mute=0.2,tardy=0.3",
        "--utc-offset",
        "5",
        "--cameras",
        "2",
    ];
    let backend = Backend::start(&[&["--rate", "0", "--frame", "320x240"][..], &faults[..]].concat())?;
    let hub = setup(&backend, &[])?.start()?;
    hub.until("connected", PATIENCE, |status| counter(status, "opened") == 1)?;
    backend.order(&json!({"do": "send", "count": 40}))?;
    let by_row = until_complete(&hub, &backend)?;
    for sent in backend.alerts()? {
        let alert = &by_row[sent["anomaly_id"].as_str().unwrap_or_default()];
        assert_eq!(
            [
                &alert["camera"]["id"],
                &alert["visionguard"]["person_id"],
                &alert["via"]
            ],
            [&sent["stream_id"], &sent["person_id"], &json!("live")],
        );
        // Both are UTC, so they are at most seconds apart, not hours.
        let instant = |field: &str| -> Result<time::OffsetDateTime> {
            let text = alert[field].as_str().context("a time")?;
            Ok(time::OffsetDateTime::parse(
                text,
                &time::format_description::well_known::Rfc3339,
            )?)
        };
        let apart = (instant("occurred_at")? - instant("received_at")?).abs();
        assert!(apart < time::Duration::minutes(2), "{apart}: {alert}");
    }
    Ok(())
}

#[test]
fn an_account_that_hears_nothing_live_is_fed_from_the_list_at_once() -> Result<()> {
    // A second account: the socket is open and looks well, and no alert is ever sent over it.
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let (url, user_id) = (backend.url(), backend.ready("second_user_id")?);
    let token = backend.ready("second_token")?;
    let setup = HubSetup::new()?.with(toml! {
        [[connection]]
        name = "shop"
        url = url
        user_id = user_id
        token = token
        slot = { interval = "400ms" }
    });
    let siren = setup.dir().join("siren").display().to_string();
    let hub = setup.sink("siren", "archive", toml! { dir = siren }).start()?;
    until_checkpoint(&hub, &backend)?;
    // What happened around the opening of the socket says nothing about it.
    hub.until("an open socket", PATIENCE, |status| {
        status["connections"][0]["open_for_ms"].as_u64() > Some(12_500)
    })?;
    backend.order(&json!({"do": "send", "count": 3}))?;
    let status = hub.until("three alerts at the siren", PATIENCE, |status| {
        status["sinks"][0]["deliveries"]["delivered"] == 3
    })?;
    assert_eq!(status["connections"][0]["state"], "connected");
    hub.until("the reason", PATIENCE, |status| {
        status["connections"][0]["feed"] == "list"
    })?;
    for alert in until_complete(&hub, &backend)?.values() {
        assert_eq!(
            (&alert["via"], alert["late"] == true),
            (&json!("list"), false),
            "{alert}"
        );
    }
    let text = hub.ask("status", &[])?;
    assert!(
        text.contains("live alerts go to another user; fetched from the backend's list every 4"),
        "{text}"
    );
    Ok(())
}

#[test]
fn a_shop_that_cannot_be_read_stops_no_other() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240", "--fault", "drop=1"])?;
    let (url, user_id, token) = (backend.url(), backend.ready("user_id")?, backend.ready("token")?);
    let shop = shop_of(&backend)?;
    let setup = HubSetup::new()?.with(toml! {
        [[connection]]
        name = "shop"
        url = url
        user_id = user_id
        token = token
        backfill = { interval = "1s", shop_ids = ["nope", shop] }
    });
    let hub = setup.start()?;
    until_checkpoint(&hub, &backend)?;
    backend.order(&json!({"do": "send", "count": 3}))?;
    until_complete(&hub, &backend)?;
    let status = hub.until("the reason", PATIENCE, |status| {
        status["connections"][0]["list_failure"]["what"].is_string()
    })?;
    let what = status["connections"][0]["list_failure"]["what"].to_string();
    assert!(what.contains("shop nope"), "{what}");
    Ok(())
}

/// The shop that the backend's rows belong to.
fn shop_of(backend: &Backend) -> Result<String> {
    backend.order(&json!({"do": "send", "count": 1}))?;
    let rows = backend.alerts()?;
    let id = rows[0]["anomaly_id"].as_str().context("a row")?;
    Ok(backend.row(id)?["shop_id"].as_str().context("a shop")?.to_owned())
}

#[test]
fn what_a_person_decided_in_the_backend_is_not_overwritten() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let hub = setup(&backend, &["write_back"])?.start()?;
    until_checkpoint(&hub, &backend)?;
    backend.order(&json!({"do": "send", "count": 2}))?;
    let by_row = until_complete(&hub, &backend)?;
    let rows: Vec<&String> = by_row.keys().collect();
    backend.set_status(rows[0], "false_positive")?;
    hub.ask("alerts", &["clear"])?;
    eventually("the other one acknowledged", PATIENCE, || {
        let status = backend.row(rows[1])?["status"].clone();
        ensure!(status == "acknowledged", "{status}");
        Ok(())
    })?;
    // Both were written back in the order of their alerts; a further look shows that nothing followed.
    let before = backend.stats()?["rest_requests"].as_u64();
    backend.until("looks at the list", PATIENCE, |stats| {
        stats["rest_requests"].as_u64() > before.map(|before| before + 6)
    })?;
    assert_eq!(backend.row(rows[0])?["status"], "false_positive");
    Ok(())
}

#[test]
fn two_connections_that_see_one_shop_give_every_alert_once() -> Result<()> {
    // No notification names the records, so that only the list does.
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90", "--fault", "mute=1"])?;
    let (url, user_id, token) = (backend.url(), backend.ready("user_id")?, backend.ready("token")?);
    let (email, password) = (backend.ready("email")?, backend.ready("password")?);
    // Of two clients of one account the backend sends alerts to one; the other has nothing but the list.
    let hub = HubSetup::new()?
        .with(toml! {
            [[connection]]
            name = "one"
            url = url
            user_id = user_id
            token = token
            slot = { watch = false }
            backfill = { interval = "500ms" }
            [[connection]]
            name = "two"
            url = url
            login = { email = email, password = password }
            slot = { watch = false }
            backfill = { interval = "500ms" }
        })
        .start()?;
    hub.until("both connected", PATIENCE, |status| {
        let open = |index: usize| status["connections"][index]["state"] == "connected";
        open(0) && open(1)
    })?;
    backend.order(&json!({"do": "send", "count": 6}))?;
    let stored = |status: &Value, name: &str| -> u64 {
        let connections = status["connections"].as_array().into_iter().flatten();
        connections
            .map(|connection| count(&connection["counters"], name))
            .sum()
    };
    hub.until("stored", PATIENCE, |status| stored(status, "stored") == 6)?;
    let named = |alert: &&Value| alert["visionguard"]["anomaly_id"].is_string();
    eventually("each has its record", PATIENCE, || {
        let alerts = hub.alerts().map_err(|error| format!("{error:#}"))?;
        match alerts.iter().filter(named).count() {
            6.. => Ok(()),
            some => Err(format!("{some} of {alerts:#?}")),
        }
    })?;
    // Both read the list twice a second, and have judged by now what is old enough.
    let before = count(&backend.stats()?, "rest_requests");
    backend.until("many readings", PATIENCE, |stats| {
        count(stats, "rest_requests") > before + 40
    })?;
    let status = hub.status()?;
    assert_eq!(stored(&status, "fetched"), 0, "{status:#}");
    let alerts = hub.alerts()?;
    assert_eq!(alerts.len(), 6, "{alerts:#?}");
    Ok(())
}

#[test]
fn a_server_that_goes_away_while_pictures_are_fetched_costs_none_of_them() -> Result<()> {
    const MISSED: u64 = 300;
    let backend = Backend::start(&["--rate", "0", "--frame", "640x480"])?;
    let hub = setup(&backend, &[])?.start()?;
    until_checkpoint(&hub, &backend)?;
    backend.order(&json!({"do": "handshakes", "mode": "fail"}))?;
    backend.order(&json!({"do": "kill", "how": "reset"}))?;
    backend.until("no client registered", PATIENCE, |stats| stats["registered"] == 0)?;
    backend.order(&json!({"do": "send", "count": MISSED}))?;
    backend.order(&json!({"do": "handshakes", "mode": "accept"}))?;
    hub.until("some are fetched", PATIENCE, |status| {
        counter(status, "fetched") > 2
    })?;
    // The answer may go with the server.
    drop(backend.order(&json!({"do": "down", "how": "reset", "for_seconds": 2.0})));
    hub.until("all are fetched", PATIENCE, |status| {
        counter(status, "fetched") == MISSED && no_picture_is_missing(status)
    })?;
    for (row, alert) in until_complete(&hub, &backend)? {
        assert!(alert["picture"]["jpeg"].is_object(), "{row}: {alert}");
    }
    Ok(())
}
