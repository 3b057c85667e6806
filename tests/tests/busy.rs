//! The server's ping is answered at once, whatever the store has to do. In a program of its own, so that no
//! other test runs beside it.

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use watchpost_testkit::{Backend, HubSetup, PATIENCE};

/// How long an answer may take, in microseconds.
const LIMIT_US: u64 = 100_000;

/// A machine that is busy with something else is given another chance.
const TRIES: u32 = 3;

#[test]
fn a_ping_is_answered_at_once_while_the_store_is_busy() -> Result<()> {
    let mut slowest = 0;
    for _ in 0..TRIES {
        slowest = slowest_pong_us()?;
        if slowest < LIMIT_US {
            return Ok(());
        }
    }
    bail!("a pong took {slowest} µs")
}

/// Of many pings that come while alerts are stored.
fn slowest_pong_us() -> Result<u64> {
    let backend = Backend::start(&[
        "--count",
        "1000",
        "--rate",
        "400",
        "--burst",
        "20",
        "--picture-size",
        "200KB",
        "--no-pose",
        "--wait-for-client",
        "--heartbeat",
        "20ms",
    ])?;
    let hub = HubSetup::new()?.connection("shop", &backend)?.start()?;
    // On a slow disk some are dropped unacknowledged, which is how the buffer keeps its limit.
    hub.until("every alert dealt with", PATIENCE * 2, |status| {
        let counters = &status["connections"][0]["counters"];
        let count = |name: &str| counters[name].as_u64().unwrap_or(0);
        count("stored") + count("dropped") == 1_000
    })?;
    let stats = backend.stats()?;
    assert_eq!(stats["sent"], json!(1_000));
    assert!(stats["pongs_received"].as_u64() > Some(20), "{stats}");
    stats["slowest_pong_us"].as_u64().context("a time")
}
