//! Short-lived children that only look at a plugin.

use std::path::{Path, PathBuf};

use watchpost_sinkhost_protocol::limits::INSPECT_TIMEOUT;
use watchpost_sinkhost_protocol::sandbox::Grants;
use watchpost_sinkhost_protocol::{LoadFault, PluginInfo, Task};

use crate::Error;
use crate::start::{Held, Start, Started, start};

/// Says what the plugin is. Runs its constructors and its `describe`, in a child that ends with it.
pub async fn inspect(host_binary: &Path, plugin: &Path) -> Result<PluginInfo, Error> {
    let (task, grants) = (Task::Inspect, only_looking(plugin));
    let started = look(host_binary, plugin, "inspect", task, grants).await?;
    let (mut info, description) = started.end().await;
    if let Some(text) = description {
        info.description = Some(parse_description(plugin, &text)?);
    }
    Ok(info)
}

/// Asks the plugin whether a configuration, a JSON object, is right. [`Error::Refused`] says what is not. It may read the
/// files in `readable`, all of which have to be there, and do nothing else.
pub async fn validate(
    host_binary: &Path,
    plugin: &Path,
    config_json: &str,
    readable: &[PathBuf],
) -> Result<(), Error> {
    let task = Task::Validate {
        config: config_json.to_owned(),
    };
    let mut grants = only_looking(plugin);
    grants.read.extend_from_slice(readable);
    let started = look(host_binary, plugin, "validate", task, grants).await?;
    started.end().await;
    Ok(())
}

/// Holds a configuration against a schema that the plugin has described it by, both as JSON, in a child that is ended when it
/// takes too long. [`Error::Refused`] says what is not right: with [`Outcome::BadConfig`](crate::Outcome) of the
/// configuration, with another outcome of the schema.
pub async fn check_schema(
    host_binary: &Path,
    plugin: &Path,
    schema: &str,
    config_json: &str,
) -> Result<(), Error> {
    let task = Task::CheckSchema {
        schema: schema.to_owned(),
        config: config_json.to_owned(),
    };
    let started = look(host_binary, plugin, "schema", task, only_looking(plugin)).await?;
    started.end().await;
    Ok(())
}

/// Starts a child that only looks at the plugin.
async fn look(
    host_binary: &Path,
    plugin: &Path,
    label: &str,
    task: Task,
    grants: Grants,
) -> Result<Started, Error> {
    let child = Start {
        host_binary,
        plugin,
        task,
        grants,
        label,
        timeout: INSPECT_TIMEOUT,
        held: Held::default(),
    };
    start(child).await
}

/// What a plugin gets that is only looked at: its own file.
fn only_looking(plugin: &Path) -> Grants {
    Grants {
        read: vec![plugin.into()],
        ..Grants::default()
    }
}

fn parse_description(plugin: &Path, text: &str) -> Result<serde_json::Value, Error> {
    let bad = |reason: String| Error::Load {
        path: plugin.to_owned(),
        fault: LoadFault::BadDescription { reason },
    };
    match serde_json::from_str(text) {
        Ok(description @ serde_json::Value::Object(_)) => Ok(description),
        Ok(_) => Err(bad("it is no JSON object".into())),
        Err(error) => Err(bad(format!("it is no JSON: {error}"))),
    }
}
