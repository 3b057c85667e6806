//! What the parts of the hub are made from, and how each is put together: all the wiring on one screen.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use watchpost_core::AlertIds;
use watchpost_sinkhost_client::{Cgroups, Conduct};

use crate::arming::{Arming, LiveAreas};
use crate::blueprint::{ConnectionPlan, SinkPlan};
use crate::clock::Clock;
use crate::current::CurrentSettings;
use crate::guard::Deaths;
use crate::health::Health;
use crate::notifier::SinkNotifiers;
use crate::platform::Platform;
use crate::sandbox::UserOfSink;
use crate::sink::{Panel, PluginLauncher, RunningSink, SinkParts, StoreBacklog};
use crate::source::inbound::{Inbound, InboundHandle, InboundHandles, InboundParts};
use crate::source::visionguard::{self, ConnectionParts};
use crate::source::{Source, SourceParts, Unstored};
use crate::store::{Readers, StoreHandle};

/// What lives as long as the hub, whatever its configuration becomes.
pub(crate) struct Wiring {
    pub(crate) clock: Clock,
    pub(crate) settings: CurrentSettings,
    pub(crate) store: StoreHandle,
    pub(crate) readers: Readers,
    pub(crate) ids: Arc<AlertIds>,
    pub(crate) notifiers: SinkNotifiers,
    pub(crate) inbound: InboundHandles,
    /// Where the areas stand, for who shows it.
    pub(crate) areas: LiveAreas,
    /// To try a code takes memory: one at a time.
    pub(crate) codes: Arc<Semaphore>,
    /// What sources have given to the store, and is not on disk yet.
    pub(crate) unstored: Unstored,
    pub(crate) platform: Arc<dyn Platform>,
    /// The program that runs plugins, `watchpost-sinkhost`.
    pub(crate) host_binary: Arc<PathBuf>,
    /// What sinks are limited by together with all that they start.
    pub(crate) cgroups: Cgroups,
    /// How all parts are.
    pub(crate) health: Health,
    /// By which the supervisor learns that an actor has died.
    pub(crate) deaths: Deaths,
}

impl Wiring {
    /// Starts a source.
    pub(crate) fn start_source(&self, plan: ConnectionPlan) -> Box<dyn Source> {
        let ConnectionPlan { settings, backend } = plan;
        let shared = SourceParts {
            settings: self.settings.clone(),
            clock: self.clock,
            store: self.store.clone(),
            readers: self.readers.clone(),
            ids: Arc::clone(&self.ids),
            platform: Arc::clone(&self.platform),
            health: self.health.clone(),
            unstored: self.unstored.clone(),
            deaths: self.deaths.clone(),
        };
        let Some(backend) = backend else {
            let handle = InboundHandle::new(settings);
            self.inbound.put(handle.clone());
            return Inbound::launch(InboundParts { handle, shared });
        };
        visionguard::start(ConnectionParts {
            settings,
            backend,
            shared,
        })
    }

    /// What arms and disarms.
    pub(crate) fn arming(&self) -> Arming {
        Arming {
            store: self.store.clone(),
            readers: self.readers.clone(),
            settings: self.settings.clone(),
            clock: self.clock,
            ids: Arc::clone(&self.ids),
            threads: self.platform.threads(),
            live: self.areas.clone(),
            codes: Arc::clone(&self.codes),
        }
    }

    /// Starts a sink.
    pub(crate) fn start_sink(&self, plan: SinkPlan) -> Box<RunningSink> {
        let threads = self.platform.threads();
        let launcher = self.platform.launcher(&plan.settings);
        let launcher = launcher.unwrap_or_else(|| Arc::new(self.plugin_launcher(&plan)));
        let name = &plan.settings.name;
        let backlog = StoreBacklog::new(
            name,
            plan.zone.clone(),
            self.store.clone(),
            self.readers.clone(),
            threads,
        );
        RunningSink::start(SinkParts {
            notifier: self.notifiers.of(name),
            clock: self.clock,
            backlog: Arc::new(backlog),
            panel: Panel::new(&plan.settings, self.arming()),
            launcher,
            settings: plan.settings,
            threads,
            health: self.health.clone(),
            deaths: self.deaths.clone(),
        })
    }

    fn plugin_launcher(&self, plan: &SinkPlan) -> PluginLauncher {
        let current = self.settings.clone();
        PluginLauncher {
            settings: Arc::clone(&plan.settings),
            plugin_dirs: Arc::new(move || current.get().hub.plugin_dirs.clone()),
            host_binary: Arc::clone(&self.host_binary),
            cgroups: self.cgroups.clone(),
            conduct: Conduct::default(),
            state_dir: Arc::new(plan.state_dir.clone()),
            own_port: plan.own_port,
            user: UserOfSink::default(),
        }
    }
}
