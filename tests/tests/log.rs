//! The log never holds the hub up: whatever standard error is, alerts are stored, delivered and acknowledged.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use anyhow::Result;
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, eventually, toml};

/// Alerts sent to a hub whose log cannot be written.
const COUNT: u64 = 50;

/// Becomes the hub, with its standard error redirected as the shell does it.
fn redirected(script: &str) -> String {
    format!("exec \"$0\" \"$@\" {script}")
}

/// A hub whose standard error is redirected, with a log that has much to say.
fn start(backend: &Backend, script: &str) -> Result<Hub> {
    let setup = HubSetup::new()?.connection("shop", backend)?.with(toml! {
        [hub]
        log = "debug,watchpost_hub=trace,actix_http=trace,h2=trace,mio=trace"
    });
    let dir = setup.dir().join("archive").display().to_string();
    let setup = setup.sink("archive", "archive", toml! { dir = dir });
    setup.wrapper(&["bash", "-c", script]).start()
}

/// The hub does all its work, also after its connection broke, and counts what the log lost.
fn works(backend: &Backend, hub: &Hub) -> Result<Value> {
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": COUNT}))?;
    backend.order(&json!({"do": "kill", "how": "reset"}))?;
    hub.until("connected again", PATIENCE, |status| {
        status["connections"][0]["counters"]["opened"] == json!(2)
    })?;
    backend.order(&json!({"do": "send", "count": COUNT}))?;
    hub.until("everything delivered", PATIENCE, |status| {
        let delivered = status["sinks"][0]["deliveries"]["delivered"].as_u64();
        delivered.is_some_and(|count| count >= 2 * COUNT)
    })
}

#[test]
fn a_full_disk_below_the_log_costs_lines_only() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90"])?;
    let mut hub = start(&backend, &redirected("2>/dev/full"))?;
    let status = works(&backend, &hub)?;
    assert!(status["lost_log_lines"].as_u64() > Some(0), "{status:#}");
    assert!(hub.ask("status", &[])?.contains("of the log lost"));
    assert!(hub.stop()?.success());
    Ok(())
}

#[test]
fn a_closed_pipe_below_the_log_costs_lines_only() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90"])?;
    let mut hub = start(&backend, &redirected("2> >(exec true)"))?;
    let status = works(&backend, &hub)?;
    assert!(status["lost_log_lines"].as_u64() > Some(0), "{status:#}");
    assert!(hub.stop()?.success());
    Ok(())
}

#[test]
fn a_pipe_that_is_not_read_costs_lines_which_the_log_mentions_when_it_is_read_again() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "160x90"])?;
    let dir = watchpost_testkit::TempDir::new()?;
    let fifo = dir.path().join("log");
    // Opened for both, it is never without a reader; the hub itself does not read.
    let script = format!(
        "mkfifo {0}; {1}",
        fifo.display(),
        redirected(&format!("2<>{}", fifo.display()))
    );
    let hub = start(&backend, &script)?;
    works(&backend, &hub)?;
    eventually("lines lost", PATIENCE, || {
        // Each round logs something.
        let connected = backend.order(&json!({"do": "send", "count": COUNT}));
        let status = connected
            .and_then(|_| hub.status())
            .map_err(|e| format!("{e:#}"))?;
        match status["lost_log_lines"].as_u64() {
            Some(lost) if lost > 0 => Ok(()),
            _ => Err(status["lost_log_lines"].to_string()),
        }
    })?;
    let mut lines = BufReader::new(File::open(&fifo)?).lines();
    let mentioned = lines.find(|line| {
        line.as_ref().is_ok_and(|line| {
            line.contains("WARN") && line.contains("lost: standard error did not take them")
        })
    });
    assert!(mentioned.is_some());
    Ok(())
}

#[test]
fn the_journal_gets_priorities_and_no_time() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    // As systemd sets it: device and inode of the stream.
    let stream = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/$$/fd/2);";
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let mut hub = setup
        .wrapper(&["bash", "-c", &format!("{stream} {}", redirected(""))])
        .start()?;
    hub.stop()?;
    let log = hub.process().log();
    assert!(log.contains("<6> INFO watchpost "), "{log}");
    assert!(log.lines().all(|line| line.starts_with('<')), "{log}");

    let other = "export JOURNAL_STREAM=1:2;";
    let mut hub = HubSetup::new()?
        .connection("shop", &backend)?
        .wrapper(&["bash", "-c", &format!("{other} {}", redirected(""))])
        .start()?;
    hub.stop()?;
    let log = hub.process().log();
    assert!(log.lines().all(|line| line.starts_with("20")), "{log}");
    Ok(())
}
