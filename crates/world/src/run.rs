//! Plays a scenario: does what it says, heals the world after each spell, and asks the oracles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use watchpost_core::UnixMillis;
use watchpost_hub::TokioClock;
use watchpost_store::Reader;

use crate::acts::Undo;
use crate::backend::producer::{Producers, Sighting};
use crate::backend::serve::Server;
use crate::backend::{BEGINNING, Backend, Key};
use crate::disk::Disk;
use crate::net::Network;
use crate::oracle::{self, Deliveries, Quiet, Stored};
use crate::process::{CONNECTION, Ground, Process};
use crate::scenario::{SINKS, Scenario};
use crate::sinks::Sinks;
use crate::story::Story;
use crate::watch::Absence;

/// So long it takes until both sides have noticed that a connection was forgotten on the way.
const CALM: Duration = Duration::from_secs(130);

/// Shops that the hub's account can read.
const READABLE_SHOPS: usize = 2;

/// How long it may take until all is as it should be again.
const RECOVERY: Duration = Duration::from_secs(5 * 60);

/// Between two looks at whether it is.
const LOOK: Duration = Duration::from_secs(5);

/// Alerts that there may be since a probe began: its own, and what the hub says itself.
const PROBED: u32 = 50;

/// Within this an alert sounds when all is well.
pub const SOUNDS_WITHIN: Duration = Duration::from_secs(10);

/// How a run went.
pub struct Run {
    pub findings: Vec<String>,
    pub story: Vec<String>,
    pub lasted: Duration,
    pub alerts: usize,
    /// The longest time that it took from when all was put right until all was well.
    pub recovered_in: Duration,
}

/// The world.
pub struct World<'a> {
    pub scenario: &'a Scenario,
    pub story: Story,
    pub backend: Backend,
    pub server: Server,
    pub producers: Producers,
    pub ground: Ground,
    pub process: Option<Process>,
    /// The hub's user.
    pub user: usize,
    /// What is to be undone, and when; a number keeps those of one moment apart.
    undo: BTreeMap<(Instant, u64), Undo>,
    number: u64,
    pub stalled: bool,
    pub crashed: BTreeSet<String>,
    /// Another hub with the account of this one.
    pub second_hub: Option<(Process, Ground)>,
    /// What the operator did not want to hear of.
    pub silences: Vec<Quiet>,
    /// Since when the backend has no socket of the hub, while the hub runs and can say so.
    pub absent: Option<Absence>,
    /// Since when the hub runs and can say what it does not hear.
    pub listens_since: Option<Instant>,
    /// When the silence began that was looked at last.
    pub silence_of: Option<Instant>,
    recovered_in: Duration,
    /// When the hub was last asked what it holds.
    pub looked_at: Instant,
    pub findings: Vec<String>,
}

/// Plays it, and notes what happens in the story.
pub async fn play(scenario: &Scenario, story: Story) -> Run {
    let begun = Instant::now();
    let mut world = World::new(scenario, story);
    world.live().await;
    let alerts = world.backend.state().rows.len();
    world.end_second_hub().await;
    if let Some(process) = world.process.take() {
        process.kill().await;
    }
    Run {
        findings: world.findings,
        story: world.story.lines(),
        lasted: begun.elapsed(),
        alerts,
        recovered_in: world.recovered_in,
    }
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, story: Story) -> Self {
        let mut random = fastrand::Rng::with_seed(scenario.seed);
        fastrand::seed(random.u64(..));
        let (network, incoming) = Network::new();
        let cut_off = network.clone();
        let disk = Disk::new(Arc::new(move || cut_off.sever()));
        let beginning = UnixMillis(BEGINNING.unix_timestamp() * 1_000);
        let sinks = Sinks::new(story.clone());
        let backend = Backend::new(&mut random, &scenario.setup, story.clone());
        Self {
            scenario,
            server: Server::start(backend.clone(), incoming),
            producers: Producers::start(&backend, scenario.setup.ids),
            ground: Ground {
                // A machine has one for as long as it runs.
                clock: Box::leak(Box::new(TokioClock::starting_at(beginning))),
                network,
                disk: disk.expect("a directory in memory"),
                sinks,
                rival: false,
            },
            story,
            backend,
            process: None,
            user: usize::from(scenario.setup.second_account),
            undo: BTreeMap::new(),
            number: 0,
            stalled: false,
            crashed: BTreeSet::new(),
            second_hub: None,
            silences: Vec::new(),
            absent: None,
            listens_since: None,
            silence_of: None,
            recovered_in: Duration::ZERO,
            looked_at: Instant::now(),
            findings: Vec::new(),
        }
    }

    async fn live(&mut self) {
        self.start_hub().await;
        self.first_contact().await;
        for spell in &self.scenario.spells {
            let begun = Instant::now();
            let mut is_well = true;
            for timed in spell {
                self.wait_until(begun + Duration::from_millis(timed.at_ms)).await;
                if !timed.act.is_alert() && std::mem::take(&mut is_well) {
                    self.check_promptness(begun);
                }
                self.act(&timed.act).await;
                if !self.findings.is_empty() {
                    return;
                }
            }
            self.heal().await;
            self.recover().await;
            if !self.findings.is_empty() {
                return;
            }
        }
    }

    pub fn find(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.story.tell("ORACLE", &what);
        self.findings.push(what);
    }

    /// Before the first look at the list nothing is known to be missed.
    async fn first_contact(&mut self) {
        for _ in 0..120 {
            self.wait_until(Instant::now() + Duration::from_secs(1)).await;
            let reader = Reader::open(&self.ground.disk.dir());
            if reader
                .and_then(|mut reader| reader.checkpoints(CONNECTION))
                .is_ok_and(|shops| shops.len() >= READABLE_SHOPS)
            {
                return;
            }
        }
        self.find("the hub has not read the list within two minutes of its first start");
    }

    pub async fn start_hub(&mut self) {
        match Process::start(&self.ground, &self.scenario.setup).await {
            Ok(process) => {
                self.story.tell("world", "the hub's process is started");
                self.process = Some(process);
            }
            Err(why) => self.find(format!("the hub does not start: {why}")),
        }
    }

    /// Lets time pass, and what ends by itself end.
    async fn wait_until(&mut self, at: Instant) {
        loop {
            let next = self
                .undo
                .first_key_value()
                .map(|((when, _), _)| *when)
                .filter(|when| *when <= at);
            let tick = Instant::now() + Duration::from_secs(10);
            let wake = next.unwrap_or(at).min(tick);
            let died = tokio::select! {
                biased;
                () = self.ground.disk.died() => true,
                () = sleep_until(wake) => false,
            };
            if died {
                self.story.tell("world", "the hub's process ends within a commit");
                self.end_hub(None).await;
            } else if next == Some(wake) {
                if let Some((_, undo)) = self.undo.pop_first() {
                    self.undo(undo).await;
                }
            } else if wake >= at {
                return;
            }
            self.watch().await;
        }
    }

    pub fn later(&mut self, ms: u64, undo: Undo) {
        self.number += 1;
        self.undo
            .insert((Instant::now() + Duration::from_millis(ms), self.number), undo);
    }

    /// Ends the process. The disk is cut here, unless that has happened.
    pub async fn end_hub(&mut self, cut: Option<bool>) {
        let Some(process) = self.process.take() else {
            return;
        };
        if let Some(loses_unsynced) = cut {
            let done = self.ground.disk.cut(loses_unsynced);
            assert!(done.is_ok(), "{done:?}");
        }
        self.ground.sinks.unknown(None);
        process.kill().await;
        let tidied = self.ground.disk.tidy();
        assert!(tidied.is_ok(), "{tidied:?}");
        self.stalled = false;
        (self.absent, self.listens_since) = (None, None);
        self.check_receipts();
        if !self.undo.values().any(|undo| matches!(undo, Undo::Hub)) {
            self.later(2_000, Undo::Hub);
        }
    }

    /// Whether every alert that got its receipt is there. Returns what is.
    fn check_receipts(&mut self) -> Option<Stored> {
        match Stored::read(&self.ground.disk.dir()) {
            Ok(stored) => {
                let unkept = stored.unkept(&self.backend.state());
                unkept.into_iter().for_each(|what| self.find(what));
                Some(stored)
            }
            Err(e) => {
                self.find(format!("the store cannot be read: {e}"));
                None
            }
        }
    }

    /// Everything that is wrong is put right.
    async fn heal(&mut self) {
        self.story.tell("world", "all is put right");
        let now = Instant::now();
        self.ground.disk.forget_cut();
        self.ground.network.change(|weather| weather.hole_until = now);
        self.ground.network.stick(now);
        while let Some((_, undo)) = self.undo.pop_first() {
            // What is reloaded again and again stops.
            if !matches!(undo, Undo::RivalReloads { .. }) {
                self.undo(undo).await;
            }
        }
        let died = self.ground.disk.died().now_or_never();
        if died.is_some() {
            self.end_hub(None).await;
        }
    }

    /// Waits until all is as it should be, and sees that it is.
    async fn recover(&mut self) {
        self.wait_until(Instant::now() + CALM).await;
        let begun = Instant::now();
        let mut unmet = Vec::new();
        while begun.elapsed() < RECOVERY {
            self.wait_until(Instant::now() + LOOK).await;
            if !self.findings.is_empty() {
                return;
            }
            unmet = self.unmet().await;
            if unmet.is_empty() {
                self.recovered_in = self.recovered_in.max(CALM + begun.elapsed());
                let seconds = begun.elapsed().as_secs();
                self.story
                    .tell("ORACLE", format_args!("all is well after {seconds} s"));
                if let Some(stored) = self.check_receipts() {
                    self.check_contents(&stored);
                }
                return self.probe().await;
            }
        }
        let seconds = begun.elapsed().as_secs();
        for what in unmet {
            self.find(format!("{seconds} s after all was put right: {what}"));
        }
    }

    /// What is not yet as it should be. What can never be right is found at once.
    async fn unmet(&mut self) -> Vec<String> {
        let Some(process) = &self.process else {
            return vec!["the hub does not run".to_owned()];
        };
        let status = match timeout(Duration::from_secs(5), process.hub.status()).await {
            Ok(Ok(status)) => status,
            _ => return vec!["the hub does not say how it is".to_owned()],
        };
        let unmet = oracle::status(&status, &self.backend, self.user, self.scenario.setup.bad_shop);
        if !status.silences.is_empty() {
            self.end_silences(&status.silences).await;
            return vec!["the operator does not want to hear of something".to_owned()];
        }
        if !unmet.is_empty() {
            return unmet;
        }
        let stored = match Stored::read(&self.ground.disk.dir()) {
            Ok(stored) => stored,
            Err(e) => return vec![format!("the store cannot be read: {e}")],
        };
        let clocks = self.scenario.sets_clocks();
        let (mut missing, mut wrong) = oracle::rows(&self.backend, &stored);
        let deliveries = Deliveries {
            stored: &stored,
            sinks: &self.ground.sinks,
            crashed: &self.crashed,
            late: self.scenario.setup.late,
            silences: &self.silences,
            clocks,
        };
        let (more_missing, more_wrong) = deliveries.check();
        missing.extend(more_missing);
        missing.extend(oracle::people(
            &self.backend,
            &stored,
            self.scenario.setup.write_back,
        ));
        wrong.extend(more_wrong);
        wrong.into_iter().for_each(|what| self.find(what));
        missing
    }

    /// Each stream raises an alert: the siren sounds in time.
    async fn probe(&mut self) {
        let before = self.backend.state().rows.len();
        for stream in 0..self.backend.state().streams.len() {
            self.producers.see(stream, Sighting { infinite: false });
        }
        let begun = Instant::now();
        let mut waiting: Vec<Key> = Vec::new();
        while begun.elapsed() < SOUNDS_WITHIN {
            sleep(Duration::from_millis(500)).await;
            let keys: Vec<_> = self
                .backend
                .state()
                .rows
                .iter()
                .skip(before)
                .map(|row| row.key())
                .collect();
            let Ok(stored) = Stored::newest(&self.ground.disk.dir(), PROBED) else {
                continue;
            };
            let sounded = |key: &Key| {
                let alert = stored.alert_of(key);
                alert.is_some_and(|alert| self.ground.sinks.first(SINKS[0], &alert).is_some())
            };
            waiting = keys.into_iter().filter(|key| !sounded(key)).collect();
            if waiting.is_empty() {
                return;
            }
        }
        for key in waiting {
            self.find(format!(
                "all is well, and after 10 s no siren has sounded for {key:?}"
            ));
        }
    }
}
