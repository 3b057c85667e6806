//! Two hours with everything that the real backend does to a client, sixty times as fast: tokens that expire each
//! minute, another client every five minutes, a restart every ten. No anomaly that the backend recorded is lost, and none
//! is there twice.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, count, eventually, toml};

/// Takeovers in two hours; with every second one, the server is restarted.
const TAKEOVERS: u32 = 24;

/// Alerts between two takeovers.
const ALERTS_BETWEEN: u64 = 10;

/// How long the catching up at the end may take: the hub stays away for some time when it has been taken over again and
/// again, and looks at the list twice a minute then.
const CATCH_UP: std::time::Duration = std::time::Duration::from_secs(120);

fn rows(hub: &Hub) -> Result<BTreeMap<String, Value>> {
    let lines = hub.ask("alerts", &["list", "--all", "--limit", "1000", "--json"])?;
    let mut rows = BTreeMap::new();
    for line in lines.lines() {
        let alert: Value = serde_json::from_str(line)?;
        if alert["kind"] == "hub" {
            continue;
        }
        let row = alert["visionguard"]["anomaly_id"].as_str().map(str::to_owned);
        let row = row.with_context(|| format!("an alert without its row: {alert}"))?;
        let twice = rows.insert(row, alert);
        ensure!(twice.is_none(), "two alerts of one row: {twice:?}");
    }
    Ok(rows)
}

#[test]
fn two_hours_of_the_real_backends_ways_lose_nothing() -> Result<()> {
    let backend = Backend::start(&["--rate", "5", "--frame", "320x240", "--token-life", "1s"])?;
    let (url, email, password) = (backend.url(), backend.ready("email")?, backend.ready("password")?);
    let setup = HubSetup::new()?.with(toml! {
        [[connection]]
        name = "shop"
        url = url
        login = { email = email, password = password }
        reconnect = { initial = "20ms", max = "500ms", jitter = 0.2, stable_after = "200ms" }
        slot = { interval = "500ms" }
        backfill = { interval = "5s" }
    });
    let hub = setup.start()?;
    let produced = |stats: &Value| count(stats, "produced");
    backend.until("the first look at the list", PATIENCE, |stats| {
        stats["acknowledged"].as_u64() >= Some(1) && stats["rest_requests"].as_u64() >= Some(4)
    })?;
    let first = backend.alerts()?.len();
    for number in 1..=TAKEOVERS {
        let from = produced(&backend.stats()?);
        backend.order(&json!({"do": "takeover", "for_seconds": 0.5}))?;
        if number % 2 == 0 {
            // The answer may not come any more.
            let _ = backend.order(&json!({"do": "down", "how": "eof", "for_seconds": 0.5}));
        }
        eventually("the backend goes on", PATIENCE, || {
            let made = backend.stats().map(|stats| produced(&stats) - from);
            match made {
                Ok(made) if made >= ALERTS_BETWEEN => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
    }
    backend.order(&json!({"do": "alerts", "on": false}))?;
    let made = backend.alerts()?;
    let stored = eventually("an alert for each row", CATCH_UP, || {
        let stored = rows(&hub)?;
        let missing = made
            .iter()
            .skip(first)
            .filter_map(|row| row["anomaly_id"].as_str())
            .filter(|row| !stored.contains_key(*row))
            .count();
        ensure!(missing == 0, "{missing} of {} are missing", made.len());
        Ok(stored)
    })?;
    let listed = stored.values().filter(|alert| alert["via"] == "list").count();
    let stats = backend.stats()?;
    let connection = &hub.status()?["connections"][0];
    println!(
        "{} anomalies, {listed} of them fetched afterwards; {} logins, {} connects, subscription lost {} times",
        made.len(),
        stats["logins"],
        connection["counters"]["opened"],
        connection["counters"]["subscription_lost"],
    );
    assert!(
        listed > 0 && listed < made.len(),
        "some came each way: {listed} of {}",
        made.len()
    );
    Ok(())
}
