//! A database that is damaged while the hub runs is set aside, and the hub goes on with a new one.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, HubSetup, PATIENCE, hostile_plugin, toml};

#[test]
fn a_damaged_database_is_set_aside_and_the_hub_goes_on() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let dir = setup.dir().display().to_string();
    let file = setup.dir().join("record").display().to_string();
    let recorder = hostile_plugin("recorder")?.display().to_string();
    let setup = setup.with(toml! {
        [[sink]]
        name = "record"
        plugin = recorder
        events = true
        sandbox = { write = [dir] }
        config = { file = file }
    });
    let hub = setup.start()?;
    let delivered = |count: u64| move |status: &Value| status["sinks"][0]["deliveries"]["delivered"] == count;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 30}))?;
    hub.until("thirty delivered", PATIENCE, delivered(30))?;

    let data = hub.setup().data_dir();
    hub.damage_database()?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    // The next that reads the database meets the damage: a sink, or this question.
    let status = hub.until("a new store", PATIENCE, |status| {
        status["store"]["alerts"]
            .as_u64()
            .is_some_and(|alerts| alerts < 30)
    })?;
    ensure!(status["store"].get("error").is_none(), "{status:#}");
    let told = watchpost_testkit::eventually("the event", PATIENCE, || {
        let alerts = hub.alerts().map_err(|e| e.to_string())?;
        let told = alerts
            .into_iter()
            .find(|alert| alert["details"]["status"] == "store_replaced");
        told.ok_or_else(|| "no event tells of it".to_owned())
    })?;
    let text = told["text"].as_str().context("a text")?;
    ensure!(text.contains("The old one is kept as"), "{text}");
    let kept = fs::read_dir(&data)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    ensure!(
        kept.into_iter().any(|name| name.contains("corrupt-")),
        "the old one is gone"
    );

    backend.order(&json!({"do": "send", "count": 20}))?;
    let stats = backend.until("all acknowledged", PATIENCE, |stats| stats["acknowledged"] == 51)?;
    assert_eq!(stats["sent"], 51);
    hub.until("the new ones delivered", PATIENCE, |status| {
        status["sinks"][0]["deliveries"]["pending"] == 0
            && status["sinks"][0]["deliveries"]["delivered"].as_u64() >= Some(21)
    })?;
    Ok(())
}
