//! The parent's handle to `watchpost-sinkhost`, the process that runs one sink plugin.
//!
//! A plugin is foreign code: it may crash, hang, exit or flood its output. So the hub never loads one. It starts
//! the program `watchpost-sinkhost` for each sink and speaks with it over a socket; that child, and no other
//! process, calls `dlopen`. What happens there comes back as [`Event`]s, a crash and a missed deadline among them.
//!
//! ```no_run
//! # async fn run(launch: watchpost_sinkhost_client::Launch, job: watchpost_sinkhost_client::Job)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use watchpost_sinkhost_client::{Event, Host};
//!
//! let (host, mut events) = Host::start(launch).await?;
//! host.deliver(job)?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Done { call_id, outcome, .. } => println!("{call_id}: {outcome}"),
//!         Event::Exited(exit) => println!("the plugin {}; to do again: {:?}", exit.how, exit.unfinished),
//!         Event::Begun { .. } | Event::Acknowledged { .. } | Event::Asked(_) | Event::Log { .. } => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! Before it loads the plugin the child sandboxes itself, as the [`Launch`]'s [`grants`](sandbox::Grants) say.
//!
//! It needs a tokio runtime, and knows nothing of alerts beyond the words of the plugin contract: when to try again,
//! and when to restart a dead plugin, is for its caller to decide.

mod answer;
mod asks;
mod autogroup;
mod calls;
mod cgroup;
mod clock;
mod driver;
mod error;
mod event;
mod family;
mod file;
mod host;
mod inspect;
mod job;
mod journal;
mod liveness;
mod outbox;
mod output;
mod parent;
mod phase;
mod process;
mod request;
mod share;
mod spawn;
mod start;
mod text;
mod violation;

pub use cgroup::{Cgroups, MAX_TASKS};
pub use error::Error;
pub use event::{Event, Exit, ExitKind};
pub use family::is_of_a_sink;
pub use host::{EventStream, Host, Launch};
pub use inspect::{check_schema, inspect, validate};
pub use job::Job;
pub use request::NotQueued;
pub use share::Conduct;
pub use start::ChildProcesses;
pub use watchpost_sinkhost_protocol::limits::{
    CANCEL_GRACE, DROP_GRACE, INSPECT_TIMEOUT, MAX_FRAMES, MAX_LINE_BYTES, MAX_QUEUED, WINDOW,
};
pub use watchpost_sinkhost_protocol::{
    AlertDoc, ArmAct, ArmMode, ArmOutcome, ArmRequest, Code, FrameFd, FrameMeta, LoadFault, LogLevel, Note,
    Outcome, PluginInfo, Severity, Stage, sandbox,
};

/// Holds the parent's state against a model of it, in a course of events that these bytes say. Panics where they disagree.
#[cfg(fuzzing)]
pub fn check_parent(bytes: &[u8]) {
    parent::model::run(bytes);
}

/// File name of the plugin that a configuration calls `name`: `libwatchpost_<name>.so`.
pub fn plugin_file_name(name: &str) -> String {
    format!("libwatchpost_{}.so", name.replace('-', "_"))
}
