//! The whole way of an alert, from the backend's socket to the archived picture.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, eventually, toml};

/// A hub with one connection and one archive, whose directory is returned too.
fn archiving(backend: &Backend) -> Result<(Hub, PathBuf)> {
    let setup = HubSetup::new()?.connection("shop", backend)?;
    let archive = setup.dir().join("archive");
    let dir = archive.display().to_string();
    let hub = setup.sink("archive", "archive", toml! { dir = dir }).start()?;
    Ok((hub, archive))
}

/// Waits until the archive has been given `count` alerts.
fn until_archived(hub: &Hub, count: u64) -> Result<Value> {
    hub.until("everything archived", PATIENCE * 2, |status| {
        status["sinks"][0]["deliveries"]["delivered"] == json!(count)
    })
}

/// The archived pictures by the number of their alert.
fn pictures(dir: &Path) -> Result<BTreeMap<u64, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ending| ending == "jpg") {
                let stem = path
                    .file_stem()
                    .and_then(|stem| stem.to_str())
                    .context("a name that is no text")?;
                let (_, id) = stem
                    .rsplit_once('-')
                    .with_context(|| format!("{stem} has no number"))?;
                found.insert(id.parse()?, fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

#[test]
fn every_alert_is_acknowledged_and_archived_byte_for_byte_and_in_order() -> Result<()> {
    const COUNT: u64 = 200;
    let backend = Backend::start(&[
        "--count",
        "200",
        "--rate",
        "inf",
        "--wait-for-client",
        "--frame",
        "640x480",
    ])?;
    let (hub, archive) = archiving(&backend)?;
    until_archived(&hub, COUNT)?;
    let stats = backend.get("/simulator/stats")?;
    assert_eq!(
        [&stats["sent"], &stats["acknowledged"], &stats["stray_acks"]],
        [COUNT, COUNT, 0]
    );

    let sent = backend.get("/simulator/alerts")?;
    let sent = sent.as_array().context("a list")?;
    let mut stored = hub.all_alerts()?;
    stored.reverse();
    assert_eq!([sent.len(), stored.len()], [200, 200]);
    let mut pictures = pictures(&archive)?;
    let mut last = 0;
    for (sent, stored) in sent.iter().zip(&stored) {
        assert_eq!(
            [&sent["stream_id"], &sent["person_id"]],
            [&stored["camera"]["id"], &stored["visionguard"]["person_id"]]
        );
        let id = stored["id"].as_u64().context("a number")?;
        assert!(id > last, "{id} comes after {last}");
        last = id;
        let anomaly = sent["anomaly_id"].as_str().context("an id")?;
        let original = backend.picture(anomaly)?;
        let archived = pictures
            .remove(&id)
            .with_context(|| format!("alert {id} has no picture"))?;
        assert!(
            archived == original,
            "the picture of alert {id} is not the one that was sent"
        );
    }
    assert!(pictures.is_empty(), "more pictures than alerts");
    Ok(())
}

#[test]
fn what_cannot_be_understood_harms_nobody() -> Result<()> {
    let faults = "garbage=0.3,badframe=0.3,infinity=0.3,fragment=0.3";
    let backend = Backend::start(&[
        "--count",
        "100",
        "--rate",
        "inf",
        "--wait-for-client",
        "--fault",
        faults,
    ])?;
    let (mut hub, _) = archiving(&backend)?;
    backend.until("every alert acknowledged", PATIENCE, |stats| {
        stats["acknowledged"] == json!(100)
    })?;
    // Some of the garbage has the shape of an alert, and is one then.
    let status = hub.until("everything archived", PATIENCE, |status| {
        status["sinks"][0]["deliveries"]["delivered"] == status["connections"][0]["counters"]["received"]
    })?;
    let counters = &status["connections"][0]["counters"];
    assert_eq!([&counters["dropped"], &counters["opened"]], [0, 1]);
    assert!(counters["unparseable"].as_u64() > Some(0) && counters["without_picture"].as_u64() > Some(0));

    let log = hub.process().log();
    assert_eq!(
        log.matches("ignored an unreadable message").count(),
        1,
        "once a minute:\n{log}"
    );
    let token = backend.ready("token")?;
    assert!(
        !log.contains(token) && !status.to_string().contains(token),
        "the token is in the log or status"
    );
    Ok(())
}

#[test]
fn a_message_with_an_id_is_stored_once_and_acknowledged_each_time() -> Result<()> {
    let backend = Backend::start(&[
        "--count",
        "50",
        "--rate",
        "inf",
        "--wait-for-client",
        "--ids",
        "--fault",
        "duplicate=1",
    ])?;
    let (hub, archive) = archiving(&backend)?;
    let status = hub.until("every copy acknowledged", PATIENCE, |status| {
        status["connections"][0]["counters"]["receipts"] == json!(100)
            && status["sinks"][0]["deliveries"]["delivered"] == json!(50)
    })?;
    let counters = &status["connections"][0]["counters"];
    assert_eq!([&counters["stored"], &counters["duplicates"]], [50, 50]);
    assert_eq!(pictures(&archive)?.len(), 50);
    Ok(())
}

#[test]
fn the_live_list_is_dismissed_and_cleared_and_pictures_come_out_again() -> Result<()> {
    let backend = Backend::start(&[
        "--count",
        "60",
        "--rate",
        "inf",
        "--wait-for-client",
        "--frame",
        "640x480",
    ])?;
    let (hub, archive) = archiving(&backend)?;
    until_archived(&hub, 60)?;
    let live = hub.alerts()?;
    assert_eq!(live.len(), 50, "recent = 50");
    let id = live[0]["id"].as_u64().context("a number")?;
    let number = id.to_string();

    let file = hub.setup().dir().join("shown.jpg");
    let path = file.display().to_string();
    let shown: Value =
        serde_json::from_str(&hub.ask("alerts", &["--json", "show", &number, "--picture", &path])?)?;
    assert_eq!(shown["deliveries"][0]["state"], "delivered");
    assert!(
        fs::read(&file)? == pictures(&archive)?[&id],
        "the picture differs from the archived one"
    );

    hub.ask("alerts", &["dismiss", &number])?;
    let live = hub.alerts()?;
    assert_eq!(live.len(), 50, "an older one moves up");
    assert!(live.iter().all(|alert| alert["id"] != json!(id)));
    hub.ask("alerts", &["clear"])?;
    assert_eq!(hub.alerts()?.len(), 0);
    let unknown = hub.ask("alerts", &["dismiss", "12"]).unwrap_err().to_string();
    assert!(unknown.contains("there is no alert 12"), "{unknown}");
    Ok(())
}

#[test]
fn a_stopped_hub_says_goodbye_and_goes_on_where_it_was() -> Result<()> {
    let backend = Backend::start(&["--count", "20", "--rate", "inf", "--wait-for-client"])?;
    let (mut hub, archive) = archiving(&backend)?;
    until_archived(&hub, 20)?;
    assert!(hub.stop()?.success());
    let log = hub.process().log();
    assert!(log.contains("everything in hand was finished"), "{log}");
    eventually("the socket closed", PATIENCE, || {
        match backend.get("/simulator/stats") {
            Ok(stats) if stats["open"] == json!(0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    hub.restart()?;
    let status = until_archived(&hub, 20)?;
    assert_eq!(status["store"]["alerts"], 20);
    assert_eq!(pictures(&archive)?.len(), 20);
    Ok(())
}
