//! `[[connection]]`: a backend and how the hub keeps in touch with it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{ByteSize, SecretSource, TimeSpan, schema};

/// `[[connection]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSettings {
    /// What it is called in logs, alerts and routes: letters, digits, `-`, `_` and `.`, unique.
    #[schemars(with = "schema::Name")]
    pub name: String,
    /// The address of the backend, such as `http://192.168.1.20:8000` or `wss://guard.example.org`.
    #[schemars(with = "schema::Address")]
    pub url: String,
    /// The id of the user whose alerts are wanted: the UUID that the backend gives at login.
    #[schemars(with = "schema::UserId")]
    pub user_id: String,
    /// The token that the backend gives at login.
    pub token: SecretSource,
    /// A file of certificate authorities (PEM) to trust besides those of the system, for a backend with a
    /// certificate of its own making.
    #[schemars(with = "Option<schema::Path>")]
    pub ca_file: Option<PathBuf>,
    /// Whether the body poses in alerts are kept. They are large: 30 KB a person.
    #[serde(default)]
    pub keep_pose: bool,
    /// How long an attempt to connect may take, from the first packet to the open WebSocket.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: TimeSpan,
    /// The largest message that is accepted. A larger one closes the connection, which is then opened anew.
    #[serde(default = "max_message")]
    pub max_message: ByteSize,
    /// The largest picture that is kept. The alert of a larger one is kept without it.
    #[serde(default = "max_picture")]
    pub max_picture: ByteSize,
    /// How much may wait in memory to be stored. What comes in beyond it is dropped unacknowledged and
    /// counted.
    #[serde(default = "intake_buffer")]
    pub intake_buffer: ByteSize,
    /// When a lost connection is opened again.
    #[serde(default)]
    pub reconnect: ReconnectSettings,
    /// How a dead connection is told from a quiet one.
    #[serde(default)]
    pub heartbeat: HeartbeatSettings,
}

/// `[connection.reconnect]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReconnectSettings {
    /// How long to wait after the first failure. The wait doubles with each further one.
    pub initial: TimeSpan,
    /// The longest wait.
    pub max: TimeSpan,
    /// The share by which a wait is shorter or longer at random, so that many hubs do not come at once:
    /// 0.2 means ±20 %.
    #[schemars(range(min = 0, max = 1))]
    pub jitter: f64,
    /// How long a connection must hold before the wait begins at `initial` again.
    pub stable_after: TimeSpan,
}

/// `[connection.heartbeat]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HeartbeatSettings {
    /// How often the hub sends a ping.
    pub interval: TimeSpan,
    /// After how long without any message the connection counts as dead. Longer than `interval`.
    pub timeout: TimeSpan,
}

impl Default for ReconnectSettings {
    fn default() -> Self {
        Self {
            initial: TimeSpan::from_secs(1),
            max: TimeSpan::from_secs(30),
            jitter: 0.2,
            stable_after: TimeSpan::from_secs(10),
        }
    }
}

impl Default for HeartbeatSettings {
    fn default() -> Self {
        Self {
            interval: TimeSpan::from_secs(30),
            timeout: TimeSpan::from_secs(60),
        }
    }
}

fn connect_timeout() -> TimeSpan {
    TimeSpan::from_secs(10)
}

/// The backend's pictures reach 8 MB; their text form in a message is a third longer.
fn max_message() -> ByteSize {
    ByteSize(32 << 20)
}

fn max_picture() -> ByteSize {
    ByteSize(16 << 20)
}

fn intake_buffer() -> ByteSize {
    ByteSize(32 << 20)
}
