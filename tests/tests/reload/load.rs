//! Reloads while alerts come in: a sink is changed each time, two take turns, and so do the route and the log's filter.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use watchpost_testkit::{Backend, HubSetup, PATIENCE, count, eventually, hostile_plugin};

use super::rig::{acknowledged, check_one_connection, config, once, pid, recorder, running, setup, sink};

/// Reloads under load.
const RELOADS: u64 = 100;

/// Alerts come at this rate, in alerts a second, as far as the machine lets them.
const RATE: &str = "200";

/// After each reload at least so many alerts come before the next one.
const ALERTS_BETWEEN: u64 = 5;

#[test]
fn a_hundred_reloads_under_load_lose_nothing_repeat_nothing_and_disconnect_nobody() -> Result<()> {
    let backend = Backend::start(&[
        "--rate",
        RATE,
        "--wait-for-client",
        "--no-pose",
        "--frame",
        "64x64",
    ])?;
    let setup = setup(&backend)?;
    let plugin = hostile_plugin("recorder")?;
    // `changed` is changed each time, `steady` never; `even` and `odd` take turns, and the route follows them.
    let numbered = |setup: &HubSetup, n: u64| {
        let turn = if n.is_multiple_of(2) { "even" } else { "odd" };
        let in_flight = if n.is_multiple_of(2) { 16 } else { 32 };
        let sinks = vec![
            recorder(setup, "changed", &plugin, in_flight),
            recorder(setup, "steady", &plugin, 16),
            recorder(setup, turn, &plugin, 16),
        ];
        let log = if n.is_multiple_of(2) { "info" } else { "debug" };
        config(setup, log, sinks, &["changed", "steady", turn])
    };
    let base = numbered(&setup, 0);
    let mut hub = setup.configured(base).start()?;
    let first = running(&hub, &["changed", "steady", "even"])?;
    let mut changed = vec![pid(&first, "changed").context("a process")?];
    for n in 1..=RELOADS {
        let before = acknowledged(&backend)?;
        hub.rewrite(&numbered(hub.setup(), n))?;
        ensure!(hub.status()?["configuration"]["outdated"] == true, "it is newer");
        let said = hub.ask("reload", &[])?;
        let (starts, ends) = if n.is_multiple_of(2) {
            ("even", "odd")
        } else {
            ("odd", "even")
        };
        for line in [
            "sink changed: starts again, once it has finished what it has begun".to_owned(),
            format!("sink {starts}: starts"),
            format!("sink {ends}: ends, once it has finished what it has begun; what waits for it is kept"),
        ] {
            ensure!(said.lines().any(|said| said == line), "not `{line}`: {said}");
        }
        ensure!(!said.contains("steady") && !said.contains("shop"), "{said}");
        let status = hub.until("the new sinks instead of the old", PATIENCE, |status| {
            let next = pid(status, "changed").filter(|next| changed.last() != Some(next));
            next.is_some() && pid(status, starts).is_some() && sink(status, ends).is_none()
        })?;
        ensure!(status["configuration"]["outdated"] == false, "{status:#}");
        assert_eq!(
            pid(&status, "steady"),
            pid(&first, "steady"),
            "it was not changed"
        );
        changed.extend(pid(&status, "changed"));
        // Something that is worth a line at DEBUG only.
        let message = json!({"type": format!("mark-{n}")}).to_string();
        backend.order(&json!({"do": "send_text", "text": message}))?;
        hub.until("the message", PATIENCE, |status| {
            count(&status["connections"][0]["counters"], "ignored") == n
        })?;
        backend.until("alerts between two reloads", PATIENCE, |stats| {
            stats["acknowledged"].as_u64() >= Some(before + ALERTS_BETWEEN)
        })?;
    }

    // Everything that was meant for a sink that was away meanwhile is there.
    backend.order(&json!({"do": "alerts", "on": false}))?;
    // Before the last reload, which routes to all sinks what is still on its way.
    let sent = eventually("everything acknowledged", PATIENCE, || {
        let stats = backend.stats().map_err(|error| error.to_string())?;
        match stats["acknowledged"] == stats["produced"] {
            true => Ok(count(&stats, "produced")),
            false => Err(stats.to_string()),
        }
    })?;
    let all = ["changed", "steady", "even", "odd"];
    let sinks = all.map(|name| recorder(hub.setup(), name, &plugin, 16)).to_vec();
    hub.rewrite(&config(hub.setup(), "info", sinks, &all))?;
    hub.ask("reload", &[])?;
    let status = hub.until("everything delivered", PATIENCE * 4, |status| {
        let sinks = status["sinks"].as_array().map_or(&[][..], Vec::as_slice);
        sinks.len() == all.len()
            && sinks
                .iter()
                .all(|sink| count(&sink["deliveries"], "pending") == 0)
    })?;
    ensure!(status["queues"].is_null(), "{status:#}");
    check_one_connection(&backend)?;
    assert_eq!(count(&status["store"], "alerts"), sent, "stored as often as sent");
    let [changed, steady, even, odd] = all.map(|name| once(&hub, name));
    let (changed, steady, even, odd) = (changed?, steady?, even?, odd?);
    assert_eq!(steady.len() as u64, sent, "every alert once");
    assert_eq!(changed, steady, "the sink that was changed got the same");
    ensure!(
        even.is_disjoint(&odd),
        "an alert was routed by two configurations"
    );
    assert_eq!(even.union(&odd).cloned().collect::<BTreeSet<_>>(), steady);
    ensure!(hub.stop()?.success(), "the hub did not stop as asked");
    check_log_levels(&hub.process().log());
    Ok(())
}

/// The log has the message of each reload whose filter lets it pass, and no other.
fn check_log_levels(log: &str) {
    for n in 1..=RELOADS {
        let logged = log.lines().any(|line| line.ends_with(&format!("kind=mark-{n}")));
        assert_eq!(logged, !n.is_multiple_of(2), "after reload {n}");
    }
}
