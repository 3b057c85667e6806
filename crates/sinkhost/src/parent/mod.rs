//! The parent's side: a handle to one running plugin, and short-lived children that only look at one.

mod calls;
mod driver;
mod journal;
mod outbox;
mod output;
mod request;
mod spawn;
mod start;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::limits::{INSPECT_TIMEOUT, MAX_FRAMES, MAX_TEXT_BYTES};
use crate::message::{FIRST_OWN_CALL, Task};
use crate::sandbox::{Enforced, Grants};
use crate::{Error, Event, ExitKind, Job, LoadFault, PluginInfo};
use request::{Command, Queued, Request};
use start::{Started, start};

/// What it takes to start a sink.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program `watchpost-sinkhost` of the same release.
    pub host_binary: PathBuf,
    /// The plugin's shared library.
    pub plugin: PathBuf,
    /// Name of the `[[sink]]`.
    pub instance: String,
    /// An existing directory for the instance's own files.
    pub state_dir: PathBuf,
    /// The sink's configuration, a JSON object.
    pub config_json: String,
    /// Version of the hub, for the plugin to know.
    pub hub_version: String,
    /// What the process may do. The plugin's file and `state_dir` belong into it.
    pub grants: Grants,
    /// How long loading the plugin and creating the instance may take.
    pub create_timeout: Duration,
}

/// Says what the plugin is. Runs its constructors and its `describe`, in a child that ends with it.
pub async fn inspect(host_binary: &Path, plugin: &Path) -> Result<PluginInfo, Error> {
    let (task, grants) = (Task::Inspect, only_looking(plugin));
    let started = start(host_binary, plugin, task, grants, "inspect", INSPECT_TIMEOUT).await?;
    let (mut info, description) = started.end().await;
    if let Some(text) = description {
        info.description = Some(parse_description(plugin, &text)?);
    }
    Ok(info)
}

/// Asks the plugin whether a configuration, a JSON object, is right. [`Error::Refused`] says what is not. It may read the
/// files in `readable`, all of which have to be there, and do nothing else.
pub async fn validate(
    host_binary: &Path,
    plugin: &Path,
    config_json: &str,
    readable: &[PathBuf],
) -> Result<(), Error> {
    let task = Task::Validate {
        config: config_json.to_owned(),
    };
    let mut grants = only_looking(plugin);
    grants.read.extend_from_slice(readable);
    start(host_binary, plugin, task, grants, "validate", INSPECT_TIMEOUT)
        .await?
        .end()
        .await;
    Ok(())
}

/// What a plugin gets that is only looked at: its own file.
fn only_looking(plugin: &Path) -> Grants {
    Grants {
        read: vec![plugin.into()],
        ..Grants::default()
    }
}

/// One running plugin. Dropping it stops the plugin, within [`DROP_GRACE`](crate::DROP_GRACE).
#[derive(Debug)]
pub struct Host {
    commands: mpsc::UnboundedSender<Command>,
    queued: Queued,
    task: JoinHandle<ExitKind>,
    info: PluginInfo,
    enforced: Box<Enforced>,
    pid: u32,
}

impl Host {
    /// Starts a child, loads the plugin and creates its instance.
    ///
    /// Needs a tokio runtime with I/O and time. The stream yields until [`Event::Exited`], which always comes.
    pub async fn start(launch: Launch) -> Result<(Self, EventStream), Error> {
        let task = Task::Run {
            config: launch.config_json,
            instance: launch.instance.clone(),
            state_dir: launch.state_dir.to_string_lossy().into_owned(),
            hub_version: launch.hub_version,
            timeout: launch.create_timeout,
        };
        let (binary, plugin) = (&launch.host_binary, &launch.plugin);
        let (label, timeout) = (&launch.instance, launch.create_timeout);
        let started = start(binary, plugin, task, launch.grants, label, timeout).await?;
        let Started {
            info,
            enforced,
            pid,
            commands,
            queued,
            events,
            task,
            ..
        } = started;
        Ok((
            Self {
                commands,
                queued,
                task,
                info,
                enforced: Box::new(enforced),
                pid,
            },
            EventStream(events),
        ))
    }

    /// Queues a delivery. Never waits. The answer is an [`Event::Done`] or stands in [`Event::Exited`].
    pub fn deliver(&self, job: Job) -> Result<(), NotQueued> {
        if job.frames.len() > MAX_FRAMES {
            return Err(NotQueued::TooManyFrames(job.frames.len()));
        }
        let alert = &job.alert;
        let bytes = alert.id.len() + alert.title.len() + alert.text.len() + alert.json.len();
        if bytes > MAX_TEXT_BYTES {
            return Err(NotQueued::TooLarge(bytes));
        }
        self.queue(Request::Deliver(job))
    }

    /// Queues a try whether a delivery would work. The answer comes as for [`Self::deliver`], with the outcome
    /// [`Unsupported`](crate::Outcome::Unsupported) from a plugin that cannot tell.
    pub fn probe(&self, call_id: u64, timeout: Duration) -> Result<(), NotQueued> {
        self.queue(Request::Probe { call_id, timeout })
    }

    /// Asks for a call to be given up. It still gets its [`Event::Done`].
    pub fn cancel(&self, call_id: u64) {
        // A child that is gone has nothing to cancel.
        let _ = self.commands.send(Command::Cancel { call_id });
    }

    /// What the plugin says of itself, without its description.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// Which walls stand around it.
    pub fn enforced(&self) -> &Enforced {
        &self.enforced
    }

    /// Process number of the child.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets the plugin finish the call under way, flush and destroy its instance. Kills it when `grace` is over.
    /// Calls that were not begun are among [`Exit::unfinished`](crate::Exit::unfinished).
    pub async fn stop(self, grace: Duration) -> ExitKind {
        let _ = self.commands.send(Command::Stop { grace });
        match self.task.await {
            Ok(how) => how,
            Err(error) => ExitKind::Garbled(format!("the task that watches it was ended: {error}")),
        }
    }

    fn queue(&self, request: Request) -> Result<(), NotQueued> {
        let call = request.call();
        if call.id >= FIRST_OWN_CALL {
            return Err(NotQueued::BadCallId(call.id));
        }
        self.queued.enter()?;
        self.commands
            .send(Command::Call(call, request))
            .map_err(|_| NotQueued::Gone)
    }
}

/// Why a call was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotQueued {
    /// The child has exited.
    #[error("the plugin's process is gone; start it anew")]
    Gone,
    /// There are [`MAX_QUEUED`](crate::MAX_QUEUED) calls already.
    #[error(
        "the plugin has {} calls to do already; wait for one to be done",
        crate::MAX_QUEUED
    )]
    Full,
    /// More than [`MAX_FRAMES`](crate::MAX_FRAMES) pictures.
    #[error("an alert has at most {MAX_FRAMES} pictures, not {0}")]
    TooManyFrames(usize),
    /// The alert's texts are too large.
    #[error("an alert has at most {MAX_TEXT_BYTES} bytes of text, not {0}")]
    TooLarge(usize),
    /// The number is one of the child's own.
    #[error("a call's number is below 2^63, not {0}")]
    BadCallId(u64),
}

/// What happens in a child, in order. Ends after [`Event::Exited`].
#[derive(Debug)]
pub struct EventStream(mpsc::UnboundedReceiver<Event>);

impl EventStream {
    /// Waits for the next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_recv(context)
    }
}

fn parse_description(plugin: &Path, text: &str) -> Result<serde_json::Value, Error> {
    let bad = |reason: String| Error::Load {
        path: plugin.to_owned(),
        fault: LoadFault::BadDescription { reason },
    };
    match serde_json::from_str(text) {
        Ok(description @ serde_json::Value::Object(_)) => Ok(description),
        Ok(_) => Err(bad("it is no JSON object".into())),
        Err(error) => Err(bad(format!("it is no JSON: {error}"))),
    }
}
