//! The backend goes away in every way it can, and the hub comes back within the documented waits.

use std::cell::Cell;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, toml};

/// First and longest wait between attempts, in milliseconds. The defaults are 1 s and 30 s; only the scale
/// differs.
const INITIAL_MS: f64 = 100.0;
const MAX_MS: f64 = 800.0;
/// Share by which a wait may be shorter or longer.
const JITTER: f64 = 0.2;
/// The backend counts whole milliseconds.
const ROUNDING_MS: f64 = 1.0;

/// A hub that measures in tenths of a second what others measure in seconds.
fn hub(backend: &Backend) -> Result<Hub> {
    let (url, user_id, token) = (backend.url(), backend.ready("user_id")?, backend.ready("token")?);
    let setup = HubSetup::new()?.with(toml! {
        [[connection]]
        name = "shop"
        url = url
        user_id = user_id
        token = token
        connect_timeout = "2s"
        reconnect = { initial = "100ms", max = "800ms", jitter = 0.2, stable_after = "1s" }
        heartbeat = { interval = "300ms", timeout = "1s" }
    });
    setup.start()
}

fn connection(status: &Value) -> &Value {
    &status["connections"][0]
}

/// Waits until the link has been opened `times` times and is open.
fn until_open(hub: &Hub, times: u64) -> Result<Value> {
    hub.until(&format!("connected for the {times}. time"), PATIENCE, |status| {
        connection(status)["state"] == "connected" && connection(status)["counters"]["opened"] == json!(times)
    })
}

/// The waits between attempts, in milliseconds, after the first `skip` attempts. Each attempt is checked to
/// have been the only one.
fn waits(backend: &Backend, skip: usize) -> Result<Vec<f64>> {
    let attempts = backend.attempts()?;
    assert!(
        attempts.iter().all(|attempt| attempt["already_open"] == 0),
        "two at once: {attempts:?}"
    );
    let times: Vec<f64> = attempts
        .iter()
        .skip(skip)
        .filter_map(|attempt| attempt["at_ms"].as_f64())
        .collect();
    Ok(times.windows(2).map(|pair| pair[1] - pair[0]).collect())
}

/// No wait is shorter than its share of the doubling allows, however busy the machine: the backend notes an attempt before
/// it ends it, and only then the hub's wait begins. How long the hub means to wait is what it says.
fn assert_doubling(waits: &[f64], announced: &Announced) {
    for (number, wait) in waits.iter().enumerate() {
        let plain = (INITIAL_MS * 2_f64.powi(i32::try_from(number).unwrap_or(i32::MAX))).min(MAX_MS);
        let least = plain * (1.0 - JITTER) - ROUNDING_MS;
        assert!(
            *wait >= least,
            "wait {number} was {wait} ms, less than {least}: {waits:?}"
        );
    }
    let longest = announced.get();
    assert!(longest > 0, "no wait was announced");
    assert!(
        longest as f64 <= MAX_MS * (1.0 + JITTER),
        "a wait of {longest} ms was announced"
    );
}

/// The longest time until the next attempt that the hub has announced, in milliseconds.
type Announced = Cell<u64>;

/// Waits for so many attempts, and notes what the hub announces meanwhile.
fn until_attempts(hub: &Hub, attempts: u64) -> Result<(Value, Announced)> {
    let announced = Announced::default();
    let status = hub.until("more attempts", PATIENCE, |status| {
        let next = connection(status)["next_attempt_ms"].as_u64().unwrap_or(0);
        announced.set(announced.get().max(next));
        connection(status)["attempts"].as_u64() >= Some(attempts)
    })?;
    Ok((status, announced))
}

#[test]
fn a_refusing_backend_is_asked_at_doubling_waits() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    backend.order(&json!({"do": "handshakes", "mode": "forbid"}))?;
    let hub = hub(&backend)?;
    let (status, announced) = until_attempts(&hub, 6)?;
    let failure = &connection(&status)["last_failure"];
    assert!(
        failure["what"]
            .as_str()
            .is_some_and(|what| what.contains("HTTP 403")),
        "{failure}"
    );
    assert!(
        failure["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("the path in `url`")),
        "{failure}"
    );
    assert_doubling(&waits(&backend, 0)?, &announced);
    backend.order(&json!({"do": "handshakes", "mode": "accept"}))?;
    until_open(&hub, 1)?;
    Ok(())
}

#[test]
fn accepting_and_closing_at_once_makes_no_tight_loop() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    backend.order(&json!({"do": "handshakes", "mode": "bounce"}))?;
    let hub = hub(&backend)?;
    let (_, announced) = until_attempts(&hub, 6)?;
    assert_doubling(&waits(&backend, 0)?, &announced);
    Ok(())
}

#[test]
fn every_kind_of_end_is_followed_by_a_new_beginning() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let hub = hub(&backend)?;
    for (number, how) in ["reset", "eof", "close"].into_iter().enumerate() {
        let times = u64::try_from(number)? + 1;
        until_open(&hub, times)?;
        backend.until("the socket registered", PATIENCE, |stats| {
            stats["open"] == json!(1)
        })?;
        backend.order(&json!({"do": "kill", "how": how}))?;
        until_open(&hub, times + 1)?;
    }
    waits(&backend, 0)?;
    let stats = backend.stats()?;
    assert_eq!(stats["max_open_per_user"], 1, "never two at once");
    Ok(())
}

#[test]
fn a_frozen_backend_is_noticed_and_left() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let hub = hub(&backend)?;
    until_open(&hub, 1)?;
    backend.order(&json!({"do": "freeze"}))?;
    let status = hub.until("the silence noticed", PATIENCE, |status| {
        connection(status)["counters"]["closed_by_hub"] == json!(1)
            && connection(status)["state"] != "connected"
    })?;
    let failures = connection(&status)["failures"].as_u64().context("a number")?;
    assert!(failures <= 3, "it was left, and is not hammered: {status}");
    backend.order(&json!({"do": "thaw"}))?;
    hub.until("connected again", PATIENCE, |status| {
        connection(status)["state"] == "connected"
            && connection(status)["counters"]["opened"].as_u64() >= Some(2)
    })?;
    Ok(())
}

#[test]
fn a_killed_backend_is_found_again_and_alerts_go_on() -> Result<()> {
    let mut backend = Backend::start(&["--rate", "0"])?;
    let hub = hub(&backend)?;
    until_open(&hub, 1)?;
    backend.order(&json!({"do": "send", "count": 5}))?;
    backend.until("five acknowledged", PATIENCE, |stats| {
        stats["acknowledged"] == json!(5)
    })?;
    backend.kill()?;
    let status = hub.until("the loss noticed", PATIENCE, |status| {
        let refused = connection(status)["last_failure"]["what"].as_str();
        refused.is_some_and(|what| what.contains("connection refused"))
    })?;
    assert_eq!(connection(&status)["counters"]["stored"], 5);
    backend.restart()?;
    until_open(&hub, 2)?;
    backend.order(&json!({"do": "send", "count": 5}))?;
    backend.until("five more acknowledged", PATIENCE, |stats| {
        stats["acknowledged"] == json!(5)
    })?;
    assert_eq!(hub.alerts()?.len(), 10);
    Ok(())
}
