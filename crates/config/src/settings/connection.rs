//! `[[connection]]`: where alerts come from, and how the hub keeps in touch with it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, Pace, SecretSource, TimeSpan, forms};

/// `[[connection]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSettings {
    /// What it is called in logs, alerts and routes: letters, digits, `-`, `_` and `.`, unique.
    #[schemars(with = "forms::Name")]
    pub name: String,
    /// What it is: `visionguard`, a backend that the hub connects to, or `inbound`, any program that posts alerts to
    /// `/api/v1/alerts` of `[web]`. An inbound connection has a `token`, which the program sends as Bearer, and of the
    /// other keys `max_message`, `max_picture` and `intake_buffer`.
    #[serde(default)]
    pub kind: ConnectionKind,
    /// The address of the backend, such as `http://192.168.1.20:8000` or `wss://guard.example.org`. Required but for
    /// `kind = "inbound"`.
    #[schemars(with = "Option<forms::Address>")]
    pub url: Option<String>,
    /// The id of the user whose alerts are wanted: the UUID that the backend gives at login. Not needed with
    /// `[connection.login]`.
    #[schemars(with = "Option<forms::UserId>")]
    pub user_id: Option<String>,
    /// The token that the backend gives at login. It lives an hour: a hub that should run for longer needs
    /// `[connection.login]`, or a program that replaces `token_file`, which is read at each connect.
    pub token: Option<SecretSource>,
    /// Logs in, instead of `token`: a new token is fetched whenever the old one is about to expire. Use the
    /// account that opens the cameras' streams: the backend sends an alert only to the user whose stream raised it, and
    /// to one client of that user at a time. A second account is fed from the backend's list every few seconds.
    pub login: Option<LoginSettings>,
    /// An HTTP header that is sent with every request, the WebSocket's too, for a proxy that asks for one.
    #[serde(default)]
    pub header: Vec<HeaderSettings>,
    /// A file of certificate authorities (PEM) to trust besides those of the system, for a backend with a
    /// certificate of its own making.
    #[schemars(with = "Option<forms::Path>")]
    pub ca_file: Option<PathBuf>,
    /// Whether the body poses in alerts are kept. They are large: 30 KB a person.
    #[serde(default)]
    pub keep_pose: bool,
    /// How long an attempt to connect may take, from the first packet to the open WebSocket.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: TimeSpan,
    /// The largest message that is accepted. A larger one closes the connection, which then reconnects.
    #[serde(default = "max_message")]
    pub max_message: ByteSize,
    /// The largest picture that is kept. The alert of a larger one is kept without it.
    #[serde(default = "max_picture")]
    pub max_picture: ByteSize,
    /// How much may wait in memory to be stored. What comes in beyond it is dropped without a receipt and
    /// counted.
    #[serde(default = "intake_buffer")]
    pub intake_buffer: ByteSize,
    /// When a lost connection is opened again.
    #[serde(default)]
    pub reconnect: ReconnectSettings,
    /// How a dead connection is distinguished from a quiet one.
    #[serde(default)]
    pub heartbeat: HeartbeatSettings,
    /// Whether the backend still sends this user's alerts here: it forgets a connection that looks fine, when a
    /// browser logs in as the same user for instance.
    #[serde(default)]
    pub slot: SlotSettings,
    /// Fetches what was missed while disconnected.
    #[serde(default)]
    pub backfill: BackfillSettings,
    /// Whether notices that were made over the backend's REST interface become alerts of kind `notice`. Every client
    /// that reaches the backend can make some.
    #[serde(default)]
    pub accept_notices: bool,
    /// Whether an alert that is acknowledged here, or dismissed, is marked `acknowledged` in the backend.
    #[serde(default)]
    pub write_back: bool,
    /// Whether an alert that a person marks in the backend as acknowledged, resolved or false positive is acknowledged here
    /// too: what sounds for it stops.
    #[serde(default = "yes")]
    pub read_back: bool,
}

/// The kind of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionKind {
    /// A VisionGuard backend.
    #[default]
    VisionGuard,
    /// Programs that post alerts.
    Inbound,
}

/// `[connection.login]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginSettings {
    /// The account's e-mail address, with capital letters where it has them.
    #[schemars(with = "forms::Email")]
    pub email: String,
    /// Its password.
    pub password: SecretSource,
}

/// `[[connection.header]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderSettings {
    /// Its name, such as `X-Api-Key`.
    #[schemars(with = "forms::Text")]
    pub name: String,
    /// What it says, which is never shown.
    pub secret: SecretSource,
}

/// `[connection.slot]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlotSettings {
    /// Whether it is checked at all. A backend without the answer is asked once.
    pub watch: bool,
    /// How often it is checked. For 90 s after each connect, four times as often.
    pub interval: TimeSpan,
}

/// `[connection.backfill]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackfillSettings {
    /// Whether anomalies that did not come over the connection are fetched. They become alerts that came `via`
    /// the list and have the time at which they happened; `max_age` of a sink counts from then.
    pub enabled: bool,
    /// The shops whose anomalies are wanted. Empty, those that the backend lists for the user.
    #[schemars(with = "Vec<forms::Text>")]
    pub shop_ids: Vec<String>,
    /// How often the backend's list is compared with what came. `"auto"`: every 15 seconds while alerts come as they
    /// happen, and every 4 seconds while some come through the list only, as for an account that does not open all the
    /// cameras' streams itself. Each time it is a few kilobytes where little happens.
    pub interval: Pace,
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
    /// How long a connection must stay open before the wait begins at `initial` again.
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

impl Default for SlotSettings {
    fn default() -> Self {
        Self {
            watch: true,
            interval: TimeSpan::from_secs(30),
        }
    }
}

impl Default for BackfillSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            shop_ids: Vec::new(),
            interval: Pace::Auto,
        }
    }
}

fn yes() -> bool {
    true
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
