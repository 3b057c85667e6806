//! `watchpost explain` says what was decided when an alert came in, and what became of it; an acknowledgement stops what
//! sounds and takes nothing off the list.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, count, eventually, toml};

/// Says that it sounds, and goes on until it is ended.
const SIREN: &str = r#"touch "$DIR/sounds"; exec sleep 1000"#;

/// The routes at first.
const ROUTES: &str = r#"
[[route]]
name = "elsewhere"
match = { stream = "nowhere" }
sinks = ["desk"]

[[route]]
name = "late"
sinks = ["guard"]
delay = "1h"

[[route]]
name = "all"
match = { connection = "shop" }
sinks = ["archive", "siren"]
stop = true

[[route]]
name = "rest"
sinks = ["unused"]
"#;

/// The only one later.
const OTHER_ROUTE: &str = r#"
[[route]]
name = "elsewhere"
match = { stream = "nowhere" }
sinks = ["archive", "siren", "guard", "desk", "unused"]
"#;

/// A hub with a siren, a guard who is told later, and sinks that get nothing.
fn site(backend: &Backend) -> Result<HubSetup> {
    let mut setup = HubSetup::new()?.connection("shop", backend)?;
    for name in ["archive", "guard", "desk", "unused"] {
        let dir = setup.dir().join(name).display().to_string();
        setup = setup.sink(name, "archive", toml! { dir = dir });
    }
    let dir = setup.dir().display().to_string();
    let dir = dir.as_str();
    Ok(setup.with(toml! {
        [[sink]]
        name = "siren"
        plugin = "exec"
        timeout = "10m"
        cancel_on_acknowledge = true
        sandbox = { exec = true, write = [dir] }
        [sink.config]
        command = ["/bin/sh", "-c", SIREN]
        env = { DIR = dir }
    }))
}

/// The configuration with other routes.
fn write_with(setup: &HubSetup, routes: &str) -> Result<()> {
    setup.write()?;
    let text = fs::read_to_string(setup.config_path())?;
    // The guard is not told what was acknowledged before.
    let guard = "name = \"guard\"\n";
    ensure!(text.contains(guard), "{text}");
    let text = text.replace(guard, &format!("{guard}cancel_on_acknowledge = true\n"));
    fs::write(setup.config_path(), text + routes)?;
    Ok(())
}

fn explained(hub: &Hub, id: &str) -> Result<Value> {
    Ok(serde_json::from_str(&hub.ask("explain", &[id, "--json"])?)?)
}

/// What is said of a sink: its reason, and the state of its delivery.
fn told(explained: &Value, sink: &str) -> Result<(Value, Value)> {
    let sinks = explained["sinks"].as_array().context("sinks")?;
    let told: Vec<&Value> = sinks.iter().filter(|told| told["sink"] == sink).collect();
    let [told] = told[..] else {
        anyhow::bail!("{sink} is not there once: {explained:#}");
    };
    Ok((told["reason"].clone(), told["delivery"]["state"].clone()))
}

#[test]
fn what_was_decided_is_told_also_after_the_routes_have_changed() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = site(&backend)?;
    let sounds = setup.dir().join("sounds");
    let mut hub = setup.start_with(|setup| write_with(setup, ROUTES))?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    eventually("the siren sounds", PATIENCE, || {
        sounds.exists().then_some(()).ok_or("it is silent")
    })?;
    hub.until("archived", PATIENCE, |status| {
        count(&status["sinks"][0]["deliveries"], "delivered") == 1
    })?;
    let id = hub.alerts()?.first().context("an alert")?["id"].to_string();

    let before = explained(&hub, &id)?;
    let by = |route: &str| json!({"code": "matched", "route": route});
    let elsewhere = json!({"code": "not_matched", "route": "elsewhere", "condition": "stream"});
    let stopped = json!({"code": "stopped", "route": "all", "before": "rest"});
    for (sink, reason, state) in [
        ("archive", by("all"), json!("delivered")),
        ("siren", by("all"), json!("pending")),
        ("guard", by("late"), json!("pending")),
        ("desk", elsewhere, Value::Null),
        ("unused", stopped, Value::Null),
    ] {
        assert_eq!(told(&before, sink)?, (reason, state), "{sink}");
    }
    let text = hub.ask("explain", &[&id])?;
    for words in [
        "archive: delivered after 1 attempt",
        "desk: not sent\n  because route elsewhere asks for another stream",
        "guard: pending after 0 attempts, next 2",
        "because route all takes it and has `stop = true`, which keeps it from route rest",
    ] {
        ensure!(text.contains(words), "{words} is not in:\n{text}");
    }

    // Acknowledging stops the siren and what is not due yet, and takes nothing off the list.
    assert_eq!(
        hub.ask("alerts", &["acknowledge", &id])?.trim(),
        format!("alert {id} is acknowledged")
    );
    hub.until("nothing sounds", PATIENCE, |status| {
        let dropped = |sink: &Value| count(&sink["deliveries"], "dropped");
        let sinks = status["sinks"].as_array().map_or(&[][..], Vec::as_slice);
        sinks.iter().map(dropped).sum::<u64>() == 2 && sinks.iter().all(|sink| sink["in_flight"] == 0)
    })?;
    let listed = hub.alerts()?;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["acknowledged_by"], &listed[0]["dismissed"]),
        (&json!("operator"), &json!(false))
    );
    ensure!(hub.ask("alerts", &["list"])?.contains("(acknowledged) shop: "));
    let after = explained(&hub, &id)?;
    for sink in ["siren", "guard"] {
        assert_eq!(told(&after, sink)?.1, "dropped");
    }
    ensure!(
        after
            .to_string()
            .contains("its alert was acknowledged by the operator"),
        "{after:#}"
    );

    // Other routes decide about what comes then, and change nothing that was decided.
    ensure!(hub.stop()?.success());
    write_with(hub.setup(), OTHER_ROUTE)?;
    hub.restart()?;
    assert_eq!(explained(&hub, &id)?, after);
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    let status = hub.until("stored", PATIENCE, |status| {
        count(&status["store"], "alerts") == 2
    })?;
    assert_eq!(count(&status["store"], "unmatched"), 1);
    let newest = hub.alerts()?.first().context("an alert")?["id"].to_string();
    let unmatched = explained(&hub, &newest)?;
    assert_eq!(unmatched["unmatched"], true);
    assert_eq!(told(&unmatched, "archive")?.1, Value::Null);
    ensure!(hub.ask("explain", &[&newest])?.contains("no route takes it"));
    ensure!(
        hub.ask("status", &[])?
            .contains("no route took 1 alert, which went to no sink")
    );
    let unknown = hub.ask("explain", &["12"]).unwrap_err().to_string();
    ensure!(unknown.contains("there is no alert 12"), "{unknown}");
    Ok(())
}
