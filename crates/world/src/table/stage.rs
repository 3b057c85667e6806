//! A site in the world: the product's hub with its store, a backend that its cameras report to, sinks that are children, a person
//! who gives commands. Acts of a scenario are done to it at their times, and what follows is looked at from outside: what sinks
//! got, what the hub says of its areas, and what it explains.

mod asked;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};
use watchpost_core::{Alert, AlertId, AlertKind, ArmingCommand, SilenceCommand, UnixMillis};
use watchpost_hub::inbound::Posted;
use watchpost_hub::{AskError, Explanation, HubHandle, TokioClock, WallClock as _};
use watchpost_scenarios::{
    Act, BESIDE, Explained, FIRST_DAY, Facts, Line, Scenario, Seen, SiteClock, brief, is_of_its_parts,
    message, posted, settings, show_area, stream,
};

use super::around::setup;
use super::played::{Command, Pace, Played};
use crate::backend::serve::Server;
use crate::backend::{BEGINNING, Backend};
use crate::disk::Disk;
use crate::net::Network;
use crate::oracle::Stored;
use crate::process::{Ground, Process};
use crate::scenario::{Mood, Point};
use crate::sinks::Sinks;
use crate::story::Story;

/// The hub runs for so long before the first line of a scenario.
const BEFORE: Duration = Duration::from_secs(5 * 60);

/// So long it takes until what follows from an act has followed.
const SETTLE: Duration = Duration::from_millis(300);

/// So long until the hub has noticed that its clock was set, which it looks at each second.
const NOTICED: Duration = Duration::from_millis(1_500);

/// Whose alerts the hub gets.
const USER: usize = 0;

/// In a hurry the process ends within a commit after one of so many acts.
const ENDS_ONE_IN: u8 = 5;

/// The site.
pub struct Stage<'a> {
    scenario: &'a Scenario<'a>,
    ground: Ground,
    backend: Backend,
    _server: Server,
    /// The title of the site whose configuration counts.
    site: &'a str,
    clock: SiteClock,
    process: Option<Process>,
    facts: Facts,
    /// What was raised and explained so far; a store that is lost takes that with it.
    explained: BTreeMap<AlertId, (Alert, Explanation)>,
    /// Effects at sinks that are written down already.
    noted: usize,
    effects: Vec<(UnixMillis, String, AlertId)>,
    commands: Vec<Command>,
    pace: Pace,
    dice: fastrand::Rng,
    areas: BTreeMap<String, String>,
    /// The number of the last video frame.
    frames: i64,
    /// What the table calls the cameras of streams.
    cameras: BTreeMap<String, String>,
    story: Story,
}

/// Plays a scenario. Returns what was to be seen from outside.
pub async fn play(scenario: &Scenario<'_>, story: Story, pace: Pace) -> Played {
    let mut stage = Stage::new(scenario, story, pace);
    stage.start().await;
    stage.areas = stage.areas_now().await;
    let mut now = String::new();
    for (time, line) in scenario.lines() {
        if let Some(time) = time.filter(|time| *time != now) {
            stage.look(&now).await;
            time.clone_into(&mut now);
            stage.until(time).await;
        }
        if let Line::Act(act, text) = line {
            stage.story.tell("scenario", text);
            if let Act::Clock(shown) = &act {
                now.clone_from(shown);
            }
            stage.perform(act, &now).await;
        }
    }
    stage.look(&now).await;
    stage.end().await
}

impl<'a> Stage<'a> {
    fn new(scenario: &'a Scenario<'a>, story: Story, pace: Pace) -> Self {
        let seed = match pace {
            Pace::Settled => 7,
            Pace::Hurried { seed } => seed,
        };
        fastrand::seed(seed);
        let clock = SiteClock::new(&settings(scenario.sites[scenario.site], BESIDE, Vec::new()));
        let (first, _) = scenario.lines().next().expect("a line");
        let first = clock.parse(clock.begins(FIRST_DAY), first.expect("a time"));
        let begins = first - BEFORE;
        let (network, incoming) = Network::new();
        // So that a second in the table is that second here.
        network.change(|weather| {
            (weather.latency, weather.bytes_per_second) = (Duration::ZERO, u64::MAX);
        });
        let cut_off = network.clone();
        let backend = Backend::new(&mut fastrand::Rng::with_seed(seed), &setup(), story.clone());
        backend
            .state()
            .set_clock(begins.0 - BEGINNING.unix_timestamp() * 1_000);
        Self {
            site: scenario.site,
            scenario,
            ground: Ground {
                clock: Box::leak(Box::new(TokioClock::starting_at(begins))),
                network,
                disk: Disk::new(Arc::new(move || cut_off.sever())).expect("a directory in memory"),
                sinks: Sinks::new(story.clone()),
                rival: false,
            },
            _server: Server::start(backend.clone(), incoming),
            backend,
            clock,
            process: None,
            facts: Facts::default(),
            explained: BTreeMap::new(),
            noted: 0,
            effects: Vec::new(),
            commands: Vec::new(),
            pace,
            dice: fastrand::Rng::with_seed(seed),
            areas: BTreeMap::new(),
            frames: 0,
            cameras: BTreeMap::new(),
            story,
        }
    }

    fn settings(&self) -> watchpost_config::Settings {
        let data_dir = self.ground.disk.dir().display().to_string();
        let variable = ("WATCHPOST__HUB__DATA_DIR".to_owned(), data_dir);
        settings(self.scenario.sites[self.site], BESIDE, vec![variable])
    }

    fn hub(&self) -> HubHandle {
        let process = self.process.as_ref();
        process.expect("acts are done while the hub runs").hub.clone()
    }

    fn now(&self) -> UnixMillis {
        self.ground.clock.wall()
    }

    /// Starts the hub, and waits until the backend sends its alerts to it.
    async fn start(&mut self) {
        // It was for the process before.
        self.ground.disk.forget_cut();
        let process = Process::start_with(&self.ground, self.settings()).await;
        self.process = Some(process.unwrap_or_else(|why| panic!("the hub does not start: {why}")));
        for _ in 0..20 {
            if self.is_connected() || self.ground.network.weather().refused {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        assert!(self.pace != Pace::Settled, "the hub does not connect");
    }

    /// Starts it again if it has ended within a commit.
    async fn revive_if_dead(&mut self) {
        if self.ground.disk.died().now_or_never().is_some() {
            self.revive().await;
        }
    }

    async fn revive(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        self.story.tell("scenario", "the process ends within a commit");
        self.ground.sinks.unknown(None);
        process.kill().await;
        self.ground.disk.tidy().expect("the other directory");
        self.start().await;
    }

    fn is_connected(&self) -> bool {
        self.backend.hub_holds_slot(USER).is_some()
    }

    /// Lets time go by until the clocks of the site show this.
    async fn until(&mut self, time: &str) {
        // Not before today, but one that has just been passed is not one of next week.
        let at = self.clock.parse(self.now() - SETTLE * 10, time);
        loop {
            let died = tokio::select! {
                biased;
                () = self.ground.disk.died() => true,
                () = sleep(self.now().until(at)) => false,
            };
            if !died {
                return;
            }
            self.revive().await;
        }
    }

    /// Writes down what has followed until now, which is said of `time`.
    async fn look(&mut self, time: &str) {
        if self.pace != Pace::Settled {
            return;
        }
        sleep(SETTLE).await;
        self.note_effects();
        let areas = self.areas_now().await;
        for (area, state) in &areas {
            if self.areas.insert(area.clone(), state.clone()).as_ref() != Some(state) {
                self.facts.area(time, area, state);
            }
        }
    }

    /// What the table calls it.
    fn name(&self, alert: &Alert) -> String {
        let unnamed = alert.camera.as_ref().filter(|camera| camera.name.is_none());
        let known = unnamed.and_then(|camera| self.cameras.get(&camera.id));
        known.cloned().unwrap_or_else(|| brief(alert))
    }

    /// How each area stands, if the hub runs.
    async fn areas_now(&self) -> BTreeMap<String, String> {
        let Some(process) = &self.process else {
            return BTreeMap::new();
        };
        let areas = process.hub.areas().await.expect("the areas");
        let until = |at: UnixMillis| self.clock.show(at, "");
        areas
            .into_iter()
            .map(|report| (report.name, show_area(&report.area, until)))
            .collect()
    }

    /// What sinks got since this was asked last. It is asked before a clock is set.
    fn note_effects(&mut self) {
        let (wall, now) = (self.now(), Instant::now());
        let effects = self.ground.sinks.effects();
        let Ok(stored) = Stored::read(&self.ground.disk.dir()) else {
            return;
        };
        for effect in &effects[self.noted..] {
            let id: AlertId = effect.alert.parse().expect("an alert's id");
            let found = stored.alerts.iter().find(|stored| stored.alert.id == id);
            if found.is_some_and(|stored| is_of_its_parts(&stored.alert)) {
                continue;
            }
            let at = wall - (now - effect.at);
            self.effects.push((at, effect.sink.clone(), id));
            let time = self.clock.show(at, "%a ");
            let name = found.map_or("what is not stored".to_owned(), |stored| self.name(&stored.alert));
            self.facts.delivered(&time, &effect.sink, &name);
        }
        self.noted = effects.len();
    }

    /// What the hub explains of all that is in its store.
    async fn note_explained(&mut self) {
        let hub = self.hub();
        let stored = Stored::read(&self.ground.disk.dir()).expect("the store");
        for stored in stored.alerts {
            let explanation = hub.explain(stored.alert.id).await.expect("an explanation");
            let explanation = explanation.expect("it is there");
            self.explained
                .insert(stored.alert.id, (stored.alert, explanation));
        }
    }

    async fn perform(&mut self, act: Act, time: &str) {
        self.revive_if_dead().await;
        match act {
            Act::Nothing => {}
            Act::Seen(seen) => self.see(&seen).await,
            Act::Arming(command) => self.arm(command, time).await,
            Act::Panic(panic) => {
                let hub = self.hub();
                let raised = self.ask(async move { hub.panic(panic).await }).await;
                self.answer(time, raised);
            }
            Act::Silence(command) => self.silence(command, time).await,
            Act::Acknowledge(what) => self.acknowledge(&what).await,
            Act::Fault(part, why) => self.fault(&part, why.is_some()),
            Act::Refuses(sink, refuses) => {
                let mood = if refuses { Mood::Refuses } else { Mood::Well };
                self.ground.sinks.set(&sink, mood);
            }
            Act::Power(true) => self.start().await,
            Act::Power(false) => self.lose_power().await,
            Act::Clock(shown) => {
                self.note_effects();
                let day_ago = self.now() - Duration::from_secs(24 * 3_600);
                let to = self.clock.parse(day_ago, &shown);
                self.ground.clock.set_by(to.0 - self.now().0);
                sleep(NOTICED).await;
            }
            Act::Reload(site) => {
                let found = self.scenario.sites.keys().find(|title| **title == site);
                self.site = found.expect("a site of this title");
                let applied = self.hub().apply(self.settings()).await;
                applied.expect("the configuration");
            }
            Act::Lose => self.lose_store().await,
        }
        match self.pace {
            Pace::Settled => sleep(SETTLE).await,
            Pace::Hurried { .. } if self.dice.u8(..ENDS_ONE_IN) == 0 => {
                let point = [Point::Before, Point::Within, Point::After][self.dice.usize(..3)];
                self.ground.disk.cut_at(point, false);
            }
            Pace::Hurried { .. } => {}
        }
    }

    /// The camera's alert comes over the socket, or is posted while that is away.
    async fn see(&mut self, seen: &Seen) {
        self.frames += 30;
        let stream = stream(&seen.camera);
        self.cameras.insert(stream.clone(), seen.camera.clone());
        let happened = seen.happened.as_ref().map(|shown| {
            let week_ago = self.now() - Duration::from_secs(6 * 24 * 3_600);
            self.clock.parse(week_ago, shown).to_string()
        });
        let tamper = seen.kind == Some(AlertKind::Tamper);
        if self.is_connected() && !tamper {
            self.backend
                .send(USER, message(seen, &stream, self.frames, happened));
            return;
        }
        let document = posted(seen, &stream, self.frames, self.now(), happened);
        let posted = Posted {
            document: document.into_bytes(),
            ..Posted::default()
        };
        let inbound = self.hub().inbound();
        let accepted = inbound[0].post(posted).await;
        accepted.expect("it is taken");
    }

    async fn arm(&mut self, command: ArmingCommand, time: &str) {
        let (hub, from, what) = (self.hub(), self.now(), command.clone());
        let done = self.ask(async move { hub.arming(command).await }).await;
        self.commands.push(Command {
            what,
            from,
            until: self.now(),
            done: matches!(done, Some(Ok(_))),
        });
        self.answer(time, done);
    }

    async fn silence(&mut self, command: SilenceCommand, time: &str) {
        let hub = self.hub();
        let done = self.ask(async move { hub.silence(command).await }).await;
        self.answer(time, done);
    }

    /// What the hub answers. A process that ends meanwhile answers nothing, and the next one is started.
    async fn ask<T>(&mut self, answer: impl Future<Output = T>) -> Option<T> {
        let answer = tokio::select! {
            biased;
            () = self.ground.disk.died() => None,
            answer = answer => Some(answer),
        };
        if answer.is_none() {
            self.revive().await;
        }
        answer
    }

    fn answer<T>(&mut self, time: &str, done: Option<Result<T, AskError>>) {
        match done {
            None | Some(Ok(_)) => {}
            Some(Err(AskError::Refused(why))) => self.facts.refused(time, &why.to_string()),
            Some(Err(other)) => panic!("{other}"),
        }
    }

    /// The process ends at once, as if by SIGKILL.
    async fn lose_power(&mut self) {
        self.note_effects();
        let process = self.process.take().expect("it runs");
        self.ground.disk.forget_cut();
        self.ground.disk.cut(false).expect("a copy");
        self.ground.sinks.unknown(None);
        process.kill().await;
        self.ground.disk.tidy().expect("the other directory");
    }

    /// Damages the database and what stands beside it, which the next start finds.
    async fn lose_store(&mut self) {
        self.note_explained().await;
        self.lose_power().await;
        let dir = self.ground.disk.dir();
        for name in ["watchpost.db-wal", "armed.json"] {
            let _ = std::fs::remove_file(dir.join(name));
        }
        std::fs::write(dir.join("watchpost.db"), "this is no database".repeat(1_000)).expect("a file");
        self.start().await;
    }

    /// What has been decided of each alert, and what became of it.
    async fn end(mut self) -> Played {
        if self.process.is_none() {
            self.start().await;
        }
        self.ground.disk.forget_cut();
        self.note_explained().await;
        self.note_effects();
        self.explained.retain(|_, (alert, _)| !is_of_its_parts(alert));
        let alerts = std::mem::take(&mut self.explained);
        let explained = alerts.values().map(|(alert, explanation)| Explained {
            alert: alert.clone(),
            name: self.name(alert),
            explanation: serde_json::to_value(explanation).expect("a document"),
        });
        let explained: Vec<Explained> = explained.collect();
        let effects = &self.effects;
        self.facts.account(&explained, &self.clock, |sink, alert| {
            let mut effects = effects.iter();
            effects.any(|(_, name, id)| name == sink && *id == alert)
        });
        let areas = self.hub().areas().await.expect("the areas");
        Played {
            facts: self.facts,
            effects: self.effects,
            alerts,
            commands: self.commands,
            areas,
        }
    }
}
