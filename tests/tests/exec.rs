//! A program runs for every alert, whatever becomes of it, inside the sandbox.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, deliveries, eventually, own_memory_kib, toml};

/// Alerts of the long test, and how many of them come before each absence.
const ALERTS: u64 = 1_000;
const PART: u64 = 350;

/// Memory of its own that the plugin's process may hold, and by how much it may differ, in KiB.
const MAX_OWN_KIB: u64 = 15 << 10;
const FLAT_KIB: u64 = 2 << 10;

/// Notes each alert, and says "not now" while there is a file `away`.
const NOTE: &str = r#"test ! -e "$DIR/away" || { echo "nobody is here"; exit 75; }
echo "$WATCHPOST_ID" >> "$DIR/told""#;

/// Keeps document and picture of each alert.
const KEEP: &str = r#"cat > "$DIR/$1.json"; cp "$2" "$DIR/$1.jpg""#;

/// Says which process it is, and stays.
const STAY: &str = r#"echo $$ > "$DIR/pid"; exec sleep 1000"#;

/// A hub that runs a script of the shell, and the only directory that the script may write to.
fn running(backend: &Backend, script: &str) -> Result<(Hub, PathBuf)> {
    let setup = HubSetup::new()?.connection("shop", backend)?;
    let dir = setup.dir().join("told");
    fs::create_dir(&dir)?;
    let path = dir.display().to_string();
    let path = path.as_str();
    let setup = setup.with(toml! {
        [store]
        recent = 1000
        [[sink]]
        name = "program"
        plugin = "exec"
        retry = { initial = "100ms", max = "500ms" }
        sandbox = { exec = true, write = [path] }
        [sink.config]
        command = ["/bin/sh", "-c", script, "sh", "{id}", "{picture}"]
        env = { DIR = path }
    });
    Ok((setup.start()?, dir))
}

fn plugin_pid(status: &Value) -> Result<u64> {
    status["sinks"][0]["pid"].as_u64().context("a process")
}

/// The process that the program said it is.
fn program(dir: &Path) -> Result<String> {
    let pid = dir.join("pid");
    eventually("the program started", PATIENCE, || {
        fs::read_to_string(&pid)
            .ok()
            .filter(|text| text.ends_with('\n'))
            .map(|text| text.trim().to_owned())
            .ok_or("it has not said its number")
    })
}

/// Waits until there is no such process, or only what nobody has waited for.
fn until_gone(pid: &str) -> Result<()> {
    eventually("the program ended", PATIENCE, || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').map_or("Z", |(_, rest)| rest.trim_start());
        if state.starts_with(['Z', 'X']) {
            Ok(())
        } else {
            Err(format!("its state is {state}"))
        }
    })
}

#[test]
fn the_program_gets_document_and_picture_of_every_alert() -> Result<()> {
    let backend = Backend::start(&[
        "--count",
        "20",
        "--rate",
        "inf",
        "--wait-for-client",
        "--frame",
        "640x480",
    ])?;
    let (hub, dir) = running(&backend, KEEP)?;
    hub.until("every alert told", PATIENCE, |status| {
        deliveries(status, "delivered") == 20
    })?;
    let mut stored = hub.alerts()?;
    stored.reverse();
    let sent = backend.alerts()?;
    assert_eq!([stored.len(), sent.len()], [20, 20]);
    for (sent, stored) in sent.iter().zip(&stored) {
        let id = &stored["id"];
        let document: Value = serde_json::from_slice(&fs::read(dir.join(format!("{id}.json")))?)?;
        assert_eq!(document["camera"]["id"], sent["stream_id"]);
        let picture = fs::read(dir.join(format!("{id}.jpg")))?;
        let original = backend.picture(sent["anomaly_id"].as_str().context("an id")?)?;
        assert!(picture == original, "the picture of alert {id} was altered");
    }
    Ok(())
}

#[test]
fn a_thousand_alerts_are_told_though_nobody_is_there_twice() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let (hub, dir) = running(&backend, NOTE)?;
    let away = dir.join("away");
    let mut early_kib = 0;
    for absence in 1..=2 {
        backend.order(&json!({"do": "send", "count": PART}))?;
        let before = PART * absence - PART / 2;
        let status = hub.until("half of this part told", PATIENCE, |status| {
            deliveries(status, "delivered") >= before
        })?;
        if absence == 1 {
            early_kib = own_memory_kib(&status["sinks"][0])?;
        }
        fs::write(&away, "")?;
        backend.order(&json!({"do": "send", "count": 10}))?;
        let status = hub.until("the absence noticed", PATIENCE, |status| {
            status["sinks"][0]["state"] == "down"
        })?;
        let error = status["sinks"][0]["last_error"].as_str().unwrap_or_default();
        assert!(error.contains("exit code 75: nobody is here"), "{error}");
        fs::remove_file(&away)?;
    }
    backend.order(&json!({"do": "send", "count": ALERTS - 2 * PART - 20}))?;
    let status = hub.until("every alert told", PATIENCE * 2, |status| {
        deliveries(status, "delivered") == ALERTS
    })?;

    let told = fs::read_to_string(dir.join("told"))?;
    let once: BTreeSet<String> = told.lines().map(str::to_owned).collect();
    let wanted: BTreeSet<String> = hub
        .alerts()?
        .iter()
        .map(|alert| alert["id"].to_string())
        .collect();
    assert_eq!(once, wanted);
    assert_eq!(told.lines().count() as u64, ALERTS, "some were told twice");
    let late_kib = own_memory_kib(&status["sinks"][0])?;
    assert!(
        late_kib < MAX_OWN_KIB && late_kib < early_kib + FLAT_KIB,
        "the plugin's process held {early_kib} KiB, later {late_kib} KiB"
    );
    Ok(())
}

#[test]
fn a_program_ends_with_the_plugin_and_with_the_hub() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let (mut hub, dir) = running(&backend, STAY)?;
    let status = hub.until("the plugin", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected" && status["sinks"][0]["pid"].is_u64()
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    let first = program(&dir)?;
    fs::remove_file(dir.join("pid"))?;
    let plugin = plugin_pid(&status)?.to_string();
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &plugin])
        .status()?;
    assert!(killed.success());
    until_gone(&first)?;

    // The alert is delivered again by a plugin that was restarted.
    let second = program(&dir)?;
    assert_ne!(first, second);
    fs::remove_file(dir.join("pid"))?;
    hub.kill()?;
    until_gone(&second)
}
