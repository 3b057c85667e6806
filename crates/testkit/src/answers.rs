//! What a hub's answers say: its alerts, and the parts of its status. How it is asked it does not know.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;

use crate::Hub;

/// Alerts that are asked for at once.
const PAGE: usize = 1_000;

impl Hub {
    /// The alerts that were not dismissed, newest first: what `watchpost alerts --json list` prints.
    pub fn alerts(&self) -> Result<Vec<Json>> {
        self.listed(&[])
    }

    /// All alerts, newest first.
    pub fn all_alerts(&self) -> Result<Vec<Json>> {
        let limit = PAGE.to_string();
        let mut alerts: Vec<Json> = Vec::new();
        loop {
            let before = alerts.last().map(|alert| alert["id"].to_string());
            let before = before.iter().flat_map(|id| ["--before", id]);
            let args: Vec<&str> = ["--all", "--limit", &limit].into_iter().chain(before).collect();
            let page = self.listed(&args)?;
            let ended = page.len() < PAGE;
            alerts.extend(page);
            if ended {
                return Ok(alerts);
            }
        }
    }

    /// The alerts of cameras by their rows in the backend, where each has one and no two have the same.
    pub fn alerts_by_row(&self) -> Result<BTreeMap<String, Json>> {
        let mut by_row = BTreeMap::new();
        for alert in self.all_alerts()? {
            if alert["kind"] == "hub" {
                continue;
            }
            let row = alert["visionguard"]["anomaly_id"].as_str().map(str::to_owned);
            let row = row.with_context(|| format!("an alert without its row: {alert}"))?;
            let twice = by_row.insert(row, alert);
            ensure!(twice.is_none(), "two alerts of one row: {twice:?}");
        }
        Ok(by_row)
    }

    /// The hub's own alerts with this word, newest first.
    pub fn events(&self, word: &str) -> Result<Vec<Json>> {
        let mut events = self.all_alerts()?;
        events.retain(|alert| alert["kind"] == "hub" && alert["details"]["status"] == word);
        Ok(events)
    }

    fn listed(&self, args: &[&str]) -> Result<Vec<Json>> {
        let args: Vec<&str> = ["--json", "list"].iter().chain(args).copied().collect();
        let text = self.ask("alerts", &args)?;
        text.lines()
            .map(|line| {
                serde_json::from_str(line)
                    .with_context(|| format!("the list has a line that is no JSON: {line}"))
            })
            .collect()
    }
}

/// A sink of a status, or null where there is none of that name.
#[must_use]
pub fn sink<'a>(status: &'a Json, name: &str) -> &'a Json {
    let mut sinks = status["sinks"].as_array().into_iter().flatten();
    sinks.find(|sink| sink["name"] == name).unwrap_or(&Json::Null)
}

/// A count of a document, such as `stored` of a connection's counters.
///
/// # Panics
/// If there is no such count, with the names of those that are there: a test that looks for a wrong name would pass for
/// the wrong reason.
#[track_caller]
#[must_use]
pub fn count(of: &Json, name: &str) -> u64 {
    match of[name].as_u64() {
        Some(count) => count,
        None => panic!("there is no count `{name}` in {of:#}"),
    }
}

/// How many deliveries to the first sink of a status are in a state, such as `delivered`.
///
/// # Panics
/// If there is no such state.
#[track_caller]
#[must_use]
pub fn deliveries(status: &Json, state: &str) -> u64 {
    count(&status["sinks"][0]["deliveries"], state)
}

/// Memory of its own that the process of a sink holds, in KiB, as the kernel counts it; `sink` is one of those in a status.
pub fn own_memory_kib(sink: &Json) -> Result<u64> {
    let pid = sink["pid"].as_u64().context("the sink has no process")?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("RssAnon")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "there is no count `storde` in")]
    fn a_wrong_name_is_no_zero() {
        let _ = count(&serde_json::json!({"stored": 3}), "storde");
    }
}
