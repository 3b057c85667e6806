//! Alerts from the backend's list do not wait for their pictures, and get them in the end.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, count, eventually, toml};

/// Alerts that come by the list only.
const MISSED: u64 = 4;

/// A hub that reads the list every second, and gets nothing by any other way.
fn setup(backend: &Backend) -> Result<HubSetup> {
    let setup =
        HubSetup::new()?.connection_with("shop", backend, toml! { backfill = { interval = "1s" } })?;
    let dir = |name: &str| setup.dir().join(name).display().to_string();
    let (archive, letter, siren) = (dir("archive"), dir("letter"), dir("siren"));
    Ok(setup
        .sink("archive", "archive", toml! { dir = archive })
        .sink_with(
            "letter",
            "archive",
            toml! { dir = letter },
            toml! { wait_picture = "2s" },
        )
        .sink_with(
            "siren",
            "archive",
            toml! { dir = siren },
            toml! { wait_picture = "0s" },
        ))
}

/// What the backend records while its sockets are away.
fn miss(hub: &Hub, backend: &Backend) -> Result<()> {
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    let before = count(&backend.stats()?, "rest_requests");
    backend.until("a look at the list", PATIENCE, |stats| {
        stats["rest_requests"].as_u64() >= Some(before + 4)
    })?;
    backend.order(&json!({"do": "handshakes", "mode": "fail"}))?;
    backend.order(&json!({"do": "kill", "how": "reset"}))?;
    backend.until("no client registered", PATIENCE, |stats| stats["registered"] == 0)?;
    backend.order(&json!({"do": "send", "count": MISSED}))?;
    backend.order(&json!({"do": "handshakes", "mode": "accept"}))?;
    Ok(())
}

fn delivered(status: &Value, sink: &str) -> u64 {
    let sinks = status["sinks"].as_array().into_iter().flatten();
    let of = sinks.filter(|report| report["name"] == sink);
    of.map(|report| count(&report["deliveries"], "delivered")).sum()
}

/// How many files with this ending an archive holds.
fn files(dir: &Path, ending: &str) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => files(&path, ending),
            path => u64::from(path.extension().is_some_and(|found| found == ending)),
        })
        .sum()
}

#[test]
fn an_alert_does_not_wait_for_its_picture_which_is_fetched_also_after_a_restart() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    backend.order(&json!({"do": "pictures", "mode": "fail"}))?;
    let mut hub = setup(&backend)?.start()?;
    miss(&hub, &backend)?;
    // The siren sounds at once, the letter goes after it has waited, and the archive waits on.
    let status = hub.until("delivered without pictures", PATIENCE, |status| {
        delivered(status, "siren") == MISSED && delivered(status, "letter") == MISSED
    })?;
    assert_eq!(delivered(&status, "archive"), 0, "{status:#}");
    assert_eq!(status["connections"][0]["pictures_missing"], MISSED, "{status:#}");
    let text = hub.ask("status", &[])?;
    assert!(text.contains("4 pictures still to be fetched"), "{text}");
    assert!(
        text.contains("a picture could not be fetched: HTTP 500"),
        "{text}"
    );
    let id = hub.alerts()?[0]["id"].to_string();
    let shown = hub.ask("alerts", &["show", &id])?;
    let explained = hub.ask("explain", &[&id])?;
    assert!(shown.contains("still being fetched"), "{shown}");
    assert!(
        explained.contains("what waits for it goes as soon as it is there"),
        "{explained}"
    );
    for text in [shown, explained] {
        assert!(text.contains("from the backend's list, over shop, "), "{text}");
    }
    let (letters, archive) = (
        hub.setup().dir().join("letter"),
        hub.setup().dir().join("archive"),
    );
    assert_eq!((files(&letters, "json"), files(&letters, "jpg")), (MISSED, 0));

    hub.kill()?;
    backend.order(&json!({"do": "pictures", "mode": "serve"}))?;
    hub.restart()?;
    hub.until("archived with pictures", PATIENCE, |status| {
        delivered(status, "archive") == MISSED && status["connections"][0]["pictures_missing"] == 0
    })?;
    assert_eq!(
        (files(&archive, "json"), files(&archive, "jpg")),
        (MISSED, MISSED)
    );
    for alert in hub.alerts()? {
        assert!(alert["picture"]["jpeg"].is_object(), "{alert}");
    }
    Ok(())
}

#[test]
fn what_waits_for_a_picture_goes_as_soon_as_that_is_there_or_gone() -> Result<()> {
    for (mode, pictures) in [("serve", MISSED), ("gone", 0)] {
        let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
        backend.order(&json!({"do": "pictures", "mode": mode}))?;
        let hub = setup(&backend)?.start()?;
        miss(&hub, &backend)?;
        // It would wait for a day.
        hub.until("archived", PATIENCE, |status| {
            delivered(status, "archive") == MISSED
        })?;
        let archive = hub.setup().dir().join("archive");
        assert_eq!(
            (files(&archive, "json"), files(&archive, "jpg")),
            (MISSED, pictures)
        );
        eventually("nothing to be fetched", PATIENCE, || -> Result<()> {
            let status = hub.status()?;
            let missing = &status["connections"][0]["pictures_missing"];
            anyhow::ensure!(missing == 0, "{missing}");
            Ok(())
        })?;
        if mode == "gone" {
            for alert in hub.alerts()? {
                let why = alert["picture"]["missing"].as_str().unwrap_or_default();
                assert!(why.contains("did not give it: HTTP 404"), "{alert}");
            }
        }
    }
    Ok(())
}
