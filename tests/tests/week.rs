//! A sink that was down for a week with a hundred thousand alerts waiting: the hub holds none of them in memory, and when
//! the sink returns it gets in order what is still worth it.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_core::{Alert, AlertId, AlertKind, Camera, Router, Target, UnixMillis};
use watchpost_store::{Arrival, Batch, Store, StoreOptions};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, hostile_plugin, toml};

/// Alerts that wait.
const WAITING: u64 = 100_000;
/// Of these are older than `max_age`.
const EXPIRED: u64 = 57_000;
/// Alerts that come in while the sink is down, and again after.
const LIVE: u64 = 50;
/// Alerts in one transaction.
const BATCH: usize = 2_000;
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// As the sink is configured.
const MAX_AGE: Duration = Duration::from_secs(3 * 86_400);
/// What a backlog may cost, in KiB.
const MAX_GROWTH_KIB: u64 = 10 << 10;

#[test]
fn a_week_of_waiting_alerts_costs_no_memory_and_comes_in_order() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let (record, gate) = (setup.dir().join("record"), setup.dir().join("closed"));
    fs::write(&gate, "")?;
    let (file, closed, dir) = (text(&record), text(&gate), text(setup.dir()));
    let plugin = text(&hostile_plugin("gate")?);
    let mut hub = setup
        .with(toml! {
            [[sink]]
            name = "siren"
            plugin = plugin
            max_age = "3d"
            retry = { initial = "100ms", max = "500ms" }
            sandbox = { write = [dir] }
            config = { file = file, gate = closed }
        })
        .start()?;
    let empty = peak_after_some_alerts(&mut hub, &backend)?;
    ensure!(hub.stop()?.success(), "the hub did not stop as asked");
    fill(&hub.setup().data_dir())?;
    hub.restart()?;
    let full = peak_after_some_alerts(&mut hub, &backend)?;
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("peak memory {empty} KiB with an empty store, {full} KiB with {WAITING} alerts waiting\n")
            .as_bytes(),
    );
    ensure!(
        full < empty + MAX_GROWTH_KIB,
        "{full} KiB with a backlog, {empty} KiB without"
    );

    fs::remove_file(&gate)?;
    let fresh = WAITING - EXPIRED + 2 * LIVE;
    let status = hub.until("nothing waits", PATIENCE * 4, |status| {
        deliveries(status)["pending"] == 0
    })?;
    let counts = json!({"pending": 0, "delivered": fresh, "dead": 0, "expired": EXPIRED, "dropped": 0});
    assert_eq!(deliveries(&status), &counts);
    let recorded = fs::read_to_string(&record)?;
    let ids: Vec<u64> = recorded
        .lines()
        .map(|line| Ok(line.split(' ').next().context("an id")?.parse()?))
        .collect::<Result<_>>()?;
    assert_eq!(ids.len() as u64, fresh, "each once");
    // The first is the one that found the sink back: one after the other is tried, lest a single alert that fails for a
    // reason of its own keeps all from being delivered.
    ensure!(ids[1..].is_sorted(), "the order of the alerts is lost");
    let expired = hub.ask(
        "deliveries",
        &["--json", "list", "--state", "expired", "--limit", "1"],
    )?;
    ensure!(expired.contains("max_age"), "{expired}");
    let end = hub.peak_memory_kib()?;
    ensure!(
        end < empty + MAX_GROWTH_KIB,
        "{end} KiB when all was done, {empty} KiB without a backlog"
    );
    Ok(())
}

fn deliveries(status: &Value) -> &Value {
    &status["sinks"][0]["deliveries"]
}

/// The most memory the hub has taken until some alerts more are stored, while its sink is down.
fn peak_after_some_alerts(hub: &mut Hub, backend: &Backend) -> Result<u64> {
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": LIVE}))?;
    hub.until("stored, and the sink tried", PATIENCE, |status| {
        status["connections"][0]["counters"]["receipts"] == LIVE && status["sinks"][0]["state"] == "down"
    })?;
    hub.peak_memory_kib()
}

/// Adds the alerts of a week, none of an age that comes to `max_age` while the test runs.
fn fill(data_dir: &Path) -> Result<()> {
    let (mut store, _) = Store::open(StoreOptions::new(data_dir))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let spread = |from: Duration, to: Duration, count: u64| {
        (0..count).map(move |n| from - (from - to).mul_f64(n as f64 / count as f64))
    };
    let ages: Vec<Duration> = spread(7 * DAY, MAX_AGE + HOUR, EXPIRED)
        .chain(spread(MAX_AGE - HOUR, HOUR, WAITING - EXPIRED))
        .collect();
    let siren = Target {
        name: "siren".into(),
        max_age: Some(MAX_AGE),
        ..Target::default()
    };
    let router = Router::new(vec![siren], Vec::new());
    for chunk in ages.chunks(BATCH) {
        let arrivals = chunk
            .iter()
            .map(|age| arrival(now - *age))
            .collect::<Result<_>>()?;
        let batch = Batch {
            arrivals,
            ..Batch::default()
        };
        store.commit(&batch, &|state, event| router.step(UnixMillis(0), state, event))?;
    }
    Ok(())
}

fn arrival(received: Duration) -> Result<Arrival> {
    let received_at = UnixMillis(i64::try_from(received.as_millis())?);
    let id = AlertId(u64::try_from(received.as_micros())?);
    let alert = Alert {
        camera: Some(Camera::unnamed("gate")),
        title: "Anomaly at camera gate".into(),
        text: "Abnormal behaviour of person 1".into(),
        ..Alert::new(id, AlertKind::Anomaly, "shop", received_at)
    };
    Ok(Arrival { alert, frame: None })
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
