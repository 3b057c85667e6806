//! The processes that a seed is played on, and the time that passes there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Backend, Hub, HubSetup, Line, PATIENCE, count, eventually, toml};
use watchpost_world::scenario::{Scenario, Setup, Timed};

use super::acts::Undo;
use super::oracle;
use super::services::{self, Service};

/// How much faster than its story a seed is played. What the backend and the hub reckon with among themselves, such as how
/// far clocks may differ, is not faster; so there are quiet points.
pub(crate) const FASTER: u64 = 60;

/// The cameras of a scenario, and their shops.
const CAMERAS: &str = "3";
const SHOPS: &str = "2";

/// A shop that the accounts see and that can never be read.
const BAD_SHOP: &str = "00000000-0000-4000-8000-000000000bad";

/// An absence is said after a second (`link_grace`); so long a one is, whatever keeps this machine busy.
const NEWS_AFTER: Duration = Duration::from_secs(4);

/// How long it may take until all is as it should be. A hub whose place another client took again and again stays away for
/// some minutes.
const RECOVERY: Duration = Duration::from_secs(300);

/// All of them.
pub(crate) struct Stage {
    pub(crate) setup: Setup,
    // Before what it is connected to.
    pub(crate) hub: Hub,
    pub(crate) line: Line,
    pub(crate) backend: Arc<Backend>,
    cameras: Cameras,
    pub(crate) services: Vec<Service>,
    /// Whether the hub's process runs.
    pub(crate) runs: bool,
    pub(crate) stalled: bool,
    /// What goes wrong by chance at the backend.
    pub(crate) faults: BTreeMap<&'static str, f64>,
    /// What is to be undone, and when; a number keeps those of one moment apart.
    undo: BTreeMap<(Instant, u64), Undo>,
    number: u64,
    begun: Instant,
    lines: Vec<String>,
    /// When a backend is up again that was away long enough to be news, if the hub runs all the while.
    absent_until: Option<Instant>,
    /// Absences that were said before such a one.
    said_before: Option<usize>,
    /// How often the hub's process was killed.
    pub(crate) kills: usize,
    /// Acts that cannot be played here.
    pub(crate) left_out: u64,
    played: u64,
}

impl Stage {
    pub(crate) fn new(scenario: &Scenario) -> Result<Self> {
        let setup = scenario.setup;
        let mut options = vec![
            "--rate",
            "0",
            "--frame",
            "160x90",
            "--no-pose",
            "--token-life",
            "60s",
        ];
        options.extend(["--cameras", CAMERAS, "--shops", SHOPS]);
        if setup.ids {
            options.push("--ids");
        }
        let (backend, services) = (Arc::new(Backend::start(&options)?), services::start()?);
        let line = Line::to(backend.address()?)?;
        let hub = hub(&setup, &backend, &line, &services)?;
        let stage = Self {
            setup,
            hub,
            line,
            cameras: Cameras::start(&backend),
            backend,
            services,
            runs: true,
            stalled: false,
            faults: BTreeMap::new(),
            undo: BTreeMap::new(),
            number: 0,
            begun: Instant::now(),
            lines: Vec::new(),
            absent_until: None,
            said_before: None,
            kills: 0,
            left_out: 0,
            played: 0,
        };
        stage.answer_as_ever()?;
        stage.first_contact()?;
        Ok(stage)
    }

    /// Before the first look at the list nothing is known to be missed.
    fn first_contact(&self) -> Result<()> {
        self.hub.until("connected", PATIENCE, |status| {
            let connections = status["connections"].as_array().into_iter().flatten();
            let mut states = connections.map(|connection| &connection["state"]);
            states.all(|state| state == "connected")
        })?;
        let before = count(&self.backend.stats()?, "rest_requests");
        self.backend.until("looks at the list", PATIENCE, |stats| {
            count(stats, "rest_requests") >= before + 12
        })?;
        Ok(())
    }

    /// Notes what happens.
    pub(crate) fn tell(&mut self, what: impl std::fmt::Display) {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.lines.push(format!("{seconds:8.2}  {what}"));
    }

    /// What has happened, line by line.
    pub(crate) fn story(&self) -> String {
        self.lines.join("\n")
    }

    /// Of what there was how much.
    pub(crate) fn figures(&self) -> Result<String> {
        let stats = self.backend.stats()?;
        Ok(format!(
            "{} alerts, {} faults and {} that cannot be played here, {} connects, {} logins",
            stats["produced"], self.played, self.left_out, stats["connections"], stats["logins"]
        ))
    }

    /// How long something lasts here that lasts so long in its story.
    pub(crate) fn lasts(ms: u64) -> Duration {
        Duration::from_millis((ms / FASTER).max(50))
    }

    pub(crate) fn later(&mut self, ms: u64, undo: Undo) {
        self.number += 1;
        self.undo
            .insert((Instant::now() + Self::lasts(ms), self.number), undo);
    }

    /// Lets time pass, and what ends by itself end.
    fn wait_until(&mut self, at: Instant) -> Result<()> {
        loop {
            let next = self.undo.first_key_value().map(|((when, _), _)| *when);
            let next = next.filter(|when| *when <= at);
            let wake = next.unwrap_or(at);
            eventually(
                "the time",
                wake.saturating_duration_since(Instant::now()) + PATIENCE,
                || match wake.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => Err(format!("{left:?} to go")),
                    _ => Ok(()),
                },
            )?;
            let Some((_, undo)) = next.and_then(|_| self.undo.pop_first()) else {
                return Ok(());
            };
            self.undo(undo)?;
        }
    }

    /// Plays a spell, and puts right what is wrong then.
    pub(crate) fn play(&mut self, spell: &[Timed]) -> Result<()> {
        let begun = Instant::now();
        for timed in spell {
            self.wait_until(begun + Duration::from_millis(timed.at_ms / FASTER))?;
            if !timed.act.is_alert() {
                self.tell(format_args!("{:?}", timed.act));
                self.played += 1;
            }
            self.act(&timed.act)?;
        }
        self.tell("all is put right");
        while let Some((_, undo)) = self.undo.pop_first() {
            self.undo(undo)?;
        }
        Ok(())
    }

    /// Waits until all is as it should be, and one alert more of each camera comes through.
    pub(crate) fn recover(&mut self) -> Result<()> {
        let begun = Instant::now();
        eventually("all is well", RECOVERY, || oracle::look(self))?;
        let took = begun.elapsed();
        self.tell(format_args!("all is well after {took:.1?}"));
        (0..3).for_each(|camera| self.see(camera));
        eventually("one more of each comes through", PATIENCE * 2, || {
            oracle::look(self)
        })?;
        let twice: Vec<_> = self.services.iter().flat_map(Service::twice).collect();
        ensure!(twice.is_empty(), "{twice:#?}");
        Ok(())
    }

    /// Ends the hub's process, for a while.
    pub(crate) fn kill_hub(&mut self, ms: u64) -> Result<()> {
        self.later(ms, Undo::Hub);
        if std::mem::take(&mut self.runs) {
            self.stops_watching();
            self.kills += 1;
            self.hub.kill()?;
            self.services.iter().for_each(Service::unknown);
            self.stalled = false;
        }
        Ok(())
    }

    /// The backend says what it is asked, but for the shop that can never be read.
    pub(crate) fn answer_as_ever(&self) -> Result<()> {
        self.backend.order(&json!({"do": "answer_as_ever"}))?;
        if self.setup.bad_shop {
            let about = self.backend.about()?;
            let shops = about["shops"].as_array().context("shops")?;
            let id = |shop: &Value| json!({"id": shop, "name": "Shop"});
            let mut listed: Vec<Value> = shops.iter().map(id).collect();
            listed.push(id(&BAD_SHOP.into()));
            let body = Value::from(listed).to_string();
            for (to, status, body) in [
                ("GET /shops", 200, body.as_str()),
                (BAD_SHOP, 422, r#"{"error":"Validation Error"}"#),
            ] {
                self.backend
                    .order(&json!({"do": "answer", "to": to, "status": status, "body": body}))?;
            }
        }
        Ok(())
    }

    /// A camera sees something.
    pub(crate) fn see(&self, camera: usize) {
        self.cameras.see(camera);
    }

    /// Whether all that was seen has been raised.
    pub(crate) fn has_raised_all(&self) -> bool {
        self.cameras.waiting.load(Ordering::SeqCst) == 0
    }

    /// The backend is away for so long from now on.
    pub(crate) fn goes_away(&mut self, time: Duration) -> Result<()> {
        if self.runs && !self.stalled && time >= NEWS_AFTER {
            self.said_before = Some(oracle::said_lost(self)?);
            self.absent_until = Some(Instant::now() + time);
        }
        Ok(())
    }

    /// The hub cannot see to anything for a while.
    pub(crate) fn stops_watching(&mut self) {
        if self.absent_until.is_some_and(|until| Instant::now() < until) {
            self.said_before = None;
        }
    }

    /// How many absences had been said when the backend was away for long, if the hub has to have said that too.
    pub(crate) fn said_before(&self) -> Option<usize> {
        self.said_before
    }
}

/// What the cameras see is raised one after the other, as soon as the backend takes it: it waits for a client that does not
/// read, and while it is frozen.
struct Cameras {
    seen: mpsc::Sender<usize>,
    waiting: Arc<AtomicU64>,
}

impl Cameras {
    fn start(backend: &Arc<Backend>) -> Self {
        let (seen, sights) = mpsc::channel();
        let waiting = Arc::<AtomicU64>::default();
        let (backend, left) = (Arc::clone(backend), Arc::clone(&waiting));
        std::thread::spawn(move || {
            for camera in sights {
                // What a backend that is down does not take is never raised.
                drop(backend.order(&json!({"do": "send", "count": 1, "camera": camera})));
                left.fetch_sub(1, Ordering::SeqCst);
            }
        });
        Self { seen, waiting }
    }

    fn see(&self, camera: usize) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // The thread lives as long as this does.
        let _ = self.seen.send(camera);
    }
}

fn hub(setup: &Setup, backend: &Backend, line: &Line, services: &[Service]) -> Result<Hub> {
    let url = line.url();
    let write_back = setup.write_back;
    let connection = |name: &str, second: bool| -> Result<watchpost_testkit::Table> {
        let prefix = if second { "second_" } else { "" };
        let email = backend.ready(&format!("{prefix}email"))?;
        let password = backend.ready(&format!("{prefix}password"))?;
        let url = url.as_str();
        Ok(toml! {
            name = name
            url = url
            login = { email = email, password = password }
            connect_timeout = "2s"
            write_back = write_back
            reconnect = { initial = "20ms", max = "500ms", jitter = 0.2, stable_after = "200ms" }
            heartbeat = { interval = "500ms", timeout = "2s" }
            slot = { interval = "500ms" }
            backfill = { interval = "1s" }
        })
    };
    let mut connections = vec![connection("shop", setup.second_account)?];
    if setup.both_accounts {
        connections.push(connection("other", !setup.second_account)?);
    }
    let mut hub = HubSetup::new()?.with(toml! {
        connection = connections
        [hub]
        link_grace = "1s"
    });
    for service in services {
        hub = hub.with(service.sink());
    }
    hub.start()
}
