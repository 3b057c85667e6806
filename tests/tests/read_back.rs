//! What a person judges in the backend is acknowledged here too, and stops what sounds.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, count, eventually, toml};

/// A hub with a siren that sounds for ten minutes unless it is stopped.
fn hub(backend: &Backend, read_back: bool) -> Result<Hub> {
    let keys = toml! {
        read_back = read_back
        write_back = true
        backfill = { interval = "1s" }
    };
    let setup = HubSetup::new()?.connection_with("shop", backend, keys)?;
    let siren = toml! { command = ["/bin/sh", "-c", "exec sleep 600"] };
    let keys = toml! {
        timeout = "11m"
        cancel_on_acknowledge = true
        sandbox = { exec = true }
    };
    setup.sink_with("siren", "exec", siren, keys).start()
}

/// Sends an alert, and returns its number and record once the siren sounds for it.
fn sounding(hub: &Hub, backend: &Backend) -> Result<(Value, String)> {
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    hub.until("the siren sounds", PATIENCE, |status| {
        count(&status["sinks"][0], "in_flight") == 1
    })?;
    eventually("its record", PATIENCE, || -> Result<(Value, String)> {
        let alert = hub.alerts()?.pop().context("an alert")?;
        let record = alert["visionguard"]["anomaly_id"].as_str().map(str::to_owned);
        Ok((alert["id"].clone(), record.context("no record yet")?))
    })
}

#[test]
fn a_verdict_in_the_backend_stops_the_siren_and_says_who_gave_it() -> Result<()> {
    for verdict in ["acknowledged", "resolved", "false_positive"] {
        let backend = Backend::start(&["--rate", "0", "--frame", "160x90"])?;
        let hub = hub(&backend, true)?;
        let (alert, record) = sounding(&hub, &backend)?;
        backend.set_status(&record, verdict)?;
        hub.until("silence", PATIENCE, |status| {
            let sink = &status["sinks"][0];
            count(sink, "in_flight") == 0 && count(&sink["deliveries"], "dropped") == 1
        })?;
        let explained: Value = serde_json::from_str(&hub.ask("explain", &[&alert.to_string(), "--json"])?)?;
        assert_eq!(
            explained["acknowledged_by"],
            json!({"backend": "shop"}),
            "{explained:#}"
        );
        let text = hub.ask("explain", &[&alert.to_string()])?;
        assert!(
            text.contains("acknowledged by a person in the backend of shop"),
            "{text}"
        );
        // It is not written back over what the person has said.
        let before = count(&backend.stats()?, "rest_requests");
        backend.until("further looks", PATIENCE, |stats| {
            count(stats, "rest_requests") > before + 6
        })?;
        assert_eq!(backend.row(&record)?["status"], verdict);
    }
    Ok(())
}

#[test]
fn what_is_old_is_acknowledged_too_and_nothing_where_that_is_not_wanted() -> Result<()> {
    for wanted in [true, false] {
        let backend = Backend::start(&["--rate", "0", "--frame", "160x90"])?;
        let hub = hub(&backend, wanted)?;
        let (alert, record) = sounding(&hub, &backend)?;
        hub.ask("deliveries", &["drop", &alert.to_string()])?;
        // Nothing sounds any more: the list alone shows it.
        backend.set_status(&record, "resolved")?;
        if wanted {
            eventually("acknowledged", PATIENCE, || -> Result<()> {
                let alert = hub.alerts()?.pop().context("an alert")?;
                ensure!(alert["acknowledged_by"] == json!({"backend": "shop"}), "{alert}");
                Ok(())
            })?;
        } else {
            let before = count(&backend.stats()?, "rest_requests");
            backend.until("further looks", PATIENCE, |stats| {
                count(stats, "rest_requests") > before + 10
            })?;
            let alert = hub.alerts()?.pop().context("an alert")?;
            assert!(alert["acknowledged_by"].is_null(), "{alert}");
        }
    }
    Ok(())
}
