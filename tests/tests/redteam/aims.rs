//! What the red team is aimed at, and whether it still is as it was.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use toml::{Table, toml};
use watchpost_testkit::Hub;

/// Where files appear if something was done that must not be.
const OUTSIDE: [&str; 3] = ["/tmp/redteam", "/dev/shm/redteam", "/etc/cron.d/redteam"];
/// Files of the system whose attributes tell of a change.
const SYSTEM: [&str; 3] = ["/etc/shadow", "/etc/passwd", "/bin/true"];
/// Key of the objects of System V that the deeds make.
const KEY: &str = "120477255";

/// What there is to be harmed besides the hub's own.
pub(crate) struct Aims {
    dir: PathBuf,
    bystander: Child,
    listener: TcpListener,
    other: TcpListener,
    hub_port: u16,
    local: UnixListener,
    /// Who gets what no one is to send.
    datagrams: UnixDatagram,
    name: String,
    before: OnceLock<State>,
}

/// All that is compared.
#[derive(Debug, PartialEq)]
struct State {
    /// Mode, owner, size, and the time at which any of these or the content was changed.
    files: BTreeMap<PathBuf, String>,
    /// Priority, scheduling, processors, limits of every thread of the processes.
    processes: BTreeMap<String, String>,
    machine: String,
}

impl Aims {
    pub(crate) fn put_up(dir: &Path) -> Result<Self> {
        let victim = dir.join("victim");
        fs::create_dir_all(victim.join("folder"))?;
        fs::write(victim.join("file"), "precious")?;
        let bystander = Command::new("sleep")
            .arg("3600")
            .stdin(Stdio::null())
            .spawn()
            .context("sleep")?;
        let name = format!("watchpost-redteam-{}", bystander.id());
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let other = TcpListener::bind("127.0.0.1:0")?;
        // Free, and of the ports that the kernel hands out it was the last one: the hub is to get it.
        let hub_port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let local = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        let datagrams = UnixDatagram::bind(victim.join("datagrams"))?;
        datagrams.set_nonblocking(true)?;
        listener.set_nonblocking(true)?;
        local.set_nonblocking(true)?;
        Ok(Self {
            dir: dir.to_owned(),
            bystander,
            listener,
            other,
            hub_port,
            local,
            datagrams,
            name,
            before: OnceLock::new(),
        })
    }

    /// A port that sinks are granted.
    pub(crate) fn other_port(&self) -> u16 {
        self.other.local_addr().map_or(0, |address| address.port())
    }

    /// The port that the hub is to serve.
    pub(crate) fn hub_port(&self) -> u16 {
        self.hub_port
    }

    /// The configuration of a sink of the red team.
    pub(crate) fn config(&self, data_dir: &Path, way: &str, spared: &[&str]) -> Table {
        let text = |path: &Path| path.display().to_string();
        let (victim, config, data) = (
            text(&self.dir.join("victim")),
            text(&self.dir.join("watchpost.toml")),
            text(data_dir),
        );
        let (bystander, local) = (self.bystander.id().to_string(), self.name.clone());
        let port = self
            .listener
            .local_addr()
            .map_or(0, |address| address.port())
            .to_string();
        let hub_port = self.hub_port.to_string();
        let spared = format!(" {} ", spared.join(" "));
        toml! {
            victim = victim
            config = config
            data = data
            bystander = bystander
            port = port
            hub_port = hub_port
            local = local
            way = way
            spared = spared
        }
    }

    /// Takes down how all is. The hub runs, and has delivered nothing yet that would matter.
    pub(crate) fn remember(&self, hub: &Hub) -> Result<()> {
        let state = self.state(hub)?;
        self.before.set(state).ok().context("it is remembered once")
    }

    /// Fails if anything has changed, or was reached.
    pub(crate) fn check(&self, hub: &Hub) -> Result<()> {
        let now = self.state(hub)?;
        let before = self.before.get().context("nothing is remembered")?;
        for (path, about) in &before.files {
            ensure!(
                now.files.get(path) == Some(about),
                "{} was {about}, is {:?}",
                path.display(),
                now.files.get(path)
            );
        }
        ensure!(
            now.files.len() == before.files.len(),
            "there is more: {:?}",
            now.files.keys()
        );
        assert_eq!(now.processes, before.processes);
        assert_eq!(now.machine, before.machine);
        for path in OUTSIDE {
            ensure!(!Path::new(path).exists(), "{path} was made");
        }
        for kind in ["shm", "msg", "sem"] {
            let left = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
            ensure!(!left.contains(KEY), "left behind: {left}");
        }
        ensure!(
            self.listener.accept().is_err(),
            "a port was reached that nothing grants"
        );
        // One sink is granted local sockets.
        let datagrams = std::iter::repeat_with(|| self.datagrams.recv(&mut [0]).ok());
        let datagrams = datagrams.take_while(Option::is_some).count();
        ensure!(datagrams <= 1, "{datagrams} datagrams came");
        ensure!(
            self.local.accept().is_err(),
            "a local socket was reached that nothing grants"
        );
        Ok(())
    }

    fn state(&self, hub: &Hub) -> Result<State> {
        let setup = hub.setup();
        let mut files = BTreeMap::new();
        for below in ["victim", "usr", "watchpost.toml"] {
            look_at(&setup.dir().join(below), &mut files)?;
        }
        for path in SYSTEM.map(PathBuf::from) {
            let about = about(&path)?;
            files.insert(path, about);
        }
        for path in [
            setup.data_dir(),
            setup.data_dir().join("sinks"),
            setup.dir().to_owned(),
        ] {
            // The hub writes in there; what it is stays.
            let meta = fs::metadata(&path)?;
            files.insert(path, format!("{:o} {} {}", meta.mode(), meta.uid(), meta.gid()));
        }
        let mut processes = BTreeMap::new();
        for pid in [hub_pid(hub)?, self.bystander.id()] {
            processes.insert(format!("process {pid}"), process(pid)?);
        }
        let name = fs::read_to_string("/proc/sys/kernel/hostname")?;
        let domain = fs::read_to_string("/proc/sys/kernel/domainname")?;
        Ok(State {
            files,
            processes,
            machine: name + &domain,
        })
    }
}

impl Drop for Aims {
    fn drop(&mut self) {
        // It fails only for a process that has ended.
        let _ = self.bystander.kill();
        let _ = self.bystander.wait();
    }
}

fn hub_pid(hub: &Hub) -> Result<u32> {
    let status = hub.status()?;
    let pid = status["pid"].as_u64().context("the hub says its process")?;
    Ok(pid.try_into()?)
}

fn look_at(path: &Path, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    files.insert(path.to_owned(), about(path)?);
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            look_at(&entry?.path(), files)?;
        }
    }
    Ok(())
}

/// The time of change moves with every attribute of a file, also those that are not looked at here.
fn about(path: &Path) -> Result<String> {
    let meta = fs::symlink_metadata(path).with_context(|| format!("{} is gone", path.display()))?;
    Ok(format!(
        "{:o} of {}:{}, {} bytes, {} links, changed {}.{}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.len(),
        meta.nlink(),
        meta.ctime(),
        meta.ctime_nsec()
    ))
}

/// How a process is scheduled and limited: its main thread and limits, which others could set.
fn process(pid: u32) -> Result<String> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
    let stat = read("stat")?;
    let (_, rest) = stat.rsplit_once(')').context("a name in brackets")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Group, session; priority, niceness; real-time priority and policy (proc_pid_stat(5)).
    let fields: Vec<&str> = [2, 3, 15, 16, 37, 38]
        .iter()
        .map(|index| fields[*index])
        .collect();
    let status = read("status")?;
    let processors = status
        .lines()
        .filter(|line| line.starts_with("Cpus_allowed:"))
        .collect::<String>();
    Ok(format!(
        "{fields:?} {processors} {} {}",
        read("oom_score_adj")?.trim(),
        read("limits")?
    ))
}
