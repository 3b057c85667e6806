//! What must be so when all has been well for long enough.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::stage::Stage;

/// Whether all is as it should be; the error says what is not.
pub(crate) fn look(stage: &Stage) -> Result<()> {
    ensure!(
        stage.has_raised_all(),
        "the backend has not raised all that was seen"
    );
    status(stage)?;
    let alerts = stage.hub.all_alerts()?;
    rows(stage, &alerts)?;
    deliveries(stage, &alerts)?;
    events(stage, &alerts)
}

/// What the status says.
fn status(stage: &Stage) -> Result<()> {
    let status = stage.hub.status()?;
    for connection in status["connections"].as_array().context("connections")? {
        ensure!(connection["state"] == "connected", "{connection:#}");
        ensure!(connection["pictures_missing"] == 0, "{connection:#}");
        // The one shop that can never be read is said to be.
        ensure!(
            connection["list_failure"].is_object() == stage.setup.bad_shop,
            "{connection:#}"
        );
    }
    for sink in status["sinks"].as_array().context("sinks")? {
        ensure!(sink["state"] == "running", "{sink:#}");
    }
    let users = if stage.setup.both_accounts { 2 } else { 1 };
    let registered = stage.backend.stats()?["registered"].clone();
    ensure!(
        registered == users,
        "the backend sends alerts to {registered} clients, of {users}"
    );
    Ok(())
}

/// Every row is one alert with its picture, and there is no other.
fn rows(stage: &Stage, alerts: &[Value]) -> Result<()> {
    let mut by_row: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut rowless = 0;
    for alert in alerts.iter().filter(|alert| alert["kind"] == "anomaly") {
        match alert["visionguard"]["anomaly_id"].as_str() {
            Some(row) => {
                let twice = by_row.insert(row, alert);
                ensure!(twice.is_none(), "two alerts of one row: {twice:#?} {alert:#}");
            }
            None => rowless += 1,
        }
        ensure!(alert["picture"]["jpeg"].is_object(), "no picture: {alert:#}");
    }
    let mut unrecorded = 0;
    for raised in stage.backend.alerts()? {
        let row = raised["anomaly_id"].as_str().context("a row")?;
        let kept = by_row.contains_key(row);
        if raised["recorded"] == true {
            ensure!(kept, "it is no alert: {raised}");
        } else {
            unrecorded += 1;
        }
    }
    ensure!(
        rowless <= unrecorded,
        "{rowless} alerts have no row, of {unrecorded}"
    );
    Ok(())
}

/// Every delivery was made that is said to be, and none waits.
fn deliveries(stage: &Stage, alerts: &[Value]) -> Result<()> {
    for service in &stage.services {
        let taken: BTreeSet<String> = service.taken();
        for alert in alerts.iter().filter(|alert| alert["kind"] == "anomaly") {
            let deliveries = alert["deliveries"].as_array().context("deliveries")?;
            let to_it = deliveries
                .iter()
                .find(|delivery| delivery["sink"] == service.name);
            let delivery = to_it.with_context(|| format!("none to {}: {alert:#}", service.name))?;
            ensure!(delivery["state"] == "delivered", "{delivery} of {alert:#}");
            let id = alert["id"].to_string();
            ensure!(taken.contains(&id), "{} never got {id}", service.name);
        }
    }
    Ok(())
}

/// How often the hub has said this of a connection.
fn said(alerts: &[Value], word: &str) -> usize {
    let events = alerts.iter().filter(|alert| alert["kind"] == "hub");
    events.filter(|event| event["details"]["status"] == word).count()
}

/// How often it has said that a connection is away.
pub(crate) fn said_lost(stage: &Stage) -> Result<usize> {
    Ok(said(&stage.hub.all_alerts()?, "link_lost"))
}

/// A long absence was said, and so was the end of each that was, unless the hub that had to was killed meanwhile.
fn events(stage: &Stage, alerts: &[Value]) -> Result<()> {
    let (lost, back) = (said(alerts, "link_lost"), said(alerts, "link_back"));
    if let Some(before) = stage.said_before() {
        ensure!(
            lost > before,
            "the backend was away for long, and no event says so"
        );
    }
    let connections = if stage.setup.both_accounts { 2 } else { 1 };
    ensure!(
        lost <= back + stage.kills * connections,
        "{lost} absences, {back} ends of them, {} kills",
        stage.kills
    );
    Ok(())
}
