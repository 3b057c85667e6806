//! A handle to one running plugin, and the stream of what happens to it.

use std::future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use watchpost_sinkhost_protocol::limits::{MAX_FRAMES, MAX_TEXT_BYTES};
use watchpost_sinkhost_protocol::sandbox::{Enforced, Grants};
use watchpost_sinkhost_protocol::{ArmOutcome, FIRST_OWN_CALL, PluginInfo, Task};

use crate::request::{Command, NotQueued, Queued, Request};
use crate::start::{ChildProcesses, Held, Start, Started, start_watched};
use crate::{Cgroups, Conduct, Error, Event, ExitKind, Job};

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
    /// What its process and those that it starts are limited by together, where there is any.
    pub cgroups: Cgroups,
    /// How the sink's children before this one have used the processors: to be the same for all of a sink's.
    pub conduct: Conduct,
}

/// One running plugin. Dropping it stops the plugin, within [`DROP_GRACE`](crate::DROP_GRACE).
#[derive(Debug)]
pub struct Host {
    commands: mpsc::UnboundedSender<Command>,
    queued: Queued,
    task: JoinHandle<ExitKind>,
    info: PluginInfo,
    enforced: Box<Enforced>,
    processes: ChildProcesses,
}

impl Host {
    /// Starts a child, loads the plugin and creates its instance.
    ///
    /// Needs a tokio runtime with I/O and time. The stream yields until [`Event::Exited`], which always comes.
    pub async fn start(launch: Launch) -> Result<(Self, EventStream), Error> {
        Self::start_watched(launch, async |_: &ChildProcesses| future::pending().await).await
    }

    /// [`Self::start`], while `watch` looks at the child. It is killed for what that returns, which goes behind "was killed because".
    pub async fn start_watched(
        launch: Launch,
        watch: impl AsyncFnOnce(&ChildProcesses) -> String,
    ) -> Result<(Self, EventStream), Error> {
        let task = Task::Run {
            config: launch.config_json,
            instance: launch.instance.clone(),
            state_dir: launch.state_dir.to_string_lossy().into_owned(),
            hub_version: launch.hub_version,
            timeout: launch.create_timeout,
        };
        let child = Start {
            host_binary: &launch.host_binary,
            plugin: &launch.plugin,
            task,
            grants: launch.grants,
            label: &launch.instance,
            timeout: launch.create_timeout,
            held: Held {
                cgroups: Some(launch.cgroups),
                conduct: launch.conduct,
            },
        };
        let started = start_watched(child, watch).await?;
        let Started {
            info,
            enforced,
            processes,
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
                processes,
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

    /// Queues the plugin's own check whether a delivery would work, without an alert. `call_id` is of the same numbers as a
    /// [`Job`]'s. The answer comes as for [`Self::deliver`], with the outcome
    /// [`Unsupported`](watchpost_sinkhost_protocol::Outcome::Unsupported) from a plugin that cannot tell.
    pub fn probe(&self, call_id: u64, timeout: Duration) -> Result<(), NotQueued> {
        self.queue(Request::Probe { call_id, timeout })
    }

    /// Asks for a call to be cancelled. It still gets its [`Event::Done`].
    pub fn cancel(&self, call_id: u64) {
        // A child that is gone has nothing to cancel.
        let _ = self.commands.send(Command::Cancel { call_id });
    }

    /// Answers what the plugin has asked for in an [`Event::Asked`]. What it has not asked for it does not hear.
    pub fn answer(&self, ticket: u64, outcome: ArmOutcome, text: String) {
        // A child that is gone waits for nothing.
        let _ = self.commands.send(Command::Answer {
            ticket,
            outcome,
            text,
        });
    }

    /// Shows the plugin how the areas are armed, as the document that the contract describes, if it may know.
    pub fn show_areas(&self, json: String) {
        // A child that is gone shows nothing.
        let _ = self.commands.send(Command::Areas(json));
    }

    /// Ends the child at once. `why` goes behind "was killed because". Its last event is its exit.
    pub fn kill(&self, why: String) {
        // A child that is gone is what is wanted.
        let _ = self.commands.send(Command::Kill { why });
    }

    /// What the plugin says of itself, without its description.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// Which parts of the sandbox are in force around it.
    pub fn enforced(&self) -> &Enforced {
        &self.enforced
    }

    /// Process number of the child.
    pub fn pid(&self) -> u32 {
        self.processes.pid()
    }

    /// Its process, and those that it has started.
    pub fn processes(&self) -> &ChildProcesses {
        &self.processes
    }

    /// Has the plugin begin no other call, finish the one that it has begun, flush and destroy its instance. Kills it when
    /// `grace` is over. Calls can still be cancelled; those that were not begun are among
    /// [`Exit::unfinished`](crate::Exit::unfinished).
    pub fn end(&self, grace: Duration) {
        // A child that is gone is what is wanted.
        let _ = self.commands.send(Command::Stop { grace });
    }

    /// [`Self::end`], and waits until it has ended.
    pub async fn stop(self, grace: Duration) -> ExitKind {
        self.end(grace);
        match self.task.await {
            Ok(how) => how,
            Err(error) => ExitKind::ProtocolViolation(format!("the task that watches it was ended: {error}")),
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
