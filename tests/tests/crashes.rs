//! What becomes of plugins that crash and of the alerts they crash over, and what the hub says of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, hostile_plugin, toml};

/// A hub with one connection, a recorder that gets what the hub says of itself, and a sink called `bad` that gets what
/// the cameras raise. Returns what the recorder writes to as well.
fn hub(backend: &Backend, bad: &str, more: toml::Table) -> Result<(Hub, PathBuf)> {
    let setup = HubSetup::new()?.connection("shop", backend)?;
    let record = setup.dir().join("events");
    let (file, bad_file) = (display(&record), display(&setup.dir().join("bad")));
    let (plugin, dir) = (display(&hostile_plugin(bad)?), display(setup.dir()));
    let mut sink = toml! {
        name = "bad"
        plugin = plugin
        retry = { initial = "50ms" }
        sandbox = { write = [dir] }
        config = { file = bad_file }
    };
    sink.extend(more);
    let recorder = display(&hostile_plugin("recorder")?);
    let hub = setup
        .sink("events", &recorder, toml! { file = file })
        .with(toml! {
            sink = [sink]
            [[route]]
            sinks = "bad"
            [[route]]
            match = { kind = "hub" }
            sinks = "events"
        })
        .start()?;
    Ok((hub, record))
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

/// The ids in a record, repeated ones once.
fn recorded(record: &Path) -> Result<BTreeSet<u64>> {
    let text = fs::read_to_string(record).unwrap_or_default();
    let id = |line: &str| Ok(line.split(' ').next().context("an id")?.parse()?);
    text.lines().map(id).collect()
}

/// Waits for the event of this name, in the store and at the sink that is there for it.
fn event(hub: &Hub, record: &Path, word: &str) -> Result<Value> {
    let find = || -> Result<Option<Value>> {
        let alerts = hub.alerts()?;
        Ok(alerts
            .into_iter()
            .find(|alert| alert["details"]["status"] == word))
    };
    watchpost_testkit::eventually(word, PATIENCE, || match find() {
        Ok(Some(event)) => {
            let id = event["id"].as_u64().unwrap_or(0);
            match recorded(record) {
                Ok(ids) if ids.contains(&id) => Ok(event),
                _ => Err(format!("{word} is stored and not delivered: {event:#}")),
            }
        }
        Ok(None) => Err(format!("no event {word} is stored")),
        Err(error) => Err(format!("{error:#}")),
    })
}

fn deliveries(hub: &Hub, args: &[&str]) -> Result<Vec<Value>> {
    let text = hub.ask(
        "deliveries",
        &[&["--json", "list", "--limit", "1000"], args].concat(),
    )?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn changed(hub: &Hub, args: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(
        &hub.ask("deliveries", &[&["--json"], args].concat())?,
    )?)
}

#[test]
fn an_alert_that_crashes_the_plugin_three_times_is_given_up_and_the_others_are_not() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let (hub, events) = hub(&backend, "poison", toml::Table::new())?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 20}))?;
    let poison = json!({"type": "anomaly_detected", "user_id": "u", "stream_id": "poison",
        "result": {"person_id": 1}, "annotated_frame": "", "frame_format": "jpeg"});
    backend.order(&json!({"do": "send_text", "text": poison.to_string()}))?;
    backend.order(&json!({"do": "send", "count": 20}))?;
    let bad = |status: &Value| status["sinks"][1]["deliveries"].clone();
    hub.until("all but one delivered", PATIENCE, |status| {
        bad(status)["delivered"] == 40 && bad(status)["dead"] == 1
    })?;

    let dead = deliveries(&hub, &["--state", "dead"])?;
    ensure!(dead.len() == 1, "{dead:?}");
    let why = "the plugin was killed by SIGSEGV (segmentation fault) over this alert, 3 times";
    assert_eq!(
        (&dead[0]["sink"], &dead[0]["error"], &dead[0]["attempts"]),
        (&json!("bad"), &json!(why), &json!(3))
    );
    let told = event(&hub, &events, "dead_letters")?;
    let text = told["text"].as_str().context("a text")?;
    ensure!(text.contains(why), "{text}");
    assert_eq!(
        (&told["kind"], &told["title"]),
        (&json!("hub"), &json!("Sink bad did not get 1 alert"))
    );
    ensure!(
        hub.status()?["sinks"][0]["deliveries"]["dead"] == 0,
        "the others are none of its business"
    );

    // An operator may try once more, and may think better of it: it is dropped, unless it has crashed the plugin before.
    let id = dead[0]["alert"].to_string();
    assert_eq!(changed(&hub, &["retry", &id])?, json!({"changed": 1}));
    watchpost_testkit::eventually("dropped or dead", PATIENCE, || {
        let dropped = changed(&hub, &["drop", &id]).map_err(|e| e.to_string())?;
        let state = &deliveries(&hub, &[&id]).map_err(|e| e.to_string())?[0]["state"];
        if *state == "dead" || *state == "dropped" {
            Ok(())
        } else {
            Err(format!("{dropped} {state}"))
        }
    })?;
    let shown = hub.ask("deliveries", &["show", &id])?;
    ensure!(
        shown.contains("state         d") && shown.contains("last error"),
        "{shown}"
    );
    Ok(())
}

#[test]
fn a_plugin_that_always_crashes_is_marked_failed_and_keeps_its_alerts() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let (hub, events) = hub(&backend, "crash", toml::Table::new())?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 50}))?;
    let told = event(&hub, &events, "sink_failed")?;
    assert_eq!(told["title"], "Sink bad has failed");
    let text = told["text"].as_str().context("a text")?;
    ensure!(
        text.starts_with("the plugin was killed by SIGSEGV (segmentation fault). Its alerts are kept"),
        "{text}"
    );
    let status = hub.status()?;
    let bad = &status["sinks"][1];
    assert_eq!((&bad["state"], &bad["crashes"]), (&json!("failed"), &json!(5)));
    assert_eq!(
        (&bad["deliveries"]["pending"], &bad["deliveries"]["dead"]),
        (&json!(49), &json!(1)),
        "it crashed over the first three times before it was known to fail over all"
    );
    // An operator may give them up.
    assert_eq!(
        changed(&hub, &["drop", "--sink", "bad", "--since", "1h"])?,
        json!({"changed": 49})
    );
    let refused = hub.ask("deliveries", &["drop"]).unwrap_err().to_string();
    ensure!(refused.contains("--all"), "{refused}");
    Ok(())
}

#[test]
fn a_plugin_that_leaks_is_started_anew_before_it_crashes() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let (hub, _) = hub(&backend, "leak", toml! { recycle_over = "30MiB" })?;
    let running = |status: &Value| {
        status["sinks"][1]["state"] == "running" && status["connections"][0]["state"] == "connected"
    };
    let first = hub.until("running", PATIENCE, running)?["sinks"][1]["pid"].clone();
    backend.order(&json!({"do": "send", "count": 20}))?;
    hub.until("a new process", PATIENCE, |status| {
        running(status) && status["sinks"][1]["pid"] != first
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    let done = hub.until("all delivered", PATIENCE, |status| {
        status["sinks"][1]["deliveries"]["delivered"] == 21
    })?;
    assert_eq!(
        (&done["sinks"][1]["crashes"], done["sinks"][1].get("last_error")),
        (&json!(0), None)
    );
    let record = fs::read_to_string(hub.setup().dir().join("bad"))?;
    assert_eq!(record.lines().count(), 21, "nothing was delivered twice");
    Ok(())
}
