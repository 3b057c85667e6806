//! `user = "dynamic"`: each sink has an id that no one else has, and its files are its own whatever id that is.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value as Json, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, Signal, count, is_root, sink, skip_because, toml};

const SINKS: [&str; 2] = ["one", "other"];
/// Alerts that are filed before the hub is killed, and after.
const ALERTS: u64 = 3;
/// Without an entry, and out of the range that ids are taken from.
const PLAIN_USER: u32 = 60_901;

/// Who has the file, or the link.
fn owner(path: &Path) -> Result<u32> {
    let about = fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
    Ok(about.uid())
}

/// An installed hub that files every alert twice, in the directories that the sinks have for themselves.
fn setup(backend: &Backend) -> Result<HubSetup> {
    let mut setup = HubSetup::new()?
        .installed(&["watchpost-archive"])?
        .connection("shop", backend)?;
    // What lies below is the hub's to open.
    fs::set_permissions(setup.dir(), fs::Permissions::from_mode(0o711))?;
    for name in SINKS {
        let dir = state_dir(&setup, name).join("files").display().to_string();
        let dir = dir.as_str();
        let sandbox = toml! {
            user = "dynamic"
            write = [dir]
        };
        let config = toml! { dir = dir };
        setup = setup.sink_within(name, "archive", sandbox, config);
    }
    Ok(setup)
}

fn state_dir(setup: &HubSetup, name: &str) -> PathBuf {
    setup.data_dir().join("sinks").join(name)
}

/// Has the backend send the alerts, once the hub hears it.
fn send(hub: &Hub, backend: &Backend) -> Result<()> {
    hub.until("the connection", PATIENCE, |status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": ALERTS}))?;
    Ok(())
}

/// Waits until each sink has delivered so many, and says whose process it is.
fn users_after(hub: &Hub, delivered: u64) -> Result<Vec<u32>> {
    let status = hub.until("the alerts in both archives", PATIENCE, |status| {
        let done = |name: &&str| {
            let sink = sink(status, name);
            sink["state"] == "running" && count(&sink["deliveries"], "delivered") >= delivered
        };
        SINKS.iter().all(done)
    })?;
    SINKS.iter().map(|name| user_of(sink(&status, name))).collect()
}

/// The user and group of a sink's process: one number, in all of its roles.
fn user_of(sink: &Json) -> Result<u32> {
    let pid = sink["pid"].as_u64().context("it has no process")?;
    let about = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let ids = |field: &str| about.lines().find_map(|line| line.strip_prefix(field));
    let (users, groups) = (ids("Uid:").context("no Uid")?, ids("Gid:").context("no Gid")?);
    let all: HashSet<&str> = users
        .split_whitespace()
        .chain(groups.split_whitespace())
        .collect();
    ensure!(all.len() == 1, "user {users}, group {groups}");
    assert_eq!(ids("Groups:").map(str::trim), Some(""), "it is in further groups");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let tasks = limits.lines().find(|line| line.starts_with("Max processes"));
    assert!(tasks.is_some_and(|line| line.contains(" 128 ")), "{tasks:?}");
    Ok(all.into_iter().next().context("no id")?.parse()?)
}

/// Whether a program of this user can read the whole directory, with nothing but the modes in its way.
fn can_read(dir: &Path, user: u32) -> Result<bool> {
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg("/dev/null").arg("-C").arg(dir).arg(".");
    let status = tar
        .uid(user)
        .gid(user)
        .current_dir("/")
        .stderr(Stdio::null())
        .status();
    Ok(status.context("tar did not start")?.success())
}

/// A file or a link, and all that lies below.
fn all_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = walkdir::WalkDir::new(dir).into_iter();
    Ok(entries
        .map(|entry| entry.map(walkdir::DirEntry::into_path))
        .collect::<Result<_, _>>()?)
}

#[test]
fn each_sink_is_a_user_of_its_own_whatever_its_id() -> Result<()> {
    if !is_root() && skip_because("it takes root to run a sink as another user") {
        return Ok(());
    }
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = setup(&backend)?;
    let (victim, victims) = (setup.dir().join("victim"), setup.dir().join("victims"));
    fs::create_dir(&victims)?;
    for file in [&victim, &victims.join("file")] {
        fs::write(file, "the hub's")?;
    }
    let mut hub = setup.start()?;
    send(&hub, &backend)?;
    let users = users_after(&hub, ALERTS)?;
    let dirs = SINKS.map(|name| state_dir(hub.setup(), name));
    ensure!(users[0] != users[1], "both are {}", users[0]);
    for file in ["/etc/passwd", "/etc/group"] {
        let known = fs::read_to_string(file)?;
        let known: Vec<&str> = known.lines().filter_map(|line| line.split(':').nth(2)).collect();
        assert!(
            users
                .iter()
                .all(|user| !known.contains(&user.to_string().as_str())),
            "{file}"
        );
    }
    for (own, dir) in dirs.iter().enumerate() {
        assert!(can_read(dir, users[own])?, "{} is its own", dir.display());
        assert!(
            !can_read(dir, users[1 - own])?,
            "{} is not the other's",
            dir.display()
        );
        assert!(!can_read(dir, PLAIN_USER)?, "{} is no one else's", dir.display());
    }
    assert!(
        !can_read(&hub.setup().data_dir(), users[0])?,
        "the hub's files are its own"
    );

    // What a plugin could have left for a hub that gives away what it finds.
    symlink(&victim, dirs[0].join("link"))?;
    symlink(&victims, dirs[0].join("files/links"))?;
    fs::hard_link(&victim, dirs[0].join("hard"))?;
    hub.kill()?;
    // Someone else has the id by now.
    let mut squatter = Command::new("sleep")
        .arg("infinity")
        .uid(users[0])
        .gid(users[0])
        .spawn()?;
    hub.restart()?;
    send(&hub, &backend)?;
    let again = users_after(&hub, 2 * ALERTS);
    squatter.kill()?;
    squatter.wait()?;
    let again = again?;
    assert_ne!(again[0], users[0], "it is another's");
    // The other one has the same again, unless its old process took its time to die.
    assert!(
        !can_read(&dirs[0], users[0])?,
        "who has its old id has not its files"
    );
    for (dir, user) in dirs.iter().zip(&again) {
        for path in all_below(dir)?.iter().filter(|path| !path.ends_with("hard")) {
            assert_eq!(owner(path)?, *user, "{}", path.display());
        }
    }
    for path in [&victim, &victims, &victims.join("file")] {
        assert_eq!(owner(path)?, 0, "{} was given away", path.display());
    }

    // Back to the hub's own user.
    let mut config = hub.setup().config().clone();
    for sink in config["sink"].as_array_mut().context("no sinks")? {
        let sandbox = sink["sandbox"].as_table_mut().context("no sandbox")?;
        sandbox.remove("user");
    }
    hub.rewrite(&config)?;
    hub.process().signal(Signal::HUP)?;
    hub.until("both sinks as the hub's user", PATIENCE, |status| {
        let is_roots = |name: &&str| {
            let pid = sink(status, name)["pid"].as_u64();
            pid.is_some_and(|pid| fs::metadata(format!("/proc/{pid}")).is_ok_and(|about| about.uid() == 0))
                && owner(&state_dir(hub.setup(), name).join("files")).is_ok_and(|owner| owner == 0)
        };
        SINKS.iter().all(is_roots)
    })?;
    ensure!(hub.stop()?.success(), "the hub stops");
    Ok(())
}

#[test]
fn a_hub_that_is_not_root_says_what_it_lacks() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let mut setup = setup(&backend)?;
    if is_root() {
        setup = setup.run_as(PLAIN_USER);
    }
    let hub = setup.start()?;
    let status = hub.until("the refusal", PATIENCE, |status| {
        sink(status, "one")["last_error"].is_string()
    })?;
    let error = sink(&status, "one")["last_error"].as_str().unwrap_or_default();
    let expected = "`user` in its [sink.sandbox] takes a hub that runs as root: this one lacks CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_KILL, CAP_SETGID, CAP_SETUID";
    assert!(error.contains(expected), "{error}");

    let mut check = Command::new(hub.setup().dir().join("usr/bin/watchpost"));
    check
        .arg("check")
        .arg("--config")
        .arg(hub.setup().config_path())
        .current_dir("/");
    if is_root() {
        check.uid(PLAIN_USER).gid(PLAIN_USER);
    }
    let said = check.output()?;
    let text = String::from_utf8_lossy(&said.stderr).replace('│', " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(said.status.code(), Some(3), "{text}");
    let expected =
        "`user` in [sink.sandbox] of `one` takes a hub that runs as root, and this user lacks CAP_CHOWN";
    assert!(
        text.contains(expected) && text.contains("watchpost.toml:"),
        "{text}"
    );
    Ok(())
}
