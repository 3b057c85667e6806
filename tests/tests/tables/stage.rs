//! A site on real processes: acts of a scenario are done to it at their times, and what follows is looked at from outside.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize as _;
use serde_json::json;
use watchpost_core::{Alert, AlertId, AlertKind, Area, UnixMillis};
use watchpost_scenarios::{
    Act, BESIDE, Explained, FIRST_DAY, Facts, InHand, Line, Scenario, Seen, SiteClock, brief,
    is_of_its_parts, message, posted, settings, show_area, stream,
};
use watchpost_testkit::{Backend, TempDir};

use super::clock::{clock_file, write_time};
use super::steered::{Steered, Time, make_clock};
use super::{person, post, site};

/// The hub runs for so long before the first line of a scenario.
const BEFORE: Duration = Duration::from_secs(5 * 60);

/// The machine was started so long before that.
const SINCE_START: Duration = Duration::from_secs(3_600);

/// So long it takes until what follows from an act has followed.
const SETTLE: Duration = Duration::from_millis(300);

/// So long until the hub has noticed that its clock was set, which it looks at each second.
const NOTICED: Duration = Duration::from_millis(1_500);

/// So many looks at whether the hub has connected.
const LOOKS: usize = 20;

/// The site.
pub(crate) struct Stage<'a> {
    scenario: &'a Scenario<'a>,
    // Before what it is connected to, and before its directory.
    hub: Option<Steered>,
    backend: Backend,
    /// Whether the backend runs.
    is_well: bool,
    /// The title of the site whose configuration counts.
    title: &'a str,
    clock: SiteClock,
    time: Time,
    /// What the clock shows, for all processes.
    clock_file: File,
    /// Where alerts are posted.
    posts: SocketAddr,
    facts: Facts,
    /// What was raised and explained so far; a store that is lost takes that with it.
    explained: BTreeMap<AlertId, Explained>,
    areas: BTreeMap<String, String>,
    /// The number of the last video frame.
    frames: i64,
    /// What the table calls the cameras of streams.
    cameras: BTreeMap<String, String>,
    dir: TempDir,
}

/// What was to be seen of a scenario.
pub(crate) struct Played {
    pub(crate) facts: Facts,
    /// So much time has gone by on the site.
    pub(crate) lasted: Duration,
}

/// Plays a scenario. An error has what the hub wrote.
pub(crate) fn play(scenario: &Scenario<'_>) -> Result<Played> {
    let mut stage = Stage::new(scenario)?;
    match stage.play() {
        Ok(()) => stage.end(),
        Err(error) => {
            let log = stage.hub.as_ref().map(Steered::log).unwrap_or_default();
            Err(error.context(log))
        }
    }
}

impl<'a> Stage<'a> {
    fn new(scenario: &'a Scenario<'a>) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("watchpost-").tempdir()?;
        let clock = SiteClock::new(&settings(scenario.sites[scenario.site], BESIDE, Vec::new()));
        let (first, _) = scenario.lines().next().context("a line")?;
        let first = clock.parse(clock.begins(FIRST_DAY), first.context("a time")?);
        let now = first - BEFORE;
        let clock_file = make_clock(dir.path(), now)?;
        Ok(Self {
            scenario,
            hub: None,
            backend: backend(&dir)?,
            is_well: true,
            title: scenario.site,
            clock,
            time: Time {
                now,
                steady: SINCE_START,
            },
            clock_file,
            posts: site::free_address(),
            facts: Facts::default(),
            explained: BTreeMap::new(),
            areas: BTreeMap::new(),
            frames: 0,
            cameras: BTreeMap::new(),
            dir,
        })
    }

    fn play(&mut self) -> Result<()> {
        self.start()?;
        self.areas = self.areas_now()?;
        let (scenario, mut now) = (self.scenario, String::new());
        for (time, line) in scenario.lines() {
            if let Some(time) = time.filter(|time| *time != now) {
                self.look(&now)?;
                time.clone_into(&mut now);
                // Not before today, but one that has just been passed is not one of next week.
                let at = self.clock.parse(self.time.now - SETTLE * 10, time);
                self.go(self.time.now.until(at))?;
            }
            if let Line::Act(act, text) = line {
                if let Act::Clock(shown) = &act {
                    now.clone_from(shown);
                }
                self.perform(act, &now).with_context(|| format!("{now} {text}"))?;
            }
        }
        self.look(&now)
    }

    fn data_dir(&self) -> PathBuf {
        site::data_dir(self.dir.path())
    }

    /// Writes the configuration of the site that counts.
    fn configure(&self) -> Result<()> {
        let toml = self
            .scenario
            .sites
            .get(self.title)
            .context("a site of this title")?;
        let config = site::configuration(toml, self.dir.path(), &self.backend, self.posts)?;
        fs::write(super::hub::config_file(self.dir.path()), config.to_string())?;
        Ok(())
    }

    /// Starts the hub, and waits until the backend sends its alerts to it.
    fn start(&mut self) -> Result<()> {
        self.configure()?;
        let backend = self.backend.process().pid();
        self.hub = Some(Steered::start(self.dir.path(), self.time, backend)?);
        for _ in 0..LOOKS {
            if !self.is_well || self.is_connected()? {
                return Ok(());
            }
            self.go(SETTLE)?;
        }
        bail!("the hub does not connect")
    }

    fn is_connected(&self) -> Result<bool> {
        Ok(self.is_well && self.backend.stats()?["registered"] == 1)
    }

    /// Lets time go by, whether the hub runs or not.
    fn go(&mut self, time: Duration) -> Result<()> {
        self.time.now = self.time.now + time;
        self.time.steady += time;
        match &mut self.hub {
            Some(hub) => hub.go(time),
            None => write_time(&self.clock_file, self.time.now),
        }
    }

    /// Writes down what has followed until now, which is said of `time`.
    fn look(&mut self, time: &str) -> Result<()> {
        self.go(SETTLE)?;
        for (area, state) in self.areas_now()? {
            if self.areas.insert(area.clone(), state.clone()).as_ref() != Some(&state) {
                self.facts.area(time, &area, &state);
            }
        }
        Ok(())
    }

    /// How each area stands, if the hub runs and there are any.
    fn areas_now(&self) -> Result<BTreeMap<String, String>> {
        let toml = self.scenario.sites[self.title];
        if self.hub.is_none() || !toml.contains("[[area]]") {
            return Ok(BTreeMap::new());
        }
        let answer = person::ask(&self.data_dir(), &["areas"])?;
        let areas = answer
            .iter()
            .filter_map(|answer| answer["areas"].as_array())
            .flatten();
        let until = |at: UnixMillis| self.clock.show(at, "");
        let shown = areas.map(|report| {
            let name = report["name"].as_str().context("a name")?;
            let area = Area::deserialize(report)?;
            Ok((name.to_owned(), show_area(&area, until)))
        });
        shown.collect()
    }

    /// All alerts that the hub has, newest first.
    fn alerts(&self) -> Result<Vec<Alert>> {
        let listed = person::ask(&self.data_dir(), &["alerts", "list", "--all", "--limit", "1000"])?;
        let alerts = listed.iter().map(Alert::deserialize);
        Ok(alerts.collect::<serde_json::Result<_>>()?)
    }

    /// What the table calls it.
    fn name(&self, alert: &Alert) -> String {
        let unnamed = alert.camera.as_ref().filter(|camera| camera.name.is_none());
        let known = unnamed.and_then(|camera| self.cameras.get(&camera.id));
        known.cloned().unwrap_or_else(|| brief(alert))
    }

    /// What the hub explains of all that is in its store.
    fn note_explained(&mut self) -> Result<()> {
        for alert in self.alerts()? {
            let id = alert.id.to_string();
            let mut explanation = person::ask(&self.data_dir(), &["explain", &id])?;
            let explained = Explained {
                name: self.name(&alert),
                explanation: explanation.pop().context("an explanation")?,
                alert,
            };
            self.explained.insert(explained.alert.id, explained);
        }
        Ok(())
    }

    fn perform(&mut self, act: Act, time: &str) -> Result<()> {
        match act {
            Act::Nothing => {}
            Act::Seen(seen) => self.see(&seen)?,
            Act::Arming(command) => self.say(time, &person::arming(&command))?,
            Act::Panic(panic) => self.say(time, &person::panic(&panic))?,
            Act::Silence(command) => self.say(time, &person::silence(&command)?)?,
            Act::Acknowledge(what) => self.acknowledge(&what, time)?,
            Act::Fault(part, why) => self.fault(&part, why.is_some())?,
            Act::Refuses(sink, refuses) => site::set_refusal(self.dir.path(), &sink, refuses)?,
            Act::Power(true) => self.start()?,
            Act::Power(false) => self.hub.take().context("the hub runs")?.kill()?,
            Act::Clock(shown) => self.set_clock(&shown)?,
            Act::Reload(title) => {
                let found = self.scenario.sites.keys().find(|known| **known == title);
                self.title = found.context("a site of this title")?;
                self.configure()?;
                let reloaded = person::say(&self.data_dir(), &["reload"])?;
                reloaded.map_err(anyhow::Error::msg)?;
            }
            Act::Lose => self.lose_store()?,
        }
        self.go(SETTLE)
    }

    /// A person says this.
    fn say(&mut self, time: &str, words: &[String]) -> Result<()> {
        if let Err(why) = person::say(&self.data_dir(), words)? {
            self.facts.refused(time, &why);
        }
        Ok(())
    }

    /// The camera's alert comes over the socket, or is posted while that is away.
    fn see(&mut self, seen: &Seen) -> Result<()> {
        self.frames += 30;
        let stream = stream(&seen.camera);
        self.cameras.insert(stream.clone(), seen.camera.clone());
        let week_ago = self.time.now - Duration::from_secs(6 * 24 * 3_600);
        let happened = seen.happened.as_ref();
        let happened = happened.map(|shown| self.clock.parse(week_ago, shown).to_string());
        if self.is_connected()? && seen.kind != Some(AlertKind::Tamper) {
            let text = message(seen, &stream, self.frames, happened);
            let sent = self.backend.order(&json!({"do": "send_text", "text": text}));
            return sent.map(drop);
        }
        let document = posted(seen, &stream, self.frames, self.time.now, happened);
        post::post(self.posts, site::TOKEN, &document)
    }

    fn acknowledge(&mut self, what: &InHand, time: &str) -> Result<()> {
        let (word, camera, at) = match what {
            InHand::Listed(camera, at) => ("acknowledge", camera, at.as_ref()),
            InHand::Dismissed(camera) => ("dismiss", camera, None),
            InHand::Cleared => return self.say(time, &["alerts".to_owned(), "clear".to_owned()]),
        };
        let mut newest_first = self.alerts()?.into_iter();
        let alert = newest_first.find(|alert| self.name(alert) == *camera);
        let id = alert.with_context(|| format!("no alert of {camera}"))?.id;
        let words = ["alerts".to_owned(), word.to_owned(), id.to_string()].into_iter();
        let at = at.into_iter().flat_map(|at| ["--at".to_owned(), at.clone()]);
        self.say(time, &words.chain(at).collect::<Vec<_>>())
    }

    /// The backend's process is killed, so that its port is closed, or is started again.
    fn fault(&mut self, part: &str, is_faulty: bool) -> Result<()> {
        ensure!(part == "main", "no other part can be made to fail");
        self.is_well = !is_faulty;
        if is_faulty {
            return self.backend.kill();
        }
        self.backend.restart()?;
        let backend = self.backend.process().pid();
        match &mut self.hub {
            Some(hub) => hub.watch(backend),
            None => Ok(()),
        }
    }

    fn set_clock(&mut self, shown: &str) -> Result<()> {
        let day_ago = self.time.now - Duration::from_secs(24 * 3_600);
        let millis = self.clock.parse(day_ago, shown).0 - self.time.now.0;
        self.time.now.0 += millis;
        if let Some(hub) = &mut self.hub {
            hub.set_by(millis)?;
        }
        self.go(NOTICED)
    }

    /// Damages the database and what stands beside it, which the next start finds.
    fn lose_store(&mut self) -> Result<()> {
        self.note_explained()?;
        self.hub.take().context("the hub runs")?.kill()?;
        let dir = self.data_dir();
        for name in ["watchpost.db-wal", "armed.json"] {
            // It need not be there.
            let _ = fs::remove_file(dir.join(name));
        }
        fs::write(dir.join("watchpost.db"), "this is no database".repeat(1_000))?;
        self.start()
    }

    /// What sinks have written down of what they got: the time, which sink, and of which alert.
    fn effects(&self) -> Result<Vec<(UnixMillis, String, AlertId)>> {
        let mut effects = Vec::new();
        for entry in fs::read_dir(self.dir.path().join("sinks"))? {
            let entry = entry?;
            let sink = entry.file_name().to_string_lossy().into_owned();
            for line in fs::read_to_string(entry.path())?.lines() {
                let words: Vec<&str> = line.split(' ').collect();
                let [id, _, at] = words[..] else {
                    bail!("a sink wrote {line}");
                };
                effects.push((UnixMillis(at.parse()?), sink.clone(), id.parse()?));
            }
        }
        Ok(effects)
    }

    /// What has been decided of each alert, and what became of it.
    fn end(mut self) -> Result<Played> {
        if self.hub.is_none() {
            self.start()?;
        }
        self.note_explained()?;
        let effects = self.effects()?;
        for (at, sink, id) in &effects {
            let explained = self.explained.get(id);
            if explained.is_some_and(|explained| is_of_its_parts(&explained.alert)) {
                continue;
            }
            let name = explained.map_or("what is not stored", |explained| &explained.name);
            self.facts.delivered(&self.clock.show(*at, "%a "), sink, name);
        }
        let explained: Vec<Explained> = std::mem::take(&mut self.explained).into_values().collect();
        self.facts.account(&explained, &self.clock, |sink, alert| {
            let mut effects = effects.iter();
            effects.any(|(_, name, id)| name == sink && *id == alert)
        });
        Ok(Played {
            facts: self.facts,
            lasted: self.time.steady - SINCE_START,
        })
    }
}

/// A backend that goes by the clock of this site and makes no alert by itself.
fn backend(dir: &TempDir) -> Result<Backend> {
    let clock = clock_file(dir.path()).display().to_string();
    Backend::start(&[
        "--rate",
        "0",
        "--frame",
        "160x90",
        "--no-pose",
        "--heartbeat",
        "1h",
        "--clock",
        &clock,
    ])
}
