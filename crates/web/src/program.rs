//! What the control socket needs of the program around the hub.

use serde::{Deserialize, Serialize};
use watchpost_hub::HubStatus;

/// The program that the hub runs in.
pub trait Program: Send + Sync + 'static {
    /// How it is.
    fn status(&self) -> ProgramStatus;
}

/// How the program around the hub is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// Lines of the log since the start that standard error did not take.
    pub lost_log_lines: u64,
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
