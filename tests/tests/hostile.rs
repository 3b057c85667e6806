//! Every way to misbehave at once, each in a sink of its own, beside a sink that does its work: that one gets every alert,
//! hardly later than without them, and the hub stays as small as it was.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{
    Backend, Hub, HubSetup, PATIENCE, eventually, hostile_plugin, panicking_plugin, toml,
};

/// What the plugins do, by their names.
const WAYS: &[&str] = &[
    "abort", "crash", "exit0", "fdleak", "flood", "forkbomb", "hang", "hog", "stdin",
];
/// Alerts in one measurement, and how many come a second.
const ALERTS: u64 = 200;
const RATE: &str = "25";
/// The good sink may take so many times as long as without its neighbours.
const MOST_TIMES: f64 = 2.0;
/// What a machine with two cores adds by itself while it starts and ends processes, in milliseconds.
const NOISE_MS: f64 = 15.0;
/// A machine that is busy with something else is given another chance.
const TRIES: u32 = 3;
/// Growth of the hub's memory, in KiB.
const MAX_GROWTH_KIB: u64 = 20 << 10;

#[test]
fn a_good_sink_does_not_notice_its_neighbours() -> Result<()> {
    for left in (0..TRIES).rev() {
        let alone = measure(&[])?;
        let beside = measure(WAYS)?;
        let figures = format!(
            "99 of 100 alerts within {:.1} ms alone, {:.1} ms beside {} hostile sinks; hub {} and {} KiB\n",
            alone.p99_ms,
            beside.p99_ms,
            WAYS.len() + 1,
            alone.peak_kib,
            beside.peak_kib
        );
        std::io::stderr().write_all(figures.as_bytes())?;
        ensure!(beside.peak_kib < alone.peak_kib + MAX_GROWTH_KIB, "{figures}");
        if beside.p99_ms <= MOST_TIMES * alone.p99_ms.max(NOISE_MS) {
            return Ok(());
        }
        ensure!(left > 0, "{figures}");
    }
    Ok(())
}

struct Measured {
    p99_ms: f64,
    peak_kib: u64,
}

/// Sends alerts to a recorder and an archive, and to these.
fn measure(hostile: &[&str]) -> Result<Measured> {
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
    let p99_ms = p99_ms(&fs::read_to_string(&record)?)?;
    let peak_kib = hub.peak_memory_kib()?;
    ensure!(hub.stop()?.success(), "the hub did not stop as asked");
    Ok(Measured { p99_ms, peak_kib })
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

/// From the receipt of an alert, which is its id, to its line in the record.
fn p99_ms(record: &str) -> Result<f64> {
    let mut took = record
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let received_us: f64 = words.next().context("an id")?.parse()?;
            let recorded_ms: f64 = words.nth(1).context("a time")?.parse()?;
            Ok(recorded_ms - received_us / 1_000.0)
        })
        .collect::<Result<Vec<f64>>>()?;
    took.sort_by(f64::total_cmp);
    took.get(took.len() * 99 / 100)
        .copied()
        .context("nothing was recorded")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
