//! The server's ping is answered at once, whatever the store has to do. In a program of its own, so that no
//! other test runs beside it.

use anyhow::Result;
use serde_json::json;
use watchpost_testkit::{Backend, HubSetup, PATIENCE};

/// How long an answer may take, in microseconds.
const LIMIT_US: u64 = 100_000;

#[test]
fn a_ping_is_answered_at_once_while_the_store_is_busy() -> Result<()> {
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
    let (pongs, slowest) = (
        stats["pongs_received"].as_u64(),
        stats["slowest_pong_us"].as_u64(),
    );
    assert!(pongs > Some(20), "{stats}");
    assert!(slowest < Some(LIMIT_US), "a pong took {slowest:?} µs: {stats}");
    Ok(())
}
