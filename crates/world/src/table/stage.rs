//! A site in the world: the product's hub with its store, a backend that its cameras report to, sinks that are children, a person
//! who gives commands. Acts of a scenario are done to it at their times, and what follows is looked at from outside: what sinks
//! got, what the hub says of its areas, and what it explains.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use watchpost_core::{Alert, AlertId, AlertKind, ArmingCommand, DeliveryState, SilenceCommand, UnixMillis};
use watchpost_hub::inbound::Posted;
use watchpost_hub::{AskError, Explanation, HubHandle, TokioClock, WallClock as _};
use watchpost_scenarios::{
    Act, FIRST_DAY, InHand, Line, Scenario, Seen, SiteClock, brief, settings, show_area,
};

use super::facts::Facts;
use crate::backend::serve::Server;
use crate::backend::{BEGINNING, Backend};
use crate::disk::Disk;
use crate::net::Network;
use crate::oracle::Stored;
use crate::process::{Ground, Process};
use crate::scenario::Setup;
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

/// What a site has beside what its scenario says: the backend, which is asked as rarely as it can be, and a way in for what is
/// seen while that is away.
const BESIDE: &str = r#"
[[connection]]
name = "main"
url = "http://192.168.1.20:8000"
login = { email = "yard@example.org", password = "secret" }
accept_notices = true
backfill = { interval = "1h" }
slot = { interval = "1h" }

[[connection]]
name = "posts"
kind = "inbound"
token = "a token that no one guesses"
"#;

/// What the hub says of its machine and its parts, and no rule does.
const OF_ITS_PARTS: &[&str] = &[
    "clock_differs",
    "clock_jumped",
    "link_back",
    "link_lost",
    "list_back",
    "list_lost",
    "store_replaced",
    "subscription_lost",
];

/// The setup of a world's backend in which nothing is odd.
fn setup() -> Setup {
    Setup {
        second_account: false,
        write_back: false,
        ids: true,
        bad_shop: false,
        both_accounts: false,
        late: Default::default(),
        zone_hours: 0,
    }
}

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
    effects: usize,
    delivered: BTreeSet<(String, AlertId)>,
    areas: BTreeMap<String, String>,
    /// The number of the last video frame.
    frames: i64,
    /// What the table calls the cameras of streams.
    cameras: BTreeMap<String, String>,
    story: Story,
}

/// Plays a scenario. Returns what was to be seen from outside.
pub async fn play(scenario: &Scenario<'_>, story: Story) -> Facts {
    let mut stage = Stage::new(scenario, story);
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
    fn new(scenario: &'a Scenario<'a>, story: Story) -> Self {
        fastrand::seed(7);
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
        let backend = Backend::new(&mut fastrand::Rng::with_seed(7), &setup(), story.clone());
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
            effects: 0,
            delivered: BTreeSet::new(),
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
        let process = Process::start_with(&self.ground, self.settings()).await;
        self.process = Some(process.unwrap_or_else(|why| panic!("the hub does not start: {why}")));
        for _ in 0..20 {
            if self.is_connected() || self.ground.network.weather().refused {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("the hub does not connect");
    }

    fn is_connected(&self) -> bool {
        self.backend.hub_holds_slot(USER).is_some()
    }

    /// Lets time go by until the clocks of the site show this.
    async fn until(&self, time: &str) {
        // Not before today, but one that has just been passed is not one of next week.
        let at = self.clock.parse(self.now() - SETTLE * 10, time);
        sleep(self.now().until(at)).await;
    }

    /// Writes down what has followed until now, which is said of `time`.
    async fn look(&mut self, time: &str) {
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
        for effect in &effects[self.effects..] {
            let id: AlertId = effect.alert.parse().expect("an alert's id");
            let found = stored.alerts.iter().find(|stored| stored.alert.id == id);
            let alert = &found.expect("what is delivered is stored").alert;
            self.delivered.insert((effect.sink.clone(), id));
            if is_of_its_parts(alert) {
                continue;
            }
            let time = self.clock.show(wall - (now - effect.at), "%a ");
            let name = self.name(alert);
            self.facts.delivered(&time, &effect.sink, &name);
        }
        self.effects = effects.len();
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
        match act {
            Act::Nothing => {}
            Act::Seen(seen) => self.see(&seen).await,
            Act::Arming(command) => self.arm(command, time).await,
            Act::Panic(panic) => {
                let raised = self.hub().panic(panic).await;
                self.answer(time, raised);
            }
            Act::Silence(command) => self.silence(command, time).await,
            Act::Acknowledge(what) => self.acknowledge(&what).await,
            Act::Fault(part, why) => self.fault(&part, why.is_some()),
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
        sleep(SETTLE).await;
    }

    /// The camera's alert comes over the socket, or is posted while that is away.
    async fn see(&mut self, seen: &Seen) {
        self.frames += 30;
        let stream = seen.camera.to_lowercase().replace(' ', "-");
        self.cameras.insert(stream.clone(), seen.camera.clone());
        let happened = seen.happened.as_ref().map(|shown| {
            let week_ago = self.now() - Duration::from_secs(6 * 24 * 3_600);
            self.clock.parse(week_ago, shown).to_string()
        });
        if self.is_connected() {
            self.backend
                .send(USER, message(seen, &stream, self.frames, happened));
            return;
        }
        let document = json!({
            "id": self.frames, "stream_id": stream, "person_id": seen.person,
            "timestamp": happened.unwrap_or_else(|| self.now().to_string()), "details": {"status": "Abnormal"},
        });
        let posted = Posted {
            document: document.to_string().into_bytes(),
            ..Posted::default()
        };
        let inbound = self.hub().inbound();
        let accepted = inbound[0].post(posted).await;
        accepted.expect("it is taken");
    }

    async fn arm(&mut self, command: ArmingCommand, time: &str) {
        let done = self.hub().arming(command).await;
        self.answer(time, done);
    }

    async fn silence(&mut self, command: SilenceCommand, time: &str) {
        let done = self.hub().silence(command).await;
        self.answer(time, done);
    }

    fn answer<T>(&mut self, time: &str, done: Result<T, AskError>) {
        match done {
            Ok(_) => {}
            Err(AskError::Refused(why)) => self.facts.refused(time, &why.to_string()),
            Err(other) => panic!("{other}"),
        }
    }

    async fn acknowledge(&self, what: &InHand) {
        let hub = self.hub();
        let last = |camera: &str| {
            let stored = Stored::read(&self.ground.disk.dir()).expect("the store");
            let mut newest_first = stored.alerts.into_iter();
            let alert = newest_first.find(|stored| self.name(&stored.alert) == camera);
            alert.unwrap_or_else(|| panic!("no alert of {camera}")).alert.id
        };
        let done = match what {
            InHand::Listed(camera) => hub.acknowledge(last(camera)).await.map(drop),
            InHand::Dismissed(camera) => hub.dismiss(last(camera)).await.map(drop),
            InHand::Cleared => hub.clear().await.map(drop),
        };
        done.expect("it is acknowledged");
    }

    /// The backend's port is closed, or is open again. Of a sink nothing is done: it fails over a delivery only.
    fn fault(&self, part: &str, is_faulty: bool) {
        assert_eq!(part, "main", "no other part can be made to fail");
        self.ground.network.change(|weather| weather.refused = is_faulty);
        if is_faulty {
            self.ground.network.reset();
        }
    }

    /// The process ends at once, as if by SIGKILL.
    async fn lose_power(&mut self) {
        self.note_effects();
        let process = self.process.take().expect("it runs");
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
    async fn end(mut self) -> Facts {
        if self.process.is_none() {
            self.start().await;
        }
        self.note_explained().await;
        self.note_effects();
        self.explained.retain(|_, (alert, _)| !is_of_its_parts(alert));
        let numbers: Vec<AlertId> = self.explained.keys().copied().collect();
        let mut seen = 0;
        for (alert, explanation) in std::mem::take(&mut self.explained).into_values() {
            if matches!(alert.kind, AlertKind::Hub | AlertKind::Digest) {
                let time = self.clock.show(alert.received_at, "%a ");
                self.facts.raised(&time, &alert.title);
                self.facts.unsent(&alert.text);
                let planned = explanation.sinks.iter().filter(|sink| sink.delivery.is_some());
                planned.for_each(|sink| self.facts.planned(&alert.title, &sink.sink));
            } else {
                seen += 1;
                self.note_reasons(seen, &alert, &explanation, &numbers);
            }
            self.note_outcomes(&alert, &explanation);
        }
        self.facts
    }

    fn note_reasons(&mut self, number: usize, alert: &Alert, explanation: &Explanation, numbers: &[AlertId]) {
        let name = self.name(alert);
        for sink in &explanation.sinks {
            // The table numbers alerts from one on.
            let why = numbers
                .iter()
                .enumerate()
                .fold(sink.why.clone(), |why, (at, id)| {
                    why.replace(&id.to_string(), &(at + 1).to_string())
                });
            self.facts.explained(number, &name, &sink.sink, &why);
        }
        if explanation.unmatched {
            self.facts.explained(number, &name, "all", "no route takes it");
        }
    }

    /// What is explained of deliveries is what has happened to them.
    fn note_outcomes(&mut self, alert: &Alert, explanation: &Explanation) {
        let name = self.name(alert);
        for sink in &explanation.sinks {
            let was_delivered = self.delivered.contains(&(sink.sink.clone(), alert.id));
            let Some(delivery) = &sink.delivery else {
                if was_delivered {
                    self.facts.dropped("never", &sink.sink, &name, "it got it");
                }
                continue;
            };
            if was_delivered != (delivery.state == DeliveryState::Delivered) {
                let state = format!("{:?}, delivered: {was_delivered}", delivery.state);
                self.facts.dropped("never", &sink.sink, &name, &state);
            }
            let why = match delivery.state {
                DeliveryState::Dropped => delivery.error.clone().unwrap_or_default(),
                DeliveryState::Expired => "expired".to_owned(),
                _ => continue,
            };
            let at = delivery.finished_at.unwrap_or(UnixMillis(0));
            let time = self.clock.show(at, "%a ");
            self.facts.dropped(&time, &sink.sink, &name, &why);
        }
    }
}

fn is_of_its_parts(alert: &Alert) -> bool {
    alert.kind == AlertKind::Hub && OF_ITS_PARTS.contains(&alert.details.status.as_str())
}

/// What the backend says of it.
fn message(seen: &Seen, stream: &str, frame: i64, happened: Option<String>) -> String {
    let record = format!("{stream}-{frame}");
    match seen.kind.unwrap_or(AlertKind::Anomaly) {
        AlertKind::OwlEye => json!({"type": "notification", "data": {
            "notification_id": record, "title": seen.camera, "message": "A person is there", "type": "owl_eye",
            "metadata": {"anomaly_id": record, "stream_id": stream},
        }}),
        AlertKind::Notice => json!({"type": "notification", "data": {
            "notification_id": record, "title": seen.camera, "message": "A notice", "type": "system",
        }}),
        _ => json!({
            "type": "anomaly_detected", "id": frame, "stream_id": stream, "timestamp": happened,
            "result": {
                "person_id": seen.person, "frame_number": frame, "score": seen.score, "is_abnormal": true,
                "classification": "Abnormal", "confidence": "Low", "stream_id": stream,
            },
        }),
    }
    .to_string()
}
