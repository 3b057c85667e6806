//! Puts a hub together: all the wiring on one screen.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::broadcast;
use tracing::{info, warn};
use watchpost_config::{ConnectionKind, ConnectionSettings, HubSettings, Settings, SinkSettings};
use watchpost_core::{AlertIds, Match, Route, Router, Target};
use watchpost_store::{MAX_CHANGED_ROWS, OpenReport, Retention, Store, StoreError, StoreOptions};
use watchpost_visionguard::{AddressError, Backend};

use crate::clock::Clock;
use crate::handle::{HubHandle, HubParts};
use crate::live::MAX_LAG_EVENTS;
use crate::notifier::{SinkNotifiers, WriteBackNotifier};
use crate::sink::{PluginLauncher, SinkParts, StoreBacklog};
use crate::sink_watch::SinkWatch;
use crate::source::inbound::{Inbound, InboundHandle, InboundParts};
use crate::source::visionguard::{self, ConnectionParts};
use crate::source::{Source, SourceParts};
use crate::stamp::Stamp;
use crate::store::{AlertStore, Readers, StoreHandle, StoreState, WriterParts};
use crate::supervisor::Supervisor;
use crate::watchdog::Watch;

/// Alerts whose cameras are known from the start. Those of older ones are learnt again when they are seen.
const MAX_SEEN_ALERTS: u32 = 10_000;

/// The hub could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A connection's address cannot be used.
    #[error("connection {connection}: {source}")]
    Address {
        /// Name of the connection.
        connection: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// A directory could not be made.
    #[error("cannot make the directory {}: {source}. It must be writable for the hub's user.", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A hub to be started.
#[derive(Debug)]
pub struct Hub;

impl Hub {
    /// Starts a hub with these settings, inside the running actix system. `host_binary` is the program
    /// that runs plugins, `watchpost-sinkhost`.
    ///
    /// It returns as soon as the store is open; connections and plugins come up by themselves.
    ///
    /// # Errors
    /// When the data directory or the store cannot be used, or an address is wrong. What is wrong with a
    /// plugin does not keep the hub from starting: see its status.
    pub fn start(settings: Settings, host_binary: PathBuf) -> Result<HubHandle, StartError> {
        let clock = Clock::start();
        let backends = backends(&settings)?;
        let data_dir = &settings.hub.data_dir;
        make_directory(data_dir)?;
        for sink in &settings.sink {
            make_directory(&state_dir(&settings, sink))?;
        }
        let (mut store, opened) = Store::open(store_options(&settings))?;
        log_opened(&opened);
        drop_orphans(&mut store, &settings, clock)?;
        let ids = Arc::new(AlertIds::after(opened.last_id));
        let (live, _) = broadcast::channel(MAX_LAG_EVENTS);
        let notifiers = SinkNotifiers::new(settings.sink.iter().map(|sink| sink.name.as_str()));
        let readers = Readers::new(store.reader_factory());
        let seen = store.reader_factory()()?.cameras(MAX_SEEN_ALERTS)?;
        let parts = WriterParts {
            router: router(&settings),
            stamp: Stamp::new(&settings, seen.iter().map(|seen| seen.camera.id.as_str())),
            notifiers: notifiers.clone(),
            live: live.clone(),
            write_backs: WriteBackNotifier::new(),
            ids: Arc::clone(&ids),
            clock,
        };
        let (alert_store, writer, store_state) = AlertStore::new(
            Box::new(store),
            readers.clone(),
            settings.store.group_commit,
            parts,
        );
        alert_store.start();

        let sinks = sinks(&settings, host_binary, &writer, &readers, &notifiers, clock);
        let shared = SourceParts {
            link_grace: settings.hub.link_grace.into(),
            clock,
            store: writer.clone(),
            readers: readers.clone(),
            ids: Arc::clone(&ids),
        };
        let inbound = inbound(&settings);
        let start_sources = || sources(&settings, backends, &inbound, &shared);
        let grace = settings.hub.shutdown_grace.into();
        let supervisor = Supervisor::new(clock, grace, writer.clone(), sinks, start_sources).start();
        watch_sinks(&settings, &supervisor, &writer, &readers, clock);
        watch(&settings, &supervisor, &writer, &store_state, clock);
        Ok(HubHandle::new(HubParts {
            supervisor,
            store: writer,
            store_state,
            readers,
            recent: settings.store.recent,
            opened: opened.summary(),
            started_at: clock.unix(),
            inbound,
            live,
        }))
    }
}

/// The connections that connect to a backend, with its address.
fn backends(settings: &Settings) -> Result<Vec<(Arc<ConnectionSettings>, Backend)>, StartError> {
    let connections = settings.connection.iter();
    let with_url = connections.filter_map(|connection| Some((connection, connection.url.as_deref()?)));
    with_url
        .map(|(connection, url)| match Backend::parse(url) {
            Ok(backend) => Ok((Arc::new(connection.clone()), backend)),
            Err(source) => Err(StartError::Address {
                connection: connection.name.clone(),
                source,
            }),
        })
        .collect()
}

/// Names of the connections to whose backend acknowledgements are reported.
fn writing_back(settings: &Settings) -> Vec<String> {
    let connections = settings.connection.iter();
    let writing_back = connections.filter(|connection| connection.write_back);
    writing_back.map(|connection| connection.name.clone()).collect()
}

/// Names of the sinks whose deliveries an acknowledgement cancels.
fn cancelling(settings: &Settings) -> Vec<String> {
    let sinks = settings.sink.iter();
    let cancelling = sinks.filter(|sink| sink.cancels_on_acknowledge());
    cancelling.map(|sink| sink.name.clone()).collect()
}

/// What each sink is made of, in the order of the configuration.
fn sinks(
    settings: &Settings,
    host_binary: PathBuf,
    writer: &StoreHandle,
    readers: &Readers,
    notifiers: &SinkNotifiers,
    clock: Clock,
) -> Vec<SinkParts> {
    let plugin_dirs = Arc::new(settings.hub.plugin_dirs.clone());
    let host_binary = Arc::new(host_binary);
    let parts = |sink: &SinkSettings| {
        let zone = settings.hub.time_zone();
        let backlog = StoreBacklog::new(&sink.name, zone, writer.clone(), readers.clone());
        let with_sandbox = Arc::new(with_sandbox(sink, &settings.hub));
        let launcher = PluginLauncher {
            settings: Arc::clone(&with_sandbox),
            plugin_dirs: Arc::clone(&plugin_dirs),
            host_binary: Arc::clone(&host_binary),
            state_dir: Arc::new(state_dir(settings, sink)),
            own_port: settings.own_port(),
        };
        Some(SinkParts {
            settings: with_sandbox,
            clock,
            backlog: Arc::new(backlog),
            launcher: Arc::new(launcher),
            notifier: Arc::clone(notifiers.get(&sink.name)?),
        })
    };
    settings.sink.iter().filter_map(parts).collect()
}

/// The connections that alerts are posted to.
fn inbound(settings: &Settings) -> Vec<InboundHandle> {
    let connections = settings.connection.iter();
    connections
        .filter(|connection| connection.kind == ConnectionKind::Inbound)
        .map(|connection| InboundHandle::new(Arc::new(connection.clone())))
        .collect()
}

/// Starts every source; they come in the order of the configuration.
fn sources(
    settings: &Settings,
    backends: Vec<(Arc<ConnectionSettings>, Backend)>,
    inbound: &[InboundHandle],
    shared: &SourceParts,
) -> Vec<Box<dyn Source>> {
    let visionguard = backends.into_iter().map(|(settings, backend)| {
        let (name, shared) = (settings.name.clone(), shared.clone());
        let parts = ConnectionParts {
            settings,
            backend,
            shared,
        };
        (name, visionguard::start(parts))
    });
    let inbound = inbound.iter().map(|handle| {
        let parts = InboundParts {
            handle: handle.clone(),
            shared: shared.clone(),
        };
        (handle.name().to_owned(), Inbound::launch(parts))
    });
    let mut started: HashMap<_, _> = visionguard.chain(inbound).collect();
    let in_order = settings.connection.iter();
    in_order
        .filter_map(|connection| started.remove(&connection.name))
        .collect()
}

/// Has a sink reported whose deliveries are overdue, for as long as the hub runs.
fn watch_sinks(
    settings: &Settings,
    supervisor: &Addr<Supervisor>,
    store: &StoreHandle,
    readers: &Readers,
    clock: Clock,
) {
    let watch = SinkWatch {
        supervisor: supervisor.clone(),
        store: store.clone(),
        readers: readers.clone(),
        sinks: settings.sink.iter().map(|sink| sink.name.clone()).collect(),
        grace: settings.hub.sink_grace.into(),
        clock,
    };
    actix::spawn(watch.run());
}

/// Has the machine watched, and a watchdog called, for as long as the hub runs.
fn watch(
    settings: &Settings,
    supervisor: &Addr<Supervisor>,
    store: &StoreHandle,
    store_state: &StoreState,
    clock: Clock,
) {
    let watch = Watch {
        supervisor: supervisor.clone(),
        store: store.clone(),
        store_state: store_state.clone(),
        data_dir: settings.hub.data_dir.clone(),
        min_free: settings.store.min_free.0,
        watchdog: settings.watchdog.clone(),
        clock,
    };
    actix::spawn(watch.run());
}

/// Where a sink may keep what it likes.
fn state_dir(settings: &Settings, sink: &SinkSettings) -> PathBuf {
    settings.hub.data_dir.join("sinks").join(&sink.name)
}

fn make_directory(path: &Path) -> Result<(), StartError> {
    // Pictures of people are in there.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StartError::Directory {
        path: path.to_owned(),
        source,
    })
}

/// The settings of a sink, with what is required of all. Makes the directories that it is granted within the hub's own;
/// elsewhere a missing one may be a disk that is not there, and must not be made in its place.
fn with_sandbox(sink: &SinkSettings, hub: &HubSettings) -> SinkSettings {
    let mut sink = sink.clone();
    sink.sandbox.require |= hub.require_sandbox;
    let ours = |path: &&PathBuf| path.starts_with(&hub.data_dir) && !path.exists();
    for path in sink.sandbox.write.iter().filter(ours) {
        // What cannot be made keeps the sink from starting, which says so.
        let _ = make_directory(path);
    }
    sink
}

fn log_opened(opened: &OpenReport) {
    match opened.summary() {
        Some(text) => warn!("{text}"),
        None => info!("the store is open"),
    }
}

/// Drops what waits for sinks that are no longer configured: no sink will ever take it.
fn drop_orphans(store: &mut Store, settings: &Settings, clock: Clock) -> Result<(), StoreError> {
    for name in store.waiting_sinks()? {
        if settings.sink.iter().any(|sink| sink.name == name) {
            continue;
        }
        warn!("there is no sink {name} in the configuration any more: dropping its pending deliveries");
        let reason = "the sink is no longer configured";
        while store.drop_deliveries_to(&name, reason, clock.unix())? == MAX_CHANGED_ROWS {}
    }
    Ok(())
}

fn store_options(settings: &Settings) -> StoreOptions {
    let store = &settings.store;
    StoreOptions {
        dir: settings.hub.data_dir.clone(),
        retention: Retention {
            keep_for: store.keep_for.map(Into::into),
            keep_max: store.keep_max,
            max_size: store.max_size.map(|size| size.0),
        },
        segment_size: store.segment_size.0,
        write_back: writing_back(settings),
        cancel_on_acknowledge: cancelling(settings),
    }
}

/// The routes of the configuration, in the words of the domain.
fn router(settings: &Settings) -> Router {
    let target = |sink: &SinkSettings| Target {
        name: sink.name.clone(),
        max_age: sink.max_age.map(Into::into),
        cancel_on_acknowledge: sink.cancels_on_acknowledge(),
        events: sink.gets_events(),
    };
    let route = |(number, route): (usize, &watchpost_config::RouteSettings)| Route {
        name: route
            .name
            .clone()
            .unwrap_or_else(|| format!("number {}", number + 1)),
        matches: Match {
            connections: route.matches.connection.clone(),
            kinds: route.matches.kind.clone(),
            streams: route.matches.stream.clone(),
            severity: route.matches.severity,
        },
        sinks: route.sinks.clone(),
        delay: route.delay.map(Into::into),
        stop: route.stop,
    };
    Router::new(
        settings.sink.iter().map(target).collect(),
        settings.route.iter().enumerate().map(route).collect(),
    )
}
