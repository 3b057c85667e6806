//! A hub that cannot do its work says so before it connects anywhere: whoever starts it is still looking.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use watchpost_testkit::{Backend, HubSetup, Need, PATIENCE, Process, artefacts, count, skip_without, toml};

/// Runs the hub by this program with these arguments until it ends. Its exit code, and what it wrote.
fn refused(setup: &HubSetup, wrapper: &[&str]) -> Result<(Option<i32>, String)> {
    setup.write()?;
    let mut command = Command::new(wrapper[0]);
    command
        .args(&wrapper[1..])
        .arg(artefacts()?.watchpost()?)
        .args(["run", "--config"])
        .arg(setup.config_path());
    let mut process = Process::spawn("watchpost run", &mut command)?;
    let status = process.wait(PATIENCE)?;
    Ok((status.code(), process.log()))
}

fn never_asked(backend: &Backend) -> Result<()> {
    let stats = backend.stats()?;
    ensure!(
        count(&stats, "attempts") == 0 && count(&stats, "rest_requests") == 0,
        "the backend was asked: {stats:#}"
    );
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn without_a_place_to_write_to_it_does_not_start() -> Result<()> {
    if skip_without(&[Need::Systemd]) {
        return Ok(());
    }
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = HubSetup::new()?;
    let disk = setup.dir().join("disk");
    let data_dir = shown(&disk.join("data"));
    let setup = setup
        .with(toml! { hub = { data_dir = data_dir } })
        .connection("shop", &backend)?;
    // The data directory cannot be made; then it is there, and nothing can be written to it.
    for made in ["", "data"] {
        let script = format!(
            "mkdir -p '{disk}' && mount -t tmpfs tmpfs '{disk}' && mkdir -p '{disk}/{made}' && \
             mount -o remount,ro '{disk}' && exec \"$0\" \"$@\"",
            disk = shown(&disk)
        );
        let unshare = ["unshare", "--mount", "--propagation=private", "sh", "-c", &script];
        let (code, log) = refused(&setup, &unshare)?;
        assert_eq!(code, Some(1), "{log}");
        ensure!(
            log.contains("Read-only file system") && log.contains("must be writable"),
            "{log}"
        );
    }
    never_asked(&backend)
}

#[test]
fn with_a_path_too_long_for_its_socket_it_does_not_start() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = HubSetup::new()?;
    let data_dir = shown(&setup.dir().join("d".repeat(100)));
    let setup = setup
        .with(toml! { hub = { data_dir = data_dir } })
        .connection("shop", &backend)?;
    let (code, log) = refused(&setup, &["env"])?;
    assert_eq!(code, Some(3), "{log}");
    ensure!(
        log.contains("watchpost.toml:") && log.contains("is too long") && !log.contains("panicked"),
        "{log}"
    );
    never_asked(&backend)
}

#[test]
fn a_plugin_that_is_not_there_is_reported_before_it_connects() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let file = shown(&setup.dir().join("siren.so"));
    let mut hub = setup
        .sink("mail", "emial", toml::Table::new())
        .sink("siren", &file, toml::Table::new())
        .start()?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    let log = hub.process().log();
    let (before, _) = log.split_once("the store is open").unwrap_or((&log, ""));
    for words in [
        "there is no plugin `emial`",
        &format!("there is no plugin at {file}"),
    ] {
        ensure!(before.contains(words), "not `{words}` at first: {log}");
    }
    Ok(())
}
