//! `[sink.sandbox]`: what a sink's plugin may do.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, forms};

/// `[sink.sandbox]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxSettings {
    /// Files that the plugin may read, and folders that it may read with all that is in them. Absolute, and there
    /// when the sink starts. When another file takes the place of one, the sink is restarted between two deliveries.
    #[schemars(with = "Vec<forms::AbsolutePath>")]
    pub read: Vec<PathBuf>,
    /// The same to read, write, make, rename and delete; for a device, such as `/dev/ttyUSB0`, also to control it.
    /// Folders within `data_dir` are made when they are missing, all others must be there when the sink starts.
    #[schemars(with = "Vec<forms::AbsolutePath>")]
    pub write: Vec<PathBuf>,
    /// TCP ports, of any machine, that it may connect to. Any port here or in `listen` opens UDP too, which looking
    /// up names takes. Without any there is no network.
    #[schemars(with = "forms::Ports")]
    pub connect: Ports,
    /// TCP ports that it may listen on.
    #[schemars(with = "forms::Ports")]
    pub listen: Ports,
    /// Whether it may use local (Unix) sockets, such as those of D-Bus or of a container engine. What answers there
    /// may be privileged.
    pub unix_sockets: bool,
    /// Whether it may start programs: those of the system and those in `read`. They run in the same sandbox.
    pub exec: bool,
    /// Whether it may acknowledge the alerts it is given, for instance by a button at the siren: once for each delivery.
    pub acknowledge: bool,
    /// Whether people may arm and disarm at it, for instance at the panel of Home Assistant or with a key switch, and it may know how
    /// areas are armed. Each act takes the code of a `[[person]]`, but for a panic
    /// and for what the next two keys say.
    pub arm: bool,
    /// Whether it takes no code to arm.
    pub arm_without_code: bool,
    /// Whether it takes no code to disarm: for what is a key itself, such as a key switch.
    pub disarm_without_code: bool,
    /// How much memory of its own it may have. More is refused.
    pub memory: ByteSize,
    /// How much it may keep in its own directory below `data_dir`, besides 10,000 files there. It is looked at every ten
    /// seconds: a sink over it is stopped, and not started until it keeps less. Without `write`, no file of its own can be
    /// larger than this, or than 16 MiB where this is less.
    pub state_quota: ByteSize,
    /// How many files and sockets it may have open. Up to 256 are pictures on their way to it.
    #[schemars(range(min = 64, max = 65536))]
    pub open_files: u64,
    /// The user that it runs as, by name or number, or `"dynamic"` for one that no one else is: an id without a name, which
    /// may be another after each start. Its own directory is always this user's. Only a hub that runs as root can do that,
    /// and this user must be able to reach the plugin and what is granted.
    #[schemars(with = "Option<forms::Text>")]
    pub user: Option<SinkUser>,
    /// Groups of this machine that `user` is in besides its own, by name or number: those that what is granted belongs to,
    /// such as `["gpio"]`.
    #[schemars(with = "Vec<forms::Text>")]
    pub groups: Vec<String>,
    /// Whether the sink does not start where a part of the sandbox is missing: the kernel is too old for it, or with `exec`
    /// the service has no cgroups. Otherwise `watchpost status` shows what is missing.
    pub require: bool,
}

/// Whom a sink runs as.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum SinkUser {
    /// `"dynamic"`: an id of its own.
    Dynamic,
    /// A user of the machine, by name or number.
    Named(String),
}

/// What [`SinkUser::Dynamic`] is called.
const DYNAMIC: &str = "dynamic";

/// TCP ports: `[587, 8883]` or `"any"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Ports {
    /// These and no others.
    Only(Vec<u16>),
    /// Every port.
    Any(AnyPort),
}

/// The word for every port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnyPort {
    /// `"any"`
    Any,
}

impl Ports {
    /// Every port.
    pub const ANY: Self = Self::Any(AnyPort::Any);
}

impl Default for Ports {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}

impl From<String> for SinkUser {
    fn from(word: String) -> Self {
        if word == DYNAMIC {
            Self::Dynamic
        } else {
            Self::Named(word)
        }
    }
}

impl fmt::Display for SinkUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dynamic => f.write_str(DYNAMIC),
            Self::Named(user) => f.write_str(user),
        }
    }
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            read: Vec::new(),
            write: Vec::new(),
            connect: Ports::default(),
            listen: Ports::default(),
            unix_sockets: false,
            exec: false,
            acknowledge: false,
            arm: false,
            arm_without_code: false,
            disarm_without_code: false,
            memory: ByteSize(256 << 20),
            state_quota: ByteSize(256 << 20),
            open_files: 512,
            user: None,
            groups: Vec::new(),
            require: false,
        }
    }
}
