//! A siren on a line that the kernel simulates, in a machine of its own: the real hub runs in it, and the level is what
//! the kernel says it is.

use std::cell::RefCell;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{GpioMachine, Need, PATIENCE, eventually, skip_without};

/// Memory of its own that the plugin's process may hold, in KiB.
const MAX_OWN_KIB: u64 = 15 << 10;

/// How much later than it should the siren may fall silent in an emulated machine, in seconds.
const SLACK: f64 = 6.0;

/// The lines of the machine.
const SIREN: u32 = 3;
const HORN: u32 = 4;
const BUTTON: u32 = 5;
const KEY: u32 = 6;
const PULSE_KEY: u32 = 7;

/// A siren that sounds for seconds, and a horn that would sound for an hour and has a button.
const SINKS: &str = r#"
[hub]
data_dir = "/tmp/watchpost"
plugin_dirs = ["/bin"]

[[sink]]
name = "siren"
plugin = "gpio"
events = true
cancel_on_acknowledge = false
[sink.sandbox]
write = ["/dev/gpiochip0"]
[sink.config]
chip = "/dev/gpiochip0"
line = 3
pattern = "on 12s"

[[sink]]
name = "horn"
plugin = "gpio"
events = true
timeout = "2h"
[sink.sandbox]
write = ["/dev/gpiochip0"]
acknowledge = true
[sink.config]
chip = "gpiochip0"
line = "HORN"
pattern = "on 1h"
max_on = "1h"
button = { line = "BUTTON", debounce = "10ms" }
"#;

/// Two sirens with a key switch each: one that stays where it is turned to, and one that springs back.
const KEYS: &str = r#"
[hub]
data_dir = "/tmp/watchpost"
plugin_dirs = ["/bin"]

[[camera]]
name = "Gate"
match = { location = "*" }

[[area]]
name = "Yard"
camera = "Gate"
exit_delay = "0s"

[[sink]]
name = "siren"
plugin = "gpio"
[sink.sandbox]
write = ["/dev/gpiochip0"]
arm = true
arm_without_code = true
disarm_without_code = true
[sink.config]
chip = "/dev/gpiochip0"
line = 3
pattern = "on 12s"
key_switch = { line = 6, mode = "night", debounce = "10ms" }

[[sink]]
name = "horn"
plugin = "gpio"
[sink.sandbox]
write = ["/dev/gpiochip0"]
arm = true
arm_without_code = true
disarm_without_code = true
[sink.config]
chip = "/dev/gpiochip0"
line = "HORN"
pattern = "on 12s"
key_switch = { line = 7, kind = "pulse", area = "Yard", debounce = "10ms" }
"#;

/// The hub, a backend and two sirens in a machine.
struct Site {
    machine: RefCell<GpioMachine>,
}

impl Site {
    /// `min_free` decides whether the hub has something to say of its disk.
    fn boot(sinks: &str, min_free: &str) -> Result<Self> {
        let mut machine = GpioMachine::boot(&["watchpost-gpio"], &[])?;
        machine.run("(watchpost simulate --listen 127.0.0.1:8000 --rate 0 --frame 64x48 >/tmp/ready 2>/tmp/simulator &)")?;
        let connection = eventually("the simulator listens", PATIENCE * 2, || {
            let text = machine.run("cat /tmp/ready").map_err(|error| error.to_string())?;
            if text.contains("Ctrl-C") {
                Ok(text)
            } else {
                Err(text)
            }
        })?;
        machine.write(
            "/tmp/watchpost.toml",
            &format!("{sinks}[store]\nmin_free = \"{min_free}\"\n{connection}\n"),
        )?;
        let site = Self {
            machine: RefCell::new(machine),
        };
        site.start()?;
        Ok(site)
    }

    fn run(&self, command: &str) -> Result<String> {
        self.machine.borrow_mut().run(command)
    }

    fn start(&self) -> Result<()> {
        self.run("(watchpost run --config /tmp/watchpost.toml >>/tmp/log 2>&1 & echo $! >/tmp/hub)")?;
        self.until("the hub runs", |status| {
            status["connections"][0]["state"] == "connected"
                && [0, 1]
                    .iter()
                    .all(|sink| status["sinks"][sink]["state"] == "running")
        })?;
        Ok(())
    }

    /// Waits for a status.
    fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let waited = eventually(what, PATIENCE * 4, || {
            let text = self
                .run("watchpost status --data-dir /tmp/watchpost --json")
                .map_err(|error| error.to_string())?;
            match serde_json::from_str::<Value>(&text) {
                Ok(status) if holds(&status) => Ok(status),
                Ok(status) => Err(format!("{status:#}")),
                Err(error) => Err(error.to_string()),
            }
        });
        waited.with_context(|| self.run("tail -n 40 /tmp/log").unwrap_or_default())
    }

    /// Waits until so many alerts have been delivered to a sink, first to the siren, then to the horn.
    fn until_delivered(&self, what: &str, siren: u64, horn: u64) -> Result<()> {
        let wanted = [siren, horn];
        self.until(what, |status| {
            [0, 1]
                .iter()
                .all(|&sink| status["sinks"][sink]["deliveries"]["delivered"] == wanted[sink])
        })?;
        Ok(())
    }

    fn until_siren_delivered(&self, what: &str, count: u64) -> Result<()> {
        self.until(what, |status| {
            status["sinks"][0]["deliveries"]["delivered"] == count
        })?;
        Ok(())
    }

    /// The backend sends an alert.
    fn alert(&self) -> Result<()> {
        self.alerts(1)
    }

    /// The backend sends alerts, one after the other.
    fn alerts(&self, count: u64) -> Result<()> {
        let order = json!({"do": "send", "count": count});
        self.run(&format!(
            "wget -q -O /dev/null --header 'Content-Type: application/json' --post-data '{order}' \
             http://127.0.0.1:8000/simulator/command"
        ))?;
        Ok(())
    }

    fn is_on(&self, line: u32) -> Result<bool> {
        self.machine.borrow_mut().is_high(line)
    }

    fn until_it_is(&self, on: bool, line: u32, what: &str) -> Result<()> {
        let waited = eventually(what, PATIENCE * 4, || match self.is_on(line) {
            Ok(is_on) if is_on == on => Ok(()),
            other => Err(format!("{other:?}")),
        });
        waited.with_context(|| self.run("tail -n 40 /tmp/log").unwrap_or_default())
    }

    /// Seconds since the machine was started, by its own clock.
    fn uptime(&self) -> Result<f64> {
        let text = self.run("cat /proc/uptime")?;
        let first = text.split_whitespace().next().context("a number")?;
        Ok(first.parse()?)
    }

    /// Writes down when a line changes from now on.
    fn note_changes_of(&self, line: u32) -> Result<()> {
        let level = format!("/sys/devices/platform/gpio-sim.0/gpiochip0/sim_gpio{line}/value");
        self.run(&format!(
            "(old=0; while sleep 0.1; do new=$(cat {level}); if [ $new != $old ]; then cut -d' ' -f1 /proc/uptime; fi; \
             old=$new; done >/tmp/changes &)"
        ))?;
        Ok(())
    }

    /// When it changed, in seconds since the machine was started.
    fn changes(&self) -> Result<Vec<f64>> {
        let text = self.run("cat /tmp/changes")?;
        text.lines().map(|line| Ok(line.parse()?)).collect()
    }

    fn newest(&self) -> Result<String> {
        let text = self.run("watchpost alerts --data-dir /tmp/watchpost --json list")?;
        let first = text.lines().next().context("an alert")?;
        Ok(serde_json::from_str::<Value>(first)?["id"].to_string())
    }

    /// Waits until so many of the listed alerts are acknowledged at the horn, and so many are not.
    fn until_acknowledged(&self, what: &str, acknowledged: usize, others: usize) -> Result<()> {
        eventually(what, PATIENCE * 4, || {
            let list = self.run("watchpost alerts --data-dir /tmp/watchpost --json list");
            let list = list.map_err(|error| error.to_string())?;
            let at_the_horn = list.matches(r#""acknowledged_by":{"sink":"horn"}"#).count();
            match list {
                list if (at_the_horn, list.lines().count()) == (acknowledged, acknowledged + others) => {
                    Ok(())
                }
                list => Err(list),
            }
        })
    }

    /// How many lines of the log in which the horn speaks hold such words.
    fn horn_said(&self, words: &str) -> Result<u64> {
        Ok(self
            .run(&format!("grep '{words}' /tmp/log | grep -c horn || true"))?
            .parse()?)
    }
}

#[test]
fn a_siren_sounds_for_its_time_and_alerts_extend_it() -> Result<()> {
    if skip_without(&[Need::GpioMachine]) {
        return Ok(());
    }
    let site = Site::boot(SINKS, "1000GiB")?;
    site.until_delivered("the disk is told of", 1, 1)?;
    ensure!(!site.is_on(SIREN)? && !site.is_on(HORN)?, "nobody broke in");
    assert_eq!(site.horn_said("the hub speaks of itself")?, 1);
    site.note_changes_of(SIREN)?;
    site.alert()?;
    site.until_it_is(true, SIREN, "the siren sounds")?;
    site.until_it_is(true, HORN, "the horn sounds")?;
    site.run("sleep 3")?;
    site.alert()?;
    let sent = site.uptime()?;
    site.until_delivered("both alerts sounded", 3, 1)?;
    site.until_it_is(false, SIREN, "the siren is off")?;
    let [on, off] = site.changes()?[..] else {
        bail!("the siren was not on once: {:?}", site.changes()?);
    };
    // Twelve seconds from the second alert on; 24 in all if they stacked up.
    assert!(
        14.5 < off - on && off < sent + 12.0 + SLACK,
        "on at {on}, again at {sent}, off at {off}"
    );

    // The button silences the horn, and what it has sounded for.
    assert!(site.is_on(HORN)?);
    site.machine.borrow_mut().pull(BUTTON, true)?;
    site.until_it_is(false, HORN, "the button silences the horn")?;
    site.until_delivered("what the button covers is done", 3, 3)?;
    // Whoever pressed it has seen to both, and not to what the hub says of its disk.
    site.until_acknowledged("both alerts are acknowledged", 2, 1)?;
    site.machine.borrow_mut().pull(BUTTON, false)?;
    assert!(!site.is_on(HORN)?);

    // A dismissed alert is silent, and does not come again.
    site.alert()?;
    site.until_it_is(true, HORN, "the horn sounds again")?;
    let newest = site.newest()?;
    site.run(&format!(
        "watchpost alerts --data-dir /tmp/watchpost dismiss {newest}"
    ))?;
    site.until_it_is(false, HORN, "the horn is silent when its alert is dismissed")?;
    let status = site.until("nothing is left to do", |status| {
        status["sinks"][1]["in_flight"] == 0 && status["sinks"][1]["deliveries"]["pending"] == 0
    })?;
    assert_eq!(status["sinks"][1]["deliveries"]["dropped"], 1);
    assert!(!site.is_on(HORN)?);
    Ok(())
}

#[test]
fn a_key_switch_arms_and_disarms_when_it_is_turned_and_not_by_what_it_stands_at() -> Result<()> {
    if skip_without(&[Need::GpioMachine]) {
        return Ok(());
    }
    let site = Site::boot(KEYS, "1MiB")?;
    let turn = |key, on| site.machine.borrow_mut().pull(key, on);
    let until = |state: &str| {
        let status = site.until(state, |status| status["areas"][0]["state"] == state)?;
        Ok::<Value, anyhow::Error>(status["areas"][0].clone())
    };
    until("disarmed")?;
    turn(KEY, true)?;
    let area = until("armed")?;
    assert_eq!(
        (&area["mode"], &area["by"]),
        (&json!("night"), &json!({"sink": "siren"}))
    );

    // The hub starts again with the switch turned on, after a person has disarmed.
    site.run("watchpost disarm --data-dir /tmp/watchpost")?;
    site.run("kill -9 $(cat /tmp/hub)")?;
    site.start()?;
    // What comes after it was turned off shows that nothing came before.
    turn(KEY, false)?;
    let turned = |times: usize| {
        eventually("the key switch is turned", PATIENCE * 4, || {
            let log = site.run("grep 'the key switch is turned to' /tmp/log");
            let log = log.map_err(|e| e.to_string())?;
            let last = log.lines().nth(times - 1).map(str::to_owned);
            last.filter(|_| log.lines().count() == times).ok_or(log)
        })
    };
    turned(2)?;
    let area = until("disarmed")?;
    assert_eq!(area["by"], json!("operator"));

    // One that springs back does the other thing each time.
    turn(PULSE_KEY, true)?;
    let area = until("armed")?;
    assert_eq!(
        (&area["mode"], &area["by"]),
        (&json!("away"), &json!({"sink": "horn"}))
    );
    // What it knows of the areas is a moment behind.
    let mut times = 3;
    while turned(times)?.contains("to arm") {
        turn(PULSE_KEY, false)?;
        // That it springs back does nothing; to see that takes longer than it may bounce.
        until("armed")?;
        turn(PULSE_KEY, true)?;
        times += 1;
    }
    assert_eq!(until("disarmed")?["by"], json!({"sink": "horn"}));
    turn(KEY, true)?;
    until("armed")?;
    turn(KEY, false)?;
    until("disarmed")?;
    Ok(())
}

#[test]
fn a_siren_is_off_when_its_process_or_the_hub_dies_and_stays_off() -> Result<()> {
    if skip_without(&[Need::GpioMachine]) {
        return Ok(());
    }
    let site = Site::boot(SINKS, "1MiB")?;
    site.alert()?;
    site.until_it_is(true, HORN, "the horn sounds")?;
    let status = site.until("the horn's process", |status| status["sinks"][1]["pid"].is_u64())?;
    let plugin = &status["sinks"][1]["pid"];
    site.run(&format!("kill -9 {plugin}"))?;
    site.until_it_is(false, HORN, "the kernel takes the line back")?;
    // The alert is delivered again, and the horn remembers it.
    site.until_delivered("the alert came again", 1, 1)?;
    assert!(!site.is_on(HORN)?);
    assert_eq!(site.horn_said("it has sounded for it already")?, 1);

    site.alert()?;
    site.until_it_is(true, HORN, "the horn sounds for the next")?;
    site.run("kill -9 $(cat /tmp/hub)")?;
    site.until_it_is(false, HORN, "the horn is off when the hub is dead")?;
    site.start()?;
    site.until_delivered("the alert came again after the restart", 2, 2)?;
    assert!(!site.is_on(HORN)?);
    assert_eq!(site.horn_said("it has sounded for it already")?, 2);

    // What nobody remembers, but is old, is silent too.
    site.alert()?;
    site.until_it_is(true, HORN, "the horn sounds once more")?;
    site.run("kill -9 $(cat /tmp/hub)")?;
    site.until_it_is(false, HORN, "the horn is off again")?;
    site.run("rm /tmp/watchpost/sinks/horn/sounded && date -s @$(( $(date +%s) + 120 ))")?;
    site.start()?;
    site.until_delivered("the old alert came again", 3, 3)?;
    assert!(!site.is_on(HORN)?);
    assert_eq!(site.horn_said("it is .* old")?, 1);
    Ok(())
}

#[test]
fn a_thousand_alerts_are_done_though_the_chip_is_gone_twice() -> Result<()> {
    if skip_without(&[Need::GpioMachine]) {
        return Ok(());
    }
    // On a slow machine a sink may be reported as failed meanwhile, which is no alert to be counted.
    let site = Site::boot(&SINKS.replace("events = true\n", ""), "1MiB")?;
    for absence in 0..2 {
        site.alerts(400)?;
        site.until_siren_delivered("this part sounded", 500 * absence + 400)?;
        // The simulated chip does not survive being pulled out with its lines in use, so its file goes instead.
        site.run("mv /dev/gpiochip0 /dev/pulled")?;
        let status = site.until("the siren's process", |status| status["sinks"][0]["pid"].is_u64())?;
        site.run(&format!("kill -9 {}", status["sinks"][0]["pid"]))?;
        site.alerts(100)?;
        site.until("the absence noticed", |status| {
            let error = status["sinks"][0]["last_error"].as_str().unwrap_or_default();
            error.contains("/dev/gpiochip0")
        })?;
        site.run("mv /dev/pulled /dev/gpiochip0")?;
        site.until_it_is(true, SIREN, "the siren sounds for what came meanwhile")?;
    }
    site.until_siren_delivered("all of them are done", 1000)?;
    let status = site.until("the siren's process", |status| status["sinks"][0]["pid"].is_u64())?;
    let held = site.run(&format!(
        "grep RssAnon /proc/{}/status",
        status["sinks"][0]["pid"]
    ))?;
    let held = held
        .split_whitespace()
        .nth(1)
        .context("a number")?
        .parse::<u64>()?;
    assert!(held < MAX_OWN_KIB, "the siren's process holds {held} KiB");
    site.until_it_is(false, SIREN, "the siren is off")
}
