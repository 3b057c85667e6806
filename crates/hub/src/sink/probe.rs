//! Tries a sink whose hub does not run: starts its plugin as the hub would and asks the plugin's own probe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use watchpost_config::SinkSettings;
use watchpost_core::Outcome;
use watchpost_sinkhost_client::{Cgroups, Conduct, Event};

use super::child::{Launched, Launcher as _};
use super::{LEAVE_GRACE, PluginLauncher, launch};
use crate::sandbox::UserOfSink;

/// The only call that is made.
const CALL: u64 = 1;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A delivery would work, as far as the plugin can tell.
    Works,
    /// It would not, for this reason.
    Fails(String),
    /// The plugin cannot tell without making a delivery.
    CannotTell,
}

/// Starts the plugin of a sink in its sandbox, with `state_dir` for its own files, and has it try whether a delivery
/// would work. `host_binary` is the program that runs plugins, `watchpost-sinkhost`. Not to be used while the hub runs:
/// a device would be opened twice.
///
/// # Errors
/// Why the plugin does not start.
pub async fn probe_sink(
    sink: &SinkSettings,
    plugin_dirs: &[PathBuf],
    host_binary: &Path,
    state_dir: &Path,
) -> Result<Probe, String> {
    let plugin_dirs = plugin_dirs.to_vec();
    let launcher = PluginLauncher {
        settings: Arc::new(sink.clone()),
        plugin_dirs: Arc::new(move || plugin_dirs.clone()),
        host_binary: Arc::new(host_binary.to_owned()),
        state_dir: Arc::new(state_dir.to_owned()),
        // The hub does not run.
        own_port: None,
        user: UserOfSink::default(),
        cgroups: Cgroups::none("only the hub has any"),
        conduct: Conduct::default(),
    };
    let Launched {
        child, mut events, ..
    } = launcher.launch().await?;
    let mut found = Probe::CannotTell;
    if child.probes() {
        child
            .probe(CALL, sink.timeout().into())
            .map_err(|refusal| refusal.to_string())?;
        while let Some(event) = events.next().await {
            match event {
                Event::Done { outcome, notes, .. } => {
                    found = judge(launch::outcome(outcome, &notes));
                    break;
                }
                Event::Exited(exit) => return Ok(Probe::Fails(format!("the plugin {}", exit.how))),
                _ => {}
            }
        }
    }
    child.end(LEAVE_GRACE);
    // Its last event is its exit.
    while events.next().await.is_some() {}
    Ok(found)
}

fn judge(outcome: Outcome) -> Probe {
    match outcome {
        Outcome::Delivered => Probe::Works,
        Outcome::Retry { note, .. }
        | Outcome::Refused { note }
        | Outcome::Broken { note }
        | Outcome::Poisonous { note } => Probe::Fails(note),
    }
}
