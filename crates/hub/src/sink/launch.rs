//! Between the sink actor and `watchpost-sinkhost`: starting the child, and translating what it says.

use std::os::unix::fs::chown;
use std::time::Duration;

use tracing::{debug, error, info, warn};
use watchpost_core::Outcome;
use watchpost_sinkhost::{EventStream, Host, Launch, LogLevel, Note};

use super::SinkParts;
use crate::plugins::find_plugin;
use crate::sandbox::grants;

/// How long a plugin may take to be created. A mail server that is down must not matter here, but a card
/// reader may have to be found.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// Starts the child and waits until its plugin is ready.
pub(super) async fn launch(parts: SinkParts) -> Result<(Host, EventStream), String> {
    let plugin = find_plugin(&parts.settings.plugin, &parts.plugin_dirs).map_err(|e| e.to_string())?;
    let grants = grants(&parts.settings.sandbox, &plugin, &parts.state_dir)?;
    if let Some(user) = &grants.user {
        let given = chown(parts.state_dir.as_path(), Some(user.uid), Some(user.gid));
        given.map_err(|e| format!("cannot give {} to its user: {e}", parts.state_dir.display()))?;
    }
    let launch = Launch {
        host_binary: parts.host_binary.to_path_buf(),
        plugin,
        instance: parts.settings.name.clone(),
        state_dir: parts.state_dir.to_path_buf(),
        config_json: parts.settings.config.to_string(),
        hub_version: env!("CARGO_PKG_VERSION").to_owned(),
        grants,
        create_timeout: CREATE_TIMEOUT,
    };
    let (host, events) = Host::start(launch).await.map_err(|e| e.to_string())?;
    if !host.enforced().is_complete() {
        warn!(sink = %parts.settings.name, "{}", host.enforced());
    }
    Ok((host, events))
}

/// The end of a call, in the words of the domain.
pub(super) fn outcome(outcome: watchpost_sinkhost::Outcome, notes: &[Note]) -> Outcome {
    use watchpost_sinkhost::Outcome as Said;
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

/// Passes on what the plugin has to say.
pub(super) fn log(sink: &str, level: LogLevel, text: &str) {
    match level {
        LogLevel::Error => error!(sink, "{text}"),
        LogLevel::Warn => warn!(sink, "{text}"),
        LogLevel::Info => info!(sink, "{text}"),
        LogLevel::Debug => debug!(sink, "{text}"),
    }
}
