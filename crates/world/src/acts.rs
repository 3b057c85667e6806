//! What the acts of a scenario do to the world, and how they end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use watchpost_core::{Actor, AlertKind, Silence, SilenceCommand, SilenceMatch};
use watchpost_hub::{Recording, WallClock as _};

use crate::backend::producer::Sighting;
use crate::backend::{Refusal, Status};
use crate::disk::Disk;
use crate::oracle::Quiet;
use crate::process::{Ground, Process};
use crate::run::World;
use crate::scenario::{Act, Mood, SINKS};
use crate::sinks::Sinks;
use crate::story::Story;

/// An operator waits no longer for the end of a silence.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// What ends by itself.
#[derive(Clone, Copy, Debug)]
pub enum Undo {
    Weather,
    Backend,
    Thaw,
    Database,
    RivalLeaves(u64),
    RivalReloads { left: u64, every_ms: u64 },
    SecondHub,
    Mute,
    Reorder,
    Pictures,
    Shop,
    BackendClock,
    Hub,
    Stall,
    Disk,
    Sink(usize),
}

impl World<'_> {
    pub async fn act(&mut self, act: &Act) {
        if !act.is_alert() {
            self.story.tell("world", format_args!("{act:?}"));
        }
        let now = Instant::now();
        match *act {
            Act::Alert { stream, infinite } => self.producers.see(stream, Sighting { infinite }),
            Act::Reset => self.ground.network.reset(),
            Act::Sever => self.ground.network.sever(),
            Act::Hole { ms } => {
                let until = now + Duration::from_millis(ms);
                self.ground.network.change(|weather| weather.hole_until = until);
            }
            Act::Stuck { ms } => self.ground.network.stick(now + Duration::from_millis(ms)),
            Act::Slow {
                bytes_per_second,
                latency_ms,
                ms,
            } => {
                self.ground.network.change(|weather| {
                    weather.bytes_per_second = bytes_per_second;
                    weather.latency = Duration::from_millis(latency_ms);
                });
                self.later(ms, Undo::Weather);
            }
            Act::Restart { ms } => {
                self.server.crash();
                self.ground.network.change(|weather| weather.refused = true);
                self.later(ms, Undo::Backend);
            }
            Act::Kill { ms } => {
                self.later(ms, Undo::Hub);
                self.end_hub(Some(false)).await;
            }
            Act::PowerCut { ms } => {
                self.ground.network.sever();
                self.later(ms, Undo::Hub);
                self.end_hub(Some(true)).await;
            }
            Act::KillAtCommit {
                point,
                loses_unsynced,
                ..
            } => self.ground.disk.cut_at(point, loses_unsynced),
            Act::Stall { ms } => {
                if let Some(process) = &self.process {
                    process.stall(true);
                    self.stalled = true;
                    self.later(ms, Undo::Stall);
                }
            }
            Act::DiskFull { ms } => {
                self.ground.disk.fill_until(now + Duration::from_millis(ms));
                self.later(ms, Undo::Disk);
            }
            Act::HubClock { by_ms } => self.ground.clock.set_by(by_ms),
            Act::Clear => self.clear().await,
            Act::Silence { stream, sink, ms } => self.silence(stream, sink, ms).await,
            Act::SecondHub { ms } => self.start_second_hub(ms).await,
            Act::Sink { sink, mood, ms } => {
                self.ground.sinks.set(SINKS[sink], mood);
                if mood == Mood::Crashes {
                    self.crashed.insert(SINKS[sink].to_owned());
                }
                self.later(ms, Undo::Sink(sink));
            }
            _ => self.act_on_backend(act),
        }
    }

    fn act_on_backend(&mut self, act: &Act) {
        let backend = self.backend.clone();
        match *act {
            Act::Freeze { ms } => {
                backend.frozen.send_replace(true);
                self.later(ms, Undo::Thaw);
            }
            Act::DatabaseDown { ms } => {
                backend.state().database_down = true;
                self.later(ms, Undo::Database);
            }
            Act::Rival { ms } => {
                let (socket, messages) = backend.opened(self.user, true);
                tokio::task::spawn_local(drain(messages));
                self.later(ms, Undo::RivalLeaves(socket));
            }
            Act::Reloads { times, every_ms } => self.later(
                0,
                Undo::RivalReloads {
                    left: times,
                    every_ms,
                },
            ),
            Act::Deregister => drop(backend.state().slots.remove(&self.user)),
            Act::Deaf => backend.deafen(self.user),
            Act::Mute { ms } => {
                backend.state().mute = true;
                self.later(ms, Undo::Mute);
            }
            Act::Reorder { ms } => {
                backend.state().reorders = true;
                self.later(ms, Undo::Reorder);
            }
            Act::PicturesFail { cut, ms } => {
                let how = if cut { Refusal::Cut } else { Refusal::Broken };
                backend.state().refuses_pictures = Some(how);
                self.later(ms, Undo::Pictures);
            }
            Act::RevokeTokens => {
                let now = backend.now().unix_timestamp();
                backend.state().tokens_since = now;
            }
            Act::RemakeUser => backend.remake_user(self.user),
            Act::ShopUnreadable { shop, ms } => {
                backend.state().unreadable_shop = Some(shop);
                self.later(ms, Undo::Shop);
            }
            Act::BackendClock { ahead_ms, ms } => {
                backend.state().set_clock(ahead_ms);
                self.later(ms, Undo::BackendClock);
            }
            Act::Verdict { rows } => {
                let mut state = backend.state();
                let verdict = Status::ALL[1 + rows % 3];
                for row in state
                    .rows
                    .iter_mut()
                    .rev()
                    .take(rows)
                    .filter(|row| row.status == Status::Pending)
                {
                    (row.status, row.judged) = (verdict, Some(Instant::now()));
                }
            }
            _ => {}
        }
    }

    async fn clear(&mut self) {
        if let Some(process) = &self.process
            && !self.stalled
        {
            let hub = process.hub.clone();
            let _ = timeout(Duration::from_secs(1), async move { hub.clear().await }).await;
        }
    }

    /// Begins a silence. What is remembered of it is what the hub has agreed to.
    async fn silence(&mut self, stream: Option<usize>, sink: Option<usize>, ms: u64) {
        let Some(process) = self.process.as_ref().filter(|_| !self.stalled) else {
            return;
        };
        let hub = process.hub.clone();
        let stream = stream.map(|stream| self.backend.state().streams[stream].id.clone());
        let sink = sink.map(|sink| SINKS[sink].to_owned());
        let matches = SilenceMatch {
            stream: stream.clone().into_iter().collect(),
            kind: vec![AlertKind::Anomaly],
            sink: sink.clone().into_iter().collect(),
            ..SilenceMatch::default()
        };
        let lasts = Duration::from_millis(ms.max(1_000));
        let command = SilenceCommand::Begin {
            matches: Box::new(matches),
            lasts,
            why: "the yard is cleaned".to_owned(),
            by: Actor::Operator,
        };
        let asked = self.ground.clock.wall();
        let begun = timeout(Duration::from_secs(1), async move { hub.silence(command).await }).await;
        let is_certain = matches!(begun, Ok(Ok(Recording::Done(_))));
        let from = self.ground.clock.wall();
        self.silences.push(Quiet {
            stream,
            sink,
            from: if is_certain { from } else { asked },
            until: asked + lasts,
            is_certain,
        });
    }

    /// Ends silences before their time.
    pub async fn end_silences(&mut self, silences: &[Silence]) {
        let now = self.ground.clock.wall();
        for quiet in self.silences.iter_mut().filter(|quiet| quiet.until > now) {
            // Which is which the hub knows.
            (quiet.until, quiet.is_certain) = (now + ENDS_WITHIN, false);
        }
        for silence in silences {
            let Some(process) = &self.process else { return };
            let (hub, id) = (process.hub.clone(), silence.id);
            let by = Actor::Operator;
            let ended = async move { hub.silence(SilenceCommand::End { id, by }).await };
            let _ = timeout(ENDS_WITHIN, ended).await;
        }
    }

    async fn start_second_hub(&mut self, ms: u64) {
        self.later(ms, Undo::SecondHub);
        if self.second_hub.is_some() {
            return;
        }
        let disk = Disk::new(Arc::new(|| {})).expect("a directory in memory");
        let ground = Ground {
            disk,
            sinks: Sinks::new(Story::begin(false)),
            rival: true,
            ..self.ground.clone()
        };
        match Process::start(&ground, &self.scenario.setup).await {
            Ok(process) => self.second_hub = Some((process, ground)),
            Err(why) => self.find(format!("the second hub does not start: {why}")),
        }
    }

    pub async fn end_second_hub(&mut self) {
        if let Some((process, _)) = self.second_hub.take() {
            process.kill().await;
        }
    }

    pub async fn undo(&mut self, undo: Undo) {
        self.story.tell("world", format_args!("over: {undo:?}"));
        let backend = &self.backend;
        match undo {
            Undo::Weather => self.ground.network.change(|weather| {
                weather.bytes_per_second = 12_500_000;
                weather.latency = Duration::from_millis(3);
            }),
            Undo::Backend => self.ground.network.change(|weather| weather.refused = false),
            Undo::Thaw => drop(backend.frozen.send_replace(false)),
            Undo::Database => backend.state().database_down = false,
            Undo::RivalLeaves(socket) => backend.ended(socket),
            Undo::RivalReloads { left, every_ms } => {
                let (socket, messages) = backend.opened(self.user, true);
                tokio::task::spawn_local(drain(messages));
                self.later(every_ms / 2, Undo::RivalLeaves(socket));
                if left > 1 {
                    self.later(
                        every_ms,
                        Undo::RivalReloads {
                            left: left - 1,
                            every_ms,
                        },
                    );
                }
            }
            Undo::SecondHub => self.end_second_hub().await,
            Undo::Mute => backend.state().mute = false,
            Undo::Reorder => backend.state().reorders = false,
            Undo::Pictures => backend.state().refuses_pictures = None,
            Undo::Shop => backend.state().unreadable_shop = None,
            Undo::BackendClock => backend.state().set_clock(0),
            Undo::Hub => {
                if self.process.is_none() {
                    self.start_hub().await;
                }
            }
            Undo::Stall => {
                self.stalled = false;
                self.listens_since = None;
                if let Some(process) = &self.process {
                    process.stall(false);
                }
            }
            Undo::Disk => self.ground.disk.fill_until(Instant::now()),
            Undo::Sink(sink) => self.ground.sinks.set(SINKS[sink], Mood::Well),
        }
    }
}

async fn drain(mut messages: tokio::sync::mpsc::Receiver<String>) {
    while messages.recv().await.is_some() {}
}
