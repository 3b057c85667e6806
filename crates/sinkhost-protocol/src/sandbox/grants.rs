//! What a site allows one sink's plugin. Knows neither the configuration's format nor how it is enforced.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Private memory of a plugin's process unless the site says otherwise, in bytes.
///
/// A sink that re-encodes a picture of 8 MB holds about 100 MB for a moment.
pub const DEFAULT_MEMORY_BYTES: u64 = 256 << 20;

/// Descriptors a plugin's process may have open unless the site says otherwise.
///
/// Up to 256 of them are pictures on their way from the hub, which the plugin does not see as such; a sink that keeps
/// a batch of 64 files open still fits. With fewer than that the process may fail to take in its alerts.
pub const DEFAULT_OPEN_FILES: u64 = 512;

/// What the plugin of one sink may do, as granted by the site.
///
/// Made by the hub from `[sink.sandbox]`, sent to the child, put in force there. Whatever
/// is not named is refused. Always allowed are the things without which no library loads and no name resolves: the
/// system's libraries, certificates, time zones and resolver files, and the process's own entry in `/proc`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grants {
    /// Files to read, and directories to read with all that is below them. Each must exist when the sink starts. The
    /// plugin's own file belongs here.
    ///
    /// The rule goes with the file and not with its name: a file that is replaced while the sink runs is out of reach
    /// until the sink is restarted, for which the hub looks.
    pub read: Vec<PathBuf>,
    /// The same to read, write, create, rename and delete; for a device also to control it (`ioctl`). Programs in
    /// there cannot be run. The sink's `state_dir` belongs here.
    pub write: Vec<PathBuf>,
    /// TCP ports, of any machine, that may be connected to.
    ///
    /// Any grant here or in `bind_tcp` opens UDP too, on every port: name look-ups need it, and Linux before 7.2
    /// cannot tell one UDP port from another. Without any grant there is no network at all.
    pub connect_tcp: Ports,
    /// TCP ports that may be listened on.
    pub bind_tcp: Ports,
    /// TCP ports that may neither be connected to nor listened on, whatever is granted: the hub's own. No kernel tells one
    /// machine from another, so they are closed on all.
    pub closed_tcp: Vec<u16>,
    /// Whether local (Unix domain) sockets may be used, such as those of D-Bus, syslog or a container engine. What
    /// answers there may be privileged, and no kernel before 7.1 can tell one path from another.
    pub unix_sockets: bool,
    /// Whether other programs may be started. Those in the system's directories and in `read` can then be run. They
    /// live in the same sandbox.
    pub exec: bool,
    /// Whether the plugin may report that a person has acknowledged an alert, once a call.
    pub acknowledge: bool,
    /// Whether the plugin may ask to arm and disarm areas, and gets to know how they are armed.
    pub arm: bool,
    /// Most bytes of private memory (heap, stacks, private writable mappings: `RLIMIT_DATA`); more is a failed
    /// allocation. Pictures from the hub are shared memory and do not count. `None`: no limit.
    pub memory_bytes: Option<u64>,
    /// Most descriptors open at the same time (`RLIMIT_NOFILE`), pictures that wait for the plugin among them; more is
    /// `EMFILE`. `None`: no limit of its own.
    pub open_files: Option<u64>,
    /// Most bytes of a file that it writes (`RLIMIT_FSIZE`); more is `EFBIG`. `None`: no limit.
    pub file_bytes: Option<u64>,
    /// Most tasks, that is processes and threads, of the *user* (`RLIMIT_NPROC`). The kernel counts all that this user
    /// runs, the hub and other sinks with it, and does not count at all for root. So it only makes sense with a user
    /// of its own; without `exec` no process can be started anyway, and `memory_bytes` bounds the stacks of threads.
    pub processes: Option<u64>,
    /// The user to run as; possible only where the hub runs as root.
    pub user: Option<RunAs>,
    /// Refuse to start unless every part of the sandbox holds on this kernel.
    pub require: bool,
}

/// TCP ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ports {
    /// These and no others. Empty: none.
    Only(Vec<u16>),
    /// Every port.
    Any,
}

/// A user by number; names are the hub's to look up, for that takes files the sandbox hides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// The user's number.
    pub uid: u32,
    /// Its main group's number.
    pub gid: u32,
    /// Further groups, such as `gpio` or `dialout`.
    pub groups: Vec<u32>,
}

impl Grants {
    /// What a sink without a `[sink.sandbox]` gets: its plugin's file to read, its `state_dir` to write to, no
    /// network, no programs, the default limits.
    #[must_use]
    pub fn for_sink(plugin: &Path, state_dir: &Path) -> Self {
        Self {
            read: vec![plugin.into()],
            write: vec![state_dir.into()],
            ..Self::default()
        }
    }

    /// Whether any use of the network is granted.
    #[must_use]
    pub fn network(&self) -> bool {
        !self.connect_tcp.is_none() || !self.bind_tcp.is_none()
    }
}

impl Default for Grants {
    /// Nothing granted, the default limits.
    fn default() -> Self {
        Self {
            read: Vec::new(),
            write: Vec::new(),
            connect_tcp: Ports::default(),
            bind_tcp: Ports::default(),
            closed_tcp: Vec::new(),
            unix_sockets: false,
            exec: false,
            acknowledge: false,
            arm: false,
            memory_bytes: Some(DEFAULT_MEMORY_BYTES),
            open_files: Some(DEFAULT_OPEN_FILES),
            file_bytes: None,
            processes: None,
            user: None,
            require: false,
        }
    }
}

impl Ports {
    /// The ports without those in `closed`; `None` when there is nothing to limit.
    #[must_use]
    pub fn without(&self, closed: &[u16]) -> Option<Vec<u16>> {
        let open = |port: &u16| !closed.contains(port);
        match self {
            Self::Only(ports) => Some(ports.iter().copied().filter(open).collect()),
            Self::Any if closed.is_empty() => None,
            Self::Any => Some((0..=u16::MAX).filter(open).collect()),
        }
    }

    /// Whether no port is granted.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Only(ports) if ports.is_empty())
    }
}

impl Default for Ports {
    /// None.
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}
