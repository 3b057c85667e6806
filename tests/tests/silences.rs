//! A silence keeps alerts from sinks and not from the store, outlives the hub, and is summed up when it is over.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, count, toml};

/// Has the backend raise an alert, and waits until so many are stored.
fn send(backend: &Backend, hub: &Hub, stored: u64) -> Result<()> {
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    hub.until("stored", PATIENCE, |status| {
        count(&status["store"], "alerts") == stored
    })?;
    Ok(())
}

fn delivered(hub: &Hub, alerts: u64) -> Result<Value> {
    hub.until("delivered", PATIENCE, |status| {
        count(&status["sinks"][0]["deliveries"], "delivered") == alerts
    })
}

#[test]
fn a_silence_holds_back_what_it_is_about_outlives_the_hub_and_is_summed_up() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--cameras", "1"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let dir = setup.dir().join("archive").display().to_string();
    let command = toml! { command = ["/bin/true"] };
    let keys = toml! {
        events = true
        sandbox = { exec = true }
    };
    let mut hub = setup
        .sink_with("message", "exec", command, keys)
        .sink("archive", "archive", toml! { dir = dir })
        .with(toml! {
            [[camera]]
            name = "Back door"
            match = { connection = ["shop"] }
        })
        .start()?;
    send(&backend, &hub, 1)?;
    delivered(&hub, 1)?;

    let begin = ["--match", "camera=Back*", "--for", "2h", "--why", "painters"];
    let said = hub.ask("silence", &begin)?;
    ensure!(said.starts_with("silence 1: camera=Back*, from "), "{said}");
    ensure!(said.contains("painters, by the operator"), "{said}");
    for (args, expected) in [
        (
            ["--match", "camera=Front*", "--for", "2h", "--why", "x"],
            "there is no camera `Front*`",
        ),
        (
            ["--match", "camrea=Back*", "--for", "2h", "--why", "x"],
            "did you mean `camera`?",
        ),
        (
            ["--match", "camera=Back*", "--for", "30d", "--why", "x"],
            "a silence lasts from a second to 7 days",
        ),
        (
            ["--match", "camera=Back*", "--for", "2h", "--why", " "],
            "say why",
        ),
    ] {
        let refusal = hub.ask("silence", &args).unwrap_err().to_string();
        ensure!(refusal.contains(expected), "{refusal}");
    }
    send(&backend, &hub, 2)?;
    hub.kill()?;
    hub.restart()?;
    send(&backend, &hub, 3)?;

    let newest = hub.alerts()?.first().context("an alert")?["id"].to_string();
    let explained = hub.ask("explain", &[&newest])?;
    ensure!(
        explained.contains("message: not sent\n  because silence 1 holds it back: painters"),
        "{explained}"
    );
    // The record is kept.
    let status = hub.until("archived", PATIENCE, |status| {
        count(&status["sinks"][1]["deliveries"], "delivered") == 3
    })?;
    assert_eq!(count(&status["silences"][0]["held"], "count"), 2);
    let shown = hub.ask("status", &[])?;
    ensure!(shown.contains("silence 1: camera=Back*"), "{shown}");
    let longer = hub.ask("silence", &["extend", "1", "--for", "3h", "--json"])?;
    let longer: Value = serde_json::from_str(&longer)?;
    assert_eq!(longer["silences"][0]["match"], json!({"camera": ["Back*"]}));

    assert_eq!(hub.ask("silence", &["end", "1"])?.trim(), "there is no silence");
    // The digest is delivered, and what comes afterwards.
    delivered(&hub, 2)?;
    let digest = &hub.alerts()?[0];
    assert_eq!(digest["details"]["status"], "silence_over");
    let title = digest["title"].as_str().context("title")?;
    ensure!(
        title.ends_with("ended by the operator: it held back 2 alerts"),
        "{title}"
    );
    send(&backend, &hub, 5)?;
    delivered(&hub, 3)?;
    let refusal = hub.ask("silence", &["end", "1"]).unwrap_err().to_string();
    ensure!(refusal.contains("there is no silence 1"), "{refusal}");
    Ok(())
}
