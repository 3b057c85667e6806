//! A sink that takes all the threads that the hub's user may have.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, HubSetup, PATIENCE, deliveries, eventually, toml};

use crate::{PLAIN_USER, aims::Aims, copy_plugin, is_root, sink_of, text};

/// Threads and processes that the user of the hub may have: those of the hub and its sinks, and some more.
const MAX_TASKS: &str = "80";

/// That takes root, which alone can become a user that has nothing else running.
#[test]
fn a_hub_that_can_make_no_thread_works_on() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let backend = Backend::start(&["--rate", "0"])?;
    // By name, which takes a thread to look up.
    let url = backend.url().replace("127.0.0.1", "localhost");
    let by_name = toml! {
        url = url
        reconnect = { initial = "100ms", max = "200ms" }
    };
    let setup = HubSetup::new()?.installed(&["watchpost-archive"])?;
    let aims = Aims::put_up(setup.dir())?;
    let archive = setup.dir().join("archive");
    std::fs::create_dir(&archive)?;
    let (dir, plugin) = (text(&archive), text(&copy_plugin(&setup, "redteam")?));
    let dir = dir.as_str();
    let config = aims.config(&setup.data_dir(), "make_threads", &[]);
    let setup = setup
        .sink_within("archive", "archive", toml! { write = [dir] }, toml! { dir = dir })
        .connection_with("shop", &backend, by_name)?
        .with(toml! {
            [[sink]]
            name = "greedy"
            plugin = plugin
            timeout = "10m"
            config = config
        });
    let limit = format!("--nproc={MAX_TASKS}");
    let mut hub = setup.run_as(PLAIN_USER).wrapper(&["prlimit", &limit]).start()?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    let pid = hub.until("the greedy sink at work", PATIENCE, |status| {
        sink_of(status, "greedy")["in_flight"].as_u64() >= Some(1) && deliveries(status, "delivered") == 1
    })?;
    let pid = sink_of(&pid, "greedy")["pid"].as_u64().context("it runs")?;
    eventually("the threads taken", PATIENCE, || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
            .map_err(|error| error.to_string())?
            .count();
        if tasks > 10 {
            Ok(())
        } else {
            Err(format!("{tasks} threads"))
        }
    })?;
    // Whatever is looked up, read, connected or delivered now has to do with the threads that there are.
    let opened = |status: &Value| status["connections"][0]["counters"]["opened"].as_u64();
    for round in 1..=3 {
        backend.order(&json!({"do": "kill", "how": "reset"}))?;
        hub.until("a connection", PATIENCE, |status| {
            opened(status) > Some(round) && status["connections"][0]["state"] == "connected"
        })?;
        backend.order(&json!({"do": "send", "count": 5}))?;
    }
    hub.until("all alerts archived", PATIENCE, |status| {
        deliveries(status, "delivered") == 16
    })?;
    let log = hub.process().log();
    ensure!(!log.contains("panicked"), "{log}");
    hub.stop()?;
    Ok(())
}
