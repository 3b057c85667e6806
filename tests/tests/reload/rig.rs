//! A hub with sinks that write down what they get, and what they got.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, Toml, count, toml};

/// A hub without sinks, and with nothing that comes over another way than the connection.
pub(crate) fn setup(backend: &Backend) -> Result<HubSetup> {
    let logging = toml! { hub = { log = "info" } };
    HubSetup::new()?
        .with(logging)
        .connection_with("shop", backend, toml! { backfill = { enabled = false } })
}

/// Where a sink writes the ids that it gets.
pub(crate) fn record(setup: &HubSetup, sink: &str) -> PathBuf {
    setup.dir().join(format!("{sink}.record"))
}

/// A sink that writes down the ids that it gets.
pub(crate) fn recorder(setup: &HubSetup, name: &str, plugin: &Path, in_flight: i64) -> Toml {
    let (file, dir) = (
        record(setup, name).display().to_string(),
        setup.dir().display().to_string(),
    );
    let plugin = plugin.display().to_string();
    Toml::Table(toml! {
        name = name
        plugin = plugin
        in_flight = in_flight
        sandbox = { write = [dir] }
        config = { file = file }
    })
}

/// The base of a configuration with these sinks and routes.
pub(crate) fn config(setup: &HubSetup, log: &str, sinks: Vec<Toml>, route: &[&str]) -> toml::Table {
    let mut config = setup.config().clone();
    config["hub"]["log"] = log.into();
    config.insert("sink".into(), Toml::Array(sinks));
    let sinks: Vec<Toml> = route.iter().map(|&name| name.into()).collect();
    let route = Toml::Table(toml! { name = "only" sinks = sinks });
    config.insert("route".into(), Toml::Array(vec![route]));
    config
}

/// What a sink got, each id as often as it did.
pub(crate) fn recorded(hub: &Hub, sink: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(record(hub.setup(), sink)).unwrap_or_default();
    let id = |line: &str| Ok(line.split(' ').next().context("an id")?.to_owned());
    text.lines().map(id).collect()
}

/// The same, each of which came once.
pub(crate) fn once(hub: &Hub, sink: &str) -> Result<BTreeSet<String>> {
    let recorded = recorded(hub, sink)?;
    let ids: BTreeSet<String> = recorded.iter().cloned().collect();
    ensure!(
        ids.len() == recorded.len(),
        "sink {sink} got {} alerts twice",
        recorded.len() - ids.len()
    );
    Ok(ids)
}

pub(crate) fn sink<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["sinks"]
        .as_array()?
        .iter()
        .find(|sink| sink["name"] == name)
}

/// The process of a sink that runs.
pub(crate) fn pid(status: &Value, name: &str) -> Option<u64> {
    sink(status, name).and_then(|sink| sink["pid"].as_u64())
}

/// Waits until every sink of these runs, and no other is left.
pub(crate) fn running(hub: &Hub, names: &[&str]) -> Result<Value> {
    hub.until(&format!("{names:?} running"), PATIENCE, |status| {
        let sinks = status["sinks"].as_array().map_or(0, Vec::len);
        sinks == names.len() && names.iter().all(|name| pid(status, name).is_some())
    })
}

pub(crate) fn acknowledged(backend: &Backend) -> Result<u64> {
    backend.stats()?["acknowledged"].as_u64().context("a number")
}

/// Has alerts sent and waits until the hub has them.
pub(crate) fn send(backend: &Backend, alerts: u64) -> Result<()> {
    let before = acknowledged(backend)?;
    backend.order(&json!({"do": "send", "count": alerts}))?;
    backend.until("acknowledged", PATIENCE, |stats| {
        stats["acknowledged"] == json!(before + alerts)
    })?;
    Ok(())
}

/// The connection that was there at first is there still, and no other was tried.
pub(crate) fn check_one_connection(backend: &Backend) -> Result<()> {
    let stats = backend.stats()?;
    let sockets = ["attempts", "connections", "open"].map(|name| count(&stats, name));
    ensure!(sockets == [1, 1, 1], "it was reconnected: {stats:#}");
    Ok(())
}
