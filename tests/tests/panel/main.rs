//! People arm and disarm at the panel of an MQTT broker, with codes, through the real hub, its plugin and a real mosquitto.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{
    Backend, Hub, HubSetup, Mosquitto, Need, PATIENCE, Process, Subscriber, artefacts, eventually,
    skip_because, skip_without, toml, workspace_root,
};

/// Anna's.
const CODE: &str = "4711";

/// The hash of a code, as `watchpost code hash` prints it.
fn hash(code: &str) -> Result<String> {
    let mut program = Command::new(artefacts()?.watchpost()?)
        .args(["code", "hash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = program.stdin.take().context("its input")?;
    stdin.write_all(format!("{code}\n").as_bytes())?;
    drop(stdin);
    let output = program.wait_with_output()?;
    ensure!(output.status.success(), "{output:?}");
    let line = String::from_utf8(output.stdout)?;
    let hash = line
        .trim()
        .strip_prefix("code = \"")
        .and_then(|rest| rest.strip_suffix('"'));
    Ok(hash.with_context(|| line.clone())?.to_owned())
}

/// A house with a yard, whose panels are at a broker.
struct House {
    broker: Mosquitto,
    panels: Subscriber,
    backend: Backend,
    hub: Hub,
}

impl House {
    fn start(entry: &str) -> Result<Self> {
        let broker = Mosquitto::start("")?;
        let panels = broker.subscribe("#")?;
        let backend = Backend::start(&["--rate", "0", "--cameras", "1", "--frame", "160x90", "--no-pose"])?;
        let (server, port) = (broker.server(), i64::from(broker.port()));
        let ca_file = broker.file("ca.pem").display().to_string();
        let (readable, code) = (ca_file.clone(), hash(CODE)?);
        let (user, password) = (Mosquitto::USER, Mosquitto::PASSWORD);
        let hub = HubSetup::new()?
            .connection("shop", &backend)?
            .with(toml! {
                [[camera]]
                name = "Gate"
                match = { connection = "shop" }
                [[area]]
                name = "yard"
                camera = "Gate"
                delayed = "Gate"
                modes = ["away", "night"]
                exit_delay = "0s"
                entry_delay = entry
                trigger_time = "1h"
                [[person]]
                name = "Anna"
                code = code
                [[sink]]
                name = "ha"
                plugin = "mqtt"
                retry = { initial = "100ms", max = "500ms" }
                sandbox = { read = [readable], connect = [port], arm = true }
                [sink.config]
                server = server
                ca_file = ca_file
                user = user
                password = password
                [sink.config.home_assistant]
                site = "home"
                panel = {}
            })
            .start()?;
        hub.until("connected", PATIENCE, |status| {
            status["connections"][0]["state"] == "connected" && status["sinks"][0]["state"] == "running"
        })?;
        let house = Self {
            broker,
            panels,
            backend,
            hub,
        };
        house.listens(1)?;
        house.shows("disarmed")?;
        Ok(house)
    }

    /// Waits until the broker has let the plugin subscribe so often.
    fn listens(&self, times: usize) -> Result<()> {
        eventually("a subscription", PATIENCE, || match self.broker.log() {
            Ok(log) if log.matches("Sending SUBACK to watchpost-ha-").count() >= times => Ok(()),
            other => Err(format!("{other:?}")),
        })
    }

    fn log(&mut self) -> String {
        self.hub.process().log()
    }

    /// Waits until this is the state of the yard at the broker, and its last attributes fit.
    fn shows(&self, state: &str) -> Result<Value> {
        let messages = self.panels.until(state, |messages| {
            let mut states = messages.iter().rev();
            let last = states.find(|message| message.topic == "watchpost/area/yard/state");
            last.is_some_and(|last| last.payload == state.as_bytes())
        })?;
        let mut attributes = messages.iter().rev();
        let last = attributes.find(|message| message.topic == "watchpost/area/yard/attributes");
        Ok(serde_json::from_slice(&last.context("attributes")?.payload)?)
    }

    fn refused(&self, why: &str) -> Result<()> {
        self.panels.until(why, |messages| {
            let mut attributes = messages.iter().rev();
            let last = attributes.find(|message| message.topic == "watchpost/area/yard/attributes");
            last.is_some_and(|last| String::from_utf8_lossy(&last.payload).contains(why))
        })?;
        Ok(())
    }

    fn command(&self, action: &str, code: Option<&str>) -> Result<()> {
        let payload = json!({ "action": action, "code": code }).to_string();
        self.broker.publish("watchpost/area/yard/set", &payload, false)
    }

    fn events(&self, word: &str) -> Result<usize> {
        let alerts = self.hub.all_alerts()?;
        Ok(alerts
            .iter()
            .filter(|alert| alert["details"]["status"] == word)
            .count())
    }
}

#[test]
fn a_house_is_armed_and_disarmed_with_a_code_and_shows_its_alarm() -> Result<()> {
    if skip_without(&[Need::Mosquitto]) {
        return Ok(());
    }
    let mut house = House::start("1h")?;
    house.command("ARM_AWAY", Some(CODE))?;
    let attributes = house.shows("armed_away")?;
    assert_eq!(attributes["changed_by"], "Anna at sink ha");
    house.backend.order(&json!({"do": "send", "count": 1}))?;
    let attributes = house.shows("pending")?;
    assert_eq!(attributes["cause"], "Gate");

    // A broker that was away knows all of it again, and what it had kept of old commands does nothing.
    house.broker.publish(
        "watchpost/area/yard/set",
        r#"{"action":"DISARM","code":"4711"}"#,
        true,
    )?;
    house.shows("disarmed")?;
    house.command("ARM_NIGHT", Some(CODE))?;
    house.shows("armed_night")?;
    house.broker.save()?;
    house.broker.kill()?;
    house.broker.restart()?;
    eventually("the retained command refused", PATIENCE, || match house.log() {
        log if log.contains("a retained command on `watchpost/area/yard/set` is not carried out") => Ok(()),
        log => Err(log),
    })?;
    house.shows("armed_night")?;
    ensure!(house.hub.status()?["areas"][0]["state"] == "armed");
    // Who needs help needs no code.
    house.command("TRIGGER", None)?;
    house.shows("triggered")?;
    // No code is in the log or among the events.
    let log = house.log();
    ensure!(!log.contains(CODE), "{log}");
    ensure!(!json!(house.hub.all_alerts()?).to_string().contains(CODE));
    Ok(())
}

#[test]
fn codes_are_asked_for_and_five_wrong_ones_lock_the_sink_also_over_a_restart() -> Result<()> {
    if skip_without(&[Need::Mosquitto]) {
        return Ok(());
    }
    let mut house = House::start("0s")?;
    house.command("ARM_AWAY", None)?;
    house.refused("it takes a code")?;
    for left in ["4 more may be", "3 more may be", "2 more may be"] {
        house.command("ARM_AWAY", Some("0000"))?;
        house.refused(left)?;
    }
    // What was wrong counts after the hub was killed, too.
    house.hub.kill()?;
    house.hub.restart()?;
    house.listens(2)?;
    house.command("ARM_AWAY", Some("0001"))?;
    house.refused("locks this sink")?;
    house.command("ARM_AWAY", Some("0002"))?;
    house.refused("no code is taken for 15 minutes")?;
    house.command("ARM_AWAY", Some(CODE))?;
    house.refused("codes are refused for 15 minutes more")?;
    eventually("the event", PATIENCE, || match house.events("codes_locked") {
        Ok(1) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    ensure!(house.hub.status()?["areas"][0]["state"] == "disarmed");
    Ok(())
}

/// The Python in whose environment Home Assistant is installed: it is too much for every run.
const HOME_ASSISTANT: &str = "WATCHPOST_HOME_ASSISTANT";

#[test]
fn home_assistant_finds_the_panel_arms_it_and_shows_its_alarm() -> Result<()> {
    let Some(python) = std::env::var_os(HOME_ASSISTANT) else {
        let why = format!("{HOME_ASSISTANT} names no Python with the package `homeassistant`");
        ensure!(skip_because(&why));
        return Ok(());
    };
    let house = House::start("2s")?;
    let mut command = Command::new(python);
    let script = workspace_root().join("tests/tests/panel/home_assistant.py");
    let server = house.broker.plain_server();
    let port = server.rsplit(':').next().context("a port")?;
    command
        .arg(script)
        .args([port, Mosquitto::USER, Mosquitto::PASSWORD, CODE]);
    let assistant = Process::spawn("Home Assistant", &mut command)?;
    let says = |what: &str| assistant.line(what, PATIENCE * 4, |line| line.contains(what).then_some(()));
    says(" armed_away")?;
    house.backend.order(&json!({"do": "send", "count": 1}))?;
    says(" pending")?;
    says(" triggered")?;
    says("done")?;
    ensure!(house.hub.status()?["areas"][0]["state"] == "disarmed");
    Ok(())
}
