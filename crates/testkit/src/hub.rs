//! A hub as a process: a configuration in a temporary directory, `watchpost run`, and the questions an operator asks.

use std::os::unix::fs::{FileExt as _, lchown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value as Json;
use tempfile::TempDir;
use toml::{Table, Value, toml};

use crate::process::{Process, Signal};
use crate::wait::{PATIENCE, eventually};
use crate::{Backend, artefacts};

/// A hub that has not been started: its directory and its configuration.
///
/// The directory holds `watchpost.toml` and `data`, and is removed with the hub. A test may keep its own files in it.
#[derive(Debug)]
pub struct HubSetup {
    dir: TempDir,
    config: Table,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
    /// The program, where it is not the one that was built.
    program: Option<PathBuf>,
    /// User and group number to run as.
    user: Option<u32>,
}

impl HubSetup {
    /// An empty configuration that knows its data directory and where the plugins are.
    pub fn new() -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("watchpost-")
            .tempdir()
            .context("no temporary directory")?;
        let data_dir = text(&dir.path().join("data"))?;
        let plugin_dir = text(artefacts()?.plugin_dir()?)?;
        let config = toml! {
            [hub]
            data_dir = data_dir
            plugin_dirs = [plugin_dir]
        };
        Ok(Self {
            dir,
            config,
            environment: Vec::new(),
            wrapper: Vec::new(),
            program: None,
            user: None,
        })
    }

    /// Copies the programs and these plugins (by package, such as `watchpost-archive`) to where they are when they are
    /// installed, below the temporary directory, and runs those.
    pub fn installed(mut self, plugins: &[&str]) -> Result<Self> {
        let root = self.dir().join("usr");
        let (bin, lib) = (root.join("bin"), root.join("lib/watchpost/plugins"));
        for dir in [&bin, &lib] {
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let built = artefacts()?;
        let programs = ["watchpost", "watchpost-sinkhost"];
        for from in programs.iter().map(|name| built.binary(name)) {
            copy_into(&bin, from?)?;
        }
        for from in plugins.iter().map(|name| built.plugin(name)) {
            copy_into(&lib, from?)?;
        }
        self.config["hub"]["plugin_dirs"] = Value::from(vec![text(&lib)?]);
        self.program = Some(bin.join("watchpost"));
        Ok(self)
    }

    /// Runs it as this user, to whom all of the temporary directory is given then. That takes root.
    #[must_use]
    pub fn run_as(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// The temporary directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The hub's data directory, whether the hub has made it yet or not.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// The configuration that [`Self::write`] writes.
    #[must_use]
    pub fn config(&self) -> &Table {
        &self.config
    }

    /// The configuration file, written by [`Self::write`].
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.dir().join("watchpost.toml")
    }

    /// Adds configuration: tables are merged, arrays appended to, and everything else replaced.
    ///
    /// ```no_run
    /// # fn main() -> anyhow::Result<()> {
    /// use watchpost_testkit::{HubSetup, toml};
    ///
    /// let setup = HubSetup::new()?.with(toml! {
    ///     [store]
    ///     recent = 10
    /// });
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with(mut self, more: Table) -> Self {
        merge(&mut self.config, more);
        self
    }

    /// Takes this as the whole configuration.
    #[must_use]
    pub fn configured(mut self, config: Table) -> Self {
        self.config = config;
        self
    }

    /// Adds a `[[connection]]` to a simulated backend.
    pub fn connection(self, name: &str, backend: &Backend) -> Result<Self> {
        self.connection_with(name, backend, Table::new())
    }

    /// Adds a `[[connection]]` to a simulated backend with further keys, which win over those of this method.
    pub fn connection_with(self, name: &str, backend: &Backend, more: Table) -> Result<Self> {
        let (url, user_id, token) = (backend.url(), backend.ready("user_id")?, backend.ready("token")?);
        let mut connection = toml! {
            name = name
            url = url
            user_id = user_id
            token = token
        };
        connection.extend(more);
        Ok(self.with(toml! { connection = [connection] }))
    }

    /// Adds a `[[sink]]` with its `[sink.config]`, which may write all over the temporary directory.
    #[must_use]
    pub fn sink(self, name: &str, plugin: &str, config: Table) -> Self {
        let dir = self.dir().display().to_string();
        self.sink_within(name, plugin, toml! { write = [dir] }, config)
    }

    /// The same with further keys of `[[sink]]`.
    #[must_use]
    pub fn sink_with(self, name: &str, plugin: &str, config: Table, keys: Table) -> Self {
        let mut setup = self.sink(name, plugin, config);
        if let Some(sink) = setup.config["sink"]
            .as_array_mut()
            .and_then(|sinks| sinks.last_mut())
            && let Some(sink) = sink.as_table_mut()
        {
            sink.extend(keys);
        }
        setup
    }

    /// Adds a `[[sink]]` with its `[sink.sandbox]` and `[sink.config]`.
    #[must_use]
    pub fn sink_within(self, name: &str, plugin: &str, sandbox: Table, config: Table) -> Self {
        self.with(toml! {
            [[sink]]
            name = name
            plugin = plugin
            sandbox = sandbox
            config = config
        })
    }

    /// Sets variables in the environment of the hub's process.
    #[must_use]
    pub fn environment(mut self, variables: Vec<(String, String)>) -> Self {
        self.environment = variables;
        self
    }

    /// Starts the hub by this program with these arguments, to which the hub's own command is added. It has to end in
    /// the hub (`exec`), so that the process is the hub's.
    #[must_use]
    pub fn wrapper(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Writes the configuration file.
    pub fn write(&self) -> Result<()> {
        let path = self.config_path();
        std::fs::write(&path, self.config.to_string())
            .with_context(|| format!("{} was not written", path.display()))
    }

    /// Writes the configuration, starts the hub and waits until it answers.
    pub fn start(self) -> Result<Hub> {
        self.start_with(Self::write)
    }

    /// The same with a configuration file that `write` writes.
    pub fn start_with(self, write: impl FnOnce(&Self) -> Result<()>) -> Result<Hub> {
        write(&self)?;
        let process = launch(&self)?;
        Ok(Hub { process, setup: self })
    }
}

/// A running `watchpost run`. Dropping it kills it and removes its directory.
#[derive(Debug)]
pub struct Hub {
    // Before the setup, so that the process is gone when its directory goes.
    process: Process,
    setup: HubSetup,
}

impl Hub {
    /// Its directory and configuration.
    #[must_use]
    pub fn setup(&self) -> &HubSetup {
        &self.setup
    }

    /// The process, to read its log or send it a signal.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The most memory that its process has ever had resident, in KiB: `VmHWM` of proc_pid_status(5).
    pub fn peak_memory_kib(&self) -> Result<u64> {
        let file = format!("/proc/{}/status", self.process.pid());
        let status = std::fs::read_to_string(&file).with_context(|| format!("{file} cannot be read"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
        Ok(kib
            .with_context(|| format!("{file} has no VmHWM"))?
            .trim()
            .parse()?)
    }

    /// What `watchpost status --json` prints.
    pub fn status(&self) -> Result<Json> {
        let text = ask(&self.setup, "status", &["--json"])?;
        serde_json::from_str(&text).with_context(|| format!("the status is no JSON: {text}"))
    }

    /// Waits for a status that satisfies `holds` and returns it.
    pub fn until(&self, what: &str, deadline: Duration, holds: impl Fn(&Json) -> bool) -> Result<Json> {
        eventually(what, deadline, || match self.status() {
            Ok(status) if holds(&status) => Ok(status),
            Ok(status) => Err(format!("{status:#}")),
            Err(error) => Err(format!("{error:#}")),
        })
    }

    /// Replaces the configuration file, as an editor does: by another one of its name. The hub goes by it when it is
    /// asked to reload, or started again.
    pub fn rewrite(&self, config: &Table) -> Result<()> {
        let (new, path) = (self.setup.dir().join("new"), self.setup.config_path());
        std::fs::write(&new, config.to_string())
            .and_then(|()| std::fs::rename(&new, &path))
            .with_context(|| format!("{} was not replaced", path.display()))
    }

    /// Runs a command against this hub, such as `ask("alerts", &["dismiss", "7"])`, and returns its standard output.
    pub fn ask(&self, command: &str, args: &[&str]) -> Result<String> {
        ask(&self.setup, command, args)
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.signal(Signal::TERM)?;
        self.process.wait(PATIENCE)
    }

    /// Ends it at once (SIGKILL), as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(PATIENCE).map(drop)
    }

    /// Writes over the database and its log, as if the disk had lost its mind.
    pub fn damage_database(&self) -> Result<()> {
        let data = self.setup.data_dir();
        for name in ["watchpost.db", "watchpost.db-wal"] {
            let file = std::fs::File::options().write(true).open(data.join(name))?;
            let length = usize::try_from(file.metadata()?.len())?;
            file.write_all_at(&vec![0xff; length], 0)?;
        }
        Ok(())
    }

    /// Starts it again with what it left behind, after [`Self::stop`] or [`Self::kill`].
    pub fn restart(&mut self) -> Result<()> {
        let status = self.process.exit_status()?;
        ensure!(
            status.is_some(),
            "the hub still runs; stop or kill it before it is started again"
        );
        self.process = launch(&self.setup)?;
        Ok(())
    }
}

fn launch(setup: &HubSetup) -> Result<Process> {
    let program = match &setup.program {
        Some(program) => program,
        None => artefacts()?.watchpost()?,
    };
    let mut command = match setup.wrapper.split_first() {
        Some((wrapper, arguments)) => {
            let mut command = Command::new(wrapper);
            command.args(arguments).arg(program);
            command
        }
        None => Command::new(program),
    };
    command
        .arg("run")
        .arg("--config")
        .arg(setup.config_path())
        .env("NO_COLOR", "1")
        .envs(setup.environment.iter().map(|(name, value)| (name, value)));
    if let Some(user) = setup.user {
        give(setup.dir(), user)?;
        command.uid(user).gid(user);
    }
    let mut process = Process::spawn("watchpost run", &mut command)?;
    // A hub that ended will not answer any more: no need to wait for the deadline.
    let ended = eventually("the hub's first answer", PATIENCE, || {
        if let Some(status) = process.exit_status().map_err(|error| error.to_string())? {
            return Ok(Some(status));
        }
        match ask(setup, "status", &["--json"]) {
            Ok(_) => Ok(None),
            Err(error) => Err(format!("{error:#}; it wrote:\n{}", process.log())),
        }
    })?;
    if let Some(status) = ended {
        process.wait(PATIENCE)?;
        bail!(
            "the hub ended before it answered, with {status}; it wrote:\n{}",
            process.log()
        );
    }
    Ok(process)
}

fn ask(setup: &HubSetup, command: &str, args: &[&str]) -> Result<String> {
    let mut program = Command::new(artefacts()?.watchpost()?);
    program
        .arg(command)
        .arg("--data-dir")
        .arg(setup.data_dir())
        .args(args);
    let output = program
        .output()
        .with_context(|| format!("watchpost {command} did not start"))?;
    ensure!(
        output.status.success(),
        "watchpost {command} {} ended with {}: {}",
        args.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    String::from_utf8(output.stdout)
        .with_context(|| format!("watchpost {command} wrote something else than text"))
}

fn copy_into(dir: &Path, from: &Path) -> Result<()> {
    let name = from.file_name().context("a built file has a name")?;
    let copied = std::fs::copy(from, dir.join(name));
    copied
        .map(drop)
        .with_context(|| format!("{} was not copied", from.display()))
}

/// Makes a user the owner of a directory and of all that is in it. Links are given themselves.
fn give(path: &Path, user: u32) -> Result<()> {
    let given = lchown(path, Some(user), Some(user));
    given.with_context(|| format!("{} cannot be given to another user", path.display()))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), user)?;
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .with_context(|| format!("{} is not UTF-8, which TOML needs", path.display()))?;
    Ok(text.to_owned())
}

fn merge(into: &mut Table, more: Table) {
    for (key, value) in more {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) => old.extend(new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_merge_by_kind() {
        let mut config = toml! {
            [store]
            recent = 50
            keep_for = "7d"
            [[sink]]
            name = "first"
        };
        merge(
            &mut config,
            toml! {
                [store]
                recent = 10
                [[sink]]
                name = "second"
            },
        );
        let wanted = toml! {
            [store]
            recent = 10
            keep_for = "7d"
            [[sink]]
            name = "first"
            [[sink]]
            name = "second"
        };
        assert_eq!(config, wanted);
    }
}
