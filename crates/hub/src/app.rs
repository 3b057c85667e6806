//! Starts a hub, and has one that runs go by another configuration. There is one way for both: a hub that has just been
//! started has nothing, and is given all of its configuration.

use std::path::PathBuf;
use std::sync::Arc;

use actix::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, broadcast};
use tracing::{info, warn};
use watchpost_config::Settings;
use watchpost_core::{AlertIds, Changes, Router};
use watchpost_sinkhost_client::Cgroups;
use watchpost_store::{OpenReport, Store, StoreError};

use crate::arming::LiveAreas;
use crate::blueprint::{BadAddress, Blueprint};
use crate::clock::Clock;
use crate::current::CurrentSettings;
use crate::directories::{NoDirectory, make_directories};
use crate::guard::Deaths;
use crate::handle::{HubHandle, HubParts};
use crate::health::Health;
use crate::live::MAX_LAG_EVENTS;
use crate::notifier::{SinkNotifiers, WriteBackNotifier};
use crate::platform::{Machine, Platform};
use crate::sink_watch::SinkWatch;
use crate::source::Unstored;
use crate::source::inbound::InboundHandles;
use crate::stamp::Stamp;
use crate::store::{AlertStore, Readers, StoreHandle, StoreState, WriterParts};
use crate::supervisor::{Apply, Supervisor};
use crate::watchdog::{Watch, WatchdogState};
use crate::wiring::Wiring;

/// Alerts whose cameras are known from the start. Those of older ones are learnt again when they are seen.
const MAX_SEEN_ALERTS: u32 = 10_000;

/// The hub could not be started, or goes by the configuration that it had.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A connection's address cannot be used.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// A directory could not be made, or used.
    #[error(transparent)]
    Directory(#[from] NoDirectory),
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// These keys are another's, as JSON pointers; they take effect when the hub is started again.
    #[error("{} cannot be changed while the hub runs: restart it", .0.join(" and "))]
    NeedsRestart(Vec<&'static str>),
    /// The hub is stopping.
    #[error("the hub is stopping")]
    Stopping,
}

/// What became of a hub that was given another configuration: names, and what was done to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The connections.
    pub connections: Changes,
    /// The sinks. A sink of which other files are there, its plugin or what it is granted to read, is a changed one.
    pub sinks: Changes,
    /// The store cannot be written now: alerts are routed by the configuration before, and what is changed or removed goes
    /// on, until it can.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deferred: bool,
}

/// A hub to be started.
#[derive(Debug)]
pub struct Hub;

impl Hub {
    /// Starts a hub with these settings, inside the running actix system. `host_binary` is the program that runs plugins,
    /// `watchpost-sinkhost`.
    ///
    /// It returns as soon as the store is open; connections and plugins come up by themselves.
    ///
    /// # Errors
    /// When the data directory or the store cannot be used, or an address is wrong. What is wrong with a plugin does not
    /// keep the hub from starting: see its status.
    pub async fn start(settings: Settings, host_binary: PathBuf) -> Result<HubHandle, StartError> {
        Self::start_on(Arc::new(Machine), settings, host_binary).await
    }

    /// The same on a platform that need not be this machine.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub async fn start_on(
        platform: Arc<dyn Platform>,
        settings: Settings,
        host_binary: PathBuf,
    ) -> Result<HubHandle, StartError> {
        let blueprint = Blueprint::new(settings)?;
        make_directories(&blueprint)?;
        let hub = open(&blueprint, host_binary, platform)?;
        hub.give(blueprint).await?;
        Ok(hub)
    }
}

impl HubHandle {
    /// Has the hub go by these settings. Only what is changed is restarted: connections that are not stay open. Whatever
    /// is in flight is finished first, so what is changed or removed may go on for a while; its status shows it.
    ///
    /// # Errors
    /// As for [`Hub::start`], and when a key is changed that takes a restart of the hub. Nothing has changed then.
    pub async fn apply(&self, settings: Settings) -> Result<Applied, StartError> {
        let fixed = self.settings().needs_restart(&settings);
        if !fixed.is_empty() {
            return Err(StartError::NeedsRestart(fixed));
        }
        let blueprint = Blueprint::new(settings)?;
        make_directories(&blueprint)?;
        self.give(blueprint).await
    }

    async fn give(&self, blueprint: Blueprint) -> Result<Applied, StartError> {
        let applied = self.supervisor().send(Apply(blueprint)).await;
        applied.ok().flatten().ok_or(StartError::Stopping)
    }
}

/// Opens the store, and starts what lives as long as the hub: the writer thread, the supervisor, and what watches.
fn open(
    blueprint: &Blueprint,
    host_binary: PathBuf,
    platform: Arc<dyn Platform>,
) -> Result<HubHandle, StartError> {
    let (clock, threads) = (Clock::on(platform.wall_clock()), platform.threads());
    let (health, unstored, notifiers) = (Health::default(), Unstored::default(), SinkNotifiers::default());
    let settings = CurrentSettings::new(Arc::clone(&blueprint.settings));
    let (store, opened) = open_store(blueprint)?;
    let (live, inbound) = (broadcast::channel(MAX_LAG_EVENTS).0, InboundHandles::default());
    let (cgroups, ids) = (claim_cgroups(), Arc::new(AlertIds::after(opened.last_id)));
    let readers = Readers::new(store.reader_factory(), threads);
    let areas = LiveAreas::new();
    let parts = WriterParts {
        // Until it is given a policy, which comes before anything that it could route.
        router: Router::default(),
        has_policy: false,
        stamp: stamp(&store)?,
        notifiers: notifiers.clone(),
        live: live.clone(),
        areas: areas.clone(),
        health: health.clone(),
        write_backs: WriteBackNotifier::new(),
        ids: Arc::clone(&ids),
        clock,
    };
    let (batch, storage) = (blueprint.settings.store.group_commit, platform.storage(store));
    let (alert_store, store, store_state) = AlertStore::new(storage, readers.clone(), batch, threads, parts);
    alert_store.start();
    let wiring = Wiring {
        clock,
        settings: settings.clone(),
        store: store.clone(),
        readers: readers.clone(),
        ids,
        notifiers,
        inbound: inbound.clone(),
        areas,
        codes: Arc::new(Semaphore::new(1)),
        unstored,
        platform: Arc::clone(&platform),
        host_binary: Arc::new(host_binary),
        cgroups: cgroups.clone(),
        health: health.clone(),
        deaths: Deaths::default(),
    };
    let arming = wiring.arming();
    let supervisor = Supervisor::new(wiring).start();
    watch_sinks(&supervisor, &store, &readers, &settings, clock);
    let watchdog_state = watch(&supervisor, &store, &store_state, &settings, (clock, platform));
    Ok(HubHandle::new(HubParts {
        supervisor,
        store,
        store_state,
        watchdog_state,
        readers,
        settings,
        opened: opened.summary(),
        cgroups,
        clock,
        health,
        started_at: clock.unix(),
        inbound,
        arming,
        live,
    }))
}

/// Starts what calls the monitor.
fn watch(
    supervisor: &Addr<Supervisor>,
    store: &StoreHandle,
    store_state: &StoreState,
    settings: &CurrentSettings,
    (clock, platform): (Clock, Arc<dyn Platform>),
) -> WatchdogState {
    let watch = Watch {
        supervisor: supervisor.clone(),
        store: store.clone(),
        store_state: store_state.clone(),
        watchdog_state: WatchdogState::default(),
        settings: settings.clone(),
        clock,
        platform,
    };
    watch.start()
}

fn open_store(blueprint: &Blueprint) -> Result<(Store, OpenReport), StoreError> {
    let (store, opened) = Store::open(blueprint.store_options())?;
    log_opened(&opened);
    Ok((store, opened))
}

fn watch_sinks(
    supervisor: &Addr<Supervisor>,
    store: &StoreHandle,
    readers: &Readers,
    settings: &CurrentSettings,
    clock: Clock,
) {
    let watch = SinkWatch {
        supervisor: supervisor.clone(),
        store: store.clone(),
        readers: readers.clone(),
        settings: settings.clone(),
        clock,
    };
    actix::spawn(watch.run());
}

/// What is known of the cameras of the newest alerts.
fn stamp(store: &Store) -> Result<Stamp, StoreError> {
    let seen = store.reader_factory()()?.cameras(MAX_SEEN_ALERTS)?;
    Ok(Stamp::new(seen.iter().map(|seen| seen.camera.id.as_str())))
}

/// What is limited otherwise is no fault of the machine's.
fn claim_cgroups() -> Cgroups {
    let cgroups = Cgroups::claim();
    match cgroups.gaps().as_slice() {
        [] => info!("each sink has a cgroup of its own"),
        gaps => info!("no cgroup limits {}", gaps.join(", ")),
    }
    cgroups
}

fn log_opened(opened: &OpenReport) {
    match opened.summary() {
        Some(text) => warn!("{text}"),
        None => info!("the store is open"),
    }
}
