//! Alerts are told over HTTP, whatever happens to the server.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use watchpost_testkit::{
    Authority, Backend, HttpAnswer, HttpRequest, HttpServer, Hub, HubSetup, PATIENCE, TempDir, deliveries,
    own_memory_kib, toml,
};

/// Alerts of the long test, and how many of them come before each absence of the server.
const ALERTS: u64 = 1_000;
const PART: u64 = 350;

/// Memory of its own that the plugin's process may hold, and by how much it may differ, in KiB.
const MAX_OWN_KIB: u64 = 15 << 10;
const FLAT_KIB: u64 = 2 << 10;

/// A hub that tells `server`, out of the smallest sandbox that does.
fn telling(backend: &Backend, server: &HttpServer, authority: &Authority) -> Result<Hub> {
    let setup = HubSetup::new()?.connection("shop", backend)?;
    let (ca_file, port) = (authority.ca().display().to_string(), server.address().port());
    let url = format!("{}/hook", server.url());
    let ca_file = ca_file.as_str();
    let setup = setup.with(toml! {
        [store]
        recent = 1000
        [[sink]]
        name = "hook"
        plugin = "webhook"
        retry = { initial = "100ms", max = "500ms" }
        sandbox = { read = [ca_file], connect = [port] }
        [sink.config]
        url = url
        ca_file = ca_file
        body = "multipart"
        signing_key = "whsec_a2V5"
    });
    setup.start()
}

fn authority(dir: &TempDir) -> Result<Authority> {
    Authority::new(dir.path(), &["localhost"])
}

/// The number of the alert that a request is about.
fn number(request: &HttpRequest) -> Result<String> {
    Ok(request.header("idempotency-key").context("a key")?.to_owned())
}

#[test]
fn every_picture_arrives_byte_for_byte() -> Result<()> {
    let backend = Backend::start(&[
        "--count",
        "20",
        "--rate",
        "inf",
        "--wait-for-client",
        "--frame",
        "640x480",
    ])?;
    let dir = TempDir::new()?;
    let authority = authority(&dir)?;
    let server = HttpServer::start_tls(&authority, None)?;
    let hub = telling(&backend, &server, &authority)?;
    hub.until("every alert told", PATIENCE, |status| {
        deliveries(status, "delivered") == 20
    })?;

    let told = server.take();
    assert_eq!(told.len(), 20);
    let told: BTreeMap<String, HttpRequest> = told
        .into_iter()
        .map(|request| Ok((number(&request)?, request)))
        .collect::<Result<_>>()?;
    let mut stored = hub.alerts()?;
    stored.reverse();
    let sent = backend.alerts()?;
    assert_eq!([told.len(), stored.len(), sent.len()], [20, 20, 20]);
    for (sent, stored) in sent.iter().zip(&stored) {
        let parts = told[&stored["id"].to_string()].parts()?;
        let part = |name: &str| {
            parts
                .iter()
                .find(|part| part.name == name)
                .context("a part is missing")
        };
        let alert: Value = serde_json::from_slice(&part("alert")?.bytes)?;
        assert_eq!(alert["camera"]["id"], sent["stream_id"]);
        let original = backend.picture(sent["anomaly_id"].as_str().context("an id")?)?;
        assert!(
            part("picture")?.bytes == original,
            "the picture of alert {} was altered",
            stored["id"]
        );
    }
    Ok(())
}

#[test]
fn a_thousand_alerts_arrive_though_the_server_goes_away_twice() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let dir = TempDir::new()?;
    let authority = authority(&dir)?;
    let mut server = HttpServer::start_tls(&authority, None)?;
    // Now and then it has too much to do.
    let mut count = 0;
    let refused = HttpAnswer::status(503);
    server.script(move |_| {
        count += 1;
        if count % 100 == 0 {
            refused.clone()
        } else {
            HttpAnswer::status(200)
        }
    });
    let hub = telling(&backend, &server, &authority)?;
    let mut early_kib = 0;
    for absence in 1..=2 {
        backend.order(&json!({"do": "send", "count": PART}))?;
        let before = PART * absence - PART / 2;
        let status = hub.until("half of this part told", PATIENCE, |status| {
            deliveries(status, "delivered") >= before
        })?;
        server.stop();
        if absence == 1 {
            early_kib = own_memory_kib(&status["sinks"][0])?;
            // Those on their way notice it; those that come meanwhile certainly do.
            backend.order(&json!({"do": "send", "count": 10}))?;
        }
        backend.order(&json!({"do": "send", "count": 10}))?;
        hub.until("the absence noticed", PATIENCE, |status| {
            status["sinks"][0]["state"] == "down"
        })?;
        server.restart()?;
    }
    backend.order(&json!({"do": "send", "count": ALERTS - 2 * PART - 30}))?;
    let status = hub.until("every alert told", PATIENCE * 2, |status| {
        deliveries(status, "delivered") == ALERTS
    })?;

    // While it is away the hub may ask whether it is there, which is about no alert.
    let requests = server.take();
    let posted = requests.iter().filter(|request| request.method == "POST");
    let told: Vec<String> = posted.map(number).collect::<Result<_>>()?;
    let wanted: BTreeSet<String> = hub
        .alerts()?
        .iter()
        .map(|alert| alert["id"].to_string())
        .collect();
    assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(wanted.len() as u64, ALERTS);
    // One alert at a time is on its way when the server goes; those that it refused itself came again too.
    let again = told.len() - wanted.len();
    let refusals = told.len() / 100;
    assert!(
        again <= refusals + 2,
        "{again} came again, of which {refusals} were refused"
    );
    let late_kib = own_memory_kib(&status["sinks"][0])?;
    assert!(
        late_kib < MAX_OWN_KIB && late_kib < early_kib + FLAT_KIB,
        "the plugin's process held {early_kib} KiB, later {late_kib} KiB"
    );
    Ok(())
}
