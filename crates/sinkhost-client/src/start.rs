//! Starting a child, up to its answer: it runs, it refuses, or it died over it.

use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use watchpost_sinkhost_protocol::sandbox::{Enforced, Grants};
use watchpost_sinkhost_protocol::{PluginInfo, Stage, Task, ToChild};

use crate::answer::Answer;
use crate::driver::{Caller, Driver};
use crate::family::Mark;
use crate::request::{Command, Queued};
use crate::spawn::spawn;
use crate::{Error, Event, ExitKind, file};

/// A child that has started, and what it takes to go on with it.
#[derive(Debug)]
pub(crate) struct Started {
    /// The mark of what it has started, if it may start any.
    pub(crate) starts_others: Option<Mark>,
    pub(crate) info: PluginInfo,
    pub(crate) description: Option<String>,
    pub(crate) enforced: Enforced,
    pub(crate) pid: u32,
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

/// Starts a child for `task` and waits for its answer. `label` is for the reader of `ps` only.
pub(crate) async fn start(
    host_binary: &Path,
    plugin: &Path,
    task: Task,
    grants: Grants,
    label: &str,
    timeout: Duration,
) -> Result<Started, Error> {
    file::check(plugin).map_err(|fault| Error::Load {
        path: plugin.to_owned(),
        fault,
    })?;
    let mark = Mark::new();
    // Without the grant it cannot start any, and so none is looked for.
    let starts_others = grants.exec.then_some(mark);
    let child = spawn(host_binary, label, starts_others).map_err(|source| Error::Spawn {
        path: host_binary.to_owned(),
        source,
    })?;
    let pid = child.process.id();
    let (commands, received) = mpsc::unbounded_channel();
    let (emitted, events) = mpsc::unbounded_channel();
    let (asked, answer) = oneshot::channel();
    let queued = Queued::default();
    let acknowledge = grants.acknowledge;
    let caller = Caller {
        commands: received,
        queued: queued.clone(),
        events: emitted,
        answer: asked,
    };
    let driver = Driver::new(child, timeout, &task, acknowledge, caller);
    let load = ToChild::Load {
        plugin: plugin.to_string_lossy().into_owned(),
        grants,
        mark: Some(mark.number()),
        task,
    };
    let task = tokio::spawn(driver.run(load));

    let answer = match answer.await {
        Ok(Answer::Ready(info, description, enforced)) => {
            return Ok(Started {
                starts_others,
                info: *info,
                description,
                enforced,
                pid,
                commands,
                queued,
                events,
                task,
            });
        }
        Ok(answer) => Some(answer),
        Err(_) => None,
    };
    let error = failure(answer, host_binary, plugin, timeout);
    // The child leaves by itself, or is killed for not doing so: nothing of it remains after the error.
    drop(commands);
    let _ = task.await;
    Err(error)
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
