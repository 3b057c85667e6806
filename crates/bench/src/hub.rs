//! The hub under measurement: the released binary, configured by a file, asked over its command line.
//!
//! It refuses to know anything of the hub's inside: what an installer cannot use is not used here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::firehose::{Firehose, TOKEN};
use crate::lab::{ARCHIVE, Lab};
use crate::payload::USER_ID;
use crate::process::Process;
use crate::procfs;

/// How long the hub may take to connect.
const CONNECT: Duration = Duration::from_secs(20);

/// How often the state of the hub is asked for while waiting.
const POLL: Duration = Duration::from_millis(50);

/// A sink to configure.
#[derive(Clone, Debug)]
pub(crate) enum Sink {
    /// The archive plugin, writing into [`ARCHIVE`] below the scratch directory.
    Archive,
    /// A plugin without configuration.
    Plugin(PathBuf),
    /// A plugin of the product, by its name, with more lines for its `[[sink]]`.
    Bundled(&'static str, String),
    /// A plugin beside the one that is measured, by its name. No one waits for it, for most of them misbehave.
    Neighbour(&'static str, PathBuf),
    /// The plugin of the red team, in one of its ways. No one waits for it.
    RedTeam(&'static str, PathBuf),
}

impl Sink {
    /// What it is called in the configuration.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Plugin(_) => "stopwatch",
            Self::Bundled(name, _) | Self::Neighbour(name, _) | Self::RedTeam(name, _) => name,
        }
    }
}

/// A running hub, connected to a firehose.
#[derive(Debug)]
pub(crate) struct Hub {
    process: Process,
    program: PathBuf,
    config: PathBuf,
    dir: PathBuf,
    /// The sinks that are waited for.
    working: Vec<&'static str>,
    /// From its start until the server had shaken hands.
    pub(crate) start_to_connected: Duration,
}

/// What the hub says of itself, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) connections: Vec<ConnectionStatus>,
    pub(crate) store: StoreStatus,
    pub(crate) sinks: Vec<SinkStatus>,
}

impl Status {
    /// Alerts that came over the connection and were stored. The store has the hub's own events too.
    pub(crate) fn stored(&self) -> u64 {
        self.connections
            .iter()
            .map(|connection| connection.counters.stored)
            .sum()
    }
}

/// Of its connection.
#[derive(Debug, Deserialize)]
pub(crate) struct ConnectionStatus {
    pub(crate) counters: Counters,
}

/// What came over it.
#[derive(Debug, Deserialize)]
pub(crate) struct Counters {
    pub(crate) stored: u64,
}

/// Of its store.
#[derive(Debug, Deserialize)]
pub(crate) struct StoreStatus {
    pub(crate) alerts: u64,
}

/// Of one sink.
#[derive(Debug, Deserialize)]
pub(crate) struct SinkStatus {
    name: String,
    state: String,
    deliveries: Deliveries,
}

/// How many deliveries stand in each state.
#[derive(Debug, Deserialize)]
struct Deliveries {
    #[serde(default)]
    delivered: u64,
}

impl Hub {
    /// Starts a hub in a directory, which may hold the data of an earlier one, and waits until it has connected and all
    /// its sinks are ready.
    pub(crate) fn start(lab: &Lab, dir: &Path, firehose: &Firehose, sinks: &[Sink]) -> Result<Self> {
        let config = dir.join("watchpost.toml");
        for way in sinks.iter().filter(|sink| matches!(sink, Sink::RedTeam(..))) {
            let state_dir = data_dir(dir).join("sinks").join(way.name());
            std::fs::create_dir_all(&state_dir)?;
            std::fs::write(state_dir.join("report"), "")?;
        }
        // What a sink may write to has to be there.
        std::fs::create_dir_all(dir.join(ARCHIVE))?;
        std::fs::write(&config, configuration(lab, dir, firehose, sinks))?;
        let program = lab.built("watchpost")?;
        lab.built("watchpost-sinkhost")?;
        let mut command = Command::new(&program);
        command.arg("run").arg("--config").arg(&config);
        let process = Process::start(&mut command, &dir.join("hub.log"))?;
        let connected = firehose
            .wait_connected(CONNECT)
            .with_context(|| format!("the hub's log ends with:\n{}", process.log_tail()))?;
        let start_to_connected = connected.duration_since(process.started);
        let hub = Self {
            process,
            program,
            config,
            dir: dir.to_owned(),
            working: sinks
                .iter()
                .filter(|sink| !matches!(sink, Sink::Neighbour(..) | Sink::RedTeam(..)))
                .map(Sink::name)
                .collect(),
            start_to_connected,
        };
        hub.wait_for("its sinks are ready", CONNECT, |status| {
            status.sinks.iter().all(|sink| sink.state == "running")
        })?;
        Ok(hub)
    }

    /// What `watchpost status` says.
    pub(crate) fn status(&self) -> Result<Status> {
        let output = Command::new(&self.program)
            .args(["status", "--json", "--config"])
            .arg(&self.config)
            .output()
            .context("`watchpost status` did not start")?;
        ensure!(
            output.status.success(),
            "`watchpost status` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("`watchpost status --json` said something unexpected")
    }

    /// Waits until the hub's state is as wanted.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        at_most: Duration,
        is_so: impl Fn(&Status) -> bool,
    ) -> Result<()> {
        let began = Instant::now();
        loop {
            let status = self.status();
            match &status {
                Ok(status) if is_so(status) => return Ok(()),
                _ if began.elapsed() < at_most => thread::sleep(POLL),
                _ => bail!(
                    "waited {at_most:?} until {what}; the last status was {status:?}, the log ends with:\n{}",
                    self.process.log_tail()
                ),
            }
        }
    }

    /// Waits until every sink has delivered so many alerts.
    pub(crate) fn wait_delivered(&self, alerts: u64) -> Result<()> {
        /// A sink that needs longer than this behind a flood does not keep up.
        const CATCH_UP: Duration = Duration::from_secs(120);
        self.wait_for(&format!("{alerts} alerts are delivered"), CATCH_UP, |status| {
            status
                .sinks
                .iter()
                .filter(|sink| self.working.contains(&sink.name.as_str()))
                .all(|sink| sink.deliveries.delivered >= alerts)
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A figure of its process and all its children together.
    pub(crate) fn family_sum<T: std::iter::Sum>(&self, figure: impl Fn(u32) -> Result<T>) -> Result<T> {
        procfs::family(self.pid())?.into_iter().map(figure).sum()
    }

    /// Where the archive plugin puts its files.
    pub(crate) fn archive_dir(&self) -> PathBuf {
        self.dir.join(ARCHIVE)
    }

    /// Ends it as systemd would.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.terminate()
    }
}

/// Where a hub started in this directory keeps its data.
pub(crate) fn data_dir(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// The defaults of the product, but for what has to be said. The log is as quiet as a service's would be, and retention
/// must not remove what a flood is measured against.
fn configuration(lab: &Lab, dir: &Path, firehose: &Firehose, sinks: &[Sink]) -> String {
    let quoted = |path: &Path| format!("{:?}", path.to_string_lossy());
    let mut toml = format!(
        "[hub]\ndata_dir = {}\nplugin_dirs = [{}]\nlog = \"warn\"\n\n\
         [store]\nmax_size = \"1TiB\"\n\n\
         [[connection]]\nname = \"bench\"\nurl = \"{}\"\nuser_id = \"{USER_ID}\"\ntoken = \"{TOKEN}\"\n",
        quoted(&data_dir(dir)),
        quoted(lab.plugin_dir()),
        firehose.url(),
    );
    for sink in sinks {
        // Writing into a string cannot fail.
        let _ = match sink {
            Sink::Archive => write!(
                toml,
                "\n[[sink]]\nname = \"archive\"\nplugin = \"archive\"\n\
                 [sink.sandbox]\nwrite = [{archive}]\n[sink.config]\ndir = {archive}\n",
                archive = quoted(&dir.join(ARCHIVE))
            ),
            Sink::Bundled(name, lines) => {
                write!(
                    toml,
                    "\n[[sink]]\nname = \"{name}\"\nplugin = \"{name}\"\n{lines}"
                )
            }
            Sink::Neighbour(name, file) => {
                write!(
                    toml,
                    "\n[[sink]]\nname = \"{name}\"\nplugin = {}\ntimeout = \"1s\"\n\
                     retry = {{ initial = \"100ms\", max = \"2s\" }}\n[sink.sandbox]\nmemory = \"64MiB\"\nexec = {}\n",
                    quoted(file),
                    // A fork bomb that may start processes is the worse one.
                    *name == "forkbomb"
                )
            }
            Sink::RedTeam(way, file) => {
                // It tries none of its deeds, for it finds a report that says that it has.
                write!(
                    toml,
                    "\n[[sink]]\nname = \"{way}\"\nplugin = {}\ntimeout = \"1s\"\n\
                     retry = {{ initial = \"100ms\", max = \"2s\" }}\n[sink.sandbox]\nmemory = \"64MiB\"\n\
                     [sink.config]\nway = \"{way}\"\nvictim = {nowhere}\nconfig = {nowhere}\ndata = {nowhere}\n\
                     local = \"none\"\nbystander = \"0\"\nport = \"0\"\nhub_port = \"0\"\n",
                    quoted(file),
                    nowhere = quoted(&dir.join("nowhere")),
                )
            }
            Sink::Plugin(file) => {
                write!(
                    toml,
                    "\n[[sink]]\nname = \"stopwatch\"\nplugin = {}\n",
                    quoted(file)
                )
            }
        };
    }
    toml
}
