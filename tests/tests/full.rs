//! The disk is full: nothing is acknowledged that is not stored, the hub goes on reading and answering and stays small,
//! says what it had to drop, and recovers by itself when there is room again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_store::{Filter, Reader};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, count, eventually, toml};

/// The hub can write no file beyond so many blocks of 512 bytes, which is a disk that is full for it. The signal that comes
/// with it is ignored, as it does not come with a full disk.
const LIMITED: &[&str] = &["sh", "-c", "trap '' XFSZ; ulimit -S -f 2200; exec \"$0\" \"$@\""];

/// Growth of the hub's memory while nothing can be stored, in KiB, with an `intake_buffer` of 2 MiB.
const MAX_GROWTH_KIB: u64 = 24 << 10;

/// Pings that come while nothing can be stored.
const PINGS: u64 = 20;

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged_and_is_told_of() -> Result<()> {
    let backend = Backend::start(&[
        "--rate",
        "100",
        "--frame",
        "320x240",
        "--no-pose",
        // An acknowledgement then says which alert it is for.
        "--ids",
        "--wait-for-client",
        "--heartbeat",
        "50ms",
    ])?;
    let (url, user_id, token) = (backend.url(), backend.ready("user_id")?, backend.ready("token")?);
    let setup = HubSetup::new()?.with(toml! {
        [store]
        segment_size = "1MiB"
        [[connection]]
        name = "shop"
        url = url
        user_id = user_id
        token = token
        intake_buffer = "2MiB"
        max_message = "2MiB"
    });
    let mut hub = setup.wrapper(LIMITED).start()?;
    hub.until("error", PATIENCE * 2, |status| {
        status["store"]["error"].is_string()
    })?;
    let before = hub.peak_memory_kib()?;
    let stats = backend.stats()?;
    let (acknowledged, pongs) = (count(&stats, "acknowledged"), count(&stats, "pongs_received"));

    hub.until("alerts dropped", PATIENCE, |status| {
        count(&status["connections"][0]["counters"], "dropped") > 100
    })?;
    backend.until("pings answered", PATIENCE, |stats| {
        count(stats, "pongs_received") >= pongs + PINGS
    })?;
    let stats = backend.stats()?;
    assert_eq!(
        count(&stats, "acknowledged"),
        acknowledged,
        "nothing more was stored"
    );
    assert_eq!(
        (&stats["attempts"], &stats["keepalive_timeouts"]),
        (&json!(1), &json!(0))
    );
    let after = hub.peak_memory_kib()?;
    ensure!(
        after < before + MAX_GROWTH_KIB,
        "{before} KiB at first, {after} KiB"
    );

    free_space(&mut hub)?;
    backend.until("acknowledged again", PATIENCE, |stats| {
        count(stats, "acknowledged") > acknowledged + 200
    })?;
    for word in ["store_recovered", "alerts_dropped"] {
        eventually(word, PATIENCE, || {
            ensure!(!hub.events(word)?.is_empty(), "no event says so");
            Ok(())
        })?;
    }
    backend.order(&json!({"do": "alerts", "on": false}))?;
    ensure!(hub.stop()?.success(), "the hub did not stop as asked");
    check_stored(&hub.setup().data_dir(), &backend.alerts()?)
}

/// Every alert that was acknowledged is stored: by its stream and person, which no two alerts share.
fn check_stored(data_dir: &Path, listed: &[Value]) -> Result<()> {
    let mut reader = Reader::open(data_dir)?;
    let mut stored = BTreeSet::new();
    let mut page = Filter {
        limit: 1_000,
        ..Filter::default()
    };
    loop {
        let alerts = reader.list(&page)?;
        let Some(last) = alerts.last() else {
            break;
        };
        page.before = Some(last.alert.id);
        stored.extend(alerts.into_iter().filter_map(|stored| {
            let (camera, own) = (stored.alert.camera?, stored.alert.visionguard?);
            Some((camera.id, own.person_id))
        }));
    }
    let mut acknowledged = 0;
    for alert in listed
        .iter()
        .filter(|alert| !alert["acknowledged_at_ms"].is_null())
    {
        let stream = alert["stream_id"].as_str().context("a stream")?;
        let person = alert["person_id"].as_i64().context("a person")?;
        ensure!(
            stored.contains(&(stream.to_owned(), person)),
            "acknowledged and not stored: {alert}"
        );
        acknowledged += 1;
    }
    ensure!(acknowledged > 0, "nothing was acknowledged");
    Ok(())
}

/// Says which process it is, and stays until it is ended: a siren that sounds.
const SIREN: &str = r#"echo $$ >> "$DIR/pids"; exec sleep 1000"#;

#[test]
fn a_siren_falls_silent_while_the_disk_is_full() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240", "--no-pose"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let dir = setup.dir().join("siren");
    fs::create_dir(&dir)?;
    let (pids, dir) = (dir.join("pids"), dir.display().to_string());
    let dir = dir.as_str();
    let setup = setup.with(toml! {
        [store]
        segment_size = "1MiB"
        [[sink]]
        name = "siren"
        plugin = "exec"
        timeout = "10m"
        cancel_on_acknowledge = true
        sandbox = { exec = true, write = [dir] }
        [sink.config]
        command = ["/bin/sh", "-c", SIREN]
        env = { DIR = dir }
        // A siren is not for what the hub says of its disk.
        [[route]]
        sinks = ["siren"]
    });
    let mut hub = setup.wrapper(LIMITED).start()?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    let pid = eventually("the siren sounds", PATIENCE, || {
        let text = fs::read_to_string(&pids).unwrap_or_default();
        text.lines().next().map(str::to_owned).ok_or("it is silent")
    })?;
    let alert = hub.alerts()?.first().context("an alert")?["id"].to_string();
    let alert = alert.trim_matches('"');
    backend.order(&json!({"do": "send", "count": 1_000}))?;
    hub.until("error", PATIENCE * 2, |status| {
        status["store"]["error"].is_string()
    })?;

    let answer = hub.ask("alerts", &["dismiss", alert])?;
    assert_eq!(answer.trim(), "stopped; recorded when the disk can");
    eventually("the siren is silent", PATIENCE, || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').map_or("Z", |(_, rest)| rest.trim_start());
        if state.starts_with(['Z', 'X']) {
            Ok(())
        } else {
            Err(format!("its process is in state {state}"))
        }
    })?;
    let status = hub.status()?;
    ensure!(
        status["store"]["error"].is_string(),
        "the disk was still full then: {status}"
    );
    let dropped = hub.ask("deliveries", &["drop", "--all"])?;
    assert_eq!(dropped.trim(), "stopped; recorded when the disk can");
    hub.until("nothing sounds", PATIENCE, |status| {
        status["sinks"][0]["in_flight"] == 0
    })?;

    free_space(&mut hub)?;
    hub.until("recorded", PATIENCE, |status| {
        let deliveries = &status["sinks"][0]["deliveries"];
        deliveries["pending"] == 0 && deliveries["dropped"].as_u64() > Some(1)
    })?;
    let shown = hub.ask("deliveries", &["show", alert])?;
    ensure!(
        shown.contains("its alert was dismissed by the operator"),
        "{shown}"
    );
    Ok(())
}

/// Writes down for which alert it sounds, and for how often.
const SHORT_SIREN: &str = r#"echo "$WATCHPOST_ID" >> "$DIR/told""#;

#[test]
fn a_siren_sounds_once_for_each_alert_while_the_disk_is_full_and_not_again_afterwards() -> Result<()> {
    const ALERTS: u64 = 20;
    const FROM_MEMORY: u64 = 16;
    let still = ["--rate", "0", "--frame", "320x240", "--no-pose"];
    // Of another seed, so that its cameras are others.
    let other = [still.as_slice(), &["--seed", "2"]].concat();
    let (shop, yard) = (Backend::start(&still)?, Backend::start(&other)?);
    let setup = HubSetup::new()?.connection("shop", &shop)?;
    let (url, user_id, token) = (yard.url(), yard.ready("user_id")?, yard.ready("token")?);
    let dir = setup.dir().join("siren");
    fs::create_dir(&dir)?;
    let (file, dir) = (dir.join("told"), dir.display().to_string());
    let dir = dir.as_str();
    let setup = setup.with(toml! {
        [store]
        segment_size = "1MiB"
        [[connection]]
        name = "yard"
        url = url
        user_id = user_id
        token = token
        backfill = { interval = "1s" }
        [[sink]]
        name = "siren"
        plugin = "exec"
        when_full = "deliver"
        sandbox = { exec = true, write = [dir] }
        [sink.config]
        command = ["/bin/sh", "-c", SHORT_SIREN]
        env = { DIR = dir }
        [[route]]
        match = { connection = "yard" }
        sinks = ["siren"]
    });
    let mut hub = setup.wrapper(LIMITED).start()?;
    let connected = |status: &Value, number: usize| status["connections"][number]["state"] == "connected";
    hub.until("both connected", PATIENCE, |status| {
        connected(status, 0) && connected(status, 1)
    })?;
    shop.order(&json!({"do": "send", "count": 1_000}))?;
    hub.until("the disk is full", PATIENCE * 2, |status| {
        status["store"]["error"].is_string()
    })?;

    let told = || -> Vec<String> {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    yard.order(&json!({"do": "send", "count": ALERTS}))?;
    eventually("sixteen are told from memory", PATIENCE, || {
        let told = told().len() as u64;
        (told == FROM_MEMORY)
            .then_some(())
            .ok_or(format!("{told} are told"))
    })?;
    let from_memory = told();
    let unknown = hub
        .ask("alerts", &["show", &from_memory[0]])
        .unwrap_err()
        .to_string();
    ensure!(unknown.contains("there is no alert"), "{unknown}");
    // The list is read, once a second, until the rows of these alerts are old enough to be judged.
    let asked = |stats: &Value| count(stats, "rest_requests");
    let before = asked(&yard.stats()?);
    yard.until("the list is read over and over", PATIENCE * 2, |stats| {
        asked(stats) > before + 30
    })?;
    assert_eq!(
        told().len() as u64,
        FROM_MEMORY,
        "no more than that until the disk works"
    );

    free_space(&mut hub)?;
    hub.until("all stored, and all told", PATIENCE * 2, |status| {
        let deliveries = &status["sinks"][0]["deliveries"];
        count(deliveries, "delivered") == ALERTS && count(deliveries, "pending") == 0
    })?;
    let (told, different) = (told(), told().into_iter().collect::<BTreeSet<_>>());
    assert_eq!(
        (told.len() as u64, different.len() as u64),
        (ALERTS, ALERTS),
        "each alert sounds once"
    );
    // They have kept their numbers, and nothing was fetched that had come.
    for id in &from_memory {
        let explained: Value = serde_json::from_str(&hub.ask("explain", &[id, "--json"])?)?;
        assert_eq!(explained["sinks"][0]["delivery"]["state"], "delivered");
    }
    assert_eq!(count(&hub.status()?["connections"][1]["counters"], "fetched"), 0);
    Ok(())
}

fn free_space(hub: &mut Hub) -> Result<()> {
    let pid = hub.process().pid().to_string();
    let freed = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited"])
        .status()?;
    ensure!(freed.success(), "prlimit failed");
    Ok(())
}
