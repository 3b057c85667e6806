//! What the acts of a scenario do to the world, and how they end.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::backend::Status;
use crate::backend::producer::Sighting;
use crate::run::World;
use crate::scenario::{Act, Mood, SINKS};

/// What ends by itself.
#[derive(Clone, Copy, Debug)]
pub enum Undo {
    Weather,
    Backend,
    Thaw,
    Database,
    RivalLeaves(u64),
    RivalReloads { left: u64, every_ms: u64 },
    Mute,
    Reorder,
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
                backend.state().clock_ahead_ms = ahead_ms;
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
                    (row.status, row.judged) = (verdict, true);
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
            Undo::Mute => backend.state().mute = false,
            Undo::Reorder => backend.state().reorders = false,
            Undo::Shop => backend.state().unreadable_shop = None,
            Undo::BackendClock => backend.state().clock_ahead_ms = 0,
            Undo::Hub => {
                if self.process.is_none() {
                    self.start_hub().await;
                }
            }
            Undo::Stall => {
                self.stalled = false;
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
