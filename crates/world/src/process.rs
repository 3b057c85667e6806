//! The hub's process in the world: the product's own hub on a platform of the world's making. It can be killed at any
//! moment, and stopped for a while as a machine that sleeps.

use std::cell::RefCell;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_tls::connect::{ConnectError, ConnectInfo};
use awc::http::Uri;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, timeout};
use watchpost_config::{Settings, SinkSettings};
use watchpost_hub::{
    Connecting, Hub, HubHandle, Launcher, Platform, Storage, Stream, Threads, TokioClock, WallClock,
};
use watchpost_store::Store;

use crate::disk::Disk;
use crate::net::Network;
use crate::scenario::{SINKS, Setup};
use crate::sinks::Sinks;

/// Name of the hub's connection.
pub const CONNECTION: &str = "shop";

/// The account that opens the streams, and another that sees the same shops.
const OPENER: &str = "yard@example.org";
const OWNER: &str = "owner@example.org";

/// Limits that an hour of the world can reach.
const INTAKE_BUFFER: &str = "32KiB";
const MAX_IN_FLIGHT: usize = 8;

/// What the hub stands on.
#[derive(Clone)]
pub struct Ground {
    pub clock: &'static TokioClock,
    pub network: Network,
    pub disk: Disk,
    pub sinks: Sinks,
    /// It is that of another hub, which is not watched.
    pub rival: bool,
}

impl Platform for Ground {
    fn wall_clock(&self) -> &'static dyn WallClock {
        self.clock
    }

    fn connect(&self, _: ConnectInfo<Uri>) -> Connecting {
        let (network, rival) = (self.network.clone(), self.rival);
        Box::pin(async move {
            let side = network.connect(rival).await.map_err(ConnectError::Io)?;
            Ok(Stream::new(side))
        })
    }

    fn threads(&self) -> Threads {
        Threads::Shared
    }

    fn storage(&self, store: Store) -> Box<dyn Storage> {
        self.disk.storage(store)
    }

    fn launcher(&self, sink: &SinkSettings) -> Option<Arc<dyn Launcher>> {
        Some(self.sinks.launcher(&sink.name))
    }
}

/// A running hub.
pub struct Process {
    running: JoinHandle<()>,
    gate: Rc<RefCell<Gate>>,
    pub hub: HubHandle,
}

/// So long a start may take.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// So often the process may go on without any time going by: more is a loop that never ends.
const MAX_TURNS: u32 = 200_000;

/// Whether the process gets any time.
#[derive(Default)]
struct Gate {
    closed: bool,
    waiting: Option<Waker>,
    /// How often it has gone on since this moment, at which it still is.
    turns: Option<(Instant, u32)>,
    /// It never stopped to wait for anything, and gets no time any more.
    spins: bool,
}

impl Gate {
    /// Counts a turn. What spins is stopped, or the world would stand still with it.
    fn turn(&mut self) {
        let now = Instant::now();
        let turns = match self.turns {
            Some((at, turns)) if at == now => turns + 1,
            _ => 1,
        };
        self.turns = Some((now, turns));
        if turns > MAX_TURNS {
            (self.spins, self.closed) = (true, true);
        }
    }
}

/// All tasks of the process.
struct Tasks {
    tasks: LocalSet,
    gate: Rc<RefCell<Gate>>,
}

impl Future for Tasks {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        {
            let mut gate = self.gate.borrow_mut();
            gate.turn();
            if gate.closed {
                gate.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.tasks).poll(cx)
    }
}

impl Process {
    /// Starts a hub of this setup. An error says why it does not start.
    pub async fn start(ground: &Ground, setup: &Setup) -> Result<Self, String> {
        Self::start_with(ground, settings(&ground.disk.dir(), setup)?).await
    }

    /// The same with these settings.
    pub async fn start_with(ground: &Ground, settings: Settings) -> Result<Self, String> {
        let (started, hub) = oneshot::channel();
        let platform = Arc::new(ground.clone());
        let tasks = LocalSet::new();
        tasks.spawn_local(async move {
            let hub = Hub::start_on(platform, settings, PathBuf::from("/nowhere/watchpost-sinkhost")).await;
            let _ = started.send(hub);
        });
        let gate = Rc::<RefCell<Gate>>::default();
        let running = spawn_local(Tasks {
            tasks,
            gate: Rc::clone(&gate),
        });
        match timeout(STARTS_WITHIN, hub).await {
            Ok(Ok(Ok(hub))) => Ok(Self { running, gate, hub }),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(_)) => Err("the hub panicked at its start".to_owned()),
            Err(_) => Err("the hub does not finish its start".to_owned()),
        }
    }

    /// Ends it at once, as a signal does or the power.
    pub async fn kill(self) {
        let Self { running, hub, .. } = self;
        drop(hub);
        running.abort();
        let _ = running.await;
    }

    /// Whether it goes on and on while no time goes by.
    pub fn spins(&self) -> bool {
        self.gate.borrow().spins
    }

    /// It gets no time from now on, or gets it again.
    pub fn stall(&self, stalled: bool) {
        let mut gate = self.gate.borrow_mut();
        gate.closed = stalled || gate.spins;
        gate.waiting.take().into_iter().for_each(Waker::wake);
    }
}

/// What an installer would have written.
fn settings(data_dir: &std::path::Path, setup: &Setup) -> Result<Settings, String> {
    let sinks = SINKS.into_iter().zip(setup.late).map(|(name, late)| {
        let plugin = if name == "siren" { "gpio" } else { "email" };
        json!({
            "name": name, "plugin": plugin, "timeout": "30s", "events": false, "late": late.word(),
            "in_flight": MAX_IN_FLIGHT,
        })
    });
    let sinks: Vec<_> = sinks.collect();
    let connection = |name: &str, email: &str| {
        json!({
            "name": name, "url": "http://192.168.1.20:8000",
            "login": {"email": email, "password": {"inline": "secret"}},
            "write_back": setup.write_back, "intake_buffer": INTAKE_BUFFER,
        })
    };
    let [own, other] = if setup.second_account {
        [OWNER, OPENER]
    } else {
        [OPENER, OWNER]
    };
    let mut connections = vec![connection(CONNECTION, own)];
    if setup.both_accounts {
        connections.push(connection("other", other));
    }
    let settings = json!({
        "hub": {"data_dir": data_dir},
        "connection": connections,
        "store": {"segment_size": "1MiB"},
        "sink": sinks,
    });
    serde_json::from_value(settings).map_err(|e| e.to_string())
}
