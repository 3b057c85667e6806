//! From the name of a plugin in the configuration to a plugin that is known to work.

use std::path::{Path, PathBuf};

use watchpost_config::nearest;
use watchpost_sinkhost_client::Error::Refused;
use watchpost_sinkhost_client::{Note, Outcome, PluginInfo};

use crate::sandbox::{Access, needs};

/// A plugin that cannot be used, or a configuration that it does not take.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// No such file in any plugin directory.
    #[error("there is no plugin `{name}`: {file} is in none of {}{}", list(.searched), suggestion(.nearest.as_deref(), .available))]
    NotFound {
        /// As the configuration names it.
        name: String,
        /// The file that was looked for.
        file: String,
        /// Where.
        searched: Vec<PathBuf>,
        /// The most similar name that does exist.
        nearest: Option<String>,
        /// All names that do.
        available: Vec<String>,
    },
    /// It cannot be loaded.
    #[error(transparent)]
    Load(#[from] watchpost_sinkhost_client::Error),
    /// The schema of its configuration is none, or takes too much to follow.
    #[error(
        "the plugin's own schema is not valid: {0}. This is a fault of the plugin: report it to its author."
    )]
    Schema(String),
    /// It does not take its `[sink.config]`.
    #[error("the plugin refuses its configuration: {}", faults(.0))]
    Config(Vec<PluginFault>),
}

/// One thing that a plugin does not like about its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFault {
    /// Where in `[sink.config]`, as a JSON pointer (RFC 6901); empty for the whole of it.
    pub pointer: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl From<Note> for PluginFault {
    fn from(note: Note) -> Self {
        Self {
            pointer: note.pointer,
            message: note.text,
        }
    }
}

/// The file of a plugin: the path itself if it is one (`./my.so`, `/opt/my.so`), or `libwatchpost_NAME.so` in the
/// first of the directories that has it.
///
/// # Errors
/// When there is none.
pub fn find_plugin(name: &str, plugin_dirs: &[PathBuf]) -> Result<PathBuf, PluginError> {
    if name.contains('/') || name.ends_with(".so") {
        return Ok(PathBuf::from(name));
    }
    let file = watchpost_sinkhost_client::plugin_file_name(name);
    let candidates = plugin_dirs.iter().map(|dir| dir.join(&file));
    if let Some(found) = candidates.into_iter().find(|path| path.exists()) {
        return Ok(found);
    }
    let there = available(plugin_dirs);
    Err(PluginError::NotFound {
        name: name.to_owned(),
        file,
        searched: plugin_dirs.to_owned(),
        nearest: nearest(name, there.iter().map(String::as_str)).map(str::to_owned),
        available: there,
    })
}

/// Loads a plugin in a child process and asks it what it is.
///
/// # Errors
/// It cannot be loaded.
pub async fn inspect_plugin(host_binary: &Path, plugin: &Path) -> Result<PluginInfo, PluginError> {
    Ok(watchpost_sinkhost_client::inspect(host_binary, plugin).await?)
}

/// Has a plugin check a configuration in a child process. For that it may read the files that the configuration names
/// and that it says it reads.
///
/// # Errors
/// What is wrong with the configuration, in the plugin's own judgement.
pub async fn validate_plugin(
    host_binary: &Path,
    plugin: &Path,
    info: &PluginInfo,
    config: &serde_json::Value,
) -> Result<(), PluginError> {
    let readable: Vec<PathBuf> = needs(info, config)
        .into_iter()
        .filter_map(|need| match need.access {
            Access::Read(path) if path.exists() && names(config, &path) => Some(path),
            _ => None,
        })
        .collect();
    match watchpost_sinkhost_client::validate(host_binary, plugin, &config.to_string(), &readable).await {
        Ok(()) => Ok(()),
        Err(Refused { notes, .. }) => Err(PluginError::Config(
            notes.into_iter().map(PluginFault::from).collect(),
        )),
        Err(error) => Err(error.into()),
    }
}

/// Holds a configuration against the schema by which the plugin describes it, in a child process.
///
/// # Errors
/// What is wrong with the configuration, or with the schema.
pub async fn check_schema(
    host_binary: &Path,
    plugin: &Path,
    schema: &serde_json::Value,
    config: &serde_json::Value,
) -> Result<(), PluginError> {
    let (schema, config) = (schema.to_string(), config.to_string());
    match watchpost_sinkhost_client::check_schema(host_binary, plugin, &schema, &config).await {
        Ok(()) => Ok(()),
        Err(Refused {
            outcome: Outcome::BadConfig,
            notes,
            ..
        }) => Err(PluginError::Config(
            notes.into_iter().map(PluginFault::from).collect(),
        )),
        Err(Refused { notes, .. }) => {
            let words: Vec<String> = notes.iter().map(ToString::to_string).collect();
            Err(PluginError::Schema(words.join("; ")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a plugin and its schema take a configuration.
///
/// # Errors
/// What is wrong with the plugin or with the configuration.
pub async fn check_plugin(
    host_binary: &Path,
    plugin: &Path,
    config: &serde_json::Value,
) -> Result<PluginInfo, PluginError> {
    let info = inspect_plugin(host_binary, plugin).await?;
    if let Some(schema) = info.schema() {
        check_schema(host_binary, plugin, schema, config).await?;
    }
    validate_plugin(host_binary, plugin, &info, config).await?;
    Ok(info)
}

/// Whether the configuration has this path somewhere: what a plugin asks for by itself is not read for it.
fn names(config: &serde_json::Value, path: &Path) -> bool {
    match config {
        serde_json::Value::String(text) => Path::new(text) == path,
        serde_json::Value::Array(items) => items.iter().any(|item| names(item, path)),
        serde_json::Value::Object(table) => table.values().any(|value| names(value, path)),
        _ => false,
    }
}

/// Names of the plugins that are there.
fn available(plugin_dirs: &[PathBuf]) -> Vec<String> {
    let entries = plugin_dirs
        .iter()
        .filter_map(|dir| dir.read_dir().ok())
        .flatten()
        .flatten();
    let (prefix, suffix) = ("libwatchpost_", ".so");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|file| Some(file.strip_prefix(prefix)?.strip_suffix(suffix)?.to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}

fn list(dirs: &[PathBuf]) -> String {
    let shown = |dir: &PathBuf| match dir.is_dir() {
        true => dir.display().to_string(),
        false => format!("{} (which is no folder that is there)", dir.display()),
    };
    let dirs: Vec<String> = dirs.iter().map(shown).collect();
    if dirs.is_empty() {
        "`hub.plugin_dirs`, which is empty".to_owned()
    } else {
        dirs.join(", ")
    }
}

fn suggestion(nearest: Option<&str>, available: &[String]) -> String {
    match nearest {
        Some(name) => format!(". Did you mean `{name}`?"),
        None if available.is_empty() => ". There is no plugin at all".to_owned(),
        None => format!(". There are {}", available.join(", ")),
    }
}

fn faults(faults: &[PluginFault]) -> String {
    let fault = |fault: &PluginFault| match fault.pointer.as_str() {
        "" => fault.message.clone(),
        pointer => format!("{pointer}: {}", fault.message),
    };
    faults.iter().map(fault).collect::<Vec<_>>().join("; ")
}
