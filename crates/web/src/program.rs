//! What the control socket needs of the program around the hub.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use watchpost_core::UnixMillis;
use watchpost_hub::{Applied, HubStatus};

/// The program that the hub runs in.
pub trait Program: Send + Sync + 'static {
    /// How it is.
    fn status(&self) -> ProgramStatus;

    /// Has the hub go by its configuration as that is now. The future ends when it does, or when it is known why not.
    fn reload(&self) -> Reloading;
}

/// A reload that is being made.
pub type Reloading = BoxFuture<'static, Result<Reloaded, NotReloaded>>;

/// How the program around the hub is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// Lines of the log since the start that standard error did not take.
    pub lost_log_lines: u64,
    /// The files of programs that were replaced since they were started: the old ones run until the hub is restarted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<String>,
    /// The configuration that the hub goes by.
    #[serde(default)]
    pub configuration: ConfigurationStatus,
}

/// The configuration that the hub goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationStatus {
    /// Its main file.
    pub file: String,
    /// When it was read.
    pub read_at: UnixMillis,
    /// Whether its files are others by now.
    pub outdated: bool,
    /// The last reload, if it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedReload>,
}

/// A reload that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReload {
    /// When it was asked for.
    pub at: UnixMillis,
    /// What was wrong.
    pub why: String,
}

/// The answer to `POST /v1/reload`: the hub goes by the configuration as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The main file of the configuration.
    pub file: String,
    /// Which connections and sinks are added, changed and removed.
    #[serde(flatten)]
    pub applied: Applied,
    /// The tables that are changed, such as `[[route]]`.
    #[serde(default)]
    pub tables: Vec<String>,
    /// What had better be corrected, each with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The hub goes by the configuration that it had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotReloaded {
    /// What was wrong, in a sentence.
    pub why: String,
    /// Each mistake with its place, for people to read.
    pub reports: Vec<String>,
}

/// The answer to `GET /v1/status`: one document of both.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// How the hub is.
    #[serde(flatten)]
    pub hub: HubStatus,
    /// How the program around it is.
    #[serde(flatten)]
    pub program: ProgramStatus,
}
