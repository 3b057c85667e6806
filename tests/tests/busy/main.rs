//! The server's pings are answered whatever the store has to do, also when its disk stands still.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, count};

/// A disk on which nothing is made durable for as long as a file exists.
const SHIM: &str = include_str!("shim.c");

/// Alerts whose commit waits for the disk.
const ALERTS: u64 = 50;

/// Pings that come meanwhile.
const PINGS: u64 = 20;

#[test]
fn pings_are_answered_while_nothing_can_be_committed() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--picture-size", "200KB", "--heartbeat", "20ms"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let gate = setup.dir().join("gate");
    let shim = compiled(setup.dir())?;
    let hub = setup
        .environment(vec![
            ("LD_PRELOAD".to_owned(), shim),
            ("DISK_GATE".to_owned(), gate.display().to_string()),
        ])
        .start()?;
    until_connected(&hub)?;

    std::fs::write(&gate, "")?;
    backend.order(&json!({"do": "send", "count": ALERTS}))?;
    let sent = backend.until("every alert sent", PATIENCE, |stats| stats["sent"] == ALERTS)?;
    let pongs = |stats: &Value| count(stats, "pongs_received");
    let stats = backend.until("pings answered", PATIENCE, |stats| {
        pongs(stats) >= pongs(&sent) + PINGS
    })?;
    assert_eq!(
        stats["acknowledged"], 0,
        "what is not on disk is not acknowledged"
    );

    std::fs::remove_file(&gate)?;
    let stats = backend.until("every alert acknowledged", PATIENCE, |stats| {
        stats["acknowledged"] == ALERTS
    })?;
    assert_eq!(
        (&stats["attempts"], &stats["keepalive_timeouts"]),
        (&json!(1), &json!(0))
    );
    Ok(())
}

fn until_connected(hub: &Hub) -> Result<()> {
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    Ok(())
}

/// The path of the shared object made of the shim.
fn compiled(dir: &Path) -> Result<String> {
    let (source, object) = (dir.join("shim.c"), dir.join("shim.so"));
    std::fs::write(&source, SHIM)?;
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&object)
        .arg(&source);
    ensure!(compiler.status()?.success(), "cc failed on shim.c");
    Ok(object.display().to_string())
}
