//! The kit itself, on the real programs: what it starts answers, is steered, comes back and ends.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, HubSetup, PATIENCE, Signal, artefacts, toml};

fn is_connected(status: &Value) -> bool {
    status["connections"][0]["state"] == "connected"
}

#[test]
fn the_binaries_and_plugins_lie_where_the_hub_looks_for_them() -> Result<()> {
    let built = artefacts()?;
    assert_eq!(
        built.watchpost()?.parent(),
        built.binary("watchpost-sinkhost")?.parent()
    );
    assert!(
        built
            .plugin("watchpost-archive")?
            .starts_with(built.plugin_dir()?)
    );
    Ok(())
}

#[test]
fn a_backend_is_steered_and_comes_back_at_the_same_address() -> Result<()> {
    let mut backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let stats = backend.order(&json!({"do": "send", "count": 2}))?;
    assert_eq!(
        (&stats["produced"], &stats["unsent"]),
        (&json!(2), &json!(2)),
        "{stats:#}"
    );
    let refusal = backend.order(&json!({"do": "dance"})).unwrap_err().to_string();
    assert!(refusal.contains("400"), "{refusal}");

    let (url, user_id) = (backend.url().to_owned(), backend.ready("user_id")?.to_owned());
    backend.kill()?;
    backend.restart()?;
    assert_eq!(
        (backend.url(), backend.ready("user_id")?),
        (url.as_str(), user_id.as_str())
    );
    assert_eq!(backend.stats()?["produced"], 0);
    Ok(())
}

#[test]
fn a_hub_connects_survives_a_kill_and_stops_when_told() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let setup = HubSetup::new()?;
    let archive = setup
        .dir()
        .join("archive")
        .to_str()
        .context("a temporary directory in UTF-8")?
        .to_owned();
    let setup = setup
        .connection("yard", &backend)?
        .sink("archive", "archive", toml! { dir = archive });
    let mut hub = setup.start()?;
    hub.until("the connection", PATIENCE, is_connected)?;

    backend.order(&json!({"do": "send", "count": 1}))?;
    backend.until("the acknowledgement", PATIENCE, |stats| {
        stats["acknowledged"] == 1
    })?;
    let sent = backend.alerts()?;
    let anomaly_id = sent[0]["anomaly_id"].as_str().context("an alert has an id")?;
    assert!(
        backend.picture(anomaly_id)?.starts_with(&[0xff, 0xd8]),
        "the picture is a JPEG"
    );
    assert_eq!(backend.attempts()?.len(), 1);

    hub.kill()?;
    hub.restart()?;
    assert_eq!(
        hub.alerts()?.len(),
        1,
        "what was acknowledged is there after a kill"
    );
    assert!(hub.stop()?.success(), "{}", hub.process().log());
    assert!(hub.process().signal(Signal::TERM).is_err());
    Ok(())
}

#[test]
fn a_hub_that_refuses_its_configuration_says_why() -> Result<()> {
    let setup = HubSetup::new()?.with(toml! {
        [store]
        recnt = 10
    });
    let error = setup.start().unwrap_err().to_string();
    assert!(error.contains("ended before it answered"), "{error}");
    assert!(error.contains("recnt"), "{error}");
    Ok(())
}
