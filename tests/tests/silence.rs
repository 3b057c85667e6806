//! What keeps a sink from its alerts is said to the other sinks, and so is its end.

use anyhow::Result;
use serde_json::{Value, json};
use watchpost_testkit::{
    Backend, HttpAnswer, HttpRequest, HttpServer, HubSetup, PATIENCE, deliveries, eventually, toml,
};

/// Requests about internal events that say this.
fn about(server: &HttpServer, word: &str) -> Vec<HttpRequest> {
    let mut requests = server.requests();
    requests.retain(|request| String::from_utf8_lossy(&request.body).contains(word));
    requests
}

/// The hub looks every ten seconds, and makes sure for thirty.
fn is_told(server: &HttpServer, word: &str) -> Result<()> {
    eventually(word, PATIENCE * 4, || match about(server, word).len() {
        1 => Ok(()),
        count => Err(format!("{count} times")),
    })
}

#[test]
fn a_sink_that_is_behind_is_reported_through_the_others_and_so_is_its_end() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90"])?;
    let (stuck, well) = (HttpServer::start()?, HttpServer::start()?);
    stuck.script(|_| HttpAnswer::status(503));
    let hook = |name: &str, server: &HttpServer, events: bool| {
        let (name, url, port) = (name.to_owned(), server.url(), server.address().port());
        toml! {
            [[sink]]
            name = name
            plugin = "webhook"
            events = events
            retry = { initial = "100ms", max = "300ms" }
            sandbox = { connect = [port] }
            config = { url = url }
        }
    };
    let hub = HubSetup::new()?
        .connection("shop", &backend)?
        .with(toml! {
            [hub]
            sink_grace = "1s"
        })
        .with(hook("stuck", &stuck, false))
        .with(hook("well", &well, true))
        .start()?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 3}))?;
    is_told(&well, "Sink stuck has not got its alerts")?;
    let status = hub.until("it cannot deliver since", PATIENCE, |status| {
        status["sinks"][0]["down_since"].is_string()
    })?;
    assert_eq!(status["sinks"][0]["state"], "down", "{status:#}");
    assert_eq!(about(&well, "nothing is overdue any more").len(), 0);
    stuck.script(|_| HttpAnswer::status(200));
    is_told(&well, "nothing is overdue any more")?;
    let status: Value = hub.status()?;
    assert_eq!(deliveries(&status, "delivered"), 3, "{status:#}");
    assert_eq!(
        about(&well, "Sink stuck has not got its alerts").len(),
        1,
        "said once"
    );
    Ok(())
}
