//! Starting a child, up to its answer: it runs, it refuses, or it died over it.

use std::future;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use watchpost_sinkhost_protocol::sandbox::{Enforced, Grants, Part};
use watchpost_sinkhost_protocol::{PluginInfo, Stage, Task, ToChild};

use crate::answer::Answer;
use crate::cgroup::Cgroups;
use crate::clock;
use crate::driver::Driver;
use crate::family::{Family, Mark};
use crate::parent::{Caller, Parent, Rights};
use crate::request::{Command, Queued};
use crate::spawn::{Spawned, spawn};
use crate::{Conduct, Error, Event, ExitKind, file};

/// What to do about a cgroup that lacks something.
const GROUP_HINT: &str = "have the service manager hand over its cgroup, or take back `require` (or `require_sandbox`) to run without";

/// What a child is held by beside its sandbox.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Where its processes are limited together.
    pub(crate) cgroups: Option<Cgroups>,
    /// By which its share of the processors is judged.
    pub(crate) conduct: Conduct,
}

/// The process of a child, and those that it has started.
#[derive(Debug)]
pub struct ChildProcesses {
    pid: u32,
    child_socket: u64,
    /// The mark of what it has started, if it may start any.
    starts_others: Option<Mark>,
}

impl ChildProcesses {
    /// Process number of the child.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The number of the child's end of its socket, over which it gets its pictures: what `fstat` and `/proc/PID/fd` show.
    pub fn child_socket(&self) -> u64 {
        self.child_socket
    }

    /// Numbers of the processes that the child has started, wherever they have gone, if it may start any.
    pub fn started(&self) -> Vec<u32> {
        self.starts_others
            .map(|mark| mark.all(self.pid))
            .unwrap_or_default()
    }

    /// Whether the child may start programs, which may share memory.
    pub fn starts_others(&self) -> bool {
        self.starts_others.is_some()
    }
}

/// A child that has started, and what it takes to go on with it.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) info: PluginInfo,
    pub(crate) description: Option<String>,
    pub(crate) enforced: Enforced,
    pub(crate) processes: ChildProcesses,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) queued: Queued,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) task: JoinHandle<ExitKind>,
}

impl Started {
    /// Waits for a child that has done all it was started for.
    pub(crate) async fn end(self) -> (PluginInfo, Option<String>) {
        drop(self.commands);
        let _ = self.task.await;
        (self.info, self.description)
    }
}

/// A child to be started.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) host_binary: &'a Path,
    pub(crate) plugin: &'a Path,
    pub(crate) task: Task,
    pub(crate) grants: Grants,
    /// For the reader of `ps` only.
    pub(crate) label: &'a str,
    /// How long all that may take.
    pub(crate) timeout: Duration,
    pub(crate) held: Held,
}

/// Starts a child and waits for its answer.
pub(crate) async fn start(what: Start<'_>) -> Result<Started, Error> {
    start_watched(what, async |_: &ChildProcesses| future::pending().await).await
}

/// [`start`], while `watch` looks at the child, which is killed for what that returns.
pub(crate) async fn start_watched(
    what: Start<'_>,
    watch: impl AsyncFnOnce(&ChildProcesses) -> String,
) -> Result<Started, Error> {
    let Start {
        host_binary,
        plugin,
        task,
        grants,
        label,
        timeout,
        held,
    } = what;
    file::check(plugin).map_err(|fault| Error::Load {
        path: plugin.to_owned(),
        fault,
    })?;
    let mark = Mark::new();
    let (child, gap) = begin(host_binary, plugin, label, &grants, mark, held.cgroups.as_ref())?;
    let processes = ChildProcesses {
        pid: child.process.id(),
        child_socket: child.child_socket,
        // Without the grant it cannot start any, and so none is looked for.
        starts_others: grants.exec.then_some(mark),
    };
    let (commands, received) = mpsc::unbounded_channel();
    let (emitted, events) = mpsc::unbounded_channel();
    let (asked, answer) = oneshot::channel();
    let queued = Queued::default();
    let caller = Caller {
        queued: queued.clone(),
        events: emitted,
        answer: asked,
    };
    let parent = Parent::new(&task, timeout, rights(&grants), caller, clock::now());
    let driver = Driver::new(child, parent, received, held.conduct);
    let load = ToChild::Load {
        plugin: plugin.to_string_lossy().into_owned(),
        grants: Box::new(grants),
        mark: Some(mark.number()),
        task,
    };
    let task = tokio::spawn(driver.run(load));

    let answer = match answer_of(answer, &commands, watch(&processes)).await {
        Some(Answer::Ready(info, description, mut enforced)) => {
            if let Some(reason) = gap {
                enforced.lacks(Part::Group, reason);
            }
            return Ok(Started {
                info: *info,
                description,
                enforced,
                processes,
                commands,
                queued,
                events,
                task,
            });
        }
        other => other,
    };
    let error = failure(answer, host_binary, plugin, timeout);
    // The child leaves by itself, or is killed for not doing so: nothing of it remains after the error.
    drop(commands);
    let _ = task.await;
    Err(error)
}

/// Waits for a child's answer, and kills it for what is seen meanwhile. There is none where the task that watches it was ended.
async fn answer_of(
    mut answer: oneshot::Receiver<Answer>,
    commands: &mpsc::UnboundedSender<Command>,
    seen: impl Future<Output = String>,
) -> Option<Answer> {
    tokio::select! {
        answer = &mut answer => answer.ok(),
        why = seen => {
            // A child that is gone is what is wanted.
            let _ = commands.send(Command::Kill { why });
            answer.await.ok()
        }
    }
}

/// What a child may ask of the hub.
fn rights(grants: &Grants) -> Rights {
    Rights {
        acknowledge: grants.acknowledge,
        arm: grants.arm,
    }
}

/// Starts the process. Says as well why all its processes together have no limits, if it may do without.
fn begin(
    host_binary: &Path,
    plugin: &Path,
    label: &str,
    grants: &Grants,
    mark: Mark,
    cgroups: Option<&Cgroups>,
) -> Result<(Spawned, Option<String>), Error> {
    let begun = match cgroups {
        Some(cgroups) => spawn_grouped(host_binary, label, grants, mark, cgroups),
        None => spawn(host_binary, label, Family::of(grants, mark)).map(|child| (child, None)),
    };
    let (child, gap) = begun.map_err(|source| Error::Spawn {
        path: host_binary.to_owned(),
        source,
    })?;
    match gap {
        Some(reason) if grants.require => Err(Error::Sandbox {
            path: plugin.to_owned(),
            reason: format!("the sandbox lacks {} ({reason}); {GROUP_HINT}", Part::Group),
        }),
        gap => Ok((child, gap)),
    }
}

/// Starts the child in a cgroup of its own. Says as well why its processes together have no limits, where that matters:
/// one that can start no others has those of its only process.
fn spawn_grouped(
    host_binary: &Path,
    label: &str,
    grants: &Grants,
    mark: Mark,
    cgroups: &Cgroups,
) -> io::Result<(Spawned, Option<String>)> {
    let without = || Family::of(grants, mark);
    let (family, failure) = match cgroups.group(label, mark.number(), grants.memory_bytes) {
        Ok(Some(group)) => (Family::Grouped(group), None),
        Ok(None) => (without(), None),
        Err(why) => (without(), Some(why)),
    };
    let mut child = spawn(host_binary, label, family)?;
    // It waits for its first message, and runs nothing foreign before that.
    let moved = child.process.enter_cgroup(without());
    let gap = failure.or(moved.err());
    Ok((child, gap.or_else(|| cgroups.unlimited().filter(|_| grants.exec))))
}

/// Why there is no running plugin. Without an answer, the task that watches the child was ended.
fn failure(answer: Option<Answer>, host_binary: &Path, plugin: &Path, timeout: Duration) -> Error {
    let path = plugin.to_owned();
    match answer {
        Some(Answer::Unloadable(fault)) => Error::Load { path, fault },
        Some(Answer::Unconfined(reason)) => Error::Sandbox { path, reason },
        Some(Answer::Refused(outcome, notes)) => Error::Refused { path, outcome, notes },
        Some(Answer::OtherRelease) => Error::OtherRelease {
            path: host_binary.to_owned(),
        },
        Some(Answer::Died {
            stage,
            how: ExitKind::TimedOut,
            output,
        }) => Error::TimedOut {
            path,
            stage,
            after: timeout,
            output,
        },
        Some(Answer::Died {
            stage: Stage::Starting,
            how,
            output,
        }) => Error::HostDied {
            path: host_binary.to_owned(),
            how,
            output,
        },
        Some(Answer::Died { stage, how, output }) => Error::Died {
            path,
            stage,
            how,
            output,
        },
        Some(Answer::Ready(..)) | None => Error::Died {
            path,
            stage: Stage::Starting,
            how: ExitKind::ProtocolViolation("the task that watches it was ended".into()),
            output: Vec::new(),
        },
    }
}
