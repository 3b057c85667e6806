//! `[watchdog]`: a monitor elsewhere that is called while all is well, and raises the alarm when the calls stop.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{SecretSource, TimeSpan};

/// `[watchdog]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchdogSettings {
    /// An address that is called (GET) each `interval` while every connection is open, the store works and every sink
    /// delivers: of Healthchecks, Uptime Kuma or the like, which raises the alarm when the calls stop. It is never
    /// shown: whoever knows it can report that all is well.
    pub ping_url: SecretSource,
    /// How often. Set the monitor's own timeout to a few times as long.
    #[serde(default = "interval")]
    pub interval: TimeSpan,
}

fn interval() -> TimeSpan {
    TimeSpan::from_secs(60)
}
