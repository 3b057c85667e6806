//! A sink that lacks a grant says so, with the line to paste, and never looks as if a file's permission were missing.

use anyhow::{Context as _, Result};
use watchpost_testkit::{
    Backend, HttpServer, HubSetup, Mosquitto, PATIENCE, SmtpServer, TempDir, eventually, toml,
};

#[test]
fn a_missing_grant_names_the_line_to_paste() -> Result<()> {
    let backend = Backend::start(&["--count", "5", "--rate", "inf", "--wait-for-client"])?;
    let (dir, mails, broker) = (
        TempDir::new()?,
        SmtpServer::with(&["--security", "none"])?,
        Mosquitto::start("")?,
    );
    let hook = HttpServer::start()?;
    let filed = dir.path().join("archive");
    std::fs::create_dir(&filed)?;
    let filed = filed.to_str().context("a path of text")?;
    let program = dir.path().join("lamp");
    std::fs::write(&program, "#!/bin/sh\n")?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let program = program.to_str().context("a path of text")?;
    let secret = dir.path().join("token");
    std::fs::write(&secret, "open sesame\n")?;
    let secret = secret.to_str().context("a path of text")?;
    let (mail_port, mqtt, url) = (mails.port(), broker.plain_server(), hook.url());
    let url = url.as_str();
    let mqtt_port = mqtt.rsplit(':').next().context("a port")?.to_owned();
    let hook_port = hook.address().port();
    let mut hub = HubSetup::new()?
        .connection("shop", &backend)?
        .with(toml! {
            [[sink]]
            name = "archive"
            plugin = "archive"
            config = { dir = filed }
            [[sink]]
            name = "mail"
            plugin = "email"
            [sink.config]
            server = "127.0.0.1"
            port = mail_port
            security = "none"
            from = "a@example.com"
            to = ["b@example.com"]
            [[sink]]
            name = "broker"
            plugin = "mqtt"
            config = { server = mqtt, tls = false }
            [[sink]]
            name = "hook"
            plugin = "webhook"
            config = { url = url }
            [[sink]]
            name = "note"
            plugin = "exec"
            config = { command = [program] }
            [[sink]]
            name = "token"
            plugin = "webhook"
            config = { url = url, token_file = secret }
        })
        .start()?;
    let expected = [
        ("archive", format!("add `write = [\"{filed}\"]`")),
        ("mail", format!("add `connect = [{mail_port}]`")),
        ("broker", format!("add `connect = [{mqtt_port}]`")),
        ("hook", format!("add `connect = [{hook_port}]`")),
        ("note", "add `exec = true`".to_owned()),
        ("token", format!("add `read = [\"{secret}\"]`")),
    ];
    eventually("every sink says what it lacks", PATIENCE, || {
        let log = hub.process().log();
        let status = hub.status().map_err(|error| format!("{error:#}"))?;
        let sinks = status["sinks"].as_array().cloned().unwrap_or_default();
        for (name, line) in &expected {
            let sink = sinks.iter().find(|sink| sink["name"] == *name);
            let error = sink
                .and_then(|sink| sink["last_error"].as_str())
                .unwrap_or_default();
            if !(error.contains("not granted under `[sink.sandbox]`") && error.contains(line)) {
                return Err(format!("{name} says `{error}`, not {line}\n{log}"));
            }
        }
        Ok(())
    })
}
