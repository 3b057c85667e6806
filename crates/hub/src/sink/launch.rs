//! Starts `watchpost-sinkhost` for a sink, and translates how a call ended.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::ResponseFuture;
use rustix::process::{getegid, geteuid};
use tracing::{info, warn};
use watchpost_config::SinkSettings;
use watchpost_core::Outcome;
use watchpost_sinkhost_client::sandbox::RunAs;
use watchpost_sinkhost_client::{Cgroups, ChildProcesses, Conduct, Host, Launch, Note};

use super::child::{Launched, Launcher, Processes};
use super::granted::GrantedFiles;
use super::state_dir::HandedOver;
use super::{quota, state_dir};
use crate::plugins::find_plugin;
use crate::sandbox::{UserOfSink, grants};

/// How long a plugin may take to be created. A mail server that is down must not matter here, but a card
/// reader may have to be found.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is measured meanwhile what it keeps on the disk. Most are created long before that.
const MEASURE_START: Duration = Duration::from_secs(1);

/// Starts the plugin of one sink.
#[derive(Clone)]
pub(crate) struct PluginLauncher {
    pub(crate) settings: Arc<SinkSettings>,
    /// Where plugins are looked for, as that is by then.
    pub(crate) plugin_dirs: Arc<dyn Fn() -> Vec<PathBuf> + Send + Sync>,
    /// The program `watchpost-sinkhost`.
    pub(crate) host_binary: Arc<PathBuf>,
    /// Directory of the plugin's own, below the data directory.
    pub(crate) state_dir: Arc<PathBuf>,
    /// The port that the hub serves, which no plugin may reach.
    pub(crate) own_port: Option<u16>,
    /// What is kept of whom it runs as.
    pub(crate) user: UserOfSink,
    /// Where its processes are limited together.
    pub(crate) cgroups: Cgroups,
    /// How its children have used the processors.
    pub(crate) conduct: Conduct,
}

impl Launcher for PluginLauncher {
    fn launch(&self) -> ResponseFuture<Result<Launched, String>> {
        let (parts, name) = (self.clone(), self.settings.name.clone());
        Box::pin(async move {
            let watcher = parts.clone();
            let prepared = tokio::task::spawn_blocking(move || parts.prepare());
            let (launch, granted) = prepared.await.map_err(|panic| panic.to_string())??;
            let started = Host::start_watched(launch, async |child| watcher.watch(child).await);
            let (host, events) = started.await.map_err(|e| e.to_string())?;
            if !host.enforced().is_complete() {
                warn!(sink = %name, "{}", host.enforced());
            }
            Ok(Launched {
                child: Box::new(host),
                events: Box::pin(events),
                granted,
            })
        })
    }

    fn over_quota(&self, processes: &Processes) -> Option<String> {
        quota::exceeded(&self.state_dir, processes, self.settings.sandbox.state_quota)
    }
}

impl PluginLauncher {
    /// All that has to be so before the process starts. It blocks.
    fn prepare(&self) -> Result<(Launch, GrantedFiles), String> {
        if let Some(why) = self.over_quota(&Processes::default()) {
            return Err(format!("the plugin is not started because {why}"));
        }
        let (settings, state_dir) = (&self.settings, self.state_dir.as_path());
        let plugin = find_plugin(&settings.plugin, &(self.plugin_dirs)()).map_err(|e| e.to_string())?;
        let user = self.user.find(&settings.name, &settings.sandbox, state_dir)?;
        self.hand_over(user.as_ref())?;
        let grants = grants(&settings.sandbox, &plugin, state_dir, self.own_port, user);
        // Before it starts: what is replaced meanwhile may be another than it was granted.
        let granted = GrantedFiles::now(&grants, &plugin);
        let launch = Launch {
            host_binary: self.host_binary.to_path_buf(),
            plugin,
            instance: settings.name.clone(),
            state_dir: state_dir.to_path_buf(),
            config_json: settings.config.to_string(),
            hub_version: env!("CARGO_PKG_VERSION").to_owned(),
            grants,
            create_timeout: CREATE_TIMEOUT,
            cgroups: self.cgroups.clone(),
            conduct: self.conduct.clone(),
        };
        Ok((launch, granted))
    }

    /// Measures what a starting plugin keeps on the disk. Returns when that is too much, with what it is.
    async fn watch(self, child: &ChildProcesses) -> String {
        loop {
            tokio::time::sleep(MEASURE_START).await;
            let (parts, processes) = (self.clone(), child.into());
            let measured = tokio::task::spawn_blocking(move || parts.over_quota(&processes));
            if let Ok(Some(why)) = measured.await {
                return why;
            }
        }
    }

    /// Gives the sink's directory to whom it runs as, also back to the hub's own user.
    fn hand_over(&self, user: Option<&RunAs>) -> Result<(), String> {
        let sink = &self.settings.name;
        let own = RunAs {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            groups: Vec::new(),
        };
        match state_dir::hand_over(&self.state_dir, user.unwrap_or(&own)) {
            Ok(HandedOver { given: 0, shared: 0 }) => {}
            Ok(HandedOver { given, shared: 0 }) => {
                info!(%sink, "{given} of its files were another user's, and are its own again");
            }
            Ok(HandedOver { shared, .. }) => {
                let dir = self.state_dir.display();
                warn!(%sink, "{shared} files in {dir} are another user's and stay so, for they have more than one name");
            }
            Err(error) if user.is_some() => return Err(error.to_string()),
            // A hub that is not root can give nothing back.
            Err(error) => warn!(%sink, "{error}"),
        }
        Ok(())
    }
}

/// The end of a call, in the words of the domain.
pub(super) fn outcome(outcome: watchpost_sinkhost_client::Outcome, notes: &[Note]) -> Outcome {
    use watchpost_sinkhost_client::Outcome as Said;
    let note = if notes.is_empty() {
        format!("the plugin gave no reason ({outcome})")
    } else {
        notes.iter().map(Note::to_string).collect::<Vec<_>>().join("; ")
    };
    match outcome {
        Said::Ok => Outcome::Delivered,
        Said::Retry { after } => Outcome::Retry { note, after },
        Said::Permanent | Said::Unsupported => Outcome::Refused { note },
        // Neither is this alert's fault, so it is kept.
        Said::BadConfig | Said::Fatal => Outcome::Retry { note, after: None },
        Said::TimedOut => Outcome::Broken { note },
    }
}
