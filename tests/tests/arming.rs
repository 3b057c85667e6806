//! Areas are armed and disarmed: what makes noise sounds only while they are, whatever happens to the hub meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, PATIENCE, count, eventually, toml};

/// Says which process it is, and stays until it is ended: a siren that sounds.
const SIREN: &str = r#"echo $$ >> "$DIR/pids"; exec sleep 1000"#;

/// Writes down what it is told.
const MESSAGE: &str = r#"echo "$WATCHPOST_TITLE" >> "$DIR/told""#;

/// A yard with two cameras, each at a backend of its own: the gate is on the way in, the back door is not.
struct Site {
    gate: Backend,
    back: Backend,
    hub: Hub,
    dir: PathBuf,
}

/// The times of the yard.
struct Times {
    exit: &'static str,
    entry: &'static str,
    trigger: &'static str,
}

const HOURS: Times = Times {
    exit: "0s",
    entry: "2h",
    trigger: "3h",
};

impl Site {
    fn start(times: &Times) -> Result<Self> {
        let of = |seed| {
            Backend::start(&[
                "--rate",
                "0",
                "--cameras",
                "1",
                "--frame",
                "160x90",
                "--no-pose",
                "--seed",
                seed,
            ])
        };
        let (gate, back) = (of("1")?, of("2")?);
        let setup = HubSetup::new()?
            .connection("gate", &gate)?
            .connection("back", &back)?;
        let dir = setup.dir().join("site");
        fs::create_dir(&dir)?;
        let path = dir.display().to_string();
        let path = path.as_str();
        let (exit, entry, trigger) = (times.exit, times.entry, times.trigger);
        let hub = setup
            .with(toml! {
                [[camera]]
                name = "Gate"
                match = { connection = "gate" }
                [[camera]]
                name = "Back door"
                area = "Yard"
                match = { connection = "back" }
                [[area]]
                name = "Yard"
                camera = "Gate"
                delayed = "Gate"
                modes = ["away", "night"]
                exit_delay = exit
                entry_delay = entry
                trigger_time = trigger
                [[sink]]
                name = "siren"
                plugin = "exec"
                timeout = "10m"
                only_armed = true
                cancel_on_acknowledge = true
                sandbox = { exec = true, write = [path] }
                [sink.config]
                command = ["/bin/sh", "-c", SIREN]
                env = { DIR = path }
                [[sink]]
                name = "message"
                plugin = "exec"
                in_flight = 1
                sandbox = { exec = true, write = [path] }
                [sink.config]
                command = ["/bin/sh", "-c", MESSAGE]
                env = { DIR = path }
            })
            .start()?;
        let site = Self { gate, back, hub, dir };
        site.connected()?;
        Ok(site)
    }

    fn connected(&self) -> Result<()> {
        self.hub.until("both connected", PATIENCE, |status| {
            (0..2).all(|number| status["connections"][number]["state"] == "connected")
        })?;
        Ok(())
    }

    /// The hub is killed, and started again without its database and these files beside it.
    fn lose(&mut self, files: &[&str]) -> Result<()> {
        self.hub.kill()?;
        self.hub.damage_database()?;
        for file in files {
            fs::remove_file(self.hub.setup().data_dir().join(file))?;
        }
        self.hub.restart()?;
        self.connected()
    }

    /// The hub is killed without a word, and started again.
    fn kill(&mut self) -> Result<()> {
        self.hub.kill()?;
        self.hub.restart()?;
        self.connected()
    }

    fn see(backend: &Backend) -> Result<()> {
        backend.order(&json!({"do": "send", "count": 1}))?;
        Ok(())
    }

    /// The yard, as soon as it is in this state.
    fn until(&self, state: &str) -> Result<Value> {
        let status = self
            .hub
            .until(state, PATIENCE, |status| status["areas"][0]["state"] == state)?;
        Ok(status["areas"][0].clone())
    }

    /// The processes that have sounded, and whether the last of them still does.
    fn sirens(&self) -> (usize, bool) {
        let text = fs::read_to_string(self.dir.join("pids")).unwrap_or_default();
        let sounds = text.lines().last().is_some_and(lives);
        (text.lines().count(), sounds)
    }

    fn until_sirens(&self, expected: (usize, bool)) -> Result<()> {
        eventually("the siren", PATIENCE, || match self.sirens() {
            sirens if sirens == expected => Ok(()),
            sirens => Err(format!("{sirens:?}, expected {expected:?}")),
        })
    }

    fn told(&self) -> Vec<String> {
        lines(&self.dir.join("told"))
    }

    fn until_told(&self, expected: &str) -> Result<()> {
        eventually(expected, PATIENCE, || match self.told() {
            told if told.iter().any(|line| line == expected) => Ok(()),
            told => Err(format!("{told:?}")),
        })
    }

    /// The words of the internal events so far, oldest first.
    fn events(&self) -> Result<Vec<String>> {
        let mut words: Vec<String> = self
            .hub
            .all_alerts()?
            .iter()
            .filter(|alert| alert["area"].is_object())
            .filter_map(|alert| alert["details"]["status"].as_str().map(str::to_owned))
            .collect();
        words.reverse();
        Ok(words)
    }
}

fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map_or("Z", |(_, rest)| rest.trim_start());
    !state.starts_with(['Z', 'X'])
}

#[test]
fn a_hub_that_is_killed_in_any_state_goes_on_in_it() -> Result<()> {
    let mut site = Site::start(&Times { exit: "1h", ..HOURS })?;
    let said = site.hub.ask("arm", &["night"])?;
    ensure!(
        said.contains("area Yard (away, night): arming, mode night from "),
        "{said}"
    );
    let before = site.until("arming")?;
    site.kill()?;
    assert_eq!(site.until("arming")?["until"], before["until"]);
    assert_eq!(before["by"], "operator");
    // What is seen while people leave makes no noise.
    Site::see(&site.gate)?;
    site.until_told("Anomaly at Gate")?;
    let newest = site.hub.alerts()?[0]["id"].to_string();
    let explained = site.hub.ask("explain", &[&newest])?;
    ensure!(
        explained.contains("people were leaving it (`exit_delay`)"),
        "{explained}"
    );

    site.hub.ask("disarm", &[])?;
    let mut config = site.hub.setup().config().clone();
    config["area"][0]["exit_delay"] = "0s".into();
    site.hub.rewrite(&config)?;
    site.hub.ask("reload", &[])?;
    site.hub.ask("arm", &["--force"])?;
    site.until("armed")?;
    site.kill()?;
    site.until("armed")?;
    Site::see(&site.gate)?;
    let before = site.until("pending")?;
    site.kill()?;
    let after = site.until("pending")?;
    assert_eq!(
        (&after["until"], &after["cause"]),
        (&before["until"], &before["cause"])
    );
    assert_eq!(site.sirens(), (0, false));

    Site::see(&site.back)?;
    site.until_sirens((1, true))?;
    let before = site.until("triggered")?;
    site.kill()?;
    let after = site.until("triggered")?;
    assert_eq!(
        (&after["until"], &after["causes"]),
        (&before["until"], &before["causes"])
    );
    // It was in the middle of its alarm, and goes on with that.
    site.until_sirens((2, true))?;

    let said = site.hub.ask("disarm", &["--area", "Yard"])?;
    ensure!(said.contains("area Yard (away, night): disarmed"), "{said}");
    ensure!(said.contains("alarm in memory: Back door"), "{said}");
    site.until_sirens((2, false))?;
    // It gets no events, but what becomes of the alarm that it got.
    site.until_told("The alarm in Yard is cancelled by the operator")?;
    let status = site.hub.until("what was to sound does not", PATIENCE, |status| {
        count(&status["sinks"][0]["deliveries"], "pending") == 0
    })?;
    assert_eq!(
        count(&status["sinks"][0]["deliveries"], "dropped"),
        2,
        "{status:#}"
    );
    site.kill()?;
    site.until("disarmed")?;
    assert_eq!(site.sirens(), (2, false));
    ensure!(
        !site
            .told()
            .iter()
            .any(|told| told == "Yard is armed, mode away, by the operator")
    );
    let seen = site.hub.ask("areas", &["seen"])?;
    ensure!(!seen.contains("memory"), "{seen}");
    assert_eq!(
        site.events()?,
        ["disarmed", "armed", "alarm", "alarm_cancelled"],
        "each is said once"
    );
    Ok(())
}

#[test]
fn a_panic_sounds_though_nothing_is_armed_until_its_area_is_disarmed() -> Result<()> {
    let mut site = Site::start(&HOURS)?;
    let said = site.hub.ask("panic", &["--area", "Yard", "--why", "robbery"])?;
    ensure!(said.contains("raised, as alert "), "{said}");
    site.until_sirens((1, true))?;
    site.until_told("Panic: Yard")?;
    let before = site.until("triggered")?;
    assert_eq!(before["causes"][0]["camera"], "panic");
    site.kill()?;
    let after = site.until("triggered")?;
    assert_eq!(
        (&after["until"], &after["causes"]),
        (&before["until"], &before["causes"])
    );
    site.until_sirens((2, true))?;
    site.hub.ask("disarm", &[])?;
    site.until_sirens((2, false))?;
    site.until_told("The alarm in Yard is cancelled by the operator")?;
    site.until("disarmed")?;

    site.hub.ask("panic", &["--silent"])?;
    site.until_told("Silent panic")?;
    let area = site.until("triggered")?;
    assert_eq!(area["silent"], true);
    assert_eq!(site.sirens(), (2, false));
    let refusal = site
        .hub
        .ask("panic", &["--area", "Yrad"])
        .unwrap_err()
        .to_string();
    ensure!(
        refusal.contains("there is no area `Yrad`; there are Yard"),
        "{refusal}"
    );
    Ok(())
}

#[test]
fn delays_run_out_and_an_alarm_ends_by_itself() -> Result<()> {
    let site = Site::start(&Times {
        exit: "1s",
        entry: "1s",
        trigger: "2s",
    })?;
    site.hub.ask("arm", &[])?;
    site.until("armed")?;
    Site::see(&site.gate)?;
    site.until_sirens((1, true))?;
    site.until("armed")?;
    site.until_sirens((1, false))?;
    site.until_told("The time of the alarm in Yard is over")?;
    assert_eq!(site.events()?, ["armed", "alarm", "alarm_over"]);
    let area = site.until("armed")?;
    assert_eq!(area["memory"][0]["camera"], "Gate");
    Ok(())
}

#[test]
fn an_area_that_is_not_ready_says_why_and_is_armed_by_force() -> Result<()> {
    let mut site = Site::start(&HOURS)?;
    // Its backend is gone.
    site.back.kill()?;
    site.hub.until("disconnected", PATIENCE, |status| {
        status["connections"][1]["state"] != "connected"
    })?;
    let refusal = site.hub.ask("arm", &[]).unwrap_err().to_string();
    ensure!(
        refusal.contains("not ready to arm: connection back gets no alerts"),
        "{refusal}"
    );
    let listed = site.hub.ask("areas", &[])?;
    ensure!(
        listed.contains("not ready: connection back gets no alerts"),
        "{listed}"
    );
    let said = site.hub.ask("arm", &["--force"])?;
    ensure!(
        said.contains("bypassed: connection back gets no alerts"),
        "{said}"
    );
    for (args, expected) in [
        (vec!["arm", "home"], "no area is armed in mode home"),
        (
            vec!["arm", "--area", "Yrad"],
            "there is no area `Yrad`; there are Yard",
        ),
        (
            vec!["disarm", "--area", "Yrad"],
            "there is no area `Yrad`; there are Yard",
        ),
    ] {
        let refusal = site.hub.ask(args[0], &args[1..]).unwrap_err().to_string();
        ensure!(refusal.contains(expected), "{refusal}");
    }
    let status = site.hub.ask("status", &[])?;
    ensure!(
        status.contains("area Yard (away, night): armed, mode away"),
        "{status}"
    );
    site.hub.ask("disarm", &[])?;
    let listed = site.hub.ask("areas", &["--json"])?;
    let listed: Value = serde_json::from_str(&listed)?;
    assert_eq!(listed["areas"][0].get("bypassed"), None, "{listed:#}");
    let told = site.events()?;
    assert_eq!(told.first().context("an event")?, "failed_to_arm");
    Ok(())
}

#[test]
fn what_is_armed_and_silenced_outlives_the_database() -> Result<()> {
    let mut site = Site::start(&HOURS)?;
    site.hub.ask("arm", &["night"])?;
    Site::see(&site.gate)?;
    let before = site.until("pending")?;
    let begin = ["--match", "camera=Back*", "--for", "2h", "--why", "painters"];
    site.hub.ask("silence", &begin)?;
    site.lose(&[])?;
    let after = site.until("pending")?;
    for what in ["until", "cause", "mode", "since", "by"] {
        assert_eq!(after[what], before[what], "{what}");
    }
    let status = site.hub.status()?;
    assert_eq!(status["silences"][0]["why"], "painters");
    let opened = status["store"]["opened"].as_str().context("what was opened")?;
    ensure!(
        opened.contains("What was armed and silenced is as it was."),
        "{opened}"
    );
    site.hub.ask("silence", &["end", "1"])?;

    // Now the file beside it is gone too.
    site.lose(&["armed.json"])?;
    let area = site.until("armed")?;
    assert_eq!(
        (&area["mode"], &area["messages_only"]),
        (&json!("away"), &json!(true))
    );
    eventually("it is said", PATIENCE, || {
        let events = site.events().map_err(|e| e.to_string())?;
        match events.iter().any(|word| word == "arming_lost") {
            true => Ok(()),
            false => Err(format!("{events:?}")),
        }
    })?;
    let told = site.told().len();
    Site::see(&site.back)?;
    eventually("the message", PATIENCE, || match site.told().len() {
        lines if lines > told => Ok(()),
        lines => Err(format!("{lines} lines")),
    })?;
    assert_eq!(site.sirens(), (0, false));
    site.until("armed")?;
    site.hub.ask("arm", &["--force"])?;
    Site::see(&site.back)?;
    site.until_sirens((1, true))?;

    // Where a schedule arms it, it is what that says.
    site.hub.ask("disarm", &[])?;
    site.arm_by_schedule("00:00-24:00")?;
    site.until("disarmed")?;
    site.lose(&["armed.json"])?;
    let area = site.until("armed")?;
    assert_eq!(
        (&area["mode"], &area["messages_only"]),
        (&json!("away"), &Value::Null)
    );
    Site::see(&site.back)?;
    site.until_sirens((2, true))
}

/// Minutes since 1970, now.
fn minute() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs() / 60
}

/// A window of four hours of every day, in UTC, that begins at this minute.
fn window_from(minute: u64) -> String {
    let shown = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    format!("{}-{}", shown(minute), shown(minute + 240))
}

impl Site {
    /// Has a schedule arm the yard that is open in this window.
    fn arm_by_schedule(&self, window: &str) -> Result<()> {
        let mut config = self.hub.setup().config().clone();
        let rules = toml! {
            [hub]
            timezone = "UTC"
            [[schedule]]
            name = "night"
            open = window
            [area]
            arm = { schedule = "night" }
        };
        let schedule = rules["schedule"].clone();
        config.insert("schedule".to_owned(), schedule);
        let hub = config["hub"].as_table_mut().context("[hub]")?;
        hub.insert("timezone".to_owned(), rules["hub"]["timezone"].clone());
        let area = config["area"][0].as_table_mut().context("[[area]]")?;
        area.insert("arm".to_owned(), rules["area"]["arm"].clone());
        self.hub.rewrite(&config)?;
        self.hub.ask("reload", &[])?;
        Ok(())
    }
}

#[test]
fn a_schedule_arms_at_its_time_also_where_the_hub_did_not_run_then_unless_that_is_postponed() -> Result<()> {
    let mut site = Site::start(&HOURS)?;
    site.arm_by_schedule(&window_from(minute() + 120))?;
    let next = |site: &Site| -> Result<Value> {
        // The schedule is looked at after the configuration is read.
        eventually("what comes next", PATIENCE, || {
            let area = site.until("disarmed").map_err(|error| format!("{error:#}"))?;
            match area["followed"]["next"].clone() {
                Value::Null => Err(format!("{area:#}")),
                next => Ok(next),
            }
        })
    };
    let planned = next(&site)?;
    assert_eq!(planned["mode"], "away", "{planned:#}");
    let said = site.hub.ask("arm", &["--postpone", "30m"])?;
    ensure!(said.contains("  by schedule: armed "), "{said}");
    let postponed = next(&site)?;
    assert_eq!(postponed["at"], planned["at"]);
    ensure!(postponed["postponed_to"].is_string(), "{postponed:#}");
    site.kill()?;
    assert_eq!(next(&site)?, postponed);
    for (args, expected) in [
        (
            ["--postpone", "13h"],
            "arming is postponed by 1 minute to 12 hours",
        ),
        (["--area", "Yrad"], "there is no area `Yrad`; there are Yard"),
    ] {
        let refusal = site.hub.ask("arm", &args).unwrap_err().to_string();
        ensure!(refusal.contains(expected), "{refusal}");
    }
    let refusal = site.hub.ask("arm", &["Yard"]).unwrap_err().to_string();
    ensure!(refusal.contains("watchpost arm --area Yard"), "{refusal}");

    // Not the next minute, so that the hub is down by then.
    let begins = minute() + 2;
    site.arm_by_schedule(&window_from(begins))?;
    eventually("the warning", PATIENCE, || {
        let events = site.events().map_err(|e| e.to_string())?;
        match events.iter().any(|word| word == "arming_soon") {
            true => Ok(()),
            false => Err(format!("{events:?}")),
        }
    })?;
    site.hub.kill()?;
    eventually("the minute", PATIENCE * 5, || match minute() {
        now if now >= begins => Ok(()),
        now => Err(format!("{now}, and it is {begins}")),
    })?;
    site.hub.restart()?;
    site.connected()?;
    let area = site.until("armed")?;
    assert_eq!(area["by"], json!({"schedule": "night"}));
    Site::see(&site.back)?;
    site.until_sirens((1, true))?;
    site.hub.ask("disarm", &[])?;
    site.until_sirens((1, false))?;
    // A person has said so after the schedule.
    site.kill()?;
    site.until("disarmed")?;
    let events = site.events()?;
    assert_eq!(
        events,
        [
            "arming_postponed",
            "arming_soon",
            "armed",
            "alarm",
            "alarm_cancelled"
        ]
    );
    Ok(())
}
