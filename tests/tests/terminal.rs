//! What the commands print: nothing of a camera's words reaches the terminal raw, tables fit, and mistakes are named.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, artefacts, toml};

/// A stream id that clears the screen, rings, turns text around and begins a line of its own.
const NASTY: &str = "\u{1b}[2J\u{7}\u{9b}31m\u{202e}cam\nfake line";

fn hub(backend: &Backend) -> Result<Hub> {
    let setup = HubSetup::new()?.connection("shop", backend)?;
    let dir = setup.dir().join("archive").display().to_string();
    setup.sink("archive", "archive", toml! { dir = dir }).start()
}

/// Has the backend send an alert of a stream of this name.
fn send(backend: &Backend, stream: &str) -> Result<()> {
    let alert = json!({"type": "anomaly_detected", "user_id": "u", "stream_id": stream,
        "result": {"person_id": 1, "status": stream, "classification": stream},
        "annotated_frame": "", "frame_format": "jpeg"});
    backend.order(&json!({"do": "send_text", "text": alert.to_string()}))?;
    Ok(())
}

#[test]
fn untrusted_text_reaches_no_terminal_raw() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let hub = hub(&backend)?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    send(&backend, NASTY)?;
    hub.until("delivered", PATIENCE, |status| {
        status["sinks"][0]["deliveries"]["delivered"] == json!(1)
    })?;
    let id = hub.alerts()?[0]["id"].to_string();
    let mut seen = 0;
    for (command, args) in [
        ("alerts", vec!["list"]),
        ("alerts", vec!["list", "--json"]),
        ("alerts", vec!["show", &id]),
        ("alerts", vec!["show", &id, "--json"]),
        ("cameras", vec![]),
        ("cameras", vec!["--json"]),
        ("deliveries", vec!["list"]),
        ("deliveries", vec!["show", &id]),
        ("status", vec![]),
        ("status", vec!["--json"]),
    ] {
        let text = hub.ask(command, &args)?;
        let raw = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(raw), "{command} {args:?}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("fake line")), "{text}");
        seen += usize::from(text.contains("fake line"));
    }
    assert!(seen >= 3, "the stream id was shown, escaped");
    Ok(())
}

#[test]
fn cameras_that_were_seen_are_listed_with_what_names_them() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--cameras", "2", "--frame", "160x90"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let hub = setup.start()?;
    assert_eq!(hub.ask("cameras", &[])?.trim(), "no camera was seen yet");
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 4}))?;
    hub.until("stored", PATIENCE, |status| {
        status["connections"][0]["counters"]["stored"] == json!(4)
    })?;
    let cameras = |of: &[&str]| -> Result<Vec<Value>> {
        let lines = run("cameras", of)?;
        lines
            .lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    };
    let data_dir = hub.setup().data_dir().display().to_string();
    let unnamed = cameras(&["--json", "--data-dir", &data_dir])?;
    assert_eq!(unnamed.len(), 2, "{unnamed:?}");
    let config = hub.setup().config_path();
    let mut text = fs::read_to_string(&config)?;
    for camera in &unnamed {
        assert_eq!(camera["alerts"], 2, "{camera}");
        text += camera["paste"].as_str().context("lines to paste")?;
    }
    let table = hub.ask("cameras", &[])?;
    assert!(
        table.contains("(no name)") && table.contains("[[camera]]"),
        "{table}"
    );

    // Pasted as they are they name both, before the hub has read them.
    fs::write(&config, text)?;
    let config = config.display().to_string();
    run("check", &["--config", &config])?;
    for camera in cameras(&["--json", "--config", &config])? {
        let name = format!("Camera {}", camera["short_id"].as_str().context("an id")?);
        assert_eq!(camera["name"], name);
        assert_eq!(camera.get("paste"), None);
    }
    Ok(())
}

/// What a command prints; it has to succeed.
fn run(command: &str, args: &[&str]) -> Result<String> {
    let mut program = Command::new(artefacts()?.watchpost()?);
    let output = program.arg(command).args(args).output()?;
    let printed = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success(),
        "{command}: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(printed)
}

#[test]
fn lists_fit_the_terminal_and_say_how_much_more_there_is() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--cameras", "2", "--frame", "160x90"])?;
    let hub = hub(&backend)?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    send(&backend, &"long".repeat(60))?;
    backend.order(&json!({"do": "send", "count": 9}))?;
    hub.until("delivered", PATIENCE, |status| {
        status["sinks"][0]["deliveries"]["delivered"] == json!(10)
    })?;
    let list = |args: &[&str]| hub.ask("alerts", &[&["list"], args].concat());
    let fits = |text: &str| text.lines().all(|line| line.chars().count() <= 80);
    let text = list(&["--limit", "4"])?;
    assert!(fits(&text) && text.starts_with("ALERT  "), "{text}");
    assert_eq!(
        text.lines().count(),
        6,
        "a heading, four alerts, and what is left:\n{text}"
    );
    let last = text.lines().nth(4).context("a row")?;
    let id = last.split_whitespace().next().context("an id")?;
    assert!(
        text.contains(&format!("6 more: add `--before {id}` for the next")),
        "{text}"
    );
    let next = list(&["--limit", "10", "--before", id])?;
    assert!(fits(&next) && next.contains('…'), "{next}");
    assert_eq!(next.lines().count(), 7, "{next}");

    let camera = hub.alerts()?[0]["camera"]["id"].as_str().context("an id")?[..8].to_owned();
    let count = |args: &[&str]| list(args).map(|text| text.lines().count() - 1);
    assert!((1..9).contains(&count(&["--camera", &camera])?));
    assert_eq!(count(&["--kind", "hub"])?, 0, "no alerts");
    assert_eq!(count(&["--kind", "anomaly", "--since", "1h"])?, 10);
    assert_eq!(list(&["--until", "1h"])?, "no alerts\n");
    let alerts = hub.alerts()?;
    let critical = alerts.iter().filter(|alert| alert["severity"] == "critical");
    assert_eq!(count(&["--severity", "critical"])?, critical.count());

    let deliveries = hub.ask("deliveries", &["list"])?;
    assert!(
        fits(&deliveries) && deliveries.starts_with("ALERT  "),
        "{deliveries}"
    );
    let wrong = hub
        .ask("deliveries", &["drop", "--sink", "archiv"])
        .unwrap_err()
        .to_string();
    assert!(
        wrong.contains("there is no sink `archiv`; there are archive"),
        "{wrong}"
    );
    assert!(hub.ask("alerts", &["dismiss", id])?.contains("is dismissed"));
    assert_eq!(hub.ask("alerts", &["clear"])?, "the live list is empty\n");
    Ok(())
}

#[test]
fn the_options_of_all_commands_stand_before_or_after() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let hub = hub(&backend)?;
    let config = hub.setup().config_path().display().to_string();
    let dir = hub.setup().data_dir().display().to_string();
    let run = |args: &[&str]| -> Result<std::process::Output> {
        Ok(std::process::Command::new(artefacts()?.watchpost()?)
            .args(args)
            .output()?)
    };
    for args in [
        ["-c", &config, "alerts", "list"],
        ["alerts", "-c", &config, "list"],
        ["alerts", "list", "-c", &config],
        ["--data-dir", &dir, "deliveries", "list"],
        ["deliveries", "list", "--data-dir", &dir],
    ] {
        let output = run(&args)?;
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
    let refused = run(&["check", "--data-dir", &dir])?;
    assert_eq!(refused.status.code(), Some(2));
    let refused = run(&["status", "-c", &config, "--data-dir", &dir])?;
    assert!(String::from_utf8(refused.stderr)?.contains("leave one out"));
    let gone = run(&["status", "--data-dir", "/nowhere"])?;
    let text = String::from_utf8(gone.stderr)?;
    assert_eq!(text.matches("No such file").count(), 1, "{text}");
    assert_eq!(gone.status.code(), Some(4));
    Ok(())
}
