//! Files that a sink was granted are replaced while it runs, as editors, DHCP clients and whatever rotates secrets do it:
//! by another of the same name. The sink has access to the new ones without anybody's doing.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{
    Backend, HttpServer, Hub, HubSetup, Need, PATIENCE, artefacts, deliveries, hostile_plugin, skip_without,
    toml,
};

/// Puts another file in the place of this one.
fn replace(path: &Path, contents: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, contents)?;
    Ok(fs::rename(&new, path)?)
}

fn pid(status: &Value) -> Option<u64> {
    status["sinks"][0]["pid"].as_u64()
}

/// Sends an alert and waits until the sink has delivered it.
fn deliver(backend: &Backend, hub: &Hub, so_far: u64) -> Result<()> {
    backend.order(&json!({"do": "send", "count": 1}))?;
    hub.until("the alert delivered", PATIENCE, |status| {
        deliveries(status, "delivered") == so_far + 1
    })?;
    Ok(())
}

#[test]
fn a_secret_that_was_rotated_is_read() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "64x64"])?;
    let server = HttpServer::start()?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let token = setup.dir().join("token");
    fs::write(&token, "first")?;
    let (url, port) = (server.url(), server.address().port());
    let file = token.display().to_string();
    let file = file.as_str();
    let setup = setup.with(toml! {
        [[sink]]
        name = "hook"
        plugin = "webhook"
        retry = { initial = "1h", max = "1h" }
        sandbox = { read = [file], connect = [port] }
        config = { url = url, token_file = file }
    });
    let hub = setup.start()?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected" && pid(status).is_some()
    })?;
    deliver(&backend, &hub, 0)?;
    let before = hub.status()?;
    replace(&token, "second")?;
    hub.until("the sink restarted", PATIENCE, |status| {
        pid(status).is_some() && pid(status) != pid(&before)
    })?;
    deliver(&backend, &hub, 1)?;
    let tokens: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    let expected = ["Bearer first", "Bearer second"].map(|token| Some(token.to_owned()));
    assert_eq!(tokens, expected);
    let status = hub.status()?;
    assert_eq!(status["sinks"][0]["crashes"], 0, "{status:#}");
    Ok(())
}

/// Becomes the hub, which sees an `/etc` that the test can write to.
const OWN_ETC: &str = r#"mkdir -p "$ETC/upper" "$ETC/work" &&
    mount -t tmpfs tmpfs "$ETC" && mkdir "$ETC/upper" "$ETC/work" &&
    mount -t overlay overlay -o "lowerdir=/etc,upperdir=$ETC/upper,workdir=$ETC/work" /etc &&
    rm -f /etc/hosts && exec "$0" "$@""#;

#[test]
fn a_name_that_appears_after_the_start_is_resolved() -> Result<()> {
    if skip_without(&[Need::Systemd]) {
        return Ok(());
    }
    let backend = Backend::start(&["--rate", "0", "--frame", "64x64"])?;
    let server = HttpServer::start()?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let port = server.address().port();
    let url = format!("http://siren.test:{port}");
    let etc = setup.dir().join("etc").display().to_string();
    let setup = setup
        .with(toml! {
            [[sink]]
            name = "hook"
            plugin = "webhook"
            retry = { initial = "1h", max = "1h" }
            sandbox = { connect = [port] }
            config = { url = url }
        })
        .environment(vec![("ETC".to_owned(), etc)])
        .wrapper(&["unshare", "--mount", "--propagation=private", "sh", "-c", OWN_ETC]);
    let mut hub = setup.start()?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected" && pid(status).is_some()
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    let status = hub.until("a delivery that failed", PATIENCE, |status| {
        status["sinks"][0]["last_error"].is_string()
    })?;
    ensure!(
        status["sinks"][0]["last_error"]
            .as_str()
            .context("an error")?
            .contains("siren.test"),
        "{status:#}"
    );
    // There was no such file when the sink started.
    let hosts = format!("/proc/{}/root/etc/hosts", hub.process().pid());
    replace(Path::new(&hosts), "127.0.0.1 localhost siren.test\n")?;
    // The retry is an hour away: what failed for want of the name is tried at once.
    hub.until("the alert delivered", PATIENCE, |status| {
        deliveries(status, "delivered") == 1
    })?;
    assert_eq!(server.requests().len(), 1);
    Ok(())
}

/// Becomes a copy of the hub.
const COPIED: &str = r#"exec "$COPY" "$@""#;

#[test]
fn a_program_or_a_plugin_that_was_replaced_is_reported_and_the_old_one_goes_on() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "64x64"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let dir = setup.dir().to_owned();
    let (program, plugin) = (dir.join("watchpost"), dir.join("recorder.so"));
    let artefacts = artefacts()?;
    fs::copy(artefacts.watchpost()?, &program)?;
    fs::copy(
        artefacts.binary("watchpost-sinkhost")?,
        dir.join("watchpost-sinkhost"),
    )?;
    fs::copy(hostile_plugin("recorder")?, &plugin)?;
    let (record, copy) = (
        dir.join("record").display().to_string(),
        program.display().to_string(),
    );
    let hub = setup
        .sink("file", &plugin.display().to_string(), toml! { file = record })
        .environment(vec![("COPY".to_owned(), copy.clone())])
        .wrapper(&["sh", "-c", COPIED])
        .start()?;
    let before = hub.until("the sink running", PATIENCE, |status| pid(status).is_some())?;
    ensure!(before["replaced"].is_null(), "{before:#}");

    // As `cp` does it, over the file itself; not truncated first, for a process that has it loaded would end of that.
    let bytes = fs::read(&plugin)?;
    fs::OpenOptions::new()
        .write(true)
        .open(&plugin)?
        .write_all(&bytes)?;
    let new = dir.join("new");
    fs::copy(artefacts.watchpost()?, &new)?;
    fs::rename(&new, &program)?;
    let status = hub.until("both reported", PATIENCE, |status| {
        status["replaced"] == json!([copy]) && status["sinks"][0]["plugin_replaced"] == true
    })?;
    assert_eq!(pid(&status), pid(&before), "the old one goes on");
    let text = hub.ask("status", &[])?;
    for line in [
        format!("{copy} was replaced, and the old one runs: restart the hub"),
        "  its plugin was replaced, and the old one runs: `watchpost reload` has it run the new one"
            .to_owned(),
    ] {
        ensure!(text.lines().any(|said| said == line), "not `{line}`: {text}");
    }
    hub.ask("reload", &[])?;
    let status = hub.until("the new plugin", PATIENCE, |status| {
        pid(status).is_some() && pid(status) != pid(&before)
    })?;
    ensure!(status["sinks"][0]["plugin_replaced"].is_null(), "{status:#}");
    Ok(())
}
