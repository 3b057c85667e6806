//! Starts `watchpost-sinkhost` for a sink, and translates how a call ended.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::ResponseFuture;
use tracing::warn;
use watchpost_config::SinkSettings;
use watchpost_core::Outcome;
use watchpost_sinkhost_client::{Cgroups, Host, Launch, Note};

use super::child::{Launched, Launcher};
use super::granted::GrantedFiles;
use super::quota;
use crate::plugins::find_plugin;
use crate::sandbox::grants;

/// How long a plugin may take to be created. A mail server that is down must not matter here, but a card
/// reader may have to be found.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

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
    /// Where its processes are limited together.
    pub(crate) cgroups: Cgroups,
}

impl Launcher for PluginLauncher {
    fn launch(&self) -> ResponseFuture<Result<Launched, String>> {
        let (parts, measured) = (self.clone(), self.clone());
        Box::pin(async move {
            let measure = tokio::task::spawn_blocking(move || measured.over_quota(None));
            match measure.await.map_err(|panic| panic.to_string())? {
                Some(why) => Err(format!("the plugin is not started because {why}")),
                None => launch(parts).await,
            }
        })
    }

    fn over_quota(&self, process: Option<u32>) -> Option<String> {
        quota::exceeded(&self.state_dir, process, self.settings.sandbox.state_quota)
    }
}

async fn launch(parts: PluginLauncher) -> Result<Launched, String> {
    let PluginLauncher {
        settings,
        plugin_dirs,
        host_binary,
        state_dir,
        own_port,
        cgroups,
    } = parts;
    let plugin = find_plugin(&settings.plugin, &plugin_dirs()).map_err(|e| e.to_string())?;
    let grants = grants(&settings.sandbox, &plugin, &state_dir, own_port)?;
    if let Some(user) = &grants.user {
        let given = chown(state_dir.as_path(), Some(user.uid), Some(user.gid));
        given.map_err(|e| format!("cannot give {} to its user: {e}", state_dir.display()))?;
    }
    // Before it starts: what is replaced meanwhile may be another than it was granted.
    let granted = GrantedFiles::now(&grants, &plugin);
    let launch = Launch {
        host_binary: host_binary.to_path_buf(),
        plugin,
        instance: settings.name.clone(),
        state_dir: state_dir.to_path_buf(),
        config_json: settings.config.to_string(),
        hub_version: env!("CARGO_PKG_VERSION").to_owned(),
        grants,
        create_timeout: CREATE_TIMEOUT,
        cgroups,
    };
    let (host, events) = Host::start(launch).await.map_err(|e| e.to_string())?;
    if !host.enforced().is_complete() {
        warn!(sink = %settings.name, "{}", host.enforced());
    }
    Ok(Launched {
        child: Box::new(host),
        events: Box::pin(events),
        granted,
    })
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
