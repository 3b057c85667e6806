//! Every way to misbehave at once, each in a sink of its own, beside a sink that does its work: that one gets every alert,
//! and the hub stays as small as it was. By how much later is a figure of the benchmark.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{
    Backend, Hub, HubSetup, PATIENCE, eventually, hostile_plugin, panicking_plugin, sink, toml,
};

/// What the plugins do, by their names.
const WAYS: &[&str] = &[
    "abort", "crash", "exit0", "fdleak", "flood", "forkbomb", "hang", "hog", "stdin",
];
/// Alerts in one measurement, and how many come a second.
const ALERTS: u64 = 200;
const RATE: &str = "25";
/// Growth of the hub's memory, in KiB.
const MAX_GROWTH_KIB: u64 = 20 << 10;

#[test]
fn a_good_sink_does_not_notice_its_neighbours() -> Result<()> {
    let alone_kib = peak_memory_kib(&[])?;
    let beside_kib = peak_memory_kib(WAYS)?;
    ensure!(
        beside_kib < alone_kib + MAX_GROWTH_KIB,
        "the hub took {alone_kib} KiB alone, {beside_kib} KiB beside {} hostile sinks",
        WAYS.len() + 1
    );
    Ok(())
}

/// What a sink keeps on the disk is looked at before its plugin is ready as well.
#[test]
fn a_plugin_that_fills_the_disk_while_it_is_created_is_ended() -> Result<()> {
    let plugin = text(&hostile_plugin("hoard")?);
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let setup = setup.sink_within(
        "hoard",
        &plugin,
        toml! { state_quota = "16MiB" },
        toml::Table::new(),
    );
    let mut hub = setup.start()?;
    hub.until("it is ended for what it keeps", PATIENCE, |status| {
        let why = sink(status, "hoard")["last_error"].as_str();
        why.is_some_and(|why| why.contains("was killed because it keeps"))
    })?;
    ensure!(hub.stop()?.success(), "the hub did not stop as asked");
    Ok(())
}

/// Sends alerts to a recorder and an archive, and to these, and gives the most memory that the hub took.
fn peak_memory_kib(hostile: &[&str]) -> Result<u64> {
    let backend = Backend::start(&[
        "--count",
        &ALERTS.to_string(),
        "--rate",
        RATE,
        "--wait-for-client",
    ])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let (record, archive) = (setup.dir().join("record"), setup.dir().join("archive"));
    fs::create_dir(&archive)?;
    let (file, dir) = (text(&record), text(&archive));
    let recorder = text(&hostile_plugin("recorder")?);
    let mut setup =
        setup
            .sink("good", &recorder, toml! { file = file })
            .sink("archive", "archive", toml! { dir = dir });
    for way in hostile {
        setup = misbehaving(setup, way, &text(&hostile_plugin(way)?));
    }
    if !hostile.is_empty() {
        setup = misbehaving(setup, "panicking", &text(&panicking_plugin()?));
    }
    let mut hub = setup.start()?;
    // What the hub says of the others goes to the good ones too.
    let status = hub.until("all delivered to the good ones", PATIENCE * 2, |status| {
        let done = |sink: usize| {
            let deliveries = &status["sinks"][sink]["deliveries"];
            deliveries["pending"] == 0 && deliveries["delivered"].as_u64() >= Some(ALERTS)
        };
        status["store"]["alerts"].as_u64() >= Some(ALERTS) && done(0) && done(1)
    })?;
    for sink in &status["sinks"].as_array().context("a list")?[..2] {
        let lost = (
            &sink["deliveries"]["dead"],
            &sink["deliveries"]["expired"],
            &sink["crashes"],
        );
        assert_eq!(lost, (&json!(0), &json!(0), &json!(0)), "{sink}");
    }
    if !hostile.is_empty() {
        check_misbehaved(&hub)?;
    }
    check_recorded(&hub, &fs::read_to_string(&record)?)?;
    let peak_kib = hub.peak_memory_kib()?;
    ensure!(hub.stop()?.success(), "the hub did not stop as asked");
    Ok(peak_kib)
}

fn misbehaving(setup: HubSetup, name: &str, plugin: &str) -> HubSetup {
    // A fork bomb that is let start processes is the worse one.
    let exec = name == "forkbomb";
    setup.with(toml! {
        [[sink]]
        name = name
        plugin = plugin
        timeout = "1s"
        retry = { initial = "100ms", max = "2s" }
        sandbox = { exec = exec, memory = "64MiB" }
    })
}

/// Each did what it is there for, and was seen doing it.
fn check_misbehaved(hub: &Hub) -> Result<()> {
    let said: BTreeMap<&str, &str> = BTreeMap::from([
        ("abort", "SIGABRT"),
        ("crash", "SIGSEGV"),
        ("exit0", "exit(0)"),
        ("hang", "deadline"),
        ("hog", "SIGABRT"),
    ]);
    for (name, words) in said {
        eventually(name, PATIENCE, || {
            let status = hub.status().map_err(|e| e.to_string())?;
            let sinks = status["sinks"].as_array().ok_or("no sinks")?;
            let sink = sinks
                .iter()
                .find(|sink| sink["name"] == name)
                .ok_or("no such sink")?;
            let why = sink["last_error"].as_str().unwrap_or_default();
            if why.contains(words) && sink["crashes"].as_u64() > Some(0) {
                Ok(())
            } else {
                Err(format!("{sink:#}"))
            }
        })?;
    }
    let status: Value = hub.status()?;
    let quiet = status["sinks"].as_array().into_iter().flatten();
    for sink in quiet.filter(|sink| sink["name"] == "stdin" || sink["name"] == "flood") {
        ensure!(
            sink["deliveries"]["dead"] == 0 && sink["crashes"] == 0,
            "{sink:#}"
        );
    }
    Ok(())
}

/// The good sink has each alert of the backend once.
fn check_recorded(hub: &Hub, record: &str) -> Result<()> {
    let mut stored: Vec<u64> = hub
        .all_alerts()?
        .iter()
        .filter(|alert| alert["kind"] == "anomaly")
        .map(|alert| alert["id"].as_u64().context("an id"))
        .collect::<Result<_>>()?;
    stored.sort_unstable();
    let mut recorded: Vec<u64> = record
        .lines()
        .map(|line| Ok(line.split(' ').next().context("an id")?.parse()?))
        .filter(|id: &Result<u64>| id.as_ref().map_or(true, |id| stored.binary_search(id).is_ok()))
        .collect::<Result<_>>()?;
    recorded.sort_unstable();
    assert_eq!(stored.len() as u64, ALERTS);
    assert_eq!(recorded, stored);
    Ok(())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
