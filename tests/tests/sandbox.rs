//! What a plugin may do is what its site has granted: by default nothing, and the way to more is shown.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value as Json, json};
use watchpost_testkit::{Backend, HubSetup, PATIENCE, artefacts, hostile_plugin, toml};

fn shown(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}

/// Runs `watchpost` with these words and the configuration.
fn watchpost(words: &[&str], setup: &HubSetup) -> Result<Output> {
    let mut command = Command::new(artefacts()?.watchpost()?);
    command.args(words).arg("--config").arg(setup.config_path());
    command.output().context("watchpost did not start")
}

/// What is written to standard error, without the frames of the report.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace("│", " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sink<'a>(status: &'a Json, name: &str) -> &'a Json {
    let sinks = status["sinks"].as_array().map_or(&[][..], Vec::as_slice);
    sinks
        .iter()
        .find(|sink| sink["name"] == name)
        .unwrap_or(&Json::Null)
}

#[test]
fn a_plugin_does_what_is_granted_and_nothing_else() -> Result<()> {
    let backend = Backend::start(&["--count", "1", "--rate", "inf", "--wait-for-client"])?;
    let port = backend.url().rsplit(':').next().unwrap_or_default().to_owned();
    let number: i64 = port
        .trim_end_matches('/')
        .parse()
        .context("the port of the backend")?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let plugin = shown(hostile_plugin("trespass")?);
    let (secret, outside) = (setup.dir().join("secret"), setup.dir().join("outside"));
    fs::write(&secret, "root:x:0:0")?;
    fs::create_dir(&outside)?;
    let (read, outside) = (shown(&secret), shown(&outside));
    let write = format!("{outside}/written");
    let (read, write, outside, port) = (read.as_str(), write.as_str(), outside.as_str(), port.as_str());
    let config = toml! {
        read = read
        write = write
        port = port
    };

    let other = if number == 25 { 26 } else { 25 };
    let setup = setup
        .sink_within("bare", &plugin, toml::Table::new(), config.clone())
        .sink_within(
            "other",
            &plugin,
            toml! {
                read = [read]
                write = [outside]
                connect = [other]
                exec = true
            },
            config.clone(),
        )
        .sink_within(
            "granted",
            &plugin,
            toml! {
                read = [read]
                write = [outside]
                connect = [number]
                exec = true
            },
            config,
        );
    let hub = setup.start()?;
    let status = hub.until("every sink having tried", PATIENCE, |status| {
        let tried = |name| sink(status, name)["last_error"].is_string();
        tried("bare") && tried("other") && sink(status, "granted")["deliveries"]["delivered"] == json!(1)
    })?;
    for (name, expected) in [
        ("bare", "read: EACCES, write: EACCES, connect: EPERM, fork: EPERM"),
        ("other", "read: done, write: done, connect: EACCES, fork: done"),
    ] {
        let error = sink(&status, name)["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(expected), "{name}: {error}");
    }
    Ok(())
}

#[test]
fn an_archive_without_its_grant_tells_the_cure_and_the_cure_works() -> Result<()> {
    let backend = Backend::start(&["--count", "3", "--rate", "inf", "--wait-for-client"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let archive = setup.dir().join("archive");
    fs::create_dir(&archive)?;
    let dir = shown(&archive);
    let config = toml! { dir = dir };
    let setup = setup.sink_within("archive", "archive", toml::Table::new(), config);
    let mut hub = setup.start()?;
    hub.until("the refusal", PATIENCE, |status| {
        let error = sink(status, "archive")["last_error"].as_str().unwrap_or_default();
        status["store"]["alerts"] == json!(3)
            && error.contains("is not granted under `[sink.sandbox]`")
            && error.contains("add `write = ")
    })?;
    ensure!(hub.stop()?.success(), "the hub stops");

    let setup = hub.setup();
    let check = watchpost(&["check"], setup)?;
    let warning = said(&check);
    assert_eq!(check.status.code(), Some(3), "{warning}");
    assert!(warning.contains("watchpost.toml:"), "no place: {warning}");
    assert!(
        warning.contains("which is not granted") && warning.contains("`watchpost sink grant archive`"),
        "{warning}"
    );

    let grant = watchpost(&["sink", "grant", "archive"], setup)?;
    assert!(grant.status.success(), "{}", said(&grant));
    let pasted = String::from_utf8(grant.stdout)?;
    assert!(pasted.contains("# config.dir"), "no reason: {pasted}");
    let text = fs::read_to_string(setup.config_path())?;
    fs::write(setup.config_path(), replaced(&text, &pasted))?;
    // The token in it is another warning.
    fs::set_permissions(setup.config_path(), fs::Permissions::from_mode(0o600))?;
    let check = watchpost(&["check"], setup)?;
    assert!(
        check.status.success() && check.stderr.is_empty(),
        "{}",
        said(&check)
    );

    hub.restart()?;
    hub.until("the alerts archived", PATIENCE, |status| {
        sink(status, "archive")["deliveries"]["delivered"] == json!(3)
    })?;
    Ok(())
}

/// The configuration with this table in place of the one it has, as the command asks for.
fn replaced(config: &str, table: &str) -> String {
    let kept: Vec<&str> = config.lines().filter(|line| *line != "[sink.sandbox]").collect();
    format!("{}\n\n{table}", kept.join("\n"))
}

#[test]
fn a_grant_of_what_is_not_there_is_an_error_that_names_it() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let missing = shown(setup.dir().join("unplugged"));
    let within = shown(setup.data_dir().join("archive"));
    let (missing, within) = (missing.as_str(), within.as_str());
    let setup = setup
        .sink_within(
            "away",
            "archive",
            toml! { write = [missing] },
            toml! { dir = missing },
        )
        .sink_within(
            "here",
            "archive",
            toml! { write = [within] },
            toml! { dir = within },
        );
    setup.write()?;
    let warning = said(&watchpost(&["check"], &setup)?);
    assert!(warning.contains("is granted and not there"), "{warning}");
    assert!(!warning.contains("sink here"), "{warning}");

    let hub = setup.start()?;
    let status = hub.until("one running and one refused", PATIENCE, |status| {
        sink(status, "here")["state"] == "running" && sink(status, "away")["last_error"].is_string()
    })?;
    let error = sink(&status, "away")["last_error"].as_str().unwrap_or_default();
    assert!(
        error.contains(&format!("the sandbox grants `{missing}` under `write`")),
        "{error}"
    );
    Ok(())
}

#[test]
fn who_requires_the_whole_sandbox_gets_it_or_no_sink() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = || -> Result<HubSetup> {
        let setup = HubSetup::new()?.connection("shop", &backend)?;
        let dir = shown(setup.dir());
        Ok(setup.sink("archive", "archive", toml! { dir = dir }))
    };
    let hub = setup()?.start()?;
    let status = hub.until("the sink running", PATIENCE, |status| {
        sink(status, "archive")["state"] == "running"
    })?;
    let lacking = sink(&status, "archive")["sandbox_gaps"].is_array();
    drop(hub);

    let strict = setup()?.with(toml! {
        [hub]
        require_sandbox = true
    });
    let hub = strict.start()?;
    hub.until("the answer to the requirement", PATIENCE, |status| {
        let archive = sink(status, "archive");
        let error = archive["last_error"].as_str().unwrap_or_default();
        if lacking {
            error.contains("the sandbox lacks")
        } else {
            archive["state"] == "running"
        }
    })?;
    Ok(())
}

#[test]
fn a_sink_runs_as_the_user_it_is_given() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    // All that this user has to reach, with the hub's own files out of its reach.
    let plugin = setup.dir().join("libwatchpost_archive.so");
    fs::copy(artefacts()?.plugin("watchpost-archive")?, &plugin)?;
    fs::create_dir(setup.data_dir())?;
    for path in [setup.dir(), &setup.data_dir()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o711))?;
    }
    let state = shown(setup.data_dir().join("sinks/archive/files"));
    let (state, plugin) = (state.as_str(), shown(plugin));
    fs::create_dir_all(setup.data_dir().join("sinks/archive"))?;
    let sandbox = toml! { user = "nobody" };
    let hub = setup
        .sink_within("archive", &plugin, sandbox, toml! { dir = state })
        .start()?;
    let status = hub.until("the sink's answer", PATIENCE, |status| {
        let archive = sink(status, "archive");
        archive["state"] == "running" || archive["last_error"].is_string()
    })?;
    let archive = sink(&status, "archive");
    let error = archive["last_error"].as_str().unwrap_or_default();
    let root = fs::metadata("/proc/self")?.uid() == 0;
    if !root {
        assert!(error.contains("takes a hub that runs as root"), "{error}");
        return Ok(());
    }
    let pid = archive["pid"]
        .as_u64()
        .with_context(|| format!("it does not run: {error}"))?;
    let about = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let uids = about
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .context("no Uid")?;
    assert!(uids.split_whitespace().all(|uid| uid != "0"), "{uids}");
    Ok(())
}

#[test]
fn a_user_that_does_not_exist_is_named() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let dir = shown(setup.dir());
    let dir = dir.as_str();
    let sandbox = toml! {
        write = [dir]
        user = "no-such-user"
    };
    let hub = setup
        .sink_within("archive", "archive", sandbox, toml! { dir = dir })
        .start()?;
    hub.until("the refusal", PATIENCE, |status| {
        let error = sink(status, "archive")["last_error"].as_str().unwrap_or_default();
        error.contains("there is no user `no-such-user`")
    })?;
    Ok(())
}
