//! Alerts on their way to a real MQTT broker that is killed in the middle, twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use watchpost_testkit::{
    Backend, Hub, HubSetup, Mosquitto, Need, PATIENCE, Published, Signal, Subscriber, eventually,
    skip_without, toml,
};

/// How many alerts are sent.
const COUNT: usize = 1_000;

/// After how many alerts the broker is killed, each time.
const OUTAGES_AFTER: [usize; 2] = [200, 600];

/// What the sink's process may grow by, in KiB: buffers that differ by a page or a picture.
const MAX_GROWTH_KIB: u64 = 2 << 10;

/// A hub whose only sink publishes to the broker, within the smallest sandbox that allows it.
fn publishing(backend: &Backend, broker: &Mosquitto, more: toml::Table) -> Result<Hub> {
    let (server, port) = (broker.server(), i64::from(broker.port()));
    let ca_file = broker.file("ca.pem").display().to_string();
    let readable = ca_file.clone();
    let (user, password) = (Mosquitto::USER, Mosquitto::PASSWORD);
    let mut config = toml! {
        server = server
        ca_file = ca_file
        user = user
        password = password
    };
    config.extend(more);
    let setup = HubSetup::new()?.connection("shop", backend)?.with(toml! {
        [[sink]]
        name = "mqtt"
        plugin = "mqtt"
        retry = { initial = "100ms", max = "500ms" }
        sandbox = { read = [readable], connect = [port] }
        config = config
    });
    setup.start()
}

/// How many documents the broker has taken, by its own account. One of them may wait for its acknowledgement.
fn taken(broker: &Mosquitto) -> Result<usize> {
    let log = broker.log()?;
    let taken = |line: &&str| line.contains(": Received PUBLISH from watchpost-") && line.contains("/alert'");
    Ok(log.lines().filter(taken).count())
}

/// Kills the broker while alerts come, at an instant when its subscriber has all that it has taken: what a killed
/// broker takes with it would be lost, and no publisher could help it.
fn kill_between(broker: &mut Mosquitto, subscriber: &Subscriber) -> Result<()> {
    let mut try_once = || -> Result<bool> {
        broker.process().signal(Signal::STOP)?;
        let wanted = taken(broker)?;
        let caught_up = eventually("the subscriber", Duration::from_millis(300), || match subscriber
            .count("/alert")
        {
            count if count >= wanted => Ok(()),
            count => Err(format!("{count} of {wanted}")),
        });
        if caught_up.is_err() {
            broker.process().signal(Signal::CONT)?;
            return Ok(false);
        }
        broker.kill()?;
        Ok(true)
    };
    eventually("an instant to kill the broker", PATIENCE, || match try_once() {
        Ok(true) => Ok(()),
        Ok(false) => Err("its subscriber is behind".to_owned()),
        Err(error) => Err(format!("{error:#}")),
    })
}

/// Resident memory of the sink's process, in KiB.
fn resident_kib(hub: &Hub) -> Result<u64> {
    let pid = hub.status()?["sinks"][0]["pid"]
        .as_u64()
        .context("the process has no number")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The documents by the number of their alert, and how many came more than once.
fn documents(messages: &[Published]) -> Result<(BTreeMap<u64, Value>, usize)> {
    let mut found = BTreeMap::new();
    let mut twice = 0;
    for message in messages
        .iter()
        .filter(|message| message.topic.ends_with("/alert"))
    {
        let document: Value = serde_json::from_slice(&message.payload)?;
        if document["kind"] == "anomaly" {
            let id = document["id"].as_u64().context("a number")?;
            twice += usize::from(found.insert(id, document).is_some());
        }
    }
    Ok((found, twice))
}

#[test]
fn every_alert_arrives_though_the_broker_is_killed_twice() -> Result<()> {
    if skip_without(&[Need::Mosquitto]) {
        return Ok(());
    }
    let mut broker = Mosquitto::start("")?;
    let subscriber = broker.subscribe("site/#")?;
    // The broker shall know its subscriber afterwards.
    broker.save()?;
    let count = COUNT.to_string();
    let options = [
        "--count",
        &count,
        "--rate",
        "300",
        "--wait-for-client",
        "--frame",
        "160x120",
    ];
    let backend = Backend::start(&options)?;
    // Every alert has topics of its own, so that none hides another.
    let topics = toml! {
        topic = "site/{{ id }}/alert"
        picture_topic = "site/{{ id }}/picture"
        state_topic = ""
    };
    let mut hub = publishing(&backend, &broker, topics)?;
    let mut resident = Vec::new();
    for (before, after) in OUTAGES_AFTER.into_iter().enumerate() {
        eventually("alerts on their way", PATIENCE, || match taken(&broker) {
            Ok(count) if count >= after => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
        resident.push(resident_kib(&hub)?);
        kill_between(&mut broker, &subscriber)?;
        // The sink logs it once an outage, and looks whether there are alerts or not.
        eventually("the loss noticed", PATIENCE, || {
            let log = hub.process().log();
            match log.matches("takes no connections at port").count() {
                count if count > before => Ok(()),
                _ => Err(log),
            }
        })?;
        broker.restart()?;
    }
    backend.until("every alert acknowledged", PATIENCE, |stats| {
        stats["acknowledged"] == COUNT
    })?;
    hub.until("every alert delivered", PATIENCE * 2, |status| {
        let deliveries = &status["sinks"][0]["deliveries"];
        deliveries["delivered"].as_u64() >= Some(COUNT as u64) && deliveries["pending"] == 0
    })?;
    resident.push(resident_kib(&hub)?);

    let messages = subscriber.until("every document", |messages| {
        documents(messages).is_ok_and(|(documents, _)| documents.len() == COUNT)
    })?;
    let (documents, twice) = documents(&messages)?;
    assert!(
        twice <= OUTAGES_AFTER.len(),
        "{twice} came twice; one is in flight at an outage"
    );
    let pictures: BTreeMap<&str, &[u8]> = messages
        .iter()
        .map(|message| (message.topic.as_str(), message.payload.as_slice()))
        .collect();
    let sent = backend.alerts()?;
    assert_eq!(sent.len(), COUNT);
    // Numbers are given in the order of arrival.
    for (sent, (id, document)) in sent.iter().zip(&documents) {
        assert_eq!(
            [&sent["stream_id"], &sent["person_id"]],
            [&document["camera"]["id"], &document["visionguard"]["person_id"]],
            "alert {id}"
        );
        let original = backend.picture(sent["anomaly_id"].as_str().context("an id")?)?;
        let arrived = pictures.get(format!("site/{id}/picture").as_str());
        assert!(
            arrived == Some(&original.as_slice()),
            "the picture of alert {id} is another"
        );
    }
    let (first, last) = (resident[0], *resident.last().context("measured")?);
    assert!(
        last <= first + MAX_GROWTH_KIB,
        "the sink's process grew: {resident:?} KiB"
    );
    Ok(())
}

#[test]
fn a_site_appears_by_itself_and_leaves_its_last_will() -> Result<()> {
    if skip_without(&[Need::Mosquitto]) {
        return Ok(());
    }
    let broker = Mosquitto::start("")?;
    let subscriber = broker.subscribe("#")?;
    let backend = Backend::start(&["--count", "20", "--rate", "inf", "--wait-for-client"])?;
    let found = toml! {
        version = "3.1.1"
        home_assistant = { site = "Shop" }
    };
    let mut hub = publishing(&backend, &broker, found)?;
    hub.until("every alert delivered", PATIENCE, |status| {
        status["sinks"][0]["deliveries"]["delivered"] == 20
    })?;
    let messages = subscriber.until("every document", |messages| {
        documents(messages).is_ok_and(|(documents, _)| documents.len() == 20)
    })?;
    let (documents, _) = documents(&messages)?;
    let streams: BTreeSet<&str> = documents
        .values()
        .filter_map(|document| document["camera"]["id"].as_str())
        .collect();
    let mut cameras = 0;
    for message in messages
        .iter()
        .filter(|message| message.topic.starts_with("homeassistant/device/"))
    {
        let payload: Value = serde_json::from_slice(&message.payload)?;
        for component in payload["components"].as_object().context("components")?.values() {
            if let Some(topic) = component["image_topic"].as_str() {
                cameras += 1;
                assert!(messages.iter().any(|message| message.topic == topic), "{topic}");
            }
        }
    }
    assert_eq!(cameras, streams.len(), "each camera is announced once");
    hub.kill()?;
    subscriber.until("the last will", |messages| {
        messages
            .last()
            .is_some_and(|m| m.topic == "watchpost/status" && m.payload == b"offline")
    })?;
    Ok(())
}
