//! What is looked at while a world goes on: what must be so at any time, and that alerts come in time while all is well.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use watchpost_core::UnixMillis;
use watchpost_hub::{ConnectionState, HubStatus, WallClock as _};

use crate::oracle::{self, Stored};
use crate::process::Process;
use crate::run::{SOUNDS_WITHIN, World};
use crate::scenario::SINKS;

/// So long the status may say that it is connected while the backend knows of no socket: until a heartbeat is missed.
const BELIEF: Duration = Duration::from_secs(125);

/// After so long without a word a connection is away, by the hub's default and a look at its clock.
const HEARTBEAT: Duration = Duration::from_secs(90);

/// A connection that is away for longer is news; the hub's default, and some time to notice.
const NEWS_AFTER: Duration = Duration::from_secs(60 + 20);

/// When nothing has arrived from the backend for longer, that is news: after the hub's default a connection is taken for dead
/// that says nothing, and was away for so long then; and some time to notice.
const SILENCE: Duration = Duration::from_secs(60 + 30);

/// So often the hub is asked whether all that it holds is within its limits.
const LIMITS: Duration = Duration::from_secs(60);

/// Within these an alert is at each sink when all is well. One that was fetched waits for its picture where that is wanted.
const COMES_WITHIN: [Duration; SINKS.len()] = [SOUNDS_WITHIN, Duration::from_secs(25)];

/// So long a hub is waited for that is asked for its status, which is less than the time between two looks.
const ANSWERS_WITHIN: Duration = Duration::from_millis(900);

/// A time in which the backend has no socket of the hub.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    since: Instant,
    /// By the hub's clock, when it heard from the backend at last, or before: it may notice first.
    heard: UnixMillis,
    /// It has lasted long enough to be news.
    is_news: bool,
}

impl World<'_> {
    /// What must be so at any time.
    pub async fn watch(&mut self) {
        if self.process.as_ref().is_some_and(Process::spins) {
            self.find("the hub goes on and on while no time goes by");
            return;
        }
        let twice = self.ground.sinks.twice();
        twice.into_iter().for_each(|what| self.find(what));
        self.check_limits().await;
        let overwritten = std::mem::take(&mut self.backend.state().overwritten);
        for row in overwritten {
            self.find(format!(
                "row {row} was judged by a person, and the hub has changed it"
            ));
        }
        self.check_silence();
        let (present, left) = {
            let state = self.backend.state();
            let mut sockets = state.sockets.values();
            let present = sockets.any(|socket| socket.user == self.user && !socket.rival);
            (present, state.left.get(&self.user).copied())
        };
        let speaks = self.process.is_some() && !self.stalled && !self.ground.disk.is_full();
        if present || !speaks {
            self.absent = None;
            return;
        }
        // It may have been there for a moment since it was last looked.
        if self.absent.is_some_and(|absence| left > Some(absence.since)) {
            self.absent = None;
        }
        let now = self.ground.clock.wall();
        let absence = *self.absent.get_or_insert_with(|| Absence {
            since: Instant::now(),
            heard: now - HEARTBEAT,
            is_news: false,
        });
        let lasts = absence.since.elapsed();
        let is_news = lasts > NEWS_AFTER;
        self.absent = Some(Absence { is_news, ..absence });
        // Its times say nothing where the hub's clock was set.
        let clock_was_set = self.scenario.sets_hub_clock();
        if is_news && !absence.is_news && !clock_was_set {
            let stored = Stored::read(&self.ground.disk.dir());
            if !stored.is_ok_and(|stored| stored.says_lost(absence.heard)) {
                self.find(format!(
                    "the connection is away for {} s, and no event says so",
                    lasts.as_secs()
                ));
            }
        }
        self.check_belief(lasts).await;
    }

    /// Whether it is said that nothing arrives from the backend, while the hub could hear and say something.
    fn check_silence(&mut self) {
        let (now, heard) = (Instant::now(), self.ground.network.heard());
        let speaks = self.process.is_some() && !self.stalled && !self.ground.disk.is_full();
        if !speaks || self.scenario.sets_hub_clock() {
            self.listens_since = None;
            return;
        }
        let since = (*self.listens_since.get_or_insert(now)).max(heard);
        // Once for each silence.
        if now - since < SILENCE || self.silence_of == Some(since) {
            return;
        }
        self.silence_of = Some(since);
        let from = self.ground.clock.wall() - (now - since);
        let stored = Stored::read(&self.ground.disk.dir());
        if !stored.is_ok_and(|stored| stored.says_lost(from)) {
            let seconds = (now - since).as_secs();
            self.find(format!(
                "nothing has arrived from the backend for {seconds} s, and no event says so"
            ));
        }
    }

    /// Whether nothing that the hub holds in memory is beyond its limit.
    async fn check_limits(&mut self) {
        let Some(process) = self.process.as_ref().filter(|_| !self.stalled) else {
            return;
        };
        if self.looked_at.elapsed() < LIMITS {
            return;
        }
        self.looked_at = Instant::now();
        let Some(status) = ask(process).await else { return };
        let beyond = oracle::limits(&status, &process.hub.settings());
        beyond.into_iter().for_each(|what| self.find(what));
    }

    /// What the status says of a connection that is not there.
    async fn check_belief(&mut self, lasts: Duration) {
        let Some(process) = &self.process else { return };
        if lasts < BELIEF {
            return;
        }
        let Some(status) = ask(process).await else { return };
        let (connection, seconds) = (&status.connections[0], lasts.as_secs());
        if connection.state == ConnectionState::Connected {
            self.find(format!(
                "the status says connected, and the backend has had no socket for {seconds} s"
            ));
        } else if connection.last_failure.is_none() {
            self.find(format!(
                "the connection is away for {seconds} s, and the status does not say why"
            ));
        }
    }

    /// Whether what was raised since then, while all was well, has come in time. Of a row that cannot be shown it takes longer to
    /// find out.
    pub fn check_promptness(&mut self, since: Instant) {
        let now = Instant::now();
        let rows: Vec<_> = {
            let state = self.backend.state();
            let raised = state
                .rows
                .iter()
                .filter(|row| row.raised >= since && !row.infinite);
            raised.map(|row| (row.key(), row.raised)).collect()
        };
        let Ok(stored) = Stored::read(&self.ground.disk.dir()) else {
            return self.find("all is well, and the store cannot be read");
        };
        for (key, raised) in rows {
            let alert = stored.alert_of(&key);
            for (sink, within) in SINKS.into_iter().zip(COMES_WITHIN) {
                let came = alert
                    .as_ref()
                    .and_then(|alert| self.ground.sinks.first(sink, alert));
                if came.unwrap_or(now) > raised + within {
                    let seconds = within.as_secs();
                    self.find(format!(
                        "all is well, and {key:?} has not come to {sink} within {seconds} s"
                    ));
                }
            }
        }
    }

    /// Whether each alert says what its row says.
    pub fn check_contents(&mut self, stored: &Stored) {
        let (dir, clocks) = (self.ground.disk.dir(), self.scenario.sets_clocks());
        let wrong = oracle::contents(&self.backend, stored, &dir, clocks);
        wrong.into_iter().for_each(|what| self.find(what));
        if !self.scenario.sets_hub_clock() {
            let wrong = oracle::slots(&self.backend, stored, &self.ground.disk, self.user);
            wrong.into_iter().for_each(|what| self.find(what));
        }
    }
}

/// The status of a hub, unless it cannot say it in time.
async fn ask(process: &Process) -> Option<HubStatus> {
    timeout(ANSWERS_WITHIN, process.hub.status()).await.ok()?.ok()
}
