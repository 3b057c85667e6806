//! `watchpost doctor` finds what is wrong, says what to do, and shows no secret.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, HubSetup, PATIENCE, Signal, Toml, artefacts, toml};

/// What was found: exit code and lines.
struct Found {
    code: Option<i32>,
    text: String,
    lines: Vec<Value>,
}

impl Found {
    fn line(&self, check: &str) -> Result<&Value> {
        let line = self.lines.iter().find(|line| line["check"] == check);
        line.with_context(|| format!("no line `{check}` in {}", self.text))
    }

    fn is(&self, check: &str, finding: &str) -> Result<&str> {
        let line = self.line(check)?;
        assert_eq!(line["finding"], finding, "{line}");
        if finding == "fail" || finding == "warn" {
            assert!(
                line["hint"].as_str().is_some_and(|hint| hint.len() > 10),
                "{line}"
            );
        }
        line["text"].as_str().context("a text")
    }
}

fn doctor(setup: &HubSetup) -> Result<Found> {
    let config = setup.config_path();
    let run = |more: &[&str]| -> Result<std::process::Output> {
        let mut command = Command::new(artefacts()?.watchpost()?);
        Ok(command
            .arg("doctor")
            .arg("--config")
            .arg(&config)
            .args(more)
            .output()?)
    };
    let output = run(&["--json"])?;
    let text = String::from_utf8(output.stdout)?;
    let people = String::from_utf8(run(&[])?.stdout)?;
    assert!(people.contains("passed, "), "{people}");
    let lines = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
    Ok(Found {
        code: output.status.code(),
        text: text + &people,
        lines,
    })
}

fn setup(backend: &Backend, keys: &[(&str, Toml)]) -> Result<HubSetup> {
    let mut connection = toml! { name = "shop" };
    connection.insert("url".to_owned(), backend.url().into());
    for (key, value) in keys {
        connection.insert((*key).to_owned(), value.clone());
    }
    let setup = HubSetup::new()?.with(toml! { connection = [connection] });
    let dir = setup.dir().join("archive").display().to_string();
    let setup = setup.sink("archive", "archive", toml! { dir = dir });
    setup.write()?;
    Ok(setup)
}

fn login(backend: &Backend, password: &str) -> Result<(&'static str, Toml)> {
    let email = backend.ready("email")?;
    let login = toml! {
        email = email
        password = password
    };
    Ok(("login", Toml::Table(login)))
}

#[test]
fn all_is_well_before_and_while_the_hub_runs() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let setup = setup(&backend, &[login(&backend, backend.ready("password")?)?])?;
    let before = doctor(&setup)?;
    assert_eq!(before.code, Some(0), "{}", before.text);
    for check in [
        "name",
        "TCP",
        "health",
        "login",
        "user",
        "clock",
        "alerts go to",
        "WebSocket",
        "anomalies",
    ] {
        before.is(&format!("shop: {check}"), "pass")?;
    }
    before.is("this machine: hub", "warn")?;
    before.is("sink archive: plugin", "pass")?;
    before.is("sink archive: delivery", "skip")?;

    let hub = setup.start()?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    let found = watchpost_testkit::eventually("the alert and its row", PATIENCE, || {
        let found = doctor(hub.setup()).map_err(|e| format!("{e:#}"))?;
        match found.is("shop: anomalies", "pass") {
            Ok(text) if text.contains("is in the hub") => Ok(found),
            other => Err(format!("{other:?}")),
        }
    })?;
    assert_eq!(found.code, Some(0), "{}", found.text);
    assert!(found.is("shop: alerts go to", "pass")?.contains("running hub"));
    assert!(
        found
            .is("shop: WebSocket", "pass")?
            .contains("open in the running hub")
    );
    for check in [
        "this machine: hub",
        "this machine: sync",
        "this machine: disk",
        "sink archive: delivery",
    ] {
        found.is(check, "pass")?;
    }
    // It looked and took nothing.
    assert_eq!(hub.status()?["connections"][0]["counters"]["opened"], 1);
    let mut hub = hub;
    hub.stop()?;
    let after = doctor(hub.setup())?;
    assert!(
        after
            .is("sink archive: delivery", "pass")?
            .contains("the plugin has tried")
    );
    Ok(())
}

#[test]
fn each_thing_that_is_wrong_is_found() -> Result<()> {
    let mut backend = Backend::start(&["--rate", "0", "--token-life", "1s"])?;
    let secret = "not the password";
    let wrong = doctor(&setup(&backend, &[login(&backend, secret)?])?)?;
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.is("shop: login", "fail")?.contains("Invalid credentials"));
    assert!(!wrong.text.contains(secret));

    let missing = toml! {
        email = "a@example.com"
        password_file = "/nowhere/password"
    };
    let missing = doctor(&setup(&backend, &[("login", Toml::Table(missing))])?)?;
    assert!(missing.is("shop: login", "fail")?.contains("/nowhere/password"));

    let (user_id, token) = (backend.ready("user_id")?, backend.ready("token")?);
    let given = [("user_id", user_id.into()), ("token", token.into())];
    let with_token = setup(&backend, &given)?;
    let expired = watchpost_testkit::eventually("the token's end", PATIENCE, || {
        let found = doctor(&with_token).map_err(|e| format!("{e:#}"))?;
        let line = found.line("shop: user").map_err(|e| format!("{e:#}"))?.clone();
        if line["finding"] == "fail" {
            Ok(found)
        } else {
            Err(line.to_string())
        }
    })?;
    assert!(
        expired
            .is("shop: user", "fail")?
            .contains("the token has expired")
    );
    assert!(!expired.text.contains(token));

    let broken = setup(&backend, &given)?.with(toml! {
        [[sink]]
        name = "siren"
        plugin = "no-such-plugin"
    });
    broken.write()?;
    let broken = doctor(&broken)?;
    assert!(
        broken
            .is("sink siren: plugin", "fail")?
            .contains("no-such-plugin")
    );

    backend.kill()?;
    let down = doctor(&with_token)?;
    assert_eq!(down.code, Some(1));
    assert!(down.is("shop: TCP", "fail")?.contains("refused"));
    Ok(())
}

#[test]
fn another_client_of_the_same_user_is_named() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let keys = [login(&backend, backend.ready("password")?)?];
    let setup = setup(&backend, &keys)?;
    backend.order(&json!({"do": "takeover", "for_seconds": 3600}))?;
    let found = doctor(&setup)?;
    assert_eq!(found.code, Some(0), "a warning only: {}", found.text);
    assert!(found.is("shop: alerts go to", "warn")?.contains("another client"));
    found.is("shop: WebSocket", "skip")?;
    assert_eq!(backend.stats()?["connections"], 0, "it was not disturbed");
    Ok(())
}

#[test]
fn a_backend_that_is_stuck_does_not_make_another_look_wrong() -> Result<()> {
    let (mut stuck, well) = (
        Backend::start(&["--rate", "0", "--seed", "7"])?,
        Backend::start(&["--rate", "0"])?,
    );
    let brief = toml! { interval = "100ms" };
    let keys = [
        login(&stuck, stuck.ready("password")?)?,
        ("connect_timeout", "2s".into()),
        ("slot", Toml::Table(brief)),
    ];
    let setup = setup(&stuck, &keys)?.connection("other", &well)?;
    let hub = setup.start()?;
    hub.until("both connected", PATIENCE, |status| {
        let open = |index: usize| status["connections"][index]["state"] == "connected";
        open(0) && open(1)
    })?;
    // Questions to it take until they time out, while the other connection grows older.
    stuck.process().signal(Signal::STOP)?;
    let found = doctor(hub.setup())?;
    assert_eq!(found.is("other: alerts go to", "pass")?, "the running hub");
    found.is("other: WebSocket", "pass")?;
    assert_ne!(found.code, Some(0), "{}", found.text);
    stuck.process().signal(Signal::CONT)?;
    Ok(())
}

#[test]
fn a_secret_that_everybody_can_read_is_warned_of() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let backend = Backend::start(&["--rate", "0"])?;
    let dir = watchpost_testkit::TempDir::new()?;
    let file = dir.path().join("password");
    fs::write(&file, backend.ready("password")?)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    let (email, file) = (backend.ready("email")?, file.display().to_string());
    let login = toml! {
        email = email
        password_file = file
    };
    let found = doctor(&setup(&backend, &[("login", Toml::Table(login))])?)?;
    assert!(
        found
            .is("this machine: configuration", "warn")?
            .contains("every user of this machine can read")
    );
    assert_eq!(found.code, Some(0));
    Ok(())
}

#[test]
fn a_hub_that_runs_an_older_configuration_is_said_to() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let hub = setup(&backend, &[login(&backend, backend.ready("password")?)?])?.start()?;
    hub.until("connected", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    let file = hub.setup().config_path();
    let text = fs::read_to_string(&file)?;
    fs::write(
        &file,
        text.replace("\"shop\"", "\"store\"")
            .replace("name = \"archive\"", "name = \"files\""),
    )?;
    let found = doctor(hub.setup())?;
    assert!(
        found
            .is("store: WebSocket", "warn")?
            .contains("older configuration, without this connection")
    );
    assert!(
        found
            .is("sink files: delivery", "warn")?
            .contains("older configuration, without this sink")
    );
    assert!(!found.text.contains("another client"), "it is the hub itself");
    Ok(())
}
