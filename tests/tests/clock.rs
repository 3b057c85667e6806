//! The machine's clock is set while alerts wait: nothing expires by it, nothing is stuck, and it is said.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;
use watchpost_testkit::{
    Backend, HttpAnswer, HttpServer, Hub, HubSetup, Need, PATIENCE, deliveries, eventually, skip_without,
    toml,
};

/// Where distributions put the library that moves the clock of one process.
fn faketime() -> Result<PathBuf> {
    const NAME: &str = "faketime/libfaketimeMT.so.1";
    let multiarch = fs::read_dir("/usr/lib")?.flatten().map(|entry| entry.path());
    let dirs = multiarch.chain(["/usr/lib".into(), "/usr/lib64".into()]);
    let found = dirs.map(|dir: PathBuf| dir.join(NAME)).find(|file| file.exists());
    found.with_context(|| format!("there is no {NAME} below /usr/lib"))
}

/// The clock of a hub.
struct FakeClock(PathBuf);

impl FakeClock {
    /// Sets it by so much, such as `+14d`, from what it really is.
    fn set(&self, by: &str) -> Result<()> {
        let new = self.0.with_extension("new");
        fs::write(&new, by)?;
        Ok(fs::rename(new, &self.0)?)
    }
}

/// A hub whose clock can be set, with a sink that delivers to this server.
fn hub(backend: &Backend, server: &HttpServer, by: &str) -> Result<(Hub, FakeClock)> {
    let setup = HubSetup::new()?.connection("shop", backend)?;
    let clock = FakeClock(setup.dir().join("clock"));
    clock.set(by)?;
    let (url, port) = (server.url(), server.address().port());
    let variable = |name: &str, value: &Path| (name.to_owned(), value.display().to_string());
    let on = |name: &str| (name.to_owned(), "1".to_owned());
    let hub = setup
        .with(toml! {
            [store]
            keep_for = "1d"
            [[sink]]
            name = "hook"
            plugin = "webhook"
            events = false
            max_age = "1h"
            retry = { initial = "100ms", max = "300ms", give_up_after = "2h" }
            sandbox = { connect = [port] }
            config = { url = url }
        })
        .environment(vec![
            variable("LD_PRELOAD", &faketime()?),
            variable("FAKETIME_TIMESTAMP_FILE", &clock.0),
            on("FAKETIME_NO_CACHE"),
            on("FAKETIME_DONT_FAKE_MONOTONIC"),
            on("DONT_FAKE_MONOTONIC"),
        ])
        .start()?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    Ok((hub, clock))
}

/// Waits for so many requests more than the server has had.
fn more_requests(server: &HttpServer, more: usize) -> Result<()> {
    let before = server.requests().len();
    eventually("more requests", PATIENCE, || match server.requests().len() {
        count if count >= before + more => Ok(()),
        count => Err(format!("{count} after {before}")),
    })
}

#[test]
fn a_clock_that_is_set_makes_nothing_expire_and_nothing_wait() -> Result<()> {
    if skip_without(&[Need::Faketime]) {
        return Ok(());
    }
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90"])?;
    let server = HttpServer::start()?;
    let (hub, clock) = hub(&backend, &server, "+0")?;
    for (by, jumps, delivered) in [("+14d", 1, 1), ("-30d", 2, 2), ("+0", 3, 3)] {
        server.script(|_| HttpAnswer::status(503));
        backend.order(&json!({"do": "send", "count": 1}))?;
        more_requests(&server, 1)?;
        clock.set(by)?;
        eventually("the jump is reported", PATIENCE, || {
            match hub.events("clock_jumped") {
                Ok(events) if events.len() == jumps => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
        // The sink is tried on, as if nothing had happened.
        more_requests(&server, 5)?;
        server.script(|_| HttpAnswer::status(204));
        let status = hub.until("delivered", PATIENCE, |status| {
            deliveries(status, "delivered") == delivered
        })?;
        for state in ["expired", "dead", "dropped", "pending"] {
            assert_eq!(deliveries(&status, state), 0, "{by}: {status:#}");
        }
    }
    let cameras = hub
        .alerts()?
        .iter()
        .filter(|alert| alert["kind"] == "anomaly")
        .count();
    assert_eq!(cameras, 3, "none was deleted");
    Ok(())
}

#[test]
fn a_clock_that_cannot_be_right_is_said() -> Result<()> {
    if skip_without(&[Need::Faketime]) {
        return Ok(());
    }
    let backend = Backend::start(&["--rate", "0"])?;
    let server = HttpServer::start()?;
    let (hub, clock) = hub(&backend, &server, "-20y")?;
    let said = |word: &str| {
        eventually(word, PATIENCE, || match hub.events(word) {
            Ok(events) if events.len() == 1 => Ok(()),
            other => Err(format!("{other:?}")),
        })
    };
    said("clock_wrong")?;
    said("clock_differs")?;
    let status = hub.status()?;
    let problem = status["clock_problem"].as_str().unwrap_or_default();
    assert!(problem.contains("before this program was built"), "{status:#}");
    let behind = status["connections"][0]["clock_ahead_ms"].as_i64();
    assert!(behind < Some(-19 * 365 * 86_400_000), "{status:#}");
    let shown = hub.ask("status", &[])?;
    assert!(
        shown.contains("behind the backend's") && shown.contains("before this program was built"),
        "{shown}"
    );

    // What is waiting for the time goes on when the network tells it.
    clock.set("+0")?;
    hub.until("the clock is right", PATIENCE, |status| {
        status["clock_problem"].is_null()
    })?;
    Ok(())
}
